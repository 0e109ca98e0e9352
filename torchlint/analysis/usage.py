"""Where the values of names go in a file: what is around a node, and which reads an assignment reaches.

Everything here errs to the side of more uses: what is asked for is a proof that there are no others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

import msgspec

from torchlint.analysis import ir

_SEES_ALL = frozenset(("locals", "eval", "exec", "vars", "globals"))
"""A function that uses one of these may read a name without naming it."""

_FUNCTIONS = (ir.FunctionDef, ir.Lambda)
Owner = ir.FunctionDef | ir.Lambda | ir.Module


class Uses:
    """The tree of a module with its parents."""

    def __init__(self, module: ir.Module) -> None:
        self.module = module
        self.parent: dict[int, ir.Node] = {}
        self.node: dict[int, ir.Node] = {}
        self.block: dict[int, tuple[ir.Block, int]] = {}
        self.stored: set[int] = set()
        """The names that stand where something is bound to them."""
        self._enter(None, module.body)
        for node in self.node.values():
            for target in _targets(node):
                self.stored.add(target.id)

    def _enter(self, parent: ir.Node | None, part: msgspec.Struct | tuple[Any, ...] | None) -> None:
        if isinstance(part, tuple):
            if part and isinstance(part[0], ir.Stmt):
                for index, stmt in enumerate(part):
                    self.block[stmt.id] = (part, index)
            for item in part:
                self._enter(parent, item)
        elif part is not None:
            if isinstance(part, ir.Node):
                if parent is not None:
                    self.parent[part.id] = parent
                self.node[part.id] = parent = part
            for name in _holding(type(part)):
                self._enter(parent, getattr(part, name))

    def may_set(self, option: str) -> bool:
        """Whether a module that names an option may set it to another value than False: whatever does not say `False` may."""
        named = self._naming(option)
        return not named or any(not isinstance(value, ir.Constant) or value.value is not False for value in named)

    def _naming(self, option: str) -> list[ir.Expr | None]:
        """What an option is set to, in calls and dict displays; None where it is named in another way."""
        found: list[ir.Expr | None] = []
        for node in self.node.values():
            if isinstance(node, ir.Call):
                found += [argument.value for argument in node.args if argument.keyword == option]
            elif isinstance(node, ir.Mapping):
                pairs = zip(node.keys, node.values, strict=True)
                found += [value for key, value in pairs if isinstance(key, ir.Constant) and key.value == option]
            elif isinstance(node, ir.Constant) and node.value == option:
                found += [] if isinstance(self.above(node), ir.Mapping) else [None]
            elif isinstance(node, (ir.Name, ir.Attribute, ir.Parameter)) and node.name == option:
                found.append(None)
        return found

    # ---- what is around a node

    def above(self, node: ir.Node) -> ir.Node | None:
        """The node that holds this one."""
        return self.parent.get(node.id)

    def ancestors(self, node: ir.Node) -> Iterator[ir.Node]:
        """The nodes around this one, the innermost first."""
        found = self.above(node)
        while found is not None:
            yield found
            found = self.above(found)

    def scope(self, node: ir.Node) -> Owner:
        """The function that a node belongs to, or the module. A class body counts as what is around it."""
        return next((each for each in self.ancestors(node) if isinstance(each, _FUNCTIONS)), self.module)

    def holds(self, outer: ir.Node, inner: ir.Node) -> bool:
        """Whether a node is the other one or lies in it."""
        return outer is inner or any(each is outer for each in self.ancestors(inner))

    def statement(self, node: ir.Node) -> ir.Stmt | None:
        """The innermost statement that a node is a part of."""
        chain: list[ir.Node] = [node, *self.ancestors(node)]
        return next((each for each in chain if isinstance(each, ir.Stmt)), None)

    # ---- names

    def bindings(self, name: str, scope: Owner) -> list[ir.Node]:
        """Whatever binds the name in a function or module: names that are assigned to, parameters, imports, definitions."""
        found = [
            node
            for node in self._inside(scope)
            if (isinstance(node, ir.Name) and node.name == name and node.id in self.stored)
            or name in _bound_otherwise(node)
        ]
        return [node for node in found if self.scope(node) is scope]

    def attribute_stores(self, name: str) -> list[ir.Stmt]:
        """The statements that assign to an attribute of this name, of whatever object."""
        return [
            stmt
            for stmt in self.node.values()
            if isinstance(stmt, ir.Stmt) and any(name in _attributes(target) for target in _all_targets(stmt))
        ]

    def is_outer(self, name: str) -> bool:
        """Whether some function calls the name global or nonlocal."""
        return any(isinstance(node, ir.Scope) and name in node.names for node in self.node.values())

    def local_scope(self, name: str, node: ir.Node) -> Owner | None:
        """The innermost function around a node, or the module, that binds the name."""
        scope = self.scope(node)
        while not self.bindings(name, scope):
            if isinstance(scope, ir.Module):
                return None
            scope = self.scope(scope)
        return scope

    def reads(self, name: str, scope: Owner) -> list[ir.Name]:
        """Every read of the name in a function or module, and in the functions inside it."""
        return [
            node
            for node in self._inside(scope)
            if isinstance(node, ir.Name)
            and node.name == name
            and (node.id not in self.stored or isinstance(self.above(node), ir.AugAssign))
        ]

    def reached(self, stmt: ir.Stmt, name: str) -> list[ir.Name] | None:
        """The reads of the name that may see what this statement assigns to it; None if that cannot be told."""
        scope = self.scope(stmt)
        words = scope.words if isinstance(scope, (ir.FunctionDef, ir.Module)) else frozenset[str]()
        if self.is_outer(name) or not _SEES_ALL.isdisjoint(words):
            return None
        reads = self.reads(name, scope)
        if len(self.bindings(name, scope)) == 1:
            return reads
        if any(self.scope(read) is not scope for read in reads):
            return None  # a function inside, called who knows when
        return self._flow(stmt, name)

    def _flow(self, stmt: ir.Stmt, name: str) -> list[ir.Name]:
        """The reads behind a statement, up to where the name is certainly bound anew, loops taken round."""
        found: dict[int, ir.Name] = {}

        def scan(body: Iterable[ir.Stmt]) -> bool:
            """Note the reads until the name is bound anew; whether it certainly is."""
            for each in body:
                blocks = _blocks(each)
                if not blocks:
                    note(each)
                    if isinstance(each, (ir.Assign, ir.AnnAssign)) and _binds_name(each, name):
                        return True
                    continue
                for header in _headers(each):
                    note(header)
                bound = [scan(block) for block in blocks]
                if isinstance(each, ir.With) and bound[0]:
                    return True
                if isinstance(each, ir.If) and each.orelse and all(bound):
                    return True
            return False

        def note(node: ir.Node) -> None:
            found.update({read.id: read for read in self._reads_in(node, name)})

        current: ir.Node | None = stmt
        while isinstance(current, ir.Stmt) and current.id in self.block:
            body, index = self.block[current.id]
            if scan(body[index + 1 :]):
                return list(found.values())
            outer = self.above(current)
            if isinstance(outer, (ir.For, ir.While)):
                scan(body[: index + 1])
                if isinstance(outer, ir.While):
                    note(outer.test)
                scan(outer.orelse)
            if isinstance(outer, ir.Try):
                # What comes after any statement of it may be a handler, `else` or `finally`.
                for handler in outer.handlers:
                    scan(handler.body)
                scan(outer.orelse)
                scan(outer.final)
            if outer is None or isinstance(outer, _FUNCTIONS):
                break
            current = outer
        return list(found.values())

    def _reads_in(self, node: ir.Node, name: str) -> Iterator[ir.Name]:
        for each in self.inside(node):
            if isinstance(each, ir.Name) and each.name == name:
                if each.id not in self.stored or isinstance(self.above(each), ir.AugAssign):
                    yield each

    def inside(self, node: ir.Node) -> Iterator[ir.Node]:
        """A node and all that lies in it."""
        todo: list[msgspec.Struct | tuple[Any, ...] | None] = [node]
        while todo:
            current = todo.pop()
            if isinstance(current, tuple):
                todo.extend(current)
            elif current is not None:
                if isinstance(current, ir.Node):
                    yield current
                todo.extend([getattr(current, name) for name in _holding(type(current))])

    def _inside(self, scope: Owner) -> Iterator[ir.Node]:
        return iter(self.node.values()) if isinstance(scope, ir.Module) else self.inside(scope)


_PLAIN = ("int", "str", "bool", "frozenset", "Literal", "tuple[str")
"""How annotations begin of fields without nodes."""


@cache
def _holding(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """The fields in which a part of a tree holds others: nodes, tuples of them, or None."""
    return tuple(
        name for name in kind.__struct_fields__ if not kind.__annotations__.get(name, "int").startswith(_PLAIN)
    )


def _blocks(stmt: ir.Stmt) -> list[ir.Block]:
    """The blocks of a compound statement, also empty ones; none of a simple statement or a definition."""
    if isinstance(stmt, ir.If):
        return [*(branch.body for branch in stmt.branches), stmt.orelse]
    if isinstance(stmt, (ir.For, ir.While)):
        return [stmt.body, stmt.orelse]
    if isinstance(stmt, ir.With):
        return [stmt.body]
    if isinstance(stmt, ir.Try):
        return [stmt.body, *(handler.body for handler in stmt.handlers), stmt.orelse, stmt.final]
    if isinstance(stmt, ir.Match):
        return [case.body for case in stmt.cases]
    return []


def _headers(stmt: ir.Stmt) -> list[ir.Expr]:
    """The expressions of a compound statement outside its blocks."""
    if isinstance(stmt, ir.If):
        return [branch.test for branch in stmt.branches]
    if isinstance(stmt, ir.For):
        return [stmt.iter]
    if isinstance(stmt, ir.While):
        return [stmt.test]
    if isinstance(stmt, ir.With):
        return [item.value for item in stmt.items]
    if isinstance(stmt, ir.Try):
        return [handler.type for handler in stmt.handlers if handler.type is not None]
    if isinstance(stmt, ir.Match):
        guards = [case.guard for case in stmt.cases if case.guard is not None]
        return [stmt.subject, *guards, *(value for case in stmt.cases for value in case.values)]
    return []


_TARGETS: dict[type, Callable[[Any], tuple[ir.Expr, ...]]] = {
    ir.Assign: lambda node: node.targets,
    **dict.fromkeys((ir.AugAssign, ir.AnnAssign, ir.For, ir.Delete, ir.Walrus), lambda node: (node.target,)),
    ir.With: lambda node: tuple(item.target for item in node.items if item.target is not None),
    ir.Comprehension: lambda node: tuple(clause.target for clause in node.clauses),
}


def _all_targets(node: ir.Node) -> tuple[ir.Expr, ...]:
    """What a statement or expression assigns to."""
    targets = _TARGETS.get(type(node))
    return () if targets is None else targets(node)


def _targets(node: ir.Node) -> Iterator[ir.Name]:
    """The names that a statement or expression assigns to."""
    for target in _all_targets(node):
        yield from _names(target)


def _names(target: ir.Expr) -> Iterator[ir.Name]:
    if isinstance(target, ir.Name):
        yield target
    elif isinstance(target, ir.Starred):
        yield from _names(target.value)
    elif isinstance(target, ir.Sequence):
        for item in target.items:
            yield from _names(item)


def _attributes(target: ir.Expr) -> set[str]:
    if isinstance(target, ir.Attribute):
        return {target.name}
    if isinstance(target, ir.Starred):
        return _attributes(target.value)
    if isinstance(target, ir.Sequence):
        return {name for item in target.items for name in _attributes(item)}
    return set()


def _binds_name(stmt: ir.Assign | ir.AnnAssign, name: str) -> bool:
    if isinstance(stmt, ir.AnnAssign) and stmt.value is None:
        return False
    return any(found.name == name for target in _all_targets(stmt) for found in _names(target))


def _bound_otherwise(node: ir.Node) -> tuple[str, ...]:
    """The names that a node binds without a target: parameters, imports, definitions, handlers, patterns."""
    if isinstance(node, ir.Parameter):
        return (node.name,)
    if isinstance(node, (ir.FunctionDef, ir.ClassDef)):
        return (node.name,)
    if isinstance(node, (ir.Import, ir.ImportFrom)):
        return tuple(alias.bound or alias.name.partition(".")[0] for alias in node.names)
    if isinstance(node, ir.Try):
        return tuple(handler.name for handler in node.handlers if handler.name is not None)
    if isinstance(node, ir.Match):
        return tuple(name for case in node.cases for name in case.captures)
    return ()
