"""Attributes, items and containers: how values are kept in objects and taken out of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from torchlint.analysis import arrays, builtin, functions, ir, operate, registries, shapes
from torchlint.analysis.arguments import Args
from torchlint.analysis.program import SLOT, decorator_names, foreign_bases, linearise
from torchlint.analysis.state import INIT
from torchlint.analysis.values import (
    TOO_MANY,
    UNKNOWN,
    Class,
    Const,
    Container,
    Criterion,
    Dim,
    Extern,
    Function,
    Instance,
    Items,
    Layer,
    Lazy,
    Method,
    ModuleValue,
    Partial,
    Pending,
    Shape,
    Size,
    Super,
    Tensor,
    Tuple,
    Unknown,
    Value,
    alternatives,
    either,
    guarded,
    is_batch,
    is_pending,
    join,
    may_learn,
    narrow,
    union,
)
from torchlint.contracts import Kind

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter

MAX_ITEMS = 64
"""Lists longer than this are known by the kinds of their items only."""

_ITEMS = "<items>"
_ANY = "*"

ANY = "<any>"
"""The name in a library's module of something that is chosen by its name while the program runs."""

DIMENSION = Tensor("class_index", shape=Shape(()), dtype="int", attached=False)
"""The size of a dimension."""


# ---- attributes


def attribute(run: Interpreter, value: Value, name: str, node: ir.Node) -> Value:
    """`value.name`, not called."""
    if is_pending(value):
        assumed = run.heap.assumed

        def compute() -> Value:
            settled = either(guarded(value))
            with run.assuming(assumed):
                return attribute(run, settled, name, node)

        return operate.later(compute, value)
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
    if name == "newaxis" and part.name == "numpy":
        return Const(None)
    return Extern(run.program.canonical(f"{part.name}.{name}"))


def _module_attribute(run: Interpreter, part: ModuleValue, name: str, node: ir.Node) -> Value:
    if name == "__dict__":
        return Method(part, name)
    if run.can_wait(part.path):
        return operate.later(lambda: run.member(part.path, name))
    return run.member(part.path, name)


def _attribute_of_class(run: Interpreter, part: Class, name: str, node: ir.Node) -> Value:
    found = class_attribute(run, part, name)
    if found is None:
        if name == "__name__":
            return Const(part.node.name)
        if name.startswith(LOADERS) and foreign_bases(part):
            return Method(part, name)
        return UNKNOWN if name.startswith("__") else Unknown(f"attribute {name} of {part.node.name}")
    return _bound(run, found, part, part, node, on_class=True)


LOADERS = ("from_", "load_from_")
"""How the class methods begin by which a library's base class makes an object: from weights, a checkpoint or settings."""


def _function_attribute(run: Interpreter, part: Function, name: str, node: ir.Node) -> Value | None:
    return Const(part.node.name) if name == "__name__" and isinstance(part.node, ir.FunctionDef) else None


def _unknown_attribute(run: Interpreter, part: Unknown, name: str, node: ir.Node) -> Value:
    slot = run.program.slot(part, name)
    if slot is not None:
        return narrow(run.heap.read(slot)[SLOT], run.heap.assumed)
    return _unseen_attribute(part, name)


def _unseen_attribute(part: Unknown, name: str) -> Unknown:
    reason = part.reason if part.source != "other" else f"attribute {name}"
    return Unknown(reason, part.source, part.cause)


def _tuple_attribute(run: Interpreter, part: Tuple, name: str, node: ir.Node) -> Value | None:
    if name in ("values", "indices") and len(part.items) == 2:  # a pair
        return part.items[0 if name == "values" else 1]
    return None


def _container_attribute(run: Interpreter, part: Container, name: str, node: ir.Node) -> Value | None:
    if part.kind == "dict":
        found = read_key(run, part, Const(name))
        return None if isinstance(found, Unknown) else found
    return run.heap.read(part.id).get(name) if part.kind == "sequential" else None


def _layer_attribute(run: Interpreter, part: Layer, name: str, node: ir.Node) -> Value | None:
    found = run.heap.read(part.cell).get(name) if part.cell else part.options.get(name)
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
    bases = foreign_bases(part.cls)
    if not all(isinstance(base, Extern) and base.name == "torch.nn.Module" for base in bases):
        return False
    known = class_attribute(run, part.cls, name) is not None or name in instance_cell(run, part)
    return not known and not any(_setters(run, cls, name) for cls in linearise(part.cls))


def class_attribute(run: Interpreter, cls: Class, name: str) -> Value | None:
    """An attribute of a class or of its bases in the project."""
    for item in linearise(cls):
        cell = run.heap.read(item.frame)
        found = cell.get(name)
        if found is not None:
            return run.settle(found, item.path) if isinstance(found, Pending) else found
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
                return _bound(run, run.settle(found, item.path), instance, cls, node)
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


def methods_to_loss(run: Interpreter, cls: Class) -> list[Function]:
    """The methods of a class, inherited ones too, that may reach a loss; its constructor apart."""
    out: dict[str, Function] = {}
    for item in linearise(cls):
        for stmt in item.node.body:
            if isinstance(stmt, ir.FunctionDef) and stmt.name not in out and stmt.name != "__init__":
                found = run.heap.read(item.frame).get(stmt.name)
                if isinstance(found, Function) and run.program.relevant(stmt, cls):
                    out[stmt.name] = found
    return list(out.values())


def methods_to_threshold(run: Interpreter, cls: Class) -> list[Function]:
    """The methods of a class itself that compare something with a threshold, or hand it to one of its methods that does."""
    comparing = frozenset(
        f".{stmt.name}"
        for item in linearise(cls)
        for stmt in item.node.body
        if isinstance(stmt, ir.FunctionDef) and ir.THRESHOLD in stmt.words
    )
    found = (
        run.heap.read(cls.frame).get(stmt.name)
        for stmt in cls.node.body
        if isinstance(stmt, ir.FunctionDef) and (ir.THRESHOLD in stmt.words or not comparing.isdisjoint(stmt.words))
    )
    return [function for function in found if isinstance(function, Function)]


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
        if isinstance(part, Unknown) and part not in (UNKNOWN, TOO_MANY):
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

_MODULE_METHODS = frozenset(
    "to cuda cpu half float double bfloat16 share_memory requires_grad_ apply type to_empty train eval add_module "
    "register_module register_buffer register_parameter parameters named_parameters state_dict load_state_dict children "
    "named_children modules named_modules zero_grad save_hyperparameters log log_dict buffers append extend insert "
    "manual_backward post_init xpu compile __call__".split()
)


# ---- lists, tuples, dicts


def new_list(run: Interpreter, items: Sequence[Value] | None, element: Value) -> Container:
    """A list with these items, or any number of `element`."""
    cell = run.program.new_cell()
    known = items is not None and len(items) <= MAX_ITEMS
    content = Tuple(tuple(items)) if known and items is not None else Items(element)
    run.heap.write(cell)[_ITEMS] = content
    return Container(cell, "list")


def new_dict(run: Interpreter, pairs: Sequence[tuple[Value | None, Value]]) -> Container:
    """A dict of these pairs; a key of None spreads another dict."""
    cell = run.program.new_cell()
    container = Container(cell, "dict")
    run.heap.write(cell)
    for key, value in pairs:
        if key is not None:
            write_key(run, container, key, value)
            continue
        update(run, container, value)
    return container


def update(run: Interpreter, container: Container, value: Value) -> None:
    """`container.update(value)`: what each of several dicts has is one of the possibilities of its entry."""
    held = [
        run.heap.read(part.id) for part in alternatives(value) if isinstance(part, Container) and part.kind == "dict"
    ]
    if len(held) < sum(not isinstance(part, Tensor) for part in alternatives(value)):  # no tensor can be handed in
        write_key(run, container, UNKNOWN, UNKNOWN)
    entries = run.heap.write(container.id)
    before = dict(entries)
    for key in {key: None for each in held for key in each}:
        values = [each.get(key, before.get(key)) for each in held]
        if key == _ANY:
            values.append(before.get(key))
        entries[key] = union([item for item in values if item is not None])


def _key(value: Value) -> str | None:
    parts = alternatives(value)
    if len(parts) == 1 and isinstance(parts[0], Const):
        return f"={parts[0].value!r}"
    return None


def write_key(run: Interpreter, container: Container, key: Value, value: Value) -> None:
    """`container[key] = value`."""
    entries = run.heap.write(container.id)
    name = _key(key)
    if name is not None:
        entries[name] = value
    else:
        entries[_ANY] = join(entries[_ANY], value) if _ANY in entries else value


def read_key(run: Interpreter, container: Container, key: Value) -> Value:
    """`container[key]`: every value that it may be."""
    entries = run.heap.read(container.id)
    name = _key(key)
    if name is not None:
        found = entries.get(name)
        if found is not None:
            return narrow(found, run.heap.assumed)
    if container.id in run.program.registries:
        registries.complete(run, container)
        entries = run.heap.read(container.id)
    if name is not None:
        return entries.get(name) or entries.get(_ANY) or Unknown("missing key")
    values = [value for entry, value in entries.items() if entry[:1] in ("=", _ANY)]
    return union(values) if values else UNKNOWN


def has_key(run: Interpreter, container: Container, key: Value) -> bool:
    """Whether a dict certainly has an entry under this key."""
    return _key(key) in run.heap.read(container.id)


def dict_values(run: Interpreter, container: Container) -> dict[str, Value]:
    """The entries of a dict whose keys are known, by `repr` of the key."""
    return {key[1:]: value for key, value in run.heap.read(container.id).items() if key[:1] == "="}


def is_open(run: Interpreter, container: Container) -> bool:
    """Whether a dict may have entries under keys that are not known."""
    return _ANY in run.heap.read(container.id)


def list_contents(run: Interpreter, container: Container) -> Value:
    """The items of a list: a Tuple, Items, or several of them."""
    return run.heap.read(container.id).get(_ITEMS, Items(UNKNOWN))


def set_contents(run: Interpreter, container: Container, content: Value) -> None:
    """Replace the items of a list."""
    run.heap.write(container.id)[_ITEMS] = content


def append(run: Interpreter, container: Container, values: Sequence[Value]) -> None:
    """Put values at the end of a list."""
    out: list[Value] = []
    for part in alternatives(list_contents(run, container)):
        if isinstance(part, Tuple) and len(part.items) + len(values) <= MAX_ITEMS:
            out.append(Tuple((*part.items, *values)))
        elif isinstance(part, Tuple):
            out.append(Items(union((*part.items, *values))))
        elif isinstance(part, Items):
            out.append(Items(union((part.element, *values))))
        else:
            out.append(Items(UNKNOWN))
    set_contents(run, container, union(out))


def extend_list(run: Interpreter, left: Value, right: Value) -> bool:
    """`list += right`, in place; False if `left` is no list."""
    parts = alternatives(left) if not is_pending(left) else ()
    if len(parts) != 1 or not isinstance(parts[0], Container) or parts[0].kind == "dict":
        return False
    extend(run, parts[0], right)
    return True


def extend(run: Interpreter, container: Container, values: Value) -> None:
    """Put all items of a value at the end of a list."""
    element, known = iterate(run, values)
    if known is not None:
        append(run, container, known)
        return
    before, _ = iterate(run, container)
    several = alternatives(list_contents(run, container))
    empty = all(isinstance(part, Tuple) and not part.items for part in several)
    set_contents(run, container, Items(element if empty else join(before, element)))


def added(run: Interpreter, op: str, left: Value, right: Value) -> Value | None:
    """`left + right` of two lists or tuples, `list * n`; None for anything else."""
    lefts, rights = alternatives(left), alternatives(right)
    if len(lefts) != 1 or len(rights) != 1:
        return None
    a, b = lefts[0], rights[0]
    sequences = [isinstance(p, Tuple) or (isinstance(p, Container) and p.kind != "dict") for p in (a, b)]
    if op == "+" and all(sequences):
        first, known_first = iterate(run, a)
        second, known_second = iterate(run, b)
        items = [*known_first, *known_second] if known_first is not None and known_second is not None else None
        if isinstance(a, Tuple) and items is not None:
            return Tuple(tuple(items))
        return new_list(run, items, join(first, second))
    if op == "*" and sequences[0] and not isinstance(b, Tensor):
        return new_list(run, None, iterate(run, a)[0])
    if any(sequences):
        return UNKNOWN
    return None


def iterate(run: Interpreter, value: Value) -> tuple[Value, list[Value] | None]:
    """What going over a value gives: any item, and all of them in order if they are known."""
    parts = alternatives(value)
    if len(parts) == 1:
        return _iterate(run, parts[0])
    # A list that a loop fills is empty before it: what it holds then is of no interest.
    filled = [part for part in parts if not (isinstance(part, Tuple) and not part.items)]
    return union([_iterate(run, part)[0] for part in filled or parts]), None


def _iterate(run: Interpreter, part: Value) -> tuple[Value, list[Value] | None]:
    if isinstance(part, Tuple):
        return (union(part.items) if part.items else UNKNOWN), list(part.items)
    if isinstance(part, Items):
        return part.element, None
    if isinstance(part, Size):
        shape = part.tensor.shape
        if shape is None or shape.open:
            return DIMENSION, None
        return DIMENSION, [Const(dim) if isinstance(dim, int) else DIMENSION for dim in shape.dims]
    if isinstance(part, Container) and part.kind != "dict":
        return iterate(run, list_contents(run, part))
    if isinstance(part, Container):
        keys = dict_values(run, part)
        known = [Const(literal(key)) for key in keys]
        complete = _ANY not in run.heap.read(part.id)
        return (union(known) if known and complete else UNKNOWN), (list(known) if complete else None)
    if isinstance(part, Tensor):
        return _row(part), None
    if isinstance(part, Instance):
        return _iterate_instance(run, part)
    if isinstance(part, Unknown):
        return Unknown(part.reason, "batch", part.cause), None
    return UNKNOWN, None


def _iterate_instance(run: Interpreter, part: Instance) -> tuple[Value, list[Value] | None]:
    content = instance_cell(run, part).get(_ITEMS)
    if content is not None:
        return iterate(run, content)
    method = class_attribute(run, part.cls, "__iter__")
    if isinstance(method, Function):
        bound = Function(method.node, method.path, method.frame, part, method.owner)
        result = functions.call(run, bound, Args(), method.node)
        if not any(isinstance(p, Instance) for p in alternatives(result)):
            return iterate(run, result)
    return Unknown("item of an object", "batch"), None


def literal(text: str) -> object:
    if text[:1] in "'\"":
        return text[1:-1]
    try:
        return int(text)
    except ValueError:
        return text


def _row(part: Tensor) -> Tensor:
    shape = part.shape
    rest = None if shape is None or shape.open or not shape.dims else Shape(shape.dims[1:])
    kind = part.kind if part.dim != 0 else "unknown"
    return msgspec.structs.replace(part, kind=kind, dim=None, shape=rest, squeezed=None, flattened=None)


def item(run: Interpreter, value: Value, index: int) -> Value:
    """The item at a known position."""
    if is_pending(value):
        return operate.later(lambda: item(run, union(alternatives(value)), index), value)
    out: list[Value] = []
    for part in alternatives(value):
        if isinstance(part, Size):
            dims = iterate(run, part)[1] or []
            out.append(dims[index] if -len(dims) <= index < len(dims) else DIMENSION)
        elif isinstance(part, Tuple):
            inside = -len(part.items) <= index < len(part.items)
            out.append(part.items[index] if inside else UNKNOWN)
        elif isinstance(part, Container) and part.kind != "dict":
            out.append(_item_of_list(run, part, index))
        elif isinstance(part, Unknown):
            # Another object: the items of something unknown are not the same value.
            out.append(Unknown(part.reason, part.source, part.cause))
        elif isinstance(part, Instance):
            found = instance_cell(run, part).get(_ITEMS)
            out.append(item(run, found, index) if found is not None else UNKNOWN)
        else:
            out.append(_iterate(run, part)[0])
    return union(out)


def _item_of_list(run: Interpreter, part: Container, index: int) -> Value:
    out: list[Value] = []
    for content in alternatives(list_contents(run, part)):
        if isinstance(content, Tuple):
            if -len(content.items) <= index < len(content.items):
                out.append(content.items[index])
        elif isinstance(content, Items):
            out.append(content.element)
        else:
            out.append(UNKNOWN)
    return union(out) if out else UNKNOWN


def subscript(run: Interpreter, value: Value, node: ir.Subscript) -> Value:
    """`value[index]`."""
    index = node.index
    if isinstance(index, ir.Slice) or (isinstance(index, ir.Sequence) and index.kind == "tuple"):
        return sliced(run, value, index, node)
    key = run.eval(index)
    if is_pending(value):
        return operate.later(lambda: _subscript(run, union(alternatives(value)), key, node), value)
    return _subscript(run, value, key, node)


def _subscript(run: Interpreter, value: Value, key: Value, node: ir.Subscript) -> Value:
    number = shapes.const_int(key) if not is_pending(key) else None
    value = _with_entry(run, value, key)
    return union([_subscript_one(run, part, key, number, node) for part in alternatives(value)])


def _with_entry(run: Interpreter, value: Value, key: Value) -> Value:
    """The possibilities that may have an entry under a name: a tensor has none, a dict with other keys has not this one."""
    parts = alternatives(value)
    if (
        len(parts) == 1
        or is_pending(key)
        or not all(isinstance(p, Const) and type(p.value) is str for p in alternatives(key))
    ):
        return value
    kept = [part for part in parts if not isinstance(part, Tensor) and not _lacks(run, part, key)]
    return union(kept) if 0 < len(kept) < len(parts) else value


def _lacks(run: Interpreter, part: Value, key: Value) -> bool:
    """Whether a value is a dict of known keys without this one."""
    if not isinstance(part, Container) or part.kind != "dict" or part.id in run.program.registries:
        return False
    name, entries = _key(key), run.heap.read(part.id)
    return name is not None and name not in entries and _ANY not in entries


def _subscript_one(run: Interpreter, part: Value, key: Value, number: int | None, node: ir.Subscript) -> Value:
    if isinstance(part, Container) and part.kind == "dict":
        return read_key(run, part, key)
    if isinstance(part, (Tuple, Container, Size)):
        return item(run, part, number) if number is not None else iterate(run, part)[0]
    if isinstance(part, Instance):
        if _ITEMS in instance_cell(run, part):
            return item(run, part, number) if number is not None else iterate(run, part)[0]
        method = instance_attribute(run, part, "__getitem__", node)
        if isinstance(method, Function):
            return functions.call(run, method, Args([key]), node)
        return UNKNOWN
    if isinstance(part, Tensor):
        return _picked(part, key, number)
    if isinstance(part, Items):
        return part.element
    if isinstance(part, Unknown):
        return Unknown(part.reason, part.source, part.cause)
    if isinstance(part, Class):
        return part
    if isinstance(part, Method) and part.name == "__dict__":
        return builtin.looked_up(run, part.receiver, key, node)
    if isinstance(part, Extern) and part.name.endswith(".__dict__"):
        name = _key(key)
        known = str(literal(name[1:])) if name is not None else ANY
        return Extern(f"{part.name.removesuffix('.__dict__')}.{known}")
    return UNKNOWN


def _picked(part: Tensor, key: Value, number: int | None) -> Value:
    """`tensor[i]`, `tensor[mask]`, `tensor[indices]`: entries of it."""
    if part.holder == "pandas" and number is None and (found := arrays.column(part, key)) is not None:
        return found
    keys = alternatives(key)
    row = number is not None or all(isinstance(p, Tensor) and p.shape == Shape(()) for p in keys)
    if row:
        return _row(part)
    kind = part.kind if part.dim != 0 else "unknown"
    origin = part if part.kind == "unknown" and part.origin is None else part.origin
    return msgspec.structs.replace(part, kind=kind, shape=None, squeezed=None, flattened=None, origin=origin)


def sliced(run: Interpreter, value: Value, index: ir.Expr, node: ir.Subscript) -> Value:
    """`value[a:b]`, `value[:, 0]`, `value[..., None]`."""
    parts = index.items if isinstance(index, ir.Sequence) else (index,)
    keys = [UNKNOWN if isinstance(p, (ir.Slice, ir.Dots)) else run.eval(p) for p in parts]
    if is_pending(value):
        return operate.later(lambda: _sliced(run, union(alternatives(value)), parts, keys), value)
    return _sliced(run, value, parts, keys)


def _sliced(run: Interpreter, value: Value, parts: Sequence[ir.Expr], keys: Sequence[Value]) -> Value:
    out: list[Value] = []
    for part in alternatives(value):
        if isinstance(part, Tensor):
            out.append(_slice_tensor(part, parts, keys))
        elif len(parts) == 1 and isinstance(parts[0], ir.Slice):
            out.append(_slice_sequence(run, part, parts[0]))
        elif isinstance(part, Container) and part.kind == "dict":
            out.append(iterate(run, UNKNOWN)[0])
        elif isinstance(part, Unknown):
            out.append(Tensor(batched=is_batch(part), cause=part.cause))
        else:
            out.append(UNKNOWN)
    return union(out)


def _slice_sequence(run: Interpreter, part: Value, bounds: ir.Slice) -> Value:
    if isinstance(part, Unknown):
        return part
    if isinstance(part, Size):
        dims = iterate(run, part)[1]
        part = Tuple(tuple(dims)) if dims is not None else Items(DIMENSION)
    content = list_contents(run, part) if isinstance(part, Container) and part.kind != "dict" else part
    items = alternatives(content)
    if len(items) == 1 and isinstance(items[0], Tuple):
        low, high, step = (_bound_of(run, edge) for edge in (bounds.lower, bounds.upper, bounds.step))
        if None not in (low, high, step):
            kept = items[0].items[_plain(low) : _plain(high) : _plain(step)]
            if isinstance(part, Container):
                container = new_list(run, kept, UNKNOWN)
                return Container(container.id, part.kind)
            return Tuple(kept)
    element, _ = iterate(run, part)
    if isinstance(part, Container):
        container = new_list(run, None, element)
        return Container(container.id, part.kind)
    return Items(element)


_ABSENT = "absent"


def _bound_of(run: Interpreter, node: ir.Expr | None) -> int | str | None:
    if node is None:
        return _ABSENT
    return shapes.const_int(run.eval(node))


def _plain(edge: int | str | None) -> int | None:
    return edge if isinstance(edge, int) else None


def _slice_tensor(part: Tensor, parts: Sequence[ir.Expr], keys: Sequence[Value]) -> Tensor:
    """Slices keep dimensions, integers take them away, None adds one; anything else leaves the shape open."""
    shape = part.shape
    whole = all(isinstance(p, ir.Slice) and p.lower is None and p.upper is None for p in parts)
    dims = _sliced_dims(shape, parts, keys)
    keeps_simplex = part.dim is not None and whole
    kind = part.kind
    if kind in ("simplex", "log_simplex") and not whole:
        kind = "probability" if kind == "simplex" else "log_probability"
    dim = part.dim if keeps_simplex else None
    column = shape is not None and not shape.open and len(shape.dims) == 2 and shape.dims[1] == 1
    one_each = column and dims is not None and dims.rank == 1
    return msgspec.structs.replace(
        part, kind=kind, dim=dim, shape=dims, squeezed=None, flattened=None, one_each=one_each, regrouped=None
    )


def _sliced_dims(shape: Shape | None, parts: Sequence[ir.Expr], keys: Sequence[Value]) -> Shape | None:
    steps: list[str] = []
    for part, key in zip(parts, keys, strict=True):
        if isinstance(part, ir.Slice):
            steps.append("all" if part.lower is None and part.upper is None else "some")
        elif isinstance(part, ir.Dots):
            steps.append("...")
        elif isinstance(key, Const) and key.value is None:
            steps.append("new")
        elif (isinstance(key, Const) and isinstance(key.value, (int, str))) or (
            isinstance(key, Tensor) and key.dtype == "int" and key.shape == Shape(())
        ):
            steps.append("one")
        else:
            return None
    if shape is None or shape.open:
        if steps == ["...", "new"]:
            return Shape((*(shape.dims if shape else ()), 1), True)
        if steps == ["all", "new"] and shape is None:
            return None
        return None
    taken = sum(step in ("all", "some", "one") for step in steps)
    dims: list[Dim] = []
    position = 0
    for step in steps:
        if step == "new":
            dims.append(1)
        elif step == "...":
            rest = len(shape.dims) - taken
            dims.extend(shape.dims[position : position + rest])
            position += rest
        else:
            if position >= len(shape.dims):
                return None
            if step == "all":
                dims.append(shape.dims[position])
            elif step == "some":
                dims.append(None)
            position += 1
    return Shape((*dims, *shape.dims[position:]))


def set_item(run: Interpreter, target: ir.Subscript, value: Value) -> None:
    """`container[index] = value`."""
    owner = run.eval(target.value)
    if isinstance(target.index, ir.Slice) or is_pending(owner):
        key: Value = UNKNOWN
    else:
        key = run.eval(target.index)
    for part in alternatives(owner):
        if isinstance(part, Container) and part.kind == "dict":
            write_key(run, part, key, value)
        elif isinstance(part, Container):
            _set_list_item(run, part, key, value)
        elif isinstance(part, Method) and isinstance(part.receiver, Layer) and part.receiver.cell:
            # `model.classifier[6] = ...`: which of the layers it is, and what comes behind it, is not known.
            if not (isinstance(value, Layer) and value.op.gives == "raw"):
                run.heap.write(part.receiver.cell)[part.name] = UNKNOWN
        elif isinstance(part, Unknown) and isinstance(target.value, ir.Name) and isinstance(key, Const):
            # An unknown mapping of which one entry is known from here on.
            run.assign(target.value, new_dict(run, [(UNKNOWN, part), (key, value)]))
        elif isinstance(part, Tensor) and isinstance(target.value, (ir.Name, ir.Attribute)):
            run.assign(target.value, _overwritten(part, value))


def delete_item(run: Interpreter, target: ir.Subscript) -> None:
    """`del container[index]`."""
    key = UNKNOWN if isinstance(target.index, ir.Slice) else run.eval(target.index)
    number = shapes.const_int(key)
    for part in alternatives(run.eval(target.value)):
        if not isinstance(part, Container):
            continue
        if part.kind == "dict":
            run.heap.write(part.id).pop(_key(key) or "", None)
            continue
        take_out(run, part, number)


def take_out(run: Interpreter, container: Container, number: int | None) -> None:
    """Take the item at a position out of a list; None for one that is not known."""
    out: list[Value] = []
    for content in alternatives(list_contents(run, container)):
        if isinstance(content, Tuple) and number is not None and -len(content.items) <= number < len(content.items):
            items = list(content.items)
            del items[number]
            out.append(Tuple(tuple(items)))
        else:
            out.append(Items(_iterate(run, content)[0]))
    set_contents(run, container, union(out))


def _overwritten(part: Tensor, value: Value) -> Value:
    """A tensor some entries of which were set: the kind stays only if the entries are of the same kind."""
    news = alternatives(value)
    first = news[0]
    if part.blank and part.kind == "unknown" and isinstance(first, Tensor) and first.kind != "unknown":
        # Zeros or ones to be filled: what was not set is 0 or 1, which any kind may hold.
        filled: Kind = "probability" if first.kind == "simplex" else first.kind
        part = msgspec.structs.replace(
            part, kind=filled, activation=first.activation, attached=first.attached, trail=first.trail
        )
    same = all(isinstance(new, Tensor) and new.kind in (part.kind, "simplex") for new in news)
    kind = part.kind if same else "unknown"
    attached = part.attached or may_learn(value)
    return msgspec.structs.replace(part, kind=kind, blank=same and part.blank, dim=None, origin=None, attached=attached)


def _set_list_item(run: Interpreter, part: Container, key: Value, value: Value) -> None:
    number = shapes.const_int(key)
    out: list[Value] = []
    for content in alternatives(list_contents(run, part)):
        if isinstance(content, Tuple) and number is not None and -len(content.items) <= number < len(content.items):
            items = list(content.items)
            items[number] = value
            out.append(Tuple(tuple(items)))
        elif isinstance(content, Tuple):
            out.append(Items(union((*content.items, value))))
        elif isinstance(content, Items):
            out.append(Items(join(content.element, value)))
        else:
            out.append(content)
    set_contents(run, part, union(out))


__all__ = ["Partial", "attribute", "subscript"]
