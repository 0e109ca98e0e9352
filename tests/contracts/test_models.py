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


def test_segmentation_stats() -> None:
    """What is compared, with which parameter, and that it cuts the gradient."""
    smp = pytest.importorskip("segmentation_models_pytorch", exc_type=ImportError)
    scores = torch.tensor([[[[-2.0, 0.2, 0.8, 3.0]]]], requires_grad=True)
    target = torch.ones(1, 1, 1, 4, dtype=torch.long)
    found = [smp.metrics.get_stats(scores, target, mode="binary", threshold=limit)[0] for limit in (0, 0.5)]
    assert [int(each) for each in found] == [3, 2]
    assert not found[0].requires_grad


MEDICAL: dict[str, dict[str, Any]] = {
    "AttentionUnet": {"spatial_dims": 2, "in_channels": 1, "out_channels": 2, "channels": (4, 8), "strides": (2,)},
    "AutoEncoder": {"spatial_dims": 2, "in_channels": 1, "out_channels": 2, "channels": (4, 8), "strides": (2, 2)},
    "BasicUNet": {"spatial_dims": 2, "features": (4, 4, 4, 4, 4, 4)},
    "EfficientNetBN": {"model_name": "efficientnet-b0", "pretrained": False, "in_channels": 1, "num_classes": 2},
    "FlexibleUNet": {"in_channels": 1, "out_channels": 2, "backbone": "efficientnet-b0"},
    "Regressor": {"in_shape": (1, 64, 64), "out_shape": (2,), "channels": (4, 8), "strides": (2, 2)},
    "SegResNet": {"spatial_dims": 2},
    "SwinUNETR": {"spatial_dims": 2, "in_channels": 1, "out_channels": 2, "feature_size": 12},
    "UNETR": {"spatial_dims": 2, "in_channels": 1, "out_channels": 2, "img_size": (64, 64), "feature_size": 4}
    | {"hidden_size": 48, "mlp_dim": 48, "num_heads": 4},
    "UNet": {"spatial_dims": 2, "in_channels": 1, "out_channels": 2, "channels": (4, 8), "strides": (2,)},
    "VNet": {"spatial_dims": 2, "in_channels": 1, "out_channels": 2},
    **{f"DenseNet{n}": {"spatial_dims": 2, "in_channels": 1, "out_channels": 2} for n in (121, 169, 201, 264)},
    **{f"resnet{n}": {"spatial_dims": 2, "n_input_channels": 1, "num_classes": 2} for n in (10, 18, 34, 50)},
}


def names_of(op: str) -> list[str]:
    """The last parts of the names that lead to an operation, each once."""
    found = (name for name, layer in load_contracts().op_layers.items() if layer.id == op)
    return sorted({name.rpartition(".")[2] for name in found})


@pytest.mark.parametrize("name", names_of("medical_network"))
def test_medical_networks(name: str) -> None:
    """Raw scores come out, for each class."""
    nets = pytest.importorskip("monai.networks.nets", exc_type=ImportError)
    if "UNETR" in name:
        pytest.importorskip("einops")
    scores = []
    for seed in range(3):
        torch.manual_seed(seed)
        scores.append(getattr(nets, name)(**MEDICAL[name]).eval()(torch.randn(2, 1, 64, 64)))
    assert is_raw(torch.cat(scores))
    assert scores[0].shape[1] == 2


@pytest.mark.parametrize("name", [*names_of("graph_layer"), *names_of("graph_model")])
def test_graph_networks(name: str) -> None:
    """Raw scores come out, of layers and of whole models."""
    graphs = pytest.importorskip("torch_geometric.nn", exc_type=ImportError)
    extra = {"ChebConv": {"K": 2}, "RGCNConv": {"num_relations": 3}}.get(name, {})
    if name in names_of("graph_model"):
        extra = {"num_layers": 2, "out_channels": 5}
    torch.manual_seed(0)
    layer = getattr(graphs, name)(8, 5, **extra).eval()
    x, edges, types = torch.randn(40, 8), torch.randint(0, 40, (2, 120)), torch.randint(0, 3, (120,))
    scores = layer(x) if name == "Linear" else layer(x, edges, types) if name == "RGCNConv" else layer(x, edges)
    assert is_raw(scores)
    assert scores.shape == (40, 5)
