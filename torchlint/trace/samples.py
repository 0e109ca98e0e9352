"""Statistics of a tensor from a small sample of it, computed without a graph and without changing anything."""

from __future__ import annotations

import math

import torch
from torch._subclasses.fake_tensor import FakeTensor

from torchlint.contracts import DType
from torchlint.trace.seen import Values

SAMPLE = 4096
"""So many values are looked at; a strided sample takes the same time for every size."""
ROWS = 64


def type_of(tensor: torch.Tensor) -> DType:
    """The dtype class that contracts speak of."""
    if tensor.dtype == torch.bool:
        return "bool"
    if tensor.is_floating_point():
        return "float"
    return "unknown" if tensor.is_complex() else "int"


def is_readable(tensor: torch.Tensor) -> bool:
    """Whether the tensor has values that can be read here."""
    if tensor.is_meta or isinstance(tensor, FakeTensor) or tensor.layout != torch.strided or tensor.is_quantized:
        return False
    return not torch._C._functorch.is_functorch_wrapped_tensor(tensor)


def values_of(tensor: torch.Tensor, class_dim: int | None) -> Values | None:
    """A sample of a tensor's values; None where there are none to read."""
    if not tensor.numel() or tensor.is_complex() or not is_readable(tensor):
        return None
    tensor = tensor.detach()
    sample = tensor.reshape(-1)
    if sample.numel() > SAMPLE:
        sample = sample[:: math.ceil(sample.numel() / SAMPLE)]
    sample = sample.double()
    low, high = (number.item() for number in torch.aminmax(sample))
    finite = bool(torch.isfinite(sample).all()) if math.isnan(low) or math.isinf(high - low) else True
    whole = bool((sample == sample.round()).all()) if finite else False
    return Values(low, high, sample.numel(), finite, whole, *_rows(tensor, class_dim))


def _rows(tensor: torch.Tensor, class_dim: int | None) -> tuple[tuple[float, float] | None, bool]:
    """The sums of some rows along the classes, and whether a whole number stands twice in a row before a -1."""
    if class_dim is None or tensor.dim() <= class_dim:
        return None, False
    whole = tensor[None] if not class_dim else tensor[:ROWS].movedim(class_dim, -1)
    rows = whole.reshape(-1, tensor.shape[class_dim])[:ROWS].double()
    sums = rows.sum(-1)
    if not bool(torch.isfinite(sums).all()):
        return None, False
    open_ = (rows == -1).cumsum(-1) == 0
    ordered = rows.masked_fill(~open_, math.nan).sort(-1).values
    repeats = bool((ordered[:, 1:] == ordered[:, :-1]).any())
    return (sums.min().item(), sums.max().item()), repeats
