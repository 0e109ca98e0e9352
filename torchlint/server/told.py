"""What is known of open texts in the protocol's words: diagnostics, places, and what can be done about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from lsprotocol import types as lsp

from torchlint import rulebook
from torchlint.diagnostics import Edit, Fix, Place
from torchlint.notebook import cell_codes
from torchlint.server import actions
from torchlint.server.client import Client
from torchlint.server.documents import Document, Opened
from torchlint.server.files import Found, OpenFiles
from torchlint.source import decode, is_notebook

FIX_ALL = "source.fixAll.torchlint"

_SEVERITIES = {
    "error": lsp.DiagnosticSeverity.Error,
    "warning": lsp.DiagnosticSeverity.Warning,
    "info": lsp.DiagnosticSeverity.Information,
}

Fixes = Mapping[tuple[str, Place], Fix]
"""The fixes of an open file, by the code and place of the diagnostic."""


class Teller(NamedTuple):
    """Tells a client of its open files."""

    client: Client
    files: OpenFiles

    def diagnostics(self, opened: Opened, part: Document) -> list[lsp.Diagnostic]:
        """The diagnostics of a text."""
        return [self._diagnostic(part, found) for found in self.files.shown(opened, part)]

    def pages(self, opened: Opened, part: Document, offset: int) -> lsp.Hover | None:
        """The pages of the rules that flag this place."""
        here = [each for each in self.files.shown(opened, part) if each.span[0] <= offset <= each.span[1]]
        if not here:
            return None
        pages = [actions.page(code) for code in dict.fromkeys(each.diagnostic.code for each in here)]
        content = lsp.MarkupContent(lsp.MarkupKind.Markdown, "\n\n---\n\n".join(pages))
        return lsp.Hover(content, self.client.range(part.now, here[0].span))

    def at(self, opened: Opened, part: Document, where: lsp.Range) -> list[Found]:
        """The diagnostics that touch a range."""
        start, end = (self.client.offset(part.now, at) for at in (where.start, where.end))
        return [each for each in self.files.shown(opened, part) if start <= each.span[1] and each.span[0] <= end]

    def quick_fixes(self, part: Document, found: Iterable[Found], fixes: Fixes) -> Iterator[lsp.CodeAction]:
        """For each diagnostic of a text: its fix, and a comment that hides it."""
        for each in found:
            diagnostic, about = each.diagnostic, [self._diagnostic(part, each)]
            fix = fixes.get((diagnostic.code, diagnostic.place))
            edit = None if fix is None or fix.safety == "display" else self._edit(fix.edits)
            if fix is not None and edit is not None:
                safe = fix.safety == "safe"
                title = fix.title if safe else f"{fix.title} (unsafe: other code may change with it)"
                yield lsp.CodeAction(title, lsp.CodeActionKind.QuickFix, about, safe, edit=edit)
            hidden = actions.ignored(part.now, diagnostic.code, each.span)
            if hidden is not None:
                title = f"Ignore {diagnostic.code} here, with a reason"
                edit = self.client.workspace_edit({part.uri: (part.version, self.client.edits(part, [hidden]))})
                yield lsp.CodeAction(title, lsp.CodeActionKind.QuickFix, about, edit=edit)

    def fix_all(self, opened: Opened, content: bytes) -> lsp.CodeAction | None:
        """The changes that make these bytes of an open file as one action."""
        new = list(cell_codes(content).values()) if opened.notebook else [decode(content)]
        if len(new) != len(opened.parts):
            return None
        edits = {
            part.uri: (part.version, self.client.edits(part, actions.difference(part.now.text, text)))
            for part, text in zip(opened.parts, new, strict=True)
            if text != part.now.text
        }
        title = "Fix all that torchlint can fix safely"
        return lsp.CodeAction(title, FIX_ALL, edit=self.client.workspace_edit(edits))

    def _diagnostic(self, part: Document, found: Found) -> lsp.Diagnostic:
        diagnostic, related = found.diagnostic, None
        if self.client.shows_trails:
            located = [(self._location(step.place), step.note) for step in diagnostic.trail]
            related = [lsp.DiagnosticRelatedInformation(at, note) for at, note in located if at is not None]
        page = diagnostic.url or _page_uri(diagnostic.code)
        return lsp.Diagnostic(
            range=self.client.range(part.now, found.span),
            message=f"{diagnostic.name}: {diagnostic.message}",
            severity=_SEVERITIES[diagnostic.severity],
            code=diagnostic.code,
            code_description=None if page is None else lsp.CodeDescription(page),
            source="torchlint",
            related_information=related,
        )

    def _location(self, place: Place) -> lsp.Location | None:
        """A place in an open text or another file; None if it is gone, or in a notebook that is not open."""
        opened = self.files.by_path.get(place.path)
        if opened is not None:
            part = opened.part(place)
            span = None if part is None else part.span(place)
            return None if part is None or span is None else lsp.Location(part.uri, self.client.range(part.now, span))
        text = self.files.text(place.path)
        if text is None or is_notebook(place.path):
            return None
        span = text.at(place.line, place.column), text.at(place.end_line, place.end_column)
        return lsp.Location(Path(place.path).absolute().as_uri(), self.client.range(text, span))

    def _edit(self, edits: Iterable[Edit]) -> lsp.WorkspaceEdit | None:
        """Edits of files; None if a text was edited further, or is not open and no plain file."""
        by_uri: dict[str, tuple[int | None, list[lsp.TextEdit]]] = {}
        for edit in edits:
            opened = self.files.by_path.get(edit.place.path)
            part = None if opened is None else opened.part(edit.place)
            if opened is not None and (part is None or not part.is_good):
                return None
            where = self._location(edit.place)
            if where is None:
                return None
            version = None if part is None else part.version
            by_uri.setdefault(where.uri, (version, []))[1].append(lsp.TextEdit(where.range, edit.content))
        return self.client.workspace_edit(by_uri)


def _page_uri(code: str) -> str | None:
    """The page of a rule as a client can open it."""
    rule = rulebook.load().get(code)
    return None if rule is None else Path(rule.path).absolute().as_uri()
