"""Programs as people write them: each page here is a list of idioms, bugs and look-alikes, linted and never executed."""

from __future__ import annotations

from pathlib import Path

import pytest

from torchlint import testing
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
