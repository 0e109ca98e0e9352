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
    from torchlint.analysis.coverage import Observed
    from torchlint.analysis.parts import Told
    from torchlint.analysis.whole import Runner
    from torchlint.project import Project

_RECURSION = 12_000


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
    runner: Runner | None = None,
) -> Analysis:
    """Analyse the modules at these paths, in this process or as the `runner` does.

    A defect of ours in one of them becomes an internal Problem of it.
    """
    from torchlint.analysis import whole  # noqa: PLC0415  # imports the whole analysis

    with many_calls():
        if coverage:
            return _with_coverage(project, roots, progress)
        told, _ = whole.run(project, roots, runner or whole.Alone(project), progress)
        return _analysis(told)


def _with_coverage(project: Project, roots: Sequence[str], progress: Callable[[str], None]) -> Analysis:
    from torchlint.analysis import whole  # noqa: PLC0415  # as above
    from torchlint.analysis.coverage import Watch  # noqa: PLC0415  # only where asked for

    watch = Watch(project)
    alone = whole.Alone(project, watch.recorder)
    told, words = whole.run(project, roots, alone, progress)
    for path in sorted(roots):
        if suspects := watch.suspects(path):
            wider = words.copy()
            wider.add(suspects)
            alone.one(path, frozenset(roots), wider)
    return msgspec.structs.replace(_analysis(told), observed=watch.observed(roots))


def _analysis(told: Sequence[Told]) -> Analysis:
    from torchlint.analysis import whole  # noqa: PLC0415  # as above

    problems = dict.fromkeys(problem for each in told for problem in each.problems)
    return Analysis(whole.findings(told), tuple(problems))


@contextmanager
def many_calls() -> Iterator[None]:
    """Let abstract calls nest deep, and collect no garbage in between: that would go over all syntax trees again and again.

    Pure Python frames do not use the C stack.
    """
    was_on = gc.isenabled()
    limit = sys.getrecursionlimit()
    gc.disable()
    sys.setrecursionlimit(max(limit, _RECURSION))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
        gc.unfreeze()
        if was_on:
            gc.enable()
