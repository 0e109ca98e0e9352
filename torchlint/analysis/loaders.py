"""Data sets and loaders: what a batch holds, out of what one item is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from torchlint.analysis import attributes, containers, functions, invoke, ir, iteration, shapes
from torchlint.analysis.arguments import Args
from torchlint.analysis.values import (
    AN_INT,
    UNKNOWN,
    Const,
    Container,
    Function,
    Instance,
    Items,
    Lazy,
    Shape,
    Tensor,
    Tuple,
    Unknown,
    Value,
    alternatives,
    is_pending,
    number_type,
    union,
)
from torchlint.contracts import DataSet

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


def _tensor_dataset(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """A data set of the rows of tensors, whose number the first one tells."""
    first = None if is_pending(args.first()) else shapes.shape_of(args.first())
    count = first.dims[0] if first is not None and first.dims and not first.open else None
    rows = Tuple(tuple(iteration.iterate(run, value)[0] for value in args.positional))
    return Items(rows, count if isinstance(count, int) else None)


def _loader(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """Batches of a data set's items, which are computed when one is needed."""
    dataset = args.get("dataset", 0)
    if dataset is None:
        return Unknown("batch of a loader", "batch")
    full = run.program.full_batches
    frame, collate, size = run.frame, args.get("collate_fn", _COLLATE), _batch_size(run, dataset, args)

    full[frame.path] = full.get(frame.path, True) and size is not None
    if _may_drop(args.get("drop_last", _DROP_LAST)):
        run.program.dropping |= run.frame.files()

    def compute() -> Value:
        with run.enter(frame):
            item = sample(run, dataset, node)
            if collate is None or (isinstance(collate, Const) and collate.value is None):
                return union([collated(run, part, size) for part in alternatives(item)])
            samples = containers.new_list(run, None, item)
            return _batched(run, invoke.call(run, collate, Args([samples]), node))

    if isinstance(dataset, Items):
        return Items(compute())
    return Items(Lazy(compute, [], True))


def _batch_size(run: Interpreter, dataset: Value, args: Args) -> int | None:
    """The size of the batches if the code fixes it, and no batch of one comes at the end."""
    given = args.get("batch_size", 1)
    size, dropped = None if given is None else shapes.const_int(given), args.get("drop_last", _DROP_LAST)
    if size is None or size < 2 or "batch_sampler" in args.keywords:  # a batch of one is what it is about
        return None
    if dropped is not None and shapes.is_true(dropped):
        return size
    rows = None if is_pending(dataset) or args.get("sampler", _SAMPLER) is not None else _rows_of(dataset)
    return size if rows is not None and rows >= size and rows % size != 1 else None


def _may_drop(dropped: Value | None) -> bool:
    """Whether a loader leaves out the last, short batch, or does so under a condition: who wrote that has thought of it."""
    return dropped is not None and any(
        part.dtype == "bool" if isinstance(part, Tensor) else isinstance(part, Const) and part.value is True
        for part in alternatives(dropped)
    )


def _rows_of(dataset: Value) -> int | None:
    """How many rows a data set of tensors has, if the code fixes it."""
    parts = alternatives(dataset)
    rows = parts[0] if len(parts) == 1 else None
    return rows.count if isinstance(rows, Items) else None


def pictures(run: Interpreter, known: DataSet, args: Args) -> Value:
    """A data set of a library: pictures, each with the number of its class."""
    label: Value = UNKNOWN if "target_transform" in args.keywords or args.others is not None else AN_INT
    asked = args.get(known.option, known.position)
    part = True if asked is None else asked.value if isinstance(asked, Const) else None
    count = {True: known.train, "train": known.train, False: known.test, "test": known.test}.get(part)
    return Items(Tuple((Unknown("picture of a data set", "batch"), label)), count)


def _some_of(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """A data set of some of the items of another."""
    parts = alternatives(args.first())
    return union(Items(part.element) if isinstance(part, Items) else part for part in parts)


def _joined_datasets(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """A data set of the items of several others, which are of one kind."""
    return _some_of(run, Args([iteration.iterate(run, args.first())[0]]), node)


_SAMPLER, _COLLATE, _DROP_LAST = 3, 6, 8
"""The positions of `sampler`, `collate_fn` and `drop_last` among the arguments of a loader."""


def _batched(run: Interpreter, made: Value) -> Value:
    """What a project's own `collate_fn` made of a list of samples: each tensor in it holds any number of them."""
    out: list[Value] = []
    for part in alternatives(made):
        if isinstance(part, Tensor):
            single = part.shape is not None and part.shape.rank == 0
            out.append(part if single else msgspec.structs.replace(part, batched=True, sample=None))
        elif isinstance(part, Tuple):
            out.append(Tuple(tuple(_batched(run, item) for item in part.items)))
        elif isinstance(part, Container) and part.kind == "list":
            known = iteration.iterate(run, part)[1]
            out.append(
                part if known is None else containers.new_list(run, [_batched(run, item) for item in known], UNKNOWN)
            )
        elif isinstance(part, Container) and part.kind == "dict" and "*" not in run.heap.read(part.id):
            pairs: list[tuple[Value | None, Value]] = [
                (Const(containers.literal(key)), _batched(run, value))
                for key, value in containers.dict_values(run, part).items()
            ]
            out.append(containers.new_dict(run, pairs))
        elif isinstance(part, Instance):
            out.append(part)
        else:
            out.append(Unknown("batch of a loader", "batch"))
    return union(out)


def sample(run: Interpreter, dataset: Value, node: ir.Node) -> Value:
    """An item of a data set."""
    out: list[Value] = []
    for part in alternatives(dataset):
        if isinstance(part, Instance):
            method = attributes.class_attribute(run, part.cls, "__getitem__")
            if isinstance(method, Function):
                bound = Function(method.node, method.path, method.frame, part, method.owner)
                out.append(functions.call_now(run, bound, Args([shapes.DIMENSION]), node, quiet=True))
                continue
        if isinstance(part, (Items, Container)) and not (isinstance(part, Container) and part.kind == "dict"):
            out.append(iteration.iterate(run, part)[0])
        else:
            out.append(Unknown("item of a data set", "batch"))
    return union(out) if out else UNKNOWN


def collated(run: Interpreter, sample: Value, size: int | None = None) -> Value:
    """A batch of samples, as the default `collate_fn` makes it: one more dimension in front, of this size."""
    if isinstance(sample, Tensor):
        shape = sample.shape
        batch = None if shape is None else _of_batch(shape, size)
        return msgspec.structs.replace(
            sample, shape=batch, batched=True, sample=None, dim=None, squeezed=None, flattened=None, holder="torch"
        )
    if isinstance(sample, Const) and isinstance(sample.value, (int, float)):
        dtype = "float" if isinstance(sample.value, float) else "int"
        return Tensor(shape=Shape((size,)), dtype=dtype, batched=True)  # type: ignore[arg-type]
    number = number_type(sample)
    if number is not None:
        return Tensor(shape=Shape((size,)), dtype=number, batched=True)
    if isinstance(sample, Tuple):
        items = [union([collated(run, part, size) for part in alternatives(item)]) for item in sample.items]
        return Tuple(tuple(items))
    if isinstance(sample, Container) and sample.kind == "dict" and "*" not in run.heap.read(sample.id):
        pairs: list[tuple[Value | None, Value]] = [
            (Const(containers.literal(key)), union([collated(run, part, size) for part in alternatives(value)]))
            for key, value in containers.dict_values(run, sample).items()
        ]
        return containers.new_dict(run, pairs)
    return Unknown("batch of a loader", "batch")


def _of_batch(shape: Shape, size: int | None) -> Shape:
    """The shape of so many samples of a shape."""
    if shape.open:
        return Shape((), True, picture=shape.picture + 1) if shape.picture and not shape.dims else shape
    return Shape((size, *shape.dims))


FUNCTIONS: dict[str, Callable[[Interpreter, Args, ir.Node], Value]] = {
    "torch.utils.data.TensorDataset": _tensor_dataset,
    "torch.utils.data.DataLoader": _loader,
    "torch.utils.data.dataset.TensorDataset": _tensor_dataset,
    "torch.utils.data.dataloader.DataLoader": _loader,
    "torch.utils.data.Subset": _some_of,
    "torch.utils.data.random_split": lambda run, args, node: Items(_some_of(run, args, node)),
    "torch.utils.data.ConcatDataset": _joined_datasets,
}
