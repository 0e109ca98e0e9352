"""The benchmarks of packages run, and count what they should; their figures are taken by hand, on a quiet machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.benchmarks import __main__ as benchmarks
from tests.benchmarks import growth, others, start
from tests.benchmarks.test_cold import BAD
from tests.benchmarks.timing import Command, Held, Took, as_installed, by_turns, exponent, run


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    folder = tmp_path / "packages"
    for name in ("one", "two"):
        (folder / name).mkdir(parents=True)
        (folder / name / "bad.py").write_text(BAD, "utf-8")
        (folder / name / "other.py").write_text("print(1)\n", "utf-8")
        (folder / name / "data.bin").write_bytes(bytes(10))
    return folder


@pytest.mark.slow
def test_one_command_runs_the_parts(
    packages: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(others, "SLOW", {"TorchFix": ("no-such-program", [])})
    before = {path: path.read_bytes() for path in packages.rglob("*") if path.is_file()}
    parts = [part for name in ("others", "packages", "growth") for part in ("--only", name)]
    code = benchmarks.main([str(packages), "--rounds", "1", *parts])
    printed = capsys.readouterr().out
    rows = [line[:26].strip() for line in printed.splitlines()]
    assert {"python -c pass", "cold", "warm", "warm, a file changed", "ast.parse"} <= set(rows)
    assert "TorchFix is not installed: left out" in printed
    held = printed.partition("== what torchlint is held to\n")[2].splitlines()
    assert len(held) >= 5
    assert code == int(any(line.startswith("BROKEN") for line in held))
    assert before == {path: path.read_bytes() for path in packages.rglob("*") if path.is_file()}


def test_the_start_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    (held,) = start.measure(1)
    _, least, *rows = capsys.readouterr().out.splitlines()
    more = {row[:26].strip(): float(row.split()[-3]) for row in rows}
    assert least.startswith("python -c pass")
    assert list(more) == ["a file without torch", "the same, with an option", "a file with a finding"]
    assert held.value == pytest.approx(more["a file without torch"], abs=0.06)


WORK = """\
import time
held = bytearray(60_000_000)
end = time.process_time() + 0.3
while time.process_time() < end:
    pass
"""
TWICE = f"""\
import subprocess, sys
both = [subprocess.Popen([sys.executable, "-c", {WORK!r}]) for _ in range(2)]
for each in both:
    each.wait()
"""


def test_what_processes_take_is_summed() -> None:
    with as_installed() as environment:
        took = run(Command([sys.executable, "-c", TWICE], memory=True), environment)
    assert took.processor >= 0.6
    assert 120 <= took.memory < 250


def test_rounds_take_turns() -> None:
    order: list[str] = []

    def command(name: str) -> Command:
        return Command([sys.executable, "-c", "pass"], lambda: order.append(name))

    with as_installed() as environment:
        taken = by_turns({name: command(name) for name in ("a", "b")}, 3, environment)
    assert order == ["a", "b"] * 3
    assert set(taken) == {"a", "b"}


def test_a_failure_is_no_figure() -> None:
    with as_installed() as environment, pytest.raises(RuntimeError, match="ended with 3"):
        run(Command([sys.executable, "-c", "raise SystemExit(3)"]), environment)


def test_the_exponent_is_that_of_the_growth() -> None:
    assert exponent([1, 2, 4], [3, 6, 12]) == pytest.approx(1)
    assert exponent([1, 2, 4], [3, 12, 48]) == pytest.approx(2)


def test_what_is_held() -> None:
    assert Held("a", 1.0, 1.5).kept
    assert not Held("a", 2.0, 1.5).kept
    assert Held("a", 2.0, 1.5, at_least=True).kept
    assert not others.verdicts({"TorchFix": Took(5, 5), "cold": Took(1, 1), "warm": Took(0.01, 0.01)})[0].kept
    assert growth.steps(24) == [1, 6, 12, 24]
