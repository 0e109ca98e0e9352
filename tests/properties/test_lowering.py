"""Lowering: every construct comes through, nothing gets lost, both parsers give the same, and numbers lead back to the text."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.grammar import BEYOND_LIBCST, BROKEN, NEWER, SNIPPETS
from tests.properties.strategies import programs
from torchlint.analysis import ir, lower_ast, lower_cst
from torchlint.analysis.lower import ParseFailure, lower
from torchlint.analysis.positions import Placed
from torchlint.analysis.spans import by_python, locate


def nodes(value: Any) -> Iterator[Any]:
    """Every Struct below a value, found by its fields alone."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, tuple):
            stack.extend(item)
        elif isinstance(item, msgspec.Struct):
            yield item
            stack.extend(getattr(item, field) for field in item.__struct_fields__)


def spelled(value: Any) -> Any:
    """A Struct and all below it as tuples, which compare by value."""
    if isinstance(value, msgspec.Struct):
        return (type(value).__name__, *(spelled(getattr(value, field)) for field in value.__struct_fields__))
    if isinstance(value, tuple):
        return tuple(spelled(item) for item in value)
    return value if isinstance(value, frozenset) else repr(value)


def lowered_alike(text: str) -> ir.Module:
    """The IR of the text by LibCST, which is that of the running Python wherever that reads it, down to the numbers."""
    by_libcst = lower_cst.Lowering().module(lower_cst.parse(text), "a.py")
    tree = lower_ast.parse(text)
    if tree is not None:
        by_python = lower_ast.Lowering().module(tree, "a.py")
        assert spelled(by_python) == spelled(by_libcst)
    return by_libcst


class Expected(ast.NodeVisitor):
    """What `ast` sees of the same text: names, calls and attributes with their places. Type parameters and patterns differ."""

    def __init__(self, text: str) -> None:
        self.lines = ast._splitlines_no_ff(text)  # type: ignore[attr-defined]
        self.names: Counter[str] = Counter()
        self.calls = 0
        self.attributes: Counter[str] = Counter()
        self.places: set[tuple[str, int, int]] = set()
        self.in_fstring = 0
        self.kinds: Counter[str] = Counter()

    def place(self, what: str, node: ast.expr) -> None:
        # Before Python 3.12 the places inside f-strings are made up.
        if not (self.in_fstring and sys.version_info < (3, 12)):
            column = len(self.lines[node.lineno - 1].encode()[: node.col_offset].decode())
            self.places.add((what, node.lineno, column + 1))

    def generic_visit(self, node: ast.AST) -> None:
        self.kinds[type(node).__name__] += 1
        for field, value in ast.iter_fields(node):
            if field == "type_params":
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    self.visit(child)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self.in_fstring += 1
        self.generic_visit(node)
        self.in_fstring -= 1

    visit_TemplateStr = visit_JoinedStr  # noqa: N815

    def visit_Name(self, node: ast.Name) -> None:
        self.names[node.id] += 1
        self.place(node.id, node)

    def visit_Call(self, node: ast.Call) -> None:
        self.calls += 1
        self.place("()", node)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.attributes[node.attr] += 1
        self.generic_visit(node)


STATEMENTS = {
    "Assign": ("Assign", "TypeAlias"),
    "AugAssign": ("AugAssign",),
    "AnnAssign": ("AnnAssign",),
    "Return": ("Return",),
    "Raise": ("Raise",),
    "Assert": ("Assert",),
    "For": ("For", "AsyncFor"),
    "While": ("While",),
    "Try": ("Try", "TryStar"),
    "With": ("With", "AsyncWith"),
    "Match": ("Match",),
    "FunctionDef": ("FunctionDef", "AsyncFunctionDef"),
    "ClassDef": ("ClassDef",),
    "Import": ("Import",),
    "ImportFrom": ("ImportFrom",),
    "Lambda": ("Lambda",),
    "Comprehension": ("ListComp", "SetComp", "DictComp", "GeneratorExp"),
    "Conditional": ("IfExp",),
    "Compare": ("Compare",),
    "Walrus": ("NamedExpr",),
    "Await": ("Await",),
    "Yield": ("Yield", "YieldFrom"),
    "Subscript": ("Subscript",),
    "Slice": ("Slice",),
    "Starred": ("Starred",),
    "Mapping": ("Dict",),
    "Handler": ("ExceptHandler",),
    "Case": ("match_case",),
    "Scope": ("Global", "Nonlocal"),
    "Binary": ("BinOp",),
    "Unary": ("UnaryOp",),
    "Call": ("Call",),
}
"""Which nodes of `ast` become which of ours, one for one."""

IMPLIED = {"Starred", "Slice"}
"""Nodes of ours that `ast` has elsewhere: a starred argument is an argument."""


def compare(text: str) -> None:
    """Check the lowered text against `ast`."""
    module = lowered_alike(text)
    found = list(nodes(module))
    numbers = [node.id for node in found if isinstance(node, ir.Node)]
    assert len(numbers) == len(set(numbers)), "a number was given twice"
    assert all(0 <= number < module.nodes for number in numbers)
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return  # LibCST forgives more, such as `return` outside of a function
    expected = Expected(text)
    expected.visit(tree)

    patterns = any(isinstance(node, ast.Match) for node in ast.walk(tree))
    names = Counter(node.name for node in found if isinstance(node, ir.Name))
    assert not expected.names - names, "names got lost"
    if not patterns:  # classes and dotted values in patterns are names in both, keywords are not
        assert names == expected.names
        assert sum(isinstance(node, ir.Call) for node in found) == expected.calls
        assert Counter(node.name for node in found if isinstance(node, ir.Attribute)) == expected.attributes
        kinds = Counter(type(node).__name__ for node in found)
        for ours, theirs in STATEMENTS.items():
            count = sum(expected.kinds[kind] for kind in theirs)
            if ours in IMPLIED:
                assert kinds[ours] <= count + text.count("*"), ours
            else:
                assert kinds[ours] == count, ours
        assert not kinds["Opaque"], "something was not understood"
    assert {name for name in expected.names if name not in ("True", "False", "None")} <= module.words

    wanted = [node for node in found if isinstance(node, (ir.Name, ir.Call))]
    spans = locate(text, [node.id for node in wanted])
    places = {
        ("()" if isinstance(node, ir.Call) else node.name, spans[node.id].line, spans[node.id].column)
        for node in wanted
    }
    if "\x0c" not in text:
        assert not expected.places - places, "places differ"
    placed = Placed(text)
    assert all(span == placed.span(number) for number, span in by_python(text, numbers).items())


@pytest.mark.parametrize("name", SNIPPETS)
def test_every_construct(name: str) -> None:
    text = SNIPPETS[name]
    if sys.version_info >= NEWER.get(name, (3, 0)):
        ast.parse(text)  # the snippet itself is right
    compare(text)


@pytest.mark.parametrize("name", SNIPPETS)
def test_every_construct_inside_a_function(name: str) -> None:
    text = SNIPPETS[name]
    if any(mark in text for mark in ("import *", "from __future__", "\r", "'''", '"""', "\\\n", "\x0c", "\t")):
        pytest.skip("cannot be indented as it is")
    body = "".join(f"    {line}\n" for line in text.splitlines())
    compare(f"def outer():\n{body}    pass\n")


@pytest.mark.parametrize("name", BROKEN)
def test_broken_text_is_refused_with_its_place(name: str) -> None:
    with pytest.raises(ParseFailure) as caught:
        lower(BROKEN[name], "a.py")
    failure = caught.value
    lines = BROKEN[name].count("\n") + 1
    assert failure.message
    assert "\n" not in failure.message
    assert failure.line is None or 1 <= failure.line <= lines + 1
    assert failure.column is None or failure.column >= 1


@pytest.mark.parametrize("name", BEYOND_LIBCST)
def test_what_libcst_does_not_parse_yet(name: str) -> None:
    text = BEYOND_LIBCST[name]
    with pytest.raises(ParseFailure):
        lower_cst.parse(text)
    if sys.version_info >= NEWER.get(name, (3, 0)):
        assert lower(text, "a.py").nodes


@pytest.mark.parametrize("name", [name for name in SNIPPETS if NEWER.get(name, (3, 0)) > sys.version_info])
def test_what_the_running_python_does_not_parse_yet(name: str) -> None:
    assert lower_ast.parse(SNIPPETS[name]) is None
    assert spelled(lower(SNIPPETS[name], "a.py")) == spelled(lowered_alike(SNIPPETS[name]))


@pytest.mark.parametrize("package", ["libcst", "hypothesis", "torchlint", "json", "asyncio", "email", "torch.nn"])
def test_files_of_packages_are_lowered_alike(package: str) -> None:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    files = sorted(path for folder in spec.submodule_search_locations for path in Path(folder).rglob("*.py"))
    for path in files[:: max(1, len(files) // 15)]:
        lowered_alike(path.read_text("utf-8"))


def test_all_constructs_in_one_file() -> None:
    texts = [
        text for name, text in SNIPPETS.items() if "\r" not in text and "future" not in name and text.endswith("\n")
    ]
    compare("".join(texts))


@given(programs())
def test_random_programs(text: str) -> None:
    ast.parse(text)
    compare(text)


@given(st.text(alphabet="abf'\"\\{}()[]:=.,*#@ \n\t0\x0c", max_size=40))
def test_random_text_lowers_or_is_refused(text: str) -> None:
    try:
        lowered_alike(text)
    except ParseFailure as failure:
        assert failure.message
