"""GitLab's code quality report: a list of issues, each with a fingerprint by which a merge request tells new from old."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from torchlint.diagnostics import RUNTIME_WORDS, Diagnostic, Problem, Severity
from torchlint.report import ci
from torchlint.report.concise import said

if TYPE_CHECKING:
    from torchlint.outcome import Report

_SEVERITIES: dict[Severity, str] = {"error": "critical", "warning": "major", "info": "info"}


def render(report: Report) -> str:
    """The whole list, `[]` if there is none."""
    root = ci.repository()
    names = ci.fingerprints(report.diagnostics, report.sources, root)
    issues = [_problem(each, root) for each in report.problems]
    issues += [_finding(each, name, root) for each, name in zip(report.diagnostics, names, strict=True)]
    return json.dumps(issues, indent=2) + "\n"


def _finding(diagnostic: Diagnostic, fingerprint: str, root: str) -> dict[str, Any]:
    region = ci.region(diagnostic.place) or ci.Region(1, 1, 1, 1)
    seen = "" if diagnostic.runtime is None else f" ({RUNTIME_WORDS[diagnostic.runtime].capitalize()}.)"
    return {
        "description": f"{diagnostic.code}: {ci.in_cell(diagnostic.place)}{diagnostic.message}{seen}",
        "check_name": diagnostic.code,
        "fingerprint": fingerprint,
        "severity": _SEVERITIES[diagnostic.severity],
        "location": {
            "path": ci.below(diagnostic.place.path, root),
            "positions": {
                "begin": {"line": region.line, "column": region.column},
                "end": {"line": region.end_line, "column": region.end_column},
            },
        },
    }


def _problem(problem: Problem, root: str) -> dict[str, Any]:
    path, message = ci.below(problem.path, root), ci.in_cell(problem) + said(problem)
    line = problem.line if problem.line is not None and problem.cell is None else 1
    return {
        "description": message,
        "check_name": "not-linted",
        "fingerprint": ci.digest(f"{path}\0{message}"),
        "severity": "critical",
        "location": {"path": path, "positions": {"begin": {"line": line, "column": problem.column or 1}}},
    }
