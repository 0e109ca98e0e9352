"""How time and memory grow from one package to all of them: in proportion to the code, or faster.

The packages are taken in the order of their names, the more the larger; each run is cold, in two processes. The exponent is
that of the power of the size which fits the figures best: 1 if they grow in proportion.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks import packages
from tests.benchmarks.timing import Command, Held, Took, as_installed, exponent, run

TIME, MEMORY = 1.15, 1.0
"""The exponents that time and memory are held to: a little room for what only large projects have, such as more imports."""


class Step(NamedTuple):
    """So many packages: their size in MB of Python, and what they took."""

    packages: int
    size: float
    took: Took

    def __str__(self) -> str:
        processor, clock, memory = self.took
        per = f"{processor / self.size:9.3f} {memory / self.size:8.1f}"
        return f"{self.packages:8} {self.size:7.1f} {processor:9.2f} {clock:9.2f} {memory:8.0f} {per}"


def steps(count: int) -> list[int]:
    """How many packages are taken: one, and then up to all of them."""
    return sorted({1, *(max(1, round(count * part)) for part in (0.25, 0.5, 1))})


def measure(folders: Sequence[str]) -> list[Held]:
    """Measure and print."""
    taken: list[Step] = []
    print(f"{'packages':>8} {'MB':>7} {'seconds':>9} {'clock':>9} {'peak MB':>8} {'s / MB':>9} {'MB / MB':>8}")
    with tempfile.TemporaryDirectory() as made, as_installed() as environment:
        copies = packages.copied(Path(made, "packages"), folders)
        cache = Path(made, ".cache")
        run(Command(packages.check(copies[:1], 2, cache)), environment)  # compiles the modules
        for count in steps(len(copies)):
            packages.emptied(cache)
            paths = [
                Path(folder, name) for top in copies[:count] for folder, _, names in os.walk(top) for name in names
            ]
            took = run(Command(packages.check(copies[:count], 2, cache), memory=True), environment)
            taken.append(Step(count, sum(path.stat().st_size for path in paths) / 1e6, took))
            print(taken[-1], flush=True)
    if len(taken) < 2:
        print("one package only: nothing to compare")
        return []
    sizes = [each.size for each in taken]
    return [
        Held("time grows with the power", exponent(sizes, [each.took.processor for each in taken]), TIME),
        Held("memory grows with the power", exponent(sizes, [each.took.memory for each in taken]), MEMORY),
    ]
