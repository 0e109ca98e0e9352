"""Tensors made of data, and moved to other types and devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from torchlint.analysis import dtypes, gradients, iteration, shapes, transfer
from torchlint.analysis.dtypes import Number
from torchlint.analysis.shapes import Bound
from torchlint.analysis.values import (
    Const,
    Container,
    Cut,
    Items,
    Layer,
    Shape,
    Tensor,
    Tuple,
    Unknown,
    Value,
    alternatives,
    is_batch,
    join_shapes,
    kind_of,
    number_type,
    sample_of,
    union,
)
from torchlint.findings import NodeRef

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


def tensor_of(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value | None:
    """A tensor made from data: numbers and lists of numbers have a shape and a type."""
    value = bound.input
    parts = alternatives(value)
    shape, number = _of_data(run, value)
    held = _held(run, parts)
    entries = held if held and all(each.kind != "unknown" for each in held) else parts
    kinds = {kind_of(part) for part in entries}
    kind = kinds.pop() if len(kinds) == 1 else "unknown"
    trail = next((part.trail for part in entries if isinstance(part, Tensor)), None)
    dtype = bound.op.dtype if bound.op.dtype != "keep" else "unknown"
    if dtype == "unknown":
        given = bound.named.get("dtype")
        dtype = "float" if bound.name == "torch.Tensor" else number if given is None else dtypes.dtype_of(given)
    activation = ""
    if "ndmin" in bound.named:
        shape = None
    elif bound.name.endswith("Tensor") and (number == "int" or (len(parts) == 1 and shapes.is_size(parts[0]))):
        sizes = shapes.sizes_of((value, *bound.rest)) if shape == Shape(()) else None
        shape = shape if sizes is None else Shape(tuple(sizes))
    elif len(parts) == 1 and isinstance(parts[0], Tensor):
        shape = parts[0].shape
        activation = parts[0].activation
        if dtype == "unknown" and "dtype" not in bound.named:
            dtype = parts[0].dtype
    return Tensor(
        kind,
        activation,
        shape=shape,
        dtype=dtype,
        attached=gradients.attached(bound, None),
        batched=is_batch(value),
        sample=sample_of(value),
        many=all(isinstance(part, Tensor) and part.many for part in parts),
        trail=trail,
        cut=_cut(bound, parts, held, at),
        holder=transfer.holder(bound, None),
    )


def _cut(bound: Bound, parts: Sequence[Value], held: Sequence[Tensor], at: NodeRef) -> Cut | None:
    """Where the gradient of what a tensor is made of was cut off; for certain, if the new one is to have a gradient."""
    known = gradients.cut_of(bound, None, at) or _cut_of_all(bound, held, at)
    if not shapes.is_true(bound.named.get("requires_grad")) or all(isinstance(part, Const) for part in parts):
        return known
    return gradients.new_leaf(known, bound.name, at)


def _held(run: Interpreter, parts: Sequence[Value]) -> Sequence[Tensor]:
    """The tensors in a list, one for each possibility; empty if something else may be in it."""
    part = parts[0]
    if len(parts) > 1 or not isinstance(part, (Container, Items, Tuple)):
        return ()
    if isinstance(part, Container) and part.kind == "dict":
        return ()
    every = alternatives(iteration.iterate(run, part)[0])
    tensors = [each for each in every if isinstance(each, Tensor)]
    return tensors if len(tensors) == len(every) else ()


def _cut_of_all(bound: Bound, held: Sequence[Tensor], at: NodeRef) -> Cut | None:
    """Where the gradients of all the numbers were cut off of which a new tensor is made: losses lose theirs here."""
    cuts = [
        (gradients.cut_here(each, bound.name, at) if each.kind == "loss" else None) if each.attached else each.cut
        for each in held
    ]
    return cuts[0] if cuts and None not in cuts else None


DEEPEST = 8
"""Lists within more lists than this hold themselves, or no numbers."""


def _of_data(run: Interpreter, value: Value, depth: int = 0) -> tuple[Shape | None, Number]:
    """The shape and the type of a tensor made from a number or from nested lists of numbers."""
    parts = alternatives(value)
    if all(isinstance(part, Const) and type(part.value) in dtypes.NUMBERS for part in parts):
        types = {dtypes.NUMBERS[type(part.value)] for part in parts if isinstance(part, Const)}
        return Shape(()), types.pop() if len(types) == 1 else "unknown"
    part = parts[0]
    single = number_type(part) if len(parts) == 1 else None
    if single is not None:
        return Shape(()), single
    if isinstance(part, Tensor) and len(parts) == 1:
        # What becomes of a tensor of torch with dimensions depends on who makes the new one.
        return part.shape if part.holder != "torch" or part.shape == Shape(()) else None, part.dtype
    listed = isinstance(part, (Tuple, Items)) or (isinstance(part, Container) and part.kind == "list")
    if len(parts) > 1 or not listed or depth == DEEPEST:
        return None, "unknown"
    element, items = iteration.iterate(run, part)
    if items is None:
        shape, number = _of_data(run, element, depth + 1)
        return None if shape is None else Shape((None, *shape.dims), shape.open), number
    if not items:
        return None, "unknown"
    rows = [_of_data(run, item, depth + 1) for item in items]
    inner = rows[0][0]
    for shape, _ in rows[1:]:
        inner = join_shapes(inner, shape)
    numbers = {number for _, number in rows}
    # One float among whole numbers makes all of them floats.
    number = numbers.pop() if len(numbers) == 1 else "float" if numbers <= {"float", "int"} else "unknown"
    return None if inner is None else Shape((len(items), *inner.dims), inner.open), number


def to(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value | None:
    """`x.to(...)`: another type only if one is named; a device leaves the type as it is."""
    given, after = bound.named.get("dtype"), bound.named.get("dtype_after_device")
    if after is not None and not _is_truth(after):
        given = after
    asked = "unknown" if given is None else dtypes.dtype_of(given)
    moved = bound.name == ".to()" and ("device" in bound.named if given is None else _is_device(given))
    if asked == "unknown" and not moved:
        return None
    kept: dict[Number, list[Value]] = {}
    for part in alternatives(bound.input):
        kept.setdefault(asked if isinstance(part, Unknown) or not moved else _dtype(part), []).append(part)
    return union(
        msgspec.structs.replace(part, dtype=number) if isinstance(part, Tensor) else part
        for number, parts in kept.items()
        for part in alternatives(transfer.by_table(run, msgspec.structs.replace(bound, input=union(parts)), at, layer))
    )


def _dtype(part: Value) -> Number:
    return part.dtype if isinstance(part, Tensor) else "unknown"


def _is_truth(value: Value) -> bool:
    """Whether an argument is an option that is on or off, such as `non_blocking`."""
    return all(isinstance(part, Const) and isinstance(part.value, bool) for part in alternatives(value))


def _is_device(value: Value) -> bool:
    """Whether an argument is a device: a string, or something that is called one."""
    return all(
        (isinstance(part, Const) and isinstance(part.value, str))
        or (isinstance(part, Unknown) and part.reason.endswith("device"))
        for part in alternatives(value)
    )
