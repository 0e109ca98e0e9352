"""The benchmark of the tracer sees what a trace costs; its figures are taken by hand, on a quiet machine."""

from __future__ import annotations

import time

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from tests.benchmarks.tracing import Blocks, cost, mlp
from torchlint.trace.session import Trace

ORIGINAL = torch.Tensor.backward


class Slow(Trace):
    """One that takes 5 ms at each step of an optimizer."""

    def start(self) -> None:
        super().start()

        def slowly(*args: object) -> None:
            until = time.process_time() + 0.005
            while time.process_time() < until:
                pass

        self.hook = register_optimizer_step_pre_hook(slowly)

    def stop(self) -> None:
        self.hook.remove()
        super().stop()


def test_a_slow_trace_is_seen_to_be() -> None:
    found = cost(mlp(8), Blocks(2, 1), Slow(), pairs=(4, 4))
    assert found.times > 2
    assert found.first > 100
    assert torch.Tensor.backward is ORIGINAL
