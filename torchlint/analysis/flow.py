"""Run branches and loops: every path once, joined where paths meet, loops until nothing changes twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from torchlint.analysis import conditions, frames, instances, ir, iteration, shapes, targets
from torchlint.analysis.frames import Loop
from torchlint.analysis.state import State, merge, written_since
from torchlint.analysis.values import Const, Extern, Instance, Tuple, Unknown, Value

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


_NO_GRAD = frozenset(
    {"torch.no_grad", "torch.inference_mode", "torch.autograd.no_grad", "torch.autograd.inference_mode"}
)


def if_(run: Interpreter, stmt: ir.If) -> None:
    """The branch that is known to be taken, or all that may be."""
    _if_from(run, stmt, 0)


def _if_from(run: Interpreter, stmt: ir.If, index: int) -> None:
    """The branches from one on: a test that is known picks its branch, else both sides are run."""
    while index < len(stmt.branches):
        branch = stmt.branches[index]
        verdict = conditions.holds(run, branch.test)
        if verdict is True:
            run.block(branch.body)
            return
        if verdict is None:
            yes, no = conditions.outcomes(run, branch.test)
            run.branches(
                (
                    partial(_under, run, yes, partial(run.block, branch.body)),
                    partial(_under, run, no, partial(_if_from, run, stmt, index + 1)),
                )
            )
            return
        index += 1
    run.block(stmt.orelse)


def _under(run: Interpreter, tests: conditions.Outcomes, then: Callable[[], None]) -> None:
    """Run something knowing how tests came out."""
    if tests:
        run.heap.assume(tests)
    then()


def for_(run: Interpreter, stmt: ir.For) -> None:
    """Each item in turn if few are known, else any number of any items."""
    over = run.eval(stmt.iter)
    element, known = iteration.iterate(run, over)
    if known is not None and len(known) <= iteration.MAX_UNROLL and not _only_counts(stmt, known):
        _unrolled(run, stmt, known)
    else:
        if known is not None and _only_counts(stmt, known):
            element = shapes.DIMENSION
        _loop(run, stmt.body, lambda: targets.assign(run, stmt.target, element))
        last = iteration.last_items(run, over)
        if last and run.state is not None and all(map(_is_layer, last)):
            # Of the layers that a network goes through, those that surely come last decide what comes out.
            _unrolled(run, stmt, last)
    if run.state is not None:
        run.block(stmt.orelse)


def _is_layer(item: Value) -> bool:
    """Whether an item is a layer, or a layer and its number."""
    return instances.is_model(item.items[1] if isinstance(item, Tuple) and len(item.items) == 2 else item)


def _unrolled(run: Interpreter, stmt: ir.For, items: Sequence[Value]) -> None:
    """A loop over known items: the body once for each, in order."""
    loop = Loop()
    outer_key = run.frame.key
    run.frame.loops.append(loop)
    for index, item in enumerate(items):
        if run.state is None:
            break
        loop.continues = []
        run.frame.key = (*outer_key, index)
        targets.assign(run, stmt.target, item)
        run.block(stmt.body)
        run.state = merge([run.state, *loop.continues])
    run.frame.loops.pop()
    run.frame.key = outer_key
    run.state = merge([run.state, *loop.breaks])


def while_(run: Interpreter, stmt: ir.While) -> None:
    """A loop of unknown length."""
    verdict = conditions.holds(run, stmt.test)
    if verdict is False:
        run.block(stmt.orelse)
        return
    always = isinstance(stmt.test, ir.Constant) and verdict is True
    _loop(run, stmt.body, lambda: None, endless=always, entered_once=verdict is True)
    if run.state is not None:
        run.block(stmt.orelse)


def _loop(
    run: Interpreter, body: ir.Block, begin: Callable[[], None], endless: bool = False, entered_once: bool = False
) -> None:
    """A loop of unknown length: the body twice, the second time from all that may hold when it begins again.

    An `endless` one is left by `break` only. What holds before the first round may not do so after some.
    """
    loop = Loop()
    frame = run.frame
    frame.loops.append(loop)
    before = run.heap
    after: list[State | None] = [] if endless or entered_once else [before.fork()]
    entered = before.fork()
    run.state = before
    begin()
    run.block(body)
    first = merge([run.state, *loop.continues])
    if first is not None and _changes(entered, first) and run.fuel > 0:
        again = first.fork()
        if not endless:
            after.append(first)
        loop.continues = []
        run.state = merge([entered, again])
        begin()
        run.block(body)
        first = merge([run.state, *loop.continues])
    frame.loops.pop()
    if not endless:
        after.append(first)
    run.state = merge([*after, *loop.breaks])


def try_(run: Interpreter, stmt: ir.Try) -> None:
    """The body, or a handler from the state before it."""
    before = run.heap.fork()
    run.block(stmt.body)
    if stmt.orelse and run.state is not None:
        run.block(stmt.orelse)
    outcomes = [run.state]
    for handler in stmt.handlers:
        run.state = before.fork()
        if handler.name is not None:
            targets.bind(run, handler.name, Unknown("exception"))
        run.block(handler.body)
        # A handler that prints and goes on leaves the names as the body would have: only what it binds counts.
        outcomes.append(run.state if _binds(handler.body) else None)
    if all(outcome is None for outcome in outcomes) and not stmt.handlers:
        run.state = None
    else:
        run.state = merge(outcomes)
    if stmt.final and run.state is not None:
        run.block(stmt.final)


def with_(run: Interpreter, stmt: ir.With) -> None:
    """The body, with what the context managers say of gradients and autocast."""
    outer, outer_autocast = run.frame.training, run.frame.autocast
    for item in stmt.items:
        value = run.eval(item.value)
        run.frame.autocast = frames.autocast_in(value, run.frame.autocast)
        if isinstance(value, Extern) and value.name in _NO_GRAD:
            run.frame.training = None
        if item.target is not None:
            targets.assign(run, item.target, _entered(item, value))
    run.block(stmt.body)
    run.frame.training, run.frame.autocast = outer, outer_autocast


def _entered(item: ir.WithItem, value: Value) -> Value:
    """What `as` binds: the project's own objects and progress bars are taken to give themselves."""
    func = item.value.func if isinstance(item.value, ir.Call) else None
    is_bar = isinstance(func, (ir.Name, ir.Attribute)) and func.name == "tqdm"
    return value if is_bar or isinstance(value, Instance) else Unknown("context manager")


def match(run: Interpreter, stmt: ir.Match) -> None:
    """The case that is known to fit, or all that may."""
    run.eval(stmt.subject)
    _match_from(run, stmt, 0)


def _match_from(run: Interpreter, stmt: ir.Match, index: int) -> None:
    """The cases from one on: one that compares with values is a test like that of `if`, of others both ways are run."""
    while index < len(stmt.cases):
        case = stmt.cases[index]
        if case.irrefutable and case.guard is None:
            _case(run, case)
            return
        test = _as_test(stmt, case)
        verdict = None if test is None else conditions.holds(run, test)
        if verdict is True:
            _case(run, case)
            return
        if verdict is None:
            yes, no = ((), ()) if test is None else conditions.outcomes(run, test)
            run.branches(
                (
                    partial(_under, run, yes, partial(_case, run, case)),
                    partial(_under, run, no, partial(_match_from, run, stmt, index + 1)),
                )
            )
            return
        index += 1


def _case(run: Interpreter, case: ir.Case) -> None:
    for name in case.captures:
        targets.bind(run, name, Unknown("match"))
    run.block(case.body)


def _as_test(stmt: ir.Match, case: ir.Case) -> ir.Expr | None:
    """The condition that a case of values stands for; None for one that looks at more."""
    if not case.plain or not case.values:
        return None
    tests: list[ir.Expr] = [ir.Compare(stmt.id, stmt.subject, ("==",), (value,)) for value in case.values]
    test = tests[0]
    for other in tests[1:]:
        test = ir.Boolean(stmt.id, "or", test, other)
    return test if case.guard is None else ir.Boolean(stmt.id, "and", test, case.guard)


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
