"""What the analysis hands to the engine: findings by node number, before positions are known.

Positions cost more than the whole analysis of a file, so a node is only a number here: the order in which
`analysis.lower` met it. `analysis.positions.locate` turns the numbers of a file with findings into spans.
"""

from __future__ import annotations

import msgspec

from torchlint.diagnostics import Confidence


class NodeRef(msgspec.Struct, frozen=True):
    """An expression or statement: the path of its file as the run knows it, and its number in that file."""

    path: str
    node: int


class StepRef(msgspec.Struct, frozen=True):
    """A step of a trail before its position is known."""

    at: NodeRef
    note: str


class Finding(msgspec.Struct, frozen=True):
    """A rule that fired at a node. `values` fill the {placeholders} of the rule's message."""

    code: str
    at: NodeRef
    values: dict[str, str]
    trail: tuple[StepRef, ...]
    confidence: Confidence
