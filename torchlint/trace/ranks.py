"""Several processes that train together (torchrun): each is traced, the first reports, and what they disagree on is told."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

import msgspec

from torchlint.trace.joined import joined, leave_file, packed, unpacked
from torchlint.trace.report import Result

PATIENCE = 30.0
"""So many seconds the first waits for what the others saw; one that has died sends nothing."""


class Rank(NamedTuple):
    """This process among those of its machine. `folder` is known to all of them."""

    number: int
    local_count: int
    is_first_machine: bool
    folder: str

    @property
    def reports(self) -> bool:
        """Whether this is the one that reports."""
        return self.number == 0


def here(environment: Mapping[str, str]) -> Rank | None:
    """This process's place among others, by what torchrun tells it; None if it runs alone."""
    try:
        number, count = int(environment["RANK"]), int(environment["WORLD_SIZE"])
        local = int(environment.get("LOCAL_WORLD_SIZE", count))
        first = int(environment.get("GROUP_RANK", 0)) == 0
    except (KeyError, ValueError):
        return None
    if count < 2:
        return None
    # All processes of a machine are children of the one that started them.
    name = f"torchlint-trace-{os.getppid()}-{environment.get('MASTER_PORT', '')}"
    folder = os.path.join(os.path.realpath(tempfile.gettempdir()), name)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return Rank(number, local, first, folder)


def send(rank: Rank, result: Result) -> None:
    """Leave what this process saw for the first one."""
    if rank.is_first_machine:
        leave_file(_path(rank, rank.number), packed(result))


def gather(rank: Rank, result: Result) -> Result:
    """What the first process saw, with what the others saw beside it. What they left is taken away."""
    others: dict[int, Result] = {}
    until = time.monotonic() + PATIENCE
    wanted = range(1, rank.local_count)
    while len(others) < len(wanted) and time.monotonic() < until:
        for number in wanted:
            if number not in others and os.path.exists(_path(rank, number)):
                with open(_path(rank, number), "rb") as file, suppress(msgspec.MsgspecError):
                    others[number] = unpacked(file.read())
        time.sleep(0.02)
    shutil.rmtree(rank.folder, ignore_errors=True)
    missing = tuple(f"rank {number} did not say what it saw" for number in wanted if number not in others)
    every = [(0, result), *sorted(others.items())]
    whole = joined([(f"rank {number}", seen) for number, seen in every])
    return whole._replace(failures=(*result.failures, *missing))


def _path(rank: Rank, number: int) -> str:
    return os.path.join(rank.folder, f"rank-{number}")
