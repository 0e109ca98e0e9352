"""The VS Code extension: type-checked, tested against the real server, and packaged, by npm as a developer would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.faces.conftest import ROOT
from torchlint import __version__

SOURCE = ROOT / "editors" / "vscode"
OLDEST_NODE = 20
LOAD = """
const Module = require("module");
const load = Module._load;
const any = () => new Proxy(class {}, { get: (held, name) => (name in held ? held[name] : (held[name] = any())) });
Module._load = function (name, ...rest) { return name === "vscode" ? any() : load.call(this, name, ...rest); };
console.log(Object.keys(require(process.argv[1])).sort().join());
"""
"""Loads a bundle where VS Code itself is anything that one asks of it."""


def output(*command: str) -> str:
    """What a program prints; nothing if it cannot be run or fails."""
    program = shutil.which(command[0])
    if program is None:
        return ""
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, timeout=120, check=False)
    return "" if done.returncode else done.stdout.strip()


@pytest.fixture(scope="module")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the extension with the packages that it needs."""
    node = output("node", "--version").removeprefix("v")
    if not node or not output("npm", "--version"):
        pytest.skip("needs node and npm")
    if int(node.partition(".")[0]) < OLDEST_NODE:
        pytest.skip(f"needs node {OLDEST_NODE} or later, this is {node}")
    if not output("npm", "view", "vscode-languageclient", "version", "--fetch-retries=0", "--fetch-timeout=20000"):
        pytest.skip("npm reaches no registry")
    copy = tmp_path_factory.mktemp("editors") / "vscode"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("node_modules", "out", "dist", "*.vsix"))
    npm(copy, "ci", "--no-audit", "--no-fund", "--prefer-offline")
    return copy


def npm(folder: Path, *command: str) -> str:
    """Run npm in the extension, with this Python as the one that has torchlint."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TORCHLINT_PYTHON": sys.executable}
    program = shutil.which("npm")
    assert program is not None
    done = subprocess.run(
        [program, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_has_the_version_and_the_licence_of_torchlint() -> None:
    for name in ("package.json", "package-lock.json"):
        assert json.loads((SOURCE / name).read_text("utf-8"))["version"] == __version__
    assert (SOURCE / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.slow
def test_it_is_well_typed_and_its_tests_pass(extension: Path) -> None:
    npm(extension, "run", "check")
    told = npm(extension, "test")
    counts = dict(line.split()[-2:] for line in told.splitlines() if line.startswith(("# ", "ℹ ")))
    assert int(counts["pass"]) > 0
    assert (counts["fail"], counts["skipped"]) == ("0", "0"), "the real server was not tried"


@pytest.mark.slow
def test_one_command_packages_it(extension: Path) -> None:
    npm(extension, "run", "package")
    with zipfile.ZipFile(extension / "torchlint.vsix") as package:
        names = set(package.namelist())
        main = json.loads(package.read("extension/package.json"))["main"]
        package.extractall(extension / "unpacked")
    assert {f"extension/{main.removeprefix('./')}", "extension/LICENSE.txt", "extension/readme.md"} <= names
    assert not [name for name in names if "node_modules" in name or name.endswith((".ts", ".map"))]
    assert output("node", "-e", LOAD, str(extension / "unpacked" / "extension" / main)) == "activate,deactivate"
