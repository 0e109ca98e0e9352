"""Rules on evaluation: what a model's output is compared with."""

from __future__ import annotations

from collections.abc import Iterator

from torchlint.analysis.calls import Comparison, Thresholded
from torchlint.analysis.values import Tensor, alternatives, is_sigmoid, sigmoid_inside
from torchlint.checks.registry import Verdict, rule


@rule("TLN501", on=Thresholded)
def threshold_on_logits(found: Thresholded) -> Iterator[Verdict]:
    """A threshold for probabilities, applied to logits."""
    yield Verdict({"kind": "Logits", "number": f"{found.number:g}"}, found.trail)


_LOWEST = 0.5
"""A sigmoid of what is not below zero is not below this."""


@rule("TLN501", on=Comparison)
def sigmoid_against_its_limit(call: Comparison) -> Iterator[Verdict]:
    """The output of a sigmoid is never below zero, and that of a sigmoid behind a sigmoid never below one half."""
    if not 0 <= call.number <= _LOWEST:
        return  # before the value is computed, which may be a whole model's
    parts = alternatives(call.value)
    if call.number > 0 and all(sigmoid_inside(part) is not None for part in parts):
        words = {"kind": "Outputs of a second sigmoid, none of which is below 0.5,", "number": f"{call.number:g}"}
        yield Verdict(words, parts[0].trail if isinstance(parts[0], Tensor) else None)
    if call.number != 0 or call.op not in ("<", "<=", ">", ">="):
        return
    squashed = [part for part in parts if isinstance(part, Tensor) and is_sigmoid(part)]
    if len(squashed) == len(parts):
        first = squashed[0]
        yield Verdict({"kind": f"Outputs of {first.activation}", "number": "0"}, first.trail)
