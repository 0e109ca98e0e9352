"""Losses: made with options, and called, which is what the rules judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torchlint.analysis import ir, shapes, unreduced, wording
from torchlint.analysis.arguments import Args
from torchlint.analysis.calls import Construction, LossCall, reduction_in
from torchlint.analysis.values import (
    UNKNOWN,
    Const,
    Container,
    Criterion,
    Items,
    Shape,
    Tensor,
    Trail,
    Tuple,
    Union,
    Unknown,
    Value,
    alternatives,
    either,
    guarded,
    is_batch,
    is_pending,
    later,
    may_learn,
    narrow,
)
from torchlint.contracts import Loss
from torchlint.findings import StepRef

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


def make(run: Interpreter, loss: Loss, name: str, args: Args, node: ir.Node) -> Criterion:
    options: dict[str, Value] = dict(zip(loss.options, args.positional, strict=False))
    options.update(args.keywords)
    if args.others is not None or args.rest is not None:
        options["**"] = UNKNOWN
    at, spelled = run.ref(node), wording.spelled(name)
    if options and Construction in run.watched:
        given = tuple(args.positional)
        training = run.frame.training
        run.record(Construction(at, spelled, training, loss=loss, args=options, positional=given))
    return Criterion(loss, options, spelled, Trail(StepRef(at, f"`{spelled}` is made")))


_BASES = {
    "_Loss": ("size_average", "reduce", "reduction"),
    "_WeightedLoss": ("weight", "size_average", "reduce", "reduction"),
}
"""The arguments of the classes that torch's losses inherit from, and people's own."""

_MERGED = ("size_average", "reduce")
"""Old flags, of which the reduction is made."""


def kept_by(name: str, loss: Loss | None, args: Args) -> dict[str, Value]:
    """The attributes that the constructor of a loss of torch, or of a base class of one, leaves on the object."""
    if not name.startswith("torch."):
        return {}
    params = loss.options if loss is not None else _BASES.get(name.rpartition(".")[2], ())
    if not params or args.rest is not None or args.others is not None:
        return {}
    given = {**dict(zip(params, args.positional, strict=False)), **args.keywords}
    reduction = reduction_in(given, "mean" if loss is None else loss.reduction)
    kept = {key: value for key, value in given.items() if key in params and key not in _MERGED}
    if reduction is not None and "reduction" in params:
        kept["reduction"] = Const(reduction)
    return kept


def call(run: Interpreter, criterion: Criterion, args: Args, node: ir.Node) -> Value:
    """A call of a loss: what flows in is judged here."""
    loss = criterion.loss
    values: dict[str, Value] = {}
    names = [arg.name for arg in loss.args]
    if len(args.positional) > len(names) and not criterion.functional and _is_of_torch(loss):
        return Unknown("call of a loss with too many arguments")  # another loss is meant here
    for name, value in zip(names, args.positional, strict=False):
        values[name] = value
    for arg in loss.args:
        for name in (arg.name, *arg.also):
            if name in args.keywords:
                values[arg.name] = args.keywords[name]
    assumed = run.heap.assumed
    if assumed:
        values = {name: narrow(either(guarded(value)), assumed) for name, value in values.items()}
    values = {name: _tensors_of(value) for name, value in values.items()}
    options = dict(criterion.options)
    if criterion.functional:
        options.update(zip(loss.function_options, args.positional[len(names) :], strict=False))
        options.update({key: value for key, value in args.keywords.items() if key in loss.function_options})
    if args.rest is not None or args.others is not None:
        for name in names:
            values.setdefault(name, UNKNOWN)
    squeezed = any(map(_is_squeezed, values.values()))
    record = LossCall(
        run.ref(node),
        criterion.name,
        run.frame.training,
        loss=loss,
        args=values,
        options=options,
        made=criterion.trail,
        full_batches=squeezed and run.program.has_full_batches(run.frame.files()),
        shown=squeezed and _is_shown(run, loss, values, node),
        conditional=bool(assumed or run.choices),
        rescaled=loss.family == "distribution" and run.program.scaled_by_size(run.ref(node)),
        autocast=run.frame.autocast,
    )
    run.record(record)
    return _loss_value(run, record)


def _tensors_of(value: Value) -> Value:
    """A loss's argument without the possibilities that it refuses: where a model gives several outputs, it is not called so."""
    if is_pending(value):
        return later(lambda: _tensors_of(either(guarded(value))), value)
    if not isinstance(value, Union):
        return value
    parts = [each for each in guarded(value) if not _is_refused(each[0])]
    some = any(isinstance(part, Tensor) for part, _ in parts)
    return either(parts) if some and len(parts) < len(alternatives(value)) else value


def _is_refused(part: Value) -> bool:
    """Whether a value is certainly no tensor."""
    return isinstance(part, (Tuple, Items, Container)) or (
        isinstance(part, Const) and isinstance(part.value, str | None)
    )


def _is_squeezed(value: Value) -> bool:
    return any(isinstance(part, Tensor) and part.squeezed is not None for part in alternatives(value))


def _is_shown(run: Interpreter, loss: Loss, values: Mapping[str, Value], node: ir.Node) -> bool:
    """Whether nothing learns from a loss of a squeezed input; asked where labels are indices, or no gradient leads back."""
    given = loss.arg("input")
    parts = alternatives(values.get(given.name, UNKNOWN)) if given is not None else ()
    asked = any(
        isinstance(part, Tensor) and part.squeezed is not None and (loss.shapes == "index" or not part.attached)
        for part in parts
    )
    return asked and run.program.only_shown(run.ref(node))


def _is_of_torch(loss: Loss) -> bool:
    """Whether a loss is torch's own, whose parameters are all known."""
    return any(name.startswith("torch.nn.") for name in loss.classes)


def _loss_value(run: Interpreter, record: LossCall) -> Value:
    reduction = record.reduction
    shape, single = None, False
    if reduction not in ("none", None):
        shape = Shape(())
    elif reduction is not None:
        given = shapes.shape_of(next(iter(record.args.values()), UNKNOWN))
        shape = unreduced.shape_of_values(record.loss, given)
        single = shape == Shape(())
        shape = None if single else shape  # one value that is no mean
    attached = any(map(may_learn, record.args.values()))
    cuts = [part.cut for part in record.arg("input") if isinstance(part, Tensor)]
    return Tensor(
        "loss",
        record.name,
        shape=shape,
        dtype="float",
        attached=attached,
        batched=reduction == "none" and not single and any(map(is_batch, record.args.values())),
        sample="row" if record.of_one_sample else None,
        cut=cuts[0] if not attached and cuts and None not in cuts else None,
        loss=record.loss,
        per_sample=record.at if reduction == "none" and not single else None,
    )


def is_loss(value: Value) -> bool:
    return all(isinstance(part, Tensor) and part.kind == "loss" for part in alternatives(value))
