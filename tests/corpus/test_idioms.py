"""Programs as people write them: each page here is a list of idioms, bugs and look-alikes, linted and never executed."""

from __future__ import annotations

from pathlib import Path

import pytest

from torchlint import testing
from torchlint.config import Settings
from torchlint.engine import check_texts
from torchlint.testing import Case, Page

PAGES: list[Page] = [testing.read_page(path) for path in sorted(Path(__file__).parent.glob("*.md"))]
CASES = [
    pytest.param(page, case, id=f"{Path(page.path).stem}-{case.title.replace(' ', '_')}")
    for page in PAGES
    for case in page.cases
]


@pytest.mark.parametrize(("page", "case"), CASES)
def test_findings(page: Page, case: Case) -> None:
    """What is marked is found, and nothing else."""
    assert not (message := testing.lint_case(case, page.path)), message


@pytest.mark.parametrize("page", PAGES, ids=lambda page: Path(page.path).stem)
def test_coverage_changes_no_finding(page: Page) -> None:
    """Taking note of what is seen is no part of seeing it; and every finding on a loss call is on one that was seen."""
    for case in page.cases:
        files = {block.path or f"block{index}.py": block.text for index, block in enumerate(case.blocks)}
        likely = Settings(confidence="likely")
        plain, covered = check_texts(files, likely), check_texts(files, likely, coverage=True)
        assert covered.diagnostics == plain.diagnostics, case.title
        assert covered.coverage is not None
        seen = {each.place for each in covered.coverage.seen}
        assert {each.place for each in plain.diagnostics if each.code.startswith("TLN1")} <= seen, case.title
