"""How long a first run takes, against LibCST alone: `python -m tests.benchmarks.cold FOLDER...`.

One process, no cache. A folder that holds several projects is given with `--each`: they are measured one by one. Two things
are timed, and the medians compared. It is the time of the processor, so other work on the machine hardly counts:

* check: the whole of `torchlint check FOLDER`, from finding the files to the finished diagnostics;
* parse: `libcst.parse_module` on each file below the folder that passes torchlint's byte prefilter, garbage collector off.
  A file is parsed for this right before torchlint reads it, or right after, in turn: a machine whose speed drifts by a third
  within a minute slows both alike. This time is not counted as torchlint's.

The ratio check/parse of the totals is what torchlint is held to: at most 1.5. `ast.parse` on the same files is given for comparison.
"""

from __future__ import annotations

import argparse
import ast
import gc
import importlib
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torchlint.outcome import Report

LIMIT = 1.5


class Corpus(NamedTuple):
    """The files of a folder: how many there are, and those with a loss in them."""

    files: int
    size: int
    texts: dict[str, str]


class Row(NamedTuple):
    """What is printed of a folder, or of all together: files and bytes, medians in seconds, and what was found."""

    name: str
    files: int = 0
    size: int = 0
    sifted: int = 0
    sifted_size: int = 0
    ast: float = 0.0
    parse: float = 0.0
    check: float = 0.0
    findings: int = 0
    problems: int = 0
    internal: int = 0

    @property
    def ratio(self) -> float:
        return self.check / self.parse if self.parse else 0.0

    def plus(self, other: Row) -> Row:
        sums: list[Any] = [mine + theirs for mine, theirs in zip(self[1:], other[1:], strict=True)]
        return Row(self.name, *sums)

    def __str__(self) -> str:
        return (
            f"{self.name[:28]:28} {self.files:6} {self.size / 1e6:7.1f} {self.sifted:6} {self.sifted_size / 1e6:7.1f}"
            f" {self.ast:8.2f} {self.parse:8.2f} {self.check:8.2f} {self.ratio:6.2f}"
            f" {self.findings:8} {self.problems:8} {self.internal:8}"
        )


HEAD = (
    f"{'folder':28} {'files':>6} {'MB':>7} {'loss':>6} {'MB':>7} {'ast s':>8} {'parse s':>8} {'check s':>8} {'ratio':>6}"
    f" {'findings':>8} {'problems':>8} {'internal':>8}"
)


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
    from torchlint import data as words
    from torchlint import discover, selected
    from torchlint.config import Settings
    from torchlint.source import SourceError, from_bytes

    settings = Settings()
    has_loss_word = discover.searcher(selected.loss_words(settings), words.LEARNS)
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
    start = time.process_time()
    work()
    return time.process_time() - start


def parse(text: str) -> None:
    import libcst as cst

    with suppress(Exception):  # torchlint meets the same files
        cst.parse_module(text)


class Pairs:
    """While it is entered, each of these files is parsed by LibCST alone, too, when torchlint reads it."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.waiting = dict(texts)
        self.seconds = 0.0

    @contextmanager
    def beside(self) -> Iterator[None]:
        from torchlint.project import Project

        load = Project.load

        def both(project: Project, path: str) -> object:
            text = self.waiting.pop(path, None)
            if text is None:
                return load(project, path)
            if len(self.waiting) % 2:
                self.seconds += seconds(lambda: parse(text))
                return load(project, path)
            try:
                return load(project, path)
            finally:
                self.seconds += seconds(lambda: parse(text))

        Project.load = both  # type: ignore[assignment, method-assign]
        try:
            yield
        finally:
            Project.load = load  # type: ignore[method-assign]

    def parse_the_rest(self) -> None:
        """The files that torchlint did not read: LibCST's work all the same."""
        for text in self.waiting.values():
            self.seconds += seconds(lambda text=text: parse(text))  # type: ignore[misc]


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


def measure(folder: str, rounds: int) -> Row:
    """Time the two file by file, and `ast` for comparison."""
    found = corpus(folder)
    texts = found.texts
    taken: dict[str, list[float]] = {"ast": [], "parse": [], "check": []}
    reports: list[Report] = []
    for _ in range(rounds):
        pairs = Pairs(texts)
        gc.collect()
        with pairs.beside():
            whole = seconds(lambda: reports.append(check(folder)))
        taken["check"].append(whole - pairs.seconds)
        with no_collector():
            pairs.parse_the_rest()
            taken["parse"].append(pairs.seconds)
            taken["ast"].append(seconds(lambda: ast_all(texts)))
        del reports[:-1]
    medians = {name: statistics.median(times) for name, times in taken.items()}
    report = reports[-1]
    return Row(
        os.path.basename(os.path.abspath(folder)),
        found.files,
        found.size,
        len(texts),
        sum(len(text.encode("utf-8", "replace")) for text in texts.values()),
        **medians,
        findings=len(report.diagnostics),
        problems=len(report.problems),
        internal=sum(problem.internal for problem in report.problems),
    )


def profile(folder: str, lines: int) -> None:
    import cProfile
    import pstats

    profiler = cProfile.Profile()
    profiler.runcall(check, folder)
    pstats.Stats(profiler, stream=sys.stdout).strip_dirs().sort_stats("tottime").print_stats(lines)


def verdict(total: Row, limit: float) -> int:
    """Print the ratio of the totals beside its limit: the exit code."""
    if not total.sifted:
        print("no file passes the prefilter", file=sys.stderr)
        return 2
    print(f"ratio {total.ratio:.2f}, at most {limit}")
    return int(total.ratio > limit)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.cold", description=__doc__.splitlines()[0])
    parser.add_argument(
        "folders", nargs="+", metavar="FOLDER", help="PyTorch code, such as an unpacked source distribution"
    )
    parser.add_argument("--each", action="store_true", help="measure each subfolder of the folders by itself")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is timed (default: 3)")
    parser.add_argument("--profile", action="store_true", help="print where `check` spends its time instead")
    given = parser.parse_args(arguments)
    folders = given.folders
    if given.each:
        inside = [os.path.join(folder, name) for folder in folders for name in sorted(os.listdir(folder))]
        folders = [each for each in inside if os.path.isdir(each)]
    for name in ("libcst.metadata", "torchlint.analysis", "torchlint.analysis.positions", "torchlint.project"):
        importlib.import_module(name)  # imports are paid once per process, not per file
    if given.profile:
        for folder in folders:
            profile(folder, 40)
        return 0
    print(HEAD)
    total = Row("total")
    for folder in folders:
        row = measure(folder, given.rounds)
        total = total.plus(row)
        print(row, flush=True)
    if len(folders) > 1:
        print(total)
    return verdict(total, LIMIT)


if __name__ == "__main__":
    sys.exit(main())
