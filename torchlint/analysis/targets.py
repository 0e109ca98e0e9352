"""Bind targets: names, attributes, items, or several of them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchlint.analysis import arrays, attributes, containers, gradients, ir, iteration, shapes, subscripts
from torchlint.analysis.values import (
    UNKNOWN,
    Items,
    Tensor,
    Tuple,
    Union,
    Value,
    alternatives,
    either,
    guarded,
    is_pending,
    later,
    union,
)

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


def assign(run: Interpreter, target: ir.Expr, value: Value) -> None:
    """Bind a target: a name, an attribute, an item, or several."""
    kind = type(target)
    if isinstance(target, ir.Name):
        bind(run, target.name, value)
    elif isinstance(target, ir.Attribute):
        owner = run.eval(target.value)
        if target.name == "shape" and isinstance(owner, Tensor):
            assign(run, target.value, arrays.reshaped(owner, shapes.sizes_of([value])))
        elif target.name == "requires_grad" and isinstance(owner, Tensor) and isinstance(target.value, ir.Name):
            if shapes.is_true(value):
                assign(run, target.value, gradients.asking(owner, run.ref(target)))
        else:
            attributes.set_attribute(run, owner, target.name, value)
    elif isinstance(target, ir.Subscript):
        subscripts.set_item(run, target, value)
    elif isinstance(target, ir.Sequence):
        unpack(run, target, value)
    elif isinstance(target, ir.Starred):
        assign(run, target.value, containers.new_list(run, None, UNKNOWN))
    elif kind is ir.Walrus:
        assign(run, target.target, value)  # type: ignore[attr-defined]


def bind(run: Interpreter, name: str, value: Value) -> None:
    """Bind a local name, or a global one where the function says so."""
    frame = run.frame
    cell = frame.cell
    if name in frame.globals:
        cell = run.program.module(frame.path).cell
    run.heap.write(cell)[name] = value


def unpack(run: Interpreter, target: ir.Sequence, value: Value) -> None:
    """Bind several targets to the items of a value."""
    count = len(target.items)
    star = next((i for i, item in enumerate(target.items) if isinstance(item, ir.Starred)), None)
    value = _of_length(value, count if star is None else count - 1, star is not None)
    for index, item in enumerate(target.items):
        if star is not None and index >= star:
            if index == star:
                _assign_middle(run, item, value, star, count - 1 - star)
            else:
                assign(run, item, iteration.item(run, value, index - count))
            continue
        assign(run, item, iteration.item(run, value, index))


def _assign_middle(run: Interpreter, target: ir.Expr, value: Value, before: int, after: int) -> None:
    """Bind `*name` to a list of the items that the targets before and behind it leave over."""
    found = containers.new_list(run, None, UNKNOWN)
    content = (
        later(lambda: _middle(value, before, after), value) if is_pending(value) else _middle(value, before, after)
    )
    containers.set_contents(run, found, content)
    if isinstance(target, ir.Starred):
        assign(run, target.value, found)


def _middle(value: Value, before: int, after: int) -> Value:
    """The items of a tuple without so many at its beginning and end."""
    parts = alternatives(value)
    middles = [Tuple(part.items[before : len(part.items) - after]) for part in parts if isinstance(part, Tuple)]
    return union(middles) if len(middles) == len(parts) else Items(UNKNOWN)


def _of_length(value: Value, count: int, more: bool) -> Value:
    """A value without the possibilities that have another number of items, which to unpack would raise; `more` are allowed, too.

    Where a tuple has as many, a tensor is not what is unpacked: it has as many rows as the batch has samples.
    """
    if is_pending(value):
        return later(lambda: _of_length(either(guarded(value)), count, more), value)
    if not isinstance(value, Union):
        return value
    parts = guarded(value)
    fitting = {part for part, _ in parts if isinstance(part, Tuple) and _fits(len(part.items), count, more)}
    kept = [
        each
        for each in parts
        if each[0] in fitting
        or not (
            isinstance(each[0], Tuple) or (fitting and isinstance(each[0], Tensor) and _has_rows(each[0], count, more))
        )
    ]
    return either(kept) if kept and len(kept) < len(parts) else value


def _fits(length: int, count: int, more: bool) -> bool:
    return length == count or (more and length > count)


def _has_rows(part: Tensor, count: int, more: bool) -> bool:
    """Whether the code does not fix that a tensor has as many rows as are asked for."""
    rows = part.shape.dims[0] if part.shape is not None and part.shape.rank else None
    return not (isinstance(rows, int) and _fits(rows, count, more))
