"""Several processes run the entries of files: each lowers its share of them, and takes over what others have not begun.

Every process starts afresh (nothing is shared by a fork, so it is the same on all systems) and reads the files itself; over
the pipes go paths, words and findings. What comes back is put in the order of the files, so that nothing depends on who was
faster. A process that ends before its time costs the file that it was at, which is told as a problem.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from torchlint.analysis import many_calls
from torchlint.analysis.entries import Told
from torchlint.analysis.vocabulary import Learned, Vocabulary
from torchlint.analysis.whole import Alone
from torchlint.contracts import Contracts
from torchlint.diagnostics import Problem
from torchlint.folders import Folders
from torchlint.project import Project
from torchlint.reader import Reader
from torchlint.source import read_bytes


class Share(NamedTuple):
    """What a process needs to know: all files of the run, those that it lowers at first, and how imports are resolved."""

    files: Sequence[str]
    roots: Sequence[str]
    contracts: Contracts
    search: Sequence[str]


class Looked(NamedTuple):
    """What a process looked at beyond the files of the run: digests by path, and the names in folders."""

    outside: dict[str, bytes]
    folders: dict[str, frozenset[str]]


class _Worker:
    """Another process, as this one sees it. `todo` is what it will be asked next, `at` the file that it is at."""

    def __init__(self, share: Share) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, share), daemon=True)
        self.process.start()
        theirs.close()
        self.roots = share.roots
        self.todo: list[str] = []
        self.at: str | None = None

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
        self.looked = Looked({}, {})

    def learned(self, words: Vocabulary) -> Learned:
        """What the files bind to losses."""
        all_words, near = set(words.words), set[str]()
        for worker in self._workers:
            worker.ask("learned", words)
        for worker in list(self._workers):
            answer = self._answer(worker)
            if answer is not None:
                all_words |= answer[0]
                near |= answer[1]
        return all_words, near

    def run(
        self, paths: Sequence[str], roots: frozenset[str], words: Vocabulary, progress: Callable[[str], None]
    ) -> list[Told]:
        """What each of these files says, where these files may call a loss and these words lead to one."""
        told: dict[str, Told] = {}
        self._distribute(paths)
        for worker in self._workers:
            worker.ask("world", roots, words)
            self._next(worker, progress)
        while busy := [worker for worker in self._workers if worker.at is not None]:
            for ready in wait([worker.pipe for worker in busy]):
                worker = next(each for each in busy if each.pipe is ready)
                path = worker.at
                assert path is not None
                told[path] = self._answer(worker) or _lost(path, worker)
                self._next(worker, progress)
        return [told.get(path) or _lost(path, None) for path in paths]

    def finish(self) -> None:
        """Ask what was looked at."""
        for worker in list(self._workers):
            worker.ask("looked")
            looked = self._answer(worker)
            if looked is not None:
                self.looked.outside.update(looked.outside)
                self.looked.folders.update(looked.folders)

    def close(self) -> None:
        """End all processes at once, whatever they are at."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()

    def _distribute(self, paths: Sequence[str]) -> None:
        """Give each process those of the files that it has lowered, and the others in turn."""
        wanted = set(paths)
        mine = {path for worker in self._workers for path in worker.roots}
        others = [path for path in paths if path not in mine]
        for index, worker in enumerate(self._workers):
            worker.todo = [path for path in worker.roots if path in wanted] + others[index :: len(self._workers)]

    def _next(self, worker: _Worker, progress: Callable[[str], None]) -> None:
        """Give a process its next file, or the last one of the process that has most left."""
        worker.at = None
        longest = max(self._workers, key=lambda each: len(each.todo), default=worker)
        if worker not in self._workers or not (worker.todo or longest.todo):
            return
        path = worker.todo.pop(0) if worker.todo else longest.todo.pop()
        progress(path)
        worker.at = path
        worker.ask("one", path)

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


def _lost(path: str, worker: _Worker | None) -> Told:
    code = f" (exit code {worker.process.exitcode})" if worker is not None else ""
    return Told(problems=(Problem(path, f"the process that analysed it ended{code}", internal=True),))


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


def _serve(pipe: Connection, share: Share) -> None:
    """A process's work: answer until nobody asks."""
    reader = Reader(read_bytes)
    reader.known, reader.folders = frozenset(share.files), Folders(share.files)
    project = Project(share.files, reader, share.contracts, share.search, load=reader.load, folders=reader.folders)
    alone = Alone(project, share.roots)
    roots: frozenset[str] = frozenset()
    words = Vocabulary(())
    with many_calls(), suppress(EOFError, OSError):
        while True:
            match pipe.recv():
                case ("learned", given):
                    pipe.send(alone.learned(given))
                case ("world", roots, words):
                    pass
                case ("one", path):
                    pipe.send(alone.one(path, roots, words))
                case ("looked",):
                    pipe.send(Looked(reader.outside, reader.folders.listed))
