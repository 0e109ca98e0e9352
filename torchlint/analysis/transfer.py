"""The tensor that an operation gives, by its contract's table of kinds: kept as it was, or made anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from torchlint.analysis import arithmetic, dtypes, gradients, iteration, reshapes, shapes, unreduced, wording
from torchlint.analysis.dtypes import Number
from torchlint.analysis.shapes import Bound
from torchlint.analysis.values import (
    SQUASHED,
    Const,
    Container,
    Guard,
    Holder,
    Items,
    Layer,
    Sample,
    Shape,
    SumOf,
    Tensor,
    Trail,
    Tuple,
    Unknown,
    Value,
    alternatives,
    cause_of,
    either,
    guarded,
    is_anything,
    is_batch,
    is_pending,
    kind_of,
    only_constant,
    only_tensor,
    sample_of,
)
from torchlint.contracts import Kind
from torchlint.findings import Applied, NodeRef, StepRef

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


_BY_LOSSES = frozenset({"sigmoid", "softmax", "softmax2d", "log_softmax"})
"""The activations that losses apply themselves: without one of these, what is left is the raw scores."""


def sources(run: Interpreter, bound: Bound) -> list[Value]:
    """The values whose kind the operation passes on."""
    if bound.op.gives != "join":
        return [bound.input]
    out: list[Value] = []
    for name, value in bound.named.items():
        if name in ("input", "other", "tensors"):
            element, known = iteration.iterate(run, value) if name == "tensors" else (value, [value])
            out.extend(known if known is not None else [element])
    if bound.op.id in ("where", "where_method") and any(
        kind_of(part) == "raw" for each in out for part in alternatives(each)
    ):
        # Scores that a mask sets to a number are scores as before.
        out = [part for part in out if not _is_number(part)]
    return out or [bound.input]


def _is_number(value: Value) -> bool:
    """Whether a value is one number, or a tensor that holds one everywhere."""
    return all(
        (isinstance(part, Const) and isinstance(part.value, (int, float)))
        or (isinstance(part, Tensor) and part.kind == "unknown" and not part.attached and _is_uniform(part))
        for part in alternatives(value)
    )


def _is_uniform(part: Tensor) -> bool:
    return part.blank or part.activation in _UNIFORM or (part.shape is not None and part.shape.rank == 0)


_UNIFORM = frozenset(("torch.full", "torch.full_like"))


def has_dimension(bound: Bound) -> bool:
    """Whether an operation that reduces does so over a dimension, and not over everything."""
    if bound.op.shape != "reduce":
        return True
    dim = bound.option("dim", 0)
    return dim is not None and all(not isinstance(part, Tensor) or part.dtype == "int" for part in alternatives(dim))


def by_table(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value:
    """What an operation gives by its contract's table, for every possible input."""
    op = bound.op
    gives = op.gives
    shape = shapes.apply(_listed(run, bound) if op.shape in ("cat", "stack") else bound)
    if isinstance(gives, str) and gives not in ("keep", "join"):
        return made(bound, gives, shape, at, layer, None)  # type: ignore[arg-type]
    out: list[tuple[Value, Guard]] = []
    for source in sources(run, bound):
        for part, guard in guarded(source):
            kind = kind_of(part)
            result: Kind = kind
            if isinstance(gives, dict):
                result = gives.get(kind, gives.get("otherwise", "unknown"))
            if result == kind and isinstance(part, Tensor):
                out.append((_kept(bound, part, shape, at), guard))
            else:
                out.append((made(bound, result, shape, at, layer, part), guard))
    return _joined(run, bound, sources(run, bound), either(out)) if op.shape == "cat" else either(out)


def _joined(run: Interpreter, bound: Bound, parts: Sequence[Value], joined: Value) -> Value:
    """What several tensors are together: side by side they share the first dimension, one behind the other they are many."""
    given = bound.option("dim", 0)
    dim = 0 if given is None else shapes.const_int(given)
    if dim is None or (dim < 0 and (shape := shapes.shape_of(joined)) is not None and shape.rank == -dim):
        return joined
    flags = (
        {"many": len(parts) > 1 or _are_several(run, bound.input)}
        if dim == 0
        else {"batched": any(map(is_batch, parts)), "many": any(map(_is_many, parts)), "sample": sample_of(*parts)}
    )
    return either(
        (msgspec.structs.replace(part, **flags) if isinstance(part, Tensor) and any(flags.values()) else part, guard)
        for part, guard in guarded(joined)
    )


def _is_many(value: Value) -> bool:
    return all(isinstance(part, Tensor) and part.many for part in alternatives(value))


def _are_several(run: Interpreter, tensors: Value) -> bool:
    """Whether a sequence holds two tensors at least: of one that a loop fills it is taken for granted."""

    def in_one(part: Value) -> bool:
        known = iteration.iterate(run, part)[1]
        return len(known) > 1 if known is not None else not isinstance(part, Tuple)

    return all(isinstance(part, (Items, Container, Tuple)) and in_one(part) for part in alternatives(tensors))


def _listed(run: Interpreter, bound: Bound) -> Bound:
    """An operation on several tensors, with what is in a list in its place."""
    parts = alternatives(bound.input)
    if len(parts) > 1 or not isinstance(parts[0], Container) or parts[0].kind == "dict":
        return bound
    element, known = iteration.iterate(run, parts[0])
    return msgspec.structs.replace(bound, input=Items(element) if known is None else Tuple(tuple(known)))


def _kept(bound: Bound, part: Tensor, shape: Shape | None, at: NodeRef) -> Tensor:
    op = bound.op
    squeezed, flattened = reshapes.squeezed_and_flattened(bound, part, shape, at)
    return Tensor(
        kind=part.kind,
        activation=part.activation,
        dim=part.dim if op.shape in ("keep", "broadcast") else None,
        shape=shape,
        dtype=_dtype_after(bound, part),
        attached=gradients.attached(bound, part),
        batched=part.batched,
        many=part.many,
        sample=_sample_after(bound, part),
        blank=part.blank and op.gives == op.shape == "keep",
        squeezed=squeezed,
        flattened=flattened,
        unsqueezed=reshapes.unsqueezed(bound, part, squeezed, at),
        one_each=reshapes.one_each(bound, part, shape),
        regrouped=reshapes.regrouped(bound, part, shape, at),
        applied=part.applied if op.gives == "keep" and op.shape != "reduce" else None,
        trail=part.trail,
        cause=part.cause,
        loss=part.loss,
        per_sample=unreduced.after(bound, part, shape),
        sum_of=_sum_of(bound, part),
        negated=part.negated is not (op.id == "neg"),
        origin=_origin(bound, part),
        cut=gradients.cut_of(bound, part, at),
        holder=holder(bound, part),
    )


def _sample_after(bound: Bound, source: Value) -> Sample:
    """Whether what an operation gives is of one sample: with a dimension of size 1 put in front, it is a batch of one."""
    rule = bound.op.shape
    if rule == "unsqueeze" and shapes.const_int(bound.option("dim")) == 0:
        return "batch"
    if rule == "view" and bound.rest and (shapes.sizes_of(bound.rest) or ())[:1] == [1]:
        return "batch"
    return None if rule in _OTHER_ROWS else sample_of(source)


_OTHER_ROWS = frozenset(("cat", "stack", "expand", "full", "sized"))
"""The rules of shapes of what has other rows than what it is made of."""


def holder(bound: Bound, part: Value | None) -> Holder:
    """The library whose object an operation gives: of a method, that of what it is a method of."""
    if bound.name.startswith("."):
        return part.holder if isinstance(part, Tensor) else "torch"
    return "numpy" if bound.name.startswith("numpy.") else "pandas" if bound.name.startswith("pandas.") else "torch"


def _origin(bound: Bound, part: Value) -> Value | None:
    """The value that the result of an operation is a copy, a view or a part of, or the sigmoid of; None if it is another."""
    if bound.op.gives not in ("keep", "join") or bound.op.id.startswith("clamp"):
        return None
    if not isinstance(part, Tensor):
        return None if is_anything(part) else part
    return part if part.origin is None and part.kind == "unknown" else part.origin


def _squashed(bound: Bound) -> Value | None:
    """What a sigmoid or a softmax is applied to."""
    if bound.op.id not in _BY_LOSSES and bound.op.id != "sigmoid_":
        return None
    parts = alternatives(bound.input)
    part = parts[0]
    if len(parts) != 1 or is_anything(part) or not isinstance(part, (Tensor, Unknown)):
        return None
    return part.origin if isinstance(part, Tensor) and part.kind == "unknown" and part.origin is not None else part


def _dtype_after(bound: Bound, part: Value | None) -> Number:
    """The type of what an operation gives: the one that it is asked for, its own, that of its input or of what fills it."""
    asked = bound.named.get("dtype")
    if asked is not None and not (isinstance(asked, Const) and asked.value is None):
        return dtypes.dtype_of(asked)
    filling = only_constant(bound.named.get("fill_value"))
    if bound.op.dtype == "unknown" and filling is not None:
        return dtypes.NUMBERS.get(type(filling.value), "unknown")
    if bound.op.dtype != "keep":
        return bound.op.dtype
    return part.dtype if isinstance(part, Tensor) else "unknown"


def made(bound: Bound, kind: Kind, shape: Shape | None, at: NodeRef, layer: Layer | None, part: Value | None) -> Tensor:
    """A tensor of a new kind; the way of what it was made from goes before."""
    op = bound.op
    source = part if part is not None else bound.input
    before = part.trail if isinstance(part, Tensor) else None
    label = wording.spelled(bound.name)
    activation = label
    if isinstance(part, Tensor) and part.kind in arithmetic.FRACTIONS and kind in ("bounded", *arithmetic.FRACTIONS):
        activation = label if op.id in _BY_LOSSES else part.activation
    trail = before
    if kind != "unknown":
        note = f"`{label}` gives {wording.KIND_WORDS[kind]}"
        if layer is not None and layer.at != at:
            trail = Trail(StepRef(layer.at, note), before)
            trail = Trail(StepRef(at, f"`{label}` is applied"), trail)
        else:
            trail = Trail(StepRef(at, note), before)
    sole = part if part is not None else only_tensor(bound.input)
    squeezed, flattened = reshapes.squeezed_and_flattened(bound, sole, shape, at)
    return Tensor(
        kind=kind,
        activation=activation,
        dim=_dim_after(bound, part, shape),
        shape=shape,
        dtype=_dtype_after(bound, part),
        attached=gradients.attached(bound, part),
        batched=_sized_by_batch(bound) if op.shape in _NEW else is_batch(source),
        many=sole is not None and isinstance(sole, Tensor) and sole.many,
        sample=_sample_after(bound, source),
        blank=op.blank,
        squeezed=squeezed,
        flattened=flattened,
        unsqueezed=reshapes.unsqueezed(bound, sole, squeezed, at),
        one_each=reshapes.one_each(bound, sole, shape),
        regrouped=reshapes.regrouped(bound, sole, shape, at),
        applied=_applied(bound, at, layer),
        trail=trail,
        cause=cause_of(source) if kind == "unknown" else None,
        cut=gradients.cut_of(bound, part, at),
        origin=_squashed(bound) if kind in SQUASHED else None if part is None else _origin(bound, part),
        holder=holder(bound, sole),
        sum_of=_sum_of(bound, part),
    )


def _sum_of(bound: Bound, part: Value | None) -> SumOf | None:
    """What an operation gives the sums of, along a dimension that stays."""
    dim = shapes.const_int(bound.option("dim", 0)) if bound.op.id == "sum" else None
    if not isinstance(part, Tensor) or dim is None or not shapes.keeps_dimension(bound):
        return None
    return SumOf(part, dim)


_NEW = frozenset(("full", "sized"))
"""The rules of shapes of tensors that are made of sizes."""


def _sized_by_batch(bound: Bound) -> bool:
    """Whether a new tensor gets a size of a batch for one of its own. A number that a caller gives is no batch's, the last
    and shorter one included: it is the same in every step.
    """
    given = [value for name, value in bound.named.items() if name != "input"]
    given += bound.rest if "input" in bound.named else (bound.input, *bound.rest)
    sizes = (size for value in given for size in (value.items if isinstance(value, Tuple) else (value,)))
    return any(is_batch(size) and not _is_given(size) for size in sizes)


def _is_given(size: Value) -> bool:
    return isinstance(size, Unknown) and size.source == "parameter"


def _applied(bound: Bound, at: NodeRef, layer: Layer | None) -> Applied | None:
    """Where an activation is applied to scores; of what lies between -1 and 1 it makes nothing that could be left out."""
    if bound.op.id not in _BY_LOSSES or (not is_pending(bound.input) and _is_bounded(bound.input)):
        return None
    return Applied(at, bound.name, None if layer is None else layer.at)


def _is_bounded(value: Value) -> bool:
    """Whether all that is in a value lies between -1 and 1."""
    return all(kind_of(part) in ("bounded", *arithmetic.FRACTIONS) for part in alternatives(value))


def _dim_after(bound: Bound, part: Value | None, shape: Shape | None) -> int | None:
    """The dimension that an operation runs over, or that a distribution of which it takes the logarithm runs over."""
    given = bound.option("dim")
    if given is None and bound.op.shape == "keep" and bound.op.id in ("log", "exp") and isinstance(part, Tensor):
        return part.dim
    rank = None if given is not None or shape is None or shape.assumed else shape.rank
    if bound.op.id in _OWN_DIM and rank is not None:
        return 0 if rank in (0, 1, 3) else 1
    return shapes.const_int(given)


_OWN_DIM = frozenset(("softmax", "softmin", "log_softmax"))
"""Operations that choose a dimension by the number of dimensions if none is given."""
