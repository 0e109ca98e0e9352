"""Comparisons and truth: what is known of how they come out, and which of them the checks are told of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torchlint.analysis import gradients, ir
from torchlint.analysis.calls import Comparison, number_of
from torchlint.analysis.values import (
    UNKNOWN,
    Class,
    Const,
    Container,
    Criterion,
    Extern,
    Function,
    Instance,
    Items,
    Layer,
    Method,
    ModuleValue,
    Tensor,
    Tuple,
    Union,
    Unknown,
    Value,
    is_pending,
)
from torchlint.findings import NodeRef

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


COMPARISONS = {
    "gt": ">", "greater": ">", "ge": ">=", "greater_equal": ">=", "lt": "<", "less": "<", "le": "<=", "less_equal": "<=",
    "eq": "==", "ne": "!=", "not_equal": "!=",
}  # fmt: skip

_SIGMOIDS = frozenset(("sigmoid", ".sigmoid", ".Sigmoid", "Sigmoid"))

_MIRRORED = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "==", "!=": "!="}


def tell_comparison(run: Interpreter, left: Value, op: str, right: Value, node: ir.Node) -> None:
    """Tell checks of a comparison of anything but a constant with a number."""
    number = _number_or_default(right)
    if number is None:
        left, op, right, number = right, _MIRRORED.get(op, ""), left, _number_or_default(left)
    if number == 0 and is_pending(left) and _SIGMOIDS.isdisjoint(run.program.words(run.frame.path)):
        return
    if number is not None and op in _MIRRORED and not isinstance(left, Const):
        run.record(Comparison(run.ref(node), op, run.frame.training, value=left, op=op, number=number))


def _number_or_default(value: Value) -> float | None:
    """The number that the code fixes, or that it is unless the command line says otherwise."""
    return value.default if isinstance(value, Unknown) else number_of(value)


_DEFINITE = (Instance, Class, Function, Layer, Criterion, Container, ModuleValue, Tuple, Tensor, Method, Items)


def compare(left: Value, ops: Sequence[str], rights: Sequence[Value], at: NodeRef) -> Value:
    """The value of a comparison: known for constants and for None, a mask for tensors."""
    if len(ops) == 1:
        verdict = _compare_known(left, ops[0], rights[0])
        if verdict is not None:
            return Const(verdict)
        for part in (left, rights[0]):
            if isinstance(part, Tensor):
                cut = gradients.cut_here(part, ops[0], at)
                return Tensor(
                    "class_index", ops[0], shape=part.shape, dtype="bool", attached=False, batched=part.batched, cut=cut
                )
    return UNKNOWN


def _compare_known(left: Value, op: str, right: Value) -> bool | None:
    if op in ("is", "is not", "==", "!="):
        for one, other in ((left, right), (right, left)):
            if isinstance(one, Const) and one.value is None and isinstance(other, _DEFINITE):
                return op in ("is not", "!=")
        if isinstance(left, Extern) and isinstance(right, Extern) and _is_builtin(left) and _is_builtin(right):
            return (left.name == right.name) is (op in ("is", "=="))  # `type(flag) == bool`
    if isinstance(left, Const) and isinstance(right, Const):
        a, b = left.value, right.value
        if op in ("is", "=="):
            return bool(a == b)
        if op in ("is not", "!="):
            return bool(a != b)
        if isinstance(a, (int, float)) and isinstance(b, (int, float)):
            return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}.get(op)
        if isinstance(a, str) and isinstance(b, str) and op in ("in", "not in"):
            return (a in b) is (op == "in")
    if op in ("in", "not in") and isinstance(left, Const) and isinstance(right, Tuple):
        if all(isinstance(item, Const) for item in right.items):
            inside = any(isinstance(item, Const) and item.value == left.value for item in right.items)
            return inside is (op == "in")
    return None


def _is_builtin(part: Extern) -> bool:
    """Whether a value is a type or function of Python's own, which has no second name."""
    return part.name.startswith("builtins.")


def truth(value: Value) -> bool | None:
    """Whether a value counts as true, if the code fixes it. Computes nothing lazy."""
    parts = value.alternatives if isinstance(value, Union) else (value,)
    verdicts = {_truth_of(part) for part in parts}
    return verdicts.pop() if len(verdicts) == 1 else None


def _truth_of(part: Value) -> bool | None:
    if isinstance(part, Const):
        return bool(part.value)
    if isinstance(part, Tuple):
        return bool(part.items)
    if isinstance(part, (Instance, Class, Function, Layer, Criterion, Method)):
        return True
    return None


def is_flag(value: Value) -> bool:
    """Whether a value is one that is asked for its truth only."""
    return isinstance(value, Unknown) or (isinstance(value, Const) and isinstance(value.value, bool))
