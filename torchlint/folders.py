"""What lies in folders, as imports see it: on disk, and among the files that only the run knows."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress


class Folders:
    """The names in folders, each listed once. `paths` are there whether or not they are on disk: unsaved buffers, texts.

    `spelling` says how each of them was written, by its normal form.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self.spelling = {os.path.normpath(path): path for path in paths}
        self._given = _children(self.spelling)
        self.listed: dict[str, frozenset[str]] = {}
        """The folders that were asked for so far."""

    def names(self, folder: str) -> frozenset[str]:
        """The names in a folder that an import can lead to; none if there is no such folder."""
        found = self.listed.get(folder)
        if found is None:
            names: set[str] = set()
            with suppress(OSError):
                names.update(os.listdir(folder or os.curdir))
            prefix = os.path.normpath(folder) if folder else ""
            names |= self._given.get("" if prefix == "." else prefix, set())
            found = self.listed[folder] = frozenset(filter(_can_be_imported, names))
        return found


def _can_be_imported(name: str) -> bool:
    """Whether a name may be that of a module or package, or says where a project begins."""
    return name.endswith(".py") or name == ".git" or ("." not in name and name != "__pycache__")


def _children(paths: Iterable[str]) -> dict[str, set[str]]:
    """The names in each folder that only the run knows."""
    found: dict[str, set[str]] = {}
    for path in paths:
        folder, name = os.path.split(path)
        while name and name not in found.setdefault(folder, set()):
            found[folder].add(name)
            folder, name = os.path.split(folder)
    return found
