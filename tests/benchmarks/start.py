"""How long torchlint takes to start: a file without torch, and one with a finding, against `python -c pass`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.timing import Command, Held, Took, as_installed, by_turns

MOST = 60.0
"""Milliseconds that a file without torch may take beyond an empty program."""

FILES = {
    "plain.py": "import os\n\nprint(os.name)\n",
    "finding.py": "import torch\nfrom torch import nn\n\n\ndef f(x, y):\n"
    "    return nn.BCEWithLogitsLoss()(torch.sigmoid(x), y)\n",
}


def commands(folder: Path) -> dict[str, Command]:
    """What takes turns, each by the name that is printed."""
    for name, text in FILES.items():
        (folder / name).write_text(text, "utf-8")
    plain, finding = (str(folder / name) for name in FILES)
    check = [sys.executable, "-m", "torchlint", "check"]
    return {
        "python -c pass": Command([sys.executable, "-c", "pass"]),
        "a file without torch": Command([*check, plain]),
        "the same, with an option": Command([*check, "--no-cache", plain]),
        "a file with a finding": Command([*check, "--no-cache", finding]),
    }


def shown(taken: Mapping[str, Took]) -> list[str]:
    """The table: milliseconds of the processor and by the clock, and how many more than of an empty program."""
    least = next(iter(taken.values()))
    lines = [f"{'start-up':26} {'ms':>7} {'more':>7} {'clock':>7} {'more':>7}"]
    for name, took in taken.items():
        figures = (took.processor, took.processor - least.processor, took.clock, took.clock - least.clock)
        lines.append(f"{name:26} " + " ".join(f"{1000 * figure:7.1f}" for figure in figures))
    return lines


def measure(rounds: int) -> list[Held]:
    """Measure and print; modules are compiled before, as pip does."""
    with tempfile.TemporaryDirectory() as made, as_installed() as environment:
        asked = commands(Path(made))
        by_turns(asked, 1, environment)
        taken = by_turns(asked, rounds, environment)
    print(*shown(taken), sep="\n", flush=True)
    more = taken["a file without torch"].processor - taken["python -c pass"].processor
    return [Held("a file without torch: ms more than python -c pass", 1000 * more, MOST)]
