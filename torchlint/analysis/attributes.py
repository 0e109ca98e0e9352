"""Attributes: how values are kept in objects, classes and modules and read from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torchlint.analysis import arrays, containers, functions, imports, ir, operate
from torchlint.analysis.arguments import Args
from torchlint.analysis.program import SLOT, decorator_names, foreign_bases, linearise
from torchlint.analysis.state import INIT
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
    Method,
    ModuleValue,
    Pending,
    Size,
    Super,
    Tensor,
    Tuple,
    Unknown,
    Value,
    alternatives,
    any_state,
    either,
    guarded,
    is_anything,
    is_pending,
    is_state,
    join,
    later,
    narrow,
    union,
)

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


LOADERS = ("from_", "load_from_")
"""How the class methods begin by which a library's base class makes an object: from weights, a checkpoint or settings."""

_MODULE_METHODS = frozenset(
    "to cuda cpu half float double bfloat16 share_memory requires_grad_ apply type to_empty train eval add_module "
    "register_module register_buffer register_parameter parameters named_parameters state_dict load_state_dict children "
    "named_children modules named_modules zero_grad save_hyperparameters log log_dict buffers append extend insert "
    "manual_backward post_init xpu compile __call__".split()
)


_PARAMETER = Tensor()

PARAMETERS: dict[str, Value] = {
    "parameters": Items(_PARAMETER),
    "named_parameters": Items(Tuple((Unknown("name of a parameter"), _PARAMETER))),
}
"""The methods of a model that give its parameters, which are as long for every batch."""


def attribute(run: Interpreter, value: Value, name: str, node: ir.Node) -> Value:
    """`value.name`, not called."""
    if is_pending(value):
        assumed = run.heap.assumed

        def compute() -> Value:
            settled = either(guarded(value))
            with run.assuming(assumed):
                return attribute(run, settled, name, node)

        return later(compute, value)
    parts = guarded(value)
    if len(parts) == 1:
        return _attribute(run, parts[0][0], name, node)
    return either((_attribute(run, part, name, node), guard) for part, guard in parts)


def callee(run: Interpreter, part: Value, name: str, node: ir.Node) -> Value:
    """`value.name` as it is called: a method of something unknown is still known by its name."""
    return Method(part, name) if isinstance(part, Unknown) else _attribute(run, part, name, node)


def _attribute(run: Interpreter, part: Value, name: str, node: ir.Node) -> Value:
    read = _READERS.get(type(part))
    found = None if read is None else read(run, part, name, node)
    return Method(part, name) if found is None else found


def _extern_attribute(run: Interpreter, part: Extern, name: str, node: ir.Node) -> Value:
    full = run.program.canonical(f"{part.name}.{name}")
    return Const(_CONSTANTS[full]) if full in _CONSTANTS else Extern(full)


_CONSTANTS = {"numpy.newaxis": None} | dict.fromkeys(("numpy.inf", "numpy.Inf", "math.inf", "torch.inf"), float("inf"))
"""What libraries call a constant."""


def _module_attribute(run: Interpreter, part: ModuleValue, name: str, node: ir.Node) -> Value:
    if name == "__dict__":
        return Method(part, name)
    if imports.can_wait(run, part.path):
        return later(lambda: imports.member(run, part.path, name))
    return imports.member(run, part.path, name)


def _attribute_of_class(run: Interpreter, part: Class, name: str, node: ir.Node) -> Value:
    found = class_attribute(run, part, name)
    if found is None:
        if name == "__name__":
            return Const(part.node.name)
        if name.startswith(LOADERS) and foreign_bases(part):
            return Method(part, name)
        return UNKNOWN if name.startswith("__") else Unknown(f"attribute {name} of {part.node.name}")
    return _bound(run, found, part, part, node, on_class=True)


def _function_attribute(run: Interpreter, part: Function, name: str, node: ir.Node) -> Value | None:
    return Const(part.node.name) if name == "__name__" and isinstance(part.node, ir.FunctionDef) else None


def _unknown_attribute(run: Interpreter, part: Unknown, name: str, node: ir.Node) -> Value:
    slot = run.program.slot(part, name)
    if slot is not None:
        return narrow(run.heap.read(slot)[SLOT], run.heap.assumed)
    if name in ("T", "mT") and part.source == "batch":  # nothing else has them
        return operate.apply(run, operate.bind(run.contracts.op_methods[name], f".{name}", (part,), {}, {}), node)
    return run.program.taken(_unseen_attribute(part, name), part, f".{name}")


def _unseen_attribute(part: Unknown, name: str) -> Unknown:
    reason = part.reason if part.source != "other" else f"attribute {name}"
    return Unknown(reason, part.source, part.cause)


def _tuple_attribute(run: Interpreter, part: Tuple, name: str, node: ir.Node) -> Value | None:
    if name in ("values", "indices") and len(part.items) == 2:  # a pair
        return part.items[0 if name == "values" else 1]
    return None


def _container_attribute(run: Interpreter, part: Container, name: str, node: ir.Node) -> Value | None:
    if part.kind == "dict":
        found = containers.read_key(run, part, Const(name))
        return None if isinstance(found, Unknown) else found
    return run.heap.read(part.id).get(name) if part.kind == "sequential" else None


def _layer_attribute(run: Interpreter, part: Layer, name: str, node: ir.Node) -> Value | None:
    found = run.heap.read(part.cell).get(name) if part.cell else part.options.get(name)
    if found is None and (op := run.contracts.part(f"{part.name}.{name}")) is not None:
        return Layer(op, {}, f"{part.name}.{name}", run.ref(node))
    return _parameter_of(run, part, name, node) if found is None else found


def _parameter_of(run: Interpreter, part: Value, name: str, node: ir.Node) -> Value | None:
    return Tensor() if name in ("weight", "bias", "pos_weight") else None


def tensor_attribute(run: Interpreter, part: Tensor, name: str, node: ir.Node) -> Value:
    if name == "shape":
        return Size(part)
    if part.holder != "torch" and (found := arrays.attribute(part, name)) is not None:
        return found
    op = run.contracts.op_methods.get(name)
    if op is not None and name in ("T", "mT", "H", "mH", "data"):
        return operate.apply(run, operate.bind(op, f".{name}", (part,), {}, {}), node)
    return Method(part, name)


def instance_cell(run: Interpreter, instance: Instance) -> dict[str, Value]:
    """An instance's attributes; its `__init__` is run now if that was put off."""
    cell = run.heap.read(instance.id)
    init = cell.get(INIT)
    if init is None:
        return cell
    run.heap.write(instance.id).pop(INIT, None)
    if isinstance(init, Lazy):
        # Not forced: another state, forked before, has to run it too.
        init.thunk()
    return run.heap.read(instance.id)


def instance_attribute(run: Interpreter, instance: Instance, name: str, node: ir.Node) -> Value:
    """An attribute of an object: its own, its class's, or what another of its methods would set."""
    found = instance_cell(run, instance).get(name)
    if found is not None and run.heap.assumed:
        found = narrow(found, run.heap.assumed)
    if found is not None and not (isinstance(found, Const) and found.value is None and instance.id in run.standing):
        return found
    inherited = class_attribute(run, instance.cls, name)
    if found is None and inherited is not None and not isinstance(inherited, Const):
        return _bound(run, inherited, instance, instance.cls, node)
    set_elsewhere = deferred_attribute(run, instance, name)
    known = found if found is not None else inherited
    if set_elsewhere is not None:
        if isinstance(known, Const) and known.value is None:
            known = None
        return set_elsewhere if known is None else join(known, set_elsewhere)
    if known is not None:
        return known
    if name == "training":
        return UNKNOWN if run.frame.training is None else Const(run.frame.training)
    if name == "__class__":
        return instance.cls
    if name == "module":
        # The wrappers of `nn.parallel` are taken for the model itself.
        return instance
    if foreign_bases(instance.cls) and name in _MODULE_METHODS:
        return Method(instance, name)
    return Unknown(f"attribute {name} of {instance.cls.node.name}")


def lacks_method(run: Interpreter, part: Value, name: str) -> bool:
    """Whether a model certainly has no method of this name."""
    if name in _MODULE_METHODS or name.startswith("__") or name == "forward":
        return False
    if isinstance(part, Container):
        return part.kind == "sequential" and name not in run.heap.read(part.id)
    if not isinstance(part, Instance) or class_attribute(run, part.cls, "__getattr__") is not None:
        return False
    return all_in_sight(part.cls) and not _declares(run, part.cls, name) and name not in instance_cell(run, part)


def all_in_sight(cls: Class) -> bool:
    """Whether a class inherits from classes of the project and `nn.Module` only."""
    return all(isinstance(base, Extern) and base.name == "torch.nn.Module" for base in foreign_bases(cls))


def _declares(run: Interpreter, cls: Class, name: str) -> bool:
    """Whether a class has an attribute of this name, or a method that sets one."""
    return class_attribute(run, cls, name) is not None or any(_setters(run, each, name) for each in linearise(cls))


def may_have(run: Interpreter, cls: Class, name: str) -> bool:
    """Whether objects of a class of the project have an attribute, as far as its code and that of torch tell."""
    known = name in _MODULE_METHODS or name in ("module", "training", "forward", "device", "hooks")
    return known or _declares(run, cls, name)


def class_attribute(run: Interpreter, cls: Class, name: str) -> Value | None:
    """An attribute of a class or of its bases in the project."""
    for item in linearise(cls):
        cell = run.heap.read(item.frame)
        found = cell.get(name)
        if found is not None:
            return imports.settle(run, found, item.path) if isinstance(found, Pending) else found
    return None


def _bound(run: Interpreter, value: Value, receiver: Value, cls: Class, node: ir.Node, on_class: bool = False) -> Value:
    """A class attribute as read from an object: functions become methods, properties are called."""
    out: list[Value] = []
    for part in alternatives(value):
        if not isinstance(part, Function):
            out.append(part)
            continue
        names = decorator_names(part.node) if isinstance(part.node, ir.FunctionDef) else []
        if "staticmethod" in names:
            out.append(part)
            continue
        if "classmethod" in names:
            out.append(Function(part.node, part.path, part.frame, cls, part.owner))
            continue
        if on_class:
            out.append(part)
            continue
        bound = Function(part.node, part.path, part.frame, receiver, part.owner)
        if any(name in ("property", "cached_property") for name in names):
            out.append(functions.call(run, bound, Args(), node))
        else:
            out.append(bound)
    return union(out)


def _super_attribute(run: Interpreter, part: Super, name: str, node: ir.Node) -> Value:
    for instance in alternatives(part.instance):
        cls = instance.cls if isinstance(instance, Instance) else instance if isinstance(instance, Class) else None
        if cls is None:
            continue
        order = linearise(cls)
        position = next((i for i, item in enumerate(order) if item.node is part.owner.node), -1)
        for item in order[position + 1 :]:
            found = run.heap.read(item.frame).get(name)
            if found is not None:
                return _bound(run, imports.settle(run, found, item.path), instance, cls, node)
    return Method(part, name)


def deferred_attribute(run: Interpreter, instance: Instance, name: str) -> Value | None:
    """What the class's other methods set an attribute to, where nobody called them in sight."""
    found: list[Value] = []
    for cls in linearise(instance.cls):
        for method in _setters(run, cls, name):
            key = (instance.id, method.id, name)
            if key in run.deferring or run.fuel <= 0 or method.name == "__init__" or method in run.stack:
                continue
            run.deferring.add(key)
            try:
                found.append(_set_by(run, instance, cls, method, name))
            finally:
                run.deferring.discard(key)
    return union(found) if found else None


def in_any_state(run: Interpreter, instance: Instance) -> None:
    """Forget the constants of an object that nobody in sight makes which its methods set anew: when they are run is not known."""
    line = linearise(instance.cls)
    init = next(
        (
            stmt
            for cls in line
            for stmt in cls.node.body
            if isinstance(stmt, ir.FunctionDef) and stmt.name == "__init__"
        ),
        None,
    )
    early = {"__init__"} if init is None else {"__init__", *run.program.mentioned(instance.cls, init)}
    own = instance_cell(run, instance)
    for name in sorted({name for cls in line for name in run.program.setters(cls.node)}):
        value = own[name] if name in own else class_attribute(run, instance.cls, name)
        if any(method.name not in early for cls in line for method in _setters(run, cls, name)) and is_state(value):
            run.heap.write(instance.id)[name] = any_state(value, f"attribute {name} of {instance.cls.node.name}")


def _set_by(run: Interpreter, instance: Instance, cls: Class, method: ir.FunctionDef, name: str) -> Value:
    """Run a method beside the present state and read what it leaves in the attribute."""
    before = run.state
    run.state = run.heap.fork()
    try:
        function = Function(method, cls.path, run.program.parents.get(cls.frame, cls.frame), instance, cls)
        functions.call_now(run, function, functions.unknown_args(run, function), method, quiet=True)
        after = run.state_now()
        return UNKNOWN if after is None else after.read(instance.id).get(name, UNKNOWN)
    finally:
        run.state = before


def _setters(run: Interpreter, cls: Class, name: str) -> list[ir.FunctionDef]:
    return run.program.setters(cls.node).get(name, [])


def set_attribute(run: Interpreter, value: Value, name: str, new: Value) -> None:
    """`value.name = new`: certain for one object, possible for each of several."""
    parts = alternatives(value)
    for part in parts:
        if isinstance(part, Instance):
            instance_cell(run, part)
        cell = part.id if isinstance(part, (Instance, Container)) else part.frame if isinstance(part, Class) else None
        if isinstance(part, Layer) and part.cell:
            cell = part.cell
        if isinstance(part, ModuleValue):
            cell = run.program.module(part.path).cell
        if isinstance(part, Unknown) and not is_anything(part):
            slot = run.program.make_slot(part, name, _unseen_attribute(part, name))
            held = run.heap.write(slot)
            held[SLOT] = new if len(parts) == 1 else join(held[SLOT], new)
        if cell is None:
            continue
        entries = run.heap.write(cell)
        key = f"={name!r}" if isinstance(part, Container) and part.kind == "dict" else name
        entries[key] = new if len(parts) == 1 or key not in entries else join(entries[key], new)


_READERS: dict[type, Callable[[Interpreter, Any, str, ir.Node], Value | None]] = {
    Extern: _extern_attribute,
    Instance: instance_attribute,
    ModuleValue: _module_attribute,
    Class: _attribute_of_class,
    Function: _function_attribute,
    Super: _super_attribute,
    Unknown: _unknown_attribute,
    Tensor: tensor_attribute,
    Tuple: _tuple_attribute,
    Container: _container_attribute,
    Layer: _layer_attribute,
    Criterion: _parameter_of,
}
"""What `value.name` is by the type of the value; None where it is known as a method only."""
