"""The tracer changes nothing: the same numbers bit for bit, the same random state, and no patch left behind."""

from __future__ import annotations

import random
import sys
from types import FrameType

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from torchlint.trace.session import ACTIVATIONS, Trace, _holder

STEPS = 50


def train() -> list[float]:
    """Losses of a small network with dropout, shuffled data and noise."""
    torch.manual_seed(7)
    x = torch.randn(40 * STEPS // 2 + 7, 8)
    y = (x.sum(1, keepdim=True) > 0).float()
    loader = DataLoader(TensorDataset(x, y), batch_size=40, shuffle=True)
    model = nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses: list[float] = []
    while len(losses) < STEPS:
        for inputs, labels in loader:
            optimizer.zero_grad()
            scores = model(inputs + 0.01 * torch.randn_like(inputs))
            loss = F.binary_cross_entropy_with_logits(scores, labels) + 0.1 * F.mse_loss(torch.sigmoid(scores), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.item())
    return losses


def test_losses_and_random_states_are_the_same_bit_for_bit() -> None:
    random.seed(3)
    plain = train()
    state, other = torch.get_rng_state(), random.getstate()
    random.seed(3)
    with Trace() as trace:
        traced = train()
    assert len(plain) >= STEPS
    assert traced == plain
    assert torch.equal(torch.get_rng_state(), state)
    assert random.getstate() == other
    sites = trace.report().sites
    assert [site.total for site in sites] == [len(plain)] * 2
    assert all(site.examined > 10 for site in sites)


def test_every_patch_is_undone() -> None:
    holders = {id(holder): holder for name, _, _ in ACTIVATIONS for holder in [_holder(name)]}
    holders |= {id(each): each for each in (torch.optim.Optimizer, DataLoader, torch.compiler)}
    before = {key: dict(vars(holder)) for key, holder in holders.items()}
    with Trace():
        assert F.cross_entropy is not before[id(F)]["cross_entropy"]
        kept = F.mse_loss
    assert {key: dict(vars(holder)) for key, holder in holders.items()} == before
    x = torch.ones(3)
    assert kept(x, x) == 0  # a name that was imported meanwhile goes on working


def test_a_failure_of_the_tracer_stays_inside() -> None:
    with Trace() as trace:
        trace.recorder.memory = None  # type: ignore[assignment]  # whatever it is asked for, it raises
        loss = F.mse_loss(torch.ones(3), torch.zeros(3))
    assert loss == 1
    assert trace.report().failures


def test_a_step_that_is_not_looked_at_pays_for_few_calls() -> None:
    x, y = torch.randn(4, 8), torch.randint(3, (4,))
    model = nn.Linear(8, 3)
    optimizer = torch.optim.SGD(model.parameters())
    calls = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call"

    def step() -> int:
        nonlocal calls
        calls = 0
        sys.setprofile(count)
        optimizer.zero_grad()
        F.cross_entropy(model(x.to(x.dtype)), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        sys.setprofile(None)
        return calls

    plain = [step() for _ in range(3)][-1]
    with Trace() as trace:
        traced = [step() - plain for _ in range(1000)]
    # The first 64, and the 1st, 2nd, 4th ... 512th of the rest.
    assert trace.report().sites[0].examined == 64 + 10
    assert sum(more > 9 for more in traced) == 64 + 10, sorted(traced)


def test_no_hook_is_left_on_an_optimizer() -> None:
    weights = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.SGD([weights], lr=0.1)
    with Trace():
        weights.sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        assert optimizer._optimizer_step_post_hooks
    assert not optimizer._optimizer_step_post_hooks


def test_what_the_program_keeps_of_a_trace_counts_no_more() -> None:
    scores, labels = torch.zeros(4, 3), torch.zeros(4, dtype=torch.long)
    with Trace() as trace:
        kept = F.cross_entropy
        for _ in range(3):
            kept(scores, labels)
    kept(scores, labels)
    assert [site.total for site in trace.report().sites] == [3]
