"""The register of checks: which function judges which events for which rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar, overload

import msgspec

from torchlint.analysis.calls import Backward, Event, LossCall, OpCall
from torchlint.analysis.values import Lazy, Tensor, Trail, Value, alternatives, computed
from torchlint.checks.chosen import chosen_wrongly
from torchlint.diagnostics import Confidence
from torchlint.findings import AnyPlan, Finding, NodeRef, StepRef, doubtful


class Verdict(msgspec.Struct, frozen=True):
    """What a check says of an event: the values of the message, and the way of the value that is wrong.

    `at` is the place to flag where that is not the event's own, `plan` what would repair it.
    """

    values: dict[str, str]
    trail: Trail | None = None
    at: NodeRef | None = None
    confidence: Confidence = "certain"
    plan: AnyPlan | None = None


E = TypeVar("E", bound=Event)
Check = Callable[[E], Iterator[Verdict]]
"""A check gets an event of the type that it is registered for."""


class _Registered(msgspec.Struct, frozen=True):
    code: str
    check: Check[Any]
    ops: frozenset[str]


_CHECKS: dict[type[Event], list[_Registered]] = {}


_HARMLESS: set[str] = set()


@overload
def rule(code: str, *, harmless: bool = False) -> Callable[[Check[LossCall]], Check[LossCall]]: ...
@overload
def rule(
    code: str, on: type[E], ops: Iterable[str] = (), *, harmless: bool = False
) -> Callable[[Check[E]], Check[E]]: ...
def rule(
    code: str, on: type[Any] = LossCall, ops: Iterable[str] = (), *, harmless: bool = False
) -> Callable[[Check[Any]], Check[Any]]:
    """Register a check for the rule whose page is `rules/CODE.md`, on one type of event.

    A `harmless` rule is advice on code that is right: what it finds makes no other possibility wrong.

    A rule may have a check for each of several types. A check on `OpCall` names the operations that it wants to see, by
    their ids in the contracts.
    """
    wanted = frozenset(ops)
    if bool(wanted) is not (on is OpCall):
        raise ValueError(f"{code}: a check on OpCall, and no other, names its ops")

    if harmless:
        _HARMLESS.add(code)

    def register(check: Check[Any]) -> Check[Any]:
        known = _CHECKS.setdefault(on, [])
        if any(other.code == code for other in known):
            raise ValueError(f"two checks for {code} on {on.__name__}")
        known.append(_Registered(code, check, wanted))
        return check

    return register


def codes() -> frozenset[str]:
    """The codes that have a check."""
    _load()
    return frozenset(known.code for checks in _CHECKS.values() for known in checks)


def harmless() -> frozenset[str]:
    """The codes of the rules that are advice on code that is right."""
    _load()
    return frozenset(_HARMLESS)


def watched() -> frozenset[type[Event]]:
    """The types of events that some check judges."""
    _load()
    return frozenset(_CHECKS)


def watched_ops() -> frozenset[str]:
    """The operations that some check judges."""
    _load()
    return frozenset(op for known in _CHECKS.get(OpCall, ()) for op in known.ops)


def judge(event: Event, sure: bool = True) -> list[Finding]:
    """All findings of all checks on an event; likely at most, if the event is not `sure`."""
    _load()
    findings = _judged(event)
    if isinstance(event, (LossCall, Backward)):
        findings += _possible(event, {finding.code for finding in findings} | _HARMLESS)
    if sure:
        return findings
    reason = StepRef(event.at, "it depends on the way taken: this is one of several")
    return [doubtful(finding, reason) for finding in findings]


def _judged(event: Event) -> list[Finding]:
    return [
        _finding(known.code, event, verdict)
        for known in _CHECKS.get(type(event), ())
        if not known.ops or event.about in known.ops
        for verdict in known.check(event)
    ]


def _possible(event: LossCall | Backward, known: set[str]) -> list[Finding]:
    """What would be wrong if one possibility of a value were all of it. Computes nothing lazy that no check asked for."""
    found: dict[str, Finding] = {}
    for ways in _ways(event):
        judged = [_judged(way) for _, way in ways]
        for (wrong, _), findings in zip(ways, judged, strict=True):
            for finding in findings:
                code = finding.code
                right = [
                    part
                    for (part, _), each in zip(ways, judged, strict=True)
                    if all(other.code != code for other in each)
                ]
                if right and code not in known:
                    found.setdefault(code, _one_of_several(event, finding, wrong, right))
    return list(found.values())


def _one_of_several(event: LossCall | Backward, finding: Finding, wrong: Value, right: Sequence[Value]) -> Finding:
    """A finding on one possibility where others are right: likely, unless an option chooses it for this very loss."""
    chosen = chosen_wrongly(event, wrong, right) if isinstance(event, LossCall) else None
    if chosen is None:
        return doubtful(finding, _otherwise(event, right))
    return msgspec.structs.replace(finding, trail=(*finding.trail, chosen), plan=None)


def _ways(event: LossCall | Backward) -> Iterator[list[tuple[Value, LossCall | Backward]]]:
    """For each value with several possibilities: each of them, and the event as if there were no other."""
    if isinstance(event, Backward):
        parts = alternatives(event.value)
        if len(parts) == len(event.cuts) > 1:
            cuts = zip(parts, event.cuts, strict=True)
            yield [(part, msgspec.structs.replace(event, value=part, cuts=(cut,))) for part, cut in cuts]
        return
    for name, value in event.args.items():
        known = [part for part in computed(value) if not isinstance(part, Lazy)]
        if len(known) > 1:
            yield [(part, msgspec.structs.replace(event, args={**event.args, name: part})) for part in known]


def _otherwise(event: Event, right: Sequence[Value]) -> StepRef:
    """What a finding depends on: that the value is not one of these possibilities."""
    for part in right:
        if isinstance(part, Tensor) and part.trail is not None:
            return StepRef(part.trail.step.at, "it depends on the way taken: from here comes what is right")
    if isinstance(event, Backward):
        return StepRef(event.at, "it depends on the way taken: another one is right")
    return StepRef(event.at, "it depends on the way taken: nothing is known of another one")


def _finding(code: str, event: Event, verdict: Verdict) -> Finding:
    steps = list(verdict.trail.steps()) if verdict.trail is not None else []
    for trail in event.steps():
        steps.extend(trail.steps())
    steps.append(StepRef(event.at, event.note))
    values = {"loss": event.name.rpartition(".")[2], **verdict.values}
    return Finding(code, verdict.at or event.at, values, tuple(_distinct(steps)), verdict.confidence, verdict.plan)


def _distinct(steps: list[StepRef]) -> Iterator[StepRef]:
    seen: set[StepRef] = set()
    for step in steps:
        if step not in seen:
            seen.add(step)
            yield step


def _load() -> None:
    if not _CHECKS:
        from torchlint.checks import evaluation, kinds, shapes, targets, usage  # noqa: F401, PLC0415  # they register themselves
