"""What may stand for a parameter that nobody in sight gives: the models and losses of the project that fit its use.

A training function is often called from a file that is not there: a notebook, a script of the cluster, a package that is
only partly checked. If the project has models of its own, and only these can be called as the function calls its `model`,
then they are what it trains. All of them are kept as possibilities.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from torchlint.analysis import attributes, functions, imports, instances, ir
from torchlint.analysis.arguments import Args
from torchlint.analysis.catalogue import Model
from torchlint.analysis.frames import Frame
from torchlint.analysis.program import foreign_bases, linearise
from torchlint.analysis.usage import Uses
from torchlint.analysis.values import (
    UNKNOWN,
    Class,
    Container,
    Extern,
    Function,
    Instance,
    Items,
    Lazy,
    Test,
    Tuple,
    Union,
    Value,
    alternatives,
    either,
    later,
    union,
)
from torchlint.findings import NodeRef, StepRef

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter

Role = Literal["model", "loss"]

_MODEL = re.compile(r"(?:\w+_)?(?:model|net|network)(?:_\w+|\d)?")
_LOSS = re.compile(r"criteri(?:on|a)|(?:\w+_)?loss(?:_fn|_func|_function)?|compute_loss")

MOST = 3
"""More models than this that fit are a catalogue, of which one cannot tell what a function trains."""

_LOSS_CLASS = re.compile("loss|criteri")

_MOST_NEAR = 30
"""Of so many classes near a function it is looked whether they fit."""

_OWN_ARGUMENTS = 3
"""A loss called with so many values is one of the project's: those of libraries take an input and a target."""


class _Call(NamedTuple):
    """How a parameter is called: with so many values, and these keywords; None for a number that is not known."""

    positional: int | None
    keywords: frozenset[str]


class Use(NamedTuple):
    """What a function does with a parameter: the ways it calls it, and the attributes that it reads or calls."""

    calls: tuple[_Call, ...]
    attributes: frozenset[str]


def for_parameter(run: Interpreter, function: Function, param: ir.Parameter) -> Value | None:
    """What may stand for a parameter of a function that nobody in sight calls; None if that cannot be told."""
    role: Role | None = "model" if _MODEL.fullmatch(param.name) else "loss" if _LOSS.fullmatch(param.name) else None
    near = [] if role is None else [each for each in run.program.project.models() if _may_play(role, each, function)]
    if role is None or not 0 < len(near) <= _MOST_NEAR or not is_orphan(run, function):
        return None
    use = _use(run, function, param)
    base = _missing_class(run, function, param)
    if not use.calls and base is None:
        return None
    if role == "loss" and any(call.positional is None or call.positional < _OWN_ARGUMENTS for call in use.calls):
        return None
    found = [
        (each, cls)
        for each in near
        if (cls := class_of(run, each)) is not None
        and _fits(run, cls, use)
        and (_is_module(cls) if base is None else base in _named_bases(cls))
    ]
    # Beside what is built in sight, the rest is left over.
    found = [(each, cls) for each, cls in found if each.built] or found
    if role == "model" and _makes_models(run, function):
        # What it makes tells what its functions are for: no class that it never names is among that.
        words = run.program.words(function.path)
        found = [(each, cls) for each, cls in found if not words.isdisjoint((each.name, f".{each.name}"))]
    if not 0 < len(found) <= (1 if role == "loss" else MOST):
        return None
    names = " or ".join(f"`{each.name}`" for each, _ in found)
    step = StepRef(NodeRef(function.path, param.id), f"`{param.name}` is {names}: nothing else here fits its use")
    return objects(run, [cls for _, cls in found], step, param)


def is_model_name(name: str) -> bool:
    """Whether people call a model so."""
    return _MODEL.fullmatch(name) is not None


def fitting(run: Interpreter, models: Sequence[Model], use: Use) -> list[Class]:
    """Which of these models can be called as something is."""
    near = [each for each in models if not _LOSS_CLASS.search(each.name.lower())]
    if not 0 < len(near) <= _MOST_NEAR:
        return []
    found = [cls for each in near if (cls := class_of(run, each)) is not None and _is_module(cls)]
    return [cls for cls in found if _fits(run, cls, Use(use.calls, frozenset()))]


def objects(run: Interpreter, classes: Sequence[Class], step: StepRef, node: ir.Node) -> Value:
    """An object of any of these classes, with a step that says why. Which one it is, it is everywhere."""
    return either(
        (part, frozenset([(Test(step.at, (cls.path, cls.node.id)), True)]))
        for cls in classes
        for part in _made(run, cls, step, node)
    )


def _missing_class(run: Interpreter, function: Function, param: ir.Parameter) -> str | None:
    """The class that a parameter is said to be of, by the last part of its name, if its code is not there."""
    said = param.annotation
    if not isinstance(said, (ir.Name, ir.Attribute)):
        return None
    with run.enter(Frame(function.path, function.frame, run.frame.key, run.frame.training)):
        value = run.eval(said)
    known = isinstance(value, (Class, Extern)) and not (isinstance(value, Extern) and _is_ours(run, value, function))
    return None if known else said.name


def _is_ours(run: Interpreter, value: Extern, function: Function) -> bool:
    """Whether a name that leads out of sight is one of a package of the project."""
    return run.program.project.absolute(value.name.partition(".")[0], function.path) is not None


def _may_play(role: Role, model: Model, function: Function) -> bool:
    """Whether a class is named for the role, and stands beside the function or in a folder beside its own."""
    named = (role == "loss") is bool(_LOSS_CLASS.search(model.name.lower()))
    return named and is_near(model.path, function)


def is_near(path: str, function: Function) -> bool:
    """Whether a file stands beside the one of a function, or in a folder beside its own."""
    home = os.path.dirname(os.path.dirname(function.path))
    return not home or path.startswith(home + os.sep)


def told(run: Interpreter, value: Value, step: StepRef, within: frozenset[int] = frozenset()) -> Value:
    """What a model gives that was taken for a parameter's: all tensors in it with that step on their way.

    `within` are the containers that hold the value: one may hold itself.
    """
    if isinstance(value, Lazy):
        return later(lambda: told(run, union(alternatives(value)), step, within), value)
    if isinstance(value, Union):
        return Union(tuple(told(run, part, step, within) for part in value.alternatives), value.guards)
    if isinstance(value, Tuple):
        return Tuple(tuple(told(run, item, step, within) for item in value.items))
    if isinstance(value, Items):
        return msgspec.structs.replace(value, element=told(run, value.element, step, within))
    if isinstance(value, Container):
        if value.id not in within:
            inside = within | {value.id}
            entries = run.heap.write(value.id)
            entries.update({key: told(run, item, step, inside) for key, item in entries.items()})
        return value
    return functions.handed(value, step)


# ---- who calls the function


def is_orphan(run: Interpreter, function: Function) -> bool:
    """Whether nothing in the project names a function, or the class of a method, but its definition."""
    if not isinstance(function.node, ir.FunctionDef):
        return False
    defined = function.node if function.owner is None else function.owner.node
    info = run.program.module(function.path)
    uses = run.program.uses(function.path)
    if uses is None or info.defs.get(defined.name) is not defined:
        return False
    if defined.name in run.program.registered or _is_named(uses, defined):
        return False
    if function.owner is not None and _is_called_beside(function.owner.node, function.node):
        return False
    return not run.program.importing(function.path, frozenset((defined.name,)))


def _is_named(uses: Uses, defined: ir.FunctionDef | ir.ClassDef) -> bool:
    """Whether a module reads the name of a definition outside of it."""
    inside = {node.id for node in uses.inside(defined)}
    return any(
        isinstance(node, ir.Name) and node.name == defined.name and node.id not in inside for node in uses.node.values()
    )


def _is_called_beside(cls: ir.ClassDef, method: ir.FunctionDef) -> bool:
    """Whether another method of the class calls a method."""
    return any(
        isinstance(stmt, ir.FunctionDef) and stmt is not method and f".{method.name}" in stmt.words for stmt in cls.body
    )


def _makes_models(run: Interpreter, function: Function) -> bool:
    """Whether the file of a function gives a model's name to what a call makes, elsewhere than in that function."""
    uses = run.program.uses(function.path)
    assert uses is not None
    inside = {node.id for node in uses.inside(function.node)}
    return any(
        isinstance(node, ir.Assign) and node.id not in inside and _is_made(uses, node) for node in uses.node.values()
    )


def _is_made(uses: Uses, stmt: ir.Assign) -> bool:
    """Whether a model's name is given to what a call makes, and not to the model itself, moved or wrapped: `net = net.to(0)`."""
    return isinstance(stmt.value, ir.Call) and any(
        isinstance(target, ir.Name) and is_model_name(target.name) and not _is_read(uses, stmt.value, target.name)
        for target in stmt.targets
    )


def _is_read(uses: Uses, node: ir.Node, name: str) -> bool:
    return any(isinstance(each, ir.Name) and each.name == name for each in uses.inside(node))


# ---- how it is used


def _use(run: Interpreter, function: Function, param: ir.Parameter) -> Use:
    """What a function, or the class whose attribute a parameter becomes, does with it."""
    uses = run.program.uses(function.path)
    assert uses is not None
    return use_of(uses, reads(uses, function, param))


def reads(uses: Uses, function: Function, param: ir.Parameter) -> list[ir.Expr]:
    """Where a parameter is read, or the attribute that it becomes."""
    assert isinstance(function.node, ir.FunctionDef)
    found = [node for node in uses.inside(function.node) if isinstance(node, ir.Name) and node.name == param.name]
    here: list[ir.Expr] = list(found)
    kept = {name for node in found for name in _kept_as(uses, node)}
    if kept and function.owner is not None:
        here += [
            node
            for node in uses.inside(function.owner.node)
            if isinstance(node, ir.Attribute) and node.name in kept and isinstance(node.value, ir.Name)
        ]
    return here


def use_of(uses: Uses, reads: Iterable[ir.Expr]) -> Use:
    """What is done with a value where it is read."""
    calls: list[_Call] = []
    read: set[str] = set()
    for node in reads:
        above = uses.above(node)
        func: ir.Node = above if isinstance(above, ir.Attribute) else node
        name = func.name if func is not node and isinstance(func, ir.Attribute) else None
        around = uses.above(func)
        if isinstance(around, ir.Call) and around.func is func and name in (None, "forward"):
            calls.append(_call(around))
        elif name is not None:
            read.add(name)
    return Use(tuple(calls), frozenset(read))


def _kept_as(uses: Uses, node: ir.Name) -> Iterator[str]:
    """The attributes that are set to a name: `self.model = model`, `self.net, self.loader = net.to(device), loader`."""
    stmt = uses.statement(node)
    if isinstance(stmt, ir.Assign):
        for target in stmt.targets:
            for to, value in _pairs(target, stmt.value):
                if isinstance(to, ir.Attribute) and isinstance(to.value, ir.Name) and uses.holds(value, node):
                    yield to.name


def _pairs(target: ir.Expr, value: ir.Expr) -> list[tuple[ir.Expr, ir.Expr]]:
    """What is assigned to what, where as many targets as values stand side by side."""
    if isinstance(target, ir.Sequence) and isinstance(value, ir.Sequence) and len(target.items) == len(value.items):
        return list(zip(target.items, value.items, strict=True))
    return [(target, value)]


def _call(node: ir.Call) -> _Call:
    given = [argument for argument in node.args if argument.keyword is None and argument.star == ""]
    spread = any(argument.star for argument in node.args)
    keywords = frozenset(argument.keyword for argument in node.args if argument.keyword is not None)
    return _Call(None if spread else len(given), keywords)


# ---- what fits it


def class_of(run: Interpreter, model: Model) -> Class | None:
    """The class of a model, if it is certainly that."""
    found = alternatives(imports.member(run, model.path, model.name))
    cls = found[0] if len(found) == 1 else None
    return cls if isinstance(cls, Class) and cls.path == model.path else None


def _is_module(cls: Class) -> bool:
    """Whether a class inherits from what is called a module or a model, in sight or not."""
    named = [base.name for base in foreign_bases(cls) if isinstance(base, Extern)]
    return any(name.endswith(("Module", "Model")) for name in (*named, *_named_bases(cls)))


def _named_bases(cls: Class) -> list[str]:
    """The names of the bases of a class, and of those that it inherits from, as they are written."""
    written = (argument.value for each in linearise(cls) for argument in each.node.bases)
    return [value.name for value in written if isinstance(value, (ir.Name, ir.Attribute))]


def _fits(run: Interpreter, cls: Class, use: Use) -> bool:
    """Whether a class has what is read of a parameter, and can be called as it is."""
    forward = attributes.class_attribute(run, cls, "forward")
    if not isinstance(forward, Function) or not all(_takes(forward, call) for call in use.calls):
        return False
    return not attributes.all_in_sight(cls) or all(attributes.may_have(run, cls, name) for name in use.attributes)


def _takes(forward: Function, call: _Call) -> bool:
    given = [UNKNOWN] * (call.positional or 0)
    args = Args(given, dict.fromkeys(call.keywords, UNKNOWN), UNKNOWN if call.positional is None else None)
    return not functions.cannot_succeed(forward.node, args, is_method=True)


def _made(run: Interpreter, cls: Class, step: StepRef, node: ir.Node) -> list[Value]:
    """Objects of a class: as the functions beside it make them, else with any arguments."""
    standing = run.program.standing
    out: list[Value] = []
    if id(cls.node) not in standing:
        standing.add(id(cls.node))
        try:
            out = _made_beside(run, cls, node)
        finally:
            standing.remove(id(cls.node))
    out = out or [instances.construct(run, cls, None, node)]
    for part in out:
        if isinstance(part, Instance):
            run.program.standins[part.id] = step
    return out


def _made_beside(run: Interpreter, cls: Class, node: ir.Node) -> list[Value]:
    """The objects of a class that functions of its module give; who is handed one does not make it."""
    out: list[Value] = []
    for stmt in run.program.module(cls.path).defs.values():
        if isinstance(stmt, ir.FunctionDef) and cls.node.name in stmt.words and node not in stmt.params:
            maker = imports.member(run, cls.path, stmt.name)
            if isinstance(maker, Function):
                made = functions.call_now(run, maker, functions.unknown_args(run, maker), node, quiet=True)
                out += [part for part in alternatives(made) if isinstance(part, Instance) and part.cls.node is cls.node]
    return out
