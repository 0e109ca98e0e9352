"""LibCST's trees with their spans, which fixes are made of: they cost more than the analysis of a file."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from torchlint.analysis.lower import collector_off
from torchlint.analysis.lower_cst import Lowering, parse
from torchlint.analysis.spans import Span


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
