"""What the plugin adds to flake8, against LibCST alone: `python -m tests.benchmarks.flake8 FOLDER...`.

flake8 runs with one job, its own plugins and ours, no settings; each folder in a fresh process. Timed are the parts of that
run that are torchlint's: its look at the paths when flake8 starts, and what it tells of each file. That is the processor's
time, and not the difference of two runs, which would drown in the minutes that flake8 itself takes. What is paid once in a
process, the imports and the rulebook, is paid for a file with a loss before that, and added once to the total. Then
`libcst.parse_module` parses each file below the folder that passes torchlint's byte prefilter, garbage collector off. The
ratio of the totals is what the plugin is held to: at most 1.3.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from tests.benchmarks import cold

LIMIT = 1.3
LOSS = "import torch\nfrom torch import nn\n\n\ndef f(x, y):\n    return nn.BCELoss()(torch.sigmoid(x), y)\n"
HEAD = f"{'folder':28} {'files':>6} {'loss':>6} {'parse s':>8} {'plugin s':>8} {'flake8 s':>8} {'ratio':>6} {'findings':>8}"


class Clock:
    """The time that the plugin takes in a run of flake8."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same, with the time that it takes counted."""

        def run(*arguments: Any) -> Any:
            start = time.process_time()
            try:
                return work(*arguments)
            finally:
                self.seconds += time.process_time() - start

        return run

    def watch(self, checker: Any) -> None:
        """Count all that flake8 asks of the plugin."""
        tell: Callable[[Any], Iterator[Any]] = checker.run
        checker.run = self.timed(lambda each: list(tell(each)))
        checker.parse_options = self.timed(checker.parse_options)


def child(folder: str) -> None:
    """Run flake8 in this process, and print what it came to."""
    from flake8.main.cli import main as flake8

    clock = Clock()
    load = EntryPoint.load
    taken: list[float] = []

    def watched(entry: EntryPoint) -> Any:
        if entry.name != "TLN":
            return load(entry)
        checker = clock.timed(load)(entry)
        if not taken:  # the second run gets the same one
            clock.watch(checker)
        return checker

    EntryPoint.load = watched  # type: ignore[assignment, method-assign]
    with tempfile.TemporaryDirectory() as made:
        first, told = Path(made, "first.py"), Path(made, "told")
        first.write_text(LOSS, "utf-8")
        for each in (os.fspath(first), folder):
            told.unlink(missing_ok=True)
            clock.seconds, start = 0.0, time.process_time()
            flake8(["--isolated", "--jobs=1", "--format=%(code)s", f"--output-file={told}", each])
            taken += clock.seconds, time.process_time() - start
        codes = told.read_text("utf-8").split() if told.exists() else []
    found = sum(code.startswith("TLN") and code != "TLN000" for code in codes)
    print(json.dumps({"once": taken[0], "plugin": taken[2], "all": taken[3], "findings": found}))


def measure(folder: str, installed: str) -> tuple[cold.Row, float]:
    """Time flake8 in a process of its own, and LibCST here. In the row, `check` is the plugin and `ast` all of flake8; beside
    it, what the plugin took once."""
    path = os.pathsep.join([installed, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.flake8", "--child", folder],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        check=True,
    )
    took = json.loads(done.stdout)
    found = cold.corpus(folder)
    with cold.no_collector():
        parse = sum(cold.seconds(lambda text=text: cold.parse(text)) for text in found.texts.values())  # type: ignore[misc]
    row = cold.Row(
        os.path.basename(os.path.abspath(folder)),
        found.files,
        found.size,
        len(found.texts),
        parse=parse,
        check=took["plugin"],
        ast=took["all"],
        findings=took["findings"],
    )
    return row, float(took["once"])


def shown(row: cold.Row) -> str:
    return (
        f"{row.name[:28]:28} {row.files:6} {row.sifted:6} {row.parse:8.2f} {row.check:8.2f} {row.ast:8.2f} {row.ratio:6.2f}"
        f" {row.findings:8}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 if the ratio is above the limit."""
    from tests.faces.conftest import registered

    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.flake8", description=__doc__.splitlines()[0])
    parser.add_argument(
        "folders", nargs="+", metavar="FOLDER", help="PyTorch code, such as a released package's source"
    )
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.child:
        child(given.folders[0])
        return 0
    import libcst as cst  # paid once per process, not per file

    cst.parse_module("")
    print(HEAD)
    total = cold.Row("total")
    once: list[float] = []
    with tempfile.TemporaryDirectory() as made:
        installed = registered(Path(made))
        for folder in given.folders:
            row, first = measure(folder, str(installed))
            total, once = total.plus(row), [*once, first]
            print(shown(row), flush=True)
    total = total._replace(check=total.check + statistics.median(once))
    print(f"once in a process: {statistics.median(once):.2f} s of the plugin's")
    print(shown(total))
    return cold.verdict(total, LIMIT)


if __name__ == "__main__":
    sys.exit(main())
