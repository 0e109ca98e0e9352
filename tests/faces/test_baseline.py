"""The baseline: written, matched after lines moved, pruned, refused when it is broken."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.faces.conftest import BAD, GOOD, Run, Tree, in_process

NAME = ".torchlint-baseline.json"
FLAGGED = "    return criterion(probabilities, labels)\n"
OTHER = BAD.replace("return criterion", "loss = criterion")


def entries(root: Path, name: str = NAME) -> list[tuple[str, str, int]]:
    """(path, code, count) of a baseline's entries, in the order of the file."""
    held = json.loads((root / name).read_text("utf-8"))
    assert held["version"] == 1
    return [(each["path"], each["code"], each["count"]) for each in held["findings"]]


def test_what_is_written_is_hidden_and_new_findings_are_not(tree: Tree, torchlint: Run) -> None:
    root = tree({"a.py": BAD, "sub/b.py": BAD})
    written = torchlint("baseline")
    assert (written.code, written.out) == (0, f"{NAME}: 2 findings in 2 files\n")
    assert entries(root) == [("a.py", "TLN101", 1), ("sub/b.py", "TLN101", 1)]
    assert torchlint("check").code == 1
    hidden = torchlint("check", "--baseline", NAME)
    assert (hidden.code, hidden.out, hidden.err) == (
        0,
        "No findings (checked 2 files; the baseline hides 2 findings)\n",
        "",
    )
    tree({"c.py": BAD})
    new = torchlint("check", "--baseline", NAME, "--output-format", "json")
    assert [Path(each["filename"]).name for each in json.loads(new.out)] == ["c.py"]
    assert new.code == 1


def test_a_finding_stays_known_when_lines_move(tree: Tree, torchlint: Run) -> None:
    tree({"a.py": BAD})
    torchlint("baseline")
    tree({"a.py": "import os\n\n# more\n" + BAD.replace(FLAGGED, "\n" + FLAGGED.replace("n(p", "n(  p"))})
    assert torchlint("check", "--baseline", NAME).code == 1  # `n(  p` is another text
    tree({"a.py": "import os\n\n# more\n" + BAD.replace(FLAGGED, "\n    if True:\n    " + FLAGGED)})
    assert torchlint("check", "--baseline", NAME).code == 0
    tree({"a.py": OTHER})
    changed = torchlint("check", "--baseline", NAME)
    assert changed.code == 1
    assert changed.err == f"note: 1 finding of {NAME} is gone; drop with `torchlint baseline --prune`\n"


def test_a_cell_above_moves_nothing(tree: Tree, torchlint: Run) -> None:
    def notebook(*cells: str) -> str:
        made = [{"cell_type": "code", "source": cell, "metadata": {}, "outputs": []} for cell in cells]
        return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})

    tree({"a.ipynb": notebook("x = 1\n", BAD)})
    torchlint("baseline")
    tree({"a.ipynb": notebook("x = 1\n", "y = 2\nz = 3\n", BAD)})
    assert torchlint("check", "--baseline", NAME).code == 0
    tree({"a.ipynb": notebook("x = 1\n", OTHER)})
    assert torchlint("check", "--baseline", NAME).code == 1


def test_equal_findings_are_counted(tree: Tree, torchlint: Run) -> None:
    def times(number: int) -> str:
        return "".join(BAD.replace("loss_of", f"loss_{index}") for index in range(number))

    root = tree({"a.py": times(2)})
    torchlint("baseline")
    assert entries(root) == [("a.py", "TLN101", 2)]
    tree({"a.py": times(3)})
    found = json.loads(torchlint("check", "--baseline", NAME, "--output-format", "json").out)
    assert [each["location"]["row"] for each in found] == [24]
    tree({"a.py": times(1)})
    assert "1 finding of" in torchlint("check", "--baseline", NAME).err
    assert torchlint("baseline", "--prune").out == f"{NAME}: 1 finding taken out, 1 left\n"
    assert entries(root) == [("a.py", "TLN101", 1)]
    tree({"a.py": times(2)})
    assert torchlint("check", "--baseline", NAME).code == 1


def test_prune_takes_out_what_is_gone_and_adds_nothing(tree: Tree, torchlint: Run) -> None:
    root = tree({"kept.py": BAD, "mended.py": BAD, "deleted.py": BAD, "elsewhere/far.py": BAD, "broken.py": BAD})
    torchlint("baseline")
    tree({"mended.py": GOOD, "new.py": BAD, "broken.py": "def BCELoss(:\n", "elsewhere/far.py": GOOD})
    (root / "deleted.py").unlink()
    pruned = torchlint("baseline", "--prune", "kept.py", "mended.py", "new.py", "broken.py")
    assert pruned.out == f"{NAME}: 2 findings taken out, 3 left\n"
    assert [path for path, _, _ in entries(root)] == ["broken.py", "elsewhere/far.py", "kept.py"]


def test_writing_again_keeps_what_it_did_not_look_at(tree: Tree, torchlint: Run) -> None:
    root = tree({"a.py": BAD, "b.py": BAD})
    torchlint("baseline")
    tree({"a.py": OTHER, "b.py": GOOD})
    torchlint("baseline", "a.py")
    held = json.loads((root / NAME).read_text("utf-8"))["findings"]
    assert [(each["path"], each["text"]) for each in held] == [
        ("a.py", "loss = criterion(probabilities, labels)"),
        ("b.py", "return criterion(probabilities, labels)"),
    ]


def test_a_run_that_could_not_find_it_does_not_call_it_gone(tree: Tree, torchlint: Run) -> None:
    tree({"a.py": BAD, "b.py": GOOD})
    torchlint("baseline")
    tree({"a.py": GOOD})
    assert "gone" in torchlint("check", "--baseline", NAME).err
    for options in (["b.py"], ["--ignore", "TLN101"], ["--per-file-ignores", "a.py:TLN1"], ["--quiet"]):
        assert torchlint("check", "--baseline", NAME, *options).err == ""


def test_the_file_is_the_same_from_wherever_it_is_written(tree: Tree, torchlint: Run) -> None:
    root = tree(
        {"z/a.py": BAD + OTHER.replace("loss_of", "another"), "b.py": BAD, "torchlint.toml": f'baseline = "{NAME}"\n'}
    )
    torchlint("baseline")
    first = (root / NAME).read_bytes()
    torchlint("baseline", str(root / "z"), "./b.py")
    assert (root / NAME).read_bytes() == first
    assert [path for path, _, _ in entries(root)] == ["b.py", "z/a.py", "z/a.py"]
    assert in_process(root / "z", ["check"], b"", {}).code == 0  # the settings name it, relative to their own folder
    in_process(root / "z", ["baseline", "a.py", "../b.py"], b"", {})
    assert (root / NAME).read_bytes() == first


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<<<<<<< HEAD\n", "not a baseline: "),
        ("[" * 100_000, "not a baseline: "),
        ("[]", "not a baseline: "),
        ('{"version": 1, "findings": [{"path": "a.py"}]}', "not a baseline: "),
        ('{"version": 1, "findings": [], "more": 1}', "not a baseline: "),
        ('{"version": 2, "findings": []}', "written by a newer torchlint (version 2"),
    ],
)
def test_a_broken_baseline_is_an_error_that_names_it(tree: Tree, torchlint: Run, content: str, reason: str) -> None:
    root = tree({"a.py": GOOD, "old.json": content})
    for command in (["check", "--baseline"], ["baseline", "--output"], ["baseline", "--prune", "-o"]):
        result = torchlint(*command, "old.json")
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith(f"error: old.json: {reason}")
        assert result.err.count("\n") == 1
    assert (root / "old.json").read_text("utf-8") == content


def test_no_baseline_is_an_error_too(tree: Tree, torchlint: Run) -> None:
    root = tree({"a.py": BAD, "sub/b.py": GOOD})
    missing = torchlint("check", "--baseline", "old.json")
    assert (missing.code, missing.err) == (2, "error: old.json: no such baseline; `torchlint baseline` writes one\n")
    assert torchlint("check", "--baseline", "sub").err.startswith("error: sub: ")
    assert torchlint("baseline", "--output", "none/old.json").err == "error: none/old.json: No such file or directory\n"
    nothing = torchlint("baseline", "nowhere")
    assert nothing.code == 2
    assert f"{NAME}: not written" in nothing.err
    assert sorted(os.listdir(root)) == ["a.py", "sub"]


def test_the_file_is_replaced_as_a_whole(tree: Tree, torchlint: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree({"a.py": BAD})
    (root / "real.json").write_text('{"version": 1, "findings": []}')
    (root / "real.json").chmod(0o640)
    (root / NAME).symlink_to("real.json")

    def full(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        failed = torchlint("baseline")
    assert (failed.code, failed.err) == (2, f"error: {NAME}: No space left on device\n")
    assert sorted(os.listdir(root)) == [NAME, "a.py", "real.json"]
    assert entries(root) == []
    torchlint("baseline")
    assert (root / NAME).is_symlink()
    assert (root / "real.json").stat().st_mode & 0o777 == 0o640
    assert entries(root, "real.json") == [("a.py", "TLN101", 1)]


def test_likely_findings(tree: Tree, torchlint: Run) -> None:
    likely = """\
import torch
import torch.nn.functional as F
from torch import nn

CRITERIA = {"logits": nn.BCEWithLogitsLoss(), "probabilities": nn.BCELoss()}


def train(model, loader, kind, one_hot):
    criterion = CRITERIA[kind]
    for x, y in loader:
        target = F.one_hot(y).float() if one_hot else y
        criterion(torch.sigmoid(model(x)), target).backward()
"""
    root = tree({"a.py": likely})
    assert (torchlint("check").code, torchlint("check", "--confidence", "likely").code) == (0, 1)
    torchlint("baseline", "--confidence", "likely")
    assert entries(root) == [("a.py", "TLN101", 1)]
    assert torchlint("check", "--baseline", NAME, "--confidence", "likely").code == 0
    assert torchlint("check", "--baseline", NAME).err == ""  # likely findings were not looked for
    assert torchlint("baseline", "--prune").out == f"{NAME}: 0 findings taken out, 1 left\n"


def test_what_it_hides_is_not_repaired(tree: Tree, torchlint: Run) -> None:
    root = tree({"a.py": BAD})
    torchlint("baseline")
    torchlint("check", "--fix", "--unsafe-fixes", "--baseline", NAME)
    assert (root / "a.py").read_text("utf-8") == BAD
    torchlint("check", "--fix", "--unsafe-fixes")
    assert (root / "a.py").read_text("utf-8") != BAD
