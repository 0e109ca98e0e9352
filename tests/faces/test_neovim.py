"""A real editor, end to end: Neovim with the configuration that README.md gives, without a screen."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faces.conftest import ROOT, Tree
from tests.faces.test_server import MODEL, TRAIN

NVIM = shutil.which("nvim")
ENABLES = (0, 11)
"""The first version that has `vim.lsp.enable`."""


def version() -> tuple[int, int]:
    assert NVIM is not None
    said = subprocess.run([NVIM, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"NVIM v(\d+)\.(\d+)", said)
    assert found, said
    return int(found[1]), int(found[2])


def recipe(name: str) -> str:
    """The block of README.md that is marked so."""
    found = re.findall(
        rf"<!-- editor: {name} -->\n```\w+\n(.*?)```\n", (ROOT / "README.md").read_text("utf-8"), re.DOTALL
    )
    assert len(found) == 1, name
    return str(found[0])


@pytest.mark.skipif(NVIM is None or os.name == "nt", reason="needs nvim and sh")
def test_neovim_shows_findings_and_applies_a_fix(tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert NVIM is not None
    home = tmp_path_factory.mktemp("home")
    name = "neovim" if version() >= ENABLES else "older neovim"
    (home / "init.lua").write_text(recipe(name), "utf-8")
    (home / "torchlint").write_text(
        f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m torchlint "$@"\n', "utf-8"
    )
    (home / "torchlint").chmod(0o755)
    folder = tree({"model.py": MODEL, "train.py": TRAIN, "pyproject.toml": ""})
    places = {f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("CONFIG", "DATA", "STATE", "CACHE")}
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("NVIM")},
        **places,
        "HOME": str(home),
        "PATH": f"{home}{os.pathsep}{os.environ['PATH']}",
        "TORCHLINT_TOLD": str(home / "told.json"),
    }
    script = Path(__file__).with_name("neovim.lua")
    done = subprocess.run(
        [NVIM, "--headless", "-n", "-u", str(home / "init.lua"), "-c", f"luafile {script}"],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (home / "told.json").exists(), done.stderr
    told: dict[str, Any] = json.loads((home / "told.json").read_text("utf-8"))
    assert "error" not in told, told["error"] + done.stderr

    line = TRAIN.splitlines().index("        criterion(model(x), y).backward()") + 1
    (found,) = told["opened"]
    assert (found["code"], found["line"], found["column"]) == ("TLN101", line, 9)
    assert ["model.py", "`torch.sigmoid` gives probabilities"] in found["related"]
    assert [each["line"] for each in told["moved"]] == [line + 1]
    assert [each["line"] for each in told["broken"]] == [line + 2]
    assert any(title.startswith("Ignore TLN101") for title in told["titles"]), told["titles"]
    assert told["model"] + "\n" == MODEL.replace("torch.sigmoid(self.last(x))", "self.last(x)")
