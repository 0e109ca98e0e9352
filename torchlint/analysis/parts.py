"""The part of a file in a run, as data: what its entries say, and what that depends on."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from torchlint.analysis.catalogue import Model
from torchlint.diagnostics import Problem
from torchlint.findings import Finding


class Told(msgspec.Struct, frozen=True):
    """What running the entries of a file says, as data.

    `found` are the findings of each event with any, in its context; `sound` the nodes, by file, of events judged with none.
    `open` are the names of functions and classes of whose loss calls a caller could tell more, `methods` those of their
    methods that are called on objects from a registry; `registered` tells which registries a name was put into, and
    `registries` the files that made any.
    """

    found: tuple[tuple[Finding, ...], ...] = ()
    sound: dict[str, frozenset[int]] = {}
    problems: tuple[Problem, ...] = ()
    open: frozenset[str] = frozenset()
    methods: frozenset[str] = frozenset()
    registered: dict[str, frozenset[str]] = {}
    registries: frozenset[str] = frozenset()


class Seen(msgspec.Struct, frozen=True):
    """What running the entries of a file depends on, beside the words and roots of the run: the lookups of its program.

    Paths stand in texts (`in_text`). `left` are the bytes of imported modules that might still have been read; negative if
    some were not for that reason.
    """

    loaded: str
    sized: str
    resolved: str
    folders: str
    mentioning: tuple[tuple[frozenset[str], frozenset[str], tuple[str, ...]], ...]
    models: tuple[Model, ...] | None
    left: int
    data_sets: tuple[tuple[str, str], ...] | None = None


class Part(msgspec.Struct, frozen=True):
    """The part of a file in a run: what its entries say; `seen` is None if that is not worth remembering."""

    path: str
    told: Told
    seen: Seen | None = None


def in_text(names: Iterable[str]) -> str:
    """Names in one text, each between null characters: a run that remembers thousands of sets looks into few of them."""
    return "\0".join(("", *sorted(names), ""))


def of_text(text: str) -> list[str]:
    """The names in such a text."""
    return text.split("\0")[1:-1]
