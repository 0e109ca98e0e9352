"""Calls: of the project's functions and classes, of layers, losses, containers, and of what other libraries bring."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from torchlint.analysis import interpret, ir, objects, operate, registries, shapes
from torchlint.analysis.calls import Backward, Construction, LossCall
from torchlint.analysis.program import foreign_bases, linearise
from torchlint.analysis.state import INIT, merge
from torchlint.analysis.values import (
    A_FLOAT,
    AN_INT,
    MAX_ALTERNATIVES,
    UNKNOWN,
    Autocast,
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
    ModuleValue,
    Partial,
    Shape,
    Size,
    Source,
    Super,
    Tensor,
    Test,
    Trail,
    Tuple,
    Union,
    Unknown,
    Value,
    alternatives,
    cause_of,
    computed,
    either,
    guarded,
    is_batch,
    is_pending,
    join,
    may_learn,
    narrow,
    number_type,
    union,
)
from torchlint.contracts import Kind, Loss, Op
from torchlint.data import LEARNS
from torchlint.findings import NodeRef, StepRef
from torchlint.project import is_library

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter

MAX_DEPTH = 30
"""Calls nested deeper than this are not followed."""


class Judged:
    """Loss calls that were judged while one of several possibilities was followed: their keys, and whether one is wrong."""

    __slots__ = ("found", "keys")

    def __init__(self) -> None:
        self.found = False
        self.keys: list[tuple[object, ...]] = []


class Args:
    """The arguments of a call. `rest` is any number of further positional ones, `others` of further keywords."""

    __slots__ = ("keywords", "others", "positional", "rest")

    def __init__(
        self,
        positional: Sequence[Value] = (),
        keywords: Mapping[str, Value] | None = None,
        rest: Value | None = None,
        others: Value | None = None,
    ) -> None:
        self.positional = list(positional)
        self.keywords = dict(keywords or {})
        self.rest = rest
        self.others = others

    def first(self) -> Value:
        """The first positional argument, or unknown."""
        return self.positional[0] if self.positional else UNKNOWN

    def get(self, name: str, position: int) -> Value | None:
        """An argument by keyword or position."""
        if name in self.keywords:
            return self.keywords[name]
        return self.positional[position] if position < len(self.positional) else None

    def all(self) -> list[Value]:
        """Every argument, in no useful order."""
        return [*self.positional, *self.keywords.values(), *(v for v in (self.rest, self.others) if v is not None)]

    def narrowed(self, assumed: Mapping[Test, bool]) -> Args:
        """The arguments as they can be where tests came out like this."""
        if not assumed:
            return self
        keywords = {name: narrow(value, assumed) for name, value in self.keywords.items()}
        return Args([narrow(value, assumed) for value in self.positional], keywords, self.rest, self.others)

    def behind(self, *before: Value) -> Args:
        """The same arguments with others in front."""
        return Args([*before, *self.positional], self.keywords, self.rest, self.others)


def arguments(run: Interpreter, node: ir.Call) -> Args:
    """Evaluate a call's arguments; known lists and dicts are spread."""
    out = Args()
    for argument in node.args:
        value = run.eval(argument.value)
        if argument.star == "*":
            if is_pending(value):
                out.rest = UNKNOWN
                continue
            element, known = objects.iterate(run, value)
            if known is not None and out.rest is None:
                out.positional.extend(known)
            elif out.rest is None and _is_list(value):
                out.positional.append(Items(element))
            else:
                out.rest = element
        elif argument.star == "**":
            parts = () if is_pending(value) else alternatives(value)
            if len(parts) == 1 and isinstance(parts[0], Container) and parts[0].kind == "dict":
                for key, item in objects.dict_values(run, parts[0]).items():
                    out.keywords.setdefault(str(objects.literal(key)), item)
                if "*" in run.heap.read(parts[0].id):
                    out.others = UNKNOWN
            else:
                out.others = UNKNOWN
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
        args = arguments(run, node)
        if func.name in _BACKWARD and Backward in run.watched:
            _tell_backward(run, receiver, args, node)
        if is_pending(receiver):
            op = run.contracts.op_methods.get(func.name)
            if op is not None and func.name not in ("to", "cuda", "cpu", "float", "half", "double", "type", "apply"):
                bound = operate.bind(op, f".{func.name}()", [receiver, *args.positional], args.keywords, {})
                return operate.apply(run, bound, node)
            if func.name not in _NEEDED_AT_ONCE and _can_wait(run, func.name, args):
                return _call_later(run, operate.later(lambda: _method_of(run, receiver, func)), args, node, receiver)
        callee = _method_of(run, receiver, func)
        if is_pending(callee) and _can_wait(run, func.name, args):
            return _call_later(run, callee, args, node)
        return call(run, callee, args, node)
    callee = run.eval(func)
    if is_pending(callee) and isinstance(func, ir.Name):
        args = arguments(run, node)
        if _can_wait(run, func.name, args):
            return _call_later(run, callee, args, node)
        return call(run, callee, args, node)
    if isinstance(callee, Extern) and callee.name == "builtins.super":
        return _super(run, arguments(run, node))
    return call(run, callee, arguments(run, node), node)


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
        if len(args.positional) != 1 or not _is_loss(args.positional[0]):
            return  # the receiver may be a tensor, and the argument the gradient to begin with
        value, seeded = args.positional[0], False
    cuts = tuple(_cut_of(run, part) for part in alternatives(value))
    run.record(Backward(run.ref(node), ".backward()", run.frame.training, value=value, seeded=seeded, cuts=cuts))


def _cut_of(run: Interpreter, part: Value) -> StepRef | None:
    """Where the gradient of a loss, or of one of its terms, was cut off, if it is sure that there was one."""
    cut = part.cut if isinstance(part, Tensor) else None
    if cut is None or (cut.of is not None and not run.program.thresholds.is_claimed(cut.of)):
        return None
    return cut.step


def _method_of(run: Interpreter, receiver: Value, func: ir.Attribute) -> Value:
    parts = guarded(receiver)
    if len(parts) > 1:
        # Where one object has the method and another has not, it is not the other: the call would raise.
        parts = tuple(each for each in parts if not objects.lacks_method(run, each[0], func.name)) or parts
    return either((objects.callee(run, part, func.name, func), guard) for part, guard in parts)


def _can_wait(run: Interpreter, name: str, args: Args) -> bool:
    """Whether a call of something that was not read yet may wait: it calls no loss and changes none of its arguments."""
    low = name.lower()
    measured = bool(run.program.thresholds)
    if name in run.program.vocabulary.words or "loss" in low or "criterion" in low:
        return False
    for value in args.all():
        for part in computed(value):
            if isinstance(part, (Criterion, Container)) or (isinstance(part, Instance) and _criteria_of(run, part)):
                return False
            if isinstance(part, Function) and isinstance(part.node, ir.FunctionDef) and run.program.relevant(part.node):
                return False
            if run.program.thresholds.is_claimed(part) or (measured and _is_model(part)):
                return False
    return True


def _is_model(part: Value) -> bool:
    return isinstance(part, Layer) or (isinstance(part, Instance) and _is_module(part.cls))


def _call_later(run: Interpreter, callee: Value, args: Args, node: ir.Node, *sources: Value) -> Value:
    frame = run.frame

    def compute() -> Value:
        with run.enter(frame), run.assuming(assumed):
            return call(run, callee, args, node)

    assumed = run.heap.assumed
    return operate.later(compute, *args.all(), *sources)


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
    if any(not judged.found for judged in choices) and not all(_is_settled(value) for value in args.all()):
        # With another of the possibilities the call is right, and the same setting may have chosen the input.
        run.doubt([judged for judged, (_, guard) in zip(choices, parts, strict=True) if not guard], node)
    return either(results)


def _is_settled(value: Value) -> bool:
    """Whether there is one possibility only: no setting chose it. Computes nothing lazy."""
    if isinstance(value, Lazy):
        return bool(value.result) and _is_settled(value.result[0])
    return not isinstance(value, Union)


def call_one(run: Interpreter, callee: Value, args: Args, node: ir.Node) -> Value:
    """Call one possibility."""
    how = _CALLS.get(type(callee))
    if how is not None:
        return how(run, callee, args, node)
    return _call_unknown(run, callee, args, node)


def _call_unknown(run: Interpreter, callee: Value, args: Args, node: ir.Node) -> Value:
    _escape(run, args)
    run.unresolved(node, callee)
    reason = callee.reason if isinstance(callee, Unknown) and callee.reason else "something unknown"
    return Unknown(f"result of {reason}"[:_LONGEST_REASON], _source(args), cause_of(callee))


def _call_layer(run: Interpreter, layer: Layer, args: Args, node: ir.Node) -> Value:
    if layer.cell:
        own = run.heap.read(layer.cell)
        for head in layer.op.heads:
            if head in own:
                batched = any(is_batch(value) for value in args.all())
                return call(run, own[head], Args([Tensor(batched=batched)]), node)
    bound = operate.bind(layer.op, layer.name, args.positional, args.keywords, layer.options)
    return operate.apply(run, bound, node, layer)


def _call_container(run: Interpreter, container: Container, args: Args, node: ir.Node) -> Value:
    if container.kind != "sequential":
        return _call_unknown(run, container, args, node)
    return _fold(run, objects.list_contents(run, container), args, node)


def _call_partial(run: Interpreter, callee: Partial, args: Args, node: ir.Node) -> Value:
    merged = Args([*callee.args, *args.positional], {**callee.keywords, **args.keywords}, args.rest, args.others)
    return call(run, callee.func, merged, node)


_LONGEST_REASON = 80


# ---- the project's own functions


def call_function(run: Interpreter, function: Function, args: Args, node: ir.Node) -> Value:
    """Call a function of the project: now if a loss may be called in it, else when its result is needed."""
    is_init = isinstance(function.node, ir.FunctionDef) and function.node.name == "__init__"
    if is_init or run.eager or _must_run_now(run, function, args):
        return call_now(run, function, args, node)
    at = run.ref(node)
    frame = run.frame
    assert isinstance(function.node, ir.FunctionDef)

    assumed = run.heap.assumed

    def compute() -> Value:
        with run.enter(frame), run.assuming(assumed):
            return call_now(run, function, args, node, quiet=True, at=at)

    batched = any(is_batch(value) for value in args.all())
    return Lazy(compute, [], batched, changes=not _SETTERS.isdisjoint(function.node.words))


def _must_run_now(run: Interpreter, function: Function, args: Args) -> bool:
    definition = function.node
    if isinstance(definition, ir.Lambda):
        return True
    if ir.THRESHOLD in definition.words:
        return True
    changes = not _CHANGERS.isdisjoint(definition.words)
    for value in args.all():
        for part in computed(value):
            if isinstance(part, Criterion) or (changes and isinstance(part, Container)):
                return True
            if isinstance(part, Extern) and run.contracts.is_loss(run.program.canonical(part.name)):
                return True
            if run.program.thresholds.is_claimed(part):
                return True
            if isinstance(part, Function) and isinstance(part.node, ir.FunctionDef) and run.program.relevant(part.node):
                return True
            if isinstance(part, Instance) and _criteria_of(run, part):
                return True
    if isinstance(function.receiver, Instance):
        criteria = _criteria_of(run, function.receiver)
        if criteria and not definition.words.isdisjoint(
            run.program.reaching(function.receiver.cls, frozenset(criteria))
        ):
            return True
    if not run.program.relevant(definition, function.owner):
        return False
    return run.is_open(function) or id(definition) in run.program.makers


_SETTERS = frozenset((ir.SETS_ATTRIBUTE, "setattr"))
"""Words of a function that may change an object that it is given, or that it is a method of."""

_CHANGERS = frozenset(
    (ir.SETS_ITEM, ".append", ".extend", ".insert", ".update", ".add_module", ".setdefault", ".pop", ".clear")
)
"""Words of a function that may change a list or dict that it is given."""


def holds_loss(run: Interpreter, value: Value) -> bool:
    """Whether a value is a loss, or an object that holds one. Computes nothing lazy."""
    return any(
        isinstance(part, Criterion) or (isinstance(part, Instance) and bool(_criteria_of(run, part)))
        for part in (value.alternatives if isinstance(value, Union) else (value,))
    )


def _criteria_of(run: Interpreter, instance: Instance) -> list[str]:
    """The attributes of an object that hold a loss, with their dot."""
    if INIT in run.heap.read(instance.id) and run.program.relevant(instance.cls.node):
        objects.instance_cell(run, instance)
    return [
        f".{name}"
        for name, value in run.heap.read(instance.id).items()
        for part in (value.alternatives if isinstance(value, Union) else (value,))
        if isinstance(part, Criterion)
    ]


def call_now(
    run: Interpreter,
    function: Function,
    args: Args,
    node: ir.Node,
    quiet: bool = False,
    at: NodeRef | None = None,
) -> Value:
    """Run a function's body with these arguments. `quiet` calls are made by nobody in sight."""
    definition = function.node
    program = run.program
    name = definition.name if isinstance(definition, ir.FunctionDef) else "<lambda>"
    if run.fuel <= 0 or len(run.stack) >= MAX_DEPTH or run.stack.count(definition) > 1:
        run.not_run(definition)
        return Unknown(f"result of {name}", _source(args))
    needed = at is not None
    if not quiet and _cannot_succeed(definition, args, function.receiver is not None):
        return Unknown(f"call of {name} with missing arguments")
    at = at or run.ref(node)
    cell = program.new_cell()
    program.parents[cell] = function.frame
    frame = interpret.Frame(function.path, cell, (*run.frame.key, at.path, at.node), run.frame.training)
    frame.branch = run.frame.branch
    frame.function = function
    frame.owner = function.owner
    frame.assumed = run.heap.assumed
    frame.autocast = run.frame.autocast
    if isinstance(definition, ir.FunctionDef) and definition.decorators:
        _decorated(run, frame, function, definition)
    receiver = function.receiver
    if isinstance(receiver, Instance):
        mode = run.heap.read(receiver.id).get("training")
        if isinstance(mode, Const):
            frame.training = True if mode.value is True else None
    if receiver is not None:
        args = args.behind(receiver)
    program.visited.add(id(definition))
    run.stack.append(definition)
    try:
        bound = bind_parameters(run, function, args, None if quiet else StepRef(at, f"handed to `{name}`"))
        run.heap.write(cell).update(bound)
        with run.enter(frame):
            if isinstance(definition, ir.Lambda):
                result = run.eval(definition.body)
            else:
                result = _run_body(run, frame, definition)
    finally:
        run.stack.pop()
    if not frame.captured:
        run.heap.drop(cell)
    if needed:
        result = union(alternatives(result))
    return handed(result, StepRef(at, f"returned by `{name}`"))


def _decorated(run: Interpreter, frame: interpret.Frame, function: Function, definition: ir.FunctionDef) -> None:
    """What a function's decorators say of how its body runs."""
    for node in definition.decorators:
        func = node.func if isinstance(node, ir.Call) else node
        name = func.name if isinstance(func, (ir.Name, ir.Attribute)) else ""
        if name in ("no_grad", "inference_mode"):
            frame.training = None
        elif name == "autocast":
            around = interpret.Frame(function.path, function.frame, run.frame.key, run.frame.training)
            with run.enter(around):
                frame.autocast = interpret.autocast_in(run.eval(node), frame.autocast)


def _cannot_succeed(definition: ir.FunctionDef | ir.Lambda, args: Args, is_method: bool) -> bool:
    """Whether a call lacks an argument, or has too many: it can only raise."""
    if args.rest is not None or args.others is not None:
        return False
    params = definition.params[1:] if is_method else definition.params
    places = [param for param in params if param.kind in ("positional", "any")]
    if len(args.positional) > len(places) and not any(param.kind == "*" for param in params):
        return True
    return any(
        param.default is None and param.kind in ("positional", "any", "keyword") and param.name not in args.keywords
        for param in [*places[len(args.positional) :], *(p for p in params if p.kind == "keyword")]
    )


def _run_body(run: Interpreter, frame: interpret.Frame, definition: ir.FunctionDef) -> Value:
    run.block(definition.body)
    ends = list(frame.returns)
    if run.state is not None:
        ends.append((run.state, Const(None)))
    before = frame.assumed.items()
    values = [(value, frozenset(state.assumed.items() - before)) for state, value in ends]
    run.state = merge([state for state, _ in ends])
    if definition.generator:
        return Items(union(frame.yields) if frame.yields else UNKNOWN)
    if not ends:
        # Every path raises: the caller is not reached either, but an abstract method says nothing about its overrides.
        run.state = run.heap
        return Unknown(f"{definition.name} only raises")
    if len(values) > 1:
        # A path that falls off the end or returns None or nothing at all beside others is an early exit.
        known = [pair for pair in values if not _is_nothing(pair[0])]
        values = known or values
    return values[0][0] if len(values) == 1 else either(values)


def _is_nothing(value: Value) -> bool:
    """Whether a value is None, or one or several tensors without entries. Computes nothing lazy."""
    if isinstance(value, Tuple):
        return bool(value.items) and all(map(_is_nothing, value.items))
    if isinstance(value, Tensor):
        return value.shape is not None and 0 in value.shape.dims
    return isinstance(value, Const) and value.value is None


def handed(value: Value, step: StepRef) -> Value:
    """A value with one more step on its way."""
    if isinstance(value, Tensor):
        if value.trail is None or value.kind in ("unknown", "loss"):
            return value
        return msgspec.structs.replace(value, trail=Trail(step, value.trail))
    if isinstance(value, Union):
        return Union(tuple(handed(part, step) for part in value.alternatives), value.guards)
    if isinstance(value, Tuple):
        return Tuple(tuple(handed(item, step) for item in value.items))
    return value


def bind_parameters(run: Interpreter, function: Function, args: Args, step: StepRef | None) -> dict[str, Value]:
    """The arguments by parameter; missing ones take their defaults."""
    bound: dict[str, Value] = {}
    positional = list(args.positional)
    keywords = dict(args.keywords)
    for param in function.node.params:
        if param.kind == "*":
            rest = positional if args.rest is None else None
            bound[param.name] = Tuple(tuple(rest)) if rest is not None else Items(args.rest or UNKNOWN)
            positional = []
        elif param.kind == "**":
            pairs: list[tuple[Value | None, Value]] = [(Const(key), value) for key, value in keywords.items()]
            if args.others is not None:
                pairs.append((UNKNOWN, args.others))
            bound[param.name] = objects.new_dict(run, pairs)
        elif param.kind in ("positional", "any") and positional:
            bound[param.name] = _passed(positional.pop(0), step)
        elif param.name in keywords:
            bound[param.name] = _passed(keywords.pop(param.name), step)
        elif args.rest is not None and param.kind != "keyword":
            bound[param.name] = args.rest
        elif args.others is not None:
            bound[param.name] = args.others
        elif param.default is not None:
            bound[param.name] = default_value(run, function, param)
        else:
            bound[param.name] = Unknown(f"parameter {param.name}", "parameter")
    return bound


def _passed(value: Value, step: StepRef | None) -> Value:
    if step is None or isinstance(value, Lazy):
        return value
    return handed(value, step)


def default_value(run: Interpreter, function: Function, param: ir.Parameter) -> Value:
    """A parameter's default, evaluated where the function was defined."""
    if param.default is None:
        return UNKNOWN
    if isinstance(param.default, ir.Constant):
        return Const(param.default.value)
    frame = interpret.Frame(function.path, function.frame, run.frame.key, run.frame.training)
    if function.owner is not None:
        frame = interpret.Frame(function.path, function.owner.frame, run.frame.key, run.frame.training)
    with run.enter(frame):
        return run.eval(param.default)


def unknown_args(run: Interpreter, function: Function) -> Args:
    """Arguments that stand for any call: unknown but for what annotations and defaults that are no settings say."""
    args = Args()
    params = function.node.params
    if function.receiver is not None:
        params = params[1:]
    for param in params:
        if param.kind in ("*", "**"):
            continue
        args.keywords[param.name] = _any_argument(run, function, param)
    if isinstance(function.receiver, Instance) and isinstance(function.node, ir.FunctionDef) and params:
        if function.node.name in _STEPS:
            first = params[0].name
            args.keywords[first] = _batch_after_hooks(
                run, function.receiver, args.keywords.get(first, UNKNOWN), function.node
            )
    return args


_STEPS = frozenset(("training_step", "validation_step", "test_step", "predict_step"))
_BATCH_HOOKS = ("on_before_batch_transfer", "on_after_batch_transfer")


def _batch_after_hooks(run: Interpreter, instance: Instance, batch: Value, node: ir.Node) -> Value:
    """The batch that Lightning hands to a step: what the module's own hooks make of it."""
    for name in _BATCH_HOOKS:
        hook = objects.class_attribute(run, instance.cls, name)
        if isinstance(hook, Function):
            bound = Function(hook.node, hook.path, hook.frame, instance, hook.owner)
            batch = call_now(run, bound, Args([batch, UNKNOWN]), node, quiet=True)
    return batch


def _any_argument(run: Interpreter, function: Function, param: ir.Parameter) -> Value:
    default = param.default
    called = id(function.node) in run.program.visited
    if (
        default is not None
        and not called
        and not isinstance(default, (ir.Constant, ir.Sequence, ir.Mapping, ir.Unary, ir.Dots))
    ):
        value = default_value(run, function, param)
        kinds = (Criterion, Layer, Function, Class, Instance)
        if all(isinstance(p, kinds) or _is_known_extern(run, p) for p in interpret.alternatives_now(value)):
            return value
    if param.annotation is not None:
        made = _from_annotation(run, function, param.annotation)
        if made is not None:
            return made
    if "one_hot" in param.name.lower() or "onehot" in param.name.lower():
        # The one kind that names tell reliably; nothing else says what a function's caller encodes.
        return Tensor("one_hot", f"parameter {param.name}", batched=True)
    return Unknown(f"parameter {param.name}", "parameter")


def _is_known_extern(run: Interpreter, value: Value) -> bool:
    return isinstance(value, Extern) and run.knows(value.name)


def _from_annotation(run: Interpreter, function: Function, annotation: ir.Expr) -> Value | None:
    """An object of an annotated class that is a model of the project or a loss."""
    if not isinstance(annotation, (ir.Name, ir.Attribute)):
        return None
    frame = interpret.Frame(function.path, function.frame, run.frame.key, run.frame.training)
    with run.enter(frame):
        value = run.eval(annotation)
        if isinstance(value, Class) and _is_module(value) and len(run.stack) < MAX_DEPTH // 2:
            return construct(run, value, None, annotation)
        if isinstance(value, Extern) and value.name in run.contracts.loss_classes:
            return _call_extern(run, value.name, Args(), annotation)
    return None


def _is_module(cls: Class) -> bool:
    return any(isinstance(base, Extern) and base.name.endswith("Module") for base in foreign_bases(cls))


# ---- classes and instances


def construct(run: Interpreter, cls: Class, args: Args | None, node: ir.Node) -> Value:
    """Make an object; args of None stand for any. `__init__` runs when an attribute is first read, if it calls no loss."""
    if args is not None:
        for base in foreign_bases(cls):
            wrapper = run.contracts.wrappers.get(base.name) if isinstance(base, Extern) else None
            if wrapper is not None:
                return args.get(wrapper.keyword, wrapper.argument) or UNKNOWN
    cell = run.program.new_cell()
    instance = Instance(cell, cls)
    entries = run.heap.write(cell)
    init = objects.class_attribute(run, cls, "__init__")
    if isinstance(init, Function):
        bound = Function(init.node, init.path, init.frame, instance, init.owner)
        frame = run.frame
        at = run.ref(node)

        def initialise() -> Value:
            with run.enter(frame):
                given = unknown_args(run, bound) if args is None else args
                return call_now(run, bound, given, node, quiet=args is None, at=at)

        entries[INIT] = operate.later(initialise)
        # A result may outlive the state that it was made in, where only one way through the code asked for it.
        run.program.base[cell] = {INIT: entries[INIT]}
        if args is not None and any(holds_loss(run, value) for value in args.all()):
            objects.instance_cell(run, instance)
        return instance
    if args is not None:
        _fill_fields(run, cls, instance, args)
        base_init(run, instance, args, node)
    return instance


def _fill_fields(run: Interpreter, cls: Class, instance: Instance, args: Args) -> None:
    """Objects of dataclasses, named tuples and model outputs hold their arguments by field."""
    names: list[str] = []
    for item in reversed(linearise(cls)):
        fields = run.heap.read(item.frame).get("<fields>")
        if isinstance(fields, Tuple):
            names.extend(str(f.value) for f in fields.items if isinstance(f, Const))
    if not names:
        return
    entries = run.heap.write(instance.id)
    entries.update(zip(names, args.positional, strict=False))
    entries.update({name: value for name, value in args.keywords.items() if name in names})


def base_init(run: Interpreter, instance: Instance, args: Args, node: ir.Node) -> None:
    """`super().__init__(…)` of a class that inherits from a container or a loss of a library."""
    for base in foreign_bases(instance.cls):
        if not isinstance(base, Extern):
            continue
        if base.name in _CONTAINERS or base.name in ("builtins.list",):
            made = _make_container(run, base.name, args, node)
            run.heap.write(instance.id)["<items>"] = objects.list_contents(run, made)
        loss = run.contracts.loss_classes.get(base.name)
        if loss is not None:
            made_loss = _criterion(run, loss, base.name, args, node)
            run.heap.write(instance.id)["<criterion>"] = made_loss


def _call_instance(run: Interpreter, instance: Instance, args: Args, node: ir.Node) -> Value:
    for name in ("__call__", "forward"):
        found = objects.class_attribute(run, instance.cls, name)
        own = run.heap.read(instance.id).get(name)
        if own is not None:
            return call(run, own, args, node)
        if found is not None:
            bound = [
                Function(p.node, p.path, p.frame, instance, p.owner) if isinstance(p, Function) else p
                for p in alternatives(found)
            ]
            return call(run, union(bound), args, node)
    return _call_foreign(run, instance, args, node)


def _call_foreign(run: Interpreter, instance: Instance, args: Args, node: ir.Node) -> Value:
    """Call an object by what it inherits from a library."""
    cell = objects.instance_cell(run, instance)
    for base in foreign_bases(instance.cls):
        if not isinstance(base, Extern):
            continue
        loss = run.contracts.loss_classes.get(base.name)
        if loss is not None:
            made = cell.get("<criterion>")
            criterion = made if isinstance(made, Criterion) else Criterion(loss, {}, base.name, None)
            return loss_call(run, criterion, args, node)
        op = run.contracts.op_layers.get(base.name)
        if op is not None:
            layer = Layer(op, {}, base.name, run.ref(node))
            return call_one(run, layer, args, node)
        if base.name == "torch.nn.Sequential":
            content = cell.get("<items>")
            if content is None:
                content = Tuple(tuple(v for k, v in cell.items() if k[:1] != "<" and not isinstance(v, Const)))
            return _fold(run, content, args, node)
    _escape(run, args)
    return Unknown(f"result of {instance.cls.node.name}", _source(args))


def _fold(run: Interpreter, content: Value, args: Args, node: ir.Node) -> Value:
    """Run a value through layers in order."""
    results: list[Value] = []
    parts = alternatives(content)
    for part in parts:
        if isinstance(part, Tuple) and not part.items and len(parts) > 1:
            continue
        if not isinstance(part, Tuple):
            element = part.element if isinstance(part, Items) else UNKNOWN
            unknown = isinstance(element, Unknown)
            results.append(UNKNOWN if unknown else _last_of(run, element, args.first(), node))
            continue
        current = args.first()
        for layer in part.items:
            if isinstance(layer, Items):
                current = _last_of(run, layer.element, current, node)
            else:
                current = call(run, layer, Args([current]), node)
        results.append(current)
    return union(results) if results else UNKNOWN


def _last_of(run: Interpreter, element: Value, given: Value, node: ir.Node) -> Value:
    """What any number of layers give: the last one decides, and which one it is of those that it may be is not known."""
    before = Tensor(batched=is_batch(given))
    if not all(isinstance(part, Instance) for part in interpret.alternatives_now(element)):
        return before
    return call(run, element, Args([before]), node)


# ---- losses


def _criterion(run: Interpreter, loss: Loss, name: str, args: Args, node: ir.Node) -> Criterion:
    options: dict[str, Value] = dict(zip(loss.options, args.positional, strict=False))
    options.update(args.keywords)
    if args.others is not None or args.rest is not None:
        options["**"] = UNKNOWN
    at, spelled = run.ref(node), operate.spelled(name)
    if options and Construction in run.watched:
        given = tuple(args.positional)
        training = run.frame.training
        run.record(Construction(at, spelled, training, loss=loss, args=options, positional=given))
    return Criterion(loss, options, spelled, Trail(StepRef(at, f"`{spelled}` is made")))


def loss_call(run: Interpreter, criterion: Criterion, args: Args, node: ir.Node) -> Value:
    """A call of a loss: what flows in is judged here."""
    loss = criterion.loss
    values: dict[str, Value] = {}
    names = [arg.name for arg in loss.args]
    if len(args.positional) > len(names) and not criterion.functional and _is_of_torch(loss):
        return Unknown("call of a loss with too many arguments")  # another loss is meant here
    for name, value in zip(names, args.positional, strict=False):
        values[name] = value
    for arg in loss.args:
        for name in (arg.name, *arg.also):
            if name in args.keywords:
                values[arg.name] = args.keywords[name]
    assumed = run.heap.assumed
    if assumed:
        values = {name: narrow(either(guarded(value)), assumed) for name, value in values.items()}
    options = dict(criterion.options)
    if criterion.functional:
        options.update(zip(loss.function_options, args.positional[len(names) :], strict=False))
        options.update({key: value for key, value in args.keywords.items() if key in loss.function_options})
    if args.rest is not None or args.others is not None:
        for name in names:
            values.setdefault(name, UNKNOWN)
    full = any("drop_last" in run.program.words(part) for part in {*run.frame.key} if isinstance(part, str))
    record = LossCall(
        run.ref(node),
        criterion.name,
        run.frame.training,
        loss=loss,
        args=values,
        options=options,
        made=criterion.trail,
        full_batches=full,
        autocast=run.frame.autocast,
    )
    run.record(record)
    return _loss_value(run, record)


def _is_of_torch(loss: Loss) -> bool:
    """Whether a loss is torch's own, whose parameters are all known."""
    return any(name.startswith("torch.nn.") for name in loss.classes)


def _loss_value(run: Interpreter, record: LossCall) -> Value:
    reduction = record.reduction
    shape = None
    if reduction not in ("none", None):
        shape = Shape(())
    elif reduction is not None and record.loss.shapes != "index":
        shape = shapes.shape_of(next(iter(record.args.values()), UNKNOWN))
    attached = any(map(may_learn, record.args.values()))
    cuts = [part.cut for part in record.arg("input") if isinstance(part, Tensor)]
    return Tensor(
        "loss",
        record.name,
        shape=shape,
        dtype="float",
        attached=attached,
        cut=cuts[0] if not attached and cuts and None not in cuts else None,
        loss=record.loss,
        per_sample=record.at if reduction == "none" and shape != Shape(()) else None,
    )


# ---- what other libraries bring


def _call_extern(run: Interpreter, name: str, args: Args, node: ir.Node) -> Value:
    name = run.program.canonical(name)
    contracts = run.contracts
    loss = contracts.loss_classes.get(name)
    if loss is not None:
        return _criterion(run, loss, name, args, node)
    loss = contracts.loss_functions.get(name)
    if loss is not None:
        return loss_call(run, Criterion(loss, {}, operate.spelled(name), None, functional=True), args, node)
    op = contracts.op_functions.get(name)
    if op is not None:
        if args.rest is not None and not args.positional:
            return UNKNOWN
        return operate.apply(run, operate.bind(op, name, args.positional, args.keywords, {}), node)
    op = contracts.layer(name)
    if op is not None and not any(name in args.keywords for name in op.unless):
        options = dict(zip(op.layer_params, args.positional, strict=False))
        options.update(args.keywords)
        return Layer(_as_made(op, options), options, name, run.ref(node), run.program.new_cell() if op.heads else 0)
    wrapper = contracts.wrappers.get(name)
    if wrapper is not None:
        return args.get(wrapper.keyword or "module", wrapper.argument) or UNKNOWN
    if name in _CONTAINERS:
        return _make_container(run, name, args, node)
    special = _EXTERNS.get(name)
    if special is not None:
        return special(run, args, node)
    if name in _NO_VALUE:
        return Const(None)
    if name.startswith(("torch.no_grad", "torch.inference_mode", "torch.autograd.no_grad")):
        return Extern(name)
    if registries.is_made_by(name):
        return registries.make(run)
    if name.endswith("build_from_cfg"):
        built = registries.build_from_config(run, args, node)
        if built is not None:
            return built
    _escape(run, args)
    run.unresolved(node, Extern(name))
    return Unknown(f"result of {name}"[:_LONGEST_REASON], _source(args))


def _as_made(op: Op, options: Mapping[str, Value]) -> Op:
    """The operation of a layer made with these options."""
    for option in {when.option for when in op.when} & options.keys():
        value = options[option]
        if isinstance(value, Const) and value.value is None:
            continue
        gives: Kind = "unknown"
        for when in op.when:
            if when.option == option and isinstance(value, Const) and value.value == when.equals:
                gives = when.gives
        return msgspec.structs.replace(op, gives=gives)
    return op


def _source(args: Args) -> Source:
    """What is made of a batch is taken for one."""
    return "parameter" if any(is_batch(value) for value in args.all()) else "other"


def _escape(run: Interpreter, args: Args) -> None:
    """Objects handed to code that we do not see: it may call their methods."""
    for value in args.all():
        for part in value.alternatives if isinstance(value, Union) else (value,):
            if isinstance(part, Instance):
                run.escaped.append(part)


_CONTAINERS = frozenset({"torch.nn.Sequential", "torch.nn.ModuleList", "torch.nn.ModuleDict"})
_NO_VALUE = frozenset({"builtins.print", "builtins.setattr"})


def _make_container(run: Interpreter, name: str, args: Args, node: ir.Node) -> Container:
    if name == "torch.nn.ModuleDict":
        made = _make_dict(run, args, node)
        return made if isinstance(made, Container) else objects.new_dict(run, [])
    items: list[Value] | None = list(args.positional)
    first = alternatives(args.positional[0])[0] if len(args.positional) == 1 else None
    named: dict[str, Value] = {}
    if args.rest is not None:
        items = None
    elif isinstance(first, Container) and first.kind == "dict":
        named = objects.dict_values(run, first)
        items = list(named.values()) if "*" not in run.heap.read(first.id) else None
    elif first is not None and (name == "torch.nn.ModuleList" or isinstance(first, (Container, Tuple, Items))):
        if name == "torch.nn.ModuleList" or not (isinstance(first, Container) and first.kind == "sequential"):
            content = objects.list_contents(run, first) if isinstance(first, Container) else args.positional[0]
            container = objects.new_list(run, None, UNKNOWN)
            if all(isinstance(p, (Tuple, Items)) for p in alternatives(content)):
                objects.set_contents(run, container, content)
            return Container(container.id, "sequential" if name.endswith("Sequential") else "list")
    container = objects.new_list(run, items, UNKNOWN)
    entries = run.heap.write(container.id)
    entries.update({key.strip("'\""): value for key, value in named.items()})
    return Container(container.id, "sequential" if name.endswith("Sequential") else "list")


def _make_dict(run: Interpreter, args: Args, node: ir.Node) -> Value:
    pairs: list[tuple[Value | None, Value]] = []
    if args.positional:
        first = alternatives(args.positional[0])
        if len(first) == 1 and isinstance(first[0], Container) and first[0].kind == "dict":
            pairs.append((None, first[0]))
        else:
            element, known = objects.iterate(run, args.positional[0])
            for pair in known if known is not None else [element]:
                pairs.append((objects.item(run, pair, 0), objects.item(run, pair, 1)))
    pairs.extend((Const(key), value) for key, value in args.keywords.items())
    if args.others is not None:
        pairs.append((UNKNOWN, UNKNOWN))
    return objects.new_dict(run, pairs)


def _len(run: Interpreter, args: Args, node: ir.Node) -> Value:
    value = args.first()
    if is_pending(value):
        return objects.DIMENSION
    part = alternatives(value)[0]
    if isinstance(value, Union) or not isinstance(part, (Tuple, Container, Size)):
        return objects.DIMENSION
    _, known = objects.iterate(run, part)
    return Const(len(known)) if known is not None else objects.DIMENSION


def _range(run: Interpreter, args: Args, node: ir.Node) -> Value:
    bounds = [shapes.const_int(value) for value in args.positional]
    known = [bound for bound in bounds if bound is not None]
    if args.rest is None and 0 < len(known) == len(bounds) <= 3 and 0 not in known[2:]:
        numbers = range(*known)
        if len(numbers) <= interpret.MAX_UNROLL:
            return Tuple(tuple(Const(number) for number in numbers))
    return Items(objects.DIMENSION)


def _enumerate(run: Interpreter, args: Args, node: ir.Node) -> Value:
    element, known = objects.iterate(run, args.first())
    if known is not None:
        return Tuple(tuple(Tuple((Const(index), item)) for index, item in enumerate(known)))
    return Items(Tuple((objects.DIMENSION, element)))


def _zip(run: Interpreter, args: Args, node: ir.Node) -> Value:
    if args.rest is not None and not args.positional:
        return _columns(args.rest)
    if len(args.positional) == 1 and args.rest is None:  # `zip(*rows)` of a list
        return _columns(objects.iterate(run, args.first())[0])
    sides = [objects.iterate(run, value) for value in args.positional]
    if sides and all(known is not None for _, known in sides):
        rows = zip(*(known or [] for _, known in sides), strict=False)
        return Tuple(tuple(Tuple(tuple(row)) for row in rows))
    return Items(Tuple(tuple(element for element, _ in sides)))


def _columns(row: Value) -> Value:
    """`zip(*rows)`: for each place in a row, what stands there in all of them."""
    parts = alternatives(row)
    if len(parts) == 1 and isinstance(parts[0], Tuple):
        return Tuple(tuple(Items(item) for item in parts[0].items))
    return Items(Items(union([Unknown(p.reason, p.source) if isinstance(p, Unknown) else UNKNOWN for p in parts])))


def _list(run: Interpreter, args: Args, node: ir.Node) -> Value:
    if not args.positional:
        return objects.new_list(run, [], UNKNOWN)
    element, known = objects.iterate(run, args.first())
    return objects.new_list(run, known, element)


def _tuple(run: Interpreter, args: Args, node: ir.Node) -> Value:
    if not args.positional:
        return Tuple(())
    element, known = objects.iterate(run, args.first())
    return Tuple(tuple(known)) if known is not None else Items(element)


def _reversed(run: Interpreter, args: Args, node: ir.Node) -> Value:
    element, known = objects.iterate(run, args.first())
    return Tuple(tuple(reversed(known))) if known is not None else Items(element)


def _next(run: Interpreter, args: Args, node: ir.Node) -> Value:
    return objects.iterate(run, args.first())[0]


def _first(run: Interpreter, args: Args, node: ir.Node) -> Value:
    return args.first()


def _map(run: Interpreter, args: Args, node: ir.Node) -> Value:
    if len(args.positional) < 2:  # a function and what it is mapped over
        return UNKNOWN
    sides = [objects.iterate(run, value)[0] for value in args.positional[1:]]
    return Items(call(run, args.first(), Args(sides), node))


def _getattr(run: Interpreter, args: Args, node: ir.Node) -> Value:
    name = args.get("name", 1)
    default = args.get("default", 2)
    if name is None:
        return UNKNOWN
    parts = alternatives(name)
    if all(isinstance(part, Const) and isinstance(part.value, str) for part in parts):
        found = [
            objects.attribute(run, args.first(), str(part.value), node) for part in parts if isinstance(part, Const)
        ]
        if default is not None and any(isinstance(value, Unknown) for value in found):
            found.append(default)
        return union(found)
    owner = args.first()
    if isinstance(owner, Extern):
        return Extern(f"{owner.name}.{objects.ANY}")
    if isinstance(owner, ModuleValue):
        made = _definitions(run, owner)
        if made:
            return union(made)
    return Unknown("getattr with a name that the code does not fix")


def _definitions(run: Interpreter, owner: ModuleValue) -> list[Value]:
    """The classes and functions of a module that one may ask for by a name from a setting, imported ones too."""
    info = run.ensure(owner.path)
    found: dict[int, Value] = {}
    for name in run.program.base.get(info.cell, {}):
        if name.startswith("_"):
            continue
        for part in alternatives(run.member(owner.path, name)):
            if isinstance(part, (Class, Function)):
                found[id(part.node)] = part
            elif isinstance(part, Extern) and (run.is_loss_or_layer(part.name) or not is_library(part.name)):
                found[hash(part.name)] = part
    return list(found.values()) if len(found) <= MAX_ALTERNATIVES else []


def _setattr(run: Interpreter, args: Args, node: ir.Node) -> Value:
    if len(args.positional) == 3 and isinstance(args.positional[1], Const):
        objects.set_attribute(run, args.positional[0], str(args.positional[1].value), args.positional[2])
    return Const(None)


def _tensor_dataset(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """A data set of the rows of tensors."""
    return Items(Tuple(tuple(objects.iterate(run, value)[0] for value in args.positional)))


def _loader(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """Batches of a data set's items, which are computed when one is needed."""
    dataset = args.get("dataset", 0)
    if dataset is None:
        return Unknown("batch of a loader", "batch")
    frame, collate = run.frame, args.get("collate_fn", _COLLATE)

    def compute() -> Value:
        with run.enter(frame):
            sample = _sample(run, dataset, node)
            if collate is None or (isinstance(collate, Const) and collate.value is None):
                return union([collated(run, part) for part in alternatives(sample)])
            samples = objects.new_list(run, None, sample)
            return _batched(run, call(run, collate, Args([samples]), node))

    if isinstance(dataset, Items):
        return Items(compute())
    return Items(Lazy(compute, [], True))


def _joined_datasets(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """A data set of the items of several others, which are of one kind."""
    return objects.iterate(run, args.first())[0]


_COLLATE = 6
"""The position of `collate_fn` among the arguments of a loader."""


def _batched(run: Interpreter, made: Value) -> Value:
    """What a project's own `collate_fn` made of a list of samples: each tensor in it holds any number of them."""
    out: list[Value] = []
    for part in alternatives(made):
        if isinstance(part, Tensor):
            single = part.shape is not None and part.shape.rank == 0
            out.append(part if single else msgspec.structs.replace(part, batched=True))
        elif isinstance(part, Tuple):
            out.append(Tuple(tuple(_batched(run, item) for item in part.items)))
        elif isinstance(part, Container) and part.kind == "list":
            known = objects.iterate(run, part)[1]
            out.append(
                part if known is None else objects.new_list(run, [_batched(run, item) for item in known], UNKNOWN)
            )
        elif isinstance(part, Container) and part.kind == "dict" and "*" not in run.heap.read(part.id):
            pairs: list[tuple[Value | None, Value]] = [
                (Const(objects.literal(key)), _batched(run, value))
                for key, value in objects.dict_values(run, part).items()
            ]
            out.append(objects.new_dict(run, pairs))
        elif isinstance(part, Instance):
            out.append(part)
        else:
            out.append(Unknown("batch of a loader", "batch"))
    return union(out)


def _sample(run: Interpreter, dataset: Value, node: ir.Node) -> Value:
    """An item of a data set."""
    out: list[Value] = []
    for part in alternatives(dataset):
        if isinstance(part, Instance):
            method = objects.class_attribute(run, part.cls, "__getitem__")
            if isinstance(method, Function):
                bound = Function(method.node, method.path, method.frame, part, method.owner)
                out.append(call_now(run, bound, Args([objects.DIMENSION]), node, quiet=True))
                continue
        if isinstance(part, (Items, Container)) and not (isinstance(part, Container) and part.kind == "dict"):
            out.append(objects.iterate(run, part)[0])
        else:
            out.append(Unknown("item of a data set", "batch"))
    return union(out) if out else UNKNOWN


def collated(run: Interpreter, sample: Value) -> Value:
    """A batch of samples, as the default `collate_fn` makes it: one more dimension in front."""
    if isinstance(sample, Tensor):
        shape = sample.shape
        batch = None if shape is None else Shape((None, *shape.dims)) if not shape.open else shape
        return msgspec.structs.replace(sample, shape=batch, batched=True, dim=None, squeezed=None, flattened=None)
    if isinstance(sample, Const) and isinstance(sample.value, (int, float)):
        dtype = "float" if isinstance(sample.value, float) else "int"
        return Tensor(shape=Shape((None,)), dtype=dtype, batched=True)  # type: ignore[arg-type]
    number = number_type(sample)
    if number is not None:
        return Tensor(shape=Shape((None,)), dtype=number, batched=True)
    if isinstance(sample, Tuple):
        items = [union([collated(run, part) for part in alternatives(item)]) for item in sample.items]
        return Tuple(tuple(items))
    if isinstance(sample, Container) and sample.kind == "dict" and "*" not in run.heap.read(sample.id):
        pairs: list[tuple[Value | None, Value]] = [
            (Const(objects.literal(key)), union([collated(run, part) for part in alternatives(value)]))
            for key, value in objects.dict_values(run, sample).items()
        ]
        return objects.new_dict(run, pairs)
    return Unknown("batch of a loader", "batch")


def _isinstance(run: Interpreter, args: Args, node: ir.Node) -> Value:
    if len(args.positional) != 2 or is_pending(args.first()):  # an object and its classes
        return UNKNOWN
    parts = alternatives(args.first())
    classes = alternatives(args.positional[1])
    if len(parts) == 1 and len(classes) == 1:
        part, cls = parts[0], classes[0]
        if isinstance(part, Instance) and isinstance(cls, Class):
            return Const(any(item.node is cls.node for item in linearise(part.cls)))
        if isinstance(part, Tensor) and isinstance(cls, Extern):
            return Const(cls.name == "torch.Tensor") if cls.name.startswith(("torch.Tensor", "builtins.")) else UNKNOWN
        if isinstance(part, (Tuple, Container)) and isinstance(cls, Extern):
            kind = "tuple" if isinstance(part, Tuple) else part.kind
            if cls.name in ("builtins.tuple", "builtins.list", "builtins.dict", "torch.Tensor"):
                return Const(cls.name == f"builtins.{kind}")
        if isinstance(part, Criterion) and isinstance(cls, Extern) and cls.name in run.contracts.loss_classes:
            return Const(run.contracts.loss_classes[cls.name] is part.loss)
        if isinstance(part, Layer) and isinstance(cls, Extern) and cls.name in run.contracts.op_layers:
            return Const(part.name == cls.name)
        if isinstance(part, Const) and isinstance(cls, Extern):
            return Const(cls.name == f"builtins.{type(part.value).__name__}")
    return UNKNOWN


def _isclass(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """Whether a value is a class. What comes from settings is the name of one."""
    verdicts = {
        isinstance(part, Class) if isinstance(part, (Class, Instance, Unknown, Const)) else None
        for part in alternatives(args.first())
    }
    verdict = verdicts.pop() if len(verdicts) == 1 else None
    return UNKNOWN if verdict is None else Const(verdict)


def _autocast(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """`torch.autocast(device_type, dtype, enabled)`: of CUDA only, since on a CPU no loss is refused."""
    devices = {
        part.value if isinstance(part, Const) else None for part in alternatives(args.get("device_type", 0) or UNKNOWN)
    }
    cuda = [None if device is None else str(device).startswith("cuda") for device in devices]
    if not any(each is not False for each in cuda):
        return Unknown("context of another device")
    return Autocast(_enabled(args, 2, sure=all(cuda)), run.ref(node))


def _cuda_autocast(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """`torch.cuda.amp.autocast(enabled, dtype)`."""
    return Autocast(_enabled(args, 0, sure=True), run.ref(node))


def _enabled(args: Args, position: int, sure: bool) -> Literal["off", "maybe", "on"]:
    enabled = args.get("enabled", position)
    verdict = True if enabled is None else operate.truth(enabled)
    if args.rest is not None or args.others is not None:
        verdict = None
    if verdict is False:
        return "off"
    return "on" if verdict and sure else "maybe"


def _partial(run: Interpreter, args: Args, node: ir.Node) -> Value:
    if not args.positional:
        return UNKNOWN
    return Partial(args.first(), tuple(args.positional[1:]), dict(args.keywords))


def _checkpoint(run: Interpreter, args: Args, node: ir.Node) -> Value:
    keywords = {k: v for k, v in args.keywords.items() if k not in ("use_reentrant", "preserve_rng_state")}
    return call(run, args.first(), Args(args.positional[1:], keywords, args.rest, args.others), node)


def _data_parallel(run: Interpreter, args: Args, node: ir.Node) -> Value:
    return call(run, args.first(), Args(args.positional[1:2]), node)


def _field(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """A dataclass's field: what its default is made by."""
    factory = args.keywords.get("default_factory")
    return call(run, factory, Args(), node) if factory is not None else args.keywords.get("default", UNKNOWN)


def _type(run: Interpreter, args: Args, node: ir.Node) -> Value:
    part = args.first()
    return part.cls if isinstance(part, Instance) else UNKNOWN


def _number(run: Interpreter, args: Args, node: ir.Node) -> Value:
    part = args.first()
    return part if isinstance(part, Const) and isinstance(part.value, (int, float)) else AN_INT


def _float(run: Interpreter, args: Args, node: ir.Node) -> Value:
    part = args.first()
    if isinstance(part, Const) and isinstance(part.value, (int, float)):
        return Const(float(part.value))
    return A_FLOAT


def _sum(run: Interpreter, args: Args, node: ir.Node) -> Value:
    element, _ = objects.iterate(run, args.first())
    parts = alternatives(element)
    if parts and all(isinstance(part, Tensor) and part.kind == "loss" for part in parts):
        return element
    return Tensor() if all(isinstance(part, Tensor) for part in parts) else UNKNOWN


_EXTERNS: dict[str, Callable[[Interpreter, Args, ir.Node], Value]] = {
    "builtins.len": _len,
    "builtins.range": _range,
    "builtins.enumerate": _enumerate,
    "builtins.zip": _zip,
    "builtins.list": _list,
    "builtins.set": _list,
    "builtins.tuple": _tuple,
    "builtins.dict": _make_dict,
    "builtins.reversed": _reversed,
    "builtins.sorted": _list,
    "builtins.next": _next,
    "builtins.iter": _first,
    "builtins.map": _map,
    "builtins.filter": lambda run, args, node: Items(objects.iterate(run, args.get("", 1) or UNKNOWN)[0]),
    "builtins.getattr": _getattr,
    "builtins.setattr": _setattr,
    "builtins.isinstance": _isinstance,
    "builtins.type": _type,
    "builtins.int": _number,
    "builtins.float": _float,
    "builtins.sum": _sum,
    "collections.OrderedDict": _make_dict,
    "collections.defaultdict": lambda run, args, node: objects.new_dict(run, [(UNKNOWN, UNKNOWN)]),
    "dataclasses.field": _field,
    "functools.partial": _partial,
    "inspect.isclass": _isclass,
    "itertools.chain": lambda run, args, node: Items(union([objects.iterate(run, a)[0] for a in args.positional])),
    "tqdm.tqdm": _first,
    "tqdm.auto.tqdm": _first,
    "tqdm.notebook.tqdm": _first,
    "torch.utils.checkpoint.checkpoint": _checkpoint,
    "torch.nn.parallel.data_parallel": _data_parallel,
    "torch.nn.parallel": _data_parallel,  # as the module of the same name is spelled
    "torch.utils.data.TensorDataset": _tensor_dataset,
    "torch.utils.data.DataLoader": _loader,
    "torch.utils.data.dataset.TensorDataset": _tensor_dataset,
    "torch.utils.data.dataloader.DataLoader": _loader,
    "torch.utils.data.Subset": _first,
    "torch.utils.data.random_split": lambda run, args, node: Items(args.first()),
    "torch.utils.data.ConcatDataset": _joined_datasets,
    "torch.autocast": _autocast,
    "torch.amp.autocast": _autocast,
    "torch.amp.autocast_mode.autocast": _autocast,
    "torch.cuda.amp.autocast": _cuda_autocast,
    "torch.cuda.amp.autocast_mode.autocast": _cuda_autocast,
    "typing.cast": lambda run, args, node: args.get("val", 1) or UNKNOWN,
}


# ---- methods of what is not of the project

_SAME = frozenset(
    "to cuda cpu half float double bfloat16 share_memory requires_grad_ apply type to_empty xpu compile _apply".split()
)


_ADDING = frozenset(("add_module", "append", "extend", "insert", "pop", "register_module"))


_SAFE_ON_TEXT: dict[str, Callable[[str], str]] = {"lower": str.lower, "upper": str.upper, "strip": str.strip}


def _call_method(run: Interpreter, receiver: Value, name: str, args: Args, node: ir.Node) -> Value:
    if isinstance(receiver, Container):
        return _container_method(run, receiver, name, args, node)
    if isinstance(receiver, (Instance, Layer, Criterion)):
        return _module_method(run, receiver, name, args, node)
    if isinstance(receiver, Super):
        return _super_method(run, receiver, name, args, node)
    if isinstance(receiver, Method) and isinstance(receiver.receiver, Layer) and receiver.receiver.cell:
        if name in _ADDING:
            run.heap.write(receiver.receiver.cell)[receiver.name] = UNKNOWN
    if isinstance(receiver, Tensor):
        return _tensor_method(run, receiver, name, args, node)
    if isinstance(receiver, Unknown):
        return _unknown_method(run, receiver, name, args, node)
    if isinstance(receiver, Const) and isinstance(receiver.value, str):
        simple = _SAFE_ON_TEXT.get(name)
        return Const(simple(receiver.value)) if simple is not None and not args.positional else Unknown("text")
    if isinstance(receiver, (Function, ModuleValue, Partial)):
        return call(run, receiver, args, node) if name == "__call__" else UNKNOWN
    _escape(run, args)
    return Unknown(f"result of {name}")


def _unknown_method(run: Interpreter, receiver: Unknown, name: str, args: Args, node: ir.Node) -> Value:
    if name in _SAME or name in ("train", "eval", "detach", "clone", "contiguous"):
        if name != "detach":
            return receiver
    op = run.contracts.op_methods.get(name)
    if op is not None:
        bound = operate.bind(op, f".{name}()", [receiver, *args.positional], args.keywords, {})
        return operate.apply(run, bound, node)
    if name in ("numpy", "tolist", "item"):
        origin = None if receiver is UNKNOWN else receiver
        cut = operate.cut_here(receiver, f".{name}()", run.ref(node))
        return Tensor(attached=False, batched=is_batch(receiver), origin=origin, cut=cut)
    if name == "scale" and len(args.positional) == 1 and _is_loss(args.positional[0]):
        # What a gradient scaler gives is the loss, larger.
        return args.positional[0]
    if name == "prepare" and args.positional:
        # What `accelerate` prepares is used like what it is given.
        return args.positional[0] if len(args.positional) == 1 else Tuple(tuple(args.positional))
    _escape(run, args)
    if name in ("size", "dim", "numel"):
        return objects.DIMENSION if args.positional or name != "size" else Items(objects.DIMENSION)
    run.unresolved(node, receiver)
    source = receiver.source if receiver.source != "other" else _source(args)
    return Unknown(f"result of {name}", source, receiver.cause)


def _is_loss(value: Value) -> bool:
    return all(isinstance(part, Tensor) and part.kind == "loss" for part in alternatives(value))


def _tensor_method(run: Interpreter, receiver: Tensor, name: str, args: Args, node: ir.Node) -> Value:
    op = run.contracts.op_methods.get(name)
    if op is not None:
        bound = operate.bind(op, f".{name}()", [receiver, *args.positional], args.keywords, {})
        return operate.apply(run, bound, node)
    if name == "size":
        if args.positional:
            number = shapes.const_int(args.positional[0])
            dims = receiver.shape.dims if receiver.shape is not None and not receiver.shape.open else ()
            if number is not None and -len(dims) <= number < len(dims) and isinstance(dims[number], int):
                return Const(dims[number])
            return objects.DIMENSION
        return Size(receiver)
    if name in ("item", "tolist", "numpy"):
        origin = receiver if receiver.kind == "unknown" and receiver.origin is None else receiver.origin
        cut = operate.cut_here(receiver, f".{name}()", run.ref(node))
        return msgspec.structs.replace(
            receiver, attached=False, squeezed=None, flattened=None, origin=origin, per_sample=None, cut=cut
        )
    if name in ("dim", "numel", "nelement", "ndimension"):
        return objects.DIMENSION
    if name in ("backward", "requires_grad_", "retain_grad", "register_hook"):
        return receiver
    return Tensor(batched=receiver.batched)


def _module_method(run: Interpreter, receiver: Value, name: str, args: Args, node: ir.Node) -> Value:
    if name in _SAME:
        return receiver
    if name in ("forward", "__call__"):
        if isinstance(receiver, Instance):
            return _call_foreign(run, receiver, args, node)
        return call_one(run, receiver, args, node)
    if name in ("train", "eval"):
        if isinstance(receiver, Instance):
            mode = args.first() if name == "train" and args.positional else Const(name == "train")
            objects.instance_cell(run, receiver)
            run.heap.write(receiver.id)["training"] = mode
        return receiver
    if isinstance(receiver, Instance):
        if name in ("add_module", "register_module", "register_buffer", "register_parameter"):
            key, value = args.get("name", 0), args.get("module", 1) or args.get("tensor", 1) or UNKNOWN
            if isinstance(key, Const):
                objects.set_attribute(run, receiver, str(key.value), value)
            return Const(None)
        if name in ("children", "modules"):
            cell = objects.instance_cell(run, receiver)
            return Items(union([v for v in cell.values() if isinstance(v, (Instance, Layer, Container))]))
        if name in ("append", "extend", "insert") and "<items>" in objects.instance_cell(run, receiver):
            inner = Container(receiver.id, "list")
            return _container_method(run, inner, name, args, node)
    _escape(run, args)
    return Unknown(f"result of {name}")


def _super_method(run: Interpreter, receiver: Super, name: str, args: Args, node: ir.Node) -> Value:
    """A method that only a library's class has."""
    for part in alternatives(receiver.instance):
        if not isinstance(part, Instance):
            continue
        if name == "__init__":
            base_init(run, part, args, node)
            return Const(None)
        if name == "__setattr__" and len(args.positional) == 2 and isinstance(args.positional[0], Const):
            objects.set_attribute(run, part, str(args.positional[0].value), args.positional[1])
            return Const(None)
        return _module_method(run, part, name, args, node)
    return Unknown(f"result of {name}")


def _container_method(run: Interpreter, receiver: Container, name: str, args: Args, node: ir.Node) -> Value:
    if receiver.kind == "dict":
        return _dict_method(run, receiver, name, args, node)
    if name == "append":
        objects.append(run, receiver, [args.first()])
    elif name in ("extend",):
        objects.extend(run, receiver, args.first())
    elif name == "add_module":
        value = args.get("module", 1) or UNKNOWN
        objects.append(run, receiver, [value])
        key = args.get("name", 0)
        if isinstance(key, Const):
            run.heap.write(receiver.id)[str(key.value)] = value
    elif name == "insert":
        value = args.get("", 1) or UNKNOWN
        if shapes.const_int(args.first()) == 0:
            objects.set_contents(run, receiver, _prepended(run, receiver, value))
        else:
            objects.set_contents(run, receiver, Items(join(objects.iterate(run, receiver)[0], value)))
    elif name == "pop":
        number = shapes.const_int(args.first()) if args.positional else -1
        result = objects.item(run, receiver, number) if number is not None else UNKNOWN
        objects.set_contents(run, receiver, Items(objects.iterate(run, receiver)[0]))
        return result
    elif name in ("copy",):
        return receiver
    elif name in ("clear",):
        objects.set_contents(run, receiver, Tuple(()))
    elif name in ("train", "eval") or name in _SAME:
        return receiver
    elif name in ("forward", "__call__") and receiver.kind == "sequential":
        return call_one(run, receiver, args, node)
    elif name in ("children", "modules", "__iter__"):
        return objects.list_contents(run, receiver)
    elif name in ("remove", "sort", "reverse", "__setitem__", "__delitem__"):
        objects.set_contents(run, receiver, Items(objects.iterate(run, receiver)[0]))
    else:
        return Unknown(f"result of {name}")
    return receiver if receiver.kind == "sequential" else Const(None)


def _prepended(run: Interpreter, receiver: Container, value: Value) -> Value:
    out: list[Value] = []
    for part in alternatives(objects.list_contents(run, receiver)):
        if isinstance(part, Tuple):
            out.append(Tuple((value, *part.items)))
        else:
            out.append(Items(join(part.element if isinstance(part, Items) else UNKNOWN, value)))
    return union(out)


def _dict_method(run: Interpreter, receiver: Container, name: str, args: Args, node: ir.Node) -> Value:
    registered = registries.method(run, receiver, name, args, node)
    if registered is not None:
        return registered
    if name in ("get", "pop", "__getitem__"):
        found = objects.read_key(run, receiver, args.first())
        default = args.get("default", 1)
        if default is not None and isinstance(found, Unknown):
            return join(found, default) if found.reason != "missing key" else default
        return found
    if name == "setdefault":
        objects.write_key(run, receiver, args.first(), args.get("", 1) or Const(None))
        return objects.read_key(run, receiver, args.first())
    if name == "update":
        for value in args.positional:
            objects.update(run, receiver, value)
        for key, value in args.keywords.items():
            objects.write_key(run, receiver, Const(key), value)
        return Const(None)
    entries = objects.dict_values(run, receiver)
    complete = "*" not in run.heap.read(receiver.id)
    if name == "items":
        rows = [Tuple((Const(objects.literal(key)), value)) for key, value in entries.items()]
        return Tuple(tuple(rows)) if complete else Items(Tuple((UNKNOWN, objects.read_key(run, receiver, UNKNOWN))))
    if name == "values":
        return Tuple(tuple(entries.values())) if complete else Items(objects.read_key(run, receiver, UNKNOWN))
    if name == "keys":
        return Tuple(tuple(Const(objects.literal(key)) for key in entries)) if complete else Items(UNKNOWN)
    if name in ("train", "eval", "copy") or name in _SAME:
        return receiver
    held = entries.get(repr(name))
    if held is not None:
        return call(run, held, args, node)
    return Unknown(f"result of {name}")


_CALLS: dict[type, Callable[[Interpreter, Any, Args, ir.Node], Value]] = {
    Function: call_function,
    Extern: lambda run, callee, args, node: _call_extern(run, callee.name, args, node),
    Method: lambda run, callee, args, node: _call_method(run, callee.receiver, callee.name, args, node),
    Instance: _call_instance,
    Layer: _call_layer,
    Criterion: loss_call,
    Class: construct,
    Container: _call_container,
    Partial: _call_partial,
}
"""How a value is called, by its type; any other is something unknown."""
