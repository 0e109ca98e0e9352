"""What a trace saw and what the linter found: confirmed, refuted, unseen, added, and ignored once the file has changed."""

from __future__ import annotations

import json
from pathlib import Path

from tests.trace.conftest import Run

TRAIN = """\
import json
import sys
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
fast = "--fast" in sys.argv
x, y = torch.randn(32, 4), torch.randint(5, (32,))
model = nn.Linear(4, 5)
head = nn.Linear(4, 1)
flags = (x[:, :1] > 0).float()
optimizer = torch.optim.SGD([*model.parameters(), *head.parameters()], lr=0.1)


def never(scores):
    return F.binary_cross_entropy_with_logits(torch.sigmoid(scores), flags)


def sure():
    return F.binary_cross_entropy_with_logits(torch.sigmoid(head(x)), flags)


def by_name(name):
    return getattr(nn, name)()(model(x).softmax(1), y)


def either(scores):
    if fast:
        scores = torch.sigmoid(scores)
    return F.binary_cross_entropy_with_logits(scores, flags)


def hidden(name):
    return getattr(nn, name)()(model(x).softmax(1), y)  # torchlint: ignore[TLN104] on purpose


for step in range(3):
    loss = sure() + by_name(json.loads('"CrossEntropyLoss"')) + either(head(x)) + hidden(json.loads('"CrossEntropyLoss"'))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def found(run: Run, *arguments: str) -> dict[tuple[str, int], str | None]:
    """Code, line and what the trace says of it."""
    ran = run({}, "-m", "torchlint", "check", "--output-format", "json", "--isolated", *arguments)
    return {
        (each["code"], each["location"]["row"]): each["runtime"] and each["runtime"]["status"]
        for each in json.loads(ran.out)
    }


def test_a_trace_confirms_refutes_and_adds(run: Run, trace: Run, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAIN, "utf-8")
    assert found(run) == {("TLN101", 17): None, ("TLN101", 21): None, ("TLN001", 35): None}
    likely = found(run, "--confidence", "likely")
    trace({}, "train.py")
    assert (tmp_path / ".torchlint" / "trace.json").is_file()
    seen = {("TLN101", 17): "unseen", ("TLN101", 21): "confirmed", ("TLN104", 25): "confirmed"}
    assert {key: value for key, value in found(run).items() if key[0] != "TLN001"} == seen
    assert ("TLN101", 31) in likely
    assert ("TLN101", 31) not in found(run, "--confidence", "likely")
    trace({}, "train.py", "--fast")
    assert found(run)["TLN101", 31] == "confirmed"
    text = run({}, "-m", "torchlint", "check", "--isolated").out
    assert "error[TLN101] sigmoid-before-with-logits, confirmed by a trace" in text


MARKS = {
    "full": (", confirmed by a trace", ", not met by a trace"),
    "concise": (" [confirmed]", " [unseen]"),
    "json": ('"status": "confirmed"', '"status": "unseen"'),
    "sarif": ('"runtime": "confirmed"', '"runtime": "unseen"'),
    "github": ("(Confirmed by a trace.)", "(Not met by a trace.)"),
    "gitlab": ("(Confirmed by a trace.)", "(Not met by a trace.)"),
    "junit": ("  confirmed by a trace", "  not met by a trace"),
}


def test_every_format_says_what_the_trace_saw(run: Run, trace: Run) -> None:
    trace({"train.py": TRAIN}, "train.py")
    for name, (confirmed, unseen) in MARKS.items():
        out = run({}, "-m", "torchlint", "check", "--isolated", "--select", "TLN1", "--output-format", name).out
        assert (out.count(confirmed), out.count(unseen)) == (2, 1), name


REFUTED = """\
import torch
import torch.nn.functional as F
from torch import nn

x = torch.randn(32, 4)
model = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid())
for layer in list(vars(model)["_modules"]):
    if layer != "0":
        del vars(model)["_modules"][layer]
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(3):
    loss = F.binary_cross_entropy_with_logits(model(x), (x[:, :1] > 0).float())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_a_certain_finding_that_a_trace_refutes_is_marked(run: Run, trace: Run, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(REFUTED, "utf-8")
    assert found(run) == {("TLN101", 12): None}
    trace({}, "train.py")
    assert found(run) == {("TLN101", 12): "refuted"}


def test_a_stale_trace_is_ignored_and_said_to_be(run: Run, trace: Run, tmp_path: Path) -> None:
    trace({"train.py": TRAIN}, "train.py")
    (tmp_path / "train.py").write_text(f"{TRAIN}\n", "utf-8")
    ran = run({}, "-m", "torchlint", "check", "--isolated")
    assert "changed since the trace, which is ignored there: train.py" in ran.err
    assert "by a trace" not in ran.out


def test_both_in_one_command(trace: Run) -> None:
    ran = trace({"train.py": TRAIN}, "--check", "--isolated", "--output-format", "json", "train.py")
    assert ran.code == 1
    assert {(each["code"], each["location"]["row"]) for each in ran.data["diagnostics"]} >= {
        ("TLN101", 21),
        ("TLN104", 25),
    }
    assert len(ran.data["sites"]) == 4
