"""How long a first run takes, against LibCST alone: `python -m tests.benchmarks.cold FOLDER`.

One process, no cache. Two things are timed in turn, and the medians compared:

* parse: `libcst.parse_module` on each file below the folder that passes torchlint's byte prefilter, garbage collector off;
* check: the whole of `torchlint check FOLDER`, from finding the files to the finished diagnostics.

The ratio check/parse is what torchlint is held to: at most 1.5. `ast.parse` on the same files is given for comparison.
"""

from __future__ import annotations

import argparse
import ast
import gc
import importlib
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchlint.engine import Report

LIMIT = 1.5


class Corpus(NamedTuple):
    """The files of a folder: how many there are, and those with a loss in them."""

    files: int
    size: int
    texts: dict[str, str]


class Timing(NamedTuple):
    """Seconds of each round."""

    parse: list[float]
    check: list[float]
    ast: list[float]

    @property
    def ratio(self) -> float:
        return statistics.median(self.check) / statistics.median(self.parse)


@contextmanager
def no_collector() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def corpus(folder: str) -> Corpus:
    """Find the files as torchlint does and keep the text of those that pass its prefilter."""
    from torchlint import discover, engine
    from torchlint.config import Settings
    from torchlint.source import SourceError, from_bytes

    settings = Settings()
    has_loss_word = discover.searcher(engine.loss_words(settings))
    found = discover.discover([folder], settings.discovery).files
    texts: dict[str, str] = {}
    size = 0
    for path in found:
        try:
            data = Path(path).read_bytes()
        except OSError:
            continue
        size += len(data)
        if has_loss_word(data):
            try:
                texts[path] = from_bytes(path, data).text
            except SourceError:
                continue
    return Corpus(len(found), size, texts)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def parse_all(texts: dict[str, str]) -> None:
    import libcst as cst

    for text in texts.values():
        try:
            cst.parse_module(text)
        except Exception:  # noqa: BLE001  # torchlint meets the same files
            continue


def ast_all(texts: dict[str, str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for text in texts.values():
            try:
                ast.parse(text)
            except (SyntaxError, ValueError, RecursionError):
                continue


def check(folder: str) -> Report:
    from torchlint import engine
    from torchlint.config import Settings

    return engine.check([folder], Settings())


def measure(folder: str, texts: dict[str, str], rounds: int) -> tuple[Timing, Report]:
    """Time the two in turn, so that a busy moment of the machine hits both."""
    for name in ("libcst.metadata", "torchlint.analysis", "torchlint.analysis.positions", "torchlint.project"):
        importlib.import_module(name)  # imports are paid once per process, not per file
    timing = Timing([], [], [])
    report: list[Report] = []
    for _ in range(rounds):
        with no_collector():
            timing.parse.append(seconds(lambda: parse_all(texts)))
        gc.collect()
        timing.check.append(seconds(lambda: report.append(check(folder))))
        with no_collector():
            timing.ast.append(seconds(lambda: ast_all(texts)))
    return timing, report[-1]


def profile(folder: str, lines: int) -> None:
    import cProfile
    import pstats

    profiler = cProfile.Profile()
    profiler.runcall(check, folder)
    pstats.Stats(profiler, stream=sys.stdout).strip_dirs().sort_stats("tottime").print_stats(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.cold", description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="a folder with PyTorch code, such as unpacked source distributions")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is timed (default: 3)")
    parser.add_argument("--profile", action="store_true", help="print where `check` spends its time instead")
    given = parser.parse_args(arguments)
    if given.profile:
        profile(given.folder, 40)
        return 0
    found = corpus(given.folder)
    if not found.texts:
        print(f"{given.folder}: no file passes the prefilter", file=sys.stderr)
        return 2
    inside = sum(len(text.encode("utf-8", "replace")) for text in found.texts.values())
    print(f"files      {found.files:7}   {found.size / 1e6:8.1f} MB")
    print(f"prefilter  {len(found.texts):7}   {inside / 1e6:8.1f} MB")
    timing, report = measure(given.folder, found.texts, given.rounds)
    for name in ("ast", "parse", "check"):
        taken = getattr(timing, name)
        spread = ", ".join(f"{each:.2f}" for each in taken)
        print(f"{name:10} {statistics.median(taken):9.2f} s   ({spread})")
    print(
        f"findings   {len(report.diagnostics):7}   problems {len(report.problems)}, internal {sum(p.internal for p in report.problems)}"
    )
    print(f"ratio      {timing.ratio:9.2f}     (at most {LIMIT})")
    return int(timing.ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
