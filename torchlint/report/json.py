"""JSON in the shape of ruff's: a list of diagnostics, with torchlint's severity, confidence, trail and runtime added."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from torchlint.diagnostics import Diagnostic, Place, Step


def render(diagnostics: Sequence[Diagnostic]) -> str:
    """The whole list; `[]` if there is none. Paths are absolute, rows and columns count from 1."""
    return json.dumps([entry(each) for each in diagnostics], indent=2, ensure_ascii=True) + "\n"


def entry(diagnostic: Diagnostic) -> dict[str, Any]:
    """One diagnostic."""
    return {
        "code": diagnostic.code,
        "name": diagnostic.name,
        "message": diagnostic.message,
        **_place(diagnostic.place),
        "fix": None,
        "url": diagnostic.url,
        "severity": diagnostic.severity,
        "confidence": diagnostic.confidence,
        "trail": [_step(step) for step in diagnostic.trail],
        "runtime": None,
        "fingerprint": diagnostic.fingerprint,
    }


def _step(step: Step) -> dict[str, Any]:
    return {**_place(step.place), "note": step.note}


def _place(place: Place) -> dict[str, Any]:
    return {
        "filename": os.path.abspath(place.path),
        "cell": place.cell,
        "location": {"row": place.line, "column": place.column},
        "end_location": {"row": place.end_line, "column": place.end_column},
    }
