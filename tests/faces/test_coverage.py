"""`check --coverage`: every loss call, what is known of it, and where sight of the rest was lost."""

from __future__ import annotations

import json

from tests.faces.conftest import BAD, GOOD, Run, Tree

TRAIN = """\
import torch
from torch import nn

import losses
import settings
from nets import Net


def known(loader):
    net = Net()
    criterion = nn.BCEWithLogitsLoss()
    for x, y in loader:
        criterion(net(x), y)


def unknown(score, loader):
    for x, y in loader:
        nn.BCELoss()(score(x), y)


def by_name(x, y):
    criterion = getattr(losses, settings.name)
    return criterion(x, y)


def handed(x, y, loss_fn):
    return loss_fn(x, y)


def by_hand(p, y):
    return squared_loss(p, y)


def squared_loss(p, y):
    return ((p - y) ** 2).mean()
"""
NETS = """\
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 1)

    def forward(self, x):
        return self.fc(x)
"""
FILES = {"train.py": TRAIN, "nets.py": NETS, "losses.py": "", "settings.py": "import os\n\nname = os.environ['LOSS']\n"}


def listed(text: str) -> dict[str, list[str]]:
    """The lines under each call, by the call's headline."""
    out: dict[str, list[str]] = {}
    for line in text.partition("\n\n")[0].splitlines():
        if line.startswith("    "):
            out[list(out)[-1]].append(" ".join(line.split()))
        else:
            out[line] = []
    return out


def test_each_call_is_told_with_the_place_where_sight_was_lost(tree: Tree, torchlint: Run) -> None:
    tree(FILES)
    result = torchlint("check", "--coverage")
    assert listed(result.out) == {
        "train.py:13:9: nn.BCEWithLogitsLoss": [
            "input raw values (logits)",
            "target not known (parameter loader of known, no caller in sight, train.py:9:11)",
        ],
        "train.py:18:9: nn.BCELoss": [
            "input not known (parameter score of unknown, no caller in sight, train.py:16:13)",
            "target not known (parameter loader of unknown, no caller in sight, train.py:16:20)",
        ],
        "train.py:23:12: criterion": [
            "criterion not known (getattr with a name that the code does not fix, train.py:22:17)"
        ],
        "train.py:27:12: loss_fn": [
            "criterion not known (parameter loss_fn of handed, no caller in sight, train.py:26:18)"
        ],
        "train.py:31:12: squared_loss": [
            "criterion not known (code of the project that calls no loss known to torchlint, train.py:31:12)"
        ],
    }
    assert result.out.splitlines()[-2:] == [
        "No findings (checked 4 files)",
        "2 loss calls: the input of 1 is known, the target of 0; 3 calls that look like one are not understood",
    ]
    assert result.code == 0


def test_a_caller_tells_what_a_function_gets(tree: Tree, torchlint: Run) -> None:
    files = {
        "steps.py": "from torch import nn\n\n\ndef step(model, x, y):\n    return nn.BCELoss()(model(x), y)\n",
        "main.py": "import zoo\n\nfrom steps import step\n\n\ndef main(x, y):\n    step(zoo.create('net'), x, y)\n",
    }
    tree(files)
    told = torchlint("check", "--coverage").out
    assert "steps.py:5:12: nn.BCELoss\n    input      not known (result of zoo.create, main.py:7:10)\n" in told
    tree({"main.py": files["main.py"].replace("zoo.create('net')", "nn.Sigmoid()").replace("zoo", "torch.nn as nn")})
    told = torchlint("check", "--coverage").out
    assert "steps.py:5:12: nn.BCELoss\n    input      probabilities\n" in told


CHOSEN = """\
from peft import get_peft_model
from torch import nn


class Tuner:
    def __init__(self, criterion=None, adapted=False):
        if criterion is None:
            criterion = nn.CrossEntropyLoss()
        self.criterion = criterion
        self.model = nn.Linear(3, 4)
        if adapted:
            self.model = get_peft_model(self.model, 3)

    def train(self, loader):
        for x, y in loader:
            loss = self.loss(self.model(x), y.squeeze(), self.criterion)
            loss.backward()

    def loss(self, logits, labels, criterion):
        return criterion(logits, labels)
"""
"""A finding that is certain only while it is known under which test each possibility stands."""


def test_findings_stay_what_they_are(tree: Tree, torchlint: Run) -> None:
    tree({"a.py": BAD, "chosen.py": CHOSEN, **FILES})
    plain, covered = torchlint("check"), torchlint("check", "--coverage")
    assert covered.code == plain.code == 1
    assert covered.out.startswith(plain.out.partition("Found ")[0])
    assert "a.py:8:12: nn.BCEWithLogitsLoss\n    input      probabilities\n" in covered.out


def test_json_holds_findings_and_coverage(tree: Tree, torchlint: Run) -> None:
    root = tree({"a.py": BAD, **FILES})
    found = json.loads(torchlint("check", "--coverage", "--output-format", "json").out)
    assert found["diagnostics"] == json.loads(torchlint("check", "--output-format", "json").out)
    coverage = found["coverage"]
    calls = coverage.pop("calls")
    assert coverage == {"loss_calls": 3, "input_known": 2, "target_known": 0, "unresolved": 3}
    assert (calls[0]["name"], calls[0]["location"]["row"]) == ("nn.BCEWithLogitsLoss", 8)
    (by_name,) = [call for call in calls if call["name"] == "criterion"]
    assert by_name["criterion"] == {
        "state": "unknown",
        "kinds": [],
        "reason": {
            "filename": str(root / "train.py"),
            "cell": None,
            "location": {"row": 22, "column": 17},
            "end_location": {"row": 22, "column": 47},
            "note": "getattr with a name that the code does not fix",
        },
    }


def test_without_a_loss_there_is_nothing_to_tell(tree: Tree, torchlint: Run) -> None:
    tree({"a.py": "print()\n"})
    assert torchlint("check", "--coverage").out == "No findings (checked 1 file)\n0 loss calls\n"
    found = json.loads(torchlint("check", "--coverage", "--output-format", "json").out)
    assert found["coverage"]["calls"] == found["diagnostics"] == []


def test_concise_is_one_line_for_each_call(tree: Tree, torchlint: Run) -> None:
    tree({"a.py": GOOD})
    result = torchlint("check", "--coverage", "--output-format", "concise")
    assert result.out == (
        "a.py:8:12: nn.BCEWithLogitsLoss: input not known (parameter logits of loss_of, no caller in sight, a.py:5:13); "
        "target not known (parameter labels of loss_of, no caller in sight, a.py:5:21)\n"
        "No findings (checked 1 file)\n"
        "1 loss call: the input of 0 is known, the target of 0\n"
    )


def test_statistics_leave_no_room_for_it(tree: Tree, torchlint: Run) -> None:
    tree({"a.py": GOOD})
    result = torchlint("check", "--coverage", "--statistics")
    assert (result.code, result.out) == (2, "")
    assert "--coverage and --statistics do not go together" in result.err
