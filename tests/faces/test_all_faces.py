"""One engine, many faces: every report, flake8, the hooks and the editors tell the same findings at the same places."""

from __future__ import annotations

import asyncio
import json
import os
import re
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
from torchlint.server.protocol import WHOLE_AFTER

Findings = set[tuple[str, int, int, str]]
"""Path, line, column and code."""

EXPECTED: Findings = {
    ("shop/steps.py", 5, 12, "TLN101"),
    ("unused.py", 1, 8, "TLN001"),
    ("wide.py", 8, 12, "TLN101"),
}


def of_json(out: str) -> Findings:
    return {
        (os.path.relpath(each["filename"]), each["location"]["row"], each["location"]["column"], each["code"])
        for each in json.loads(out)
    }


def of_lines(out: str) -> Findings:
    found = re.findall(r"^(.+?):(\d+):(\d+): (TLN\d+) ", out, re.MULTILINE)
    return {(os.path.normpath(path), int(line), int(column), code) for path, line, column, code in found}


def of_full(out: str) -> Findings:
    found = re.findall(r"^\w+\[(TLN\d+)\].*\n *--> (.+?):(\d+):(\d+)$", out, re.MULTILINE)
    return {(path, int(line), int(column), code) for code, path, line, column in found}


def of_sarif(out: str) -> Findings:
    def place(result: dict[str, Any]) -> tuple[str, int, int, str]:
        where = result["locations"][0]["physicalLocation"]
        region = where["region"]
        return unquote(where["artifactLocation"]["uri"]), region["startLine"], region["startColumn"], result["ruleId"]

    return {place(result) for result in json.loads(out)["runs"][0]["results"]}


def of_gitlab(out: str) -> Findings:
    places = [(each["location"]["path"], each["location"]["positions"]["begin"], each) for each in json.loads(out)]
    return {(path, begin["line"], begin["column"], each["check_name"]) for path, begin, each in places}


def of_junit(out: str) -> Findings:
    found = set()
    for case in ET.fromstring(out).iter("testcase"):
        name = re.fullmatch(r"(TLN\d+) [\w-]+ \((\d+):(\d+)\)", case.get("name", ""))
        assert name and case.get("line") == name[2]
        found.add((case.get("file", ""), int(name[2]), int(name[3]), name[1]))
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


# ---- the programs of the corpus, each in a folder of its own


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for page in PAGES:
        for number, case in enumerate(page.cases):
            for index, block in enumerate(case.blocks):
                path = folder / f"{Path(page.path).stem}_{number}" / (block.path or f"block{index}.py")
                if path.suffix == ".py":
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(block.text, "utf-8")
    return folder


def checked(corpus: Path, *arguments: str, stdin: bytes = b"") -> str:
    return in_process(corpus, ("check", "--no-cache", *arguments), stdin, {}).out


@pytest.fixture(scope="module")
def expected(corpus: Path) -> Findings:
    """What `torchlint check` finds in the corpus."""
    found = within(corpus, checked(corpus, "--output-format", "json"))
    assert len(found) > 50
    assert len({code for *_, code in found}) > 5
    return found


def within(folder: Path, out: str) -> Findings:
    """What JSON tells, by the paths below a folder."""
    return {(os.path.relpath(path, folder), *rest) for path, *rest in of_json(out)}  # type: ignore[misc]


def names(corpus: Path) -> list[str]:
    return sorted(path.relative_to(corpus).as_posix() for path in corpus.rglob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("output_format", sorted(FORMATS.keys() - {"json"}))
def test_a_report_tells_the_findings_of_the_corpus(output_format: str, corpus: Path, expected: Findings) -> None:
    assert FORMATS[output_format](checked(corpus, "--output-format", output_format)) == expected


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_flake8_tells_the_findings_of_the_corpus(jobs: int, corpus: Path, expected: Findings, flake8: Flake8) -> None:
    told = of_lines(flake8("--select=TLN", f"--jobs={jobs}", str(corpus)).out)
    assert {(os.path.relpath(path, corpus), *rest) for path, *rest in told} == expected


@pytest.mark.slow
def test_the_hook_tells_the_findings_of_the_corpus(corpus: Path, expected: Findings) -> None:
    related = checked(corpus, "--related", "--force-exclude", "--output-format", "json", *names(corpus))
    assert within(corpus, related) == expected


@pytest.mark.slow
def test_standard_input_tells_the_findings_of_the_corpus(corpus: Path, expected: Findings) -> None:
    for name in sorted({path for path, *_ in expected})[::25]:
        arguments = ("-", "--stdin-filename", name, "--related", "--output-format", "json")
        told = within(corpus, checked(corpus, *arguments, stdin=(corpus / name).read_bytes()))
        assert {each for each in told if each[0] == name} == {each for each in expected if each[0] == name}


def of_editor(ed: Editor, told: dict[str, list[lsp.Diagnostic]]) -> Findings:
    return {
        (name, each.range.start.line + 1, each.range.start.character + 1, str(each.code))
        for name, diagnostics in told.items()
        for each in diagnostics
    }


@pytest.mark.slow
@pytest.mark.parametrize("pull", [False, True])
def test_an_editor_is_told_the_findings_of_the_corpus(pull: bool, corpus: Path, expected: Findings) -> None:
    async def run() -> None:
        async with editor(corpus, capabilities(pull=pull, encodings=["utf-32"])) as ed:
            for name in names(corpus):
                ed.open(name)
            if pull:  # the first answer comes before the look at the whole project
                first = of_editor(ed, {name: await ed.pull(name) for name in names(corpus)})
                assert len(first & expected) > 0.9 * len(expected)
                await asyncio.sleep(4 * WHOLE_AFTER)
                assert of_editor(ed, {name: await ed.pull(name) for name in names(corpus)}) == expected
            else:
                await ed.until(lambda: of_editor(ed, {name: ed.pushed(name) for name in names(corpus)}) == expected)

    asyncio.run(run())


@pytest.mark.slow
def test_python_lsp_server_tells_the_findings_of_the_corpus(corpus: Path, expected: Findings) -> None:
    workspace, config, _ = workspace_of(corpus)
    folders = sorted({path.partition("/")[0] for path, *_ in expected})[::10]  # each edit looks at all that is open
    some = [name for name in names(corpus) if name.partition("/")[0] in folders]
    documents = {name: put(workspace, corpus / name, (corpus / name).read_text("utf-8")) for name in some}
    told = {name: lint(config, workspace, document, is_saved=True) for name, document in documents.items()}
    found = {
        (name, each["range"]["start"]["line"] + 1, each["range"]["start"]["character"] + 1, each["code"])
        for name, diagnostics in told.items()
        for each in diagnostics
    }
    assert found == {each for each in expected if each[0] in some}
