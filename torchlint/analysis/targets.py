"""Bind targets: names, attributes, items, or several of them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchlint.analysis import arrays, attributes, containers, ir, iteration, shapes, subscripts
from torchlint.analysis.values import UNKNOWN, Tensor, Tuple, Union, Value, either, guarded, is_pending, later

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
    if star is None:
        value = _of_length(value, count)
    for index, item in enumerate(target.items):
        if star is not None and index >= star:
            if index == star:
                assign(run, item, value)
            else:
                assign(run, item, iteration.item(run, value, index - count))
            continue
        assign(run, item, iteration.item(run, value, index))


def _of_length(value: Value, count: int) -> Value:
    """A value without the tuples among its possibilities that have another number of items: to unpack them would raise."""
    if is_pending(value):
        return later(lambda: _of_length(either(guarded(value)), count), value)
    if not isinstance(value, Union):
        return value
    parts = guarded(value)
    kept = [each for each in parts if not (isinstance(each[0], Tuple) and len(each[0].items) != count)]
    return either(kept) if kept and len(kept) < len(parts) else value
