"""The analysis of all files together: some at a time, then those that call into what was left open, and one list of findings.

What joins the files are words: the names that lead to a loss, known before any file is run, and the names of functions
whose loss calls a caller could tell more of, known after it. Each file has a program of its own; so its part is the same in
whatever order they are run, by however many processes, and whenever it was run with the same words and lookups.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from torchlint.analysis import ir
from torchlint.analysis.lower import ParseFailure
from torchlint.analysis.parts import Part, Told
from torchlint.analysis.vocabulary import Learned, Vocabulary
from torchlint.findings import Finding, NodeRef, Plan
from torchlint.project import Project
from torchlint.source import SourceError

if TYPE_CHECKING:
    from torchlint.analysis.entries import Recorder
    from torchlint.analysis.program import Program


class Alone:
    """Runs the entries of files in this process, one file after the other."""

    def __init__(self, project: Project, recorder: Callable[[Program], Recorder] | None = None) -> None:
        self.project = project
        self._recorder = recorder

    def learned(self, paths: Sequence[str], words: Vocabulary) -> dict[str, Learned]:
        """What the files bind to losses."""
        return {module.path: words.learned(module) for module in modules(self.project, paths)}

    def run(
        self, paths: Sequence[str], roots: frozenset[str], words: Vocabulary, progress: Callable[[str], None]
    ) -> list[Part]:
        """What these files say, where these files may call a loss and these words lead to one."""
        parts: list[Part] = []
        for group in groups(paths):
            if parts:
                clear()
            for path in group:
                progress(path)
                parts.append(self.one(path, roots, words))
        return parts

    def builders(self, registries: frozenset[str], paths: Sequence[str]) -> frozenset[str]:
        """Registries of these names, and the functions of the files that take classes out of them."""
        from torchlint.analysis.registries import builders  # noqa: PLC0415  # as below

        return builders(registries, modules(self.project, paths))

    def one(self, path: str, roots: frozenset[str], words: Vocabulary) -> Part:
        """What a file says."""
        from torchlint.analysis.entries import Entries  # noqa: PLC0415  # a run that remembers all needs no interpreter

        entries = Entries(self.project, path, roots, words, self._recorder)
        entries.run(path)
        part = Part(path, entries.told(), entries.seen())
        entries.end()
        return part


def clear() -> None:
    """Collect what programs have left. What is still there stays, and need not be gone over again."""
    gc.collect()
    gc.freeze()


def groups(paths: Sequence[str]) -> list[tuple[str, ...]]:
    """Files that a process takes over at once: neighbours, which import the same modules."""
    return [tuple(paths[start : start + _TOGETHER]) for start in range(0, len(paths), _TOGETHER)]


_TOGETHER = 8
"""After so many files, what they have left is collected: it would be gone over too often, or fill the memory."""


class Runner(Protocol):
    """Who runs the entries of files."""

    def learned(self, paths: Sequence[str], words: Vocabulary) -> Mapping[str, Learned]: ...
    def run(
        self, paths: Sequence[str], roots: frozenset[str], words: Vocabulary, progress: Callable[[str], None]
    ) -> list[Part]: ...
    def builders(self, registries: frozenset[str], paths: Sequence[str]) -> frozenset[str]: ...


def modules(project: Project, paths: Iterable[str]) -> list[ir.Module]:
    """Those of the files that can be read."""
    found = []
    for path in paths:
        try:
            found.append(project.load(path))
        except (SourceError, ParseFailure):
            continue  # a problem of the run of its entries
    return found


class Callers:
    """Looks for the files that call into what the runs so far left open. `roots` grow by what is found."""

    def __init__(self, project: Project, runner: Runner, roots: frozenset[str], words: Vocabulary) -> None:
        self.project = project
        self.runner = runner
        self.roots = roots
        self.vocabulary = words
        self._open: set[str] = set()
        self._methods: set[str] = set()
        self._registered: dict[str, set[str]] = {}
        self._registries: set[str] = set()
        self._sought: set[str] = set()
        self._packages: frozenset[str] = frozenset()
        """The packages found last that hand on what other modules define."""
        self._budget = max(_AT_LEAST, sum(map(project.size, roots)) // _SHARE)

    def add(self, told: Told) -> None:
        """Take in what the run of a file says."""
        self._open |= told.open
        self._methods |= told.methods
        self._registries |= told.registries
        for name, found in told.registered.items():
            self._registered.setdefault(name, set()).update(found)

    def next(self) -> list[str]:
        """The files to run now."""
        wanted = self._open - self._sought
        packages, self._packages = self._packages, frozenset()
        if not wanted and not packages:
            return []
        if named := {registry for name in wanted for registry in self._registered.get(name, ())}:
            # Who holds an object that a registry made calls methods of it, and never names its class.
            wanted |= self.runner.builders(frozenset(named), sorted(self._registries))
            self.vocabulary.read(self._methods)
        self._sought |= wanted
        names = frozenset(map(_module_name, self.roots))
        found = self._importing(frozenset(wanted), names, packages)
        self._packages = frozenset(_module_name(path) for path in found if os.path.basename(path) == "__init__.py")
        self.roots = self.roots | frozenset(found)
        self.vocabulary.add(wanted)
        named_so = {module for module in names | packages if "loss" in module.lower()}
        self.vocabulary.add(self.project.looked_up(named_so, found))
        return found

    def _importing(self, wanted: frozenset[str], modules: frozenset[str], packages: frozenset[str]) -> list[str]:
        calling = set(self.project.mentioning(wanted, modules))
        if packages:
            calling.update(self.project.mentioning(frozenset(self._sought), packages))
        found = []
        for path in sorted(calling - self.roots):
            self._budget -= self.project.size(path)
            if self._budget < 0:
                break
            found.append(path)
        return found


_AT_LEAST = 200_000
_SHARE = 60
"""How many bytes of callers are read: so many at least, or this part of what the roots hold."""


def _module_name(path: str) -> str:
    """The name that an import of a file ends in."""
    folder, name = os.path.split(path)
    stem = name.partition(".")[0]
    return os.path.basename(folder) if stem == "__init__" else stem


def findings(told: Sequence[Told]) -> tuple[Finding, ...]:
    """What all files say, each finding once; of two that differ, the certain one."""
    out: dict[tuple[str, NodeRef], Finding] = {}
    plans: dict[NodeRef, list[dict[str, Plan | None]]] = {}
    for each in told:
        for found in each.found:
            plans.setdefault(found[0].at, []).append({finding.code: finding.plan for finding in found})
            for finding in found:
                known = out.get((finding.code, finding.at))
                if known is None or (known.confidence == "likely" and finding.confidence == "certain"):
                    out[finding.code, finding.at] = finding
    sound: dict[str, set[int]] = {finding.at.path: set() for finding in out.values()}
    for each in told:
        for path in each.sound.keys() & sound.keys():
            sound[path] |= each.sound[path]
    return tuple(_with_others(finding, plans.get(finding.at, ()), sound[finding.at.path]) for finding in out.values())


def _with_others(finding: Finding, plans: Sequence[dict[str, Plan | None]], sound: set[int]) -> Finding:
    """A finding that knows whether all the ways to its place show the same; on some ways these nodes of its file are sound."""
    alike = all(codes.get(finding.code) == finding.plan for codes in plans)
    return msgspec.structs.replace(finding, alike=alike and (finding.plan is None or finding.at.node not in sound))


def run(
    project: Project, roots: Iterable[str], runner: Runner, progress: Callable[[str], None]
) -> tuple[list[Told], Vocabulary]:
    """What each of the files says, and those that call them; and the words that lead to a loss."""
    todo = sorted(roots)
    words = Vocabulary(word.decode() for word in project.contracts.loss_words())
    words.learn_all(lambda known: runner.learned(todo, known))
    callers = Callers(project, runner, frozenset(roots), words)
    told: list[Told] = []
    for _ in range(_ROUNDS):
        now = [part.told for part in runner.run(todo, callers.roots, callers.vocabulary, progress)]
        told += now
        for each in now:
            callers.add(each)
        if not (todo := callers.next()):
            break
    return told, words


_ROUNDS = 3
"""How many times the files that call into those analysed so far are looked for."""
