"""The benchmark runs and counts what it should; the time itself is measured by hand, on a quiet machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import cold

BAD = "import torch\nimport torch.nn as nn\n\ndef f(x, y):\n    return nn.BCEWithLogitsLoss()(torch.sigmoid(x), y)\n"


def test_the_benchmark_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one/bad.py", "two/bad.py"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(BAD, "utf-8")
    (tmp_path / "one" / "other.py").write_text("print(1)\n", "utf-8")
    assert cold.main([str(tmp_path), "--each", "--rounds", "1"]) in (0, 1)
    head, one, two, total, ratio = capsys.readouterr().out.splitlines()
    assert len(one) == len(two) == len(total) == len(head)
    counts = [[row.split()[column] for column in (0, 1, 3, -3, -2, -1)] for row in (one, two, total)]
    assert counts == [
        ["one", "2", "1", "1", "0", "0"],
        ["two", "1", "1", "1", "0", "0"],
        ["total", "3", "2", "2", "0", "0"],
    ]
    assert ratio == f"ratio {total.split()[-4]}, at most 1.5"


def test_it_says_when_there_is_nothing_to_measure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cold.main([str(tmp_path)]) == 2
    assert "no file passes the prefilter" in capsys.readouterr().err


def test_it_can_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.py").write_text(BAD, "utf-8")
    assert cold.main([str(tmp_path), "--profile"]) == 0
    assert "function calls" in capsys.readouterr().out
