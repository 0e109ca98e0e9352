"""What linting imports: torch never, and LibCST only for a file with findings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from torchlint import checking, cli, commands, engine, rulebook
from torchlint.config import Settings

GUARD = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "numpy", "torchvision"}:
            raise RuntimeError(f"linting imports {name}")

sys.meta_path.insert(0, Refuse())
import json
from torchlint.cli import main
try:
    main(sys.argv[1:])
except SystemExit as stop:
    status = stop.code
print("\\n" + json.dumps({"status": status, "modules": sorted(sys.modules)}))
"""

BAD = """import torch
import torch.nn as nn

def f(x, y):
    return nn.BCEWithLogitsLoss()(torch.sigmoid(x), y)
"""


def lint(folder: Path, *arguments: str) -> tuple[int, set[str], str]:
    """Exit code, imported modules, and output of a run in a process of its own."""
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", GUARD, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    output, _, last = done.stdout.rstrip().rpartition("\n")
    result = json.loads(last)
    return int(result["status"] or 0), set(result["modules"]), output


@pytest.mark.parametrize("output_format", ["full", "concise", "json"])
def test_linting_torch_code_never_imports_torch(tmp_path: Path, output_format: str) -> None:
    (tmp_path / "a.py").write_text(BAD, "utf-8")
    status, modules, output = lint(tmp_path, "check", "--output-format", output_format)
    assert status == 1
    assert "TLN101" in output
    assert not {name for name in modules if name.partition(".")[0] == "torch"}


def test_a_file_without_losses_is_not_parsed(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import os\n\nprint(os.name)\n", "utf-8")
    status, modules, _ = lint(tmp_path, "check")
    assert status == 0
    slow = {"libcst", "rich", "msgspec", "pathspec", "tomllib", "pathlib"}  # each costs 5 ms or more
    assert not modules & {*slow, "torchlint.analysis", "torchlint.rulebook", "torchlint.contracts"}


def imported(folder: Path, *command: str) -> set[str]:
    """The modules that a process of its own imports, those of the interpreter's start included."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.split("|") for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {name.strip() for _, _, name in lines}


STANDARD = "import __future__, bisect, codecs, contextlib, errno, gc, re, typing"
"""What torchlint needs of the standard library to find out that a file holds no loss: 10 ms, where click takes 25 more."""


def test_a_call_without_options_starts_with_little(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import os\n\nprint(os.name)\n", "utf-8")
    (tmp_path / "start.py").write_text(f"{STANDARD}\n", "utf-8")
    started = imported(tmp_path, "-m", "start")
    more = imported(tmp_path, "-m", "torchlint", "check", "a.py") - started
    assert {name for name in more if name.partition(".")[0] != "torchlint"} == set()
    beyond = (
        "analysis baseline coverage commands completion contracts diagnose findings kept placing roots rulebook".split()
    )
    assert not {name for name in more if name.split(".")[1:2] and name.split(".")[1] in beyond}


@pytest.mark.parametrize("arguments", [["check"], ["check", "a.py", "b"]])
def test_a_call_without_options_is_what_click_makes_of_it(arguments: list[str]) -> None:
    paths = cli.plain_check(arguments)
    assert paths is not None
    parsed = commands.check.make_context("check", arguments[1:]).params
    assert checking.Options(paths)._asdict() == parsed


@pytest.mark.parametrize(
    "arguments", [[], ["rules"], ["--help"], ["check", "-q"], ["check", "a.py", "-"], ["check", "*.py"]]
)
def test_what_needs_parsing_is_left_to_click(arguments: list[str]) -> None:
    assert cli.plain_check(arguments) is None


def test_a_clean_file_needs_no_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.py").write_text(BAD.replace("torch.sigmoid(x)", "x"), "utf-8")
    monkeypatch.setattr(rulebook, "load", lambda: pytest.fail("reads the pages"))
    assert engine.check([str(tmp_path)], Settings()).analysed == 1


def test_a_clean_file_needs_no_libcst(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(BAD.replace("torch.sigmoid(x)", "x"), "utf-8")
    status, modules, _ = lint(tmp_path, "check")
    assert status == 0
    assert "torchlint.analysis.lower_ast" in modules
    assert not modules & {"torchlint.analysis.positions", "libcst", "rich"}


@pytest.mark.parametrize("arguments", [["rules"], ["explain", "TLN101"], ["config", "--show"], ["--help"]])
def test_other_commands_parse_nothing(tmp_path: Path, arguments: list[str]) -> None:
    status, modules, output = lint(tmp_path, *arguments)
    assert status == 0
    assert output
    assert "libcst" not in modules


def test_a_project_may_have_modules_that_are_called_like_ours(tmp_path: Path) -> None:
    for name in ("click", "msgspec", "rich", "data"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('not the library')\n", "utf-8")
    (tmp_path / "a.py").write_text(BAD, "utf-8")
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "torchlint", "check", "--no-cache", "--output-format", "concise", "."]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert "a.py:5:12: TLN101" in done.stdout
