"""Runs a script or module as Python would, traced: its arguments, its path, its errors, its exit code."""

from __future__ import annotations

import atexit
import builtins
import importlib.util
import io
import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from types import CodeType, ModuleType, TracebackType
from typing import Any, NamedTuple

from torchlint.errors import UserError

_OWN = os.path.dirname(os.path.abspath(__file__)) + os.sep


class ScriptError(UserError):
    """A script or module that cannot be found or is no Python."""


class Program(NamedTuple):
    """What is to be run: its code, and what Python sets up for it."""

    code: Callable[[], CodeType]
    path: str
    folder: str
    spec: Any = None


class Ended(NamedTuple):
    """How a program ended: its exit code, and whether an error of its own ended it."""

    code: int
    failed: bool


def script(path: str) -> Program:
    """A program from the path of a file. Raises ScriptError."""
    if not os.path.isfile(path):
        raise ScriptError(f"{path}: no such script")
    folder = os.path.dirname(os.path.realpath(path))
    full = os.path.abspath(path)
    return Program(lambda: compile(io.open_code(full).read(), full, "exec"), path, folder)


def module(name: str) -> Program:
    """A program from the name of a module, as `python -m` takes it. Raises ScriptError."""
    sys.path.insert(0, os.getcwd())
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except (ImportError, ValueError) as error:
        raise ScriptError(f"{name}: {error}") from error
    finally:
        del sys.path[0]
    if spec is None or spec.origin is None or not hasattr(spec.loader, "get_code"):
        raise ScriptError(f"{name}: no such module, or none that can be run")
    loader: Any = spec.loader
    return Program(lambda: loader.get_code(spec.name), spec.origin, os.getcwd(), spec)


def run(program: Program, arguments: Sequence[str]) -> Ended:
    """Run a program to its end, the threads and exit functions that it leaves included."""
    main = ModuleType("__main__")
    main.__dict__.update(
        __file__=os.path.abspath(program.path), __builtins__=builtins, __spec__=program.spec, __cached__=None
    )
    if program.spec is not None:
        main.__dict__.update(__package__=program.spec.parent, __loader__=program.spec.loader)
    sys.modules["__main__"] = main
    sys.argv = [program.path, *arguments]
    if not sys.flags.safe_path:
        sys.path[0] = program.folder
    try:
        exec(program.code(), main.__dict__)  # the user's own script, as asked
        ended = Ended(0, False)
    except SystemExit as stop:
        ended = _exited(stop)
    except BaseException as error:  # noqa: BLE001  # shown as Python shows it
        _show(error)
        ended = Ended(130 if isinstance(error, KeyboardInterrupt) else 1, True)
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.current_thread():
            thread.join()
    atexit._run_exitfuncs()
    return ended


def _exited(stop: SystemExit) -> Ended:
    """What Python makes of `sys.exit(...)`."""
    if stop.code is None or isinstance(stop.code, int):
        return Ended(stop.code or 0, bool(stop.code))
    print(stop.code, file=sys.stderr)
    return Ended(1, True)


def _show(error: BaseException) -> None:
    """Report an uncaught error by the program's own hook, without the frames of the tracer."""
    without_own_frames(error)
    try:
        sys.excepthook(type(error), error, error.__traceback__)
    except Exception:  # noqa: BLE001  # a hook of the program's that fails itself
        traceback.print_exception(error)


def without_own_frames(error: BaseException | None) -> None:
    """Take the frames of the tracer out of an error's traceback, and out of those that it comes from."""
    _strip(error, set())


def _strip(error: BaseException | None, done: set[int]) -> None:
    if error is None or id(error) in done:
        return
    done.add(id(error))
    error.__traceback__ = _stripped(error.__traceback__)
    for other in (error.__cause__, error.__context__, *getattr(error, "exceptions", ())):
        _strip(other, done)


def _stripped(trace: TracebackType | None) -> TracebackType | None:
    kept = []
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(_OWN):
            kept.append(trace)
        trace = trace.tb_next
    following = None
    for each in reversed(kept):
        each.tb_next = following
        following = each
    return following


class Aside:
    """Sends what is written to standard output to standard error, C code and child processes included."""

    def __init__(self) -> None:
        sys.stdout.flush()
        self.kept = os.dup(1)
        os.dup2(2, 1)

    def write(self, text: str) -> None:
        """Write to the real standard output, and let the program's output go there again."""
        sys.stdout.flush()
        os.dup2(self.kept, 1)
        os.close(self.kept)
        data = text.encode()
        while data:
            data = data[os.write(1, data) :]
