"""What a run remembers of each file for the next, and what the next makes of it: a change costs what depends on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from torchlint.analysis.again import Again, Lowered, Memory
from torchlint.analysis.ir import Module
from torchlint.analysis.parts import of_text
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
    """What is remembered of the analysis, the spans of nodes by file, the repairs of findings, what was found by file.

    `words` are those of a few modules that have changed since the words of all were kept.
    """

    memory: Memory
    spans: dict[str, dict[int, Span]]
    repairs: dict[bytes, Repaired]
    flagged: dict[str, bytes]
    words: dict[str, str] = {}


_FEW = 50
"""The words of so many modules are kept with what is remembered, which is written again after each change."""


class Recall:
    """Of the last run, and for the next: `remembered` is None until this run is told of.

    `words` are then those of all modules, unless those that are kept will do: they are asked for only if the words of a
    run have changed.
    """

    def __init__(
        self,
        before: Remembered | None = None,
        changes: Changes = Changes(),  # noqa: B008  # frozen
        words: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self.remembered: Remembered | None = None
        self.words: dict[str, str] | None = None
        self._again: Again | None = None
        self._lowered: Mapping[str, Lowered] = {}
        self._before = before or Remembered(Memory(), {}, {}, {})
        self._changes = changes
        self._kept_words = words
        self._known_words: Mapping[str, str] | None = None
        self._spans: dict[str, dict[int, Span]] = {}
        self._repairs: dict[bytes, Repaired] = {}

    def runner(self, project: Project, runner: Runner) -> Again:
        """Has the files run again of which it is not known what they say."""
        self._again = Again(project, runner, self._before.memory, self._changes, self._words)
        return self._again

    def unknown(self, modules: Mapping[str, Module]) -> dict[str, Module]:
        """Those of the modules of which it is not remembered what they were lowered to."""
        known = self._before.memory.modules
        return {path: each for path, each in modules.items() if not known.get(path) or path in self._changes.files}

    def lowered(self, modules: Mapping[str, Lowered]) -> None:
        """Take in the modules that were lowered in this run, at least those that are not remembered."""
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

    def told(self, path: str, findings: Sequence[Finding]) -> bool:
        """Whether what was told of a file is what these findings and its suppressions come to."""
        if not self.knows or self._before.flagged.get(path) != (_known_by(findings) if findings else None):
            return False
        places = {path, *(at.path for each in findings for at in (each.at, *(step.at for step in each.trail)))}
        return places.isdisjoint(self._changes.files) and all(
            each.plan is None or self.repair(each) is not None for each in findings
        )

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
        found: dict[str, list[Finding]] = {}
        for finding in findings:
            found.setdefault(finding.at.path, []).append(finding)
        flagged = {path: _known_by(each) for path, each in found.items()}
        words = self._words_now(memory.modules)
        self.remembered = Remembered(memory, self._spans, self._repairs, flagged, words)

    def _words(self) -> Mapping[str, str]:
        """The words of the modules that are remembered."""
        if self._known_words is None:
            self._known_words = {**self._kept_words(), **self._before.words}
        return self._known_words

    def _words_now(self, modules: Mapping[str, bytes]) -> dict[str, str]:
        """The words that are kept with what is remembered of these modules; sets `words` if those of all are kept anew."""
        before = self._before.memory.modules
        lowered = {path: each.words for path, each in self._lowered.items() if path in modules}
        other = {path: words for path, words in lowered.items() if before.get(path) != modules[path]}
        few = {path: words for path, words in {**self._before.words, **other}.items() if path in modules}
        lost = self._known_words is not None and not modules.keys() <= {*self._known_words, *few}
        if self.knows and len(few) <= _FEW and not lost:
            return few
        known = {**self._words(), **lowered}
        self.words = {path: known[path] for path in modules if path in known}
        return {}

    def loaded(self) -> tuple[set[str], set[str]]:
        """The files and the folders that what is remembered depends on."""
        rounds = self.remembered.memory.rounds if self.remembered is not None else ()
        seen = [part.seen for each in rounds for part in each.parts.values() if part.seen is not None]
        loaded = set[str]().union(*(of_text(each.loaded) for each in seen))
        return loaded, set[str]().union(*(of_text(each.folders) for each in seen))


def _known_by(found: Finding | Sequence[Finding]) -> bytes:
    return digest(msgspec.msgpack.encode(found))
