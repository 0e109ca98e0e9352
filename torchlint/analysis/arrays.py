"""Arrays of NumPy, tables of pandas, pictures: what their methods do to the shapes and types that torch gets to see in the end.

An array is a Tensor of another `holder`, which nothing learns from. Most of its methods are those of torch by name and by what
they do; here are the others. Of a table, the columns that are picked by name and the arrays made of them are known, of a picture
how many colours it has, where that is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from torchlint.analysis import dtypes, ir, operate, shapes
from torchlint.analysis.arguments import Args
from torchlint.analysis.values import (
    Const,
    Container,
    Dim,
    Extern,
    Holder,
    Shape,
    Tensor,
    Tuple,
    Unknown,
    Value,
    alternatives,
)

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


def method(run: Interpreter, receiver: Tensor, name: str, args: Args, node: ir.Node) -> Value | None:
    """What a method of an array or a table gives; None where torch's method of this name does the same."""
    known = _METHODS[receiver.holder].get(name)
    if known is not None:
        return known(run, receiver, args)
    op = run.contracts.op_methods.get(name)
    if receiver.holder in ("pandas", "pillow") or (op is None and name not in ("item", "tolist", "numpy", "size")):
        return Unknown(f"result of {name}", "batch" if receiver.batched else "other")
    if op is not None and op.items == "values_indices":
        values = msgspec.structs.replace(op, items="")
        bound = operate.bind(values, f".{name}()", [receiver, *args.positional], args.keywords, {})
        return operate.apply(run, bound, node)
    return None


def attribute(part: Tensor, name: str) -> Value | None:
    """`table.values`, `table.iloc`."""
    if part.holder == "pandas" and name == "values":
        return msgspec.structs.replace(part, holder="numpy")
    return part if part.holder == "pandas" and name in ("iloc", "loc") else None


def column(part: Tensor, key: Value) -> Tensor | None:
    """`table["name"]`, `table[["a", "b"]]`, and the entry of a row under a name; None where the key is none of these."""
    parts = alternatives(key)
    if part.holder != "pandas" or part.shape is None or part.shape.rank is None:
        return None
    dims: Shape | None = None
    if all(isinstance(each, Const) and isinstance(each.value, str) for each in parts):
        dims = Shape(part.shape.dims[:-1])
    elif all(isinstance(each, Container) and each.kind == "list" for each in parts) and part.shape.rank > 1:
        dims = Shape((None, None))
    return msgspec.structs.replace(part, shape=dims)


def _same(run: Interpreter, receiver: Tensor, args: Args) -> Value:
    return receiver


def _some_rows(run: Interpreter, receiver: Tensor, args: Args) -> Value:
    shape = receiver.shape
    dims = None if shape is None else Shape((None,) * len(shape.dims), shape.open)
    return msgspec.structs.replace(receiver, shape=dims)


def _astype(run: Interpreter, receiver: Tensor, args: Args) -> Value:
    asked = args.get("dtype", 0)
    return msgspec.structs.replace(receiver, dtype="unknown" if asked is None else dtypes.dtype_of(asked))


def _to_numpy(run: Interpreter, receiver: Tensor, args: Args) -> Value:
    return msgspec.structs.replace(receiver, holder="numpy")


def _transposed(run: Interpreter, receiver: Tensor, args: Args) -> Value:
    """`array.transpose(2, 0, 1)`, or with the order as a tuple; without one the dimensions are turned round."""
    shape = receiver.shape
    dims: Shape | None = None
    order = shapes.sizes_of(args.positional) if args.positional else None
    if order is not None:
        dims = Shape((None,) * len(order))
        if (
            shape is not None
            and shape.rank == len(order)
            and all(isinstance(at, int) and at < len(order) for at in order)
        ):
            dims = Shape(tuple(shape.dims[at] for at in order if isinstance(at, int)))
    elif not args.positional and shape is not None and not shape.open:
        dims = Shape(tuple(reversed(shape.dims)))
    return msgspec.structs.replace(receiver, shape=dims, dim=None)


def reshaped(part: Tensor, sizes: list[Dim] | None) -> Tensor:
    """An array that is given another shape in place."""
    shape = None if sizes is None else Shape(tuple(sizes))
    return msgspec.structs.replace(part, shape=shape, squeezed=None, flattened=None, dim=None)


def _popped(run: Interpreter, receiver: Tensor, args: Args) -> Value:
    return column(receiver, args.first()) or Unknown("result of pop")


def _converted(run: Interpreter, receiver: Tensor, args: Args) -> Value:
    return picture(args) or Unknown("result of convert")


def _resized_array(run: Interpreter, receiver: Tensor, args: Args) -> Value:
    return reshaped(receiver, shapes.sizes_of(args.positional) if args.positional else None)


IN_PLACE = frozenset(("resize",))
"""Methods of an array that change it, though torch's of the same name would not."""

_METHODS: dict[str, dict[str, Callable[[Interpreter, Tensor, Args], Value]]] = {
    "numpy": {"astype": _astype, "copy": _same, "transpose": _transposed, "resize": _resized_array},
    "pandas": {
        "astype": _astype,
        "to_numpy": _to_numpy,
        "pop": _popped,
        **dict.fromkeys(("copy", "fillna"), _same),
        **dict.fromkeys(("drop", "dropna", "sample", "head", "tail", "sort_values"), _some_rows),
    },
    "pillow": {
        "convert": _converted,
        **dict.fromkeys(("resize", "crop", "rotate", "transpose", "copy", "filter"), _same),
    },
}


_MODES = {"1": 1, "L": 1, "P": 1, "I": 1, "F": 1, "RGB": 3, "YCbCr": 3, "HSV": 3, "RGBA": 4}
"""How many colours the modes of Pillow have."""


def picture(args: Args) -> Tensor | None:
    """`image.convert("L")`: a picture of which it is known how many colours it has."""
    mode = args.get("mode", 0)
    parts = () if mode is None else alternatives(mode)
    colours = {
        _MODES.get(part.value) if isinstance(part, Const) and isinstance(part.value, str) else None for part in parts
    }
    return None if len(colours) != 1 or None in colours else _of_colours(colours.pop() or 1, "pillow")


def _of_colours(count: int, holder: Holder) -> Tensor:
    """A picture: the colours come last, and a single one has no dimension of its own."""
    dims = (None, None) if count == 1 else (None, None, count)
    return Tensor(shape=Shape(dims), attached=False, holder=holder)


def _opened(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """`PIL.Image.open(path)`: the file decides how many colours there are."""
    return _any_colours("pillow")


def _read_picture(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """`imageio.imread(path)`, as it is in the file."""
    return _any_colours("numpy") if len(args.positional) == 1 and not args.keywords else Unknown("result of imread")


def _any_colours(holder: Holder) -> Tensor:
    return Tensor(shape=Shape((), True, picture=2), attached=False, holder=holder)


def _imread(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """`cv2.imread(path, flags)`."""
    flags = args.get("flags", 1)
    parts = () if flags is None else alternatives(flags)
    named = {part.name.rpartition(".")[2] if isinstance(part, Extern) else shapes.const_int(part) for part in parts}
    if not named or named <= {1, "IMREAD_COLOR"}:
        return _of_colours(3, "numpy")
    return _of_colours(1, "numpy") if named <= {0, "IMREAD_GRAYSCALE"} else Unknown("result of cv2.imread")


def _resized(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """`cv2.resize(picture, size)`; a last dimension of a single colour would be dropped."""
    parts = alternatives(args.first())
    part = parts[0] if len(parts) == 1 else None
    shape = part.shape if isinstance(part, Tensor) else None
    if not isinstance(part, Tensor) or shape is None or shape.open or shape.dims[2:] not in ((), (3,), (4,)):
        return Unknown("result of cv2.resize")
    return msgspec.structs.replace(part, shape=Shape((None, None, *shape.dims[2:])))


def _split(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """`train_test_split(X, y)`: of each array the rows for training and the others."""
    pieces: list[Value] = []
    for value in args.positional:
        parts = alternatives(value)
        one = parts[0] if len(parts) == 1 else None
        piece = value
        if isinstance(one, Tensor):
            rows = one.shape
            dims = None if rows is None or not rows.dims or rows.open else Shape((None, *rows.dims[1:]))
            piece = msgspec.structs.replace(one, shape=dims)
        pieces += [piece, piece]
    return Tuple(tuple(pieces))


def _made_up(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """A made-up data set: rows of features, and a number for each of them."""
    if not {"n_targets", "coef", "return_centers"}.isdisjoint(args.keywords):
        return Unknown("made-up data")
    features = Tensor(shape=Shape((None, None)), dtype="float", attached=False, holder="numpy")
    return Tuple((features, Tensor(shape=Shape((None,)), attached=False, holder="numpy")))


FUNCTIONS: dict[str, Callable[[Interpreter, Args, ir.Node], Value]] = {
    "sklearn.model_selection.train_test_split": _split,
    "cv2.imread": _imread,
    "PIL.Image.open": _opened,
    "imageio.imread": _read_picture,
    "skimage.io.imread": _read_picture,
    "cv2.resize": _resized,
    **{
        f"sklearn.datasets.make_{name}": _made_up
        for name in ("regression", "classification", "blobs", "moons", "circles")
    },
}
