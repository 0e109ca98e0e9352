"""`torchlint trace`: a dry run that stops, lets the program be as it is, and reports."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from tests.trace.conftest import Run

TRAIN = """\
import sys
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(1003, 4)
y = (x[:, :1] > 0).float()
loader = DataLoader(TensorDataset(x, y), batch_size=10, shuffle=True)
model = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
print("arguments", sys.argv[1:], len(loader))
for epoch in range(1000):
    for inputs, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(inputs), labels)
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        for inputs, labels in loader:
            checked = criterion(model(inputs).squeeze(), labels.squeeze())
    print("validated", epoch)
"""


def test_a_dry_run_reaches_validation_and_the_short_last_batch_and_stops(trace: Run, tmp_path: Path) -> None:
    ran = trace({"train.py": TRAIN}, "--output-format", "json", "train.py", "--lr", "0.1", "-x")
    assert ran.code == 1
    assert ran.err.splitlines() == ["arguments ['--lr', '0.1', '-x'] 101", "validated 0"]
    training, validation = ran.data["sites"]
    assert ran.data["steps"] == 8
    assert training["filename"] == str(tmp_path / "train.py")
    assert training["location"] == {"row": 17, "column": 16}
    assert training["end_location"] == {"row": 17, "column": 48}
    assert training["contract"] == "binary_cross_entropy_with_logits"
    assert training["count"] == 8
    assert training["arguments"]["input"]["shapes"] == [[10, 1], [3, 1]]
    assert validation["shapes"] == {"input": [[10], [3]], "target": [[10], [3]]}
    assert training["dtypes"] == {"input": ["float32"], "target": ["float32"]}
    assert training["devices"] == {"input": ["cpu"], "target": ["cpu"]}
    assert (
        training["range"]["target"] == [0, 1] and 0 < training["range"]["input"][0] < training["range"]["input"][1] < 1
    )
    assert training["provenance"] == {
        "input": [{"kind": "probability", "operation": "torch.sigmoid", "by": "graph"}],
        "target": [],
    }
    assert [verdict["code"] for verdict in training["verdicts"]] == ["TLN101"]
    assert [verdict["severity"] for verdict in validation["verdicts"]] == ["error"]
    assert validation["arguments"]["input"]["provenance"] == [
        {"kind": "probability", "operation": "torch.sigmoid", "by": "storage"}
    ]


def test_the_table_names_place_code_and_evidence(trace: Run) -> None:
    ran = trace({"train.py": TRAIN}, "train.py")
    assert ran.code == 1
    assert "error[TLN101] sigmoid-before-with-logits: BCEWithLogitsLoss applies a sigmoid itself" in ran.out
    assert "--> train.py:17:16" in ran.out
    assert "torch.sigmoid seen in the autograd graph" in ran.out
    assert "in 8 of 8 calls examined" in ran.out


SWALLOWS = """\
import torch
from torch import nn

model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
while True:
    try:
        nn.MSELoss()(model(torch.randn(8, 4)), torch.zeros(8, 1)).backward()
        optimizer.step()
    except{what}:
        print("swallowed")
"""


def test_a_stop_that_is_swallowed_ends_the_process(trace: Run) -> None:
    ran = trace({"train.py": SWALLOWS.format(what="")}, "--steps", "2", "train.py")
    assert ran.code == 0
    assert ran.out.count("swallowed") == 3
    assert "train.py:8" in ran.out


def test_except_exception_does_not_see_the_stop(trace: Run) -> None:
    ran = trace({"train.py": SWALLOWS.format(what=" Exception")}, "train.py")
    assert ran.code == 0
    assert "swallowed" not in ran.out


FAILS = """\
import torch
from torch import nn

model = nn.Linear(4, 1)


def step(x, y):
    return nn.BCELoss()(model(x), y)


if __name__ == "__main__":
    try:
        step(torch.randn(8, 4) * 9, torch.ones(8, 1))
    except RuntimeError as error:
        raise ValueError("no luck") from error
"""


def test_a_failing_script_fails_as_without_the_tracer(run: Run, trace: Run) -> None:
    plain = run({"train.py": FAILS}, "train.py")
    traced = trace({}, "train.py")
    assert plain.code == traced.code == 1
    assert traced.err == plain.err
    assert "TLN102" in traced.out


def test_exit_codes_and_modules_are_the_programs_own(run: Run, trace: Run) -> None:
    files = {
        "pack/__init__.py": "",
        "pack/__main__.py": "import sys\nfrom . import rest\nprint(sys.argv[1:], __name__, __package__, sys.path[0] == '')\n"
        "import atexit\natexit.register(lambda: print('at exit'))\nsys.exit(7)\n",
        "pack/rest.py": "",
    }
    plain = run(files, "-m", "pack", "a")
    traced = trace({}, "-m", "pack", "a")
    assert plain.code == traced.code == 7
    assert [line for line in traced.out.splitlines() if line][:2] == [line for line in plain.out.splitlines() if line][
        :2
    ]


def test_what_cannot_be_run_is_said_so(trace: Run) -> None:
    ran = trace({}, "missing.py")
    assert ran.code == 2
    assert re.search(r"missing\.py: no such script", ran.err)


WORKERS = """\
import sys
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

open("log.txt", "a").write(__name__)


class Rows(Dataset):
    def __len__(self):
        return 47

    def __getitem__(self, index):
        return torch.full((4,), index / 47), torch.tensor([index % 2.0])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 1)

    def forward(self, x):
        return torch.sigmoid(self.head(x))


if __name__ == "__main__":
    model = torch.compile(Net())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(Rows(), batch_size=4, num_workers=1, multiprocessing_context=sys.argv[1])
    for x, y in loader:
        loss = nn.BCEWithLogitsLoss()(model(x), y)
        loss.backward()
        optimizer.step()
    print("through", sorted(model.state_dict()))
"""


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_loader_workers_and_compiled_models(trace: Run, tmp_path: Path, start: str) -> None:
    ran = trace({"train.py": WORKERS}, "--output-format", "json", "train.py", start)
    assert "through ['_orig_mod.head.bias', '_orig_mod.head.weight']" in ran.err
    (site,) = ran.data["sites"]
    assert site["location"]["row"] == 31
    assert site["arguments"]["input"]["shapes"] == [[4, 1], [3, 1]]
    assert [verdict["code"] for verdict in site["verdicts"]] == ["TLN101"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".torchlint", "train.py"]


SCRIPTED = """\
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))

    def forward(self, x):
        return self.head(x).softmax(1)


@torch.jit.script
def scripted(scores, labels):
    return F.cross_entropy(scores, labels)


x, y = torch.randn(32, 4), torch.randint(3, (32,))
for model in (torch.jit.script(Net()), torch.jit.trace(Net(), x)):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(5):
        optimizer.zero_grad()
        scripted(model(x), y).backward()
        optimizer.step()
    with torch.no_grad():
        F.cross_entropy(model.eval()(x), y)
    model.save("model.pt")
    print(type(scripted.graph).__name__, sorted(torch.jit.load("model.pt").state_dict()) == sorted(model.state_dict()))
"""


@pytest.mark.filterwarnings("ignore")
def test_scripted_code_is_seen_and_stays_what_it_is(trace: Run, tmp_path: Path) -> None:
    ran = trace({"train.py": SCRIPTED}, "--output-format", "json", "train.py")
    assert "Graph True\nGraph True\n" in ran.err
    wrong = {(site["location"]["row"], each["code"]) for site in ran.data["sites"] for each in site["verdicts"]}
    assert wrong == {(17, "TLN104"), (28, "TLN104")}
    right = trace({"train.py": SCRIPTED.replace(".softmax(1)", "")}, "--output-format", "json", "train.py")
    assert right.code == 0 and [site["count"] for site in right.data["sites"]] == [10, 2], right.err
    assert sorted(path.name for path in tmp_path.iterdir()) == [".torchlint", "train.py"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_model_on_cuda(trace: Run) -> None:
    script = TRAIN.replace("y = (", "x = x.cuda()\ny = (").replace("nn.Sigmoid())", "nn.Sigmoid()).cuda()")
    ran = trace({"train.py": script}, "--output-format", "json", "train.py")
    training, _ = ran.data["sites"]
    assert training["arguments"]["input"]["devices"] == ["cuda:0"]
    assert [verdict["code"] for verdict in training["verdicts"]] == ["TLN101"]
