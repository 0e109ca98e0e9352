"""From what a check plans to edits of the code: what the code around a finding allows, and what else would change.

A fix is safe only where the code itself proves that nothing but the finding changes: the loss at the call is always this
one, and the value goes nowhere else. Where that cannot be shown it is unsafe, and where the code has another form than
those known here there is no fix.
"""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Callable
from typing import NamedTuple

import libcst as cst

from torchlint.analysis import ir
from torchlint.analysis.positions import Placed
from torchlint.analysis.spans import Span
from torchlint.analysis.usage import Uses
from torchlint.diagnostics import Edit, Fix, Place, Safety
from torchlint.findings import (
    Applied,
    CallResult,
    Drop,
    Finding,
    Fuse,
    NodeRef,
    OtherLoss,
    Plan,
    Replace,
    SetOption,
    SqueezeArgument,
    SqueezeDim,
    Use,
)
from torchlint.source import line_starts

_ATOMS = (ir.Name, ir.Attribute, ir.Call, ir.Subscript, ir.Constant)


class Code:
    """A file as fixes see it. Offsets are code points of the text."""

    def __init__(self, path: str, placed: Placed) -> None:
        self.path = path
        self.placed = placed
        self.text = placed.text
        self.uses = Uses(placed.module)
        self.starts = line_starts(self.text)

    def node(self, at: NodeRef) -> ir.Node | None:
        """The node of a reference into this file."""
        return self.uses.node.get(at.node)

    def range(self, node: ir.Node) -> tuple[int, int]:
        """The offsets of a node without parentheses of its own."""
        return self._offsets(self.placed.span(node.id))

    def outer_range(self, node: ir.Node) -> tuple[int, int]:
        """The offsets of a node with parentheses of its own."""
        return self._offsets(self.placed.around(node.id))

    def syntax_range(self, node: cst.CSTNode) -> tuple[int, int]:
        """The offsets of a syntax node."""
        return self._offsets(self.placed.of(node))

    def source(self, node: ir.Node) -> str:
        """The text of a node without parentheses of its own."""
        start, end = self.range(node)
        return self.text[start:end]

    def edit(self, start: int, end: int, content: str = "") -> Edit:
        """Text in place of what lies between two offsets."""
        return Edit(Place(self.path, *self._position(start), *self._position(end)), content)

    def _offsets(self, span: Span) -> tuple[int, int]:
        return (
            self.starts[span.line - 1] + span.column - 1,
            self.starts[span.end_line - 1] + span.end_column - 1,
        )

    def _position(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self.starts, offset)
        if line == len(self.starts) and line > 1 and not self.text.endswith(("\n", "\r")):
            line -= 1  # the end of a last line without an end
        return line, offset - self.starts[line - 1] + 1


Open = Callable[[str], Code]
"""Gives the code of a file by its path. Raises for one that cannot be read or parsed."""


class _Change(NamedTuple):
    """A repair as far as its rule goes: `local` says that the code proves that nothing else changes."""

    title: str
    edits: list[Edit]
    local: bool


def repair(finding: Finding, code_of: Open) -> Fix | None:
    """The fix of a finding, if its plan fits the code."""
    if finding.plan is None:
        return None
    change = _change(finding.plan, code_of)
    if change is None or not change.edits:
        return None
    proven = change.local and finding.alike and finding.confidence == "certain"
    safety: Safety = "safe" if proven else "unsafe"
    return Fix(change.title, safety, tuple(sorted(change.edits)))


def _change(plan: Plan, code_of: Open) -> _Change | None:
    match plan:
        case Drop(applied, use):
            return _drop(applied, use, code_of)
        case Replace():
            return _replace(plan, code_of)
        case Fuse(drop, loss):
            return _fuse(drop, loss, code_of)
        case OtherLoss():
            return _other_loss(plan, code_of(plan.at.path))
        case SqueezeDim():
            return _squeeze_dim(plan, code_of(plan.at.path))
        case SqueezeArgument():
            return _squeeze_argument(plan, code_of(plan.call.path))
        case SetOption():
            return _set_option(plan, code_of(plan.at.path))
        case CallResult():
            return _call_result(plan, code_of(plan.at.path))
    return None


# ---- activations


class _Form(NamedTuple):
    """An expression that applies an activation, and what it is applied to."""

    call: ir.Call
    inner: ir.Expr
    method: bool


def _drop(applied: Applied, use: Use, code_of: Open) -> _Change | None:
    code = code_of(applied.at.path)
    form = _form(code, applied)
    if form is None:
        return None if applied.layer is None else _without_layer(code_of(applied.layer.path), applied.layer)
    title = f"Leave out `{_spelled(code, form)}`, which the loss applies itself"
    edits = _without_statement(code, form) or _unwrapped(code, form)
    here = applied.at.path == use.call.path and _always_this_loss(code, use)
    if here and _goes_only_to(code, form.call, use.call):
        return _Change(title, edits, not _loses_comment(code, edits))
    if here and (around := _around(code, form, use)) is not None:
        return around
    return _Change(title, edits, local=False)


def _fuse(drop: Drop, loss: OtherLoss, code_of: Open) -> _Change | None:
    dropped = _drop(drop.applied, drop.use, code_of)
    renamed = _other_loss(loss, code_of(loss.at.path))
    if dropped is None or renamed is None:
        return None
    return _Change(f"Use `{loss.new}` on the raw scores", [*dropped.edits, *renamed.edits], local=False)


def _replace(plan: Replace, code_of: Open) -> _Change | None:
    code = code_of(plan.applied.at.path)
    form = _form(code, plan.applied)
    if form is None:
        return None
    local = plan.applied.at.path == plan.use.call.path and _always_this_loss(code, plan.use)
    local = local and _goes_only_to(code, form.call, plan.use.call)
    if plan.applied.layer is not None:
        code = code_of(plan.applied.layer.path)
        made = code.node(plan.applied.layer)
        local = local and made is not None and code.uses.holds(form.call.func, made)
        edit = _renamed(code, made, plan.layer)
        new = plan.layer
    else:
        edit, new = _renamed(code, form.call, plan.function), plan.function
    if edit is None:
        return None
    return _Change(f"Use `{new}` in place of `{_spelled(code, form)}`", edit, local)


def _form(code: Code, applied: Applied) -> _Form | None:
    """How the activation is applied there, if the code says so itself and does nothing else with it."""
    call = code.node(applied.at)
    if not isinstance(call, ir.Call) or any(arg.star or arg.keyword in ("dtype", "out") for arg in call.args):
        return None
    if isinstance(code.uses.above(call), ir.ExprStmt):
        return None
    if applied.layer is not None:
        own = applied.layer.path == code.path and _is_layer_of(code, call, applied.layer)
        first = _first(call)
        return _Form(call, first, False) if own and first is not None and len(call.args) == 1 else None
    name = applied.name.strip(".()").rpartition(".")[2]
    func = call.func
    if applied.name.startswith("."):
        fits = isinstance(func, ir.Attribute) and func.name == name
        return _Form(call, func.value, True) if fits and isinstance(func, ir.Attribute) else None
    if not _names_import(code, func, name):
        return None
    named = [arg.value for arg in call.args if arg.keyword == "input"]
    inner = named[0] if named else _first(call)
    return None if inner is None else _Form(call, inner, False)


def _first(call: ir.Call) -> ir.Expr | None:
    return call.args[0].value if call.args and call.args[0].keyword is None else None


def _names_import(code: Code, func: ir.Expr, name: str) -> bool:
    """Whether a dotted name ends so and begins with what the module imports, not with a variable."""
    if not isinstance(func, (ir.Name, ir.Attribute)) or func.name != name:
        return False
    root: ir.Expr = func
    while isinstance(root, ir.Attribute):
        root = root.value
    if not isinstance(root, ir.Name):
        return False
    scope = code.uses.local_scope(root.name, func)
    bound = [] if scope is None else code.uses.bindings(root.name, scope)
    return all(isinstance(each, (ir.Import, ir.ImportFrom)) for each in bound)


def _is_named(code: Code, call: ir.Call) -> bool:
    """Whether what is called is an import's name, the same whoever calls the code around it."""
    return isinstance(call.func, (ir.Name, ir.Attribute)) and _names_import(code, call.func, call.func.name)


def _is_layer_of(code: Code, call: ir.Call, made: NodeRef) -> bool:
    """Whether the called layer is made in the call, or is what the file's only assignment to that name or attribute makes."""
    layer = code.node(made)
    if layer is None:
        return False
    if code.uses.holds(call.func, layer):
        return call.func is layer
    return _is_only_value(code, call.func, layer)


def _is_only_value(code: Code, func: ir.Expr, made: ir.Node) -> bool:
    """Whether a name or an attribute of an object is bound only once in the file, to what is made there."""
    uses = code.uses
    if isinstance(func, ir.Attribute) and isinstance(func.value, ir.Name):
        stores = uses.attribute_stores(func.name)
    elif isinstance(func, ir.Name):
        scope = uses.local_scope(func.name, func)
        if scope is None or uses.is_outer(func.name):
            return False
        stores = [stmt for each in uses.bindings(func.name, scope) if (stmt := uses.statement(each)) is not None]
    else:
        return False
    if len(stores) != 1 or not isinstance(stores[0], (ir.Assign, ir.AnnAssign)) or stores[0].value is None:
        return False
    return _passes(code, made, stores[0].value)


def _passes(code: Code, made: ir.Node, value: ir.Expr) -> bool:
    """Whether an expression is what is made in it, moved or converted by methods at most."""
    node: ir.Node | None = made
    while node is not None and node is not value:
        above = code.uses.above(node)
        moved = isinstance(above, ir.Attribute) or (isinstance(above, ir.Call) and above.func is node)
        if not moved:
            return False
        node = above
    return node is value


def _always_this_loss(code: Code, use: Use) -> bool:
    """Whether the loss of a call is the same one whoever calls the code around it."""
    call = code.node(use.call)
    if not isinstance(call, ir.Call):
        return False
    if use.made is None:
        return _is_named(code, call)
    made = code.node(use.made) if use.made.path == code.path else None
    if made is None:
        return False
    return _passes(code, made, call.func) or _is_only_value(code, call.func, made)


def _goes_only_to(code: Code, value: ir.Expr, call: NodeRef) -> bool:
    """Whether a value goes into this call, by operations on it and local names, and nowhere else."""
    uses, goal = code.uses, code.node(call)
    node: ir.Expr = value
    seen: set[int] = set()
    while node.id not in seen:
        seen.add(node.id)
        above = uses.above(node)
        if above is goal:
            return isinstance(above, ir.Call) and above.func is not node
        step = _next(code, node)
        if step is not None:
            node = step
            continue
        name = _assigned_name(above, node)
        if name is None or not isinstance(above, ir.Stmt):
            return False
        reads = uses.reached(above, name)
        if reads is None or len(reads) != 1 or uses.scope(reads[0]) is not uses.scope(node):
            return False
        if any(isinstance(each, (ir.Lambda, ir.Comprehension)) for each in uses.ancestors(reads[0])):
            return False
        node = reads[0]
    return False


def _next(code: Code, node: ir.Expr) -> ir.Expr | None:
    """The expression that a value becomes a part of, as its first operand: `x.view(-1)`, `torch.squeeze(x)`, `x[0]`."""
    above = code.uses.above(node)
    if isinstance(above, ir.Attribute):
        outer = code.uses.above(above)
        return outer if isinstance(outer, ir.Call) and outer.func is above else None
    if isinstance(above, ir.Call) and above.args and above.args[0].value is node and not above.args[0].star:
        return above
    if isinstance(above, ir.Subscript) and above.value is node:
        return above
    return None


def _assigned_name(stmt: ir.Node | None, value: ir.Expr) -> str | None:
    """The one name that a statement binds to exactly this value."""
    target: ir.Expr | None = None
    if isinstance(stmt, ir.Assign) and stmt.value is value and len(stmt.targets) == 1:
        target = stmt.targets[0]
    elif isinstance(stmt, ir.AnnAssign) and stmt.value is value:
        target = stmt.target
    return target.name if isinstance(target, ir.Name) else None


def _around(code: Code, form: _Form, use: Use) -> _Change | None:
    """`p = sigmoid(x)` whose `p` is used elsewhere, too: hand the loss what the activation is applied to."""
    uses = code.uses
    stmt, goal = uses.above(form.call), code.node(use.call)
    name = _assigned_name(stmt, form.call)
    if name is None or not isinstance(stmt, ir.Stmt) or not isinstance(goal, ir.Call):
        return None
    read = _operand(code, goal, name)
    if read is None or uses.scope(read) is not uses.scope(stmt) or _in_function(code, read, uses.scope(stmt)):
        return None
    reached = uses.reached(stmt, name)
    if reached is None or all(each is not read for each in reached) or _is_changed(code, name, stmt):
        return None
    title = f"Hand the loss what `{_spelled(code, form)}` is applied to"
    start, end = code.range(read)
    inner = form.inner
    if isinstance(inner, ir.Name) and inner.name != name and _stays(code, inner.name, stmt, read):
        return _Change(title, [code.edit(start, end, inner.name)], True)
    own_line = _own_line(code, stmt)
    if own_line is None:
        return None
    fresh = next(
        (word for word in ("scores", "raw_scores", "logits") if word not in uses.module.words), f"{name}_scores"
    )
    if fresh in uses.module.words:
        return None
    moved = _whole(code, inner)
    before = code.range(stmt)[0]
    edits = [
        code.edit(before, before, f"{fresh} = {moved}{own_line}"),
        code.edit(*code.outer_range(inner), fresh),
        code.edit(start, end, fresh),
    ]
    return _Change(title, edits, True)


def _operand(code: Code, call: ir.Call, name: str) -> ir.Name | None:
    """The one read of a name in the arguments of a call, if the argument is that value or made of it."""
    found = [
        node
        for arg in call.args
        for node in code.uses.inside(arg.value)
        if isinstance(node, ir.Name) and node.name == name
    ]
    if len(found) != 1:
        return None
    node: ir.Expr | None = found[0]
    while node is not None:
        if code.uses.above(node) is call:
            return found[0]
        node = _next(code, node)
    return None


def _in_function(code: Code, node: ir.Node, scope: object) -> bool:
    """Whether a node lies in a lambda or comprehension of the scope."""
    for each in code.uses.ancestors(node):
        if each is scope:
            return False
        if isinstance(each, (ir.Lambda, ir.Comprehension)):
            return True
    return False


def _is_changed(code: Code, name: str, stmt: ir.Stmt) -> bool:
    """Whether something in the function changes the tensor that the name stands for in place."""
    uses = code.uses
    for read in uses.reads(name, uses.scope(stmt)):
        above = uses.above(read)
        if isinstance(above, ir.AugAssign):
            return True
        if isinstance(above, ir.Attribute) and above.name.endswith("_") and not above.name.startswith("_"):
            return True
        if isinstance(above, ir.Subscript):
            outer = uses.above(above)
            if isinstance(outer, ir.AugAssign) or (isinstance(outer, ir.Assign) and above in outer.targets):
                return True
    return False


def _stays(code: Code, name: str, stmt: ir.Stmt, read: ir.Name) -> bool:
    """Whether a name stands for the same value at both places: it is bound once, or not between them in one block."""
    uses = code.uses
    scope = uses.local_scope(name, stmt)
    if scope is None or scope is not uses.scope(stmt) or uses.is_outer(name) or _is_changed(code, name, stmt):
        return False
    bindings = uses.bindings(name, scope)
    if len(bindings) == 1:
        return True
    last = next((each for each in (read, *uses.ancestors(read)) if each.id in uses.block), None)
    if last is None or uses.block[last.id][0] is not uses.block[stmt.id][0]:
        return False
    body, begin = uses.block[stmt.id]
    end = uses.block[last.id][1]
    return begin < end and not any(uses.holds(each, bound) for each in body[begin:end] for bound in bindings)


def _own_line(code: Code, stmt: ir.Stmt) -> str | None:
    """The line end and the indentation to put behind a statement before this one, which begins its own line."""
    start = code.range(stmt)[0]
    line = bisect_right(code.starts, start)
    indent = code.text[code.starts[line - 1] : start]
    if indent.strip():
        return None
    above = code.text[: code.starts[line - 1]]
    ending = next((each for each in ("\r\n", "\n", "\r") if above.endswith(each)), "\n")
    return ending + indent


def _whole(code: Code, node: ir.Expr) -> str:
    """The text of an expression, in parentheses if it is none without."""
    text = code.source(node)
    return text if _stands_alone(text) else f"({text})"


def _stands_alone(text: str) -> bool:
    try:
        ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return not text[:1].isspace()


def _unwrapped(code: Code, form: _Form) -> list[Edit]:
    """Edits that leave of a call only what it is applied to."""
    start, end = code.range(form.call)
    own_start, own_end = code.outer_range(form.inner)
    inner_start, inner_end = code.range(form.inner)
    bare = not form.method and _stands_alone(code.text[inner_start:inner_end]) and _is_free(code, form)
    if bare:
        own_start, own_end = inner_start, inner_end
    needs = not bare and own_start == inner_start and not form.method and not isinstance(form.inner, _ATOMS)
    needs = needs or (not bare and not form.method and not _stands_alone(code.text[own_start:own_end]))
    edits = [code.edit(start, own_start, "(" if needs else ""), code.edit(own_end, end, ")" if needs else "")]
    return [edit for edit in edits if edit.content or edit.place[1:3] != edit.place[3:5]]


def _without_statement(code: Code, form: _Form) -> list[Edit]:
    """Take the line `p = sigmoid(p)` out as a whole, if it is one and not the only one of its block."""
    stmt = code.uses.above(form.call)
    if not isinstance(stmt, ir.Assign) or not isinstance(form.inner, ir.Name):
        return []
    if _assigned_name(stmt, form.call) != form.inner.name or len(code.uses.block[stmt.id][0]) == 1:
        return []
    start, end = code.range(stmt)
    line_start, line_end = _lines(code, start, end)
    if code.text[line_start:start].strip() or code.text[end:line_end].strip():
        return []
    return [code.edit(line_start, line_end)]


def _lines(code: Code, start: int, end: int) -> tuple[int, int]:
    """The offsets of the whole lines of a span."""
    after = bisect_right(code.starts, end)
    return code.starts[bisect_right(code.starts, start) - 1], (
        code.starts[after] if after < len(code.starts) else len(code.text)
    )


def _is_free(code: Code, form: _Form) -> bool:
    """Whether an expression may stand in place of the call whatever binds it together."""
    if isinstance(form.inner, _ATOMS):
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


def _loses_comment(code: Code, edits: list[Edit]) -> bool:
    return any("#" in code.text[slice(*_between(code, edit))] for edit in edits)


def _between(code: Code, edit: Edit) -> tuple[int, int]:
    place = edit.place
    return code.starts[place.line - 1] + place.column - 1, code.starts[place.end_line - 1] + place.end_column - 1


def _without_layer(code: Code, at: NodeRef) -> _Change | None:
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
            return _Change(title, [_without_item(code, made, before)], local=False)
    start, end = code.range(made)
    owner = code.source(made.func.value)
    return _Change(title, [code.edit(start, end, f"{owner}.Identity()")], local=False)


def _without_item(code: Code, item: ir.Expr, before: ir.Expr | None) -> Edit:
    """Take the last argument out: with its line where it has one of its own, else with the comma before it."""
    start, end = code.outer_range(item)
    line_start, line_end = _lines(code, start, end)
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


# ---- losses and shapes


def _other_loss(plan: OtherLoss, code: Code) -> _Change | None:
    edits = _renamed(code, code.node(plan.at), plan.new, plan.old)
    if edits is None:
        return None
    return _Change(f"Use `{plan.new}`, which takes raw scores", edits, local=False)


def _renamed(code: Code, call: ir.Node | None, new: str, old: str = "") -> list[Edit] | None:
    """Call another function or class of the same module, imported where the name is."""
    if not isinstance(call, ir.Call) or not isinstance(call.func, (ir.Name, ir.Attribute)):
        return None
    func = call.func
    if old and func.name != old:
        return None
    end = code.range(func)[1]
    edits = [code.edit(end - len(func.name), end, new)]
    if isinstance(func, ir.Attribute) or new in code.uses.module.words:
        return edits
    for node, syntax in zip(range(code.placed.module.nodes), code.placed.nodes, strict=True):
        if isinstance(code.uses.node.get(node), ir.ImportFrom) and isinstance(syntax, cst.ImportFrom):
            for alias in syntax.names if not isinstance(syntax.names, cst.ImportStar) else ():
                if isinstance(alias.name, cst.Name) and alias.name.value == func.name and alias.asname is None:
                    behind = code.syntax_range(alias.name)[1]
                    return [code.edit(behind, behind, f", {new}"), *edits]
    return None


def _squeeze_dim(plan: SqueezeDim, code: Code) -> _Change | None:
    call = code.node(plan.at)
    if not isinstance(call, ir.Call) or not isinstance(call.func, (ir.Name, ir.Attribute)):
        return None
    if call.func.name != "squeeze" or any(arg.star or arg.keyword for arg in call.args) or len(call.args) > 1:
        return None
    title = f"Say which dimension `squeeze` takes away: {plan.dim}"
    if call.args:
        if not _names_import(code, call.func, "squeeze"):
            return None
        end = code.outer_range(call.args[0].value)[1]
        return _Change(title, [code.edit(end, end, f", {plan.dim}")], plan.exact)
    end = code.range(call)[1] - 1
    return _Change(title, [code.edit(end, end, str(plan.dim))], plan.exact)


def _squeeze_argument(plan: SqueezeArgument, code: Code) -> _Change | None:
    call = code.node(plan.call)
    if not isinstance(call, ir.Call):
        return None
    places = [arg for arg in call.args if arg.keyword is None]
    named = [arg.value for arg in call.args if arg.keyword in plan.names]
    if named:
        value = named[0]
    elif plan.position < len(places) and not any(arg.star for arg in places):
        value = places[plan.position].value
    else:
        return None
    start, end = code.range(value)
    outer = code.outer_range(value)
    title = f"Take the last dimension off `{code.text[start:end]}`"
    if isinstance(value, _ATOMS) or outer != (start, end):
        return _Change(title, [code.edit(outer[1], outer[1], ".squeeze(-1)")], plan.exact)
    return _Change(title, [code.edit(start, start, "("), code.edit(end, end, ").squeeze(-1)")], plan.exact)


def _set_option(plan: SetOption, code: Code) -> _Change | None:
    call = code.node(plan.at)
    if not isinstance(call, ir.Call) or any(arg.star for arg in call.args):
        return None
    option = f"{plan.name}={plan.value}"
    title = f"Say `{option}`"
    given = [arg.value for arg in call.args if arg.keyword == plan.name]
    if given:
        edit = code.edit(*code.outer_range(given[0]), plan.value)
    elif call.args:
        end = code.outer_range(call.args[-1].value)[1]
        edit = code.edit(end, end, f", {option}")
    else:
        end = code.range(call)[1] - 1
        edit = code.edit(end, end, option)
    return _Change(title, [edit], _is_named(code, call))


def _call_result(plan: CallResult, code: Code) -> _Change | None:
    """`nn.BCELoss(out, y)` to `nn.BCELoss()(out, y)`; keyword arguments are the constructor's."""
    call = code.node(plan.at)
    if not isinstance(call, ir.Call) or any(arg.star for arg in call.args):
        return None
    places = [arg for arg in call.args if arg.keyword is None]
    options = [arg for arg in call.args if arg.keyword is not None]
    if len(places) != plan.tensors or call.args[: len(places)] != tuple(places):
        return None
    end = code.range(call.func)[1]
    title = f"Make the loss first: `{code.source(call.func)}(…)(…)`"
    given = ", ".join(f"{arg.keyword}={_whole(code, arg.value)}" for arg in options)
    edits = [code.edit(end, end, f"({given})")]
    if options:
        behind = code.outer_range(places[-1].value)[1]
        edits.append(code.edit(behind, code.outer_range(options[-1].value)[1]))
    return _Change(title, edits, _is_named(code, call) and not _loses_comment(code, edits))
