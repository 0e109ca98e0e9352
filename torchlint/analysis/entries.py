"""Where the analysis begins: a module's body, then each function and class that nobody in sight calls."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torchlint.analysis import attributes, exported, functions, imports, instances, ir, scopes, uncalled
from torchlint.analysis.calls import Arithmetic, Comparison, Event, LossCall, OpCall
from torchlint.analysis.frames import ENTRY, Frame
from torchlint.analysis.interpret import Interpreter
from torchlint.analysis.parts import Seen, Told, in_text
from torchlint.analysis.program import ModuleInfo, Program
from torchlint.analysis.state import State
from torchlint.analysis.thresholds import ROUNDING, fraction_compared
from torchlint.analysis.uncalled import ENTRY_FUEL
from torchlint.analysis.values import (
    Class,
    Function,
    Instance,
    Tensor,
    Unknown,
    Value,
    alternatives,
    any_state,
    is_state,
)
from torchlint.analysis.vocabulary import Vocabulary
from torchlint.checks.registry import harmless, judge, watched, watched_ops
from torchlint.diagnostics import Problem
from torchlint.findings import StepRef, doubtful
from torchlint.lookups import Lookups
from torchlint.project import Project


class Recorder(Interpreter):
    """An interpreter that has events judged. One judged again in the same context replaces its findings."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.watched, self.watched_ops, self.harmless = watched(), watched_ops() | ROUNDING, harmless()

    def record(self, event: Event) -> None:
        """Judge an event."""
        key = (*self.frame.key, self.frame.path, event.at.node, event.about)
        found = judge(event)
        if found and isinstance(event, (Arithmetic, OpCall)) and self.program.only_shown(event.at):
            found = []  # no part of a loss
        if found and isinstance(event, Comparison) and self.program.only_asserted(event.at):
            found = []
        self.program.findings[key] = found
        if isinstance(event, LossCall):
            made = None if event.made is None else event.made.steps()[0].at
            codes = frozenset(finding.code for finding in found)
            self.program.chosen.note(key, made, self.heap.assumed, codes, self.harmless)
        self._note(key, event)
        for judged in self.choices:
            judged.keys.append(key)
            judged.found = judged.found or any(
                finding.confidence == "certain" and finding.code not in self.harmless for finding in found
            )
        if self.entries and any(_is_open(part) for value in event.waits_for() for part in alternatives(value)):
            self.entries[-1].open = True

    def _note(self, key: tuple[object, ...], event: Event) -> None:
        """Remember what a loss takes for logits and what is compared with a probability's threshold."""
        seen, branch, sure = self.program.thresholds, self.frame.branch, not self.choices
        if isinstance(event, LossCall):
            seen.loss(event, branch, self.choices[-1].claims if self.choices else None)
            return
        if isinstance(event, Arithmetic):
            if event.name == "*":
                seen.multiplied(event, branch, sure)
            return
        found = fraction_compared(event)
        if found is not None and self.fuel > 0:
            seen.compared((*key, "threshold"), event, *found, branch, sure)


def _site(key: tuple[Any, ...]) -> tuple[str, int]:
    """The file and the node that an event's key ends in, whatever the way there."""
    return key[-3], key[-2]


def _compares(stmt: ir.FunctionDef | ir.ClassDef) -> bool:
    """Whether something is compared in a function with what may be a threshold for probabilities."""
    return isinstance(stmt, ir.FunctionDef) and ir.THRESHOLD in stmt.words


def _is_open(part: Value) -> bool:
    """Whether a caller could tell more of a value."""
    return isinstance(part, Unknown) or (isinstance(part, Tensor) and part.kind == "unknown")


class Entries:
    """Runs the entries of a file in a program of their own."""

    def __init__(
        self,
        project: Project,
        path: str,
        roots: frozenset[str],
        vocabulary: Vocabulary,
        recorder: Callable[[Program], Recorder] | None = None,
    ) -> None:
        project.lookups = Lookups()
        self.program = Program(project, roots, vocabulary.copy())
        self.program.script = path
        self.recorder = recorder or Recorder
        self.interpreter = self.recorder(self.program)

    def told(self) -> Told:
        """What was found so far."""
        program = self.program
        for key, event, sure in program.thresholds.misplaced():
            found = judge(event, sure)
            program.findings[key] = [] if found and program.only_asserted(event.at) else found
        self._doubt_what_settings_choose()
        self._believe_callers()
        sound: dict[str, set[int]] = {}
        for path, node in (_site(key) for key, found in program.findings.items() if not found):
            sound.setdefault(path, set()).add(node)
        return Told(
            tuple({repr(found): tuple(found) for found in program.findings.values() if found}.values()),
            {path: frozenset(nodes) for path, nodes in sound.items()},
            tuple(program.problems),
            frozenset(program.open),
            frozenset().union(*program.open_methods.values()),
            {name: frozenset(registries) for name, registries in program.registered.items()},
            frozenset(program.registries.values()),
        )

    def end(self) -> None:
        """Let go of what refers to itself: a program that is done goes at once, and not when garbage is collected."""
        vars(self.interpreter).clear()
        vars(self.program).clear()

    def seen(self) -> Seen:
        """What it depends on."""
        asked = self.program.project.lookups
        return Seen(
            in_text(asked.loaded),
            in_text(asked.sized),
            in_text(asked.resolved),
            in_text(asked.folders),
            tuple((*query, found) for query, found in asked.mentioning.items()),
            asked.models,
            self.program.reading,
            asked.data_sets,
        )

    def _doubt_what_settings_choose(self) -> None:
        """Make findings likely that depend on settings which are not in sight, and on which all may be well."""
        findings = self.program.findings
        chosen = self.program.chosen
        for key, code in (*chosen.doubtful(), *chosen.paired()):
            findings[key] = [
                doubtful(found, StepRef(found.at, _BY_SETTING)) if found.code == code else found
                for found in findings[key]
            ]

    def _believe_callers(self) -> None:
        """Drop what was found of batches for want of a caller, where a caller in sight hands over batches that are no such.

        A function that takes the steps of training itself is called for good, another one perhaps to try it out.
        """
        findings = self.program.findings
        sound = {_site(key) for key, found in findings.items() if not found and key[0] != ENTRY}
        for key, found in findings.items():
            if found and key[0] == ENTRY and _site(key) in sound and self._trains(*_site(key)):
                findings[key] = [each for each in found if each.code not in _OF_BATCHES]

    def _trains(self, path: str, node: int) -> bool:
        """Whether the function around a node takes steps of an optimizer."""
        uses = self.program.uses(path)
        scope = None if uses is None or node not in uses.node else uses.scope(uses.node[node])
        return isinstance(scope, ir.FunctionDef) and ".step" in scope.words

    def run(self, path: str) -> None:
        """All entries of a module."""
        with self._at_most_losing(path):
            info = imports.ensure(self.interpreter, path)
            if info.ir is not None:
                self.program.open |= exported.names(self.interpreter, info)
                self._in_any_state(info, info.ir.body)
                self._functions(info)

    @contextmanager
    def _at_most_losing(self, path: str) -> Iterator[None]:
        """A defect of ours, endless recursion too, costs what is run here only, and is told of."""
        try:
            yield
        except Exception:  # noqa: BLE001  # any
            self.program.problems.append(Problem(path, traceback.format_exc(limit=-4), internal=True))
            self.interpreter = self.recorder(self.program)

    def _in_any_state(self, info: ModuleInfo, body: ir.Block) -> None:
        """Forget the constants of the module that its functions set anew: they are run here for want of a caller."""
        cell = self.program.base.get(info.cell, {})
        for name in scopes.rebound(body):
            if is_state(value := cell.get(name)):
                cell[name] = any_state(value, f"name {name}")

    def _functions(self, info: ModuleInfo) -> None:
        """Functions and classes that may reach a loss."""
        program = self.program
        todo = [stmt for stmt in info.defs.values() if isinstance(stmt, (ir.FunctionDef, ir.ClassDef))]
        done: set[int] = set()
        for _ in range(_ROUNDS):
            ready = [stmt for stmt in todo if stmt.id not in done and program.relevant(stmt)]
            done |= {stmt.id for stmt in ready}
            for stmt in ready:
                # Called by the module's body before it was known what leads to a loss.
                if program.opened.get((id(stmt), 0)) is False:
                    del program.opened[id(stmt), 0]
            self._definitions(info, ready)
            # Those of the module that use one of which they could tell more.
            program.vocabulary.add(program.open & info.defs.keys())
        self._definitions(info, [stmt for stmt in todo if stmt.id not in done and _compares(stmt)])

    def _definitions(self, info: ModuleInfo, stmts: Sequence[ir.FunctionDef | ir.ClassDef]) -> None:
        for stmt in stmts:
            value = self.program.base.get(info.cell, {}).get(stmt.name)
            for part in alternatives(value) if value is not None else ():
                with self._at_most_losing(info.path):
                    self._begin(info.path, info.cell)
                    if isinstance(part, Function) and part.node is stmt:
                        uncalled.is_open(self.interpreter, part)
                    elif isinstance(part, Class) and part.node is stmt:
                        self._class(part)

    def _begin(self, path: str, cell: int) -> None:
        run = self.interpreter
        run.state = State(self.program.base)
        run.frame = Frame(path, cell, (ENTRY, path), True)
        run.stack = []
        run.entries = []
        run.fuel = ENTRY_FUEL
        run.standing = frozenset()

    def _class(self, cls: Class) -> None:
        """Every method of a class that may reach a loss, on an object made with unknown arguments."""
        run = self.interpreter
        methods = uncalled.methods_to_loss(run, cls)
        instance = instances.construct(run, cls, None, cls.node)
        if not isinstance(instance, Instance):
            return
        if functions.holds_loss(run, instance):
            self.program.open.add(cls.node.name)
        if not methods:
            return
        attributes.in_any_state(run, instance)
        run.standing = frozenset({instance.id})
        # Each time those methods, too, that call one of which they could tell more; in the end those that lead to a threshold.
        for _ in range(_DEPTH):
            for method in methods:
                uncalled.is_open(run, Function(method.node, method.path, method.frame, instance, method.owner))
            known, methods = len(methods), uncalled.methods_to_loss(run, cls)
            if len(methods) == known:
                break
        for method in uncalled.methods_to_threshold(run, cls):
            uncalled.is_open(run, Function(method.node, method.path, method.frame, instance, method.owner))


_OF_BATCHES = frozenset(("TLN201",))
"""The rules that say what happens with a batch of one sample."""

_BY_SETTING = "it depends on a setting that the caller gives and the code does not show"

_DEPTH = 4
"""How many methods of a class that call each other lead to a loss: a run, an epoch, a batch."""

_ROUNDS = 2
