"""Expressions that are spelled alike: next to each other in one expression, they have one value."""

from __future__ import annotations

from typing import Any

import msgspec

from torchlint.analysis import ir


def alike(a: Any, b: Any) -> bool:
    """Whether two expressions, or parts of them, say the same."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, msgspec.Struct):
        fields = (field for field in a.__struct_fields__ if field != "id")
        return type(a) is type(b) and all(alike(getattr(a, field), getattr(b, field)) for field in fields)
    return type(a) is type(b) and bool(a == b)


def is_by_own_sum(node: ir.Node) -> bool:
    """Whether an expression divides another by a sum of the same, `x / x.sum(1)`, to which a number may be added."""
    if not isinstance(node, ir.Binary) or node.op != "/":
        return False
    whole = node.right
    if isinstance(whole, ir.Binary) and whole.op == "+" and isinstance(whole.right, ir.Constant):
        whole = whole.left
    if not isinstance(whole, ir.Call) or not isinstance(whole.func, ir.Attribute) or whole.func.name != "sum":
        return False
    return any(alike(node.left, each) for each in (whole.func.value, *(arg.value for arg in whole.args[:1])))
