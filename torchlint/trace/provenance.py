"""Where a tensor came from: by the autograd graph, and where there is none, by the memory that an activation filled."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from math import prod
from typing import Any, NamedTuple

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from torchlint.contracts import Kind
from torchlint.trace.seen import Origin

_DEPTH = 200
"""So many nodes of the graph are looked at for one tensor at most: shape changes and casts between it and its operation."""

_ENDS: dict[str, tuple[Kind, str]] = {
    "Sigmoid": ("probability", "torch.sigmoid"),
    "Softmax": ("simplex", "softmax"),
    "LogSoftmax": ("log_simplex", "log_softmax"),
    "LogSigmoid": ("log_probability", "logsigmoid"),
    "Tanh": ("bounded", "torch.tanh"),
    "Relu": ("nonnegative", "relu"),
    "Softplus": ("nonnegative", "softplus"),
    **dict.fromkeys(
        ("Addmm", "Mm", "Bmm", "Baddbmm", "Linear", "MkldnnLinear", "Mv", "Dot"), ("raw", "a linear layer")
    ),
    **dict.fromkeys(("Convolution", "ConvolutionOverrideable", "SlowConv2D"), ("raw", "a convolution")),
    **dict.fromkeys(
        ("NativeBatchNorm", "CudnnBatchNorm", "NativeLayerNorm", "NativeGroupNorm"), ("raw", "a normalisation")
    ),
    **dict.fromkeys(("LeakyRelu", "Elu", "Gelu", "Silu", "Hardswish", "Mish"), ("raw", "an activation")),
}
"""Operations that settle what their output holds, whatever comes in."""

_KEEP = frozenset(
    "View UnsafeView ReshapeAlias Squeeze Unsqueeze Expand Permute Transpose T Clone ToCopy Alias AsStrided Contiguous "
    "Flip Roll Repeat Unfold Movedim ViewAsReal _DDPSink".split()
)
_SOME = frozenset(
    "Slice Select Index IndexSelect Gather MaskedSelect Split SplitWithSizes Unbind Take Diagonal".split()
)
"""They pick entries, so that a distribution is one no more."""
_MEAN = frozenset(
    "Mean AvgPool1D AvgPool2D AvgPool3D AdaptiveAvgPool2D AdaptiveAvgPool3D MkldnnAdaptiveAvgPool2D".split()
)
_JOIN = frozenset("Cat Stack Where MaskedFill".split())
_ARITHMETIC = frozenset("Add Sub Rsub Mul Div Neg Sum NativeDropout FusedDropout".split())
_RESHAPES = frozenset("View UnsafeView ReshapeAlias".split())

_SUFFIX = re.compile(r"Backward\d*$")

_SOFTENED: dict[Kind, Kind] = {"simplex": "probability", "log_simplex": "log_probability"}


class _Facts(NamedTuple):
    """What the walk finds below a node."""

    kind: Kind = "unknown"
    name: str = ""
    dim: int | None = None
    squeezed: bool = False
    regrouped: tuple[int, ...] = ()
    direct: bool = True
    joined: bool = False


class Memory:
    """Which memory an activation filled without a graph (under no_grad, in validation), as long as that memory lives."""

    def __init__(self) -> None:
        self.tags: dict[int, tuple[Any, int | None, Origin]] = {}
        self.limit = 256

    def mark(self, tensor: torch.Tensor, origin: Origin) -> None:
        """Remember what this tensor's memory holds."""
        storage = _weak(tensor)
        if len(self.tags) >= self.limit:
            self.tags = {key: tag for key, tag in self.tags.items() if not tag[0].expired()}
            self.limit = max(256, 2 * len(self.tags))
        self.tags[storage.cdata] = (storage, _version(tensor), origin)

    def origin(self, tensor: torch.Tensor) -> Origin | None:
        """What was remembered of this tensor's memory, if nothing was written to it since."""
        if not self.tags:
            return None
        tag = self.tags.get(tensor.untyped_storage()._cdata)  # the number that a weak reference has, too
        if tag is None or tag[0].expired() or tag[1] != _version(tensor):
            return None
        return tag[2]


def _weak(tensor: torch.Tensor) -> Any:
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]


def _version(tensor: torch.Tensor) -> int | None:
    return None if tensor.is_inference() else tensor._version


def origin_of(tensor: torch.Tensor, memory: Memory) -> Origin:
    """The operation that a tensor came from."""
    if tensor.grad_fn is not None:
        facts = _walk(tensor.grad_fn, tensor.output_nr, tuple(tensor.shape), [_DEPTH])
        if facts.kind != "unknown" or facts.squeezed or facts.regrouped or facts.joined:
            return Origin(
                facts.kind, facts.name, "graph", facts.dim, facts.squeezed, facts.regrouped, facts.direct, facts.joined
            )
    return memory.origin(tensor) or Origin()


def _walk(node: Any, output: int, shape: tuple[int, ...] | None, left: list[int]) -> _Facts:
    """Follow a node to the operations that settle its kind. `shape` is that of the node's output, if it is known."""
    left[0] -= 1
    if node is None or left[0] < 0:
        return _Facts()
    name = _SUFFIX.sub("", node.name())
    if name in _ENDS:
        kind, label = _ENDS[name]
        return _Facts(kind, label, _dim(node) if name in ("Softmax", "LogSoftmax") else None)
    below = [(each, number) for each, number in node.next_functions if each is not None]
    if not below:
        return _Facts()
    if name == "_DDPSink":
        below = below[output : output + 1]
    before = _size_before(node)
    if name in _KEEP:
        facts = _walk(*below[0], before, left) if below else _Facts()
        squeezed = facts.squeezed or node.name() == "SqueezeBackward0"
        mixed = _mixed(before, shape) if name in _RESHAPES else ()
        direct = facts.direct and name in ("Clone", "ToCopy", "Alias", "Contiguous")
        return facts._replace(squeezed=squeezed, regrouped=facts.regrouped or mixed, direct=direct)
    if name in _SOME or name in _MEAN or name.startswith("Upsample"):
        facts = _walk(*below[0], before, left)
        kind = facts.kind if name.startswith("Upsample") else _SOFTENED.get(facts.kind, facts.kind)
        return facts._replace(kind=kind, direct=False, regrouped=())
    if name in _JOIN:
        facts = _join(_walk(*each, None, left) for each in below)
        return facts._replace(joined=facts.joined or (name == "Cat" and _dim(node) in (1, -1)))
    if name == "Clamp":
        facts = _walk(*below[0], None, left)
        kept = facts.kind in ("probability", "simplex")
        return facts._replace(kind="probability", direct=False) if kept else _Facts()
    if name == "Div" and _is_own_share(below):
        facts = _walk(*below[0], shape, left)
        if facts.kind in _NOT_NEGATIVE:
            return _Facts("simplex", "a softmax written by hand", direct=False)
    if name in _ARITHMETIC:
        joined = _join(_walk(*each, None, left) for each in below)
        return joined if joined.kind == "raw" else _Facts(squeezed=joined.squeezed, joined=joined.joined)
    if name == "Log":
        facts = _walk(*below[0], shape, left)
        logs: dict[Kind, Kind] = {"simplex": "log_simplex", "probability": "log_probability"}
        return facts._replace(kind=logs.get(facts.kind, "unknown"), name=f"the logarithm of {facts.name}")
    if name == "Exp":
        facts = _walk(*below[0], shape, left)
        powers: dict[Kind, Kind] = {"log_simplex": "simplex", "log_probability": "probability"}
        return facts._replace(kind=powers.get(facts.kind, "nonnegative"), name=f"exp of {facts.name}")
    return _Facts()


def _is_own_share(operands: Sequence[tuple[Any, int]]) -> bool:
    """Whether a tensor is divided by its own sum along a dimension, to which a number may be added."""
    if len(operands) != 2:
        return False
    (each, _), (whole, _) = operands
    while whole is not None and whole.name().startswith(("Add", "Unsqueeze", "Expand", "Clamp")):
        whole = whole.next_functions[0][0]
    summed = whole.next_functions[0][0] if whole is not None and whole.name() == "SumBackward1" else None
    return summed is not None and _is_same(summed, each, _WRITTEN_TWICE)


_WRITTEN_TWICE = 4
"""So many operations, one after the other, may be written twice in one expression."""


def _is_same(a: Any, b: Any, depth: int) -> bool:
    """Whether two nodes are one, or the same operations on one tensor."""
    if a is b:
        return True
    if a is None or b is None or depth == 0 or a.name() != b.name() or len(a.next_functions) != len(b.next_functions):
        return False
    pairs = zip(a.next_functions, b.next_functions, strict=True)
    return all(_is_same(one, other, depth - 1) for (one, _), (other, _) in pairs)


_NOT_NEGATIVE: frozenset[Kind] = frozenset({"nonnegative", "probability", "simplex"})


def _join(parts: Iterable[_Facts]) -> _Facts:
    found = list(parts)
    kinds = {part.kind for part in found}
    kind: Kind = "unknown"
    if len(kinds) == 1:
        kind = found[0].kind
    elif kinds <= {"simplex", "probability"}:
        kind = "probability"
    squeezed, joined = any(part.squeezed for part in found), any(part.joined for part in found)
    if kind == "unknown" and len(kinds) > 1:
        return _Facts(squeezed=squeezed, joined=joined)
    return _Facts(kind, found[0].name, squeezed=squeezed, direct=False, joined=joined)


def _dim(node: Any) -> int:
    """The dimension of a softmax or a cat; torch saves a negative one as an unsigned number."""
    dim = int(node._saved_dim)
    return dim - 2**64 if dim >= 2**63 else dim


def _size_before(node: Any) -> tuple[int, ...] | None:
    sizes = getattr(node, "_saved_self_sym_sizes", None)
    return tuple(int(size) for size in sizes) if sizes is not None else None


def _mixed(before: tuple[int, ...] | None, after: tuple[int, ...] | None) -> tuple[int, ...]:
    """The shape [B, C, ...] whose `view(-1, C)` puts several places of one class into a row, or nothing.

    Where the places behind the classes are as many as the classes, rows of one class each may be what was meant.
    """
    if before is None or after is None or len(after) != 2 or len(before) < 3:
        return ()
    classes, places = after[1], prod(before[2:])
    mixes = before[1] == classes and before[-1] != classes and places not in (1, classes)
    return before if mixes and classes > 1 else ()
