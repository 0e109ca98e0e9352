"""Where the analysis begins: a module's body, then each function and class that nobody in sight calls."""

from __future__ import annotations

import os
import traceback

from torchlint.analysis import invoke, ir, objects
from torchlint.analysis.calls import LossCall
from torchlint.analysis.interpret import Frame, Interpreter
from torchlint.analysis.program import ModuleInfo, Program, linearise
from torchlint.analysis.state import State
from torchlint.analysis.values import Class, Function, Instance, Tensor, Unknown, Value, alternatives
from torchlint.checks.registry import judge
from torchlint.diagnostics import Problem
from torchlint.findings import Finding
from torchlint.project import Project

ENTRY_FUEL = 40_000
"""Steps that one entry may take."""


class Recorder(Interpreter):
    """An interpreter that has every loss call judged. A call judged again in the same context replaces its findings.

    `entry` is the name of the function or class that is being run for want of a caller.
    """

    entry = ""

    def record(self, call: LossCall) -> None:
        """Judge a loss call."""
        key = (*self.frame.key, self.frame.path, call.at.node, call.loss.id)
        self.program.findings[key] = judge(call)
        if self.entry and any(_is_open(part) for value in call.args.values() for part in alternatives(value)):
            self.program.open.add(self.entry)


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

    def __init__(self, project: Project, roots: frozenset[str]) -> None:
        self.program = Program(project, roots)
        self.interpreter = Recorder(self.program)

    def findings(self) -> tuple[Finding, ...]:
        """What was found so far, each finding once."""
        out: dict[tuple[object, ...], Finding] = {}
        for found in self.program.findings.values():
            for finding in found:
                out.setdefault((finding.code, finding.at), finding)
        return tuple(out.values())

    def callers(self) -> list[str]:
        """Of these files, those that import what has loss calls whose input only a caller knows; then known as roots."""
        program = self.program
        wanted = program.open - program.sought
        if not wanted:
            return []
        program.sought |= wanted
        modules = frozenset(_module_name(path) for path in program.roots)
        found = [
            path
            for path in program.project.paths
            if path not in program.roots and program.project.mentions(path, frozenset(wanted), modules)
        ]
        program.roots = program.roots | frozenset(found)
        program.vocabulary |= wanted
        return found

    def run(self, path: str) -> None:
        """All entries of a module."""
        try:
            info = self.interpreter.ensure(path)
            if info.ir is not None:
                self._functions(info)
                self._escaped()
        except RecursionError:
            pass
        except Exception:
            self.program.problems.append(Problem(path, traceback.format_exc(limit=-4), internal=True))
            self.interpreter = Recorder(self.program)

    def _functions(self, info: ModuleInfo) -> None:
        """Functions and classes that may reach a loss, those that nothing else mentions first."""
        program = self.program
        assert info.ir is not None
        found = [stmt for stmt in info.defs.values() if isinstance(stmt, (ir.FunctionDef, ir.ClassDef))]
        found = [stmt for stmt in found if program.relevant(stmt)]
        words: list[frozenset[str]] = [stmt.words for stmt in found]

        def mentioned(index: int) -> bool:
            name = found[index].name
            return any(name in other for j, other in enumerate(words) if j != index)

        order = sorted(range(len(found)), key=lambda index: (mentioned(index), index))
        for index in order:
            stmt = found[index]
            value = program.base.get(info.cell, {}).get(stmt.name)
            for part in (value,) if value is not None else ():
                self._begin(info.path, info.cell)
                self.interpreter.entry = stmt.name
                if isinstance(part, Function) and part.node is stmt:
                    self._function(part)
                elif isinstance(part, Class) and part.node is stmt:
                    self._class(part)

    def _begin(self, path: str, cell: int) -> None:
        run = self.interpreter
        run.state = State(self.program.base)
        run.frame = Frame(path, cell, ("entry", path), True)
        run.stack = []
        run.fuel = ENTRY_FUEL
        run.standing = frozenset()
        run.entry = ""

    def _function(self, function: Function) -> None:
        run = self.interpreter
        run.frame.key = ("entry", function.path, function.node.id)
        invoke.call_now(run, function, invoke.unknown_args(run, function), function.node, quiet=True)

    def _class(self, cls: Class) -> None:
        """Every method of a class that may reach a loss, on an object made with unknown arguments."""
        run = self.interpreter
        methods = self._methods(cls)
        instance = invoke.construct(run, cls, None, cls.node)
        if not isinstance(instance, Instance):
            return
        objects.instance_cell(run, instance)
        run.standing = frozenset({instance.id})
        self._call_methods(instance, methods)

    def _methods(self, cls: Class) -> list[Function]:
        out: dict[str, Function] = {}
        for item in linearise(cls):
            for stmt in item.node.body:
                if isinstance(stmt, ir.FunctionDef) and stmt.name not in out and stmt.name != "__init__":
                    found = self.interpreter.heap.read(item.frame).get(stmt.name)
                    if isinstance(found, Function) and self.program.relevant(stmt):
                        out[stmt.name] = found
        functions = list(out.values())
        names = [f.node.words if isinstance(f.node, ir.FunctionDef) else frozenset() for f in functions]

        def mentioned(function: Function) -> bool:
            assert isinstance(function.node, ir.FunctionDef)
            mine = function.node.name
            return any(mine in words for other, words in zip(functions, names, strict=True) if other is not function)

        return sorted(functions, key=mentioned)

    def _call_methods(self, instance: Instance, methods: list[Function]) -> None:
        run = self.interpreter
        base = run.heap
        key = run.frame.key
        done: set[int] = set()
        for method in methods:
            if id(method.node) in done:
                continue
            run.state = base.fork()
            run.fuel = ENTRY_FUEL
            run.frame.key = (*key, instance.cls.node.id, method.node.id)
            bound = Function(method.node, method.path, method.frame, instance, method.owner)
            before = set(self.program.visited)
            self.program.visited.difference_update(id(m.node) for m in methods)
            invoke.call_now(run, bound, invoke.unknown_args(run, bound), method.node, quiet=True)
            done |= self.program.visited & {id(m.node) for m in methods}
            self.program.visited |= before

    def _escaped(self) -> None:
        """Objects handed to code that we do not see, such as a trainer: it calls their methods."""
        run = self.interpreter
        escaped, run.escaped = run.escaped, []
        seen: set[int] = set()
        for instance in escaped:
            if instance.id in seen or len(seen) >= _MOST_ESCAPED:
                continue
            seen.add(instance.id)
            if instance.id not in self.program.base or not self.program.relevant(instance.cls.node):
                continue
            self._begin(instance.cls.path, instance.cls.frame)
            run.frame.key = ("escaped", instance.id)
            self._call_methods(instance, self._methods(instance.cls))


_MOST_ESCAPED = 20
