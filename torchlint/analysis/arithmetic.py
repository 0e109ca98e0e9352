"""What `+ - * / ** @` do to kinds and shapes, to numbers and to tensors."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from torchlint.analysis import gradients, shapes, wording
from torchlint.analysis.values import (
    UNKNOWN,
    Const,
    Guard,
    Shape,
    Tensor,
    Trail,
    Unknown,
    Value,
    alternatives,
    cause_of,
    conflicts,
    either,
    guarded,
    is_batch,
    kind_of,
    may_learn,
    only_constant,
    sample_of,
    union,
)
from torchlint.contracts import Kind
from torchlint.findings import NodeRef, StepRef

UNIT: frozenset[Kind] = frozenset({"probability", "simplex", "one_hot", "class_index"})

FRACTIONS: frozenset[Kind] = frozenset({"probability", "simplex", "one_hot"})

_SMALL = 1e-2
"""A constant added this side of zero is there against log(0), not to change the kind."""

_BIG = 1e6

_BIG_POWER = 64

_ARITHMETIC: dict[str, Callable[[float, float], object]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "**": lambda a, b: a**b,
}


def number_in(value: Value | None) -> float | None:
    """The number that a value is, if the code fixes it."""
    constant = only_constant(value)
    number = None if constant is None else constant.value
    return float(number) if isinstance(number, (int, float)) and not isinstance(number, bool) else None


def fold(op: str, a: object, b: object) -> Value:
    """The value of an operator on two constants."""
    if isinstance(a, str) and isinstance(b, str) and op == "+":
        return Const(a + b)
    if not isinstance(a, (int, float)) or not isinstance(b, (int, float)):
        return UNKNOWN
    try:
        if op == "**" and (abs(a) > _BIG or abs(b) > _BIG_POWER):
            return UNKNOWN
        result = _ARITHMETIC[op](a, b) if op in _ARITHMETIC else None
    except (ArithmeticError, ValueError):
        return UNKNOWN
    return Const(result) if isinstance(result, (int, float)) else UNKNOWN


def combine(op: str, left: Value, right: Value, at: NodeRef, own: bool = False) -> Value:
    """The value of an operator for every two possibilities that can hold together; with `own`, the right one holds the
    sums of the left one."""
    lefts, rights = alternatives(left), alternatives(right)
    if not any(isinstance(part, Tensor) for part in (*lefts, *rights)):
        known = [part for part in (*lefts, *rights) if isinstance(part, Unknown) and is_batch(part)]
        if len(lefts) == len(rights) == 1 and isinstance(lefts[0], Const) and isinstance(rights[0], Const):
            return fold(op, lefts[0].value, rights[0].value)
        return Tensor(batched=True, sample=sample_of(*known), cause=cause_of(known[0])) if known else UNKNOWN
    shape = shapes.broadcast(shapes.likely_shape(left), shapes.likely_shape(right))
    shape = shapes.computed_with_column(left, right) if shape is None else shape
    ones, others = guarded(left), guarded(right)
    if op in "+-":
        ones, others = _terms(ones), _terms(others)
    pairs = [
        (_pair(op, a, b, shape, at, own), (*under_a, *under_b))
        for a, under_a in ones
        for b, under_b in others
        if not conflicts(under_a, dict(under_b))
    ]
    return either((value, frozenset(guard)) for value, guard in pairs)


def _terms(parts: tuple[tuple[Value, Guard], ...]) -> tuple[tuple[Value, Guard], ...]:
    """The possibilities of a term: where it may be the number 0, what it is otherwise counts."""
    kept = tuple(each for each in parts if number_in(each[0]) != 0)
    return kept if any(isinstance(part, Tensor) for part, _ in kept) else parts


def _pair(op: str, a: Value, b: Value, shape: Shape | None, at: NodeRef, own: bool) -> Value:
    total = b.sum_of if op == "/" and isinstance(b, Tensor) else None
    if total is not None and isinstance(a, Tensor) and (own or total.tensor is a) and a.kind in _NOT_NEGATIVE:
        return _share(a, total.dim, at)
    kind, main = _operator_kind(op, a, b)
    source = main if isinstance(main, Tensor) else (a if isinstance(a, Tensor) else b)
    if not isinstance(source, Tensor):
        return Const(0) if op == "*" and 0 in (number_in(a), number_in(b)) else UNKNOWN
    trail = source.trail
    if kind not in (source.kind, "unknown"):
        trail = Trail(StepRef(at, f"`{op}` gives {wording.KIND_WORDS[kind]}"), trail)
    attached = (may_learn(a) or may_learn(b)) and not gradients.is_weighed(op, a, b)
    tensors = [part for part in (a, b) if isinstance(part, Tensor)]
    shaped = [part for part in tensors if not _is_any_data(part)]
    shaping = shaped[0] if len(shaped) == 1 else Tensor()
    whole = op != "/" and all(
        (isinstance(p, Const) and isinstance(p.value, int)) or (isinstance(p, Tensor) and p.dtype == "int")
        for p in (a, b)
    )
    return Tensor(
        kind=kind,
        activation=source.activation,
        shape=shape,
        dtype="int" if whole else "float" if source.dtype == "float" else "unknown",
        attached=attached,
        cut=gradients.cut_of_pair(op, kind, tensors, attached),
        batched=is_batch(a) or is_batch(b),
        many=any(part.many for part in tensors),
        sample=sample_of(a, b),
        squeezed=shaping.squeezed,
        flattened=shaping.flattened,
        unsqueezed=shaping.unsqueezed,
        one_each=shaping.one_each,
        regrouped=shaping.regrouped,
        trail=trail,
        cause=(cause_of(a) or cause_of(b)) if kind == "unknown" else None,
        loss=source.loss if isinstance(a, Const) or isinstance(b, Const) else None,
        per_sample=next((part.per_sample for part in tensors if part.per_sample is not None), None),
        sum_of=source.sum_of if op == "+" and kind == source.kind and len(tensors) == 1 else None,
        holder=source.holder if all(part.holder != "torch" for part in tensors) else "torch",
        negated=source.negated is not _turns_sign(op, a, b),
    )


def _is_any_data(part: Tensor) -> bool:
    """Whether a tensor is made of data of which no more is known than of data in no tensor."""
    return part.kind == "unknown" and part.shape is None and not part.attached and part.squeezed is None


_NOT_NEGATIVE: frozenset[Kind] = UNIT | {"nonnegative"}


def _share(part: Tensor, dim: int, at: NodeRef) -> Tensor:
    """What of its sum along a dimension each entry is: a distribution, as by a softmax that is written by hand."""
    name = "a division by its own sum"
    return msgspec.structs.replace(
        part,
        kind="simplex",
        activation=name,
        dim=dim,
        dtype="float",
        applied=None,
        origin=None,
        sum_of=None,
        trail=Trail(StepRef(at, f"{name} gives {wording.KIND_WORDS['simplex']}"), part.trail),
    )


def _turns_sign(op: str, a: Value, b: Value) -> bool:
    """Whether `a op b` has the opposite sign of the one that is no number."""
    if op == "-":
        return number_in(a) == 0
    return op in "*/" and any(number is not None and number < 0 for number in (number_in(a), number_in(b)))


def _operator_kind(op: str, a: Value, b: Value) -> tuple[Kind, Value]:
    """The kind of `a op b`, and which of the two it comes from. Unknown unless it is sure."""
    number_a, number_b = number_in(a), number_in(b)
    if number_b is not None:
        return _with_number(op, kind_of(a), number_b), a
    if number_a is not None:
        return _number_with(op, number_a, kind_of(b)), b
    kind_a, kind_b = kind_of(a), kind_of(b)
    if "loss" in (kind_a, kind_b) and op in "+-*/":
        return "loss", a if kind_a == "loss" else b
    if op in "+-*/" and kind_a == "raw" and _is_learned(b):
        return "raw", a
    if op in "+-*" and kind_b == "raw" and _is_learned(a):
        return "raw", b
    return _of_tensors(op, kind_a, kind_b), a


def _is_learned(part: Value) -> bool:
    """Whether a value is a parameter of a model, which may become any number: scores that it scales or shifts stay scores."""
    return isinstance(part, Tensor) and part.kind == "unknown" and part.activation == gradients.PARAMETER


def _with_number(op: str, kind: Kind, number: float) -> Kind:
    if kind == "loss" and op in "+-*/":
        return "loss"
    if op in "+-" and abs(number) <= _SMALL and kind in (*FRACTIONS, "raw", "nonnegative", "loss"):
        return kind
    if op in "+-" and kind == "raw":
        return "raw"
    if op == "+" and number > 0 and kind in (*FRACTIONS, "nonnegative"):
        return "nonnegative"
    if op in "*/" and number != 0:
        if kind in ("raw", "loss"):
            return kind
        factor = number if op == "*" else 1 / number
        if kind in UNIT and factor == 1:
            return kind
        if kind in UNIT and 0 < factor < 1:
            return "probability"
        if kind in (*UNIT, "nonnegative") and factor > 0:
            return "nonnegative"
    if op == "**":
        if kind in FRACTIONS and number >= 0:
            return "probability"
        if number % 2 == 0:
            return "nonnegative"
    return "unknown"


def _number_with(op: str, number: float, kind: Kind) -> Kind:
    if op == "-" and number == 1 and kind in UNIT:
        return "class_index" if kind == "class_index" else "probability"
    if op in ("+", "*"):
        return _with_number(op, kind, number)
    if op == "/" and number > 0 and kind in _NOT_NEGATIVE:
        return "nonnegative"
    if op == "-" and kind == "raw":
        return "raw"
    if op == "-" and kind == "loss":
        return "loss"
    return "unknown"


def _of_tensors(op: str, a: Kind, b: Kind) -> Kind:
    pair = {a, b}
    if "unknown" in pair:
        return "unknown"
    if op in "+-" and "raw" in pair:
        return "raw" if pair <= {"raw", "probability", "simplex", "bounded", "class_index", "one_hot"} else "unknown"
    if op == "-" and pair <= FRACTIONS:
        return "bounded"
    if op == "+" and pair <= {*UNIT, "nonnegative"}:
        return "nonnegative"
    if op == "*":
        if pair <= UNIT:
            return "class_index" if pair <= {"class_index", "one_hot"} else "probability"
        if pair <= {*UNIT, "nonnegative"}:
            return "nonnegative"
        if "raw" in pair and pair <= {"raw", *UNIT}:
            return "raw"
    return "unknown"


def product(left: Value, right: Value, shape: Shape | None, at: NodeRef) -> Value:
    """A matrix product: rows of weights that sum to one over one-hot rows or distributions are distributions again."""
    out: list[Value] = []
    for a in alternatives(left):
        for b in alternatives(right):
            kind: Kind = "unknown"
            if kind_of(a) == "simplex" and kind_of(b) in ("one_hot", "simplex"):
                kind = "simplex"
            elif kind_of(a) == kind_of(b) == "raw":
                kind = "raw"
            trail = a.trail if isinstance(a, Tensor) else None
            if kind == "raw":
                trail = Trail(StepRef(at, f"the product gives {wording.KIND_WORDS[kind]}"))
            activation = a.activation if isinstance(a, Tensor) else ""
            cause = (cause_of(a) or cause_of(b)) if kind == "unknown" else None
            batched = is_batch(a) or is_batch(b)
            sample = sample_of(a, b)
            out.append(Tensor(kind, activation, shape=shape, batched=batched, sample=sample, trail=trail, cause=cause))
    return union(out)
