"""SARIF 2.1.0, as code scanning and editors read it: the trail is a code flow, and each rule brings its page along."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from torchlint import __version__, rulebook
from torchlint.diagnostics import Diagnostic, Fix, Place, Problem, Severity, Step
from torchlint.report import ci
from torchlint.report.concise import said

if TYPE_CHECKING:
    from torchlint.outcome import Report
    from torchlint.rulebook import Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT = "%SRCROOT%"
_LEVELS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}


def render(report: Report) -> str:
    """The log of a run. Paths are relative to the repository, columns count code points."""
    root = ci.repository()
    rules = rulebook.load() if report.diagnostics else {}
    fired = [rules[code] for code in sorted({each.code for each in report.diagnostics})]
    index = {rule.code: number for number, rule in enumerate(fired)}
    names = ci.fingerprints(report.diagnostics, report.sources, root)
    run = {
        "tool": {"driver": {"name": "torchlint", "version": __version__, "rules": [_rule(rule) for rule in fired]}},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"uri": Path(root).as_uri().rstrip("/") + "/"}},
        "invocations": [
            {
                "executionSuccessful": not report.incomplete,
                "toolExecutionNotifications": [_notification(each, root) for each in report.problems],
            }
        ],
        "results": [
            _result(each, index[each.code], name, root) for each, name in zip(report.diagnostics, names, strict=True)
        ],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(rule: Rule) -> dict[str, Any]:
    page = f"# {rule.code}: {rule.name}\n\n{rule.summary}\n\n{rule.body}"
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.summary},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": [rule.group]},
    }


def _result(diagnostic: Diagnostic, rule: int, fingerprint: str, root: str) -> dict[str, Any]:
    place = diagnostic.place
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": rule,
        "level": _LEVELS[diagnostic.severity],
        "message": {"text": ci.in_cell(place) + diagnostic.message},
        "locations": [_location(place, root)],
        "partialFingerprints": {"torchlint/v1": fingerprint},
        "properties": {"confidence": diagnostic.confidence, **_runtime(diagnostic)},
    }
    if diagnostic.trail:
        result["codeFlows"] = [{"threadFlows": [{"locations": [_step(step, root) for step in diagnostic.trail]}]}]
    fixes = [_fix(fix, root) for fix in diagnostic.fixes[:1] if _is_expressible(fix)]
    if fixes:
        result["fixes"] = fixes
    return result


def _runtime(diagnostic: Diagnostic) -> dict[str, str]:
    return {} if diagnostic.runtime is None else {"runtime": diagnostic.runtime}


def _step(step: Step, root: str) -> dict[str, Any]:
    return {"location": {**_location(step.place, root), "message": {"text": ci.in_cell(step.place) + step.note}}}


def _is_expressible(fix: Fix) -> bool:
    """Not one that torchlint would not make itself, nor one in a notebook, whose cells SARIF cannot address."""
    return fix.safety != "display" and all(edit.place.cell is None for edit in fix.edits)


def _fix(fix: Fix, root: str) -> dict[str, Any]:
    paths = sorted({edit.place.path for edit in fix.edits})
    return {
        "description": {"text": fix.title},
        "artifactChanges": [
            {
                "artifactLocation": _artifact(path, root),
                "replacements": [
                    {"deletedRegion": _region(edit.place), "insertedContent": {"text": edit.content}}
                    for edit in fix.edits
                    if edit.place.path == path
                ],
            }
            for path in paths
        ],
        "properties": {"applicability": fix.safety},
    }


def _location(place: Place, root: str) -> dict[str, Any]:
    where = {"artifactLocation": _artifact(place.path, root)}
    if place.cell is not None:
        name = f"cell {place.cell}"
        return {"physicalLocation": where, "logicalLocations": [{"name": name, "fullyQualifiedName": name}]}
    return {"physicalLocation": {**where, "region": _region(place)}}


def _region(place: Place) -> dict[str, int]:
    return {
        "startLine": place.line,
        "startColumn": place.column,
        "endLine": place.end_line,
        "endColumn": place.end_column,
    }


def _artifact(path: str, root: str) -> dict[str, str]:
    relative = ci.below(path, root)
    if os.path.isabs(relative):
        return {"uri": Path(relative).as_uri()}
    return {"uri": quote(relative.encode("utf-8", "surrogateescape")), "uriBaseId": _ROOT}


def _notification(problem: Problem, root: str) -> dict[str, Any]:
    where: dict[str, Any] = {"artifactLocation": _artifact(problem.path, root)}
    if problem.line is not None and problem.cell is None:
        column = {} if problem.column is None else {"startColumn": problem.column}
        where["region"] = {"startLine": problem.line, **column}
    message = ci.in_cell(problem) + said(problem)
    return {"level": "error", "message": {"text": message}, "locations": [{"physicalLocation": where}]}
