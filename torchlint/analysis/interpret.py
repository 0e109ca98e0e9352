"""The machine that runs code abstractly: its state, where it is, and which function runs which statement and expression."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from torchlint.analysis import expressions, invoke, ir, statements
from torchlint.analysis.calls import Event
from torchlint.analysis.frames import Entry, Frame
from torchlint.analysis.program import Program
from torchlint.analysis.state import State, merge
from torchlint.analysis.values import Instance, Test, Value
from torchlint.findings import NodeRef


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

    @contextmanager
    def choosing(self) -> Iterator[invoke.Judged]:
        """Follow one of several possibilities, and note what is judged on the way."""
        judged = invoke.Judged()
        self.choices.append(judged)
        try:
            yield judged
        finally:
            self.choices.pop()

    def block(self, body: ir.Block) -> None:
        """Run statements in order until one is not reached."""
        for stmt in body:
            if self.state is None:
                return
            self.fuel -= 1
            statements.RUN[type(stmt)](self, stmt)

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

    def eval(self, node: ir.Expr) -> Value:
        """The value of an expression."""
        self.fuel -= 1
        return expressions.EVALUATE[type(node)](self, node)
