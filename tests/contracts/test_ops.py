"""The op tables against the installed torch: every claim about kind, shape, dtype and gradient is run on values of each kind."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import pytest

from tests.contracts.test_losses import resolve
from torchlint.analysis.gradients import OPERANDS
from torchlint.contracts import KINDS, ContractError, Kind, Op, Tables, index, merge, tables_from
from torchlint.rulebook import load_contracts

torch = pytest.importorskip("torch")
F = torch.nn.functional

CONTRACTS = load_contracts()
OPS: dict[str, Op] = CONTRACTS.op_functions | {op.id: op for op in CONTRACTS.op_methods.values()}
# The models of other libraries have tests of their own.
MODELS = {
    *("vision_model", "language_model", "segmentation_model", "segmentation_stats"),
    *("medical_network", "graph_layer", "graph_model", "segmentation_pair", "efficientnet", "pretrained_model"),
    *("vision_transformer", "mask_decoder", "segment_anything", "mask_model", "question_answering_model"),
}
TABLES: dict[str, Op] = {
    op.id: op
    for index in (CONTRACTS.op_functions, CONTRACTS.op_methods, CONTRACTS.op_layers)
    for op in index.values()
    if op.id not in MODELS and not op.id.startswith(("numpy_", "pandas_"))
}
SEEDS = range(4)
TINY = 1e-5

# What is needed besides the tensor: keyword arguments of functions and methods, by op.
EXTRA: dict[str, dict[str, Any]] = {
    "softmax": {"dim": 1},
    "softmin": {"dim": 1},
    "gumbel_softmax": {"dim": 1},
    "log_softmax": {"dim": 1},
    "prelu": {"weight": torch.tensor([0.25])},
    "pow": {"exponent": 1.5},
    "threshold": {"threshold": 0.1, "value": 20.0},
    "squeeze": {"dim": 2},
    "squeeze_": {"dim": 2},
    "mean": {"dim": 1},
    "swapaxes": {"axis0": 0, "axis1": 1},
    "unsqueeze": {"dim": 0},
    "unsqueeze_": {"dim": 0},
    "flip": {"dims": (0,)},
    "roll": {"shifts": 1, "dims": 0},
    "transpose": {"dim0": 0, "dim1": 1},
    "movedim": {"source": 0, "destination": 1},
    "permute": {"dims": (1, 0)},
    "reshape": {"shape": (-1,)},
    "unflatten": {"dim": 0, "sizes": (2, -1)},
    "repeat_interleave": {"repeats": 2},
    "tril": {"diagonal": 0},
    "kthvalue": {"k": 2},
    "topk": {"k": 3},
    "cumsum": {"dim": 1},
    "cumprod": {"dim": 1},
    "logsumexp": {"dim": 1},
    "chunk": {"chunks": 2},
    "split": {"split_size_or_sections": 3},
    "narrow": {"dim": 0, "start": 1, "length": 2},
    "select": {"dim": 0, "index": 1},
    "index_select": {"dim": 1, "index": torch.tensor([0, 2, 3])},
    "take": {"index": torch.arange(0, 24, 2)},
    "multinomial": {"num_samples": 2},
    "dropout": {"p": 0.3},
    "alpha_dropout": {"p": 0.3, "training": True},
    "local_response_norm": {"size": 3},
    "group_norm": {"num_groups": 2},
    "layer_norm": {"normalized_shape": (6,)},
    "instance_norm": {"use_input_stats": True},
    "channel_shuffle": {"groups": 2},
    "unfold": {"kernel_size": 3, "padding": 1},
    "pad": {"pad": (1, 1)},
    "interpolate": {"scale_factor": 2},
    "upsample_fixed": {"scale_factor": 2},
    "max_pool": {"kernel_size": 2},
    "avg_pool": {"kernel_size": 2, "padding": 1},
    "adaptive_max_pool": {"output_size": 6},
    "adaptive_avg_pool": {"output_size": 2},
    "pixel_shuffle": {"upscale_factor": 2},
    "pixel_unshuffle": {"downscale_factor": 2},
    "clamp_min": {"min": 0.25},
    "clamp_max": {"max": 0.75},
    "clamp": {"min": 0.0, "max": 1.0},
    "clamp_": {"min": 0.0, "max": 1.0},
    "lerp": {"weight": 0.5},
    "one_hot": {"num_classes": 8},
    "expand": {"size": (3, 4, 6)},
    "take_along_dim": {"dim": 1},
}
# Positional arguments of layers.
LAYER: dict[str, tuple[Any, ...]] = {
    "softmax": (1,),
    "softmin": (1,),
    "log_softmax": (1,),
    "threshold": (0.1, 20.0),
    "unflatten_layer": (1, (2, 3)),
    "linear_layer": (6, 5),
    "lazy_linear_layer": (5,),
    "conv_layer": (6, 5, 1),
    "conv_transpose_layer": (6, 5, 1),
    "lazy_conv_layer": (5, 1),
    "lazy_conv_transpose_layer": (5, 1),
    "batch_norm_layer": (6,),
    "layer_norm_layer": (6,),
    "rms_norm_layer": (6,),
    "group_norm_layer": (2, 6),
    "local_response_norm": (3,),
    "zero_pad": (1,),
    "constant_pad": (1, 20.0),
    "mirror_pad": (1,),
    "channel_shuffle": (2,),
    "unfold": (3, 1, 1),
    "max_pool": (2,),
    "avg_pool": (2, None, 1),
    "adaptive_max_pool": (6,),
    "adaptive_avg_pool": (2,),
    "pixel_shuffle": (2,),
    "pixel_unshuffle": (2,),
    "upsample_fixed": (None, 2),
    "transformer_encoder_layer": (6, 2, 8),
    "transformer_encoder": (torch.nn.TransformerEncoderLayer(6, 2, 8), 1),
}


def runs(
    prefix: str, short: Iterable[str], use: Callable[[Any], Any], owner: Any = torch
) -> dict[str, Callable[[], Any]]:
    """Calls of several functions of torch, or of several methods of `owner`, with the same arguments."""
    return {f"{prefix}{name}": partial(use, getattr(owner, name)) for name in short if hasattr(owner, name)}


def seconds(x: Any) -> dict[str, Callable[[], Any]]:
    """Calls that take more than the tensor and constants; `x.roll(1, 0)` is another value of the same kind."""
    other = x.roll(1, 0)
    mask = torch.rand(x.shape) > 0.3
    index = torch.zeros(x.shape[0], 1, dtype=torch.long)
    return {
        "torch.where": lambda: torch.where(mask, x, other),
        ".where": lambda: x.where(mask, other),
        "torch.masked_fill": lambda: torch.masked_fill(x, mask, -20.0),
        ".masked_fill": lambda: x.masked_fill(mask, -20.0),
        ".masked_fill_": lambda: x.clone().masked_fill_(mask, -20.0),
        **runs("torch.", CATS, lambda f: f((x, other))),
        **runs("torch.", MAXIMA, lambda f: f(x, other)),
        **runs(".", MAXIMA, lambda f: f(other), x),
        **{name: partial(run_compare, name, x, other) for name in COMPARES},
        "torch.repeat_interleave": lambda: torch.repeat_interleave(x, 2),
        "torch.tile": lambda: torch.tile(x, (2, 2)),
        ".repeat": lambda: x.repeat(2, 2),
        ".tile": lambda: x.tile(2, 2),
        "torch.tensor_split": lambda: torch.tensor_split(x, 2),
        ".tensor_split": lambda: x.tensor_split(2),
        ".split": lambda: x.split(3),
        "torch.split": lambda: torch.split(x, 3),
        **{name: partial(run_conv, name, x) for name in CONVOLUTIONS},
        ".view": lambda: x.view(-1),
        ".reshape": lambda: x.reshape(2, -1),
        ".view_as": lambda: x.view_as(x.clone().t().contiguous()) if x.ndim == 2 else x.view_as(x),
        ".reshape_as": lambda: x.reshape_as(x),
        ".expand_as": lambda: x.expand_as(torch.stack([x, x])),
        ".expand": lambda: x.expand(2, *x.shape),
        ".broadcast_to": lambda: x.broadcast_to((2, *x.shape)),
        "torch.broadcast_to": lambda: torch.broadcast_to(x, (2, *x.shape)),
        ".cuda": lambda: x,
        ".pin_memory": lambda: x,
        ".requires_grad_": x.clone,
        ".data": lambda: x.data,
        ".T": lambda: x.T,
        ".mT": lambda: x.mT,
        ".H": lambda: x.H,
        ".mH": lambda: x.mH,
        ".to": lambda: x.to(torch.float64),
        ".type": lambda: x.type(torch.float64),
        ".type_as": lambda: x.type_as(torch.zeros(1, dtype=torch.float64)),
        "torch.gather": lambda: torch.gather(x, 1, index),
        ".gather": lambda: x.gather(1, index),
        "torch.take_along_dim": lambda: torch.take_along_dim(x, index, 1),
        ".take_along_dim": lambda: x.take_along_dim(index, 1),
        "torch.masked_select": lambda: torch.masked_select(x, mask),
        ".masked_select": lambda: x.masked_select(mask),
        **runs("torch.", ("matmul", "mm"), lambda f: f(x, torch.randn(6, 3))),
        **runs(".", ("matmul", "mm"), lambda f: f(torch.randn(6, 3)), x),
        "torch.mv": lambda: torch.mv(x, torch.randn(6)),
        ".mv": lambda: x.mv(torch.randn(6)),
        "torch.bmm": lambda: torch.bmm(x[None], torch.randn(1, 6, 3)),
        ".bmm": lambda: x[None].bmm(torch.randn(1, 6, 3)),
        **runs("torch.", ("dot", "inner", "outer"), lambda f: f(x.flatten(), torch.randn(24))),
        **runs(".", ("dot", "inner", "outer"), lambda f: f(torch.randn(24)), x.flatten()),
        "torch.nn.functional.linear": lambda: F.linear(x, torch.randn(5, 6), torch.randn(5)),
        "torch.nn.functional.bilinear": lambda: F.bilinear(x, x, torch.randn(5, 6, 6)),
        "torch.nn.Bilinear": lambda: torch.nn.Bilinear(6, 6, 64)(x * 4, x),
        "torch.cosine_similarity": lambda: torch.cosine_similarity(x, other),
        "torch.nn.functional.cosine_similarity": lambda: F.cosine_similarity(x, other),
        "torch.nn.CosineSimilarity": lambda: torch.nn.CosineSimilarity()(x, other),
        "torch.pairwise_distance": lambda: torch.pairwise_distance(x, other),
        "torch.nn.functional.pairwise_distance": lambda: F.pairwise_distance(x, other),
        "torch.nn.PairwiseDistance": lambda: torch.nn.PairwiseDistance()(x, other),
        "torch.cdist": lambda: torch.cdist(x, other),
        "torch.dist": lambda: torch.dist(x, other),
        ".dist": lambda: x.dist(other),
        "torch.nn.functional.batch_norm": lambda: F.batch_norm(x, None, None, training=True),
        "torch.nn.functional.grid_sample": lambda: F.grid_sample(
            x, torch.rand(2, 5, 5, 2) * 3 - 1.5, align_corners=False
        ),
        "torch.nn.Upsample": lambda: torch.nn.Upsample(scale_factor=2, mode="bilinear")(x),
        "torch.bernoulli": lambda: torch.bernoulli(x.sigmoid()),
        ".bernoulli": lambda: x.sigmoid().bernoulli(),
        "torch.multinomial": lambda: torch.multinomial(x.softmax(-1), 2),
        ".multinomial": lambda: x.softmax(-1).multinomial(2),
        "torch.nn.functional.one_hot": lambda: F.one_hot(torch.randint(0, 8, (5,)), 8),
        "torch.eye": lambda: torch.eye(4),
        "torch.randn": lambda: torch.randn(8, 8),
        "torch.randn_like": lambda: torch.randn_like(x),
        "torch.randperm": lambda: torch.randperm(8),
        "torch.nn.Embedding": lambda: torch.nn.Embedding(9, 8)(torch.arange(9)),
        "torch.nn.EmbeddingBag": lambda: torch.nn.EmbeddingBag(9, 8)(torch.arange(9).view(3, 3)),
        "torch.nn.TransformerDecoderLayer": lambda: torch.nn.TransformerDecoderLayer(6, 2, 8)(x, x),
        "torch.nn.TransformerDecoder": lambda: torch.nn.TransformerDecoder(
            torch.nn.TransformerDecoderLayer(6, 2, 8), 1
        )(x, x),
        "torch.nn.Transformer": lambda: torch.nn.Transformer(6, 2, 1, 1, 8)(x, x),
        "torch.nn.functional.relu_": lambda: F.relu_(x.clone()),
    }


def run_conv(name: str, x: Any) -> Any:
    kernel = torch.randn(6, 6, *(1,) * (x.ndim - 2))
    return resolve(name)(x, kernel)


CONVOLUTIONS = [*TABLES["conv"].functions, *TABLES["conv_transpose"].functions]
CATS = ("cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack", "row_stack", "column_stack")
MAXIMA = ("maximum", "minimum", "fmax", "fmin")
COMPARES = [*(TABLES["compare"].functions), *(f".{name}" for name in TABLES["compare"].methods)]


def run_compare(name: str, x: Any, other: Any) -> Any:
    return getattr(x, name[1:])(other) if name[0] == "." else resolve(name)(x, other)


NOT_RUN = {
    "torch.nn.functional.upsample": "deprecated name of interpolate",
    "torch.nn.SyncBatchNorm": "runs on an accelerator only",
}


def value(kind: Kind, shape: tuple[int, ...]) -> Any:
    """A random tensor of this kind; simplexes lie along dimension 1."""
    match kind:
        case "raw":
            return (torch.randn(shape) * 4).clamp(-8, 8)
        case "probability":
            return (torch.randn(shape) * 3).sigmoid()
        case "simplex":
            return (torch.randn(shape) * 2).softmax(1)
        case "log_simplex":
            return (torch.randn(shape) * 2).log_softmax(1)
        case "log_probability":
            return F.logsigmoid(torch.randn(shape) * 3)
        case "bounded":
            return torch.randn(shape).tanh()
        case "nonnegative":
            return torch.randn(shape).abs() * 3
        case "class_index":
            return torch.randint(0, 5, shape).float()
        case "one_hot":
            hot = torch.zeros(shape)
            return hot.scatter(1, torch.randint(0, shape[1], (shape[0], 1, *shape[2:])), 1.0)
        case _:
            return torch.randn(shape) * 10


def shape_for(name: str) -> tuple[int, ...]:
    """The shape of an input that this function, method or layer takes."""
    if "squeeze" in name:
        return (4, 6, 1)
    if "pixel_" in name or "Pixel" in name:
        return (2, 8, 4, 4)
    if "ransformer" in name:
        return (4, 2, 6)
    for ending, shape in {"1d": (2, 6, 8), "2d": (2, 6, 8, 8), "3d": (2, 6, 4, 4, 4)}.items():
        if ending in name and "atleast" not in name:
            return shape
    pictures = (
        "interpolate",
        "psampl",
        "upsample",
        "grid_sample",
        "shuffle",
        "Shuffle",
        "nfold",
        "local_resp",
        "LocalResp",
    )
    if any(word in name for word in pictures) and "flatten" not in name:
        return (2, 6, 8, 8)
    return (2, 6, 8) if "instance_norm" in name else (4, 6)


def call(op: Op, name: str, x: Any) -> Any:
    """Run one function, `.method` or layer of an op on `x`."""
    special = seconds(x).get(name)
    if special is not None:
        return special()
    extra = EXTRA.get(op.id, {})
    if name in op.layers:
        layer = resolve(name)
        return trained(layer(*LAYER.get(op.id, ())), x)
    x = x.clone() if op.in_place else x
    if name.startswith("."):
        return getattr(x, name[1:])(**extra)
    return resolve(name)(x, **extra)


def trained(layer: Any, x: Any) -> Any:
    """Run a layer with weights that training could have left it with, not the small ones it is made with."""
    layer(x)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=3.0)
    return layer(x)


def names(op: Op) -> list[str]:
    return [*op.functions, *(f".{name}" for name in op.methods), *op.layers]


def outcome(op: Op, kind: Kind) -> str:
    gives = op.gives
    if isinstance(gives, dict):
        return gives.get(kind, gives.get("otherwise", "unknown"))
    return kind if gives in ("keep", "join") else gives


def check(values: list[Any], kind: str, along: int | None, name: str) -> None:
    """Hold results against a kind. `raw` must be seen on both sides of [0, 1] in at least one of them."""
    if kind == "raw":
        assert min(v.min().item() for v in values) < 0, f"{name}: never negative"
        assert max(v.max().item() for v in values) > 1, f"{name}: never above 1"
    for v in values:
        low, high = v.min().item(), v.max().item()
        assert not v.isnan().any(), f"{name}: nan"
        if kind in ("probability", "simplex", "one_hot", "nonnegative", "class_index"):
            assert low >= -TINY, f"{name}: {low} < 0"
        if kind in ("probability", "simplex", "one_hot", "bounded"):
            assert high <= 1 + TINY, f"{name}: {high} > 1"
        if kind == "bounded":
            assert low >= -1 - TINY, f"{name}: {low} < -1"
        if kind in ("log_simplex", "log_probability"):
            assert high <= TINY, f"{name}: {high} > 0"
        if kind in ("class_index", "one_hot"):
            assert (v == v.round()).all(), f"{name}: not whole"
        if along is not None and kind in ("simplex", "log_simplex", "one_hot"):
            total = (v.exp() if kind == "log_simplex" else v).sum(along)
            near = 0.02 if "half" in name or "bfloat" in name else 1e-4
            assert torch.allclose(total, torch.ones_like(total), atol=near), f"{name}: sums to {total.flatten()[:3]}"


CASES = [(op.id, name) for op in TABLES.values() if op.gives != "unknown" for name in names(op) if name not in NOT_RUN]


def results(op: Op, name: str, kind: Kind) -> Iterator[tuple[Any, Any]]:
    for seed in SEEDS:
        torch.manual_seed(seed)
        x = value(kind, shape_for(name))
        y = call(op, name, x)
        yield x, y[0] if isinstance(y, tuple | list) else y


# Entry by entry, or with the dimensions exchanged: rows no longer sum to 1 and nobody claims it.
NOT_IN_ROWS = {"where", "where_method", "maximum", "T"}
# Clamping keeps a kind as long as its limits lie in the kind's range.
RANGED: dict[str, tuple[Kind, ...]] = dict.fromkeys(("clamp", "clamp_", "clamp_min", "clamp_max"), ("probability",))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("op_id", "name"), CASES)
def test_kinds(op_id: str, name: str) -> None:
    """Whatever kind goes in, what comes out obeys the kind that the table names."""
    op = TABLES[op_id]
    for kind in RANGED.get(op_id, tuple(k for k in KINDS if k != "loss")):
        wanted = outcome(op, kind)
        if wanted in ("unknown", "loss"):
            continue
        pairs = list(results(op, name, kind))
        whole = all(x.shape == y.shape for x, y in pairs) and op.shape in ("keep", "broadcast")
        along = 1 if (whole and op_id not in NOT_IN_ROWS) or op_id == "one_hot" else None
        check([y.detach().to(torch.float64) for _, y in pairs], wanted, along, f"{name} of {kind} gives {wanted}")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("op_id", "name"), [case for case in CASES if TABLES[case[0]].shape == "keep"])
def test_shape_is_kept(op_id: str, name: str) -> None:
    for x, y in results(TABLES[op_id], name, "probability"):
        assert x.shape == y.shape


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("op_id", "name"), CASES)
def test_dtype_and_gradient(op_id: str, name: str) -> None:
    op = TABLES[op_id]
    torch.manual_seed(0)
    x = value("probability", shape_for(name)).requires_grad_()
    y = call(op, name, x)
    y = y[0] if isinstance(y, tuple | list) else y
    match op.dtype:
        case "float":
            assert y.is_floating_point()
        case "int":
            assert y.dtype == torch.int64 or name[1:] in op.methods
            assert not y.is_floating_point()
        case "bool":
            assert y.dtype == torch.bool
        case "keep":
            assert y.dtype == x.dtype
    if op.gradient == "cut":
        assert not y.requires_grad
    elif y.is_floating_point() and name not in {".data"}:
        assert y.requires_grad


NO_OPERANDS = {
    *("index", "indices", "mask", "condition", "start", "repeats"),  # they choose entries
    *("running_mean", "running_var", "std"),  # no gradient goes through them
    *("min", "max"),  # limits, which are numbers as a rule
}


@pytest.mark.parametrize("name", [name for name, op in CONTRACTS.op_functions.items() if op.gradient == "keep"])
def test_a_gradient_flows_through_every_operand(name: str) -> None:
    """The tensors among the parameters of a table count as what the result may learn through."""
    params = CONTRACTS.op_functions[name].params
    schemas = SCHEMAS.get(name.rpartition(".")[2], ()) if name.startswith("torch.") else ()
    tensors = {arg.name for schema in schemas for arg in schema.arguments[1:] if "Tensor" in str(arg.type)}
    assert tensors.intersection(params[1:]) - NO_OPERANDS <= OPERANDS


def test_a_parameter_learns_unless_it_is_told_not_to() -> None:
    data = torch.zeros(2)
    assert OPS["torch.nn.Parameter"].gradient == "own"
    assert torch.nn.Parameter(data).requires_grad
    assert not torch.nn.Parameter(data, requires_grad=False).requires_grad


@pytest.mark.parametrize(("op_id", "name"), [case for case in CASES if TABLES[case[0]].in_place])
def test_in_place(op_id: str, name: str) -> None:
    """The tensor itself changes."""
    x = value("raw", shape_for(name))
    method = getattr(x, name[1:]) if name[0] == "." else lambda **extra: resolve(name)(x, **extra)
    extra = {"mask": x > 0, "value": -20.0} if op_id == "masked_fill_" else EXTRA.get(op_id, {})
    assert method(**extra).data_ptr() == x.data_ptr()


# ------------------------------------------------------------------ names and parameters

ALL = [(op.id, name) for op in TABLES.values() for name in names(op)]
# Sizes and sequences that come as *args, and layers that hand *args on.
STARRED = {
    "view",
    "reshape",
    "permute",
    "expand",
    "repeat",
    "tile",
    "einsum",
    "tensor",
    "FloatTensor",
    "LongTensor",
    "zeros",
    "parameter",
    "recurrent_layer",
    "overwrite_",
    "arithmetic_",
    "new_zeros",
    "atleast",
    "T",
    "data",
    "to",
    "float",
    "long",
    "bool",
    "contiguous",
    "as_tensor",
    "arange",
    "flip",
    "new_tensor",
    "where_method",
    "linalg_norm",
}


@pytest.mark.parametrize(("op_id", "name"), ALL)
def test_name_exists(op_id: str, name: str) -> None:
    if name.startswith("."):
        assert hasattr(torch.Tensor, name[1:])
    else:
        assert callable(resolve(name))


def overloads(short: str) -> list[list[str]]:
    """The positional parameters of torch's own function or method in each of its forms."""
    found = []
    for schema in SCHEMAS.get(short, ()):
        found.append(["input" if arg.name == "self" else arg.name for arg in schema.arguments])
    return found


SCHEMAS: dict[str, list[Any]] = {}
for _schema in torch._C._jit_get_all_schemas():
    SCHEMAS.setdefault(_schema.name.removeprefix("aten::").removeprefix("special_"), []).append(_schema)


@pytest.mark.parametrize(("op_id", "name"), [case for case in ALL if case[0] not in STARRED])
def test_parameters(op_id: str, name: str) -> None:
    """The parameters are torch's first ones, in torch's order and by torch's names."""
    op = TABLES[op_id]
    if name in op.layers:
        given = list(inspect.signature(resolve(name).__init__).parameters)[1:]
        assert given[: len(op.layer_params)] == list(op.layer_params)
        return
    wanted = list(op.params)
    if not name.startswith("."):
        try:
            given = list(inspect.signature(resolve(name)).parameters)
        except ValueError:
            given = []
        if given[: len(wanted)] == wanted:
            return
    if name in {".split", "torch.nn.functional.logsigmoid"}:
        return
    forms = [form[: len(wanted)] for form in overloads(name.rpartition(".")[2])]
    assert wanted in forms, f"{wanted} is none of {[*forms, given] if name[0] != '.' else forms}"


@pytest.mark.parametrize("name", CONTRACTS.wrappers)
def test_wrapper(name: str) -> None:
    wrapper = CONTRACTS.wrappers[name]
    if name == "torch.autograd.Variable":
        return
    assert list(inspect.signature(resolve(name)).parameters)[wrapper.argument] == wrapper.keyword


def test_every_activation_layer_of_torch_is_known() -> None:
    module = torch.nn.modules.activation
    classes = {f"torch.nn.{name}" for name in module.__all__}
    assert classes <= set(CONTRACTS.op_layers)


def test_every_layer_of_torch_is_known() -> None:
    containers = {
        "Module",
        "ModuleDict",
        "ModuleList",
        "ParameterDict",
        "ParameterList",
        "Sequential",
        "Container",
        "DataParallel",
        "RNNBase",
        "RNNCellBase",
        "AdaptiveLogSoftmaxWithLoss",
    }
    layers = {n for n, c in vars(torch.nn).items() if isinstance(c, type) and issubclass(c, torch.nn.Module)}
    layers = {f"torch.nn.{name}" for name in layers - containers if "Loss" not in name}
    assert layers <= set(CONTRACTS.op_layers)


# ------------------------------------------------------------------ tables of the user


def test_a_named_table_is_put_in() -> None:
    table = tables_from({"kinds": {"k": {"raw": "raw"}}, "op": {"f": {"functions": ["a.f"], "gives": "k"}}}, "x")
    assert index(merge([table])).op_functions["a.f"].gives == {"raw": "raw"}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"op": {"f": {"gives": "logits"}}}, "op.f.gives: 'logits' is none of"),
        ({"loss": {"f": {"options": ["a"], "when": [{"option": "b"}]}}}, "loss.f.when: 'b' is none of its options"),
        ({"op": {"f": {"gives": {"logits": "raw"}}}}, "'logits' is no kind"),
        ({"op": {"f": {"gives": {"raw": "logits"}}}}, "own.toml"),
        ({"loss": {"f": {"shape": "equal"}}}, "own.toml: Object contains unknown field `shape`"),
        ({"losses": {}}, "unknown field `losses`"),
    ],
)
def test_a_wrong_table_is_named(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ContractError) as error:
        merge([Tables(), tables_from(table, "own.toml")])
    assert said in str(error.value)
