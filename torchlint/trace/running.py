"""All that traces one process: put in place before the program's code runs in it, and taken out with what was seen."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NamedTuple

from torchlint.contracts import Contracts
from torchlint.trace import eager
from torchlint.trace.fake import Fake
from torchlint.trace.limits import Limits
from torchlint.trace.overlay import Overlay
from torchlint.trace.report import Result
from torchlint.trace.session import Trace


class Settings(NamedTuple):
    """How a program is traced, the same in each of its processes.

    `steps` and `batches` limit a dry run, which `full` turns off. `keep` are folders whose files must not change, and
    `own` those that belong to the tracer.
    """

    script: str
    contracts: Contracts
    keep: tuple[str, ...]
    own: tuple[str, ...] = ()
    steps: int = 8
    batches: int = 4
    full: bool = False
    fake: bool = False


class Running:
    """The tracing of this process. `give_up` reports and ends it when the program swallows the stop.

    `layer` is the folder of the overlay, if another process made it.
    """

    def __init__(self, settings: Settings, give_up: Callable[[], None], layer: str | None = None) -> None:
        self.give_up = give_up
        self.overlay = None if settings.full else Overlay(settings.keep, layer, settings.own)
        self.limits = None if settings.full else Limits(settings.steps, settings.batches, self._give_up)
        self.session = Trace(settings.contracts, script=settings.script, limits=self.limits, values=not settings.fake)
        recorder, patches = self.session.recorder, self.session.patches
        self.fake = Fake(recorder.homes, patches, self._give_up) if settings.fake else None

    def _give_up(self) -> None:
        self.give_up()

    def start(self) -> None:
        """Put everything in place."""
        self.session.start()
        if self.limits is not None:
            eager.install(self.session.patches)
        if self.overlay is not None:
            self.overlay.install(self.session.patches)
            sys.dont_write_bytecode = True
            os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
            os.environ.setdefault("WANDB_MODE", "disabled")  # it writes in a process of its own
        if self.fake is not None:
            self.fake.start()

    def forked(self) -> None:
        """Begin anew in a process that was forked off: what was seen before is its parent's to tell."""
        self.session.recorder.restart()
        if self.limits is not None:
            self.limits.restart()
        if self.overlay is not None:
            self.overlay.owns = False

    @property
    def halted(self) -> bool:
        """Whether a fake run came to code which needs values."""
        return self.fake is not None and self.fake.halt is not None

    def stop(self) -> Result:
        """Take everything out, and judge what was seen."""
        if self.fake is not None:
            self.fake.stop()
        self.session.stop()
        if self.overlay is not None:
            self.overlay.close()
        return self.session.report()._replace(fake=None if self.fake is None else self.fake.told)
