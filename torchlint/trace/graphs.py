"""Losses that are written by hand, judged where `backward()` is called on them: by the shapes in the autograd graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from torchlint.trace.verdicts import Verdict

_NODES = 64
"""So many nodes from the loss downwards are looked at: its own arithmetic, before the model begins."""
_MEANT = ("Unsqueeze", "View", "UnsafeView", "Expand", "Index", "Slice")
"""Below a difference they say that its shape was made for it: `a[:, None] - b[None]`."""


def judge_backward(loss: torch.Tensor) -> Iterator[Verdict]:
    """What is wrong with a tensor that `backward()` is called on."""
    if loss.grad_fn is None:
        if loss.requires_grad and not isinstance(loss, torch.nn.Parameter):
            words = {"activation": "making a new tensor of the loss (torch.tensor, .item(), .detach())", "input": "it"}
            yield Verdict(
                "TLN403", "backward() on a tensor that no operation made: no parameter gets a gradient", words
            )
        return
    for node in _nodes(loss.grad_fn):
        found = _stretched(node)
        if found is not None:
            inner, outer = found
            shown = f"[{', '.join(map(str, inner))}]"
            other = f"[{outer[0]}]" if len(inner) == 2 else f"[{outer[0]}, 1]"
            words = {"loss": "this difference", "input": "the output", "input_shape": shown, "target_shape": other}
            yield Verdict("TLN203", f"{shown} minus a constant gives {list(outer)} on the way to the loss", words)
            return


def _nodes(root: Any) -> Iterator[Any]:
    """Nodes from the root, nearest first."""
    queue, seen = [root], {root}
    for node in queue:
        yield node
        for below, _ in node.next_functions:
            if below is not None and below not in seen and len(queue) < _NODES:
                seen.add(below)
                queue.append(below)


def _stretched(node: Any) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """The shape of an output [B, 1] or [B] and that of its difference from a constant, if that is [B, B]."""
    if not node.name().startswith(("SubBackward", "RsubBackward")):
        return None
    operands = [(below, number) for below, number in node.next_functions if below is not None]
    if len(operands) != 1 or operands[0][0].name().startswith(_MEANT):
        return None
    inner, outer = _shape(*operands[0]), _shape(node, 0)
    if len(outer) != 2 or outer[0] != outer[1] or outer[0] < 2:
        return None
    return (inner, outer) if inner in ((outer[0], 1), (outer[0],)) else None


def _shape(node: Any, number: int) -> tuple[int, ...]:
    """The shape of one output of the operation that a node stands for."""
    return tuple(int(size) for size in node._input_metadata[number].shape)
