"""Run functions for want of a caller, with unknown arguments: a caller could tell more of what stays open in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchlint.analysis import attributes, functions, ir
from torchlint.analysis.frames import ENTRY, Entry, Frame
from torchlint.analysis.program import linearise
from torchlint.analysis.values import Class, Function, Instance

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


ENTRY_FUEL = 1_500

FUEL_PER_WORD = 20
"""Steps that running one function for want of a caller may take, all that it calls included: so many, and more if it is long."""

MOST_ESCAPED = 12
"""Of so many objects that were handed to code which we do not see the methods are run."""


def name_of(function: Function) -> str:
    """A function's name."""
    return function.node.name if isinstance(function.node, ir.FunctionDef) else "<lambda>"


def entry_key(function: Function) -> tuple[int, int]:
    """A function, and the class of the object that it is a method of."""
    receiver = function.receiver
    return id(function.node), id(receiver.cls.node) if isinstance(receiver, Instance) else 0


def is_open(run: Interpreter, function: Function) -> bool:
    """Whether a caller could tell more of the loss calls in a function: found by running it once with unknown arguments."""
    key = entry_key(function)
    known = run.program.opened.get(key)
    if known is not None:
        return known
    run.program.opened[key] = False
    if isinstance(function.receiver, Instance):
        attributes.instance_cell(run, function.receiver)
    saved = (run.state, run.stack, run.fuel, run.frame)
    run.state = run.heap.fork()
    run.stack = []
    run.fuel = ENTRY_FUEL
    if isinstance(function.node, ir.FunctionDef):
        run.fuel += FUEL_PER_WORD * len(function.node.words)
    # What comes near no loss is looked at for what it compares: nothing is known of gradients there.
    near = not isinstance(function.node, ir.FunctionDef) or run.program.relevant(function.node, function.owner)
    run.frame = Frame(function.path, function.frame, (ENTRY, function.path, *key), True if near else None)
    entry = Entry(function)
    run.entries.append(entry)
    escaped, run.escaped = run.escaped, []
    unfinished = False
    try:
        result = functions.call_now(run, function, functions.unknown_args(run, function), function.node, quiet=True)
        if functions.holds_loss(run, result):
            run.program.open.add(name_of(function))
            run.program.makers.add(id(function.node))
        run_escaped(run)
        unfinished = run.fuel <= 0
    finally:
        run.escaped = escaped
        run.entries.pop()
        run.state, run.stack, run.fuel, run.frame = saved
    # What took too many steps is run once more where it is called: the rest of it may be reached from there.
    run.program.opened[key] = entry.open or (unfinished and near)
    if entry.open:
        name = function.owner.node.name if function.owner is not None else name_of(function)
        run.program.open.add(name)
        if isinstance(function.receiver, Instance):
            cls = function.receiver.cls.node
            run.program.open.add(cls.name)
            if (
                name_of(function) != "forward"
                and isinstance(function.node, ir.FunctionDef)
                and run.program.relevant(function.node, function.owner)
            ):
                run.program.open_methods.setdefault(id(cls), set()).add(f".{name_of(function)}")
    return run.program.opened[key]


def run_escaped(run: Interpreter) -> None:
    """Call the methods of objects that were handed to code which we do not see, such as a trainer."""
    seen: set[int] = set()
    escaped, run.escaped = run.escaped, []
    for instance in escaped:
        if instance.id in seen or len(seen) >= MOST_ESCAPED or not run.program.is_root(instance.cls):
            continue
        seen.add(instance.id)
        for method in methods_to_loss(run, instance.cls):
            bound = Function(method.node, method.path, method.frame, instance, method.owner)
            if is_open(run, bound):
                before, key = run.heap, run.frame.key
                run.state = before.fork()
                run.frame.key = (*key, "escaped", instance.id, method.node.id)
                functions.call_now(run, bound, functions.unknown_args(run, bound), method.node, quiet=True)
                run.state, run.frame.key = before, key
    run.escaped = []


def methods_to_loss(run: Interpreter, cls: Class) -> list[Function]:
    """The methods of a class, inherited ones too, that come near a loss; its constructor apart.

    One that only hands on to such a method tells no more of it than nobody does.
    """
    out: dict[str, Function] = {}
    for item in linearise(cls):
        for stmt in item.node.body:
            if isinstance(stmt, ir.FunctionDef) and stmt.name not in out and stmt.name != "__init__":
                found = run.heap.read(item.frame).get(stmt.name)
                if isinstance(found, Function) and run.program.is_near(stmt, cls):
                    out[stmt.name] = found
    return list(out.values())


def methods_to_threshold(run: Interpreter, cls: Class) -> list[Function]:
    """The methods of a class itself that compare something with a threshold, or hand it to one of its methods that does."""
    comparing = frozenset(
        f".{stmt.name}"
        for item in linearise(cls)
        for stmt in item.node.body
        if isinstance(stmt, ir.FunctionDef) and ir.THRESHOLD in stmt.words
    )
    found = (
        run.heap.read(cls.frame).get(stmt.name)
        for stmt in cls.node.body
        if isinstance(stmt, ir.FunctionDef) and (ir.THRESHOLD in stmt.words or not comparing.isdisjoint(stmt.words))
    )
    return [function for function in found if isinstance(function, Function)]
