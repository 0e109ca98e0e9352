"""Modules of the project: their bodies, run when a name of them is first needed, and what imports and stars bind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchlint.analysis import definitions, ir, registries, uncalled
from torchlint.analysis.frames import Frame
from torchlint.analysis.program import ModuleInfo
from torchlint.analysis.state import State
from torchlint.analysis.values import UNKNOWN, Const, Extern, Function, ModuleValue, Pending, Unknown, Value

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


MAX_STARS = 16
"""A package that imports more modules with a star is a catalogue: its names are not sought in all of them."""

MODULE_FUEL = 30_000
"""Steps that running one module's body may take, all that it calls included."""

_MODULES_OFTEN_STARRED = frozenset({"torch.nn", "torch.nn.functional", "torch.optim"})


def ensure(run: Interpreter, path: str) -> ModuleInfo:
    """Run a module's body if nobody has begun to."""
    info = run.program.module(path)
    if info.started or info.ir is None:
        return info
    info.started = True
    outer = (run.state, run.stack, run.fuel, run.escaped)
    run.state, run.stack, run.escaped = State(run.program.base), [], []
    run.fuel = MODULE_FUEL
    try:
        with run.at_once(False), run.enter(Frame(path, info.cell, (path,), True)):
            run.heap.write(info.cell)["__name__"] = Const("__main__" if path == run.program.script else path)
            run.block(info.ir.body)
            uncalled.run_escaped(run)
            registries.note(run, info)
            # A module that always raises or exits still bound its names before that.
            run.program.base.update(run.heap.cells)
    finally:
        run.state, run.stack, run.fuel, run.escaped = outer
        info.done = True
    return info


def member(run: Interpreter, path: str, name: str) -> Value:
    """A name of a module of the project: what its body binds, a star import's name, a submodule."""
    seeking = run.program.seeking
    if (path, name) in seeking:
        return Unknown(f"{name} of {path}")  # modules that import it from each other
    seeking.add((path, name))
    try:
        return _member(run, path, name)
    finally:
        seeking.remove((path, name))


def _member(run: Interpreter, path: str, name: str) -> Value:
    """The same, unless it is being looked for already."""
    info = ensure(run, path)
    found = run.program.base.get(info.cell, {}).get(name)
    if found is None and run.state is not None:
        found = run.state.read(info.cell).get(name)
    if found is not None:
        return settle(run, found, info.path)
    if not info.done and name in info.defs:
        return define_early(run, info, info.defs[name])
    for star in info.stars[:MAX_STARS]:
        value = run.program.imported(star, path)
        if isinstance(value, ModuleValue) and value.path != path:
            inner = run.program.modules.get(value.path)
            if inner is not None and inner.started and not inner.done and name not in inner.defs:
                continue
            found = member(run, value.path, name)
            if not isinstance(found, Unknown):
                return found
        elif isinstance(value, Extern) and knows(run, f"{value.name}.{name}"):
            return Extern(run.program.canonical(f"{value.name}.{name}"))
    submodule = run.program.project.member(path, name)
    if submodule is not None and submodule != path:
        return ModuleValue(submodule)
    if info.ir is None and name.isidentifier() and _lacks_init(path):  # it imports the name from one of its modules
        defining = run.program.project.defining(path, name)
        if len(defining) == 1:
            return member(run, defining[0], name)
    return Unknown(f"{name} of {path}")


def settle(run: Interpreter, value: Value, path: str) -> Value:
    """Follow an import that was not followed yet; `path` is the importing file."""
    if not isinstance(value, Pending):
        return value
    owner = run.program.imported(value, path)
    if not value.name:
        return owner
    if isinstance(owner, Extern):
        return Extern(run.program.canonical(f"{owner.name}.{value.name}"))
    if isinstance(owner, ModuleValue):
        found = member(run, owner.path, value.name)
        if isinstance(found, Unknown) and value.module and _lacks_init(owner.path):
            return Extern(run.program.canonical(f"{value.module}.{value.name}"))
        return found
    return UNKNOWN


def _lacks_init(path: str) -> bool:
    """Whether a module's path is a folder: a package whose `__init__.py` is not there."""
    return not path.endswith((".py", ".pyw", ".ipynb"))


def can_wait(run: Interpreter, path: str) -> bool:
    """Whether a module may stay unread for now."""
    info = run.program.modules.get(path)
    return path not in run.program.roots and (info is None or not info.started)


def define_early(run: Interpreter, info: ModuleInfo, node: ir.Stmt) -> Value:
    """A definition of a module whose body is still being run (an import cycle)."""
    with run.enter(Frame(info.path, info.cell, (info.path,), True)):
        if isinstance(node, ir.FunctionDef):
            return Function(node, info.path, info.cell)
        if isinstance(node, ir.ClassDef):
            return definitions.make_class(run, node)
    return UNKNOWN


def knows(run: Interpreter, name: str) -> bool:
    """Whether a contract is about this dotted name."""
    name = run.program.canonical(name)
    tables: tuple[Any, ...] = (
        run.contracts.loss_classes,
        run.contracts.loss_functions,
        run.contracts.op_functions,
        run.contracts.op_layers,
    )
    return any(name in table for table in tables) or name in _MODULES_OFTEN_STARRED


def is_loss_or_layer(run: Interpreter, name: str) -> bool:
    """Whether a contract is about a class or a function of this dotted name that is chosen by its name."""
    return run.contracts.is_loss(name) or run.contracts.layer(name) is not None
