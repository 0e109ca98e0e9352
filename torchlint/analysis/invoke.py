"""Calls: who is called, each of the possibilities, now or when the result is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import msgspec

from torchlint.analysis import (
    attributes,
    containers,
    externs,
    functions,
    instances,
    ir,
    iteration,
    losses,
    methods,
    operate,
)
from torchlint.analysis.arguments import Args
from torchlint.analysis.calls import Backward
from torchlint.analysis.thresholds import Claims
from torchlint.analysis.values import (
    UNKNOWN,
    Class,
    Const,
    Container,
    Criterion,
    Extern,
    Function,
    Guard,
    Instance,
    Items,
    Layer,
    Lazy,
    Method,
    Partial,
    Source,
    Spread,
    Super,
    Tensor,
    Tuple,
    Union,
    Unknown,
    Value,
    alternatives,
    cause_of,
    computed,
    either,
    guarded,
    is_anything,
    is_batch,
    is_pending,
    join,
    later,
    sample_of,
)
from torchlint.data import LEARNS
from torchlint.findings import StepRef, doubtful

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


class Judged:
    """Loss calls that were judged while one of several possibilities was followed: their keys, and whether one is wrong.

    `claims` are the values that this possibility takes for logits.
    """

    __slots__ = ("claims", "found", "keys")

    def __init__(self) -> None:
        self.found = False
        self.keys: list[tuple[object, ...]] = []
        self.claims: Claims = {}


def _arguments(run: Interpreter, node: ir.Call) -> Args:
    """Evaluate a call's arguments; known lists and dicts are spread."""
    out = Args()
    takes_layers = isinstance(node.func, (ir.Name, ir.Attribute)) and node.func.name == "Sequential"
    for argument in node.args:
        value = run.eval(argument.value)
        if argument.star == "*":
            if is_pending(value) and not takes_layers:  # of layers it is the order that counts
                out.rest = UNKNOWN
                continue
            element, known = iteration.iterate(run, value)
            if known is not None and out.rest is None:
                out.positional.extend(known)
            elif out.rest is None and _is_list(value):
                out.positional.append(
                    Spread(element, last=iteration.last_items(run, value), ways=iteration.lists_in(run, value))
                )
            else:
                out.rest = element
        elif argument.star == "**":
            parts = () if is_pending(value) else alternatives(value)
            if len(parts) == 1 and isinstance(parts[0], Container) and parts[0].kind == "dict":
                for key, item in containers.dict_values(run, parts[0]).items():
                    out.keywords.setdefault(str(containers.literal(key)), item)
                if "*" in run.heap.read(parts[0].id):
                    out.others = _some_keywords(run.heap.read(parts[0].id)["*"])
            else:
                out.others = _some_keywords(value)
        elif argument.keyword is not None:
            out.keywords[argument.keyword] = value
        elif out.rest is None:
            out.positional.append(value)
        else:
            out.rest = join(out.rest, value)
    return out


def _is_list(value: Value) -> bool:
    return all(isinstance(part, (Container, Items, Tuple)) for part in alternatives(value))


def call_node(run: Interpreter, node: ir.Call) -> Value:
    """The value of a call expression."""
    func = node.func
    if isinstance(func, ir.Attribute):
        receiver = run.eval(func.value)
        if func.name in _CASTS and isinstance(receiver, Unknown) and _is_of_two(func.value):
            receiver = Tensor("class_index", dtype="bool", attached=False, batched=True)
        args = _arguments(run, node)
        if func.name in _BACKWARD and Backward in run.watched:
            _tell_backward(run, receiver, args, node)
        if is_pending(receiver):
            op = run.contracts.op_methods.get(func.name)
            if op is not None and func.name not in ("to", "cuda", "cpu", "float", "half", "double", "type", "apply"):
                bound = operate.bind(
                    op, f".{func.name}()", [receiver, *args.positional], args.keywords, {}, args.rest is not None
                )
                return operate.apply(run, bound, node)
            if func.name not in _NEEDED_AT_ONCE and _can_wait(run, func.name, args):
                return _call_later(run, later(lambda: _method_of(run, receiver, func)), args, node, receiver)
        callee = _method_of(run, receiver, func)
        if is_pending(callee) and _can_wait(run, func.name, args):
            return _call_later(run, callee, args, node)
        return call(run, callee, args, node)
    callee = run.eval(func)
    if is_pending(callee) and isinstance(func, ir.Name):
        args = _arguments(run, node)
        if _can_wait(run, func.name, args):
            return _call_later(run, callee, args, node)
        return call(run, callee, args, node)
    if isinstance(callee, Extern) and callee.name == "builtins.super":
        return _super(run, _arguments(run, node))
    return call(run, callee, _arguments(run, node), node)


def _is_of_two(node: ir.Expr) -> bool:
    """Whether two values are compared, none of them a constant."""
    return isinstance(node, ir.Compare) and not any(isinstance(each, ir.Constant) for each in (node.left, *node.rights))


_CASTS = frozenset("float double half long int bool byte type type_as to astype".split())
"""Methods that only a tensor or an array has: a comparison that has them is a mask."""


_NEEDED_AT_ONCE = frozenset(
    "backward train eval append extend insert update add_module register_module setdefault pop clear load_state_dict".split()
)
"""Methods that change their object, or that show that it is a loss."""


_BACKWARD = frozenset(LEARNS)


def _tell_backward(run: Interpreter, receiver: Value, args: Args, node: ir.Node) -> None:
    """`loss.backward()`, `accelerator.backward(loss)`, `self.manual_backward(loss)`."""
    if run.entries and not args.positional and any(isinstance(part, Unknown) for part in alternatives(receiver)):
        run.entries[-1].open = True  # it may come of a loss that a caller chooses
    value, seeded = receiver, bool(args.positional) or "gradient" in args.keywords or args.others is not None
    if not all(isinstance(part, Tensor) for part in alternatives(receiver)):
        if len(args.positional) != 1 or not losses.is_loss(args.positional[0]):
            return  # the receiver may be a tensor, and the argument the gradient to begin with
        value, seeded = args.positional[0], False
    cuts = tuple(_cut_of(run, part) for part in alternatives(value))
    run.record(Backward(run.ref(node), ".backward()", run.frame.training, value=value, seeded=seeded, cuts=cuts))


def _cut_of(run: Interpreter, part: Value) -> StepRef | None:
    """Where the gradient of a loss, or of one of its terms, was cut off, if it is sure that there was one."""
    cut = part.cut if isinstance(part, Tensor) else None
    if cut is None:
        return None
    sure = cut.leaf or cut.of is None or run.program.thresholds.is_claimed(cut.of)
    return cut.step if sure else None


def _method_of(run: Interpreter, receiver: Value, func: ir.Attribute) -> Value:
    parts = guarded(receiver)
    if len(parts) > 1:
        # Where one object has the method and another has not, it is not the other: the call would raise.
        parts = tuple(each for each in parts if not attributes.lacks_method(run, each[0], func.name)) or parts
    return either((attributes.callee(run, part, func.name, func), guard) for part, guard in parts)


def _can_wait(run: Interpreter, name: str, args: Args) -> bool:
    """Whether a call of something that was not read yet may wait: it calls no loss and changes none of its arguments."""
    low = name.lower()
    measured = bool(run.program.thresholds)
    if name in run.program.vocabulary.words or "loss" in low or "crit" in low:
        return False
    for value in args.all():
        for part in computed(value):
            if isinstance(part, Container) or functions.is_criterion(run, part):
                return False
            if isinstance(part, Instance) and functions.holds_criterion(run, part):
                return False
            if isinstance(part, Function) and isinstance(part.node, ir.FunctionDef) and run.program.relevant(part.node):
                return False
            if run.program.thresholds.is_claimed(part) or (measured and _is_model(part)):
                return False
    return True


def _is_model(part: Value) -> bool:
    return isinstance(part, Layer) or (isinstance(part, Instance) and instances.is_module(part.cls))


def _call_later(run: Interpreter, callee: Value, args: Args, node: ir.Node, *sources: Value) -> Value:
    frame = run.frame

    def compute() -> Value:
        with run.enter(frame), run.assuming(assumed):
            return call(run, callee, args, node)

    assumed = run.heap.assumed
    return later(compute, *args.all(), *sources)


def _super(run: Interpreter, args: Args) -> Value:
    function = run.frame.function
    if len(args.positional) >= 2:  # super(Class, self)
        owner = next((part for part in alternatives(args.positional[0]) if isinstance(part, Class)), None)
        if owner is not None:
            return Super(args.positional[1], owner)
    if function is not None and function.receiver is not None and function.owner is not None:
        return Super(function.receiver, function.owner)
    return Unknown("super()")


def call(run: Interpreter, callee: Value, args: Args, node: ir.Node) -> Value:
    """Call a value: every function that it may be, each from the present state."""
    parts = guarded(callee)
    if len(parts) > 1:
        # None cannot be called: it is not what this call has.
        parts = tuple(each for each in parts if not (isinstance(each[0], Const) and each[0].value is None)) or parts
        parts = tuple(each for each in parts if not _refuses(run, each[0], args)) or parts
        # What was saved is the model that is known, further trained.
        parts = tuple(each for each in parts if not _is_loaded(each[0])) or parts
    if len(parts) == 1:
        return call_one(run, parts[0][0], args, node)
    results: list[tuple[Value, Guard]] = []
    choices: list[Judged] = []

    def one(part: Value, guard: Guard) -> None:
        run.heap.assume(guard)
        with run.choosing() as judged:
            results.append((call_one(run, part, args.narrowed(run.heap.assumed), node), guard))
        choices.append(judged)

    run.branches([partial(one, part, guard) for part, guard in parts])
    run.program.thresholds.agreed(
        [judged.claims for judged in choices], run.frame.branch, run.choices[-1].claims if run.choices else None
    )
    if any(not judged.found for judged in choices) and not all(_is_settled(value) for value in args.all()):
        # With another of the possibilities the call is right, and the same setting may have chosen the input.
        doubt(run, [judged for judged, (_, guard) in zip(choices, parts, strict=True) if not guard], node)
    return either(results)


def _is_loaded(part: Value) -> bool:
    """Whether a value is what `torch.load` gives, or an entry of it."""
    return isinstance(part, Unknown) and part.reason == "result of torch.load"


def _refuses(run: Interpreter, part: Value, args: Args) -> bool:
    """Whether calling a function, or making an object of a class, can only raise with so many arguments, or of these names."""
    if isinstance(part, Class):
        part = attributes.class_attribute(run, part, "__init__") or part
        args = args.behind(UNKNOWN)
    if not isinstance(part, Function) or (isinstance(part.node, ir.FunctionDef) and part.node.decorators):
        return False  # what wraps a function may take other arguments
    is_method = part.receiver is not None
    return functions.cannot_succeed(part.node, functions.one_by_one(part.node, args, is_method), is_method)


def _is_settled(value: Value) -> bool:
    """Whether there is one possibility only: no setting chose it. Computes nothing lazy."""
    if isinstance(value, Lazy):
        return bool(value.result) and _is_settled(value.result[0])
    return not isinstance(value, Union)


def call_one(run: Interpreter, callee: Value, args: Args, node: ir.Node) -> Value:
    """Call one possibility."""
    how = _calls().get(type(callee))
    if how is not None:
        return how(run, callee, args, node)
    return _call_unknown(run, callee, args, node)


def _call_unknown(run: Interpreter, callee: Value, args: Args, node: ir.Node) -> Value:
    escape(run, args)
    run.unresolved(node, callee)
    reason = callee.reason if isinstance(callee, Unknown) and callee.reason else "something unknown"
    return result(f"result of {reason}", args, cause_of(callee))


def _some_keywords(value: Value) -> Value:
    """Any number of keywords: of them it is known at most that they are parts of a batch."""
    return Unknown("some keywords", "batch") if is_batch(value) else UNKNOWN


def _call_layer(run: Interpreter, layer: Layer, args: Args, node: ir.Node) -> Value:
    if layer.cell:
        own = run.heap.read(layer.cell)
        for head in layer.op.heads:
            if head in own:
                batched = any(is_batch(value) for value in args.all())
                return call(run, own[head], Args([Tensor(batched=batched)]), node)
    bound = operate.bind(layer.op, layer.name, args.positional, args.keywords, layer.options)
    if is_anything(bound.input) and args.others is not None and is_batch(args.others):
        bound = msgspec.structs.replace(bound, input=args.others)
    return operate.apply(run, bound, node, layer)


def _call_container(run: Interpreter, container: Container, args: Args, node: ir.Node) -> Value:
    if container.kind != "sequential":
        return _call_unknown(run, container, args, node)
    return instances.fold(run, containers.list_contents(run, container), args, node)


def _call_partial(run: Interpreter, callee: Partial, args: Args, node: ir.Node) -> Value:
    merged = Args([*callee.args, *args.positional], {**callee.keywords, **args.keywords}, args.rest, args.others)
    # `self.f = partial(self.f, 1)`, where the attribute is read late, is bound to itself.
    bound = [(part, guard) for part, guard in guarded(callee.func) if part is not callee]
    return call(run, either(bound), merged, node)


LONGEST_REASON = 80


def result(reason: str, args: Args, cause: StepRef | None = None) -> Unknown:
    """What something unknown makes of its arguments."""
    return Unknown(reason[:LONGEST_REASON], source(args), cause, sample=sample_of(*args.all()))


def source(args: Args) -> Source:
    """What is made of a batch is taken for one."""
    return "parameter" if any(is_batch(value) for value in args.all()) else "other"


def escape(run: Interpreter, args: Args) -> None:
    """What is handed to code that we do not see: it may call functions, and objects' methods, the first one's with the second."""
    values = args.all()
    for value in values:
        for part in value.alternatives if isinstance(value, Union) else (value,):
            if isinstance(part, Instance):
                run.escaped.append(part)
            elif isinstance(part, Function):
                _call_back(run, part)
    if len(values) > 1 and isinstance(values[0], Instance) and isinstance(values[1], (Items, Instance)):
        run.heap.write(values[0].id)[functions.DATA] = values[1]


def _call_back(run: Interpreter, function: Function) -> None:
    """Run a function inside of another one that is handed to an optimizer or an engine, if it comes near a loss."""
    definition = function.node
    if not isinstance(definition, ir.FunctionDef) or function.frame not in run.program.parents:
        return
    if definition in run.stack or not run.program.relevant(definition):
        return
    before = run.heap
    run.state = before.fork()
    functions.call_now(run, function, functions.unknown_args(run, function), definition, quiet=True)
    run.state = before


@cache
def _calls() -> dict[type, Callable[[Interpreter, Any, Args, ir.Node], Value]]:
    """How a value is called, by its type; any other is something unknown. Made late: these modules import each other."""
    return {
        Function: functions.call,
        Extern: lambda run, callee, args, node: externs.call(run, callee.name, args, node),
        Method: lambda run, callee, args, node: methods.call(run, callee.receiver, callee.name, args, node),
        Instance: instances.call,
        Layer: _call_layer,
        Criterion: losses.call,
        Class: instances.construct,
        Container: _call_container,
        Partial: _call_partial,
    }


def doubt(run: Interpreter, choices: Sequence[Judged], node: ir.Node) -> None:
    """Make what was found while following these possibilities of a call likely, no more."""
    reason = StepRef(run.ref(node), "it depends on what is called here: one of several")
    for judged in choices:
        for key in judged.keys:
            found = run.program.findings[key]
            run.program.findings[key] = [doubtful(finding, reason) for finding in found]
