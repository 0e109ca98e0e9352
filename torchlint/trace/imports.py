"""Tells when the modules of some packages are imported, so that what they hold can be replaced."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class Watch(MetaPathFinder):
    """Calls `told` with every module of the packages right after it was executed, between `start` and `stop`."""

    def __init__(self, told: Callable[[ModuleType], None], packages: set[str]) -> None:
        self.told = told
        self.packages = packages
        self.looking: set[str] = set()

    def start(self) -> None:
        """Begin; what was imported before is not told."""
        sys.meta_path.insert(0, self)

    def stop(self) -> None:
        """End."""
        with suppress(ValueError):
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The spec that the other finders give, with a loader that tells."""
        if name.partition(".")[0] not in self.packages or name in self.looking:
            return None
        self.looking.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.looking.discard(name)
        if spec is None or spec.loader is None or not hasattr(spec.loader, "exec_module"):
            return spec
        execute = spec.loader.exec_module

        def executed(module: ModuleType) -> None:
            execute(module)
            self.told(module)

        spec.loader.exec_module = executed  # type: ignore[method-assign]
        return spec
