"""Processes that a script starts by multiprocessing: each that trains is traced, and goes on as it would have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.trace.conftest import Run
from tests.trace.twins import marks

_PARALLEL = """\
import os, sys
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

os.makedirs("runs", exist_ok=True)


def train(rank, world, epochs):
    dist.init_process_group("gloo", init_method=f"file://{sys.argv[1]}", rank=rank, world_size=world)
    torch.manual_seed(0)
    x = torch.randn(64, 4)
    data = TensorDataset(x, (x[:, :1] > 0).float())
    loader = DataLoader(data, batch_size=4, sampler=DistributedSampler(data))
    model = DistributedDataParallel(nn.Sequential(nn.Linear(4, 1), nn.Sigmoid()))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(epochs):
        for inputs, labels in loader:
            scores = model(inputs)
            if rank == 1:
                scores, labels = scores.squeeze(1), labels.squeeze(1)
            loss = binary_cross_entropy_with_logits(scores, labels)  # TLN101
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if rank == 0:
            torch.save(model.state_dict(), "runs/checkpoint.pt")
        dist.barrier()
        torch.load("runs/checkpoint.pt")
        if rank == 0:
            print("epoch", epoch)


if __name__ == "__main__":
    mp.spawn(train, args=(2, 1000), nprocs=2)
    print("saved", sorted(torch.load("runs/checkpoint.pt")))
"""


@pytest.mark.parametrize("right", [False, True], ids=["wrong", "right"])
def test_each_spawned_rank_is_traced(
    trace: Run, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, right: bool
) -> None:
    script = _PARALLEL
    if right:
        change = "            if rank == 1:\n                scores, labels = scores.squeeze(1), labels.squeeze(1)\n"
        assert change in script
        script = script.replace(change, "").replace(", nn.Sigmoid()", "").replace("  # TLN101", "")
    meeting = str(tmp_path_factory.mktemp("meeting") / "point")
    ran = trace({"train.py": script}, "--output-format", "json", "train.py", meeting)
    assert ran.code == int(not right), ran.err
    # Four batches an epoch, eight steps: the second epoch's is the last one. The script then goes on behind its children.
    assert ran.err.splitlines() == ["epoch 0", "saved ['module.0.bias', 'module.0.weight']"]
    (site,) = ran.data["sites"]
    assert {(site["location"]["row"], each["code"]) for each in site["verdicts"]} == marks(script)
    assert (ran.data["steps"], site["count"], ran.data["failures"]) == (8, 8, [])
    told = [
        "rank 0: TLN101 (input 2-D float32 cpu, target 2-D float32 cpu)",
        "rank 1: TLN101 (input 1-D float32 cpu, target 1-D float32 cpu)",
    ]
    assert site["ranks"] == ([] if right else told)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".torchlint", "train.py"]


_WORKERS = """\
import multiprocessing, sys
import torch
import torch.nn.functional as F
from torch import nn

LOSSES = {"bce": F.binary_cross_entropy_with_logits}
torch.manual_seed(0)
x = torch.randn(32, 4)
y = (x[:, :1] > 0).float()
model = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())


def train(number, queue):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    done = 0
    try:
        for step in range(3 if number else int(sys.argv[2])):
            optimizer.zero_grad()
            LOSSES["bce"](model(x), y).backward()  # TLN101
            optimizer.step()
            done += 1
        if number:
            F.binary_cross_entropy(9 * model[0](x), y)  # TLN102
    finally:
        torch.save(model.state_dict(), f"{number}.pt")
        queue.put(done)


if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    for step in range(5):
        LOSSES["bce"](model(x), y)  # TLN101
    queue = context.Queue()
    processes = [context.Process(target=train, args=(number, queue)) for number in range(2)]
    for each in processes:
        each.start()
    print("steps", sorted(queue.get() for _ in processes))
    for each in processes:
        each.join()
    print("exit codes", [each.exitcode for each in processes], len(torch.load("0.pt")))
"""


@pytest.mark.parametrize("start", ["fork", "forkserver"])
def test_one_process_is_stopped_and_another_fails_as_without_the_tracer(
    run: Run, trace: Run, tmp_path: Path, start: str
) -> None:
    plain = run({"train.py": _WORKERS}, "train.py", start, "7")
    assert "steps [3, 7]\nexit codes [0, 1] 2\n" in plain.out and "between 0 and 1" in plain.err
    for file in tmp_path.glob("*.pt"):
        file.unlink()
    # The eighth step is made, and nothing behind it.
    traced = trace({}, "--output-format", "json", "-o", "trace.json", "train.py", start, "1000000")
    assert (traced.code, traced.out, traced.err) == (1, plain.out, plain.err)
    sites = json.loads((tmp_path / "trace.json").read_text("utf-8"))["sites"]
    assert {(site["location"]["row"], each["code"]) for site in sites for each in site["verdicts"]} == marks(_WORKERS)
    counts = {site["location"]["row"]: (site["count"], site["ranks"]) for site in sites}
    assert counts == {19: (8, []), 23: (1, []), 32: (5, [])}  # a process does not tell what it was forked with
    assert sorted(path.name for path in tmp_path.iterdir()) == [".torchlint", "trace.json", "train.py"]


_FAILS = """\
import time
import torch
import torch.multiprocessing as mp
from torch import nn


def train(rank, events):
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(3):
        x, y = torch.randn(32, 4) * (1 + 1000 * step), torch.ones(32, 1)
        if rank:
            loss = nn.BCEWithLogitsLoss()(model(x).sigmoid(), y)  # TLN101
        else:
            loss = nn.BCELoss()(model(x).sigmoid() if step < 1 else model(x), y)  # TLN102
        loss.backward()
        optimizer.step()
        if rank:
            events.set()
            time.sleep(1000)
        events.wait()


if __name__ == "__main__":
    mp.spawn(train, args=(mp.get_context("spawn").Event(),), nprocs=2)
"""


def test_a_failure_in_a_child_comes_out_of_spawn_as_without_the_tracer(run: Run, trace: Run, tmp_path: Path) -> None:
    plain = run({"train.py": _FAILS}, "train.py")
    assert "ProcessRaisedException" in plain.err and "between 0 and 1" in plain.err
    traced = trace({}, "--output-format", "json", "-o", "trace.json", "train.py")
    assert (traced.code, traced.out) == (plain.code, plain.out)
    # The other process is ended by a signal, of which torch tells with its number and the time.
    said = [[line for line in ran.err.splitlines() if "via signal SIGTERM" not in line] for ran in (plain, traced)]
    assert said[0] == said[1] and len(said[0]) == len(plain.err.splitlines()) - 1
    data = json.loads((tmp_path / "trace.json").read_text("utf-8"))
    told = {
        (site["location"]["row"], each["code"], site["count"]) for site in data["sites"] for each in site["verdicts"]
    }
    assert {each[:2] for each in told} == marks(_FAILS)
    assert {each[::2] for each in told} == {(13, 1), (15, 2)} and data["failures"] == []


_WAITS = """\
import multiprocessing
import torch
from torch import nn


def train(queue):
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    while True:
        try:
            nn.BCELoss()(model(torch.randn(8, 4)).sigmoid(), torch.rand(8, 1).round()).backward()
            optimizer.step()
        except:
            print("swallowed")


def watch(queue):
    queue.get()


if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    for target in (watch, train):
        context.Process(target=target, args=(queue,)).start()
    print("got", queue.get())
"""


def test_who_waits_for_a_process_that_was_stopped_is_ended(trace: Run) -> None:
    ran = trace({"train.py": _WAITS}, "train.py")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[:3] == ["swallowed"] * 3
    assert ran.out.splitlines()[-1].endswith("11 optimizer steps: 0 wrong")
    assert "got" not in ran.out and "note:" not in ran.out


def test_ranks_that_are_stopped_at_different_steps_do_not_fail(
    trace: Run, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    more = "            if epoch and rank == 0:\n                optimizer.step()\n"
    step = "            optimizer.step()\n"
    script = _PARALLEL.replace(step, step + more)
    meeting = str(tmp_path_factory.mktemp("meeting") / "point")
    ran = trace({"train.py": script}, "--output-format", "json", "train.py", meeting)
    assert ran.code == 1
    assert ran.err.splitlines() == ["epoch 0", "saved ['module.0.bias', 'module.0.weight']"]
    (site,) = ran.data["sites"]
    assert (ran.data["steps"], site["count"], ran.data["failures"]) == (8, 6, [])
    assert [line.partition(":")[0] for line in site["ranks"]] == ["rank 0", "rank 1"]


_HINDERS = """\
import glob, os, shutil, sys, tempfile
import torch
import torch.multiprocessing as mp
from torch import nn


def train(number):
    torch.manual_seed(number)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(3):
        nn.MSELoss()(model(torch.randn(8, 4)), torch.ones(8, 1)).backward()
        optimizer.step()
    print(number, model.bias.item())


if __name__ == "__main__":
    for folder in glob.glob(os.path.join(tempfile.gettempdir(), "torchlint-children-*")):
        shutil.rmtree(folder)
    for number, start in enumerate(["fork", "spawn"]):
        process = mp.get_context(start).Process(target=train, args=(number,))
        process.start()
        process.join()
        print(process.exitcode)
"""


def test_children_run_also_where_the_tracer_cannot_follow(
    run: Run, trace: Run, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("other")))
    plain = run({"train.py": _HINDERS}, "train.py")
    traced = trace({}, "-o", "trace.txt", "train.py")
    assert (traced.code, traced.out) == (0, plain.out) and plain.err == ""
    assert traced.err.startswith("torchlint: what a child process saw is lost: FileNotFoundError")
