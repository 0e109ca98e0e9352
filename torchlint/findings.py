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


class Applied(msgspec.Struct, frozen=True):
    """An expression that applies an activation: its full name (`.sigmoid()` for a method), where a layer of it was made."""

    at: NodeRef
    name: str
    layer: NodeRef | None = None


class Use(msgspec.Struct, frozen=True):
    """A loss call that a value flows into, and where the loss object was made, None for a function."""

    call: NodeRef
    made: NodeRef | None = None


class Plan(msgspec.Struct, frozen=True, tag=True):
    """What would repair a finding. Whether the code allows it, and what else it would change, `repair` finds out."""


class Drop(Plan, frozen=True):
    """Leave an activation out, since the loss applies it itself."""

    applied: Applied
    use: Use


class Replace(Plan, frozen=True):
    """Apply another activation of the same form: `function` in place of a function or method, `layer` of a layer."""

    applied: Applied
    use: Use
    function: str
    layer: str


class OtherLoss(Plan, frozen=True):
    """Use another loss that takes the same arguments: `old` and `new` are names without their modules."""

    at: NodeRef
    old: str
    new: str


class Fuse(Plan, frozen=True):
    """Leave an activation out and use the loss that applies it itself."""

    drop: Drop
    loss: OtherLoss


class SqueezeDim(Plan, frozen=True):
    """Say which dimension a `squeeze()` takes away. `exact`: for every batch of more than one it does what it did."""

    at: NodeRef
    dim: int
    exact: bool


class SqueezeArgument(Plan, frozen=True):
    """Take the last dimension, of size 1, off an argument of a loss call: the one called so, or at this position."""

    call: NodeRef
    names: tuple[str, ...]
    position: int
    exact: bool


class SetOption(Plan, frozen=True):
    """Give a call this keyword argument, in place of the one it has."""

    at: NodeRef
    name: str
    value: str


class CallResult(Plan, frozen=True):
    """The tensors that a loss's constructor is given belong into a call of what it makes."""

    at: NodeRef
    tensors: int


AnyPlan = Drop | Replace | OtherLoss | Fuse | SqueezeDim | SqueezeArgument | SetOption | CallResult


class Finding(msgspec.Struct, frozen=True):
    """A rule that fired at a node. `values` fill the {placeholders} of the rule's message.

    `alike` says that every way to this node that was followed shows the same finding and the same plan.
    """

    code: str
    at: NodeRef
    values: dict[str, str]
    trail: tuple[StepRef, ...]
    confidence: Confidence
    plan: AnyPlan | None = None
    alike: bool = True


def doubtful(finding: Finding, reason: StepRef) -> Finding:
    """A finding that is likely, no more, with what it depends on as the last step of its story."""
    if finding.confidence == "likely":
        return finding
    return msgspec.structs.replace(finding, confidence="likely", trail=(*finding.trail, reason), plan=None)
