"""Notebooks: positions in cells, IPython's own syntax, other languages, and broken ones."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faces.conftest import BAD, Run, Tree
from torchlint.notebook import from_bytes, to_python
from torchlint.source import split_lines

PIECES = (*"x=!%?/,;:'\"([{)]}#\\ \t\n\r", "%%time", "%%bash", "'''", "\r\n", "if x: ")
KEYS = ("cells", "cell_type", "source", "metadata", "worksheets", "kernelspec", "language")


def notebook(*cells: str | list[str], language: str = "python", **more: Any) -> str:
    made: list[dict[str, Any]] = [
        {"cell_type": "code", "metadata": {}, "outputs": [], "source": cell} for cell in cells
    ]
    return json.dumps({"cells": made, "metadata": {"kernelspec": {"language": language}}, "nbformat": 4, **more})


@pytest.mark.parametrize(
    ("cell", "python"),
    [
        ("%matplotlib inline\nx = 1", "pass\nx = 1"),
        ("!pip install torch \\\n    timm\nx", "pass\n\nx"),
        ("files = !ls *.py", "files = None"),
        ("a.b, c[0] = %sql select 1", "a.b, c[0] = None"),
        ("for x in y:\n    !echo {x}\n    %time z = f(x)", "for x in y:\n    pass\n    pass; z = f(x)"),
        ("%timeit -n 10 f(x)\n%timeit f(x)", "pass\npass;   f(x)"),
        ("?help\nnp.sum?\nx[0].y??\nz", "pass\npass\npass\nz"),
        ("if colab: !pip install x\nelse: %cd x", "if colab: pass\nelse: pass"),
        ("%%bash\necho 'it\nls", "\n\n"),
        ("\n%%html\n<b>", "\n\n"),
        ("%%time\nx = 1", "\nx = 1"),
        ("%%capture out\n%%time\n!ls\nx = 1", "\n\npass\nx = 1"),
        ("/f x\n,g y", "pass\npass"),
        ("x = '''\n%no\n!no?\n'''", "x = '''\n%no\n!no?\n'''"),
        ("x = (a\n  % b)\nx %= 3\nx != y\ns = 'a?'  # why?", "x = (a\n  % b)\nx %= 3\nx != y\ns = 'a?'  # why?"),
        ("f'{x!r}';", "f'{x!r}';"),
    ],
)
def test_ipython_becomes_python(cell: str, python: str) -> None:
    assert to_python(cell) == python
    ast.parse(python)


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_every_cell_keeps_its_lines(cell: str) -> None:
    def ended(text: str) -> int:
        return sum(line.endswith(("\r", "\n")) for line in split_lines(text))

    assert ended(to_python(cell)) == ended(cell)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(KEYS),
                inner,
            )
        ),
    )
)
def test_any_json_is_a_notebook_or_a_clear_refusal(value: Any) -> None:
    from torchlint.source import SourceError

    try:
        source = from_bytes("n.ipynb", json.dumps(value).encode())
    except SourceError as error:
        assert error.message.startswith("not a notebook: ")
    else:
        assert sum(cell.lines for cell in source.cells) == len(split_lines(source.text))


def test_a_finding_has_its_cell_and_the_line_in_it(tree: Tree, torchlint: Run) -> None:
    setup, _, loss = BAD.partition("def ")
    cells: list[str | list[str]] = ["%%bash\nls", setup.splitlines(keepends=True), f"!nvidia-smi\n%%time\ndef {loss}"]
    cells[2] = f"%%time\n!nvidia-smi\ndef {loss}"
    tree({"n.ipynb": notebook(*cells)})
    result = torchlint("check", "--output-format", "concise")
    assert result.out.startswith("n.ipynb:cell 3:6:12: TLN101 "), result
    found = json.loads(torchlint("check", "--output-format", "json").out)[0]
    assert (found["cell"], found["location"]) == (3, {"row": 6, "column": 12})
    assert [step["cell"] for step in found["trail"]][-1] == 3
    full = torchlint("check").out
    assert "6 |     return criterion(probabilities, labels)" in full


def test_the_old_format_and_suppressions(tree: Tree, torchlint: Run) -> None:
    old = {"cell_type": "code", "language": "python", "input": BAD.splitlines(keepends=True)}
    other = {"cell_type": "code", "language": "ruby", "input": "puts 'x"}
    hidden = BAD.rstrip() + "  # torchlint: ignore[TLN101]"
    tree(
        {
            "old.ipynb": json.dumps({"nbformat": 3, "metadata": {}, "worksheets": [{"cells": [other, old]}]}),
            "hidden.ipynb": notebook("x = 1", hidden),
            "julia.ipynb": notebook("BCELoss = 1; end'", language="julia"),
        }
    )
    result = torchlint("check", "-q", "--output-format", "concise")
    assert [line.rpartition(": TLN")[0] for line in result.out.splitlines()] == ["old.ipynb:cell 2:8:12"]
    assert result.err == ""


TRAIN = """from torch import nn


def train(net, loader):
    for x, y in loader:
        loss = nn.CrossEntropyLoss()(net(x), y)
        loss.backward()
"""
CALL = """from torch import nn
from fit import train

train(nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=1)), loader)
"""


@pytest.mark.parametrize("cell", [CALL, CALL.splitlines(keepends=True)], ids=["one text", "lines"])
def test_a_notebook_that_names_no_loss_tells_what_a_function_gets(
    cell: str | list[str], tree: Tree, torchlint: Run
) -> None:
    tree({"fit.py": TRAIN, "main.ipynb": notebook("loader = data()", cell)})
    for _ in range(2):  # cold, and from what the first run remembered
        result = torchlint("check", "-q", "--output-format", "concise")
        assert [line.rpartition(": TLN")[0] for line in result.out.splitlines()] == ["fit.py:6:16"]


def test_a_broken_cell_is_named_and_the_others_are_linted(tree: Tree, torchlint: Run) -> None:
    tree({"n.ipynb": notebook("x = = 1", BAD)})
    result = torchlint("check", "--output-format", "concise")
    assert result.err.startswith("n.ipynb:cell 1:1: error: cell is not valid Python and was left out")
    assert result.out.startswith("n.ipynb:cell 2:8:12: TLN101 ")
    assert result.code == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"cells": [\n  "BCELoss": }', "n.ipynb:2:12: error: not a notebook: not valid JSON"),
        (b'["BCELoss"]', "n.ipynb:1:1: error: not a notebook: its JSON has no list of cells"),
        (b'{"cells": "BCELoss"}', "not a notebook: its JSON has no list of cells"),
        (b'{"x": "BCELoss \xff"}', "n.ipynb:1: error: not a notebook: byte 0xff is not valid UTF-8"),
        (b'"BCELoss"' + b"[" * 100_000, "n.ipynb:1:10: error: not a notebook"),
        (b'["BCELoss",' + b"[" * 100_000, "n.ipynb: error: not a notebook: its JSON is nested too deeply"),
    ],
)
def test_a_broken_notebook(content: bytes, message: str, tree: Tree, torchlint: Run) -> None:
    tree({"n.ipynb": content, "a.py": BAD})
    result = torchlint("check", "--output-format", "concise")
    assert message in result.err
    assert result.out.startswith("a.py:8:12")
    assert result.code == 1
