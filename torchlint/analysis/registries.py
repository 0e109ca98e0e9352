"""Registries: classes and functions kept under a name, mostly by a decorator, and taken out by what a setting says.

Which modules put something into a registry is known from their text only, as nobody need import them by name. They are
read when a name that the code does not fix is looked up.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from torchlint.analysis import attributes, containers, functions, imports, instances, invoke, ir
from torchlint.analysis.arguments import Args
from torchlint.analysis.program import collect
from torchlint.analysis.values import (
    UNKNOWN,
    Class,
    Const,
    Container,
    Function,
    Instance,
    Lazy,
    Method,
    Partial,
    Unknown,
    Value,
    alternatives,
    union,
)

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter
    from torchlint.analysis.program import ModuleInfo

_MARK = "<registry>"
_PARAMETERS = ("cfg", "registry", "default_args")
"""What a library's registry builds from, in the order in which it is given."""

WORD = "regist"
"""What the names of registries and of the functions that put something into one have in common."""


def is_made_by(name: str) -> bool:
    """Whether a library's class of this dotted name makes a registry."""
    return name.rpartition(".")[2].endswith("Registry")


def make(run: Interpreter) -> Container:
    """An empty registry of a library: a dict with methods of its own."""
    container = containers.new_dict(run, [])
    run.heap.write(container.id)[_MARK] = Const(True)
    return container


def note(run: Interpreter, info: ModuleInfo) -> None:
    """Remember the registries that a module has made, now that its body was run."""
    if info.ir is None or not any(WORD in word.lower() for word in info.ir.words):
        return
    for name, bound in list(run.heap.read(info.cell).items()):
        value = _made(name, bound)
        if isinstance(value, Container) and value.kind == "dict":
            run.program.registries[value.id] = info.path
        elif isinstance(value, Instance) and WORD in value.cls.node.name.lower():
            # Made now, so that all who register share its dicts.
            for held in attributes.instance_cell(run, value).values():
                if isinstance(held, Container) and held.kind == "dict":
                    run.program.registries[held.id] = info.path


def _made(name: str, value: Value) -> Value:
    """What a name is bound to: a registry is made now, though a class of another module makes it, which was put off."""
    named_so = name.isupper() or WORD in name.lower()
    return value.force() if isinstance(value, Lazy) and named_so else value


def complete(run: Interpreter, container: Container) -> None:
    """Read the modules that register something where a registry was made."""
    path = run.program.registries.get(container.id)
    if path is None or path in run.program.completed:
        return
    run.program.completed.add(path)
    info = run.program.module(path)
    names = {name for name in info.defs if WORD in name.lower()}
    for name, bound in list(run.program.base.get(info.cell, {}).items()):
        value = _made(name, bound)
        if isinstance(value, Container) or (isinstance(value, Instance) and WORD in value.cls.node.name.lower()):
            names.add(name)
    for other in run.program.importing(path, frozenset(names)):
        fuel = run.fuel
        imports.ensure(run, other)
        run.fuel = fuel


def builders(named: frozenset[str], modules: Iterable[ir.Module]) -> frozenset[str]:
    """Registries of these names, and the functions of the modules that made them which take classes out of them."""
    found = set(named)
    for module in modules:
        defs: dict[str, ir.Stmt] = {}
        collect(module.body, defs)
        found |= {
            name for name, stmt in defs.items() if isinstance(stmt, ir.FunctionDef) and not named.isdisjoint(stmt.words)
        }
    return frozenset(found)


def method(run: Interpreter, receiver: Container, name: str, args: Args, node: ir.Node) -> Value | None:
    """A method that registries have and dicts have not; None for any other."""
    if _MARK not in run.heap.read(receiver.id):
        return None
    if WORD in name.lower():
        return _register(run, receiver, name, args)
    if name == "build":
        return build(run, receiver, args, node)
    return None


def _register(run: Interpreter, receiver: Container, name: str, args: Args) -> Value:
    """`register(…)` of a class or function; without one it is the decorator that does so."""
    given = [*args.positional, *(args.keywords[key] for key in ("module", "obj") if key in args.keywords)]
    registered = next((value for value in given if _can_be_made(value)), None)
    if registered is None:
        return Partial(Method(receiver, name), tuple(args.positional), dict(args.keywords))
    named = args.keywords.get("name") or next((value for value in given if isinstance(value, Const)), None)
    if named is None and isinstance(registered, (Class, Function)) and not isinstance(registered.node, ir.Lambda):
        named = Const(registered.node.name)
    containers.write_key(run, receiver, UNKNOWN if named is None else named, registered)
    return registered


def _can_be_made(value: Value) -> bool:
    return not isinstance(value, (Const, Unknown, Container))


def build(run: Interpreter, registry: Container, args: Args, node: ir.Node) -> Value:
    """An object of what a configuration names: of anything registered, where the code does not fix the name."""
    config = args.get("cfg", 0) or UNKNOWN
    settings = [part for part in alternatives(config) if isinstance(part, Container) and part.kind == "dict"]
    known = [containers.read_key(run, part, Const("type")) for part in settings]
    named: Value = union(known) if known and len(known) == len(alternatives(config)) else UNKNOWN
    given = _settings(run, settings[0], args) if len(settings) == len(alternatives(config)) == 1 else None
    made = []
    parts = alternatives(containers.read_key(run, registry, named))
    for part in [part for part in parts if not _is_running(run, part)] or parts:
        if isinstance(part, Class):
            made.append(instances.construct(run, part, given, node, "setting"))
        elif isinstance(part, Function):
            made.append(functions.call(run, part, functions.unknown_args(run, part, "setting"), node))
        else:
            made.append(invoke.call(run, part, Args(others=UNKNOWN), node))
    return union(made)


def _settings(run: Interpreter, config: Container, args: Args) -> Args | None:
    """The arguments that a configuration holds; None, which stands for any, if its entries are not all known."""
    if args.keywords.keys() - {*_PARAMETERS} or len(args.positional) > len(_PARAMETERS):
        return None
    entries: dict[str, Value] = {}
    defaults = alternatives(args.get("default_args", 2) or Const(None))
    if len(defaults) > 1:
        return None
    for part in (*defaults, config):
        if isinstance(part, Const) and part.value is None:
            continue
        if not isinstance(part, Container) or part.kind != "dict" or containers.is_open(run, part):
            return None
        entries |= {str(containers.literal(key)): value for key, value in containers.dict_values(run, part).items()}
    return Args(keywords={key: value for key, value in entries.items() if key != "type"})


def _is_running(run: Interpreter, part: Value) -> bool:
    """Whether a method of a class is being run: objects that are made of parts do not hold one of their own kind."""
    return isinstance(part, Class) and any(stmt in run.stack for stmt in part.node.body)


def build_from_config(run: Interpreter, args: Args, node: ir.Node) -> Value | None:
    """`build_from_cfg(cfg, registry)` of a library; None if no registry in sight is handed to it."""
    parts = alternatives(args.get("registry", 1) or UNKNOWN)
    if len(parts) == 1 and isinstance(parts[0], Container) and _MARK in run.heap.read(parts[0].id):
        return build(run, parts[0], args, node)
    return None
