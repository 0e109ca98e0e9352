"""Watches a run learn: the loss and the gradient at each step, and whether an optimizer's step changes anything."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from weakref import ReferenceType, ref

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils.hooks import RemovableHandle

from torchlint.trace.samples import is_readable, to_host, unseen
from torchlint.trace.seen import Point
from torchlint.trace.sites import Spot
from torchlint.trace.turns import Turns
from torchlint.trace.verdicts import Stepped, Verdict, judge_steps

POINTS = 512
"""So many losses and gradients are kept for the curves."""
PROBES = 16
"""So many numbers of each parameter are compared before and after a step."""


class Watched(NamedTuple):
    """What is wrong with the steps of an optimizer, and where its step is called."""

    spot: Spot
    name: str
    steps: int
    verdicts: tuple[Verdict, ...]


class _Optimizer:
    """What was seen of the steps of one optimizer. Numbers stay on their device until all are read.

    `ending` is the hook behind its steps, which is there from a step that is looked at to the beginning of the next one.
    """

    def __init__(self, of: ReferenceType[Any], spot: Spot, name: str, every: int) -> None:
        self.of = of
        self.spot = spot
        self.name = name
        self.turns = Turns(every)
        self.ending: RemovableHandle | None = None
        self.before: torch.Tensor | None = None
        self.without = 0
        self.looked = 0
        self.norms: list[torch.Tensor] = []
        self.moved: list[torch.Tensor] = []
        self.rates: tuple[float, float] | None = None
        """The first and the last learning rate."""

    def unhook(self) -> None:
        """Take the hook away: not in a hook itself, where torch goes over them."""
        if self.ending is not None:
            self.ending.remove()
            self.ending = None


class Progress:
    """Follows the optimizers and the losses that `backward()` is called on, all of them at first, then ever fewer."""

    def __init__(self, every: int, *, values: bool) -> None:
        self.every = every
        self.values = values
        self.optimizers: dict[int, _Optimizer] = {}
        """By their ids, which those that are gone leave to others."""
        self.last: _Optimizer | None = None
        """The one that made the last step: mostly it makes the next one, too."""
        self.all: list[_Optimizer] = []
        self.under_way: dict[int, _Optimizer] = {}
        """By the ids of their optimizers, those whose step is looked at now."""
        self.losses: list[tuple[int, torch.Tensor]] = []
        self.gradients: list[tuple[int, torch.Tensor]] = []

    def backward(self, step: int, loss: torch.Tensor) -> None:
        """Keep the value of a loss."""
        if self.values and len(self.losses) < POINTS and not loss.dim() and is_readable(loss):
            with unseen():
                self.losses.append((step, to_host(loss.detach().double())))

    def of(self, optimizer: Any, here: Callable[[], Spot]) -> _Optimizer:
        """What is seen of an optimizer's steps, the next of which is called here."""
        seen = self.optimizers.get(id(optimizer))
        if seen is None or seen.of() is not optimizer:
            seen = _Optimizer(ref(optimizer), here(), f"{type(optimizer).__name__}.step", self.every)
            self.optimizers[id(optimizer)] = seen
            self.all.append(seen)
        self.last = seen
        return seen

    def before(self, seen: _Optimizer, optimizer: Any, end: Callable[..., None]) -> None:
        """Called before each step that is looked at; behind it, torch is to call `end`."""
        self.under_way[id(optimizer)] = seen
        seen.before = None
        seen.ending = optimizer.register_step_post_hook(end)
        if self.values and self._probes_at(seen.turns.count):
            with unseen():
                seen.before = _probe(parameter.detach() for parameter in _parameters(optimizer))

    def after(self, optimizer: Any, step: int) -> None:
        """Called after each step that is looked at, with the number of all steps before it."""
        seen = self.under_way.pop(id(optimizer), None)
        if seen is None:
            return
        rate = max((group.get("lr", 0.0) for group in optimizer.param_groups), default=None, key=_plain)
        seen.rates = (_plain(rate) if seen.rates is None else seen.rates[0], _plain(rate))
        parameters = _parameters(optimizer)
        if parameters:
            with unseen():
                self._look(seen, parameters, step)
        elif any(group["params"] for group in optimizer.param_groups):  # all of them frozen
            seen.looked += 1
            seen.without += 1

    def _probes_at(self, step: int) -> bool:
        """Whether parameters are compared at this one of the steps that are looked at."""
        return step > self.every or not step & (step - 1)

    def _look(self, seen: _Optimizer, parameters: list[torch.Tensor], step: int) -> None:
        grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
        seen.looked += 1
        seen.without += not grads
        dense = [grad.detach() for grad in grads if is_readable(grad)]
        if not self.values or not dense:
            return
        if len(dense) == len(grads):
            norm = to_host(_norm(dense))
            seen.norms.append(norm)
            if len(self.gradients) < POINTS:
                self.gradients.append((step, norm))
        if seen.before is not None and len(dense) == len(parameters):
            now, pushed = _probe(each.detach() for each in parameters), _probe(dense)
            if now is not None and pushed is not None and now.shape == seen.before.shape:
                same = (now == seen.before) | (pushed == 0)
                seen.moved.append(to_host(torch.stack([(~same).any(), (pushed != 0).any()])))
        seen.before = None

    def leave(self) -> None:
        """Leave no hook behind."""
        for seen in self.all:
            seen.unhook()

    @property
    def warms_up(self) -> bool:
        """Whether a learning rate rises, as in the first of many steps."""
        return any(seen.rates is not None and seen.rates[0] < seen.rates[1] for seen in self.all)

    def points(self) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
        """The losses and the norms of the gradients over the steps."""
        return tuple(_points(self.losses)), tuple(_points(self.gradients))

    def wrong(self) -> Iterator[Watched]:
        """The optimizers with whose steps something is wrong."""
        for seen in self.all:
            norms = [norm.item() for norm in seen.norms]
            probes = [tuple(bool(each) for each in row.tolist()) for row in seen.moved]
            told = Stepped(seen.turns.count, seen.looked, seen.without, tuple(norms), tuple(probes))
            verdicts = tuple(judge_steps(told))
            if verdicts:
                yield Watched(seen.spot, seen.name, seen.turns.count, verdicts)


def _plain(rate: Any) -> float:
    """A learning rate; one that lies in a tensor is not read, which could wait for a GPU."""
    return float(rate) if isinstance(rate, (int, float)) else 0.0


def _parameters(optimizer: Any) -> list[torch.Tensor]:
    groups: Sequence[dict[str, Any]] = optimizer.param_groups
    return [each for group in groups for each in group["params"] if each.requires_grad]


def _probe(tensors: Any) -> torch.Tensor | None:
    """Some numbers of each tensor, in a row; None if one cannot be read."""
    rows = []
    for tensor in tensors:
        if not is_readable(tensor) or isinstance(tensor, FakeTensor) or tensor.is_complex():
            return None
        flat = tensor.reshape(-1)
        rows.append(flat[:: max(1, math.ceil(flat.numel() / PROBES))].float())
    if not rows or any(row.device != rows[0].device for row in rows):
        return None
    return torch.cat(rows)


def _norm(tensors: list[torch.Tensor]) -> torch.Tensor:
    device = tensors[0].device
    norms = [torch.linalg.vector_norm(each, dtype=_precision(each)).to(device) for each in tensors]
    whole: torch.Tensor = torch.linalg.vector_norm(torch.stack([norm.float() for norm in norms]))
    return whole


def _precision(tensor: torch.Tensor) -> torch.dtype | None:
    return torch.float32 if tensor.dtype in (torch.float16, torch.bfloat16) else None


def _points(held: list[tuple[int, torch.Tensor]]) -> Iterator[Point]:
    for step, number in held:
        yield Point(step, number.item())
