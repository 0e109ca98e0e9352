"""The typed model of the contracts: what losses want and what operations give, read from TOML.

The tables live in `rules/contracts/*.toml`; a user's own tables (`[tool.torchlint]`, `contracts = ["file.toml"]`)
have the same format and are merged in, a later table replacing an earlier one of the same id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from torchlint.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

Kind = Literal[
    "unknown",
    "raw",
    "probability",
    "simplex",
    "log_simplex",
    "log_probability",
    "bounded",
    "nonnegative",
    "class_index",
    "one_hot",
    "loss",
]
KINDS: tuple[Kind, ...] = Kind.__args__  # type: ignore[attr-defined]

Family = Literal[
    "binary", "multiclass", "distribution", "regression", "margin", "embedding", "sequence", "overlap", "focal"
]
ShapeRelation = Literal["equal", "broadcasts", "warns", "index", "ranks", "free"]
DType = Literal["unknown", "float", "int", "bool", "keep"]
ShapeRule = Literal[
    "unknown",
    "keep",
    "broadcast",
    "squeeze",
    "unsqueeze",
    "view",
    "flatten",
    "permute",
    "transpose",
    "expand",
    "linear",
    "conv",
    "reduce",
    "select",
    "gather",
    "cat",
    "stack",
    "matmul",
    "bmm",
    "full",
    "like",
    "scalar",
    "one_hot",
    "rows",
    "places",
    "row",
    "sized",
    "table",
]


_GIVES: tuple[str, ...] = (*KINDS, "keep", "join")


class ContractError(UserError):
    """A contract file or table that cannot be used; the message names the file and the key."""


class Arg(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tensor parameter of a loss call. `accepts` lists the kinds that are right; empty means any.

    `also` holds further names of the same parameter (`nn.PoissonNLLLoss` calls its input `log_input`).
    """

    name: str
    role: Literal["input", "target", "other"] = "other"
    accepts: tuple[Kind, ...] = ()
    dtype: tuple[DType, ...] = ()
    also: tuple[str, ...] = ()


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An option of a loss that changes what its input, or another `role`, has to be: with `option` equal to `equals`, it
    `accepts` these kinds.

    Without `equals` the option counts with any value but None and False. No `accepts` makes no demand.
    """

    option: str
    equals: bool | int | str | None = None
    accepts: tuple[Kind, ...] = ()
    role: Literal["input", "target"] = "input"

    def holds(self, value: object) -> bool:
        """Whether the option is set so."""
        if self.equals is None:
            return value is not None and value is not False
        return type(value) is type(self.equals) and value == self.equals


class Loss(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A loss: the names it is known by, its parameters, and how input and target shapes must relate.

    `shapes`: "equal" raises when they differ, "warns" and "broadcasts" go on with a broadcast loss,
    "index" takes the target without the class dimension, "ranks" wants as many dimensions everywhere, "free" makes no
    demand.
    `each`: what a loss of entries, unreduced, gives one value for.
    `labels`: "signs" wants targets of -1 and 1, "indices" the numbers of the classes; otherwise `accepts` says enough.
    `autocast`: what CUDA autocast does with it. `when`: options that change what the input has to be, or the target, the
    first that is set counts.
    `options` are the constructor's parameters in positional order; `function_options` the functional's after its tensors.
    """

    classes: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    family: Family = "regression"
    args: tuple[Arg, ...] = (Arg("input", "input"), Arg("target", "target"))
    options: tuple[str, ...] = ()
    function_options: tuple[str, ...] = ()
    shapes: ShapeRelation = "free"
    class_dim: int | None = None
    each: Literal["entry", "sample"] = "entry"
    labels: Literal["", "signs", "indices"] = ""
    reduction: str | None = "mean"
    autocast: Literal["runs", "raises"] = "runs"
    when: tuple[When, ...] = ()
    id: str = ""

    def whens(self, role: str) -> tuple[When, ...]:
        """The options that change what is right for a role."""
        return tuple(when for when in self.when if when.role == role)

    def arg(self, role: str) -> Arg | None:
        """The first parameter of this role, or None."""
        for arg in self.args:
            if arg.role == role:
                return arg
        return None


class Made(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An option of a layer's constructor that changes what the layer gives: with `option` equal to `equals`, it is `gives`."""

    option: str
    equals: bool | int | str
    gives: Kind


class Op(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An operation: a function, a tensor method or a layer, and what it gives.

    `gives` is a kind, "keep" (the kind of the first input), "join" (of all its tensors, masks and indices aside), or a
    table from the kind that comes in to the kind that goes out, with "otherwise" for the rest ("unknown" without it).
    A contract file may name such a table once under `[kinds.NAME]` and write `gives = "NAME"`; `merge` puts the table in.
    `params` are the parameters of the function form, the tensor first ("input", or "tensors" for a sequence);
    a method leaves the first out. `layer_params` are the layer's constructor parameters; calling the layer gives it the input.
    `shape` names a rule of `analysis.shapes`, which reads the bound parameters by name.
    `methods` are also attributes of a tensor that give a tensor (`x.T`, `x.data`).
    `heads` are the attributes of a model whose layer gives what the model gives: one that is set takes its place.
    `unless` are options of the constructor with which the model gives something else, `when` those with what it gives then:
    with any other value of such an option, what it gives is unknown.
    A layer's name may hold stars (`timm.models.*`), as that of a part of a model does (`segment_anything.*.mask_decoder`).
    `items = "model_output"`: an object whose `fields` are of the kind, as a tuple too if no labels are handed in;
    "fields": a dict or an object of which no more than that is known; "first": a pair whose first item is of the kind.
    `gradient`: "cut" ends it here, unless `requires_grad` is set, and "own" says that what it gives is learned itself, unless
    that is not set.
    `blank` says that what it gives is made to have its entries set.
    `threshold` is the parameter with which it compares its input, if that is given.
    `items = "values_indices"`: with a `dim`, a pair of the values and their indices.
    """

    functions: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    gives: str | dict[str, Kind] = "unknown"
    shape: ShapeRule = "unknown"
    dtype: DType = "keep"
    gradient: Literal["keep", "cut", "own"] = "keep"
    params: tuple[str, ...] = ("input",)
    layer_params: tuple[str, ...] = ()
    in_place: bool = False
    blank: bool = False
    heads: tuple[str, ...] = ()
    threshold: str = ""
    unless: tuple[str, ...] = ()
    when: tuple[Made, ...] = ()
    items: Literal["", "values_indices", "model_output", "fields", "first"] = ""
    fields: tuple[str, ...] = ("logits",)
    id: str = ""


class Wrapper(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A callable that gives back one of its arguments in effect unchanged: `nn.DataParallel(model)`, `torch.compile(model)`."""

    functions: tuple[str, ...] = ()
    argument: int = 0
    keyword: str = ""
    id: str = ""


class DataSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Data sets of pictures, each with the number of its class: `train` and `test` say how many there are, if that is fixed.

    `option` tells which part is asked for, by a flag or a name, and `position` where it stands among the arguments.
    """

    functions: tuple[str, ...] = ()
    train: int | None = None
    test: int | None = None
    option: str = "train"
    position: int = 1


class Trainer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Classes that are given a `module` and a `criterion`, and hand what the one gives to the other.

    `default` is the criterion if none is given. Before those of `prepares_for` they change the output, which is not followed.
    """

    classes: tuple[str, ...]
    default: str = ""
    prepares_for: tuple[str, ...] = ()


class Distribution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Distributions of `torch.distributions`: the `params` decide the shape of a draw and of its density.

    `inside` is the number of their last dimensions that belong to one draw, for which there is one density, as for the
    classes of a `Categorical`; `keeps` says that a draw has these dimensions too. `draws` is the kind of a draw; with
    `reparametrized`, `rsample` lets the gradient through.
    """

    classes: tuple[str, ...]
    params: tuple[str, ...]
    inside: int = 0
    keeps: bool = True
    draws: Kind = "unknown"
    reparametrized: bool = False


class Tables(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One contract file as written, or all contracts of a run with what `merge` puts in."""

    loss: dict[str, Loss] = {}
    op: dict[str, Op] = {}
    wrapper: dict[str, Wrapper] = {}
    dataset: dict[str, DataSet] = {}
    trainer: dict[str, Trainer] = {}
    distribution: dict[str, Distribution] = {}
    alias: dict[str, str] = {}
    kinds: dict[str, dict[str, Kind]] = {}


class Contracts(msgspec.Struct, frozen=True):
    """All contracts of a run, indexed by the full dotted name (or the method's name) that leads to them.

    `starred` holds the layers whose name has a star, by the name's first part, and `parts` those that are parts of models.
    `aliases` maps a dotted prefix to the one used in the tables (`torch.nn.modules.loss` to `torch.nn`).
    """

    losses: dict[str, Loss]
    loss_classes: dict[str, Loss]
    loss_functions: dict[str, Loss]
    op_functions: dict[str, Op]
    op_methods: dict[str, Op]
    op_layers: dict[str, Op]
    starred: dict[str, tuple[tuple[str, Op], ...]]
    parts: tuple[tuple[str, Op], ...]
    wrappers: dict[str, Wrapper]
    datasets: dict[str, DataSet]
    trainers: dict[str, Trainer]
    distributions: dict[str, Distribution]
    aliases: dict[str, str]

    def is_loss(self, name: str) -> bool:
        """Whether a dotted name is a loss, a class or a function."""
        return name in self.loss_classes or name in self.loss_functions

    def layer(self, name: str) -> Op | None:
        """The layer or model that a dotted name makes."""
        op = self.op_layers.get(name)
        if op is None:
            for pattern, starred in self.starred.get(name.partition(".")[0], ()):
                if fnmatchcase(name, pattern):
                    return starred
        return op

    def part(self, name: str) -> Op | None:
        """The layer that a model holds under a dotted name, the model's first."""
        return next((op for pattern, op in self.parts if fnmatchcase(name, pattern)), None)

    def loss_words(self) -> frozenset[bytes]:
        """The last part of each loss's name, as bytes: a file without any of them has to write its loss by hand.

        A trainer that has a loss by default is one.
        """
        chosen = [name for name, trainer in self.trainers.items() if trainer.default]
        names = [*self.loss_classes, *self.loss_functions, *chosen]
        return frozenset(name.rpartition(".")[2].encode() for name in names)


def read_tables(path: Path) -> Tables:
    """Read one contract file. Raises ContractError naming the file and what is wrong in it."""
    import tomllib  # noqa: PLC0415  # not where the tables are remembered

    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ContractError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ContractError(f"{path}: not valid TOML: {error}") from error
    return tables_from(data, str(path))


def tables_from(data: Mapping[str, Any], origin: str) -> Tables:
    """Turn parsed TOML into tables. Raises ContractError naming `origin` and the key."""
    try:
        return msgspec.convert(data, Tables)
    except msgspec.ValidationError as error:
        raise ContractError(f"{origin}: {error}") from error


def merge(tables: Iterable[Tables]) -> Tables:
    """All tables as one, each entry with its id; where two have the same, the later one counts.

    Raises ContractError for an op whose `gives` is neither a kind nor the name of a `[kinds]` table, or whose table
    speaks of a kind that does not exist.
    """
    losses: dict[str, Loss] = {}
    ops: dict[str, Op] = {}
    wrappers: dict[str, Wrapper] = {}
    datasets: dict[str, DataSet] = {}
    trainers: dict[str, Trainer] = {}
    distributions: dict[str, Distribution] = {}
    aliases: dict[str, str] = {}
    kinds: dict[str, dict[str, Kind]] = {}
    for table in tables:
        kinds.update(table.kinds)
        losses.update({key: _checked(key, loss) for key, loss in table.loss.items()})
        ops.update({key: _resolved(key, op, kinds) for key, op in table.op.items()})
        wrappers.update({key: msgspec.structs.replace(wrapper, id=key) for key, wrapper in table.wrapper.items()})
        datasets.update(table.dataset)
        trainers.update(table.trainer)
        distributions.update(table.distribution)
        aliases.update(table.alias)
    return Tables(losses, ops, wrappers, datasets, trainers, distributions, aliases)


def index(merged: Tables) -> Contracts:
    """The contracts by the names that lead to them."""
    losses, ops = merged.loss.values(), merged.op.values()
    return Contracts(
        losses=merged.loss,
        loss_classes={name: loss for loss in losses for name in loss.classes},
        loss_functions={name: loss for loss in losses for name in loss.functions},
        op_functions={name: op for op in ops for name in op.functions},
        op_methods={name: op for op in ops for name in op.methods},
        op_layers={name: op for op in ops for name in op.layers if "*" not in name},
        starred=_starred(ops),
        parts=tuple((name, op) for op in ops for name in op.parts),
        wrappers={name: wrapper for wrapper in merged.wrapper.values() for name in wrapper.functions},
        datasets={name: dataset for dataset in merged.dataset.values() for name in dataset.functions},
        trainers={name: trainer for trainer in merged.trainer.values() for name in trainer.classes},
        distributions={name: each for each in merged.distribution.values() for name in each.classes},
        aliases=merged.alias,
    )


def _checked(key: str, loss: Loss) -> Loss:
    """The loss with its id, if the options that it speaks of are its own."""
    for when in loss.when:
        if when.option not in loss.options:
            raise ContractError(f"loss.{key}.when: {when.option!r} is none of its options")
    return msgspec.structs.replace(loss, id=key)


def _starred(ops: Iterable[Op]) -> dict[str, tuple[tuple[str, Op], ...]]:
    found: dict[str, list[tuple[str, Op]]] = {}
    for op in ops:
        for name in op.layers:
            if "*" in name:
                found.setdefault(name.partition(".")[0], []).append((name, op))
    return {head: tuple(pairs) for head, pairs in found.items()}


def _resolved(key: str, op: Op, kinds: Mapping[str, Mapping[str, Kind]]) -> Op:
    """The op with its id, and with the table in place of the table's name."""
    gives = op.gives
    if isinstance(gives, str) and gives not in _GIVES:
        if gives not in kinds:
            known = ", ".join([*_GIVES, *sorted(kinds)])
            raise ContractError(f"op.{key}.gives: {gives!r} is none of {known}")
        gives = dict(kinds[gives])
    if isinstance(gives, dict) and (strange := set(gives) - {*KINDS, "otherwise"}):
        raise ContractError(f"op.{key}.gives: {min(strange)!r} is no kind (they are {', '.join(KINDS)})")
    return msgspec.structs.replace(op, id=key, gives=gives)
