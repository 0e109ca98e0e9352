"""A client's session: one thread looks at what is open as it changes, and what it finds is told. Needs pygls."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path

from torchlint import __version__
from torchlint.config import Settings
from torchlint.server.client import Client
from torchlint.server.documents import Document, Opened
from torchlint.server.files import OpenFiles
from torchlint.server.options import Options
from torchlint.server.runs import Outcome, Request, Runs, Superseded
from torchlint.server.told import Fixes, Teller

WHOLE_AFTER = 0.5
"""Seconds without an edit after which the whole project is looked at, as `torchlint check` does."""

_STACK = 64 << 20
"""The parsers are native and recurse; a thread's own stack may be as small as 512 kB."""

_NOTEBOOKS = lsp.NotebookDocumentSyncOptions(
    notebook_selector=[
        lsp.NotebookDocumentFilterWithNotebook(
            notebook="jupyter-notebook", cells=[lsp.NotebookCellLanguage(language="python")]
        )
    ],
    save=True,
)


class Session(LanguageServer):
    """What is open, and the thread that looks at it. All state is touched by the event loop's thread only."""

    def __init__(self) -> None:
        super().__init__(
            "torchlint",
            __version__,
            text_document_sync_kind=lsp.TextDocumentSyncKind.Incremental,
            notebook_document_sync=_NOTEBOOKS,
        )
        self.options = Options()
        self.client = Client()
        self.runs = Runs(self._adjust)
        self.files = OpenFiles()
        self.published: dict[str, tuple[int | None, list[lsp.Diagnostic]]] = {}
        self.revision = 0
        self.looked_at = 0
        self.touched = asyncio.Event()
        self.waiting: list[tuple[int, asyncio.Future[None]]] = []
        self.task: asyncio.Task[None] | None = None
        self.repairs: tuple[int, str, Fixes] | None = None
        self.refused: frozenset[str] = frozenset()
        self.was_shut_down = False
        before = threading.stack_size(_STACK)
        self.pool = ThreadPoolExecutor(1, "torchlint")
        self.pool.submit(int).result()  # starts the thread, with that stack
        threading.stack_size(before)

    def _adjust(self, settings: Settings) -> Settings:
        return self.options.adjust(settings)

    @property
    def teller(self) -> Teller:
        """Tells the client of its files."""
        return Teller(self.client, self.files)

    # ---- what is open

    def add(self, opened: Opened) -> None:
        """A file was opened."""
        self.files.add(opened)
        self.runs.forget_folders()
        self.touch()

    def remove(self, opened: Opened) -> None:
        """A file was closed: what was told of it is taken back, and what is on disk counts again."""
        self.files.remove(opened)
        for part in opened.parts:
            self.drop(part)
        self.runs.forget_folders()
        self.touch()

    def drop(self, part: Document) -> None:
        """A text was closed."""
        self.files.by_uri.pop(part.uri, None)
        published = self.published.pop(part.uri, None)
        if published is not None and published[1]:
            self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(part.uri, []))

    def changed_around(self) -> None:
        """Files, folders or settings changed on disk, or the client's own settings: all is looked at anew."""
        self.runs.forget_folders()
        self.refused = frozenset()
        self.touch()

    def request(self) -> Request:
        """What is open now, for a run."""
        folders = [to_fs_path(each.uri) for each in self.workspace.folders.values()]
        if not folders and self.workspace.root_path:
            folders = [self.workspace.root_path]
        plain = tuple(os.path.normpath(folder) for folder in folders if folder)
        return Request(tuple(each.snapshot() for each in self.files.by_path.values()), plain)

    # ---- runs

    def touch(self) -> None:
        """Something changed: look again. Changes during a run are looked at together after it."""
        self.revision += 1
        self.touched.set()
        if self.task is None or self.task.done():
            self.task = asyncio.get_running_loop().create_task(self._look())

    async def settled(self) -> None:
        """Wait until all that is open was looked at as it is now."""
        if self.looked_at >= self.revision:
            return
        future = asyncio.get_running_loop().create_future()
        self.waiting.append((self.revision, future))
        await future

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run in the thread of the runs, after those that were asked for before."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, function, *arguments)

    async def _look(self) -> None:
        while True:
            while self.looked_at < self.revision:
                await self._run(whole=False)
            self.touched.clear()
            try:  # an edit ends the wait: it is looked at now
                await asyncio.wait_for(self.touched.wait(), WHOLE_AFTER)
            except TimeoutError:
                await self._run(whole=True)
                if not self.touched.is_set():
                    return

    async def _run(self, *, whole: bool) -> None:
        revision, opened, request = self.revision, tuple(self.files.by_path.values()), self.request()

        def wanted() -> bool:
            return not whole or revision == self.revision

        try:
            outcome = await self._in_thread(lambda: self.runs.lint(request, whole=whole, wanted=wanted))
            self.files.take(opened, request, outcome, whole=whole)
            self._publish()
            self._say(outcome)
        except Superseded:
            return
        except Exception as error:  # noqa: BLE001  # a defect of ours: the next edit may well go through
            self._log(f"internal error: {error!r}")
        if not whole:
            self.looked_at = max(self.looked_at, revision)
            for wanted_revision, future in self.waiting:
                if wanted_revision <= revision and not future.done():
                    future.set_result(None)
            self.waiting = [each for each in self.waiting if not each[1].done()]

    # ---- what is told without being asked

    def _publish(self) -> None:
        refresh, teller = False, self.teller
        for opened in self.files.by_path.values():
            for part in opened.parts:
                now = (part.version, teller.diagnostics(opened, part))
                if self.published.get(part.uri) == now:
                    continue
                refresh = refresh or self.published.get(part.uri, (None, []))[1] != now[1]
                self.published[part.uri] = now
                if not self.client.pulls:
                    self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(part.uri, now[1], now[0]))
        if refresh and self.client.pulls:
            self.workspace_diagnostic_refresh(None, lambda _: None)

    def _say(self, outcome: Outcome) -> None:
        """Settings that cannot be used are told once, not at each keystroke."""
        for message in sorted(outcome.refused - self.refused):
            self.complain(message)
        self.refused = outcome.refused
        for problem in outcome.problems:
            if problem.internal:
                self._log(f"{problem.path}: internal error, please report it: {problem.message}")

    def complain(self, message: str) -> None:
        """Show that the user has something to mend."""
        self.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Error, f"torchlint: {message}"))

    def _log(self, message: str) -> None:
        self.window_log_message(lsp.LogMessageParams(lsp.MessageType.Error, f"torchlint: {message}"))

    # ---- actions

    async def quick_fixes(self, opened: Opened, part: Document, where: lsp.Range) -> list[lsp.CodeAction]:
        """What can be done about the diagnostics of a range."""
        found = self.teller.at(opened, part, where)
        if not found or not part.is_good:  # an editor asks wherever its cursor goes
            return []
        revision = self.revision
        fixes = await self._fixes(opened)
        # What was edited meanwhile lies elsewhere by now; the editor asks again.
        return list(self.teller.quick_fixes(part, found, fixes)) if revision == self.revision else []

    async def _fixes(self, opened: Opened) -> Fixes:
        """The fixes of an open file as it is now."""
        revision = self.revision
        if self.repairs is None or self.repairs[:2] != (revision, opened.path):
            report = await self._in_thread(self.runs.repairs, self.request(), opened.path)
            fixes = {(each.code, each.place): fix for each in report.diagnostics for fix in each.fixes[:1]}
            self.repairs = (revision, opened.path, fixes)
        return self.repairs[2]

    async def fix_all(self, opened: Opened) -> lsp.CodeAction | None:
        """All safe fixes of an open file as one action."""
        revision = self.revision
        fixed = await self._in_thread(self.runs.fix_all, self.request(), opened.path)
        if fixed is None or set(fixed.after) != {opened.path} or not all(part.is_good for part in opened.parts):
            return None
        return self.teller.fix_all(opened, fixed.after[opened.path]) if revision == self.revision else None
