"""Calls of the project's own functions: what is bound to parameters, when a body is run, and what it returns."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from torchlint.analysis import (
    attributes,
    batches,
    containers,
    externs,
    frames,
    imports,
    instances,
    invoke,
    ir,
    standins,
    uncalled,
)
from torchlint.analysis.arguments import Args
from torchlint.analysis.frames import Frame
from torchlint.analysis.state import INIT, merge
from torchlint.analysis.values import (
    UNKNOWN,
    Class,
    Const,
    Container,
    Criterion,
    Extern,
    Function,
    Instance,
    Items,
    Layer,
    Lazy,
    Source,
    Tensor,
    Trail,
    Tuple,
    Union,
    Unknown,
    Value,
    alternatives,
    alternatives_now,
    computed,
    either,
    guarded,
    is_anything,
    is_batch,
    union,
)
from torchlint.findings import NodeRef, StepRef

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter

MAX_DEPTH = 30
"""Calls nested deeper than this are not followed."""


def call(run: Interpreter, function: Function, args: Args, node: ir.Node) -> Value:
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
    changing = _SETTERS | _CHANGERS if isinstance(function.receiver, Instance) else _SETTERS
    return Lazy(compute, [], batched, changes=not changing.isdisjoint(function.node.words))


def _must_run_now(run: Interpreter, function: Function, args: Args) -> bool:
    definition = function.node
    if isinstance(definition, ir.Lambda):
        return True
    if ir.THRESHOLD in definition.words:
        return True
    changes = not _CHANGERS.isdisjoint(definition.words)
    for value in args.all():
        for part in computed(value):
            if is_criterion(run, part) or (changes and isinstance(part, Container)):
                return True
            if run.program.thresholds.is_claimed(part):
                return True
            if isinstance(part, Function) and isinstance(part.node, ir.FunctionDef) and run.program.relevant(part.node):
                return True
            if isinstance(part, Instance) and holds_criterion(run, part):
                return True
    if isinstance(function.receiver, Instance) and _mentions_loss(run, function.receiver, definition):
        return True
    if not run.program.relevant(definition, function.owner):
        return False
    return uncalled.is_open(run, function) or id(definition) in run.program.makers


_SETTERS = frozenset((ir.SETS_ATTRIBUTE, "setattr"))
"""Words of a function that may change an object that it is given, or that it is a method of."""


_CHANGERS = frozenset(
    (ir.SETS_ITEM, ".append", ".extend", ".insert", ".update", ".add_module", ".setdefault", ".pop", ".clear")
)
"""Words of a function that may change a list or dict that it is given."""


def is_criterion(run: Interpreter, part: Value) -> bool:
    """Whether a value is a loss: an object, or a library's function that was not called yet."""
    return isinstance(part, Criterion) or (
        isinstance(part, Extern) and run.contracts.is_loss(run.program.canonical(part.name))
    )


def holds_loss(run: Interpreter, value: Value) -> bool:
    """Whether a value is a loss, or a tuple or an object that holds one. Computes nothing lazy."""
    return any(
        is_criterion(run, part)
        or (isinstance(part, Instance) and holds_criterion(run, part))
        or (isinstance(part, Tuple) and any(holds_loss(run, item) for item in part.items))
        for part in (value.alternatives if isinstance(value, Union) else (value,))
    )


def _mentions_loss(run: Interpreter, instance: Instance, method: ir.FunctionDef) -> bool:
    """Whether a method leads to an attribute of its object that holds a loss, or an object with a loss of its own."""
    held = _attributes_of(run, instance)
    names = run.program.mentioned(instance.cls, method) & held.keys()
    return any(_is_loss(run, held[name]) for name in names) or any(_has_learner(run, held[name]) for name in names)


def holds_criterion(run: Interpreter, instance: Instance) -> bool:
    """Whether an attribute of an object holds a loss."""
    return any(_is_loss(run, value) for value in _attributes_of(run, instance).values())


def _attributes_of(run: Interpreter, instance: Instance) -> dict[str, Value]:
    """The attributes of an object, which is made now if its class leads to a loss."""
    if INIT in run.heap.read(instance.id) and run.program.relevant(instance.cls.node):
        attributes.instance_cell(run, instance)
    return run.heap.read(instance.id)


def _is_loss(run: Interpreter, value: Value) -> bool:
    """Whether a loss is among the possibilities of a value. Computes nothing lazy."""
    if isinstance(value, Union):
        return any(is_criterion(run, part) for part in value.alternatives)
    return is_criterion(run, value)


def _has_learner(run: Interpreter, value: Value) -> bool:
    """Whether a value is an object with a loss of its own, or a list of them: no model, which is called as one."""
    return any(_is_learner(run, part) for part in _with_items(run, value))


def _with_items(run: Interpreter, value: Value) -> Iterator[Value]:
    """The possibilities of a value, and of the items of lists among them. Computes nothing lazy."""
    for part in computed(value):
        yield part
        if isinstance(part, Container) and part.kind == "list":
            for content in computed(containers.list_contents(run, part)):
                items = content.items if isinstance(content, Tuple) else ()
                for item in (content.element,) if isinstance(content, Items) else items:
                    yield from computed(item)


def _is_learner(run: Interpreter, part: Value) -> bool:
    return isinstance(part, Instance) and not instances.is_module(part.cls) and holds_criterion(run, part)


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
    needed = at is not None
    if (
        run.fuel <= 0
        or len(run.stack) >= MAX_DEPTH
        or run.stack.count(definition) > 1
        or (at is not None and _goes_on_and_on(run.frame, at))
    ):
        run.not_run(definition)
        return invoke.result(f"result of {name}", args)
    args = one_by_one(definition, args, function.receiver is not None)
    if not quiet and cannot_succeed(definition, args, function.receiver is not None):
        return Unknown(f"call of {name} with missing arguments")
    at = at or run.ref(node)
    cell = program.new_cell()
    program.parents[cell] = function.frame
    frame = Frame(function.path, cell, (*run.frame.key, at.path, at.node), run.frame.training)
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
        result = either(guarded(result))
    if isinstance(receiver, Instance) and receiver.id in program.standins:
        result = standins.told(run, result, program.standins[receiver.id])
    return handed(result, StepRef(at, f"returned by `{name}`"))


def _goes_on_and_on(frame: Frame, at: NodeRef) -> bool:
    """Whether a call that was put off lies so deep in others, or in itself: the stack does not show where it began."""
    key = frame.key
    if sum(isinstance(part, str) for part in key) > MAX_DEPTH:
        return True
    return sum(pair == (at.path, at.node) for pair in pairwise(key)) > 1


def _decorated(run: Interpreter, frame: Frame, function: Function, definition: ir.FunctionDef) -> None:
    """What a function's decorators say of how its body runs."""
    for node in definition.decorators:
        func = node.func if isinstance(node, ir.Call) else node
        name = func.name if isinstance(func, (ir.Name, ir.Attribute)) else ""
        if name in ("no_grad", "inference_mode"):
            frame.training = None
        elif name == "autocast":
            around = Frame(function.path, function.frame, run.frame.key, run.frame.training)
            with run.enter(around):
                frame.autocast = frames.autocast_in(run.eval(node), frame.autocast)


def cannot_succeed(definition: ir.FunctionDef | ir.Lambda, args: Args, is_method: bool) -> bool:
    """Whether a call lacks an argument, has too many, or one of a name that is not asked for: it can only raise."""
    if args.rest is not None or args.others is not None:
        return False
    params = definition.params[1:] if is_method else definition.params
    places = [param for param in params if param.kind in ("positional", "any")]
    if len(args.positional) > len(places) and not any(param.kind == "*" for param in params):
        return True
    if any(param.kind == "any" and param.name in args.keywords for param in places[: len(args.positional)]):
        return True
    wrapped = isinstance(definition, ir.FunctionDef) and bool(definition.decorators)
    if not wrapped and not any(param.kind == "**" for param in params):
        if not args.keywords.keys() <= {param.name for param in params}:
            return True
    return any(
        param.default is None and param.kind in ("positional", "any", "keyword") and param.name not in args.keywords
        for param in [*places[len(args.positional) :], *(p for p in params if p.kind == "keyword")]
    )


def one_by_one(definition: ir.FunctionDef | ir.Lambda, args: Args, is_method: bool) -> Args:
    """The arguments of a function that takes them one by one, where a list of unknown length was spread.

    The list is as long as the function asks for, if one length only lets the call succeed.
    """
    found = args.spread()
    if found is None or any(param.kind == "*" for param in definition.params):
        return args
    place, items = found
    ways = [
        way.items for way in items.ways if not cannot_succeed(definition, args.with_items(place, way.items), is_method)
    ]
    if len({len(way) for way in ways}) != 1:
        return args.with_any_number(place)
    return args.with_items(place, [union(each) for each in zip(*ways, strict=True)])


def _run_body(run: Interpreter, frame: Frame, definition: ir.FunctionDef) -> Value:
    run.block(definition.body)
    ends = list(frame.returns)
    if run.state is not None:
        ends.append((run.state, Const(None)))
    frame.returns.clear()  # what is computed late keeps the frame, but needs none of these states
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
            bound[param.name] = containers.new_dict(run, pairs)
        elif param.kind in ("positional", "any") and positional:
            bound[param.name] = _passed(positional.pop(0), step)
        elif param.name in keywords:
            bound[param.name] = _passed(keywords.pop(param.name), step)
        elif args.rest is not None and param.kind != "keyword":
            bound[param.name] = args.rest
        elif args.others is not None:
            bound[param.name] = _one_of(args.others, param.name)
        elif param.default is not None:
            bound[param.name] = default_value(run, function, param)
        else:
            bound[param.name] = Unknown(f"parameter {param.name}", "parameter")
    return bound


def _one_of(others: Value, name: str) -> Value:
    """One of the keywords that a call hands over unseen."""
    return Unknown(f"parameter {name}", "setting") if is_anything(others) else others


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
    frame = Frame(function.path, function.frame, run.frame.key, run.frame.training)
    if function.owner is not None:
        frame = Frame(function.path, function.owner.frame, run.frame.key, run.frame.training)
    with run.enter(frame):
        return run.eval(param.default)


def unknown_args(run: Interpreter, function: Function, source: Source = "parameter") -> Args:
    """Arguments that stand for any call: unknown but for what annotations and defaults that are no settings say."""
    args = Args()
    params = function.node.params
    if function.receiver is not None:
        params = params[1:]
    for param in params:
        if param.kind == "*":
            args.rest = Unknown(f"parameter {param.name}", source)
        if param.kind in ("*", "**"):
            continue
        args.keywords[param.name] = _any_argument(run, function, param, source)
    if isinstance(function.receiver, Instance) and isinstance(function.node, ir.FunctionDef) and params:
        trained = run.heap.read(function.receiver.id).get(TRAINED)
        if trained is not None and params[0].name == "model":
            args.keywords["model"] = trained
        if function.node.name in _STEPS:
            first = params[0].name
            batch = _batch_for(run, function.receiver, function.node) or args.keywords.get(first, UNKNOWN)
            args.keywords[first] = _batch_after_hooks(run, function.receiver, batch, function.node)
    return args


_STEPS = frozenset(("training_step", "validation_step", "test_step", "predict_step"))


_BATCH_HOOKS = ("on_before_batch_transfer", "on_after_batch_transfer")


TRAINED = "<trained>"
"""The entry of an object of a trainer's class for the model that it was made with, which the library hands to its methods."""


DATA = "<data>"
"""The entry of a model for what a trainer was handed together with it: a loader, or an object that makes loaders."""


def _batch_for(run: Interpreter, instance: Instance, step: ir.FunctionDef) -> Value | None:
    """The batch that a trainer hands to a step, of the loader that it was given or that the model makes; None if unknown."""
    makes = f"{step.name.partition('_')[0].replace('training', 'train').replace('validation', 'val')}_dataloader"
    given = run.heap.read(instance.id).get(DATA)
    loader: Value | None = given if step.name == "training_step" and isinstance(given, Items) else None
    for owner in () if loader is not None else (given, instance):
        method = attributes.class_attribute(run, owner.cls, makes) if isinstance(owner, Instance) else None
        if isinstance(method, Function) and isinstance(owner, Instance):
            bound = Function(method.node, method.path, method.frame, owner, method.owner)
            loader = call_now(run, bound, Args(), step, quiet=True)
            break
    parts = () if loader is None else alternatives(loader)
    if len(parts) != 1 or not isinstance(parts[0], Items):
        return None
    batch = parts[0].element
    return None if any(isinstance(part, Unknown) for part in alternatives(batch)) else batch


def _batch_after_hooks(run: Interpreter, instance: Instance, batch: Value, node: ir.Node) -> Value:
    """The batch that Lightning hands to a step: what the module's own hooks make of it."""
    for name in _BATCH_HOOKS:
        hook = attributes.class_attribute(run, instance.cls, name)
        if isinstance(hook, Function):
            bound = Function(hook.node, hook.path, hook.frame, instance, hook.owner)
            batch = call_now(run, bound, Args([batch, UNKNOWN]), node, quiet=True)
    return batch


def _any_argument(run: Interpreter, function: Function, param: ir.Parameter, source: Source) -> Value:
    default = param.default
    called = id(function.node) in run.program.visited
    if (
        default is not None
        and not called
        and not isinstance(default, (ir.Constant, ir.Sequence, ir.Mapping, ir.Unary, ir.Dots))
    ):
        value = default_value(run, function, param)
        kinds = (Criterion, Layer, Function, Class, Instance)
        if all(isinstance(p, kinds) or _is_known_extern(run, p) for p in alternatives_now(value)):
            return value
    if param.name in _REDUCTIONS and isinstance(default, ir.Constant) and standins.is_orphan(run, function):
        return Const(default.value)  # who makes a loss without a word on it gets what its author took for right
    if not called and isinstance(default, ir.Constant) and isinstance(default.value, float) and 0 < default.value < 1:
        return Unknown(f"parameter {param.name}", source, default=default.value)
    if param.annotation is not None:
        made = _from_annotation(run, function, param.annotation)
        if made is not None:
            return made
    if source == "parameter":
        found = standins.for_parameter(run, function, param) or batches.for_parameter(run, function, param)
        if found is not None:
            return found
    if "one_hot" in param.name.lower() or "onehot" in param.name.lower():
        # The one kind that names tell reliably; nothing else says what a function's caller encodes.
        return Tensor("one_hot", f"parameter {param.name}", batched=True)
    return Unknown(f"parameter {param.name}", source)


_REDUCTIONS = frozenset(("reduction", "size_average", "reduce"))
"""The parameters of torch's losses, and of people's own after them, that users leave at their defaults."""


def _is_known_extern(run: Interpreter, value: Value) -> bool:
    return isinstance(value, Extern) and imports.knows(run, value.name)


def _from_annotation(run: Interpreter, function: Function, annotation: ir.Expr) -> Value | None:
    """An object of an annotated class that is a model of the project or a loss."""
    if not isinstance(annotation, (ir.Name, ir.Attribute)):
        return None
    frame = Frame(function.path, function.frame, run.frame.key, run.frame.training)
    with run.enter(frame):
        said = alternatives(run.eval(annotation))
        value = said[0] if len(said) == 1 else UNKNOWN
        if isinstance(value, Class) and instances.is_module(value) and len(run.stack) < MAX_DEPTH // 2:
            return instances.construct(run, value, None, annotation)
        if isinstance(value, Extern) and value.name in run.contracts.loss_classes:
            return externs.call(run, value.name, Args(), annotation)
    return None
