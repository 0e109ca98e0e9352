"""The distributions of the contracts against the installed torch: what is drawn, of which shape, and how many densities there are."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

from torchlint.contracts import Distribution
from torchlint.rulebook import load_contracts

torch = pytest.importorskip("torch")

DISTRIBUTIONS = load_contracts().distributions
SHAPE = (5, 4, 3)


def made(name: str, table: Distribution) -> Any:
    """One with parameters of the shape above; of those that exclude each other, the last."""
    module, _, last = name.rpartition(".")
    values = {param: torch.rand(SHAPE, requires_grad=True) + at + 0.5 for at, param in enumerate(table.params)}
    if "logits" in values:
        values = {"logits": values["logits"]}
    if last == "MultivariateNormal":
        values["covariance_matrix"] = torch.eye(SHAPE[-1])
    return getattr(importlib.import_module(module), last)(**values)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_draws_and_densities(name: str) -> None:
    table = DISTRIBUTIONS[name]
    distribution = made(name, table)
    each = SHAPE[: len(SHAPE) - table.inside]
    drawn = distribution.sample()
    assert drawn.shape == (SHAPE if table.keeps else each)
    assert not drawn.requires_grad
    density = distribution.log_prob(drawn)
    assert density.shape == each
    assert density.requires_grad
    assert distribution.entropy().shape == each
    assert distribution.has_rsample is table.reparametrized
    if table.reparametrized:
        assert distribution.rsample().requires_grad
    if table.draws == "probability":
        assert ((drawn >= 0) & (drawn <= 1)).all()
    elif table.draws == "nonnegative":
        assert (drawn >= 0).all()
    elif table.draws in ("class_index", "one_hot"):
        assert torch.equal(drawn, drawn.round())
        assert table.draws == "class_index" or (drawn.sum(-1) == 1).all()


def test_positional_parameters() -> None:
    """The parameters stand first, in this order."""
    for name, table in DISTRIBUTIONS.items():
        module, _, last = name.rpartition(".")
        parameters = [*inspect.signature(getattr(importlib.import_module(module), last)).parameters]
        assert tuple(parameters[: len(table.params)]) == table.params, name


def test_independent_takes_dimensions_of_one_draw_together() -> None:
    base = torch.distributions.Normal(torch.zeros(SHAPE), 1.0)
    whole = torch.distributions.Independent(base, 2)
    assert whole.log_prob(whole.sample()).shape == SHAPE[:-2]
    assert whole.sample().shape == SHAPE
