"""Fixtures: a folder of files, and the command line run on it in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

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
def torchlint(tmp_path: Path) -> Run:
    """Run `torchlint` in the folder; never may it end in a traceback."""

    def run(*arguments: str, stdin: bytes = b"", **variables: str) -> Result:
        environment = {key: value for key, value in os.environ.items() if key not in ("FORCE_COLOR", "NO_COLOR")}
        environment |= {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **variables}
        done = subprocess.run(
            [sys.executable, "-m", "torchlint", *arguments],
            cwd=tmp_path,
            env=environment,
            input=stdin,
            capture_output=True,
            timeout=120,
            check=False,
        )
        result = Result(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
        assert "Traceback" not in result.err + result.out, result.err
        return result

    return run
