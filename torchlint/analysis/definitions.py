"""Functions and classes as their definitions bind them, and the decorators that note them in a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchlint.analysis import invoke, ir, scopes
from torchlint.analysis.arguments import Args
from torchlint.analysis.frames import Frame
from torchlint.analysis.state import State
from torchlint.analysis.values import Class, Container, Function, Instance, Lazy, Unknown, Value, alternatives

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


def decorate(run: Interpreter, stmt: ir.FunctionDef | ir.ClassDef, value: Value) -> None:
    """Run the project's own decorators: a registry takes note of what it decorates."""
    for node in stmt.decorators:
        root = node.func if isinstance(node, ir.Call) else node
        # Others wrap, document or check: what they decorate is taken as it is written, and running them costs much.
        if not isinstance(root, (ir.Name, ir.Attribute)) or "regist" not in _dotted(root).lower():
            continue
        while isinstance(root, ir.Attribute):
            root = root.value
        if not isinstance(root, ir.Name) or root.name in scopes.BUILTINS or run.fuel <= 0:
            continue
        known = scopes.lookup(run, root.name)
        if isinstance(known, (Function, Instance, Container)) or (isinstance(known, Lazy) and not run.frame.class_cell):
            run.program.registered.setdefault(stmt.name, set()).add(root.name)
            decorator = run.eval(node)
            if not any(isinstance(part, Unknown) for part in alternatives(decorator)):
                with run.at_once(True):
                    invoke.call(run, decorator, Args([value]), node)
                if run.state is None:
                    run.state = State(run.program.base)


def make_function(run: Interpreter, node: ir.FunctionDef | ir.Lambda) -> Function:
    """A function as its definition binds it: free names are looked up around it, a class body left out."""
    frame = run.frame
    if frame.class_cell:
        return Function(node, frame.path, run.program.parents[frame.cell], owner=frame.owner)
    frame.captured = True
    return Function(node, frame.path, frame.cell, owner=frame.owner)


def make_class(run: Interpreter, stmt: ir.ClassDef) -> Class:
    """A class: its body run in a cell of its own."""
    bases = [run.eval(base.value) for base in stmt.bases if base.keyword is None and not base.star]
    program = run.program
    cell = program.new_cell()
    frame = run.frame
    around = program.parents[frame.cell] if frame.class_cell else frame.cell
    frame.captured = True
    program.parents[cell] = around
    cls = Class(stmt, frame.path, cell, tuple(bases))
    inner = Frame(frame.path, cell, frame.key, frame.training)
    inner.class_cell = True
    inner.owner = cls
    inner.globals = set()
    with run.enter(inner):
        run.heap.write(cell)
        run.block(stmt.body)
    if run.state is None:
        run.state = State(program.base)
    return cls


def _dotted(node: ir.Expr) -> str:
    """A dotted name as written; what is no name in it is left out."""
    if isinstance(node, ir.Attribute):
        return f"{_dotted(node.value)}.{node.name}"
    return node.name if isinstance(node, ir.Name) else ""
