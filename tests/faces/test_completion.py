"""Shell completion, in the shells that are installed: the script is sourced, and a line is completed as by the Tab key."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests.faces.conftest import BAD, ROOT, Tree

BASH = """
eval "$(_TORCHLINT_COMPLETE=bash_source torchlint)"
COMP_WORDS=($LINE)
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
compopt() { compgen -f -- "${COMP_WORDS[COMP_CWORD]}"; }  # here nobody but readline offers files
_torchlint_completion torchlint
printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH = """
_TORCHLINT_COMPLETE=fish_source torchlint | source
complete -C $LINE
"""
ZSH = """
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'autoload -U compinit && compinit -u -D; eval "$(_TORCHLINT_COMPLETE=zsh_source torchlint)"; echo RE""ADY'
zpty -r shell line '*READY*'
zpty -w -n shell "$LINE"$'\\t\\t'
zpty -w shell $'\\x01: \\x05; echo TO""LD'
zpty -r shell line '*TOLD*'
print -r -- "$line"
"""
SHELLS = {"bash": BASH, "fish": FISH, "zsh": ZSH}


@pytest.mark.skipif(os.name == "nt", reason="needs a shell of Unix")
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("torchlint che", {"check"}),
        ("torchlint check --extend-s", {"--extend-select"}),
        ("torchlint check --select TLN101,TLN30", {"TLN101,TLN301", "TLN101,TLN302", "TLN101,TLN303"}),
        ("torchlint explain log-of", {"log-of-softmax"}),
        ("torchlint check tra", {"train.py"}),
    ],
)
def test_a_line_is_completed(
    shell: str, line: str, expected: set[str], tree: Tree, tmp_path_factory: pytest.TempPathFactory
) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"needs {shell}")
    home = tmp_path_factory.mktemp("home")
    starter = home / "torchlint"
    starter.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m torchlint "$@"\n', "utf-8")
    starter.chmod(0o755)
    done = subprocess.run(
        [
            program,
            *(["--norc", "--noprofile"] if shell == "bash" else ["-f"] if shell == "zsh" else []),
            "-c",
            SHELLS[shell],
        ],
        cwd=tree({"train.py": BAD, "model.py": BAD}),
        env={
            **os.environ,
            "HOME": str(home),
            "PATH": f"{home}{os.pathsep}{os.environ['PATH']}",
            "LINE": line,
            "TERM": "dumb",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if shell == "zsh":  # a terminal's output: what is typed, what it is completed to, and the choices
        assert all(word in done.stdout for word in expected), done
    else:
        assert {each.split("\t")[0] for each in done.stdout.split("\n") if each} == expected, done
