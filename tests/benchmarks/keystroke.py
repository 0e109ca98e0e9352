"""From keystroke to diagnostics, against LibCST alone: `python -m tests.benchmarks.keystroke`.

A project of 200 files that is made for it: a file of 1,000 lines with a finding is edited, its model is in another file, and
20 of the rest have a loss, too. Timed is what the language server does at a keystroke but for the messages, and
`libcst.parse_module` on the same text; the medians' ratio is what the server is held to: at most 1.5. That is the
processor's time, so other work on the machine hardly counts. For comparison, the same edits are sent to a real server: by the
clock, from the message with the edit to the one with the diagnostics.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import tempfile
import time
from pathlib import Path

import libcst

from tests.faces.editor import editor
from torchlint.server.documents import Document, Opened
from torchlint.server.runs import Request, Runs
from torchlint.server.session import WHOLE_AFTER
from torchlint.server.texts import Position

LIMIT = 1.5
MODEL = """\
import torch
from torch import nn


class Net{number}(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, width), nn.ReLU())
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        return torch.sigmoid(self.head(self.body(x)))
"""
TRAIN = """\


def train_{number}(loader, epochs):
    model = Net{number}(32)
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(epochs):
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = criterion(model(inputs), labels.float())
            loss.backward()
            optimizer.step()
        print(epoch, loss.item())
    return model
"""
OTHER = """\


def summary_{number}(rows, width=80):
    total = {{}}
    for name, value in rows:
        total[name] = total.get(name, 0) + value
    lines = [f"{{name:<20}} {{value:>10.3f}}"[:width] for name, value in sorted(total.items())]
    return "\\n".join(lines)
"""


def project(folder: Path) -> Path:
    """Write the project; gives the file that is edited."""
    (folder / "models.py").write_text("".join(MODEL.format(number=number) for number in range(5)), "utf-8")
    for number in range(198):
        text = "".join(OTHER.format(number=each) for each in range(20))
        if number < 20:
            text = f"import torch\nfrom models import Net0\nfrom torch import nn\n{text}{TRAIN.format(number=0)}"
        (folder / f"file_{number}.py").write_text(text, "utf-8")
    head = "import torch\nfrom models import Net0, Net1, Net2, Net3, Net4\nfrom torch import nn\n"
    parts = [head, *(TRAIN.format(number=number) for number in range(5))]
    while sum(part.count("\n") for part in parts) < 1000:
        parts.append(OTHER.format(number=len(parts)))
    (folder / "train.py").write_text("".join(parts), "utf-8")
    return folder / "train.py"


async def over_the_wire(folder: Path, path: Path, rounds: int) -> tuple[float, float]:
    """Medians by the clock: from an edit to its diagnostics, by a server in a process of its own, and of LibCST's parse."""
    taken: dict[str, list[float]] = {"keystroke": [], "parse": []}
    async with editor(folder) as ed:
        ed.open(path.name)

        def line() -> int:
            return min((each.range.start.line for each in ed.pushed(path.name)), default=0)

        await ed.until(lambda: line() > 0)
        for number in range(rounds):
            await asyncio.sleep(2 * WHOLE_AFTER)  # a look at the whole project is over by then
            expected = line() + 1
            start = time.perf_counter()
            ed.replace(path.name, 0, 0, f"# {number}\n")
            while line() != expected:  # noqa: ASYNC110  # the client keeps what it is told, and tells nobody
                await asyncio.sleep(0.001)
            taken["keystroke"].append(time.perf_counter() - start)
            start = time.perf_counter()
            libcst.parse_module(ed.texts[path.name])
            taken["parse"].append(time.perf_counter() - start)
    return statistics.median(taken["keystroke"]), statistics.median(taken["parse"])


def measure(rounds: int) -> float:
    """Measure and print; gives the ratio."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve()
        path = project(folder)
        part = Document(path.as_uri(), path.read_text("utf-8"), 1)
        opened = Opened(str(path), path.as_uri(), [part])
        runs = Runs()
        taken: dict[str, list[float]] = {"keystroke": [], "parse": []}
        for number in range(rounds + 1):
            start = time.process_time()
            part.edit(Position(4, 0), Position(4, 0), f"# {number}\n", "utf-16")
            outcome = runs.lint(Request((opened.snapshot(),), (str(folder),)))
            part.took(part.now.text, 1)
            taken["keystroke"].append(time.process_time() - start)
            gc.disable()
            start = time.process_time()
            libcst.parse_module(part.now.text)
            taken["parse"].append(time.process_time() - start)
            gc.enable()
        keystroke, parse = (statistics.median(each[1:]) for each in taken.values())  # the first reads the project
        found = len(outcome.looked[str(path)].diagnostics)
        print(f"{part.now.text.count(chr(10))} lines, {found} findings")
        print(f"keystroke {keystroke * 1000:.1f} ms, LibCST's parse {parse * 1000:.1f} ms")
        print(f"ratio {keystroke / parse:.2f}, at most {LIMIT}")
        edit, alone = asyncio.run(over_the_wire(folder, path, rounds))
        print(
            f"by the clock: edit {edit * 1000:.1f} ms, LibCST's parse {alone * 1000:.1f} ms, ratio {edit / alone:.2f}"
        )
        return keystroke / parse


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 if the ratio is above the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    return int(measure(parser.parse_args(arguments).rounds) > LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
