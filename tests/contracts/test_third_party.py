"""The loss tables of other libraries against these libraries, where they are installed.

What a table accepts is tried on a perfect prediction: given as a kind that is right it reaches the best that the loss can
say, given as one that is wrong it does not.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from torchlint.contracts import Contracts, DataSet, Loss, When
from torchlint.rulebook import load_contracts

torch = pytest.importorskip("torch")

CONTRACTS: Contracts = load_contracts()
OTHERS = {
    key: loss for key, loss in CONTRACTS.losses.items() if not (*loss.classes, *loss.functions)[0].startswith("torch.")
}
NAMES = [(loss, name) for loss in OTHERS.values() for name in (*loss.classes, *loss.functions)]
ALIASES = [pair for pair in CONTRACTS.aliases.items() if pair[1].partition(".")[0] != "torch"]

REQUIRED: Mapping[str, dict[str, Any]] = {
    "smp_dice": {"mode": "binary"},
    "smp_tversky": {"mode": "binary"},
    "smp_focal": {"mode": "binary"},
    "smp_lovasz": {"mode": "binary"},
    "smp_soft_cross_entropy": {"smooth_factor": 0.0},
    "kornia_tversky": {"alpha": 0.5, "beta": 0.5},
    "kornia_focal": {"alpha": None, "reduction": "mean"},
    "kornia_binary_focal": {"alpha": None, "reduction": "mean"},
    "monai_generalized_dice": {"w_type": "simple"},
    "timm_label_smoothing": {"smoothing": 0.0},
    "timm_binary_cross_entropy": {"smoothing": 0.0},
    "timm_asymmetric_single": {"eps": 0.0},
    "sigmoid_focal_loss": {"reduction": "mean"},
}
"""What a call needs besides the options that are tried, and what makes a perfect prediction perfect."""

SOFTMAX = {"kornia_dice", "kornia_tversky", "kornia_focal", "kornia_lovasz_softmax", "monai_focal"}
ROWS = {key for key in OTHERS if key.startswith("timm")}
INDEX = {"timm_label_smoothing", "timm_asymmetric_single", "smp_soft_cross_entropy", *SOFTMAX} - {"monai_focal"}


def found(name: str) -> Any:
    pytest.importorskip(name.partition(".")[0], exc_type=ImportError)
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize(("loss", "name"), NAMES, ids=[name for _, name in NAMES])
def test_parameters(loss: Loss, name: str) -> None:
    """Tensors and options have these names, in this order."""
    call = found(name)
    tensors = [arg.name for arg in loss.args]
    made = list(inspect.signature(call).parameters)
    if name in loss.functions:
        assert made == [*tensors, *loss.function_options]
    else:
        assert made == list(loss.options)
        assert list(inspect.signature(call.forward).parameters)[1 : len(tensors) + 1] == tensors


@pytest.mark.parametrize(("alias", "prefix"), ALIASES)
def test_alias(alias: str, prefix: str) -> None:
    pytest.importorskip(alias.partition(".")[0], exc_type=ImportError)
    names = {name.rpartition(".")[2] for _, name in NAMES if name.rpartition(".")[0] == prefix}
    module, owner = importlib.import_module(alias), importlib.import_module(prefix)
    shared = [name for name in names if hasattr(module, name)]
    assert shared
    assert all(getattr(module, name) is getattr(owner, name) for name in shared)


def perfect(key: str, softmax: bool) -> tuple[dict[str, Any], Any]:
    """A prediction without a fault as raw scores and as probabilities, and its target."""
    label = torch.arange(64).reshape(1, 8, 8) % 3 == 0
    if key in ROWS:
        label = label.reshape(8, 8)[:, :4]
        label[:, 0] = ~label[:, 1:].any(1)
    if softmax:
        rows = torch.stack([~label, label], 1) if key not in ROWS else torch.eye(4)[torch.arange(8) % 4]
        target = rows.float()
        index = target.argmax(1)
        scores = 30.0 * (2.0 * target - 1.0)
        return {"raw": scores, "simplex": target.clone()}, index if key in INDEX else target
    target = (label if key in ROWS else label[:, None]).float()
    if key == "kornia_lovasz_hinge":
        return {"raw": 30.0 * (2.0 * target - 1.0), "probability": target.clone()}, target[:, 0]
    return {"raw": 30.0 * (2.0 * target - 1.0), "probability": target.clone()}, target


SETTINGS = [
    pytest.param(key, loss, when, id=f"{key}-{when.option}={when.equals}" if when else key)
    for key, loss in OTHERS.items()
    for when in (None, *(when for when in loss.when if when.accepts))
]


@pytest.mark.parametrize(("key", "loss", "when"), SETTINGS)
def test_accepts(key: str, loss: Loss, when: When | None) -> None:
    """Of raw scores and probabilities, those that the table accepts reach the least value that the loss can have."""
    options = dict(REQUIRED.get(key, {}))
    accepts = (when or loss.args[0]).accepts
    if when is not None:
        options[when.option] = when.equals
    softmax = key in SOFTMAX | {"timm_label_smoothing", "timm_soft_target", "timm_asymmetric_single"} or (
        when is not None and "softmax" in when.option
    )
    softmax = softmax or loss.family == "multiclass"
    given, target = perfect(key, softmax and not (key == "monai_focal" and when is None))
    if loss.classes:
        call = found(loss.classes[0])(**options)
        values = {kind: float(call(value, target)) for kind, value in given.items()}
    else:
        call = found(loss.functions[0])
        values = {kind: float(call(value, target, **options)) for kind, value in given.items()}
    for kind, value in values.items():
        assert (abs(value) < NEARLY_ZERO) is (kind in accepts), values


NEARLY_ZERO = 1e-3


def test_every_library_is_covered() -> None:
    """No table of a library is left out because its file has a new name."""
    tops = {name.partition(".")[0] for _, name in NAMES}
    assert tops == {"torchvision", "monai", "segmentation_models_pytorch", "kornia", "timm"}
    assert not {key for key in itertools.chain(REQUIRED, SOFTMAX) if key not in OTHERS}


@pytest.mark.parametrize(("name", "known"), CONTRACTS.datasets.items())
def test_data_sets(name: str, known: DataSet) -> None:
    """The class exists, and the argument that tells the parts from each other stands where the table says."""
    pytest.importorskip(name.partition(".")[0])
    module, _, short = name.rpartition(".")
    parameters = list(inspect.signature(getattr(importlib.import_module(module), short).__init__).parameters)[1:]
    if known.train is not None:
        assert parameters[known.position] == known.option
