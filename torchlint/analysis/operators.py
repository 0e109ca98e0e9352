"""The value of Python's operators on any values: computed now, or when both sides are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchlint.analysis import arithmetic, comparisons, ir, iteration, operate, shapes
from torchlint.analysis.calls import Arithmetic
from torchlint.analysis.shapes import Bound
from torchlint.analysis.spelling import is_by_own_sum
from torchlint.analysis.values import UNKNOWN, Const, Unknown, Value, is_pending
from torchlint.findings import NodeRef

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


def binary(run: Interpreter, op: str, left: Value, right: Value, node: ir.Node) -> Value:
    """The value of `left op right`."""
    if isinstance(left, Const) and isinstance(right, Const):
        return arithmetic.fold(op, left.value, right.value)
    at, own = run.ref(node), is_by_own_sum(node)
    event = None
    if Arithmetic in run.watched:
        event = Arithmetic(at, op, run.frame.training, left=left, right=right)
    if is_pending(left) or is_pending(right):
        return operate.told_later(run, event, lambda: _combined(run, op, left, right, at, own), left, right)
    if event is not None:
        run.record(event)
    return _combined(run, op, left, right, at, own)


def _combined(run: Interpreter, op: str, left: Value, right: Value, at: NodeRef, own: bool) -> Value:
    """The value of `left op right`; with `own`, the right one holds the sums of the left one."""
    sequences = iteration.added(run, op, left, right)
    if sequences is not None:
        return sequences
    if op == "@":
        bound = Bound(run.contracts.op_functions["torch.matmul"], "torch.matmul", left, (right,), {}, {})
        return arithmetic.product(left, right, shapes.apply(bound), at)
    return arithmetic.combine(op, left, right, at, own)


def unary(run: Interpreter, op: str, value: Value, node: ir.Node) -> Value:
    """The value of `-x`, `not x`, `~x`."""
    if op == "not":
        verdict = comparisons.truth(value)
        return UNKNOWN if verdict is None else Const(not verdict)
    if isinstance(value, Const) and isinstance(value.value, (int, float)):
        return Const(-value.value) if op == "-" else value if op == "+" else UNKNOWN
    if op == "-":
        negate = run.contracts.op_functions.get("torch.neg")
        if negate is not None and not isinstance(value, Unknown):
            return operate.apply(run, operate.bind(negate, "-", (value,), {}, {}), node)
    return UNKNOWN
