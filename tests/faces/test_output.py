"""The reports and the exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.faces.conftest import BAD, GOOD, ROOT, Run, Tree, in_process

POSITION = {
    "type": "object",
    "properties": {"row": {"type": "integer", "minimum": 1}, "column": {"type": "integer", "minimum": 1}},
    "required": ["row", "column"],
    "additionalProperties": False,
}
PLACE: dict[str, Any] = {
    "filename": {"type": "string"},
    "cell": {"type": ["integer", "null"]},
    "location": POSITION,
    "end_location": POSITION,
}
STEP = {**PLACE, "note": {"type": "string"}}
EDIT = {
    "type": "object",
    "properties": {**PLACE, "content": {"type": "string"}},
    "required": [*PLACE, "content"],
    "additionalProperties": False,
}
DIAGNOSTIC = {
    **PLACE,
    "code": {"type": "string", "pattern": r"^TLN\d{3}$"},
    "name": {"type": "string", "pattern": "^[a-z0-9-]+$"},
    "message": {"type": "string", "minLength": 1},
    "fix": {
        "type": ["object", "null"],
        "properties": {
            "applicability": {"enum": ["safe", "unsafe", "display"]},
            "message": {"type": "string", "minLength": 1},
            "edits": {"type": "array", "minItems": 1, "items": EDIT},
        },
        "required": ["applicability", "message", "edits"],
        "additionalProperties": False,
    },
    "url": {"type": ["string", "null"]},
    "severity": {"enum": ["error", "warning", "info"]},
    "confidence": {"enum": ["certain", "likely"]},
    "runtime": {"type": ["object", "null"]},
    "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
    "trail": {
        "type": "array",
        "items": {"type": "object", "properties": STEP, "required": list(STEP), "additionalProperties": False},
    },
}
SCHEMA = {
    "type": "array",
    "items": {"type": "object", "properties": DIAGNOSTIC, "required": list(DIAGNOSTIC), "additionalProperties": False},
}


def test_json_keeps_its_shape_whatever_happens(tree: Tree, torchlint: Run) -> None:
    root = tree({"a.py": BAD, "broken.py": "BCELoss = = 1\n", "unused.py": "x = 1  # torchlint: ignore[TLN101]\n"})
    result = torchlint("check", "--output-format", "json")
    found = json.loads(result.out)
    jsonschema.validate(found, SCHEMA)
    assert [(each["code"], each["filename"]) for each in found] == [
        ("TLN101", str(root / "a.py")),
        ("TLN001", str(root / "unused.py")),
    ]
    assert found[0]["location"] == {"row": 8, "column": 12}
    assert found[0]["end_location"] == {"row": 8, "column": 44}
    assert 7 in [step["location"]["row"] for step in found[0]["trail"]]
    assert result.err.startswith("broken.py:1:")
    assert json.loads(torchlint("check", "--output-format", "json", "nowhere").out) == []


def test_the_full_report_tells_the_story(tree: Tree, torchlint: Run) -> None:
    tree({"a.py": BAD})
    result = torchlint("check")
    for part in (
        "error[TLN101] sigmoid-before-with-logits [*]: ",
        " --> a.py:8:12\n",
        "8 |     return criterion(probabilities, labels)\n",
        "  |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n",
        "a.py:7:21  ",
        "| probabilities = torch.sigmoid(logits)\n",
        "= fix: Leave out `torch.sigmoid`, which the loss applies itself (--fix)\n",
        "help: torchlint explain TLN101\n",
        "Found 1 error in 1 file (checked 1 file)\n[*] 1 can be fixed with --fix\n",
    ):
        assert part in result.out, result.out
    assert result.err == ""


def test_exit_codes_and_what_goes_where(tree: Tree, torchlint: Run) -> None:
    tree({"bad.py": BAD, "good.py": GOOD})
    assert torchlint("check", "good.py") == (0, "No findings (checked 1 file)\n", "")
    assert torchlint("check", "good.py", "-q") == (0, "", "")
    assert torchlint("check", "bad.py").code == 1
    assert torchlint("check", "bad.py", "--exit-zero").code == 0
    tree(
        {
            "note.py": "from torch.nn.functional import cross_entropy\n\n\ndef f(x, y):\n    return cross_entropy(x.log_softmax(1), y)\n"
        }
    )
    noted = torchlint("check", "note.py")
    assert noted.code == 0 and "info[TLN107]" in noted.out
    assert torchlint("check", "bad.py", "nowhere", "--exit-zero").code == 2
    assert torchlint("check", "--output-format", "xml").code == 2
    assert torchlint("nonsense").code == 2
    assert torchlint("--version").out.startswith("torchlint ")


def test_an_empty_folder(torchlint: Run) -> None:
    assert torchlint("check") == (0, "", "warning: no Python files found under the given paths\n")


def test_statistics_and_output_file(tree: Tree, torchlint: Run) -> None:
    root = tree({"a.py": BAD, "b.py": BAD, "c.py": "x = 1  # torchlint: ignore[TLN101]\n"})
    result = torchlint("check", "--statistics")
    assert result.out.splitlines()[:2] == ["2  TLN101  sigmoid-before-with-logits", "1  TLN001  unused-suppression"]
    assert json.loads(torchlint("check", "--statistics", "--output-format", "json").out)[0]["count"] == 2
    assert torchlint("check", "--output-format", "json", "--output-file", "out.json").out == ""
    assert len(json.loads((root / "out.json").read_text())) == 3
    assert torchlint("check", "--output-file", "a.py/report").err.startswith("error: --output-file: a.py/report: ")


def test_standard_input(tree: Tree, torchlint: Run) -> None:
    tree({"pkg/torchlint.toml": 'per-file-ignores = {"quiet.py" = ["TLN1"]}', "pkg/net.py": GOOD})
    code = BAD.encode()
    assert torchlint("check", "-", "--output-format", "concise", stdin=code).out.startswith("stdin.py:8:12: TLN101 ")
    named = torchlint("check", "-", "--stdin-filename", "pkg/net.py", "--output-format", "concise", stdin=code)
    assert named.out.startswith("pkg/net.py:8:12: TLN101 ")
    assert torchlint("check", "-", "--stdin-filename", "pkg/quiet.py", stdin=code).code == 0
    assert torchlint("check", "-", stdin=b"BCELoss = '\xff'").err.startswith("stdin.py:1:12: error: byte 0xff")


@pytest.mark.parametrize("name", ["script", "script.txt", "bin/train.pyx"])
def test_any_file_that_is_named_is_python(name: str, tree: Tree, torchlint: Run) -> None:
    tree({name: BAD})
    assert torchlint("check", name, "--output-format", "concise").out.startswith(f"{name}:8:12: TLN101 ")
    given = torchlint("check", "-", "--stdin-filename", name, "--output-format", "concise", stdin=BAD.encode())
    assert given.out.startswith(f"{name}:8:12: TLN101 ")


def test_standard_input_stands_for_its_file(tree: Tree, torchlint: Run) -> None:
    folder = tree({"pkg/net.py": GOOD})
    name = str(folder / "pkg" / "net.py")
    result = torchlint("check", "-", ".", "--stdin-filename", name, stdin=BAD.encode())
    assert "Found 1 error in 1 file (checked 1 file)" in result.out


def test_colour(tree: Tree, torchlint: Run) -> None:
    tree({"a.py": BAD})
    assert "\x1b[" not in torchlint("check").out
    assert "\x1b[1;31m" in torchlint("check", FORCE_COLOR="1").out
    assert "\x1b[" not in torchlint("check", FORCE_COLOR="1", NO_COLOR="1").out


def test_control_characters_do_not_reach_the_terminal(tree: Tree, torchlint: Run) -> None:
    tree(
        {
            "a.py": BAD.replace("labels)\n", "labels), '\x1b[2J'\n").replace(
                "(logits, labels), '\x1b[2J'", "(logits, labels)"
            )
        }
    )
    result = torchlint("check")
    assert "TLN101" in result.out
    assert "\x1b" not in result.out


def test_a_terminal_without_utf8(tree: Tree, torchlint: Run) -> None:
    tree(
        {"a.py": BAD.replace("labels)\n", "labels), '日本'\n").replace("(logits, labels), '日本'", "(logits, labels)")}
    )
    result = torchlint("check", PYTHONIOENCODING="ascii")
    assert result.code == 1
    assert "\\u65e5" in result.out


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGPIPE, no SIGINT to send")
def test_a_closed_pipe_and_an_interrupt_are_quiet(tree: Tree) -> None:
    root = tree({f"m{number}.py": BAD for number in range(200)})
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "torchlint", "check"]
    piped = subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert piped.stdout is not None and piped.stderr is not None
    piped.stdout.close()
    assert piped.stderr.read() == b""
    waiting = subprocess.Popen(
        [*command, "-"], cwd=root, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    time.sleep(1.0)
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait(20) == 130
    assert waiting.stderr is not None
    assert b"Traceback" not in waiting.stderr.read()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_and_closed_streams(tree: Tree) -> None:
    root = tree({"a.py": BAD, "b.py": "x = 1\n"})
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}

    def run(shell: str) -> tuple[int, str]:
        command = f'"{sys.executable}" -m torchlint {shell}'
        done = subprocess.run(
            command, shell=True, cwd=root, env=environment, stderr=subprocess.PIPE, text=True, check=False
        )
        return done.returncode, done.stderr

    for buffered in ("", "1"):
        environment["PYTHONUNBUFFERED"] = buffered
        assert run("check b.py >/dev/full") == (2, "error: standard output: No space left on device\n")
        assert run("check a.py >/dev/full") == (2, "error: standard output: No space left on device\n")
    assert run("check a.py >&-") == (1, "")
    assert run("check b.py >&- 2>&-") == (0, "")


def test_explain_and_rules(torchlint: Run) -> None:
    page = (ROOT / "rules" / "TLN101.md").read_text("utf-8")
    assert torchlint("explain", "TLN101").out.strip() == page.strip()
    assert torchlint("explain", "sigmoid-before-with-logits").out.strip() == page.strip()
    assert "\x1b[" in torchlint("explain", "tln101", FORCE_COLOR="1").out
    unknown = torchlint("explain", "TLN1O1")
    assert (unknown.code, unknown.err) == (
        2,
        'error: there is no rule "TLN1O1"; did you mean "TLN101"?; `torchlint rules` lists them\n',
    )
    listed = json.loads(torchlint("rules", "--output-format", "json").out)
    assert {"TLN001", "TLN101", "TLN203"} <= {rule["code"] for rule in listed}
    assert "TLN101  sigmoid-before-with-logits" in torchlint("rules").out


def test_a_page_of_the_users_own(tree: Tree, torchlint: Run) -> None:
    page = (ROOT / "rules" / "TLN101.md").read_text("utf-8")
    tree({"mine/TLN101.md": page, "wrong/TLN101.md": page.replace("# error: [TLN101]", "# error: [TLN104]")})
    right = torchlint("test", "mine")
    assert (right.code, "0 failed in 1 page" in right.out) == (0, True), right
    wrong = torchlint("test", "wrong/TLN101.md")
    assert (wrong.code, "FAIL" in wrong.out) == (1, True), wrong
    assert torchlint("test", "nowhere.md").err == "error: nowhere.md: no such file or folder\n"


def test_help_is_quick_and_a_file_without_losses_needs_no_parser(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    for arguments in (["--help"], ["check", "a.py"]):
        code = f"import sys\nfrom torchlint.cli import main\ntry:\n    main({arguments})\nfinally:\n    print(sorted(sys.modules))"
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
        )
        for heavy in (b"'libcst'", b"'rich'", b"'pathspec'", b"'torch'", b"'numpy'"):
            assert heavy not in done.stdout


def test_a_likely_finding_says_what_it_depends_on(tree: Tree, torchlint: Run) -> None:
    tree(
        {
            "a.py": """\
import torch
from torch import nn


def step(x, y, squash):
    scores = nn.Linear(4, 1)(x)
    if squash:
        scores = torch.sigmoid(scores)
    return nn.BCEWithLogitsLoss()(scores, y)
"""
        }
    )
    found = json.loads(torchlint("check", "--confidence", "likely", "--output-format", "json").out)
    (diagnostic,) = found
    last = diagnostic["trail"][-1]
    assert diagnostic["confidence"] == "likely"
    assert last["location"]["row"] == 6
    assert "depends on the way taken" in last["note"]


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("torchlint che", {"plain,check"}),
        ("torchlint check --output-format s", {"plain,sarif"}),
        ("torchlint check --select TLN1,TLN204", {"plain,TLN1,TLN204"}),
        ("torchlint explain sigmoid-b", {"plain,sigmoid-before-with-logits"}),
        ("torchlint check pk", {"file,pk"}),
        ("torchlint check --config to", {"file,to"}),
    ],
)
def test_what_a_shell_completes(line: str, completed: set[str], tree: Tree) -> None:
    count = str(len(line.split()) - 1)
    variables = {"_TORCHLINT_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": count}
    assert set(in_process(tree({}), (), b"", variables).out.splitlines()) == completed
