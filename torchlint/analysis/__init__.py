"""The analysis of a run: every root module, every function in it that may reach a loss, and what the loss calls get."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from torchlint.diagnostics import Problem
from torchlint.findings import Finding

if TYPE_CHECKING:
    from torchlint.analysis.coverage import Observed, Watch
    from torchlint.analysis.entries import Told
    from torchlint.analysis.vocabulary import Vocabulary
    from torchlint.project import Project

_RECURSION = 12_000
_COLLECT_EVERY = 16
"""After so many files, what their runs have left is collected."""


class Analysis(msgspec.Struct, frozen=True):
    """What a run found, and what it saw of the loss calls if coverage was asked for, in no useful order."""

    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...]
    observed: tuple[Observed, ...] = ()


def analyse(
    project: Project,
    roots: Sequence[str],
    progress: Callable[[str], None] = lambda path: None,
    coverage: bool = False,
) -> Analysis:
    """Analyse the modules at these paths. A defect of ours in one of them becomes an internal Problem of it."""
    from torchlint.analysis import whole  # noqa: PLC0415  # imports the whole analysis
    from torchlint.analysis.entries import Entries  # noqa: PLC0415  # as above

    watch = _watch(project) if coverage else None
    observed: tuple[Observed, ...] = ()
    with _many_calls() as collect:

        def one(path: str, known: frozenset[str], words: Vocabulary, suspects: frozenset[str] = frozenset()) -> Told:
            entries = Entries(project, known, words, None if watch is None else watch.recorder)
            entries.program.vocabulary.add(suspects)
            entries.run(path)
            if watch is not None:
                watch.done(entries.program)
            collect()
            return entries.told()

        def first(path: str, known: frozenset[str], words: Vocabulary) -> Told:
            progress(path)
            return one(path, known, words)

        words = whole.vocabulary(project, roots)
        told = whole.run(project, roots, words, first)
        if watch is not None:
            for path in sorted(roots):
                if suspects := watch.suspects(path):
                    one(path, frozenset(roots), words, suspects)
            observed = watch.observed(roots)
    problems = dict.fromkeys(problem for each in told for problem in each.problems)
    return Analysis(whole.findings(told), tuple(problems), observed)


def _watch(project: Project) -> Watch:
    from torchlint.analysis.coverage import Watch  # noqa: PLC0415  # only where asked for

    return Watch(project)


@contextmanager
def _many_calls() -> Iterator[Callable[[], None]]:
    """Let abstract calls nest deep, and collect garbage only when told that a file is done.

    Pure Python frames do not use the C stack. Collecting at any time would go over all syntax trees again and again.
    """
    was_on = gc.isenabled()
    limit = sys.getrecursionlimit()
    gc.disable()
    sys.setrecursionlimit(max(limit, _RECURSION))
    done = 0

    def collect() -> None:
        nonlocal done
        done += 1
        if done % _COLLECT_EVERY == 0:
            gc.collect()

    try:
        yield collect
    finally:
        sys.setrecursionlimit(limit)
        if was_on:
            gc.enable()
