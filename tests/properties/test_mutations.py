"""Damaged files: whatever happens to a real file's lines, linting it ends with findings or a message, never with a defect."""

from __future__ import annotations

import importlib.util
import random
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.properties.grammar import SNIPPETS
from torchlint.engine import check_texts
from torchlint.outcome import Report

ROOT = Path(__file__).parents[2]


def real_files() -> dict[str, str]:
    """Files of torch that use losses and layers, by name; and our own examples."""
    found: dict[str, str] = {}
    torch = importlib.util.find_spec("torch")
    if torch is not None and torch.origin is not None:
        home = Path(torch.origin).parent
        for name in ("nn/modules/container.py", "nn/modules/loss.py", "nn/modules/adaptive.py", "utils/checkpoint.py"):
            if (home / name).exists():
                found[name] = (home / name).read_text("utf-8")
    for path in [*sorted((ROOT / "examples").rglob("*.py")), *sorted((ROOT / "tests").glob("*.py"))]:
        found[str(path.relative_to(ROOT))] = path.read_text("utf-8")
    # Under a name that leads nowhere on disk, so that a file's imports are unknown.
    return {f"sample/{name}": text for name, text in found.items() if text.strip()}


FILES = real_files()
MODEL = """
import torch, torch.nn as nn, torch.nn.functional as F

class Net(nn.Module):
    def __init__(self, n, layers=(1, 2)):
        super().__init__()
        self.body = nn.Sequential(*[nn.Linear(n, n) for _ in layers], nn.Linear(n, 1))
        self.criterion = nn.BCEWithLogitsLoss(reduction="none")

    def forward(self, x, y=None):
        x = self.body(x)
        if y is not None:
            return torch.sigmoid(x), self.criterion(torch.sigmoid(x).squeeze(), y)
        return torch.sigmoid(x)

def train(model: Net, data, *, loss_fn=F.binary_cross_entropy_with_logits):
    for x, y in data:
        try:
            out = model(x)
            loss = loss_fn(out.view(-1), y.unsqueeze(1)) if y.dim() else F.cross_entropy(out.softmax(1), y)
        except RuntimeError as error:
            raise
        finally:
            model.eval()
    return (lambda p: F.binary_cross_entropy(p, y))(out)

train(Net(3), [(torch.rand(4, 3), torch.rand(4, 1))])
"""
TOKEN = re.compile(r"\w+|[^\w\s]|\s+")


def check(files: dict[str, str]) -> Report:
    report = check_texts(files)
    internal = [problem for problem in report.problems if problem.internal]
    assert not internal, internal
    for problem in report.problems:
        assert problem.path in files, problem
        assert problem.message
        assert "Traceback" not in problem.message
        lines = files[problem.path].count("\n") + 2
        assert problem.line is None or 1 <= problem.line <= lines
    for each in report.diagnostics:
        lines = files[each.place.path].count("\n") + 1
        assert 1 <= each.place.line <= each.place.end_line <= lines
        assert each.message
        assert "{" not in each.message
    return report


def mutate(text: str, random: random.Random) -> str:
    """One to three changes of lines: deleted, doubled, swapped, moved in or out, cut off, or a token of them changed."""
    lines = text.splitlines(keepends=True)
    for _ in range(random.randint(1, 3)):
        if not lines:
            break
        at = random.randrange(len(lines))
        other = random.randrange(len(lines))
        match random.randrange(9):
            case 0:
                del lines[at : at + random.choice((1, 1, 1, 5))]
            case 1:
                lines.insert(at, lines[other])
            case 2:
                lines[at], lines[other] = lines[other], lines[at]
            case 3:
                lines[at] = "    " + lines[at]
            case 4:
                lines[at] = lines[at][random.choice((1, 4)) :]
            case 5:
                lines = lines[: at + 1]
                lines[-1] = lines[-1][: random.randrange(len(lines[-1]) + 1)]
            case 6:
                tokens = TOKEN.findall(lines[at])
                if tokens:
                    del tokens[random.randrange(len(tokens))]
                lines[at] = "".join(tokens)
            case 7:
                tokens, donors = TOKEN.findall(lines[at]), TOKEN.findall(lines[other])
                if tokens and donors:
                    tokens[random.randrange(len(tokens))] = random.choice(donors)
                lines[at] = "".join(tokens)
            case 8:
                lines[at:at] = lines[other : other + 8]
    return "".join(lines)


@pytest.mark.parametrize("name", FILES)
def test_real_files_as_they_are(name: str) -> None:
    assert not check({name: FILES[name]}).problems


def test_a_text_alone_does_not_miss_what_lies_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    name = "examples/churn/train.py"
    assert not check({name: (ROOT / name).read_text("utf-8")}).problems


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(FILES)), st.randoms(use_true_random=False))
def test_mutated_real_files(name: str, random: random.Random) -> None:
    check({name: mutate(FILES[name], random)})


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False))
def test_mutated_model(random: random.Random) -> None:
    check({"model.py": mutate(MODEL, random)})


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_mutated_project(random: random.Random) -> None:
    start = "sample/examples/churn/"
    files = {path.removeprefix(start): text for path, text in FILES.items() if path.startswith(start)}
    check({name: mutate(text, random) for name, text in files.items()})


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(sorted(SNIPPETS)), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_grammar_around_a_loss(names: list[str], random: random.Random) -> None:
    """Every construct is interpreted, too, if a loss stands beside it."""
    parts = [*(SNIPPETS[name] for name in names if SNIPPETS[name].endswith("\n")), MODEL]
    random.shuffle(parts)
    check({"model.py": "".join(parts)})


@pytest.mark.parametrize("name", SNIPPETS)
def test_every_construct_is_interpreted(name: str) -> None:
    text = SNIPPETS[name]
    check({"model.py": f"{MODEL}\n{text}"})
    if not any(mark in text for mark in ("import *", "__future__", "\r", "'''", '"""', "\\\n", "\x0c", "\t")):
        body = "".join(f"        {line}\n" for line in text.splitlines())
        call = "        return torch.nn.functional.binary_cross_entropy_with_logits(torch.sigmoid(a), b)\n"
        check({"model.py": f"{MODEL}\nclass Other(Net):\n    def step(self, a, b, c, d):\n{body}{call}"})


@settings(max_examples=200, deadline=None)
@example("x = '\ud800'\n")
@example("\ufeffimport torch\n")
@example("x = 1\x00\n")
@given(st.text(max_size=60))
def test_any_text_beside_a_loss(text: str) -> None:
    check({"model.py": f"{MODEL}{text}"})
