"""Losses that were not reduced: whether what is made of them still holds several values, of samples or of entries.

`backward()` wants one number. So what may be one counts as reduced: a tensor is unreduced only while it is certainly more.
"""

from __future__ import annotations

from torchlint.analysis import shapes
from torchlint.analysis.shapes import Bound
from torchlint.analysis.values import VARIES, Shape, Tensor, Tuple, Value, alternatives
from torchlint.contracts import Loss
from torchlint.findings import NodeRef

_TAKE_AWAY = frozenset(("reduce", "select"))
"""The rules of shapes of operations that leave one value, or one entry, of each dimension that they are given."""

_ENTRYWISE = frozenset(("equal", "warns", "broadcasts", "ranks"))
"""The relations of shapes of losses that compare entry by entry."""


def shape_of_values(loss: Loss, given: Shape | None) -> Shape | None:
    """The shape of what an unreduced loss gives of an input of this shape."""
    if loss.shapes in _ENTRYWISE:
        return given if loss.each == "entry" else None
    if loss.shapes != "index" or loss.class_dim is None or given is None or given.open:
        return None
    dims, classes = given.dims, min(loss.class_dim, len(given.dims) - 1)
    return Shape((*dims[:classes], *dims[classes + 1 :])) if dims else None


def after(bound: Bound, part: Tensor, shape: Shape | None) -> NodeRef | None:
    """The call that gave the values of which an operation, whose result has this shape, certainly leaves several."""
    if bound.op.shape not in _TAKE_AWAY or part.per_sample is None or _holds_several(shape):
        return part.per_sample
    dims, before = _dims(bound.option("dim", 0)), part.shape
    if dims is None:
        return None
    if before is not None and not before.open:
        if before.dims[:1] == (1,):
            return None
        dims = tuple(dim + len(before.dims) if dim < 0 else dim for dim in dims)
    return part.per_sample if min(dims) > 0 else None


def after_picking(part: Tensor, shape: Shape | None, first_stays: bool) -> NodeRef | None:
    """The call that gave the values of which an index certainly leaves several; `first_stays` says that all samples are."""
    return part.per_sample if first_stays or _holds_several(shape) else None


def _holds_several(shape: Shape | None) -> bool:
    """Whether a tensor of a shape certainly holds more than one number."""
    return shape is not None and any(dim == VARIES or (isinstance(dim, int) and dim > 1) for dim in shape.dims)


def _dims(given: Value | None) -> tuple[int, ...] | None:
    """The dimensions that are given, one or several; None for all of them, and for those that the code does not fix."""
    if given is None:
        return None
    parts = alternatives(given)
    numbers = [shapes.const_int(each) for each in (parts[0].items if isinstance(parts[0], Tuple) else (given,))]
    known = tuple(number for number in numbers if number is not None)
    return known if len(parts) == 1 and known and len(known) == len(numbers) else None
