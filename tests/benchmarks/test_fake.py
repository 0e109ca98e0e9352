"""A fake run of a model of 50 billion parameters stays small; its time is measured by hand, on a quiet machine."""

from __future__ import annotations

import pytest

from tests.benchmarks import fake

pytest.importorskip("torch")


def test_fifty_billion_parameters_fit_in_a_gigabyte() -> None:
    cost = fake.measure(width=32768, blocks=4)
    assert cost.parameters > 50e9
    assert cost.megabytes < 1000
    assert set(cost.parts) == {"parameters", "forward", "backward", "step"}
    (site,) = cost.report["sites"]
    assert site["arguments"]["input"]["shapes"] == [[16384, 50257]]
    assert {device for each in site["arguments"].values() for device in each["devices"]} == {"cuda:0"}
    assert site["verdicts"] == []
