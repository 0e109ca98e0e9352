"""What a run remembers of each file for the next, and what the next makes of it: a change costs what depends on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from torchlint.analysis.again import Again, Lowered, Memory
from torchlint.analysis.spans import Span
from torchlint.analysis.whole import Runner
from torchlint.cache import digest
from torchlint.diagnostics import Fix
from torchlint.findings import Finding
from torchlint.kept import Changes
from torchlint.project import Project


class Repaired(msgspec.Struct, frozen=True):
    """What would repair a finding, and the files that this depends on."""

    fix: Fix | None
    files: frozenset[str]


class Remembered(msgspec.Struct, frozen=True):
    """What is remembered of the analysis, the spans of nodes by file, the repairs of findings, the files with any."""

    memory: Memory
    spans: dict[str, dict[int, Span]]
    repairs: dict[bytes, Repaired]
    flagged: frozenset[str]


class Recall:
    """Of the last run, and for the next: `remembered` is None until this run is told of."""

    def __init__(
        self,
        before: Remembered | None = None,
        changes: Changes = Changes(),  # noqa: B008  # frozen
        words: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self.remembered: Remembered | None = None
        self._again: Again | None = None
        self._lowered: Mapping[str, Lowered] = {}
        self._before = before or Remembered(Memory(), {}, {}, frozenset())
        self._changes = changes
        self._words = words
        self._spans: dict[str, dict[int, Span]] = {}
        self._repairs: dict[bytes, Repaired] = {}

    def runner(self, project: Project, runner: Runner) -> Again:
        """Has the files run again of which it is not known what they say."""
        self._again = Again(project, runner, self._before.memory, self._changes, self._words)
        return self._again

    def lowered(self, modules: Mapping[str, Lowered]) -> None:
        """Take in the modules that were lowered in this run."""
        self._lowered = modules

    # ---- places and repairs

    def spans(self, path: str, numbers: Iterable[int]) -> dict[int, Span] | None:
        """Where nodes of a file are, if that is known."""
        known = self._before.spans.get(path)
        if known is None or path in self._changes.files or not known.keys() >= set(numbers):
            return None
        return known

    def placed(self, path: str, spans: Mapping[int, Span]) -> None:
        """Take in where nodes of a file are."""
        self._spans[path] = dict(spans)

    def repair(self, finding: Finding) -> Repaired | None:
        """What would repair a finding, if that is known."""
        known = self._before.repairs.get(_known_by(finding))
        return None if known is None or not known.files.isdisjoint(self._changes.files) else known

    def repaired(self, finding: Finding, fix: Fix | None, files: Iterable[str]) -> None:
        """Take in what would repair a finding."""
        self._repairs[_known_by(finding)] = Repaired(fix, frozenset(files))

    def quiet(self, path: str) -> bool:
        """Whether nothing was found in a file that is as it was: then what was told of it were its suppressions."""
        return self.knows and path not in self._changes.files and path not in self._before.flagged

    @property
    def knows(self) -> bool:
        """Whether anything is remembered."""
        return bool(self._before.memory.rounds)

    # ---- for the next run

    def remember(self, findings: Sequence[Finding]) -> None:
        """Make what the next run remembers."""
        if self._again is None:
            return
        memory = self._again.memory({path: each.known_by for path, each in self._lowered.items()})
        flagged = frozenset(finding.at.path for finding in findings)
        self.remembered = Remembered(memory, self._spans, self._repairs, flagged)

    def words(self) -> dict[str, str] | None:
        """The words of each module that is remembered; None if they are those that are kept."""
        now = self.remembered.memory.modules if self.remembered is not None else {}
        before = self._before.memory.modules
        if all(before.get(path) == known_by for path, known_by in now.items()):
            return None
        known = self._words() if now.keys() - self._lowered.keys() else {}
        known = {**known, **{path: each.words for path, each in self._lowered.items()}}
        return {path: known[path] for path in now if path in known}

    def loaded(self) -> tuple[set[str], set[str]]:
        """The files and the folders that what is remembered depends on."""
        rounds = self.remembered.memory.rounds if self.remembered is not None else ()
        seen = [part.seen for each in rounds for part in each.parts.values() if part.seen is not None]
        return set[str]().union(*(each.loaded for each in seen)), set[str]().union(*(each.folders for each in seen))


def _known_by(finding: Finding) -> bytes:
    return digest(msgspec.msgpack.encode(finding))
