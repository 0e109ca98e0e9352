"""Several processes: they find what one finds, in the same order; one that dies is told of; Ctrl-C ends them all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from multiprocessing import active_children
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.faces.conftest import BAD, PROJECT, ROOT, Tree
from torchlint import engine, roots, rulebook
from torchlint.analysis import analyse, whole
from torchlint.cache import Cache
from torchlint.config import Settings
from torchlint.processes import Share, processes, shares
from torchlint.project import Project
from torchlint.source import read

FILES = {**PROJECT, "wrong.py": "import torch.nn\nloss = torch.nn.BCELoss(\n", "more/a.py": BAD, "more/b.py": BAD}


@pytest.fixture(autouse=True)
def _each_file_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a few files, every one is a group: there is something to share out."""
    monkeypatch.setattr(whole, "_TOGETHER", 1)


def test_they_find_what_one_finds(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree(FILES))
    monkeypatch.setattr(roots, "_WORTH_PROCESSES", 0)
    alone = engine.check(["."], Settings())
    told: list[str] = []
    for jobs in (2, 3):
        report = engine.check(["."], Settings(), jobs=jobs, progress=lambda path, _: told.append(path))
        assert report.diagnostics == alone.diagnostics
        assert report.problems == alone.problems
    assert sorted(told[: len(told) // 2]) == sorted(told[len(told) // 2 :])
    assert len(alone.diagnostics) >= 5


def test_what_they_looked_at_is_kept(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tree(
        {f"project/{name}": text for name, text in FILES.items()} | {"lib/extra.py": PROJECT["shop/model.py"]}
    )
    (folder / "project" / "uses.py").write_text(
        "from torch import nn\nfrom extra import Net\n\n\ndef main(x, y):\n    nn.BCEWithLogitsLoss()(Net()(x), y)\n",
        "utf-8",
    )
    monkeypatch.chdir(folder)
    monkeypatch.setattr(roots, "_WORTH_PROCESSES", 0)
    settings, cache = Settings(src=("lib",)), Cache("kept")

    def found() -> bool:
        report = engine.check(["project"], settings, jobs=2, cache=cache)
        return any(each.place.path.endswith("uses.py") for each in report.diagnostics)

    assert found()
    assert found()
    (folder / "lib" / "extra.py").write_text(PROJECT["shop/model.py"].replace(", nn.Sigmoid()", ""), "utf-8")
    assert not found()


def test_files_of_a_process_that_dies_are_told_of_or_taken_over(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree({f"m{index}.py": BAD for index in range(6)}))
    paths = [f"m{index}.py" for index in range(6)]
    contracts = rulebook.load_contracts([], None)
    project = Project(paths, read, contracts)
    with processes([Share(paths, part, contracts, ()) for part in shares(paths, project.size, 2)]) as running:

        def die(path: str) -> None:
            if path == "m3.py":  # the first of the second process
                child = next(each for each in active_children() if each.name == second)
                child.kill()
                child.join()

        second = max(each.name for each in active_children())
        asked = SimpleNamespace(learned=running.learned, run=running.run, builders=whole.Alone(project).builders)
        analysis = analyse(project, paths, die, runner=cast(whole.Runner, asked))
    lost = {problem.path for problem in analysis.problems}
    assert len(lost) == 1
    assert "the process that analysed it ended (exit code -9)" in analysis.problems[0].message
    assert {finding.at.path for finding in analysis.findings} == set(paths) - lost


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.slow
def test_ctrl_c_ends_all_at_once(tmp_path: Path) -> None:
    body = BAD.partition("\n\n\n")[2]
    text = "import torch\nfrom torch import nn\n\n\n" + "".join(body.replace("loss_of", f"loss{n}") for n in range(500))
    for index in range(60):
        (tmp_path / f"m{index}.py").write_text(text, "utf-8")
    running = subprocess.Popen(
        [sys.executable, "-m", "torchlint", "check", "-j", "2", "--no-cache", "--isolated"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    time.sleep(3)
    assert running.poll() is None
    os.killpg(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=20)
    assert (running.returncode, out, err.strip()) == (130, b"", b"")
    until = time.monotonic() + 10
    while _any_left(running.pid):  # Python's own helper ends when it finds that it is alone
        assert time.monotonic() < until
        time.sleep(0.1)


def _any_left(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
