"""A file as fixes see it, and the edits of its text."""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Callable
from typing import NamedTuple

import libcst as cst

from torchlint.analysis import ir
from torchlint.analysis.positions import Placed
from torchlint.analysis.spans import Span
from torchlint.analysis.usage import Uses
from torchlint.diagnostics import Edit, Place
from torchlint.findings import NodeRef
from torchlint.source import line_starts

ATOMS = (ir.Name, ir.Attribute, ir.Call, ir.Subscript, ir.Constant)


class Code:
    """A file as fixes see it. Offsets are code points of the text."""

    def __init__(self, path: str, placed: Placed) -> None:
        self.path = path
        self.placed = placed
        self.text = placed.text
        self.uses = Uses(placed.module)
        self.starts = line_starts(self.text)

    def node(self, at: NodeRef) -> ir.Node | None:
        """The node of a reference into this file."""
        return self.uses.node.get(at.node)

    def range(self, node: ir.Node) -> tuple[int, int]:
        """The offsets of a node without parentheses of its own."""
        return self._offsets(self.placed.span(node.id))

    def outer_range(self, node: ir.Node) -> tuple[int, int]:
        """The offsets of a node with parentheses of its own."""
        return self._offsets(self.placed.around(node.id))

    def syntax_range(self, node: cst.CSTNode) -> tuple[int, int]:
        """The offsets of a syntax node."""
        return self._offsets(self.placed.of(node))

    def source(self, node: ir.Node) -> str:
        """The text of a node without parentheses of its own."""
        start, end = self.range(node)
        return self.text[start:end]

    def edit(self, start: int, end: int, content: str = "") -> Edit:
        """Text in place of what lies between two offsets."""
        return Edit(Place(self.path, *self._position(start), *self._position(end)), content)

    def _offsets(self, span: Span) -> tuple[int, int]:
        return (
            self.starts[span.line - 1] + span.column - 1,
            self.starts[span.end_line - 1] + span.end_column - 1,
        )

    def _position(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self.starts, offset)
        if line == len(self.starts) and line > 1 and not self.text.endswith(("\n", "\r")):
            line -= 1  # the end of a last line without an end
        return line, offset - self.starts[line - 1] + 1


Open = Callable[[str], Code]
"""Gives the code of a file by its path. Raises for one that cannot be read or parsed."""


class Change(NamedTuple):
    """A repair as far as its rule goes: `local` says that the code proves that nothing else changes."""

    title: str
    edits: list[Edit]
    local: bool


def whole(code: Code, node: ir.Expr) -> str:
    """The text of an expression, in parentheses if it is none without."""
    text = code.source(node)
    return text if stands_alone(text) else f"({text})"


def stands_alone(text: str) -> bool:
    """Whether a text is an expression without parentheses around it."""
    try:
        ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return not text[:1].isspace()


def line_before(code: Code, stmt: ir.Stmt) -> str | None:
    """The line end and the indentation to put behind a statement before this one, which begins its own line."""
    start = code.range(stmt)[0]
    line = bisect_right(code.starts, start)
    indent = code.text[code.starts[line - 1] : start]
    if indent.strip():
        return None
    above = code.text[: code.starts[line - 1]]
    ending = next((each for each in ("\r\n", "\n", "\r") if above.endswith(each)), "\n")
    return ending + indent


def lines(code: Code, start: int, end: int) -> tuple[int, int]:
    """The offsets of the whole lines of a span."""
    after = bisect_right(code.starts, end)
    return code.starts[bisect_right(code.starts, start) - 1], (
        code.starts[after] if after < len(code.starts) else len(code.text)
    )


def loses_comment(code: Code, edits: list[Edit]) -> bool:
    """Whether a comment may lie in what the edits take out."""
    return any("#" in code.text[slice(*_between(code, edit))] for edit in edits)


def _between(code: Code, edit: Edit) -> tuple[int, int]:
    place = edit.place
    return code.starts[place.line - 1] + place.column - 1, code.starts[place.end_line - 1] + place.end_column - 1
