"""Every page of the rulebook: its examples are linted and executed, and its numbers are computed by torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from torchlint import testing
from torchlint.rulebook import load, rules_folder
from torchlint.testing import Case, Claim, Page

PAGES: list[Page] = [testing.read_page(Path(rule.path)) for rule in load().values()]
CASES = [
    pytest.param(page, case, id=f"{Path(page.path).stem}-{case.title.replace(' ', '_')}")
    for page in PAGES
    for case in page.cases
]
CLAIMS = [
    pytest.param(claim, id=f"{Path(page.path).stem}-{claim.code.line}") for page in PAGES for claim in page.claims
]
OF_LOSSES = [page for page in PAGES if Path(page.path).stem >= "TLN1"]


@pytest.mark.parametrize(("page", "case"), CASES)
def test_findings(page: Page, case: Case) -> None:
    """What is marked is found, and nothing else."""
    assert not (message := testing.lint_case(case, page.path)), message


@pytest.mark.parametrize(("page", "case"), CASES)
def test_findings_with_coverage(page: Page, case: Case) -> None:
    """To ask what was seen of each loss call changes no finding."""
    assert not (message := testing.lint_case(case, page.path, coverage=True)), message


@pytest.mark.parametrize(("page", "case"), CASES)
def test_fixes(page: Page, case: Case) -> None:
    """Fixes make what the page shows, repair what they are for, bring nothing new, and leave nothing for a second run."""
    assert not (message := testing.fix_case(case, page.path)), message


@pytest.mark.parametrize("page", OF_LOSSES, ids=lambda page: Path(page.path).stem)
def test_a_page_says_how_far_its_fixes_go(page: Page) -> None:
    """The key `fix` is the safest kind of fix that the examples have."""
    kinds = testing.fix_kinds(page)
    best = next((kind for kind in ("safe", "unsafe") if kind in kinds), "none")
    assert load()[Path(page.path).stem].fix == best


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("page", "case"), CASES)
def test_execution(page: Page, case: Case) -> None:
    """Each example runs under torch, through every marked line, and raises what it declares; repaired, it is as corrected."""
    for name in ("torch", *testing.needs(case)):
        pytest.importorskip(name)
    assert not (message := testing.run_case(case, page.path)), message


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("claim", CLAIMS)
def test_damage(claim: Claim) -> None:
    """The damage that a page claims is what torch computes."""
    pytest.importorskip("torch")
    assert not (message := testing.run_claim(claim)), message


@pytest.mark.parametrize("page", PAGES, ids=lambda page: Path(page.path).stem)
def test_numbers_are_proven(page: Page) -> None:
    """Each number with a decimal point in *Why it matters* occurs in an output block."""
    assert testing.unproven_numbers(page) == []


@pytest.mark.parametrize("page", OF_LOSSES, ids=lambda page: Path(page.path).stem)
def test_page_is_complete(page: Page) -> None:
    """A rule about losses shows bad code and its correction, good code, code over files, and measures the damage."""
    text = Path(page.path).read_text("utf-8")
    kinds = [case.kind for case in page.cases]
    assert [kinds.count("Bad") >= 3, kinds.count("Good") >= 3, "Across files" in kinds] == [True] * 3
    assert any(block.flag == "fixed" for case in page.cases for block in case.blocks)
    assert page.claims
    assert page.why.strip()
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings[:3] == ["## What is wrong", "## Why it matters", "## What to do"]


def test_every_page_is_read() -> None:
    """No page is missed because of its name."""
    files = {path.stem for path in rules_folder().glob("*.md")} - {"README"}
    assert set(load()) == files
