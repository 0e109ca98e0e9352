"""The files of a run as bytes and as text, each read once, and what was looked at beyond them."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import TYPE_CHECKING

from torchlint.folders import Folders
from torchlint.source import Source, from_bytes

if TYPE_CHECKING:
    from torchlint.analysis import ir
    from torchlint.config import Settings
    from torchlint.kept import Keeper, Look


class Reader:
    """Each file's bytes are read once and kept only until its text is made; a text is made once.

    `looks` is how each file of the run was seen. `keeper` tells where what is found with some settings is kept, if it is:
    then `outside` gets the digests of what is read that is not `known` to it.
    """

    def __init__(self, load: Callable[[str], bytes], lower: Callable[[str, str], ir.Module] | None = None) -> None:
        self.load = load
        self.lower = lower
        self.keeper: Callable[[Settings], Keeper] | None = None
        self.held: dict[str, bytes] = {}
        self.sources: dict[str, Source] = {}
        self.looks: dict[str, Look] = {}
        self.known: Container[str] | None = None
        self.outside: dict[str, bytes] = {}
        self.folders = Folders(())

    def __call__(self, path: str) -> Source:
        """The source of a file of the run, or of one found by import. Raises SourceError."""
        if path not in self.sources:
            data = self.held.pop(path, None)
            self.sources[path] = from_bytes(path, self._read(path) if data is None else data)
        return self.sources[path]

    def _read(self, path: str) -> bytes:
        """The bytes of a file; what was read of others than those of the run is noted for who keeps what is found."""
        if self.known is None or path in self.known:
            return self.load(path)
        from torchlint.cache import UNREADABLE, digest  # noqa: PLC0415  # only with a cache

        self.outside[path] = UNREADABLE
        data = self.load(path)
        self.outside[path] = digest(data)
        return data
