"""Repairs of an activation that the loss applies itself or that is another than it wants: left out, gone around, replaced."""

from __future__ import annotations

from typing import NamedTuple

from torchlint.analysis import ir
from torchlint.diagnostics import Edit
from torchlint.findings import Applied, Drop, NodeRef, OtherLoss, Replace, Use
from torchlint.repair.calls import other_loss, renamed
from torchlint.repair.code import ATOMS, Change, Code, Open, line_before, lines, loses_comment, stands_alone, whole
from torchlint.repair.flow import (
    always_this_loss,
    assigned_name,
    goes_only_to,
    in_function,
    is_changed,
    is_layer_of,
    names_import,
    operand,
    stays,
)


class _Form(NamedTuple):
    """An expression that applies an activation, and what it is applied to."""

    call: ir.Call
    inner: ir.Expr
    method: bool


def drop(applied: Applied, use: Use, code_of: Open) -> Change | None:
    """Leave an activation out that the loss applies itself."""
    code = code_of(applied.at.path)
    form = _form(code, applied)
    if form is None:
        return None if applied.layer is None else _without_layer(code_of(applied.layer.path), applied.layer)
    title = f"Leave out `{_spelled(code, form)}`, which the loss applies itself"
    edits = _without_statement(code, form) or _unwrapped(code, form)
    here = applied.at.path == use.call.path and always_this_loss(code, use)
    if here and goes_only_to(code, form.call, use.call):
        return Change(title, edits, not loses_comment(code, edits))
    if here and (around := _around(code, form, use)) is not None:
        return around
    return Change(title, edits, local=False)


def fuse(planned: Drop, loss: OtherLoss, code_of: Open) -> Change | None:
    """Leave an activation out and take a loss that applies it."""
    dropped = drop(planned.applied, planned.use, code_of)
    renamed = other_loss(loss, code_of(loss.at.path))
    if dropped is None or renamed is None:
        return None
    return Change(f"Use `{loss.new}` on the raw scores", [*dropped.edits, *renamed.edits], local=False)


def replace(plan: Replace, code_of: Open) -> Change | None:
    """Take another activation, the one whose values the loss wants."""
    code = code_of(plan.applied.at.path)
    form = _form(code, plan.applied)
    if form is None:
        return None
    local = plan.applied.at.path == plan.use.call.path and always_this_loss(code, plan.use)
    local = local and goes_only_to(code, form.call, plan.use.call)
    if plan.applied.layer is not None:
        code = code_of(plan.applied.layer.path)
        made = code.node(plan.applied.layer)
        local = local and made is not None and code.uses.holds(form.call.func, made)
        edit = renamed(code, made, plan.layer)
        new = plan.layer
    else:
        edit, new = renamed(code, form.call, plan.function), plan.function
    if edit is None:
        return None
    return Change(f"Use `{new}` in place of `{_spelled(code, form)}`", edit, local)


def _form(code: Code, applied: Applied) -> _Form | None:
    """How the activation is applied there, if the code says so itself and does nothing else with it."""
    call = code.node(applied.at)
    if not isinstance(call, ir.Call) or any(arg.star or arg.keyword in ("dtype", "out") for arg in call.args):
        return None
    if isinstance(code.uses.above(call), ir.ExprStmt):
        return None
    if applied.layer is not None:
        own = applied.layer.path == code.path and is_layer_of(code, call, applied.layer)
        first = _first(call)
        return _Form(call, first, False) if own and first is not None and len(call.args) == 1 else None
    name = applied.name.strip(".()").rpartition(".")[2]
    func = call.func
    if applied.name.startswith("."):
        fits = isinstance(func, ir.Attribute) and func.name == name
        return _Form(call, func.value, True) if fits and isinstance(func, ir.Attribute) else None
    if not names_import(code, func, name):
        return None
    named = [arg.value for arg in call.args if arg.keyword == "input"]
    inner = named[0] if named else _first(call)
    return None if inner is None else _Form(call, inner, False)


def _first(call: ir.Call) -> ir.Expr | None:
    return call.args[0].value if call.args and call.args[0].keyword is None else None


def _around(code: Code, form: _Form, use: Use) -> Change | None:
    """`p = sigmoid(x)` whose `p` is used elsewhere, too: hand the loss what the activation is applied to."""
    uses = code.uses
    stmt, goal = uses.above(form.call), code.node(use.call)
    name = assigned_name(stmt, form.call)
    if name is None or not isinstance(stmt, ir.Stmt) or not isinstance(goal, ir.Call):
        return None
    read = operand(code, goal, name)
    if read is None or uses.scope(read) is not uses.scope(stmt) or in_function(code, read, uses.scope(stmt)):
        return None
    reached = uses.reached(stmt, name)
    if reached is None or all(each is not read for each in reached) or is_changed(code, name, stmt):
        return None
    title = f"Hand the loss what `{_spelled(code, form)}` is applied to"
    start, end = code.range(read)
    inner = form.inner
    if isinstance(inner, ir.Name) and inner.name != name and stays(code, inner.name, stmt, read):
        return Change(title, [code.edit(start, end, inner.name)], True)
    line = line_before(code, stmt)
    if line is None:
        return None
    fresh = next(
        (word for word in ("scores", "raw_scores", "logits") if word not in uses.module.words), f"{name}_scores"
    )
    if fresh in uses.module.words:
        return None
    moved = whole(code, inner)
    before = code.range(stmt)[0]
    edits = [
        code.edit(before, before, f"{fresh} = {moved}{line}"),
        code.edit(*code.outer_range(inner), fresh),
        code.edit(start, end, fresh),
    ]
    return Change(title, edits, True)


def _unwrapped(code: Code, form: _Form) -> list[Edit]:
    """Edits that leave of a call only what it is applied to."""
    start, end = code.range(form.call)
    own_start, own_end = code.outer_range(form.inner)
    inner_start, inner_end = code.range(form.inner)
    bare = not form.method and stands_alone(code.text[inner_start:inner_end]) and _is_free(code, form)
    if bare:
        own_start, own_end = inner_start, inner_end
    needs = not bare and own_start == inner_start and not form.method and not isinstance(form.inner, ATOMS)
    needs = needs or (not bare and not form.method and not stands_alone(code.text[own_start:own_end]))
    edits = [code.edit(start, own_start, "(" if needs else ""), code.edit(own_end, end, ")" if needs else "")]
    return [edit for edit in edits if edit.content or edit.place[1:3] != edit.place[3:5]]


def _without_statement(code: Code, form: _Form) -> list[Edit]:
    """Take the line `p = sigmoid(p)` out as a whole, if it is one and not the only one of its block."""
    stmt = code.uses.above(form.call)
    if not isinstance(stmt, ir.Assign) or not isinstance(form.inner, ir.Name):
        return []
    if assigned_name(stmt, form.call) != form.inner.name or len(code.uses.block[stmt.id][0]) == 1:
        return []
    start, end = code.range(stmt)
    line_start, line_end = lines(code, start, end)
    if code.text[line_start:start].strip() or code.text[end:line_end].strip():
        return []
    return [code.edit(line_start, line_end)]


def _is_free(code: Code, form: _Form) -> bool:
    """Whether an expression may stand in place of the call whatever binds it together."""
    if isinstance(form.inner, ATOMS):
        return True
    if isinstance(form.inner, (ir.Yield, ir.Walrus, ir.Lambda, ir.Starred)) or (
        isinstance(form.inner, ir.Sequence) and form.inner.kind == "tuple"
    ):
        return False
    above = code.uses.above(form.call)
    if isinstance(above, ir.Call):
        return all(arg.value is not form.call or not arg.star for arg in above.args) and above.func is not form.call
    return isinstance(above, (ir.Assign, ir.AnnAssign, ir.Return)) or code.outer_range(form.call) != code.range(
        form.call
    )


def _without_layer(code: Code, at: NodeRef) -> Change | None:
    """Take a layer out of an `nn.Sequential(…)`; elsewhere, and before others, put `nn.Identity()` in its place."""
    made = code.node(at)
    if not isinstance(made, ir.Call) or not isinstance(made.func, ir.Attribute):
        return None
    above = code.uses.above(made)
    title = f"Take `{code.source(made)}` out of the model: the loss applies it itself"
    if (
        isinstance(above, ir.Call)
        and isinstance(above.func, (ir.Name, ir.Attribute))
        and above.func.name == "Sequential"
    ):
        if above.args[-1].value is made and all(not arg.star and arg.keyword is None for arg in above.args):
            before = above.args[-2].value if len(above.args) > 1 else None
            return Change(title, [_without_item(code, made, before)], local=False)
    start, end = code.range(made)
    owner = code.source(made.func.value)
    return Change(title, [code.edit(start, end, f"{owner}.Identity()")], local=False)


def _without_item(code: Code, item: ir.Expr, before: ir.Expr | None) -> Edit:
    """Take the last argument out: with its line where it has one of its own, else with the comma before it."""
    start, end = code.outer_range(item)
    line_start, line_end = lines(code, start, end)
    rest = code.text[end:line_end].lstrip(" \t").removeprefix(",").lstrip(" \t")
    if not code.text[line_start:start].strip() and (not rest.strip() or rest.startswith("#")):
        return code.edit(line_start, line_end)
    if before is None:
        return code.edit(start, end)
    return code.edit(code.outer_range(before)[1], end)


def _spelled(code: Code, form: _Form) -> str:
    """The activation as the code spells it."""
    func = form.call.func
    return f".{func.name}()" if form.method and isinstance(func, ir.Attribute) else code.source(func)
