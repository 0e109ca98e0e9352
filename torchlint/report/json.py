"""JSON in the shape of ruff's: a list of diagnostics, with torchlint's severity, confidence, trail and runtime added."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from torchlint.coverage import Coverage, Sight
from torchlint.diagnostics import Diagnostic, Fix, Place, Step


def render(diagnostics: Sequence[Diagnostic], coverage: Coverage | None = None) -> str:
    """The whole list, `[]` if there is none; with coverage, an object with both. Paths are absolute, rows and columns count from 1."""
    found: Any = [entry(each) for each in diagnostics]
    if coverage is not None:
        found = {"diagnostics": found, "coverage": _coverage(coverage)}
    return json.dumps(found, indent=2, ensure_ascii=True) + "\n"


def entry(diagnostic: Diagnostic) -> dict[str, Any]:
    """One diagnostic."""
    return {
        "code": diagnostic.code,
        "name": diagnostic.name,
        "message": diagnostic.message,
        **_place(diagnostic.place),
        "fix": next((_fix(fix) for fix in diagnostic.fixes), None),
        "url": diagnostic.url,
        "severity": diagnostic.severity,
        "confidence": diagnostic.confidence,
        "trail": [_step(step) for step in diagnostic.trail],
        "runtime": None if diagnostic.runtime is None else {"status": diagnostic.runtime},
        "fingerprint": diagnostic.fingerprint,
    }


def _coverage(coverage: Coverage) -> dict[str, Any]:
    return {
        "loss_calls": coverage.calls,
        "input_known": coverage.inputs,
        "target_known": coverage.targets,
        "unresolved": coverage.unresolved,
        "calls": [
            {
                "name": seen.name,
                **_place(seen.place),
                "criterion": _sight(seen.criterion),
                "input": _sight(seen.input),
                "target": _sight(seen.target),
            }
            for seen in coverage.seen
        ],
    }


def _sight(sight: Sight) -> dict[str, Any]:
    reason = None if sight.reason is None else _step(sight.reason)
    return {"state": sight.state, "kinds": list(sight.kinds), "reason": reason}


def _fix(fix: Fix) -> dict[str, Any]:
    edits = [{**_place(edit.place), "content": edit.content} for edit in fix.edits]
    return {"applicability": fix.safety, "message": fix.title, "edits": edits}


def _step(step: Step) -> dict[str, Any]:
    return {**_place(step.place), "note": step.note}


def _place(place: Place) -> dict[str, Any]:
    return {
        "filename": os.path.abspath(place.path),
        "cell": place.cell,
        "location": {"row": place.line, "column": place.column},
        "end_location": {"row": place.end_line, "column": place.end_column},
    }
