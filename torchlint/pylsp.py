"""A plugin of python-lsp-server (Spyder, JupyterLab, Kate): installed beside it, torchlint lints what is open there."""

from __future__ import annotations

import os
from typing import Any
from weakref import WeakKeyDictionary

from pylsp import hookimpl, lsp

from torchlint.server.documents import Document, Opened
from torchlint.server.runs import Request, Runs

_SEVERITIES = {
    "error": lsp.DiagnosticSeverity.Error,
    "warning": lsp.DiagnosticSeverity.Warning,
    "info": lsp.DiagnosticSeverity.Information,
}


class _Session:
    """What is open in a workspace, and what is kept between runs."""

    def __init__(self) -> None:
        self.runs = Runs()
        self.opened: dict[str, Opened] = {}
        self.refused: frozenset[str] = frozenset()

    def lint(self, workspace: Any, path: str, *, whole: bool) -> list[dict[str, Any]]:
        """The diagnostics of an open file, with the other open files as they are by now.

        `whole`: as `torchlint check` of the whole project would see them, which takes longer.
        """
        self._follow(workspace)
        opened = tuple(self.opened.values())
        root = (os.path.normpath(workspace.root_path),) if workspace.root_path else ()
        request = Request(tuple(each.snapshot() for each in opened), root)
        outcome = self.runs.lint(request, whole=whole)
        for each, snapshot in zip(opened, request.opened, strict=True):
            looked = outcome.looked.get(each.path)
            if looked is None:
                continue
            if looked.good[0]:
                each.parts[0].took(snapshot.parts[0].text, snapshot.parts[0].changes)
            each.found = looked.diagnostics
        for message in outcome.refused - self.refused:
            workspace.show_message(f"torchlint: {message}", lsp.MessageType.Error)
        self.refused = outcome.refused
        return list(_told(self.opened[path])) if path in self.opened else []

    def _follow(self, workspace: Any) -> None:
        """Take over the texts that are open in the workspace."""
        texts = {os.path.normpath(each.path): each for each in list(workspace.documents.values())}
        if texts.keys() != self.opened.keys():
            self.runs.forget_folders()
        for path in self.opened.keys() - texts.keys():
            del self.opened[path]
        for path, document in texts.items():
            known = self.opened.get(path)
            if known is None:
                part = Document(document.uri, document.source, document.version)
                self.opened[path] = Opened(path, document.uri, [part])
            elif known.parts[0].now.text != document.source:
                known.parts[0].edit(None, None, document.source, "utf-16")


_SESSIONS: WeakKeyDictionary[Any, _Session] = WeakKeyDictionary()


def _told(opened: Opened) -> Any:
    part = opened.parts[0]
    for diagnostic in opened.found:
        span = part.span(diagnostic.place)
        if span is None:
            continue
        start, end = (part.now.position(offset, "utf-16") for offset in span)
        yield {
            "source": "torchlint",
            "code": diagnostic.code,
            "message": f"{diagnostic.name}: {diagnostic.message}",
            "severity": _SEVERITIES[diagnostic.severity],
            "range": {
                "start": {"line": start.line, "character": start.character},
                "end": {"line": end.line, "character": end.character},
            },
        }


@hookimpl
def pylsp_settings() -> dict[str, Any]:
    """On unless it is switched off."""
    return {"plugins": {"torchlint": {"enabled": True}}}


@hookimpl
def pylsp_lint(config: Any, workspace: Any, document: Any, is_saved: bool) -> list[dict[str, Any]]:
    """The diagnostics of a file that was opened or saved, for which the whole project is looked at, or edited."""
    session = _SESSIONS.setdefault(workspace, _Session())
    if is_saved:
        session.runs.forget_folders()
        session.refused = frozenset()
    return session.lint(workspace, os.path.normpath(document.path), whole=is_saved)
