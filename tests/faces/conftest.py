"""Fixtures: a folder of files, and the command line run on it in a process of its own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

from torchlint.cli import main

ROOT = Path(__file__).resolve().parents[2]

BAD = """\
import torch
from torch import nn


def loss_of(logits, labels):
    criterion = nn.BCEWithLogitsLoss()
    probabilities = torch.sigmoid(logits)
    return criterion(probabilities, labels)
"""
"""One TLN101 at line 8."""

GOOD = BAD.replace("torch.sigmoid(logits)", "logits")

PROJECT = {
    "shop/__init__.py": "",
    "shop/model.py": "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n"
    "        super().__init__()\n        self.body = nn.Sequential(nn.Linear(8, 1), nn.Sigmoid())\n\n"
    "    def forward(self, x):\n        return self.body(x)\n",
    "shop/criteria.py": "from torch import nn\n\nmeasure = nn.BCEWithLogitsLoss()\n",
    "shop/steps.py": "from shop.criteria import measure\n\n\ndef step(net, x, y):\n    return measure(net(x), y)\n",
    "train.py": "from shop.model import Net\nfrom shop.steps import step\n\n\ndef main(loader):\n    net = Net()\n"
    "    for x, y in loader:\n        step(net, x, y).backward()\n",
    "hidden.py": BAD.replace("probabilities, labels)", "probabilities, labels)  # torchlint: ignore[TLN101] wanted"),
    "unused.py": "x = 1  # torchlint: ignore[TLN101]\n",
    "wide.py": BAD.replace(
        "criterion(probabilities, labels)", "criterion(\n        probabilities,\n        labels,\n    )"
    ),
    "clean.py": GOOD,
}
"""Findings whose cause lies in another file, one of them in a file that names no loss; hidden ones, and an idle comment."""


class Result(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]
Flake8 = Callable[..., Result]
Tree = Callable[[Mapping[str, str | bytes]], Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Write files, given by relative name, into an empty folder and give the folder."""

    def write(files: Mapping[str, str | bytes]) -> Path:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return write


@pytest.fixture
def torchlint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `torchlint` in the folder; never may it end in a traceback.

    In a process of its own if variables are given, else in this one, which saves half a second.
    """

    def run(*arguments: str, stdin: bytes = b"", **variables: str) -> Result:
        start = in_process if variables else in_this_process
        result = start(tmp_path, arguments, stdin, variables)
        assert "Traceback" not in result.err + result.out, result.err
        return result

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return run


def in_process(folder: Path, arguments: Sequence[str], stdin: bytes, variables: Mapping[str, str]) -> Result:
    """Run the command as users do."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **variables}
    done = subprocess.run(
        [sys.executable, "-m", "torchlint", *arguments],
        cwd=folder,
        env=environment,
        input=stdin,
        capture_output=True,
        timeout=300,  # a machine may be busy
        check=False,
    )
    return Result(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def in_this_process(folder: Path, arguments: Sequence[str], stdin: bytes, variables: Mapping[str, str]) -> Result:
    """Run the command by calling its main function; the working folder is already the right one."""
    assert Path.cwd() == folder and not variables
    held = io.BytesIO(), io.BytesIO()
    out, err = (io.TextIOWrapper(each, encoding="utf-8", write_through=True) for each in held)
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
            main(list(arguments))
    finally:
        sys.stdin = before
    return Result(int(end.value.code or 0), *(each.getvalue().decode() for each in held))


def registered(folder: Path) -> Path:
    """Put what an installation of torchlint says of itself into an empty folder for `sys.path`: its plugins, for one."""
    entry_points = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
    about = folder / "torchlint-0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: torchlint\nVersion: 0\n", "utf-8")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in entries.items())
        for group, entries in entry_points.items()
    ]
    (about / "entry_points.txt").write_text("\n".join(groups), "utf-8")
    return folder


@pytest.fixture
def flake8(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Flake8:
    """Run flake8 in the folder, with the plugin registered as an installation of torchlint registers it."""
    installed = registered(tmp_path_factory.mktemp("installed"))

    def run(
        *arguments: str, stdin: bytes = b"", python: str = "", folder: Path = tmp_path, path: Path | None = None
    ) -> Result:
        program = ["-c", python] if python else ["-m", "flake8", "--max-line-length=999"]
        places = [str(each) for each in (path, installed, ROOT) if each is not None]
        done = subprocess.run(
            [sys.executable, *program, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(places), "TMPDIR": str(path or installed)},
            input=stdin,
            capture_output=True,
            timeout=300,  # a machine may be busy
            check=False,
        )
        result = Result(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in result.err + result.out, result.err
        return result

    return run
