"""Turn node numbers into spans; used only for files with findings, since it costs more than their analysis."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from libcst.metadata import MetadataWrapper, PositionProvider

from torchlint.analysis.lower import Lowering, collector_off, parse


class Span(NamedTuple):
    """A span of `Source.text`: lines and columns from 1, in code points, the end behind the last character."""

    line: int
    column: int
    end_line: int
    end_column: int


def locate(text: str, nodes: Collection[int]) -> dict[int, Span]:
    """The span of each node number of this text. Raises ParseFailure if it does not parse."""
    tree = parse(text)
    walk = Lowering(keep=True)
    walk.module(tree, "")
    with collector_off():
        positions = MetadataWrapper(tree, unsafe_skip_copy=True).resolve(PositionProvider)
    spans = {}
    for number in nodes:
        found = positions[walk.nodes[number]]
        start, end = found.start, found.end
        spans[number] = Span(start.line, start.column + 1, end.line, end.column + 1)
    return spans
