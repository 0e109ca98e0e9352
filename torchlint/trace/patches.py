"""Puts functions in the place of others, in the modules that hold them and wherever they were imported to, and back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

_MISSING = object()


class Patches:
    """Attributes that were set, and what they were before."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, str, object]] = []
        self.originals: dict[int, tuple[Any, Any]] = {}
        """From the id of a stand-in to the stand-in itself, which keeps the id its own, and what it stands for."""

    def put(self, holder: Any, name: str, value: Any) -> None:
        """Set an attribute until `undo`."""
        before = vars(holder).get(name, _MISSING)
        setattr(holder, name, value)
        self.done.append((holder, name, before))

    def replace(self, holder: Any, name: str, stand_in: Callable[[Any], Any]) -> None:
        """Put what `stand_in` makes of a function into its place, with its name, module and documentation."""
        original = getattr(holder, name, None)
        if original is None:
            return
        made = stand_in(original)
        for attribute in ("__module__", "__name__", "__qualname__", "__doc__"):
            if hasattr(original, attribute):
                setattr(made, attribute, getattr(original, attribute))
        made.__wrapped__ = original
        self.originals[id(made)] = (made, original)
        self.put(holder, name, made)

    def original(self, value: Any) -> Any:
        """What a stand-in stands for, or the value itself."""
        return self.originals.get(id(value), (None, value))[1]

    def follow(self, is_user: Callable[[str], bool]) -> None:
        """Replace also what the user's modules imported by name before."""
        self._exchange({id(original): made for made, original in self.originals.values()}, is_user)

    def _exchange(self, other: Mapping[int, Any], is_user: Callable[[str], bool]) -> None:
        for module in list(sys.modules.values()):
            path = getattr(module, "__file__", None)
            if (path is None and getattr(module, "__name__", "") != "__main__") or (path and not is_user(path)):
                continue
            for name, value in list(vars(module).items()):
                if id(value) in other and not name.startswith("__"):
                    self.put(module, name, other[id(value)])

    def undo(self, is_user: Callable[[str], bool]) -> None:
        """Set everything back, the last first, also what the user's modules imported by name meanwhile."""
        while self.done:
            holder, name, before = self.done.pop()
            if before is _MISSING:
                delattr(holder, name)
            else:
                setattr(holder, name, before)
        self._exchange({key: original for key, (_, original) in self.originals.items()}, is_user)
        self.done.clear()
        self.originals.clear()
