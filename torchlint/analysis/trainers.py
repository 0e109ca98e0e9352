"""Trainers of libraries that are given a module and a criterion and bring them together themselves, by the contracts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchlint.analysis import invoke, ir
from torchlint.analysis.arguments import Args
from torchlint.analysis.values import Class, Criterion, Extern, Unknown, Value, alternatives
from torchlint.contracts import Trainer

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


def bring_together(run: Interpreter, trainer: Trainer, args: Args, node: ir.Node) -> None:
    """Have the criterion judge what the module gives, as the trainer will."""
    module, given = args.get("module", 0), args.get("criterion", 1)
    if given is None and trainer.default and args.others is None and args.rest is None:
        given = Extern(trainer.default)
    if module is None or given is None or any(_is_prepared(run, trainer, part) for part in alternatives(given)):
        return
    model = _made(run, module, "module__", args, node)
    criterion = _made(run, given, "criterion__", args, node)
    output = invoke.call(run, model, Args([Unknown("batch of a trainer", "batch")]), node)
    invoke.call(run, criterion, Args([output, Unknown("target of a trainer", "batch")]), node)


def _is_prepared(run: Interpreter, trainer: Trainer, part: Value) -> bool:
    """Whether the trainer does something to the output before it hands it to this criterion."""
    if isinstance(part, Criterion):
        return any(name in part.loss.classes for name in trainer.prepares_for)
    return isinstance(part, Extern) and run.program.canonical(part.name) in trainer.prepares_for


def _made(run: Interpreter, value: Value, prefix: str, args: Args, node: ir.Node) -> Value:
    """An object of a class that is handed over with its arguments under a prefix; what is none already is one."""
    if not all(isinstance(part, (Class, Extern)) for part in alternatives(value)):
        return value
    keywords = {name.removeprefix(prefix): each for name, each in args.keywords.items() if name.startswith(prefix)}
    return invoke.call(run, value, Args(keywords=keywords, others=args.others), node)
