"""What a run reports: places, steps, diagnostics and problems, and nothing about how they were found.

Named tuples, not Structs, here and in `source`: a run without findings is done before msgspec would be imported (10 ms).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "info"]
Confidence = Literal["certain", "likely"]


class Place(NamedTuple):
    """A span of source. Lines and columns count from 1, columns in code points; `cell` counts a notebook's code cells from 1.

    In a notebook, lines count inside the cell. The end column points behind the last character.
    """

    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    cell: int | None = None


class Step(NamedTuple):
    """One hand-over on the way of a value, from where it got its kind to the loss call."""

    place: Place
    note: str


class Edit(NamedTuple):
    """Text in place of a span; an empty span inserts."""

    place: Place
    content: str


Safety = Literal["safe", "unsafe", "display"]
"""Of a fix. Safe: nothing but the finding changes. Unsafe: what happens elsewhere may change, too. Display: never applied."""


class Fix(NamedTuple):
    """Edits that repair a finding; they belong together and do not overlap."""

    title: str
    safety: Safety
    edits: tuple[Edit, ...]


Runtime = Literal["confirmed", "refuted", "unseen"]
"""What a trace says of a finding: seen to be so, seen to be otherwise, or never met."""

RUNTIME_WORDS: dict[Runtime, str] = {
    "confirmed": "confirmed by a trace",
    "refuted": "refuted by a trace",
    "unseen": "not met by a trace",
}


class Diagnostic(NamedTuple):
    """One finding as users see it. `runtime` is None if there is no trace.

    `fingerprint` survives moved lines (it hashes code, path and the text of the flagged lines).
    """

    code: str
    name: str
    message: str
    severity: Severity
    confidence: Confidence
    place: Place
    trail: tuple[Step, ...] = ()
    url: str | None = None
    fingerprint: str = ""
    fixes: tuple[Fix, ...] = ()
    runtime: Runtime | None = None


class Problem(NamedTuple):
    """Why a file, or a part of it, was not linted. `internal` marks a defect of torchlint itself, not of the file."""

    path: str
    message: str
    line: int | None = None
    column: int | None = None
    cell: int | None = None
    internal: bool = False


def places_of(diagnostic: Diagnostic) -> list[Place]:
    """Where a diagnostic and the steps of its trail are."""
    return [diagnostic.place, *(step.place for step in diagnostic.trail)]


def paths_of(diagnostic: Diagnostic) -> set[str]:
    """The files that a diagnostic takes part in."""
    return {place.path for place in places_of(diagnostic)}
