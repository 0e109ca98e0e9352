"""Fixtures: a folder of files, and the command line run on it in a process of its own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
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


class Result(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]
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
        timeout=120,
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
