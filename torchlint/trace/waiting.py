"""Ends processes of a dry run that wait for one that it has stopped: a rank for the others, a parent for a result.

Nothing tells of a process that what it waits for will not come. But one that computes nothing, for long, waits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

POLL = 0.1
IDLE = 10.0
"""A process that has used next to no processor for so many seconds waits."""
LITTLE = 0.2
"""So many seconds of the processor in that time are next to none."""
LONGEST = 60.0
"""So many seconds a child goes on at most once another was stopped: some wait without pause, as for a GPU."""


class Idle:
    """Tells whether this process waits, if it is asked often."""

    def __init__(
        self, now: Callable[[], float] = time.monotonic, used: Callable[[], float] = time.process_time
    ) -> None:
        self.now = now
        self.used = used
        self.restart()

    def restart(self) -> None:
        """It does something at this moment."""
        self.since, self.before = self.now(), self.used()

    def __bool__(self) -> bool:
        if self.used() - self.before > LITTLE:
            self.restart()
        return self.now() - self.since >= IDLE


class Watch(threading.Thread):
    """Calls `look` again and again, until that says True or `stop` is called."""

    def __init__(self, look: Callable[[], bool]) -> None:
        super().__init__(name="torchlint", daemon=True)
        self.look = look
        self.over = threading.Event()

    def run(self) -> None:
        """Look."""
        while not self.over.wait(POLL) and not self.look():
            pass

    def stop(self) -> None:
        """Look no more."""
        self.over.set()
