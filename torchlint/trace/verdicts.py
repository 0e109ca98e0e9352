"""What is wrong with a loss call that was seen, by the codes of the rulebook. Plain data in and out: no torch.

A verdict needs two witnesses where one could err: an operation that was seen and values that agree with it, or shapes that
settle the matter by themselves. What only the range of the values suggests is a suspicion, never an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from torchlint.contracts import DType, Kind, Loss
from torchlint.trace.seen import Call, Seen, Values

Severity = Literal["error", "warning", "info", "suspect"]

_UNIT = frozenset({"probability", "simplex"})
_NOT_LOGS = frozenset({"raw", "probability", "simplex", "nonnegative"})
_EDGE = 1e-4
"""How far rounding may carry a value over the edge of its range."""

_WORDS: dict[Kind, str] = {
    "raw": "raw values (logits)",
    "probability": "probabilities",
    "simplex": "probabilities that sum to 1",
    "log_simplex": "log-probabilities",
    "log_probability": "log-probabilities",
    "nonnegative": "values from 0 up",
}
_TYPE_WORDS: dict[DType, str] = {"float": "floating-point numbers", "int": "whole numbers", "bool": "booleans"}
_REPAIRS: dict[DType, str] = {"float": "Convert it with .float().", "int": "Convert it with .long()."}


class Verdict(NamedTuple):
    """What is wrong. `words` fill the message of the rule's page; a `code` of None has its `message` here instead.

    `evidence` names what was seen.
    """

    code: str | None
    evidence: str
    words: Mapping[str, str] = {}
    name: str = ""
    message: str = ""
    severity: Severity | None = None


def judge(call: Call, loss: Loss) -> Iterator[Verdict]:
    """Everything that one call shows to be wrong."""
    given, target = (call.arg(arg.name if (arg := loss.arg(role)) else None) for role in ("input", "target"))
    if given is not None:
        yield from _kinds(call, loss, given)
        yield from _one_class(call, loss, given, target)
        yield from _weights(call, loss, given)
    if given is not None and target is not None:
        yield from _shapes(call, loss, given, target)
        yield from _targets(call, loss, given, target)
        yield from _device(given, target)
        yield from _swapped(loss, given, target)
    yield from _finite(call)


def accepted(call: Call, loss: Loss) -> frozenset[Kind]:
    """What the input may hold, as the loss is set up; empty if no demand is made."""
    whens = loss.whens("input")
    for when in whens:
        if when.option in call.options and when.holds(call.options[when.option]):
            return frozenset(when.accepts)
    arg = loss.arg("input")
    unknown = any(when.option not in call.options for when in whens)
    return frozenset(arg.accepts) if arg is not None and not unknown else frozenset()


def _kind(given: Seen) -> Kind:
    """The kind that the operation says, unless the values say otherwise."""
    kind, values = given.origin.kind, given.values
    if values is None or not values.finite:
        return kind
    if kind in _UNIT and not (values.low >= -_EDGE and values.high <= 1 + _EDGE):
        return "unknown"
    if kind in ("log_simplex", "log_probability") and values.high > _EDGE:
        return "unknown"
    return kind


def _kinds(call: Call, loss: Loss, given: Seen) -> Iterator[Verdict]:
    kind, wanted, values = _kind(given), accepted(call, loss), given.values
    words = {"activation": given.origin.name, "kind": _WORDS.get(kind, ""), "input": given.origin.name}
    evidence = origin_words(given)
    if not wanted and kind == "simplex" and given.shape[-1:] == (1,):
        yield from _softmax_dim(call, loss, given, words, evidence)
    if not wanted or kind == "unknown":
        return
    wants_raw = "raw" in wanted and "probability" not in wanted
    outside = values is None or (values.low < -_EDGE or values.high > 1 + _EDGE)
    above = values is None or values.high > _EDGE
    if loss.family == "binary" and wants_raw and kind in _UNIT:
        yield Verdict("TLN101", evidence, words)
    elif loss.family == "binary" and "probability" in wanted and kind == "raw" and outside:
        yield Verdict("TLN102", evidence, words)
    elif loss.family == "binary" and "probability" in wanted and kind == "simplex":
        yield Verdict("TLN103", evidence, words)
    elif loss.family == "multiclass" and wants_raw and kind in _UNIT:
        yield Verdict("TLN104", evidence, words)
    elif loss.family == "sequence" and "log_simplex" in wanted and kind in _NOT_LOGS - wanted and above:
        yield Verdict(
            "TLN111", evidence, {**words, "wanted": "log-probabilities", "remedy": "Pass log_softmax of the scores"}
        )
    elif "log_simplex" in wanted and not wanted & _NOT_LOGS and kind in _NOT_LOGS and above:
        if loss.family in ("multiclass", "distribution"):
            yield Verdict("TLN105" if loss.family == "multiclass" else "TLN106", evidence, words)
    elif loss.family in ("overlap", "focal") and kind in {"raw", *_UNIT} - wanted and (kind != "raw" or outside):
        yield Verdict("TLN111", evidence, {**words, **_mismatch(wanted, kind)})
    if kind in wanted:
        yield from _softmax_dim(call, loss, given, words, evidence)


def _mismatch(wanted: frozenset[Kind], kind: Kind) -> dict[str, str]:
    remedy = "Apply the activation before it" if kind == "raw" else "Pass the raw values"
    return {"wanted": _WORDS["raw" if "raw" in wanted else "probability"], "remedy": remedy}


def _softmax_dim(call: Call, loss: Loss, given: Seen, words: dict[str, str], evidence: str) -> Iterator[Verdict]:
    origin, shape = given.origin, given.shape
    if origin.kind not in ("simplex", "log_simplex") or origin.dim is None or not origin.direct or not shape:
        return
    dim = origin.dim % len(shape)
    if shape[dim] == 1 and len(shape) > 1 and loss.class_dim is None:
        told = "a softmax over one entry is always 1, so the output is constant and no gradient comes back"
    elif loss.family == "distribution":
        return  # the target may be a distribution over the samples, too
    elif len(shape) == 2 and dim == 0 and shape[0] not in (1, shape[1]) and shape[1] > 1:
        told = (
            "each class competes with itself over the samples of the batch, and the classes of a sample do not compete"
        )
    else:
        return
    yield Verdict("TLN205", evidence, {**words, "dim": str(origin.dim), "given": told})


def _one_class(call: Call, loss: Loss, given: Seen, target: Seen | None) -> Iterator[Verdict]:
    if loss.shapes != "index" or loss.class_dim != 1:
        return
    words = {"input_shape": shape_words(given), "input": given.origin.name or "the input"}
    evidence = f"input {shape_words(given)}" + (f", target {shape_words(target)}" if target else "")
    if len(given.shape) > 1 and given.shape[1] == 1:
        yield Verdict("TLN204", evidence, words)
    elif given.origin.regrouped:
        before = f"[{', '.join(map(str, given.origin.regrouped))}]"
        yield Verdict("TLN206", f"{evidence}, viewed from {before}", words)
    elif target is not None and len(given.shape) == 1 and given.shape == target.shape and target.type == "float":
        sums = target.values.row_sums if target.values is not None else None
        if given.shape[0] > 1 and sums is not None and abs(sums[0] - 1) > 0.01:
            yield Verdict("TLN207", f"{evidence}, whose sum is {sums[0]:.4g}", words)


def _weights(call: Call, loss: Loss, given: Seen) -> Iterator[Verdict]:
    """Weights of the classes that do not lie along them."""
    shape = given.shape
    for name, weight in call.weights.items():
        if len(weight) != 1 or weight[0] == 1 or len(shape) < 2:
            continue
        count, remedy = weight[0], "Give one weight for each class."
        if loss.family == "binary":
            # Of [B, C, H, W] with as many columns as classes only the operation tells what the last dimension is.
            columns = len(shape) > 3 and shape[1] == shape[-1] == count and given.origin.name == "a convolution"
            wrong = columns or (shape[-1] != count and (name == "pos_weight" or shape[0] != count))
            remedy = "Give one number, the weight of the positives over that of the negatives."
            if shape[-1] != 1:
                form = ", ".join([str(count), *["1"] * max(1, len(shape) - 2)])
                remedy = f"Give it the shape [{form}], so that it lies along the classes."
        else:
            wrong = loss.class_dim == 1 and shape[1] != count
        if wrong:
            words = {"given": f"{name} of shape [{count}]", "input_shape": shape_words(given), "remedy": remedy}
            yield Verdict("TLN303", f"{name} [{count}], input {shape_words(given)}", words)


def _shapes(call: Call, loss: Loss, given: Seen, target: Seen) -> Iterator[Verdict]:
    a, b = given.shape, target.shape
    if loss.shapes not in ("equal", "warns", "broadcasts") or a == b or _size(a) == 0 or _size(b) == 0:
        return
    words = {
        "input": given.origin.name or "the input",
        "target": "the target",
        "input_shape": shape_words(given),
        "target_shape": shape_words(target),
    }
    evidence = f"input {shape_words(given)}, target {shape_words(target)}"
    # Of the same number of dimensions, each with a 1 where the other has none, they were put there to be compared.
    stretched = _broadcast(a, b) if len(a) != len(b) else None
    lost = loss.shapes == "equal" and ((1, *a) == b or (1, *b) == a)
    if lost:
        yield Verdict("TLN201", evidence, words)
    elif loss.shapes != "equal" and given.origin.kind == "raw" and given.origin.direct and _is_stretched(a, b):
        yield Verdict("TLN203", evidence, words)
    elif stretched is not None and _size(stretched) > max(_size(a), _size(b)):
        squeezed = given.origin.squeezed and len(a) < len(b)
        raises = loss.shapes == "equal"
        evidence = evidence if raises else f"{evidence}, together {_shown(stretched)}"
        yield Verdict("TLN202" if squeezed or raises else "TLN203", evidence, words)


def _is_stretched(a: Sequence[int], b: Sequence[int]) -> bool:
    """Whether one number for each sample is compared with several."""
    return len(a) == len(b) == 2 and a[0] == b[0] > 1 and a[1] == 1 < b[1]


def _targets(call: Call, loss: Loss, given: Seen, target: Seen) -> Iterator[Verdict]:
    arg, values = loss.arg("target"), target.values
    if arg is None:
        return
    wrong = bool(arg.dtype) and target.type not in ("unknown", *arg.dtype)
    indices = loss.shapes == "index" and loss.class_dim is not None and "class_index" in arg.accepts
    lacks_classes = indices and len(target.shape) == len(given.shape) - 1 and len(given.shape) > 1
    if wrong or (lacks_classes and target.type == "float"):
        wanted: DType = "int" if lacks_classes else arg.dtype[0]
        words = {"given": _TYPE_WORDS[target.type], "wanted": _TYPE_WORDS[wanted], "remedy": _REPAIRS[wanted]}
        yield Verdict("TLN301", f"target {target.dtype} {shape_words(target)}", words)
        return
    if values is None or not values.finite:
        return
    told = None
    if lacks_classes:
        told = _class_numbers(call, given, values)
    elif loss.labels == "signs" and values.whole and values.low == 0 and values.high <= 1:
        told = ("0 and 1", "-1 and 1", "Turn them into signs with 2 * y - 1.")
    elif loss.labels == "indices" and target.type == "int" and target.shape == given.shape and values.repeats:
        told = (
            "rows that name a class twice, as rows of zeros and ones do",
            "numbers of classes, then -1",
            "Take the numbers of the positive classes of each row, and fill the rest with -1.",
        )
    elif loss.family == "binary" and not loss.labels and "probability" in arg.accepts:
        told = _flags(call, values)
    elif indices and target.shape == given.shape and len(given.shape) > 1 and values.row_sums is not None:
        if values.whole and values.low == 0 and values.high == 1 and values.row_sums[1] >= 2:
            told = (
                "several ones in a row",
                "a number for each class that sum to 1",
                "Use BCEWithLogitsLoss for several labels at once.",
            )
    if told is not None:
        given_words, wanted_words, remedy = told
        evidence = f"target values {range_words(values)}"
        yield Verdict("TLN302", evidence, {"given": given_words, "wanted": wanted_words, "remedy": remedy})


def _class_numbers(call: Call, given: Seen, values: Values) -> tuple[str, str, str] | None:
    classes, ignored = given.shape[1], call.options.get("ignore_index", -100)
    for edge in (values.low, values.high):
        if edge != ignored and not 0 <= edge < classes:
            wanted = f"numbers from 0 to {classes - 1}"
            return f"{edge:.0f}", wanted, "Number the classes from 0, or pass the number to leave out as ignore_index."
    return None


def _flags(call: Call, values: Values) -> tuple[str, str, str] | None:
    if values.low >= -_EDGE and values.high <= 1 + _EDGE:
        return None
    if call.options.get("reduction") == "none" and values.high <= 1 + _EDGE:
        return None  # a mark of what is left out afterwards
    remedy = "Divide a mask of 0 and 255 by 255, turn -1 and 1 into 0 and 1, or take another loss for class numbers."
    return f"values {range_words(values)}", "values from 0 to 1", remedy


def _device(given: Seen, target: Seen) -> Iterator[Verdict]:
    if given.device != target.device and target.shape:
        message = (
            "Input and target lie on different devices, which torch refuses: move the target to the input's, .to({})."
        )
        evidence = f"input on {given.device}, target on {target.device}"
        yield Verdict(None, evidence, {}, "device-mismatch", message.format("input.device"), "error")


def _swapped(loss: Loss, given: Seen, target: Seen) -> Iterator[Verdict]:
    if loss.family in ("binary", "multiclass") and target.learns and not given.learns and not loss.labels:
        yield Verdict(
            "TLN402", "the target has a gradient, the input none", {"activation": target.origin.name or "the model"}
        )


def _finite(call: Call) -> Iterator[Verdict]:
    result = call.result
    if result is None or abs(result) < float("inf"):
        return
    bad = [name for name, seen in call.args.items() if seen.values is not None and not seen.values.finite]
    cause = f"{' and '.join(bad)} held inf or nan already" if bad else "all that came in was finite"
    message = "The loss is no finite number, and one step with its gradient makes every weight nan."
    yield Verdict(None, f"loss {result}, {cause}", {}, "non-finite-loss", message, "error")


def refuted(calls: Sequence[Call], loss: Loss) -> frozenset[str]:
    """The codes of findings that the calls of a site rule out: what came in every time is known, and it is something else."""
    name, other = (arg.name if (arg := loss.arg(role)) else None for role in ("input", "target"))
    inputs, targets = ([seen for call in calls if (seen := call.arg(each)) is not None] for each in (name, other))
    codes: set[str] = set()
    values = [seen.values for seen in inputs if seen.values is not None and seen.values.finite]
    kinds = {_kind(seen) for seen in inputs}
    if not inputs or not calls:
        return frozenset()
    if kinds.isdisjoint({"unknown", *_UNIT}) or any(each.low < -_EDGE or each.high > 1 + _EDGE for each in values):
        codes |= {"TLN101", "TLN103", "TLN104"}
    if kinds.isdisjoint({"unknown", "raw"}) and len(values) == len(inputs):
        codes |= {"TLN102"}
    if len(values) == len(inputs) and all(each.high <= _EDGE for each in values):
        codes |= {"TLN105", "TLN106"}
    if "unknown" not in kinds:
        codes |= {"TLN111"}
    if targets and all(a.shape == b.shape for a, b in zip(inputs, targets, strict=False)):
        codes |= {"TLN202", "TLN203"}
    if all(len(seen.shape) > 1 and seen.shape[1] > 1 for seen in inputs):
        codes |= {"TLN204", "TLN207"}
    if targets:
        codes |= {"TLN301"}
        if all(seen.values is not None and seen.values.finite for seen in targets):
            codes |= {"TLN302"}
    if any(seen.learns for seen in inputs):
        codes |= {"TLN402"}
    shown = {verdict.code for call in calls for verdict in judge(call, loss)}
    return frozenset(codes - shown)


# ---------------------------------------------------------------- what only several calls show

_ENOUGH = 64
"""So many values, over at least two steps, have to lie in [0, 1] to be called suspicious."""


class Around(NamedTuple):
    """What the rest of a run says of a site: which labels were all that some site got, whether a learning rate rises."""

    labels: frozenset[float] = frozenset()
    warms_up: bool = False


def judge_all(calls: Sequence[Call], loss: Loss, around: Around) -> Iterator[Verdict]:
    """What the calls of a site show together: ranges that look like probabilities, a loss that never changes."""
    yield from _suspects(calls, loss)
    if not around.warms_up:
        yield from _chance(calls, loss)
    if len(around.labels) < 2:  # else each side of a GAN has its own
        yield from _one_label(calls, loss)
    results = [call.result for call in calls if call.grad and call.result is not None]
    if len(results) >= 4 and len(set(results)) == 1 and len({call.step for call in calls}) >= 4:
        message = "The loss is the same number at every step: what comes in does not reach it, or nothing learns."
        yield Verdict(None, f"{results[0]:.6g} in {len(results)} calls", {}, "constant-loss", message, "warning")


def _chance(calls: Sequence[Call], loss: Loss) -> Iterator[Verdict]:
    arg = loss.arg("input")
    held = [(call.result, call.step) for call in calls if call.grad and call.result is not None]
    if arg is None or len({step for _, step in held}) < _STEPS:
        return
    if any(call.options.get("reduction", "mean") != "mean" for call in calls):
        return
    inputs = [seen for call in calls if (seen := call.arg(arg.name)) is not None]
    if loss.family == "binary":
        classes = 2
    elif loss.family == "multiclass" and loss.class_dim == 1 and all(len(seen.shape) > 1 for seen in inputs):
        classes = inputs[0].shape[1] if len({seen.shape[1] for seen in inputs}) == 1 else 0
    else:
        return
    chance = math.log(classes) if classes > 1 else 0.0
    if chance and all(abs(result - chance) <= _EDGE * chance for result, _ in held):
        message = (
            f"The loss stands at its chance value, ln {classes}: the predictions are the same for every class whatever "
            "comes in. Look at what the model gives for two different samples, at the gradient and at the learning rate."
        )
        evidence = f"loss {held[0][0]:.6g} to {held[-1][0]:.6g} in {len(held)} calls, ln {classes} is {chance:.6g}"
        yield Verdict(None, evidence, {}, "chance-loss", message, "suspect")


def only_label(calls: Sequence[Call], loss: Loss) -> float | None:
    """The one number that all targets of a site's calls in training are, if there were enough of them to say so."""
    arg = loss.arg("target")
    if arg is None or loss.family not in ("binary", "multiclass"):
        return None
    seen = [target for call in calls if call.grad and (target := call.arg(arg.name)) is not None]
    values = [each.values for each in seen if each.values is not None]
    if len(values) < len(seen) or len({call.step for call in calls}) < _STEPS:
        return None
    edges = {edge for each in values for edge in (each.low, each.high)}
    return edges.pop() if len(edges) == 1 and sum(each.size for each in values) >= _ENOUGH else None


def _one_label(calls: Sequence[Call], loss: Loss) -> Iterator[Verdict]:
    label, arg, target = only_label(calls, loss), loss.arg("input"), loss.arg("target")
    if label is None or not label.is_integer() or arg is None or target is None:
        return
    if any(seen.origin.joined for call in calls if (seen := call.arg(arg.name)) is not None):
        return  # the positive pair stands first, so that its number is the label of every row
    count = sum(seen.values.size for call in calls if (seen := call.arg(target.name)) and seen.values)
    message = (
        "Every target is the same, so the model learns to answer that always: the data may be sorted and not "
        "shuffled, or the labels read wrongly. (Right where it is meant, as for one side of a GAN.)"
    )
    evidence = f"all {count} targets looked at are {label:g}"
    yield Verdict(None, evidence, {}, "one-label", message, "suspect")


def _suspects(calls: Sequence[Call], loss: Loss) -> Iterator[Verdict]:
    arg = loss.arg("input")
    if arg is None or loss.family not in ("binary", "multiclass"):
        return
    if not all("raw" in accepted(call, loss) and "probability" not in accepted(call, loss) for call in calls):
        return
    inputs = [seen for call in calls if (seen := call.arg(arg.name)) is not None]
    values = [seen.values for seen in inputs if seen.values is not None and seen.origin.kind == "unknown"]
    count = sum(each.size for each in values)
    if len(values) < max(2, len(inputs)) or count < _ENOUGH:
        return
    low, high = min(each.low for each in values), max(each.high for each in values)
    if low < 0 or high > 1 or not all(each.finite and not each.whole for each in values):
        return
    code = "TLN101" if loss.family == "binary" else "TLN104"
    name = "a sigmoid" if loss.family == "binary" else "a softmax"
    evidence = f"only the range says so: all {count} values in {len(values)} calls lie in [{low:.4g}, {high:.4g}]"
    yield Verdict(code, evidence, {"activation": f"what may be {name}"}, severity="suspect")


# ---------------------------------------------------------------- what the steps of an optimizer show


class Stepped(NamedTuple):
    """What was seen of an optimizer's steps. Of the `looked` at, so many were `without` any gradient.

    `norms` are those of the whole gradient, `probes` say of single steps whether a parameter with a gradient moved, and
    whether any of those compared had one.
    """

    steps: int
    looked: int
    without: int
    norms: tuple[float, ...]
    probes: tuple[tuple[bool, ...], ...]


_STEPS = 4
"""So many steps have to agree: a first step may well change nothing (a warm-up from 0, an output layer that begins at 0)."""


def judge_steps(seen: Stepped) -> Iterator[Verdict]:
    """Whether an optimizer's steps teach its parameters anything."""
    if seen.looked >= 2 and seen.without == seen.looked:
        message = (
            "The optimizer steps, but none of its parameters has a gradient, so nothing is learned: call backward() on a "
            "loss that depends on them, between zero_grad() and step(), and hand this model's own parameters to the optimizer."
        )
        yield Verdict(None, f"no gradient in {seen.looked} steps", {}, "no-gradient", message, "error")
    elif len(seen.norms) >= _STEPS and not any(seen.norms):
        message = (
            "The gradient is zero at every step, so nothing is learned: something between the parameters and the loss is "
            "constant (a saturated or rounded value, a softmax over one entry, dead units)."
        )
        yield Verdict(None, f"gradient norm 0 in {len(seen.norms)} steps", {}, "zero-gradient", message, "warning")
    elif len(seen.probes) >= 3 and seen.steps >= _STEPS and not any(moved for moved, _ in seen.probes):
        if all(pushed for _, pushed in seen.probes):
            message = (
                "The parameters have a gradient and do not change: the learning rate is 0, or so small that the "
                "parameters' dtype cannot hold the difference. Raise it, or keep the parameters in float32."
            )
            evidence = f"the same numbers before and after {len(seen.probes)} steps that were looked at"
            yield Verdict(None, evidence, {}, "unchanged-parameters", message, "warning")


# ---------------------------------------------------------------- words


def origin_words(seen: Seen) -> str:
    """`torch.sigmoid seen in the graph, values 0.1 to 0.9 (64)`."""
    found = {"graph": "in the autograd graph", "storage": "when it filled this memory"}.get(seen.origin.by, "")
    parts = [f"{seen.origin.name} seen {found}"] if seen.origin.name else []
    if seen.values is not None:
        parts.append(f"values {range_words(seen.values)} ({seen.values.size} looked at)")
    return ", ".join(parts)


def range_words(values: Values) -> str:
    """`from -1.5 to 3`."""
    return f"from {values.low:.4g} to {values.high:.4g}"


def shape_words(seen: Seen) -> str:
    """`[8, 1]`."""
    return _shown(seen.shape)


def _shown(shape: Sequence[int]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _size(shape: Sequence[int]) -> int:
    total = 1
    for each in shape:
        total *= each
    return total


def _broadcast(a: Sequence[int], b: Sequence[int]) -> tuple[int, ...] | None:
    """The shape that two shapes are stretched to, or None if they do not go together."""
    rank = max(len(a), len(b))
    first, second = ((1,) * (rank - len(each)) + tuple(each) for each in (a, b))
    if any(x != y and 1 not in (x, y) for x, y in zip(first, second, strict=True)):
        return None
    return tuple(max(x, y) for x, y in zip(first, second, strict=True))
