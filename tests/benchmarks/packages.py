"""Real packages as one project: cold, warm and with one file changed, in one process and in two, against parsers and ruff.

The packages' Python files are copied, since one of them is changed. LibCST and `ast` parse the files that pass torchlint's
byte prefilter, garbage collector off. ruff runs with its default rules, without settings and cache. Every process is measured
whole, its imports included.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from itertools import cycle
from pathlib import Path

from tests.benchmarks import cold
from tests.benchmarks.timing import Command, Held, Took, as_installed, by_turns

COLD = 1.3
"""How many times LibCST's parse of the files with a loss a cold run may take."""

WARM = 3.0
"""How many times a cold run of ruff a warm one may take."""

CHANGED = 1.5
"""How many times a warm run one with a changed file may take."""

MEMORY = 400.0
"""MB that two processes may take together."""


def copied(folder: Path, packages: Iterable[str]) -> list[str]:
    """Copy the Python files of packages into what looks like a repository; gives the folders.

    Imports are not looked for above it, where other programs make files meanwhile.
    """
    folder.joinpath(".git").mkdir(parents=True)
    made = []
    for package in packages:
        target = folder / os.path.basename(os.path.abspath(package))
        shutil.copytree(package, target, ignore=_only_python)
        made.append(str(target))
    return made


def _only_python(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not name.endswith(".py") and not os.path.isdir(os.path.join(folder, name))]


def check(folders: Sequence[str], jobs: int, cache: Path) -> list[str]:
    """The command that lints folders with a cache. Its name has a dot: a folder that can be imported would change what is found."""
    options = ["--isolated", "--statistics", "--exit-zero", "--jobs", str(jobs), "--cache-dir", str(cache)]
    return [sys.executable, "-m", "torchlint", "check", *options, *folders]


def parse(parser: str, listed: Path) -> list[str]:
    """The command by which a parser reads the files of a list."""
    return [sys.executable, "-m", "tests.benchmarks.parsing", parser, str(listed)]


def emptied(cache: Path) -> None:
    """Remove a cache."""
    shutil.rmtree(cache, ignore_errors=True)


class Edits:
    """Changes one file after the other: those with a loss, far from each other."""

    def __init__(self, files: Sequence[str]) -> None:
        self.waiting = cycle(files[len(files) // 6 :: max(1, len(files) // 3)])

    def next(self) -> None:
        """Add a line to a file."""
        with open(next(self.waiting), "a", encoding="utf-8") as file:
            file.write("\n_changed = True\n")


def commands(folders: Sequence[str], made: Path) -> dict[str, Command]:
    """What takes turns, each by the name that is printed."""
    found = sorted(path for folder in folders for path in cold.corpus(folder).texts)
    listed, one, two = made / "files", made / ".cache_1", made / ".cache_2"
    listed.write_text("\n".join(found), "utf-8")
    ruff = ["ruff", "check", "--isolated", "--no-cache", "--exit-zero", "--quiet", *folders]
    asked = {
        "cold, one process": Command(check(folders, 1, one), lambda: emptied(one)),
        "cold, two processes": Command(check(folders, 2, two), lambda: emptied(two), memory=True),
        "LibCST's parse": Command(parse("libcst", listed)),
        "ast.parse": Command(parse("ast", listed)),
        "warm, one process": Command(check(folders, 1, one)),
        "warm, two processes": Command(check(folders, 2, two)),
        "warm, a file changed": Command(check(folders, 1, one), Edits(found).next),
    }
    if shutil.which("ruff"):
        asked["ruff, cold"] = Command(ruff)
    else:
        print("ruff is not installed: left out")
    return asked


def row(name: str, took: Took, unit: float) -> str:
    memory = f"{took.memory:7.0f} MB" if took.memory else ""
    return f"{name:26} {took.processor:9.2f} {took.clock:9.2f} {took.processor / unit:8.3f} {memory}"


def measure(packages: Sequence[str], rounds: int) -> list[Held]:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as made, as_installed() as environment:
        folders = copied(Path(made, "packages"), packages)
        asked = commands(folders, Path(made))
        taken = by_turns(asked, rounds, environment)
    parser = taken["LibCST's parse"]
    print(f"{f'{len(packages)} packages':26} {'seconds':>9} {'clock':>9} {'/ LibCST':>8}")
    print(*(row(name, took, parser.processor) for name, took in taken.items()), sep="\n", flush=True)
    warm, changed = taken["warm, one process"], taken["warm, a file changed"]
    held = [
        Held("cold, one process / LibCST's parse", taken["cold, one process"].processor / parser.processor, COLD),
        Held("warm, a file changed / warm", changed.processor / warm.processor, CHANGED),
        Held("MB of two processes, cold", taken["cold, two processes"].memory, MEMORY),
    ]
    if "ruff, cold" in taken:
        held.append(Held("warm / ruff, cold", warm.processor / taken["ruff, cold"].processor, WARM))
    return held
