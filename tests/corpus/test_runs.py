"""What is found depends on the code alone: not on the order of the files; and the byte search passes over no finding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tests.corpus.test_idioms import PAGES
from torchlint import sieve, testing
from torchlint.config import Settings
from torchlint.diagnostics import Diagnostic
from torchlint.engine import check_texts

LIKELY = Settings(confidence="likely")


def projects(page: testing.Page) -> Iterator[tuple[str, dict[str, str]]]:
    """Each case of a page as the files of a project, and all those of one file together."""
    together: dict[str, str] = {}
    for case in page.cases:
        files = {block.path: block.text for block in case.blocks if block.path}
        if files:
            yield case.title, files
        else:
            together |= {f"m{len(together) + index}.py": block.text for index, block in enumerate(case.blocks)}
    yield "all of one file", together


def told(files: dict[str, str]) -> tuple[Diagnostic, ...]:
    return check_texts(files, LIKELY).diagnostics


@pytest.mark.parametrize("page", PAGES, ids=lambda page: Path(page.path).stem)
def test_the_order_of_the_files_changes_nothing(page: testing.Page) -> None:
    for title, files in projects(page):
        assert told(files) == told(dict(reversed(files.items()))), title


@pytest.mark.parametrize("page", PAGES, ids=lambda page: Path(page.path).stem)
def test_the_byte_search_misses_nothing(page: testing.Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """All files are analysed then, also those that neither mention a loss nor are imported by one that does."""
    found = {title: told(files) for title, files in projects(page)}

    def everything(words: frozenset[bytes], methods: Iterable[str] = ()) -> Callable[[bytes], bool]:
        return lambda data: True

    monkeypatch.setattr(sieve, "searcher", everything)
    for title, files in projects(page):
        assert set(told(files)) <= set(found[title]), title
