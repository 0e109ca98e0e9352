"""`torchlint.trace()` in notebooks, and the pytest fixture."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.functional import cross_entropy

import torchlint
from tests.trace.conftest import Run


def test_a_block_is_traced_with_names_that_were_imported_before() -> None:
    scores = torch.randn(8, 3, requires_grad=True)
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    with torchlint.trace() as trace:
        cross_entropy(scores.softmax(1), labels)
        F.cross_entropy(scores, labels)
    cross_entropy(scores.softmax(1), labels)
    result = trace.report()
    assert result.bad
    wrong, right = result.sites
    assert [told.code for told in wrong.verdicts] == ["TLN104"]
    assert (wrong.name, wrong.total, wrong.where.path) == ("cross_entropy", 1, __file__)
    assert (right.total, right.verdicts) == (1, ())
    assert "TLN104" in str(result) and "softmax seen in the autograd graph" in str(result)


def test_importing_torchlint_imports_no_torch() -> None:
    code = "import sys, torchlint, torchlint.trace.plugin; torchlint.trace; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


TESTS = """\
import torch
import torch.nn.functional as F

def test_wrong(loss_trace):
    F.binary_cross_entropy_with_logits(torch.randn(8, requires_grad=True).sigmoid(), torch.ones(8))

def test_right(loss_trace):
    F.binary_cross_entropy_with_logits(torch.randn(8, requires_grad=True), torch.ones(8))
    assert loss_trace.report().sites
"""


def test_the_fixture_fails_a_test_with_a_wrong_loss_call(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An installed torchlint is loaded by its entry point, a checkout is not: one way for both.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    arguments = ("-m", "pytest", "-q", "-p", "torchlint.trace.plugin", "-p", "no:cacheprovider", "test_it.py")
    ran = run({"test_it.py": TESTS, "pytest.ini": "[pytest]\n"}, *arguments)
    assert ran.code == 1
    assert "2 passed, 1 error" in ran.out
    assert f"{tmp_path / 'test_it.py'}:5:5: error: TLN101" in ran.out


class Own(nn.Module):
    """A loss of the user's, which calls torch's."""

    def forward(self, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(scores, labels)


class Marked(torch.Tensor):
    """A tensor whose functions torch calls again, for its class."""


def test_a_call_counts_where_the_user_wrote_it_however_torch_gets_there() -> None:
    scores, labels = torch.zeros(4, 3), torch.zeros(4, dtype=torch.long)
    plain = nn.CrossEntropyLoss()
    with torchlint.trace() as t:
        for _ in range(5):
            for loss in (plain, Own(), plain):
                loss(scores, labels)
            plain.forward(scores, labels)
            F.cross_entropy(scores.as_subclass(Marked), labels)
    counts = {(site.name, site.where.line): site.total for site in t.report().sites}
    start = inspect.getsourcelines(test_a_call_counts_where_the_user_wrote_it_however_torch_gets_there)[1]
    own = inspect.getsourcelines(Own)[1] + 4
    assert counts == {
        ("CrossEntropyLoss", start + 6): 10,
        ("cross_entropy", own): 5,
        ("CrossEntropyLoss", start + 7): 5,
        ("cross_entropy", start + 8): 5,
    }
