"""Rules on what a loss is compared with: the type and the range of its target, and the shape of its weights."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from torchlint.analysis.calls import LossCall
from torchlint.analysis.shapes import shape_of
from torchlint.analysis.values import Shape, Tensor
from torchlint.checks.registry import Verdict, rule
from torchlint.contracts import Kind

_TYPE_WORDS = {"float": "floating-point numbers", "int": "whole numbers", "bool": "booleans"}
_REPAIRS = {"float": "Convert it with .float().", "int": "Convert it with .long()."}


@rule("TLN301")
def target_dtype(call: LossCall) -> Iterator[Verdict]:
    """A target of a type that the loss refuses."""
    arg, parts = call.loss.arg("target"), call.tensors("target")
    if arg is None or not arg.dtype or not parts:
        return
    first = parts[0]
    if all(part.dtype != "unknown" and part.dtype not in arg.dtype for part in parts):
        wanted = arg.dtype[0]
        words = {"given": _TYPE_WORDS[first.dtype], "wanted": _TYPE_WORDS[wanted], "remedy": _REPAIRS[wanted]}
        yield Verdict(words, first.trail)
    elif "class_index" in arg.accepts and call.loss.class_dim is not None and "float" in arg.dtype:
        if all(part.dtype == "float" and _lacks_classes(call, part) for part in parts):
            words = {"given": _TYPE_WORDS["float"], "wanted": "class numbers, whole ones", "remedy": _REPAIRS["int"]}
            yield Verdict(words, first.trail)


def _lacks_classes(call: LossCall, target: Tensor) -> bool:
    """Whether a target has one dimension less than the scores, so that it holds class numbers and no distributions."""
    ranks = [None if part.shape is None or part.shape.assumed else part.shape.rank for part in call.tensors("input")]
    own = None if target.shape is None or target.shape.assumed else target.shape.rank
    return own is not None and own > 0 and bool(ranks) and all(rank == own + 1 for rank in ranks)


_ZERO_ONE = frozenset({"class_index", "one_hot"})
_BEYOND = frozenset({"raw", "bounded", "log_simplex", "log_probability"})
"""Kinds whose values lie on both sides of zero or below it."""


@rule("TLN302")
def target_range(call: LossCall) -> Iterator[Verdict]:
    """Labels of 0 and 1 where -1 and 1 are wanted, rows of flags where numbers of classes are, scores as targets."""
    arg, parts = call.loss.arg("target"), call.tensors("target")
    if arg is None or not parts:
        return
    kinds = {part.kind for part in parts}
    if call.loss.labels == "signs" and kinds <= _ZERO_ONE:
        yield _out_of_range(parts[0], "0 and 1", "-1 and 1", "Turn them into signs with 2 * y - 1.")
    elif call.loss.labels == "indices" and kinds == {"one_hot"}:
        yield _out_of_range(parts[0], "rows of zeros and ones", "numbers of classes", "Take argmax(1) of the rows.")
    elif (accepted := call.accepts("target")) and kinds <= _BEYOND - accepted and all(map(_is_computed, parts)):
        inputs = call.tensors("input")
        # Else the two may be swapped, which is another mistake.
        if inputs and all(part.kind not in ("unknown", *_ZERO_ONE) for part in inputs):
            logs = frozenset[Kind]({"log_simplex", "log_probability"})
            side = "below 0" if kinds <= logs else "on both sides of 0"
            wanted, repair = "labels or probabilities", "Apply the sigmoid or the softmax to it first."
            if accepted <= logs:
                wanted, repair = "log-probabilities", "Apply log_softmax to it first."
            elif kinds <= logs and (option := _option_for(call, kinds)):
                repair = f"Hand over the probabilities themselves, or set {option}."
            yield _out_of_range(parts[0], f"what {parts[0].activation} gives, {side}", wanted, repair)


def _option_for(call: LossCall, kinds: Collection[str]) -> str:
    """The option with which a loss takes targets of these kinds; empty if none does."""
    found = [when for when in call.loss.whens("target") if set(kinds) <= set(when.accepts)]
    return f"{found[0].option}={found[0].equals}" if found else ""


def _is_computed(part: Tensor) -> bool:
    """Whether a tensor is the output of a layer or a function, and no stand-in for data."""
    return part.trail is not None and "rand" not in part.activation


def _out_of_range(part: Tensor, given: str, wanted: str, repair: str) -> Verdict:
    return Verdict({"given": given, "wanted": wanted, "remedy": repair}, part.trail)


@rule("TLN303")
def loss_weight_shape(call: LossCall) -> Iterator[Verdict]:
    """One weight for each class that lies along another dimension than the classes."""
    inputs = [part.shape for part in call.tensors("input")]
    for name in ("pos_weight", "weight"):
        value = call.options.get(name)
        weight = None if value is None else shape_of(value)
        if weight is None or weight.rank != 1 or not inputs:
            continue
        count = weight.dims[0]
        if not isinstance(count, int) or count == 1:
            continue
        if call.loss.family == "binary" and all(_misses(shape, count) for shape in inputs):
            repair = f"Give it the shape [{count}, 1, 1], so that it lies along the classes."
            if all(shape is not None and shape.dims[-1] == 1 for shape in inputs):
                repair = "Give one number, the weight of the positives over that of the negatives."
            yield Verdict({"given": f"{name} of shape {weight}", "input_shape": str(inputs[0]), "remedy": repair})
        elif call.loss.class_dim == 1 and all(_has_other_classes(shape, count) for shape in inputs):
            repair = "Give one weight for each class."
            yield Verdict({"given": f"{name} of shape {weight}", "input_shape": str(inputs[0]), "remedy": repair})


def _misses(shape: Shape | None, count: int) -> bool:
    """Whether weights of shape [count] meet another dimension than that of count classes."""
    if shape is None or shape.assumed or not shape.dims:
        return False
    last = shape.dims[-1]
    if isinstance(last, int):
        return last != count
    return not shape.open and len(shape.dims) > 2 and shape.dims[1] == count  # [B, C, ...]


def _has_other_classes(shape: Shape | None, count: int) -> bool:
    """Whether the scores are for another number of classes than count."""
    if shape is None or shape.assumed or shape.open or len(shape.dims) < 2:
        return False
    return isinstance(shape.dims[1], int) and shape.dims[1] != count
