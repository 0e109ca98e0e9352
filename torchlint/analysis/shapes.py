"""What operations do to shapes: one small rule for each `shape` of the contracts.

A rule gets the bound arguments and answers with a shape, or None where the code does not fix it. `[..., 1]` is a shape of
unknown rank whose last dimension is 1: what `nn.Linear(n, 1)` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from torchlint.analysis.values import (
    SEVERAL,
    VARIES,
    Const,
    Container,
    Dim,
    Items,
    Shape,
    Size,
    Tensor,
    Tuple,
    Value,
    alternatives,
    is_batch,
    is_number_of_actions,
    is_pending,
    join_shapes,
    only_constant,
)
from torchlint.contracts import Op


class Bound(msgspec.Struct, frozen=True, eq=False):
    """The arguments of an operation: the tensor, the positional ones after it, all of them by name; a layer's options apart."""

    op: Op
    name: str
    input: Value
    rest: Sequence[Value]
    named: Mapping[str, Value]
    options: Mapping[str, Value]

    def option(self, name: str, position: int = 0) -> Value | None:
        """An argument by name, or the positional one behind the tensor."""
        found = self.named.get(name)
        if found is None:
            found = self.options.get(name)
        if found is None and position < len(self.rest):
            found = self.rest[position]
        return found


def shape_of(value: Value | None) -> Shape | None:
    """The shape of a tensor value if all its possibilities agree, and no part of it is assumed."""
    shape = likely_shape(value)
    return None if shape is None or shape.assumed else shape


def likely_shape(value: Value | None) -> Shape | None:
    """The shape of a tensor value if all its possibilities agree, also an assumed one."""
    if value is None:
        return None
    shape: Shape | None = None
    for index, part in enumerate(alternatives(value)):
        if isinstance(part, Tensor):
            found = part.shape
        elif isinstance(part, Const) and isinstance(part.value, (int, float)):
            found = Shape(())
        else:
            return None
        shape = found if index == 0 else join_shapes(shape, found)
    return shape


def const_int(value: Value | None) -> int | None:
    """The integer that the code fixes, or None."""
    constant = only_constant(value)
    number = None if constant is None else constant.value
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def size_of(value: Value | None) -> Dim:
    """A size by which a layer is made: the number, SEVERAL where a setting decides on it, or None."""
    number = const_int(value)
    if number is not None or value is None or is_pending(value):
        return number
    return SEVERAL if all(is_number_of_actions(part) for part in alternatives(value)) else None


def is_true(value: Value | None) -> bool:
    """Whether a flag is certainly set."""
    return value is not None and all(isinstance(p, Const) and p.value is True for p in alternatives(value))


def broadcast(a: Shape | None, b: Shape | None) -> Shape | None:
    """The shape of an element-wise operation of both: a dimension that is certainly not 1 is never stretched."""
    if a is None or b is None:
        known = a if b is None else b
        return None if known is None else _broadcast_open(known, Shape((), True))
    if not a.dims and not a.open:
        return b
    if not b.dims and not b.open:
        return a
    if a.open or b.open:
        return a if a == b else _broadcast_open(a, b)
    short, long = sorted((a.dims, b.dims), key=len)
    padded: tuple[Dim, ...] = (1,) * (len(long) - len(short)) + short
    dims = tuple(_broadcast_dim(x, y) for x, y in zip(padded, long, strict=True))
    return Shape(dims, picked=a.picked or b.picked, assumed=a.assumed or b.assumed)


TWO_OR_MORE = Shape((None, None), True)
"""The shape of what has rows and columns at least, of which nothing else is known."""


def computed_with_column(left: Value, right: Value) -> Shape | None:
    """The shape of a batch's column [B, 1] and a tensor of unknown shape: both [B] and [B, 1] leave rows and columns."""
    shapes_of = [likely_shape(value) for value in (left, right)]
    if None not in shapes_of or len({*shapes_of}) == 1:
        return None
    known = left if shapes_of[1] is None else right
    column = likely_shape(known)
    assert column is not None
    rows = column.open and column.dims == (1,) and is_batch(known) and not column.assumed
    return TWO_OR_MORE if rows else None


def _broadcast_dim(x: Dim, y: Dim) -> Dim:
    if x == 1:
        return y
    if y == 1:
        return x
    return x if x == y else (x if y is None else y if x is None else None)


def _broadcast_open(a: Shape, b: Shape) -> Shape | None:
    """Of shapes one of which has any number of dimensions: the last ones of the result, as far as they are sure."""
    first, second = _row_varies(a), _row_varies(b)
    dims: list[Dim] = []
    for index in range(1, max(len(first), len(second)) + 1):
        x = first[-index] if index <= len(first) else None if a.open else 1
        y = second[-index] if index <= len(second) else None if b.open else 1
        dims.append(_broadcast_dim(x, y))
    while dims and dims[-1] is None:
        dims.pop()
    if not dims:
        return None
    return Shape(tuple(reversed(dims)), True, picked=a.picked or b.picked, assumed=a.assumed or b.assumed)


def _row_varies(shape: Shape) -> tuple[Dim, ...]:
    """The dimensions; the only one of a row is a batch's."""
    return (VARIES,) if shape.dims == (None,) and not shape.open else shape.dims


def apply(bound: Bound) -> Shape | None:
    """The shape that the operation gives."""
    rule = _RULES.get(bound.op.shape)
    return None if rule is None else rule(bound)


def sizes_of(values: Sequence[Value]) -> list[Dim] | None:
    """Sizes given one by one, or as one tuple; None where it is neither."""
    if len(values) == 1:
        parts = alternatives(values[0])
        if len(parts) == 1 and isinstance(parts[0], Size):
            shape = parts[0].tensor.shape
            return None if shape is None or shape.open else list(shape.dims)
        if len(parts) == 1 and isinstance(parts[0], Tuple):
            values = parts[0].items
        elif len(parts) != 1 or not (isinstance(parts[0], Const) and isinstance(parts[0].value, int)):
            return None if not _is_dimension(values[0]) else [None]
    sizes: list[Dim] = []
    for value in values:
        number = const_int(value)
        sizes.append(number if number is not None and number >= 0 else None)
    return sizes


def _is_dimension(value: Value) -> bool:
    return all(
        isinstance(part, Tensor) and part.dtype == "int" and part.shape == Shape(()) for part in alternatives(value)
    )


def _keep(bound: Bound) -> Shape | None:
    return likely_shape(bound.input)


def _like(bound: Bound) -> Shape | None:
    """`zeros_like(x)` has the shape of x, `x.view_as(other)` that of the other."""
    return likely_shape(bound.named.get("other", bound.input))


def _broadcast(bound: Bound) -> Shape | None:
    other = bound.rest[0] if bound.rest else None
    if other is None:
        return None
    return broadcast(likely_shape(bound.input), likely_shape(other))


def _squeeze(bound: Bound) -> Shape | None:
    shape = likely_shape(bound.input)
    wanted = bound.option("dim")
    if shape is None:
        return None
    if wanted is None and shape == TWO_OR_MORE:
        return None
    if wanted is None:
        return msgspec.structs.replace(shape, dims=tuple(dim for dim in shape.dims if dim != 1), picture=0)
    if shape.open and shape.dims == (1,) and const_int(wanted) == 1 and is_batch(bound.input):
        return Shape((VARIES,), assumed=True)
    return _without(shape, const_int(wanted), only_ones=True)


def _without(shape: Shape, dim: int | None, only_ones: bool = False) -> Shape | None:
    if dim is None:
        return None
    if dim < 0:
        dim += len(shape.dims)
    elif shape.open:
        # Wherever the dimension stands among these, it is none that `squeeze()` takes away.
        return shape if only_ones and not {1, None, VARIES} & {*shape.dims} else None
    if not 0 <= dim < len(shape.dims):
        return None
    if only_ones and shape.dims[dim] not in (1, None, VARIES):
        return shape
    return msgspec.structs.replace(shape, dims=shape.dims[:dim] + shape.dims[dim + 1 :])


def _unsqueeze(bound: Bound) -> Shape | None:
    shape = likely_shape(bound.input)
    dim = const_int(bound.option("dim"))
    if dim is None:
        return None
    if shape is None:
        if dim == 1:
            return Shape((VARIES if is_batch(bound.input) else None, 1), assumed=True)
        return Shape((1,), True) if dim == -1 else None
    if dim < 0:
        dim += len(shape.dims) + 1
    elif shape.open:
        return None
    if not 0 <= dim <= len(shape.dims):
        return None
    return msgspec.structs.replace(shape, dims=(*shape.dims[:dim], 1, *shape.dims[dim:]))


def _view(bound: Bound) -> Shape | None:
    values: Sequence[Value] = bound.rest
    if not values:
        found = bound.named.get("shape") or bound.named.get("size")
        if found is None:
            return None
        values = (found,)
    sizes = sizes_of(values)
    return None if sizes is None else Shape(tuple(sizes))


def _flatten(bound: Bound) -> Shape | None:
    start, end = bound.option("start_dim", 0), bound.option("end_dim", 1)
    if end is not None and const_int(end) != -1:
        return None
    # The layer leaves the batch as it is.
    first = int(bound.op.id == "flatten_layer") if start is None else const_int(start)
    if first is None or first < 0:
        return None
    shape = shape_of(bound.input)
    if shape is not None and shape.rank is not None:
        if shape.rank <= first + 1:
            return shape
        return Shape((*shape.dims[:first], None))
    return Shape((None,) * (first + 1))


def _permute(bound: Bound) -> Shape | None:
    shape = shape_of(bound.input)
    if not bound.rest and "dims" not in bound.named and bound.name.startswith("numpy."):
        return None if shape is None or shape.open else Shape(tuple(reversed(shape.dims)))
    order = sizes_of(bound.rest or tuple(v for k, v in bound.named.items() if k in ("dims", "dim")))
    if shape is None or shape.open or order is None or len(order) != len(shape.dims):
        return Shape((None,) * len(order)) if order is not None and shape is None else None
    places = [dim for dim in order if isinstance(dim, int) and dim < len(shape.dims)]
    if len(places) < len(order):
        return Shape((None,) * len(order))
    return Shape(tuple(shape.dims[dim] for dim in places))


def _transpose(bound: Bound) -> Shape | None:
    shape = shape_of(bound.input)
    if shape is None or shape.open:
        return None
    a, b = const_int(bound.option("dim0", 0)), const_int(bound.option("dim1", 1))
    if a is None or b is None:
        a, b = (0, 1) if not bound.rest and shape.rank == 2 else (None, None)
    if a is None or b is None or not all(-len(shape.dims) <= dim < len(shape.dims) for dim in (a, b)):
        return None
    dims = list(shape.dims)
    dims[a], dims[b] = dims[b], dims[a]
    return Shape(tuple(dims))


def _linear(bound: Bound) -> Shape | None:
    out = size_of(bound.options.get("out_features"))
    if not bound.options:
        return None
    # The rank is not worth running the whole network in front of the layer.
    shape = None if is_pending(bound.input) else shape_of(bound.input)
    if shape is None or not shape.dims:
        return Shape((out,), True)
    return Shape((*shape.dims[:-1], out), shape.open)


def _conv(bound: Bound) -> Shape | None:
    out = const_int(bound.options.get("out_channels"))
    spatial = next((int(char) for char in bound.name if char in "123"), None)
    if not bound.options or spatial is None:
        return None
    return Shape((None, out, *((1,) * spatial if _keeps_one_place(bound, spatial) else (None,) * spatial)))


def _keeps_one_place(bound: Bound, spatial: int) -> bool:
    """Whether a picture of one place is looked at, one place at a time."""
    steps = [bound.options.get(name) for name in ("kernel_size", "stride")]
    if bound.options.get("padding") is not None or not all(
        _is_one(step, spatial) for step in steps if step is not None
    ):
        return False
    shape = None if steps[0] is None or is_pending(bound.input) else shape_of(bound.input)
    return shape is not None and shape.rank == spatial + 2 and set(shape.dims[2:]) == {1}


def _is_one(size: Value, spatial: int) -> bool:
    """Whether a size is 1, in every direction."""
    return const_int(size) == 1 or sizes_of([size]) == [1] * spatial


def _reduce(bound: Bound) -> Shape | None:
    dim = bound.option("dim", 0)
    if dim is None:
        dim = bound.named.get("axis")
    if dim is None:
        return Shape(())
    if all(isinstance(part, Tensor) and part.dtype != "int" for part in alternatives(dim)):  # `torch.min(a, b)`
        return broadcast(likely_shape(bound.input), likely_shape(dim))
    shape, number = shape_of(bound.input), const_int(dim)
    if bound.op.id == "max" and number == 1 and (shape is None or shape.open) and is_batch(bound.input):
        wide = keeps_dimension(bound)
        return Shape((VARIES, 1) if wide else (VARIES,), picked=True, assumed=True)
    if shape is None:
        return None
    if keeps_dimension(bound):
        if number is None or (number >= 0 and shape.open) or not -len(shape.dims) <= number < len(shape.dims):
            return None
        dims = list(shape.dims)
        dims[number] = 1
        return Shape(tuple(dims), shape.open)
    return _without(shape, number)


def keeps_dimension(bound: Bound) -> bool:
    """Whether the dimension that an operation takes together certainly stays, with a size of 1."""
    return is_true(bound.option("keepdim", 1)) or is_true(bound.named.get("keepdims"))


def _select(bound: Bound) -> Shape | None:
    shape = shape_of(bound.input)
    return None if shape is None else _without(shape, const_int(bound.option("dim", 0)))


def _gather(bound: Bound) -> Shape | None:
    shape = likely_shape(bound.option("index", 1))
    if shape is None:
        return None
    return msgspec.structs.replace(shape, picked=const_int(bound.option("dim", 0)) == 1)


def _cat(bound: Bound) -> Shape | None:
    shapes = _shapes_in(bound.input)
    dim = const_int(bound.option("dim", 0)) if bound.option("dim", 0) is not None else 0
    each = _shape_of_any(bound.input)
    if each is not None and dim is not None and not each.open and -len(each.dims) <= dim < len(each.dims):
        dim %= len(each.dims)
        return Shape((*each.dims[:dim], None, *each.dims[dim + 1 :]))
    if not shapes or dim is None or any(shape is None or shape.open for shape in shapes):
        return None
    first = shapes[0]
    if first is None or any(shape is None or shape.rank != first.rank for shape in shapes):
        return None
    if not -len(first.dims) <= dim < len(first.dims):
        return None
    dim %= len(first.dims)
    joined: Shape | None = first
    for shape in shapes[1:]:
        joined = join_shapes(joined, shape)
    if joined is None:
        return None
    sizes = [shape.dims[dim] for shape in shapes if shape is not None]
    known = [size for size in sizes if isinstance(size, int)]
    total = sum(known) if len(known) == len(sizes) else None
    return Shape((*joined.dims[:dim], total, *joined.dims[dim + 1 :]))


def _stack(bound: Bound) -> Shape | None:
    shapes = _shapes_in(bound.input)
    dim = const_int(bound.option("dim", 0)) if bound.option("dim", 0) is not None else 0
    each = _shape_of_any(bound.input)
    if each is not None and dim == 0 and not each.open:
        return Shape((None, *each.dims))
    if not shapes or dim is None or any(shape is None or shape.open for shape in shapes):
        return None
    joined = shapes[0]
    for shape in shapes[1:]:
        joined = join_shapes(joined, shape)
    if joined is None:
        return None
    if dim < 0:
        dim += len(joined.dims) + 1
    if not 0 <= dim <= len(joined.dims):
        return None
    return Shape((*joined.dims[:dim], len(shapes), *joined.dims[dim:]), joined.open)


def _shapes_in(value: Value) -> list[Shape | None]:
    parts = alternatives(value)
    if len(parts) == 1 and isinstance(parts[0], Tuple):
        return [shape_of(item) for item in parts[0].items]
    return []


def _shape_of_any(value: Value) -> Shape | None:
    """The shape of each of any number of tensors."""
    parts = alternatives(value)
    return shape_of(parts[0].element) if len(parts) == 1 and isinstance(parts[0], Items) else None


def _matmul(bound: Bound) -> Shape | None:
    a, b = shape_of(bound.input), shape_of(bound.rest[0] if bound.rest else None)
    if b is None or b.open or len(b.dims) < 2:
        return None
    if a is None or a.open or len(a.dims) < 2:
        return Shape((b.dims[-1],), True)
    lead = a.dims[:-1] if len(a.dims) >= len(b.dims) else (*b.dims[:-2], a.dims[-2])
    return Shape((*lead, b.dims[-1]))


def _bmm(bound: Bound) -> Shape | None:
    a, b = likely_shape(bound.input), shape_of(bound.rest[0] if bound.rest else None)
    rows: Dim = None
    if a is not None and a.assumed:
        rows = 1 if a.dims == (VARIES, 1) else None  # `x.unsqueeze(1)`, which has three dimensions here
    elif a is not None and len(a.dims) >= 2:
        rows = a.dims[-2]
    columns = b.dims[-1] if b is not None and b.dims else None
    return Shape((None, rows, columns))


def _full(bound: Bound) -> Shape | None:
    values = (bound.input, *bound.rest)
    if bound.op.params[0] == "shape" or (bound.op.functions and bound.op.functions[0].endswith("full")):
        values = values[:1]
    sizes = sizes_of(values)
    return None if sizes is None else Shape(tuple(sizes))


def _places(bound: Bound) -> Shape | None:
    """Pictures with as many channels as before, at other places; one place is left where a pool is asked for one."""
    shape = shape_of(bound.input)
    spatial = next((int(char) for char in bound.name if char in "123"), None)
    if shape is None or shape.open:
        return None
    if len(shape.dims) < 3 or (spatial is not None and len(shape.dims) != spatial + 2):
        return None
    wanted = bound.option("output_size") if bound.op.id.startswith("adaptive") else None
    sizes = [const_int(wanted)] if wanted is not None and const_int(wanted) is not None else None
    if wanted is not None and sizes is None:
        sizes = sizes_of([wanted])  # type: ignore[assignment]
    places: Sequence[Dim] = (None,) * (len(shape.dims) - 2)
    if sizes is not None and len(sizes) in (1, len(places)):
        places = tuple(sizes) if len(sizes) == len(places) else tuple(sizes) * len(places)
    return Shape((*shape.dims[:2], *places))


def _line(bound: Bound) -> Shape | None:
    """One dimension, whose size depends on numbers that rarely matter."""
    return Shape((None,))


def _sized(bound: Bound) -> Shape | None:
    """The sizes are given by the name `size`, or as the last of the positional arguments."""
    size = bound.named.get("size")
    if size is None and bound.rest:
        size = bound.rest[-1]
        if not isinstance(alternatives(size)[0], (Tuple, Size, Container)):
            return None
    sizes = None if size is None else sizes_of([size])
    return None if sizes is None else Shape(tuple(sizes))


def _table(bound: Bound) -> Shape | None:
    """Rows and columns, unless something else than one table is asked for."""
    return Shape((None, None)) if _NO_TABLE.isdisjoint(bound.named) else None


_NO_TABLE = frozenset(("chunksize", "iterator", "squeeze", "sheet_name"))


def piece(bound: Bound) -> Shape | None:
    """The shape of each of the parts that a tensor is cut into."""
    shape = shape_of(bound.input)
    given = bound.option("dim", 1 if bound.op.id != "unbind" else 0)
    dim = 0 if given is None else const_int(given)
    if shape is None or dim is None or (shape.open and dim >= 0) or not -len(shape.dims) <= dim < len(shape.dims):
        return None
    if bound.op.id == "unbind":
        return _without(shape, dim)
    name = "chunks" if bound.op.id == "chunk" else "split_size_or_sections"
    number, whole = const_int(bound.option(name, 0)), shape.dims[dim]
    size: Dim = None
    if number and isinstance(whole, int) and whole % number == 0:
        size = whole // number if bound.op.id == "chunk" else number
    dims = list(shape.dims)
    dims[dim] = size
    return Shape(tuple(dims), shape.open)


def _scalar(bound: Bound) -> Shape | None:
    return Shape(())


def _one_hot(bound: Bound) -> Shape | None:
    shape = shape_of(bound.input)
    if shape is None:
        return None
    return Shape((*shape.dims, const_int(bound.option("num_classes"))), shape.open)


def _rows(bound: Bound) -> Shape | None:
    shape = shape_of(bound.input)
    if shape is None:
        return None
    return Shape((*shape.dims, const_int(bound.options.get("embedding_dim"))), shape.open)


def _expand(bound: Bound) -> Shape | None:
    shape = shape_of(bound.input)
    sizes = sizes_of(bound.rest)
    if sizes is None:
        return None
    if shape is not None and not shape.open and len(shape.dims) == len(sizes):
        return Shape(tuple(new if new is not None else None for new in sizes))
    return Shape(tuple(sizes))


_RULES: dict[str, Callable[[Bound], Shape | None]] = {
    "keep": _keep,
    "like": _like,
    "broadcast": _broadcast,
    "squeeze": _squeeze,
    "unsqueeze": _unsqueeze,
    "view": _view,
    "flatten": _flatten,
    "permute": _permute,
    "transpose": _transpose,
    "expand": _expand,
    "linear": _linear,
    "conv": _conv,
    "reduce": _reduce,
    "select": _select,
    "gather": _gather,
    "cat": _cat,
    "stack": _stack,
    "matmul": _matmul,
    "bmm": _bmm,
    "full": _full,
    "scalar": _scalar,
    "one_hot": _one_hot,
    "rows": _rows,
    "places": _places,
    "row": _line,
    "sized": _sized,
    "table": _table,
}


DIMENSION = Tensor("class_index", shape=Shape(()), dtype="int", attached=False)
"""The size of a dimension."""

OWN_SIZE = msgspec.structs.replace(DIMENSION, batched=True)
"""The size of a dimension of a batch, the last and shorter one included: what is made with it is as long as the batch."""


def size_in(value: Value) -> Tensor:
    """A size of some dimension of a value."""
    return OWN_SIZE if is_batch(value) else DIMENSION


def is_size(value: Value) -> bool:
    """Whether a value is just the size of a dimension."""
    return value is DIMENSION or value is OWN_SIZE
