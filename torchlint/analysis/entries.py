"""Where the analysis begins: a module's body, then each function and class that nobody in sight calls."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable, Sequence

import msgspec

from torchlint.analysis import functions, instances, ir, objects, registries
from torchlint.analysis.calls import Arithmetic, Event, LossCall, OpCall
from torchlint.analysis.interpret import ENTRY_FUEL, Frame, Interpreter
from torchlint.analysis.program import ModuleInfo, Program
from torchlint.analysis.state import State
from torchlint.analysis.thresholds import ROUNDING, fraction_compared
from torchlint.analysis.values import Class, Function, Instance, Tensor, Unknown, Value, alternatives
from torchlint.checks.registry import harmless, judge, watched, watched_ops
from torchlint.diagnostics import Problem
from torchlint.findings import Finding, Plan, StepRef, doubtful
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
        self.program.findings[key] = found
        if isinstance(event, LossCall):
            self.program.chosen.note(key, self.heap.assumed, (finding.code for finding in found))
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
            seen.loss(event, branch, sure)
            return
        found = fraction_compared(event)
        if found is not None and self.fuel > 0:
            seen.compared((*key, "threshold"), event, *found, branch, sure)


def _site(key: tuple[object, ...]) -> tuple[object, ...]:
    """The file and the node that an event's key ends in, whatever the way there."""
    return key[-3:-1]


def _module_name(path: str) -> str:
    """The name that an import of a file ends in."""
    folder, name = os.path.split(path)
    stem = name.partition(".")[0]
    return os.path.basename(folder) if stem == "__init__" else stem


def _is_open(part: Value) -> bool:
    """Whether a caller could tell more of a value."""
    return isinstance(part, Unknown) or (isinstance(part, Tensor) and part.kind == "unknown")


class Entries:
    """Runs the entries of modules, one module after the other."""

    def __init__(
        self, project: Project, roots: frozenset[str], recorder: Callable[[Program], Recorder] = Recorder
    ) -> None:
        self.program = Program(project, roots)
        self.recorder = recorder
        self.interpreter = recorder(self.program)
        self.packages: frozenset[str] = frozenset()
        """Packages found last that hand on what other modules define."""
        self.budget = max(_CALLERS_AT_LEAST, sum(map(project.size, roots)) // _CALLERS_SHARE)

    def findings(self) -> tuple[Finding, ...]:
        """What was found so far, each finding once."""
        for key, event, sure in self.program.thresholds.misplaced():
            self.program.findings[key] = judge(event, sure)
        self._doubt_what_settings_choose()
        out: dict[tuple[object, ...], Finding] = {}
        plans: dict[tuple[object, ...], list[dict[str, Plan | None]]] = {}
        for key, found in self.program.findings.items():
            plans.setdefault(_site(key), []).append({finding.code: finding.plan for finding in found})
        for key, found in self.program.findings.items():
            for finding in found:
                known = out.get((finding.code, finding.at))
                if known is None or (known.confidence == "likely" and finding.confidence == "certain"):
                    alike = all(codes.get(finding.code) == finding.plan for codes in plans[_site(key)])
                    out[finding.code, finding.at] = msgspec.structs.replace(finding, alike=alike)
        return tuple(out.values())

    def _doubt_what_settings_choose(self) -> None:
        """Make findings likely that depend on settings which are not in sight, and on which all may be well."""
        findings = self.program.findings
        for key, code in self.program.chosen.doubtful():
            findings[key] = [
                doubtful(found, StepRef(found.at, _BY_SETTING)) if found.code == code else found
                for found in findings[key]
            ]

    def callers(self) -> list[str]:
        """Of these files, those that import what has loss calls whose input only a caller knows; then known as roots."""
        program = self.program
        wanted = program.open - program.sought
        packages, self.packages = self.packages, frozenset()
        if not wanted and not packages:
            return []
        if builders := registries.builders(program, wanted):
            # Who holds an object that a registry made calls methods of it, and never names its class.
            wanted |= builders
            program.vocabulary.read(frozenset().union(*program.open_methods.values()))
        program.sought |= wanted
        modules = frozenset(_module_name(path) for path in program.roots)
        found = []
        for path in program.project.paths:
            if path in program.roots or not (
                program.project.mentions(path, frozenset(wanted), modules)
                or (packages and program.project.mentions(path, frozenset(program.sought), packages))
            ):
                continue
            self.budget -= program.project.size(path)
            if self.budget < 0:
                break
            found.append(path)
        self.packages = frozenset(_module_name(path) for path in found if os.path.basename(path) == "__init__.py")
        program.roots = program.roots | frozenset(found)
        program.vocabulary.add(wanted)
        named = {module for module in modules | packages if "loss" in module.lower()}
        program.vocabulary.add(
            module for module in named if any(program.project.looks_up(path, module) for path in found)
        )
        return found

    def run(self, path: str) -> None:
        """All entries of a module."""
        try:
            info = self.interpreter.ensure(path)
            if info.ir is not None:
                self._functions(info)
        except RecursionError:
            pass
        except Exception:  # noqa: BLE001  # a defect of ours costs this file only
            self.program.problems.append(Problem(path, traceback.format_exc(limit=-4), internal=True))
            self.interpreter = self.recorder(self.program)

    def widen(self, words: Iterable[str], paths: Iterable[str]) -> None:
        """Run what mentions these words, too, though no loss is known there: coverage wants to know why."""
        self.program.vocabulary.add(words)
        for path in paths:
            self.run(path)

    def _functions(self, info: ModuleInfo) -> None:
        """Functions and classes that may reach a loss."""
        program = self.program
        todo = [stmt for stmt in info.defs.values() if isinstance(stmt, (ir.FunctionDef, ir.ClassDef))]
        done: set[int] = set()
        for _ in range(_ROUNDS):
            ready = [stmt for stmt in todo if stmt.id not in done and program.relevant(stmt)]
            done |= {stmt.id for stmt in ready}
            self._definitions(info, ready)
            # Those of the module that use one of which they could tell more.
            program.vocabulary.add(program.open & info.defs.keys())

    def _definitions(self, info: ModuleInfo, stmts: Sequence[ir.FunctionDef | ir.ClassDef]) -> None:
        program, run = self.program, self.interpreter
        for stmt in stmts:
            value = program.base.get(info.cell, {}).get(stmt.name)
            for part in alternatives(value) if value is not None else ():
                self._begin(info.path, info.cell)
                if isinstance(part, Function) and part.node is stmt:
                    run.is_open(part)
                elif isinstance(part, Class) and part.node is stmt:
                    self._class(part)

    def _begin(self, path: str, cell: int) -> None:
        run = self.interpreter
        run.state = State(self.program.base)
        run.frame = Frame(path, cell, ("entry", path), True)
        run.stack = []
        run.entries = []
        run.fuel = ENTRY_FUEL
        run.standing = frozenset()

    def _class(self, cls: Class) -> None:
        """Every method of a class that may reach a loss, on an object made with unknown arguments."""
        run = self.interpreter
        methods = objects.methods_to_loss(run, cls)
        instance = instances.construct(run, cls, None, cls.node)
        if not isinstance(instance, Instance):
            return
        if functions.holds_loss(run, instance):
            self.program.open.add(cls.node.name)
        if not methods:
            return
        objects.instance_cell(run, instance)
        run.standing = frozenset({instance.id})
        for method in methods:
            run.is_open(Function(method.node, method.path, method.frame, instance, method.owner))
        # Those methods that call one of which they could tell more, and those that lead to a threshold.
        for method in (*objects.methods_to_loss(run, cls), *objects.methods_to_threshold(run, cls)):
            run.is_open(Function(method.node, method.path, method.frame, instance, method.owner))


_BY_SETTING = "it depends on a setting that the caller gives and the code does not show"

_ROUNDS = 2
_CALLERS_AT_LEAST = 200_000
_CALLERS_SHARE = 60
"""How many bytes of callers are read: so many at least, or this part of what the roots hold."""
