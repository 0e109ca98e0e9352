"""What a part of the analysis asked of a project: on the answers, and on nothing else of the project, it depends."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torchlint.analysis.catalogue import Model


class Query(NamedTuple):
    """A search for the files that import one of the names, or one of the modules and use one of the names."""

    names: frozenset[str]
    modules: frozenset[str]


class Lookups:
    """The files that were loaded (or tried to be), those whose size was asked, the paths that imports led to, the folders
    in which they were sought, the searches, and the project's models and data sets if they were asked for."""

    def __init__(self) -> None:
        self.loaded: set[str] = set()
        self.sized: set[str] = set()
        self.resolved: set[str] = set()
        self.folders: set[str] = set()
        self.mentioning: dict[Query, tuple[str, ...]] = {}
        self.models: tuple[Model, ...] | None = None
        self.data_sets: tuple[tuple[str, str], ...] | None = None
