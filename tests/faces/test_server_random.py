"""Random edits, most of them no Python: the server never fails or grows, and what it tells is what a fresh run finds."""

from __future__ import annotations

import asyncio
import gc
import random
from pathlib import Path

import pytest
from lsprotocol import types as lsp

from tests.faces.conftest import Tree
from tests.faces.editor import Editor, capabilities, editor, offset
from tests.faces.test_server import MODEL, TRAIN
from torchlint import engine
from torchlint.analysis import lower_ast
from torchlint.server.documents import Document, Opened
from torchlint.server.runs import Request, Runs
from torchlint.server.texts import Position

EDITS = 1000
CHECKED = 20
"""After so many edits what is told is held against a fresh run."""

GROWTH = 6 << 20
"""Bytes by which the server may grow over all edits but the first fifth."""

PIECES = (
    *"()[]{}:,.#'\"\\\n\t 😀é",
    "\n    ",
    "\n\n\ndef f(x):\n    return x\n",
    "torch.sigmoid(x)",
    "nn.BCELoss()",
    "import torch\n",
    "'''",
    "criterion(model(x), y)\n",
    "# torchlint: ignore[TLN101] so\n",
    "\r",
    "\x0c",
)
WHOLE = {
    "model.py": (MODEL, MODEL.replace("torch.sigmoid(self.last(x))", "self.last(x)"), ""),
    "train.py": (TRAIN, TRAIN.replace("BCEWithLogitsLoss", "BCELoss"), f"# 😀\n{TRAIN}"),
}


def edit(ed: Editor, chance: random.Random) -> None:
    """One edit: a whole text, or something put in place of a few characters."""
    name = chance.choice(sorted(WHOLE))
    text = ed.texts[name]
    if chance.random() < 0.08:
        ed.rewrite(name, chance.choice(WHOLE[name]))
    elif chance.random() < 0.25 and len(text) > 1:  # takes out and puts back, as undo does
        start = chance.randrange(len(text))
        taken = text[start : start + chance.randrange(1, 40)]
        ed.replace(name, start, start + len(taken), "")
        ed.replace(name, start, start, taken)
    else:
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice((0, 0, 0, 1, 3, 30)))
        ed.replace(name, start, end, chance.choice(PIECES))


async def told(ed: Editor) -> set[tuple[str, str, int, int]]:
    """What the server tells: code and offsets by file."""
    return {
        (name, str(each.code), offset(ed.texts[name], each.range.start), offset(ed.texts[name], each.range.end))
        for name in WHOLE
        for each in await ed.pull(name)
    }


def fresh(texts: dict[str, str]) -> set[tuple[str, str, int, int]]:
    """What a run over these texts finds."""

    def at(path: str, line: int, column: int) -> int:
        return sum(len(each) + 1 for each in texts[path].split("\n")[: line - 1]) + column - 1

    return {
        (
            each.place.path,
            each.code,
            at(each.place.path, each.place.line, each.place.column),
            at(each.place.path, each.place.end_line, each.place.end_column),
        )
        for each in engine.check_texts(texts).diagnostics
    }


def memory(ed: Editor) -> int | None:
    """The bytes that the server holds, once its texts are whole; None where the system does not tell."""
    try:
        status = Path(f"/proc/{ed.client._server.pid}/status").read_text("utf-8")  # type: ignore[union-attr]
    except OSError:
        return None
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmRSS:"))


@pytest.mark.slow
def test_random_edits(tree: Tree) -> None:
    async def run() -> None:
        chance = random.Random(5)
        found = 0
        early: int | None = None
        async with editor(tree({"model.py": MODEL, "train.py": TRAIN}), capabilities(pull=True)) as ed:
            for name in WHOLE:
                ed.open(name)
            for number in range(1, EDITS + 1):
                edit(ed, chance)
                if chance.random() < 0.7:  # otherwise the next edit comes before this one was looked at
                    await told(ed)
                if number % CHECKED:
                    continue
                for name, whole in WHOLE.items():  # what is no Python by now begins anew
                    if "\r" in ed.texts[name] or lower_ast.parse(ed.texts[name]) is None:
                        ed.rewrite(name, chance.choice(whole))
                now = await told(ed)
                assert now == fresh(ed.texts)
                found += bool(now)
                if number == EDITS // 5:
                    early = memory(ed)
            for name, (last, *_) in WHOLE.items():
                ed.rewrite(name, last)
            assert await told(ed) == fresh(ed.texts) != set()
            assert found > EDITS / CHECKED / 5
            late = memory(ed)
            assert early is None or late is None or late - early < GROWTH, (early, late)
            assert not ed.client.messages

    asyncio.run(run())


def test_what_is_kept_between_runs_does_not_grow(tmp_path: Path) -> None:
    chance, edits = random.Random(7), 300
    path = tmp_path / "model.py"
    part = Document(path.as_uri(), MODEL, 1)
    opened, runs = Opened(str(path), part.uri, [part]), Runs()
    counts: list[int] = []
    for number in range(edits):
        start = Position(chance.randrange(12), 0)
        whole = chance.random() < 0.5
        if whole:
            part.edit(None, None, f"{MODEL}# {number}\n", "utf-16")
        else:
            part.edit(start, start, chance.choice(PIECES), "utf-16")
        snapshot = opened.snapshot()
        looked = runs.lint(Request((snapshot,), (str(tmp_path),))).looked[str(path)]
        if looked.good[0]:
            part.took(snapshot.parts[0].text, snapshot.parts[0].changes)
        opened.found = looked.diagnostics
        if whole and number > edits // 5 and len(counts) < number // 10:
            gc.collect()
            counts.append(len(gc.get_objects()))
    assert len(counts) > edits / 20
    assert max(counts) - min(counts) < 2 * edits, "a module that is kept for each edit is ten objects or more"


def test_the_editor_of_the_tests_counts_as_the_server_does() -> None:
    text = "a😀b\nc"
    assert [offset(text, lsp.Position(*at)) for at in ((0, 0), (0, 3), (0, 4), (1, 1))] == [0, 2, 3, 5]
