"""The loss tables against the installed torch: names, parameters, shapes, dtypes and what raises."""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from torchlint.contracts import Contracts, Loss
from torchlint.rulebook import load_contracts

torch = pytest.importorskip("torch")

CONTRACTS: Contracts = load_contracts()
LOSSES: dict[str, Loss] = CONTRACTS.losses
TORCH = {key: loss for key, loss in LOSSES.items() if (*loss.classes, *loss.functions)[0].startswith("torch.")}
NOT_A_CALL_THAT_GIVES_A_LOSS = {
    "AdaptiveLogSoftmaxWithLoss": "gives a pair of output and loss, and holds its own layers"
}


def resolve(name: str) -> Any:
    """The object at a dotted name, as `import` and attributes give it. Raises AttributeError or ModuleNotFoundError."""
    top, *rest = name.split(".")
    found: Any = importlib.import_module(top)
    for part in rest:
        found = getattr(found, part) if hasattr(found, part) else importlib.import_module(f"{found.__name__}.{part}")
    return found


def parameters(call: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(call).parameters if name != "self"]


def test_every_loss_of_torch_has_a_contract() -> None:
    classes = {name for name in dir(torch.nn) if "Loss" in name and isinstance(getattr(torch.nn, name), type)}
    functional = torch.nn.functional
    functions = {name for name in dir(functional) if name.endswith(("_loss", "cross_entropy", "with_logits", "kl_div"))}
    functions |= {name for name in dir(functional) if "loss" in name and not name.startswith("_")}
    assert {f"torch.nn.{name}" for name in classes - set(NOT_A_CALL_THAT_GIVES_A_LOSS)} <= set(CONTRACTS.loss_classes)
    assert {f"torch.nn.functional.{name}" for name in functions} <= set(CONTRACTS.loss_functions)


@pytest.mark.parametrize("name", [name for loss in TORCH.values() for name in (*loss.classes, *loss.functions)])
def test_name_exists(name: str) -> None:
    assert callable(resolve(name))


ALIASES = [pair for pair in CONTRACTS.aliases.items() if pair[1].partition(".")[0] == "torch"]


@pytest.mark.parametrize(("prefix", "canonical"), ALIASES)
def test_alias_leads_to_the_same_objects(prefix: str, canonical: str) -> None:
    module, target = importlib.import_module(prefix), importlib.import_module(canonical)
    names = {*CONTRACTS.loss_classes, *CONTRACTS.op_layers, *CONTRACTS.op_functions, *CONTRACTS.wrappers}
    shared = [name.rpartition(".")[2] for name in names if name.rpartition(".")[0] == canonical]
    assert all(getattr(module, name) is getattr(target, name) for name in shared if hasattr(module, name))


@pytest.mark.parametrize("key", TORCH)
def test_parameters_of_the_class(key: str) -> None:
    loss = LOSSES[key]
    for name in loss.classes:
        cls = resolve(name)
        assert parameters(cls.__init__) == list(loss.options)
        for arg, given in zip(loss.args, parameters(cls.forward), strict=True):
            assert given in (arg.name, *arg.also)


@pytest.mark.parametrize("key", TORCH)
def test_parameters_of_the_function(key: str) -> None:
    loss = LOSSES[key]
    for name in loss.functions:
        if name.startswith("torch.nn.functional."):
            given = parameters(resolve(name))
            assert given == [*(arg.name for arg in loss.args), *loss.function_options]


@pytest.mark.parametrize("key", TORCH)
def test_functions_of_torch_itself_take_the_same_tensors(key: str) -> None:
    loss = LOSSES[key]
    for name in loss.functions:
        if name.startswith("torch.nn.functional."):
            continue
        short = name.removeprefix("torch.")
        schemas = [schema for schema in torch._C._jit_get_all_schemas() if schema.name == f"aten::{short}"]
        wanted = [arg.name for arg in loss.args]
        got = [["input" if a.name == "self" else a.name for a in schema.arguments][: len(wanted)] for schema in schemas]
        assert wanted in got


@pytest.mark.parametrize("key", LOSSES)
def test_a_table_is_consistent(key: str) -> None:
    loss = LOSSES[key]
    assert [arg.role for arg in loss.args].count("input") == 1
    assert [arg.role for arg in loss.args].count("target") <= 1
    assert (loss.class_dim is not None) == (loss.shapes == "index" or loss.family == "sequence")
    for options in (loss.options, loss.function_options):
        assert not options or "reduction" in options or key not in TORCH  # other libraries have losses without


def test_the_focal_loss_of_torchvision() -> None:
    torchvision = pytest.importorskip("torchvision")
    loss = LOSSES["sigmoid_focal_loss"]
    given = inspect.signature(torchvision.ops.sigmoid_focal_loss).parameters
    assert list(given) == [*(arg.name for arg in loss.args), *loss.function_options]
    assert given["reduction"].default == loss.reduction


# ------------------------------------------------------------------ behaviour: one right call per loss of two tensors

B, C = 8, 5


def right(loss: Loss) -> tuple[Any, Any]:
    """An input and a target that the contract calls right, of shapes [B] and [B] or [B, C] and [B]."""
    torch.manual_seed(0)
    shape = (B, C) if loss.shapes == "index" else (B,)
    raw = torch.randn(shape) * 2
    if loss.id == "multilabel_margin_loss":
        return torch.randn(C), torch.tensor([0, 2, -1, -1, -1])
    if loss.id == "multilabel_soft_margin_loss":
        return torch.randn(B, C), torch.randint(0, 2, (B, C)).float()
    first = loss.args[0].accepts
    x = raw if not first or "raw" in first else raw.log_softmax(-1) if "log_simplex" in first else raw.sigmoid()
    if loss.shapes == "index":
        return x, torch.randint(0, C, (B,))
    if loss.id == "kl_div":
        return x, torch.randn(B).softmax(0)
    return x, torch.randint(0, 2, (B,)).float()


def call(loss: Loss, x: Any, y: Any) -> Any:
    """The functional loss; gaussian_nll gets a variance of one."""
    function = next(resolve(name) for name in loss.functions if name.startswith("torch.nn.functional"))
    return function(x, y, torch.ones_like(x)) if loss.id == "gaussian_nll_loss" else function(x, y)


PAIRS = [key for key, loss in TORCH.items() if loss.shapes not in ("free", "ranks")]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("key", PAIRS)
def test_the_right_call_gives_a_finite_loss(key: str) -> None:
    loss = LOSSES[key]
    assert torch.isfinite(call(loss, *right(loss)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("key", [key for key, loss in TORCH.items() if loss.shapes != "free"])
def test_what_an_unreduced_loss_gives_a_value_for(key: str) -> None:
    loss, (x, y) = LOSSES[key], right(LOSSES[key])
    third = {"gaussian_nll_loss": torch.ones_like(x), "margin_ranking_loss": 2 * y - 1}.get(loss.id)
    inputs = (x, y) if third is None else (x, x, third) if loss.shapes == "ranks" else (x, y, third)
    values = resolve(loss.functions[0])(*inputs, reduction="none")
    assert values.shape == (x.shape[:-1] if loss.each == "sample" or loss.shapes == "index" else x.shape)


@pytest.mark.parametrize("key", [key for key in PAIRS if LOSSES[key].shapes in ("equal", "warns", "broadcasts")])
def test_a_column_against_a_row(key: str) -> None:
    """[B, 1] against [B]: `equal` raises, `warns` warns, `broadcasts` does neither and gives another loss."""
    loss = LOSSES[key]
    torch.manual_seed(0)
    raw = torch.randn(B, 1) * 2
    x = raw.sigmoid() if "probability" in loss.args[0].accepts else raw
    y = torch.randint(0, 2, (B,))
    y = y if loss.args[1].dtype == ("int",) else y.float()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        if loss.shapes == "equal":
            with pytest.raises((RuntimeError, ValueError)):
                call(loss, x, y)
            return
        wrong = call(loss, x, y)
        told = [str(warning.message) for warning in seen if "different to the input size" in str(warning.message)]
        assert bool(told) == (loss.shapes == "warns")
        assert wrong != call(loss, x.squeeze(1), y) or loss.id == "multilabel_soft_margin_loss"
    if loss.id == "multilabel_soft_margin_loss":
        assert wrong != call(loss, x, y[:, None])


@pytest.mark.parametrize("key", [key for key in PAIRS if LOSSES[key].shapes == "index"])
def test_an_index_target_has_no_class_dimension(key: str) -> None:
    loss = LOSSES[key]
    x, y = right(loss)
    assert x.shape[: loss.class_dim] + x.shape[(loss.class_dim or 0) + 1 :] == y.shape
    with pytest.raises((RuntimeError, ValueError)):
        call(loss, x, y[:, None])


@pytest.mark.parametrize("key", [key for key in PAIRS if LOSSES[key].shapes == "index"])
def test_of_one_class_only_what_takes_scores_is_constant(key: str) -> None:
    loss = LOSSES[key]
    scores, labels = torch.randn(B, 1, requires_grad=True), torch.zeros(B, dtype=torch.long)
    log_p = scores.log_softmax(1)
    for x, constant in ((scores, "raw" in loss.args[0].accepts), (log_p, True)):
        (gradient,) = torch.autograd.grad(call(loss, x, labels), scores)
        assert (gradient == 0).all() == constant


@pytest.mark.parametrize("key", [key for key, loss in TORCH.items() if loss.shapes == "ranks"])
def test_as_many_dimensions_everywhere(key: str) -> None:
    """One score without a dimension against a row of one raises."""
    function = resolve(LOSSES[key].functions[0])
    score, row = torch.tensor(0.5), torch.ones(1)
    assert torch.isfinite(function(row, row, row))
    for arguments in ((score, score, row), (score, row, row)):
        with pytest.raises(RuntimeError):
            function(*arguments)


@pytest.mark.parametrize(
    "key", [key for key, loss in TORCH.items() if loss.shapes == "index" and loss.family == "multiclass"]
)
def test_scores_without_a_batch_against_labels_with_one(key: str) -> None:
    """What `squeeze()` makes of a batch of one: forward it may go, backward it does not in the losses that rules speak of."""
    loss = LOSSES[key]
    scores = torch.randn(C, requires_grad=True)
    given = scores.log_softmax(0) if "log_simplex" in loss.args[0].accepts else scores
    value = call(loss, given, torch.zeros(1, dtype=torch.long))
    assert torch.isfinite(value)
    with pytest.raises(RuntimeError, match="size mismatch"):
        value.backward()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("key", [key for key in PAIRS if LOSSES[key].args[1].dtype])
def test_target_dtypes(key: str) -> None:
    """A dtype that the contract leaves out raises."""
    loss = LOSSES[key]
    x, y = right(loss)
    wanted = loss.args[1].dtype
    if "int" in wanted and "float" not in wanted:
        with pytest.raises((RuntimeError, ValueError)):
            call(loss, x, y.float())
    if "float" in wanted and "int" not in wanted:
        with pytest.raises((RuntimeError, ValueError, NotImplementedError)):
            call(loss, x, y.long())


def test_raw_scores_into_bce_raise() -> None:
    """What TLN102 is about: outside [0, 1] raises on the CPU; inside, nothing is said."""
    bce = torch.nn.functional.binary_cross_entropy
    with pytest.raises(RuntimeError, match="all elements of input should be between 0 and 1"):
        bce(torch.tensor([1.5]), torch.tensor([1.0]))
    assert torch.isfinite(bce(torch.tensor([0.4]), torch.tensor([1.0])))


@pytest.mark.parametrize("key", ["binary_cross_entropy_with_logits", "soft_margin_loss", "multilabel_soft_margin_loss"])
def test_losses_that_apply_the_sigmoid_have_a_floor_on_probabilities(key: str) -> None:
    loss = LOSSES[key]
    y = torch.ones(4, 1)
    assert loss.args[0].accepts == ("raw",)
    assert call(loss, torch.full((4, 1), 40.0), y).item() == pytest.approx(0.0, abs=1e-6)
    assert call(loss, torch.full((4, 1), 40.0).sigmoid(), y).item() == pytest.approx(0.313262, abs=1e-6)


def test_cross_entropy_takes_log_softmax_as_it_is() -> None:
    x, y = right(LOSSES["cross_entropy"])
    cross_entropy = torch.nn.functional.cross_entropy
    assert torch.allclose(cross_entropy(x, y), cross_entropy(x.log_softmax(1), y), atol=1e-6)
    assert "log_simplex" in LOSSES["cross_entropy"].args[0].accepts
    assert not torch.allclose(cross_entropy(x, y), cross_entropy(x.softmax(1), y), atol=1e-2)
