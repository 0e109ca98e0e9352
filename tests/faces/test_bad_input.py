"""Whatever lies in a folder: a clear message that names the file, the rest linted, never a traceback."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faces.conftest import BAD, GOOD, ROOT, Run, Tree
from torchlint import engine
from torchlint.analysis import ir, uncalled
from torchlint.analysis.interpret import Interpreter
from torchlint.analysis.values import Function

BROKEN: dict[str, tuple[bytes, str]] = {
    "syntax error": (b"from torch.nn import BCELoss\nx = (1,\ny = = 2\n", "broken.py:"),
    "Python 2": (b"from torch.nn import BCELoss\nprint 'a'\n", "broken.py:2"),
    "no UTF-8": (
        b"from torch.nn import BCELoss\nx = 'caf\xe9'\n",
        "broken.py:2:9: error: byte 0xe9 is not valid UTF-8",
    ),
    "mixed encodings": (
        "# coding: ascii\nBCELoss = 'é'\n".encode(),
        "broken.py:2:12: error: byte 0xc3 is not valid in the declared encoding ascii",
    ),
    "unknown encoding": (b"# coding: klingon\nBCELoss = 1\n", "declares the encoding klingon"),
    "encoding that is no text": (b"# coding: hex\nBCELoss = 1\n", "declares the encoding hex"),
    "BOM against coding": (b"\xef\xbb\xbf# coding: latin-1\nBCELoss = 1\n", "byte order mark"),
    "null byte": (b"BCELoss = 1\nx = '\0'\n", "broken.py:2:6: error: contains a null byte"),
    "too large": (
        b"BCELoss = 1\n" + b"x = [1, 2, 3, 4]\n" * 320_000,
        "5.4 MB of Python code, more than the limit of 1 MB",
    ),
    "unclosed string": (b"BCELoss = '''\n", "broken.py:"),
    "too deep": (b"BCELoss = " + b"(" * 20_000 + b")" * 20_000, "broken.py"),
    "binary": (b"\x7fELF\x02\x01BCELoss" + bytes(range(256)), "broken.py:"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_named_and_the_rest_is_linted(kind: str, tree: Tree, torchlint: Run) -> None:
    content, message = BROKEN[kind]
    tree({"a.py": BAD, "broken.py": content, "z.py": BAD})
    result = torchlint("check", "-q", "--output-format", "concise")
    assert message in result.err
    assert "internal" not in result.err
    assert [line.split(":")[0] for line in result.out.splitlines()] == ["a.py", "z.py"]
    assert result.code == 1


FINE: dict[str, bytes] = {
    "empty": b"",
    "only a comment": b"# BCELoss",
    "no line end": b"BCELoss = 1",
    "form feeds": b"BCELoss = 1\x0c\nx = 2\x0c\n",
    "a large file without losses": b"x = [1, 2, 3, 4]\n" * 320_000,
    "latin-1 declared": "# -*- coding: latin-1 -*-\nBCELoss = 'é'\n".encode("latin-1"),
    "declared in the second line": "#!/usr/bin/env python\n# vim: set fileencoding=cp1252 :\nBCELoss = '€'\n".encode(
        "cp1252"
    ),
}


@pytest.mark.parametrize("kind", FINE)
def test_an_odd_file_is_no_problem(kind: str, tree: Tree, torchlint: Run) -> None:
    tree({"odd.py": FINE[kind]})
    result = torchlint("check", "odd.py")
    assert (result.code, result.err) == (0, "")


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_line_ends_and_a_byte_order_mark_do_not_move_a_finding(
    line_end: str, encoding: str, tree: Tree, torchlint: Run
) -> None:
    tree({"a.py": BAD.replace("\n", line_end).encode(encoding)})
    result = torchlint("check", "a.py", "--output-format", "concise")
    assert result.out.startswith("a.py:8:12: TLN101 "), result


def test_columns_count_code_points(tree: Tree, torchlint: Run) -> None:
    tree({"a.py": BAD.replace("return criterion", "é = '😀'; return criterion")})
    result = torchlint("check", "a.py", "--output-format", "concise")
    assert result.out.startswith("a.py:8:21: TLN101 "), result


def test_a_path_that_does_not_exist(tree: Tree, torchlint: Run) -> None:
    tree({"a.py": BAD})
    result = torchlint("check", "nowhere.py", "a.py", "--output-format", "concise")
    assert result.err == "nowhere.py: error: no such file or folder\n"
    assert result.out.startswith("a.py:8:12: TLN101 ")
    assert result.code == 2


def test_links_that_loop_and_folders_named_like_files(tree: Tree, torchlint: Run) -> None:
    root = tree({"package.py/a.py": BAD, "package.py/b.py": GOOD})
    (root / "package.py" / "up").symlink_to(root)
    (root / "self.py").symlink_to("self.py")
    (root / "gone.py").symlink_to("nowhere.py")
    result = torchlint("check", "--output-format", "concise")
    assert result.out.startswith("package.py/a.py:8:12: TLN101 ")
    assert (result.code, result.err) == (1, "")
    assert "(checked 2 files)" in result.out
    named = torchlint("check", "self.py")
    assert (named.code, named.err) == (2, "self.py: error: Too many levels of symbolic links\n")


def test_unreadable_files_and_folders(tree: Tree, torchlint: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    tree({"a.py": BAD, "secret.py": BAD, "folder/b.py": BAD})

    def refusing(name: str, right: Callable[..., Any]) -> Callable[..., Any]:  # root may read everything, so no chmod
        def call(path: Any, *rest: Any) -> Any:
            if isinstance(path, str) and path == name:
                raise PermissionError(errno.EACCES, "Permission denied", path)
            return right(path, *rest)

        return call

    monkeypatch.setattr(os, "open", refusing("secret.py", os.open))
    monkeypatch.setattr(os, "scandir", refusing("folder", os.scandir))
    result = torchlint("check", "--output-format", "concise")
    assert "secret.py: error: cannot be read: Permission denied" in result.err
    assert "folder: error: Permission denied" in result.err
    assert result.out.startswith("a.py:8:12")
    assert result.code == 2


def test_a_file_that_vanishes_during_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchlint import engine, inputs
    from torchlint.config import Settings
    from torchlint.discover import Discovered

    (tmp_path / "a.py").write_text(BAD)
    gone = str(tmp_path / "gone.py")
    monkeypatch.setattr(inputs, "discover", lambda *_: Discovered((gone, str(tmp_path / "a.py")), ()))
    report = engine.check(["."], Settings())
    assert [(each.path, each.message) for each in report.problems] == [
        (gone, "cannot be read: No such file or directory")
    ]
    assert [each.code for each in report.diagnostics] == ["TLN101"]
    assert report.exit_code == 2


def test_a_defect_of_ours_costs_only_its_own_file(tree: Tree, torchlint: Run) -> None:
    folder = tree(
        {
            "a.py": BAD,
            "b.py": "BCELoss = 'here'\n",
            "z.py": BAD,
            # Python runs this before torchlint: reading one file's tree fails in a way nobody foresaw.
            "hook/sitecustomize.py": """
import torchlint.analysis.lower as lower
right = lower.lower
def wrong(text, path, *rest, **more):
    if path.endswith("b.py"):
        raise KeyError("a defect")
    return right(text, path, *rest, **more)
lower.lower = wrong
""",
        }
    )
    path = os.pathsep.join([str(ROOT), str(folder / "hook")])
    result = torchlint("check", "-q", "--output-format", "concise", PYTHONPATH=path)
    assert "b.py: internal error: KeyError: 'a defect' at sitecustomize.py:6 (" in result.err
    assert "Please report it" in result.err
    assert [line.split(":")[0] for line in result.out.splitlines()] == ["a.py", "z.py"]
    assert result.code == 2
    as_json = torchlint("check", "--output-format", "json", PYTHONPATH=path)
    assert len(json.loads(as_json.out)) == 2


@pytest.mark.parametrize("error", [RecursionError, KeyError])
def test_a_defect_of_ours_costs_only_what_is_run_there(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    right = uncalled.is_open

    def wrong(run: Interpreter, function: Function) -> bool:
        if isinstance(function.node, ir.FunctionDef) and function.node.name == "first":
            raise error("a defect")
        return right(run, function)

    monkeypatch.setattr(uncalled, "is_open", wrong)
    body = "(x, y):\n    return nn.BCEWithLogitsLoss()(x.sigmoid(), y)\n\n\n"
    report = engine.check_texts({"a.py": f"from torch import nn\n\n\ndef first{body}def second{body}"})
    assert [each.place.line for each in report.diagnostics] == [9]
    (problem,) = report.problems
    assert problem.internal
    assert f"{error.__name__}: " in problem.message


def test_a_broken_file_that_is_only_imported_is_not_ours_to_report(tree: Tree, torchlint: Run) -> None:
    tree({"a.py": "from helper import criterion\n" + BAD, "helper.py": "BCELoss = = 1\n"})
    result = torchlint("check", "a.py", "--output-format", "concise")
    assert result.out.startswith("a.py:9:12: TLN101 ")
    assert result.err == ""


def test_a_trail_through_another_file(tree: Tree, torchlint: Run) -> None:
    model = """\
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 1), nn.Sigmoid())

    def forward(self, x):
        return self.body(x)
"""
    train = """\
import torch.nn as nn

from pkg.model import Net

model = Net()
criterion = nn.BCEWithLogitsLoss()


def step(x, y):
    return criterion(model(x), y)
"""
    tree({"pkg/__init__.py": "", "pkg/model.py": model, "train.py": train})
    result = torchlint("check", "train.py")
    assert " --> train.py:10:12\n" in result.out
    assert "pkg/model.py:7:" in result.out
    assert "| self.body = nn.Sequential(nn.Linear(8, 1), nn.Sigmoid())" in result.out
