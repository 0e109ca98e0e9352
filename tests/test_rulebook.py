"""Pages and contracts: found, parsed, and refused with a message that helps."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from torchlint import data, testing
from torchlint.checks.registry import codes, harmless
from torchlint.contracts import ContractError
from torchlint.errors import RulebookError
from torchlint.rulebook import load, load_contracts, parse_page, rules_folder

HEAD = """# ABC123: some-name

```toml
summary = "s"
message = "{loss} is wrong"
group = "kinds"
severity = "warning"
since = "0.1"
```

Prose.

## What is wrong

More.

## Bad

### One

```py
x = 1  # error: [ABC123]
```
"""


def test_a_page_is_split() -> None:
    rule = parse_page(HEAD, "ABC123.md")
    assert (rule.code, rule.name, rule.severity, rule.default, rule.fix) == (
        "ABC123",
        "some-name",
        "warning",
        True,
        "none",
    )
    assert rule.body.startswith("Prose.")
    assert rule.body.endswith("More.\n")
    assert rule.cases.startswith("## Bad")
    assert HEAD.splitlines()[rule.line - 1] == "## Bad"


def test_windows_line_ends_and_a_mark_do_not_matter() -> None:
    assert parse_page("\ufeff" + HEAD.replace("\n", "\r\n"), "x") == parse_page(HEAD, "x")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("# ABC123: some-name", "# Some name", "x.md:1: the first line must read"),
        ("# ABC123: some-name", "# ABC123: Some Name", "x.md:1: the first line must read"),
        ("```toml", "```", "x.md:2: a ```toml block"),
        ('summary = "s"', "summary = s", "x.md: the toml block is not valid TOML"),
        ('summary = "s"\n', "", "missing required field `summary`"),
        ('"warning"', '"bad"', "Invalid enum value 'bad' - at `$.severity`"),
        ('since = "0.1"', 'since = "0.1"\ncolour = 1', "unknown field `colour`"),
        ("{loss}", "{lost}", "the message uses {lost}; there are {activation}, {dim}, {given}, {input}"),
        ("{loss}", "{loss", "the message: expected '}'"),
    ],
)
def test_a_malformed_page_is_named(old: str, new: str, said: str) -> None:
    with pytest.raises(RulebookError) as error:
        parse_page(HEAD.replace(old, new), "x.md")
    assert said in str(error.value)
    assert str(error.value).startswith("x.md")


def test_a_page_must_be_called_like_its_code(tmp_path: Path) -> None:
    (tmp_path / "ABC124.md").write_text(HEAD)
    with pytest.raises(RulebookError, match=r"the page of ABC123 must be called ABC123\.md"):
        load(tmp_path)


def test_only_files_named_like_a_code_are_pages(tmp_path: Path) -> None:
    (tmp_path / "ABC123.md").write_text(HEAD)
    (tmp_path / "README.md").write_text("# Anything")
    assert list(load(tmp_path)) == ["ABC123"]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "ABC123.md").write_bytes(b"\xff\xfe")
    with pytest.raises(RulebookError, match=r"ABC123\.md: not UTF-8"):
        load(tmp_path)


def test_the_own_rulebook() -> None:
    rules = load()
    assert {"TLN101", "TLN102", "TLN103", "TLN104", "TLN201", "TLN202", "TLN203"} <= set(rules)
    assert list(rules) == sorted(rules)
    assert len({rule.name for rule in rules.values()}) == len(rules)
    for rule in rules.values():
        assert rule.message.count(". ") <= 2, f"{rule.code}: one to three sentences"


def test_advice_is_told_from_mistakes() -> None:
    """Of two possible losses, one with mere advice is a right one: the finding on the other is not certain."""
    rules = load()
    assert harmless() == {code for code in codes() if rules[code].severity == "info"}


def test_loading_needs_neither_libcst_nor_torch() -> None:
    code = "import sys; from torchlint import rulebook as r; r.load(); r.load_contracts(); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"libcst", "torch", "rich", "click"} & set(re.findall(r"'(\w+)'", done.stdout))


def test_contracts_of_a_user_are_merged_in(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[loss.mse_loss]\nfunctions = ["a.b"]\n')
    inline = {"alias": {"short": "very.long"}}
    contracts = load_contracts([own], inline)
    assert contracts.loss_functions["a.b"].id == "mse_loss"
    assert "torch.nn.functional.mse_loss" not in contracts.loss_functions
    assert contracts.aliases["short"] == "very.long"
    assert load_contracts() is load_contracts()


def test_a_missing_contract_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"none\.toml: cannot be read"):
        load_contracts([tmp_path / "none.toml"])


def test_a_broken_installation_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(data, "__file__", str(tmp_path / "torchlint" / "data.py"))
    with pytest.raises(RulebookError, match="the rulebook is missing"):
        rules_folder()


# ------------------------------------------------------------------ rules/README.md

README = (rules_folder() / "README.md").read_text("utf-8")


def test_the_index_names_every_rule() -> None:
    for rule in load().values():
        assert f"| [{rule.code}]({rule.code}.md) | `{rule.name}` | {rule.summary} |" in README


def test_the_worked_example_of_the_readme_runs(tmp_path: Path) -> None:
    """A loss and a layer are added by tables alone."""
    (page,) = re.findall(r"^````markdown\n(.*?)^````$", README, re.DOTALL | re.MULTILINE)
    path = tmp_path / "ourlib.md"
    path.write_text(page, "utf-8")
    results = testing.run_page(path)
    assert len(results) == 2
    assert [result.message for result in results if not result.passed] == []
