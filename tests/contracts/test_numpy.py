"""What is said of NumPy and pandas, against both: shapes and types of the arrays that code makes, and of tensors made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from torchlint.analysis import imports
from torchlint.analysis.entries import Recorder
from torchlint.analysis.program import Program
from torchlint.analysis.values import Shape, Tensor, Value, alternatives
from torchlint.analysis.vocabulary import Vocabulary
from torchlint.contracts import read_tables
from torchlint.project import Project
from torchlint.rulebook import load_contracts, rules_folder
from torchlint.source import Source

np = pytest.importorskip("numpy")

MADE = """
import numpy as np
import torch
row, table, cube = np.zeros(5), np.zeros((5, 3)), np.zeros((2, 3, 4))
whole = np.array([1, 2, 3])
pair = [np.zeros((2, 3)), np.ones((2, 3))]
"""

EXPRESSIONS = [
    "row",
    "table",
    "cube",
    "whole",
    "np.array([[1.0, 2], [3, 4]])",
    "np.array([row[0], row[1]])",
    "np.array([row])",
    "np.asarray(table, dtype=np.int64)",
    "np.ascontiguousarray(cube)",
    "np.ones(4, np.float32)",
    "np.ones(shape=(4, 1), dtype=int)",
    "np.empty((4,), dtype='float32')",
    "np.full((2, 3), 7)",
    "np.zeros_like(table)",
    "np.ones_like(whole)",
    "np.empty_like(whole, dtype=float)",
    "np.random.rand(3)",
    "np.random.randn(3, 1)",
    "np.random.random((3, 2))",
    "np.random.random_sample(3)",
    "np.random.standard_normal(size=(3, 2))",
    "np.random.uniform(0, 1, (3, 2))",
    "np.random.normal(size=3)",
    "np.random.randint(0, 2, (3, 1))",
    "np.random.randint(2, size=3)",
    "np.arange(5)",
    "np.linspace(0, 1, 5)",
    "np.bincount(whole)",
    "np.concatenate(pair)",
    "np.concatenate((table, table), axis=1)",
    "np.stack(pair)",
    "np.stack([row, row], axis=1)",
    "np.expand_dims(row, 1)",
    "np.expand_dims(row, axis=0)",
    "np.squeeze(np.zeros((5, 1)))",
    "np.squeeze(np.zeros((1, 5, 1)), axis=0)",
    "np.reshape(row, (5, 1))",
    "np.ravel(table)",
    "np.transpose(table)",
    "np.transpose(cube, (2, 0, 1))",
    "np.clip(row, 0, 1)",
    "np.exp(table)",
    "np.log(row + 1)",
    "np.log1p(row)",
    "np.sqrt(row)",
    "np.square(row)",
    "np.sin(row)",
    "np.cos(table)",
    "np.tanh(row)",
    "np.sign(whole)",
    "np.nan_to_num(row)",
    "np.abs(whole)",
    "np.flip(table)",
    "np.float32(row)",
    "np.float64(whole)",
    "np.mean(table, axis=0)",
    "np.sum(table, 1)",
    "np.max(table, axis=1, keepdims=True)",
    "np.min(table)",
    "np.std(table, axis=0)",
    "np.median(cube, axis=2)",
    "np.argmax(table, axis=1)",
    "np.argmin(table, 1)",
    "table.max(axis=1)",
    "table.max(1, keepdims=True)",
    "table.min()",
    "table.mean(axis=0)",
    "table.argmax(1)",
    "table.astype(np.int64)",
    "whole.astype('float32')",
    "whole.astype(float)",
    "table.copy()",
    "table.T",
    "table.transpose()",
    "cube.transpose(2, 0, 1)",
    "cube.transpose((1, 0, 2))",
    "row.reshape(-1, 1)",
    "row[:, None]",
    "row[:, np.newaxis]",
    "row[1:]",
    "row[2:3]",
    "table[0]",
    "table[:, 0]",
    "table[:, :1]",
    "table[:, -1:]",
    "table.flatten()",
    "table.squeeze()",
    "table / 2 - 1",
    "whole + 1",
    "row - table.mean(1)",
    "torch.from_numpy(table)",
    "torch.from_numpy(whole)",
    "torch.from_numpy(row).float()",
    "torch.tensor(whole)",
    "torch.tensor(row[0])",
    "torch.tensor(table, dtype=torch.long)",
    "torch.tensor([row[0], row[1]])",
    "torch.as_tensor(whole)",
    "torch.FloatTensor(whole)",
    "torch.FloatTensor(row[:, None])",
    "torch.FloatTensor(3, 2)",
    "torch.LongTensor([3, 2])",
    "torch.zeros(3, 2).numpy()",
    "torch.zeros(3, 2).numpy().max(axis=0)",
]

TABLES = """
import pandas as pd
import torch
frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0], "y": [0, 1]})
"""

OF_TABLES = [
    "frame.values",
    "frame['y'].values",
    "frame[['a', 'b']].values",
    "frame[['a']].to_numpy()",
    "frame.drop('y', axis=1).values",
    "frame.drop(columns=['y']).to_numpy()",
    "frame.iloc[:, -1].values",
    "frame.iloc[:, :-1].values",
    "frame.iloc[:, -1:].values",
    "frame.iloc[0].values",
    "frame.loc[:, 'y'].values",
    "frame['y'].astype('float32').values",
    "frame.copy().pop('y').values",
    "frame.fillna(0).head().values",
    "pd.Series([1.0, 2.0]).values",
    "pd.get_dummies(frame['y']).values",
    "torch.tensor(frame['y'].values)",
    "torch.tensor(frame[['y']].values, dtype=torch.float32)",
    "torch.tensor(frame.iloc[0, 1])",
    "torch.tensor(frame.iloc[0]['y'])",
]

PICTURES = """
import numpy as np
import torch
from PIL import Image
grey, coloured = Image.new("L", (4, 3)), Image.new("RGB", (4, 3))
"""

OF_PICTURES = [
    "np.array(coloured.convert('L'))",
    "np.array(grey.convert('RGB'))",
    "np.array(grey.convert('1'))",
    "np.asarray(grey.convert('RGBA')).transpose(2, 0, 1)",
    "np.array(grey.convert('F').resize((2, 2)))",
    "torch.from_numpy(np.array(coloured.convert('L'), dtype=np.float32))",
]

FILES = """
import cv2, numpy, os, tempfile
path = os.path.join(tempfile.mkdtemp(), "a.png")
cv2.imwrite(path, numpy.zeros((3, 4, 3), numpy.uint8))
"""

OF_FILES = [
    "cv2.imread(path)",
    "cv2.imread(path, 1)",
    "cv2.imread(path, cv2.IMREAD_COLOR)",
    "cv2.imread(path, 0)",
    "cv2.imread(path, flags=cv2.IMREAD_GRAYSCALE)",
    "cv2.resize(cv2.imread(path), (2, 2))",
    "cv2.resize(cv2.imread(path, 0), (2, 2))",
]

CONTRACTS = load_contracts()


def said(code: str) -> Tensor:
    """What the analysis knows of `value` at the end of a module, which is one tensor."""
    (part,) = said_of(code)
    assert isinstance(part, Tensor), part
    return part


def said_of(code: str) -> tuple[Value, ...]:
    """All that `value` may be at the end of a module."""
    path = "module.py"
    project = Project([path], lambda name: Source(name, code), CONTRACTS)
    program = Program(project, frozenset({path}), Vocabulary(()))
    info = imports.ensure(Recorder(program), path)
    return alternatives(program.base[info.cell]["value"])


def check(setup: str, expression: str) -> None:
    """The analysis knows the number of dimensions, each size that it names is right, and so is the type."""
    code = f"{setup}value = {expression}\n"
    names: dict[str, Any] = {}
    exec(compile(code, "example", "exec"), names)  # the examples above
    real, claimed = names["value"], said(code)
    assert claimed.shape is not None
    assert claimed.shape.rank == len(real.shape), f"{claimed.shape} is {tuple(real.shape)}"
    for size, dim in zip(real.shape, claimed.shape.dims, strict=True):
        assert dim in (size, None), f"{claimed.shape} is {tuple(real.shape)}"
    kind = str(real.dtype).removeprefix("torch.").rstrip("0123456789")
    assert claimed.dtype in ("unknown", kind), f"{claimed.dtype} is {kind}"
    assert not claimed.attached


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_arrays(expression: str) -> None:
    pytest.importorskip("torch")
    check(MADE, expression)


@pytest.mark.parametrize("expression", OF_TABLES)
def test_tables(expression: str) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("pandas")
    check(TABLES, expression)


@pytest.mark.parametrize("expression", OF_PICTURES)
def test_pictures(expression: str) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("PIL")
    check(PICTURES, expression)


@pytest.mark.parametrize("expression", OF_FILES)
def test_files_of_pictures(expression: str) -> None:
    pytest.importorskip("cv2")
    check(FILES, expression)


def test_train_and_test_rows() -> None:
    """Both parts have the dimensions of the whole, and other numbers of rows."""
    pytest.importorskip("sklearn")
    split = "from sklearn.model_selection import train_test_split\n"
    check(f"{MADE}{split}", "train_test_split(table, row)[0]")
    check(f"{MADE}{split}", "train_test_split(table, row)[3]")


@pytest.mark.parametrize(
    "call", ["make_regression()", "make_classification()", "make_blobs()", "make_moons()", "make_circles()"]
)
def test_made_up_data(call: str) -> None:
    pytest.importorskip("sklearn")
    name = call.partition("(")[0]
    for place in (0, 1):
        check(f"from sklearn.datasets import {name}\n", f"{call}[{place}]")


JOINED = [
    f"np.{join}([{{0}}, {{0}}])" for join in ("array", "concatenate", "stack", "vstack", "hstack", "column_stack")
]


@pytest.mark.parametrize("expression", JOINED)
def test_what_arrays_hold_together(expression: str) -> None:
    """Raw scores and probabilities stay what they are, entry by entry; both together are neither."""
    torch = pytest.importorskip("torch")
    setup = "import numpy as np\nimport torch\nraw = torch.nn.Linear(2, 9)(torch.ones(3, 2)).detach()\n"
    for tensor, kind in (("raw.numpy()", "raw"), ("raw.sigmoid().numpy()", "probability")):
        code = f"{setup}one = {tensor}\nvalue = {expression.format('one')}\n"
        names: dict[str, Any] = {}
        torch.manual_seed(0)
        exec(compile(code, "example", "exec"), names)  # the examples above
        assert said(code).kind == kind
        assert set(names["value"].ravel()) == set(names["one"].ravel())
    mixed = expression.replace("{0}, {0}", "raw.numpy(), raw.sigmoid().numpy()")
    kinds = {part.kind for part in said_of(f"{setup}value = {mixed}\n") if isinstance(part, Tensor)}
    assert kinds in ({"raw", "probability"}, {"unknown"})


def test_every_function_has_an_example() -> None:
    table = read_tables(Path(rules_folder()) / "contracts" / "numpy.toml")
    names = [name for op in table.op.values() for name in op.functions if name.startswith("numpy.")]
    written = "\n".join((MADE, *EXPRESSIONS, *JOINED))
    assert not [name for name in names if f"np.{name.removeprefix('numpy.')}(" not in written]


@pytest.mark.parametrize(
    "statement", ["value.resize((5, 1))", "value.resize(5, 1)", "value.shape = (5, 1)", "value.shape = 5, 1"]
)
def test_another_shape_in_place(statement: str) -> None:
    names: dict[str, Any] = {}
    code = f"import numpy as np\nvalue = np.arange(5.0)\n{statement}\n"
    exec(compile(code, "example", "exec"), names)
    assert said(code).shape == Shape(names["value"].shape)


def test_what_is_no_array_is_not_one() -> None:
    """A file's contents may have any number of dimensions."""
    assert said("import numpy as np\nvalue = np.array(open('x').read())\n").shape is None
    assert said("import torch\nvalue = torch.zeros(3)\n").shape == Shape((3,))
