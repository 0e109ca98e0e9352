"""Whether a value is computed to be looked at only: printed, turned into a number, used to choose, or dropped as it is.

What nothing learns from harms no training. As all of `usage`, this errs to the side of more uses: a name that is never read
may be read by somebody else.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import msgspec

from torchlint.analysis import ir
from torchlint.analysis.usage import Uses

_SHOW = frozenset(("print", "display", "repr", "str", "float", "int", "bool", "len", "type"))
_NUMBERS = frozenset(("item", "tolist", "size", "dim", "numel"))
"""Methods and attributes of a tensor whose result no gradient leads back from."""
_SIZES = frozenset(("shape", "dtype", "device", "ndim"))
_CHOICES = frozenset(("argmax", "argmin", "argsort", "multinomial", "nonzero"))
"""Functions and methods that give places, from which no gradient leads back."""
_PAIRS = frozenset(("max", "min", "topk", "sort", "median", "mode", "kthvalue"))
"""Those that give values and their places."""
_JOINS = frozenset(("cat", "concat", "stack"))
_LIKE = frozenset(("to", "type_as", "view_as", "expand_as", "reshape_as"))
"""Methods whose argument lends its shape, type or device only."""
_COPIES = frozenset(("Tensor", "FloatTensor", "tensor", "as_tensor"))
"""Functions that make a tensor of a list of numbers, without a gradient."""
_LIBRARY = frozenset(("torch", "F", "functional"))


def only_shown(uses: Uses, node: ir.Node, methods: Collection[str]) -> bool:
    """Whether nothing can learn from the value of this expression. `methods` are those of a tensor that give a tensor."""
    return _Shown(uses, methods, set()).value(node)


def scaled_by_size(uses: Uses, node: ir.Node) -> bool:
    """Whether the value of an expression is multiplied by a number of samples or classes, as far as the expression goes."""
    inner = node
    for outer in uses.ancestors(node):
        if not isinstance(outer, (ir.Binary, ir.Unary, ir.Attribute)) and not (
            isinstance(outer, ir.Call) and outer.func is inner
        ):
            return False
        if isinstance(outer, ir.Binary) and outer.op == "*":
            other = outer.right if outer.left is inner else outer.left
            if any(_is_size(each) for each in uses.inside(other)):
                return True
        inner = outer
    return False


def _is_size(node: ir.Node) -> bool:
    return isinstance(node, (ir.Name, ir.Attribute)) and bool(_SIZE.search(node.name))


_SIZE = re.compile(r"^(?:shape|size|numel|len|n|b|c|bs|bsz)$|batch|class|(?:^|_)(?:num|n)_|size$", re.IGNORECASE)
"""How people call a number of samples or classes, and where they read it."""


class _Shown(msgspec.Struct, frozen=True, eq=False):
    """`seen` are the statements whose names are being followed: a loop leads back to them."""

    uses: Uses
    methods: Collection[str]
    seen: set[tuple[int, str]]

    def value(self, node: ir.Node) -> bool:
        """Whether nothing learns from the value of an expression."""
        outer = self.uses.above(node)
        if isinstance(outer, (ir.ExprStmt, ir.Format, ir.Compare)):
            return True
        if isinstance(outer, (ir.Binary, ir.Unary)):
            return self.value(outer)
        if isinstance(outer, ir.Subscript):
            return outer.value is not node or self._part(outer)
        if isinstance(outer, ir.Sequence):
            return self._item(outer, node)
        if isinstance(outer, ir.Attribute):
            return outer.name in _SIZES or self._method(outer)
        if isinstance(outer, ir.Call) and outer.func is not node:
            return self._argument(outer)
        if isinstance(outer, ir.Assign) and len(outer.targets) == 1:
            return outer.value is not node or self._bound(outer, outer.targets[0])
        return False

    def _part(self, part: ir.Subscript) -> bool:
        """Whether nothing learns from `value[index]`, which may also be written to."""
        outer = self.uses.above(part)
        return (isinstance(outer, ir.Assign) and outer.value is not part) or self.value(part)

    def _item(self, items: ir.Sequence, node: ir.Node) -> bool:
        """Whether nothing learns from an item of a list that is joined or unpacked at once."""
        outer = self.uses.above(items)
        if isinstance(outer, ir.Call):
            return _library_function(outer) in _JOINS and self.value(outer)
        if not isinstance(outer, ir.Assign) or len(outer.targets) != 1 or outer.value is not items:
            return False
        target = outer.targets[0]
        if not isinstance(target, ir.Sequence) or len(target.items) != len(items.items):
            return False
        index = next(index for index, item in enumerate(items.items) if item is node)
        return self._bound(outer, target.items[index])

    def _argument(self, call: ir.Call) -> bool:
        """Whether nothing learns from an argument of a call."""
        func = call.func
        if isinstance(func, ir.Name):
            return func.name in _SHOW
        name = _library_function(call)
        if name is not None:
            if name in _CHOICES or name in _COPIES:
                return True
            return self._pair(call) if name in _PAIRS else name in self.methods and self.value(call)
        if isinstance(func, ir.Attribute) and func.name == "append" and isinstance(func.value, ir.Name):
            return self._held(func.value)
        return isinstance(func, ir.Attribute) and func.name in _LIKE

    def _method(self, method: ir.Attribute) -> bool:
        """Whether nothing learns from what `x.method(...)` gives."""
        call = self.uses.above(method)
        if not isinstance(call, ir.Call) or call.func is not method:
            return False
        if method.name in _NUMBERS or method.name in _CHOICES or method.name == "append":
            return True
        if method.name in _PAIRS:
            return self._pair(call)
        return method.name in self.methods and not method.name.endswith("_") and self.value(call)

    def _pair(self, call: ir.Call) -> bool:
        """Whether nothing learns from the values of a pair of values and places."""
        outer = self.uses.above(call)
        if isinstance(outer, ir.Subscript) and outer.value is call and isinstance(outer.index, ir.Constant):
            return outer.index.value == 1 or self.value(outer)
        if isinstance(outer, ir.Attribute) and outer.name in ("values", "indices"):
            return outer.name == "indices" or self.value(outer)
        if isinstance(outer, ir.Assign) and len(outer.targets) == 1 and isinstance(outer.targets[0], ir.Sequence):
            first, *others = outer.targets[0].items
            return len(others) == 1 and self._bound(outer, first)
        return self.value(call)

    def _bound(self, stmt: ir.Assign, target: ir.Expr) -> bool:
        """Whether nothing learns from what a statement binds to a target, or writes into a part of it."""
        if isinstance(target, ir.Subscript) and isinstance(target.value, ir.Name):
            return self._held(target.value)
        if not isinstance(target, ir.Name):
            return False
        if (stmt.id, target.name) in self.seen:
            return True
        self.seen.add((stmt.id, target.name))
        reads = self.uses.reached(stmt, target.name)
        unread = target.name == "_"
        return reads is not None and (unread or len(reads) > 0) and all(self.value(read) for read in reads)

    def _held(self, read: ir.Name) -> bool:
        """Whether nothing learns from what is put here into the list or tensor of a name."""
        scope = self.uses.local_scope(read.name, read)
        if not isinstance(scope, ir.FunctionDef):
            return False
        made = False
        for binding in self.uses.bindings(read.name, scope):
            stmt = self.uses.statement(binding)
            if not (isinstance(stmt, ir.Assign) and isinstance(binding, ir.Name)):
                return False  # the caller may have it too
            reads = self.uses.reached(stmt, read.name)
            if reads is None or (any(each is read for each in reads) and not self._bound(stmt, binding)):
                return False
            made = made or any(each is read for each in reads)
        return made


def _library_function(call: ir.Call) -> str | None:
    """The name of a function of torch that is called."""
    func = call.func
    if isinstance(func, ir.Attribute) and isinstance(func.value, ir.Name) and func.value.name in _LIBRARY:
        return func.name
    return None
