"""Lower a tree of Python's own parser to the IR: the same IR, with the same numbers, as `lower_cst` gives of LibCST's tree."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from torchlint.analysis import ir
from torchlint.analysis.lower import MAX_DEPTH, ORDER, is_fraction, is_ordered, is_threshold


def parse(text: str) -> ast.Module | None:
    """Parse with the running Python; None for what it refuses, of which LibCST may know more."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes are the business of other linters
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


class Lowering:
    """One walk over one tree. Whatever it numbers, in whatever order, `lower_cst.Lowering` must number alike.

    With `keep`, `nodes` holds the node of each number; None where Python does not tell the place: of `*args`
    with its star, and inside f-strings before 3.12.
    """

    def __init__(self, keep: bool = False) -> None:
        self.count = 0
        self.keep = keep
        self.nodes: list[ast.AST | None] = []
        self.depth = 0
        self.words: set[str] = set()
        self.fractions: frozenset[str] = frozenset()
        self.yields = False

    def module(self, tree: ast.Module, path: str) -> ir.Module:
        body = self.block(tree.body)
        return ir.Module(path, body, frozenset(self.words), self.count)

    def new(self, node: ast.AST) -> int:
        number = self.count
        self.count = number + 1
        if self.keep:
            self.nodes.append(node)
        return number

    # ---- statements

    def block(self, body: list[ast.stmt]) -> ir.Block:
        return tuple([_STATEMENTS.get(type(node), Lowering.unknown_statement)(self, node) for node in body])

    def suite(self, body: list[ast.stmt]) -> ir.Block:
        if not body or self.depth >= MAX_DEPTH:
            return ()
        self.depth += 1
        try:
            return self.block(body)
        finally:
            self.depth -= 1

    def unknown_statement(self, node: ast.stmt) -> ir.Stmt:
        return ir.Pass(self.new(node))

    def assign(self, node: ast.Assign) -> ir.Stmt:
        number = self.new(node)
        value = self.expr(node.value)
        targets = tuple([self.expr(target) for target in node.targets])
        for target in targets:
            if type(target) is ir.Subscript:
                self.words.add(ir.SETS_ITEM)
            elif type(target) is ir.Attribute:
                self.words.add(ir.SETS_ATTRIBUTE)
        return ir.Assign(number, targets, value)

    def aug_assign(self, node: ast.AugAssign) -> ir.Stmt:
        number = self.new(node)
        return ir.AugAssign(number, self.expr(node.target), _BINARY_OPS[type(node.op)], self.expr(node.value))

    def ann_assign(self, node: ast.AnnAssign) -> ir.Stmt:
        number = self.new(node)
        annotation = self.expr(node.annotation)
        value = None if node.value is None else self.expr(node.value)
        return ir.AnnAssign(number, self.expr(node.target), annotation, value)

    def type_alias(self, node: Any) -> ir.Stmt:
        number = self.new(node)
        value = self.expr(node.value)
        return ir.Assign(number, (self.expr(node.name),), value)

    def expr_stmt(self, node: ast.Expr) -> ir.Stmt:
        return ir.ExprStmt(self.new(node), self.expr(node.value))

    def return_(self, node: ast.Return) -> ir.Stmt:
        return ir.Return(self.new(node), None if node.value is None else self.expr(node.value))

    def raise_(self, node: ast.Raise) -> ir.Stmt:
        number = self.new(node)
        return ir.Raise(number, tuple([self.expr(value) for value in (node.exc, node.cause) if value is not None]))

    def assert_(self, node: ast.Assert) -> ir.Stmt:
        number = self.new(node)
        return ir.Assert(number, self.expr(node.test), None if node.msg is None else self.expr(node.msg))

    def delete(self, node: ast.Delete) -> ir.Stmt:
        number = self.new(node)
        if len(node.targets) == 1:
            return ir.Delete(number, self.expr(node.targets[0]))
        return ir.Delete(number, self.expr(_spanning(ast.Tuple(node.targets), node.targets)))

    def pass_(self, node: ast.Pass) -> ir.Stmt:
        return ir.Pass(self.new(node))

    def break_(self, node: ast.Break) -> ir.Stmt:
        return ir.Break(self.new(node))

    def continue_(self, node: ast.Continue) -> ir.Stmt:
        return ir.Continue(self.new(node))

    def global_(self, node: ast.Global) -> ir.Stmt:
        return ir.Scope(self.new(node), tuple(node.names), "global")

    def nonlocal_(self, node: ast.Nonlocal) -> ir.Stmt:
        return ir.Scope(self.new(node), tuple(node.names), "nonlocal")

    def alias(self, node: ast.alias) -> ir.Alias:
        if node.asname is not None:
            self.words.add(node.asname)
        self.words.update(node.name.split("."))
        return ir.Alias(node.name, node.asname)

    def import_(self, node: ast.Import) -> ir.Stmt:
        return ir.Import(self.new(node), tuple([self.alias(item) for item in node.names]))

    def import_from(self, node: ast.ImportFrom) -> ir.Stmt:
        number = self.new(node)
        module = node.module or ""
        self.words.update(module.split("."))
        names: tuple[ir.Alias, ...] = ()
        if node.names[0].name != "*":
            names = tuple([self.alias(item) for item in node.names])
        return ir.ImportFrom(number, module, node.level, names)

    def if_(self, node: ast.If) -> ir.Stmt:
        number = self.new(node)
        branches = []
        while True:
            test = self.expr(node.test)
            branches.append(ir.Branch(test, self.suite(node.body)))
            orelse = node.orelse
            # An `elif` stands in the column of its `if`; an `if` below an `else` further to the right.
            if len(orelse) != 1 or not isinstance(orelse[0], ast.If) or orelse[0].col_offset != node.col_offset:
                return ir.If(number, tuple(branches), self.suite(orelse))
            node = orelse[0]

    def for_(self, node: ast.For | ast.AsyncFor) -> ir.Stmt:
        number = self.new(node)
        iterable = self.expr(node.iter)
        target = self.expr(node.target)
        return ir.For(number, target, iterable, self.suite(node.body), self.suite(node.orelse))

    def while_(self, node: ast.While) -> ir.Stmt:
        number = self.new(node)
        return ir.While(number, self.expr(node.test), self.suite(node.body), self.suite(node.orelse))

    def try_(self, node: ast.Try | ast.TryStar) -> ir.Stmt:
        number = self.new(node)
        body = self.suite(node.body)
        handlers = []
        for handler in node.handlers:
            if handler.name is not None:
                self.words.add(handler.name)
            kind = None if handler.type is None else self.expr(handler.type)
            handlers.append(ir.Handler(kind, handler.name, self.suite(handler.body)))
        return ir.Try(number, body, tuple(handlers), self.suite(node.orelse), self.suite(node.finalbody))

    def with_(self, node: ast.With | ast.AsyncWith) -> ir.Stmt:
        number = self.new(node)
        items = []
        for item in node.items:
            value = self.expr(item.context_expr)
            items.append(ir.WithItem(value, None if item.optional_vars is None else self.expr(item.optional_vars)))
        return ir.With(number, tuple(items), self.suite(node.body))

    def match(self, node: ast.Match) -> ir.Stmt:
        number = self.new(node)
        subject = self.expr(node.subject)
        cases = []
        for case in node.cases:
            values: list[ir.Expr] = []
            captures: list[str] = []
            self.pattern(case.pattern, values, captures)
            irrefutable = isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None
            plain = all(isinstance(each, (ast.MatchValue, ast.MatchSingleton)) for each in _any_of(case.pattern))
            guard = None if case.guard is None else self.expr(case.guard)
            cases.append(ir.Case(tuple(values), tuple(captures), irrefutable, plain, guard, self.suite(case.body)))
        return ir.Match(number, subject, tuple(cases))

    def pattern(self, node: ast.pattern | None, values: list[ir.Expr], captures: list[str]) -> None:
        if node is None or self.depth >= MAX_DEPTH:
            return
        self.depth += 1
        if isinstance(node, ast.MatchValue):
            values.append(self.expr(node.value))
        elif isinstance(node, ast.MatchSingleton):
            values.append(ir.Constant(self.new(node), node.value))
        elif isinstance(node, ast.MatchAs):
            self.pattern(node.pattern, values, captures)
            self.capture(node.name, captures)
        elif isinstance(node, ast.MatchStar):
            self.capture(node.name, captures)
        elif isinstance(node, ast.MatchMapping):
            for key, element in zip(node.keys, node.patterns, strict=True):
                values.append(self.expr(key))
                self.pattern(element, values, captures)
            self.capture(node.rest, captures)
        elif isinstance(node, ast.MatchClass):
            values.append(self.expr(node.cls))
            for element in (*node.patterns, *node.kwd_patterns):
                self.pattern(element, values, captures)
        elif isinstance(node, (ast.MatchOr, ast.MatchSequence)):
            for element in node.patterns:
                self.pattern(element, values, captures)
        self.depth -= 1

    def capture(self, name: str | None, captures: list[str]) -> None:
        if name is not None:
            captures.append(name)
            self.words.add(name)

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ir.Stmt:
        number = self.new(node)
        decorators = tuple([self.expr(item) for item in node.decorator_list])
        outer_words, outer_yields, outer_fractions = self.words, self.yields, self.fractions
        self.words, self.yields = set(), False
        params = self.params(node.args)
        self.fractions = frozenset([p.name for p in params if p.default is not None and is_fraction(p.default)])
        returns = None if node.returns is None else self.expr(node.returns)
        body = self.suite(node.body)
        words, yields = frozenset(self.words), self.yields
        self.words, self.yields, self.fractions = outer_words, outer_yields, outer_fractions
        self.words |= words
        self.words.add(node.name)
        return ir.FunctionDef(number, node.name, params, body, decorators, returns, words, yields)

    def class_(self, node: ast.ClassDef) -> ir.Stmt:
        number = self.new(node)
        decorators = tuple([self.expr(item) for item in node.decorator_list])
        outer_words = self.words
        self.words = set()
        bases = self.arguments(node.bases, node.keywords)
        body = self.suite(node.body)
        words = frozenset(self.words)
        self.words = outer_words
        self.words |= words
        self.words.add(node.name)
        return ir.ClassDef(number, node.name, bases, body, decorators, words)

    def params(self, node: ast.arguments) -> tuple[ir.Parameter, ...]:
        positional = [*node.posonlyargs, *node.args]
        defaults: list[ast.expr | None] = [None] * (len(positional) - len(node.defaults))
        defaults += node.defaults
        first_any = len(node.posonlyargs)
        out = [
            self.param(arg, "positional" if index < first_any else "any", defaults[index])
            for index, arg in enumerate(positional)
        ]
        if node.vararg is not None:
            out.append(self.param(node.vararg, "*", None))
        out += [
            self.param(arg, "keyword", default) for arg, default in zip(node.kwonlyargs, node.kw_defaults, strict=True)
        ]
        if node.kwarg is not None:
            out.append(self.param(node.kwarg, "**", None))
        return tuple(out)

    def param(self, node: ast.arg, kind: Any, default: ast.expr | None) -> ir.Parameter:
        number = self.new(node)
        if self.keep and kind in ("*", "**"):
            self.nodes[number] = None
        self.words.add(node.arg)
        annotation = None if node.annotation is None else self.expr(node.annotation)
        value = None if default is None else self.expr(default)
        return ir.Parameter(number, node.arg, kind, value, annotation)

    # ---- expressions

    def expr(self, node: Any) -> ir.Expr:
        kind = type(node)
        if kind is ast.Name:
            number = self.count
            self.count = number + 1
            if self.keep:
                self.nodes.append(node)
            self.words.add(node.id)
            return ir.Name(number, node.id)
        if kind is ast.Constant and (node.value is None or node.value is True or node.value is False):
            return ir.Constant(self.new(node), node.value)
        if self.depth >= MAX_DEPTH:
            return ir.Opaque(self.new(node))
        self.depth += 1
        try:
            return _EXPRESSIONS.get(kind, Lowering.unknown_expression)(self, node)
        finally:
            self.depth -= 1

    def unknown_expression(self, node: ast.expr) -> ir.Expr:
        return ir.Opaque(self.new(node))

    def attribute(self, node: ast.Attribute) -> ir.Expr:
        number = self.new(node)
        self.words.add("." + node.attr)
        return ir.Attribute(number, self.expr(node.value), node.attr)

    def call(self, node: ast.Call) -> ir.Expr:
        number = self.new(node)
        func = self.expr(node.func)
        arguments = self.arguments(node.args, node.keywords)
        if is_ordered(func, arguments):
            self.words.add(ir.THRESHOLD)
        return ir.Call(number, func, arguments)

    def arguments(self, args: list[ast.expr], keywords: list[ast.keyword]) -> tuple[ir.Argument, ...]:
        given: list[Any] = [*args, *keywords]
        if args and keywords and isinstance(args[-1], ast.Starred):
            # Only `*more` may follow a keyword: elsewhere the two lists are in the order of the text.
            given.sort(key=lambda node: (node.lineno, node.col_offset))
        return tuple([self.argument(node) for node in given])

    def argument(self, node: Any) -> ir.Argument:
        if type(node) is ast.Starred:
            return ir.Argument(self.expr(node.value), None, "*")
        if type(node) is ast.keyword:
            if node.arg is None:
                return ir.Argument(self.expr(node.value), None, "**")
            self.words.add(node.arg)
            return ir.Argument(self.expr(node.value), node.arg, "")
        return ir.Argument(self.expr(node), None, "")

    def constant(self, node: ast.Constant) -> ir.Expr:
        value = node.value
        if value is ...:
            return ir.Dots(self.new(node))
        if isinstance(value, str) and value.isidentifier():
            # A name that `getattr` or a registry may be asked for.
            self.words.add(value)
        return ir.Constant(self.new(node), value)

    def format(self, node: Any) -> ir.Expr:
        number = self.new(node)
        parts = tuple(self.format_parts(node.values))
        if self.keep and _MADE_UP:
            self.nodes[number:] = [None] * (len(self.nodes) - number)
        return ir.Format(number, parts)

    def format_parts(self, parts: list[Any]) -> Iterator[ir.Expr]:
        for part in parts:
            if not isinstance(part, ast.Constant):
                yield self.expr(part.value)
                if part.format_spec is not None:
                    yield from self.format_parts(part.format_spec.values)

    def binary(self, node: ast.BinOp) -> ir.Expr:
        number = self.new(node)
        left = self.expr(node.left)
        return ir.Binary(number, _BINARY_OPS[type(node.op)], left, self.expr(node.right))

    def unary(self, node: ast.UnaryOp) -> ir.Expr:
        return ir.Unary(self.new(node), _UNARY_OPS[type(node.op)], self.expr(node.operand))

    def boolean(self, node: ast.BoolOp) -> ir.Expr:
        number = self.new(node)
        *before, last = node.values
        # `a and b and c` is `(a and b) and c` to LibCST.
        left = before[0] if len(before) == 1 else _spanning(ast.BoolOp(node.op, before), before)
        return ir.Boolean(number, "and" if type(node.op) is ast.And else "or", self.expr(left), self.expr(last))

    def compare(self, node: ast.Compare) -> ir.Expr:
        number = self.new(node)
        left = self.expr(node.left)
        ops = tuple([_COMPARE_OPS[type(op)] for op in node.ops])
        rights = tuple([self.expr(item) for item in node.comparators])
        if ops[0] in ORDER and (is_threshold(left, self.fractions) or is_threshold(rights[0], self.fractions)):
            self.words.add(ir.THRESHOLD)
        return ir.Compare(number, left, ops, rights)

    def conditional(self, node: ast.IfExp) -> ir.Expr:
        number = self.new(node)
        test = self.expr(node.test)
        return ir.Conditional(number, test, self.expr(node.body), self.expr(node.orelse))

    def sequence(self, node: Any) -> ir.Expr:
        number = self.new(node)
        return ir.Sequence(number, _SEQUENCES[type(node)], tuple([self.element(item) for item in node.elts]))

    def element(self, node: ast.expr) -> ir.Expr:
        return self.starred(node) if type(node) is ast.Starred else self.expr(node)

    def starred(self, node: ast.Starred) -> ir.Expr:
        return ir.Starred(self.new(node), self.expr(node.value))

    def mapping(self, node: ast.Dict) -> ir.Expr:
        number = self.new(node)
        keys: list[ir.Expr | None] = []
        values: list[ir.Expr] = []
        for key, value in zip(node.keys, node.values, strict=True):
            keys.append(None if key is None else self.expr(key))
            values.append(self.expr(value))
        return ir.Mapping(number, tuple(keys), tuple(values))

    def subscript(self, node: ast.Subscript) -> ir.Expr:
        number = self.new(node)
        value = self.expr(node.value)
        return ir.Subscript(number, value, self.expr(node.slice))

    def slice(self, node: ast.Slice) -> ir.Expr:
        number = self.new(node)
        bounds = [None if part is None else self.expr(part) for part in (node.lower, node.upper, node.step)]
        return ir.Slice(number, *bounds)

    def lambda_(self, node: ast.Lambda) -> ir.Expr:
        number = self.new(node)
        outer_yields = self.yields
        result = ir.Lambda(number, self.params(node.args), self.expr(node.body))
        self.yields = outer_yields
        return result

    def comprehension(self, node: Any) -> ir.Expr:
        number = self.new(node)
        clauses = []
        for clause in node.generators:
            iterable = self.expr(clause.iter)
            target = self.expr(clause.target)
            clauses.append(ir.Clause(target, iterable, tuple([self.expr(test) for test in clause.ifs])))
        if type(node) is ast.DictComp:
            key = self.expr(node.key)
            return ir.Comprehension(number, "dict", key, self.expr(node.value), tuple(clauses))
        return ir.Comprehension(number, _COMPREHENSIONS[type(node)], None, self.expr(node.elt), tuple(clauses))

    def await_(self, node: ast.Await) -> ir.Expr:
        return ir.Await(self.new(node), self.expr(node.value))

    def yield_(self, node: ast.Yield | ast.YieldFrom) -> ir.Expr:
        number = self.new(node)
        self.yields = True
        value = None if node.value is None else self.expr(node.value)
        return ir.Yield(number, value, isinstance(node, ast.YieldFrom))

    def walrus(self, node: ast.NamedExpr) -> ir.Expr:
        number = self.new(node)
        value = self.expr(node.value)
        return ir.Walrus(number, self.expr(node.target), value)


_MADE_UP = sys.version_info < (3, 12)
"""Whether the places of what stands in an f-string are wrong."""


def _any_of(pattern: ast.pattern) -> list[ast.pattern]:
    """The patterns of `a | b`, or the only one."""
    return pattern.patterns if isinstance(pattern, ast.MatchOr) else [pattern]


def _spanning(node: ast.expr, parts: list[ast.expr]) -> ast.expr:
    """A node that the text has and Python's tree has not, from the first of its parts to the last."""
    node.lineno, node.col_offset = parts[0].lineno, parts[0].col_offset
    node.end_lineno, node.end_col_offset = parts[-1].end_lineno, parts[-1].end_col_offset
    return node


_BINARY_OPS: dict[type, str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.MatMult: "@",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
}
_UNARY_OPS: dict[type, str] = {ast.USub: "-", ast.UAdd: "+", ast.Not: "not", ast.Invert: "~"}
_COMPARE_OPS: dict[type, str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
}
_SEQUENCES: dict[type, Any] = {ast.Tuple: "tuple", ast.List: "list", ast.Set: "set"}
_COMPREHENSIONS: dict[type, Any] = {ast.ListComp: "list", ast.SetComp: "set", ast.GeneratorExp: "generator"}

_STATEMENTS: dict[type, Callable[[Lowering, Any], ir.Stmt]] = {
    ast.Assign: Lowering.assign,
    ast.AugAssign: Lowering.aug_assign,
    ast.AnnAssign: Lowering.ann_assign,
    ast.Expr: Lowering.expr_stmt,
    ast.Return: Lowering.return_,
    ast.Raise: Lowering.raise_,
    ast.Assert: Lowering.assert_,
    ast.Delete: Lowering.delete,
    ast.Pass: Lowering.pass_,
    ast.Break: Lowering.break_,
    ast.Continue: Lowering.continue_,
    ast.Global: Lowering.global_,
    ast.Nonlocal: Lowering.nonlocal_,
    ast.Import: Lowering.import_,
    ast.ImportFrom: Lowering.import_from,
    ast.If: Lowering.if_,
    ast.For: Lowering.for_,
    ast.AsyncFor: Lowering.for_,
    ast.While: Lowering.while_,
    ast.Try: Lowering.try_,
    ast.TryStar: Lowering.try_,
    ast.With: Lowering.with_,
    ast.AsyncWith: Lowering.with_,
    ast.Match: Lowering.match,
    ast.FunctionDef: Lowering.function,
    ast.AsyncFunctionDef: Lowering.function,
    ast.ClassDef: Lowering.class_,
}
_EXPRESSIONS: dict[type, Callable[[Lowering, Any], ir.Expr]] = {
    ast.Attribute: Lowering.attribute,
    ast.Call: Lowering.call,
    ast.Constant: Lowering.constant,
    ast.JoinedStr: Lowering.format,
    ast.BinOp: Lowering.binary,
    ast.UnaryOp: Lowering.unary,
    ast.BoolOp: Lowering.boolean,
    ast.Compare: Lowering.compare,
    ast.IfExp: Lowering.conditional,
    ast.Tuple: Lowering.sequence,
    ast.List: Lowering.sequence,
    ast.Set: Lowering.sequence,
    ast.Dict: Lowering.mapping,
    ast.Subscript: Lowering.subscript,
    ast.Slice: Lowering.slice,
    ast.Lambda: Lowering.lambda_,
    ast.ListComp: Lowering.comprehension,
    ast.SetComp: Lowering.comprehension,
    ast.GeneratorExp: Lowering.comprehension,
    ast.DictComp: Lowering.comprehension,
    ast.Await: Lowering.await_,
    ast.Yield: Lowering.yield_,
    ast.YieldFrom: Lowering.yield_,
    ast.NamedExpr: Lowering.walrus,
    ast.Starred: Lowering.starred,
}
for _name, _lowered in (("TypeAlias", Lowering.type_alias),):
    if hasattr(ast, _name):  # Python 3.12
        _STATEMENTS[getattr(ast, _name)] = _lowered
if hasattr(ast, "TemplateStr"):  # Python 3.14
    _EXPRESSIONS[ast.TemplateStr] = Lowering.format
