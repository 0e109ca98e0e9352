"""Which of the calls at a place are looked at: all of the first ones, then ever fewer, so that a long run pays nothing."""

from __future__ import annotations


class Turns:
    """Counts calls. The first `every` are due, then the 1st, 2nd, 4th, 8th ... of the rest."""

    __slots__ = ("count", "every", "following")

    def __init__(self, every: int) -> None:
        self.count = 0
        self.every = every
        self.following = 1

    def due(self) -> bool:
        """Count a call; whether it is to be looked at. Threads that count at once only shift who is."""
        self.count = count = self.count + 1
        if count < self.following:
            return False
        rest = count - self.every
        self.following = count + 1 if rest <= 0 else self.every + 2 * rest
        return True
