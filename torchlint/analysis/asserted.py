"""Whether a comparison only makes sure of something: it counts nothing and chooses nothing, the program goes on or stops.

As all of `usage`, this errs to the side of more uses: a name that is never read may be read by somebody else.
"""

from __future__ import annotations

import msgspec

from torchlint.analysis import ir
from torchlint.analysis.usage import Uses

_TRUTHS = frozenset(("all", "any", "bool", "item", "logical_and", "logical_or", "logical_not"))
"""Functions and methods that make one truth of several, or leave it as it is."""

_ASSERTING = frozenset(("assertTrue", "assertFalse", "_assert", "_assert_async"))
"""Functions and methods that stop for a truth."""


def only_asserted(uses: Uses, node: ir.Node) -> bool:
    """Whether the value of this expression is tested, all of it or any, for nothing but to stop."""
    return _Asserted(uses, set()).value(node)


class _Asserted(msgspec.Struct, frozen=True, eq=False):
    """`seen` are the statements whose names are being followed: a loop leads back to them."""

    uses: Uses
    seen: set[int]

    def value(self, node: ir.Node) -> bool:
        """Whether the program does nothing with a truth but stop for it."""
        outer = self.uses.above(node)
        if isinstance(outer, ir.Assert):
            return outer.test is node
        if isinstance(outer, ir.If):
            return any(branch.test is node and _stops(branch.body) for branch in outer.branches)
        if isinstance(outer, (ir.Boolean, ir.Unary, ir.Sequence)) or (
            isinstance(outer, ir.Binary) and outer.op in ("&", "|")
        ):
            return self.value(outer)
        if isinstance(outer, ir.Comprehension):
            return outer.element is node and outer.kind != "dict" and self.value(outer)
        if isinstance(outer, ir.Attribute):
            call = self.uses.above(outer)
            called = isinstance(call, ir.Call) and call.func is outer and outer.name in _TRUTHS
            return called and call is not None and self.value(call)
        if isinstance(outer, ir.Call) and isinstance(outer.func, (ir.Name, ir.Attribute)):
            name = outer.func.name
            return name in _ASSERTING or (name in _TRUTHS and self.value(outer))
        if isinstance(outer, ir.Assign):
            return outer.value is node and all(self._bound(outer, target) for target in outer.targets)
        return False

    def _bound(self, stmt: ir.Assign, target: ir.Expr) -> bool:
        """Whether the program does nothing with what a statement binds to a name but stop for it."""
        if not isinstance(target, ir.Name) or stmt.id in self.seen:
            return False
        self.seen.add(stmt.id)
        reads = self.uses.reached(stmt, target.name)
        return bool(reads) and all(self.value(read) for read in reads or ())


def _stops(body: ir.Block) -> bool:
    """Whether a block does nothing but raise: it may say what is wrong before."""
    *before, last = body
    return isinstance(last, ir.Raise) and all(isinstance(stmt, (ir.Assign, ir.ExprStmt)) for stmt in before)
