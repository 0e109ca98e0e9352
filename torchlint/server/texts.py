"""Texts that are being edited: changes, places that move with them, and the columns that a client counts.

Lines end at LF, CRLF and CR only, as Python and the protocol have it; offsets count code points.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from torchlint.source import line_starts

Encoding = Literal["utf-8", "utf-16", "utf-32"]
"""What a client's columns count: bytes, UTF-16 code units or code points."""


class Position(NamedTuple):
    """A place between two characters as clients tell it: line and column from 0."""

    line: int
    character: int


class Change(NamedTuple):
    """What lay between two offsets was replaced by `length` characters."""

    start: int
    end: int
    length: int


class Text(NamedTuple):
    """A text and where its lines start."""

    text: str
    starts: Sequence[int]

    @staticmethod
    def of(text: str) -> Text:
        """A text with its lines. Behind a last line end there is one more, empty line."""
        starts = line_starts(text)
        return Text(text, starts if len(starts) == 1 or text.endswith(("\n", "\r")) else starts[:-1])

    def at(self, line: int, column: int) -> int:
        """The offset of a line and column as diagnostics tell them: from 1, in code points."""
        return min(self.starts[min(line, len(self.starts)) - 1] + column - 1, len(self.text))

    def place(self, offset: int) -> tuple[int, int]:
        """The line and column, from 1, of an offset."""
        line = self._line(offset)
        return line + 1, offset - self.starts[line] + 1

    def offset(self, position: Position, encoding: Encoding) -> int:
        """The offset that a client means. One behind the end of a line means its end, as the protocol says."""
        if position.line >= len(self.starts):
            return len(self.text)
        line = self.line(position.line)
        end = len(line.rstrip("\r\n"))
        if encoding == "utf-32" or line.isascii():
            return self.starts[position.line] + min(position.character, end)
        units = 0
        for index, character in enumerate(line[:end]):
            if units >= position.character:
                return self.starts[position.line] + index
            units += _width(character, encoding)
        return self.starts[position.line] + end

    def position(self, offset: int, encoding: Encoding) -> Position:
        """An offset as a client tells it."""
        line = self._line(offset)
        before = self.text[self.starts[line] : offset]
        if encoding == "utf-32" or before.isascii():
            return Position(line, len(before))
        return Position(line, sum(_width(character, encoding) for character in before))

    def line(self, number: int) -> str:
        """A line, from 0, with its end."""
        return self.text[self.starts[number] : self.starts[number + 1] if number + 1 < len(self.starts) else None]

    def _line(self, offset: int) -> int:
        return bisect_right(self.starts, offset) - 1


def _width(character: str, encoding: Encoding) -> int:
    if encoding == "utf-16":
        return 2 if ord(character) > 0xFFFF else 1
    return len(character.encode("utf-8", "surrogatepass"))


def difference(old: str, new: str) -> Change:
    """One change that makes the new text of the old one."""
    shorter = min(len(old), len(new))
    start = _common(old, new, shorter)
    back = _common(old[::-1], new[::-1], shorter - start)
    return Change(start, len(old) - back, len(new) - back - start)


def _common(one: str, other: str, most: int) -> int:
    """How many characters the two begin with alike."""
    return next((index for index in range(most) if one[index] != other[index]), most)


def moved(start: int, end: int, changes: Iterable[Change]) -> tuple[int, int] | None:
    """Where a span lies after changes; None if what it spanned was taken away.

    Text put in at an end of the span does not belong to it.
    """
    for change in changes:
        shift = change.length - (change.end - change.start)
        if change.end <= start:
            start += shift
            end += shift
        elif change.start < end:
            inner_end = end + shift if change.end <= end else change.start
            start = start if change.start >= start else change.start + change.length
            end = inner_end
            if end <= start:
                return None
    return start, end
