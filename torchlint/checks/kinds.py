"""Rules on the kind of a loss's input: probabilities where logits are wanted, and the other way round."""

from __future__ import annotations

from collections.abc import Iterator

from torchlint.analysis.calls import LossCall
from torchlint.analysis.values import Tensor
from torchlint.checks.registry import Verdict, rule
from torchlint.contracts import Kind

_GIVE_UNIT = ("sigmoid", "sigmoid()", "sigmoid_()", "softmax", "softmax()", "expit")
"""A difference of two of these lies between -1 and 1; so do tanh and cosines, which are another matter."""

_UNIT: frozenset[Kind] = frozenset({"probability", "simplex"})


def _all_of(call: LossCall, kinds: frozenset[Kind]) -> Tensor | None:
    """The input, if every possibility of it is of one of these kinds."""
    parts = call.arg("input")
    if parts and all(isinstance(part, Tensor) and part.kind in kinds for part in parts):
        first = parts[0]
        return first if isinstance(first, Tensor) else None
    return None


def _verdict(part: Tensor) -> Verdict:
    return Verdict({"activation": part.activation or "an activation"}, part.trail)


def _wants_logits(call: LossCall, family: str) -> bool:
    return call.loss.family == family and "raw" in call.accepts("input") and "probability" not in call.accepts("input")


@rule("TLN101")
def sigmoid_before_with_logits(call: LossCall) -> Iterator[Verdict]:
    """Probabilities, or differences of them, into a two-class loss that applies the sigmoid itself."""
    if _wants_logits(call, "binary"):
        part = _all_of(call, _UNIT | {"bounded"})
        if part is not None and (part.kind != "bounded" or part.activation.lower().endswith(_GIVE_UNIT)):
            yield _verdict(part)


@rule("TLN102")
def logits_into_bce(call: LossCall) -> Iterator[Verdict]:
    """Raw values into a loss that takes their logarithm."""
    if call.loss.family == "binary" and "probability" in call.accepts("input"):
        part = _all_of(call, frozenset({"raw"}))
        if part is not None:
            yield _verdict(part)


@rule("TLN103")
def softmax_with_bce(call: LossCall) -> Iterator[Verdict]:
    """Classes that compete, into a loss that takes them one by one."""
    if call.loss.family == "binary" and "probability" in call.accepts("input"):
        part = _all_of(call, frozenset({"simplex"}))
        if part is not None:
            yield _verdict(part)


@rule("TLN104")
def softmax_before_cross_entropy(call: LossCall) -> Iterator[Verdict]:
    """Probabilities into a loss that applies the softmax itself."""
    if _wants_logits(call, "multiclass"):
        part = _all_of(call, _UNIT)
        if part is not None:
            yield _verdict(part)
