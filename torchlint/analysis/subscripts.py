"""`value[...]` read, set and deleted: keys, positions and slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from torchlint.analysis import (
    arithmetic,
    arrays,
    attributes,
    builtin,
    containers,
    functions,
    ir,
    iteration,
    shapes,
    targets,
    unreduced,
)
from torchlint.analysis.arguments import Args
from torchlint.analysis.values import (
    ACTIONS,
    UNKNOWN,
    Class,
    Const,
    Container,
    Dim,
    Extern,
    Function,
    Instance,
    Items,
    Layer,
    Method,
    Sample,
    Shape,
    Size,
    Tensor,
    Tuple,
    Unknown,
    Value,
    alternatives,
    is_batch,
    is_pending,
    join,
    later,
    may_learn,
    union,
)
from torchlint.contracts import Kind

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


ANY_NAME = "<any>"
"""The name in a library's module of something that is chosen by its name while the program runs."""

ENVIRONMENT = "gymnasium.Env"
"""An environment for reinforcement learning that a setting chooses."""

_ABSENT = "absent"


def subscript(run: Interpreter, value: Value, node: ir.Subscript) -> Value:
    """`value[index]`."""
    index = node.index
    if isinstance(index, ir.Slice) or (isinstance(index, ir.Sequence) and index.kind == "tuple"):
        return sliced(run, value, index, node)
    key = run.eval(index)
    if is_pending(value):
        sources = () if _is_index(key) else (value,)
        found = later(lambda: _subscript(run, union(alternatives(value)), key, node), *sources)
        return msgspec.structs.replace(found, sample="row") if _counts(key) else found
    return _subscript(run, value, key, node)


def _subscript(run: Interpreter, value: Value, key: Value, node: ir.Subscript) -> Value:
    number = shapes.const_int(key) if not is_pending(key) else None
    value = _with_entry(run, value, key)
    return union([_subscript_one(run, part, key, number, node) for part in alternatives(value)])


def _with_entry(run: Interpreter, value: Value, key: Value) -> Value:
    """The possibilities that may have an entry under a name: a tensor has none, a dict with other keys has not this one."""
    parts = alternatives(value)
    if (
        len(parts) == 1
        or is_pending(key)
        or not all(isinstance(p, Const) and type(p.value) is str for p in alternatives(key))
    ):
        return value
    kept = [part for part in parts if not isinstance(part, Tensor) and not _lacks(run, part, key)]
    return union(kept) if 0 < len(kept) < len(parts) else value


def _lacks(run: Interpreter, part: Value, key: Value) -> bool:
    """Whether a value is a dict of known keys without this one."""
    if not isinstance(part, Container) or part.kind != "dict" or part.id in run.program.registries:
        return False
    name, entries = containers.key_of(key), run.heap.read(part.id)
    return name is not None and name not in entries and containers.ANY_KEY not in entries


def _subscript_one(run: Interpreter, part: Value, key: Value, number: int | None, node: ir.Subscript) -> Value:
    if isinstance(part, Container) and part.kind == "dict":
        return containers.read_key(run, part, key)
    if isinstance(part, (Tuple, Container, Size)):
        return iteration.item(run, part, number) if number is not None else iteration.iterate(run, part)[0]
    if isinstance(part, Instance):
        if containers.ITEMS in attributes.instance_cell(run, part):
            return iteration.item(run, part, number) if number is not None else iteration.iterate(run, part)[0]
        method = attributes.instance_attribute(run, part, "__getitem__", node)
        if isinstance(method, Function):
            return functions.call(run, method, Args([key]), node)
        return UNKNOWN
    if isinstance(part, (Tensor, Unknown)) and isinstance(key, Const) and key.value is None:
        return _sliced(run, part, (node.index,), (key,))
    if isinstance(part, Tensor):
        return _picked(part, key, number)
    if isinstance(part, Items):
        return part.element
    if isinstance(part, Unknown):
        sample: Sample = "row" if _counts(key) else None
        entry = Unknown(part.reason, "other" if _is_index(key) else part.source, part.cause, sample=sample)
        return run.program.taken(entry, part, repr(key.value)) if isinstance(key, Const) else entry
    if isinstance(part, Class):
        return part
    if isinstance(part, Method) and part.name == "__dict__":
        return builtin.looked_up(run, part.receiver, key, node)
    if isinstance(part, Extern):
        return _named(run, part, key)
    return UNKNOWN


def _named(run: Interpreter, part: Extern, key: Value) -> Value:
    """An entry of a library's module, `models.__dict__[name]`, or of a table of models that the contracts know."""
    if part.name == f"{ENVIRONMENT}.action_space.shape":
        return ACTIONS
    name = containers.key_of(key)
    entry = str(containers.literal(name[1:])) if name is not None else ANY_NAME
    if part.name.endswith(".__dict__"):
        return Extern(f"{part.name.removesuffix('.__dict__')}.{entry}")
    found = f"{part.name}.{entry}"
    return Extern(found) if run.contracts.layer(found) is not None else UNKNOWN


def _picked(part: Tensor, key: Value, number: int | None) -> Value:
    """`tensor[i]`, `tensor[mask]`, `tensor[indices]`: entries of it."""
    if part.holder == "pandas" and number is None and (found := arrays.column(part, key)) is not None:
        return found
    keys = alternatives(key)
    row = number is not None or all(isinstance(p, Tensor) and p.shape == Shape(()) for p in keys)
    if row:
        found = iteration.row_of(part)
        return msgspec.structs.replace(found, sample="row") if number is not None or _counts(key) else found
    kind = part.kind if part.dim != 0 else "unknown"
    origin = part if part.kind == "unknown" and part.origin is None else part.origin
    batched = part.batched and not _is_index(key)
    return msgspec.structs.replace(
        part, kind=kind, shape=None, squeezed=None, flattened=None, origin=origin, batched=batched, sum_of=None
    )


def _counts(key: Value) -> bool:
    """Whether a key is the number of a pass of a loop."""
    return not is_pending(key) and all(map(shapes.is_size, alternatives(key)))


def _is_index(key: Value) -> bool:
    """Whether a key picks rows by numbers that come with a batch: how many, the one who put the batch together knows.

    The ends of edges are such numbers. A sampler adds some that are not there to each one that is, so there never is one alone.
    """
    return not is_pending(key) and all(
        isinstance(part, Tensor) and part.batched and part.dtype != "bool" and part.shape != Shape(())
        for part in alternatives(key)
    )


def sliced(run: Interpreter, value: Value, index: ir.Expr, node: ir.Subscript) -> Value:
    """`value[a:b]`, `value[:, 0]`, `value[..., None]`."""
    parts = index.items if isinstance(index, ir.Sequence) else (index,)
    keys = [UNKNOWN if isinstance(p, (ir.Slice, ir.Dots)) else run.eval(p) for p in parts]
    if is_pending(value):
        return later(lambda: _sliced(run, union(alternatives(value)), parts, keys), value)
    return _sliced(run, value, parts, keys)


def _sliced(run: Interpreter, value: Value, parts: Sequence[ir.Expr], keys: Sequence[Value]) -> Value:
    out: list[Value] = []
    first = any(isinstance(key, Const) and key.value is None for key in keys[:1])
    for part in alternatives(value):
        if isinstance(part, Tensor):
            cut = _slice_tensor(part, parts, keys)
            out.append(msgspec.structs.replace(cut, sample="batch") if first else cut)
        elif len(parts) == 1 and isinstance(parts[0], ir.Slice):
            out.append(_slice_sequence(run, part, parts[0]))
        elif isinstance(part, Container) and part.kind == "dict":
            out.append(iteration.iterate(run, UNKNOWN)[0])
        elif isinstance(part, Unknown):
            out.append(Tensor(batched=is_batch(part), sample="batch" if first else part.sample, cause=part.cause))
        else:
            out.append(UNKNOWN)
    return union(out)


def _slice_sequence(run: Interpreter, part: Value, bounds: ir.Slice) -> Value:
    if isinstance(part, Unknown):
        return part
    if isinstance(part, Size):
        dims = iteration.iterate(run, part)[1]
        part = Tuple(tuple(dims)) if dims is not None else Items(shapes.DIMENSION)
    content = containers.list_contents(run, part) if isinstance(part, Container) and part.kind != "dict" else part
    items = alternatives(content)
    if len(items) == 1 and isinstance(items[0], Tuple):
        low, high, step = (_bound_of(run, edge) for edge in (bounds.lower, bounds.upper, bounds.step))
        if None not in (low, high, step):
            kept = items[0].items[_plain(low) : _plain(high) : _plain(step)]
            if isinstance(part, Container):
                container = containers.new_list(run, kept, UNKNOWN)
                return Container(container.id, part.kind)
            return Tuple(kept)
    element, _ = iteration.iterate(run, part)
    if isinstance(part, Container):
        container = containers.new_list(run, None, element)
        return Container(container.id, part.kind)
    return Items(element)


def _bound_of(run: Interpreter, node: ir.Expr | None) -> int | str | None:
    if node is None:
        return _ABSENT
    return shapes.const_int(run.eval(node))


def _plain(edge: int | str | None) -> int | None:
    return edge if isinstance(edge, int) else None


def _slice_tensor(part: Tensor, parts: Sequence[ir.Expr], keys: Sequence[Value]) -> Tensor:
    """Slices keep dimensions, integers take them away, None adds one; anything else leaves the shape open."""
    shape = part.shape
    whole = all(isinstance(p, ir.Slice) and p.lower is None and p.upper is None for p in parts)
    dims = _sliced_dims(shape, parts, keys)
    keeps_simplex = part.dim is not None and whole
    kind = part.kind
    if kind in ("simplex", "log_simplex") and not whole:
        kind = "probability" if kind == "simplex" else "log_probability"
    dim = part.dim if keeps_simplex else None
    column = shape is not None and not shape.open and len(shape.dims) == 2 and shape.dims[1] == 1
    one_each = column and dims is not None and dims.rank == 1
    first_stays = not parts or isinstance(parts[0], ir.Slice)
    return msgspec.structs.replace(
        part,
        kind=kind,
        dim=dim,
        shape=dims,
        squeezed=None,
        flattened=None,
        one_each=one_each,
        regrouped=None,
        per_sample=unreduced.after_picking(part, dims, first_stays),
        sum_of=None,
    )


def _sliced_dims(shape: Shape | None, parts: Sequence[ir.Expr], keys: Sequence[Value]) -> Shape | None:
    steps: list[str] = []
    for part, key in zip(parts, keys, strict=True):
        if isinstance(part, ir.Slice):
            steps.append("all" if part.lower is None and part.upper is None else "some")
        elif isinstance(part, ir.Dots):
            steps.append("...")
        elif isinstance(key, Const) and key.value is None:
            steps.append("new")
        elif (isinstance(key, Const) and isinstance(key.value, (int, str))) or (
            isinstance(key, Tensor) and key.dtype == "int" and key.shape == Shape(())
        ):
            steps.append("one")
        else:
            return None
    if shape is None or shape.open:
        if steps == ["...", "new"]:
            return Shape((*(shape.dims if shape else ()), 1), True)
        if steps == ["all", "new"] and shape is None:
            return None
        return None
    taken = sum(step in ("all", "some", "one") for step in steps)
    dims: list[Dim] = []
    position = 0
    for step in steps:
        if step == "new":
            dims.append(1)
        elif step == "...":
            rest = len(shape.dims) - taken
            dims.extend(shape.dims[position : position + rest])
            position += rest
        else:
            if position >= len(shape.dims):
                return None
            if step == "all":
                dims.append(shape.dims[position])
            elif step == "some":
                dims.append(None)
            position += 1
    return Shape((*dims, *shape.dims[position:]))


def set_item(run: Interpreter, target: ir.Subscript, value: Value) -> None:
    """`container[index] = value`."""
    owner = run.eval(target.value)
    key = UNKNOWN if isinstance(target.index, ir.Slice) else run.eval(target.index)
    for part in alternatives(owner):
        if isinstance(part, Container) and part.kind == "dict":
            containers.write_key(run, part, key, value)
        elif isinstance(part, Container):
            _set_list_item(run, part, key, value)
        elif isinstance(part, Method) and isinstance(part.receiver, Layer) and part.receiver.cell:
            # `model.classifier[6] = ...`: which of the layers it is, and what comes behind it, is not known.
            if not (isinstance(value, Layer) and value.op.gives == "raw"):
                run.heap.write(part.receiver.cell)[part.name] = UNKNOWN
        elif isinstance(part, Unknown) and isinstance(target.value, ir.Name) and isinstance(key, Const):
            # An unknown mapping of which one entry is known from here on.
            targets.assign(run, target.value, containers.new_dict(run, [(UNKNOWN, part), (key, value)]))
        elif isinstance(part, Tensor) and isinstance(target.value, (ir.Name, ir.Attribute)):
            targets.assign(run, target.value, _overwritten(part, value, _may_clip(run, target.index, value)))


def delete_item(run: Interpreter, target: ir.Subscript) -> None:
    """`del container[index]`."""
    key = UNKNOWN if isinstance(target.index, ir.Slice) else run.eval(target.index)
    number = shapes.const_int(key)
    for part in alternatives(run.eval(target.value)):
        if not isinstance(part, Container):
            continue
        if part.kind == "dict":
            run.heap.write(part.id).pop(containers.key_of(key) or "", None)
            continue
        iteration.take_out(run, part, number)


def _may_clip(run: Interpreter, index: ir.Expr, value: Value) -> bool:
    """Whether entries set to a number may be all those below 0, or above 1: `x[x < 0] = 0` is a clamp by hand.

    A number outside [0, 1] is none, nor are entries at fixed places, or that equal another or lie beyond one far from it.
    """
    number = arithmetic.number_in(value)
    if number is None or not 0 <= number <= 1:
        return number is None
    places = index.items if isinstance(index, ir.Sequence) else (index,)
    if all(isinstance(place, (ir.Slice, ir.Dots, ir.Constant)) for place in places):
        return False
    if not isinstance(index, ir.Compare) or len(index.ops) != 1:
        return True
    right = index.rights[0]
    limit = None if isinstance(right, ir.Call) else arithmetic.number_in(run.eval(right))
    return limit is None or (index.ops[0] != "==" and 0 <= limit <= 1)


def _overwritten(part: Tensor, value: Value, clipped: bool) -> Value:
    """A tensor some entries of which were set: the kind stays only if the entries are of the same kind.

    Scores that a mask sets to a number, and does not clip, are scores as before.
    """
    news = alternatives(value)
    first = news[0]
    if part.blank and part.kind == "unknown" and isinstance(first, Tensor) and first.kind != "unknown":
        # Zeros or ones to be filled: what was not set is 0 or 1, which any kind may hold.
        filled: Kind = "probability" if first.kind == "simplex" else first.kind
        part = msgspec.structs.replace(
            part, kind=filled, activation=first.activation, attached=first.attached, trail=first.trail
        )
    same = (
        part.kind == "raw"
        if not clipped
        else all(isinstance(new, Tensor) and new.kind in (part.kind, "simplex") for new in news)
    )
    kind = part.kind if same else "unknown"
    attached = part.attached or may_learn(value)
    return msgspec.structs.replace(
        part, kind=kind, blank=same and part.blank, dim=None, origin=None, attached=attached, sum_of=None
    )


def _set_list_item(run: Interpreter, part: Container, key: Value, value: Value) -> None:
    number = shapes.const_int(key)
    out: list[Value] = []
    for content in alternatives(containers.list_contents(run, part)):
        if isinstance(content, Tuple) and number is not None and -len(content.items) <= number < len(content.items):
            items = list(content.items)
            items[number] = value
            out.append(Tuple(tuple(items)))
        elif isinstance(content, Tuple):
            out.append(Items(union((*content.items, value))))
        elif isinstance(content, Items):
            out.append(Items(join(content.element, value)))
        else:
            out.append(content)
    containers.set_contents(run, part, union(out))
