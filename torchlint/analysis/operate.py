"""Apply an operation to its arguments, now or when they are known, and tell the checks of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from torchlint.analysis import comparisons, containers, ir, shapes, special, transfer, wording
from torchlint.analysis.calls import Arithmetic, Comparison, Event, OpCall
from torchlint.analysis.shapes import Bound
from torchlint.analysis.thresholds import ROUNDING
from torchlint.analysis.values import (
    UNKNOWN,
    Const,
    Layer,
    Lazy,
    Tensor,
    Tuple,
    Value,
    either,
    guarded,
    is_batch,
    is_pending,
    later,
)
from torchlint.contracts import Op
from torchlint.findings import NodeRef

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


_BY_SIZES = frozenset(("view", "expand", "full", "sized", "permute"))
"""The rules of shapes that read as many sizes as there are arguments."""


def bind(
    op: Op,
    name: str,
    args: Sequence[Value],
    keywords: Mapping[str, Value],
    options: Mapping[str, Value],
    more: bool = False,
) -> Bound:
    """The arguments of an operation by its parameters' names; with `more`, any number of others follow."""
    if more and op.shape in _BY_SIZES:
        op = msgspec.structs.replace(op, shape="unknown")
    named: dict[str, Value] = dict(zip(op.params, args, strict=False))
    named.update(keywords)
    for alias, name_of_it in (("axis", "dim"), ("keepdims", "keepdim")):
        if alias in named and alias not in op.params:
            named[name_of_it] = named[alias]
    first = named.get(op.params[0]) if op.params else None
    source = first
    if op.params and op.params[0] == "condition":
        source = named.get("input")
    if source is None:
        source = named.get("input") or named.get("x") or UNKNOWN
    return Bound(op, name, source, tuple(args[1:]), named, options)


def apply(run: Interpreter, bound: Bound, node: ir.Node, layer: Layer | None = None) -> Value:
    """The value that an operation gives, computed now, or later if its inputs are not known yet.

    Checks are told of it when it is computed.
    """
    at, op = run.ref(node), bound.op
    if op.id == "compare" and Comparison in run.watched:
        comparisons.tell_comparison(
            run,
            bound.input,
            comparisons.COMPARISONS.get(bound.name.strip(".()").rpartition(".")[2], ""),
            bound.named.get("other", UNKNOWN),
            node,
        )
    if op.threshold and Comparison in run.watched:
        comparisons.tell_comparison(run, bound.input, ">=", bound.named.get(op.threshold, UNKNOWN), node)
    event: Event | None = None
    if op.id in run.watched_ops:
        event = OpCall(at, wording.spelled(bound.name), run.frame.training, bound=bound)
    elif op.id == "sub" and Arithmetic in run.watched and "other" in bound.named:
        event = Arithmetic(at, "-", run.frame.training, left=bound.input, right=bound.named["other"])
    if any(is_pending(value) for value in transfer.sources(run, bound)):
        if event is not None and op.id in ROUNDING:
            run.record(event)  # what is rounded to be compared with labels is needed by nobody else
            event = None
        return told_later(run, event, lambda: _transfer(run, bound, at, layer), *transfer.sources(run, bound))
    if event is not None:
        run.record(event)
    return _transfer(run, bound, at, layer)


def told_later(run: Interpreter, event: Event | None, compute: Callable[[], Value], *sources: Value) -> Lazy:
    """A value for when it is needed; checks are told of the event then, as of one of this frame."""
    if event is None:
        return later(compute, *sources)
    frame = run.frame

    def tell_and_compute() -> Value:
        with run.enter(frame):
            run.record(event)
            return compute()

    return later(tell_and_compute, *sources)


def _transfer(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value:
    """The value that an operation gives: every possible input through the contract's table."""
    op = bound.op
    rule = special.rules().get(op.id)
    if rule is not None:
        found = rule(run, bound, at, layer)
        if found is not None:
            return found
    if op.items == "model_output":
        return _model_output(run, bound, transfer.by_table(run, bound, at, layer))
    if op.items == "fields":
        given = transfer.by_table(run, bound, at, layer)
        return containers.new_dict(run, [*((Const(field), given) for field in op.fields), (UNKNOWN, UNKNOWN)])
    if op.items == "first":
        return Tuple((transfer.by_table(run, bound, at, layer), UNKNOWN))
    if op.items == "values_indices" and transfer.has_dimension(bound):
        values = transfer.by_table(run, bound, at, layer)
        indices = Tensor(
            "class_index",
            wording.spelled(bound.name),
            shape=shapes.apply(bound),
            dtype="int",
            attached=False,
            batched=is_batch(bound.input),
        )
        return Tuple((values, indices))
    result = transfer.by_table(run, bound, at, layer)
    refused = run.frame.training and layer is not None and _refuses_one(bound, layer)
    return _of_many(result) if refused else result


_NORMALISES_BATCH = re.compile(r"torch\.nn\.(?:Lazy|Sync)?BatchNorm(\dd)?$")


def _refuses_one(bound: Bound, layer: Layer) -> bool:
    """Whether a layer raises in training for a batch of one: "Expected more than 1 value per channel when training".

    Places count as well as samples. Of the output of layers for pictures it is known whether there is one place only; what
    BatchNorm1d gets is taken for rows unless it is known to be a sequence.
    """
    found = _NORMALISES_BATCH.match(layer.name)
    if found is None:
        return False
    shape = shapes.shape_of(bound.input)
    if shape is None or shape.open:
        return found[1] == "1d"
    return all(size == 1 for size in shape.dims[2:])


def _of_many(value: Value) -> Value:
    """What a layer gives that refuses a batch of one."""
    return either(
        (msgspec.structs.replace(part, many=True) if isinstance(part, Tensor) else part, guard)
        for part, guard in guarded(value)
    )


def _model_output(run: Interpreter, bound: Bound, logits: Value) -> Value:
    """What a model of a library gives that computes its loss itself where labels are handed in."""
    unsure = not bound.named or not bound.named.keys().isdisjoint(("labels", "start_positions"))
    pairs: list[tuple[Value | None, Value]] = [
        *((Const(field), logits) for field in bound.op.fields),
        (Const("loss"), Tensor("loss", dtype="float")),
        *((Const(place), UNKNOWN if unsure else logits) for place in range(len(bound.op.fields))),
        (UNKNOWN, UNKNOWN),
    ]
    return containers.new_dict(run, pairs)
