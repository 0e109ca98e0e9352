"""The folder in which the processes of a traced program leave what they saw, for the first of them, and marks for the others."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from typing import Literal, NamedTuple

import msgspec

from torchlint.trace.joined import joined, leave_file, packed, unpacked
from torchlint.trace.report import Result

Identity = tuple[int, ...]
"""What tells a process from others that the same one started, and those that these start in turn; () is the first."""

Mark = Literal["here", "began", "stopped", "ending", "over"]
"""A process is traced; it has made its first step; the dry run has stopped it; its parent is about to end it; all end."""


class Seen(NamedTuple):
    """What a process saw. `rank` is its number in the process group that it trained in."""

    rank: int | None
    result: Result

    def name(self, order: int) -> str:
        """What people call it."""
        return f"process {order}" if self.rank is None else f"rank {self.rank}"


class Family:
    """All processes of a program that the tracer follows, by their folder."""

    def __init__(self, folder: str | None = None) -> None:
        self.folder = folder or os.path.realpath(tempfile.mkdtemp(prefix="torchlint-children-"))

    def mark(self, mark: Mark, identity: Identity) -> None:
        """Tell the others something."""
        leave_file(self.path(mark, identity), b"")

    def tell(self, identity: Identity, seen: Seen) -> None:
        """Leave what a process saw."""
        rank = b"" if seen.rank is None else b"%d" % seen.rank
        leave_file(self.path("seen", identity), rank + b"\n" + packed(seen.result))

    def has(self, kind: Mark | Literal["seen"], identity: Identity) -> bool:
        """Whether this is told of a process, or what it saw."""
        return os.path.exists(self.path(kind, identity))

    def count(self, mark: Mark) -> int:
        """How many processes have told so."""
        return len([*self._identities(mark)])

    @property
    def heard(self) -> set[Identity]:
        """The processes that said that they train, or what they saw."""
        return {*self._identities("began"), *self._identities("seen")}

    @property
    def silent(self) -> list[Identity]:
        """The processes that train, or did, and have not said what they saw."""
        told = set(self._identities("seen"))
        return sorted(each for each in self._identities("began") if each not in told)

    def gather(self, result: Result) -> Result:
        """What the first process saw and what the others saw, together. The folder is gone then."""
        seen, silent = dict(self._seen()), self.silent
        shutil.rmtree(self.folder, ignore_errors=True)
        order = {identity: number for number, identity in enumerate(sorted([*seen, *silent]))}
        named = [(each.name(order[identity]), each.result) for identity, each in sorted(seen.items())]
        others = [(name, each) for name, each in named if each.sites or each.steps]
        mine = [("main process", result)] if result.sites or result.steps or not others else []
        every = sorted([*mine, *others], key=lambda each: not each[1].steps)  # the first that trains stands for all
        failures = [*result.failures, *(failure for _, each in named for failure in each.failures)]
        failures += [f"process {order[identity]} was ended before it said what it saw" for identity in silent]
        halted = [each.fake for _, each in named if each.fake is not None and each.fake.halt is not None]
        fake = halted[0] if halted else result.fake
        return joined(every)._replace(failures=tuple(dict.fromkeys(failures)), fake=fake)

    def _seen(self) -> Iterator[tuple[Identity, Seen]]:
        for identity in self._identities("seen"):
            with suppress(OSError, msgspec.MsgspecError), open(self.path("seen", identity), "rb") as file:
                rank, _, data = file.read().partition(b"\n")
                yield identity, Seen(int(rank) if rank else None, unpacked(data))

    def _identities(self, kind: str) -> Iterator[Identity]:
        names: list[str] = []
        with suppress(OSError):
            names = os.listdir(self.folder)
        for name in names:
            found, *numbers = name.split("-")
            if found == kind and not name.endswith(".part"):
                yield tuple(map(int, numbers))

    def path(self, kind: str, identity: Identity) -> str:
        """Where a file for or from a process is."""
        return os.path.join(self.folder, "-".join([kind, *map(str, identity)]))
