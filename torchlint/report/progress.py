"""A progress bar on standard error for runs that take longer than a moment."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

DELAY = 1.0
"""Seconds before it shows; most runs are over by then and never import rich."""


class Bar:
    """Counts the files that are analysed; shows itself after `DELAY`."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.done = 0
        self.shown: tuple[Progress, TaskID] | None = None

    def __enter__(self) -> Bar:
        return self

    def __call__(self, path: str, total: int) -> None:
        """One more file of `total` is being analysed."""
        self.done += 1
        if self.shown is None and time.monotonic() - self.started > DELAY:
            self.shown = self._show(total)
        if self.shown is not None:
            bar, task = self.shown
            bar.update(task, completed=self.done, total=total, description=path[-40:])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.shown is not None:
            self.shown[0].stop()

    def _show(self, total: int) -> tuple[Progress, TaskID]:
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
        bar = Progress(*columns, console=Console(file=sys.stderr), transient=True)
        task = bar.add_task("", total=total, completed=self.done)
        bar.start()
        return bar, task
