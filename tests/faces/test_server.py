"""The language server, end to end: what an editor is told while files are edited."""

from __future__ import annotations

import asyncio
import json
import ntpath
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lsprotocol import types as lsp

from tests.faces.conftest import BAD, GOOD, ROOT, Tree
from tests.faces.editor import capabilities, editor
from torchlint.server import protocol
from torchlint.server.session import WHOLE_AFTER

MODEL = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(3, 1)

    def forward(self, x):
        return torch.sigmoid(self.last(x))
"""
TRAIN = """\
from model import Net
from torch import nn


def train(loader):
    model = Net()
    criterion = nn.BCEWithLogitsLoss()
    for x, y in loader:
        criterion(model(x), y).backward()
"""


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in an event loop of its own."""

    @wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        asyncio.run(test(*arguments, **named))

    return run


@in_loop
async def test_typing_a_mistake_tells_it_and_typing_it_away_takes_it_back(tree: Tree) -> None:
    folder = tree({"train.py": GOOD})
    async with editor(folder) as ed:
        ed.open("train.py")
        ed.type("train.py", "= logits", "= torch.sigmoid(logits)")
        await ed.until(lambda: ed.codes("train.py") == ["TLN101"])
        (told,) = ed.pushed("train.py")
        assert ed.flagged("train.py", told) == "criterion(probabilities, labels)"
        assert told.source == "torchlint"
        assert told.severity == lsp.DiagnosticSeverity.Error
        assert told.message.startswith("sigmoid-before-with-logits: ")
        assert told.code_description is not None
        assert told.code_description.href == (ROOT / "rules" / "TLN101.md").as_uri()
        steps = [(ed.flagged("train.py", told_at(each)), each.message) for each in told.related_information or ()]
        assert ("torch.sigmoid(logits)", "`torch.sigmoid` gives probabilities") in steps
        assert steps[-1][0] == "criterion(probabilities, labels)"
        ed.type("train.py", "torch.sigmoid(logits)", "logits")
        await ed.until(lambda: ed.codes("train.py") == [])


def told_at(related: lsp.DiagnosticRelatedInformation) -> lsp.Diagnostic:
    return lsp.Diagnostic(related.location.range, "")


@in_loop
async def test_unsaved_buffers_are_seen_together(tree: Tree) -> None:
    folder = tree({"model.py": MODEL.replace("torch.sigmoid(self.last(x))", "self.last(x)"), "train.py": TRAIN})
    async with editor(folder) as ed:
        ed.open("train.py")
        ed.open("model.py")
        ed.type("model.py", "return self.last(x)", "return torch.sigmoid(self.last(x))")
        await ed.until(lambda: ed.codes("train.py") == ["TLN101"])
        (told,) = ed.pushed("train.py")
        assert ed.uri("model.py") in {each.location.uri for each in told.related_information or ()}
        ed.close("model.py")  # without saving: the file on disk has no sigmoid
        await ed.until(lambda: ed.codes("train.py") == [])


@in_loop
async def test_a_caller_that_is_not_open_counts(tree: Tree) -> None:
    step = "from torch import nn\n\n\ndef step(scores, y):\n    return nn.BCEWithLogitsLoss()(scores, y)\n"
    main = "import torch\nfrom step import step\n\n\ndef main(x, y):\n    step(torch.sigmoid(x), y).backward()\n"
    folder = tree({"step.py": step, "main.py": main})
    async with editor(folder) as ed:
        ed.open("step.py")
        await ed.until(lambda: ed.codes("step.py") == ["TLN101"])
        (told,) = ed.pushed("step.py")
        assert ed.uri("main.py") in {each.location.uri for each in told.related_information or ()}


@in_loop
async def test_what_only_the_whole_project_shows_is_told_too_and_moves(tree: Tree) -> None:
    # No word in helper.py is that of a loss: nothing begins there, but the loss is called there.
    helper = "def apply(call, scores, y):\n    return call(scores, y)\n"
    main = (
        "import torch\nfrom helper import apply\nfrom torch import nn\n\n\n"
        "def main(x, y):\n    apply(nn.BCEWithLogitsLoss(), torch.sigmoid(x), y).backward()\n"
    )
    folder = tree({"helper.py": helper, "main.py": main})
    async with editor(folder) as ed:
        ed.open("helper.py")
        await ed.until(lambda: ed.codes("helper.py") == ["TLN101"])
        ed.replace("helper.py", 0, 0, "# one more line\n")
        await ed.until(lambda: [each.range.start.line for each in ed.pushed("helper.py")] == [2])
        (folder / "main.py").write_text(main.replace("torch.sigmoid(x)", "x"), "utf-8")
        ed.save("helper.py")
        await ed.until(lambda: ed.codes("helper.py") == [])


@pytest.mark.parametrize(("encoding", "width"), [(None, 2), ("utf-16", 2), ("utf-8", 4), ("utf-32", 1)])
@in_loop
async def test_columns_are_counted_as_agreed(tree: Tree, encoding: str | None, width: int) -> None:
    line = "    text = '😀'; loss = nn.BCEWithLogitsLoss()(torch.sigmoid(x), y)"
    folder = tree({"a.py": f"import torch\nfrom torch import nn\n\n\ndef f(x, y):\n{line}\n    return loss\n"})
    async with editor(folder, capabilities(encodings=[encoding] if encoding else [])) as ed:
        ed.open("a.py")
        await ed.until(lambda: ed.codes("a.py") == ["TLN101"])
        (told,) = ed.pushed("a.py")
        start = line.index("nn.BCE") - 1 + width
        assert (told.range.start.line, told.range.start.character) == (5, start)
        # An edit behind the wide character, in the same columns, hits the right place.
        at = lsp.Position(5, start + len("nn.BCEWithLogitsLoss()("))
        end = lsp.Position(5, at.character + len("torch.sigmoid(x)"))
        ed.changed("a.py", lsp.TextDocumentContentChangePartial(lsp.Range(at, end), "x"))
        await ed.until(lambda: ed.codes("a.py") == [])


@in_loop
async def test_lines_end_where_python_ends_them(tree: Tree) -> None:
    # A form feed and a Unicode line separator end no line, a lone CR does.
    text = BAD.replace("\n\n\n", "\n\f\n# \u2028\r").replace("\n", "\r\n")
    folder = tree({"a.py": text})
    async with editor(folder) as ed:
        ed.open("a.py")
        await ed.until(lambda: [each.range.start.line for each in ed.pushed("a.py")] == [7])
        ed.type("a.py", "torch.sigmoid(logits)", "logits")
        await ed.until(lambda: ed.codes("a.py") == [])


@in_loop
async def test_while_a_buffer_is_no_python_what_was_found_moves_with_its_text(tree: Tree) -> None:
    folder = tree({"model.py": MODEL, "train.py": TRAIN})
    async with editor(folder, capabilities(pull=True)) as ed:
        ed.open("train.py")
        ed.open("model.py")
        assert [str(each.code) for each in await ed.pull("train.py")] == ["TLN101"]
        ed.replace("train.py", 0, 0, "def broken(:\n")
        (told,) = await ed.pull("train.py")
        assert (told.range.start.line, ed.flagged("train.py", told)) == (9, "criterion(model(x), y)")
        ed.type("train.py", "criterion(model(x), y)", "criterion(model(x), yy)")
        (told,) = await ed.pull("train.py")
        assert ed.flagged("train.py", told) == "criterion(model(x), yy)"
        ed.type(
            "model.py", "def forward(self, x):", "def forward(self, x"
        )  # what the other file knows of it stays, too
        (told,) = await ed.pull("train.py")
        steps = [each.location for each in told.related_information or () if each.location.uri == ed.uri("model.py")]
        assert "torch.sigmoid(self.last(x))" in [
            ed.flagged("model.py", lsp.Diagnostic(each.range, "")) for each in steps
        ]
        ed.type("train.py", "        criterion(model(x), yy).backward()\n", "")
        assert await ed.pull("train.py") == []


@in_loop
async def test_an_edit_is_not_kept_waiting_for_the_whole_project(tree: Tree) -> None:
    edits = 20
    async with editor(tree({"a.py": BAD}), capabilities(pull=True)) as ed:
        ed.open("a.py")
        await ed.pull("a.py")
        start = time.monotonic()
        for number in range(edits):
            ed.replace("a.py", 0, 0, f"# {number}\n")
            assert [each.range.start.line for each in await ed.pull("a.py")] == [8 + number]
        assert time.monotonic() - start < 0.8 * edits * WHOLE_AFTER


def test_what_is_cancelled_is_not_answered_and_what_comes_after_is() -> None:
    """Message by message, since a cancellation must come while the server is at work."""
    many = "".join(f"\n\ndef f{number}(x, y):\n    return nn.BCELoss()(x, y)\n" for number in range(1000))
    document = {"uri": "file:///nowhere/a.py", "languageId": "python", "version": 1, "text": BAD + many}
    asked = {"textDocument": {"uri": document["uri"]}}
    capabilities: dict[str, Any] = {
        "textDocument": {"diagnostic": {}},
        "workspace": {"diagnostics": {"refreshSupport": True}},
    }
    messages: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": {"processId": None, "rootUri": None, "capabilities": capabilities}},
        {"method": "textDocument/didOpen", "params": {"textDocument": document}},
        {"id": 2, "method": "textDocument/diagnostic", "params": asked},
        {"method": "$/cancelRequest", "params": {"id": 2}},
        {"id": 3, "method": "textDocument/diagnostic", "params": asked},
    ]
    command = [sys.executable, "-m", "torchlint", "server"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None and server.stdout is not None
        for message in messages:
            body = json.dumps({"jsonrpc": "2.0", **message}).encode()
            server.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        server.stdin.flush()
        answers: dict[int, dict[str, Any]] = {}
        while 3 not in answers:
            length = int(server.stdout.readline().split(b":")[1])
            while server.stdout.readline().strip():
                pass
            answer = json.loads(server.stdout.read(length))
            answers[answer.get("id", 0)] = answer
        server.kill()
    assert answers[2]["error"]["code"] == lsp.LSPErrorCodes.RequestCancelled.value
    assert "TLN101" in [each["code"] for each in answers[3]["result"]["items"]]


@in_loop
async def test_who_cannot_be_told_to_pull_again_is_pushed(tree: Tree) -> None:
    has = capabilities(pull=True)
    has.workspace = None
    async with editor(tree({"a.py": BAD}), has) as ed:
        ed.open("a.py")
        await ed.until(lambda: ed.codes("a.py") == ["TLN101"])


@in_loop
async def test_a_file_that_is_not_open_changes_comes_and_goes(tree: Tree) -> None:
    right = MODEL.replace("torch.sigmoid(self.last(x))", "self.last(x)")
    folder = tree({"model.py": right, "train.py": TRAIN})

    def said(name: str, kind: lsp.FileChangeType) -> lsp.FileEvent:
        return lsp.FileEvent((folder / name).as_uri(), kind)

    deleted, created = lsp.FileChangeType.Deleted, lsp.FileChangeType.Created
    async with editor(folder) as ed:
        ed.open("train.py")
        (folder / "model.py").write_text(MODEL, "utf-8")
        ed.client.workspace_did_change_watched_files(
            lsp.DidChangeWatchedFilesParams([said("model.py", lsp.FileChangeType.Changed)])
        )
        await ed.until(lambda: ed.codes("train.py") == ["TLN101"])
        for old, new, codes in (("model.py", "net.py", []), ("net.py", "model.py", ["TLN101"])):
            (folder / old).rename(folder / new)
            ed.client.workspace_did_change_watched_files(
                lsp.DidChangeWatchedFilesParams([said(old, deleted), said(new, created)])
            )
            await ed.until(lambda codes=codes: ed.codes("train.py") == codes)  # type: ignore[misc]


@in_loop
async def test_pulled_diagnostics_are_not_pushed(tree: Tree) -> None:
    folder = tree({"a.py": BAD})
    async with editor(folder, capabilities(pull=True)) as ed:
        ed.open("a.py")
        assert [str(each.code) for each in await ed.pull("a.py")] == ["TLN101"]
        assert ed.pushed("a.py") == []


@in_loop
async def test_what_the_settings_leave_out_is_not_told_and_they_are_read_again(tree: Tree) -> None:
    folder = tree({"a.py": BAD, "old/b.py": BAD, "torchlint.toml": 'exclude = ["old/"]\n'})
    async with editor(folder) as ed:
        ed.open("old/b.py")
        ed.open("a.py")
        await ed.until(lambda: ed.codes("a.py") == ["TLN101"])
        assert ed.codes("old/b.py") == []
        (folder / "torchlint.toml").write_text('ignore = ["TLN101"]\n', "utf-8")
        change = lsp.FileEvent(ed.uri("torchlint.toml"), lsp.FileChangeType.Changed)
        ed.client.workspace_did_change_watched_files(lsp.DidChangeWatchedFilesParams([change]))
        await ed.until(lambda: ed.codes("a.py") == [])
        (folder / "torchlint.toml").write_text('ignor = ["TLN101"]\n', "utf-8")
        ed.save("a.py")
        await ed.until(lambda: any('did you mean "ignore"' in each.message for each in ed.client.messages))


def workspace_folder(folder: Path) -> lsp.WorkspaceFolder:
    return lsp.WorkspaceFolder(folder.as_uri(), folder.name)


@in_loop
async def test_wrong_settings_of_one_folder_keep_no_other_from_being_linted(tree: Tree) -> None:
    folder = tree({"one/torchlint.toml": "", "one/a.py": BAD, "two/b.py": BAD})
    async with editor(folder) as ed:
        both = [workspace_folder(folder / "one"), workspace_folder(folder / "two")]
        change = lsp.WorkspaceFoldersChangeEvent(both, [workspace_folder(folder)])
        ed.client.workspace_did_change_workspace_folders(lsp.DidChangeWorkspaceFoldersParams(change))
        ed.open("one/a.py")
        await ed.until(lambda: ed.codes("one/a.py") == ["TLN101"])
        (folder / "one" / "torchlint.toml").write_text("ignor = 1\n", "utf-8")
        ed.open("two/b.py")
        await ed.until(lambda: ed.codes("two/b.py") == ["TLN101"])
        ed.replace("one/a.py", 0, 0, "# what was found before stays, and moves\n")
        await ed.until(lambda: [each.range.start.line for each in ed.pushed("one/a.py")] == [8])
        (message,) = [each.message for each in ed.client.messages]
        assert 'did you mean "ignore"' in message
        (folder / "one" / "torchlint.toml").write_text('ignore = ["TLN101"]\n', "utf-8")
        ed.save("two/b.py")
        await ed.until(lambda: ed.codes("one/a.py") == [])


@in_loop
async def test_options_of_the_editor_decide(tree: Tree) -> None:
    folder = tree({"a.py": BAD})
    async with editor(folder, capabilities(pull=True), {"ignore": ["TLN101"]}) as ed:
        ed.open("a.py")
        assert await ed.pull("a.py") == []


@in_loop
async def test_options_of_the_editor_change(tree: Tree) -> None:
    async with editor(tree({"a.py": BAD}), capabilities(pull=True), {"ignor": ["TLN101"]}) as ed:
        ed.open("a.py")
        assert [str(each.code) for each in await ed.pull("a.py")] == ["TLN101"], "wrong options are told, and left out"

        def changed(settings: Any) -> None:
            ed.client.workspace_did_change_configuration(lsp.DidChangeConfigurationParams(settings))

        changed({"torchlint": {"ignore": ["TLN101"]}, "other": {"ignor": 1}})
        assert await ed.pull("a.py") == []
        for settings in (None, {"other": 1}, {"torchlint": {"ignore": 1}}):
            changed(settings)
            assert await ed.pull("a.py") == []
        changed({"torchlint": {}})
        assert [str(each.code) for each in await ed.pull("a.py")] == ["TLN101"]
        assert [each.message.split(": ")[1:3] for each in ed.client.messages] == [
            ["initializationOptions", "ignor"],
            ["settings of the editor", "ignore"],
        ]


def test_a_new_file_and_what_is_not_saved_yet_are_linted(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tree({"model.py": MODEL.replace("torch.sigmoid(self.last(x))", "self.last(x)")})
    monkeypatch.chdir(folder)

    @in_loop
    async def run() -> None:
        async with editor(folder, capabilities(pull=True)) as ed:
            ed.open("new.py", BAD)
            assert [str(each.code) for each in await ed.pull("new.py")] == ["TLN101"]
            ed.uris["unsaved"] = "untitled:Untitled-1"
            ed.open("unsaved", TRAIN)
            assert await ed.pull("unsaved") == []
            ed.open("model.py", MODEL)
            (told,) = await ed.pull("unsaved")
            steps = {each.location.uri for each in told.related_information or ()}
            assert steps == {ed.uri("unsaved"), ed.uri("model.py")}
            ed.close("model.py")
            (folder / "model.py").write_text(MODEL, "utf-8")
            ed.replace("unsaved", 0, 0, "# saved in the other file, too\n")
            (told,) = await ed.pull("unsaved")
            assert {each.location.uri for each in told.related_information or ()} == steps

    run()


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///c%3A/a%20b/%C3%A9%23.py", "c:\\a b\\é#.py"),
        ("file:///C:/x/../y.py", "c:\\y.py"),
        ("file://server/share/x.py", "\\\\server\\share\\x.py"),
    ],
)
def test_uris_of_windows(uri: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pygls.uris.IS_WIN", True)
    monkeypatch.setattr(protocol, "os", SimpleNamespace(path=SimpleNamespace(abspath=ntpath.normpath)))
    assert protocol.path_of(uri) == path


@in_loop
async def test_hover_shows_the_page(tree: Tree) -> None:
    async with editor(tree({"a.py": BAD}), capabilities(pull=True)) as ed:
        ed.open("a.py")
        (told,) = await ed.pull("a.py")
        document = lsp.TextDocumentIdentifier(ed.uri("a.py"))
        shown = await ed.client.text_document_hover_async(lsp.HoverParams(document, told.range.start))
        assert shown is not None
        assert isinstance(shown.contents, lsp.MarkupContent)
        assert "TLN101: sigmoid-before-with-logits" in shown.contents.value
        assert shown.range == told.range
        assert await ed.client.text_document_hover_async(lsp.HoverParams(document, lsp.Position(0, 0))) is None


def test_without_pygls_it_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['pygls'] = None\nfrom torchlint.cli import main; main(['server'])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert "pip install 'torchlint[server]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_editor_that_dies_takes_the_server_with_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "torchlint", "server"], cwd=ROOT, input=b"", capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("versioned", [True, False])
@in_loop
async def test_a_safe_fix_is_offered_and_right(tree: Tree, versioned: bool) -> None:
    async with editor(tree({"a.py": BAD}), capabilities(pull=True, versioned=versioned)) as ed:
        ed.open("a.py")
        (told,) = await ed.pull("a.py")
        fix, ignore, everything = await ed.actions("a.py", told)
        assert fix.kind == lsp.CodeActionKind.QuickFix
        assert fix.is_preferred
        assert list(fix.diagnostics or ()) == [told]
        ed.rewrite("a.py", ed.apply(fix)["a.py"])
        assert await ed.pull("a.py") == []
        ed.rewrite("a.py", BAD)
        assert ed.apply(everything)["a.py"] == ed.apply(fix)["a.py"]
        assert [each.title for each in await ed.actions("a.py", told, "quickfix")] == [fix.title, ignore.title]
        assert [each.title for each in await ed.actions("a.py", told, "source.fixAll")] == [everything.title]


@in_loop
async def test_an_unsafe_fix_says_so_and_may_reach_into_another_file(tree: Tree) -> None:
    folder = tree({"model.py": MODEL, "train.py": TRAIN})
    async with editor(folder, capabilities(pull=True)) as ed:
        ed.open("train.py")
        ed.open("model.py")
        (told,) = await ed.pull("train.py")
        fix, _ = await ed.actions("train.py", told)
        assert "unsafe" in fix.title
        assert not fix.is_preferred
        assert ed.apply(fix) == {"model.py": MODEL.replace("torch.sigmoid(self.last(x))", "self.last(x)")}


@in_loop
async def test_fixes_wait_until_the_text_is_python(tree: Tree) -> None:
    async with editor(tree({"a.py": BAD}), capabilities(pull=True)) as ed:
        ed.open("a.py")
        ed.replace("a.py", 0, 0, "def broken(:\n")
        ed.rewrite("a.py", BAD)
        (told,) = await ed.pull("a.py")
        ed.replace("a.py", 0, 0, "def broken(:\n")
        (told,) = await ed.pull("a.py")
        assert await ed.actions("a.py", told) == []


@pytest.mark.parametrize(
    ("line", "ignored"),
    [
        (
            "loss = bce(torch.sigmoid(x), y)",
            "loss = bce(torch.sigmoid(x), y)  # torchlint: ignore[TLN101] why it is meant so",
        ),
        (
            "bce(torch.sigmoid(x), y)  # so",
            "bce(torch.sigmoid(x), y)  # so  # torchlint: ignore[TLN101] why it is meant so",
        ),
        (
            "bce(torch.sigmoid(x), y)  # torchlint: ignore[TLN104] so",
            "bce(torch.sigmoid(x), y)  # torchlint: ignore[TLN104, TLN101] so",
        ),
        (
            "bce(torch.sigmoid(x), y), '''a\nb'''",
            None,
        ),
        (
            "bce(\n    torch.sigmoid(x), y), '''a\nb'''",
            "bce(  # torchlint: ignore[TLN101] why it is meant so\n    torch.sigmoid(x), y), '''a\nb'''",
        ),
    ],
)
@in_loop
async def test_ignoring_puts_a_comment_where_one_fits(tree: Tree, line: str, ignored: str | None) -> None:
    text = f"import torch\nfrom torch import nn\nbce = nn.BCEWithLogitsLoss()\nx, y = torch.randn(3), torch.rand(3)\n{line}\n"
    async with editor(tree({"a.py": text}), capabilities(pull=True)) as ed:
        ed.open("a.py")
        told = next(each for each in await ed.pull("a.py") if each.code == "TLN101")
        found = [each for each in await ed.actions("a.py", told, "quickfix") if each.title.startswith("Ignore")]
        if ignored is None:
            assert not found
            return
        new = ed.apply(found[0])["a.py"]
        assert new == text.replace(line, ignored)
        ed.rewrite("a.py", new)
        assert "TLN101" not in [each.code for each in await ed.pull("a.py")]


def cell(uri: str, text: str) -> lsp.TextDocumentItem:
    return lsp.TextDocumentItem(uri, "python", 1, text)


@in_loop
async def test_notebooks_are_linted_as_they_are_edited(tree: Tree) -> None:
    async with editor(tree({}), capabilities(pull=True)) as ed:
        book = ed.uri("book.ipynb")
        texts = {
            f"{book}#a": "%matplotlib inline\nimport torch\nfrom torch import nn\nbce = nn.BCEWithLogitsLoss()",
            f"{book}#b": "x, y = torch.randn(3), torch.rand(3)\nbce(torch.sigmoid(x), y)",
        }
        cells = [lsp.NotebookCell(lsp.NotebookCellKind.Code, uri) for uri in texts]
        cells.insert(1, lsp.NotebookCell(lsp.NotebookCellKind.Markup, f"{book}#text"))
        opened = lsp.NotebookDocument(book, "jupyter-notebook", 1, cells)
        ed.client.notebook_document_did_open(
            lsp.DidOpenNotebookDocumentParams(opened, [cell(uri, text) for uri, text in texts.items()])
        )

        async def told(uri: str) -> list[lsp.Diagnostic]:
            params = lsp.DocumentDiagnosticParams(lsp.TextDocumentIdentifier(uri))
            report: Any = await ed.client.text_document_diagnostic_async(params)
            return [each for each in report.items if each.code == "TLN101"]

        (found,) = await told(f"{book}#b")
        assert (found.range.start.line, found.range.start.character) == (1, 0)
        assert f"{book}#a" in {each.location.uri for each in found.related_information or ()}
        assert await told(f"{book}#a") == []
        context = lsp.CodeActionContext([found], only=["quickfix"])
        asked = lsp.CodeActionParams(lsp.TextDocumentIdentifier(f"{book}#b"), found.range, context)
        offered: Any = await ed.client.text_document_code_action_async(asked)
        fix = offered[0]
        (change,) = fix.edit.document_changes
        assert change.text_document.uri == f"{book}#b"
        assert [(each.range.start.line, each.new_text) for each in change.edits]
        # A line more at the top, and an unfinished one: it moves.
        version = lsp.VersionedNotebookDocumentIdentifier(2, book)
        start = lsp.Range(lsp.Position(0, 0), lsp.Position(0, 0))
        content = lsp.NotebookDocumentCellContentChanges(
            lsp.VersionedTextDocumentIdentifier(2, f"{book}#b"),
            [lsp.TextDocumentContentChangePartial(start, "while (\n")],
        )
        changes = lsp.NotebookDocumentCellChanges(text_content=[content])
        ed.client.notebook_document_did_change(
            lsp.DidChangeNotebookDocumentParams(version, lsp.NotebookDocumentChangeEvent(cells=changes))
        )
        assert [each.range.start.line for each in await told(f"{book}#b")] == [2]
        # Without the first cell nobody knows what `bce` is.
        removed = lsp.NotebookCellArrayChange(0, 1, [])
        structure = lsp.NotebookDocumentCellChangeStructure(
            removed, did_close=[lsp.TextDocumentIdentifier(f"{book}#a")]
        )
        changes = lsp.NotebookDocumentCellChanges(structure=structure)
        version = lsp.VersionedNotebookDocumentIdentifier(3, book)
        ed.client.notebook_document_did_change(
            lsp.DidChangeNotebookDocumentParams(version, lsp.NotebookDocumentChangeEvent(cells=changes))
        )
        assert await told(f"{book}#b") == []
        ed.client.notebook_document_did_close(
            lsp.DidCloseNotebookDocumentParams(
                lsp.NotebookDocumentIdentifier(book), [lsp.TextDocumentIdentifier(f"{book}#b")]
            )
        )
