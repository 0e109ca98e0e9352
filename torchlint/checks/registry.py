"""The register of checks: which function judges for which rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from torchlint.analysis.calls import LossCall
from torchlint.analysis.values import Trail
from torchlint.diagnostics import Confidence
from torchlint.findings import Finding, NodeRef, StepRef


class Verdict(msgspec.Struct, frozen=True):
    """What a check says of a loss call: the values of the message, and the way of the value that is wrong.

    `at` is the place to flag where that is not the loss call.
    """

    values: dict[str, str]
    trail: Trail | None = None
    at: NodeRef | None = None
    confidence: Confidence = "certain"


Check = Callable[[LossCall], Iterator[Verdict]]

_CHECKS: dict[str, Check] = {}


def rule(code: str) -> Callable[[Check], Check]:
    """Register a check for the rule whose page is `rules/CODE.md`."""

    def register(check: Check) -> Check:
        if code in _CHECKS:
            raise ValueError(f"two checks for {code}")
        _CHECKS[code] = check
        return check

    return register


def codes() -> frozenset[str]:
    """The codes that have a check."""
    _load()
    return frozenset(_CHECKS)


def judge(call: LossCall) -> list[Finding]:
    """All findings of all checks on a loss call."""
    _load()
    findings = []
    for code, check in _CHECKS.items():
        for verdict in check(call):
            findings.append(_finding(code, call, verdict))
    return findings


def _finding(code: str, call: LossCall, verdict: Verdict) -> Finding:
    steps = list(verdict.trail.steps()) if verdict.trail is not None else []
    if call.made is not None:
        steps.extend(call.made.steps())
    steps.append(StepRef(call.at, f"`{call.name}` gets it here"))
    values = {"loss": call.name.rpartition(".")[2], **verdict.values}
    return Finding(code, verdict.at or call.at, values, tuple(_distinct(steps)), verdict.confidence)


def _distinct(steps: list[StepRef]) -> Iterator[StepRef]:
    seen: set[StepRef] = set()
    for step in steps:
        if step not in seen:
            seen.add(step)
            yield step


def _load() -> None:
    if not _CHECKS:
        from torchlint.checks import kinds, shapes  # noqa: F401, PLC0415  # they register themselves
