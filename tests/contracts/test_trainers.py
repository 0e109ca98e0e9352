"""The trainers of the contracts, where their library is installed: which criterion they have, and what they hand to it."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

from torchlint.contracts import Trainer
from torchlint.rulebook import load_contracts

torch = pytest.importorskip("torch")

TRAINERS = load_contracts().trainers


def named(name: str) -> Any:
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


@pytest.mark.parametrize("name", TRAINERS)
def test_the_criterion(name: str) -> None:
    """It is the default that the table says; and the output comes to it unchanged, or prepared if the table says so."""
    pytest.importorskip(name.partition(".")[0])
    trainer: Trainer = TRAINERS[name]
    given = inspect.signature(named(name)).parameters["criterion"].default
    assert given is (named(trainer.default) if trainer.default else inspect.Parameter.empty)

    probabilities, labels = torch.softmax(torch.randn(8, 3), 1), torch.arange(8) % 3
    for criterion in ("torch.nn.CrossEntropyLoss", "torch.nn.NLLLoss"):
        sizes = {"module__in_features": 3, "module__out_features": 3}
        net = named(name)(torch.nn.Linear, criterion=named(criterion), **sizes).initialize()
        plain = named(criterion)()(probabilities, labels)
        same = torch.equal(net.get_loss(probabilities, labels), plain)
        assert same is (criterion not in trainer.prepares_for), criterion
