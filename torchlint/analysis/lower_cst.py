"""Lower a LibCST tree to the IR in one lean walk; the only module that knows LibCST's nodes.

The walk dispatches on the node's type and looks at semantic fields only. No visitor, matcher or metadata provider:
each of those costs as much as the parse itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import libcst as cst

from torchlint.analysis import ir
from torchlint.analysis.lower import (
    CONSTANT_NAMES,
    MAX_DEPTH,
    ORDER,
    ParseFailure,
    collector_off,
    is_fraction,
    is_ordered,
    is_threshold,
    refuse_deep,
)


def parse(text: str) -> cst.Module:
    """Parse with LibCST. Raises ParseFailure with the place for text that is not Python 3, or nested too deeply for it."""
    refuse_deep(text)
    try:
        with collector_off():
            return cst.parse_module(text)
    except cst.ParserSyntaxError as error:
        detail = " ".join(str(error.message).split())
        raise ParseFailure(detail, error.editor_line, error.editor_column) from error
    except (cst.CSTValidationError, cst.CSTLogicError) as error:
        raise ParseFailure(f"not supported: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise ParseFailure("nested too deeply to be parsed") from error


class Lowering:
    """One walk over one tree. With `keep`, `nodes` holds the LibCST node of each number."""

    def __init__(self, keep: bool = False) -> None:
        self.count = 0
        self.depth = 0
        self.keep = keep
        self.nodes: list[cst.CSTNode] = []
        self.words: set[str] = set()
        self.fractions: frozenset[str] = frozenset()
        self.yields = False

    def module(self, tree: cst.Module, path: str) -> ir.Module:
        body = self.block(tree.body)
        return ir.Module(path, body, frozenset(self.words), self.count)

    def new(self, node: cst.CSTNode) -> int:
        number = self.count
        self.count = number + 1
        if self.keep:
            self.nodes.append(node)
        return number

    # ---- statements

    def block(self, body: Any) -> ir.Block:
        out: list[ir.Stmt] = []
        for line in body:
            if type(line) is cst.SimpleStatementLine:
                for small in line.body:
                    out.append(_STATEMENTS.get(type(small), Lowering.unknown_statement)(self, small))
            else:
                out.append(_STATEMENTS.get(type(line), Lowering.unknown_statement)(self, line))
        return tuple(out)

    def suite(self, suite: Any) -> ir.Block:
        if suite is None:
            return ()
        if type(suite) in (cst.Else, cst.Finally):
            suite = suite.body
        if self.depth >= MAX_DEPTH:
            return ()
        self.depth += 1
        try:
            if type(suite) is cst.SimpleStatementSuite:
                return tuple(
                    _STATEMENTS.get(type(small), Lowering.unknown_statement)(self, small) for small in suite.body
                )
            return self.block(suite.body)
        finally:
            self.depth -= 1

    def unknown_statement(self, node: Any) -> ir.Stmt:
        return ir.Pass(self.new(node))

    def assign(self, node: cst.Assign) -> ir.Stmt:
        number = self.new(node)
        value = self.expr(node.value)
        targets = tuple(self.expr(target.target) for target in node.targets)
        for target in targets:
            if type(target) is ir.Subscript:
                self.words.add(ir.SETS_ITEM)
            elif type(target) is ir.Attribute:
                self.words.add(ir.SETS_ATTRIBUTE)
        return ir.Assign(number, targets, value)

    def aug_assign(self, node: cst.AugAssign) -> ir.Stmt:
        number = self.new(node)
        op = _AUG_OPS.get(type(node.operator), "?")
        return ir.AugAssign(number, self.expr(node.target), op, self.expr(node.value))

    def ann_assign(self, node: cst.AnnAssign) -> ir.Stmt:
        number = self.new(node)
        annotation = self.expr(node.annotation.annotation)
        value = None if node.value is None else self.expr(node.value)
        return ir.AnnAssign(number, self.expr(node.target), annotation, value)

    def type_alias(self, node: cst.TypeAlias) -> ir.Stmt:
        number = self.new(node)
        value = self.expr(node.value)
        return ir.Assign(number, (self.expr(node.name),), value)

    def expr_stmt(self, node: cst.Expr) -> ir.Stmt:
        return ir.ExprStmt(self.new(node), self.expr(node.value))

    def return_(self, node: cst.Return) -> ir.Stmt:
        return ir.Return(self.new(node), None if node.value is None else self.expr(node.value))

    def raise_(self, node: cst.Raise) -> ir.Stmt:
        number = self.new(node)
        values = [node.exc, node.cause.item if node.cause is not None else None]
        return ir.Raise(number, tuple(self.expr(value) for value in values if value is not None))

    def assert_(self, node: cst.Assert) -> ir.Stmt:
        number = self.new(node)
        return ir.Assert(number, self.expr(node.test), None if node.msg is None else self.expr(node.msg))

    def delete(self, node: cst.Del) -> ir.Stmt:
        number = self.new(node)
        target = node.target
        if isinstance(target, cst.Tuple) and len(target.elements) == 1 and not target.lpar:
            return ir.Delete(number, self.expr(target.elements[0].value))
        return ir.Delete(number, self.expr(target))

    def pass_(self, node: cst.Pass) -> ir.Stmt:
        return ir.Pass(self.new(node))

    def break_(self, node: cst.Break) -> ir.Stmt:
        return ir.Break(self.new(node))

    def continue_(self, node: cst.Continue) -> ir.Stmt:
        return ir.Continue(self.new(node))

    def global_(self, node: cst.Global) -> ir.Stmt:
        return ir.Scope(self.new(node), tuple(item.name.value for item in node.names), "global")

    def nonlocal_(self, node: cst.Nonlocal) -> ir.Stmt:
        return ir.Scope(self.new(node), tuple(item.name.value for item in node.names), "nonlocal")

    def alias(self, node: cst.ImportAlias) -> ir.Alias:
        bound = None
        if node.asname is not None and isinstance(node.asname.name, cst.Name):
            bound = node.asname.name.value
            self.words.add(bound)
        name = _dotted(node.name)
        self.words.update(name.split("."))
        return ir.Alias(name, bound)

    def import_(self, node: cst.Import) -> ir.Stmt:
        return ir.Import(self.new(node), tuple(self.alias(item) for item in node.names))

    def import_from(self, node: cst.ImportFrom) -> ir.Stmt:
        number = self.new(node)
        module = "" if node.module is None else _dotted(node.module)
        self.words.update(module.split("."))
        names: tuple[ir.Alias, ...] = ()
        if not isinstance(node.names, cst.ImportStar):
            names = tuple(self.alias(item) for item in node.names)
        return ir.ImportFrom(number, module, len(node.relative), names)

    def if_(self, node: cst.If) -> ir.Stmt:
        number = self.new(node)
        branches = []
        current: Any = node
        while type(current) is cst.If:
            test = self.expr(current.test)
            branches.append(ir.Branch(test, self.suite(current.body)))
            current = current.orelse
        return ir.If(number, tuple(branches), self.suite(current))

    def for_(self, node: cst.For) -> ir.Stmt:
        number = self.new(node)
        iterable = self.expr(node.iter)
        target = self.expr(node.target)
        return ir.For(number, target, iterable, self.suite(node.body), self.suite(node.orelse))

    def while_(self, node: cst.While) -> ir.Stmt:
        number = self.new(node)
        return ir.While(number, self.expr(node.test), self.suite(node.body), self.suite(node.orelse))

    def try_(self, node: Any) -> ir.Stmt:
        number = self.new(node)
        body = self.suite(node.body)
        handlers = []
        for handler in node.handlers:
            name = None
            if handler.name is not None and isinstance(handler.name.name, cst.Name):
                name = handler.name.name.value
                self.words.add(name)
            kind = None if handler.type is None else self.expr(handler.type)
            handlers.append(ir.Handler(kind, name, self.suite(handler.body)))
        return ir.Try(number, body, tuple(handlers), self.suite(node.orelse), self.suite(node.finalbody))

    def with_(self, node: cst.With) -> ir.Stmt:
        number = self.new(node)
        items = []
        for item in node.items:
            value = self.expr(item.item)
            target = None if item.asname is None else self.expr(item.asname.name)
            items.append(ir.WithItem(value, target))
        return ir.With(number, tuple(items), self.suite(node.body))

    def match(self, node: cst.Match) -> ir.Stmt:
        number = self.new(node)
        subject = self.expr(node.subject)
        cases = []
        for case in node.cases:
            values: list[ir.Expr] = []
            captures: list[str] = []
            self.pattern(case.pattern, values, captures)
            pattern = case.pattern
            irrefutable = isinstance(pattern, cst.MatchAs) and pattern.pattern is None
            plain = all(isinstance(each, (cst.MatchValue, cst.MatchSingleton)) for each in _any_of(pattern))
            guard = None if case.guard is None else self.expr(case.guard)
            cases.append(ir.Case(tuple(values), tuple(captures), irrefutable, plain, guard, self.suite(case.body)))
        return ir.Match(number, subject, tuple(cases))

    def pattern(self, node: Any, values: list[ir.Expr], captures: list[str]) -> None:
        if node is None or self.depth >= MAX_DEPTH:
            return
        self.depth += 1
        kind = type(node)
        if kind is cst.MatchValue or kind is cst.MatchSingleton:
            values.append(self.expr(node.value))
        elif kind is cst.MatchAs:
            self.pattern(node.pattern, values, captures)
            self.capture(node.name, captures)
        elif kind is cst.MatchStar:
            self.capture(node.name, captures)
        elif kind is cst.MatchMapping:
            for element in node.elements:
                values.append(self.expr(element.key))
                self.pattern(element.pattern, values, captures)
            self.capture(node.rest, captures)
        elif kind is cst.MatchClass:
            values.append(self.expr(node.cls))
            for element in (*node.patterns, *node.kwds):
                self.pattern(_inner_pattern(element), values, captures)
        elif kind is cst.MatchOr or kind is cst.MatchList or kind is cst.MatchTuple:
            for element in node.patterns:
                self.pattern(_inner_pattern(element), values, captures)
        self.depth -= 1

    def capture(self, name: cst.Name | None, captures: list[str]) -> None:
        if name is not None:
            captures.append(name.value)
            self.words.add(name.value)

    def function(self, node: cst.FunctionDef) -> ir.Stmt:
        number = self.new(node)
        decorators = tuple(self.expr(item.decorator) for item in node.decorators)
        outer_words, outer_yields, outer_fractions = self.words, self.yields, self.fractions
        self.words, self.yields = set(), False
        params = self.params(node.params)
        self.fractions = frozenset(p.name for p in params if p.default is not None and is_fraction(p.default))
        returns = None if node.returns is None else self.expr(node.returns.annotation)
        body = self.suite(node.body)
        words, yields = frozenset(self.words), self.yields
        self.words, self.yields, self.fractions = outer_words, outer_yields, outer_fractions
        self.words.update(words)
        self.words.add(node.name.value)
        return ir.FunctionDef(number, node.name.value, params, body, decorators, returns, words, yields)

    def class_(self, node: cst.ClassDef) -> ir.Stmt:
        number = self.new(node)
        decorators = tuple(self.expr(item.decorator) for item in node.decorators)
        outer_words = self.words
        self.words = set()
        bases = tuple(self.argument(item) for item in (*node.bases, *node.keywords))
        body = self.suite(node.body)
        words = frozenset(self.words)
        self.words = outer_words
        self.words.update(words)
        self.words.add(node.name.value)
        return ir.ClassDef(number, node.name.value, bases, body, decorators, words)

    def params(self, node: cst.Parameters) -> tuple[ir.Parameter, ...]:
        out = [self.param(item, "positional") for item in node.posonly_params]
        out += [self.param(item, "any") for item in node.params]
        if isinstance(node.star_arg, cst.Param):
            out.append(self.param(node.star_arg, "*"))
        out += [self.param(item, "keyword") for item in node.kwonly_params]
        if node.star_kwarg is not None:
            out.append(self.param(node.star_kwarg, "**"))
        return tuple(out)

    def param(self, node: cst.Param, kind: Any) -> ir.Parameter:
        number = self.new(node)
        self.words.add(node.name.value)
        annotation = None if node.annotation is None else self.expr(node.annotation.annotation)
        default = None if node.default is None else self.expr(node.default)
        return ir.Parameter(number, node.name.value, kind, default, annotation)

    # ---- expressions

    def expr(self, node: Any) -> ir.Expr:
        kind = type(node)
        if kind is cst.Name:
            number = self.count
            self.count = number + 1
            if self.keep:
                self.nodes.append(node)
            name = node.value
            if name in CONSTANT_NAMES:
                return ir.Constant(number, CONSTANT_NAMES[name])
            self.words.add(name)
            return ir.Name(number, name)
        if self.depth >= MAX_DEPTH:
            return ir.Opaque(self.new(node))
        self.depth += 1
        try:
            return _EXPRESSIONS.get(kind, Lowering.unknown_expression)(self, node)
        finally:
            self.depth -= 1

    def unknown_expression(self, node: Any) -> ir.Expr:
        return ir.Opaque(self.new(node))

    def attribute(self, node: cst.Attribute) -> ir.Expr:
        number = self.new(node)
        self.words.add("." + node.attr.value)
        return ir.Attribute(number, self.expr(node.value), node.attr.value)

    def call(self, node: cst.Call) -> ir.Expr:
        number = self.new(node)
        func = self.expr(node.func)
        arguments = tuple(self.argument(arg) for arg in node.args)
        if is_ordered(func, arguments):
            self.words.add(ir.THRESHOLD)
        return ir.Call(number, func, arguments)

    def argument(self, node: cst.Arg) -> ir.Argument:
        keyword = None
        if node.keyword is not None:
            keyword = node.keyword.value
            self.words.add(keyword)
        return ir.Argument(self.expr(node.value), keyword, node.star)

    def number(self, node: Any) -> ir.Expr:
        try:
            value = node.evaluated_value
        except (ValueError, OverflowError):
            return ir.Opaque(self.new(node))
        return ir.Constant(self.new(node), value)

    def string(self, node: Any) -> ir.Expr:
        number = self.new(node)
        try:
            value = node.evaluated_value
        except (ValueError, SyntaxError, MemoryError):
            value = None
        return self.text(number, value)

    def text(self, number: int, value: object) -> ir.Expr:
        if not isinstance(value, (str, bytes)):
            return ir.Opaque(number)
        if isinstance(value, str) and value.isidentifier():
            # A name that `getattr` or a registry may be asked for.
            self.words.add(value)
        return ir.Constant(number, value)

    def concatenated(self, node: cst.ConcatenatedString) -> ir.Expr:
        number = self.new(node)
        pieces: list[Any] = []
        rest: Any = node
        while type(rest) is cst.ConcatenatedString:
            pieces.append(rest.left)
            rest = rest.right
        pieces.append(rest)
        if all(type(piece) is cst.SimpleString for piece in pieces):
            try:
                value = node.evaluated_value
            except (ValueError, SyntaxError, MemoryError):
                value = None
            return self.text(number, value)
        parts = (part for piece in pieces if type(piece) is not cst.SimpleString for part in piece.parts)
        return ir.Format(number, tuple(self.format_parts(parts)))

    def format(self, node: Any) -> ir.Expr:
        number = self.new(node)
        return ir.Format(number, tuple(self.format_parts(node.parts)))

    def format_parts(self, parts: Any) -> Iterator[ir.Expr]:
        for part in parts:
            expression = getattr(part, "expression", None)
            if expression is not None:
                yield self.expr(expression)
                if part.format_spec:
                    yield from self.format_parts(part.format_spec)

    def binary(self, node: cst.BinaryOperation) -> ir.Expr:
        number = self.new(node)
        left = self.expr(node.left)
        return ir.Binary(number, _BINARY_OPS.get(type(node.operator), "?"), left, self.expr(node.right))

    def unary(self, node: cst.UnaryOperation) -> ir.Expr:
        number = self.new(node)
        return ir.Unary(number, _UNARY_OPS.get(type(node.operator), "?"), self.expr(node.expression))

    def boolean(self, node: cst.BooleanOperation) -> ir.Expr:
        number = self.new(node)
        op = "and" if type(node.operator) is cst.And else "or"
        return ir.Boolean(number, op, self.expr(node.left), self.expr(node.right))

    def compare(self, node: cst.Comparison) -> ir.Expr:
        number = self.new(node)
        left = self.expr(node.left)
        ops = tuple(_COMPARE_OPS.get(type(item.operator), "?") for item in node.comparisons)
        rights = tuple(self.expr(item.comparator) for item in node.comparisons)
        if ops[0] in ORDER and (is_threshold(left, self.fractions) or is_threshold(rights[0], self.fractions)):
            self.words.add(ir.THRESHOLD)
        return ir.Compare(number, left, ops, rights)

    def conditional(self, node: cst.IfExp) -> ir.Expr:
        number = self.new(node)
        test = self.expr(node.test)
        return ir.Conditional(number, test, self.expr(node.body), self.expr(node.orelse))

    def sequence(self, node: Any) -> ir.Expr:
        number = self.new(node)
        kind = _SEQUENCES[type(node)]
        return ir.Sequence(number, kind, tuple(self.element(item) for item in node.elements))

    def element(self, node: Any) -> ir.Expr:
        if type(node) is cst.StarredElement:
            return ir.Starred(self.new(node), self.expr(node.value))
        return self.expr(node.value)

    def mapping(self, node: cst.Dict) -> ir.Expr:
        number = self.new(node)
        keys: list[ir.Expr | None] = []
        values: list[ir.Expr] = []
        for item in node.elements:
            keys.append(self.expr(item.key) if type(item) is cst.DictElement else None)
            values.append(self.expr(item.value))
        return ir.Mapping(number, tuple(keys), tuple(values))

    def subscript(self, node: cst.Subscript) -> ir.Expr:
        number = self.new(node)
        value = self.expr(node.value)
        first = node.slice[0]
        several = len(node.slice) > 1 or type(first.comma) is cst.Comma
        if not several and not (type(first.slice) is cst.Index and first.slice.star):
            return ir.Subscript(number, value, self.index(first.slice))
        items = self.new(node)
        if self.depth >= MAX_DEPTH:
            return ir.Subscript(number, value, ir.Opaque(items))
        self.depth += 1
        index = ir.Sequence(items, "tuple", tuple(self.index(item.slice) for item in node.slice))
        self.depth -= 1
        return ir.Subscript(number, value, index)

    def index(self, node: Any) -> ir.Expr:
        if type(node) is cst.Index:
            return ir.Starred(self.new(node), self.expr(node.value)) if node.star else self.expr(node.value)
        if self.depth >= MAX_DEPTH:
            return ir.Opaque(self.new(node))
        self.depth += 1
        number = self.new(node)
        bounds = [None if part is None else self.expr(part) for part in (node.lower, node.upper, node.step)]
        self.depth -= 1
        return ir.Slice(number, *bounds)

    def lambda_(self, node: cst.Lambda) -> ir.Expr:
        number = self.new(node)
        outer_yields = self.yields
        result = ir.Lambda(number, self.params(node.params), self.expr(node.body))
        self.yields = outer_yields
        return result

    def comprehension(self, node: Any) -> ir.Expr:
        number = self.new(node)
        clauses = []
        clause = node.for_in
        while clause is not None:
            iterable = self.expr(clause.iter)
            target = self.expr(clause.target)
            clauses.append(ir.Clause(target, iterable, tuple(self.expr(item.test) for item in clause.ifs)))
            clause = clause.inner_for_in
        if type(node) is cst.DictComp:
            key = self.expr(node.key)
            return ir.Comprehension(number, "dict", key, self.expr(node.value), tuple(clauses))
        return ir.Comprehension(number, _COMPREHENSIONS[type(node)], None, self.expr(node.elt), tuple(clauses))

    def await_(self, node: cst.Await) -> ir.Expr:
        return ir.Await(self.new(node), self.expr(node.expression))

    def yield_(self, node: cst.Yield) -> ir.Expr:
        number = self.new(node)
        self.yields = True
        if node.value is None:
            return ir.Yield(number, None, False)
        if type(node.value) is cst.From:
            return ir.Yield(number, self.expr(node.value.item), True)
        return ir.Yield(number, self.expr(node.value), False)

    def walrus(self, node: cst.NamedExpr) -> ir.Expr:
        number = self.new(node)
        value = self.expr(node.value)
        return ir.Walrus(number, self.expr(node.target), value)

    def dots(self, node: cst.Ellipsis) -> ir.Expr:
        return ir.Dots(self.new(node))


def _any_of(pattern: Any) -> list[Any]:
    """The patterns of `a | b`, or the only one."""
    return [_inner_pattern(each) for each in pattern.patterns] if isinstance(pattern, cst.MatchOr) else [pattern]


def _inner_pattern(element: Any) -> Any:
    """The pattern in an element of a class, sequence or alternative pattern."""
    return getattr(element, "pattern", None) or getattr(element, "value", element)


def _dotted(node: Any) -> str:
    parts: list[str] = []
    while type(node) is cst.Attribute:
        parts.append(node.attr.value)
        node = node.value
    parts.append(node.value)
    return ".".join(reversed(parts))


_BINARY_OPS: dict[type, str] = {
    cst.Add: "+",
    cst.Subtract: "-",
    cst.Multiply: "*",
    cst.Divide: "/",
    cst.FloorDivide: "//",
    cst.Modulo: "%",
    cst.Power: "**",
    cst.MatrixMultiply: "@",
    cst.LeftShift: "<<",
    cst.RightShift: ">>",
    cst.BitAnd: "&",
    cst.BitOr: "|",
    cst.BitXor: "^",
}
_AUG_OPS: dict[type, str] = {
    cst.AddAssign: "+",
    cst.SubtractAssign: "-",
    cst.MultiplyAssign: "*",
    cst.DivideAssign: "/",
    cst.FloorDivideAssign: "//",
    cst.ModuloAssign: "%",
    cst.PowerAssign: "**",
    cst.MatrixMultiplyAssign: "@",
    cst.LeftShiftAssign: "<<",
    cst.RightShiftAssign: ">>",
    cst.BitAndAssign: "&",
    cst.BitOrAssign: "|",
    cst.BitXorAssign: "^",
}
_UNARY_OPS: dict[type, str] = {cst.Minus: "-", cst.Plus: "+", cst.Not: "not", cst.BitInvert: "~"}

_COMPARE_OPS: dict[type, str] = {
    cst.Equal: "==",
    cst.NotEqual: "!=",
    cst.LessThan: "<",
    cst.LessThanEqual: "<=",
    cst.GreaterThan: ">",
    cst.GreaterThanEqual: ">=",
    cst.In: "in",
    cst.NotIn: "not in",
    cst.Is: "is",
    cst.IsNot: "is not",
}
_SEQUENCES: dict[type, Any] = {cst.Tuple: "tuple", cst.List: "list", cst.Set: "set"}
_COMPREHENSIONS: dict[type, Any] = {cst.ListComp: "list", cst.SetComp: "set", cst.GeneratorExp: "generator"}

_STATEMENTS: dict[type, Callable[[Lowering, Any], ir.Stmt]] = {
    cst.Assign: Lowering.assign,
    cst.AugAssign: Lowering.aug_assign,
    cst.AnnAssign: Lowering.ann_assign,
    cst.TypeAlias: Lowering.type_alias,
    cst.Expr: Lowering.expr_stmt,
    cst.Return: Lowering.return_,
    cst.Raise: Lowering.raise_,
    cst.Assert: Lowering.assert_,
    cst.Del: Lowering.delete,
    cst.Pass: Lowering.pass_,
    cst.Break: Lowering.break_,
    cst.Continue: Lowering.continue_,
    cst.Global: Lowering.global_,
    cst.Nonlocal: Lowering.nonlocal_,
    cst.Import: Lowering.import_,
    cst.ImportFrom: Lowering.import_from,
    cst.If: Lowering.if_,
    cst.For: Lowering.for_,
    cst.While: Lowering.while_,
    cst.Try: Lowering.try_,
    cst.TryStar: Lowering.try_,
    cst.With: Lowering.with_,
    cst.Match: Lowering.match,
    cst.FunctionDef: Lowering.function,
    cst.ClassDef: Lowering.class_,
}
_EXPRESSIONS: dict[type, Callable[[Lowering, Any], ir.Expr]] = {
    cst.Attribute: Lowering.attribute,
    cst.Call: Lowering.call,
    cst.Integer: Lowering.number,
    cst.Float: Lowering.number,
    cst.Imaginary: Lowering.number,
    cst.SimpleString: Lowering.string,
    cst.ConcatenatedString: Lowering.concatenated,
    cst.FormattedString: Lowering.format,
    cst.BinaryOperation: Lowering.binary,
    cst.UnaryOperation: Lowering.unary,
    cst.BooleanOperation: Lowering.boolean,
    cst.Comparison: Lowering.compare,
    cst.IfExp: Lowering.conditional,
    cst.Tuple: Lowering.sequence,
    cst.List: Lowering.sequence,
    cst.Set: Lowering.sequence,
    cst.Dict: Lowering.mapping,
    cst.Subscript: Lowering.subscript,
    cst.Lambda: Lowering.lambda_,
    cst.ListComp: Lowering.comprehension,
    cst.SetComp: Lowering.comprehension,
    cst.GeneratorExp: Lowering.comprehension,
    cst.DictComp: Lowering.comprehension,
    cst.Await: Lowering.await_,
    cst.Yield: Lowering.yield_,
    cst.NamedExpr: Lowering.walrus,
    cst.Ellipsis: Lowering.dots,
    cst.StarredElement: Lowering.element,
}
_template = getattr(cst, "TemplatedString", None)
if _template is not None:
    _EXPRESSIONS[_template] = Lowering.format
