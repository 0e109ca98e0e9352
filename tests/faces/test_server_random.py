"""Random edits, most of them no Python: the server never fails, and what it tells is what a fresh run finds."""

from __future__ import annotations

import asyncio
import random

from lsprotocol import types as lsp

from tests.faces.conftest import Tree
from tests.faces.editor import Editor, capabilities, editor, offset
from tests.faces.test_server import MODEL, TRAIN
from torchlint import engine
from torchlint.analysis import lower_ast

EDITS = 300
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


def test_random_edits(tree: Tree) -> None:
    async def run() -> None:
        chance = random.Random(5)
        found = 0
        async with editor(tree({"model.py": MODEL, "train.py": TRAIN}), capabilities(pull=True)) as ed:
            for name in WHOLE:
                ed.open(name)
            for number in range(1, EDITS + 1):
                edit(ed, chance)
                if number % 10:
                    continue
                await told(ed)
                for name, whole in WHOLE.items():  # what is no Python by now begins anew
                    if "\r" in ed.texts[name] or lower_ast.parse(ed.texts[name]) is None:
                        ed.rewrite(name, chance.choice(whole))
                now = await told(ed)
                assert now == fresh(ed.texts)
                found += bool(now)
            for name, (last, *_) in WHOLE.items():
                ed.rewrite(name, last)
            assert await told(ed) == fresh(ed.texts) != set()
            assert found > EDITS / 50
            assert not ed.client.messages

    asyncio.run(run())


def test_the_editor_of_the_tests_counts_as_the_server_does() -> None:
    text = "a😀b\nc"
    assert [offset(text, lsp.Position(*at)) for at in ((0, 0), (0, 3), (0, 4), (1, 1))] == [0, 2, 3, 5]
