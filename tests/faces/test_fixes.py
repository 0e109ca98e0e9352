"""Repairing files: what is written, what is left alone, and what the command says of it."""

from __future__ import annotations

import codecs
import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests.faces.conftest import BAD, GOOD, Run, Tree
from torchlint import fixes
from torchlint.splice import Refused

FIXED = BAD.replace("torch.sigmoid(logits)", "logits")
"""What --fix makes of BAD: nothing else uses the probabilities."""

MODEL = """\
import torch
from torch import nn

model = nn.Sequential(
    nn.Linear(4, 1),  # the head
    nn.Sigmoid(),
)
"""
TRAIN = """\
from model import model
from torch import nn


def step(x, y):
    return nn.BCEWithLogitsLoss()(model(x), y)
"""


def test_a_file_is_repaired_once(tree: Tree, torchlint: Run) -> None:
    root = tree({"a.py": BAD, "good.py": GOOD, "raw.py": "from torch import nn\nloss = nn.BCELoss()\n"})
    first = torchlint("check", "--fix")
    assert first == (0, "Fixed 1 finding in 1 file\nNo findings (checked 3 files)\n", "")
    assert (root / "a.py").read_text() == FIXED
    before = (root / "a.py").stat()
    assert torchlint("check", "--fix") == (0, "Nothing fixed\nNo findings (checked 3 files)\n", "")
    assert (root / "a.py").stat().st_mtime_ns == before.st_mtime_ns
    assert sorted(path.name for path in root.iterdir()) == ["a.py", "good.py", "raw.py"]


def test_unsafe_fixes_are_made_only_when_asked_for(tree: Tree, torchlint: Run) -> None:
    root = tree({"model.py": MODEL, "train.py": TRAIN, "a.py": BAD})
    result = torchlint("check", "--output-format", "concise")
    assert [" [*] " in line for line in result.out.splitlines()[:2]] == [True, False]
    assert result.out.splitlines()[-1] == "[*] 1 can be fixed with --fix, 1 more with --unsafe-fixes"
    assert torchlint("check", "--unsafe-fixes").out.splitlines()[-1] == "[*] 2 can be fixed with --fix"
    assert (root / "a.py").read_text() == BAD
    result = torchlint("check", "--fix")
    assert result.code == 1
    assert result.out.splitlines()[-3:] == [
        "Fixed 1 finding in 1 file",
        "Found 1 error in 1 file (checked 3 files)",
        "1 can be fixed with --fix --unsafe-fixes",
    ]
    assert (root / "model.py").read_text() == MODEL
    assert torchlint("check", "--fix", "--unsafe-fixes").code == 0
    assert (root / "model.py").read_text() == MODEL.replace("    nn.Sigmoid(),\n", "")
    assert (root / "train.py").read_text() == TRAIN


def test_a_file_that_nobody_named_is_left_alone(tree: Tree, torchlint: Run) -> None:
    root = tree({"model.py": MODEL, "train.py": TRAIN})
    result = torchlint("check", "train.py", "--fix", "--unsafe-fixes")
    assert result.code == 1
    assert "at model.py:6:1 (by hand: the file is not among those checked)" in result.out
    assert (root / "model.py").read_text() == MODEL
    fix = json.loads(torchlint("check", "train.py", "--output-format", "json").out)[0]["fix"]
    assert (fix["applicability"], fix["edits"][0]["filename"]) == ("display", str(root / "model.py"))


def test_a_hidden_finding_is_not_repaired(tree: Tree, torchlint: Run) -> None:
    hidden = BAD.rstrip() + "  # torchlint: ignore[TLN101]\n"
    root = tree({"a.py": hidden})
    assert torchlint("check", "--fix").code == 0
    assert torchlint("check", "--fix", "--ignore", "TLN").code == 0
    assert (root / "a.py").read_text() == hidden


def test_json_tells_the_edits(tree: Tree, torchlint: Run) -> None:
    root = tree({"a.py": BAD})
    fix = json.loads(torchlint("check", "--output-format", "json").out)[0]["fix"]
    assert fix["applicability"] == "safe"
    text = BAD
    for edit in reversed(fix["edits"]):
        assert edit["filename"] == str(root / "a.py")
        lines = text.splitlines(keepends=True)
        ends = []
        for place in (edit["location"], edit["end_location"]):
            ends.append(sum(map(len, lines[: place["row"] - 1])) + place["column"] - 1)
        text = text[: ends[0]] + edit["content"] + text[ends[1] :]
    assert text == FIXED


# ------------------------------------------------------------------ bytes


@pytest.mark.parametrize(
    ("before", "encoding"),
    [
        (BAD.encode(), "utf-8"),
        (codecs.BOM_UTF8 + BAD.encode(), "utf-8"),
        (BAD.replace("\n", "\r\n").encode(), "utf-8"),
        (BAD.replace("\n", "\r").encode(), "utf-8"),
        (BAD.rstrip().encode(), "utf-8"),
        (("# Größe – 损失 😀\n" + BAD).replace("    prob", "\t  \n    prob").encode(), "utf-8"),
        (("# coding: latin-1\n# é ÿ\n" + BAD).encode("latin-1"), "latin-1"),
        (("# -*- coding: cp1251 -*-\r\n# потери\r\n" + BAD).encode("cp1251"), "cp1251"),
        (("# coding: shift_jis\n# 損失\n" + BAD).encode("shift_jis"), "shift_jis"),
        (BAD.replace("(logits)", "(logits)  # probabilities\f").encode(), "utf-8"),
    ],
)
def test_every_other_byte_is_kept(before: bytes, encoding: str, tree: Tree, torchlint: Run) -> None:
    root = tree({"a.py": before})
    assert torchlint("check", "--fix").code == 0
    call = "torch.sigmoid(logits)".encode(encoding)
    assert before.count(call) == 1
    assert (root / "a.py").read_bytes() == before.replace(call, b"logits")


CALL = "return criterion(probabilities, labels)"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("criterion(torch.sigmoid(logits + 1) * 1, labels)", "criterion(torch.sigmoid(logits + 1) * 1, labels)"),
        ("criterion(torch.sigmoid(-logits).view(-1), labels)", "criterion((-logits).view(-1), labels)"),
        ("criterion(torch.sigmoid((-logits)).view(-1), labels)", "criterion((-logits).view(-1), labels)"),
        ("criterion((logits - 1).sigmoid(), labels)", "criterion((logits - 1), labels)"),
        (
            "criterion(input=torch.sigmoid(\n        logits\n    ), target=labels)",
            "criterion(input=logits, target=labels)",
        ),
        ("criterion(torch.sigmoid(\n  logits\n  - 1\n), labels)", "criterion((logits\n  - 1), labels)"),
        ("criterion(torch.sigmoid(input=logits)[0], labels)", "criterion(logits[0], labels)"),
        ("criterion(nn.Sigmoid()(logits), labels)", "criterion(logits, labels)"),
        ("criterion(torch.sigmoid(logits if labels else 1 - logits), labels)", None),
    ],
)
def test_an_activation_is_taken_out(before: str, after: str | None, tree: Tree, torchlint: Run) -> None:
    root = tree({"a.py": BAD.replace(CALL, f"return {before}")})
    torchlint("check", "--fix")
    text = (root / "a.py").read_text()
    compile(text, "a.py", "exec")
    if after is not None:
        assert text == BAD.replace(CALL, f"return {after}")


FUNCTION = "import torch\nfrom torch import nn\ncriterion = nn.BCEWithLogitsLoss()\n\n\ndef step(net, x, y, seen):\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # used elsewhere: the loss gets what the activation is applied to
        (
            "p = torch.sigmoid(net(x))\nloss = criterion(p, y)\nseen.append(p)",
            "scores = net(x)\np = torch.sigmoid(scores)\nloss = criterion(scores, y)\nseen.append(p)",
        ),
        (
            "out = net(x)\np = torch.sigmoid(out)\nloss = criterion(p[:, 0], y)\nseen.append(p)",
            "out = net(x)\np = torch.sigmoid(out)\nloss = criterion(out[:, 0], y)\nseen.append(p)",
        ),
        # the same name
        ("p = net(x)\np = torch.sigmoid(p)\nloss = criterion(p, y)", "p = net(x)\nloss = criterion(p, y)"),
        # over several names
        (
            "p = net(x).sigmoid()\nq = p.squeeze(1)\nloss = criterion(q, y)",
            "p = net(x)\nq = p.squeeze(1)\nloss = criterion(q, y)",
        ),
        # bound anew in between: not the same scores any more
        (
            "out = net(x)\np = torch.sigmoid(out)\nout = out * 0\nloss = criterion(p, y)\nseen.append(p)",
            "out = net(x)\nscores = out\np = torch.sigmoid(scores)\nout = out * 0\nloss = criterion(scores, y)\nseen.append(p)",
        ),
    ],
)
def test_other_uses_keep_their_probabilities(before: str, after: str, tree: Tree, torchlint: Run) -> None:
    def function(body: str) -> str:
        return FUNCTION + "".join(f"    {line}\n" for line in [*body.split("\n"), "return loss"])

    root = tree({"a.py": function(before)})
    assert torchlint("check", "--fix").code == 0
    assert (root / "a.py").read_text() == function(after)


@pytest.mark.parametrize(
    "body",
    [
        "x = x + 1; p = torch.sigmoid(net(x)); loss = criterion(p, y); seen.append(p)",  # no line of its own to put a statement on
        "p = q = torch.sigmoid(net(x))\nloss = criterion(p, y)",
        "p = torch.sigmoid(net(x))\nloss = criterion(p, y)\nseen.append(lambda: p)\np = None",
        "p = torch.sigmoid(net(x))\np.mul_(0.5)\nloss = criterion(p, y)",
        "p = torch.sigmoid(net(x))\nloss = criterion(p, y)\nseen.append(locals())",
        "loss = criterion(seen.setdefault(0, p := torch.sigmoid(net(x))), y)",
        "loss = criterion(torch.sigmoid(net(x)).clamp(1e-6, 1 - 1e-6), y)",
    ],
)
def test_nothing_is_safe_that_is_not_proven(body: str, tree: Tree, torchlint: Run) -> None:
    text = FUNCTION + "".join(f"    {line}\n" for line in [*body.split("\n"), "return loss"])
    root = tree({"a.py": text})
    torchlint("check", "--fix")
    assert (root / "a.py").read_text() == text


def test_a_loss_that_callers_choose_makes_it_unsafe(tree: Tree, torchlint: Run) -> None:
    shared = "import torch\n\n\ndef step(criterion, x, y):\n    return criterion(torch.sigmoid(x), y)\n"
    callers = (
        "import torch\nfrom shared import step\nfrom torch import nn\n\nx, y = torch.zeros(4), torch.zeros(4)\n"
        "step(nn.BCELoss(), x, y)\nstep(nn.BCEWithLogitsLoss(), x, y)\n"
    )
    root = tree({"shared.py": shared, "callers.py": callers})
    result = torchlint("check", "--fix", "--output-format", "concise")
    assert "TLN101" in result.out
    assert (root / "shared.py").read_text() == shared


# ------------------------------------------------------------------ clashes, diffs, files


def test_fixes_that_clash_are_made_one_after_the_other(tree: Tree, torchlint: Run) -> None:
    body = "import torch\nfrom torch import nn\na = nn.BCEWithLogitsLoss()\n\n\ndef step(x, y):\n"
    before = f"{body}    p = torch.sigmoid(x + 1)\n    seen = p > 0.5\n    return a(p, y) + a(p[0], y), seen\n"
    after = (
        f"{body}    scores = x + 1\n    p = torch.sigmoid(scores)\n    seen = p > 0.5\n"
        "    return a(scores, y) + a(scores[0], y), seen\n"
    )
    root = tree({"a.py": before})
    assert torchlint("check", "--fix").out.startswith("Fixed 2 findings in 1 file\nNo findings")
    assert (root / "a.py").read_text() == after
    assert torchlint("check", "--fix").code == 0
    assert (root / "a.py").read_text() == after


def test_a_diff_writes_nothing_and_can_be_applied(tree: Tree, torchlint: Run) -> None:
    files = {"a.py": BAD.rstrip(), "sub/b.py": BAD.replace("\n", "\r\n"), "good.py": GOOD}
    root = tree(files)
    result = torchlint("check", "--diff")
    assert (result.code, result.err) == (1, "Would fix 2 findings in 2 files\n")
    assert {name: (root / name).read_bytes().decode() for name in files} == files
    assert torchlint("check", "--diff", "--exit-zero").code == 0
    patch = subprocess.run(
        ["git", "apply", "-p0", "--verbose"], input=result.out.encode(), cwd=root, capture_output=True, check=False
    )
    assert patch.returncode == 0, patch.stderr
    assert (root / "a.py").read_text() == FIXED.rstrip()
    assert (root / "sub/b.py").read_bytes().decode() == FIXED.replace("\n", "\r\n")
    assert torchlint("check", "--diff") == (0, "", "Nothing to fix\n")


def test_standard_input_goes_to_standard_output(tree: Tree, torchlint: Run) -> None:
    tree({})
    raw = codecs.BOM_UTF8 + BAD.replace("\n", "\r\n").encode()
    result = torchlint("check", "-", "--fix", stdin=raw)
    assert result.out.encode() == codecs.BOM_UTF8 + FIXED.replace("\n", "\r\n").encode()
    assert result.err == "Fixed 1 finding in 1 file\nNo findings (checked 1 file)\n"
    assert torchlint("check", "-", "--fix", "-q", stdin=GOOD.encode()) == (0, GOOD, "")
    unfixable = BAD.replace("torch.sigmoid(logits)", "torch.sigmoid(logits).clamp(0.1)")
    result = torchlint("check", "-", "--fix", "-q", "--output-format", "concise", stdin=unfixable.encode())
    assert (result.code, result.out) == (1, unfixable)
    assert "TLN101" in result.err


def test_permissions_and_links_are_kept(tree: Tree, torchlint: Run) -> None:
    root = tree({"real/a.py": BAD})
    real = root / "real" / "a.py"
    real.chmod(0o750)
    (root / "link.py").symlink_to(real)
    assert torchlint("check", "link.py", "--fix").code == 0
    assert (root / "link.py").is_symlink()
    assert real.read_text() == FIXED
    assert stat.S_IMODE(real.stat().st_mode) == 0o750
    assert os.listdir(root / "real") == ["a.py"]


def test_a_file_that_changed_meanwhile_is_left_alone(
    tree: Tree, torchlint: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree({"a.py": BAD, "b.py": BAD})
    write = fixes.write

    def slow(path: str, before: bytes, after: bytes) -> None:
        if path.endswith("a.py"):
            Path(path).write_text("saved by an editor\n")
        write(path, before, after)

    monkeypatch.setattr(fixes, "write", slow)
    result = torchlint("check", "--fix")
    assert result.code == 2
    assert result.err == "a.py: error: cannot be fixed: it was changed while it was linted, and is left alone\n"
    assert result.out.startswith("Fixed 1 finding in 1 file\n")
    assert (root / "a.py").read_text() == "saved by an editor\n"
    assert (root / "b.py").read_text() == FIXED
    assert sorted(os.listdir(root)) == ["a.py", "b.py"]


def test_a_write_that_fails_leaves_the_old_file(tree: Tree, torchlint: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree({"a.py": BAD})

    def full(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    result = torchlint("check", "--fix")
    assert (result.code, result.err) == (2, "a.py: error: cannot be fixed: No space left on device\n")
    assert (root / "a.py").read_text() == BAD
    assert os.listdir(root) == ["a.py"]


# ------------------------------------------------------------------ notebooks


def cells(*sources: str | list[str]) -> dict[str, object]:
    made: list[dict[str, object]] = [
        {"cell_type": "code", "metadata": {}, "outputs": [], "source": source} for source in sources
    ]
    made.insert(1, {"cell_type": "markdown", "metadata": {}, "source": ["p = torch.sigmoid(logits)"]})
    return {"cells": made, "metadata": {"π": "\\u00e9"}, "nbformat": 4, "nbformat_minor": 5}


SETUP = "%matplotlib inline\nimport torch\nfrom torch import nn\n\n!nvidia-smi\n"


@pytest.mark.parametrize("as_lines", [True, False])
@pytest.mark.parametrize("style", [{"indent": 1}, {"separators": (",", ":")}, {"indent": 2, "ensure_ascii": False}])
def test_only_the_code_of_a_notebook_changes(
    as_lines: bool, style: dict[str, object], tree: Tree, torchlint: Run
) -> None:
    code = "%%time\ndef step(logits, labels, note='“é😀”\\n'):\n    p = torch.sigmoid(logits)\n    return nn.BCEWithLogitsLoss()(p, labels)"
    sources = [SETUP, code]
    split = [source.splitlines(keepends=True) if as_lines else source for source in sources]
    raw = json.dumps(cells(*split), **style).encode() + b"\n"  # type: ignore[arg-type]
    root = tree({"n.ipynb": raw})
    assert torchlint("check", "--fix") == (0, "Fixed 1 finding in 1 file\nNo findings (checked 1 file)\n", "")
    after = (root / "n.ipynb").read_bytes()
    head, tail = raw.rsplit(b"torch.sigmoid(logits)", 1)
    assert after == head + b"logits" + tail
    diff = torchlint("check", "--diff").out
    assert diff == ""


def test_a_notebook_s_edit_over_lines(tree: Tree, torchlint: Run) -> None:
    code = (
        'import torch\nfrom torch import nn\nmodel = nn.Sequential(\n    nn.Linear(4, 1),\n    nn.Sigmoid(),  # "p"\n)\n'
        "loss = nn.BCEWithLogitsLoss()(model(torch.zeros(2, 4)), torch.zeros(2, 1))"
    )
    root = tree({"n.ipynb": json.dumps(cells(code.splitlines(keepends=True)), indent=1)})
    diff = torchlint("check", "--diff", "--unsafe-fixes").out
    assert diff.startswith("--- n.ipynb:cell 1\n+++ n.ipynb:cell 1\n@@ ")
    assert '-    nn.Sigmoid(),  # "p"\n' in diff
    assert torchlint("check", "--fix", "--unsafe-fixes").code == 0
    after = json.loads((root / "n.ipynb").read_text())
    assert "".join(after["cells"][0]["source"]) == code.replace('    nn.Sigmoid(),  # "p"\n', "")
    assert after["cells"][1] == cells()["cells"][0]  # type: ignore[index]


def test_text_that_an_encoding_lacks_is_refused() -> None:
    from torchlint.diagnostics import Edit, Place

    data = "# coding: latin-1\nx = 1\n".encode("latin-1")
    with pytest.raises(Refused, match="its encoding latin-1 has no"):
        fixes.rewritten("a.py", data, [Edit(Place("a.py", 2, 5, 2, 6), "'損'")])
    with pytest.raises(Refused, match="no longer be Python"):
        fixes.rewritten("a.py", data, [Edit(Place("a.py", 2, 5, 2, 6), ")")])
