"""Run statements and expressions abstractly: every path once, joined where paths meet, loops until nothing changes twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from torchlint.analysis import arrays, conditions, functions, invoke, ir, objects, operate, registries, shapes
from torchlint.analysis.arguments import Args
from torchlint.analysis.calls import Comparison, Event
from torchlint.analysis.program import ModuleInfo, Program
from torchlint.analysis.state import State, merge, written_since
from torchlint.analysis.values import (
    NO_AUTOCAST,
    UNKNOWN,
    Autocast,
    Class,
    Const,
    Container,
    Extern,
    Function,
    Instance,
    Items,
    Lazy,
    Method,
    ModuleValue,
    Pending,
    Super,
    Tensor,
    Test,
    Tuple,
    Union,
    Unknown,
    Value,
    alternatives,
    either,
    guarded,
    is_pending,
    join,
    narrow,
    union,
)
from torchlint.findings import NodeRef, StepRef, doubtful

MAX_STARS = 16
"""A package that imports more modules with a star is a catalogue: its names are not sought in all of them."""

MAX_UNROLL = 8
"""Loops over this many known items are run item by item."""


class Loop:
    """The states in which a loop is left by `break` or begun again by `continue`."""

    __slots__ = ("breaks", "continues")

    def __init__(self) -> None:
        self.breaks: list[State] = []
        self.continues: list[State] = []


class Frame:
    """One call of a function, or one run of a module or class body."""

    __slots__ = (
        "assumed",
        "autocast",
        "branch",
        "captured",
        "cell",
        "class_cell",
        "function",
        "globals",
        "key",
        "loops",
        "owner",
        "path",
        "returns",
        "training",
        "yields",
    )

    def __init__(self, path: str, cell: int, key: tuple[object, ...], training: bool | None) -> None:
        self.path = path
        self.cell = cell
        self.key = key
        self.training = training
        self.autocast = NO_AUTOCAST
        self.branch: tuple[tuple[int, int], ...] = ()
        self.class_cell = False
        self.captured = False
        self.assumed: Mapping[Test, bool] = {}
        self.function: Function | None = None
        self.owner: Class | None = None
        self.globals: set[str] = set()
        self.loops: list[Loop] = []
        self.returns: list[tuple[State, Value]] = []
        self.yields: list[Value] = []


class Entry:
    """A function that is run for want of a caller. `open` says that a caller could tell more of a loss call in it."""

    __slots__ = ("function", "open")

    def __init__(self, function: Function) -> None:
        self.function = function
        self.open = False


def name_of(function: Function) -> str:
    """A function's name."""
    return function.node.name if isinstance(function.node, ir.FunctionDef) else "<lambda>"


def entry_key(function: Function) -> tuple[int, int]:
    """A function, and the class of the object that it is a method of."""
    receiver = function.receiver
    return id(function.node), id(receiver.cls.node) if isinstance(receiver, Instance) else 0


class Interpreter:
    """Runs entries of a program one after the other. `state` is None where the code cannot be reached."""

    watched: frozenset[type[Event]] = frozenset()
    """The types of events that are told; so many happen that nobody is told of the others."""

    watched_ops: frozenset[str] = frozenset()
    """The operations that are told, by their ids in the contracts."""

    def record(self, event: Event) -> None:
        """Something that rules look at happens; entries judge it."""

    def unresolved(self, node: ir.Node, callee: Value) -> None:
        """Something is called of which nothing is known; asked for by coverage."""

    def not_run(self, function: ir.FunctionDef | ir.Lambda) -> None:
        """A function is called that is not run: the steps are used up, or it calls itself; asked for by coverage."""

    def state_now(self) -> State | None:
        """The state; mypy takes it that `state` stays what it was over a call."""
        return self.state

    def __init__(self, program: Program) -> None:
        self.program = program
        self.contracts = program.contracts
        self.state: State | None = State(program.base)
        self.frame = Frame("", program.new_cell(), (), True)
        self.stack: list[ir.FunctionDef | ir.Lambda] = []
        self.fuel = 0
        self.standing: frozenset[int] = frozenset()
        self.deferring: set[tuple[int, int, str]] = set()
        self.escaped: list[Instance] = []
        self.entries: list[Entry] = []
        self.choices: list[invoke.Judged] = []
        self.forks = 0
        self.eager = False
        """Whether calls are made at once, for what they do to a registry, and not when their result is needed."""

    # ---- where we are

    @property
    def heap(self) -> State:
        """The current state; a scratch one where the code cannot be reached."""
        if self.state is None:
            self.state = State(self.program.base)
        return self.state

    def ref(self, node: ir.Node) -> NodeRef:
        """A reference to a node of the file being run."""
        return NodeRef(self.frame.path, node.id)

    @contextmanager
    def enter(self, frame: Frame) -> Iterator[Frame]:
        """Run in another frame, in the same state."""
        outer = self.frame
        self.frame = frame
        try:
            yield frame
        finally:
            self.frame = outer

    @contextmanager
    def assuming(self, assumed: Mapping[Test, bool]) -> Iterator[None]:
        """Compute a value that was put off as if it were computed where it was written."""
        state = self.heap
        outer, state.assumed = state.assumed, assumed
        try:
            yield
        finally:
            if self.state is not None:
                self.state.assumed = outer

    @contextmanager
    def at_once(self, eager: bool) -> Iterator[None]:
        """Make calls at once or not."""
        outer, self.eager = self.eager, eager
        try:
            yield
        finally:
            self.eager = outer

    # ---- entries

    @contextmanager
    def choosing(self) -> Iterator[invoke.Judged]:
        """Follow one of several possibilities, and note what is judged on the way."""
        judged = invoke.Judged()
        self.choices.append(judged)
        try:
            yield judged
        finally:
            self.choices.pop()

    def doubt(self, choices: Sequence[invoke.Judged], node: ir.Node) -> None:
        """Make what was found while following these possibilities of a call likely, no more."""
        reason = StepRef(self.ref(node), "it depends on what is called here: one of several")
        for judged in choices:
            for key in judged.keys:
                found = self.program.findings[key]
                self.program.findings[key] = [doubtful(finding, reason) for finding in found]

    def is_open(self, function: Function) -> bool:
        """Whether a caller could tell more of the loss calls in a function: found by running it once with unknown arguments."""
        key = entry_key(function)
        known = self.program.opened.get(key)
        if known is not None:
            return known
        self.program.opened[key] = False
        if isinstance(function.receiver, Instance):
            objects.instance_cell(self, function.receiver)
        saved = (self.state, self.stack, self.fuel, self.frame)
        self.state = self.heap.fork()
        self.stack = []
        self.fuel = ENTRY_FUEL
        if isinstance(function.node, ir.FunctionDef):
            self.fuel += FUEL_PER_WORD * len(function.node.words)
        # What comes near no loss is looked at for what it compares: nothing is known of gradients there.
        near = not isinstance(function.node, ir.FunctionDef) or self.program.relevant(function.node, function.owner)
        self.frame = Frame(function.path, function.frame, ("entry", function.path, *key), True if near else None)
        entry = Entry(function)
        self.entries.append(entry)
        escaped, self.escaped = self.escaped, []
        try:
            result = functions.call_now(
                self, function, functions.unknown_args(self, function), function.node, quiet=True
            )
            if functions.holds_loss(self, result):
                self.program.open.add(name_of(function))
                self.program.makers.add(id(function.node))
            self.run_escaped()
        finally:
            self.escaped = escaped
            self.entries.pop()
            self.state, self.stack, self.fuel, self.frame = saved
        self.program.opened[key] = entry.open
        if entry.open:
            name = function.owner.node.name if function.owner is not None else name_of(function)
            self.program.open.add(name)
            if isinstance(function.receiver, Instance):
                cls = function.receiver.cls.node
                self.program.open.add(cls.name)
                if (
                    name_of(function) != "forward"
                    and isinstance(function.node, ir.FunctionDef)
                    and self.program.relevant(function.node, function.owner)
                ):
                    self.program.open_methods.setdefault(id(cls), set()).add(f".{name_of(function)}")
        return entry.open

    def run_escaped(self) -> None:
        """Call the methods of objects that were handed to code which we do not see, such as a trainer."""
        seen: set[int] = set()
        escaped, self.escaped = self.escaped, []
        for instance in escaped:
            if instance.id in seen or len(seen) >= MOST_ESCAPED or not self.program.is_root(instance.cls):
                continue
            seen.add(instance.id)
            for method in objects.methods_to_loss(self, instance.cls):
                bound = Function(method.node, method.path, method.frame, instance, method.owner)
                if self.is_open(bound):
                    before, key = self.heap, self.frame.key
                    self.state = before.fork()
                    self.frame.key = (*key, "escaped", instance.id, method.node.id)
                    functions.call_now(self, bound, functions.unknown_args(self, bound), method.node, quiet=True)
                    self.state, self.frame.key = before, key
        self.escaped = []

    # ---- modules

    def ensure(self, path: str) -> ModuleInfo:
        """Run a module's body if nobody has begun to."""
        info = self.program.module(path)
        if info.started or info.ir is None:
            return info
        info.started = True
        outer_state, outer_stack, outer_fuel = self.state, self.stack, self.fuel
        self.state, self.stack = State(self.program.base), []
        self.fuel = MODULE_FUEL
        try:
            with self.at_once(False), self.enter(Frame(path, info.cell, (path,), True)):
                self.heap.write(info.cell)["__name__"] = Const("__main__" if path in self.program.roots else path)
                self.block(info.ir.body)
                self.run_escaped()
                registries.note(self, info)
                # A module that always raises or exits still bound its names before that.
                self.program.base.update(self.heap.cells)
        finally:
            self.state, self.stack = outer_state, outer_stack
            self.fuel = outer_fuel
            info.done = True
        return info

    def member(self, path: str, name: str) -> Value:
        """A name of a module of the project: what its body binds, a star import's name, a submodule."""
        info = self.ensure(path)
        found = self.program.base.get(info.cell, {}).get(name)
        if found is None and self.state is not None:
            found = self.state.read(info.cell).get(name)
        if found is not None:
            return self.settle(found, info.path)
        if not info.done and name in info.defs:
            return self.define_early(info, info.defs[name])
        for star in info.stars[:MAX_STARS]:
            value = self.program.imported(star, path)
            if isinstance(value, ModuleValue) and value.path != path:
                inner = self.program.modules.get(value.path)
                if inner is not None and inner.started and not inner.done and name not in inner.defs:
                    continue
                found = self.member(value.path, name)
                if not isinstance(found, Unknown):
                    return found
            elif isinstance(value, Extern) and self.knows(f"{value.name}.{name}"):
                return Extern(self.program.canonical(f"{value.name}.{name}"))
        submodule = self.program.project.member(path, name)
        if submodule is not None and submodule != path:
            return ModuleValue(submodule)
        return Unknown(f"{name} of {path}")

    def knows(self, name: str) -> bool:
        """Whether a contract is about this dotted name."""
        name = self.program.canonical(name)
        tables: tuple[Any, ...] = (
            self.contracts.loss_classes,
            self.contracts.loss_functions,
            self.contracts.op_functions,
            self.contracts.op_layers,
        )
        return any(name in table for table in tables) or name in _MODULES_OFTEN_STARRED

    def is_loss_or_layer(self, name: str) -> bool:
        """Whether a contract is about a class or a function of this dotted name that is chosen by its name."""
        return self.contracts.is_loss(name) or self.contracts.layer(name) is not None

    def define_early(self, info: ModuleInfo, node: ir.Stmt) -> Value:
        """A definition of a module whose body is still being run (an import cycle)."""
        with self.enter(Frame(info.path, info.cell, (info.path,), True)):
            if isinstance(node, ir.FunctionDef):
                return Function(node, info.path, info.cell)
            if isinstance(node, ir.ClassDef):
                return self.make_class(node)
        return UNKNOWN

    def settle(self, value: Value, path: str) -> Value:
        """Follow an import that was not followed yet; `path` is the importing file."""
        if not isinstance(value, Pending):
            return value
        owner = self.program.imported(value, path)
        if not value.name:
            return owner
        if isinstance(owner, Extern):
            return Extern(self.program.canonical(f"{owner.name}.{value.name}"))
        if isinstance(owner, ModuleValue):
            return self.member(owner.path, value.name)
        return UNKNOWN

    # ---- statements

    def block(self, body: ir.Block) -> None:
        """Run statements in order until one is not reached."""
        for stmt in body:
            if self.state is None:
                return
            self.fuel -= 1
            _STATEMENTS[type(stmt)](self, stmt)

    def branches(self, runs: Sequence[Callable[[], None]]) -> None:
        """Run alternatives, each from the current state, and join what comes out."""
        before, frame = self.heap, self.frame
        outcomes: list[State | None] = []
        outer = frame.branch
        self.forks += 1
        fork = self.forks
        for side, run in enumerate(runs):
            self.state = before.fork() if side < len(runs) - 1 else before
            frame.branch = (*outer, (fork, side))
            run()
            outcomes.append(self.state)
        frame.branch = outer
        self.state = merge(outcomes)

    def assign_stmt(self, stmt: ir.Assign) -> None:
        value = self.eval(stmt.value)
        for target in stmt.targets:
            self.assign(target, value)

    def ann_assign(self, stmt: ir.AnnAssign) -> None:
        if stmt.value is not None:
            self.assign(stmt.target, self.eval(stmt.value))
        elif self.frame.class_cell and isinstance(stmt.target, ir.Name):
            fields = self.heap.read(self.frame.cell).get("<fields>")
            known = fields.items if isinstance(fields, Tuple) else ()
            self.heap.write(self.frame.cell)["<fields>"] = Tuple((*known, Const(stmt.target.name)))
            return
        if self.frame.class_cell and isinstance(stmt.target, ir.Name):
            fields = self.heap.read(self.frame.cell).get("<fields>")
            known = fields.items if isinstance(fields, Tuple) else ()
            self.heap.write(self.frame.cell)["<fields>"] = Tuple((*known, Const(stmt.target.name)))

    def aug_assign(self, stmt: ir.AugAssign) -> None:
        left, right = self.eval(stmt.target), self.eval(stmt.value)
        if stmt.op == "+" and objects.extend_list(self, left, right):
            return
        self.assign(stmt.target, operate.binary(self, stmt.op, left, right, stmt))

    def expr_stmt(self, stmt: ir.ExprStmt) -> None:
        value = self.eval(stmt.value)
        in_place = stmt.value
        if isinstance(value, Lazy) and isinstance(in_place, ir.Call):
            if self.fuel > 0 and value.changes:
                value.force()
            if isinstance(in_place.func, ir.Attribute) and in_place.func.name in arrays.IN_PLACE:
                self.assign(in_place.func.value, value)
            return
        if (
            isinstance(in_place, ir.Call)
            and isinstance(in_place.func, ir.Attribute)
            and isinstance(value, Tensor)
            and (
                in_place.func.name.endswith("_") or (value.holder == "numpy" and in_place.func.name in arrays.IN_PLACE)
            )
            and not in_place.func.name.startswith("_")
        ):
            self.assign(in_place.func.value, value)

    def assign(self, target: ir.Expr, value: Value) -> None:
        """Bind a target: a name, an attribute, an item, or several."""
        kind = type(target)
        if isinstance(target, ir.Name):
            self.bind(target.name, value)
        elif isinstance(target, ir.Attribute):
            owner = self.eval(target.value)
            if target.name == "shape" and isinstance(owner, Tensor):
                self.assign(target.value, arrays.reshaped(owner, shapes.sizes_of([value])))
            else:
                objects.set_attribute(self, owner, target.name, value)
        elif isinstance(target, ir.Subscript):
            objects.set_item(self, target, value)
        elif isinstance(target, ir.Sequence):
            self.unpack(target, value)
        elif isinstance(target, ir.Starred):
            self.assign(target.value, objects.new_list(self, None, UNKNOWN))
        elif kind is ir.Walrus:
            self.assign(target.target, value)  # type: ignore[attr-defined]

    def bind(self, name: str, value: Value) -> None:
        """Bind a local name, or a global one where the function says so."""
        frame = self.frame
        cell = frame.cell
        if name in frame.globals:
            cell = self.program.module(frame.path).cell
        self.heap.write(cell)[name] = value

    def unpack(self, target: ir.Sequence, value: Value) -> None:
        """Bind several targets to the items of a value."""
        count = len(target.items)
        star = next((i for i, item in enumerate(target.items) if isinstance(item, ir.Starred)), None)
        for index, item in enumerate(target.items):
            if star is not None and index >= star:
                if index == star:
                    self.assign(item, value)
                else:
                    self.assign(item, objects.item(self, value, index - count))
                continue
            self.assign(item, objects.item(self, value, index))

    def return_stmt(self, stmt: ir.Return) -> None:
        value = Const(None) if stmt.value is None else self.eval(stmt.value)
        self.frame.returns.append((self.heap, value))
        self.state = None

    def raise_stmt(self, stmt: ir.Raise) -> None:
        self.state = None

    def assert_stmt(self, stmt: ir.Assert) -> None:
        self.eval(stmt.test)

    def delete(self, stmt: ir.Delete) -> None:
        for target in stmt.target.items if isinstance(stmt.target, ir.Sequence) else (stmt.target,):
            if isinstance(target, ir.Name):
                self.heap.write(self.frame.cell).pop(target.name, None)
            elif isinstance(target, ir.Attribute):
                objects.set_attribute(self, self.eval(target.value), target.name, Unknown("deleted"))
            elif isinstance(target, ir.Subscript):
                objects.delete_item(self, target)

    def pass_stmt(self, stmt: ir.Stmt) -> None:
        pass

    def break_stmt(self, stmt: ir.Stmt) -> None:
        if self.frame.loops and self.state is not None:
            self.frame.loops[-1].breaks.append(self.state)
        self.state = None

    def continue_stmt(self, stmt: ir.Stmt) -> None:
        if self.frame.loops and self.state is not None:
            self.frame.loops[-1].continues.append(self.state)
        self.state = None

    def scope(self, stmt: ir.Scope) -> None:
        if stmt.outer == "global":
            self.frame.globals.update(stmt.names)

    def import_stmt(self, stmt: ir.Import) -> None:
        for alias in stmt.names:
            if alias.bound is not None:
                self.bind(alias.bound, self.now(Pending(alias.name, 0, "")))
            else:
                self.bind(alias.name.partition(".")[0], self.now(Pending(alias.name.partition(".")[0], 0, "")))

    def now(self, pending: Pending) -> Value:
        """An import as bound: the module is found, but not run."""
        return self.program.imported(pending, self.frame.path) if not pending.name else pending

    def import_from(self, stmt: ir.ImportFrom) -> None:
        if not stmt.names:
            self.program.module(self.frame.path).stars.insert(0, Pending(stmt.module, stmt.level, ""))
            return
        for alias in stmt.names:
            pending = Pending(stmt.module, stmt.level, alias.name)
            owner = self.program.imported(pending, self.frame.path)
            value: Value = pending
            if isinstance(owner, Extern):
                value = Extern(self.program.canonical(f"{owner.name}.{alias.name}"))
            self.bind(alias.bound or alias.name, value)

    def if_stmt(self, stmt: ir.If) -> None:
        self.if_from(stmt, 0)

    def if_from(self, stmt: ir.If, index: int) -> None:
        """The branches from one on: a test that is known picks its branch, else both sides are run."""
        while index < len(stmt.branches):
            branch = stmt.branches[index]
            verdict = self.truth(branch.test)
            if verdict is True:
                self.block(branch.body)
                return
            if verdict is None:
                yes, no = conditions.outcomes(self, branch.test)
                self.branches(
                    (
                        partial(self.under, yes, partial(self.block, branch.body)),
                        partial(self.under, no, partial(self.if_from, stmt, index + 1)),
                    )
                )
                return
            index += 1
        self.block(stmt.orelse)

    def under(self, tests: conditions.Outcomes, run: Callable[[], None]) -> None:
        """Run something knowing how tests came out."""
        if tests:
            self.heap.assume(tests)
        run()

    def truth(self, test: ir.Expr) -> bool | None:
        """Whether a test holds, if the code or an earlier test of the same value fixes it."""
        verdict = operate.truth(self.eval(test))
        if verdict is None and self.heap.assumed:
            return conditions.decided(self, test)
        return verdict

    def for_stmt(self, stmt: ir.For) -> None:
        element, known = objects.iterate(self, self.eval(stmt.iter))
        if known is not None and len(known) <= MAX_UNROLL and not _only_counts(stmt, known):
            self.unrolled(stmt, known)
        else:
            if known is not None and _only_counts(stmt, known):
                element = objects.DIMENSION
            self.loop(stmt.body, lambda: self.assign(stmt.target, element))
        if self.state is not None:
            self.block(stmt.orelse)

    def unrolled(self, stmt: ir.For, items: Sequence[Value]) -> None:
        """A loop over known items: the body once for each, in order."""
        loop = Loop()
        outer_key = self.frame.key
        self.frame.loops.append(loop)
        for index, item in enumerate(items):
            if self.state is None:
                break
            loop.continues = []
            self.frame.key = (*outer_key, index)
            self.assign(stmt.target, item)
            self.block(stmt.body)
            self.state = merge([self.state, *loop.continues])
        self.frame.loops.pop()
        self.frame.key = outer_key
        self.state = merge([self.state, *loop.breaks])

    def while_stmt(self, stmt: ir.While) -> None:
        verdict = self.truth(stmt.test)
        if verdict is False:
            self.block(stmt.orelse)
            return
        self.loop(stmt.body, lambda: None, endless=verdict is True)
        if self.state is not None:
            self.block(stmt.orelse)

    def loop(self, body: ir.Block, begin: Callable[[], None], endless: bool = False) -> None:
        """A loop of unknown length: the body twice, the second time from all that may hold when it begins again."""
        loop = Loop()
        frame = self.frame
        frame.loops.append(loop)
        before = self.heap
        after: list[State | None] = [] if endless else [before.fork()]
        entered = before.fork()
        self.state = before
        begin()
        self.block(body)
        first = merge([self.state, *loop.continues])
        if first is not None and _changes(entered, first) and self.fuel > 0:
            again = first.fork()
            if not endless:
                after.append(first)
            loop.continues = []
            self.state = merge([entered, again])
            begin()
            self.block(body)
            first = merge([self.state, *loop.continues])
        frame.loops.pop()
        if not endless:
            after.append(first)
        self.state = merge([*after, *loop.breaks])

    def try_stmt(self, stmt: ir.Try) -> None:
        before = self.heap.fork()
        self.block(stmt.body)
        if stmt.orelse and self.state is not None:
            self.block(stmt.orelse)
        outcomes = [self.state]
        for handler in stmt.handlers:
            self.state = before.fork()
            if handler.name is not None:
                self.bind(handler.name, Unknown("exception"))
            self.block(handler.body)
            # A handler that prints and goes on leaves the names as the body would have: only what it binds counts.
            outcomes.append(self.state if _binds(handler.body) else None)
        if all(outcome is None for outcome in outcomes) and not stmt.handlers:
            self.state = None
        else:
            self.state = merge(outcomes)
        if stmt.final and self.state is not None:
            self.block(stmt.final)

    def with_stmt(self, stmt: ir.With) -> None:
        outer, outer_autocast = self.frame.training, self.frame.autocast
        for item in stmt.items:
            value = self.eval(item.value)
            self.frame.autocast = autocast_in(value, self.frame.autocast)
            if isinstance(value, Extern) and value.name in _NO_GRAD:
                self.frame.training = None
            if item.target is not None:
                self.assign(item.target, value if isinstance(value, Instance) else Unknown("context manager"))
        self.block(stmt.body)
        self.frame.training, self.frame.autocast = outer, outer_autocast

    def match_stmt(self, stmt: ir.Match) -> None:
        self.eval(stmt.subject)
        self.match_from(stmt, 0)

    def match_from(self, stmt: ir.Match, index: int) -> None:
        """The cases from one on: one that compares with values is a test like that of `if`, of others both ways are run."""
        while index < len(stmt.cases):
            case = stmt.cases[index]
            if case.irrefutable and case.guard is None:
                self.case(case)
                return
            test = _as_test(stmt, case)
            verdict = None if test is None else self.truth(test)
            if verdict is True:
                self.case(case)
                return
            if verdict is None:
                yes, no = ((), ()) if test is None else conditions.outcomes(self, test)
                self.branches(
                    (
                        partial(self.under, yes, partial(self.case, case)),
                        partial(self.under, no, partial(self.match_from, stmt, index + 1)),
                    )
                )
                return
            index += 1

    def case(self, case: ir.Case) -> None:
        for name in case.captures:
            self.bind(name, Unknown("match"))
        self.block(case.body)

    def function_def(self, stmt: ir.FunctionDef) -> None:
        function = self.make_function(stmt)
        self.bind(stmt.name, function)
        self.decorate(stmt, function)

    def decorate(self, stmt: ir.FunctionDef | ir.ClassDef, value: Value) -> None:
        """Run the project's own decorators: a registry takes note of what it decorates."""
        for node in stmt.decorators:
            root = node.func if isinstance(node, ir.Call) else node
            # Others wrap, document or check: what they decorate is taken as it is written, and running them costs much.
            if not isinstance(root, (ir.Name, ir.Attribute)) or "regist" not in _dotted(root).lower():
                continue
            while isinstance(root, ir.Attribute):
                root = root.value
            if not isinstance(root, ir.Name) or root.name in _BUILTINS or self.fuel <= 0:
                continue
            known = self.lookup(root.name)
            if isinstance(known, (Function, Instance, Container)) or (
                isinstance(known, Lazy) and not self.frame.class_cell
            ):
                self.program.registered.setdefault(stmt.name, set()).add(root.name)
                decorator = self.eval(node)
                if not any(isinstance(part, Unknown) for part in alternatives(decorator)):
                    with self.at_once(True):
                        invoke.call(self, decorator, Args([value]), node)
                    if self.state is None:
                        self.state = State(self.program.base)

    def make_function(self, node: ir.FunctionDef | ir.Lambda) -> Function:
        """A function as its definition binds it: free names are looked up around it, a class body left out."""
        frame = self.frame
        if frame.class_cell:
            return Function(node, frame.path, self.program.parents[frame.cell], owner=frame.owner)
        frame.captured = True
        return Function(node, frame.path, frame.cell, owner=frame.owner)

    def class_def(self, stmt: ir.ClassDef) -> None:
        cls = self.make_class(stmt)
        self.bind(stmt.name, cls)
        self.decorate(stmt, cls)

    def make_class(self, stmt: ir.ClassDef) -> Class:
        """A class: its body run in a cell of its own."""
        bases = [self.eval(base.value) for base in stmt.bases if base.keyword is None and not base.star]
        program = self.program
        cell = program.new_cell()
        frame = self.frame
        around = program.parents[frame.cell] if frame.class_cell else frame.cell
        frame.captured = True
        program.parents[cell] = around
        cls = Class(stmt, frame.path, cell, tuple(bases))
        inner = Frame(frame.path, cell, frame.key, frame.training)
        inner.class_cell = True
        inner.owner = cls
        inner.globals = set()
        with self.enter(inner):
            self.heap.write(cell)
            self.block(stmt.body)
        if self.state is None:
            self.state = State(program.base)
        return cls

    # ---- expressions

    def eval(self, node: ir.Expr) -> Value:
        """The value of an expression."""
        self.fuel -= 1
        return _EXPRESSIONS[type(node)](self, node)

    def name(self, node: ir.Name) -> Value:
        return self.lookup(node.name)

    def lookup(self, name: str) -> Value:
        """A name: local, of the functions around, global, imported with a star, built in."""
        state = self.heap
        parents = self.program.parents
        cell: int | None = self.frame.cell
        while cell is not None:
            found = state.read(cell).get(name)
            if found is not None:
                if type(found) is Pending:
                    return self.deferred(found, self.frame.path)
                return narrow(found, state.assumed) if state.assumed else found
            cell = parents.get(cell)
        return self.global_name(name)

    def deferred(self, pending: Pending, path: str) -> Value:
        """What an import binds; a module that has not been run yet and makes no loss is run only when the value is needed."""
        owner = self.program.imported(pending, path)
        if isinstance(owner, ModuleValue) and pending.name and self.can_wait(owner.path):
            return operate.later(lambda: self.settle(pending, path))
        return self.settle(pending, path)

    def can_wait(self, path: str) -> bool:
        """Whether a module may stay unread for now."""
        info = self.program.modules.get(path)
        return path not in self.program.roots and (info is None or not info.started)

    def global_name(self, name: str) -> Value:
        """A name that the module's finished body, its star imports or Python itself bind."""
        path = self.frame.path
        info = self.program.module(path)
        if name in info.defs and not info.done:
            return self.define_early(info, info.defs[name])
        if name in _BUILTINS:
            return Extern(f"builtins.{name}")
        for star in info.stars[:MAX_STARS]:
            value = self.program.imported(star, path)
            if isinstance(value, ModuleValue) and value.path != path:
                found = self.member(value.path, name)
                if not isinstance(found, Unknown):
                    return found
            elif isinstance(value, Extern) and self.knows(f"{value.name}.{name}"):
                return Extern(self.program.canonical(f"{value.name}.{name}"))
        return Unknown(f"name {name}")

    def constant(self, node: ir.Constant) -> Value:
        return Const(node.value)

    def unknown(self, node: ir.Expr) -> Value:
        return UNKNOWN

    def attribute(self, node: ir.Attribute) -> Value:
        return objects.attribute(self, self.eval(node.value), node.name, node)

    def call(self, node: ir.Call) -> Value:
        return invoke.call_node(self, node)

    def binary(self, node: ir.Binary) -> Value:
        left = self.eval(node.left)
        return operate.binary(self, node.op, left, self.eval(node.right), node)

    def unary(self, node: ir.Unary) -> Value:
        return operate.unary(self, node.op, self.eval(node.operand), node)

    def boolean(self, node: ir.Boolean) -> Value:
        left = self.eval(node.left)
        verdict = operate.truth(left)
        if verdict is not None:
            return left if verdict is (node.op == "or") else self.eval(node.right)
        right = self.eval(node.right)
        if operate.is_flag(left) and operate.is_flag(right):
            # `flag and other`: what comes out is asked for its truth only.
            return right if operate.truth(right) is (node.op == "or") else UNKNOWN
        if node.op == "or":
            kept = [v for v in alternatives_now(left) if not (isinstance(v, Const) and not v.value)]
            return union((*kept, right))
        return join(left, right)

    def compare(self, node: ir.Compare) -> Value:
        left = self.eval(node.left)
        rights = [self.eval(item) for item in node.rights]
        if node.ops[0] in ("is", "is not") and isinstance(node.rights[0], ir.Constant) and is_pending(left):
            left = either(guarded(left))  # whether a function gave None decides on what is built
        if len(rights) == 1 and Comparison in self.watched:
            operate.tell_comparison(self, left, node.ops[0], rights[0], node)
        return operate.compare(left, node.ops, rights, self.ref(node))

    def conditional(self, node: ir.Conditional) -> Value:
        verdict = self.truth(node.test)
        if verdict is not None:
            return self.eval(node.body if verdict else node.orelse)
        yes, no = conditions.outcomes(self, node.test)
        before = self.heap.assumed
        self.heap.assume(yes)
        body = self.eval(node.body)
        self.heap.assumed = {**before, **dict(no)}
        orelse = self.eval(node.orelse)
        self.heap.assumed = before
        return join(body, orelse, frozenset(yes), frozenset(no))

    def sequence(self, node: ir.Sequence) -> Value:
        items: list[Value] = []
        exact = True
        for item in node.items:
            if isinstance(item, ir.Starred):
                element, known = objects.iterate(self, self.eval(item.value))
                exact = exact and known is not None
                items.extend(known if known is not None else [element])
            else:
                items.append(self.eval(item))
        if node.kind == "list":
            return objects.new_list(self, items if exact else None, union(items) if items else UNKNOWN)
        if node.kind == "tuple" and exact:
            return Tuple(tuple(items))
        return Items(union(items) if items else UNKNOWN)

    def starred(self, node: ir.Starred) -> Value:
        return self.eval(node.value)

    def mapping(self, node: ir.Mapping) -> Value:
        pairs: list[tuple[Value | None, Value]] = []
        for key, value in zip(node.keys, node.values, strict=True):
            pairs.append((None if key is None else self.eval(key), self.eval(value)))
        return objects.new_dict(self, pairs)

    def subscript(self, node: ir.Subscript) -> Value:
        return objects.subscript(self, self.eval(node.value), node)

    def slice(self, node: ir.Slice) -> Value:
        return UNKNOWN

    def lambda_(self, node: ir.Lambda) -> Value:
        return self.make_function(node)

    def comprehension(self, node: ir.Comprehension) -> Value:
        known: list[Value] | None = None
        first = node.clauses[0]
        element, items = objects.iterate(self, self.eval(first.iter))
        simple = len(node.clauses) == 1 and not first.tests
        if simple and items is not None and len(items) <= MAX_UNROLL and node.kind != "dict":
            known = []
            for item in items:
                self.assign(first.target, item)
                known.append(self.eval(node.element))
            if node.kind == "list":
                return objects.new_list(self, known, union(known) if known else UNKNOWN)
            return Tuple(tuple(known))
        self.assign(first.target, element)
        for clause in node.clauses[1:]:
            inner, _ = objects.iterate(self, self.eval(clause.iter))
            self.assign(clause.target, inner)
        value = self.eval(node.element)
        if node.kind == "dict":
            return objects.new_dict(self, [(UNKNOWN, value)])
        if node.kind == "list":
            return objects.new_list(self, None, value)
        return Items(value)

    def await_(self, node: ir.Await) -> Value:
        return self.eval(node.value)

    def yield_(self, node: ir.Yield) -> Value:
        if node.value is not None:
            value = self.eval(node.value)
            self.frame.yields.append(objects.iterate(self, value)[0] if node.delegates else value)
        return UNKNOWN

    def walrus(self, node: ir.Walrus) -> Value:
        value = self.eval(node.value)
        self.assign(node.target, value)
        return value

    def format(self, node: ir.Format) -> Value:
        for part in node.parts:
            if isinstance(part, (ir.Call, ir.Walrus)):
                self.eval(part)
        return Unknown("text")


ENTRY_FUEL = 1_500
FUEL_PER_WORD = 20
"""Steps that running one function for want of a caller may take, all that it calls included: so many, and more if it is long."""

MOST_ESCAPED = 12

MODULE_FUEL = 30_000
"""Steps that running one module's body may take, all that it calls included."""


def alternatives_now(value: Value) -> tuple[Value, ...]:
    """The possibilities of a value without computing a lazy one."""
    if isinstance(value, Union):
        return value.alternatives
    return (value,)


def autocast_in(context: Value, outer: Autocast) -> Autocast:
    """Whether CUDA autocast is on inside a context manager. Computes nothing lazy."""
    found = [part if isinstance(part, Autocast) else outer for part in alternatives_now(context)]
    if len({part.state for part in found}) == 1:
        return found[0]
    return Autocast("maybe", next(part.at for part in found if part.state != "off"))


def _as_test(stmt: ir.Match, case: ir.Case) -> ir.Expr | None:
    """The condition that a case of values stands for; None for one that looks at more."""
    if not case.plain or not case.values:
        return None
    tests: list[ir.Expr] = [ir.Compare(stmt.id, stmt.subject, ("==",), (value,)) for value in case.values]
    test = tests[0]
    for other in tests[1:]:
        test = ir.Boolean(stmt.id, "or", test, other)
    return test if case.guard is None else ir.Boolean(stmt.id, "and", test, case.guard)


def _dotted(node: ir.Expr) -> str:
    """A dotted name as written; what is no name in it is left out."""
    if isinstance(node, ir.Attribute):
        return f"{_dotted(node.value)}.{node.name}"
    return node.name if isinstance(node, ir.Name) else ""


def _only_counts(stmt: ir.For, items: Sequence[Value]) -> bool:
    """Whether a loop repeats its body a number of times: epochs, and not the layers of a network."""
    counted = all(isinstance(item, Const) and type(item.value) is int for item in items) and len(items) > 1
    return counted and any(isinstance(inner, (ir.For, ir.While, ir.With)) for inner in stmt.body)


def _changes(before: State, after: State) -> bool:
    """Whether a loop's first pass left anything different that the second may read."""
    for cell in written_since(before, after)[1]:
        old, new = before.read(cell), after.read(cell)
        if old is not new and any(key in old and old[key] is not value for key, value in new.items()):
            return True
    return False


def _binds(body: ir.Block) -> bool:
    """Whether a handler binds names or leaves: then what comes after it depends on it."""
    return any(isinstance(stmt, (ir.Assign, ir.AugAssign, ir.Import, ir.ImportFrom, ir.If)) for stmt in body)


_NO_GRAD = frozenset(
    {"torch.no_grad", "torch.inference_mode", "torch.autograd.no_grad", "torch.autograd.inference_mode"}
)

_MODULES_OFTEN_STARRED = frozenset({"torch.nn", "torch.nn.functional", "torch.optim"})

_BUILTINS = frozenset(
    "abs all any bool bytes callable dict dir enumerate eval filter float format frozenset getattr globals hasattr hash id int "
    "isinstance issubclass iter len list map max min next object open pow print property range repr reversed round set "
    "setattr slice sorted staticmethod classmethod str sum super tuple type vars zip".split()
)

_STATEMENTS: dict[type, Callable[[Interpreter, Any], None]] = {
    ir.Assign: Interpreter.assign_stmt,
    ir.AnnAssign: Interpreter.ann_assign,
    ir.AugAssign: Interpreter.aug_assign,
    ir.ExprStmt: Interpreter.expr_stmt,
    ir.Return: Interpreter.return_stmt,
    ir.Raise: Interpreter.raise_stmt,
    ir.Assert: Interpreter.assert_stmt,
    ir.Delete: Interpreter.delete,
    ir.Pass: Interpreter.pass_stmt,
    ir.Break: Interpreter.break_stmt,
    ir.Continue: Interpreter.continue_stmt,
    ir.Scope: Interpreter.scope,
    ir.Import: Interpreter.import_stmt,
    ir.ImportFrom: Interpreter.import_from,
    ir.If: Interpreter.if_stmt,
    ir.For: Interpreter.for_stmt,
    ir.While: Interpreter.while_stmt,
    ir.Try: Interpreter.try_stmt,
    ir.With: Interpreter.with_stmt,
    ir.Match: Interpreter.match_stmt,
    ir.FunctionDef: Interpreter.function_def,
    ir.ClassDef: Interpreter.class_def,
}

_EXPRESSIONS: dict[type, Callable[[Interpreter, Any], Value]] = {
    ir.Name: Interpreter.name,
    ir.Constant: Interpreter.constant,
    ir.Dots: Interpreter.unknown,
    ir.Opaque: Interpreter.unknown,
    ir.Attribute: Interpreter.attribute,
    ir.Call: Interpreter.call,
    ir.Binary: Interpreter.binary,
    ir.Unary: Interpreter.unary,
    ir.Boolean: Interpreter.boolean,
    ir.Compare: Interpreter.compare,
    ir.Conditional: Interpreter.conditional,
    ir.Sequence: Interpreter.sequence,
    ir.Starred: Interpreter.starred,
    ir.Mapping: Interpreter.mapping,
    ir.Subscript: Interpreter.subscript,
    ir.Slice: Interpreter.slice,
    ir.Lambda: Interpreter.lambda_,
    ir.Comprehension: Interpreter.comprehension,
    ir.Await: Interpreter.await_,
    ir.Yield: Interpreter.yield_,
    ir.Walrus: Interpreter.walrus,
    ir.Format: Interpreter.format,
}

__all__ = ["Class", "Container", "Frame", "Interpreter", "Method", "Super"]
