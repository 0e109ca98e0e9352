"""Which of the calls at a place are looked at: all of the first ones, then ever fewer, so that a long run pays nothing."""

from __future__ import annotations


class Turns:
    """Counts calls. The first `every` are due, then the 1st, 2nd, 4th, 8th ... of the rest.

    What happens at every step of a program counts by itself, since a call of Python's costs the most there: it adds one to
    `count`, which is due if it has come to `following`, and then calls `take`.
    """

    __slots__ = ("count", "every", "following")

    def __init__(self, every: int) -> None:
        self.count = 0
        self.every = every
        self.following = 1

    def due(self) -> bool:
        """Count a call; whether it is to be looked at. Threads that count at once only shift who is."""
        self.count += 1
        if self.count < self.following:
            return False
        self.take()
        return True

    def take(self) -> None:
        """Look at this call: which is the next?"""
        rest = self.count - self.every
        self.following = self.count + 1 if rest <= 0 else self.every + 2 * rest
