"""The language server: what a client says, handed to its session. Needs pygls."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lsprotocol import types as lsp
from pygls.uris import to_fs_path

from torchlint.errors import UserError
from torchlint.server.client import Client
from torchlint.server.documents import Document, Opened
from torchlint.server.options import Options
from torchlint.server.session import Session
from torchlint.server.texts import Position
from torchlint.server.told import FIX_ALL
from torchlint.source import is_notebook

_WATCHED = (
    *("**/*.py", "**/*.pyw", "**/*.ipynb", "**/.gitignore"),
    *("**/*.toml", "**/.torchlint-baseline.json", "**/.torchlint/trace.json"),
)
"""Sources, settings and contracts, and what else a run reads."""


def serve() -> int:
    """Serve one client on standard input and output. The exit code: 0 if it took its leave as the protocol asks."""
    session = Session()
    for name, handler in _HANDLERS.items():
        session.feature(name, _OPTIONS.get(name))(handler)
    out = sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing but messages goes to the client
    session.start_io(sys.stdin.buffer, out)
    return 0 if session.was_shut_down else 1


def path_of(uri: str) -> str:
    """The path of a file; what is not saved yet counts as a file in the working folder, from which it may import."""
    return os.path.abspath(to_fs_path(uri) or uri)


# ---- beginning and end


def initialize(session: Session, params: lsp.InitializeParams) -> None:
    """Learn what the client can do and asks for, and choose how it gets its diagnostics."""
    session.client = Client.of(params.capabilities, session.workspace.position_encoding)
    _take_options(session, params.initialization_options, "initializationOptions")
    if session.client.pulls:
        options = lsp.DiagnosticOptions(
            inter_file_dependencies=True, workspace_diagnostics=False, identifier="torchlint"
        )
        session.feature(lsp.TEXT_DOCUMENT_DIAGNOSTIC, options)(pulled)


def _take_options(session: Session, given: object, where: str) -> None:
    """Those that are wrong are told, and the ones before them stay."""
    try:
        session.options = Options.of(given, where)
    except UserError as error:
        session.complain(str(error))


def initialized(session: Session, params: lsp.InitializedParams) -> None:
    """Ask to be told of changes on disk."""
    if session.client.watches:
        watchers = [lsp.FileSystemWatcher(pattern) for pattern in _WATCHED]
        options = lsp.DidChangeWatchedFilesRegistrationOptions(watchers)
        wish = lsp.Registration("torchlint-files", lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
        session.client_register_capability(lsp.RegistrationParams([wish]), lambda _: None)


def shut_down(session: Session, params: None) -> None:
    """The client is about to leave."""
    session.was_shut_down = True
    session.revision += 1  # a look at the whole project that is under way stops
    session.looked_at = session.revision
    if session.task is not None:
        session.task.cancel()


# ---- files


def opened_text(session: Session, params: lsp.DidOpenTextDocumentParams) -> None:
    """A file was opened."""
    item = params.text_document
    path = path_of(item.uri)
    is_python = item.language_id == "python" or path.endswith((".py", ".pyw"))
    if is_python and not is_notebook(path):
        session.add(Opened(path, item.uri, [Document(item.uri, item.text, item.version)]))


def changed_text(session: Session, params: lsp.DidChangeTextDocumentParams) -> None:
    """A file was edited."""
    if (known := session.files.by_uri.get(params.text_document.uri)) is not None:
        _edit(session, known[1], params.content_changes, params.text_document.version)
        session.touch()


def _edit(session: Session, part: Document, changes: Sequence[Any], version: int | None) -> None:
    for change in changes:
        where = getattr(change, "range", None)
        start, end = (None, None) if where is None else (_position(where.start), _position(where.end))
        part.edit(start, end, change.text, session.client.encoding)
    part.version = version


def _position(given: lsp.Position) -> Position:
    return Position(given.line, given.character)


def closed_text(session: Session, params: lsp.DidCloseTextDocumentParams) -> None:
    """A file was closed."""
    if (known := session.files.by_uri.get(params.text_document.uri)) is not None:
        session.remove(known[0])


def opened_notebook(session: Session, params: lsp.DidOpenNotebookDocumentParams) -> None:
    """A notebook was opened."""
    notebook = params.notebook_document
    texts = {item.uri: item for item in params.cell_text_documents}
    opened = Opened(path_of(notebook.uri), notebook.uri, [], notebook=True)
    opened.parts = [_cell(cell, texts) for cell in notebook.cells if cell.kind == lsp.NotebookCellKind.Code]
    session.add(opened)


def _cell(cell: lsp.NotebookCell, texts: Mapping[str, lsp.TextDocumentItem]) -> Document:
    item = texts.get(cell.document)
    if item is None:  # of another language: it is not told, but it counts
        return Document(cell.document, "", None, "other")
    return Document(cell.document, item.text, item.version, item.language_id)


def changed_notebook(session: Session, params: lsp.DidChangeNotebookDocumentParams) -> None:
    """Cells came, went, moved or were edited."""
    opened = session.files.by_path.get(path_of(params.notebook_document.uri))
    cells = params.change.cells
    if opened is None or cells is None:
        return
    if cells.structure is not None:
        _restructure(session, opened, cells.structure)
    for text in cells.text_content or ():
        if (found := session.files.by_uri.get(text.document.uri)) is not None:
            _edit(session, found[1], text.changes, text.document.version)
    session.touch()


def _restructure(session: Session, opened: Opened, structure: lsp.NotebookDocumentCellChangeStructure) -> None:
    notebook = session.workspace.get_notebook_document(notebook_uri=opened.uri)
    known = {part.uri: part for part in opened.parts}
    new = {item.uri: item for item in structure.did_open or ()}
    code = [cell for cell in (notebook.cells if notebook else ()) if cell.kind == lsp.NotebookCellKind.Code]
    opened.parts = [
        known[cell.document] if cell.document in known and cell.document not in new else _cell(cell, new)
        for cell in code
    ]
    session.files.renumbered(opened)
    for uri in known.keys() - {part.uri for part in opened.parts}:
        session.drop(known[uri])
    session.files.register(opened)


def closed_notebook(session: Session, params: lsp.DidCloseNotebookDocumentParams) -> None:
    """A notebook was closed."""
    if (opened := session.files.by_path.get(path_of(params.notebook_document.uri))) is not None:
        session.remove(opened)


# ---- what lies around them


def changed_around(session: Session, params: object) -> None:
    """A file was saved, or changed on disk, or a folder came to the workspace or left it."""
    session.changed_around()


def changed_settings(session: Session, params: lsp.DidChangeConfigurationParams) -> None:
    """The client's settings changed; those of other programs are no concern of ours."""
    given = params.settings.get("torchlint") if isinstance(params.settings, dict) else None
    if isinstance(given, dict):
        _take_options(session, given, "settings of the editor")
        session.changed_around()


# ---- what the client asks


async def pulled(session: Session, params: lsp.DocumentDiagnosticParams) -> lsp.DocumentDiagnosticReport:
    """The diagnostics of a file."""
    await session.settled()
    known = session.files.by_uri.get(params.text_document.uri)
    return lsp.RelatedFullDocumentDiagnosticReport([] if known is None else session.teller.diagnostics(*known))


async def hovered(session: Session, params: lsp.HoverParams) -> lsp.Hover | None:
    """The pages of the rules that flag a place."""
    await session.settled()
    known = session.files.by_uri.get(params.text_document.uri)
    if known is None:
        return None
    return session.teller.pages(*known, session.client.offset(known[1].now, params.position))


async def acted(session: Session, params: lsp.CodeActionParams) -> list[lsp.CodeAction] | None:
    """What can be done at a place."""
    await session.settled()
    known = session.files.by_uri.get(params.text_document.uri)
    if known is None:
        return None
    opened, part = known
    only = params.context.only
    found: list[lsp.CodeAction] = []
    if only is None or any(_covers(kind, "quickfix") for kind in only):
        found += await session.quick_fixes(opened, part, params.range)
    automatic = params.context.trigger_kind == lsp.CodeActionTriggerKind.Automatic
    asked_all = not automatic if only is None else any(_covers(kind, FIX_ALL) for kind in only)
    if asked_all and part.is_good and opened.found and (action := await session.fix_all(opened)) is not None:
        found.append(action)
    return found


def _covers(kind: str, ours: str) -> bool:
    """Whether a kind of action is ours or holds it: `source` holds `source.fixAll`."""
    name = str(getattr(kind, "value", kind))
    return not name or ours == name or ours.startswith(f"{name}.")


_HANDLERS: dict[str, Callable[..., Any]] = {
    lsp.INITIALIZE: initialize,
    lsp.INITIALIZED: initialized,
    lsp.SHUTDOWN: shut_down,
    lsp.TEXT_DOCUMENT_DID_OPEN: opened_text,
    lsp.TEXT_DOCUMENT_DID_CHANGE: changed_text,
    lsp.TEXT_DOCUMENT_DID_CLOSE: closed_text,
    lsp.TEXT_DOCUMENT_DID_SAVE: changed_around,
    lsp.NOTEBOOK_DOCUMENT_DID_OPEN: opened_notebook,
    lsp.NOTEBOOK_DOCUMENT_DID_CHANGE: changed_notebook,
    lsp.NOTEBOOK_DOCUMENT_DID_CLOSE: closed_notebook,
    lsp.NOTEBOOK_DOCUMENT_DID_SAVE: changed_around,
    lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES: changed_around,
    lsp.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: changed_around,
    lsp.WORKSPACE_DID_CHANGE_CONFIGURATION: changed_settings,
    lsp.TEXT_DOCUMENT_HOVER: hovered,
    lsp.TEXT_DOCUMENT_CODE_ACTION: acted,
}
_OPTIONS: dict[str, Any] = {
    lsp.TEXT_DOCUMENT_CODE_ACTION: lsp.CodeActionOptions([lsp.CodeActionKind.QuickFix, FIX_ALL]),
}
