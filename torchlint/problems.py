"""What keeps a file from being linted: no Python text, or a defect of torchlint itself."""

from __future__ import annotations

from torchlint.diagnostics import Problem
from torchlint.source import SourceError


def problem_of(path: str, error: SourceError) -> Problem:
    """A file that is no Python text, as a problem."""
    return Problem(path, error.message, error.line, error.column, error.cell)


def internal(path: str, error: BaseException) -> Problem:
    """A defect of torchlint itself, met at this file. The message is the traceback, of which reports show the end."""
    import traceback  # noqa: PLC0415  # on the way to a report

    return Problem(path, "".join(traceback.format_exception(error, limit=-12)), internal=True)
