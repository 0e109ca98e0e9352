"""Settings: where they are found, which of them win, and what an error says."""

from __future__ import annotations

import json

import pytest

from tests.faces.conftest import BAD, Run, Tree, in_this_process

ERRORS = {
    'selct = ["TLN1"]': 'tool.torchlint.selct: unknown key; did you mean "select"?',
    "extend_select = []": 'tool.torchlint.extend_select: unknown key; did you mean "extend-select"?',
    'select = "TLN1"': "tool.torchlint.select: expected a list, got a string",
    'ignore = ["TLN1", 3]': "tool.torchlint.ignore[1]: expected a string, got an integer",
    'select = ["TLX"]': 'tool.torchlint.select: unknown rule "TLX"',
    'select = ["unused-supression"]': 'unknown rule "unused-supression"; did you mean "unused-suppression"?',
    'confidence = "sure"': "tool.torchlint.confidence: expected one of 'certain', 'likely', got 'sure'",
    "respect-gitignore = 1": "tool.torchlint.respect-gitignore: expected true or false, got an integer",
    'per-file-ignores = {"a.py" = "TLN1"}': "tool.torchlint.per-file-ignores.'a.py': expected a list, got a string",
    'per-file-ignores = {"a.py" = ["X"]}': "tool.torchlint.per-file-ignores.'a.py': unknown rule \"X\"",
    'loss.mine.famly = "binary"': 'tool.torchlint.loss.mine.famly: unknown key; did you mean "family"?',
    'loss.mine.family = "binry"': "tool.torchlint.loss.mine.family: unknown value 'binry'",
    'loss.mine.args = [{rle = "input"}]': "tool.torchlint.loss.mine.args[0]: ",
    "op = 3": "tool.torchlint.op: expected a table, got an integer",
    'contracts = ["missing.toml"]': "missing.toml: cannot be read: No such file or directory",
    "]": "pyproject.toml: not valid TOML: ",
}


@pytest.mark.parametrize("line", ERRORS)
def test_an_error_names_the_file_and_the_key(line: str, tree: Tree, torchlint: Run) -> None:
    tree({"a.py": BAD, "pyproject.toml": f"[tool.torchlint]\n{line}\n"})
    result = torchlint("check")
    assert result.code == 2
    assert result.out == ""
    assert ERRORS[line] in result.err
    assert "pyproject.toml: " in result.err or "missing.toml: " in result.err
    assert result.err.count("\n") == 1


def test_in_a_file_of_our_own_the_keys_have_no_prefix(tree: Tree, torchlint: Run) -> None:
    tree({"torchlint.toml": "selct = []\n"})
    assert torchlint("check").err == 'error: torchlint.toml: selct: unknown key; did you mean "select"?\n'


def test_the_innermost_file_counts_and_torchlint_toml_wins_in_a_folder(tree: Tree, torchlint: Run) -> None:
    tree(
        {
            "pyproject.toml": '[tool.torchlint]\nselect = ["TLN001"]\n',
            "inner/pyproject.toml": "[tool.other]\nx = 1\n",
            "both/pyproject.toml": '[tool.torchlint]\nselect = ["TLN001"]\n',
            "both/.torchlint.toml": 'select = ["TLN001", "TLN002"]\n',
            "both/torchlint.toml": 'select = ["TLN002"]\n',
        }
    )

    def shown(*arguments: str) -> list[str]:
        rules: list[str] = json.loads(torchlint("config", "--show", *arguments).out)["rules"]
        return rules

    assert shown("inner") == ["TLN001"]
    assert shown("both") == ["TLN002"]
    assert shown("both", "--config", "both/.torchlint.toml") == ["TLN001", "TLN002"]
    assert len(shown("both", "--isolated")) > 2
    assert torchlint("config", "--config", "inner/pyproject.toml").code == 2


@pytest.mark.parametrize(
    ("settings", "arguments", "reported"),
    [
        ("", [], True),
        ("", ["--select", "TLN1"], True),
        ("", ["--select", "tln101,TLN2"], True),
        ("", ["--select", "sigmoid-before-with-logits"], True),
        ("", ["--select", "ALL"], True),
        ("", ["--select", "TLN2"], False),
        ("", ["--ignore", "TLN101"], False),
        ("", ["--ignore", "TLN1", "--extend-select", "TLN101"], True),
        ("", ["--select", "TLN101", "--ignore", "TLN1"], True),
        ("", ["--select", "TLN1", "--ignore", "TLN101"], False),
        ("", ["--select", "TLN101", "--ignore", "TLN101"], False),
        ('ignore = ["TLN101"]', [], False),
        ('ignore = ["TLN101"]', ["--select", "TLN1"], True),
        ('ignore = ["TLN101"]', ["--ignore", "TLN2"], False),
        ('ignore = ["TLN101"]', ["--extend-select", "TLN2"], False),
        ('ignore = ["TLN101"]', ["--extend-select", "TLN1"], True),
        ('select = ["TLN101"]', ["--ignore", "TLN1"], False),
        ('select = ["TLN2"]\nextend-select = ["TLN101"]', ["--extend-select", "TLN0"], True),
        ('select = ["TLN2"]\nextend-select = ["TLN101"]', ["--select", "TLN2"], False),
        ('select = ["TLN2"]', [], False),
        ('select = ["TLN2"]\nextend-select = ["TLN101"]', [], True),
        ('per-file-ignores = {"pkg/*" = ["TLN1"]}', [], False),
        ('per-file-ignores = {"*.py" = ["sigmoid-before-with-logits"]}', [], False),
        ('per-file-ignores = {"!pkg/**" = ["ALL"]}', [], True),
        ('per-file-ignores = {"other/*" = ["TLN1"]}', [], True),
        ('per-file-ignores = {"pkg/*" = ["TLN2"]}', ["--per-file-ignores", "a.py:TLN1"], False),
        ('per-file-ignores = {"pkg/*" = ["TLN1"]}', ["--per-file-ignores", "b.py:TLN1"], True),
        ('extend-exclude = ["pkg"]', ["--exclude", "other"], False),
        ('extend-exclude = ["pkg"]', ["--extend-exclude", "other"], False),
        ('exclude = ["pkg"]', ["--extend-exclude", "other"], False),
        ('exclude = ["pkg"]', ["--exclude", "other"], True),
        ('extend-exclude = ["pkg"]', [], False),
        ('extend-exclude = ["pkg/a*"]', [], False),
        ('exclude = ["/a.py"]', [], True),
    ],
)
def test_selection(settings: str, arguments: list[str], reported: bool, tree: Tree, torchlint: Run) -> None:
    tree({"pkg/a.py": BAD, "torchlint.toml": settings})
    result = torchlint("check", "--output-format", "concise", *arguments)
    assert ("TLN101" in result.out, result.err.replace("warning: no Python", "")[:1] == "e") == (reported, False), (
        result
    )


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (["--exclude", "pkg/inner"], False),
        (["--exclude", "./pkg/inner/*.py"], False),
        (["--exclude", "inner/a.py"], True),
        (["--exclude", "**/inner/a.py"], False),
        (["--exclude", "../pkg/inner"], True),
        (["--extend-exclude", "pkg/inner/a.py"], False),
        (["--exclude", "pkg", "--force-exclude"], False),
        (["--exclude", "/pkg", "--force-exclude"], False),
        (["--per-file-ignores", "pkg/inner/*:TLN1"], False),
        (["--per-file-ignores", "./pkg/inner/a.py:TLN1"], False),
        (["--per-file-ignores", "inner/*:TLN1"], True),
        (["--per-file-ignores", "!pkg/inner/*:TLN1"], True),
    ],
)
def test_patterns_of_the_command_line_are_relative_to_the_working_folder(
    arguments: list[str], reported: bool, tree: Tree, torchlint: Run
) -> None:
    tree({"pkg/inner/a.py": BAD, "pkg/torchlint.toml": ""})
    assert ("TLN101" in torchlint("check", "pkg", *arguments).out) == reported


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (["--exclude", "../pkg/inner"], False),
        (["--exclude", "pkg/inner"], True),
        (["--exclude", "inner"], False),
        (["--per-file-ignores", ".././pkg/inner/*:TLN1"], False),
        (["--per-file-ignores", "pkg/inner/*:TLN1"], True),
    ],
)
def test_patterns_of_the_command_line_may_lead_upwards(
    arguments: list[str], reported: bool, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tree({"pkg/inner/a.py": BAD, "pkg/torchlint.toml": "", "other/a.txt": ""}) / "other"
    monkeypatch.chdir(here)
    assert ("TLN101" in in_this_process(here, ["check", "../pkg", *arguments], b"", {}).out) == reported


def test_a_loss_of_the_users_own(tree: Tree, torchlint: Run) -> None:
    code = BAD.replace("nn.BCEWithLogitsLoss", "losses.MyLoss").replace(
        "from torch import nn", "from mylib import losses"
    )
    table = 'classes = ["mylib.losses.MyLoss"]\nfamily = "binary"\nargs = [{name = "input", role = "input", accepts = ["raw"]}]\n'
    tree({"a.py": code, "losses.toml": f"[loss.mine]\n{table}", "torchlint.toml": 'contracts = ["losses.toml"]'})
    by_file = torchlint("check", "--output-format", "concise")
    tree({"torchlint.toml": f"[loss.mine]\n{table}"})
    by_table = torchlint("check", "--output-format", "concise")
    assert by_file.out.startswith("a.py:8:12: TLN101 ")
    assert by_table.out == by_file.out


def test_unknown_selectors_on_the_command_line(torchlint: Run) -> None:
    assert torchlint("check", "--select", "TLN9").err.startswith('error: select: unknown rule "TLN9"')
    assert torchlint("check", "--ignore", "TLN9").err.startswith('error: --ignore: unknown rule "TLN9"')
    assert torchlint("check", "--per-file-ignores", "TLN1").err.startswith(
        "error: --per-file-ignores: expected PATTERN:CODE"
    )
    assert (
        torchlint("check", "--config", "none.toml").err
        == "error: none.toml: cannot be read: No such file or directory\n"
    )
    assert torchlint("check", "--selct", "TLN1").code == 2
