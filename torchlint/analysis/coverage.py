"""What the analysis saw of each loss call, and where it lost sight of the rest; noted only where coverage is asked for.

The run is the usual one: the observer adds to every unknown value the expression at which it became unknown, and takes
note of the calls that look like a loss. What nobody reached is found afterwards, by going through the code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Literal

import msgspec

from torchlint.analysis import ir
from torchlint.analysis.calls import LossCall
from torchlint.analysis.entries import Recorder
from torchlint.analysis.operate import KIND_WORDS
from torchlint.analysis.program import Program
from torchlint.analysis.values import TOO_MANY, Extern, Lazy, Tensor, Union, Unknown, Value, cause_of
from torchlint.findings import NodeRef, StepRef

State = Literal["known", "partly", "unknown", "absent"]
_STATES: tuple[State, ...] = ("known", "partly", "unknown", "absent")


class Sight(msgspec.Struct, frozen=True):
    """What is known of one argument of a loss call: the kinds that it may have, and why that is not all."""

    state: State
    kinds: tuple[str, ...] = ()
    cause: StepRef | None = None


class Observed(msgspec.Struct, frozen=True):
    """A loss call, or a call that looks like one. `losses` is empty if it is not known which loss is called."""

    at: NodeRef
    spelled: str
    losses: tuple[str, ...]
    input: Sight
    target: Sight
    criterion: Sight


UNSEEN = Sight("unknown")


class Ledger:
    """What was noted in a run, by call."""

    def __init__(self) -> None:
        self.calls: dict[tuple[object, ...], LossCall] = {}
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

    def record(self, call: LossCall) -> None:
        key = self.frame.key
        self.ledger.calls[*key, call.at, call.loss.id] = call
        self.ledger.led.update(
            NodeRef(path, node)
            for path, node in pairwise(key)
            if isinstance(path, str) and isinstance(node, int)
        )
        super().record(call)

    def unresolved(self, node: ir.Node, callee: Value) -> None:
        if isinstance(node, ir.Call) and looks_like_loss(node):
            at = self.ref(node)
            if isinstance(callee, Extern):
                cause = StepRef(at, f"no contract for {callee.name}")
            else:
                cause = cause_of(callee) or StepRef(at, _spelled(node.func))
            self.ledger.unresolved[at] = cause

    def not_run(self, function: ir.FunctionDef | ir.Lambda) -> None:
        if self.fuel <= 0:
            self.ledger.not_run.add(id(function))

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
            return Union(tuple(self._explained(part, node, met) for part in value.alternatives))
        if not _is_dark(value):
            return value
        assert isinstance(value, (Unknown, Tensor))
        cause = self._cause(value, node, met)
        if isinstance(value, Tensor):
            return msgspec.structs.replace(value, cause=cause)
        key = (cause.at, value.reason, value.source)
        # One object for one cause: loops go on until nothing changes.
        return self._filled.setdefault(key, Unknown(value.reason, value.source, cause))

    def _cause(self, value: Unknown | Tensor, node: ir.Expr, met: StepRef | None) -> StepRef:
        at = self.ref(node)
        if isinstance(value, Tensor):
            if met is not None and not isinstance(node, ir.Call):
                return met
            return StepRef(at, f"the kind after `{value.activation or _spelled(node)}`")
        if value.reason.startswith("parameter ") and self.frame.function is not None:
            name = value.reason.partition(" ")[2]
            for param in self.frame.function.node.params:
                if param.name == name:
                    return StepRef(NodeRef(self.frame.function.path, param.id), value.reason)
        if value.reason:
            return StepRef(at, value.reason)
        return met or StepRef(at, f"`{_spelled(node)}`")


def observe(ledger: Ledger, program: Program, paths: Iterable[str]) -> tuple[Observed, ...]:
    """What was seen of each loss call, by place, and of each call in these files that looks like one."""
    by_place: dict[NodeRef, list[LossCall]] = {}
    for call in ledger.calls.values():
        by_place.setdefault(call.at, []).append(call)
    out = [_seen(at, calls, ledger.unresolved.get(at)) for at, calls in by_place.items()]
    for path in paths:
        info = program.modules.get(path)
        if info is None or info.ir is None:
            continue
        for node, function in _look_alikes(info.ir.body):
            at = NodeRef(path, node.id)
            cause = None if at in by_place else _why_not(at, function, ledger, program)
            if cause is not None:
                out.append(Observed(at, _spelled(node.func), (), UNSEEN, UNSEEN, Sight("unknown", cause=cause)))
    return tuple(out)


def _why_not(at: NodeRef, function: ir.FunctionDef | None, ledger: Ledger, program: Program) -> StepRef | None:
    """Why a call that looks like a loss is no loss call of the run; None if it leads to one."""
    if at in ledger.led:
        return None
    if at in ledger.unresolved:
        return ledger.unresolved[at]
    if at in ledger.evaluated:
        return StepRef(at, "code of the project that calls no loss known to torchlint")
    if function is None:
        return StepRef(at, "not reached")
    if id(function) in program.visited:
        return StepRef(at, f"not reached in `{function.name}`")
    if id(function) in ledger.not_run:
        return StepRef(NodeRef(at.path, function.id), f"`{function.name}` is not run: the steps are used up")
    return StepRef(NodeRef(at.path, function.id), f"`{function.name}` is not run: no known loss in sight")


def _seen(at: NodeRef, calls: list[LossCall], unresolved: StepRef | None) -> Observed:
    names = tuple(sorted({call.name for call in calls}))
    criterion = Sight("partly" if unresolved is not None else "known", names, unresolved)
    best = [min((_sight(call, role) for call in calls), key=_rank) for role in ("input", "target")]
    return Observed(at, names[0], names, best[0], best[1], criterion)


def _rank(sight: Sight) -> int:
    return _STATES.index(sight.state)


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
    return "values of unknown kind" if isinstance(part, Tensor) else f"a {type(part).__name__.lower()}, no tensor"


def _parts(value: Value) -> tuple[Value, ...]:
    return value.alternatives if isinstance(value, Union) else (value,)


def _is_dark(value: Value) -> bool:
    """Whether nothing is known of one possibility, and nothing of why."""
    if isinstance(value, Unknown):
        return value.cause is None and value is not TOO_MANY
    return isinstance(value, Tensor) and value.kind == "unknown" and value.cause is None


# ---- calls that look like a loss

_LOSS_NAME = re.compile(r"(?:^|_)(?:loss(?:es)?|criterions?|criteria|crit|loss_?(?:fn|func|f))(?:$|_|\d)", re.IGNORECASE)
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


def _look_alikes(body: ir.Block) -> Iterator[tuple[ir.Call, ir.FunctionDef | None]]:
    """The calls in code that look like a loss, each with the function that it stands in."""
    todo: list[tuple[object, ir.FunctionDef | None]] = [(body, None)]
    while todo:
        item, function = todo.pop()
        if isinstance(item, tuple):
            todo.extend((part, function) for part in item)
            continue
        if not isinstance(item, msgspec.Struct):
            continue
        if isinstance(item, ir.Call) and looks_like_loss(item):
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
        return f"{_spelled(node.func)}()"
    if isinstance(node, ir.Subscript):
        return f"{_spelled(node.value)}[]"
    if isinstance(node, (ir.Binary, ir.Boolean)):
        return f"{_spelled(node.left)} {node.op} {_spelled(node.right)}"
    return "..."


def distinct(observed: Iterable[Observed]) -> tuple[Observed, ...]:
    """Each place once."""
    return tuple({each.at: each for each in observed}.values())
