"""Where a name leads: local, of the functions around, global, from a star import, built in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torchlint.analysis import imports, ir
from torchlint.analysis.values import Extern, ModuleValue, Pending, Unknown, Value, any_state, is_state, later, narrow
from torchlint.analysis.vocabulary import BLOCKS

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


BUILTINS = frozenset(
    "abs all any bool bytes callable dict dir enumerate eval filter float format frozenset getattr globals hasattr hash id int "
    "isinstance issubclass iter len list map max min next object open pow print property range repr reversed round set "
    "setattr slice sorted staticmethod classmethod str sum super tuple type vars zip".split()
)


_CUSTOMARY = {"torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional", "optim": "torch.optim", "np": "numpy"}
"""What these names stand for wherever a star that leads out of sight may have brought them."""


def lookup(run: Interpreter, name: str) -> Value:
    """A name: local, of the functions around, global, imported with a star, built in."""
    state = run.heap
    parents = run.program.parents
    cell: int | None = run.frame.cell
    while cell is not None:
        found = state.read(cell).get(name)
        if found is not None:
            if type(found) is Pending:
                return deferred(run, found, run.frame.path)
            return narrow(found, state.assumed) if state.assumed else found
        cell = parents.get(cell)
    return global_name(run, name)


def in_any_state(run: Interpreter, name: str) -> None:
    """Forget the constant that a name of the functions around, or of the module, is bound to: calls may have changed it."""
    cell: int | None = run.frame.cell
    while cell is not None:
        found = run.heap.read(cell).get(name)
        if found is not None:
            if is_state(found):
                run.heap.write(cell)[name] = any_state(found, f"name {name}")
            return
        cell = run.program.parents.get(cell)


def rebound(body: ir.Block) -> Iterator[str]:
    """The names that functions in a block say are global."""
    for stmt in body:
        if isinstance(stmt, ir.Scope):
            yield from stmt.names if stmt.outer == "global" else ()
        elif isinstance(stmt, (ir.FunctionDef, ir.ClassDef)):
            yield from rebound(stmt.body)
        elif type(stmt) in BLOCKS:
            for block in BLOCKS[type(stmt)](stmt):
                yield from rebound(block)


def deferred(run: Interpreter, pending: Pending, path: str) -> Value:
    """What an import binds; a module that has not been run yet and makes no loss is run only when the value is needed."""
    owner = run.program.imported(pending, path)
    if isinstance(owner, ModuleValue) and pending.name and imports.can_wait(run, owner.path):
        return later(lambda: imports.settle(run, pending, path))
    return imports.settle(run, pending, path)


def global_name(run: Interpreter, name: str) -> Value:
    """A name that the module's finished body, its star imports or Python itself bind."""
    path = run.frame.path
    info = run.program.module(path)
    if name in info.defs and not info.done:
        return imports.define_early(run, info, info.defs[name])
    if name in BUILTINS:
        return Extern(f"builtins.{name}")
    for star in info.stars[: imports.MAX_STARS]:
        value = run.program.imported(star, path)
        if isinstance(value, ModuleValue) and value.path != path:
            found = imports.member(run, value.path, name)
            if not isinstance(found, Unknown):
                return found
        elif isinstance(value, Extern) and imports.knows(run, f"{value.name}.{name}"):
            return Extern(run.program.canonical(f"{value.name}.{name}"))
    if info.stars and name in _CUSTOMARY:
        return Extern(_CUSTOMARY[name])
    return Unknown(f"name {name}")
