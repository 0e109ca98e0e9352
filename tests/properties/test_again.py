"""A run that remembers the last one finds what a fresh one finds, whatever was edited in between, and runs little again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from torchlint import engine
from torchlint.analysis.whole import Alone
from torchlint.cache import Cache
from torchlint.config import Settings
from torchlint.outcome import Report

NET = """\
from torch import nn
from {layers} import last


class {name}(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(8, 1)
        self.last = last()

    def forward(self, x):
        return self.last(self.body(x))
"""
TRAIN = """\
from torch import nn
from {module} import {name}
from lib.steps import step


def main(loader):
    net = {name}()
    criterion = nn.{loss}()
    for x, y in loader:
        criterion(net(x), y).backward()
        step(net, x, y).backward()
"""
FILES = {
    "lib/__init__.py": "",
    "lib/layers.py": "from torch import nn\n\n\ndef last():\n    return nn.Sigmoid()\n",
    "lib/plain.py": "from torch import nn\n\n\ndef last():\n    return nn.Identity()\n",
    "lib/criteria.py": "from torch import nn\n\nmeasure = nn.BCEWithLogitsLoss()\n",
    "lib/steps.py": "from lib.criteria import measure\n\n\ndef step(net, x, y):\n    return measure(net(x), y)\n",
    "models/__init__.py": "from models.first import First\n",
    "models/first.py": NET.format(layers="lib.layers", name="First"),
    "models/second.py": NET.format(layers="lib.plain", name="Second"),
    "train_first.py": TRAIN.format(module="models", name="First", loss="BCEWithLogitsLoss"),
    "train_second.py": TRAIN.format(module="models.second", name="Second", loss="BCELoss"),
    "tools/eval.py": "from torch import nn\nfrom models.second import Second\n\n\ndef check(x, y):\n"
    "    return nn.CrossEntropyLoss()(Second()(x).softmax(1), y)  # torchlint: ignore[TLN103]\n",
    "tools/wrong.py": "import torch.nn\nloss = torch.nn.BCELoss(\n",
    "other.py": "def double(x):\n    return 2 * x  # noqa: TLN101\n",
}
HIDING = {
    "lib/layers/__init__.py": "from torch import nn\n\n\ndef last():\n    return nn.Softmax(1)\n",
    "tools/models/second.py": NET.format(layers="lib.layers", name="Second"),
    "models/__init__.py": "from models.second import Second as First\n",
    "more.py": "from lib.steps import step\n\n\ndef more(net, x, y):\n    step(lambda z: net(z).sigmoid(), x, y)\n",
}
"""Files that come, some in the way of an import, and what a package hands on otherwise."""

NEW = """

def added(x, y):
    return nn.BCEWithLogitsLoss()(x.sigmoid(), y)
"""
CALLING = """

def tell(x, y):
    from lib.criteria import measure

    return measure(x.softmax(1), y)
"""
WORDS = {
    "Sigmoid": "Identity",
    "Identity": "Sigmoid",
    "BCEWithLogitsLoss": "BCELoss",
    "BCELoss": "BCEWithLogitsLoss",
    "measure": "weigh",
    "lib.plain": "lib.layers",
    "softmax(1)": "log_softmax(1)",
    "ignore[TLN103]": "ignore[TLN105]",
    "def step(net, x, y)": "def step(net, y, x)",
}


def _edit(folder: Path, choice: random.Random) -> str:
    """Edit something; gives what, in words."""
    paths = sorted(path for path in folder.rglob("*.py") if ".kept" not in path.parts)
    path = choice.choice(paths)
    name = path.relative_to(folder).as_posix()
    text = path.read_text("utf-8")
    what = choice.choice(
        ["comment", "above", "word", "word", "word", "everywhere", "new", "calling", "gone", "comes", "back"]
    )
    if what == "comment":
        path.write_text(f"{text}# a comment\n", "utf-8")
    elif what == "above":
        path.write_text(f"# a comment\n\n{text}", "utf-8")
    elif what == "new":
        path.write_text(f"{text}{NEW}", "utf-8")
    elif what == "calling":
        path.write_text(f"{text}{CALLING}", "utf-8")
    elif what == "gone":
        path.unlink()
    elif what == "comes":
        name = choice.choice(sorted(HIDING))
        _write(folder, name, HIDING[name])
    elif what == "back":
        name = choice.choice(sorted(FILES))
        _write(folder, name, FILES[name])
    else:
        before = choice.choice([word for word in WORDS if word in text] or ["import"])
        for each in paths if what == "everywhere" else [path]:
            each.write_text(each.read_text("utf-8").replace(before, WORDS.get(before, before)), "utf-8")
        name += f": {before}"
    return f"{what} {name}"


def _write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def _check(cache: Cache | None) -> Report:
    return engine.check(["."], Settings(confidence="likely"), cache=cache)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        _write(tmp_path, name, text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run_again(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose entries are run from now on, round by round."""
    seen: list[str] = []
    one = Alone.one

    def spy(self: Alone, path: str, *rest: object) -> object:
        seen.append(path)
        return one(self, path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Alone, "one", spy)
    return seen


@pytest.mark.parametrize("seed", range(6))
def test_a_run_finds_what_a_fresh_one_finds_after_every_edit(
    project: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchlint.recall._FEW", seed)  # so that all words are written anew now and then
    choice, cache, done = random.Random(seed), Cache(".kept"), []
    found = _told(_check(cache))
    different = 0
    for _ in range(25):
        done.append(_edit(project, choice))
        before, found = found, _told(_check(cache))
        assert found == _told(_check(None)), done
        assert found == _told(_check(cache)), done
        different += found != before
    assert different >= 5


def _told(report: Report) -> tuple[object, ...]:
    return report.diagnostics, report.problems, report.files, report.analysed, report.incomplete


ALL = {"train_first.py", "train_second.py", "tools/eval.py", "tools/wrong.py", "lib/criteria.py", "lib/steps.py"}


@pytest.mark.parametrize(
    ("name", "change", "again"),
    [
        ("train_first.py", lambda text: f"# a comment\n{text}", ()),
        ("other.py", lambda text: text + "\n\ndef treble(x):\n    return 3 * x\n", ()),
        ("models/first.py", lambda text: text.replace("self.body(x)", "self.body(x).sigmoid()"), ("train_first.py",)),
        ("lib/plain.py", lambda text: text.replace("Identity", "Sigmoid"), ("tools/eval.py", "train_second.py")),
        ("train_second.py", lambda text: text.replace("BCELoss", "BCEWithLogitsLoss"), ("train_second.py",)),
        ("train_second.py", lambda text: text + NEW, ("train_second.py",)),
    ],
)
def test_what_does_not_depend_on_a_change_is_not_run_again(
    project: Path, run_again: list[str], name: str, change: Callable[[str], str], again: Iterable[str]
) -> None:
    cache = Cache(".kept")
    _check(cache)
    assert set(run_again) >= ALL
    run_again.clear()
    path = project / name
    path.write_text(change(path.read_text("utf-8")), "utf-8")
    found = _check(cache)
    assert set(run_again) == set(again)
    assert _told(found) == _told(_check(None))


@pytest.mark.parametrize(
    ("steps", "growth", "again"), [(2, 20, False), (2, 5000, True), (1, 20, False), (3, 5000, False)]
)
def test_a_program_is_run_again_when_a_module_grows_so_that_other_modules_are_read(
    project: Path, run_again: list[str], monkeypatch: pytest.MonkeyPatch, steps: int, growth: int, again: bool
) -> None:
    """Of the modules that the program imports, two of one step each, it may read so many steps."""
    monkeypatch.setattr("torchlint.analysis.program.MAX_IMPORTS", steps * 4096)
    cache = Cache(".kept")
    _check(cache)
    run_again.clear()
    path = project / "lib/plain.py"
    path.write_text(f"{path.read_text('utf-8')}# {'x' * growth}\n", "utf-8")
    found = _check(cache)
    assert ("tools/eval.py" in run_again) == again
    assert _told(found) == _told(_check(None))
