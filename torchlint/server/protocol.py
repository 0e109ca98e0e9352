"""The language server: what a client says to runs, and what runs find to the client. Needs pygls."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path

from torchlint import __version__, config, rulebook
from torchlint.config import ConfigError, Settings
from torchlint.diagnostics import Diagnostic, Edit, Fix, Place
from torchlint.errors import UserError
from torchlint.notebook import cell_codes
from torchlint.server import actions
from torchlint.server.documents import Document, Opened, Rebase, rebased
from torchlint.server.runs import Outcome, Request, Runs, Superseded
from torchlint.server.texts import Encoding, Position, Text
from torchlint.source import decode, is_notebook

FIX_ALL = "source.fixAll.torchlint"

WHOLE_AFTER = 0.5
"""Seconds without an edit after which the whole project is looked at, as `torchlint check` does."""

_STACK = 64 << 20
"""The parsers are native and recurse; a thread's own stack may be as small as 512 kB."""

_SEVERITIES = {
    "error": lsp.DiagnosticSeverity.Error,
    "warning": lsp.DiagnosticSeverity.Warning,
    "info": lsp.DiagnosticSeverity.Information,
}
_NOTEBOOKS = lsp.NotebookDocumentSyncOptions(
    notebook_selector=[
        lsp.NotebookDocumentFilterWithNotebook(
            notebook="jupyter-notebook", cells=[lsp.NotebookCellLanguage(language="python")]
        )
    ],
    save=True,
)
_CONFIGURATION = ("**/pyproject.toml", "**/torchlint.toml", "**/.torchlint.toml")
_SOURCES = ("**/*.py", "**/*.pyw", "**/*.ipynb", "**/.gitignore")


class Options(NamedTuple):
    """What the client asks for in its `initializationOptions`; they decide before the settings of the project."""

    config: str | None = None
    overrides: Mapping[str, Any] = {}

    @staticmethod
    def of(given: object) -> Options:
        """Read the options. Raises ConfigError naming the option that is wrong."""
        table = dict(given) if isinstance(given, dict) else {}
        table = table.get("settings", table)
        if not isinstance(table, dict):
            raise ConfigError("initializationOptions.settings: expected a table")
        path = table.pop("config", None)
        if path is not None and not isinstance(path, str):
            raise ConfigError("initializationOptions.config: expected a string")
        allowed = ("select", "ignore", "extend-select", "confidence")
        checked = config.parse(table, "initializationOptions/torchlint.toml") if table else Settings()
        for key in table:
            if key not in allowed:
                raise ConfigError(f"initializationOptions.{key}: can only be set in the project's settings")
        return Options(path, {key.replace("-", "_"): getattr(checked, key.replace("-", "_")) for key in table})

    def adjust(self, settings: Settings) -> Settings:
        """Settings with what the options say. Raises ConfigError."""
        if self.config is not None:
            settings = config.read(self.config)
        return config.override(settings, **self.overrides) if self.overrides else settings


class Server(LanguageServer):
    """What is open, and the thread that looks at it. All state is touched by the event loop's thread only."""

    def __init__(self) -> None:
        super().__init__(
            "torchlint",
            __version__,
            text_document_sync_kind=lsp.TextDocumentSyncKind.Incremental,
            notebook_document_sync=_NOTEBOOKS,
        )
        self.options = Options()
        self.runs = Runs(self._adjust)
        self.opened: dict[str, Opened] = {}
        self.by_uri: dict[str, tuple[Opened, Document]] = {}
        self.texts: dict[str, Text] = {}
        self.late: dict[str, _Late] = {}
        self.published: dict[str, tuple[int | None, list[lsp.Diagnostic]]] = {}
        self.revision = 0
        self.looked_at = 0
        self.touched = asyncio.Event()
        self.waiting: list[tuple[int, asyncio.Future[None]]] = []
        self.task: asyncio.Task[None] | None = None
        self.repairs: tuple[int, str, Mapping[tuple[str, Place], Fix]] | None = None
        self.told: set[str] = set()
        self.was_shut_down = False
        before = threading.stack_size(_STACK)
        self.pool = ThreadPoolExecutor(1, "torchlint")
        self.pool.submit(int).result()  # starts the thread, with that stack
        threading.stack_size(before)

    def _adjust(self, settings: Settings) -> Settings:
        return self.options.adjust(settings)

    # ---- what the client can do

    @property
    def encoding(self) -> Encoding:
        """What the client's columns count."""
        name = str(getattr(self.workspace.position_encoding, "value", self.workspace.position_encoding))
        return "utf-8" if name == "utf-8" else "utf-32" if name == "utf-32" else "utf-16"

    @property
    def pulls(self) -> bool:
        """Whether the client asks for diagnostics; then none are pushed."""
        text = self.client_capabilities.text_document
        return text is not None and text.diagnostic is not None

    @property
    def shows_trails(self) -> bool:
        """Whether the client shows places beside that of a diagnostic."""
        text = self.client_capabilities.text_document
        publish = None if text is None else text.publish_diagnostics
        return bool(publish and publish.related_information) or bool(
            text and text.diagnostic and getattr(text.diagnostic, "related_information", None)
        )

    # ---- what is open

    def add(self, opened: Opened) -> None:
        """A file was opened."""
        self.opened[opened.path] = opened
        for part in opened.parts:
            self.by_uri[part.uri] = (opened, part)
        self.runs.forget_folders()
        self.touch()

    def remove(self, opened: Opened) -> None:
        """A file was closed: what was told of it is taken back, and what is on disk counts again."""
        if self.opened.get(opened.path) is opened:
            del self.opened[opened.path]
            self.late.pop(opened.path, None)
        for part in opened.parts:
            self.drop(part)
        self.runs.forget_folders()
        self.touch()

    def drop(self, part: Document) -> None:
        """A text was closed."""
        self.by_uri.pop(part.uri, None)
        published = self.published.pop(part.uri, None)
        if published is not None and published[1]:
            self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(part.uri, []))

    def request(self) -> Request:
        """What is open now, for a run."""
        folders = [to_fs_path(uri) for uri in (each.uri for each in self.workspace.folders.values())]
        if not folders and self.workspace.root_path:
            folders = [self.workspace.root_path]
        plain = tuple(os.path.normpath(folder) for folder in folders if folder)
        return Request(tuple(each.snapshot() for each in self.opened.values()), plain)

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

    async def in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
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
        revision, opened, request = self.revision, tuple(self.opened.values()), self.request()

        def wanted() -> bool:
            return not whole or revision == self.revision

        try:
            outcome = await self.in_thread(lambda: self.runs.lint(request, whole=whole, wanted=wanted))
        except Superseded:
            return
        except UserError as error:
            self._say_once(str(error))
        except Exception as error:  # noqa: BLE001  # a defect of ours: the next edit may well go through
            self._log(f"internal error: {error!r}")
        else:
            self._take(opened, request, outcome, whole=whole)
            self._publish()
        if not whole:
            self.looked_at = max(self.looked_at, revision)
            for wanted_revision, future in self.waiting:
                if wanted_revision <= revision and not future.done():
                    future.set_result(None)
            self.waiting = [each for each in self.waiting if not each[1].done()]

    def _take(self, opened: Sequence[Opened], request: Request, outcome: Outcome, *, whole: bool) -> None:
        for each, snapshot in zip(opened, request.opened, strict=True):
            if self.opened.get(each.path) is each:
                self._advance(each, snapshot.parts, outcome.looked[each.path].good)
        for each in opened:
            if self.opened.get(each.path) is not each:
                continue
            found = outcome.looked[each.path].diagnostics
            if whole:
                self.late[each.path] = _Late.between(each.quick, found)
            else:
                each.quick = found
            each.found = self.late.get(each.path, _Late()).added_to(each.quick)
        mentioned = {step.place.path for each in self.opened.values() for found in each.found for step in found.trail}
        self.texts = {
            path: Text.of(outcome.sources[path].text) if path in outcome.sources else self.texts[path]
            for path in mentioned - self.opened.keys()
            if path in outcome.sources or path in self.texts
        }
        for problem in outcome.problems:
            if problem.internal:
                self._log(f"{problem.path}: internal error, please report it: {problem.message}")

    def _advance(self, opened: Opened, parts: Sequence[Any], good: Sequence[bool]) -> None:
        """Texts of a snapshot that are Python take the place of the good ones before them."""
        for number, (part, taken, is_good) in enumerate(zip(opened.parts, parts, good, strict=False), 1):
            if not is_good:
                continue
            before = part.good
            changes = part.took(taken.text, taken.changes)
            if before is not None and changes and part.good is not None:
                rebase = Rebase(opened.path, number if opened.notebook else None, before, part.good, changes)
                self.late = {path: late.rebased(rebase) for path, late in self.late.items()}

    def _publish(self) -> None:
        refresh = False
        for opened in self.opened.values():
            for part in opened.parts:
                now = (part.version, self.diagnostics(opened, part))
                if self.published.get(part.uri) == now:
                    continue
                refresh = refresh or self.published.get(part.uri, (None, []))[1] != now[1]
                self.published[part.uri] = now
                if not self.pulls:
                    self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(part.uri, now[1], now[0]))
        workspace = self.client_capabilities.workspace
        if refresh and self.pulls and workspace and workspace.diagnostics and workspace.diagnostics.refresh_support:
            self.workspace_diagnostic_refresh(None, lambda _: None)

    def _say_once(self, message: str) -> None:
        """Settings that cannot be used are told once, not at each keystroke."""
        if message not in self.told:
            self.told = {message}
            self.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Error, f"torchlint: {message}"))

    def _log(self, message: str) -> None:
        self.window_log_message(lsp.LogMessageParams(lsp.MessageType.Error, f"torchlint: {message}"))

    # ---- diagnostics

    def shown(self, opened: Opened, part: Document) -> Iterable[tuple[Diagnostic, tuple[int, int]]]:
        """The diagnostics of a text with the offsets that they flag by now."""
        for diagnostic in opened.found:
            if opened.part(diagnostic.place) is part and (span := part.span(diagnostic.place)) is not None:
                yield diagnostic, span

    def diagnostics(self, opened: Opened, part: Document) -> list[lsp.Diagnostic]:
        """The diagnostics of a text as the client is told them."""
        return [self._diagnostic(part, diagnostic, span) for diagnostic, span in self.shown(opened, part)]

    def _diagnostic(self, part: Document, diagnostic: Diagnostic, span: tuple[int, int]) -> lsp.Diagnostic:
        related = None
        if self.shows_trails:
            located = [(self.location(step.place), step.note) for step in diagnostic.trail]
            related = [lsp.DiagnosticRelatedInformation(at, note) for at, note in located if at is not None]
        page = diagnostic.url or page_uri(diagnostic.code)
        return lsp.Diagnostic(
            range=self.range(part.now, span),
            message=f"{diagnostic.name}: {diagnostic.message}",
            severity=_SEVERITIES[diagnostic.severity],
            code=diagnostic.code,
            code_description=None if page is None else lsp.CodeDescription(page),
            source="torchlint",
            related_information=related,
        )

    def range(self, text: Text, span: tuple[int, int]) -> lsp.Range:
        """Two offsets as the client counts."""
        start, end = (text.position(offset, self.encoding) for offset in span)
        return lsp.Range(lsp.Position(*start), lsp.Position(*end))

    # ---- actions

    async def fixes(self, opened: Opened) -> Mapping[tuple[str, Place], Fix]:
        """The fixes of an open file as it is now, by code and place."""
        revision = self.revision
        if self.repairs is None or self.repairs[:2] != (revision, opened.path):
            report = await self.in_thread(self.runs.repairs, self.request(), opened.path)
            found = {(each.code, each.place): fix for each in report.diagnostics for fix in each.fixes[:1]}
            self.repairs = (revision, opened.path, found)
        return self.repairs[2]

    def edit_of(self, edits: Iterable[Edit]) -> lsp.WorkspaceEdit | None:
        """Edits of files as the client makes them; None if a text was edited further, or is not open and no plain file."""
        by_uri: dict[str, tuple[int | None, list[lsp.TextEdit]]] = {}
        for edit in edits:
            place = edit.place
            opened = self.opened.get(place.path)
            part = None if opened is None else opened.part(place)
            if opened is not None and (part is None or not part.is_good):
                return None
            where = self.location(place)
            if where is None:
                return None
            version = None if part is None else part.version
            by_uri.setdefault(where.uri, (version, []))[1].append(lsp.TextEdit(where.range, edit.content))
        return self.workspace_edit(by_uri)

    def workspace_edit(self, by_uri: Mapping[str, tuple[int | None, list[lsp.TextEdit]]]) -> lsp.WorkspaceEdit:
        """Edits by URI, with the versions that they are meant for if the client looks at these."""
        workspace = self.client_capabilities.workspace
        if workspace and workspace.workspace_edit and workspace.workspace_edit.document_changes:
            return lsp.WorkspaceEdit(
                document_changes=[
                    lsp.TextDocumentEdit(lsp.OptionalVersionedTextDocumentIdentifier(uri, version), list(edits))
                    for uri, (version, edits) in by_uri.items()
                ]
            )
        return lsp.WorkspaceEdit(changes={uri: edits for uri, (_, edits) in by_uri.items()})

    def replaced(self, part: Document, changes: Iterable[actions.Replacement]) -> list[lsp.TextEdit]:
        """Changes of an open text as the client makes them."""
        return [lsp.TextEdit(self.range(part.now, each[:2]), each.content) for each in changes]

    async def quick_fixes(self, opened: Opened, part: Document, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
        """For each diagnostic at a place: its fix, and a comment that hides it."""
        fixes = await self.fixes(opened)
        if not part.is_good:
            return []
        start, end = (part.now.offset(_position(at), self.encoding) for at in (params.range.start, params.range.end))
        made: list[lsp.CodeAction] = []
        for diagnostic, span in self.shown(opened, part):
            if span[1] < start or end < span[0]:
                continue
            about = [self._diagnostic(part, diagnostic, span)]
            fix = fixes.get((diagnostic.code, diagnostic.place))
            edit = None if fix is None or fix.safety == "display" else self.edit_of(fix.edits)
            if fix is not None and edit is not None:
                safe = fix.safety == "safe"
                title = fix.title if safe else f"{fix.title} (unsafe: other code may change with it)"
                made.append(lsp.CodeAction(title, lsp.CodeActionKind.QuickFix, about, safe, edit=edit))
            hidden = actions.ignored(part.now, diagnostic.code, span)
            if hidden is not None:
                title = f"Ignore {diagnostic.code} here, with a reason"
                edit = self.workspace_edit({part.uri: (part.version, self.replaced(part, [hidden]))})
                made.append(lsp.CodeAction(title, lsp.CodeActionKind.QuickFix, about, edit=edit))
        return made

    async def fix_all(self, opened: Opened) -> lsp.CodeAction | None:
        """All safe fixes of an open file as one action."""
        texts = [part.now.text for part in opened.parts]
        fixed = await self.in_thread(self.runs.fix_all, self.request(), opened.path)
        if fixed is None or set(fixed.after) != {opened.path} or not all(part.is_good for part in opened.parts):
            return None
        new = opened_texts(opened, fixed.after[opened.path])
        if len(new) != len(texts) or texts != [part.now.text for part in opened.parts]:
            return None
        edits = {
            part.uri: (part.version, self.replaced(part, actions.difference(part.now.text, text)))
            for part, text in zip(opened.parts, new, strict=True)
            if text != part.now.text
        }
        return lsp.CodeAction("Fix all that torchlint can fix safely", FIX_ALL, edit=self.workspace_edit(edits))

    def location(self, place: Place) -> lsp.Location | None:
        """A place in an open text or another file; None if it is gone, or in a notebook that is not open."""
        opened = self.opened.get(place.path)
        if opened is not None:
            part = opened.part(place)
            span = None if part is None else part.span(place)
            return None if part is None or span is None else lsp.Location(part.uri, self.range(part.now, span))
        text = self.texts.get(place.path)
        if text is None or is_notebook(place.path):
            return None
        span = text.at(place.line, place.column), text.at(place.end_line, place.end_column)
        return lsp.Location(Path(place.path).as_uri(), self.range(text, span))


class _Late(NamedTuple):
    """How the look at the whole project differed from the quick one: what it found besides, and what it did not find."""

    extra: tuple[Diagnostic, ...] = ()
    gone: tuple[Diagnostic, ...] = ()

    @staticmethod
    def between(quick: Sequence[Diagnostic], whole: Sequence[Diagnostic]) -> _Late:
        """The difference of two looks at the same texts."""
        return _Late(tuple(each for each in whole if each not in quick), tuple(e for e in quick if e not in whole))

    def added_to(self, quick: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
        """What a quick look found, as the whole project is likely to show it."""
        gone = {(each.code, each.place) for each in self.gone}
        kept = [each for each in quick if (each.code, each.place) not in gone]
        found = {(each.code, each.place) for each in kept}
        kept += [each for each in self.extra if (each.code, each.place) not in found]
        return tuple(sorted(kept, key=lambda each: (each.place.cell or 0, each.place[1:3], each.code)))

    def rebased(self, rebase: Rebase) -> _Late:
        """The same for a later text."""
        return _Late(
            tuple(moved for each in self.extra if (moved := rebased(each, rebase)) is not None),
            tuple(moved for each in self.gone if (moved := rebased(each, rebase)) is not None),
        )


def opened_texts(opened: Opened, content: bytes) -> list[str]:
    """The texts of an open file that would have these bytes."""
    if not opened.notebook:
        return [decode(content)]
    return list(cell_codes(content).values())


def page_uri(code: str) -> str | None:
    """The page of a rule as a client can open it."""
    rule = rulebook.load().get(code)
    return None if rule is None else Path(rule.path).absolute().as_uri()


def path_of(uri: str) -> str:
    """The path of a file; what is not saved yet keeps its URI."""
    path = to_fs_path(uri)
    return uri if path is None else os.path.normpath(path)


def _position(given: lsp.Position) -> Position:
    return Position(given.line, given.character)


# ---- what the client says


def opened_text(ls: Server, params: lsp.DidOpenTextDocumentParams) -> None:
    """A file was opened."""
    item = params.text_document
    path = path_of(item.uri)
    is_python = item.language_id == "python" or path.endswith((".py", ".pyw"))
    if is_python and not is_notebook(path):
        ls.add(Opened(path, item.uri, [Document(item.uri, item.text, item.version)]))


def changed_text(ls: Server, params: lsp.DidChangeTextDocumentParams) -> None:
    """A file was edited."""
    known = ls.by_uri.get(params.text_document.uri)
    if known is not None:
        _edit(ls, known[1], params.content_changes, params.text_document.version)
        ls.touch()


def _edit(ls: Server, part: Document, changes: Sequence[Any], version: int | None) -> None:
    for change in changes:
        where = getattr(change, "range", None)
        start, end = (None, None) if where is None else (_position(where.start), _position(where.end))
        part.edit(start, end, change.text, ls.encoding)
    part.version = version


def closed_text(ls: Server, params: lsp.DidCloseTextDocumentParams) -> None:
    """A file was closed."""
    known = ls.by_uri.get(params.text_document.uri)
    if known is not None:
        ls.remove(known[0])


def saved_text(ls: Server, params: lsp.DidSaveTextDocumentParams) -> None:
    """A file was saved: perhaps a new one, perhaps the settings."""
    ls.runs.forget_folders()
    ls.told.clear()
    ls.touch()


def opened_notebook(ls: Server, params: lsp.DidOpenNotebookDocumentParams) -> None:
    """A notebook was opened."""
    notebook = params.notebook_document
    texts = {item.uri: item for item in params.cell_text_documents}
    opened = Opened(path_of(notebook.uri), notebook.uri, [], notebook=True)
    opened.parts = [_cell(cell, texts) for cell in notebook.cells if cell.kind == lsp.NotebookCellKind.Code]
    ls.add(opened)


def _cell(cell: lsp.NotebookCell, texts: Mapping[str, lsp.TextDocumentItem]) -> Document:
    item = texts.get(cell.document)
    if item is None:  # of another language: it is not told, but it counts
        return Document(cell.document, "", None, "other")
    return Document(cell.document, item.text, item.version, item.language_id)


def changed_notebook(ls: Server, params: lsp.DidChangeNotebookDocumentParams) -> None:
    """Cells came, went, moved or were edited."""
    opened = ls.opened.get(path_of(params.notebook_document.uri))
    cells = params.change.cells
    if opened is None or cells is None:
        return
    if cells.structure is not None:
        notebook = ls.workspace.get_notebook_document(notebook_uri=params.notebook_document.uri)
        known = {part.uri: part for part in opened.parts}
        opened_texts = {item.uri: item for item in cells.structure.did_open or ()}
        code = [cell for cell in (notebook.cells if notebook else ()) if cell.kind == lsp.NotebookCellKind.Code]
        opened.parts = [
            _cell(cell, opened_texts)
            if cell.document in opened_texts or cell.document not in known
            else known[cell.document]
            for cell in code
        ]
        # Their numbers changed: what was found in other cells cannot be told apart until it is looked at again.
        opened.found = opened.quick = ()
        ls.late.pop(opened.path, None)
        left = {part.uri for part in opened.parts}
        for uri, part in known.items():
            if uri not in left:
                ls.drop(part)
        ls.by_uri.update({part.uri: (opened, part) for part in opened.parts})
    for text in cells.text_content or ():
        found = ls.by_uri.get(text.document.uri)
        if found is not None:
            _edit(ls, found[1], text.changes, text.document.version)
    ls.touch()


def closed_notebook(ls: Server, params: lsp.DidCloseNotebookDocumentParams) -> None:
    """A notebook was closed."""
    opened = ls.opened.get(path_of(params.notebook_document.uri))
    if opened is not None:
        ls.remove(opened)


def saved_notebook(ls: Server, params: lsp.DidSaveNotebookDocumentParams) -> None:
    """A notebook was saved."""
    ls.runs.forget_folders()
    ls.touch()


def changed_files(ls: Server, params: lsp.DidChangeWatchedFilesParams) -> None:
    """Files changed on disk, or the settings."""
    ls.runs.forget_folders()
    ls.told.clear()
    ls.touch()


def changed_folders(ls: Server, params: lsp.DidChangeWorkspaceFoldersParams) -> None:
    """A folder came to the workspace, or left it."""
    ls.runs.forget_folders()
    ls.touch()


def initialize(ls: Server, params: lsp.InitializeParams) -> None:
    """Read the client's options."""
    try:
        ls.options = Options.of(params.initialization_options)
    except UserError as error:
        raise JsonRpcInvalidParams(str(error)) from error


def initialized(ls: Server, params: lsp.InitializedParams) -> None:
    """Ask to be told of changes on disk."""
    workspace = ls.client_capabilities.workspace
    watched = None if workspace is None else workspace.did_change_watched_files
    if watched is not None and watched.dynamic_registration:
        watchers = [lsp.FileSystemWatcher(pattern) for pattern in (*_CONFIGURATION, *_SOURCES)]
        options = lsp.DidChangeWatchedFilesRegistrationOptions(watchers)
        wish = lsp.Registration("torchlint-files", lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
        ls.client_register_capability(lsp.RegistrationParams([wish]), lambda _: None)


def shut_down(ls: Server, params: None) -> None:
    """The client is about to leave."""
    ls.was_shut_down = True
    ls.revision += 1  # a look at the whole project that is under way stops
    ls.looked_at = ls.revision
    if ls.task is not None:
        ls.task.cancel()


async def pulled(ls: Server, params: lsp.DocumentDiagnosticParams) -> lsp.DocumentDiagnosticReport:
    """The client asks for the diagnostics of a file."""
    await ls.settled()
    known = ls.by_uri.get(params.text_document.uri)
    items = [] if known is None else ls.diagnostics(*known)
    return lsp.RelatedFullDocumentDiagnosticReport(items)


async def hovered(ls: Server, params: lsp.HoverParams) -> lsp.Hover | None:
    """The pages of the rules that flag this place."""
    await ls.settled()
    known = ls.by_uri.get(params.text_document.uri)
    if known is None:
        return None
    opened, part = known
    offset = part.now.offset(_position(params.position), ls.encoding)
    here = [(each, span) for each, span in ls.shown(opened, part) if span[0] <= offset <= span[1]]
    if not here:
        return None
    codes = dict.fromkeys(each.code for each, _ in here)
    pages = [actions.page(code) for code in codes]
    return lsp.Hover(
        lsp.MarkupContent(lsp.MarkupKind.Markdown, "\n\n---\n\n".join(pages)), ls.range(part.now, here[0][1])
    )


async def acted(ls: Server, params: lsp.CodeActionParams) -> list[lsp.CodeAction] | None:
    """The client asks what can be done at a place."""
    await ls.settled()
    known = ls.by_uri.get(params.text_document.uri)
    if known is None:
        return None
    opened, part = known
    only = params.context.only
    found: list[lsp.CodeAction] = []
    if only is None or any(_covers(kind, "quickfix") for kind in only):
        found += await ls.quick_fixes(opened, part, params)
    automatic = params.context.trigger_kind == lsp.CodeActionTriggerKind.Automatic
    asked_all = not automatic if only is None else any(_covers(kind, FIX_ALL) for kind in only)
    if asked_all and part.is_good and opened.found and (action := await ls.fix_all(opened)) is not None:
        found.append(action)
    return found


def _covers(kind: str, ours: str) -> bool:
    """Whether a kind of action is ours or holds it: `source` holds `source.fixAll`."""
    name = str(getattr(kind, "value", kind))
    return not name or ours == name or ours.startswith(f"{name}.")


def serve() -> int:
    """Serve one client on standard input and output. The exit code: 0 if it took its leave as the protocol asks."""
    ls = Server()
    for name, handler in _HANDLERS.items():
        ls.feature(name, _OPTIONS.get(name))(handler)
    out = sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing but messages goes to the client
    ls.start_io(sys.stdin.buffer, out)
    return 0 if ls.was_shut_down else 1


_HANDLERS: dict[str, Callable[..., Any]] = {
    lsp.INITIALIZE: initialize,
    lsp.INITIALIZED: initialized,
    lsp.SHUTDOWN: shut_down,
    lsp.TEXT_DOCUMENT_DID_OPEN: opened_text,
    lsp.TEXT_DOCUMENT_DID_CHANGE: changed_text,
    lsp.TEXT_DOCUMENT_DID_CLOSE: closed_text,
    lsp.TEXT_DOCUMENT_DID_SAVE: saved_text,
    lsp.NOTEBOOK_DOCUMENT_DID_OPEN: opened_notebook,
    lsp.NOTEBOOK_DOCUMENT_DID_CHANGE: changed_notebook,
    lsp.NOTEBOOK_DOCUMENT_DID_CLOSE: closed_notebook,
    lsp.NOTEBOOK_DOCUMENT_DID_SAVE: saved_notebook,
    lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES: changed_files,
    lsp.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: changed_folders,
    lsp.TEXT_DOCUMENT_DIAGNOSTIC: pulled,
    lsp.TEXT_DOCUMENT_HOVER: hovered,
    lsp.TEXT_DOCUMENT_CODE_ACTION: acted,
}
_OPTIONS: dict[str, Any] = {
    lsp.TEXT_DOCUMENT_DIAGNOSTIC: lsp.DiagnosticOptions(
        inter_file_dependencies=True, workspace_diagnostics=False, identifier="torchlint"
    ),
    lsp.TEXT_DOCUMENT_CODE_ACTION: lsp.CodeActionOptions([lsp.CodeActionKind.QuickFix, FIX_ALL]),
}
