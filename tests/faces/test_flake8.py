"""The flake8 plugin, in flake8 itself: the same findings as `torchlint check`, with flake8's own options on top."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
from pathlib import Path

import pytest

from tests.faces.conftest import BAD, GOOD, PROJECT, Flake8, Result, Run, Tree

Told = set[tuple[str, int, int, str]]


def told(result: Result) -> Told:
    """Path, line, column and code of what flake8 prints of ours."""
    lines = re.findall(r"^(.+?):(\d+):(\d+): (TLN\d+) ", result.out, re.MULTILINE)
    assert len(lines) == len(set(lines)), "told twice"
    return {(os.path.normpath(path), int(line), int(column), code) for path, line, column, code in lines}


def checked(torchlint: Run, folder: Path, *arguments: str) -> Told:
    """The same of what `torchlint check` prints."""
    found = json.loads(torchlint("check", "--output-format", "json", *arguments).out)
    return {
        (os.path.relpath(each["filename"], folder), each["location"]["row"], each["location"]["column"], each["code"])
        for each in found
    }


@pytest.mark.parametrize("arguments", [(), ("--jobs=3", "."), ("--jobs=1", "shop/steps.py", "train.py")])
def test_the_same_findings(arguments: tuple[str, ...], tree: Tree, torchlint: Run, flake8: Flake8) -> None:
    paths = [each for each in arguments if not each.startswith("-")]
    folder = tree(PROJECT)
    expected = checked(torchlint, folder, *paths)
    assert told(flake8(*arguments)) == expected
    if paths in ([], ["."]):
        assert expected == {
            ("shop/steps.py", 5, 12, "TLN101"),
            ("unused.py", 1, 8, "TLN001"),
            ("wide.py", 8, 12, "TLN101"),
        }, "the example shows nothing"


def test_a_message_names_the_other_file(tree: Tree, flake8: Flake8) -> None:
    tree(PROJECT)
    (line,) = re.findall(r"^\./shop/steps.py:.*", flake8().out, re.MULTILINE)
    assert "has already been through nn.Sigmoid" in line
    assert "(shop/model.py:7:" in line


def test_standard_input(tree: Tree, flake8: Flake8) -> None:
    tree({**PROJECT, "shop/torchlint.toml": 'per-file-ignores = {"quiet.py" = ["TLN1"]}'})
    code = BAD.encode()
    assert told(flake8("-", stdin=code)) == {("stdin", 8, 12, "TLN101")}
    use = b"from .model import Net\nfrom .criteria import measure\n\n\ndef f(x, y):\n    measure(Net()(x), y).backward()\n"
    assert told(flake8("-", "--stdin-display-name", "shop/new.py", stdin=use)) == {("shop/new.py", 6, 5, "TLN101")}
    assert told(flake8("-", "--stdin-display-name", "shop/quiet.py", stdin=code)) == set()
    latin = b"# coding: latin-1\r\n" + BAD.replace("labels)\n", "labels), 'é'\n").encode("latin-1")
    latin = latin.replace(b"(logits, labels), '\xe9'", b"(logits, labels)")
    assert told(flake8("-", stdin=latin)) == {("stdin", 9, 12, "TLN101")}


def test_options_of_flake8(tree: Tree, flake8: Flake8) -> None:
    saturating = "from torch import nn\n\n\ndef f(x, y):\n    return nn.BCELoss()(nn.functional.sigmoid(x), y)\n"
    tree({"a.py": BAD, "b.py": BAD, "off.py": saturating})
    both = {("a.py", 8, 12, "TLN101"), ("b.py", 8, 12, "TLN101")}
    off = {("off.py", 5, 12, "TLN109")}
    assert told(flake8()) == both
    assert flake8("--select=E,F").code == 0
    assert told(flake8("--extend-select=TLN109")) == both | off
    assert told(flake8("--select=E,F,TLN", "--per-file-ignores=a.py:TLN1")) == {("b.py", 8, 12, "TLN101")}


def test_suppressions(tree: Tree, torchlint: Run, flake8: Flake8) -> None:
    call = "    return criterion(probabilities, labels)"
    late = "    return criterion(\n        probabilities,\n        labels,\n    )  # noqa: TLN101"
    folder = tree(
        {
            "noqa.py": BAD.replace(call, f"{call}  # noqa: TLN101"),
            "late.py": BAD.replace(call, late),
            "plain.py": BAD.replace(call, f"{call}  # noqa"),
            "other.py": BAD.replace(call, f"{call}  # noqa: E501"),
            "idle.py": "x = 1  # noqa: TLN101\n",
            "ours.py": BAD.replace(call, f"{call}  # torchlint: ignore[TLN101] reason"),
        }
    )
    expected = {("other.py", 8, 12, "TLN101"), ("idle.py", 1, 8, "TLN001")}
    assert checked(torchlint, folder) == expected
    assert told(flake8()) == expected
    shown = {f"{name}.py" for name in ("noqa", "late", "plain", "other")}
    assert {path for path, *_ in told(flake8("--disable-noqa"))} == shown


def test_settings_of_torchlint(tree: Tree, flake8: Flake8) -> None:
    root = tree({"pyproject.toml": '[tool.torchlint]\nignore = ["TLN101"]\n', "a.py": BAD})
    assert told(flake8()) == set()
    assert told(flake8("--extend-select=TLN1")) == set(), "the longer TLN101 of the settings decides"
    (root / "pyproject.toml").write_text("[tool.torchlint]\nignored = []\n")
    for paths in ((), (".",)):  # in a process of --jobs, or before
        broken = flake8(*paths)
        assert (broken.code, "unknown key" in broken.out, broken.out.count("\n")) == (1, True, 2), broken


def test_a_file_that_only_torchlint_refuses_is_named(tree: Tree, flake8: Flake8) -> None:
    tree(
        {
            "big.py": "import torch.nn as nn\nloss = nn.BCELoss()\n" + f"x = '{'a' * 1_200_000}'\n",
            "old.py": "print 'BCELoss'\n",
        }
    )
    result = flake8("--select=TLN,E9", "--jobs=1")
    assert re.search(r"big\.py:1:1: TLN000 not linted: has 1\.2 MB of Python code", result.out)
    assert re.search(r"old\.py:1:\d+: E999", result.out)
    assert told(result) == {("big.py", 1, 1, "TLN000")}


def test_a_tree_without_losses_imports_nothing_that_is_slow(tree: Tree, flake8: Flake8) -> None:
    tree({"a.py": "x = 1\n", "pkg/b.py": "import os\n\nprint(os)\n"})
    code = "import sys\nfrom flake8.main.cli import main\nmain(['--jobs=1', '.'])\nprint(sorted(sys.modules))"
    modules = flake8(python=code).out
    assert "'torchlint.engine'" in modules
    for heavy in ("libcst", "msgspec", "rich", "click", "pathspec", "torchlint.analysis", "torchlint.rulebook"):
        assert f"'{heavy}'" not in modules


WATCHED = """\
import os, sys
def note(event, arguments):
    if event == "import" and arguments[0] == "torchlint.engine":
        os.write(os.open({!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"linted\\n")
sys.addaudithook(note)
"""
"""A start-up file of Python that takes down which processes come to lint."""


@pytest.mark.parametrize("start", sorted(multiprocessing.get_all_start_methods()))
@pytest.mark.parametrize(
    "run",
    [
        "from flake8.main.cli import main\n",
        "from flake8.main.application import Application\nmain = lambda given: Application().run([*given, '.'])\n",
    ],
    ids=["without paths", "with paths"],
)
def test_the_processes_of_a_run_share_one_analysis(
    start: str, run: str, tree: Tree, flake8: Flake8, tmp_path_factory: pytest.TempPathFactory
) -> None:
    notes, beside = tmp_path_factory.mktemp("notes") / "notes", tmp_path_factory.mktemp("beside")
    (beside / "sitecustomize.py").write_text(WATCHED.format(str(notes)), "utf-8")
    tree({f"{letter}.py": BAD for letter in "abcdef"})
    code = (
        f"import multiprocessing\n{run}"
        f"if __name__ == '__main__':\n    multiprocessing.set_start_method({start!r})\n"
        f"    main(['--jobs=2', '--select=TLN'])\n"
    )
    result = flake8(python=code, path=beside)
    assert told(result) == {(f"{letter}.py", 8, 12, "TLN101") for letter in "abcdef"}
    assert notes.read_text("utf-8") == "linted\n"
    assert not list(beside.glob("*.json"))


def test_findings_need_no_libcst(tree: Tree, flake8: Flake8) -> None:
    tree({"a.py": BAD})
    code = "import sys\nfrom flake8.main.cli import main\nmain(['--jobs=1', '.'])\nprint(sorted(sys.modules))"
    told_then = flake8(python=code).out
    assert "TLN101" in told_then
    assert "'libcst'" not in told_then


def test_the_programming_interface_lints_other_paths_each_time(tree: Tree, flake8: Flake8) -> None:
    tree({"a.py": BAD, "b.py": BAD, "c.py": GOOD})
    code = (
        "from flake8.api import legacy\n"
        "for path in ('a.py', 'c.py', 'b.py'):\n"
        "    guide = legacy.get_style_guide(select=['TLN'])\n"
        "    print(path, guide.check_files([path]).total_errors)\n"
    )
    counts = [line for line in flake8(python=code).out.splitlines() if "TLN" not in line]
    assert counts == ["a.py 1", "c.py 0", "b.py 1"]
