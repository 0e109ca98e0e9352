"""What Python's own functions and standard library give, as far as values flow through them."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from torchlint.analysis import attributes, containers, imports, invoke, ir, iteration, scopes, shapes, subscripts
from torchlint.analysis.arguments import Args
from torchlint.analysis.program import linearise
from torchlint.analysis.values import (
    A_FLOAT,
    AN_INT,
    MAX_ALTERNATIVES,
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
    Method,
    ModuleValue,
    Partial,
    Pending,
    Size,
    Tensor,
    Tuple,
    Union,
    Unknown,
    Value,
    alternatives,
    is_pending,
    union,
)
from torchlint.project import is_library

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


def make_dict(run: Interpreter, args: Args, node: ir.Node) -> Value:
    pairs: list[tuple[Value | None, Value]] = []
    if args.positional:
        first = alternatives(args.positional[0])
        if len(first) == 1 and isinstance(first[0], Container) and first[0].kind == "dict":
            pairs.append((None, first[0]))
        else:
            element, known = iteration.iterate(run, args.positional[0])
            for pair in known if known is not None else [element]:
                pairs.append((iteration.item(run, pair, 0), iteration.item(run, pair, 1)))
    pairs.extend((Const(key), value) for key, value in args.keywords.items())
    if args.others is not None:
        pairs.append((UNKNOWN, UNKNOWN))
    return containers.new_dict(run, pairs)


def _len(run: Interpreter, args: Args, node: ir.Node) -> Value:
    value = args.first()
    if is_pending(value):
        return shapes.size_in(value)
    part = alternatives(value)[0]
    if isinstance(value, Union) or not isinstance(part, (Tuple, Container, Size)):
        return shapes.size_in(value)
    _, known = iteration.iterate(run, part)
    return Const(len(known)) if known is not None else shapes.DIMENSION


def _range(run: Interpreter, args: Args, node: ir.Node) -> Value:
    bounds = [shapes.const_int(value) for value in args.positional]
    known = [bound for bound in bounds if bound is not None]
    if args.rest is None and 0 < len(known) == len(bounds) <= 3 and 0 not in known[2:]:
        numbers = range(*known)
        if len(numbers) <= iteration.MAX_UNROLL:
            return Tuple(tuple(Const(number) for number in numbers))
    return Items(shapes.DIMENSION)


def _enumerate(run: Interpreter, args: Args, node: ir.Node) -> Value:
    element, known = iteration.iterate(run, args.first())
    if known is not None:
        return Tuple(tuple(Tuple((Const(index), item)) for index, item in enumerate(known)))
    last = iteration.last_items(run, args.first())
    return Items(Tuple((shapes.DIMENSION, element)), last=tuple(Tuple((shapes.DIMENSION, item)) for item in last))


def _zip(run: Interpreter, args: Args, node: ir.Node) -> Value:
    if args.rest is not None and not args.positional:
        return _columns(args.rest)
    if len(args.positional) == 1 and args.rest is None:  # `zip(*rows)` of a list
        return _columns(iteration.iterate(run, args.first())[0])
    sides = [iteration.iterate(run, value) for value in args.positional]
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
        return containers.new_list(run, [], UNKNOWN)
    element, known = iteration.iterate(run, args.first())
    return containers.new_list(run, known, element)


def _tuple(run: Interpreter, args: Args, node: ir.Node) -> Value:
    if not args.positional:
        return Tuple(())
    element, known = iteration.iterate(run, args.first())
    return Tuple(tuple(known)) if known is not None else Items(element)


def _reversed(run: Interpreter, args: Args, node: ir.Node) -> Value:
    element, known = iteration.iterate(run, args.first())
    return Tuple(tuple(reversed(known))) if known is not None else Items(element)


def _next(run: Interpreter, args: Args, node: ir.Node) -> Value:
    return iteration.iterate(run, args.first())[0]


def _first(run: Interpreter, args: Args, node: ir.Node) -> Value:
    return args.first()


def _map(run: Interpreter, args: Args, node: ir.Node) -> Value:
    if len(args.positional) < 2:  # a function and what it is mapped over
        return UNKNOWN
    sides = [iteration.iterate(run, value)[0] for value in args.positional[1:]]
    return Items(invoke.call(run, args.first(), Args(sides), node))


def _getattr(run: Interpreter, args: Args, node: ir.Node) -> Value:
    name = args.get("name", 1)
    return UNKNOWN if name is None else looked_up(run, args.first(), name, node, args.get("default", 2))


def looked_up(run: Interpreter, owner: Value, name: Value, node: ir.Node, default: Value | None = None) -> Value:
    """The attribute of a value under a name, of a module any that one may ask for if the code does not fix the name."""
    parts = alternatives(name)
    if all(isinstance(part, Const) and isinstance(part.value, str) for part in parts):
        found = [attributes.attribute(run, owner, str(part.value), node) for part in parts if isinstance(part, Const)]
        if default is not None and any(isinstance(value, Unknown) for value in found):
            found.append(default)
        return union(found)
    if isinstance(owner, Extern):
        return Extern(f"{owner.name}.{subscripts.ANY_NAME}")
    if isinstance(owner, ModuleValue):
        made = _definitions(run, owner)
        if made:
            return union(made)
    return Unknown("getattr with a name that the code does not fix")


def _import_module(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """`importlib.import_module("package.module")`, under a name that the code fixes."""
    parts = alternatives(args.first())
    names = [part.value for part in parts if isinstance(part, Const) and isinstance(part.value, str)]
    if len(names) < len(parts) or any(name.startswith(".") for name in names):
        return Unknown("module of a name that the code does not fix")
    return union([run.program.imported(Pending(name, 0, ""), run.frame.path) for name in names])


_NAMED = re.compile(r"\s*([^\W\d]\w*(?:\.[^\W\d]\w*)*)\s*(\(\s*\))?\s*")


def _eval(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """`eval` of a dotted name, such as that of a layer which a setting names, and of a call of one without arguments."""
    out: list[Value] = []
    for part in alternatives(args.first()):
        found = _NAMED.fullmatch(part.value) if isinstance(part, Const) and isinstance(part.value, str) else None
        if found is None or len(args.positional) > 1:
            return Unknown("result of builtins.eval")
        first, *others = found[1].split(".")
        value = scopes.lookup(run, first)
        for name in others:
            value = attributes.attribute(run, value, name, node)
        out.append(invoke.call(run, value, Args(), node) if found[2] else value)
    return union(out)


def _globals(run: Interpreter, args: Args, node: ir.Node) -> Value:
    return Method(ModuleValue(run.frame.path), "__dict__")


def _vars(run: Interpreter, args: Args, node: ir.Node) -> Value:
    return attributes.attribute(run, args.first(), "__dict__", node) if args.positional else UNKNOWN


def _definitions(run: Interpreter, owner: ModuleValue) -> list[Value]:
    """The classes and functions of a module that one may ask for by a name from a setting, imported ones too.

    Where the module says in `__all__` what it offers, they are those.
    """
    info = imports.ensure(run, owner.path)
    found: dict[int, Value] = {}
    bound = run.program.base.get(info.cell, {})
    for name in _offered(run, bound.get("__all__", UNKNOWN)) or bound:
        if name.startswith("_"):
            continue
        for part in alternatives(imports.member(run, owner.path, name)):
            if isinstance(part, (Class, Function)):
                found[id(part.node)] = part
            elif isinstance(part, Extern) and (imports.is_loss_or_layer(run, part.name) or _may_be_model(part.name)):
                found[hash(part.name)] = part
    return list(found.values()) if len(found) <= MAX_ALTERNATIVES else []


def _offered(run: Interpreter, names: Value) -> list[str]:
    """The names in a module's `__all__`; none if the code does not fix them."""
    _, known = iteration.iterate(run, names)
    texts = [part.value for part in known or () if isinstance(part, Const) and isinstance(part.value, str)]
    return texts if len(texts) == len(known or ()) else []


def _may_be_model(name: str) -> bool:
    """Whether what a library calls so may be a model: no module that is imported whole, nothing of a library for all purposes."""
    return "." in name and not is_library(name)


def _setattr(run: Interpreter, args: Args, node: ir.Node) -> Value:
    if len(args.positional) == 3 and isinstance(args.positional[1], Const):
        attributes.set_attribute(run, args.positional[0], str(args.positional[1].value), args.positional[2])
    return Const(None)


def _isinstance(run: Interpreter, args: Args, node: ir.Node) -> Value:
    if len(args.positional) != 2 or is_pending(args.first()):  # an object and its classes
        return UNKNOWN
    parts = alternatives(args.first())
    classes = alternatives(args.positional[1])
    if len(parts) == 1 and len(classes) == 1:
        part, cls = parts[0], classes[0]
        if isinstance(part, Instance) and isinstance(cls, Class):
            return Const(any(item.node is cls.node for item in linearise(part.cls)))
        if isinstance(part, Tensor) and part.holder != "torch" and isinstance(cls, Extern):
            own = part.holder == "numpy" and cls.name == "numpy.ndarray"
            return Const(own) if own or cls.name.startswith(("torch.", "builtins.")) else UNKNOWN
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


def _partial(run: Interpreter, args: Args, node: ir.Node) -> Value:
    if not args.positional:
        return UNKNOWN
    return Partial(args.first(), tuple(args.positional[1:]), dict(args.keywords))


def _field(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """A dataclass's field: what its default is made by."""
    factory = args.keywords.get("default_factory")
    return invoke.call(run, factory, Args(), node) if factory is not None else args.keywords.get("default", UNKNOWN)


def _type(run: Interpreter, args: Args, node: ir.Node) -> Value:
    part = args.first()
    if isinstance(part, Const):
        return Extern(f"builtins.{type(part.value).__name__}")
    return part.cls if isinstance(part, Instance) else UNKNOWN


def _number(run: Interpreter, args: Args, node: ir.Node) -> Value:
    part = args.first()
    with suppress(ValueError, OverflowError):
        if isinstance(part, Const) and isinstance(part.value, (int, float, str)) and len(args.all()) == 1:  # no base
            return Const(int(part.value))
    return AN_INT


def _float(run: Interpreter, args: Args, node: ir.Node) -> Value:
    part = args.first()
    with suppress(ValueError, OverflowError):
        if isinstance(part, Const) and isinstance(part.value, (int, float, str)):
            return Const(float(part.value))
    return A_FLOAT


def _sum(run: Interpreter, args: Args, node: ir.Node) -> Value:
    element, _ = iteration.iterate(run, args.first())
    parts = alternatives(element)
    if parts and all(isinstance(part, Tensor) and part.kind == "loss" for part in parts):
        return element
    return Tensor() if all(isinstance(part, Tensor) for part in parts) else UNKNOWN


FUNCTIONS: dict[str, Callable[[Interpreter, Args, ir.Node], Value]] = {
    "builtins.len": _len,
    "builtins.range": _range,
    "builtins.enumerate": _enumerate,
    "builtins.zip": _zip,
    "builtins.list": _list,
    "builtins.set": _list,
    "builtins.tuple": _tuple,
    "builtins.dict": make_dict,
    "builtins.reversed": _reversed,
    "builtins.sorted": _list,
    "builtins.next": _next,
    "builtins.iter": _first,
    "builtins.map": _map,
    "builtins.filter": lambda run, args, node: Items(iteration.iterate(run, args.get("", 1) or UNKNOWN)[0]),
    "builtins.eval": _eval,
    "builtins.getattr": _getattr,
    "builtins.globals": _globals,
    "builtins.vars": _vars,
    "builtins.setattr": _setattr,
    "builtins.isinstance": _isinstance,
    "builtins.type": _type,
    "builtins.int": _number,
    "builtins.float": _float,
    "builtins.sum": _sum,
    "collections.OrderedDict": make_dict,
    "collections.deque": _list,
    "collections.defaultdict": lambda run, args, node: containers.new_dict(run, [(UNKNOWN, UNKNOWN)]),
    "dataclasses.field": _field,
    "functools.partial": _partial,
    "importlib.import_module": _import_module,
    "inspect.isclass": _isclass,
    "itertools.chain": lambda run, args, node: Items(union([iteration.iterate(run, a)[0] for a in args.positional])),
    "tqdm.tqdm": _first,
    "tqdm.auto.tqdm": _first,
    "tqdm.notebook.tqdm": _first,
    "random.choice": lambda run, args, node: iteration.iterate(run, args.first())[0],
    "random.choices": lambda run, args, node: Items(iteration.iterate(run, args.first())[0]),
    "random.sample": lambda run, args, node: Items(iteration.iterate(run, args.first())[0]),
    "typing.cast": lambda run, args, node: args.get("val", 1) or UNKNOWN,
}
