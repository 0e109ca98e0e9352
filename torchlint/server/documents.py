"""What a client has open: texts and notebooks as they are edited, and where what was found in them lies by now.

While a text is no Python, what counts is the last one that was: all that was found in it moves with the edits since.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from torchlint.diagnostics import Diagnostic, Place, Step
from torchlint.server.texts import Change, Encoding, Position, Text, difference, moved
from torchlint.source import encoding_of


class Document:
    """A text that a client edits. `good` is the last text that is known to be Python, `changes` what was done to it since."""

    def __init__(self, uri: str, text: str, version: int | None, language: str = "python") -> None:
        self.uri = uri
        self.language = language
        self.version = version
        self.now = Text.of(text)
        self.good: Text | None = None
        self.changes: list[Change] = []

    def edit(self, start: Position | None, end: Position | None, content: str, encoding: Encoding) -> None:
        """Replace what lies between two positions; without them, all of the text."""
        old = self.now.text
        if start is None or end is None:
            change = difference(old, content)
            new = content
        else:
            first, last = sorted((self.now.offset(start, encoding), self.now.offset(end, encoding)))
            change = Change(first, last, len(content))
            new = old[:first] + content + old[last:]
        self.now = Text.of(new)
        self.changes.append(change)

    def took(self, good: str, changes: int) -> Sequence[Change]:
        """What was read after so many changes is Python. The changes that it came with are given back and forgotten."""
        past, self.changes = self.changes[:changes], self.changes[changes:]
        self.good = Text.of(good)
        return past

    def span(self, place: Place) -> tuple[int, int] | None:
        """The offsets in the present text of a place in the good one; None if it is gone."""
        good = self.good or self.now
        found = moved(good.at(place.line, place.column), good.at(place.end_line, place.end_column), self.changes)
        return None if found is None or found[1] > len(self.now.text) else found

    @property
    def is_good(self) -> bool:
        """Whether the present text is the one that was last read as Python."""
        return self.good is not None and self.good.text == self.now.text


class Opened:
    """An open file: a text, or a notebook with a text for each code cell.
    `quick` is what the last quick look found, `found` what is known of the whole project; both point into the good texts.
    """

    def __init__(self, path: str, uri: str, parts: list[Document], *, notebook: bool = False) -> None:
        self.path = path
        self.uri = uri
        self.parts = parts
        self.notebook = notebook
        self.quick: tuple[Diagnostic, ...] = ()
        self.found: tuple[Diagnostic, ...] = ()

    def part(self, place: Place) -> Document | None:
        """The text that a place is in."""
        number = place.cell or 1
        return self.parts[number - 1] if number <= len(self.parts) else None

    def snapshot(self) -> Snapshot:
        """The texts as they are now, for a run beside further edits."""
        return Snapshot(
            self.path,
            self.notebook,
            tuple(
                Part(each.now.text, None if each.good is None else each.good.text, len(each.changes), each.language)
                for each in self.parts
            ),
        )


class Part(NamedTuple):
    """A text at the time of a snapshot, the last one that was Python, and the number of changes between them."""

    text: str
    good: str | None
    changes: int
    language: str = "python"


class Snapshot(NamedTuple):
    """An open file as it was when a run began."""

    path: str
    notebook: bool
    parts: tuple[Part, ...]

    def content(self, texts: Sequence[str]) -> bytes:
        """The bytes that a file with these texts would have."""
        if not self.notebook:
            return encoded(texts[0])
        cells = [_cell(text, part.language) for text, part in zip(texts, self.parts, strict=True)]
        return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def _cell(text: str, language: str) -> dict[str, Any]:
    metadata = {} if language == "python" else {"vscode": {"languageId": language}}
    return {"cell_type": "code", "metadata": metadata, "outputs": [], "source": text}


def encoded(text: str) -> bytes:
    """A text as it would be saved: in the encoding that it declares, if that can hold it."""
    plain = text.encode("utf-8", "replace")
    _, name = encoding_of(plain)
    try:
        return plain if name == "utf-8" else text.encode(name)
    except (LookupError, UnicodeError, ValueError):
        return plain


class Rebase(NamedTuple):
    """A later text in place of the one that diagnostics point into. `cell` is a notebook's."""

    path: str
    cell: int | None
    before: Text
    after: Text
    changes: Sequence[Change]

    def place(self, at: Place) -> Place | None:
        """Where a place is in the later text; None if it is gone."""
        if (at.path, at.cell) != (self.path, self.cell):
            return at
        start, end = self.before.at(at.line, at.column), self.before.at(at.end_line, at.end_column)
        span = moved(start, end, self.changes)
        return None if span is None else at_offsets(at, self.after, span)


def rebased(diagnostic: Diagnostic, rebase: Rebase) -> Diagnostic | None:
    """A diagnostic that points into the later text; None if what it flagged is gone."""
    place = rebase.place

    at = place(diagnostic.place)
    if at is None:
        return None
    steps = tuple(Step(moved_to, step.note) for step in diagnostic.trail if (moved_to := place(step.place)) is not None)
    return diagnostic._replace(place=at, trail=steps, fixes=())


def at_offsets(place: Place, text: Text, span: tuple[int, int]) -> Place:
    """A place with the lines and columns of these offsets."""
    (line, column), (end_line, end_column) = text.place(span[0]), text.place(span[1])
    return place._replace(line=line, column=column, end_line=end_line, end_column=end_column)
