"""Tests of the code that come out the same whenever the same value is tested: what a branch may take for granted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchlint.analysis import comparisons, ir
from torchlint.analysis.values import Const, Extern, Instance, Lazy, Test, Union, Unknown, Value, is_anything

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter

Outcomes = tuple[tuple[Test, bool], ...]
"""Tests with their outcome, all of which hold."""

GETTERS = frozenset({"get", "lower", "upper", "strip", "startswith", "endswith"})
"""Methods of settings and texts that give the same whenever they are called with the same constants."""


def outcomes(run: Interpreter, node: ir.Expr) -> tuple[Outcomes, Outcomes]:
    """What is known if a condition holds, and what if it does not."""
    if isinstance(node, ir.Unary) and node.op == "not":
        yes, no = outcomes(run, node.operand)
        return no, yes
    if isinstance(node, ir.Boolean):
        left, right = outcomes(run, node.left), outcomes(run, node.right)
        return ((*left[0], *right[0]), ()) if node.op == "and" else ((), (*left[1], *right[1]))
    found = _test(run, node)
    if found is None:
        return (), ()
    test, positive = found
    return ((test, positive),), ((test, not positive),)


def decided(run: Interpreter, node: ir.Expr) -> bool | None:
    """How a condition comes out by what is assumed, if that fixes it."""
    if isinstance(node, ir.Unary) and node.op == "not":
        verdict = decided(run, node.operand)
        return None if verdict is None else not verdict
    if isinstance(node, ir.Boolean):
        verdicts = (decided(run, node.left), decided(run, node.right))
        if (node.op == "or") in verdicts:
            return node.op == "or"
        return None if None in verdicts else node.op == "and"
    found = _test(run, node)
    if found is None:
        return None
    test, positive = found
    assumed = run.heap.assumed
    known = assumed.get(test)
    if known is not None:
        return known is positive
    if test.equals and any(held and other.equals and other.subject == test.subject for other, held in assumed.items()):
        return not positive  # it equals another constant
    return None


def _test(run: Interpreter, node: ir.Expr) -> tuple[Test, bool] | None:
    """A comparison with a constant or a value asked for its truth, and whether the condition wants it to hold."""
    if isinstance(node, ir.Compare):
        if len(node.ops) != 1:
            return None
        if node.ops[0] in _ORDERS:
            return _order(run, node)
        if node.ops[0] not in ("==", "!=", "is", "is not"):
            return None
        constant = run.eval(node.rights[0])
        subject = _subject(run, node.left)
        if subject is None or not isinstance(constant, Const):
            return None
        return Test(subject, (type(constant.value), constant.value)), node.ops[0] in ("==", "is")
    subject = _subject(run, node)
    return None if subject is None else (Test(subject), True)


_ORDERS = frozenset({">", ">=", "<", "<="})


def _order(run: Interpreter, node: ir.Compare) -> tuple[Test, bool] | None:
    """`n > 1` of a whole number, and the same in other words: `n >= 2`, or of `n < 2` and `n <= 1` the opposite."""
    limit, op = node.rights[0], node.ops[0]
    if not isinstance(limit, ir.Constant) or type(limit.value) is not int:
        return None
    subject = _subject(run, node.left)
    if subject is None:
        return None
    return Test(subject, above=limit.value if op in (">", "<=") else limit.value - 1), op in (">", ">=")


def _subject(run: Interpreter, node: ir.Expr) -> object | None:
    """What identifies the value of an expression as long as its names are not bound anew; None if nothing does."""
    if isinstance(node, ir.Name):
        return _identity(run, run.eval(node))
    if isinstance(node, ir.Attribute):
        owner = run.eval(node.value)
        if isinstance(owner, Instance):
            own = run.heap.read(owner.id).get(node.name)
            return None if own is None else _identity(run, own)
        inner = _subject(run, node.value)
        return None if inner is None else (inner, f".{node.name}")
    if isinstance(node, ir.Subscript) and isinstance(node.index, ir.Constant):
        inner = _subject(run, node.value)
        return None if inner is None else (inner, repr(node.index.value))
    if isinstance(node, ir.Call) and isinstance(node.func, ir.Attribute) and node.func.name in GETTERS:
        inner = _subject(run, node.func.value)
        if inner is not None and all(isinstance(arg.value, ir.Constant) for arg in node.args):
            return inner, node.func.name, tuple(repr(arg.value.value) for arg in node.args)  # type: ignore[attr-defined]
    return None


def _identity(run: Interpreter, value: Value) -> object | None:
    if isinstance(value, Extern):
        return value.name
    if is_anything(value):
        return None
    return run.program.way(value) if isinstance(value, (Unknown, Lazy, Union)) else None


def name(run: Interpreter, node: ir.Expr, value: Value) -> None:
    """Remember how one of several values is taken, as an option is from settings with a default, before it gets a name."""
    if isinstance(value, Union) and isinstance(node, (ir.Attribute, ir.Subscript, ir.Call)):
        way = _subject(run, node)
        if way is not None and way is not value:
            run.program.remember(value, way)


def holds(run: Interpreter, test: ir.Expr) -> bool | None:
    """Whether a test holds, if the code or an earlier test of the same value fixes it."""
    verdict = comparisons.truth(run.eval(test))
    if verdict is None and run.heap.assumed:
        return decided(run, test)
    return verdict
