"""What a run found, kept for the next: told again as long as nothing that the run looked at has changed.

Files are compared by their content. Their times would spare reading them, but times lie: after a checkout, in an unpacked
archive, beside a cache that a CI server restored. To read and hash 107 MB of Python takes 0.4 s.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from torchlint.cache import UNREADABLE, Cache, digest, key
from torchlint.config import Settings
from torchlint.coverage import Coverage
from torchlint.diagnostics import Diagnostic, Problem
from torchlint.folders import Folders
from torchlint.source import SourceError, read_bytes


class Look(NamedTuple):
    """A file as a run saw it: the digest of its bytes, and what they may hold: a loss, a suppression."""

    digest: bytes
    root: bool = False
    suppresses: bool = False


class Kept(NamedTuple):
    """What a run found, and all that it depends on: its files, others that imports led to, and the names in folders."""

    files: dict[str, Look]
    outside: dict[str, bytes]
    folders: dict[str, bytes]
    diagnostics: tuple[Diagnostic, ...]
    problems: tuple[Problem, ...]
    coverage: Coverage | None

    def holds(self, files: Mapping[str, Look], load: Callable[[str], bytes]) -> bool:
        """Whether all is as it was when the files of the run are these."""
        if self.files != files:
            return False
        folders = Folders(files)
        return all(_digest_of(path, load) == known for path, known in self.outside.items()) and all(
            names_digest(folders.names(folder)) == known for folder, known in self.folders.items()
        )


class Keeper:
    """Where what is found by a run with these arguments and settings is kept."""

    def __init__(self, cache: Cache, arguments: Sequence[str], settings: Settings, *, coverage: bool) -> None:
        self._cache = cache
        contracts = [digest(_content(path)) for path in settings.contracts]
        relevant = settings._replace(output_format="full", baseline=None)  # these come after the findings
        self._key = key(("report", tuple(arguments), os.getcwd(), relevant, contracts, coverage))

    def load(self) -> Kept | None:
        """What is kept, whether or not it still holds."""
        data = self._cache.load(self._key)
        if data is None:
            return None
        import msgspec  # noqa: PLC0415  # 10 ms, and a run without losses keeps nothing

        try:
            return msgspec.msgpack.decode(data, type=Kept)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def save(self, kept: Kept) -> None:
        """Keep what was found, unless it speaks of a path that is no text."""
        import msgspec  # noqa: PLC0415  # as above

        try:
            data = msgspec.msgpack.encode(kept)
        except UnicodeEncodeError:
            return
        self._cache.save(self._key, data)


def names_digest(names: Iterable[str]) -> bytes:
    """What the names in a folder are known by."""
    return digest("\0".join(sorted(names)).encode("utf-8", "surrogateescape"))


def _digest_of(path: str, load: Callable[[str], bytes]) -> bytes:
    try:
        return digest(load(path))
    except SourceError:
        return UNREADABLE


def _content(path: str) -> bytes:
    try:
        return read_bytes(path)
    except SourceError:
        return b""
