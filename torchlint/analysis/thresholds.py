"""What a program does with one value in several places: a loss takes it for logits here, it is compared with 0.5 there.

A model that is not in sight says nothing of its output. But if a loss that wants logits is given that very value, and a
threshold for probabilities is applied to it too, then one of the two is wrong, whatever the model does.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

import msgspec

from torchlint.analysis.calls import Arithmetic, Comparison, Event, LossCall, OpCall, Thresholded
from torchlint.analysis.values import (
    Const,
    Tensor,
    Trail,
    Unknown,
    Value,
    alternatives,
    is_anything,
    is_batch,
    is_sigmoid,
    kind_of,
)
from torchlint.findings import StepRef

Branch = tuple[tuple[int, int], ...]
"""The branches of the run in which something happens: for each, which fork it is of and which side of it."""


class _Claim(msgspec.Struct, frozen=True):
    """A place where a value is taken for logits."""

    branch: Branch
    step: StepRef


Claims = dict[Hashable, tuple[Value, _Claim]]
"""What one of several possibilities takes for logits, each value under what tells it from others."""


class _Compared(msgspec.Struct, frozen=True):
    """A comparison with a number between 0 and 1, waiting for what else happens to the value."""

    event: Event
    number: float
    parts: tuple[Value, ...]
    branch: Branch
    sure: bool


class Thresholds:
    """Which values of a program are taken for logits, and which are compared with a number between 0 and 1."""

    def __init__(self) -> None:
        self._claims: dict[Hashable, list[_Claim]] = {}
        self._overlaps: dict[Hashable, list[_Claim]] = {}
        self._denied: set[Hashable] = set()
        self._compared: dict[tuple[object, ...], _Compared] = {}
        self._kept: dict[int, Value] = {}

    def __bool__(self) -> bool:
        """Whether any value is taken for logits, so that what is done with a model is of interest."""
        return bool(self._claims)

    def is_claimed(self, part: Value) -> bool:
        """Whether a loss takes a value for logits. Computes nothing lazy."""
        return bool(self._claims) and _key(part) in self._claims

    def loss(self, call: LossCall, branch: Branch, choice: Claims | None) -> None:
        """A loss is called; as one possibility of several, what it takes for logits is kept in `choice`."""
        accepts = call.accepts("input")
        wants_logits = "raw" in accepts and not accepts & {"probability", "simplex", "bounded"}
        step = StepRef(call.at, f"`{call.name}` takes it for logits")
        # With the two in each other's places, the scores are those that the loss was meant to get.
        for part in call.arg("target" if call.swapped else "input"):
            squashed = _before_sigmoid(part)
            if squashed is not None:
                step = StepRef(call.at, f"`{call.name}` gets its sigmoid")
                self._claim(squashed, _Claim(branch, step), choice)
            elif wants_logits:
                self._claim(part, _Claim(branch, step), choice)
            else:
                self._deny(part)

    def agreed(self, choices: Sequence[Claims], branch: Branch, outer: Claims | None) -> None:
        """Of several losses one is called: what all of them take for logits is taken so whichever it is."""
        for key, (part, claim) in choices[0].items():
            if all(key in other for other in choices[1:]):
                self._claim(part, _Claim(branch, claim.step), outer)

    def multiplied(self, event: Arithmetic, branch: Branch, sure: bool) -> None:
        """Two values are multiplied: the sigmoid of one with labels is a term of a dice or IoU loss written by hand.

        A gate looks the same. It says of its value that a sigmoid belongs to it, not that it is what the model is trained to
        say, so these are kept apart.
        """
        for one, other in ((event.left, event.right), (event.right, event.left)):
            parts = alternatives(one)
            squashed = _before_sigmoid(parts[0]) if len(parts) == 1 else None
            if squashed is not None and sure and all(_may_be_labels(part, squashed) for part in alternatives(other)):
                claim = _Claim(branch, StepRef(event.at, "its sigmoid meets the labels"))
                self._remember(self._overlaps, squashed, claim)

    def compared(
        self, key: tuple[object, ...], event: Event, value: Value, number: float, branch: Branch, sure: bool
    ) -> None:
        """A value is compared with a number between 0 and 1, or rounded."""
        parts = alternatives(value)
        for part in parts:
            squashed = _before_sigmoid(part)
            if squashed is not None and len(parts) == 1:
                self._claim(
                    squashed, _Claim(branch, StepRef(event.at, "its sigmoid is compared")), None if sure else {}
                )
        if any(_key(part) is not None for part in parts):
            self._compared[key] = _Compared(event, number, parts, branch, sure)
            self._kept.update((id(part), part) for part in parts)

    def misplaced(self) -> Iterator[tuple[tuple[object, ...], Thresholded, bool]]:
        """Every comparison of what is taken for logits elsewhere, by the key that it came with, and whether it is sure."""
        for key, seen in self._compared.items():
            parts = [part for part in seen.parts if not isinstance(part, Const) and not _is_blank(part)]
            claims = [self._claim_of(part, seen.branch) for part in parts]
            if claims and all(claim is not None for claim in claims):
                first, claim = parts[0], claims[0]
                assert claim is not None
                trail = first.trail if isinstance(first, Tensor) else None
                at, name, training = seen.event.at, seen.event.name, seen.event.training
                event = Thresholded(at, name, training, number=seen.number, trail=Trail(claim.step, trail))
                yield key, event, seen.sure

    def _claim_of(self, part: Value, branch: Branch) -> _Claim | None:
        """A place that is sure to be reached if this one is, or the other way round, where a value is taken for logits."""
        key = _key(part)
        if key is None or key in self._denied:
            return None
        claims = (*self._claims.get(key, ()), *self._overlaps.get(key, ()))
        return next((claim for claim in claims if _on_one_way(claim.branch, branch)), None)

    def _claim(self, part: Value, claim: _Claim, choice: Claims | None) -> None:
        key = _key(part)
        if choice is None:
            self._remember(self._claims, part, claim)
        elif key is not None:
            choice.setdefault(key, (part, claim))

    def _remember(self, where: dict[Hashable, list[_Claim]], part: Value, claim: _Claim) -> None:
        key = _key(part)
        if key is not None:
            where.setdefault(key, []).append(claim)
            self._kept[id(part)] = part

    def _deny(self, part: Value) -> None:
        key = _key(part)
        if key is not None:
            self._denied.add(key)
            self._kept[id(part)] = part


def _may_be_labels(part: Value, squashed: Value) -> bool:
    """Whether a value comes with the batch and is not known to be scores, nor the very value whose sigmoid it meets."""
    return is_batch(part) and kind_of(part) in ("unknown", "class_index", "one_hot") and _key(part) != _key(squashed)


def _is_blank(part: Value) -> bool:
    """Whether a value is a tensor that was made to be filled or replaced."""
    return isinstance(part, Tensor) and part.kind == "unknown" and not part.attached and part.activation in _BLANK


_BLANK = frozenset(f"torch.{name}{like}" for name in ("zeros", "ones", "empty") for like in ("", "_like"))


def _on_one_way(a: Branch, b: Branch) -> bool:
    """Whether one of two places lies in all the branches that the other lies in."""
    short, long = sorted((a, b), key=len)
    return long[: len(short)] == short


def _before_sigmoid(part: Value) -> Value | None:
    """What a sigmoid was applied to, if nothing else was done to its result."""
    return part.origin if isinstance(part, Tensor) and is_sigmoid(part) else None


def _key(part: Value) -> Hashable:
    """What tells a value from others: where raw ones are made, and of unknown ones the object; None if nothing does."""
    if isinstance(part, Unknown):
        return None if is_anything(part) else id(part)
    if not isinstance(part, Tensor) or part.dtype in ("int", "bool"):
        return None
    if part.kind == "unknown":
        return id(part if part.origin is None else part.origin)
    if part.kind == "raw" and part.trail is not None:
        return _first(part.trail).at
    return None


def _first(trail: Trail) -> StepRef:
    while trail.before is not None:
        trail = trail.before
    return trail.step


def fraction_compared(event: Event) -> tuple[Value, float] | None:
    """What is compared with which number between 0 and 1, if that is what an event is; rounding compares with 0.5."""
    if isinstance(event, Comparison) and event.op in _ORDER and 0 < event.number < 1:
        return event.value, event.number
    if isinstance(event, OpCall) and event.bound.op.id in ROUNDING and event.name.strip("().").endswith("round"):
        return event.bound.input, 0.5
    return None


ROUNDING = frozenset(("round",))
"""The operations that round, by their ids in the contracts."""

_ORDER: Sequence[str] = ("<", "<=", ">", ">=")
