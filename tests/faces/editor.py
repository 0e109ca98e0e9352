"""An editor for tests: it talks to `torchlint server` in a process of its own, by pytest-lsp."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from lsprotocol import types as lsp
from pygls.workspace import PositionCodec
from pytest_lsp import ClientServerConfig, LanguageClient

from tests.faces.conftest import ROOT

PATIENCE = 60.0


def capabilities(
    *, pull: bool = False, trails: bool = True, encodings: Sequence[str] = (), versioned: bool = True
) -> lsp.ClientCapabilities:
    """What an editor says that it can do."""
    return lsp.ClientCapabilities(
        general=lsp.GeneralClientCapabilities(position_encodings=list(encodings) or None),
        text_document=lsp.TextDocumentClientCapabilities(
            publish_diagnostics=lsp.PublishDiagnosticsClientCapabilities(related_information=trails),
            diagnostic=lsp.DiagnosticClientCapabilities() if pull else None,
        ),
        workspace=lsp.WorkspaceClientCapabilities(
            workspace_edit=lsp.WorkspaceEditClientCapabilities(document_changes=versioned),
            diagnostics=lsp.DiagnosticWorkspaceClientCapabilities(refresh_support=True) if pull else None,
        ),
        notebook_document=lsp.NotebookDocumentClientCapabilities(lsp.NotebookDocumentSyncClientCapabilities()),
    )


class Editor:
    """Opens, edits and asks; keeps the texts as an editor does."""

    def __init__(self, client: LanguageClient, folder: Path) -> None:
        self.client = client
        self.folder = folder
        self.texts: dict[str, str] = {}
        self.versions: dict[str, int] = {}
        self.uris: dict[str, str] = {}
        """Those of cells; a file's is made of its name."""
        self.server: Any = None

    def uri(self, name: str) -> str:
        return self.uris.get(name) or (self.folder / name).as_uri()

    def open(self, name: str, text: str | None = None) -> None:
        text = (self.folder / name).read_bytes().decode() if text is None else text
        self.texts[name], self.versions[name] = text, 1
        item = lsp.TextDocumentItem(self.uri(name), "python", 1, text)
        self.client.text_document_did_open(lsp.DidOpenTextDocumentParams(item))

    def open_notebook(self, name: str) -> list[str]:
        """Open a notebook cell by cell. The names of its code cells: `book.ipynb:cell 1` and so on."""
        content = json.loads((self.folder / name).read_bytes())
        book, made = self.uri(name), list[str]()
        cells, items = list[lsp.NotebookCell](), list[lsp.TextDocumentItem]()
        for number, each in enumerate(content["cells"]):
            code, uri = each["cell_type"] == "code", f"{book}#c{number}"
            kind = lsp.NotebookCellKind.Code if code else lsp.NotebookCellKind.Markup
            cells.append(lsp.NotebookCell(kind, uri))
            if code:
                made.append(f"{name}:cell {len(made) + 1}")
                self.uris[made[-1]] = uri
                items.append(lsp.TextDocumentItem(uri, "python", 1, "".join(each["source"])))
        opened = lsp.NotebookDocument(book, "jupyter-notebook", 1, cells)
        self.client.notebook_document_did_open(lsp.DidOpenNotebookDocumentParams(opened, items))
        return made

    def type(self, name: str, old: str, new: str) -> None:
        """Replace the only occurrence of a text, as one incremental change in UTF-16 columns."""
        text = self.texts[name]
        assert text.count(old) == 1, (old, text)
        start = text.index(old)
        self.replace(name, start, start + len(old), new)

    def replace(self, name: str, start: int, end: int, new: str) -> None:
        text = self.texts[name]
        where = lsp.Range(position(text, start), position(text, end))
        self.texts[name] = text[:start] + new + text[end:]
        self.changed(name, lsp.TextDocumentContentChangePartial(range=where, text=new))

    def rewrite(self, name: str, text: str) -> None:
        """Replace the whole text, as editors without incremental changes do."""
        self.texts[name] = text
        self.changed(name, lsp.TextDocumentContentChangeWholeDocument(text))

    def changed(self, name: str, *changes: Any) -> None:
        self.versions[name] += 1
        document = lsp.VersionedTextDocumentIdentifier(self.versions[name], self.uri(name))
        self.client.text_document_did_change(lsp.DidChangeTextDocumentParams(document, list(changes)))

    def save(self, name: str) -> None:
        (self.folder / name).write_bytes(self.texts[name].encode())
        document = lsp.TextDocumentIdentifier(self.uri(name))
        self.client.text_document_did_save(lsp.DidSaveTextDocumentParams(document))

    def close(self, name: str) -> None:
        document = lsp.TextDocumentIdentifier(self.uri(name))
        self.client.text_document_did_close(lsp.DidCloseTextDocumentParams(document))

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for what the server says on its own."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, f"waited in vain: {self.client.diagnostics}, {self.client.log_messages}"
            await asyncio.sleep(0.02)

    async def pull(self, name: str) -> list[lsp.Diagnostic]:
        document = lsp.TextDocumentIdentifier(self.uri(name))
        report = await self.client.text_document_diagnostic_async(lsp.DocumentDiagnosticParams(document))
        assert isinstance(report, lsp.RelatedFullDocumentDiagnosticReport)
        return list(report.items)

    def pushed(self, name: str) -> list[lsp.Diagnostic]:
        return list(self.client.diagnostics.get(self.uri(name), []))

    def codes(self, name: str) -> list[str]:
        return [str(each.code) for each in self.pushed(name)]

    def flagged(self, name: str, diagnostic: lsp.Diagnostic) -> str:
        """The text that a diagnostic stands at."""
        text = self.texts[name]
        return text[offset(text, diagnostic.range.start) : offset(text, diagnostic.range.end)]

    async def actions(self, name: str, diagnostic: lsp.Diagnostic, *kinds: str) -> list[lsp.CodeAction]:
        context = lsp.CodeActionContext([diagnostic], only=list(kinds) or None)
        document = lsp.TextDocumentIdentifier(self.uri(name))
        params = lsp.CodeActionParams(document, diagnostic.range, context)
        found = await self.client.text_document_code_action_async(params)
        return [each for each in found or () if isinstance(each, lsp.CodeAction)]

    def apply(self, action: lsp.CodeAction) -> dict[str, str]:
        """The texts, by name, after an action's edits of open files."""
        assert action.edit is not None
        edits: dict[str, Sequence[Any]] = dict(action.edit.changes or {})
        for change in action.edit.document_changes or ():
            assert isinstance(change, lsp.TextDocumentEdit)
            edits[change.text_document.uri] = change.edits
        out: dict[str, str] = {}
        for uri, each in edits.items():
            (name,) = [name for name in self.texts if self.uri(name) == uri]
            text = self.texts[name]
            for edit in sorted(
                each, key=lambda edit: (edit.range.start.line, edit.range.start.character), reverse=True
            ):
                text = text[: offset(text, edit.range.start)] + edit.new_text + text[offset(text, edit.range.end) :]
            out[name] = text
        return out


def position(text: str, offset: int) -> lsp.Position:
    """An offset in UTF-16 columns; lines end at LF, CRLF and CR."""
    before = text[:offset].replace("\r\n", "\r ").replace("\n", "\r")
    line = before.count("\r")
    last = text[:offset].rpartition("\n")[2] if "\r" not in text else before.rpartition("\r")[2].removeprefix(" ")
    return lsp.Position(line, len(last.encode("utf-16-le", "surrogatepass")) // 2)


def offset(text: str, at: lsp.Position) -> int:
    """The offset of a place in UTF-16 columns, in a text with LF ends."""
    lines = text.split("\n")
    units = PositionCodec().position_from_client_units(lines, at)
    return sum(len(line) + 1 for line in lines[: units.line]) + units.character


@asynccontextmanager
async def editor(folder: Path, has: lsp.ClientCapabilities | None = None, options: Any = None) -> AsyncIterator[Editor]:
    """A started server and its editor; at the end it is shut down as the protocol asks, and must have ended well."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDEVMODE": ""}
    settings = ClientServerConfig([sys.executable, "-m", "torchlint", "server"], server_env=environment)
    client = await settings.start()
    assert isinstance(client, LanguageClient)
    root = lsp.WorkspaceFolder(folder.as_uri(), folder.name)
    made = Editor(client, folder)
    await client.initialize_session(
        lsp.InitializeParams(
            has or capabilities(), root_uri=folder.as_uri(), workspace_folders=[root], initialization_options=options
        )
    )
    yield made
    process = client._server
    await client.shutdown_session()
    await asyncio.wait_for(process.wait(), PATIENCE)  # type: ignore[union-attr]
    assert process.returncode == 0  # type: ignore[union-attr]
    assert not [each for each in client.log_messages if "internal error" in each.message], client.log_messages
