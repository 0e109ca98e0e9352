"""Run the statements that bind, call and leave; those with blocks are in `flow` and `definitions`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torchlint.analysis import (
    arrays,
    attributes,
    conditions,
    definitions,
    flow,
    ir,
    iteration,
    operators,
    options,
    scopes,
    subscripts,
    targets,
)
from torchlint.analysis.values import Const, Extern, Lazy, Pending, Tensor, Tuple, Unknown, Value

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


def _assign(run: Interpreter, stmt: ir.Assign) -> None:
    value = run.eval(stmt.value)
    if isinstance(value, Lazy) and value.changes and run.fuel > 0 and _is_made_ready(run, stmt.value):
        left, run.fuel = run.fuel, _TO_MAKE_READY
        value.force()
        run.fuel = left
    conditions.name(run, stmt.value, value)
    for target in stmt.targets:
        targets.assign(run, target, value)


_TO_MAKE_READY = 300
"""Steps that a method may take by which an object becomes what it is, beside those of the run."""


def _is_made_ready(run: Interpreter, node: ir.Expr) -> bool:
    """Whether an object's `__init__` calls another of its methods, which may set what this one has set: `self.x = self.make_x()`."""
    function = None if run.frame.function is None else run.frame.function.node
    func = node.func if isinstance(node, ir.Call) else None
    return (
        isinstance(function, ir.FunctionDef)
        and function.name == "__init__"
        and isinstance(func, ir.Attribute)
        and isinstance(func.value, ir.Name)
        and func.value.name in [param.name for param in function.params[:1]]
    )


def _ann_assign(run: Interpreter, stmt: ir.AnnAssign) -> None:
    if stmt.value is not None:
        targets.assign(run, stmt.target, run.eval(stmt.value))
    if run.frame.class_cell and isinstance(stmt.target, ir.Name):
        fields = run.heap.read(run.frame.cell).get("<fields>")
        known = fields.items if isinstance(fields, Tuple) else ()
        run.heap.write(run.frame.cell)["<fields>"] = Tuple((*known, Const(stmt.target.name)))


def _aug_assign(run: Interpreter, stmt: ir.AugAssign) -> None:
    left, right = run.eval(stmt.target), run.eval(stmt.value)
    if stmt.op == "+" and iteration.extend_list(run, left, right):
        return
    targets.assign(run, stmt.target, operators.binary(run, stmt.op, left, right, stmt))


def _expression(run: Interpreter, stmt: ir.ExprStmt) -> None:
    value = run.eval(stmt.value)
    in_place = stmt.value
    if isinstance(value, Lazy) and isinstance(in_place, ir.Call):
        name = in_place.func.name if isinstance(in_place.func, ir.Attribute) else ""
        if run.fuel > 0 and (value.changes or name.startswith(options.MERGES)):
            value.force()
        if isinstance(in_place.func, ir.Attribute) and name in arrays.IN_PLACE:
            targets.assign(run, in_place.func.value, value)
        return
    if (
        isinstance(in_place, ir.Call)
        and isinstance(in_place.func, ir.Attribute)
        and isinstance(value, Tensor)
        and (in_place.func.name.endswith("_") or (value.holder == "numpy" and in_place.func.name in arrays.IN_PLACE))
        and not in_place.func.name.startswith("_")
    ):
        targets.assign(run, in_place.func.value, value)


def _return(run: Interpreter, stmt: ir.Return) -> None:
    value = Const(None) if stmt.value is None else run.eval(stmt.value)
    run.frame.returns.append((run.heap, value))
    run.state = None


def _raise(run: Interpreter, stmt: ir.Raise) -> None:
    run.state = None


def _assert(run: Interpreter, stmt: ir.Assert) -> None:
    run.eval(stmt.test)


def _delete(run: Interpreter, stmt: ir.Delete) -> None:
    for target in stmt.target.items if isinstance(stmt.target, ir.Sequence) else (stmt.target,):
        if isinstance(target, ir.Name):
            run.heap.write(run.frame.cell).pop(target.name, None)
        elif isinstance(target, ir.Attribute):
            attributes.set_attribute(run, run.eval(target.value), target.name, Unknown("deleted"))
        elif isinstance(target, ir.Subscript):
            subscripts.delete_item(run, target)


def _pass(run: Interpreter, stmt: ir.Stmt) -> None:
    pass


def _break(run: Interpreter, stmt: ir.Stmt) -> None:
    if run.frame.loops and run.state is not None:
        run.frame.loops[-1].breaks.append(run.state)
    run.state = None


def _continue(run: Interpreter, stmt: ir.Stmt) -> None:
    if run.frame.loops and run.state is not None:
        run.frame.loops[-1].continues.append(run.state)
    run.state = None


def _scope(run: Interpreter, stmt: ir.Scope) -> None:
    if stmt.outer == "global":
        run.frame.globals.update(stmt.names)
    for name in stmt.names:
        scopes.in_any_state(run, name)


def _import(run: Interpreter, stmt: ir.Import) -> None:
    for alias in stmt.names:
        if alias.bound is not None:
            targets.bind(run, alias.bound, _found(run, Pending(alias.name, 0, "")))
        else:
            targets.bind(run, alias.name.partition(".")[0], _found(run, Pending(alias.name.partition(".")[0], 0, "")))


def _found(run: Interpreter, pending: Pending) -> Value:
    """An import as bound: the module is found, but not run."""
    return run.program.imported(pending, run.frame.path) if not pending.name else pending


def _import_from(run: Interpreter, stmt: ir.ImportFrom) -> None:
    if not stmt.names:
        run.program.module(run.frame.path).stars.insert(0, Pending(stmt.module, stmt.level, ""))
        return
    for alias in stmt.names:
        pending = Pending(stmt.module, stmt.level, alias.name)
        owner = run.program.imported(pending, run.frame.path)
        value: Value = pending
        if isinstance(owner, Extern):
            value = Extern(run.program.canonical(f"{owner.name}.{alias.name}"))
        targets.bind(run, alias.bound or alias.name, value)


def _function_def(run: Interpreter, stmt: ir.FunctionDef) -> None:
    function = definitions.make_function(run, stmt)
    targets.bind(run, stmt.name, function)
    definitions.decorate(run, stmt, function)


def _class_def(run: Interpreter, stmt: ir.ClassDef) -> None:
    cls = definitions.make_class(run, stmt)
    targets.bind(run, stmt.name, cls)
    definitions.decorate(run, stmt, cls)


RUN: dict[type, Callable[[Interpreter, Any], None]] = {
    ir.Assign: _assign,
    ir.AnnAssign: _ann_assign,
    ir.AugAssign: _aug_assign,
    ir.ExprStmt: _expression,
    ir.Return: _return,
    ir.Raise: _raise,
    ir.Assert: _assert,
    ir.Delete: _delete,
    ir.Pass: _pass,
    ir.Break: _break,
    ir.Continue: _continue,
    ir.Scope: _scope,
    ir.Import: _import,
    ir.ImportFrom: _import_from,
    ir.If: flow.if_,
    ir.For: flow.for_,
    ir.While: flow.while_,
    ir.Try: flow.try_,
    ir.With: flow.with_,
    ir.Match: flow.match,
    ir.FunctionDef: _function_def,
    ir.ClassDef: _class_def,
}
