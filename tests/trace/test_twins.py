"""The verdicts: every wrong script is flagged at its line with its code, and its right twin is not."""

from __future__ import annotations

import linecache
from contextlib import suppress
from pathlib import Path

import pytest

from tests.trace.twins import SUSPECTS, TWINS, Twin
from torchlint.trace.report import Result
from torchlint.trace.session import Trace


def run(script: str, folder: Path) -> Result:
    """Run a script traced in this process; one that fails is judged until there."""
    path = folder / "train.py"
    path.write_text(script, "utf-8")
    linecache.checkcache()
    with Trace() as trace, suppress(RuntimeError, ValueError, IndexError):
        exec(compile(script, str(path), "exec"), {"__name__": "__main__"})
    result = trace.report()
    assert not result.failures
    return result


def verdicts(result: Result) -> set[tuple[int, str]]:
    """Line and code, or name where there is no code, of what is wrong; suspicions and hints aside."""
    return {
        (site.where.line, told.code or told.name)
        for site in result.sites
        for told in site.verdicts
        if told.severity in ("error", "warning")
    }


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.name)
def test_a_wrong_script_is_flagged_where_it_is_wrong(twin: Twin, tmp_path: Path) -> None:
    assert verdicts(run(twin.wrong, tmp_path)) == twin.wanted()


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.name)
def test_a_right_script_is_not(twin: Twin, tmp_path: Path) -> None:
    result = run(twin.right, tmp_path)
    assert result.sites
    assert not [told for site in result.sites for told in site.verdicts]


@pytest.mark.parametrize("twin", SUSPECTS, ids=lambda twin: twin.name)
def test_what_only_numbers_suggest_is_a_suspicion(twin: Twin, tmp_path: Path) -> None:
    wrong = run(twin.wrong, tmp_path)
    told = {(site.where.line, each.code or each.name, each.severity) for site in wrong.sites for each in site.verdicts}
    assert told == {(line, code, "suspect") for line, code in twin.wanted()}
    assert not wrong.bad
    right = run(twin.right, tmp_path)
    assert right.sites and not [each for site in right.sites for each in site.verdicts]
