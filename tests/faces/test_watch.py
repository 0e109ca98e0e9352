"""`--watch`: what counts as a change, and the command that lints again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from tests.faces.conftest import BAD, GOOD, ROOT, Run, Tree
from torchlint import watch
from torchlint.config import Settings


def test_what_counts_as_a_change(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree({"a.py": BAD, "pkg/b.py": GOOD, "notes.txt": "", "pyproject.toml": ""})
    monkeypatch.chdir(root)
    edits: list[tuple[str, str | None]] = [
        ("a.py", GOOD),
        ("notes.txt", "more"),
        ("new.ipynb", "{}"),
        ("pyproject.toml", "[tool.torchlint]\n"),
        ("pkg/b.py", None),
    ]
    left = iter(edits)

    def edit(seconds: float) -> None:
        assert seconds >= watch.SHORTEST
        name, text = next(left)
        if text is not None:
            (root / name).write_text(text, "utf-8")
        else:
            (root / name).unlink()

    changes = watch.changes(lambda: watch.watched(["a.py"], Settings()), edit)
    seen = [set(each) for each in islice(changes, 5)]
    first = {"a.py", os.path.join("pkg", "b.py"), "pyproject.toml"}
    assert seen == [first, first, first | {"new.ipynb"}, first | {"new.ipynb"}, {"a.py", "new.ipynb", "pyproject.toml"}]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to send")
def test_a_change_is_linted(tree: Tree) -> None:
    root = tree({"a.py": BAD})
    command = [sys.executable, "-m", "torchlint", "check", "--watch", "--output-format", "concise"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    running = subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert running.stdout is not None

        def next_run() -> list[str]:
            assert running.stdout is not None
            lines: list[str] = []
            for line in running.stdout:
                if line.startswith("Watching "):
                    return lines
                lines.append(line)
            raise AssertionError(lines)

        assert next_run()[0].startswith("a.py:8:12: TLN101 ")
        replace(root / "a.py", GOOD)
        assert next_run() == ["No findings (checked 1 file)\n"]
        replace(root / "torchlint.toml", "nonsense = 1\n")
        assert next_run()[0].startswith("error: torchlint.toml: nonsense: unknown key")
        (root / "torchlint.toml").unlink()
        assert next_run() == ["No findings (checked 1 file)\n"]
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 130
    finally:
        running.kill()


def replace(path: Path, text: str) -> None:
    """Write a file as a whole, so that no half of it is linted."""
    beside = path.with_name("new")
    beside.write_text(text, "utf-8")
    os.replace(beside, path)


def test_what_it_does_not_go_with(torchlint: Run) -> None:
    for arguments in (("-",), ("--fix",), ("--diff",)):
        assert torchlint("check", "--watch", *arguments).code == 2
