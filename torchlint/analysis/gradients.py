"""Where gradients flow through operations, and where they are cut off."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from torchlint.analysis import shapes, wording
from torchlint.analysis.shapes import Bound
from torchlint.analysis.values import (
    UNKNOWN,
    Cut,
    Shape,
    Tensor,
    Unknown,
    Value,
    alternatives,
    computed,
    is_anything,
    may_learn,
    only_constant,
)
from torchlint.contracts import Kind
from torchlint.findings import NodeRef, StepRef

_NEW_LEAF = ".requires_grad_()"

_OTHERS = ("numpy.", "pandas.")
"""Libraries whose functions no gradient goes through."""

OPERANDS = frozenset(
    """
    attn_mask batch1 batch2 bias end exponent grid input2 key mat mat1 mat2 other source src tensor tensors value vec vec2
    weight x2
    """.split()
)
"""Parameters of operations, besides the first, through which a gradient may flow."""

_ANY_NUMBER = "operands"
"""The parameter that stands for any number of tensors."""

PARAMETER = "nn.Parameter"
"""How users call what a model learns outside its layers."""

LEARNT: frozenset[Kind] = frozenset(
    {"raw", "probability", "simplex", "log_simplex", "log_probability", "bounded", "loss"}
)
"""The kinds of what layers and activations give."""


def attached(bound: Bound, part: Value | None) -> bool:
    """Whether gradients may flow through the result of an operation to what it is made of."""
    op = bound.op
    if bound.name.startswith(_OTHERS):
        return False
    if bound.name == _NEW_LEAF:
        return not bound.rest or shapes.is_true(bound.rest[0])
    wanted = bound.named.get("requires_grad")
    if op.gradient == "own":
        return not _is_false(wanted)
    if op.gradient == "cut":
        return shapes.is_true(wanted)
    if op.layers and not op.functions and not op.methods:
        return True  # it has weights of its own
    if may_learn(bound.input if part is None else part):
        return True
    if op.in_place and any(map(may_learn, bound.rest)):
        return True
    if _ANY_NUMBER in op.params and any(map(may_learn, bound.rest)):
        return True
    if op.shape == "like":
        return False  # of the other one it takes the shape only
    if any(may_learn(value) for name, value in bound.named.items() if name in OPERANDS):
        return True
    return any(map(_learns, (*bound.rest, *bound.named.values())))


def _learns(value: Value) -> bool:
    """Whether a value is certainly what a layer or an activation gives, or a parameter. Computes nothing lazy."""
    return any(
        isinstance(part, Tensor) and part.attached and (part.kind in LEARNT or part.activation == PARAMETER)
        for part in computed(value)
    )


def _is_false(flag: Value | None) -> bool:
    """Whether a flag is certainly not set."""
    constant = only_constant(flag)
    return constant is not None and constant.value is False


def cut_of(bound: Bound, part: Value | None, at: NodeRef) -> Cut | None:
    """Where the gradient of what an operation is applied to was cut off, if it had one: before, or here."""
    if bound.op.gradient == "own" or (bound.op.gradient == "cut" and bound.op.shape in ("like", "full")):
        return None  # of `zeros_like(x)`, x gives no more than its shape
    parts = alternatives(bound.input) if part is None else (part,)
    if len(parts) > 1 and not all(isinstance(each, Tensor) for each in parts):
        return None
    first = parts[0]
    if bound.name == _NEW_LEAF:
        return _cut_of_asking(first, bound.name, at) if isinstance(first, Tensor) else None
    if bound.op.gradient == "keep":
        leaf = first.cut if isinstance(first, Tensor) and first.cut is not None and first.cut.leaf else None
        if leaf is not None and leaf.of is None and bound.op.shape == "reduce":
            return leaf  # the mean of losses that a new tensor was made of
        cut = first.cut if isinstance(first, Tensor) and not attached(bound, part) else None
        return cut if cut is not None else _cut_of_choice(bound)
    cuts = [cut_here(each, bound.name, at) for each in parts]
    return cuts[0] if None not in cuts else None


def asking(part: Tensor, at: NodeRef) -> Tensor:
    """A tensor whose `requires_grad` was set."""
    return msgspec.structs.replace(part, attached=True, cut=_cut_of_asking(part, "requires_grad", at))


def _cut_of_asking(part: Tensor, name: str, at: NodeRef) -> Cut | None:
    """Where the gradient ends of what asks for one: behind a loss that hides that nothing learns; anywhere else the gradient
    is wanted at this place, and goes on by hand.
    """
    return new_leaf(part.cut, name, at) if part.kind == "loss" and not part.attached else None


def _cut_of_choice(bound: Bound) -> Cut | None:
    """Where the gradient of what chooses between two values was cut off, if nothing learns through the values themselves."""
    choice, values = bound.named.get("condition"), [bound.named.get(name) for name in ("input", "other")]
    if choice is None or any(value is None or may_learn(value) for value in values):
        return None
    cuts = [part.cut if isinstance(part, Tensor) and not part.attached else None for part in alternatives(choice)]
    return cuts[0] if None not in cuts else None


def new_leaf(known: Cut | None, name: str, at: NodeRef) -> Cut:
    """Where the gradient ends of what a new leaf is made of: here, if it was not known to end before."""
    if known is not None:
        return Cut(known.step, known.of, leaf=True)
    return Cut(StepRef(at, f"`{wording.spelled(name)}` begins anew, with no way to the model"), UNKNOWN, leaf=True)


def cut_here(part: Value, name: str, at: NodeRef) -> Cut | None:
    """Where the gradient of a value was cut off if it is cut off here, too."""
    step = StepRef(at, f"`{wording.spelled(name)}` cuts off the gradient")
    if isinstance(part, Tensor):
        if not part.attached or part.cut is not None:
            return part.cut
        if part.kind in LEARNT:
            return Cut(step)
        return Cut(step, part if part.origin is None else part.origin) if part.kind == "unknown" else None
    if not isinstance(part, Unknown) or is_anything(part) or part.source == "batch":
        return None
    return Cut(step, part)


def is_weighed(op: str, a: Value, b: Value) -> bool:
    """Whether one of two factors is a measure that nothing learns from, and the other its weight from a setting."""
    measured = [
        part
        for part in (a, b)
        if isinstance(part, Tensor) and part.cut is not None and not part.attached and part.shape == Shape(())
    ]
    return op in "*/" and len(measured) == 1 and any(isinstance(part, Unknown) for part in (a, b))


def cut_of_pair(op: str, kind: Kind, tensors: Sequence[Tensor], attached: bool) -> Cut | None:
    """Where a gradient was cut off: of all that `a op b` is made of, or of one term of a sum of losses."""
    if attached and not (op in "+-" and kind == "loss"):
        return None
    terms = [part.cut for part in tensors if part.cut and (not part.attached or part.kind == "loss" or part.cut.leaf)]
    return Cut(terms[0].step, terms[0].of) if terms else None
