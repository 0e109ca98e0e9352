"""The hooks, run by pre-commit itself on a git repository; only their installation is left to `tests/packaging`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faces.conftest import BAD, GOOD, ROOT, Run, Tree

pytestmark = pytest.mark.skipif(shutil.which("git") is None or os.name == "nt", reason="needs git and sh")

NET = (
    "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    "        self.body = nn.Sequential(nn.Linear(8, 1))\n\n    def forward(self, x):\n        return self.body(x)\n"
)
TRAIN = (
    "from model import Net\nfrom torch import nn\n\n\ndef step(x, y):\n    return nn.BCEWithLogitsLoss()(Net()(x), y)\n"
)
SIGMOID = NET.replace("nn.Linear(8, 1)", "nn.Linear(8, 1), nn.Sigmoid()")


def notebook(code: str) -> str:
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "source": code.splitlines(keepends=True)}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1) + "\n"


Commit = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def git(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Commit:
    """Run git or pre-commit in the folder, which is made a repository that has the hooks."""
    home = tmp_path_factory.mktemp("home")
    hooks, programs = home / "torchlint", home / "bin"
    hooks.mkdir()
    programs.mkdir()
    program = programs / "torchlint"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m torchlint "$@"\n', "utf-8")
    program.chmod(0o755)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
        "HOME": str(home),
        "PRE_COMMIT_HOME": str(home / "cache"),
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    identity = "[user]\n\tname = t\n\temail = t@example.org\n[init]\n\tdefaultBranch = main\n"
    (home / "gitconfig").write_text(identity, "utf-8")

    def run(*command: str, folder: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        if command[0] == "pre-commit":
            command = (sys.executable, "-m", "pre_commit", *command[1:])
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    manifest = (ROOT / ".pre-commit-hooks.yaml").read_text("utf-8")
    assert manifest.count("language: python") == manifest.count("- id:") == 2
    (hooks / ".pre-commit-hooks.yaml").write_text(manifest.replace("language: python", "language: system"), "utf-8")
    for folder in (hooks, tmp_path):
        for command in (("init", "-q"), ("add", "."), ("commit", "-q", "--allow-empty", "-m", "first")):
            done = run("git", *command, folder=folder)
            assert done.returncode == 0, done.stderr
    run("git", "config", "torchlint.hooks", str(hooks))
    return run


def hook(git: Commit, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Try a hook on what is staged."""
    hooks = git("git", "config", "torchlint.hooks").stdout.strip()
    return git("pre-commit", "try-repo", hooks, name, *arguments)


def test_what_is_staged_is_linted_with_the_rest_of_the_project(tree: Tree, git: Commit) -> None:
    tree({"model.py": SIGMOID, "old.py": BAD})
    git("git", "add", ".")
    git("git", "commit", "-q", "-m", "a model, and a mistake from before")
    tree({"train.py": TRAIN})
    git("git", "add", ".")
    result = hook(git, "torchlint")
    assert result.returncode == 1
    assert "error[TLN101] sigmoid-before-with-logits" in result.stdout
    assert "--> train.py:6:12" in result.stdout
    assert "model.py:7:" in result.stdout, "the cause lies in a file that was not changed"
    assert "old.py" not in result.stdout
    tree({"model.py": NET})
    git("git", "add", ".")
    assert hook(git, "torchlint").returncode == 0
    git("git", "commit", "-q", "-m", "mended")
    tree({"model.py": SIGMOID})
    git("git", "add", ".")
    broken = hook(git, "torchlint")
    assert (broken.returncode, "--> train.py:6:12" in broken.stdout) == (1, True), "the loss is in the unchanged file"
    assert "old.py" not in broken.stdout
    assert "old.py" in hook(git, "torchlint", "--all-files").stdout


def test_what_is_staged_counts_and_not_what_was_edited_since(tree: Tree, git: Commit) -> None:
    root = tree({"a.py": BAD, ".pre-commit-config.yaml": ""})
    git("git", "add", ".")
    tree({"a.py": GOOD + "\n\n# not staged\n"})
    broken = hook(git, "torchlint")
    assert (broken.returncode, "--> a.py:8:12" in broken.stdout) == (1, True)
    assert hook(git, "torchlint-fix").returncode == 1
    assert (root / "a.py").read_text("utf-8") == GOOD + "\n\n# not staged\n", "what is not staged is kept"
    git("git", "add", ".")
    tree({"a.py": BAD})
    assert hook(git, "torchlint").returncode == 0


def test_hooks_that_run_at_once_share_what_they_keep(tree: Tree, git: Commit) -> None:
    root = tree({"model.py": SIGMOID, "train.py": TRAIN})
    git("git", "add", ".")
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda _: hook(git, "torchlint", "--all-files"), range(3)))
    assert [(each.returncode, each.stdout.count("--> train.py:6:12")) for each in results] == [(1, 1)] * 3
    assert not [path.name for path in (root / ".torchlint_cache").iterdir() if len(path.suffixes) > 1], (
        "no half entries"
    )
    assert git("git", "status", "--short").stdout == "A  model.py\nA  train.py\n"


def test_notebooks_and_other_files(tree: Tree, git: Commit) -> None:
    tree({"net.ipynb": notebook(BAD), "notes.txt": BAD, "clean.ipynb": notebook(GOOD)})
    git("git", "add", ".")
    result = hook(git, "torchlint")
    assert result.returncode == 1
    assert "--> net.ipynb:cell 1:8:12" in result.stdout
    assert "checked 2 files" in result.stdout


def test_the_fixing_hook_changes_files_and_then_passes(tree: Tree, git: Commit) -> None:
    root = tree({"a.py": BAD, "net.ipynb": notebook(BAD)})
    git("git", "add", ".")
    first = hook(git, "torchlint-fix")
    assert (first.returncode, "files were modified by this hook" in first.stdout) == (1, True), first.stdout
    assert (root / "a.py").read_text("utf-8") == GOOD
    assert (root / "net.ipynb").read_text("utf-8") == notebook(GOOD)
    git("git", "add", ".")
    assert hook(git, "torchlint-fix").returncode == 0


def test_related(tree: Tree, torchlint: Run) -> None:
    tree({"model.py": SIGMOID, "train.py": TRAIN, "old.py": BAD, "broken.py": "BCELoss = = 1\n", "other.py": "x = 1\n"})
    assert "No findings" in torchlint("check", "model.py").out
    found = torchlint("check", "--related", "--output-format", "concise", "model.py")
    assert [line.split()[0] for line in found.out.splitlines()[:2]] == ["train.py:6:12:", "Found"]
    assert found.err == "", "nobody asked about broken.py"
    assert torchlint("check", "--related", "other.py").code == 0
    assert torchlint("check", "--related", "broken.py").code == 1
    assert torchlint("check", "--related", "nowhere.py").code == 2
    assert torchlint("check", "--related", "--fix", "other.py").code == 0
    assert torchlint("check", "old.py").code == 1, "not repaired"
    edited = torchlint("check", "-", "--stdin-filename", "model.py", "--related", "-q", stdin=NET.encode())
    assert (edited.code, edited.out) == (0, "")
