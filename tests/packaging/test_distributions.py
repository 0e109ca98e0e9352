"""Wheel, source distribution, editable install and plain checkout: each finds its rulebook and lints."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import torchlint

ROOT = Path(torchlint.__file__).resolve().parent.parent
PARTS = (
    "torchlint",
    "rules",
    "tests",
    "examples",
    ".ci",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "action.yml",
    ".gitignore",
)

PROBE = """
import json, sys
import torchlint
from torchlint import engine, rulebook
from torchlint.config import Settings

text = "import torch\\nimport torch.nn as nn\\n\\ndef f(x, y):\\n    return nn.BCEWithLogitsLoss()(torch.sigmoid(x), y)\\n"
report = engine.check_texts({"a.py": text})
json.dump({
    "package": torchlint.__file__,
    "rules": str(rulebook.rules_folder()),
    "pages": len(rulebook.load()),
    "losses": len(rulebook.load_contracts().losses),
    "found": [each.code for each in report.diagnostics],
    "problems": [each.message for each in report.problems],
}, sys.stdout)
"""

# What is imported only by a part that nobody reaches without having it: torch runs pages' examples and traced scripts, the
# hosts import their plugins, and the server is an extra.
HOSTS = {
    "torch": {"testing.py", "trace"},
    "flake8": {"flake8.py"},
    "pytest": {"trace"},
    "pylsp": {"pylsp.py"},
    "pygls": {"server"},
    "lsprotocol": {"server"},
}

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "FORCE_COLOR")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**environment, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
    return done.stdout


def build(source: Path, out: Path, what: str) -> Path:
    """Build with the environment's own hatchling: nothing is downloaded."""
    run(sys.executable, "-m", "build", f"--{what}", "--no-isolation", "--outdir", out, cwd=source)
    (made,) = out.iterdir()
    return made


def probe(python: Path | str, cwd: Path, **env: str) -> dict[str, object]:
    result = json.loads(run(python, "-c", PROBE, cwd=cwd, **env))
    assert isinstance(result, dict)
    return result


def environment(folder: Path) -> Path:
    """A virtual environment that sees the dependencies of the one the tests run in, but not torchlint itself."""
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    borrowed = folder.parent / f"{folder.name}-dependencies"
    borrowed.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.lower().replace("_editable_impl_", "").startswith(("torchlint", "torch", "__")) and (
            entry.suffix != ".pth"
        ):
            (borrowed / entry.name).symlink_to(entry)
    purelib = Path(
        run(python_of(folder), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    )
    (purelib / "dependencies.pth").write_text(f"{borrowed}\n", "utf-8")
    return folder


def python_of(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def install(folder: Path, *what: str | Path) -> None:
    run(
        sys.executable, "-m", "pip", "--python", python_of(folder), "install", "--quiet", "--no-deps", "--no-index",
        "--no-build-isolation", *what, cwd=folder,
    )  # fmt: skip


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, so that builds leave nothing behind in it."""
    folder = tmp_path_factory.mktemp("checkout") / "torchlint"
    folder.mkdir()
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
        elif source.exists():
            shutil.copy(source, folder / part)
    if not (folder / "pyproject.toml").exists():
        pytest.skip("the tests run outside a checkout")
    return folder


@pytest.fixture(scope="module")
def expected(checkout: Path) -> dict[str, object]:
    return {
        "pages": len(list((checkout / "rules").glob("TLN*.md"))),
        "found": ["TLN101"],
        "problems": [],
    }


@pytest.fixture(scope="module")
def sdist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(checkout, tmp_path_factory.mktemp("sdist"), "sdist")


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(checkout, tmp_path_factory.mktemp("wheel"), "wheel")


def check(result: dict[str, object], expected: dict[str, object]) -> None:
    assert {key: result[key] for key in expected} == expected
    losses = result["losses"]
    assert isinstance(losses, int)
    assert losses > 20


def test_plain_checkout(checkout: Path, expected: dict[str, object], tmp_path: Path) -> None:
    result = probe(sys.executable, tmp_path, PYTHONPATH=str(checkout))
    assert result["rules"] == str(checkout / "rules")
    check(result, expected)


def test_wheel(wheel: Path, checkout: Path, expected: dict[str, object], tmp_path: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    pages = {f"torchlint/rules/{page.relative_to(checkout / 'rules')}" for page in (checkout / "rules").rglob("*.*")}
    assert names >= pages | {"torchlint/py.typed", "torchlint/cli.py", "torchlint/analysis/lower.py"}
    assert not {name for name in names if name.startswith(("tests/", "examples/", "rules/"))}

    home = environment(tmp_path / "venv")
    install(home, wheel)
    result = probe(python_of(home), tmp_path)
    assert Path(str(result["rules"])).parts[-2:] == ("torchlint", "rules")
    assert str(result["package"]).startswith(str(home))
    check(result, expected)
    assert torchlint.__version__ in run(python_of(home).parent / "torchlint", "--version", cwd=tmp_path)
    assert "TLN101" in run(python_of(home).parent / "torchlint", "rules", cwd=tmp_path)
    assert "torchlint: " in run(python_of(home), "-m", "flake8", "--version", cwd=tmp_path)


def test_sdist_builds_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    again = build(unpacked, tmp_path / "out", "wheel")
    assert again.name == wheel.name
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


def test_sdist_unpacked_is_a_checkout(sdist: Path, expected: dict[str, object], tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    assert {"README.md", "LICENSE", "pyproject.toml", "tests", "rules"} <= {path.name for path in unpacked.iterdir()}
    check(probe(sys.executable, tmp_path, PYTHONPATH=str(unpacked)), expected)


def test_editable_install(checkout: Path, expected: dict[str, object], tmp_path: Path) -> None:
    home = environment(tmp_path / "venv")
    install(home, "--editable", checkout)
    result = probe(python_of(home), tmp_path)
    assert result["rules"] == str(checkout / "rules")
    check(result, expected)


def test_dependencies_are_those_imported(checkout: Path) -> None:
    text = (checkout / "pyproject.toml").read_text("utf-8")
    table = re.search(r"^dependencies = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert table
    declared = set(re.findall(r'"([a-z]+)', table[1]))
    imported: dict[str, set[str]] = {}
    for file in (checkout / "torchlint").rglob("*.py"):
        for name in re.findall(r"^\s*(?:from|import) (\w+)", file.read_text("utf-8"), re.MULTILINE):
            imported.setdefault(name, set()).add(file.relative_to(checkout / "torchlint").parts[0])
    for name, parts in HOSTS.items():
        assert imported.pop(name) == parts, f"what needs {name}"
    assert {name for name in imported if name not in sys.stdlib_module_names} - {"torchlint"} == declared
