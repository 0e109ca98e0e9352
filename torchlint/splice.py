"""Put edits into a text: places to offsets, and the text with the changes made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torchlint.diagnostics import Edit
from torchlint.source import line_starts


class Refused(Exception):
    """Edits that cannot be put into a file; the message says why."""


class Splice(NamedTuple):
    """Text in place of what lies between two offsets, in code points."""

    start: int
    end: int
    content: str


def splices(text: str, edits: Sequence[Edit]) -> list[Splice]:
    """The edits of a text, or of a cell, as offsets in order. Raises Refused for one that lies outside."""
    starts = line_starts(text)

    def offset(line: int, column: int) -> int:
        if line > len(starts) or (line == len(starts) and column > 1):
            raise Refused("the place is not in the text")
        return starts[line - 1] + column - 1

    return sorted(Splice(offset(*start), offset(*end), edit.content) for edit in edits for start, end in [ends(edit)])


def spliced(text: str, changes: Sequence[Splice]) -> str:
    """The text with the changes made."""
    out: list[str] = []
    at = 0
    for start, end, content in changes:
        out += [text[at:start], content]
        at = end
    return "".join([*out, text[at:]])


def ends(edit: Edit) -> tuple[tuple[int, int], tuple[int, int]]:
    """The line and column of an edit's two ends."""
    place = edit.place
    return (place.line, place.column), (place.end_line, place.end_column)
