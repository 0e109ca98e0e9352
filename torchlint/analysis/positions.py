"""Turn node numbers into spans; used only for files with findings, since it costs more than their analysis."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from torchlint.analysis.lower import collector_off
from torchlint.analysis.lower_cst import Lowering, parse


class Span(NamedTuple):
    """A span of `Source.text`: lines and columns from 1, in code points, the end behind the last character."""

    line: int
    column: int
    end_line: int
    end_column: int


class Placed:
    """A text, its IR, and the spans of the nodes. Raises ParseFailure if it does not parse."""

    def __init__(self, text: str) -> None:
        self.text = text
        tree = parse(text)
        walk = Lowering(keep=True)
        self.module = walk.module(tree, "")
        self.nodes: list[cst.CSTNode] = walk.nodes
        with collector_off():
            self._positions = MetadataWrapper(tree, unsafe_skip_copy=True).resolve(PositionProvider)

    def span(self, number: int) -> Span:
        """The span of a node without parentheses of its own."""
        return self.of(self.nodes[number])

    def around(self, number: int) -> Span:
        """The span of a node with parentheses of its own."""
        node = self.nodes[number]
        left: Sequence[cst.CSTNode] = getattr(node, "lpar", ())
        right: Sequence[cst.CSTNode] = getattr(node, "rpar", ())
        if not left:
            return self.of(node)
        start, end = self.of(left[0]), self.of(right[-1])
        return Span(start.line, start.column, end.end_line, end.end_column)

    def of(self, node: cst.CSTNode) -> Span:
        """The span of a syntax node."""
        found = self._positions[node]
        start, end = found.start, found.end
        return Span(start.line, start.column + 1, end.line, end.column + 1)


def locate(text: str, nodes: Collection[int]) -> dict[int, Span]:
    """The span of each node number of this text. Raises ParseFailure if it does not parse."""
    placed = Placed(text)
    return {number: placed.span(number) for number in nodes}
