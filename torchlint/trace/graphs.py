"""Losses that are written by hand, judged where `backward()` is called on them: by the shapes in the autograd graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from torchlint.trace.verdicts import Verdict

_NODES = 64
"""So many nodes from the loss downwards are looked at: its own arithmetic, before the model begins."""
_MEANT = (
    "torch::autograd::AccumulateGrad",
    "Unsqueeze",
    "View",
    "UnsafeView",
    "Expand",
    "Index",
    "Slice",
    "Sum",
    "Mean",
    "Amax",
    "Amin",
    "LinalgVectorNorm",
)
"""Below a difference they say that its shape was made for it: `a[:, None] - b[None]`, `a.sum(1, keepdim=True) - b`.

A parameter itself is no output for a sample.
"""
TWICE = frozenset(("TLN101", "TLN104"))
"""Of an activation behind another one the graph of a loss of torch tells as well as its call."""
_LEAVES = 4096
"""So many nodes are looked at for one that stands for a parameter."""


def judge_backward(loss: torch.Tensor) -> Iterator[Verdict]:
    """What is wrong with a tensor that `backward()` is called on."""
    if loss.grad_fn is None:
        if loss.requires_grad and not isinstance(loss, torch.nn.Parameter):
            words = {"activation": "making a new tensor of the loss (torch.tensor, .item(), .detach())", "input": "it"}
            yield Verdict(
                "TLN403", "backward() on a tensor that no operation made: no parameter gets a gradient", words
            )
        return
    nodes = list(_nodes(loss.grad_fn))
    for node, _ in nodes:
        twice = _twice(node)
        if twice is not None:
            yield twice
            break
    for node, whole in nodes:
        found = _stretched(node, whole)
        if found is not None:
            inner, outer, what = found
            shown = f"[{', '.join(map(str, inner))}]"
            other = f"[{outer[0]}]" if len(inner) == 2 else f"[{outer[0]}, 1]"
            words = {"loss": f"this {what}", "input": "the output", "input_shape": shown, "target_shape": other}
            yield Verdict(
                "TLN203", f"the {what} of {shown} and a constant is {list(outer)} on the way to the loss", words
            )
            return


def _twice(node: Any) -> Verdict | None:
    """A log_softmax of a softmax, or the logarithm (as in `BCELoss`) of a sigmoid of a sigmoid."""
    if node.name().startswith("LogSoftmax") and _name(_below(node, _SCALES)).startswith("Softmax"):
        words = {"loss": "log_softmax", "activation": "softmax"}
        return Verdict("TLN104", "a log_softmax of a softmax on the way to the loss", words)
    if node.name().startswith(("LogBackward", "BinaryCrossEntropyBackward")):
        outer = _below(node, ("Rsub",))  # the logarithm of `1 - p` is taken as well
        if _name(outer).startswith("Sigmoid") and _name(_below(outer)).startswith("Sigmoid"):
            words = {"loss": "torch.sigmoid", "activation": "torch.sigmoid"}
            return Verdict("TLN101", "a sigmoid of a sigmoid on the way to the loss", words)
    return None


def _name(node: Any) -> str:
    return "" if node is None else str(node.name())


def _below(node: Any, passed: tuple[str, ...] = ()) -> Any:
    """What a node's operation is applied to, behind changes of the shape and these operations; None if it is not one tensor."""
    while node is not None:
        found = [below for below, _ in node.next_functions if below is not None]
        node = found[0] if len(found) == 1 else None
        if not _name(node).startswith((*_VIEWS, *passed)):
            return node
    return None


_VIEWS = ("Squeeze", "Unsqueeze", "View", "UnsafeView", "Permute", "Transpose", "Clone", "ToCopy")
_SCALES = ("Div", "Mul")
"""By a temperature, which leaves a distribution too flat for scores."""


def reaches_parameter(loss: torch.Tensor) -> bool:
    """Whether the graph of a loss leads to a parameter of a module; True where it is too large to tell."""
    queue = [loss.grad_fn]
    seen = set(queue)
    for node in queue:
        if isinstance(getattr(node, "variable", None), torch.nn.Parameter):
            return True
        for below, _ in () if node is None else node.next_functions:
            if below is not None and below not in seen:
                seen.add(below)
                queue.append(below)
        if len(queue) > _LEAVES:
            return True
    return False


def _nodes(root: Any) -> Iterator[tuple[Any, bool]]:
    """Nodes from the root, nearest first, and whether all that one gives goes into the loss entry by entry."""
    queue, seen = [(root, True)], {root}
    for node, whole in queue:
        yield node, whole
        shape = _shape(node, 0)
        for below, number in node.next_functions:
            if below is not None and below not in seen and len(queue) < _NODES:
                seen.add(below)
                queue.append((below, whole and shape in ((), _shape(below, number))))


def _stretched(node: Any, whole: bool) -> tuple[tuple[int, ...], tuple[int, ...], str] | None:
    """The shape of an output [B, 1] or [B] and that of its difference from a constant, if that is [B, B].

    A product with a constant is one, too, if that is a vector and the whole of it goes into the loss (`y * log(p)`).
    """
    minus, times = (node.name().startswith(names) for names in (("SubBackward", "RsubBackward"), "MulBackward"))
    operands = [(below, number) for below, number in node.next_functions if below is not None]
    if not (minus or (times and whole)) or len(operands) != 1 or operands[0][0].name().startswith(_MEANT):
        return None
    inner, outer = _shape(*operands[0]), _shape(node, 0)
    if len(outer) != 2 or outer[0] != outer[1] or outer[0] < 2:
        return None
    column, vector = (outer[0], 1), (outer[0],)
    if times and _constant(node) != {column: vector, vector: column}.get(inner):
        return None
    return (inner, outer, "difference" if minus else "product") if inner in (column, vector) else None


def _constant(node: Any) -> tuple[int, ...] | None:
    """The shape of the factor of a product that has no gradient."""
    for name in ("_saved_other", "_saved_self"):
        saved = getattr(node, name, None)
        if isinstance(saved, torch.Tensor):
            return tuple(saved.shape)
    return None


def _shape(node: Any, number: int) -> tuple[int, ...]:
    """The shape of one output of the operation that a node stands for."""
    return tuple(int(size) for size in node._input_metadata[number].shape)
