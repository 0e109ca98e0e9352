"""The intermediate representation: what the analysis needs of a Python file, and nothing of how it was written.

Every node has a number, given in the order in which lowering met it; `positions.locate` turns numbers into spans.
Parentheses, comments, decorators' syntax, type parameters and format specifications are gone.
"""

from __future__ import annotations

from typing import Literal

import msgspec

SETS_ITEM = "[]="
"""The word that stands in `words` for an assignment to an item."""

THRESHOLD = "<.5"
"""The word that stands in `words` for a comparison with a number between 0 and 1, or with what is called a threshold."""

SETS_ATTRIBUTE = ".="
"""The word that stands in `words` for an assignment to an attribute."""


class Node(msgspec.Struct, frozen=True, gc=False, eq=False, tag=True, array_like=True):
    """Anything with a number."""

    id: int


class Expr(Node, frozen=True, gc=False, eq=False):
    """An expression."""


class Name(Expr, frozen=True, gc=False, eq=False):
    name: str


class Attribute(Expr, frozen=True, gc=False, eq=False):
    value: Expr
    name: str


class Argument(msgspec.Struct, frozen=True, gc=False, eq=False):
    """An argument of a call: `star` is "", "*" or "**"."""

    value: Expr
    keyword: str | None = None
    star: str = ""


class Call(Expr, frozen=True, gc=False, eq=False):
    func: Expr
    args: tuple[Argument, ...]


class Constant(Expr, frozen=True, gc=False, eq=False):
    """A number, string, bytes or Ellipsis. True, False and None are names in LibCST and constants here."""

    value: int | float | complex | str | bytes | bool | None


class Dots(Expr, frozen=True, gc=False, eq=False):
    """`...`"""


class Binary(Expr, frozen=True, gc=False, eq=False):
    op: str
    left: Expr
    right: Expr


class Unary(Expr, frozen=True, gc=False, eq=False):
    op: str
    operand: Expr


class Boolean(Expr, frozen=True, gc=False, eq=False):
    """`left and right`, `left or right`."""

    op: str
    left: Expr
    right: Expr


class Compare(Expr, frozen=True, gc=False, eq=False):
    left: Expr
    ops: tuple[str, ...]
    rights: tuple[Expr, ...]


class Conditional(Expr, frozen=True, gc=False, eq=False):
    test: Expr
    body: Expr
    orelse: Expr


class Sequence(Expr, frozen=True, gc=False, eq=False):
    kind: Literal["tuple", "list", "set"]
    items: tuple[Expr, ...]


class Starred(Expr, frozen=True, gc=False, eq=False):
    value: Expr


class Mapping(Expr, frozen=True, gc=False, eq=False):
    """A dict display; a key of None spreads its value (`**other`)."""

    keys: tuple[Expr | None, ...]
    values: tuple[Expr, ...]


class Subscript(Expr, frozen=True, gc=False, eq=False):
    value: Expr
    index: Expr


class Slice(Expr, frozen=True, gc=False, eq=False):
    lower: Expr | None
    upper: Expr | None
    step: Expr | None


class Parameter(Node, frozen=True, gc=False, eq=False):
    name: str
    kind: Literal["positional", "any", "keyword", "*", "**"]
    default: Expr | None = None
    annotation: Expr | None = None


class Lambda(Expr, frozen=True, gc=False, eq=False):
    params: tuple[Parameter, ...]
    body: Expr


class Clause(msgspec.Struct, frozen=True, gc=False, eq=False):
    """`for target in iter if test …` of a comprehension."""

    target: Expr
    iter: Expr
    tests: tuple[Expr, ...]


class Comprehension(Expr, frozen=True, gc=False, eq=False):
    kind: Literal["list", "set", "generator", "dict"]
    key: Expr | None
    element: Expr
    clauses: tuple[Clause, ...]


class Await(Expr, frozen=True, gc=False, eq=False):
    value: Expr


class Yield(Expr, frozen=True, gc=False, eq=False):
    value: Expr | None
    delegates: bool


class Walrus(Expr, frozen=True, gc=False, eq=False):
    target: Expr
    value: Expr


class Format(Expr, frozen=True, gc=False, eq=False):
    """An f-string or a concatenation of strings with one: the expressions in it."""

    parts: tuple[Expr, ...]


class Opaque(Expr, frozen=True, gc=False, eq=False):
    """An expression nested too deeply, or of a kind that this version does not know."""


class Stmt(Node, frozen=True, gc=False, eq=False):
    """A statement."""


class Assign(Stmt, frozen=True, gc=False, eq=False):
    targets: tuple[Expr, ...]
    value: Expr


class AugAssign(Stmt, frozen=True, gc=False, eq=False):
    target: Expr
    op: str
    value: Expr


class AnnAssign(Stmt, frozen=True, gc=False, eq=False):
    target: Expr
    annotation: Expr
    value: Expr | None


class ExprStmt(Stmt, frozen=True, gc=False, eq=False):
    value: Expr


class Return(Stmt, frozen=True, gc=False, eq=False):
    value: Expr | None


class Raise(Stmt, frozen=True, gc=False, eq=False):
    values: tuple[Expr, ...]


class Assert(Stmt, frozen=True, gc=False, eq=False):
    test: Expr
    message: Expr | None


class Delete(Stmt, frozen=True, gc=False, eq=False):
    target: Expr


class Pass(Stmt, frozen=True, gc=False, eq=False):
    pass


class Break(Stmt, frozen=True, gc=False, eq=False):
    pass


class Continue(Stmt, frozen=True, gc=False, eq=False):
    pass


class Scope(Stmt, frozen=True, gc=False, eq=False):
    """`global` or `nonlocal` names."""

    names: tuple[str, ...]
    outer: Literal["global", "nonlocal"]


class Alias(msgspec.Struct, frozen=True, gc=False, eq=False):
    name: str
    bound: str | None = None


class Import(Stmt, frozen=True, gc=False, eq=False):
    names: tuple[Alias, ...]


class ImportFrom(Stmt, frozen=True, gc=False, eq=False):
    """`from ..module import names`; `level` counts the dots; no names means `*`."""

    module: str
    level: int
    names: tuple[Alias, ...]


Block = tuple[Stmt, ...]


class Branch(msgspec.Struct, frozen=True, gc=False, eq=False):
    test: Expr
    body: Block


class If(Stmt, frozen=True, gc=False, eq=False):
    """`if` with its `elif`s as branches in order."""

    branches: tuple[Branch, ...]
    orelse: Block


class For(Stmt, frozen=True, gc=False, eq=False):
    target: Expr
    iter: Expr
    body: Block
    orelse: Block


class While(Stmt, frozen=True, gc=False, eq=False):
    test: Expr
    body: Block
    orelse: Block


class Handler(msgspec.Struct, frozen=True, gc=False, eq=False):
    type: Expr | None
    name: str | None
    body: Block


class Try(Stmt, frozen=True, gc=False, eq=False):
    body: Block
    handlers: tuple[Handler, ...]
    orelse: Block
    final: Block


class WithItem(msgspec.Struct, frozen=True, gc=False, eq=False):
    value: Expr
    target: Expr | None


class With(Stmt, frozen=True, gc=False, eq=False):
    items: tuple[WithItem, ...]
    body: Block


class Case(msgspec.Struct, frozen=True, gc=False, eq=False):
    """A case of `match`: the values its pattern compares with, the names it binds.

    `plain` says that the pattern is one of the values, or any of them, and nothing else.
    """

    values: tuple[Expr, ...]
    captures: tuple[str, ...]
    irrefutable: bool
    plain: bool
    guard: Expr | None
    body: Block


class Match(Stmt, frozen=True, gc=False, eq=False):
    subject: Expr
    cases: tuple[Case, ...]


class FunctionDef(Stmt, frozen=True, gc=False, eq=False):
    """A function. `words` are all identifiers in it (attributes with their dot), also of functions inside it."""

    name: str
    params: tuple[Parameter, ...]
    body: Block
    decorators: tuple[Expr, ...]
    returns: Expr | None
    words: frozenset[str]
    generator: bool


class ClassDef(Stmt, frozen=True, gc=False, eq=False):
    """A class. `bases` holds the class statement's keyword arguments too; `words` are as those of functions."""

    name: str
    bases: tuple[Argument, ...]
    body: Block
    decorators: tuple[Expr, ...]
    words: frozenset[str]


class Module(msgspec.Struct, frozen=True, gc=False, eq=False):
    """A file. `words` are as those of functions; `nodes` is how many numbers were given."""

    path: str
    body: Block
    words: frozenset[str]
    nodes: int
