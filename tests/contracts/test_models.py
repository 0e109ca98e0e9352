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


@pytest.mark.parametrize("name", ["deeplabv3_resnet50", "fcn_resnet50", "lraspp_mobilenet_v3_large"])
def test_segmentation_pairs(name: str) -> None:
    """A dict of raw scores, under these names alone."""
    models = pytest.importorskip("torchvision.models.segmentation", exc_type=ImportError)
    model = getattr(models, name)(weights=None, weights_backbone=None, num_classes=2).eval()
    scores = model(torch.randn(1, 3, 64, 64))
    op = load_contracts().layer(f"torchvision.models.segmentation.{name}")
    assert op is not None
    assert set(scores) <= set(op.fields)
    assert all(is_raw(each) for each in scores.values())


def _last_layer_gives_the_scores(model: Any, head: str, size: int) -> None:
    x = torch.randn(2, 3, size, size)
    assert is_raw(model.eval()(x))
    inside = getattr(model, head)
    features = (inside if isinstance(inside, torch.nn.Linear) else inside[-1]).in_features
    setattr(model, head, torch.nn.Sequential(torch.nn.Linear(features, 1), torch.nn.Sigmoid()))
    assert not is_raw(model(x))


def test_efficientnet() -> None:
    library = pytest.importorskip("efficientnet_pytorch", exc_type=ImportError)
    _last_layer_gives_the_scores(library.EfficientNet.from_name("efficientnet-b0", num_classes=3), "_fc", 64)


@pytest.mark.parametrize(
    "name", ["resnet18", "se_resnet50", "vgg11", "xception", "dpn68", "inceptionv4", "densenet121"]
)
def test_pretrained_models(name: str) -> None:
    library = pytest.importorskip("pretrainedmodels", exc_type=ImportError)
    op = load_contracts().layer(f"pretrainedmodels.{name}")
    assert op is not None
    model = getattr(library, name)(num_classes=1000, pretrained=None).eval()
    size = 299 if name in ("inceptionv4", "xception") else 224
    with torch.no_grad():
        assert is_raw(model(torch.randn(1, 3, size, size)))
    assert [head for head in op.heads if hasattr(model, head)] == ["last_linear"]


@pytest.mark.parametrize(("name", "head"), [("ViT", "mlp_head"), ("SimpleViT", "linear_head")])
def test_vision_transformers(name: str, head: str) -> None:
    library = pytest.importorskip("vit_pytorch", exc_type=ImportError)
    sizes = {"image_size": 32, "patch_size": 8, "num_classes": 5, "dim": 16, "depth": 1, "heads": 2, "mlp_dim": 16}
    _last_layer_gives_the_scores(getattr(library, name)(**sizes), head, 32)


def test_mask_decoder() -> None:
    """A pair, the first of which is the masks' raw scores; a model called as a whole gives no tensor."""
    modeling = pytest.importorskip("segment_anything.modeling", exc_type=ImportError)
    transformer = modeling.TwoWayTransformer(depth=1, embedding_dim=32, mlp_dim=16, num_heads=2)
    decoder = modeling.MaskDecoder(transformer_dim=32, transformer=transformer).eval()
    points, dense = torch.randn(1, 2, 32), torch.randn(1, 32, 8, 8)
    masks, quality = decoder(torch.randn(1, 32, 8, 8), torch.randn(1, 32, 8, 8), points, dense, multimask_output=False)
    assert is_raw(masks)
    assert masks.shape == (1, 1, 32, 32)
    assert quality.shape == (1, 1)
    library = importlib.import_module("segment_anything")
    assert {*library.sam_model_registry} == {"default", "vit_h", "vit_l", "vit_b"}


def test_fields_of_transformers() -> None:
    """What answers questions names the scores of both ends, and gives them first; a mask's scores have a name only."""
    library = pytest.importorskip("transformers", exc_type=ImportError)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model = library.BertForQuestionAnswering(library.BertConfig(vocab_size=20, **sizes)).eval()
    told = model(input_ids=torch.randint(0, 20, (2, 6)))
    op = load_contracts().layer("transformers.BertForQuestionAnswering.from_pretrained")
    assert op is not None
    assert [told[place] is told[field] for place, field in enumerate(op.fields)] == [True, True]
    assert all(is_raw(told[field]) for field in op.fields)
    masks = load_contracts().layer("transformers.SamModel.from_pretrained")
    assert masks is not None
    assert all(
        field in library.models.sam.modeling_sam.SamImageSegmentationOutput.__annotations__ for field in masks.fields
    )
