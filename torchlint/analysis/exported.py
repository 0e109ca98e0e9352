"""Which names of a module hold a loss: files that import one may call it without any word that names a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchlint.analysis.functions import holds_criterion
from torchlint.analysis.program import resolved_bases
from torchlint.analysis.values import (
    Class,
    Container,
    Criterion,
    Extern,
    Instance,
    Items,
    Partial,
    Pending,
    Tuple,
    Union,
    Value,
)

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter
    from torchlint.analysis.program import ModuleInfo


def names(run: Interpreter, info: ModuleInfo) -> set[str]:
    """The names at the top level of a module whose body was run that lead to a loss object, class or function.

    A loss under its own name is not among them: whoever writes that is read anyway.
    """
    words = run.program.contracts.loss_words()
    held = run.program.base.get(info.cell, {})
    known = run.program.vocabulary.words
    return {
        name
        for name, value in held.items()
        if name.encode() not in words
        and (value.name in known and value.name != name if isinstance(value, Pending) else _leads_to_loss(run, value))
    }


_DEPTH = 3
"""A table of losses may hold pairs of a loss and its weight."""


def _leads_to_loss(run: Interpreter, value: Value, depth: int = _DEPTH) -> bool:
    """Whether a value is a loss or holds one, as far as it is known without computing anything."""
    parts = value.alternatives if isinstance(value, Union) else (value,)
    return depth > 0 and any(_is_or_holds(run, part, depth - 1) for part in parts)


def _is_or_holds(run: Interpreter, part: Value, depth: int) -> bool:
    if isinstance(part, Criterion):
        return True
    if isinstance(part, Extern):
        return run.contracts.is_loss(run.program.canonical(part.name))
    if isinstance(part, Instance):
        return holds_criterion(run, part)
    if isinstance(part, Class):
        below = [*resolved_bases(part), *run.program.base.get(part.frame, {}).values()]
    elif isinstance(part, Container):
        below = list(run.heap.read(part.id).values())
    elif isinstance(part, Partial):
        below = [part.func]
    elif isinstance(part, Tuple):
        below = list(part.items)
    elif isinstance(part, Items):
        below = [part.element]
    else:
        return False
    return any(_leads_to_loss(run, each, depth) for each in below)
