"""`torchlint trace --device fake`: shapes, dtypes and devices without memory, CUDA without CUDA, and where it has to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.trace.conftest import Ran, Run

TRAIN = """\
import copy
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, random_split


class Rows(Dataset):
    def __len__(self):
        return 103

    def __getitem__(self, index):
        return torch.from_numpy(np.full(8, index, "float32")), index % 5


device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
training, validation = random_split(Rows(), [90, 13])
loader = DataLoader(training, batch_size=16, shuffle=True, num_workers=2, pin_memory=True)
model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 5)).to(device)
average = copy.deepcopy(model)
optimizer = torch.optim.AdamW(model.parameters())
scaler = torch.amp.GradScaler("cuda")
criterion = nn.CrossEntropyLoss()
for epoch in range(3):
    total = 0.0
    for x, y in loader:
        x, y = x.to(device, non_blocking=True), y.to(device)
        optimizer.zero_grad()
        with torch.autocast("cuda"):
            loss = criterion(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        if torch.isnan(loss).any():
            raise SystemExit("diverged")
        total += loss.item()
    torch.save(model.state_dict(), "best.pt")
    model.load_state_dict(torch.load("best.pt"))
    with torch.no_grad():
        for x, y in DataLoader(validation, batch_size=16):
            checked = nn.functional.cross_entropy(model(x.cuda()), y.cuda())
    print(f"epoch {epoch} {total:.2f} {checked:.3f}", tuple(model[0].weight.detach().cpu().numpy().shape))
"""


def faked(trace: Run, script: str, *arguments: str) -> Ran:
    return trace({"train.py": script}, "--device", "fake", "--output-format", "json", *arguments, "train.py")


def codes(data: Any) -> set[tuple[int, str]]:
    return {
        (site["location"]["row"], each["code"] or each["name"]) for site in data["sites"] for each in site["verdicts"]
    }


def test_a_program_for_cuda_runs_without_cuda_and_leaves_nothing(trace: Run, tmp_path: Path) -> None:
    ran = faked(trace, TRAIN)
    assert ran.code == 0, ran.err
    training, validation = ran.data["sites"]
    assert ran.err.splitlines() == ["epoch 0 4.00 1.000 (16, 8)"]
    assert ran.data["steps"] == 8
    assert training["arguments"]["input"] == {
        "shapes": [[16, 5], [10, 5]],
        "dtypes": ["float16"],
        "devices": ["cuda:0"],
        "requires_grad": [True],
        "range": None,
        "values": 0,
        "finite": True,
        "provenance": [{"kind": "raw", "operation": "a linear layer", "by": "graph"}],
    }
    assert validation["arguments"]["target"]["devices"] == ["cuda:0"]
    assert codes(ran.data) == set()
    assert ran.data["fake"]["stopped"] is None
    assert [Path(place).name for place in ran.data["fake"]["guessed"]] == ["train.py:38", "train.py:44"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".torchlint", "train.py"]


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (("nn.Linear(16, 5))", "nn.Linear(16, 5), nn.Softmax(1))"), {(30, "TLN104"), (43, "TLN104")}),
        (("model(x.cuda()), y.cuda()", "model(x.cuda()), y"), {(43, "device-mismatch")}),
        (("nn.Linear(16, 5))", "nn.Linear(16, 1))"), {(30, "TLN204"), (43, "TLN204")}),
        (("index % 5", "np.float32(index % 5)"), {(30, "TLN301")}),
    ],
)
def test_what_is_wrong_is_found_without_values(
    trace: Run, change: tuple[str, str], wanted: set[tuple[int, str]]
) -> None:
    assert change[0] in TRAIN
    assert codes(faked(trace, TRAIN.replace(*change)).data) == wanted


def test_an_error_that_a_gpu_would_raise_is_the_programs_own(trace: Run) -> None:
    ran = faked(trace, TRAIN.replace("x, y = x.to(device, non_blocking=True), y.to(device)", "y = y.to(device)"))
    assert ran.code == 1
    assert "train.py" in ran.err and "two devices" in ran.err
    refused = TRAIN.replace("criterion(model(x), y)", "nn.BCELoss()(model(x).sigmoid(), torch.rand_like(model(x)))")
    assert "unsafe to autocast" in faked(trace, refused).err


STOPS = """\
import torch
import torch.nn.functional as F

x = torch.randn(32, 4, requires_grad=True)
for step in range(9):
    try:
        F.mse_loss(x.sigmoid(), torch.zeros(32)).backward()
    except RuntimeError:
        pass
    F.binary_cross_entropy_with_logits(x.sigmoid(), torch.zeros(32, 4)).backward()
    try:
        {code}
    except{what}:
        print("swallowed")
"""


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("x[x > 0]", "nonzero"),
        ("(x > 0).nonzero()", "nonzero"),
        ("torch.unique(x)", "unique"),
        ("if x.sum() > 3: print(x)", "whether a condition holds"),
    ],
)
def test_code_that_needs_values_is_named(trace: Run, tmp_path: Path, code: str, why: str) -> None:
    ran = faked(trace, STOPS.format(code=code, what=" Exception"))
    assert ran.code == 3
    assert "swallowed" not in ran.err
    stopped = ran.data["fake"]["stopped"]
    assert stopped["place"] == f"{tmp_path / 'train.py'}:12"
    assert why in stopped["why"]
    assert codes(ran.data) == {(10, "TLN101")}


def test_a_stop_that_is_swallowed_ends_the_process(trace: Run) -> None:
    ran = trace({"train.py": STOPS.format(code="x[x > 0]", what="")}, "--device", "fake", "train.py")
    assert ran.code == 3
    assert ran.out.count("swallowed") == 3
    assert "stopped: train.py:12: how many values nonzero gives depends on values" in ran.out


OTHERS = """\
import threading
import torch
import torch.nn.functional as F
from torch import nn

with torch.device("meta"):
    empty = nn.Linear(4, 3)
model = empty.to_empty(device="cuda:1").half()
print(model.weight.device, model.weight.dtype, torch.cuda.get_device_properties(0).name, torch.cuda.device_count())
torch.cuda.set_device(1)
x = torch.ones(2, 4).cuda().half()
assert x.to("cuda") is x and x.is_cuda and x.to(x.device, torch.float16) is x
event = torch.cuda.Event(enable_timing=True)
event.record()
torch.cuda.synchronize()


def train():
    scores = nn.DataParallel(model)(x)
    F.cross_entropy(torch.utils.checkpoint.checkpoint(torch.softmax, scores, 1, use_reentrant=False), scores.argmax(1)).backward()
    print(model.weight.grad.device, model.weight.grad.dtype)


thread = threading.Thread(target=train)
thread.start()
thread.join()
"""


def test_other_ways_to_a_device(trace: Run) -> None:
    ran = faked(trace, OTHERS)
    assert ran.err.splitlines() == ["cuda:1 torch.float16 fake device 1", "cuda:0 torch.float16"]
    assert codes(ran.data) == {(20, "TLN104")}


def test_a_fake_run_is_always_short(trace: Run) -> None:
    assert "leave out --full" in trace({"train.py": TRAIN}, "--device", "fake", "--full", "train.py").err
