"""Statistics of a tensor from a small sample of it, computed where it lies, without a graph and without waiting for them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import NamedTuple

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import _disable_current_modes

from torchlint.contracts import DType
from torchlint.trace.seen import Values

SAMPLE = 4096
"""So many values are looked at; a strided sample takes the same time for every size."""
KEPT = 256
"""So many of them are kept for the plots of a dry run."""
ROWS = 64


class Look(NamedTuple):
    """What was computed of a tensor, on its way to the host: `settle` waits for all of them, `read` gives the numbers."""

    row: torch.Tensor
    size: int
    has_rows: bool


@contextmanager
def unseen() -> Iterator[None]:
    """Compute without a graph, and without the program's own modes (flop counters and the like) seeing it."""
    modes = _disable_current_modes() if torch._C._len_torch_dispatch_stack() else nullcontext()
    with torch.no_grad(), torch._C.DisableTorchFunction(), modes:
        yield


def type_of(tensor: torch.Tensor) -> DType:
    """The dtype class that contracts speak of."""
    if tensor.dtype == torch.bool:
        return "bool"
    if tensor.is_floating_point():
        return "float"
    return "unknown" if tensor.is_complex() else "int"


def is_readable(tensor: torch.Tensor) -> bool:
    """Whether the tensor has values that can be read here; not while a CUDA graph is recorded, which a copy would end."""
    if tensor.is_meta or isinstance(tensor, FakeTensor) or tensor.layout != torch.strided or tensor.is_quantized:
        return False
    if tensor.is_cuda and torch.cuda.is_current_stream_capturing():
        return False
    return not torch._C._functorch.is_functorch_wrapped_tensor(tensor)


def look(tensor: torch.Tensor, class_dim: int | None, kept: int = 0) -> Look | None:
    """A sample of a tensor's values; None where there are none to read. `kept` of them come along."""
    if not tensor.numel() or tensor.is_complex() or not is_readable(tensor):
        return None
    tensor = tensor.detach()
    sample = _some(tensor.reshape(-1), SAMPLE).double()
    finite = torch.isfinite(sample).all()
    whole = finite & (sample == sample.round()).all()
    has_rows = class_dim is not None and tensor.dim() > class_dim
    numbers = torch.stack([*torch.aminmax(sample), finite.double(), whole.double(), *_rows(tensor, class_dim)])
    row = torch.cat([numbers, _some(sample, kept)]) if kept else numbers
    return Look(to_host(row), sample.numel(), has_rows)


def to_host(row: torch.Tensor) -> torch.Tensor:
    """Send numbers from a GPU to the host without waiting: they are there once `settle` was called."""
    if not row.is_cuda:
        return row
    host = torch.empty(row.shape, dtype=row.dtype, pin_memory=True)
    return host.copy_(row, non_blocking=True)


def settle() -> None:
    """Wait for what was sent to the host. After an error on the device there is nothing to wait for."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        with suppress(RuntimeError):
            torch.cuda.synchronize()


def read(seen: Look) -> Values:
    """The numbers of a look."""
    low, high, finite, whole, least, most, repeats, *some = seen.row.tolist()
    sums = (least, most) if seen.has_rows and math.isfinite(least + most) else None
    return Values(
        low, high, seen.size, bool(finite), bool(whole), sums, sums is not None and bool(repeats), tuple(some)
    )


def _some(values: torch.Tensor, count: int) -> torch.Tensor:
    return values[:: math.ceil(values.numel() / count)] if values.numel() > count else values


def _rows(tensor: torch.Tensor, class_dim: int | None) -> Sequence[torch.Tensor]:
    """The least and largest sum of some rows along the classes, and whether a number stands twice in a row before a -1."""
    if class_dim is None or tensor.dim() <= class_dim:
        return list(torch.zeros(3, dtype=torch.float64, device=tensor.device))
    whole = tensor[None] if not class_dim else tensor[:ROWS].movedim(class_dim, -1)
    rows = whole.reshape(-1, tensor.shape[class_dim])[:ROWS].double()
    open_ = (rows == -1).cumsum(-1) == 0
    ordered = rows.masked_fill(~open_, math.nan).sort(-1).values
    repeats = (ordered[:, 1:] == ordered[:, :-1]).any()
    return [*torch.aminmax(rows.sum(-1)), repeats.double()]
