"""The benchmark of the flake8 plugin runs and counts what it should; the time is measured by hand, on a quiet machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import flake8
from tests.benchmarks.test_cold import BAD


def test_the_benchmark_runs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name, text in (("one/bad.py", BAD), ("one/other.py", "print(1)\n"), ("two/bad.py", BAD)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    assert flake8.main([str(tmp_path / "one"), str(tmp_path / "two")]) in (0, 1)
    _, one, two, once, total, ratio = capfd.readouterr().out.splitlines()
    counts = [[row.split()[column] for column in (0, 1, 2, -1)] for row in (one, two, total)]
    assert counts == [["one", "2", "1", "1"], ["two", "1", "1", "1"], ["total", "3", "2", "2"]]
    spent = [float(row.split()[4]) for row in (one, two, total)]
    assert spent[2] >= spent[0] + spent[1] + float(once.split()[4]) - 0.05
    assert all(float(row.split()[4]) <= float(row.split()[5]) for row in (one, two)), "a part of flake8's own time"
    assert ratio == f"ratio {total.split()[-2]}, at most {flake8.LIMIT}"
