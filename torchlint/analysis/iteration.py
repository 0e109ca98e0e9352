"""What going over a value gives, and its item at a position."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from torchlint.analysis import attributes, containers, functions, shapes, unreduced
from torchlint.analysis.arguments import Args
from torchlint.analysis.values import (
    UNKNOWN,
    Const,
    Container,
    Function,
    Instance,
    Items,
    Shape,
    Size,
    Tensor,
    Tuple,
    Unknown,
    Value,
    alternatives,
    common_end,
    is_pending,
    join,
    later,
    union,
)

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


MAX_UNROLL = 8
"""Loops over this many known items are run item by item."""


def iterate(run: Interpreter, value: Value) -> tuple[Value, list[Value] | None]:
    """What going over a value gives: any item, and all of them in order if they are known."""
    parts = alternatives(value)
    if len(parts) == 1:
        return over_one(run, parts[0])
    # A list that a loop fills is empty before it: what it holds then is of no interest.
    filled = [part for part in parts if not (isinstance(part, Tuple) and not part.items)]
    return union([over_one(run, part)[0] for part in filled or parts]), None


def last_items(run: Interpreter, value: Value) -> tuple[Value, ...]:
    """What a list or tuple surely ends with, in order; nothing of what is none."""
    parts = _contents(run, value)
    return common_end(parts) if all(isinstance(part, (Tuple, Items)) for part in parts) else ()


def lists_in(run: Interpreter, value: Value) -> tuple[Tuple, ...]:
    """The items of a list or tuple, for each of its possibilities; nothing if they are not known of each."""
    parts = _contents(run, value)
    known = tuple(part for part in parts if isinstance(part, Tuple))
    return known if len(known) == len(parts) else ()


def _contents(run: Interpreter, value: Value) -> list[Value]:
    """The possibilities of a value, what a list holds in the place of the list."""
    parts: list[Value] = []
    for part in alternatives(value):
        if isinstance(part, Container) and part.kind != "dict":
            parts.extend(alternatives(containers.list_contents(run, part)))
        else:
            parts.append(part)
    return parts


def over_one(run: Interpreter, part: Value) -> tuple[Value, list[Value] | None]:
    """What going over one possibility gives."""
    if isinstance(part, Tuple):
        return (union(part.items) if part.items else UNKNOWN), list(part.items)
    if isinstance(part, Items):
        return part.element, None
    if isinstance(part, Size):
        shape = part.tensor.shape
        size = shapes.size_in(part.tensor)
        if shape is None or shape.open:
            return size, None
        return size, [Const(dim) if isinstance(dim, int) else size for dim in shape.dims]
    if isinstance(part, Container) and part.kind != "dict":
        return iterate(run, containers.list_contents(run, part))
    if isinstance(part, Container):
        keys = containers.dict_values(run, part)
        known = [Const(containers.literal(key)) for key in keys]
        complete = containers.ANY_KEY not in run.heap.read(part.id)
        return (union(known) if known and complete else UNKNOWN), (list(known) if complete else None)
    if isinstance(part, Tensor):
        return row_of(part), None
    if isinstance(part, Instance):
        return _iterate_instance(run, part)
    if isinstance(part, Unknown):
        return Unknown(part.reason, "batch", part.cause), None
    return UNKNOWN, None


def _iterate_instance(run: Interpreter, part: Instance) -> tuple[Value, list[Value] | None]:
    content = attributes.instance_cell(run, part).get(containers.ITEMS)
    if content is not None:
        return iterate(run, content)
    method = attributes.class_attribute(run, part.cls, "__iter__")
    if isinstance(method, Function):
        bound = Function(method.node, method.path, method.frame, part, method.owner)
        result = functions.call(run, bound, Args(), method.node)
        if not any(isinstance(p, Instance) for p in alternatives(result)):
            return iterate(run, result)
    return Unknown("item of an object", "batch"), None


def row_of(part: Tensor) -> Tensor:
    """What `tensor[i]` gives: the first dimension is gone."""
    shape = part.shape
    rest = None if shape is None or shape.open or not shape.dims else Shape(shape.dims[1:])
    kind = part.kind if part.dim != 0 else "unknown"
    per_sample = unreduced.after_picking(part, rest, first_stays=False)
    return msgspec.structs.replace(
        part, kind=kind, dim=None, shape=rest, squeezed=None, flattened=None, per_sample=per_sample, sum_of=None
    )


def item(run: Interpreter, value: Value, index: int) -> Value:
    """The item at a known position."""
    if is_pending(value):
        return later(lambda: item(run, union(alternatives(value)), index), value)
    out: list[Value] = []
    for part in alternatives(value):
        if isinstance(part, Size):
            dims = iterate(run, part)[1] or []
            out.append(dims[index] if -len(dims) <= index < len(dims) else shapes.size_in(part.tensor))
        elif isinstance(part, Tuple):
            inside = -len(part.items) <= index < len(part.items)
            out.append(part.items[index] if inside else UNKNOWN)
        elif isinstance(part, Items):
            out.append(_item_of(part, index))
        elif isinstance(part, Container) and part.kind != "dict":
            out.append(_item_of_list(run, part, index))
        elif isinstance(part, Unknown):
            # Another object: the items of something unknown are not the same value.
            out.append(Unknown(part.reason, part.source, part.cause))
        elif isinstance(part, Instance):
            found = attributes.instance_cell(run, part).get(containers.ITEMS)
            out.append(item(run, found, index) if found is not None else UNKNOWN)
        else:
            out.append(over_one(run, part)[0])
    return union(out)


def _item_of_list(run: Interpreter, part: Container, index: int) -> Value:
    out: list[Value] = []
    for content in alternatives(containers.list_contents(run, part)):
        if isinstance(content, Tuple):
            if -len(content.items) <= index < len(content.items):
                out.append(content.items[index])
        elif isinstance(content, Items):
            out.append(_item_of(content, index))
        else:
            out.append(UNKNOWN)
    return union(out) if out else UNKNOWN


def _item_of(part: Items, index: int) -> Value:
    return part.last[index] if -len(part.last) <= index < 0 else part.element


def take_out(run: Interpreter, container: Container, number: int | None) -> None:
    """Take the item at a position out of a list; None for one that is not known."""
    out: list[Value] = []
    for content in alternatives(containers.list_contents(run, container)):
        if isinstance(content, Tuple) and number is not None and -len(content.items) <= number < len(content.items):
            items = list(content.items)
            del items[number]
            out.append(Tuple(tuple(items)))
        elif isinstance(content, Items) and number == -1:
            out.append(Items(content.element, last=content.last[:-1]))
        else:
            out.append(Items(over_one(run, content)[0]))
    containers.set_contents(run, container, union(out))


def extend_list(run: Interpreter, left: Value, right: Value) -> bool:
    """`list += right`, in place; False if `left` is no list."""
    parts = alternatives(left) if not is_pending(left) else ()
    if len(parts) != 1 or not isinstance(parts[0], Container) or parts[0].kind == "dict":
        return False
    extend(run, parts[0], right)
    return True


def extend(run: Interpreter, container: Container, values: Value) -> None:
    """Put all items of a value at the end of a list."""
    element, known = iterate(run, values)
    if known is not None:
        containers.append(run, container, known)
        return
    before, _ = iterate(run, container)
    several = alternatives(containers.list_contents(run, container))
    empty = all(isinstance(part, Tuple) and not part.items for part in several)
    joined = element if empty else join(before, element)
    containers.set_contents(run, container, Items(joined, last=last_items(run, values)))


def added(run: Interpreter, op: str, left: Value, right: Value) -> Value | None:
    """`left + right` of two lists or tuples, `list * n`; None for anything else."""
    lefts, rights = alternatives(left), alternatives(right)
    if len(lefts) != 1 or len(rights) != 1:
        return None
    a, b = lefts[0], rights[0]
    sequences = [isinstance(p, Tuple) or (isinstance(p, Container) and p.kind != "dict") for p in (a, b)]
    if op == "+" and all(sequences):
        first, known_first = iterate(run, a)
        second, known_second = iterate(run, b)
        items = [*known_first, *known_second] if known_first is not None and known_second is not None else None
        if isinstance(a, Tuple) and items is not None:
            return Tuple(tuple(items))
        return containers.new_list(run, items, join(first, second), last_items(run, b))
    if op == "*" and sequences[0] and not isinstance(b, Tensor):
        return containers.new_list(run, None, iterate(run, a)[0])
    if any(sequences):
        return UNKNOWN
    return None
