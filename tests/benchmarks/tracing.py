"""How much a trace costs: a training step's time with and without it, in short blocks that take turns.

python -m tests.benchmarks.tracing

It is the processor's time of one thread, which other work on the machine hardly changes. The figure is the median of the
ratios of neighbours: a block and the traced one beside it, which comes first in every other pair. What a run pays at its
beginning, where all calls are looked at, is told apart. Starting and stopping a trace changes classes of torch, after which
Python has to learn again which code is hot: so each block begins with steps that are not timed, as a run starts only once.
"""

from __future__ import annotations

import gc
import math
import os
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from torchlint.trace.session import Trace

Network = tuple[nn.Module, torch.Tensor]

ENOUGH = 0.0015
"""Pairs are added until the median's standard error is below this, but so many at least and at most."""
PAIRS = (40, 200)
FIRST = 100
"""Steps at the beginning of a run: all those that are looked at for being the first ones are among them."""


class Blocks(NamedTuple):
    """How many steps of a block are timed, and how many before them are not."""

    timed: int
    before: int


class Cost(NamedTuple):
    """Milliseconds of a plain step, how many times as long a traced one takes, and that median's standard error.

    `first` are the milliseconds more that the first steps of a run take all together.
    """

    milliseconds: float
    times: float
    error: float
    first: float


def mlp(width: int) -> Network:
    """A small network with two hidden layers."""
    layers = (nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))
    return nn.Sequential(*layers), torch.randn(64, width)


def fitting(milliseconds: float) -> Network:
    """The widest such network whose step takes so long at most on this machine, or the narrowest of all."""
    networks = (mlp(width) for width in (512, 384, 256, 192, 128, 96, 64, 32))
    for network in networks:
        step = _step(*network, by_module=False)
        _seconds(step, 50)
        if 1000 * statistics.median(_seconds(step, 1) for _ in range(100)) <= milliseconds:
            break
    return network


class Block(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.around = nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The sum of both ways."""
        return F.relu(self.path(x) + self.around(x))


def resnet() -> Network:
    """A small residual network: some tens of ms a step."""
    blocks = [Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), *blocks, *head), torch.randn(32, 3, 32, 32)


def cost(
    network: Network,
    blocks: Blocks,
    trace: Trace | None = None,
    pairs: tuple[int, int] = PAIRS,
    *,
    by_module: bool = False,
) -> Cost:
    """Measure the steps of a network, plain and traced by turns. Its loss is torch's function, or the module that calls it."""
    step = _step(*network, by_module=by_module)
    trace = trace or Trace()

    def plain() -> float:
        _seconds(step, blocks.before)
        gc.collect()
        return _seconds(step, blocks.timed) / blocks.timed

    def traced() -> float:
        with trace:
            return plain()

    _seconds(step, FIRST)
    usual = _seconds(step, FIRST)
    with trace:
        first = _seconds(step, FIRST) - usual
    gc.collect()
    gc.freeze()  # what is there already is not collected again and again
    try:
        taken: list[tuple[float, float]] = []
        while len(taken) < pairs[1] and (len(taken) < pairs[0] or _error(taken) > ENOUGH):
            if len(taken) % 2:
                after = traced()
                taken.append((plain(), after))
            else:
                taken.append((plain(), traced()))
    finally:
        gc.unfreeze()
    milliseconds = 1000 * statistics.median(before for before, _ in taken)
    return Cost(milliseconds, statistics.median(_ratios(taken)), _error(taken), 1000 * first)


def _step(model: nn.Module, inputs: torch.Tensor, *, by_module: bool) -> Callable[[], None]:
    labels = torch.randint(10, (len(inputs),))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    module = nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def step_by_module() -> None:
        optimizer.zero_grad()
        module(model(inputs), labels).backward()
        optimizer.step()

    return step_by_module if by_module else step


def _seconds(step: Callable[[], None], count: int) -> float:
    begin = time.process_time()
    for _ in range(count):
        step()
    return time.process_time() - begin


def _ratios(taken: list[tuple[float, float]]) -> list[float]:
    return [after / before for before, after in taken]


def _error(taken: list[tuple[float, float]]) -> float:
    """The standard error of the ratios' median, from their quartiles, which single outliers do not move."""
    low, _, high = statistics.quantiles(_ratios(taken))
    return 1.2533 * (high - low) / 1.349 / math.sqrt(len(taken))


def main() -> None:
    """Measure both networks, and print."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    # As with `torchlint trace --full`: some of the calls are looked at, and nothing is kept for plots.
    small = fitting(0.65)
    for name, network, by_module, blocks, most in (
        ("MLP, cross_entropy", small, False, Blocks(60, 90), 1.03),
        ("MLP, CrossEntropyLoss", small, True, Blocks(60, 90), 1.03),
        ("ResNet", resnet(), True, Blocks(2, 1), 1.01),
    ):
        found = cost(network, blocks, by_module=by_module)
        print(
            f"{name}: {found.milliseconds:.2f} ms a step, {found.times:.4f} times as long when traced"
            f" (standard error {found.error:.4f}), at most {most};"
            f" {found.first:.0f} ms more for the first {FIRST} steps together;"
            f" load {os.getloadavg()[0]:.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
