"""The models of other libraries, where they are installed: they give raw scores, and their head is what gives them."""

from __future__ import annotations

import importlib
from fnmatch import fnmatchcase
from typing import Any

import pytest

from torchlint.rulebook import load_contracts

torch = pytest.importorskip("torch")

MODEL = load_contracts().starred["torchvision"][0][1]
PATTERNS = [name for name in MODEL.layers if name.startswith("torchvision.") and "<" not in name]


def smallest(pattern: str) -> Any:
    """The constructor of the first model that a name stands for."""
    pytest.importorskip("torchvision", exc_type=ImportError)
    module = importlib.import_module("torchvision.models")
    last = pattern.rpartition(".")[2]
    names = [name for name in module.list_models(module=module) if fnmatchcase(name, last)]
    assert names, f"no model of torchvision is called {last}"
    return module.get_model(min(names, key=len), weights=None)


def is_raw(scores: Any) -> bool:
    return isinstance(scores, torch.Tensor) and bool((scores < 0).any())


@pytest.mark.parametrize("pattern", PATTERNS)
def test_torchvision(pattern: str) -> None:
    """Raw scores come out, and one of the heads is what gives them."""
    model = smallest(pattern).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():  # some heads are made with zeros, which training changes
                parameter.normal_()
        assert is_raw(model(torch.randn(2, 3, 224, 224)))
    heads = [name for name in MODEL.heads if hasattr(model, name)]
    assert len(heads) == 1
    setattr(model, heads[0], torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(3), torch.nn.Sigmoid()))
    out = model(torch.randn(2, 3, 224, 224))
    assert out.shape == (2, 3)
    assert out.min() >= 0
    assert out.max() <= 1


def test_timm() -> None:
    timm = pytest.importorskip("timm", exc_type=ImportError)
    model = timm.create_model("resnet18", pretrained=False, num_classes=3).eval()
    assert is_raw(model(torch.randn(2, 3, 64, 64)))
    model.fc = torch.nn.Sequential(torch.nn.Linear(512, 1), torch.nn.Sigmoid())
    assert not is_raw(model(torch.randn(2, 3, 64, 64)))


@pytest.mark.parametrize(("activation", "raw"), [(None, True), ("sigmoid", False), ("softmax2d", False)])
def test_segmentation_models(activation: str | None, raw: bool) -> None:
    smp = pytest.importorskip("segmentation_models_pytorch", exc_type=ImportError)
    model = smp.Unet("resnet18", encoder_weights=None, classes=3, activation=activation).eval()
    scores = model(torch.randn(1, 3, 64, 64))
    assert is_raw(scores) is raw
    assert bool(((scores.sum(1) - 1).abs() < 1e-4).all()) is (activation == "softmax2d")
