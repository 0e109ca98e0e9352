"""What the code around a value proves: which loss a call is always of, where a value goes, and nowhere else."""

from __future__ import annotations

from torchlint.analysis import ir
from torchlint.findings import NodeRef, Use
from torchlint.repair.code import Code


def names_import(code: Code, func: ir.Expr, name: str) -> bool:
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


def is_named(code: Code, call: ir.Call) -> bool:
    """Whether what is called is an import's name, the same whoever calls the code around it."""
    return isinstance(call.func, (ir.Name, ir.Attribute)) and names_import(code, call.func, call.func.name)


def is_layer_of(code: Code, call: ir.Call, made: NodeRef) -> bool:
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


def always_this_loss(code: Code, use: Use) -> bool:
    """Whether the loss of a call is the same one whoever calls the code around it."""
    call = code.node(use.call)
    if not isinstance(call, ir.Call):
        return False
    if use.made is None:
        return is_named(code, call)
    made = code.node(use.made) if use.made.path == code.path else None
    if made is None:
        return False
    return _passes(code, made, call.func) or _is_only_value(code, call.func, made)


def goes_only_to(code: Code, value: ir.Expr, call: NodeRef) -> bool:
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
        name = assigned_name(above, node)
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


def assigned_name(stmt: ir.Node | None, value: ir.Expr) -> str | None:
    """The one name that a statement binds to exactly this value."""
    target: ir.Expr | None = None
    if isinstance(stmt, ir.Assign) and stmt.value is value and len(stmt.targets) == 1:
        target = stmt.targets[0]
    elif isinstance(stmt, ir.AnnAssign) and stmt.value is value:
        target = stmt.target
    return target.name if isinstance(target, ir.Name) else None


def operand(code: Code, call: ir.Call, name: str) -> ir.Name | None:
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


def in_function(code: Code, node: ir.Node, scope: object) -> bool:
    """Whether a node lies in a lambda or comprehension of the scope."""
    for each in code.uses.ancestors(node):
        if each is scope:
            return False
        if isinstance(each, (ir.Lambda, ir.Comprehension)):
            return True
    return False


def is_changed(code: Code, name: str, stmt: ir.Stmt) -> bool:
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


def stays(code: Code, name: str, stmt: ir.Stmt, read: ir.Name) -> bool:
    """Whether a name stands for the same value at both places: it is bound once, or not between them in one block."""
    uses = code.uses
    scope = uses.local_scope(name, stmt)
    if scope is None or scope is not uses.scope(stmt) or uses.is_outer(name) or is_changed(code, name, stmt):
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
