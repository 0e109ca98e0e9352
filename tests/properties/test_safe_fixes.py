"""Safe fixes change the loss that was wrong and nothing else: random functions, run with torch before and after."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, example, given, settings
from hypothesis import strategies as st

from torchlint.engine import fix_texts

NAMES = st.sampled_from("pqr")
HEAD = """\
import torch
from torch import nn

criterion = nn.BCEWithLogitsLoss()


def step(net, x, y, seen):
    p = q = r = net(x)
    losses = []
"""
TAIL = """\
    return losses
"""
EXPRESSIONS = st.sampled_from(
    [
        "net(x)",
        "{a}",
        "torch.sigmoid({a})",
        "{a}.sigmoid()",
        "torch.sigmoid(net(x))",
        "torch.sigmoid({a} - {b})",
        "torch.sigmoid(input={a}).view(-1, 1)",
        "nn.Sigmoid()({a})",
        "{a}.clone()",
        "{a}[:]",
        "{a} * 0.5",
    ]
)


@st.composite
def expressions(draw: st.DrawFn) -> str:
    return draw(EXPRESSIONS).format(a=draw(NAMES), b=draw(NAMES))


@st.composite
def simple(draw: st.DrawFn) -> list[str]:
    kind = draw(st.sampled_from(["assign", "assign", "assign", "loss", "loss", "look", "change"]))
    if kind == "assign":
        return [f"{draw(NAMES)} = {draw(expressions())}"]
    if kind == "loss":
        given_to = draw(st.one_of(NAMES, expressions()))
        return [f"losses.append(criterion({given_to}, y))"]
    if kind == "look":
        return [f"seen.append(({draw(st.one_of(NAMES, expressions()))}).clone())"]
    return [draw(st.sampled_from(["{a} += 1", "{a}.mul_(0.5)", "{a}[0] = 0"])).format(a=draw(NAMES))]


@st.composite
def compound(draw: st.DrawFn, inner: st.SearchStrategy[list[str]]) -> list[str]:
    head = draw(
        st.sampled_from(["for _ in range(2):", "if len(seen) % 2:", "with torch.no_grad():", "while len(seen) < 3:"])
    )
    body = [line for part in draw(st.lists(inner, min_size=1, max_size=4)) for line in part]
    if head.startswith("while"):
        body.append("seen.append(p.clone())")
    out = [head, *(f"    {line}" for line in body)]
    if head.startswith("if") and draw(st.booleans()):
        out += ["else:", *(f"    {line}" for line in draw(inner))]
    return out


STATEMENTS = st.recursive(simple(), compound, max_leaves=6)
BODIES = st.lists(STATEMENTS, min_size=2, max_size=8).map(lambda parts: [line for part in parts for line in part])


def run(text: str) -> tuple[list[Any], int]:
    """What is seen besides the losses, and how many losses there are."""
    import torch

    torch.manual_seed(0)
    space: dict[str, Any] = {}
    exec(compile(text, "example.py", "exec"), space)
    seen: list[Any] = []
    net = torch.nn.Linear(4, 1)
    with torch.no_grad():
        losses = space["step"](net, torch.randn(8, 4), torch.ones(8, 1), seen)
    return [value.tolist() for value in seen], len(losses)


@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a program is short as it is, and shrinking it takes minutes
    suppress_health_check=list(HealthCheck),
)
@given(BODIES)
@example(
    [
        "p = torch.sigmoid(p)",
        "for _ in range(2):",
        "    losses.append(criterion(p, y))",
        "    p = net(x)",
        "seen.append(p.clone())",
    ]
)
@example(["q = torch.sigmoid(p)", "p += 1", "losses.append(criterion(q, y))", "seen.append(q.clone())"])
@example(["q = torch.sigmoid(p)", "losses.append(criterion(q, y))", "seen.append(q.clone())", "p = net(x)"])
def test_only_the_loss_changes(body: list[str]) -> None:
    pytest.importorskip("torch")
    text = HEAD + "".join(f"    {line}\n" for line in body) + TAIL
    fixed = fix_texts({"a.py": text}, unsafe=False)
    assume(fixed.after)
    after = fixed.after["a.py"].decode()
    assert run(after) == run(text), after
    assert not fix_texts({"a.py": after}, unsafe=False).after
    assert not fixed.waiting
