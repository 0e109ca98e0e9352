"""All benchmarks of what torchlint is held to: `python -m tests.benchmarks FOLDER`, a folder with a PyTorch package in each subfolder.

What takes turns is measured in the same rounds, and the medians are compared. `seconds` and `ms` are the processors' time, which
other work on the machine hardly changes; `clock` is what one waits. The exit code is 1 if anything is not kept.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from tests.benchmarks import growth, keystroke, others, packages, start
from tests.benchmarks.timing import Held

SAMPLE = 2
"""So many packages are a sample for the slow linters if none are named: the smallest that are not tiny."""

TINY = 300_000
"""Bytes of Python code."""


def sizes(folder: str) -> dict[str, int]:
    """The packages in a folder, by name, and the bytes of their Python files."""
    found = {}
    for package in sorted(each.path for each in os.scandir(folder) if each.is_dir()):
        files = [
            os.path.join(inner, name) for inner, _, names in os.walk(package) for name in names if name.endswith(".py")
        ]
        if files:
            found[package] = sum(map(os.path.getsize, files))
    return found


def sample_of(found: dict[str, int]) -> list[str]:
    """The packages that the slow linters are run on."""
    by_size = sorted(found, key=lambda package: (found[package], package))
    return ([each for each in by_size if found[each] >= TINY] or by_size)[:SAMPLE]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and tell what is kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("folder", metavar="FOLDER", help="a PyTorch package in each subfolder, such as unpacked wheels")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (default: 3)")
    parser.add_argument("--only", action="append", choices=NAMES, help="only this part; may be repeated")
    parser.add_argument("--sample", nargs="+", metavar="NAME", help="the packages for the slow linters")
    parser.add_argument("--tools", metavar="FOLDER", help="where torchfix and torch-preflight are, if not on the path")
    given = parser.parse_args(arguments)
    found = sizes(given.folder)
    if not found:
        parser.error(f"{given.folder} has no folder with Python files")
    sample = [os.path.join(given.folder, name) for name in given.sample or ()] or sample_of(found)
    parts: dict[str, Callable[[], list[Held]]] = {
        "start": lambda: start.measure(5 * given.rounds),
        "others": lambda: others.measure(sample, given.rounds, given.tools),
        "packages": lambda: packages.measure(list(found), given.rounds),
        "growth": lambda: growth.measure(list(found)),
        "keystroke": lambda: keystroke_held(5 * given.rounds),
    }
    held: list[Held] = []
    for name in given.only or NAMES:
        print(f"\n== {name}", flush=True)
        held += parts[name]()
    print("\n== what torchlint is held to")
    print(*held, sep="\n")
    return int(not all(each.kept for each in held))


NAMES = ("start", "others", "packages", "growth", "keystroke")


def keystroke_held(rounds: int) -> list[Held]:
    """The language server's benchmark prints for itself."""
    ratio = keystroke.measure(rounds)
    return [Held("keystroke / LibCST's parse", ratio, keystroke.LIMIT)]


if __name__ == "__main__":
    sys.exit(main())
