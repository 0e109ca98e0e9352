"""What a factory gives whose module is not there: the models of its package that fit what is done with the result.

A checkout may be partial, and `from models.factory import get_model` lead to nothing, though the models that such a module
chooses from stand beside it. What is bound to its result is then any of those that can be called as it is.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from torchlint.analysis import ir, standins
from torchlint.analysis.usage import Uses
from torchlint.analysis.values import UNKNOWN, Tuple, Value
from torchlint.findings import NodeRef, StepRef

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter

_FACTORY = re.compile(
    r"_?(?:get|build|create|make|load|init|setup|select|choose|prepare|define)(?:_|\Z)|.*(?:model|net)"
)

_KEEPING = frozenset(("to", "cuda", "cpu", "train", "eval", "float", "half", "double"))
"""Methods of a model that give the model itself."""


def made(run: Interpreter, name: str, node: ir.Node) -> Value | None:
    """What the call of a function gives that is imported from a package of the project and not there; None if unknown."""
    module, _, function = name.rpartition(".")
    if not module or not _FACTORY.match(function):
        return None
    folder = run.program.project.package_around(module, run.frame.path)
    uses = run.program.uses(run.frame.path) if folder is not None else None
    if folder is None or uses is None:
        return None
    target = _bound_to(uses, node)
    if isinstance(target, ir.Sequence) and not any(isinstance(item, ir.Starred) for item in target.items):
        items = [_model(run, uses, item, folder, function) for item in target.items]
        return Tuple(tuple(item or UNKNOWN for item in items)) if any(items) else None
    return None if target is None else _model(run, uses, target, folder, function)


def _bound_to(uses: Uses, node: ir.Node) -> ir.Expr | None:
    """What a call's value is assigned to, as it is or moved to a device."""
    above = uses.above(node)
    while isinstance(above, ir.Attribute) and above.name in _KEEPING:
        around = uses.above(above)
        if not isinstance(around, ir.Call) or around.func is not above:
            return None
        node, above = around, uses.above(around)
    if isinstance(above, ir.Assign) and above.value is node and len(above.targets) == 1:
        return above.targets[0]
    return None


def _model(run: Interpreter, uses: Uses, target: ir.Expr, folder: str, function: str) -> Value | None:
    """The models below a folder that fit what is done with a name or an attribute that is called one."""
    if not isinstance(target, (ir.Name, ir.Attribute)) or not standins.is_model_name(target.name):
        return None
    use = standins.use_of(uses, _reads(uses, target))
    if not use.calls and _KEEPING.isdisjoint(use.attributes):
        return None
    below = [each for each in run.program.project.models() if each.path.startswith(folder + os.sep)]
    fitting = standins.fitting(run, below, use)
    if not 0 < len(fitting) <= standins.MOST:
        return None
    names = " or ".join(f"`{cls.node.name}`" for cls in fitting)
    step = StepRef(NodeRef(run.frame.path, target.id), f"`{function}` is not in sight: its package has {names}")
    return standins.objects(run, fitting, step, target)


def _reads(uses: Uses, target: ir.Name | ir.Attribute) -> list[ir.Expr]:
    """Where the value is read that is assigned to a name, or to an attribute of the object that a method belongs to."""
    if isinstance(target, ir.Name):
        return list(uses.reads(target.name, uses.local_scope(target.name, target) or uses.module))
    around = next((each for each in uses.ancestors(target) if isinstance(each, ir.ClassDef)), None)
    inside = () if around is None else uses.inside(around)
    return [
        each for each in inside if isinstance(each, ir.Attribute) and each.name == target.name and each is not target
    ]
