"""Rules on how a loss is used: how it is made, called and reduced, and what its value is used for."""

from __future__ import annotations

from collections.abc import Iterator

from torchlint.analysis.calls import Backward, Construction, LossCall, OpCall
from torchlint.analysis.values import Tensor, Trail, Unknown, Value, alternatives
from torchlint.checks.registry import Verdict, rule
from torchlint.findings import CallResult, SetOption, StepRef

_TAKES_TENSORS = frozenset({"weight", "pos_weight"})
"""The constructors' parameters that are tensors by right."""


@rule("TLN401", on=Construction)
def constructor_called_with_tensors(made: Construction) -> Iterator[Verdict]:
    """Predictions and targets handed to the class, not to the object that it makes."""
    if len(made.positional) >= 2:  # an input and a target
        names = made.loss.options
        wrong = [v for n, v in zip(names, made.positional, strict=False) if n not in _TAKES_TENSORS]
        if wrong and all(_is_data(part) for value in wrong[:1] for part in alternatives(value)):
            yield Verdict({}, plan=CallResult(made.at, len(made.positional)))


def _is_data(part: Value) -> bool:
    """Whether a value is certainly a tensor: one of an operation, or a batch of a loop."""
    return isinstance(part, Tensor) or (isinstance(part, Unknown) and part.source == "batch")


@rule("TLN402")
def swapped_arguments(call: LossCall) -> Iterator[Verdict]:
    """Labels in the input's place, and what a model made of its activations in the target's."""
    if not call.swapped:
        return
    predicted = call.tensors("target")
    if not predicted:  # the model is not in sight
        unsure = call.loss.family == "distribution"
        yield Verdict({"activation": "the model"}, None, confidence="likely" if unsure else "certain")
        return
    allowed = any(part.kind in call.accepts("target") for part in predicted)
    from_batch = any(isinstance(part, Unknown) for part in call.arg("input"))
    unsure = allowed and (call.loss.family == "distribution" or from_batch)
    first = predicted[0]
    yield Verdict({"activation": first.activation}, first.trail, confidence="likely" if unsure else "certain")


@rule("TLN403")
def decisions_as_input(call: LossCall) -> Iterator[Verdict]:
    """Class indices or a mask, which have no gradient, where a loss wants scores."""
    accepted = call.accepts("input")
    parts = call.arg("input")
    chosen = [part for part in parts if isinstance(part, Tensor) and _is_decision(part)]
    if accepted and "class_index" not in accepted and chosen and len(chosen) == len(parts):
        cut = chosen[0].activation
        yield Verdict({"activation": f"`{cut}`", "input": "prediction"}, chosen[0].trail)


def _is_decision(part: Tensor) -> bool:
    """Whether a tensor is what `argmax`, `max` or `topk` chose."""
    return part.kind == "class_index" and part.dtype != "bool" and part.activation.strip("().").endswith(_CHOOSE)


_CHOOSE = ("argmax", "max", "topk", "argsort", "argmin")


@rule("TLN403", on=Backward)
def gradient_cut(call: Backward) -> Iterator[Verdict]:
    """`backward()` on a loss, or on a sum with one, behind which the gradient was cut off."""
    parts = alternatives(call.value)
    cut, first = call.cuts[0], parts[0]
    if call.training and cut is not None and None not in call.cuts and isinstance(first, Tensor):
        whole = not first.attached or (first.cut is not None and first.cut.leaf)
        what = "the loss" if whole else "one term of the loss"
        name = cut.note.partition("`")[2].partition("`")[0]
        yield Verdict({"activation": f"`{name}`", "input": what}, Trail(cut, first.trail), cut.at)


@rule("TLN404", on=OpCall, ops=("exp",))
def focal_on_mean(call: OpCall) -> Iterator[Verdict]:
    """The probability of the right class, from a loss that is already the mean over the batch."""
    parts = call.input()
    means = [part for part in parts if isinstance(part, Tensor) and _is_negative_mean(part)]
    if call.training and means and len(means) == len(parts):
        first = means[0]
        yield Verdict({"loss": first.activation.rpartition(".")[2]}, first.trail)


def _is_negative_mean(part: Tensor) -> bool:
    loss = part.loss
    averaged = part.shape is not None and part.shape.rank == 0 and part.per_sample is None and part.sample is None
    likelihood = loss is not None and loss.family in ("binary", "multiclass")
    return part.kind == "loss" and likelihood and part.negated and part.attached and averaged


@rule("TLN405")
def kldiv_reduction_mean(call: LossCall) -> Iterator[Verdict]:
    """The mean over samples and classes, which is the divergence divided by the number of classes."""
    given = [part for part in call.arg("input") if isinstance(part, Tensor) and _is_logarithm(part)]
    if call.rescaled or call.loss.id != "kl_div" or call.reduction != "mean":
        return
    if given and len(given) == len(call.arg("input")):
        plan = SetOption(call.use.made or call.at, "reduction", '"batchmean"')
        yield Verdict({}, given[0].trail, plan=None if "size_average" in call.options else plan)


def _is_logarithm(part: Tensor) -> bool:
    """Whether a tensor holds log-probabilities, or the logarithm of something that is not known."""
    return part.kind == "log_simplex" or (part.kind == "unknown" and part.activation.strip("().").endswith("log"))


@rule("TLN406", on=Backward)
def loss_not_reduced(call: Backward) -> Iterator[Verdict]:
    """`backward()` on one loss for each sample."""
    parts = alternatives(call.value)
    whole = [part for part in parts if isinstance(part, Tensor) and part.per_sample is not None]
    if not call.seeded and len(whole) == len(parts):
        first = whole[0]
        assert first.per_sample is not None
        step = StepRef(first.per_sample, "one value for each sample")
        yield Verdict({"loss": first.activation.rpartition(".")[2]}, Trail(step, first.trail))
