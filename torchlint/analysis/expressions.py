"""The value of an expression, by the type of its node."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torchlint.analysis import (
    attributes,
    comparisons,
    conditions,
    containers,
    definitions,
    invoke,
    ir,
    iteration,
    operators,
    scopes,
    subscripts,
    targets,
)
from torchlint.analysis.calls import Comparison
from torchlint.analysis.values import (
    UNKNOWN,
    Const,
    Items,
    Tuple,
    Unknown,
    Value,
    alternatives_now,
    either,
    guarded,
    is_pending,
    join,
    union,
)

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


def _name(run: Interpreter, node: ir.Name) -> Value:
    return scopes.lookup(run, node.name)


def _constant(run: Interpreter, node: ir.Constant) -> Value:
    return Const(node.value)


def _unknown(run: Interpreter, node: ir.Expr) -> Value:
    return UNKNOWN


def _attribute(run: Interpreter, node: ir.Attribute) -> Value:
    return attributes.attribute(run, run.eval(node.value), node.name, node)


def _call(run: Interpreter, node: ir.Call) -> Value:
    return invoke.call_node(run, node)


def _binary(run: Interpreter, node: ir.Binary) -> Value:
    left = run.eval(node.left)
    return operators.binary(run, node.op, left, run.eval(node.right), node)


def _unary(run: Interpreter, node: ir.Unary) -> Value:
    return operators.unary(run, node.op, run.eval(node.operand), node)


def _boolean(run: Interpreter, node: ir.Boolean) -> Value:
    left = run.eval(node.left)
    verdict = comparisons.truth(left)
    if verdict is not None:
        return left if verdict is (node.op == "or") else run.eval(node.right)
    right = run.eval(node.right)
    if comparisons.is_flag(left) and comparisons.is_flag(right):
        # `flag and other`: what comes out is asked for its truth only.
        return right if comparisons.truth(right) is (node.op == "or") else UNKNOWN
    if node.op == "or":
        kept = [v for v in alternatives_now(left) if not (isinstance(v, Const) and not v.value)]
        return union((*kept, right))
    return join(left, right)


def _compare(run: Interpreter, node: ir.Compare) -> Value:
    left = run.eval(node.left)
    rights = [run.eval(item) for item in node.rights]
    if node.ops[0] in ("is", "is not") and isinstance(node.rights[0], ir.Constant) and is_pending(left):
        left = either(guarded(left))  # whether a function gave None decides on what is built
    if len(rights) == 1 and Comparison in run.watched:
        comparisons.tell_comparison(run, left, node.ops[0], rights[0], node)
    return comparisons.compare(left, node.ops, rights, run.ref(node))


def _conditional(run: Interpreter, node: ir.Conditional) -> Value:
    verdict = conditions.holds(run, node.test)
    if verdict is not None:
        return run.eval(node.body if verdict else node.orelse)
    yes, no = conditions.outcomes(run, node.test)
    before = run.heap.assumed
    run.heap.assume(yes)
    body = run.eval(node.body)
    run.heap.assumed = {**before, **dict(no)}
    orelse = run.eval(node.orelse)
    run.heap.assumed = before
    return join(body, orelse, frozenset(yes), frozenset(no))


def _sequence(run: Interpreter, node: ir.Sequence) -> Value:
    items: list[Value] = []
    exact = True
    for item in node.items:
        if isinstance(item, ir.Starred):
            element, known = iteration.iterate(run, run.eval(item.value))
            exact = exact and known is not None
            items.extend(known if known is not None else [element])
        else:
            items.append(run.eval(item))
    if node.kind == "list":
        return containers.new_list(run, items if exact else None, union(items) if items else UNKNOWN)
    if node.kind == "tuple" and exact:
        return Tuple(tuple(items))
    return Items(union(items) if items else UNKNOWN)


def _starred(run: Interpreter, node: ir.Starred) -> Value:
    return run.eval(node.value)


def _mapping(run: Interpreter, node: ir.Mapping) -> Value:
    pairs: list[tuple[Value | None, Value]] = []
    for key, value in zip(node.keys, node.values, strict=True):
        pairs.append((None if key is None else run.eval(key), run.eval(value)))
    return containers.new_dict(run, pairs)


def _subscript(run: Interpreter, node: ir.Subscript) -> Value:
    return subscripts.subscript(run, run.eval(node.value), node)


def _slice(run: Interpreter, node: ir.Slice) -> Value:
    return UNKNOWN


def _lambda(run: Interpreter, node: ir.Lambda) -> Value:
    return definitions.make_function(run, node)


def _comprehension(run: Interpreter, node: ir.Comprehension) -> Value:
    known: list[Value] | None = None
    first = node.clauses[0]
    element, items = iteration.iterate(run, run.eval(first.iter))
    simple = len(node.clauses) == 1 and not first.tests
    if simple and items is not None and len(items) <= iteration.MAX_UNROLL and node.kind != "dict":
        known = []
        for item in items:
            targets.assign(run, first.target, item)
            known.append(run.eval(node.element))
        if node.kind == "list":
            return containers.new_list(run, known, union(known) if known else UNKNOWN)
        return Tuple(tuple(known))
    targets.assign(run, first.target, element)
    for clause in node.clauses[1:]:
        inner, _ = iteration.iterate(run, run.eval(clause.iter))
        targets.assign(run, clause.target, inner)
    value = run.eval(node.element)
    if node.kind == "dict":
        return containers.new_dict(run, [(UNKNOWN, value)])
    if node.kind == "list":
        return containers.new_list(run, None, value)
    return Items(value)


def _await(run: Interpreter, node: ir.Await) -> Value:
    return run.eval(node.value)


def _yield(run: Interpreter, node: ir.Yield) -> Value:
    if node.value is not None:
        value = run.eval(node.value)
        run.frame.yields.append(iteration.iterate(run, value)[0] if node.delegates else value)
    return UNKNOWN


def _walrus(run: Interpreter, node: ir.Walrus) -> Value:
    value = run.eval(node.value)
    targets.assign(run, node.target, value)
    return value


def _format(run: Interpreter, node: ir.Format) -> Value:
    for part in node.parts:
        if isinstance(part, (ir.Call, ir.Walrus)):
            run.eval(part)
    return Unknown("text")


EVALUATE: dict[type, Callable[[Interpreter, Any], Value]] = {
    ir.Name: _name,
    ir.Constant: _constant,
    ir.Dots: _unknown,
    ir.Opaque: _unknown,
    ir.Attribute: _attribute,
    ir.Call: _call,
    ir.Binary: _binary,
    ir.Unary: _unary,
    ir.Boolean: _boolean,
    ir.Compare: _compare,
    ir.Conditional: _conditional,
    ir.Sequence: _sequence,
    ir.Starred: _starred,
    ir.Mapping: _mapping,
    ir.Subscript: _subscript,
    ir.Slice: _slice,
    ir.Lambda: _lambda,
    ir.Comprehension: _comprehension,
    ir.Await: _await,
    ir.Yield: _yield,
    ir.Walrus: _walrus,
    ir.Format: _format,
}
