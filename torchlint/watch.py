"""Tell when files change. Their times and sizes are looked at again and again: that works on every system and file system."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from torchlint.config import FILE_NAMES, Settings
from torchlint.discover import discover

Snapshot = Mapping[str, tuple[int, int]]
"""The time and size of each file."""

SHORTEST = 0.3
"""Seconds between two looks, at least; looking takes a tenth of the time at most."""


def watched(paths: Sequence[str], settings: Settings) -> Snapshot:
    """The files of a run, those of the working folder, which they may import, and those that the settings come from."""
    files = discover([*(path for path in paths if os.path.exists(path)), os.curdir], settings.discovery).files
    own = (*FILE_NAMES, settings.origin, settings.baseline, *settings.contracts)
    return snapshot([*files, *(each for each in own if each is not None)])


def snapshot(files: Iterable[str]) -> Snapshot:
    """The files that are there."""
    found: dict[str, tuple[int, int]] = {}
    for file in files:
        try:
            about = os.stat(file)
        except OSError:
            continue
        found[file] = about.st_mtime_ns, about.st_size
    return found


def changes(look: Callable[[], Snapshot], sleep: Callable[[float], None] = time.sleep) -> Iterator[Snapshot]:
    """Give what is there at first, and then whenever it is something else, for ever."""
    seen = look()
    yield seen
    while True:
        started = time.monotonic()
        now = look()
        took = time.monotonic() - started
        if now != seen:
            seen = now
            yield seen
        sleep(max(SHORTEST, 9 * took))
