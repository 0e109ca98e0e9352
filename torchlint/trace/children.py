"""Follows the program into the processes that it starts by multiprocessing: each is traced, and the first one reports.

One that is forked has the tracer's stand-ins already, and begins to count anew. One that is spawned is a new interpreter,
as is the server that others are forked off: it installs the tracer before it imports the program, whose functions would
otherwise keep what they were given by name. Workers that only load data, and processes of the library's own, are left
alone, but write to memory in a dry run as well.
"""

from __future__ import annotations

import multiprocessing.connection
import multiprocessing.spawn
import multiprocessing.util
import os
import pickle
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple
from weakref import WeakSet

import torch

from torchlint.trace.family import Family, Identity, Seen
from torchlint.trace.limits import leave
from torchlint.trace.patches import Patches
from torchlint.trace.runner import without_own_frames
from torchlint.trace.running import Running, Settings
from torchlint.trace.waiting import LONGEST, POLL, Idle, Watch

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_BEGIN = """\
try:
    import sys
    sys.path.append({root!r})
    from torchlint.trace.children import spawned
    spawned({path!r})
except Exception as error:
    print(f"torchlint: a child process is not traced: {{error!r}}", file=sys.stderr)
"""
_FORKSERVER = "from multiprocessing.forkserver import main"
_SERVES = ("multiprocessing.", "torch.utils.data.")
"""Modules whose own processes work for others: managers, and the workers of loaders."""
_POOLS = ("multiprocessing.pool", "torch.multiprocessing.pool", "concurrent.futures.process")
"""Modules whose processes run the program's functions, and wait for the next one."""
_GRACE = 5.0
"""So many seconds children have to say what they saw when everything ends."""


class _Given(NamedTuple):
    """What a spawned process is told."""

    settings: Settings
    folder: str
    layer: str | None
    gone: frozenset[str]
    is_traced: bool


def follows(process: BaseProcess) -> bool:
    """Whether a process runs the program's own code, and not only what serves it."""
    return _is_pooled(process) or not _home(process).startswith(_SERVES)


class Children:
    """This process among those that it starts, and the one that started it, if any."""

    def __init__(self, family: Family, settings: Settings, running: Running) -> None:
        self.family = family
        self.settings = settings
        self.running = running
        self.starting = threading.local()
        self.begin(None)

    def begin(self, process: BaseProcess | None) -> None:
        """Be this process, None for the first one of all."""
        self.pid = os.getpid()
        self.identity = () if process is None else _identity(process)
        self.rank: int | None = None
        self.has_begun = False
        self.has_said = False
        self.is_pooled = process is not None and _is_pooled(process)
        self.started: WeakSet[BaseProcess] = WeakSet()
        self.pooled: WeakSet[BaseProcess] = WeakSet()
        self.end = threading.Lock()
        self.watch: Watch | None = None
        self.idle = Idle()
        self.stops_before = self.family.count("stopped")
        self.has_stopped = False
        self.alone_since: float | None = None

    def install(self) -> None:
        """Follow."""
        patches = self.running.session.patches
        patches.replace(BaseProcess, "start", self._starts)
        patches.replace(BaseProcess, "_bootstrap", self._bootstraps)
        for name in ("terminate", "kill"):
            patches.replace(BaseProcess, name, self._ends)
        patches.replace(multiprocessing.spawn, "get_command_line", self._commands)
        patches.replace(multiprocessing.util, "spawnv_passfds", self._servers)

    # ------------------------------------------------------------ in the process that starts another

    def _starts(self, original: Callable[..., None]) -> Callable[..., None]:
        def start(process: BaseProcess) -> None:
            self.starting.process = process
            is_followed, is_pooled = follows(process), _is_pooled(process)
            try:
                original(process)
            finally:
                self.starting.process = None
            if is_followed:
                (self.pooled if is_pooled else self.started).add(process)
                self._watch()

        return start

    def _ends(self, original: Callable[..., None]) -> Callable[..., None]:
        """Ends a process, as `mp.spawn` does where another one failed: not before it has said what it saw."""

        def terminate(process: BaseProcess) -> None:
            try:
                if process in self.started or process in self.pooled:
                    self._ask(process)
            except Exception as error:  # noqa: BLE001
                self._fail(error)
            original(process)

        return terminate

    def _ask(self, process: BaseProcess) -> None:
        """Let a process say what it saw."""
        identity, until = _identity(process), time.monotonic() + _GRACE
        if self.family.has("here", identity):
            self.family.mark("ending", identity)
            while _runs(process) and not self.family.has("seen", identity) and time.monotonic() < until:
                time.sleep(POLL / 10)

    def _commands(self, original: Callable[..., list[str]]) -> Callable[..., list[str]]:
        """The command of a spawned process."""

        def get_command_line(**given: Any) -> list[str]:
            command, process = original(**given), getattr(self.starting, "process", None)
            return command if process is None else self._told(command, _identity(process), follows(process))

        return get_command_line

    def _servers(self, original: Callable[..., int]) -> Callable[..., int]:
        """Starts a server that forks processes off itself, all of which then have what it has installed."""

        def spawnv_passfds(path: Any, args: Any, passfds: Any) -> int:
            if any(isinstance(each, str) and each.startswith(_FORKSERVER) for each in args):
                args = self._told(args, (), True)
            return original(path, args, passfds)

        return spawnv_passfds

    def _told(self, command: list[str], identity: Identity, is_traced: bool) -> list[str]:
        """A command of an interpreter that installs the tracer first."""
        if "-c" not in command:
            return command
        overlay = self.running.overlay
        layer, gone = (None, frozenset[str]()) if overlay is None else (overlay.folder, frozenset(overlay.gone))
        path = self.family.path("given", (os.getpid(), *identity))
        try:
            with open(path, "wb") as file:
                pickle.dump(_Given(self.settings, self.family.folder, layer, gone, is_traced), file)
        except Exception as error:  # noqa: BLE001  # the program starts it whatever happens here
            self._fail(error)
            return command
        at = command.index("-c") + 1
        return [*command[:at], _BEGIN.format(root=_ROOT, path=path) + command[at], *command[at + 1 :]]

    # ------------------------------------------------------------ in the process that was started

    def _bootstraps(self, original: Callable[..., int]) -> Callable[..., int]:
        def bootstrap(process: BaseProcess, *args: Any, **kwargs: Any) -> int:
            if not follows(process):
                return original(process, *args, **kwargs)
            try:
                self._enter(process)
            except Exception as error:  # noqa: BLE001  # it runs whatever happens here
                self._fail(error)
            code = original(process, *args, **kwargs)
            return self._leave(code) if self.claim() else never()

        return bootstrap

    def _enter(self, process: BaseProcess) -> None:
        """Trace what runs from now on in this process, a new one."""
        if self.pid != os.getpid():
            self.running.forked()
        self.begin(process)
        self.running.give_up = self._give_up
        for name in ("format_exc", "print_exc"):
            self.running.session.patches.replace(traceback, name, _clean)
        self._watch()
        self.family.mark("here", self.identity)

    def _leave(self, code: int) -> int:
        """Tell what was seen. The exit code that is to be."""
        if self.watch is not None:
            self.watch.stop()
        try:
            rank = self.rank if self.rank is not None else _rank()
            limits, halted = self.running.limits, self.running.halted
            is_stopped = limits is not None and limits.stops > 0
            if is_stopped:
                self.family.mark("stopped", self.identity)
            self.family.tell(self.identity, Seen(rank, self.running.stop()))
            if is_stopped and _rank() is not None:
                self._linger()
            return 0 if halted else code
        except Exception as error:  # noqa: BLE001
            print(f"torchlint: what a child process saw is lost: {error!r}", file=sys.stderr)
            return code

    def _linger(self) -> None:
        """Keep connections open as long as others train: to lose them would be an error there, and no stop.

        Each says that it trains from a thread of its own, so one that was fast is waited for a moment.
        """
        begin = time.monotonic()
        while (waited := time.monotonic() - begin) < LONGEST:
            all_heard = waited >= _GRACE or len(self.family.heard) >= torch.distributed.get_world_size()
            if all_heard and not self.family.silent:
                return
            time.sleep(POLL)

    def _give_up(self) -> None:
        """End this process, with what was seen."""
        if self.claim():
            self._leave(0)
            sys.stdout.flush()
            sys.stderr.flush()
            terminate()
            leave(0)

    # ------------------------------------------------------------ beside the program

    def claim(self) -> bool:
        """Whether this thread is the one that ends the process: the program's own may come to its end as it is given up."""
        return self.end.acquire(blocking=False)

    def _watch(self) -> None:
        if self.watch is None:
            self.watch = Watch(self._look)
            self.watch.start()

    def _look(self) -> bool:
        """Say how far this process is, and end it if it waits for what a stop has ended. True if there is no more to say."""
        try:
            return self._looked()
        except Exception as error:  # noqa: BLE001
            self._fail(error)
            return True

    def _looked(self) -> bool:
        limits, is_first = self.running.limits, not self.identity
        if not is_first:
            self._say()
        if limits is None:
            return is_first
        if limits.stops and not self.has_stopped:
            self.has_stopped = True
            self.family.mark("stopped", self.identity)
        if not is_first and self.family.count("over"):
            self.running.give_up()
        elif any(map(_runs, list(self.started))) or self.family.count("stopped") == self.stops_before:
            self.idle.restart()
        elif not self.is_pooled:
            self.alone_since = self.alone_since or time.monotonic()
            if self.idle or (not is_first and time.monotonic() - self.alone_since > LONGEST):
                self.running.give_up()
        return False

    def _say(self) -> None:
        """Say that this process trains, and what it saw if it is about to be ended from outside."""
        if not self.has_begun and self.running.session.recorder.progress.all:
            self.has_begun = True
            self.rank = _rank()
            self.family.mark("began", self.identity)
        if not self.has_said and self.family.has("ending", self.identity):
            self.has_said = True
            self.family.tell(self.identity, Seen(self.rank, self.running.session.report()))

    def _fail(self, error: Exception) -> None:
        self.running.session.recorder.fail(error)

    # ------------------------------------------------------------ in the first process, at the end

    def end_others(self) -> None:
        """End the processes that go on, which may still say what they saw."""
        if self.watch is not None:
            self.watch.stop()
        try:
            others = multiprocessing.active_children()
            if others:
                self.family.mark("over", self.identity)
            until = time.monotonic() + _GRACE
            for each in others:
                each.join(max(0.0, until - time.monotonic()))
            terminate()
        except Exception as error:  # noqa: BLE001
            self._fail(error)


def spawned(path: str) -> None:
    """Install the tracer in a new interpreter, which imports the program next."""
    with open(path, "rb") as file:
        given: _Given = pickle.load(file)
    running = Running(given.settings, lambda: None, given.layer)
    if running.overlay is not None:
        running.overlay.gone |= given.gone
    if given.is_traced:
        try:
            running.start()
            Children(Family(given.folder), given.settings, running).install()
        except Exception:
            running.session.stop()
            raise
    elif running.overlay is not None:
        running.overlay.install(Patches())


def _identity(process: BaseProcess) -> Identity:
    found: Identity = process._identity
    return found


def _home(process: BaseProcess) -> str:
    """The module of the function that a process runs."""
    target: Any = getattr(process, "_target", None)
    return getattr(target, "__module__", None) or ""


def _is_pooled(process: BaseProcess) -> bool:
    return _home(process) in _POOLS


def _runs(process: BaseProcess) -> bool:
    """Whether a process has not ended. It is not waited for: how it ended is its parent's to ask."""
    try:
        return not multiprocessing.connection.wait([process.sentinel], 0)
    except (ValueError, OSError):
        return False


def _rank() -> int | None:
    distributed = torch.distributed
    return distributed.get_rank() if distributed.is_available() and distributed.is_initialized() else None


def terminate() -> None:
    """End the processes that this one started; a pool starts new ones in their place."""
    for each in multiprocessing.active_children():
        each.terminate()


def never() -> int:
    """Wait for another thread to end the process."""
    while True:
        time.sleep(POLL)


def _clean(original: Callable[..., Any]) -> Callable[..., Any]:
    """A function that shows the error that is handled, without the tracer's frames."""

    def show(*args: Any, **kwargs: Any) -> Any:
        without_own_frames(sys.exception())
        return original(*args, **kwargs)

    return show
