"""A folder of results that may be lost at any time: entries by key, written whole or not at all, checked when read.

Several processes may share the folder: an entry appears by a rename, so nobody reads half of one, and of two written at
once the later stays. What is truncated, damaged or not ours counts as absent. Nothing that goes wrong here is an error of
the run: a folder that cannot be written to is no cache, that is all. Entries are data and decoded as such: nothing that
somebody puts into the folder is ever executed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache

from torchlint import __version__
from torchlint.data import rules_folder

NAME = ".torchlint_cache"

UNREADABLE = b""
"""In place of the digest of what cannot be read."""

MAX_BYTES = 64 << 20
"""What the folder may hold; the entries that were not used for the longest time are dropped first."""

_SUFFIX = ".kept"
_SIZE = 16
_TAG = "CACHEDIR.TAG"
_ABOUT = b"""Signature: 8a477f597d28d172789f06886806bc55
# This folder is a cache of torchlint: it can be deleted at any time.
# Backup programs know it by this file: https://bford.info/cachedir
"""


def digest(data: bytes) -> bytes:
    """What bytes are known by."""
    import hashlib  # noqa: PLC0415  # 4 ms, and a run without losses keeps nothing

    return hashlib.blake2b(data, digest_size=_SIZE).digest()


def key(parts: Iterable[object]) -> str:
    """The name of the entry that depends on these parts, on torchlint itself and on the Python that runs it."""
    given: list[str | bytes] = [__version__, sys.version, sys.platform, _itself(), *(repr(part) for part in parts)]
    return digest(b"\0".join(each if isinstance(each, bytes) else os.fsencode(each) for each in given)).hex()


@lru_cache(maxsize=1)
def _itself() -> bytes:
    """The digest of torchlint's code and rulebook. By their content: a new installation of the same is the same."""
    import hashlib  # noqa: PLC0415  # as above

    found = hashlib.blake2b(digest_size=_SIZE)
    for top in (os.path.dirname(os.path.realpath(__file__)), rules_folder()):
        for path in sorted(_files_below(top)):
            if path.endswith((".py", ".toml", ".md")):
                with suppress(OSError), open(path, "rb") as file:
                    found.update(file.read())
    return found.digest()


def _files_below(top: str) -> Iterator[str]:
    for folder, _, names in os.walk(top):
        for name in names:
            yield os.path.join(folder, name)


class Cache:
    """The entries in a folder, which need not exist."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def load(self, name: str, known_by: bytes | None = None) -> bytes | None:
        """The content of an entry; None if there is none, none that is whole, or another than the one known by this digest."""
        path = self._path(name)
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError:
            return None
        content, told = data[_SIZE:], data[:_SIZE]
        if (known_by is not None and told != known_by) or told != digest(content):
            return None
        self.used(name)
        return content

    def used(self, name: str) -> None:
        """Take down that an entry was used now."""
        with suppress(OSError):
            os.utime(self._path(name))

    def save(self, name: str, content: bytes) -> bytes:
        """Write an entry, and drop old ones if there is no room; gives what the content is known by."""
        path = self._path(name)
        known_by = digest(content)
        temporary = f"{path}.{os.urandom(8).hex()}"
        try:
            self._prepare()
            with open(temporary, "xb") as file:
                file.write(known_by)
                file.write(content)
            os.replace(temporary, path)
        except OSError:
            with suppress(OSError):
                os.unlink(temporary)
            return known_by
        self._make_room()
        return known_by

    def clear(self) -> bool:
        """Remove the folder; False if it is not one of ours. Raises OSError."""
        names = self._names()
        if names is None or not self._is_ours(names):
            return False
        for name in names:
            if _is_our_name(name):
                os.unlink(os.path.join(self.folder, name))
        with suppress(OSError):  # somebody else's file stays
            os.rmdir(self.folder)
        return True

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name + _SUFFIX)

    def _names(self) -> list[str] | None:
        """What lies in the folder; None if there is none."""
        try:
            return os.listdir(self.folder)
        except FileNotFoundError:
            return None

    def _is_ours(self, names: Iterable[str]) -> bool:
        """Whether this is a cache of torchlint's, and no folder of the user's that was named by mistake."""
        try:
            with open(os.path.join(self.folder, _TAG), "rb") as file:
                if file.read() == _ABOUT:
                    return True
        except OSError:
            pass
        return all(map(_is_our_name, names))

    def _prepare(self) -> None:
        """Make the folder, unseen by version control and backups. Raises OSError."""
        names = self._names()
        if names is not None and not self._is_ours(names):
            raise FileExistsError(self.folder)
        if names is not None and _TAG in names:
            return
        os.makedirs(self.folder, exist_ok=True)
        for name, text in ((".gitignore", b"*\n"), (_TAG, _ABOUT)):
            with open(os.path.join(self.folder, name), "wb") as file:
                file.write(text)

    def _make_room(self) -> None:
        entries: list[tuple[float, int, str]] = []
        with suppress(OSError), os.scandir(self.folder) as scan:
            for entry in scan:
                if _SUFFIX in entry.name:  # also what an interrupted run has left
                    with suppress(OSError):
                        stat = entry.stat()
                        entries.append((stat.st_mtime, stat.st_size, entry.path))
        room = MAX_BYTES
        for _, size, path in sorted(entries, reverse=True):
            room -= size
            if room < 0:
                with suppress(OSError):
                    os.unlink(path)


def _is_our_name(name: str) -> bool:
    return _SUFFIX in name or name in (_TAG, ".gitignore")
