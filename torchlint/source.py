"""Source text and where its lines come from: files, notebooks' cells, standard input."""

from __future__ import annotations

import msgspec


class Cell(msgspec.Struct, frozen=True):
    """A notebook's code cell: its number among the code cells from 1, its first line in `Source.text` (from 1), its line count."""

    number: int
    first_line: int
    lines: int


class Source(msgspec.Struct, frozen=True):
    """Python text to analyse. For a notebook, `text` is the code cells one after the other and `cells` maps lines back."""

    path: str
    text: str
    cells: tuple[Cell, ...] = ()


class SourceError(Exception):
    """A file that cannot be turned into Python text; `message` is for people, `line` and `column` count from 1 where known."""

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
