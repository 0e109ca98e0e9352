"""What a client can do, and edits and ranges as this client takes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lsprotocol import types as lsp

from torchlint.server.actions import Replacement
from torchlint.server.documents import Document
from torchlint.server.texts import Encoding, Position, Text


class Client(NamedTuple):
    """What its capabilities come to.

    `encoding` is what its columns count. `pulls`: it asks for diagnostics, and can be told to ask again; otherwise they are
    pushed. `shows_trails`: it shows places beside that of a diagnostic. `versioned`: it looks at the versions of edited
    texts. `watches`: it can be asked to tell of files that change.
    """

    encoding: Encoding = "utf-16"
    pulls: bool = False
    shows_trails: bool = False
    versioned: bool = False
    watches: bool = False

    @staticmethod
    def of(capabilities: lsp.ClientCapabilities, encoding: object) -> Client:
        """What a client says of itself; `encoding` is what was agreed upon."""
        name = str(getattr(encoding, "value", encoding))
        text = capabilities.text_document or lsp.TextDocumentClientCapabilities()
        workspace = capabilities.workspace or lsp.WorkspaceClientCapabilities()
        push, pull = text.publish_diagnostics, text.diagnostic
        edits, watched = workspace.workspace_edit, workspace.did_change_watched_files
        return Client(
            "utf-8" if name == "utf-8" else "utf-32" if name == "utf-32" else "utf-16",
            # What an edit of one file means for another is seen late: who cannot be told to ask again is told at once.
            bool(pull and workspace.diagnostics and workspace.diagnostics.refresh_support),
            bool((push and push.related_information) or (pull and pull.related_information)),
            bool(edits and edits.document_changes),
            bool(watched and watched.dynamic_registration),
        )

    def offset(self, text: Text, at: lsp.Position) -> int:
        """The offset of a place."""
        return text.offset(Position(at.line, at.character), self.encoding)

    def range(self, text: Text, span: tuple[int, int]) -> lsp.Range:
        """Two offsets as the client counts."""
        start, end = (text.position(offset, self.encoding) for offset in span)
        return lsp.Range(lsp.Position(*start), lsp.Position(*end))

    def edits(self, part: Document, changes: Iterable[Replacement]) -> list[lsp.TextEdit]:
        """Changes of an open text."""
        return [lsp.TextEdit(self.range(part.now, each[:2]), each.content) for each in changes]

    def workspace_edit(self, by_uri: Mapping[str, tuple[int | None, list[lsp.TextEdit]]]) -> lsp.WorkspaceEdit:
        """Edits by URI, with the versions that they are meant for if the client looks at these."""
        if self.versioned:
            return lsp.WorkspaceEdit(
                document_changes=[
                    lsp.TextDocumentEdit(lsp.OptionalVersionedTextDocumentIdentifier(uri, version), list(edits))
                    for uri, (version, edits) in by_uri.items()
                ]
            )
        return lsp.WorkspaceEdit(changes={uri: edits for uri, (_, edits) in by_uri.items()})
