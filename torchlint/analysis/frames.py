"""One call that is being run: its scope, how training and autocast stand in it, how its loops and itself are left."""

from __future__ import annotations

from collections.abc import Mapping

from torchlint.analysis.state import State
from torchlint.analysis.values import NO_AUTOCAST, Autocast, Class, Function, Test, Value, alternatives_now

ENTRY = "<entry>"
"""What the key of a frame begins with in which something is run for want of a caller."""


class Loop:
    """The states in which a loop is left by `break` or begun again by `continue`."""

    __slots__ = ("breaks", "continues")

    def __init__(self) -> None:
        self.breaks: list[State] = []
        self.continues: list[State] = []


class Frame:
    """One call of a function, or one run of a module or class body."""

    __slots__ = (
        "assumed",
        "autocast",
        "branch",
        "captured",
        "cell",
        "class_cell",
        "function",
        "globals",
        "key",
        "loops",
        "owner",
        "path",
        "returns",
        "training",
        "yields",
    )

    def __init__(self, path: str, cell: int, key: tuple[object, ...], training: bool | None) -> None:
        self.path = path
        self.cell = cell
        self.key = key
        self.training = training
        self.autocast = NO_AUTOCAST
        self.branch: tuple[tuple[int, int], ...] = ()
        self.class_cell = False
        self.captured = False
        self.assumed: Mapping[Test, bool] = {}
        self.function: Function | None = None
        self.owner: Class | None = None
        self.globals: set[str] = set()
        self.loops: list[Loop] = []
        self.returns: list[tuple[State, Value]] = []
        self.yields: list[Value] = []

    def files(self) -> frozenset[str]:
        """The files that the calls stand in which lead here."""
        return frozenset(part for part in self.key if isinstance(part, str))


class Entry:
    """A function that is run for want of a caller. `open` says that a caller could tell more of a loss call in it."""

    __slots__ = ("function", "open")

    def __init__(self, function: Function) -> None:
        self.function = function
        self.open = False


def autocast_in(context: Value, outer: Autocast) -> Autocast:
    """Whether CUDA autocast is on inside a context manager. Computes nothing lazy."""
    found = [part if isinstance(part, Autocast) else outer for part in alternatives_now(context)]
    if len({part.state for part in found}) == 1:
        return found[0]
    return Autocast("maybe", next(part.at for part in found if part.state != "off"))
