"""The state of an abstract run: the heap of frames and objects, forked at branches and joined after them."""

from __future__ import annotations

from collections.abc import Iterable

from torchlint.analysis.values import Value, join

Cell = dict[str, Value]


class State:
    """A heap of cells by number over a base that is never written to.

    A cell is copied on the first write after a fork; `changed` lists those that were ever written.
    """

    __slots__ = ("base", "cells", "changed", "owned")

    def __init__(self, base: dict[int, Cell]) -> None:
        self.base = base
        self.cells: dict[int, Cell] = {}
        self.owned: set[int] = set()
        self.changed: set[int] = set()

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
        other = State(self.base)
        other.cells = dict(self.cells)
        other.changed = set(self.changed)
        self.owned = set()
        return other


def merge(states: Iterable[State | None]) -> State | None:
    """Either of several states forked from one; None if none of them is reachable. The states are used up."""
    live = [state for state in states if state is not None]
    if not live:
        return None
    first = live[0]
    if len(live) == 1:
        return first
    changed = set().union(*(state.changed for state in live))
    for cell in changed:
        joined = first.read(cell)
        for state in live[1:]:
            joined = _join_cells(joined, state.read(cell))
        first.cells[cell] = joined
    first.owned = set()
    first.changed = changed
    return first


def _join_cells(a: Cell, b: Cell) -> Cell:
    if a is b:
        return a
    out = dict(a)
    for key, value in b.items():
        mine = out.get(key)
        if mine is None:
            out[key] = value
        elif mine is not value:
            out[key] = join(mine, value)
    return out
