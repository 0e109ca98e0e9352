"""The byte search that spares most files costs no finding: the same are found where every file is analysed.

On a small project always; on real ones in folders that the variable TORCHLINT_FOLDERS names (that takes minutes).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from torchlint import engine, sieve
from torchlint.config import Settings

FOLDERS = [folder for folder in os.environ.get("TORCHLINT_FOLDERS", "").split(os.pathsep) if folder]
PROJECTS = [
    each.path
    for folder in FOLDERS
    for each in sorted(os.scandir(folder), key=lambda entry: entry.name)
    if each.is_dir()
]

MODEL = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        return torch.sigmoid(self.head(x))
"""
USE = """\
from criteria import {name}
from model import Net


def step(x, y):
    return {call}(Net()(x), y)
"""
HANDED_ON = {
    "an object": ("from torch import nn\n\nmeasure = nn.BCEWithLogitsLoss()\n", "measure"),
    "a class of one's own": (
        "from torch import nn\n\n\nclass Measure(nn.BCEWithLogitsLoss):\n    pass\n",
        "Measure()",
    ),
    "a maker": ("from torch import nn\n\n\ndef build():\n    return nn.BCEWithLogitsLoss()\n", "build()"),
    "a table": ("from torch import nn\n\nTABLE = {'bce': (nn.BCEWithLogitsLoss, 1.0)}\n", "TABLE['bce'][0]()"),
    "an attribute": ("from torch import nn\n\n\nclass Kit:\n    measure = nn.BCEWithLogitsLoss()\n", "Kit.measure"),
    "a function": ("import torch.nn.functional as F\n\nmeasure = F.binary_cross_entropy_with_logits\n", "measure"),
    "a new name": ("from torch.nn.functional import binary_cross_entropy_with_logits as measure\n", "measure"),
    "a part": (
        "import functools\nfrom torch import nn\n\nmeasure = functools.partial(nn.BCEWithLogitsLoss, reduction='sum')\n",
        "measure()",
    ),
    "what another file holds": ("from base import held as measure\n", "measure"),
}
"""How a file hands on a loss, and how it is called elsewhere."""

Shown = set[tuple[str, str, int, int, str]]


def found(folder: str) -> Shown:
    report = engine.check([folder], Settings(confidence="likely"))
    assert not report.incomplete
    return {
        (each.code, os.path.relpath(each.place.path, folder), each.place.line, each.place.column, each.confidence)
        for each in report.diagnostics
    }


def everything(words: frozenset[bytes], methods: object = ()) -> Callable[[bytes], bool]:
    """A search that spares no file."""
    return lambda data: True


def both(folder: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Shown, Shown]:
    sifted = found(folder)
    with monkeypatch.context() as patch:
        patch.setattr(sieve, "searcher", everything)
        return sifted, found(folder)


@pytest.mark.parametrize("how", HANDED_ON)
def test_a_file_that_names_no_loss_is_found_by_what_it_calls(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, call = HANDED_ON[how]
    files = {
        "base.py": "from torch import nn\n\nheld = nn.BCEWithLogitsLoss()\n",
        "criteria.py": text,
        "model.py": MODEL,
        "use.py": USE.format(name=re.split(r"\W", call)[0], call=call),
        "other.py": "import os\n\nprint(os.name)\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content, "utf-8")
    sifted, whole = both(str(tmp_path), monkeypatch)
    assert [each[:2] for each in whole] == [("TLN101", "use.py")]
    assert sifted == whole


@pytest.mark.slow
@pytest.mark.skipif(not PROJECTS, reason="TORCHLINT_FOLDERS names no folder of projects")
@pytest.mark.parametrize("project", PROJECTS, ids=os.path.basename)
def test_nothing_is_lost_in_real_projects(project: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sifted, whole = both(project, monkeypatch)
    assert sorted(sifted - whole) == sorted(whole - sifted) == []
