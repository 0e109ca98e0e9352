"""What a run found, kept for the next: told again as long as nothing that the run looked at has changed.

Files are compared by their content. Their times would spare reading them, but times lie: after a checkout, in an unpacked
archive, beside a cache that a CI server restored. To read and hash 107 MB of Python takes 0.4 s.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from torchlint.cache import UNREADABLE, Cache, digest, key
from torchlint.config import Settings
from torchlint.coverage import Coverage
from torchlint.diagnostics import Diagnostic, Problem
from torchlint.folders import Folders
from torchlint.source import SourceError, read_bytes

if TYPE_CHECKING:
    from torchlint.contracts import Contracts
    from torchlint.recall import Recall


class Look(NamedTuple):
    """A file as a run saw it: the digest of its bytes, and what they may hold: a loss, a suppression."""

    digest: bytes
    root: bool = False
    suppresses: bool = False


class Changes(NamedTuple):
    """The files that came, went or hold other bytes than before, and the folders in which other names are to be found."""

    files: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()


class Kept(NamedTuple):
    """What a run found, and all that it depends on: its files, others that imports led to, and the names in folders.

    `parts` and `words` are the digests of what the run remembers of each file, which is kept beside it.
    """

    files: dict[str, Look]
    outside: dict[str, bytes]
    folders: dict[str, bytes]
    diagnostics: tuple[Diagnostic, ...]
    problems: tuple[Problem, ...]
    coverage: Coverage | None
    parts: bytes = b""
    words: bytes = b""

    def changes(self, files: Mapping[str, Look], load: Callable[[str], bytes], folders: Folders) -> Changes:
        """What is not as it was when the files of the run are these."""
        changed = {path for path, known in self.outside.items() if _digest_of(path, load) != known}
        if self.files != files:
            changed |= {path for path in self.files.keys() | files.keys() if self.files.get(path) != files.get(path)}
        others = {folder for folder, known in self.folders.items() if names_digest(folders.names(folder)) != known}
        return Changes(frozenset(changed), frozenset(others))

    def spells_alike(self, files: Mapping[str, Look]) -> bool:
        """Whether no file that imports led to is called otherwise because it now belongs to the run, or no longer does."""
        if self.files.keys() == files.keys():
            return True
        known = {os.path.normpath(path) for path in self.outside}
        came = files.keys() - self.files.keys()
        return all(os.path.normpath(path) not in known for path in came) and not any(
            os.path.exists(path) for path in self.files.keys() - files.keys()
        )


class Keeper:
    """Where what is found by a run with these arguments and settings is kept."""

    def __init__(self, cache: Cache, arguments: Sequence[str], settings: Settings, *, coverage: bool) -> None:
        self._cache = cache
        contracts = [digest(_content(path)) for path in settings.contracts]
        relevant = settings._replace(output_format="full", baseline=None)  # these come after the findings
        self._key = key(("report", tuple(arguments), os.getcwd(), relevant, contracts, coverage))
        self._contracts_key = key((contracts, settings.tables)) + _CONTRACTS

    def load(self) -> Kept | None:
        """What is kept, whether or not it still holds."""
        return self._decoded(self._cache.load(self._key), Kept)

    def contracts(self, settings: Settings) -> Contracts:
        """The contracts of the run. To read them from what is kept takes 1 ms, from TOML 40."""
        from torchlint.contracts import Tables, index  # noqa: PLC0415  # a run that changed nothing needs none

        tables = self._decoded(self._cache.load(self._contracts_key), Tables)
        if tables is None:
            import msgspec  # noqa: PLC0415  # as below

            from torchlint.selected import load_tables  # noqa: PLC0415  # parses TOML

            tables = load_tables(settings)
            with suppress(UnicodeEncodeError):
                self._cache.save(self._contracts_key, msgspec.msgpack.encode(tables))
        return index(tables)

    def recall(self, kept: Kept | None, changes: Changes | None) -> Recall:
        """What the run that found this remembers of each file; nothing if another run has taken its place."""
        from torchlint.recall import Recall, Remembered  # noqa: PLC0415  # imports the analysis

        if kept is None or changes is None:
            return Recall()
        remembered = self._decoded(self._cache.load(self._key + _PARTS, kept.parts), Remembered)
        if remembered is None:
            return Recall()
        self._cache.used(self._key + _WORDS)
        return Recall(
            remembered,
            changes,
            lambda: self._decoded(self._cache.load(self._key + _WORDS, kept.words), dict[str, str]) or {},
        )

    def save(self, kept: Kept, recall: Recall | None = None) -> None:
        """Keep what was found, unless it speaks of a path that is no text."""
        import msgspec  # noqa: PLC0415  # as below

        try:
            if recall is not None and recall.remembered is not None:
                kept = kept._replace(parts=self._saved(_PARTS, recall.remembered))
                if recall.words is not None:
                    kept = kept._replace(words=self._saved(_WORDS, recall.words))
            data = msgspec.msgpack.encode(kept)
        except UnicodeEncodeError:
            return
        self._cache.save(self._key, data)

    def _saved(self, kind: str, what: object) -> bytes:
        import msgspec  # noqa: PLC0415  # as below

        return self._cache.save(self._key + kind, msgspec.msgpack.encode(what))

    def _decoded(self, data: bytes | None, kind: type[_Decoded]) -> _Decoded | None:
        if data is None:
            return None
        import msgspec  # noqa: PLC0415  # 10 ms, and a run without losses keeps nothing

        try:
            return msgspec.msgpack.decode(data, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None


_Decoded = TypeVar("_Decoded")

_PARTS, _WORDS, _CONTRACTS = "-parts", "-words", "-contracts"


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
