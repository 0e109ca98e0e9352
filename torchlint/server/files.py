"""The open files of a client, and what runs find in them. Nothing here knows the protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torchlint.diagnostics import Diagnostic
from torchlint.server.documents import Document, Opened, Part, Rebase, rebased
from torchlint.server.runs import Outcome, Request
from torchlint.server.texts import Text


class Found(NamedTuple):
    """A diagnostic and the offsets that it flags by now."""

    diagnostic: Diagnostic
    span: tuple[int, int]


class OpenFiles:
    """What is open by path and by URI, and the texts of other files that trails lead through."""

    def __init__(self) -> None:
        self.by_path: dict[str, Opened] = {}
        self.by_uri: dict[str, tuple[Opened, Document]] = {}
        self._texts: dict[str, Text] = {}
        self._late: dict[str, _Late] = {}

    def add(self, opened: Opened) -> None:
        """A file was opened."""
        self.by_path[opened.path] = opened
        self.register(opened)

    def register(self, opened: Opened) -> None:
        """Know the texts of a file by their URIs."""
        self.by_uri.update({part.uri: (opened, part) for part in opened.parts})

    def remove(self, opened: Opened) -> None:
        """A file was closed."""
        if self.by_path.get(opened.path) is opened:
            del self.by_path[opened.path]
            self._late.pop(opened.path, None)

    def renumbered(self, opened: Opened) -> None:
        """Cells of a notebook came, went or moved: what was found in them cannot be told apart until it is looked at again."""
        opened.found = opened.quick = ()
        self._late.pop(opened.path, None)

    def take(self, opened: Sequence[Opened], request: Request, outcome: Outcome, *, whole: bool) -> None:
        """What a run over these files found, which may have been edited or closed since."""
        here = [
            (each, snapshot, outcome.looked[each.path])
            for each, snapshot in zip(opened, request.opened, strict=True)
            if self.by_path.get(each.path) is each and each.path in outcome.looked
        ]
        for each, snapshot, looked in here:
            self._advance(each, snapshot.parts, looked.good)
        for each, _, looked in here:
            if whole:
                self._late[each.path] = _Late.between(each.quick, looked.diagnostics)
            else:
                each.quick = looked.diagnostics
            each.found = self._late.get(each.path, _Late()).added_to(each.quick)
        mentioned = {step.place.path for each in self.by_path.values() for found in each.found for step in found.trail}
        self._texts = {
            path: Text.of(outcome.sources[path].text) if path in outcome.sources else self._texts[path]
            for path in mentioned - self.by_path.keys()
            if path in outcome.sources or path in self._texts
        }

    def _advance(self, opened: Opened, parts: Sequence[Part], good: Sequence[bool]) -> None:
        """Texts of a snapshot that are Python take the place of the good ones before them."""
        for number, (part, taken, is_good) in enumerate(zip(opened.parts, parts, good, strict=False), 1):
            if not is_good:
                continue
            before = part.good
            changes = part.took(taken.text, taken.changes)
            if before is not None and changes and part.good is not None:
                rebase = Rebase(opened.path, number if opened.notebook else None, before, part.good, changes)
                self._late = {path: late.rebased(rebase) for path, late in self._late.items()}

    def shown(self, opened: Opened, part: Document) -> Iterator[Found]:
        """The diagnostics of a text."""
        for diagnostic in opened.found:
            if opened.part(diagnostic.place) is part and (span := part.span(diagnostic.place)) is not None:
                yield Found(diagnostic, span)

    def text(self, path: str) -> Text | None:
        """The text of a file that is not open but that a trail leads through."""
        return self._texts.get(path)


class _Late(NamedTuple):
    """How the look at the whole project differed from the quick one: what it found besides, and what it did not find."""

    extra: tuple[Diagnostic, ...] = ()
    gone: tuple[Diagnostic, ...] = ()

    @staticmethod
    def between(quick: Sequence[Diagnostic], whole: Sequence[Diagnostic]) -> _Late:
        """The difference of two looks at the same texts."""
        return _Late(tuple(each for each in whole if each not in quick), tuple(e for e in quick if e not in whole))

    def added_to(self, quick: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
        """What a quick look found, as the whole project is likely to show it."""
        gone = {(each.code, each.place) for each in self.gone}
        kept = [each for each in quick if (each.code, each.place) not in gone]
        found = {(each.code, each.place) for each in kept}
        kept += [each for each in self.extra if (each.code, each.place) not in found]
        return tuple(sorted(kept, key=lambda each: (each.place.cell or 0, each.place[1:3], each.code)))

    def rebased(self, rebase: Rebase) -> _Late:
        """The same for a later text."""
        return _Late(
            tuple(moved for each in self.extra if (moved := rebased(each, rebase)) is not None),
            tuple(moved for each in self.gone if (moved := rebased(each, rebase)) is not None),
        )
