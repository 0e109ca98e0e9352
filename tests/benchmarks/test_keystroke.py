"""The benchmark of the language server runs and measures what it should; the time is measured by hand, on a quiet machine."""

from __future__ import annotations

import pytest

from tests.benchmarks import keystroke


def test_the_benchmark_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert keystroke.main(["--rounds", "1"]) in (0, 1)
    lines, _, ratio, clock = capsys.readouterr().out.splitlines()
    assert 1000 <= int(lines.split()[0]) <= 1020
    assert lines.endswith(", 5 findings")
    assert ratio.endswith(f"at most {keystroke.LIMIT}")
    assert clock.startswith("by the clock: ")
