"""How much a trace costs: the time of a training step with and without it, in blocks that take turns, medians of both.

python -m tests.benchmarks.tracing
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import nn

from torchlint.trace.session import Trace

BLOCKS = 9


def mlp() -> tuple[nn.Module, torch.Tensor]:
    """A small network: about 0.6 ms a step on an idle core."""
    layers = (nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    return nn.Sequential(*layers), torch.randn(64, 256)


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


def resnet() -> tuple[nn.Module, torch.Tensor]:
    """A small residual network: some tens of ms a step."""
    blocks = [Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), *blocks, *head), torch.randn(32, 3, 32, 32)


def ratio(make: Callable[[], tuple[nn.Module, torch.Tensor]], steps: int) -> tuple[float, float]:
    """Milliseconds of an untraced step, and how many times as long a traced one takes."""
    torch.manual_seed(0)
    model, inputs = make()
    labels = torch.randint(10, (len(inputs),))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    trace = Trace()

    def block() -> float:
        begin = time.perf_counter()
        for _ in range(steps):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return (time.perf_counter() - begin) / steps

    @contextmanager
    def traced() -> Iterator[None]:
        trace.start()
        yield
        trace.stop()

    block()
    with traced():
        block()  # the first calls are all examined; here it is the sampling that counts
    plain, costs = [], []
    for _ in range(BLOCKS):
        plain.append(block())
        with traced():
            costs.append(block())
    pairs = [after / before for before, after in zip(plain, costs, strict=True)]
    return 1000 * statistics.median(plain), statistics.median(pairs)


if __name__ == "__main__":
    torch.set_num_threads(1)
    # As with `torchlint trace --full`: some of the calls are looked at, and nothing is kept for plots.
    for name, make, steps, most in (("MLP", mlp, 300, 1.03), ("ResNet", resnet, 10, 1.01)):
        milliseconds, times = ratio(make, steps)
        print(f"{name}: {milliseconds:.2f} ms a step, {times:.3f} times as long when traced, at most {most}")
