"""What the analysis saw of each loss call, and where it lost sight of the rest; noted only where coverage is asked for.

The run is the usual one: the observer adds to every unknown value the expression at which it became unknown, and takes
note of the calls that look like a loss. What nobody reached is found afterwards, by going through the code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

import msgspec

from torchlint.analysis import ir
from torchlint.analysis.calls import Event, LossCall
from torchlint.analysis.entries import Recorder
from torchlint.analysis.lower import ParseFailure
from torchlint.analysis.program import Program
from torchlint.analysis.uncalled import name_of
from torchlint.analysis.values import TOO_MANY, Extern, Instance, Lazy, Tensor, Union, Unknown, Value, cause_of
from torchlint.analysis.wording import KIND_WORDS
from torchlint.coverage import State
from torchlint.findings import NodeRef, StepRef
from torchlint.project import Project
from torchlint.source import SourceError

_STATES: tuple[State, ...] = ("known", "partly", "unknown", "absent")


class Sight(msgspec.Struct, frozen=True):
    """What is known of one argument of a loss call: the kinds that it may have, and why that is not all."""

    state: State
    kinds: tuple[str, ...] = ()
    cause: StepRef | None = None


class Observed(msgspec.Struct, frozen=True):
    """A loss call, or a call that looks like one: then it is not known which loss its `criterion` is."""

    at: NodeRef
    name: str
    criterion: Sight
    input: Sight
    target: Sight


UNSEEN = Sight("unknown")


class _Glance(msgspec.Struct, frozen=True):
    """A loss call in one calling context."""

    loss: str
    input: Sight
    target: Sight


class Ledger:
    """What was noted in a run: `calls` by place and calling context, the others by place or function."""

    def __init__(self) -> None:
        self.calls: dict[NodeRef, dict[tuple[object, ...], _Glance]] = {}
        self.led: set[NodeRef] = set()
        self.evaluated: set[NodeRef] = set()
        self.unresolved: dict[NodeRef, StepRef] = {}
        self.not_run: set[int] = set()


class Observer(Recorder):
    """A recorder that notes what it sees."""

    def __init__(self, program: Program, ledger: Ledger) -> None:
        super().__init__(program)
        self.ledger = ledger
        self._met: StepRef | None = None
        self._filled: dict[tuple[object, ...], Value] = {}
        self._wrapped: dict[int, Lazy] = {}
        self._stopped: dict[str, str] = {}

    def record(self, event: Event) -> None:
        super().record(event)
        if not isinstance(event, LossCall):
            return
        key, fuel = self.frame.key, self.fuel
        glance = _Glance(event.name, _sight(event, "input"), _sight(event, "target"))
        self.fuel = fuel  # looking closer is no step of the run
        self.ledger.calls.setdefault(event.at, {})[*key, event.about] = glance
        self.ledger.led.update(
            NodeRef(path, node) for path, node in pairwise(key) if isinstance(path, str) and isinstance(node, int)
        )

    def unresolved(self, node: ir.Node, callee: Value) -> None:
        if isinstance(node, ir.Call) and looks_like_loss(node):
            at = self.ref(node)
            if isinstance(callee, Extern):
                cause = StepRef(at, f"no contract for {callee.name}")
            else:
                cause = cause_of(callee) or StepRef(at, _spelled(node.func))
            self.ledger.unresolved[at] = cause

    def not_run(self, function: ir.FunctionDef | ir.Lambda) -> None:
        name = function.name if isinstance(function, ir.FunctionDef) else "<lambda>"
        why = "it calls itself, or calls are nested too deeply"
        if self.fuel <= 0:
            self.ledger.not_run.add(id(function))
            why = _SPENT
        self._stopped[f"result of {name}"] = f"`{name}` is not run: {why}"

    def eval(self, node: ir.Expr) -> Value:
        """The value of an expression; where nothing is known of it, with the cause."""
        if isinstance(node, ir.Call) and looks_like_loss(node):
            self.ledger.evaluated.add(self.ref(node))
        outer, self._met = self._met, None
        value = super().eval(node)
        met, self._met = self._met, outer
        if type(value) is Lazy:
            return self._when_known(value, node, met)
        value = self._explained(value, node, met)
        if self._met is None:
            self._met = next((cause for part in _parts(value) if (cause := cause_of(part)) is not None), None)
        return value

    def _when_known(self, value: Lazy, node: ir.Expr, met: StepRef | None) -> Value:
        if value.result or id(value) in self._wrapped:
            return value
        frame = self.frame

        def compute() -> Value:
            found = value.force()
            with self.enter(frame):
                return self._explained(found, node, met)

        wrapped = Lazy(compute, [], value.batched, value.changes)
        self._wrapped[id(wrapped)] = wrapped
        return wrapped

    def _explained(self, value: Value, node: ir.Expr, met: StepRef | None) -> Value:
        if isinstance(value, Union):
            if not any(_is_dark(part) for part in value.alternatives):
                return value
            return Union(tuple(self._explained(part, node, met) for part in value.alternatives), value.guards)
        if not _is_dark(value):
            return value
        assert isinstance(value, (Unknown, Tensor))
        cause = self._cause(value, node, met)
        if isinstance(value, Tensor):
            return msgspec.structs.replace(value, cause=cause)
        key = (cause.at, value.reason, value.source, value.default)
        # One object for one cause: loops go on until nothing changes.
        return self._filled.setdefault(key, msgspec.structs.replace(value, cause=cause))

    def _cause(self, value: Unknown | Tensor, node: ir.Expr, met: StepRef | None) -> StepRef:
        at = self.ref(node)
        if isinstance(value, Tensor):
            if met is not None and not isinstance(node, ir.Call):
                return met
            return StepRef(at, f"the kind of `{_spelled(node)}`")
        if value.reason.startswith(_PARAMETER):
            return self._parameter(value.reason.removeprefix(_PARAMETER), at)
        if value.reason:
            return StepRef(at, self._stopped.get(value.reason) or self._unread(value.reason) or value.reason)
        return met or StepRef(at, f"`{_spelled(node)}`")

    def _parameter(self, name: str, at: NodeRef) -> StepRef:
        function = self.frame.function
        for param in () if function is None else function.node.params:
            if function is not None and param.name == name:
                return StepRef(
                    NodeRef(function.path, param.id), f"{_PARAMETER}{name} of {name_of(function)}, {_NO_CALLER}"
                )
        return StepRef(at, f"{_PARAMETER}{name}, {_NO_CALLER}")

    def _unread(self, reason: str) -> str | None:
        """That the file of a name was not read: what is only imported is read within a budget."""
        name, _, path = reason.partition(" of ")
        info = self.program.modules.get(path)
        return f"{name} of {path}, which was not read" if info is not None and info.ir is None else None


_PARAMETER = "parameter "
_NO_CALLER = "no caller in sight"
_SPENT = "the steps for one entry are used up"


class Watch:
    """What is seen of the loss calls while the entries of files are run, one file after the other."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._ledger = Ledger()
        self._visited: list[set[int]] = []

    def recorder(self, program: Program) -> Observer:
        """The recorder of a file's program."""
        self._visited.append(program.visited)
        return Observer(program, self._ledger)

    def suspects(self, path: str) -> frozenset[str]:
        """What is called in a file as if it were a loss, where nobody had a reason to look."""
        return frozenset(
            node.func.name
            for at, node, function in self._look_alikes(path)
            if at not in self._ledger.evaluated
            and function is not None
            and not self._was_run(function)
            and isinstance(node.func, (ir.Name, ir.Attribute))
        )

    def observed(self, paths: Iterable[str]) -> tuple[Observed, ...]:
        """What was seen of each loss call, by place, and of each call in these files that looks like one."""
        ledger = self._ledger
        out = [_seen(at, list(calls.values()), ledger.unresolved.get(at)) for at, calls in ledger.calls.items()]
        for path in paths:
            for at, node, function in self._look_alikes(path):
                cause = None if at in ledger.calls else self._why_not(at, function)
                if cause is not None:
                    out.append(Observed(at, _spelled(node.func), Sight("unknown", cause=cause), UNSEEN, UNSEEN))
        return tuple(out)

    def _was_run(self, function: ir.FunctionDef) -> bool:
        return any(id(function) in visited for visited in self._visited)

    def _look_alikes(self, path: str) -> list[tuple[NodeRef, ir.Call, ir.FunctionDef | None]]:
        """The calls in a file that look like a loss, each with the function that it stands in."""
        try:
            body = self._project.load(path).body
        except (SourceError, ParseFailure):
            return []
        return [(NodeRef(path, node.id), node, function) for node, function in _calls(body) if looks_like_loss(node)]

    def _why_not(self, at: NodeRef, function: ir.FunctionDef | None) -> StepRef | None:
        """Why a call that looks like a loss is no loss call of the run; None if it leads to one."""
        ledger = self._ledger
        if at in ledger.led:
            return None
        if at in ledger.unresolved:
            return ledger.unresolved[at]
        if at in ledger.evaluated:
            return StepRef(at, "code of the project that calls no loss known to torchlint")
        if function is None:
            return StepRef(at, "not reached")
        if self._was_run(function):
            return StepRef(at, f"not reached in `{function.name}`")
        if id(function) in ledger.not_run:
            return StepRef(NodeRef(at.path, function.id), f"`{function.name}` is not run: {_SPENT}")
        return StepRef(NodeRef(at.path, function.id), f"`{function.name}` is not run: no known loss in sight")


def _seen(at: NodeRef, calls: list[_Glance], unresolved: StepRef | None) -> Observed:
    names = tuple(sorted({call.loss for call in calls}))
    criterion = Sight("partly" if unresolved is not None else "known", names, unresolved)
    given, target = min((call.input for call in calls), key=_rank), min((call.target for call in calls), key=_rank)
    return Observed(at, " or ".join(names), criterion, given, target)


def _rank(sight: Sight) -> tuple[int, bool]:
    """The better known the lower; a caller's reason before that of a function that was run for want of one."""
    return _STATES.index(sight.state), sight.cause is not None and sight.cause.note.endswith(_NO_CALLER)


def _sight(call: LossCall, role: str) -> Sight:
    parts = call.arg(role)
    if not parts:
        return Sight("absent")
    kinds = tuple(sorted({KIND_WORDS[p.kind] for p in parts if isinstance(p, Tensor) and p.kind != "unknown"}))
    dark = [part for part in parts if not (isinstance(part, Tensor) and part.kind != "unknown")]
    if not dark:
        return Sight("known", kinds)
    cause = next((cause for part in dark if (cause := cause_of(part)) is not None), None)
    return Sight("partly" if kinds else "unknown", kinds, cause or StepRef(call.at, _unexplained(dark[0])))


def _unexplained(part: Value) -> str:
    if isinstance(part, Unknown) and part.reason:
        return part.reason
    if isinstance(part, Instance):
        return f"an object of {part.cls.node.name}, no tensor"
    return "values of unknown kind" if isinstance(part, Tensor) else f"no tensor ({type(part).__name__.lower()})"


def _parts(value: Value) -> tuple[Value, ...]:
    return value.alternatives if isinstance(value, Union) else (value,)


def _is_dark(value: Value) -> bool:
    """Whether nothing is known of one possibility, and nothing of why."""
    if isinstance(value, Unknown):
        return value.cause is None and value is not TOO_MANY
    return isinstance(value, Tensor) and value.kind == "unknown" and value.cause is None


# ---- calls that look like a loss

_LOSS_NAME = re.compile(
    r"(?:^|_)(?:loss(?:es)?|criterions?|criteria|crit|lossfn|lossfunc)(?:$|[_\dA-Z])|[a-z](?:Loss|Criterion)(?:$|[_\dA-Z])"
)
_NO_LOSS = re.compile(
    r"^_*(?:get|build|make|create|init|setup|parse|log|print|plot|draw|update|add|append|save|load|record|register|set|"
    r"write|report|reset|show|choose|select|backward|reduce|gather|average|is|has|on|test|check|format|scale|weight)_",
    re.IGNORECASE,
)


def looks_like_loss(node: ir.Call) -> bool:
    """Whether a call reads like that of a loss: two arguments or more, handed to what is called so."""
    spread = any(argument.star for argument in node.args)
    if len(node.args) < 2 and not spread:  # input and target
        return False
    func = node.func
    if isinstance(func, ir.Subscript):
        func = func.value
    if isinstance(func, ir.Call):
        name = func.func.name if isinstance(func.func, (ir.Name, ir.Attribute)) else ""
        return name[:1].isupper() and name.endswith(("Loss", "Criterion"))
    if not isinstance(func, (ir.Name, ir.Attribute)):
        return False
    name = func.name
    return not name[:1].isupper() and bool(_LOSS_NAME.search(name)) and not _NO_LOSS.match(name)


def _calls(body: ir.Block) -> Iterator[tuple[ir.Call, ir.FunctionDef | None]]:
    """All calls in code, each with the function that it stands in."""
    todo: list[tuple[object, ir.FunctionDef | None]] = [(body, None)]
    while todo:
        item, function = todo.pop()
        if isinstance(item, tuple):
            todo.extend((part, function) for part in item)
            continue
        if not isinstance(item, msgspec.Struct):
            continue
        if isinstance(item, ir.Call):
            yield item, function
        inner = item if isinstance(item, ir.FunctionDef) else function
        todo.extend((getattr(item, name), inner) for name in item.__struct_fields__)


def _spelled(node: ir.Expr) -> str:
    """An expression as people name it, in short."""
    if isinstance(node, ir.Name):
        return node.name
    if isinstance(node, ir.Attribute):
        return f"{_spelled(node.value)}.{node.name}"
    if isinstance(node, ir.Call):
        return f"{_spelled(node.func)}(…)" if node.args else f"{_spelled(node.func)}()"
    if isinstance(node, ir.Subscript):
        return f"{_spelled(node.value)}[…]"
    if isinstance(node, (ir.Binary, ir.Boolean)):
        return f"… {node.op} …"
    if isinstance(node, ir.Constant):
        return repr(node.value)
    return "…"
