"""The state of an abstract run: the heap of frames and objects, forked at branches and joined after them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torchlint.analysis.values import ALWAYS, Guard, Test, Value, join

Cell = dict[str, Value]

INIT = "<init>"
"""The entry of an object whose `__init__` has still to run; where two states meet, the one in which it ran counts."""


class Fork:
    """A point at which a state was forked: the cells written between the fork before it and this one."""

    __slots__ = ("before", "changed", "depth")

    def __init__(self, before: Fork | None, changed: set[int]) -> None:
        self.before = before
        self.changed = changed
        self.depth: int = 0 if before is None else before.depth + 1


class State:
    """A heap of cells by number over a base that is never written to.

    A cell is copied on the first write after a fork. `changed` lists the cells written since the last fork, `forked` the
    forks before, so that joining two states looks only at what was written since they parted. `assumed` is how the tests
    on the way here came out; where two states join, a value that one of them brings is kept under what only it assumes.
    """

    __slots__ = ("assumed", "base", "cells", "changed", "forked", "owned")

    def __init__(self, base: dict[int, Cell]) -> None:
        self.base = base
        self.cells: dict[int, Cell] = {}
        self.owned: set[int] = set()
        self.changed: set[int] = set()
        self.forked: Fork | None = None
        self.assumed: Mapping[Test, bool] = {}

    def read(self, cell: int) -> Cell:
        """The cell's entries, not to be written to."""
        found = self.cells.get(cell)
        if found is None:
            found = self.base.get(cell)
        return {} if found is None else found

    def write(self, cell: int) -> Cell:
        """The cell's entries, to be written to."""
        if cell in self.owned:
            return self.cells[cell]
        mine = dict(self.read(cell))
        self.cells[cell] = mine
        self.owned.add(cell)
        self.changed.add(cell)
        return mine

    def drop(self, cell: int) -> None:
        """Forget a cell that nothing refers to."""
        self.cells.pop(cell, None)
        self.owned.discard(cell)
        self.changed.discard(cell)

    def fork(self) -> State:
        """A copy that shares all cells until one of the two writes."""
        if self.changed or self.forked is None:
            self.forked = Fork(self.forked, self.changed)
            self.changed = set()
        self.owned = set()
        other = State(self.base)
        other.cells = dict(self.cells)
        other.forked = self.forked
        other.assumed = self.assumed
        return other

    def assume(self, tests: Iterable[tuple[Test, bool]]) -> None:
        """Go on knowing how these tests came out."""
        self.assumed = {**self.assumed, **dict(tests)}


def merge(states: Iterable[State | None]) -> State | None:
    """Either of several states forked from one; None if none of them is reachable. The states are used up."""
    live = [state for state in states if state is not None]
    if not live:
        return None
    first = live[0]
    for other in live[1:]:
        _merge_into(first, other)
    return first


def _merge_into(first: State, other: State) -> None:
    parted, changed = written_since(first, other)
    mine, base = first.cells, first.base
    under_a = under_b = ALWAYS
    if first.assumed is not other.assumed:
        a_tests, b_tests = first.assumed.items(), other.assumed.items()
        under_a, under_b = frozenset(a_tests - b_tests), frozenset(b_tests - a_tests)
        first.assumed = dict(a_tests & b_tests)
    for cell in changed:
        a, b = mine.get(cell), other.cells.get(cell)
        if a is b:
            continue
        if a is None:
            a = base.get(cell)
        if a is None and b is None:
            continue
        mine[cell] = (
            b
            if a is None and b is not None
            else _join_cells(a or {}, b if b is not None else other.read(cell), under_a, under_b)
        )
    first.owned = set()
    first.changed = changed
    first.forked = parted


def written_since(a: State, b: State) -> tuple[Fork | None, set[int]]:
    """The fork at which two states parted, and the cells that either wrote since."""
    changed = a.changed | b.changed
    x, y = a.forked, b.forked
    while x is not y:
        if y is None or (x is not None and x.depth >= y.depth):
            assert x is not None
            changed |= x.changed
            x = x.before
        else:
            changed |= y.changed
            y = y.before
    return x, changed


def _join_cells(a: Cell, b: Cell, under_a: Guard, under_b: Guard) -> Cell:
    if a is b:
        return a
    out = dict(a)
    if (INIT in a) is not (INIT in b):
        out.pop(INIT, None)
    for key, value in b.items():
        mine = out.get(key)
        if mine is None:
            if key != INIT:
                out[key] = value
        elif mine is not value:
            out[key] = join(mine, value, under_a, under_b)
    return out
