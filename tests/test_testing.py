"""The runner of examples: what it accepts, and what it says about a page that is wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from torchlint import testing
from torchlint.analysis.ir import Call
from torchlint.findings import Applied, Use
from torchlint.repair import Open, activations
from torchlint.repair.code import Change
from torchlint.testing import CaseResult, PageError, parse_examples

SIGMOID = """import torch
from torch import nn
model = nn.Linear(4, 1)
x, y = torch.randn(8, 4), torch.ones(8, 1)
p = torch.sigmoid(model(x))
"""
BAD = f"{SIGMOID}nn.BCEWithLogitsLoss()(p, y)"
MARKED = f"{BAD}  # error: [TLN101]"
CLEAN = f"{SIGMOID}nn.BCELoss()(p, y)"


def page(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "page.md"
    path.write_text(text, "utf-8")
    return path


def lint(tmp_path: Path, text: str) -> list[CaseResult]:
    return testing.run_page(page(tmp_path, text))


def only(results: list[CaseResult]) -> str:
    (result,) = results
    assert result.passed == (not result.message)
    return result.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"## Bad\n```py\n{MARKED}\n```\n", ""),
        (f"## Good\n```py\n{CLEAN}\n```\n", ""),
        (f"## Bad\n```py\n{CLEAN}  # error: [TLN101]\n```\n", "line 8: TLN101 is marked and not found"),
        (f"## Bad\n```py\n{BAD}\n```\n", "line 8: TLN101 is found and not marked: BCEWithLogitsLoss applies"),
        (f"## Good\n```py\n{BAD}\n```\n", "line 8: TLN101 is found and not marked"),
        (f"## Good\n```py\n{MARKED}\n```\n", "line 8: an error is marked under Good"),
        (f"## Bad\n```py\n{MARKED}\n```\n```py fixed\n{CLEAN}\n```\n", ""),
        (f"## Bad\n```py\n{MARKED}\n```\n```py fixed\n{BAD}\n```\n", "line 16: TLN101 is found in the fixed code"),
        (f"## Known limits\n```py\n{CLEAN}  # todo-error: [TLN101]\n```\n", ""),
        (
            f"## Known limits\n```py\n{BAD}  # todo-error: [TLN101]\n```\n",
            "line 8: TLN101 is found, so this limit is gone",
        ),
        ("## Bad\n```py\nBCELoss = (\n```\n", "line "),
    ],
)
def test_findings_are_compared_with_marks(tmp_path: Path, text: str, said: str) -> None:
    message = only(lint(tmp_path, text))
    assert message.startswith(said)
    assert bool(message) == bool(said)


def test_cases_files_and_titles() -> None:
    text = """# A page
## Across files
### First
`pkg/a.py`:

```py
1
```
pkg/b.py

```py
2
```
### Second
```py
3
```
## Something else
```py
not looked at
```
"""
    found = parse_examples(text, "x.md")
    assert [(case.title, [block.path for block in case.blocks]) for case in found.cases] == [
        ("Across files: First", ["pkg/a.py", "pkg/b.py"]),
        ("Across files: Second", [""]),
    ]
    assert [block.line for case in found.cases for block in case.blocks] == [7, 12, 16]


def test_files_are_linted_together(tmp_path: Path) -> None:
    text = """## Across files
`model.py`
```py
import torch
from torch import nn
class Net(nn.Module):
    def forward(self, x):
        return torch.sigmoid(x)
```
`run.py`
```py
import torch
from torch import nn
from model import Net
nn.BCEWithLogitsLoss()(Net()(torch.zeros(8)), torch.ones(8))  # error: [TLN101]
```
`model.py`
```py fixed
from torch import nn
Net = nn.Identity
```
"""
    assert only(lint(tmp_path, text)) == ""
    assert [result.message for result in testing.run_code(page(tmp_path, text))] == [""]


REPAIRED = MARKED.replace("torch.sigmoid(model(x))", "model(x)")
"""What --fix makes of MARKED, with its mark, which is not compared."""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"```py\n{MARKED}\n```\n```py autofixed\n{REPAIRED}\n```\n", ""),
        (
            f"```py\n{MARKED}\n```\n```py autofixed\n{CLEAN}\n```\n",
            "--fix makes 'p = model(x)', the page says",
        ),
        (f"```py\n{MARKED}\n```\n```py autofixed unsafe\n{MARKED}\n```\n", "--fix --unsafe-fixes makes 'p ="),
        # a block belongs to the code before it
        (f"```py\n{MARKED}\n```\n```py autofixed\n{REPAIRED}\n```\n```py\n{MARKED}\n```\n", ""),
        (f"```py\n{MARKED}\n```\n```py\n{CLEAN}\n```\n```py autofixed\n{REPAIRED}\n```\n", "--fix makes"),
    ],
)
def test_fixes_are_compared_with_the_page(text: str, said: str, tmp_path: Path) -> None:
    message = only(lint(tmp_path, f"## Bad\n{text}"))
    assert message.partition(": ")[2].startswith(said)
    assert bool(message) == bool(said)


def test_a_fix_that_repairs_nothing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def useless(applied: Applied, use: Use, code_of: Open) -> object:
        code = code_of(use.call.path)
        call = code.node(use.call)
        assert isinstance(call, Call)
        start = code.range(call.args[0].value)[0]
        return Change("a blank", [code.edit(start, start, " ")], True)

    monkeypatch.setattr(activations, "drop", useless)
    message = only(lint(tmp_path, f"## Bad\n```py\n{MARKED}\n```\n"))
    assert "--fix does not repair TLN101" in message
    assert "--fix changes the code again when it is run twice" in message


def test_a_case_of_a_library_is_executed_only_with_it(tmp_path: Path) -> None:
    text = "## Good\n```py\n# needs: no_such_library\nimport no_such_library\n```\n"
    assert only(lint(tmp_path, text)) == ""
    assert testing.run_code(page(tmp_path, text)) == []
    assert "does not raise ValueError" in only(
        testing.run_code(page(tmp_path, "## Good\n```py\n# needs: json\nx = 1  # raises: ValueError\n```\n"))
    )


def test_settings_of_a_case(tmp_path: Path) -> None:
    text = f'## Good\n```toml\nignore = ["TLN101"]\n```\n```py\n{BAD}\n```\n'
    assert only(lint(tmp_path, text)) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("## Bad\n```py\nx = 1\n", "page.md:2: this block is never closed"),
        ("## Bad\n```py fix\nx = 1\n```\n", "page.md:2: ```py fix: the flag is 'fixed', 'autofixed', "),
        ("```py damage\nx = 1\n```\n", "page.md:1: a ```text output block must follow this damage block"),
        ("```text output\nx\n```\n", "page.md:1: an output block must follow a ```py damage block"),
        ("## Bad\n`a.py`\n```py\n1\n```\n```py\n2\n```\n", "page.md:6: in a case of several files, a path line"),
        ("## Bad\n```toml\nx = \n```\n```py\n1\n```\n", "page.md:2: not valid TOML"),
    ],
)
def test_a_malformed_page_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(PageError) as error:
        lint(tmp_path, text)
    assert said in str(error.value)


def test_a_missing_page_is_named(tmp_path: Path) -> None:
    with pytest.raises(PageError, match=r"none\.md: cannot be read"):
        testing.run_page(tmp_path / "none.md")


# ------------------------------------------------------------------ executing


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1", ""),
        ("import torch\ntorch.zeros(2) + torch.zeros(3)", "line 4: raises RuntimeError: The size"),
        ("import torch\ntorch.zeros(2) + torch.zeros(3)  # raises: RuntimeError", ""),
        ("import torch\ntorch.zeros(2) + torch.zeros(3)  # raises: ValueError", "line 4: raises RuntimeError"),
        ("x = 1  # raises: ValueError", "line 3: does not raise ValueError"),
        ("def f():\n    return 1  # error: [TLN101]", "line 4: a marked line that never ran"),
        ("def f():\n    return 1  # error: [TLN101]\n\n\nf()", ""),
    ],
)
def test_examples_are_executed(tmp_path: Path, code: str, said: str) -> None:
    pytest.importorskip("torch")
    message = only(testing.run_code(page(tmp_path, f"## Bad\n```py\n{code}\n```\n")))
    assert message.startswith(said)
    assert bool(message) == bool(said)


@pytest.mark.parametrize(
    ("printed", "claimed", "same"),
    [
        ("loss 0.3133", "loss 0.3133", True),
        ("loss 0.3133", "loss 0.3134", True),
        ("loss 0.3133", "loss 0.3136", False),
        ("loss 0.3133", "lost 0.3133", False),
        ("batch 5", "batch 4", False),
        ("nan", "0.5", False),
        ("a\nb", "a", False),
    ],
)
def test_output_is_compared_number_by_number(tmp_path: Path, printed: str, claimed: str, same: bool) -> None:
    pytest.importorskip("torch")
    text = f"```py damage\nprint({printed!r})\n```\n\n```text output\n{claimed}\n```\n"
    assert (only(testing.run_code(page(tmp_path, text))) == "") == same


def test_numbers_without_proof_are_named() -> None:
    text = "## Why it matters\nIt is 0.25, or 0.5, and 3.\n```py damage\n```\n```text output\n0.25 here\n```\n## Else\n0.75\n"
    assert testing.unproven_numbers(parse_examples(text, "x")) == ["0.5"]


def test_modules_of_examples_leave_no_trace(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    before = list(sys.path)
    text = "## Good\n`some_package/inner.py`\n```py\nvalue = 1\n```\n`user.py`\n```py\nfrom some_package.inner import value\n```\n"
    assert only(testing.run_code(page(tmp_path, text))) == ""
    assert "user" not in sys.modules
    assert "some_package.inner" not in sys.modules
    assert sys.path == before
