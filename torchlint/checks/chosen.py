"""Inputs that an option of the program chooses among: what is wrong with one of them is wrong whenever it is chosen.

A model picked by `if args.model == "mlp"` in front of the one loss that all models share is such an input. An option that
only adds an activation is not: the same scores go on with and without it, one way for training and one for use.
"""

from __future__ import annotations

from collections.abc import Sequence

from torchlint.analysis.calls import LossCall
from torchlint.analysis.values import SQUASHED, Guard, Lazy, Tensor, Unknown, Value, alternatives, guarded
from torchlint.findings import StepRef


def chosen_wrongly(call: LossCall, wrong: Value, right: Sequence[Value]) -> StepRef | None:
    """Where the right input comes from that another choice would give, if an option alone decides on the wrong one.

    The loss must be called whatever the option is, and for one target: otherwise one option may choose them all.
    """
    found = call.loss.arg("input")
    given = None if found is None else call.args.get(found.name)
    if given is None or call.conditional or not isinstance(wrong, Tensor):
        return None
    if any(value is not given and len(alternatives(value)) > 1 for value in call.args.values()):
        return None
    guards = dict(guarded(given))
    if wrong not in guards or not all(_is_by_option(guards.get(part, frozenset())) for part in right):
        return None
    others = [part for part in right if isinstance(part, Tensor) and part.trail is not None]
    if len(others) < len(right) and not _is_by_option(guards[wrong]):
        return None  # of what is not known, it is not known either that an option keeps it apart
    if any(_may_be_the_same(wrong, part) for part in others):
        return None
    if not others:
        return StepRef(call.at, "another option leads to something else, of which nothing is known")
    common = {step.at for step in _way(wrong)}
    own = [step for step in _way(others[0]) if step.at not in common] or _way(others[0])
    return StepRef(own[-1].at, "another option leads here instead, which is right")


def _is_by_option(guard: Guard) -> bool:
    """Whether options of the program, and nothing else, decide on a possibility."""
    return bool(guard) and all(_is_option(test.subject) for test, _ in guard)


def _is_option(subject: object) -> bool:
    """Whether what was tested is, or is taken from, what somebody gives the program; not its data, nor the mode of a model."""
    while isinstance(subject, tuple) and subject:
        if ".training" in subject[1:]:
            return False
        subject = subject[0]
    if isinstance(subject, Lazy):
        subject = subject.force()
    return isinstance(subject, Unknown) and subject.source != "batch"


def _may_be_the_same(one: Tensor, other: Tensor) -> bool:
    """Whether one of two values may be the other but for an activation: what that was applied to came the same way."""
    for squashed, scores in ((one, other), (other, one)):
        if squashed.kind not in SQUASHED:
            continue
        before = () if squashed.origin is None else alternatives(squashed.origin)
        ways = [_way(each) for each in before if isinstance(each, Tensor) and each.trail is not None]
        if len(ways) == len(before) > 0:
            if any(_way(scores)[: len(way)] == way for way in ways):
                return True
        elif squashed.trail is None or _way(squashed)[0].at.path in {step.at.path for step in _way(scores)}:
            return True
    return False


def _way(part: Tensor) -> tuple[StepRef, ...]:
    return () if part.trail is None else part.trail.steps()
