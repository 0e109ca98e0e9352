"""What a run came to: its diagnostics and problems, and what fixes changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from torchlint.diagnostics import Diagnostic, Problem
from torchlint.source import Source

if TYPE_CHECKING:
    from torchlint.coverage import Coverage


Progress = Callable[[str, int], None]
"""Called with the path of each file that is analysed and the number of files to analyse."""


class Report(NamedTuple):
    """What a run found. `files` counts the files looked at, `analysed` those that passed the byte prefilter.

    `incomplete`: a path could not be read at all, or a defect of torchlint kept a file from being linted.
    `sources` holds the texts of the files that diagnostics and trails point into, by path. `coverage` is None if it was not
    asked for. `paths` are the files of the run; `hidden` counts the findings that the baseline hides, `gone` those that it
    holds and that are no longer found. `stale` are files of a trace that have changed since.
    """

    diagnostics: tuple[Diagnostic, ...]
    problems: tuple[Problem, ...]
    files: int = 0
    analysed: int = 0
    incomplete: bool = False
    sources: Mapping[str, Source] = {}
    coverage: Coverage | None = None
    paths: Sequence[str] = ()
    hidden: int = 0
    gone: int = 0
    stale: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0: clean but for notes; 1: diagnostics, or a file that is no valid Python; 2: something could not be linted."""
        wrong = any(each.severity != "info" for each in self.diagnostics)
        return 2 if self.incomplete else int(wrong or bool(self.problems))


class Fixed(NamedTuple):
    """What a run with fixes came to: `report` of the code as it is then, the bytes of changed files before and after.

    `repaired` are the findings that are gone, `waiting` those whose fix clashes with another or is refused.
    """

    report: Report
    before: Mapping[str, bytes]
    after: Mapping[str, bytes]
    repaired: tuple[Diagnostic, ...]
    waiting: tuple[Diagnostic, ...]

    @staticmethod
    def touched(diagnostic: Diagnostic) -> set[str]:
        """The files that the fix of a diagnostic edits."""
        return {edit.place.path for fix in diagnostic.fixes[:1] for edit in fix.edits}
