"""Whether a value is computed to be looked at only: printed, turned into a number, or dropped as it is.

What nothing learns from harms no training. As all of `usage`, this errs to the side of more uses: a name that is never read
may be read by somebody else.
"""

from __future__ import annotations

from collections.abc import Collection

from torchlint.analysis import ir
from torchlint.analysis.usage import Uses

_SHOW = frozenset(("print", "display", "repr", "str", "float", "int", "bool", "len", "type"))
_NUMBERS = frozenset(("item", "tolist", "size", "dim", "numel"))
"""Methods and attributes of a tensor whose result no gradient leads back from."""
_SIZES = frozenset(("shape", "dtype", "device", "ndim"))
_LIBRARY = frozenset(("torch", "F", "functional"))


def only_shown(uses: Uses, node: ir.Node, methods: Collection[str]) -> bool:
    """Whether nothing can learn from the value of this expression. `methods` are those of a tensor that give a tensor."""
    return _shown(uses, node, methods, set())


def _shown(uses: Uses, node: ir.Node, methods: Collection[str], seen: set[int]) -> bool:
    outer = uses.above(node)
    if isinstance(outer, (ir.ExprStmt, ir.Format, ir.Compare)):
        return True
    if isinstance(outer, (ir.Binary, ir.Unary)) or (isinstance(outer, ir.Subscript) and outer.value is node):
        return _shown(uses, outer, methods, seen)
    if isinstance(outer, ir.Attribute):
        return outer.name in _SIZES or _method_shows(uses, outer, methods, seen)
    if isinstance(outer, ir.Call) and outer.func is not node:
        func = outer.func
        if isinstance(func, ir.Name):
            return func.name in _SHOW
        if not (isinstance(func, ir.Attribute) and isinstance(func.value, ir.Name) and func.value.name in _LIBRARY):
            return False
        return func.name in methods and _shown(uses, outer, methods, seen)
    if isinstance(outer, ir.Assign) and len(outer.targets) == 1 and isinstance(outer.targets[0], ir.Name):
        if outer.id in seen:
            return True
        seen.add(outer.id)
        reads = uses.reached(outer, outer.targets[0].name)
        return reads is not None and len(reads) > 0 and all(_shown(uses, read, methods, seen) for read in reads)
    return False


def _method_shows(uses: Uses, method: ir.Attribute, methods: Collection[str], seen: set[int]) -> bool:
    """Whether what `x.method(...)` gives is only shown."""
    call = uses.above(method)
    if not isinstance(call, ir.Call) or call.func is not method:
        return False
    if method.name in _NUMBERS:
        return True
    return method.name in methods and not method.name.endswith("_") and _shown(uses, call, methods, seen)
