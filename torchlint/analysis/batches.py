"""What may stand for a loader that nobody in sight gives: batches of the project's data set whose items are unpacked so.

A training function that goes over `for image, mask in loader` is often called from a file that is not there. Where only one
data set beside it has items of two values, or a few have, its batches are made of those.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from torchlint.analysis import attributes, instances, ir, loaders, standins
from torchlint.analysis.catalogue import Model
from torchlint.analysis.values import Function, Items, Lazy, Tuple, Unknown, Value, alternatives, union
from torchlint.findings import NodeRef, StepRef

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter

_LOADER = re.compile(r"(?:\w+_)?(?:data_?)?loader(?:_\w+)?|(?:train|valid|val|test)_(?:dl|iter)")

_MOST = 3
"""More data sets than this whose items fit are a catalogue, of which one cannot tell what a function is given."""


def for_parameter(run: Interpreter, function: Function, param: ir.Parameter) -> Value | None:
    """The batches that a parameter gives, of a function that nobody in sight calls; None if that cannot be told."""
    if not _LOADER.fullmatch(param.name):
        return None
    near = [each for each in run.program.project.data_sets() if standins.is_near(each[0], function)]
    if not near or not standins.is_orphan(run, function) or (count := _unpacked(run, function, param)) is None:
        return None
    frame, unknown = run.frame, Unknown(f"parameter {param.name}", "batch")

    def compute() -> Value:
        with run.enter(frame):
            found = {name: _items(run, path, name, param) for path, name in near}
            if any(parts is None for parts in found.values()):
                return unknown
            fitting = {name: parts for name, parts in found.items() if parts and _are_of(parts, count)}
            if not 0 < len(fitting) <= _MOST:
                return unknown
            names = " or ".join(f"`{name}`" for name in fitting)
            step = StepRef(NodeRef(function.path, param.id), f"`{param.name}` gives items of {names}: no others fit")
            batches = [loaders.collated(run, part) for parts in fitting.values() for part in parts]
            return standins.told(run, union(batches), step)

    return Items(Lazy(compute, [], True))


def _unpacked(run: Interpreter, function: Function, param: ir.Parameter) -> int | None:
    """Into how many names a function unpacks each item of what it is given as a parameter; None if not always into so many."""
    uses = run.program.uses(function.path)
    assert uses is not None
    counts: set[int | None] = set()
    for node in standins.reads(uses, function, param):
        above, numbered = uses.above(node), False
        while isinstance(above, ir.Call):
            numbered = numbered or (isinstance(above.func, ir.Name) and above.func.name == "enumerate")
            above = uses.above(above)
        if isinstance(above, ir.For):
            target = above.target
            if numbered and isinstance(target, ir.Sequence) and len(target.items) == 2:
                target = target.items[1]
            counts.add(len(target.items) if isinstance(target, ir.Sequence) else None)
    return counts.pop() if len(counts) == 1 else None


def _items(run: Interpreter, path: str, name: str, node: ir.Node) -> tuple[Value, ...] | None:
    """What an item of a data set may be; None if that is not known."""
    cls = standins.class_of(run, Model(path, name, built=False))
    if cls is None or not isinstance(attributes.class_attribute(run, cls, "__getitem__"), Function):
        return None
    parts = alternatives(loaders.sample(run, instances.construct(run, cls, None, node), node))
    return None if any(isinstance(part, Unknown) for part in parts) else parts


def _are_of(items: tuple[Value, ...], count: int) -> bool:
    """Whether all of them are so many values together."""
    return all(isinstance(part, Tuple) and len(part.items) == count for part in items)
