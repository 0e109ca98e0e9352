"""Several processes run the entries of files: each lowers its share of them, and takes over what others have not begun.

Every process starts afresh (nothing is shared by a fork, so it is the same on all systems) and reads the files itself; over
the pipes go paths, words and findings. What comes back is put in the order of the files, so that nothing depends on who was
faster. A process that ends before its time costs the group of files that it was at, which are told as problems.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from torchlint.analysis import many_calls
from torchlint.analysis.again import Lowered, lowered
from torchlint.analysis.parts import Part, Told
from torchlint.analysis.vocabulary import Learned, Vocabulary
from torchlint.analysis.whole import Alone, clear, groups
from torchlint.contracts import Contracts
from torchlint.diagnostics import Problem
from torchlint.folders import Folders
from torchlint.project import Project
from torchlint.reader import Reader
from torchlint.source import read_bytes

Group = tuple[str, ...]


class Share(NamedTuple):
    """What a process needs to know: all files of the run, those that it lowers at first, and how imports are resolved."""

    files: Sequence[str]
    roots: Sequence[str]
    contracts: Contracts
    search: Sequence[str]


class Looked(NamedTuple):
    """What a process looked at beyond the files of the run: digests by path, and the names in folders; what it lowered."""

    outside: dict[str, bytes]
    folders: dict[str, frozenset[str]]
    lowered: dict[str, Lowered]


class _Worker:
    """Another process, as this one sees it. `todo` are the groups of files that it will be asked next, `at` the one that it is at."""

    def __init__(self, share: Share) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, share), daemon=True)
        self.process.start()
        theirs.close()
        self.roots = share.roots
        self.todo: list[Group] = []
        self.at: Group | None = None

    def ask(self, *question: object) -> bool:
        """Send a question; False if nobody is there any more."""
        try:
            self.pipe.send(question)
        except OSError:
            return False
        return True


class Processes:
    """Runs the entries of files in processes of their own."""

    def __init__(self, shares: Sequence[Share]) -> None:
        with _interrupts_ignored():  # which the new processes inherit: Ctrl-C is for the one that the user started
            self._workers = [_Worker(share) for share in shares]
        self.looked = Looked({}, {}, {})

    def learned(self, paths: Sequence[str], words: Vocabulary) -> dict[str, Learned]:
        """What the files bind to losses."""
        learned: dict[str, Learned] = {}
        others = frozenset(paths).difference(*(worker.roots for worker in self._workers))
        for index, worker in enumerate(self._workers):
            mine = others.union(worker.roots) if index == 0 else frozenset(worker.roots)
            worker.ask("learned", [path for path in paths if path in mine], words)
        for worker in list(self._workers):
            learned |= self._answer(worker) or {}
        return {path: learned[path] for path in paths if path in learned}

    def run(
        self, paths: Sequence[str], roots: frozenset[str], words: Vocabulary, progress: Callable[[str], None]
    ) -> list[Part]:
        """What these files say, where these files may call a loss and these words lead to one."""
        parts: dict[Group, list[Part]] = {}
        together = groups(paths)
        self._distribute(together)
        for worker in self._workers:
            worker.ask("world", roots, words)
            self._next(worker, progress)
        while busy := [worker for worker in self._workers if worker.at is not None]:
            for ready in wait([worker.pipe for worker in busy]):
                worker = next(each for each in busy if each.pipe is ready)
                group = worker.at
                assert group is not None
                parts[group] = self._answer(worker) or _lost(group, worker)
                self._next(worker, progress)
        return [part for group in together for part in parts.get(group) or _lost(group, None)]

    def finish(self, *, lowered: bool) -> None:
        """Ask what was looked at, and if need be what the modules were lowered to."""
        for worker in list(self._workers):
            worker.ask("looked", lowered)
            looked = self._answer(worker)
            if looked is not None:
                self.looked.outside.update(looked.outside)
                self.looked.folders.update(looked.folders)
                self.looked.lowered.update(looked.lowered)

    def close(self) -> None:
        """End all processes at once, whatever they are at."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()

    def _distribute(self, together: Sequence[Group]) -> None:
        """Give each process the groups whose first file it has lowered, and the others in turn."""
        mine = {path: worker for worker in self._workers for path in worker.roots}
        for worker in self._workers:
            worker.todo = []
        for index, group in enumerate(together):
            worker = mine.get(group[0]) or self._workers[index % len(self._workers)]
            worker.todo.append(group)

    def _next(self, worker: _Worker, progress: Callable[[str], None]) -> None:
        """Give a process its next group, or the last one of the process that has most left."""
        worker.at = None
        longest = max(self._workers, key=lambda each: len(each.todo), default=worker)
        if worker not in self._workers or not (worker.todo or longest.todo):
            return
        group = worker.todo.pop(0) if worker.todo else longest.todo.pop()
        for path in group:
            progress(path)
        worker.at = group
        worker.ask("group", group)

    def _answer(self, worker: _Worker) -> Any:
        """What a process says; None if it has ended: then others take over its files."""
        try:
            return worker.pipe.recv()
        except (EOFError, OSError):
            self._workers.remove(worker)
            worker.process.join(1)
            if self._workers:
                self._workers[0].todo += worker.todo
            return None


def _lost(group: Group, worker: _Worker | None) -> list[Part]:
    code = f" (exit code {worker.process.exitcode})" if worker is not None else ""
    message = f"the process that analysed it ended{code}"
    return [Part(path, Told(problems=(Problem(path, message, internal=True),))) for path in group]


@contextmanager
def processes(shares: Sequence[Share]) -> Iterator[Processes]:
    """Processes that end with the block, also if it is left by Ctrl-C."""
    running = Processes(shares)
    try:
        yield running
    finally:
        running.close()


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Ignore Ctrl-C for the moment; in a thread other than the main one nothing can be done about it."""
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def shares(roots: Sequence[str], size: Callable[[str], int], number: int) -> list[list[str]]:
    """Files in their order, cut into parts of about the same size."""
    total = sum(map(size, roots)) or 1
    parts: list[list[str]] = [[] for _ in range(number)]
    before = 0
    for path in roots:
        parts[min(before * number // total, number - 1)].append(path)
        before += size(path)
    return parts


def _let_go(project: Project, needed: frozenset[str]) -> dict[str, Lowered]:
    """Drop the lowered modules that were only imported or whose entries have run, if they are many; what they were known by."""
    over = {path: module for path, module in project.modules.items() if path not in needed}
    if sum(map(project.size, over)) < _HELD:
        return {}
    for path in over:
        del project.modules[path]
    return lowered(over)


_HELD = 3_000_000
"""Bytes of code that a process keeps lowered after its use: beyond that, what comes next rarely needs it."""


def _serve(pipe: Connection, share: Share) -> None:
    """A process's work: answer until nobody asks."""
    reader = Reader(read_bytes)
    reader.known, reader.folders = frozenset(share.files), Folders(share.files)
    project = Project(share.files, reader, share.contracts, share.search, load=reader.load, folders=reader.folders)
    alone = Alone(project)
    roots: frozenset[str] = frozenset()
    words = Vocabulary(())
    left: dict[str, Lowered] = {}
    done: set[str] = set()
    with many_calls(), suppress(EOFError, OSError):
        while True:
            match pipe.recv():
                case ("learned", paths, given):
                    pipe.send(alone.learned(paths, given))
                case ("world", roots, words):
                    pass
                case ("group", group):
                    pipe.send([alone.one(path, roots, words) for path in group])
                    done |= set(group)
                    left |= _let_go(project, roots - done)
                    reader.sources.clear()
                    clear()
                case ("looked", wanted):
                    modules = left | lowered(project.modules) if wanted else {}
                    pipe.send(Looked(reader.outside, reader.folders.listed, modules))
