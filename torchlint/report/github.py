"""Annotations on GitHub: one workflow command per finding, as the runner reads them from a step's output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torchlint.diagnostics import RUNTIME_WORDS, Diagnostic, Problem, Severity
from torchlint.report import ci
from torchlint.report.concise import said, where

if TYPE_CHECKING:
    from torchlint.outcome import Report

_COMMANDS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "notice"}


def render(report: Report) -> str:
    """A line for each finding, and for each file that could not be linted."""
    root = ci.repository()
    lines = [
        *(_problem(each, root) for each in report.problems),
        *(_finding(each, root) for each in report.diagnostics),
    ]
    return "".join(f"{line}\n" for line in lines)


def _finding(diagnostic: Diagnostic, root: str) -> str:
    place, region = diagnostic.place, ci.region(diagnostic.place)
    given: dict[str, str | int] = {
        "title": f"{diagnostic.code} {diagnostic.name}",
        "file": ci.below(place.path, root),
        "line": 1,
    }
    if region is not None:
        given |= {"line": region.line, "endLine": region.end_line}
        if region.line == region.end_line:  # GitHub takes columns only within one line
            given |= {"col": region.column, "endColumn": region.end_column}
    return _command(_COMMANDS[diagnostic.severity], given, "\n".join(_told(diagnostic)))


def _told(diagnostic: Diagnostic) -> Iterator[str]:
    yield ci.in_cell(diagnostic.place) + diagnostic.message
    if diagnostic.runtime is not None:
        yield f"({RUNTIME_WORDS[diagnostic.runtime].capitalize()}.)"
    if diagnostic.trail:
        yield "How the value got there:"
        for step in diagnostic.trail:
            yield f"  {where(step.place)}: {step.note}"


def _problem(problem: Problem, root: str) -> str:
    line = problem.line if problem.line is not None and problem.cell is None else 1
    given: dict[str, str | int] = {"title": "torchlint", "file": ci.below(problem.path, root), "line": line}
    return _command("error", given, ci.in_cell(problem) + said(problem))


def _command(name: str, given: dict[str, str | int], text: str) -> str:
    properties = ",".join(f"{key}={_property(str(value))}" for key, value in given.items())
    return f"::{name} {properties}::{_escaped(text)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
