"""What README.md says is so: its example's files, its output, its settings and its rules."""

from __future__ import annotations

import contextlib
import io
import os
import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from torchlint import config, rulebook
from torchlint.commands import cli

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(kind: str) -> list[tuple[str, str]]:
    """(text of the mark, contents) of the fenced blocks under `<!-- kind: text -->`."""
    found = re.findall(rf"<!-- {kind}(?:: ([^\n]*?))? -->\n```\w+\n(.*?)```\n", README, re.DOTALL)
    assert found, f"README.md has no block marked {kind}"
    return found


@pytest.mark.parametrize(("path", "text"), blocks("file"))
def test_example_files_are_shown_as_they_are(path: str, text: str) -> None:
    assert (ROOT / path).read_text("utf-8") == text


@pytest.mark.parametrize(("command", "expected"), blocks("output"))
def test_output_is_shown_as_it_is(command: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("NO_COLOR", "1")
    program, *arguments = command.split()
    assert program == "torchlint"
    result = CliRunner().invoke(cli, arguments, standalone_mode=False)
    assert result.exception is None
    assert result.output == expected
    assert result.return_value == int("No findings" not in expected)


@pytest.mark.parametrize(("mark", "text"), blocks("settings"))
def test_settings_are_accepted(mark: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(text, "utf-8")
    settings = config.read(os.fspath(path))
    assert config.selection(settings, rulebook.load()).codes
    if mark:
        rulebook.load_contracts((), settings.tables)


def test_own_loss_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = [text for mark, text in blocks("settings") if mark == "example"]
    (tmp_path / "pyproject.toml").write_text(text, "utf-8")
    (tmp_path / "train.py").write_text(
        "from project.layers import squash\nfrom project.losses import WeightedBCE\n\n\n"
        "def step(x, y):\n    return WeightedBCE()(squash(x), y)\n",
        "utf-8",
    )
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["check", "--output-format", "concise"], standalone_mode=False)
    assert "TLN101" in result.output


def test_rules_are_those_of_the_rulebook() -> None:
    table = dict(re.findall(r"^\| (TLN[1-9]\d\d) \| ([\w-]+) \|", README, re.MULTILINE))
    pages = {code: rule.name for code, rule in rulebook.load().items() if not code.startswith("TLN0")}
    assert table == pages


def test_settings_name_real_keys() -> None:
    named = {key for _, text in blocks("settings") for key in tomllib.loads(text)["tool"]["torchlint"]}
    assert named <= set(config.keys())


def test_commands_are_single_lines() -> None:
    commands = dict(blocks("command"))
    assert set(commands) == {"main", "tests"}
    assert all(len(text.splitlines()) == 1 for text in commands.values())


def test_options_exist() -> None:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        for command in ("check", "baseline", "trace"):
            cli.main([command, "--help"], standalone_mode=False)
    of_other_programs = {"--strict", "--no-deps", "--no-binary", "--jobs", "--stdin-display-name"}
    of_benchmarks = {"--each", "--only", "--rounds", "--tools"}
    others = {"--show", *of_other_programs, *of_benchmarks}
    options = set(re.findall(r"`(--[a-z-]+)", README)) - others
    assert options
    assert all(option in out.getvalue() for option in options)
