"""Rules on the shapes of input and target: lost batch dimensions and broadcasts that nobody wanted."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from torchlint.analysis.calls import Arithmetic, LossCall
from torchlint.analysis.shapes import TWO_OR_MORE
from torchlint.analysis.values import VARIES, Shape, Tensor, Trail, alternatives, computed, only_tensor
from torchlint.checks.classes import is_over_classes
from torchlint.checks.registry import Verdict, rule
from torchlint.contracts import Kind
from torchlint.diagnostics import Confidence
from torchlint.findings import AnyPlan, SqueezeArgument, SqueezeDim, StepRef


def _shown(part: Tensor) -> str:
    if _row(part.shape) or _lost_its_column(part):
        return "[B]" if part.shape is None or part.shape.open else str(part.shape)
    return "of unknown shape" if part.shape is None else str(part.shape)


def _verdict(given: Tensor, target: Tensor, one: Tensor) -> Verdict:
    trail = one.trail
    if one.squeezed is not None:
        trail = Trail(StepRef(one.squeezed, "`squeeze()` takes away every dimension of size 1"), trail)
    return Verdict(_words(given, target), trail, one.squeezed, plan=_with_dim(one))


def _with_dim(squeezed: Tensor) -> AnyPlan | None:
    """Name the dimension that `squeeze()` is there for, if the shape before it has exactly one of size 1 behind the first."""
    shape = squeezed.unsqueezed
    if squeezed.squeezed is None or shape is None or shape.dims.count(1) != 1:
        return None
    index = shape.dims.index(1)
    last = index == len(shape.dims) - 1
    if not last and (shape.open or index == 0):
        return None
    exact = not shape.open and index > 0 and all(dim is not None for dim in shape.dims[1:])
    return SqueezeDim(squeezed.squeezed, -1 if last else index, exact)


def _flat(call: LossCall, given: Tensor, target: Tensor) -> AnyPlan | None:
    """Take the last dimension off the side that is a column."""
    if not _column(given.shape, given.batched) and not _column(target.shape, target.batched):
        return None
    role = "input" if _column(given.shape, given.batched) else "target"
    arg = call.loss.arg(role)
    side = given if role == "input" else target
    if arg is None or side.shape is None:
        return None
    position = [each.name for each in call.loss.args].index(arg.name)
    scalar = call.options.get("reduction") is None
    return SqueezeArgument(call.at, (arg.name, *arg.also), position, exact=scalar and not side.shape.open)


def _words(given: Tensor, target: Tensor) -> dict[str, str]:
    return {
        "input": given.activation or "the input",
        "target": "the target",
        "input_shape": _shown(given),
        "target_shape": _shown(target),
    }


@rule("TLN201")
def squeeze_without_dim(call: LossCall) -> Iterator[Verdict]:
    """`squeeze()` takes the batch dimension away too when a batch holds one sample."""
    given, target = _squeezed(call, "input"), _squeezed(call, "target")
    if call.full_batches or _meets(call) is not None or _is_single(call, "target") or call.of_one_sample:
        return
    if given is not None and call.shown and not given.attached:
        return  # predictions that were gathered before, of which there are many
    if given is not None and not _is_squeezed(call, "target") and call.arg("target"):
        if call.loss.shapes in ("equal", "ranks") or _loses_its_rows(call, given):
            verdict = _verdict(given, _some_tensor(call, "target"), given)
            # To name the dimension in one of several places would leave the others.
            yield verdict if _is_only_one(call, given) else msgspec.structs.replace(verdict, plan=None)
    elif target is not None and call.loss.shapes in ("equal", "index") and not _is_squeezed(call, "input"):
        yield _verdict(_some_tensor(call, "input"), target, target)


def _is_only_one(call: LossCall, given: Tensor) -> bool:
    """Whether no other argument of the loss is squeezed elsewhere."""
    found = {part.squeezed for value in call.args.values() for part in alternatives(value) if isinstance(part, Tensor)}
    return found <= {given.squeezed, None}


def _loses_its_rows(call: LossCall, given: Tensor) -> bool:
    """Whether scores of classes become those of one sample without a batch, and the labels still have theirs.

    Going forward that is no error; going backward, cross entropy cannot bring the gradient back. It is sure where `squeeze()`
    takes something away in every batch, or can take away nothing else: in a program of single samples it may be there for the
    batch itself.
    """
    if not _counts_classes(call) or not call.training or call.shown or not given.attached:
        return False
    shape = given.unsqueezed
    if call.loss.family != "multiclass" or shape is None or not shape.dims or (shape.dims[0] == 1 and not shape.open):
        return False
    return shape.dims[-1] == 1 if shape.open else len(shape.dims) == 2 or 1 in shape.dims[1:]


def _is_single(call: LossCall, role: str) -> bool:
    """Whether an argument is a number without a dimension, as for samples that come one by one, or the row of one of them."""
    parts = call.tensors(role)
    numbers = (part.shape is not None and part.shape.rank == 0 for part in parts)
    return bool(parts) and (all(numbers) or all(part.sample == "row" for part in parts))


def _squeezed(call: LossCall, role: str) -> Tensor | None:
    """The argument of a role if in every case `squeeze()` may have taken its batch dimension."""
    found = [part for part in call.arg(role) if isinstance(part, Tensor)]
    whole = found and len(found) == len(call.arg(role))
    return found[0] if whole and all(part.squeezed is not None and _may_be_one(part) for part in found) else None


def _may_be_one(part: Tensor) -> bool:
    """Whether a squeezed tensor may have held a batch of one."""
    shape = part.unsqueezed
    fixed = shape is not None and not shape.open and bool(shape.dims) and isinstance(shape.dims[0], int)
    return part.batched and not part.many and part.sample != "batch" and not fixed


def _is_squeezed(call: LossCall, role: str) -> bool:
    return any(isinstance(part, Tensor) and part.squeezed is not None for part in call.arg(role))


def _some_tensor(call: LossCall, role: str) -> Tensor:
    return next((part for part in call.arg(role) if isinstance(part, Tensor)), Tensor())


def _column(shape: Shape | None, batched: bool) -> bool:
    """Whether a shape is [B, 1] with B not 1: certainly a last dimension of 1 behind one that varies or is larger."""
    if shape is None or not shape.dims or shape.dims[-1] != 1:
        return False
    if shape.open:
        return batched and len(shape.dims) == 1
    return len(shape.dims) == 2 and shape.dims[0] != 1  # rows and one column


def _row(shape: Shape | None) -> bool:
    """Whether a shape is [B] with B not 1."""
    if shape is None or not shape.dims:
        return False
    if shape.open:
        return shape.dims[-1] == VARIES
    return len(shape.dims) == 1 and shape.dims[0] != 1


def _several(shape: Shape | None) -> bool:
    """Whether a row certainly has more than one entry."""
    size = shape.dims[0] if shape is not None and shape.rank == 1 else None
    return isinstance(size, int) and size > 1


def _crossed(a: Tensor, b: Tensor) -> bool:
    """Whether one of two tensors is [B, 1] and the other [B], or [B, 1, H, W] and [B, H, W]."""
    return any(
        (
            _column(one.shape, one.batched or one.many or _several(other.shape))
            and (_row(other.shape) or _lost_its_column(other))
        )
        or (_one_channel(one, other) and _same_batch(one, other))
        or (one.shape == TWO_OR_MORE and _row(other.shape) and other.batched)
        for one, other in ((a, b), (b, a))
    )


def _lost_its_column(part: Tensor) -> bool:
    """Whether `squeeze()` took a last dimension of size 1 from a batch, and with it any other of that size."""
    shape = part.unsqueezed
    rows = part.batched or part.many
    return part.squeezed is not None and rows and shape is not None and shape.open and shape.dims == (1,)


def _one_channel(one: Tensor, other: Tensor) -> bool:
    """Whether a tensor has a dimension of size 1 behind its batch that another one of the same batch lacks."""
    a, b = one.shape, other.shape
    if a is None or b is None or a.rank is None:
        return False
    if b.picture and not b.dims:
        # With colours behind it, it does not fit either.
        return a.rank == b.picture + 1 and a.rank > 3 and a.dims[1] == 1 and a.dims[0] != 1
    if b.rank is None:
        return False
    several = b.rank > 1 and a.rank == b.rank + 1
    return several and a.dims[1] == 1 and a.dims[0] != 1 and b.dims[0] != 1


def _certainty(a: Tensor, b: Tensor) -> Confidence:
    """Ranks that are assumed count as certain only if both sides are entries picked along the same dimension.

    `q.gather(1, action)` keeps the dimension that `q.max(1)` drops, however many there are.
    """
    if _lost_its_column(a) or _lost_its_column(b):
        return "certain"  # however many dimensions there are, one side has one of size 1 and the other has none
    shapes = [part.shape for part in (a, b) if part.shape is not None]
    sure = not any(shape.assumed for shape in shapes) or all(shape.picked for shape in shapes)
    return "certain" if sure else "likely"


def _meets(call: LossCall) -> tuple[Tensor, Tensor] | None:
    """Input and target, if one of them is [B, 1] and the other [B], whichever of their possibilities they are."""
    givens, targets = call.tensors("input"), call.tensors("target")
    if not givens or not targets or not all(_crossed(given, target) for given in givens for target in targets):
        return None
    return givens[0], targets[0]


@rule("TLN202")
def squeeze_one_side(call: LossCall) -> Iterator[Verdict]:
    """One side made one-dimensional, so that [B] meets [B, 1]."""
    found = _meets(call)
    if found is not None and call.loss.shapes in ("warns", "broadcasts", "equal"):
        given, target = found
        flat = target if _column(given.shape, given.batched) else given
        if (place := flat.flattened or flat.squeezed) is not None:
            trail = Trail(StepRef(place, "the dimension of size 1 is taken away here"), flat.trail)
            sure = _certainty(given, target)
            yield Verdict(_words(given, target), trail, place, sure, _flat(call, given, target))


def _stretched(call: LossCall) -> tuple[Tensor, Tensor] | None:
    """Input and target, if the model gives one number for each sample and the target is computed with several."""
    given, target = call.tensor("input"), call.tensor("target")
    if given is None or target is None or target.shape is None or not given.attached:
        return None
    wide = target.shape.dims[-1:] not in ((), (1,), (None,), (VARIES,)) and (
        target.shape.open or target.shape.rank == 2
    )
    column = _column(given.shape, given.batched or target.batched or target.shape.open)
    return (given, target) if wide and column else None


@rule("TLN203")
def broadcast_mismatch(call: LossCall) -> Iterator[Verdict]:
    """[B, 1] against [B] in a loss that broadcasts them to [B, B], or against several numbers for each sample."""
    stretched = _stretched(call)
    if stretched is not None and call.loss.shapes in ("warns", "broadcasts"):
        given, target = stretched
        yield Verdict(_words(given, target), given.trail or target.trail)
    found = _meets(call)
    if found is not None and call.loss.shapes in ("warns", "broadcasts"):
        given, target = found
        if not any(part.flattened or part.squeezed for part in found):
            sure, plan = _certainty(given, target), _flat(call, given, target)
            yield Verdict(_words(given, target), given.trail or target.trail, None, sure, plan)


@rule("TLN203", on=Arithmetic)
def broadcast_by_hand(event: Arithmetic) -> Iterator[Verdict]:
    """A loss written by hand: [B, 1] and [B] that are subtracted, or values of samples that are weighed."""
    if event.name == "-":
        yield from _difference(event)
    elif event.name == "*":
        yield from _weighed(event)


def _difference(event: Arithmetic) -> Iterator[Verdict]:
    """A model's output of shape [B, 1] minus targets of shape [B], or the other way round."""
    left, right = only_tensor(event.left), only_tensor(event.right)
    if left is None or right is None or not _crossed(left, right):
        return
    for given, target in ((left, right), (right, left)):
        if _is_output(given) and not _is_output(target) and _same_batch(given, target):
            words = {**_words(given, target), "loss": "this difference"}
            yield Verdict(words, given.trail or target.trail, None, _certainty(given, target))
            return


def _weighed(event: Arithmetic) -> Iterator[Verdict]:
    """Values of shape [B, 1], one for each sample, times weights of shape [B], or the other way round."""
    for one, other in ((event.left, event.right), (event.right, event.left)):
        parts = computed(one)
        if len(parts) != 1 or not isinstance(parts[0], Tensor) or not _is_of_samples(parts[0]):
            continue
        given, weight = parts[0], only_tensor(other)
        if weight is None or _is_output(weight):
            continue
        if _crossed(given, weight) and _same_batch(given, weight):
            words = {**_words(given, weight), "loss": "this product"}
            yield Verdict(words, given.trail or weight.trail, None, _certainty(given, weight))
            return


def _is_of_samples(part: Tensor) -> bool:
    """Whether a tensor holds what a loss gives for each sample, or a term of one that is made of a model's output."""
    term = part.kind == "log_probability" or (
        part.kind == "nonnegative" and part.trail is not None and part.trail.before is not None
    )
    return part.attached and (part.per_sample is not None or term)


def _is_output(part: Tensor) -> bool:
    """Whether a tensor is what a model gives: values of a known kind that learn, or the values of chosen actions.

    So is what was cut off from its layers, as the value in an advantage is.
    """
    if part.cut is not None and part.cut.of is None and not part.attached:
        return part.kind in _GIVEN
    chosen = part.shape is not None and part.shape.picked and part.shape.dims[-1:] == (1,)
    return part.attached and (part.kind != "unknown" or chosen)


_GIVEN: frozenset[Kind] = frozenset({"raw", "probability", "simplex", "bounded"})
"""The kinds of what a model gives before anything is computed with it."""


def _same_batch(given: Tensor, target: Tensor) -> bool:
    """Whether the row holds one value for each sample of the column, and not, say, the limits of some bins."""
    if given.batched and target.batched:
        return True
    sizes = {part.shape.dims[0] for part in (given, target) if part.shape is not None and not part.shape.open}
    return len(sizes) == 1 and isinstance(sizes.pop(), int)


def _counts_classes(call: LossCall) -> bool:
    """Whether a loss wants one score for each of several classes, in dimension 1."""
    return call.loss.shapes == "index" and call.loss.class_dim == 1


@rule("TLN204")
def single_logit_cross_entropy(call: LossCall) -> Iterator[Verdict]:
    """One score for each sample into a loss that compares the scores of several classes."""
    parts = call.tensors("input") if _counts_classes(call) else ()
    if parts and all(_has_one_class(part) and _is_constant(call, part) for part in parts):
        first = parts[0]
        yield Verdict(_words(first, _some_tensor(call, "target")), first.trail)


def _is_constant(call: LossCall, part: Tensor) -> bool:
    """Whether a loss that sees one class only is constant: it compares the scores itself, or a log_softmax before it did."""
    return "raw" in call.accepts("input") or (part.kind == "log_simplex" and is_over_classes(call, part))


def _has_one_class(part: Tensor) -> bool:
    shape = part.shape
    if shape is None or shape.assumed:
        return False
    if shape.open:
        return shape.dims == (1,)
    return len(shape.dims) > 1 and shape.dims[1] == 1


@rule("TLN205")
def softmax_wrong_dim(call: LossCall) -> Iterator[Verdict]:
    """A softmax over the samples of a batch, or over a dimension of size 1, where the classes should compete."""
    parts = call.tensors("input")
    accepted = call.accepts("input")
    if not parts or (accepted and not all(part.kind in accepted for part in parts)):
        return
    target = _some_tensor(call, "target")
    targets = call.tensors("target")
    labelled = _counts_classes(call) and bool(targets) and all(map(_is_label_row, targets))
    if all(_over_batch(part, labelled) for part in parts) and not (target.dim == 0 and target.kind in _DISTRIBUTIONS):
        note = (
            "each class competes with itself over the samples of the batch, and the classes of a sample do not compete"
        )
        yield Verdict({**_words(parts[0], target), "given": note, "dim": "0"}, parts[0].trail)
    elif not _counts_classes(call) and all(_over_one(part) for part in parts):
        note = "a softmax over one entry is always 1, so the output is constant and no gradient comes back"
        yield Verdict({**_words(parts[0], target), "given": note, "dim": str(parts[0].dim)}, parts[0].trail)


_DISTRIBUTIONS: frozenset[str] = frozenset({"simplex", "log_simplex"})


def _is_label_row(part: Tensor) -> bool:
    """Whether a target is one label for each sample of a batch: not the numbers of the samples themselves."""
    read = part.dtype == "int" and not part.activation  # by no operation such as `arange`
    return read and part.batched and _row_as_made(part)


def _over_batch(part: Tensor, labelled: bool) -> bool:
    """Whether a softmax over dimension 0 was taken of scores for a fixed number of classes, one row for each sample.

    Where each sample has one label, what is compared with them has a row of scores for each sample, however many classes.
    """
    shape = part.shape
    if part.kind not in _DISTRIBUTIONS or part.dim != 0 or not part.attached:
        return False
    if labelled and part.batched and (shape is None or shape.open or len(shape.dims) == 2):
        return shape is None or shape.dims[-1:] != (1,)
    if shape is None:
        return False
    classes = shape.dims[-1] if shape.dims else None
    # A square may hold the likeness of each sample to each other one, which competes in both directions.
    rows = part.batched if shape.open else len(shape.dims) == 2 and shape.dims[0] not in (1, classes)  # and columns
    return rows and isinstance(classes, int) and classes > 1


def _over_one(part: Tensor) -> bool:
    """Whether a softmax was taken over a dimension of size 1."""
    shape = part.shape
    if part.kind not in _DISTRIBUTIONS or part.dim is None or shape is None or shape.assumed:
        return False
    if shape.open:
        return part.dim == -1 and shape.dims[-1:] == (1,)
    return -len(shape.dims) <= part.dim < len(shape.dims) and shape.dims[part.dim] == 1


@rule("TLN206")
def view_without_permute(call: LossCall) -> Iterator[Verdict]:
    """`view(-1, C)` of [B, C, H, W]: rows of C entries that belong to one class and several places."""
    parts = call.tensors("input") if _counts_classes(call) else ()
    if parts and all(part.regrouped is not None for part in parts):
        first, targets = parts[0], call.tensors("target")
        if targets and all(_row_as_made(part) for part in targets):
            return  # one label for each sample: there is one place only
        sure = bool(targets) and all(_made_row(part) for part in targets)
        words = _words(first, _some_tensor(call, "target"))
        yield Verdict(words, first.trail, first.regrouped, "certain" if sure else "likely")


def _made_row(part: Tensor) -> bool:
    """Whether labels were made one-dimensional, as the labels of pixels are."""
    return part.flattened is not None or part.activation.endswith(_FLATTENING)


_FLATTENING = (".view()", ".reshape()", ".flatten()", "torch.flatten", "torch.reshape", ".ravel()")


def _row_as_made(part: Tensor) -> bool:
    """Whether labels are one-dimensional as they come."""
    return part.shape is not None and part.shape.rank == 1 and not part.shape.assumed and not _made_row(part)


@rule("TLN207")
def one_sample_cross_entropy(call: LossCall) -> Iterator[Verdict]:
    """[B] against [B] floats: the loss takes the batch for one sample with B classes."""
    parts, targets = call.tensors("input"), call.tensors("target")
    if not _counts_classes(call) or "simplex" not in call.accepts("target"):
        return
    # Whole numbers raise instead.
    if parts and targets and all(part.one_each for part in parts) and all(part.dtype == "float" for part in targets):
        # Floats that are no labels may be a distribution over a list of candidates, which is one sample indeed.
        labels = all(part.kind == "class_index" for part in targets)
        confidence: Confidence = "certain" if labels else "likely"
        if labels or all(part.batched for part in parts):
            yield Verdict(_words(parts[0], targets[0]), parts[0].trail, parts[0].flattened, confidence)
