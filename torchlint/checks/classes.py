"""Which dimension of a loss's input is that of the classes, as far as it can be told."""

from __future__ import annotations

from torchlint.analysis.calls import LossCall
from torchlint.analysis.values import Tensor


def is_over_classes(call: LossCall, part: Tensor) -> bool:
    """Whether an activation was certainly taken over the dimension that the loss takes for that of the classes."""
    dim, shape, rank = part.dim, part.shape, rank_of_input(call, part)
    if dim is None:
        return False
    if rank:
        return dim % rank == (call.loss.class_dim if rank > 2 else rank - 1)
    # The entries that a layer gives are the classes if the loss takes them as they are.
    made = shape is not None and any(isinstance(size, int) for size in shape.dims[-1:])
    return dim == call.loss.class_dim or (dim == -1 and made)


def rank_of_input(call: LossCall, part: Tensor) -> int | None:
    """The number of dimensions of an input: of labels that are numbers of classes it is one less."""
    own = _rank_of(part)
    if own is not None or call.loss.class_dim is None:
        return own
    labels = {_rank_of(each) if each.dtype == "int" else None for each in call.tensors("target")}
    rank = labels.pop() if len(labels) == 1 else None
    return None if rank is None else rank + 1


def _rank_of(part: Tensor) -> int | None:
    return None if part.shape is None or part.shape.assumed else part.shape.rank
