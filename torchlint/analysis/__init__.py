"""The analysis of a run: every root module, every function in it that may reach a loss, and what the loss calls get."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from torchlint.diagnostics import Problem
from torchlint.findings import Finding

if TYPE_CHECKING:
    from torchlint.analysis.coverage import Observed
    from torchlint.analysis.entries import Entries
    from torchlint.project import Project

_RECURSION = 12_000
_CALLER_ROUNDS = 3
"""How many times the files that call into those analysed so far are looked for."""


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
    from torchlint.analysis.entries import Entries  # noqa: PLC0415  # imports the whole analysis

    if not coverage:
        return _run(Entries(project, frozenset(roots)), roots, progress)
    from torchlint.analysis.coverage import Ledger, Observer, observe, suspects  # noqa: PLC0415  # only where asked for

    ledger = Ledger()
    entries = Entries(project, frozenset(roots), lambda program: Observer(program, ledger))
    analysis = _run(entries, roots, progress)
    entries.widen(suspects(ledger, entries.program, roots), roots)
    return msgspec.structs.replace(analysis, observed=observe(ledger, entries.program, roots))


def _run(entries: Entries, roots: Sequence[str], progress: Callable[[str], None]) -> Analysis:
    was_on = gc.isenabled()
    limit = sys.getrecursionlimit()
    gc.disable()
    # Abstract calls nest deeper than Python's default allows; pure Python frames do not use the C stack.
    sys.setrecursionlimit(max(limit, _RECURSION))
    try:
        todo = list(roots)
        for _ in range(_CALLER_ROUNDS):
            for path in todo:
                progress(path)
                entries.run(path)
            todo = entries.callers()
    finally:
        sys.setrecursionlimit(limit)
        if was_on:
            gc.enable()
    return Analysis(entries.findings(), tuple(entries.program.problems))
