"""On a GPU: numbers are read without waiting for it, and what a GPU refuses is still explained. Skipped where there is none."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.trace.conftest import Run
from torchlint.trace.session import Trace

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


def test_no_step_waits_for_the_gpu() -> None:
    model = nn.Linear(64, 1).cuda()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(256, 64, device="cuda")
    y = (x[:, :1] > 0).float()
    with Trace() as trace:
        torch.cuda.set_sync_debug_mode("error")
        try:
            for _ in range(100):
                optimizer.zero_grad()
                F.binary_cross_entropy_with_logits(model(x).sigmoid(), y).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    result = trace.report()
    assert result.failures == ()
    (site,) = result.sites
    assert [told.code for told in site.verdicts] == ["TLN101"]
    assert site.examined >= 64
    assert all(call.result is not None and 0 < call.result < 2 for call in site.calls)
    assert all(
        values is not None and 0 <= values.low < values.high <= 1
        for call in site.calls
        for values in [call.args["input"].values]
    )
    assert len(result.gradients) >= 64 and all(point.value > 0 for point in result.gradients)


def test_labels_that_a_gpu_only_refuses_with_an_assertion(trace: Run) -> None:
    script = """\
import torch
import torch.nn.functional as F

scores = torch.randn(8, 3, device="cuda", requires_grad=True)
F.cross_entropy(scores, torch.arange(8, device="cuda")).backward()
torch.cuda.synchronize()
"""
    ran = trace({"train.py": script}, "--output-format", "json", "train.py")
    assert ran.code == 1 and "device-side assert" in ran.err
    assert [each["code"] for each in ran.data["sites"][0]["verdicts"]] == ["TLN302"]
