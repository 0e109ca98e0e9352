"""From text to IR: by the running Python's own parser, and by LibCST what that does not know.

Python's parser is ten times as fast. LibCST reads newer grammar than the running Python has, and its trees keep every
character, which spans and fixes need: the two lowerings give the same IR with the same numbers, so that what was found in
one is placed by the other.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from torchlint.analysis import ir
from torchlint.analysis.nesting import too_deep

MAX_DEPTH = 120
"""Expressions and blocks nested deeper than this are opaque: no code written by hand comes near it."""


class ParseFailure(Exception):
    """Text that is not Python 3; line and column count from 1 where the parser knows them."""

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


@contextmanager
def collector_off() -> Iterator[None]:
    """Switch the garbage collector off: a parse makes many objects and no garbage, so collecting costs 40% for nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def lower(text: str, path: str) -> ir.Module:
    """Parse and lower a file. Raises ParseFailure for text that is not Python 3, or nested too deeply to be parsed."""
    from torchlint.analysis import lower_ast  # noqa: PLC0415  # imports this module's errors

    refuse_deep(text)
    with collector_off():
        tree = lower_ast.parse(text)
        if tree is not None:
            return lower_ast.Lowering().module(tree, path)
    from torchlint.analysis import lower_cst  # noqa: PLC0415  # imports LibCST, which takes longer than most runs

    return lower_cst.Lowering().module(lower_cst.parse(text), path)


def refuse_deep(text: str) -> None:
    """Raise ParseFailure for text that would overflow the stack of a native parser."""
    deep = too_deep(text)
    if deep is not None:
        raise ParseFailure(f"{deep.what} nested too deeply to be parsed", deep.line, 1)


CONSTANT_NAMES: dict[str, bool | None] = {"True": True, "False": False, "None": None}

ORDER = ("<", "<=", ">", ">=")
ORDER_METHODS = frozenset(("gt", "ge", "lt", "le", "greater", "greater_equal", "less", "less_equal", "round"))


def is_fraction(node: ir.Expr) -> bool:
    """Whether an expression is a number between 0 and 1."""
    return isinstance(node, ir.Constant) and isinstance(node.value, float) and 0 < node.value < 1


def is_ordered(func: ir.Expr, arguments: tuple[ir.Argument, ...]) -> bool:
    """Whether a call compares something in order, or is told with which threshold it is to do so."""
    if isinstance(func, ir.Attribute) and func.name in ORDER_METHODS:
        return True
    return any(argument.keyword == "threshold" for argument in arguments)


def is_threshold(node: ir.Expr, fractions: frozenset[str]) -> bool:
    """Whether an operand is a number between 0 and 1, a parameter with such a default, or called a threshold."""
    if isinstance(node, (ir.Name, ir.Attribute)):
        return node.name in fractions or "thr" in node.name.lower()
    return is_fraction(node)
