"""Turn node numbers into spans; used only for files with findings."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection
from typing import NamedTuple

from torchlint.analysis import lower_ast
from torchlint.analysis.lower import collector_off, refuse_deep


class Span(NamedTuple):
    """A span of `Source.text`: lines and columns from 1, in code points, the end behind the last character."""

    line: int
    column: int
    end_line: int
    end_column: int


def locate(text: str, numbers: Collection[int]) -> dict[int, Span]:
    """The span of each node number of this text. Raises ParseFailure if it does not parse."""
    refuse_deep(text)
    with collector_off():
        spans = by_python(text, numbers)
    missing = [number for number in numbers if number not in spans]
    if missing:
        from torchlint.analysis.positions import Placed  # noqa: PLC0415  # LibCST: newer grammar, and inside f-strings

        placed = Placed(text)
        spans.update({number: placed.span(number) for number in missing})
    return spans


def by_python(text: str, numbers: Collection[int]) -> dict[int, Span]:
    """The spans that the running Python tells as LibCST would; the others are left out."""
    tree = lower_ast.parse(text)
    if tree is None or "\f" in text:  # a form feed begins the column anew, or does not
        return {}
    walk = lower_ast.Lowering(keep=True)
    walk.module(tree, "")
    lines = _LINE_END.split(text)
    spans: dict[int, Span] = {}
    for number in numbers:
        node = walk.nodes[number]
        if not isinstance(node, _PLACED) or isinstance(node, _OTHERWISE):
            continue
        line, end_line, end_column = node.lineno, node.end_lineno, node.end_col_offset
        if end_line is None or end_column is None:
            continue
        start = _points(lines[line - 1], node.col_offset)
        if isinstance(node, ast.arg):  # without its annotation
            spans[number] = Span(line, start + 1, line, start + 1 + len(node.arg))
        else:
            spans[number] = Span(line, start + 1, end_line, _points(lines[end_line - 1], end_column) + 1)
    return spans


_LINE_END = re.compile(r"\r\n|\r|\n")

_PLACED = (ast.expr, ast.stmt, ast.arg)
_OTHERWISE = (
    *(ast.Tuple, ast.GeneratorExp),  # Python counts their brackets in, LibCST does not
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef),  # with decorators it is the other way round
    *(ast.Slice, ast.BoolOp),  # spaces and brackets at the end differ
)


def _points(line: str, offset: int) -> int:
    """The code points in the first bytes of a line."""
    return offset if line.isascii() else len(line.encode()[:offset].decode())
