"""The benchmark runs and counts what it should; the time itself is measured by hand, on a quiet machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import cold

BAD = "import torch\nimport torch.nn as nn\n\ndef f(x, y):\n    return nn.BCEWithLogitsLoss()(torch.sigmoid(x), y)\n"


def test_the_benchmark_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.py").write_text(BAD, "utf-8")
    (tmp_path / "other.py").write_text("print(1)\n", "utf-8")
    assert cold.main([str(tmp_path), "--rounds", "1"]) in (0, 1)
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["files"].split()[0] == "2"
    assert lines["prefilter"].split()[0] == "1"
    assert lines["findings"].split()[0] == "1"


def test_it_says_when_there_is_nothing_to_measure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cold.main([str(tmp_path)]) == 2
    assert "no file passes the prefilter" in capsys.readouterr().err


def test_it_can_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.py").write_text(BAD, "utf-8")
    assert cold.main([str(tmp_path), "--profile"]) == 0
    assert "function calls" in capsys.readouterr().out
