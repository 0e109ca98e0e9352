"""One engine, many faces: every report, flake8, the hooks and the editors tell the same findings at the same places."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest
from lsprotocol import types as lsp

from tests.corpus.test_idioms import PAGES
from tests.faces.conftest import BAD, PROJECT, Flake8, Run, Tree, in_process
from tests.faces.editor import Editor, capabilities, editor
from tests.faces.test_pylsp import lint, put, workspace_of
from torchlint.server.session import WHOLE_AFTER
from torchlint.source import decode

Findings = set[tuple[str, int, int, str]]
"""Path, line, column and code; a notebook's cell is a path of its own, `book.ipynb:cell 2`."""

EXPECTED: Findings = {
    ("shop/steps.py", 5, 12, "TLN101"),
    ("unused.py", 1, 8, "TLN001"),
    ("wide.py", 8, 12, "TLN101"),
}


def of_json(out: str) -> Findings:
    return {
        (_cell(os.path.relpath(each["filename"]), each["cell"]), *each["location"].values(), each["code"])
        for each in json.loads(out)
    }


def _cell(path: str, number: int | None) -> str:
    return path if number is None else f"{path}:cell {number}"


def of_lines(out: str) -> Findings:
    found = re.findall(r"^(.+?):(\d+):(\d+): (TLN\d+) ", out, re.MULTILINE)
    return {(os.path.normpath(path), int(line), int(column), code) for path, line, column, code in found}


def of_full(out: str) -> Findings:
    found = re.findall(r"^\w+\[(TLN\d+)\].*\n *--> (.+?):(\d+):(\d+)$", out, re.MULTILINE)
    return {(path, int(line), int(column), code) for code, path, line, column in found}


def of_sarif(out: str) -> Findings:
    def place(result: dict[str, Any]) -> tuple[str, int, int, str]:
        where = result["locations"][0]["physicalLocation"]
        region = where.get("region", {"startLine": 1, "startColumn": 1})
        return unquote(where["artifactLocation"]["uri"]), region["startLine"], region["startColumn"], result["ruleId"]

    return {place(result) for result in json.loads(out)["runs"][0]["results"]}


def of_gitlab(out: str) -> Findings:
    places = [(each["location"]["path"], each["location"]["positions"]["begin"], each) for each in json.loads(out)]
    return {
        (path, begin["line"], begin["column"], each["check_name"])
        for path, begin, each in places
        if each["check_name"] != "not-linted"
    }


def of_junit(out: str) -> Findings:
    found = set()
    for case in ET.fromstring(out).iterfind(".//testcase[failure]"):
        name = re.fullmatch(r"(TLN\d+) [\w-]+ \((cell \d+:)?(\d+):(\d+)\)", case.get("name", ""))
        assert name and case.get("line") == (None if name[2] else name[3])
        path = case.get("file", "") + (f":{name[2][:-1]}" if name[2] else "")
        found.add((path, int(name[3]), int(name[4]), name[1]))
    return found


FORMATS = {
    "json": of_json,
    "concise": of_lines,
    "full": of_full,
    "sarif": of_sarif,
    "gitlab": of_gitlab,
    "junit": of_junit,
}


@pytest.fixture
def project(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tree(PROJECT)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_report_tells_the_findings(output_format: str, project: Path, torchlint: Run) -> None:
    result = torchlint("check", "--output-format", output_format)
    assert FORMATS[output_format](result.out) == EXPECTED
    assert (result.code, result.err) == (1, "")


def test_github_tells_the_findings(project: Path, torchlint: Run) -> None:
    lines = torchlint("check", "--output-format", "github").out
    found = re.findall(r"^::\w+ title=(TLN\d+) [\w-]+,file=(.+?),line=(\d+)", lines, re.MULTILINE)
    expected = [(code, path, str(line)) for path, line, _, code in EXPECTED]
    assert sorted(found) == sorted(expected)


def test_flake8_tells_the_findings(project: Path, flake8: Flake8) -> None:
    assert of_lines(flake8("--select=TLN").out) == EXPECTED


def test_the_paths_of_a_commit_tell_what_they_take_part_in(project: Path, torchlint: Run) -> None:
    """The hooks' way: the findings of the whole project that the changed files take part in, no more and no fewer."""
    (project / "old.py").write_text(BAD, "utf-8")
    related = torchlint("check", "--related", "--output-format", "json", "shop/model.py", "unused.py")
    assert of_json(related.out) == EXPECTED - {("wide.py", 8, 12, "TLN101")}


# ---- whole projects: the programs of the corpus, files of the kinds that readers trip over, and whatever one points it at

ODD: dict[str, str | bytes] = {
    "pyproject.toml": '[tool.torchlint]\nextend-select = ["TLN107"]\nextend-exclude = ["left_out/"]\n'
    '[tool.torchlint.per-file-ignores]\n"quiet/*" = ["TLN101"]\n',
    "latin.py": b"# coding: latin-1\n" + BAD.replace("\n\n\n", "\n\n\nname = 'é'\n").encode("latin-1"),
    "bom.py": b"\xef\xbb\xbf" + BAD.encode(),
    "crlf.py": BAD.replace("\n", "\r\n"),
    "lone_cr.py": BAD.replace("\n\n\n", "\n\n\n# one\r# two\r"),
    "feed.py": BAD.replace("\n\n\n", "\n\f\n\n# \u2028 \x1c \x85\n"),
    "tabs.py": BAD.replace("    ", "\t"),
    "wide.py": BAD.replace("return criterion", "'😀é日'; return criterion"),
    "no_end.py": BAD.rstrip("\n"),
    "no python.py": BAD + "def broken(:\n",
    "two.py": BAD + "print 'Python 2'\n",
    "a b/größe,1.py": BAD,
    "quiet/a.py": BAD,
    "left_out/a.py": BAD,
    "harmless.py": BAD.replace("torch.sigmoid(logits)", "logits.log_softmax(1)").replace(
        "BCEWithLogits", "CrossEntropy"
    ),
    "twice.py": BAD
    + BAD.partition("\n\n\n")[2].replace("loss_of", "other").replace("labels)\n", "labels)  # noqa: E501\n"),
    "told.py": BAD.replace("labels)\n", "labels)  # noqa: TLN101\n", 1).replace(
        "(logits, labels)  # noqa: TLN101", "(logits, labels)"
    ),
    "book.ipynb": json.dumps(
        {
            "cells": [
                {"cell_type": "markdown", "metadata": {}, "source": "# text"},
                {"cell_type": "code", "metadata": {}, "outputs": [], "source": "%matplotlib inline\n!ls\nx = 1"},
                {"cell_type": "code", "metadata": {}, "outputs": [], "source": BAD},
            ],
            "metadata": {},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    ),
    **{f"pkg/{name}": text for name, text in PROJECT.items()},
}

FOLDERS = os.environ.get("TORCHLINT_FOLDERS", "")
"""A folder of projects to compare the faces on besides: each of its folders is one."""

PROJECTS = ["the corpus", "odd files", *(sorted(os.listdir(FOLDERS)) if FOLDERS else ())]


def written(folder: Path) -> None:
    """Put the project of this name into an empty folder."""
    if folder.name == "the corpus":
        for page in PAGES:
            for number, case in enumerate(page.cases):
                for index, block in enumerate(case.blocks):
                    path = folder / f"{Path(page.path).stem}_{number}" / (block.path or f"block{index}.py")
                    if path.suffix == ".py":
                        path.parent.mkdir(parents=True, exist_ok=True)
                        path.write_text(block.text, "utf-8")
    elif folder.name == "odd files":
        for file, content in ODD.items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    else:
        shutil.copytree(os.path.join(FOLDERS, folder.name), folder, dirs_exist_ok=True)


@pytest.fixture(scope="module", params=PROJECTS)
def corpus(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that nothing changes."""
    folder = tmp_path_factory.mktemp("project") / str(request.param)
    folder.mkdir()
    written(folder)
    return folder


def checked(corpus: Path, *arguments: str, stdin: bytes = b"") -> str:
    return in_process(corpus, ("check", "--no-cache", *arguments), stdin, {}).out


@pytest.fixture(scope="module")
def expected(corpus: Path) -> Findings:
    """What `torchlint check` finds in the project."""
    found = within(corpus, checked(corpus, "--output-format", "json"))
    if corpus.name == "the corpus":
        assert len(found) > 50
        assert len({code for *_, code in found}) > 5
    elif corpus.name == "odd files":
        silent = {"pyproject.toml", "no python.py", "two.py", "quiet/a.py", "left_out/a.py", "told.py"}
        top = {name for name in ODD if not name.startswith("pkg/")}
        assert {path.partition(":")[0] for path, *_ in found if not path.startswith("pkg/")} == top - silent
    return found


def within(folder: Path, out: str) -> Findings:
    """What JSON tells, by the paths below a folder."""
    return {(below(folder, os.path.abspath(path)), *rest) for path, *rest in of_json(out)}  # type: ignore[misc]


def below(folder: Path, path: str) -> str:
    return Path(os.path.relpath(folder / path, folder)).as_posix()


def names(corpus: Path) -> list[str]:
    """The files that an editor opens as Python."""
    return sorted(path.relative_to(corpus).as_posix() for path in corpus.rglob("*.py"))


def notebooks(corpus: Path) -> list[str]:
    return sorted(path.relative_to(corpus).as_posix() for path in corpus.rglob("*.ipynb"))


def in_files(found: Findings) -> Findings:
    """The findings outside of notebooks."""
    return {each for each in found if ".ipynb" not in each[0]}


def text_of(path: Path) -> str:
    """A file as an editor shows it."""
    return decode(path.read_bytes())


@pytest.mark.slow
@pytest.mark.parametrize("output_format", sorted(FORMATS.keys() - {"json"}))
def test_a_report_tells_the_findings_of_a_project(output_format: str, corpus: Path, expected: Findings) -> None:
    told = FORMATS[output_format](checked(corpus, "--output-format", output_format))
    if output_format in ("sarif", "gitlab"):  # which know no cells: the place is that of the file
        shown = {
            each if each in in_files(expected) else (each[0].partition(":")[0], 1, 1, each[3]) for each in expected
        }
    else:
        shown = expected
    assert {(below(corpus, path), *rest) for path, *rest in told} == shown


@pytest.mark.slow
@pytest.mark.parametrize("way", ["one process", "two processes", "from elsewhere", "file by file"])
def test_flake8_tells_the_findings_of_a_project(way: str, corpus: Path, expected: Findings, flake8: Flake8) -> None:
    jobs = "--jobs=1" if way == "one process" else "--jobs=2"
    if way == "file by file":  # as a hook or a script names them
        told = flake8("--select=TLN", jobs, *names(corpus), folder=corpus)
        expected = within(corpus, checked(corpus, "--output-format", "json", *names(corpus)))
    elif way == "from elsewhere":
        told = flake8("--select=TLN", jobs, str(corpus))
    else:
        told = flake8("--select=TLN", jobs, folder=corpus)
    assert {(below(corpus, path), *rest) for path, *rest in of_lines(told.out)} == in_files(expected)


@pytest.mark.slow
def test_flake8_tells_the_findings_of_a_file_that_it_reads_from_standard_input(
    corpus: Path, expected: Findings, flake8: Flake8
) -> None:
    for name in some_with_findings(corpus, expected):
        arguments = ("--select=TLN", "-", "--stdin-display-name", name)
        told = of_lines(flake8(*arguments, folder=corpus, stdin=(corpus / name).read_bytes()).out)
        alone = within(corpus, checked(corpus, "--output-format", "json", name))
        assert {(below(corpus, path), *rest) for path, *rest in told} == alone


@pytest.mark.slow
def test_the_hook_tells_the_findings_of_a_project(corpus: Path, expected: Findings) -> None:
    given = [*names(corpus), *notebooks(corpus)]
    related = checked(corpus, "--related", "--force-exclude", "--output-format", "json", *given)
    assert within(corpus, related) == expected


@pytest.mark.slow
def test_standard_input_tells_the_findings_of_a_project(corpus: Path, expected: Findings) -> None:
    for name in some_with_findings(corpus, expected):
        arguments = ("-", "--stdin-filename", name, "--related", "--output-format", "json")
        told = within(corpus, checked(corpus, *arguments, stdin=(corpus / name).read_bytes()))
        assert {each for each in told if each[0] == name} == {each for each in expected if each[0] == name}


def some_with_findings(corpus: Path, expected: Findings) -> list[str]:
    """Some of the files that have findings, or all of them if they are few."""
    found = sorted({path for path, *_ in in_files(expected)})
    return found[:: max(1, len(found) // 6)]


def of_editor(ed: Editor, told: dict[str, list[lsp.Diagnostic]]) -> Findings:
    return {
        (name, each.range.start.line + 1, each.range.start.character + 1, str(each.code))
        for name, diagnostics in told.items()
        for each in diagnostics
    }


@pytest.mark.slow
@pytest.mark.parametrize("pull", [False, True])
def test_an_editor_is_told_the_findings_of_a_project(pull: bool, corpus: Path, expected: Findings) -> None:
    books = notebooks(corpus)

    async def run() -> None:
        async with editor(corpus, capabilities(pull=pull, encodings=["utf-32"])) as ed:
            shown = names(corpus)
            for name in shown:
                ed.open(name, text_of(corpus / name))
            for name in books:
                shown += ed.open_notebook(name)
            if pull:  # the first answer comes before the look at the whole project
                first = of_editor(ed, {name: await ed.pull(name) for name in shown})
                assert len(first & expected) >= 0.9 * len(expected)
                await asyncio.sleep(4 * WHOLE_AFTER)
                assert of_editor(ed, {name: await ed.pull(name) for name in shown}) == expected
            else:
                await ed.until(lambda: of_editor(ed, {name: ed.pushed(name) for name in shown}) == expected)

    asyncio.run(run())


@pytest.mark.slow
def test_python_lsp_server_tells_the_findings_of_a_project(corpus: Path, expected: Findings) -> None:
    workspace, config, _ = workspace_of(corpus)
    folders = sorted({path.partition("/")[0] for path, *_ in in_files(expected)})
    folders = folders[:: max(1, len(folders) // 6)]  # each edit looks at all that is open
    some = [name for name in names(corpus) if name.partition("/")[0] in folders]
    documents = {name: put(workspace, corpus / name, text_of(corpus / name)) for name in some}
    told = {name: lint(config, workspace, document, is_saved=True) for name, document in documents.items()}
    found = {
        (name, each["range"]["start"]["line"] + 1, each["range"]["start"]["character"] + 1, each["code"])
        for name, diagnostics in told.items()
        for each in diagnostics
    }
    wide = {each for each in expected if each[0] == "wide.py"}  # its columns count UTF-16 code units there
    assert {each for each in found if each[0] != "wide.py"} == {e for e in expected if e[0] in some} - wide
