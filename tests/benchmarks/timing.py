"""How the benchmarks measure: commands in processes of their own, taking turns, and the medians of what each took."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Took(NamedTuple):
    """What a process and those that it started took: the processors' seconds, those by the clock, and MB at the peak."""

    processor: float
    clock: float
    memory: float = 0.0


class Command(NamedTuple):
    """What is measured. `before` is done first, and not timed."""

    arguments: Sequence[str]
    before: Callable[[], object] = lambda: None
    memory: bool = False


@contextmanager
def as_installed() -> Iterator[dict[str, str]]:
    """Variables under which Python keeps and uses compiled modules, as it does of what pip installed."""
    with tempfile.TemporaryDirectory() as folder:
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        path = os.pathsep.join([ROOT, *filter(None, [os.environ.get("PYTHONPATH")])])
        yield {**kept, "PYTHONPYCACHEPREFIX": folder, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}


def run(command: Command, environment: Mapping[str, str]) -> Took:
    """Run it once. An exit code that says that there are findings is no failure."""
    command.before()
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            command.arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, env=environment
        )
        with _sampled(process.pid, command.memory) as peak:
            _, status, used = os.wait4(process.pid, 0)
        clock = time.perf_counter() - start
        process.returncode = code = os.waitstatus_to_exitcode(status)
        if code not in (0, 1):
            errors.seek(0)
            told = errors.read().decode(errors="replace")
            raise RuntimeError(f"{' '.join(command.arguments)[:200]} ended with {code}:\n{told[-2000:]}")
    return Took(used.ru_utime + used.ru_stime, clock, max(peak))


def by_turns(commands: Mapping[str, Command], rounds: int, environment: Mapping[str, str]) -> dict[str, Took]:
    """The medians of several rounds, in each of which every command runs once, in this order."""
    taken: dict[str, list[Took]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            taken[name].append(run(command, environment))
    return {name: Took(*map(statistics.median, zip(*all_of_it, strict=True))) for name, all_of_it in taken.items()}


@contextmanager
def _sampled(process: int, wanted: bool) -> Iterator[list[float]]:
    """The MB that a process and those below it take, looked at again and again; pages that they share count once."""
    seen = [0.0]
    over = threading.Event()

    def look() -> None:
        while not over.wait(_BETWEEN):
            seen.append(sum(map(_megabytes, _tree(process))))

    sampler = threading.Thread(target=look, daemon=True)
    if wanted:
        sampler.start()
    try:
        yield seen
    finally:
        over.set()
        if wanted:
            sampler.join()


_BETWEEN = 0.1
"""Seconds from one look to the next: a look at a large process takes some milliseconds."""


def _tree(process: int) -> list[int]:
    found = [process]
    for each in found:
        with suppress(OSError), open(f"/proc/{each}/task/{each}/children", encoding="ascii") as file:
            found += map(int, file.read().split())
    return found


def _megabytes(process: int) -> float:
    """The proportional set of a process: its own pages, and its part of those that it shares."""
    with suppress(OSError, ValueError), open(f"/proc/{process}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0


class Held(NamedTuple):
    """A figure that torchlint is held to."""

    what: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def kept(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        limit = f"at {'least' if self.at_least else 'most'} {self.limit:g}"
        return f"{'ok    ' if self.kept else 'BROKEN'} {self.what}: {self.value:.2f}, {limit}"


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The power of the size that fits the values best (least squares of logarithms): 1 if they grow in proportion."""
    from math import log

    across, up = [log(each) for each in sizes], [log(each) for each in values]
    return statistics.linear_regression(across, up).slope
