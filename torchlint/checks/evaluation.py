"""Rules on evaluation: what a model's output is compared with."""

from __future__ import annotations

from collections.abc import Iterator

from torchlint.analysis.calls import Comparison, Thresholded
from torchlint.analysis.values import Tensor, alternatives, is_sigmoid
from torchlint.checks.registry import Verdict, rule


@rule("TLN501", on=Thresholded)
def threshold_on_logits(found: Thresholded) -> Iterator[Verdict]:
    """A threshold for probabilities, applied to logits."""
    yield Verdict({"kind": "Logits", "number": f"{found.number:g}"}, found.trail)


@rule("TLN501", on=Comparison)
def sigmoid_against_zero(call: Comparison) -> Iterator[Verdict]:
    """The output of a sigmoid is never below zero."""
    if call.number != 0 or call.op not in ("<", "<=", ">", ">="):
        return
    parts = alternatives(call.value)
    squashed = [part for part in parts if isinstance(part, Tensor) and is_sigmoid(part)]
    if len(squashed) == len(parts):
        first = squashed[0]
        yield Verdict({"kind": f"Outputs of {first.activation}", "number": "0"}, first.trail)
