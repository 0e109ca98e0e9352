"""Objects of the project's classes: made, called, and what they inherit from a library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torchlint.analysis import attributes, containers, externs, functions, invoke, ir, losses, trainers
from torchlint.analysis.arguments import Args
from torchlint.analysis.program import foreign_bases, linearise
from torchlint.analysis.state import INIT
from torchlint.analysis.values import (
    UNKNOWN,
    Class,
    Const,
    Criterion,
    Extern,
    Function,
    Instance,
    Items,
    Layer,
    Source,
    Tensor,
    Tuple,
    Unknown,
    Value,
    alternatives,
    alternatives_now,
    computed,
    is_batch,
    later,
    union,
)

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


def is_module(cls: Class) -> bool:
    return any(isinstance(base, Extern) and base.name.endswith("Module") for base in foreign_bases(cls))


def is_model(value: Value) -> bool:
    """Whether a value is certainly a model or a layer. Computes nothing lazy."""
    return all(
        isinstance(part, Layer) or (isinstance(part, Instance) and is_module(part.cls)) for part in computed(value)
    )


def construct(run: Interpreter, cls: Class, args: Args | None, node: ir.Node, source: Source = "parameter") -> Value:
    """Make an object; args of None stand for any, of this source.

    `__init__` runs when an attribute is first read, if it calls no loss.
    """
    if args is not None:
        for base in foreign_bases(cls):
            wrapper = run.contracts.wrappers.get(base.name) if isinstance(base, Extern) else None
            if wrapper is not None:
                return args.get(wrapper.keyword, wrapper.argument) or UNKNOWN
    cell = run.program.new_cell()
    instance = Instance(cell, cls)
    entries = run.heap.write(cell)
    init = attributes.class_attribute(run, cls, "__init__")
    if isinstance(init, Function):
        bound = Function(init.node, init.path, init.frame, instance, init.owner)
        frame = run.frame
        at = run.ref(node)

        def initialise() -> Value:
            with run.enter(frame):
                given = functions.unknown_args(run, bound, source) if args is None else args
                return functions.call_now(run, bound, given, node, quiet=args is None, at=at)

        entries[INIT] = later(initialise)
        # A result may outlive the state that it was made in, where only one way through the code asked for it.
        run.program.base[cell] = {INIT: entries[INIT]}
        if args is not None and any(functions.holds_loss(run, value) for value in args.all()):
            attributes.instance_cell(run, instance)
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
        if base.name in externs.CONTAINERS or base.name in ("builtins.list",):
            made = externs.make_container(run, base.name, args, node)
            run.heap.write(instance.id)["<items>"] = containers.list_contents(run, made)
        loss = run.contracts.loss_classes.get(base.name)
        if loss is not None:
            made_loss = losses.make(run, loss, base.name, args, node)
            run.heap.write(instance.id)["<criterion>"] = made_loss
        if base.name.endswith("Trainer") and (trained := args.get("model", 0)) is not None:
            run.heap.write(instance.id)[functions.TRAINED] = trained
            run.escaped.append(instance)  # the library calls its methods
        trainer = run.contracts.trainers.get(base.name)
        if trainer is not None and attributes.class_attribute(run, instance.cls, "get_loss") is None:
            trainers.bring_together(run, trainer, args, node)
        kept = losses.kept_by(base.name, loss, args)
        if kept:
            run.heap.write(instance.id).update(kept)


def call(run: Interpreter, instance: Instance, args: Args, node: ir.Node) -> Value:
    """Call an object: its class's `__call__`, else `forward`, else what it inherits from a library."""
    return _call_first(run, instance, ("__call__", "forward"), args, node)


def call_module(run: Interpreter, instance: Instance, args: Args, node: ir.Node) -> Value:
    """`nn.Module.__call__` of an object, named as such: it calls `forward`."""
    return _call_first(run, instance, ("forward",), args, node)


def _call_first(run: Interpreter, instance: Instance, names: Sequence[str], args: Args, node: ir.Node) -> Value:
    for name in names:
        found = attributes.class_attribute(run, instance.cls, name)
        own = run.heap.read(instance.id).get(name)
        if own is not None:
            return invoke.call(run, own, args, node)
        if found is not None:
            bound = [
                Function(p.node, p.path, p.frame, instance, p.owner) if isinstance(p, Function) else p
                for p in alternatives(found)
            ]
            return invoke.call(run, union(bound), args, node)
    return call_foreign(run, instance, args, node)


def call_foreign(run: Interpreter, instance: Instance, args: Args, node: ir.Node) -> Value:
    """Call an object by what it inherits from a library."""
    cell = attributes.instance_cell(run, instance)
    for base in foreign_bases(instance.cls):
        if not isinstance(base, Extern):
            continue
        loss = run.contracts.loss_classes.get(base.name)
        if loss is not None:
            made = cell.get("<criterion>")
            criterion = made if isinstance(made, Criterion) else Criterion(loss, {}, base.name, None)
            return losses.call(run, criterion, args, node)
        op = run.contracts.op_layers.get(base.name)
        if op is not None:
            layer = Layer(op, {}, base.name, run.ref(node))
            return invoke.call_one(run, layer, args, node)
        if base.name == "torch.nn.Sequential":
            content = cell.get("<items>")
            if content is None:
                content = Tuple(tuple(v for k, v in cell.items() if k[:1] != "<" and not isinstance(v, Const)))
            return fold(run, content, args, node)
    invoke.escape(run, args)
    return invoke.result(f"result of {instance.cls.node.name}", args)


def fold(run: Interpreter, content: Value, args: Args, node: ir.Node) -> Value:
    """Run a value through layers in order."""
    results: list[Value] = []
    parts = alternatives(content)
    for part in parts:
        if isinstance(part, Tuple) and not part.items and len(parts) > 1:
            continue
        if not isinstance(part, Tuple) and not (isinstance(part, Items) and _in_sight(part)):
            results.append(UNKNOWN)
            continue
        layers = part.items if isinstance(part, Tuple) else (part,)
        current = args.first()
        for layer in layers:
            if isinstance(layer, Items):
                current = _some_of(run, layer, current, node)
            else:
                current = invoke.call(run, layer, Args([current]), node)
        results.append(current)
    return union(results) if results else UNKNOWN


def _in_sight(layers: Items) -> bool:
    return bool(layers.last) or not isinstance(layers.element, Unknown)


def _some_of(run: Interpreter, layers: Items, given: Value, node: ir.Node) -> Value:
    """What any number of layers give: the last one decides, and which one it is may not be known."""
    current: Value = Tensor(batched=is_batch(given))
    for layer in layers.last:
        current = invoke.call(run, layer, Args([current]), node)
    if not layers.last and all(isinstance(part, Instance) for part in alternatives_now(layers.element)):
        return invoke.call(run, layers.element, Args([current]), node)
    return current
