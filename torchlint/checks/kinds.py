"""Rules on the kind of a loss's input: probabilities where logits are wanted, and the other way round."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from torchlint.analysis.calls import LossCall, OpCall, number_of
from torchlint.analysis.values import Tensor, Trail, Value, sigmoid_inside
from torchlint.analysis.wording import KIND_WORDS
from torchlint.checks.classes import is_over_classes, rank_of_input
from torchlint.checks.registry import Verdict, rule
from torchlint.contracts import Kind
from torchlint.findings import AnyPlan, Applied, Drop, Fuse, OtherLoss, Replace, StepRef

_SIGMOID = ("sigmoid", "sigmoid()", "sigmoid_()", "expit")
_GIVE_UNIT = (*_SIGMOID, "softmax", "softmax()")
"""A difference of two of these lies between -1 and 1; so do tanh and cosines, which are another matter."""

_UNIT: frozenset[Kind] = frozenset({"probability", "simplex"})

_OUTPUTS: frozenset[Kind] = frozenset({"raw", "probability", "simplex"})
"""What a model gives: a loss on overlaps wants either the first or the others."""

_NOT_LOGS: frozenset[Kind] = frozenset({"raw", "probability", "simplex", "nonnegative"})
"""No logarithm of a probability was taken. Bounded and whole numbers may be at most 0 and are left out."""


def _all_of(call: LossCall, kinds: frozenset[Kind]) -> Tensor | None:
    """The input, if every possibility of it is of one of these kinds."""
    parts = call.arg("input")
    if parts and all(isinstance(part, Tensor) and part.kind in kinds for part in parts):
        first = parts[0]
        return first if isinstance(first, Tensor) else None
    return None


def _verdict(part: Tensor, plan: AnyPlan | None = None) -> Verdict:
    return Verdict(
        {"activation": part.activation or "an activation", "kind": KIND_WORDS[part.kind]}, part.trail, plan=plan
    )


def applied(call: LossCall) -> Applied | None:
    """The one activation that all possibilities of the input have been through last."""
    found = {part.applied if isinstance(part, Tensor) else None for part in call.arg("input")}
    return found.pop() if len(found) == 1 else None


def _drop(call: LossCall) -> AnyPlan | None:
    """Take out the activation that the loss applies itself."""
    activation = applied(call)
    return None if activation is None else Drop(activation, call.use)


def _with_logits(call: LossCall) -> AnyPlan | None:
    """The loss that takes raw scores in place of this one, if it has the same parameters."""
    at = call.at if call.made is None else call.use.made
    names = _WITH_LOGITS.get(call.name.rpartition(".")[2])
    return None if at is None or names is None else OtherLoss(at, *names)


def _fused(call: LossCall) -> AnyPlan | None:
    """The loss that applies the activation itself, and the activation taken out."""
    drop, other = _drop(call), _with_logits(call)
    return Fuse(drop, other) if isinstance(drop, Drop) and isinstance(other, OtherLoss) else None


def _log_softmax(call: LossCall) -> AnyPlan | None:
    """The logarithm of the softmax in place of the softmax, which is right where that runs over the classes."""
    activation = applied(call)
    if any(part.dim == 0 and rank_of_input(call, part) != 1 for part in call.tensors("input")):
        return None
    if activation is None or activation.name.strip(".()").rpartition(".")[2].lower() != "softmax":
        return None
    return Replace(activation, call.use, "log_softmax", "LogSoftmax")


_WITH_LOGITS = {
    old: (old, new)
    for old, new in (
        ("BCELoss", "BCEWithLogitsLoss"),
        ("binary_cross_entropy", "binary_cross_entropy_with_logits"),
        ("NLLLoss", "CrossEntropyLoss"),
        ("nll_loss", "cross_entropy"),
    )
}


def _wants_logits(call: LossCall, family: str) -> bool:
    return call.loss.family == family and "raw" in call.accepts("input") and "probability" not in call.accepts("input")


@rule("TLN101")
def sigmoid_before_with_logits(call: LossCall) -> Iterator[Verdict]:
    """Probabilities, or differences of them, into a two-class loss that applies the sigmoid itself, or behind a second one."""
    if _wants_logits(call, "binary"):
        part = _all_of(call, _UNIT | {"bounded"})
        if part is not None and (part.kind != "bounded" or part.activation.lower().endswith(_GIVE_UNIT)):
            yield _verdict(part, _drop(call))
    elif "probability" in call.accepts("input"):
        part = _twice(call.arg("input"))
        if part is not None:
            yield _behind_another(part)


def _twice(parts: tuple[Value, ...]) -> Tensor | None:
    """The first of several possibilities if each of them has been through two sigmoids, one behind the other."""
    first = parts[0] if parts else None
    return first if isinstance(first, Tensor) and all(sigmoid_inside(part) is not None for part in parts) else None


def _behind_another(part: Tensor) -> Verdict:
    """What is wrong with a sigmoid behind a sigmoid."""
    inside = sigmoid_inside(part)
    words = {"loss": part.activation, "activation": inside.activation if inside is not None else "a sigmoid"}
    return Verdict(words, part.trail)


@rule("TLN101", on=OpCall, ops=("log", "log2"))
def sigmoid_twice_in_a_logarithm(call: OpCall) -> Iterator[Verdict]:
    """A sigmoid of a sigmoid, in a loss written by hand."""
    part = _twice(call.input())
    if part is not None and call.training and part.attached:
        yield _behind_another(part)


@rule("TLN104", on=OpCall, ops=("log_softmax",))
def log_softmax_of_softmax(call: OpCall) -> Iterator[Verdict]:
    """A log_softmax of what a softmax gave, in a loss written by hand or in front of one that takes log-probabilities."""
    parts = call.input()
    found = [part for part in parts if isinstance(part, Tensor) and _by_softmax(part)]
    if call.training and len(found) == len(parts) > 0 and any(part.attached for part in found):
        yield _verdict(found[0])


def _by_softmax(part: Tensor) -> bool:
    """Whether a tensor is what a softmax gave, or a part of that, as with a temperature."""
    return part.kind == "simplex" or (part.kind == "probability" and part.activation.endswith(("softmax", "softmax()")))


@rule("TLN102")
def logits_into_bce(call: LossCall) -> Iterator[Verdict]:
    """Raw values into a loss that takes their logarithm."""
    if call.loss.family == "binary" and "probability" in call.accepts("input"):
        part = _all_of(call, frozenset({"raw"}))
        if part is not None:
            yield _verdict(part, _with_logits(call))


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
            yield _verdict(part, _drop(call))


def _not_logs(call: LossCall, family: str) -> Iterator[Verdict]:
    """What is no logarithm, into a loss of this family that wants log-probabilities and nothing else."""
    accepts = call.accepts("input")
    if call.loss.family == family and "log_simplex" in accepts and not accepts & _NOT_LOGS:
        part = _all_of(call, _NOT_LOGS)
        if part is not None:
            yield _verdict(part, _with_logits(call) if part.kind == "raw" else _log_softmax(call))


@rule("TLN105")
def nll_without_log_softmax(call: LossCall) -> Iterator[Verdict]:
    """Scores or probabilities into a loss that only picks the number at the label."""
    yield from _not_logs(call, "multiclass")


@rule("TLN106")
def kldiv_input_not_log(call: LossCall) -> Iterator[Verdict]:
    """Scores or probabilities as the first argument of the Kullback-Leibler divergence."""
    yield from _not_logs(call, "distribution")


@rule("TLN107", harmless=True)
def log_softmax_before_cross_entropy(call: LossCall) -> Iterator[Verdict]:
    """A log_softmax that the loss applies once more: to no effect."""
    if call.loss.family == "multiclass" and "raw" in call.accepts("input"):
        part = _all_of(call, frozenset({"log_simplex"}))
        if part is not None and all(is_over_classes(call, each) for each in call.tensors("input")):
            yield _verdict(part, _drop(call))


@rule("TLN108")
def bce_under_autocast(call: LossCall) -> Iterator[Verdict]:
    """A loss that CUDA autocast refuses."""
    context = call.autocast
    if call.loss.autocast == "raises" and context.state != "off" and context.at is not None:
        trail = Trail(StepRef(context.at, "autocast is on in here"))
        yield Verdict({}, trail, confidence="certain" if context.state == "on" else "likely", plan=_fused(call))


@rule("TLN109", harmless=True)
def sigmoid_then_bce(call: LossCall) -> Iterator[Verdict]:
    """The output of a sigmoid into a loss that takes its logarithm: right, but not where the sigmoid is rounded to 1."""
    if call.loss.family == "binary" and "probability" in call.accepts("input"):
        part = _all_of(call, frozenset({"probability"}))
        if part is not None and part.activation.lower().endswith(_SIGMOID):
            yield _verdict(part, _fused(call))


@rule("TLN111")
def loss_activation_mismatch(call: LossCall) -> Iterator[Verdict]:
    """Scores or probabilities where a loss on overlaps, or a focal loss, as it is set up, wants the other."""
    accepts = call.accepts("input")
    if call.loss.family in ("overlap", "focal") and accepts:
        part = _all_of(call, _OUTPUTS - accepts)
        if part is not None:
            words = {"wanted": _wanted(accepts), "remedy": _remedy(call, part.kind)}
            verdict = _verdict(part, _drop(call) if accepts & {"raw"} else None)
            yield Verdict({**verdict.values, **words}, verdict.trail, plan=verdict.plan)


def _wanted(accepts: frozenset[str]) -> str:
    for kind in ("raw", "probability"):
        if kind in accepts:
            return KIND_WORDS[kind]
    return "to be told which activation to apply: one of its parts wants raw values, the other probabilities"


def _remedy(call: LossCall, kind: Kind) -> str:
    """What to write instead: an option that makes this kind right, or another input."""
    whens = call.loss.whens("input")
    options = [f"{when.option}={when.equals}" for when in whens if kind in when.accepts and when.equals is not None]
    given = call.loss.arg("input")
    if not options and given is not None and kind in given.accepts:
        options = [
            f"it without {when.option}" for when in whens if kind not in when.accepts and when.option in call.options
        ]
    value = "Apply the activation before it" if kind == "raw" else "Pass the raw values"
    return " or ".join([value, *(f"use {option}" for option in options)])


_ROUNDS_TO_ONE = 2.0**-25
"""In float32 one less this much, or less, is one."""


@rule("TLN110", on=OpCall, ops=("log", "log2", "clamp", "clamp_"))
def log_of_softmax(call: OpCall) -> Iterator[Verdict]:
    """The logarithm of what a softmax or a sigmoid gave, or a clamp before it that float32 cannot hold."""
    parts = call.input()
    found = [part for part in parts if isinstance(part, Tensor) and part.kind in _UNIT and part.applied]
    if not call.training or not found or len(found) < len(parts) or not any(part.attached for part in found):
        return
    verdict = _verdict(found[0])
    if call.about in ("log", "log2"):
        yield verdict
    elif _is_one(call.bound.named.get("max")):
        # In float64 the limit would be one: no table tells a tensor's precision.
        yield msgspec.structs.replace(verdict, confidence="likely")


def _is_one(limit: Value | None) -> bool:
    """Whether a limit below one is rounded to one in float32."""
    number = None if limit is None else number_of(limit)
    return number is not None and 0 < 1 - number <= _ROUNDS_TO_ONE
