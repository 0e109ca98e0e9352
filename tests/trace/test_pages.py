"""The rulebook's own examples, traced: nothing right is flagged, and of what is wrong a trace finds most."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.trace.test_twins import run
from torchlint import data, testing
from torchlint.testing import Block, Case

PAGES = sorted(Path(data.rules_folder()).glob("TLN[1-5]*.md"))
SEEN = (
    "TLN101 TLN102 TLN103 TLN104 TLN105 TLN106 TLN202 TLN203 TLN204 TLN205 TLN206 TLN207 TLN301 TLN302 TLN402".split()
)
SAME = {"TLN202": "TLN203"}
"""A side that was squeezed: the trace may only see that the shapes differ."""

pytestmark = pytest.mark.filterwarnings("ignore")


def blocks(page: Path, *, right: bool) -> Iterator[tuple[Case, Block]]:
    """The blocks of a page's cases that are whole scripts: right ones, or those with marks."""
    for case in testing.read_page(page).cases:
        if any(block.path or block.language == "toml" for block in case.blocks) or testing.needs(case):
            continue
        for block in case.blocks:
            repaired = block.flag.startswith("fixed")
            if block.language == "py" and (repaired or not block.flag) and right is (repaired or case.kind == "Good"):
                yield case, block


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_right_examples_are_not_flagged(page: Path, tmp_path: Path) -> None:
    for _, block in blocks(page, right=True):
        result = run(block.text, tmp_path)
        wrong = [told for site in result.sites for told in site.verdicts]
        assert not wrong, f"{page}:{block.line}: {wrong}"


def test_most_wrong_examples_are_flagged(tmp_path: Path) -> None:
    torch.manual_seed(0)  # some examples draw their numbers, and what a trace sees of them changes with these
    wanted = found = 0
    for page in PAGES:
        for case, block in blocks(page, right=False):
            marks = set(re.findall(r"# error: \[(TLN\d{3})\]", block.text)) & set(SEEN)
            if case.kind != "Bad" or not marks:
                continue
            result = run(block.text, tmp_path)
            codes = {told.code for site in result.sites for told in site.verdicts}
            wanted += len(marks)
            found += sum(mark in codes or SAME.get(mark, "") in codes for mark in marks)
    assert found >= 0.9 * wanted > 50, f"{found} of {wanted}"
