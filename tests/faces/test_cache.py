"""The cache: a second run says the same without analysing, whatever changes is seen, and nothing in the folder can do harm."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faces.conftest import BAD, GOOD, PROJECT, Run, Tree
from tests.packaging.test_imports import lint
from torchlint import cache as caches
from torchlint import engine, roots
from torchlint.cache import Cache
from torchlint.config import Settings


@pytest.fixture
def analysed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that the analysis was asked to analyse from now on."""
    seen: list[str] = []
    analyse = roots.analyse_roots

    def spy(files, found, *rest, **named):  # type: ignore[no-untyped-def]
        seen.extend(found)
        return analyse(files, found, *rest, **named)

    monkeypatch.setattr("torchlint.roots.analyse_roots", spy)
    return seen


@pytest.mark.parametrize("options", [(), ("--output-format", "json"), ("--statistics",), ("--coverage",)])
def test_the_second_run_says_the_same_and_analyses_nothing(
    options: tuple[str, ...], tree: Tree, torchlint: Run, analysed: list[str]
) -> None:
    folder = tree({**PROJECT, "wrong.py": "import torch.nn\nloss = torch.nn.BCELoss(\n"})
    first = torchlint("check", *options)
    assert analysed
    analysed.clear()
    assert torchlint("check", *options) == first
    assert not analysed
    assert torchlint("check", "--no-cache", *options) == first
    assert analysed
    assert (folder / ".torchlint_cache" / ".gitignore").read_text("utf-8") == "*\n"


def test_the_second_run_imports_neither_the_analysis_nor_libcst(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(BAD, "utf-8")
    _, modules, first = lint(tmp_path, "check")
    assert "torchlint.analysis.interpret" in modules
    status, modules, second = lint(tmp_path, "check")
    assert (status, second) == (1, first)
    slow = {"libcst", "rich", "tomllib", "torchlint.analysis", "torchlint.rulebook", "torchlint.contracts"}
    assert not modules & slow


def test_a_change_imports_what_it_needs_and_no_more(tmp_path: Path) -> None:
    """What is found elsewhere is told without the rules, and the contracts are read from no TOML."""
    (tmp_path / "a.py").write_text(BAD, "utf-8")
    (tmp_path / "b.py").write_text(GOOD, "utf-8")
    told = lint(tmp_path, "check")[2]
    slow, interpreter = {"libcst", "rich", "tomllib", "torchlint.rulebook"}, {"torchlint.analysis.interpret"}
    for more, needed in (("# a comment\n", set()), ("changed = True\n", interpreter)):
        (tmp_path / "b.py").write_text(GOOD + more, "utf-8")
        status, modules, output = lint(tmp_path, "check")
        assert (status, output) == (1, told)
        assert modules & (slow | interpreter) == needed


def test_a_change_leaves_the_words_of_other_files_as_they_are_kept(tree: Tree, torchlint: Run) -> None:
    folder = tree(PROJECT)
    torchlint("check")
    (words,) = (folder / ".torchlint_cache").glob("*-words.kept")
    (parts,) = (folder / ".torchlint_cache").glob("*-parts.kept")
    before = words.stat().st_ino, parts.stat().st_ino
    (folder / "wide.py").write_text("changed = True\n" + PROJECT["wide.py"], "utf-8")
    torchlint("check")
    after = words.stat().st_ino, parts.stat().st_ino
    assert after[0] == before[0]
    assert after[1] != before[1]


def _edit(name: str, before: str, after: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text("utf-8")
        assert before in text
        (folder / name).write_text(text.replace(before, after), "utf-8")

    return change


def _unseen(path: Path) -> None:
    """Change a file so that its size and times say nothing of it."""
    stat = path.stat()
    path.write_text(path.read_text("utf-8").replace("BCEWithLogitsLoss", "SmoothSoftL1_Loss"), "utf-8")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size


CHANGES: dict[str, Callable[[Path], object]] = {
    "a model that a loss elsewhere gets": _edit("project/shop/model.py", ", nn.Sigmoid()", ""),
    "a loss that others import": _edit("project/shop/criteria.py", "BCEWithLogitsLoss", "BCELoss"),
    "a text of the same length and time": lambda folder: _unseen(folder / "project" / "wide.py"),
    "a new file": lambda folder: (folder / "project" / "new.py").write_text(BAD, "utf-8"),
    "a file less": lambda folder: (folder / "project" / "wide.py").unlink(),
    "a module outside the files of the run": _edit("lib/extra.py", ", nn.Sigmoid()", ""),
    "a module that hides one outside": lambda folder: (folder / "project" / "extra.py").write_text(
        "Net = 1\n", "utf-8"
    ),
    "the settings": lambda folder: (folder / "torchlint.toml").write_text('ignore = ["TLN1"]\n', "utf-8"),
    "the user's contracts": _edit("mine.toml", 'gives = "probability"', 'gives = "raw"'),
}

OUTSIDE = {
    **{f"project/{name}": text for name, text in PROJECT.items()},
    "lib/extra.py": PROJECT["shop/model.py"],
    "project/uses.py": "from torch import nn\nfrom extra import Net\n\n\ndef main(x, y):\n"
    "    nn.BCEWithLogitsLoss()(Net()(x), y)\n",
    "project/squash.py": "from torch import nn\nfrom mine import squash\n\n\ndef main(x, y):\n"
    "    nn.BCEWithLogitsLoss()(squash(x), y)\n",
    "mine.toml": '[op.squash]\nfunctions = ["mine.squash"]\ngives = "probability"\n',
    "pyproject.toml": '[tool.torchlint]\nsrc = ["lib"]\ncontracts = ["mine.toml"]\n',
}


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_a_run_depends_on_is_seen_when_it_changes(what: str, tree: Tree, torchlint: Run) -> None:
    folder = tree(OUTSIDE)
    before = torchlint("check", "project", "--output-format", "concise")
    assert torchlint("check", "project", "--output-format", "concise") == before
    CHANGES[what](folder)
    after = torchlint("check", "project", "--output-format", "concise")
    assert after == torchlint("check", "project", "--output-format", "concise", "--no-cache")
    assert after != before


def test_a_baseline_is_held_against_what_is_kept(tree: Tree, torchlint: Run, analysed: list[str]) -> None:
    tree({"a.py": BAD})
    assert torchlint("check").code == 1
    torchlint("baseline")
    analysed.clear()
    assert torchlint("check", "--baseline", ".torchlint-baseline.json").code == 0
    assert not analysed


def test_a_defect_of_ours_is_not_kept(tree: Tree, torchlint: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    tree({"a.py": BAD})
    with monkeypatch.context() as broken:
        broken.setattr("torchlint.analysis.analyse", lambda *_: 1 / 0)
        assert in_report(torchlint) == 2
    assert in_report(torchlint) == 1


def in_report(torchlint: Run) -> int:
    """The exit code of a run that may tell of a traceback."""
    try:
        return torchlint("check").code
    except AssertionError:
        return 2


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "cut off": data[: len(data) // 2],
            "one bit": bytes([*data[:-5], data[-5] ^ 1, *data[-4:]]),
            "another's": caches.digest(b"\x93\x01\x02\x03") + b"\x93\x01\x02\x03",
            "of another kind": caches.digest(b"\xc1") + b"\xc1",
        }[how]
    )


@pytest.mark.parametrize("how", ["empty", "cut off", "one bit", "another's", "of another kind"])
def test_a_damaged_entry_is_made_anew(how: str, tree: Tree, torchlint: Run, analysed: list[str]) -> None:
    folder = tree({"a.py": BAD})
    first = torchlint("check")
    for entry in (folder / ".torchlint_cache").glob("*.kept"):
        damage(entry, how)
    assert torchlint("check") == first
    analysed.clear()
    assert torchlint("check") == first
    assert not analysed


@pytest.mark.parametrize("entry", ["parts", "words", "contracts"])
@pytest.mark.parametrize("how", ["cut off", "another's", None])
def test_what_is_remembered_of_each_file_may_be_damaged_or_gone(
    entry: str, how: str | None, tree: Tree, torchlint: Run
) -> None:
    folder = tree(PROJECT)
    torchlint("check")
    (path,) = (folder / ".torchlint_cache").glob(f"*-{entry}.kept")
    if how is None:
        path.unlink()
    else:
        damage(path, how)
    (folder / "new.py").write_text("from shop.steps import step\n\n\ndef measured(x, y):\n    step(x, y, y)\n", "utf-8")
    (folder / "wide.py").write_text(BAD, "utf-8")
    assert torchlint("check") == torchlint("check", "--no-cache")


def test_no_folder_that_cannot_be_one_disturbs(tree: Tree, torchlint: Run) -> None:
    folder = tree({"a.py": BAD, "taken": "a file", "mine/notes.txt": "keep me"})
    plain = torchlint("check", "--no-cache")
    for where in ("taken", "mine", "taken/inside"):
        assert torchlint("check", "--cache-dir", where) == plain
    assert sorted(path.name for path in folder.iterdir()) == ["a.py", "mine", "taken"]
    assert [path.name for path in (folder / "mine").iterdir()] == ["notes.txt"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything can be written to")
def test_a_folder_that_cannot_be_written_to_is_no_cache(tree: Tree, torchlint: Run) -> None:
    folder = tree({"a.py": BAD})
    folder.chmod(0o500)
    try:
        assert torchlint("check") == torchlint("check", "--no-cache")
    finally:
        folder.chmod(0o700)


def test_what_has_nothing_to_keep_leaves_no_folder(tree: Tree, torchlint: Run) -> None:
    folder = tree({"a.py": "print(1)\n"})
    torchlint("check")
    torchlint("check", "-", stdin=BAD.encode())
    torchlint("baseline", "--quiet")
    assert not (folder / ".torchlint_cache").exists()


def test_clean_removes_what_is_ours_and_nothing_else(tree: Tree, torchlint: Run) -> None:
    folder = tree({"a.py": BAD, "mine/notes.txt": "keep me"})
    assert torchlint("clean").out == "There is no .torchlint_cache\n"
    torchlint("check")
    assert torchlint("clean").out == "Removed .torchlint_cache\n"
    assert not (folder / ".torchlint_cache").exists()
    refused = torchlint("clean", "--cache-dir", "mine")
    assert (refused.code, refused.err) == (2, "error: mine: is no cache of torchlint, and stays\n")
    assert (folder / "mine" / "notes.txt").exists()


def test_the_folder_is_bounded_and_drops_what_was_not_used_for_longest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caches, "MAX_BYTES", 1000)
    cache = Cache(str(tmp_path / "c"))
    for number in range(4):
        cache.save(f"entry{number}", b"x" * 200)
        os.utime(tmp_path / "c" / f"entry{number}.kept", (number, number))
    assert cache.load("entry0")  # used now
    cache.save("entry4", b"x" * 200)
    assert [cache.load(f"entry{number}") is not None for number in range(5)] == [True, False, True, True, True]
    cache.save("huge", b"x" * 2000)
    assert cache.load("huge") is None


WRITER = """
import sys
from torchlint.cache import Cache
cache = Cache(sys.argv[1])
content = sys.argv[2].encode() * 50_000
for _ in range(200):
    cache.save("shared", content)
    found = cache.load("shared")
    assert found is not None and len(set(found)) == 1 and len(found) == 50_000, found and len(found)
"""


def test_several_processes_never_see_half_an_entry(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "c"), letter], env=environment)
        for letter in "abc"
    ]
    assert [each.wait(timeout=60) for each in running] == [0, 0, 0]


def test_a_library_call_keeps_nothing(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tree({"a.py": GOOD})
    monkeypatch.chdir(folder)
    engine.check(["."], Settings())
    assert [path.name for path in folder.iterdir()] == ["a.py"]
