"""One engine, many faces: every report of a project, and flake8, tell the same findings at the same places."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest

from tests.faces.conftest import BAD, PROJECT, Flake8, Run, Tree

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
