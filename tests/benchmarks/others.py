"""torchlint beside the linters of PyTorch code that people use, TorchFix and torch-preflight, on some of the packages.

These take seconds for a small package, so they run in the first round only. Each tool has its own virtual environment, or is
on the path; one that is not installed is left out.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks import packages
from tests.benchmarks.timing import Command, Held, Took, as_installed, by_turns

SLOW = {"TorchFix": ("torchfix", ["-j", "1"]), "torch-preflight": ("torch-preflight", ["check", "-j", "1", "-q"])}
"""The other linters: their commands, and the options for one process."""

COLD, WARM = 20.0, 200.0
"""How many times faster torchlint has to be, cold than both, warm than TorchFix."""


def installed(name: str, tools: str | None) -> str | None:
    """Where a tool is: in the given folder, or on the path."""
    return shutil.which(name, path=os.pathsep.join([*filter(None, [tools]), os.environ.get("PATH", "")]))


def slow(folders: Sequence[str], tools: str | None) -> dict[str, Command]:
    """The other linters, as far as they are installed."""
    found = {}
    for name, (program, options) in SLOW.items():
        path = installed(program, tools)
        if path is None:
            print(f"{name} is not installed: left out")
        else:
            found[name] = Command([path, *options, *folders])
    return found


def quick(folders: Sequence[str], made: Path) -> dict[str, Command]:
    """torchlint, and the parsers on all files of the sample."""
    cache, listed = made / ".cache", made / "files"
    files = sorted(str(path) for folder in folders for path in Path(folder).rglob("*.py"))
    listed.write_text("\n".join(files), "utf-8")
    return {
        "cold": Command(packages.check(folders, 1, cache), lambda: packages.emptied(cache)),
        "warm": Command(packages.check(folders, 1, cache)),
        "LibCST's parse": Command(packages.parse("libcst", listed)),
        "ast.parse": Command(packages.parse("ast", listed)),
        "python -c pass": Command([sys.executable, "-c", "pass"]),
    }


def measure(sample: Sequence[str], rounds: int, tools: str | None) -> list[Held]:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as made, as_installed() as environment:
        folders = packages.copied(Path(made, "packages"), sample)
        size = sum(path.stat().st_size for folder in folders for path in Path(folder).rglob("*.py")) / 1e6
        asked = quick(folders, Path(made))
        others = slow(folders, tools)
        # The first runs compile the modules.
        by_turns(
            {name: Command([command.arguments[0], "--version"]) for name, command in others.items()}, 1, environment
        )
        by_turns({"cold": asked["cold"]}, 1, environment)
        taken = by_turns(others, 1, environment) | by_turns(asked, rounds, environment)
    print(f"{', '.join(map(os.path.basename, sample))}: {size:.1f} MB of Python, all files parsed by the parsers")
    print(f"{'one process':26} {'seconds':>9} {'clock':>9} {'/ cold':>8} {'/ warm':>8}")
    for name, took in taken.items():
        ratios = [took.processor / taken[each].processor for each in ("cold", "warm")]
        print(f"{name:26} {took.processor:9.2f} {took.clock:9.2f} " + " ".join(f"{ratio:8.1f}" for ratio in ratios))
    return verdicts(taken)


def verdicts(taken: Mapping[str, Took]) -> list[Held]:
    """What torchlint is held to beside those that ran."""
    held = [
        Held(f"{name} / cold", taken[name].processor / taken["cold"].processor, COLD, at_least=True)
        for name in SLOW
        if name in taken
    ]
    if "TorchFix" in taken:
        times = taken["TorchFix"].processor / taken["warm"].processor
        held.append(Held("TorchFix / warm", times, WARM, at_least=True))
    return held
