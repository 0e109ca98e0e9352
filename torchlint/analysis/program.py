"""What is known while the entries of one file are run: the modules that they lead to, their names, and what was found.

Each file has a program of its own: what is found in it depends on nothing but its text, the texts of the modules that it
leads to and the words of all files that lead to a loss. So files can be analysed in any order and in several processes,
and one that changes concerns only those that looked at it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from torchlint.analysis import ir
from torchlint.analysis.asserted import only_asserted
from torchlint.analysis.lower import ParseFailure
from torchlint.analysis.settings import Chosen
from torchlint.analysis.shown import only_shown, scaled_by_size
from torchlint.analysis.state import Cell
from torchlint.analysis.thresholds import Thresholds
from torchlint.analysis.usage import Uses
from torchlint.analysis.values import Class, Extern, ModuleValue, Pending, Unknown, Value, alternatives, is_anything
from torchlint.analysis.vocabulary import BLOCKS, Vocabulary
from torchlint.contracts import Contracts
from torchlint.diagnostics import Problem
from torchlint.source import SourceError

if TYPE_CHECKING:
    from collections.abc import Collection

    from torchlint.findings import Finding, NodeRef, StepRef
    from torchlint.project import Project


SLOT = "<slot>"
"""The entry of a cell that holds one value."""


class ModuleInfo:
    """A module of the project: its IR, the cell of its names, and how far its body was run."""

    __slots__ = ("cell", "defs", "done", "ir", "path", "stars", "started")

    def __init__(self, path: str, cell: int, module: ir.Module | None) -> None:
        self.path = path
        self.cell = cell
        self.ir = module
        self.started = False
        self.done = module is None
        self.stars: list[Pending] = []
        self.defs: dict[str, ir.Stmt] = {}
        if module is not None:
            collect(module.body, self.defs)


def collect(body: ir.Block, defs: dict[str, ir.Stmt]) -> None:
    """Definitions and imports at the top level, also under if and try: what an import cycle may ask for."""
    for stmt in body:
        kind = type(stmt)
        if kind is ir.FunctionDef or kind is ir.ClassDef:
            defs[stmt.name] = stmt  # type: ignore[attr-defined]
        elif isinstance(stmt, ir.If):
            for branch in stmt.branches:
                collect(branch.body, defs)
            collect(stmt.orelse, defs)
        elif isinstance(stmt, ir.Try):
            collect(stmt.body, defs)
            for handler in stmt.handlers:
                collect(handler.body, defs)


class Program:
    """Shared by the entries of a file, its `script`. `roots` are the files that may call a loss, `vocabulary` is this program's
    own to add to. `base` holds the cells of modules that were run, `parents` the scope around each frame."""

    def __init__(self, project: Project, roots: frozenset[str], vocabulary: Vocabulary) -> None:
        self.project = project
        self.contracts: Contracts = project.contracts
        self.roots = roots
        self.script = ""
        self.base: dict[int, Cell] = {}
        self.parents: dict[int, int] = {}
        self.modules: dict[str, ModuleInfo] = {}
        self.seeking: set[tuple[str, str]] = set()
        """The names of modules that are being looked for now."""
        self.problems: list[Problem] = []
        self.vocabulary = vocabulary
        self.visited: set[int] = set()
        self.findings: dict[tuple[object, ...], list[Finding]] = {}
        self.thresholds = Thresholds()
        self.full_batches: dict[str, bool] = {}
        """Of the files that make loaders, whether the code sizes the batches of all of them, so that none of one comes."""
        self.dropping: set[str] = set()
        """The files that make, or have others make, a loader that may leave out the last, short batch."""
        self._drops_last: dict[str, bool] = {}
        self.chosen = Chosen()
        self.opened: dict[tuple[int, int], bool] = {}
        self.open: set[str] = set()
        self.makers: set[int] = set()
        self.open_methods: dict[int, set[str]] = {}
        self.registries: dict[int, str] = {}
        self.completed: set[str] = set()
        self.registered: dict[str, set[str]] = {}
        self.reading = MAX_IMPORTS
        self.standins: dict[int, StepRef] = {}
        """The objects that were taken for what a parameter stands for, and where."""
        self.standing: set[int] = set()
        """The classes of which such an object is being made: who makes one may have a parameter for which it stands, too."""
        self._cells = 0
        self._slots: dict[tuple[int, str], tuple[Unknown, int]] = {}
        self._canonical: dict[str, str] = {}
        self._ways: dict[int, tuple[Value, object]] = {}
        self._named: dict[int, dict[str, list[ir.FunctionDef]]] = {}
        self._mentioned: dict[tuple[int, int], frozenset[str]] = {}
        self._leads: dict[tuple[int, int, int], bool] = {}
        self._uses: dict[str, Uses] = {}
        self._setters: dict[int, dict[str, list[ir.FunctionDef]]] = {}

    def new_cell(self) -> int:
        """A number for a frame or object that nothing has yet."""
        self._cells += 1
        return self._cells

    def slot(self, owner: Unknown, name: str) -> int | None:
        """The cell of an attribute that is set on an object which is not in sight; None if it was never set."""
        held = self._slots.get((id(owner), name))
        return None if held is None else held[1]

    def slots(self, owner: Unknown) -> list[int]:
        """The cells of all attributes that were set on such an object."""
        return [cell for held, cell in self._slots.values() if held is owner]

    def make_slot(self, owner: Unknown, name: str, before: Value) -> int:
        """The same, made if need be: where it is not set, it is what it was before."""
        held = self._slots.get((id(owner), name))
        if held is None:
            held = self._slots[id(owner), name] = owner, self.new_cell()
            self.base[held[1]] = {SLOT: before}
        return held[1]

    def taken(self, value: Unknown, owner: Unknown, *step: object) -> Unknown:
        """Remember how something unknown is taken from another one: `step` is the attribute, the key or the method."""
        if not is_anything(owner):
            self.remember(value, (self.way(owner), *step))
        return value

    def remember(self, value: Value, way: object) -> None:
        """Remember the way to a value: whatever is reached by it is this one."""
        self._ways[id(value)] = value, way

    def way(self, value: Value) -> object:
        """What a value is, wherever it is read again: the way from what it was taken from, or itself."""
        held = self._ways.get(id(value))
        return value if held is None else held[1]

    def module(self, path: str) -> ModuleInfo:
        """The module at a path; a folder or a file that cannot be read has no body."""
        info = self.modules.get(path)
        if info is None:
            lowered = None
            if path.endswith((".py", ".pyw", ".ipynb")) or path in self.project.given:
                lowered = self._load(path)
            info = self.modules[path] = ModuleInfo(path, self.new_cell(), lowered)
            if lowered is not None:
                self.vocabulary.learn(lowered)
        return info

    def words(self, path: str) -> frozenset[str]:
        """The identifiers in a module that was read."""
        info = self.modules.get(path)
        return info.ir.words if info is not None and info.ir is not None else frozenset()

    def has_full_batches(self, files: Collection[str]) -> bool:
        """Whether a loader that these files make, or have made, is known to give no batch of one, or may leave it out."""
        sized = [self.full_batches[path] for path in files if path in self.full_batches]
        if sized and all(sized):
            return True
        return not self.dropping.isdisjoint(files) or any(map(self._may_drop_last, files))

    def _may_drop_last(self, path: str) -> bool:
        """Whether a module that was read may have a loader leave out the last, short batch."""
        found = self._drops_last.get(path)
        if found is None:
            uses = self.uses(path) if "drop_last" in self.words(path) else None
            found = self._drops_last[path] = uses is not None and uses.may_set("drop_last")
        return found

    def only_shown(self, at: NodeRef) -> bool:
        """Whether the value of an expression is computed to be looked at, so that nothing learns from it."""
        uses = self.uses(at.path)
        node = None if uses is None else uses.node.get(at.node)
        return node is not None and uses is not None and only_shown(uses, node, self.contracts.op_methods)

    def only_asserted(self, at: NodeRef) -> bool:
        """Whether a comparison is made to stop for what it says, and for nothing else."""
        uses = self.uses(at.path)
        node = None if uses is None else uses.node.get(at.node)
        return node is not None and uses is not None and only_asserted(uses, node)

    def scaled_by_size(self, at: NodeRef) -> bool:
        """Whether the value of an expression is multiplied there by a number of samples or classes."""
        uses = self.uses(at.path)
        node = None if uses is None else uses.node.get(at.node)
        return node is not None and uses is not None and scaled_by_size(uses, node)

    def uses(self, path: str) -> Uses | None:
        """Where the values of names go in a module that was read."""
        uses = self._uses.get(path)
        if uses is None:
            info = self.modules.get(path)
            if info is None or info.ir is None:
                return None
            uses = self._uses[path] = Uses(info.ir)
        return uses

    def _load(self, path: str) -> ir.Module | None:
        if path not in self.roots:
            # A catalogue of a thousand models is not read whole because one of them is imported.
            self.reading -= self.project.charge(path)
            if self.reading < 0:
                return None
        try:
            return self.project.load(path)
        except SourceError as error:
            self.problems.append(Problem(path, error.message, error.line, error.column))
        except ParseFailure as error:
            self.problems.append(Problem(path, f"syntax error: {error.message}", error.line, error.column))
        return None

    def imported(self, pending: Pending, importer: str) -> Value:
        """What an import statement binds, without running the module: a module, or a name outside the project."""
        project = self.project
        if pending.level:
            path = project.relative(pending.module, pending.level, importer)
        else:
            path = project.absolute(pending.module, importer)
        if path is not None and path != importer:
            return ModuleValue(path)
        return Extern(self.canonical(pending.module or "?"))

    def canonical(self, name: str) -> str:
        """A dotted name by the spelling that the contracts use."""
        known = self._canonical.get(name)
        if known is None:
            known = self._canonical[name] = self._spell(name)
        return known

    def _spell(self, name: str) -> str:
        aliases = self.contracts.aliases
        head, rest = name, ""
        while head not in aliases:
            head, dot, last = head.rpartition(".")
            if not dot:
                return name
            rest = f".{last}{rest}"
        return aliases[head] + rest

    def setters(self, node: ir.ClassDef) -> dict[str, list[ir.FunctionDef]]:
        """The methods of a class by the attributes of `self` that they assign."""
        index = self._setters.get(id(node))
        if index is None:
            index = self._setters[id(node)] = {}
            for method in node.body:
                if isinstance(method, ir.FunctionDef) and method.params:
                    for name in sorted(_assigned(method.body, method.params[0].name, set())):
                        index.setdefault(name, []).append(method)
        return index

    def importing(self, path: str, names: frozenset[str]) -> list[str]:
        """The files that import one of these names of a module, or the module and use one of them."""
        stem = os.path.basename(os.path.dirname(path) if os.path.basename(path) == "__init__.py" else path)
        modules = frozenset((stem.removesuffix(".py"),))
        return [each for each in self.project.mentioning(names, modules) if each != path]

    def is_root(self, cls: Class) -> bool:
        """Whether a class, or one it inherits from, stands in a module that may call a loss."""
        return any(item.path in self.roots for item in linearise(cls))

    def mentioned(self, cls: Class, method: ir.FunctionDef) -> frozenset[str]:
        """The attributes that a method of a class mentions, and the methods of the class that it leads to."""
        key = (id(cls.node), id(method))
        found = self._mentioned.get(key)
        if found is None:
            named = self._methods(cls)
            names, todo = set[str](), [method]
            while todo:
                new = {word[1:] for word in todo.pop().words if word.startswith(".")} - names
                names |= new
                todo += [each for name in new & named.keys() for each in named[name]]
            found = self._mentioned[key] = frozenset(names)
        return found

    def _methods(self, cls: Class) -> dict[str, list[ir.FunctionDef]]:
        """The methods of a class and of those that it inherits from, by name."""
        found = self._named.get(id(cls.node))
        if found is None:
            found = self._named[id(cls.node)] = {}
            for item in linearise(cls):
                for stmt in item.node.body:
                    if isinstance(stmt, ir.FunctionDef):
                        found.setdefault(stmt.name, []).append(stmt)
        return found

    def relevant(self, node: ir.FunctionDef | ir.ClassDef, owner: Class | None = None) -> bool:
        """Whether a function or class may lead to a loss: by what it mentions, or as a method by another one of its class."""
        if self.is_near(node, owner):
            return True
        return owner is not None and isinstance(node, ir.FunctionDef) and self._leads_on(owner, node)

    def is_near(self, node: ir.FunctionDef | ir.ClassDef, owner: Class | None = None) -> bool:
        """Whether a function or class mentions anything that may lead to a loss, or a method of which a caller could tell more."""
        if self.vocabulary.leads_to_loss(node):
            return True
        if owner is None:
            return False
        return any(
            not self.open_methods[id(item.node)].isdisjoint(node.words)
            for item in linearise(owner)
            if id(item.node) in self.open_methods
        )

    def _leads_on(self, cls: Class, method: ir.FunctionDef) -> bool:
        """Whether a method leads to another one of its class that mentions what leads to a loss."""
        key = (id(cls.node), id(method), len(self.vocabulary.words))
        found = self._leads.get(key)
        if found is None:
            named = self._methods(cls)
            reached = (self.mentioned(cls, method) & named.keys()) - _CALLED_BY_OTHERS
            found = self._leads[key] = any(map(self.vocabulary.leads_to_loss, (m for n in reached for m in named[n])))
        return found


_CALLED_BY_OTHERS = frozenset(("__init__", "forward", "__call__"))
"""Methods that objects of every other class have as well: to mention one says nothing."""


def _assigned(body: ir.Block, receiver: str, names: set[str]) -> set[str]:
    """The attributes of a receiver that statements assign."""
    for stmt in body:
        if isinstance(stmt, (ir.Assign, ir.AnnAssign, ir.AugAssign)):
            for target in stmt.targets if isinstance(stmt, ir.Assign) else (stmt.target,):
                for item in target.items if isinstance(target, ir.Sequence) else (target,):
                    if (
                        isinstance(item, ir.Attribute)
                        and isinstance(item.value, ir.Name)
                        and item.value.name == receiver
                    ):
                        names.add(item.name)
        elif type(stmt) in BLOCKS:
            for block in BLOCKS[type(stmt)](stmt):
                _assigned(block, receiver, names)
    return names


def linearise(cls: Class) -> list[Class]:
    """The classes of the project that a class inherits from, itself first, each before its bases."""
    if cls.line:
        return cls.line
    order: list[Class] = []
    todo = [cls]
    while todo and len(order) < _MAX_BASES:
        current = todo.pop(0)
        if all(current.node is not other.node for other in order):
            order.append(current)
            todo = [base for base in resolved_bases(current) if isinstance(base, Class)] + todo
    cls.line[:] = order
    return order


MAX_IMPORTS = 250_000
"""How many bytes of imported modules that make no loss are read for a file."""

_MAX_BASES = 40


def foreign_bases(cls: Class) -> list[Value]:
    """The bases that are not classes of the project."""
    return [base for item in linearise(cls) for base in resolved_bases(item) if not isinstance(base, Class)]


def resolved_bases(cls: Class) -> list[Value]:
    """The bases of a class; modules that only define them are read now."""
    return [part for base in cls.bases for part in alternatives(base)]


def decorator_names(node: ir.FunctionDef | ir.ClassDef) -> list[str]:
    """The last part of each decorator's name."""
    names = []
    for item in node.decorators:
        func = item.func if isinstance(item, ir.Call) else item
        if isinstance(func, (ir.Name, ir.Attribute)):
            names.append(func.name)
    return names
