"""The tracer under what people train with: torchrun, Lightning, the Trainer of Transformers, Accelerate, losses of libraries.

Each script is tried wrong, with marks at the lines that are, and right.
"""

from __future__ import annotations

import json
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.trace.conftest import Run
from tests.trace.twins import marks

_PARALLEL = """\
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

dist.init_process_group("gloo")
rank = dist.get_rank()
x = torch.randn(64, 4)
data = TensorDataset(x, (x[:, :1] > 0).float())
loader = DataLoader(data, batch_size=4, sampler=DistributedSampler(data))
model = DistributedDataParallel(nn.Sequential(nn.Linear(4, 1), nn.Sigmoid()))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(5):
    for inputs, labels in loader:
        scores = model(inputs)
        if rank == 1:
            scores, labels = scores.squeeze(1), labels.squeeze(1)
        loss = nn.functional.binary_cross_entropy_with_logits(scores, labels)  # TLN101
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if rank == 0:
        torch.save(model.state_dict(), "checkpoint.pt")
    dist.barrier()
    torch.load("checkpoint.pt")
"""


@pytest.mark.parametrize("right", [False, True])
def test_each_process_is_traced_and_the_first_reports(run: Run, tmp_path: Path, right: bool) -> None:
    script = _PARALLEL
    if right:
        change = "        if rank == 1:\n            scores, labels = scores.squeeze(1), labels.squeeze(1)\n"
        script = script.replace(change, "").replace(", nn.Sigmoid()", "").replace("  # TLN101", "")
    arguments = ("--standalone", "--nproc-per-node", "2", "-m", "torchlint", "trace", "--output-format", "json")
    ran = run({"train.py": script}, "-m", "torch.distributed.run", *arguments, "train.py")
    assert ran.code == int(not right), ran.err
    (site,) = ran.data["sites"]
    assert {(site["location"]["row"], each["code"]) for each in site["verdicts"]} == marks(script)
    told = [
        "rank 0: {}input 2-D float32 cpu, target 2-D float32 cpu)",
        "rank 1: {}input 1-D float32 cpu, target 1-D float32 cpu)",
    ]
    assert site["ranks"] == ([] if right else [line.format("TLN101 (") for line in told])
    assert sorted(path.name for path in tmp_path.iterdir()) == [".torchlint", "train.py"]


def test_what_only_one_process_sees_is_reported(run: Run) -> None:
    script = _PARALLEL.replace(", nn.Sigmoid()", "").replace("squeeze(1), labels", "sigmoid(), labels")
    arguments = ("--standalone", "--nproc-per-node", "2", "-m", "torchlint", "trace", "train.py")
    ran = run({"train.py": script.replace("labels.squeeze(1)", "labels")}, "-m", "torch.distributed.run", *arguments)
    assert ran.code == 1
    assert "the processes disagree at train.py:19:16" in ran.out
    assert "(rank 1)" in ran.out and ran.out.count("error[TLN101]") == 1


class Framework(NamedTuple):
    """A script for a library, and the change that makes it right."""

    needs: tuple[str, ...]
    script: str
    change: tuple[str, str]


_DATA = """\
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(67, 4)
y = (x[:, :1] > 0).float()
"""
FRAMEWORKS = [
    Framework(
        ("lightning",),
        """\
import lightning
"""
        + _DATA
        + """\
class Net(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())
        self.loss = nn.BCEWithLogitsLoss()

    def training_step(self, batch, index):
        return self.loss(self.net(batch[0]), batch[1])  # TLN101

    def validation_step(self, batch, index):
        self.log("checked", self.loss(self.net(batch[0]), batch[1]))  # TLN101

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


loader = DataLoader(TensorDataset(x, y), batch_size=8)
stopping = lightning.pytorch.callbacks.EarlyStopping("checked")
trainer = lightning.Trainer(
    max_epochs=3, accelerator="cpu", devices=2, strategy="ddp", callbacks=[stopping], enable_progress_bar=False
)
trainer.fit(Net(), loader, loader)
""",
        (", nn.Sigmoid()", ""),
    ),
    Framework(
        ("transformers", "accelerate"),
        _DATA
        + """\
from transformers import Trainer, TrainingArguments


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())

    def forward(self, x, labels):
        scores = self.net(x)
        return {"loss": nn.functional.binary_cross_entropy_with_logits(scores, labels), "logits": scores}  # TLN101


rows = [{"x": a, "labels": b} for a, b in zip(x, y)]
arguments = TrainingArguments("out", num_train_epochs=3, use_cpu=True, report_to=[], save_steps=2, logging_steps=2)
Trainer(Net(), arguments, train_dataset=rows, eval_dataset=rows).train()
""",
        (", nn.Sigmoid()", ""),
    ),
    Framework(
        ("accelerate",),
        _DATA
        + """\
from accelerate import Accelerator

accelerator = Accelerator(cpu=True)
net = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())
loader = DataLoader(TensorDataset(x, y), batch_size=8)
net, optimizer, loader = accelerator.prepare(net, torch.optim.SGD(net.parameters(), lr=0.1), loader)
for epoch in range(3):
    for inputs, labels in loader:
        with accelerator.accumulate(net):
            loss = nn.functional.binary_cross_entropy_with_logits(net(inputs), labels)  # TLN101
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
    accelerator.save_state("state")
""",
        (", nn.Sigmoid()", ""),
    ),
]


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda each: each.needs[0])
@pytest.mark.parametrize("right", [False, True], ids=["wrong", "right"])
def test_under_a_framework(trace: Run, tmp_path: Path, framework: Framework, right: bool) -> None:
    for name in framework.needs:
        if find_spec(name) is None:
            pytest.skip(f"needs {name}")
    script = framework.script
    if right:
        assert framework.change[0] in script
        script = script.replace(*framework.change).replace("  # TLN101", "")
    ran = trace({"train.py": script}, "-o", "trace.json", "--output-format", "json", "train.py")
    assert ran.code == int(not right), ran.err + ran.out
    sites = json.loads((tmp_path / "trace.json").read_text("utf-8"))["sites"]
    found = {(site["location"]["row"], each["code"] or each["name"]) for site in sites for each in site["verdicts"]}
    assert sites and found == marks(script)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".torchlint", "trace.json", "train.py"]


_STEP = """
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(4):
    optimizer.zero_grad()
    loss = {loss}
    loss.backward()
    optimizer.step()
"""
LIBRARIES = [
    (
        "torchvision",
        "from torchvision.ops import sigmoid_focal_loss",
        "sigmoid_focal_loss(scores{}, flags, reduction='mean')",
    ),
    ("monai", "from monai.losses import FocalLoss", "FocalLoss()(scores{}, flags)"),
    ("monai", "from monai.losses import DiceCELoss", "DiceCELoss(sigmoid=True)(scores{}, flags)"),
    (
        "segmentation_models_pytorch",
        "from segmentation_models_pytorch.losses import FocalLoss",
        "FocalLoss('binary')(scores{}, flags)",
    ),
    (
        "kornia",
        "from kornia.losses import binary_focal_loss_with_logits",
        "binary_focal_loss_with_logits(scores{}, flags, reduction='mean')",
    ),
    ("timm", "from timm.loss import BinaryCrossEntropy", "BinaryCrossEntropy()(scores{}, flags)"),
]


@pytest.mark.parametrize(
    ("library", "imports", "loss"), LIBRARIES, ids=[each[2].partition("(")[0] for each in LIBRARIES]
)
def test_the_losses_of_libraries(trace: Run, library: str, imports: str, loss: str) -> None:
    if find_spec(library) is None:
        pytest.skip(f"needs {library}")
    try:
        import_module(library)
    except Exception as error:  # noqa: BLE001  # built for another torch
        pytest.skip(f"{library} does not load here: {error}")
    setup = (
        _DATA + f"{imports}\nx = torch.randn(4, 3, 8, 8)\nmodel = nn.Conv2d(3, 1, 1)\nflags = (x[:, :1] > 0).float()\n"
    )
    loop = _STEP.replace("    loss =", "    scores = model(x)\n    loss =")
    for middle in (".sigmoid()", ""):
        script = setup + loop.format(loss=loss.format(middle))
        ran = trace({"train.py": script}, "--output-format", "json", "train.py")
        line = script.splitlines().index(f"    loss = {loss.format(middle)}") + 1
        rows = {site["location"]["row"]: site for site in ran.data["sites"]}
        assert line in rows, ran.err
        wrong = {each["code"] for each in rows[line]["verdicts"] if each["severity"] != "suspect"}
        assert bool(wrong & {"TLN101", "TLN111"}) == bool(middle), (library, wrong)
