"""Methods of what is not of the project: tensors, modules, lists and dicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from torchlint.analysis import (
    arrays,
    attributes,
    conditions,
    containers,
    distributions,
    gradients,
    instances,
    invoke,
    ir,
    iteration,
    losses,
    operate,
    options,
    registries,
    shapes,
)
from torchlint.analysis.arguments import Args
from torchlint.analysis.values import (
    UNKNOWN,
    Class,
    Const,
    Container,
    Criterion,
    Drawn,
    Function,
    Holder,
    Instance,
    Items,
    Layer,
    Method,
    ModuleValue,
    Partial,
    Size,
    Super,
    Tensor,
    Tuple,
    Unknown,
    Value,
    alternatives,
    is_anything,
    is_batch,
    is_pending,
    join,
    later,
    union,
)

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter

_SAME = frozenset(
    "to cuda cpu half float double bfloat16 share_memory requires_grad_ apply type to_empty xpu compile _apply".split()
)


_ADDING = frozenset(("add_module", "append", "extend", "insert", "pop", "register_module"))


_SAFE_ON_TEXT: dict[str, Callable[[str], str]] = {"lower": str.lower, "upper": str.upper, "strip": str.strip}


def call(run: Interpreter, receiver: Value, name: str, args: Args, node: ir.Node) -> Value:
    if isinstance(receiver, Class):
        # The only ones that are known by their name alone make an object of what its settings say.
        return instances.construct(run, receiver, None, node, "setting")
    if isinstance(receiver, Container):
        return _container_method(run, receiver, name, args, node)
    if isinstance(receiver, (Instance, Layer, Criterion)):
        return _module_method(run, receiver, name, args, node)
    if isinstance(receiver, Drawn):
        return distributions.method(receiver, name, args)
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
        return invoke.call(run, receiver, args, node) if name == "__call__" else UNKNOWN
    invoke.escape(run, args)
    return Unknown(f"result of {name}")


def _unknown_method(run: Interpreter, receiver: Unknown, name: str, args: Args, node: ir.Node) -> Value:
    if name in _SAME or name in ("train", "eval", "detach", "clone", "contiguous"):
        if name != "detach":
            return receiver
    op = run.contracts.op_methods.get(name)
    if op is not None:
        bound = operate.bind(op, f".{name}()", [receiver, *args.positional], args.keywords, {}, args.rest is not None)
        return operate.apply(run, bound, node)
    if name in attributes.PARAMETERS and not args.positional:
        return attributes.PARAMETERS[name]
    if name in ("numpy", "tolist", "item"):
        origin = None if is_anything(receiver) else receiver
        cut = gradients.cut_here(receiver, f".{name}()", run.ref(node))
        holder: Holder = "numpy" if name == "numpy" else "torch"
        batched = is_batch(receiver)
        return Tensor(attached=False, batched=batched, sample=receiver.sample, origin=origin, cut=cut, holder=holder)
    if name == "convert" and (picture := arrays.picture(args)) is not None:
        return picture
    if name == "scale" and len(args.positional) == 1 and losses.is_loss(args.positional[0]):
        # What a gradient scaler gives is the loss, larger.
        return args.positional[0]
    if not is_anything(receiver) and (parsed := options.method(run, receiver, name, args)) is not None:
        return parsed
    if args.positional and name == "prepare":
        return _as_given(args)
    if args.positional and name in _SETS_UP:
        first = args.first()
        if is_pending(first):
            return later(lambda: _set_up(receiver, name, args), first)
        if instances.is_model(first):
            return _as_given(args)
    invoke.escape(run, args)
    if name in ("size", "dim", "numel"):
        size = shapes.size_in(receiver)
        return size if args.positional or name != "size" else Items(size)
    run.unresolved(node, receiver)
    result = _result(receiver, name, args)
    given = [value.value for value in args.all() if isinstance(value, Const)]
    if name in conditions.GETTERS and len(given) == len(args.positional) == len(args.all()):
        run.program.taken(result, receiver, name, tuple(map(repr, given)))
    return result


def _result(receiver: Unknown, name: str, args: Args) -> Unknown:
    """The result of an unknown method: a parameter may be a model, whose output is as long as its input."""
    asked = any(not isinstance(value, Const) for value in args.all())
    if receiver.source == "other" or (receiver.source == "parameter" and asked):
        return invoke.result(f"result of {name}", args, receiver.cause)
    return Unknown(f"result of {name}", receiver.source, receiver.cause, sample=receiver.sample)


_SETS_UP = frozenset(("setup", "setup_module"))


def _as_given(args: Args) -> Value:
    """What `accelerate` prepares, or Fabric sets up, is used like what it is given."""
    return args.positional[0] if len(args.positional) == 1 else Tuple(tuple(args.positional))


def _set_up(receiver: Unknown, name: str, args: Args) -> Value:
    """What a method gives that sets up a model if its first argument is one."""
    if instances.is_model(union(alternatives(args.first()))):
        return _as_given(args)
    return Unknown(f"result of {name}", receiver.source, receiver.cause)


def _tensor_method(run: Interpreter, receiver: Tensor, name: str, args: Args, node: ir.Node) -> Value:
    if receiver.holder != "torch":
        found = arrays.method(run, receiver, name, args, node)
        if found is not None:
            return found
    op = run.contracts.op_methods.get(name)
    if op is not None:
        bound = operate.bind(op, f".{name}()", [receiver, *args.positional], args.keywords, {}, args.rest is not None)
        return operate.apply(run, bound, node)
    if name == "size":
        if args.positional:
            number = shapes.const_int(args.positional[0])
            dims = receiver.shape.dims if receiver.shape is not None and not receiver.shape.open else ()
            if number is not None and -len(dims) <= number < len(dims) and isinstance(dims[number], int):
                return Const(dims[number])
            return shapes.size_in(receiver)
        return Size(receiver)
    if name in ("item", "tolist", "numpy"):
        origin = receiver if receiver.kind == "unknown" and receiver.origin is None else receiver.origin
        cut = gradients.cut_here(receiver, f".{name}()", run.ref(node))
        return msgspec.structs.replace(
            receiver,
            attached=False,
            squeezed=None,
            flattened=None,
            origin=origin,
            per_sample=None,
            sum_of=None,
            cut=cut,
            holder="numpy" if name == "numpy" else "torch",
        )
    if name in ("dim", "numel", "nelement", "ndimension"):
        return shapes.DIMENSION
    if name in ("backward", "requires_grad_", "retain_grad", "register_hook"):
        return receiver
    return Tensor(batched=receiver.batched, sample=receiver.sample)


def _module_method(run: Interpreter, receiver: Value, name: str, args: Args, node: ir.Node) -> Value:
    if name in _SAME:
        return receiver
    if name in ("forward", "__call__"):
        if isinstance(receiver, Instance):
            inherited = instances.call_module if name == "__call__" else instances.call_foreign
            return inherited(run, receiver, args, node)
        return invoke.call_one(run, receiver, args, node)
    if name in attributes.PARAMETERS:
        return attributes.PARAMETERS[name]
    if name in ("train", "eval"):
        if isinstance(receiver, Instance):
            mode = args.first() if name == "train" and args.positional else Const(name == "train")
            attributes.instance_cell(run, receiver)
            run.heap.write(receiver.id)["training"] = mode
        return receiver
    if isinstance(receiver, Instance):
        if name in ("add_module", "register_module", "register_buffer", "register_parameter"):
            key, value = args.get("name", 0), args.get("module", 1) or args.get("tensor", 1) or UNKNOWN
            if isinstance(key, Const):
                attributes.set_attribute(run, receiver, str(key.value), value)
            return Const(None)
        if name in ("children", "modules"):
            cell = attributes.instance_cell(run, receiver)
            return Items(union([v for v in cell.values() if isinstance(v, (Instance, Layer, Container))]))
        if name in ("append", "extend", "insert") and "<items>" in attributes.instance_cell(run, receiver):
            inner = Container(receiver.id, "list")
            return _container_method(run, inner, name, args, node)
    invoke.escape(run, args)
    return Unknown(f"result of {name}")


def _super_method(run: Interpreter, receiver: Super, name: str, args: Args, node: ir.Node) -> Value:
    """A method that only a library's class has."""
    for part in alternatives(receiver.instance):
        if isinstance(part, Class) and name.startswith(attributes.LOADERS):
            return instances.construct(run, part, None, node, "setting")
        if not isinstance(part, Instance):
            continue
        if name == "__init__":
            instances.base_init(run, part, args, node)
            return Const(None)
        if name == "__setattr__" and len(args.positional) == 2 and isinstance(args.positional[0], Const):
            attributes.set_attribute(run, part, str(args.positional[0].value), args.positional[1])
            return Const(None)
        return _module_method(run, part, name, args, node)
    return Unknown(f"result of {name}")


def _container_method(run: Interpreter, receiver: Container, name: str, args: Args, node: ir.Node) -> Value:
    if receiver.kind == "dict":
        return _dict_method(run, receiver, name, args, node)
    if name == "append":
        containers.append(run, receiver, [args.first()])
    elif name in ("extend",):
        iteration.extend(run, receiver, args.first())
    elif name == "add_module":
        value = args.get("module", 1) or UNKNOWN
        containers.append(run, receiver, [value])
        key = args.get("name", 0)
        if isinstance(key, Const):
            run.heap.write(receiver.id)[str(key.value)] = value
    elif name == "insert":
        value = args.get("", 1) or UNKNOWN
        if shapes.const_int(args.first()) == 0:
            containers.set_contents(run, receiver, _prepended(run, receiver, value))
        else:
            containers.set_contents(run, receiver, Items(join(iteration.iterate(run, receiver)[0], value)))
    elif name == "pop":
        number = shapes.const_int(args.first()) if args.positional else -1
        result = iteration.item(run, receiver, number) if number is not None else UNKNOWN
        iteration.take_out(run, receiver, number)
        return result
    elif name in ("copy",):
        return receiver
    elif name in ("clear",):
        containers.set_contents(run, receiver, Tuple(()))
    elif name in ("train", "eval") or name in _SAME:
        return receiver
    elif name in ("forward", "__call__") and receiver.kind == "sequential":
        return invoke.call_one(run, receiver, args, node)
    elif name in ("children", "modules", "__iter__"):
        return containers.list_contents(run, receiver)
    elif name in ("remove", "sort", "reverse", "__setitem__", "__delitem__"):
        containers.set_contents(run, receiver, Items(iteration.iterate(run, receiver)[0]))
    else:
        return Unknown(f"result of {name}")
    return receiver if receiver.kind == "sequential" else Const(None)


def _prepended(run: Interpreter, receiver: Container, value: Value) -> Value:
    out: list[Value] = []
    for part in alternatives(containers.list_contents(run, receiver)):
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
        found = containers.read_key(run, receiver, args.first())
        default = args.get("default", 1) or (Const(None) if name == "get" else None)
        if default is None or containers.has_key(run, receiver, args.first()):
            return found
        return default if isinstance(found, Unknown) and found.reason == "missing key" else join(found, default)
    if name == "setdefault":
        containers.write_key(run, receiver, args.first(), args.get("", 1) or Const(None))
        return containers.read_key(run, receiver, args.first())
    if name == "update":
        for value in args.positional:
            containers.update(run, receiver, value)
        for key, value in args.keywords.items():
            containers.write_key(run, receiver, Const(key), value)
        return Const(None)
    entries = containers.dict_values(run, receiver)
    complete = "*" not in run.heap.read(receiver.id)
    if name == "items":
        rows = [Tuple((Const(containers.literal(key)), value)) for key, value in entries.items()]
        return Tuple(tuple(rows)) if complete else Items(Tuple((UNKNOWN, containers.read_key(run, receiver, UNKNOWN))))
    if name == "values":
        return Tuple(tuple(entries.values())) if complete else Items(containers.read_key(run, receiver, UNKNOWN))
    if name == "keys":
        return Tuple(tuple(Const(containers.literal(key)) for key in entries)) if complete else Items(UNKNOWN)
    if name in ("train", "eval", "copy") or name in _SAME:
        return receiver
    held = entries.get(repr(name))
    if held is not None:
        return invoke.call(run, held, args, node)
    return Unknown(f"result of {name}")
