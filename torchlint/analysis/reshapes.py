"""What a tensor still shows of how it was reshaped: a `squeeze()`, a flattening, rows that were regrouped."""

from __future__ import annotations

from torchlint.analysis import shapes
from torchlint.analysis.shapes import Bound
from torchlint.analysis.values import Shape, Size, Tensor, Value, alternatives
from torchlint.findings import NodeRef


def squeezed_and_flattened(
    bound: Bound, part: Value | None, shape: Shape | None, at: NodeRef
) -> tuple[NodeRef | None, NodeRef | None]:
    """Which `squeeze()` and which flattening a tensor still shows after an operation."""
    rule = bound.op.shape
    model = bound.named.get("other") if rule == "like" else None
    if rule == "view" and bound.rest and isinstance(bound.rest[0], Size):
        model = bound.rest[0].tensor
        return model.squeezed, model.flattened
    if model is not None:
        part = next((p for p in alternatives(model) if isinstance(p, Tensor)), part)
    if rule == "squeeze" and bound.option("dim") is None:
        return at, at
    if rule in ("squeeze", "view", "flatten") and shape is not None and shape.rank == 1:
        before = part.shape if isinstance(part, Tensor) else None
        changed = rule == "squeeze" or (before is not None and before.rank != 1)
        return None, at if changed else None
    if rule in ("keep", "broadcast", "like") and isinstance(part, Tensor):
        return part.squeezed, part.flattened
    if rule == "linear" and isinstance(part, Tensor):
        return part.squeezed, None  # rows in, rows out
    return None, None


def unsqueezed(bound: Bound, part: Value | None, squeezed: NodeRef | None, at: NodeRef) -> Shape | None:
    """The shape before the `squeeze()` that a tensor still shows."""
    if squeezed is None:
        return None
    if squeezed == at:
        return shapes.shape_of(bound.input)
    return part.unsqueezed if isinstance(part, Tensor) and part.squeezed == squeezed else None


def one_each(bound: Bound, part: Value | None, shape: Shape | None) -> bool:
    """Whether a last dimension of size 1 is taken away, and nothing else changes the shape."""
    if not isinstance(part, Tensor):
        return False
    rule, before = bound.op.shape, part.shape
    if rule in ("keep", "broadcast"):
        return part.one_each
    if rule not in ("squeeze", "view", "flatten") or before is None or before.dims[-1:] != (1,):
        return False
    return (rule == "squeeze" and bound.option("dim") is None) or (shape is not None and shape.rank == 1)


def regrouped(bound: Bound, part: Value | None, shape: Shape | None, at: NodeRef) -> NodeRef | None:
    """The `view()` that makes rows of C entries out of [B, C, ...], where the C entries of a sample do not lie side by side."""
    if not isinstance(part, Tensor):
        return None
    rule, before = bound.op.shape, part.shape
    if rule in ("keep", "broadcast"):
        return part.regrouped
    if rule != "view" or before is None or before.open or len(before.dims) < 3 or shape is None or shape.rank != 2:
        return None
    classes = before.dims[1]
    if bound.rest and shapes.is_size(bound.rest[0]):
        return None  # as many rows as there are samples, so that there is one place for each
    several = isinstance(classes, int) and classes > 1 and any(dim != 1 for dim in before.dims[2:])
    return at if several and shape.dims[1] == classes and before.dims[-1] != classes else None
