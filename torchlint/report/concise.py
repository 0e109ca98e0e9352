"""One line per diagnostic, as compilers and flake8 write it: `path:line:column: CODE message`."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from torchlint.config import display
from torchlint.diagnostics import Diagnostic, Place, Problem
from torchlint.report.style import Style


def render(diagnostics: Sequence[Diagnostic], style: Style, *, unsafe: bool = False) -> str:
    """All diagnostics, one line each."""
    return "".join(f"{headline(each, style, unsafe=unsafe)}\n" for each in diagnostics)


def headline(diagnostic: Diagnostic, style: Style, *, unsafe: bool = False) -> str:
    """`models.py:3:5: TLN101 [*] message`; a finding that is not certain says so, `[*]` that `--fix` repairs it."""
    doubt = " [likely]" if diagnostic.confidence == "likely" else ""
    doubt += "" if diagnostic.runtime is None else f" [{diagnostic.runtime}]"
    doubt += " [*]" if is_fixable(diagnostic, unsafe=unsafe) else ""
    code = style(diagnostic.code, diagnostic.severity)
    return f"{style(where(diagnostic.place), 'bold')}: {code}{doubt} {diagnostic.message}"


def is_fixable(diagnostic: Diagnostic, *, unsafe: bool) -> bool:
    """Whether `--fix` would repair it, with or without `--unsafe-fixes`."""
    return any(fix.safety == "safe" or (unsafe and fix.safety == "unsafe") for fix in diagnostic.fixes[:1])


def problem(each: Problem, style: Style) -> str:
    """A problem in one line, without its line end; a defect of torchlint's is called so."""
    parts = [display(each.path)]
    if each.cell is not None:
        parts.append(f"cell {each.cell}")
    parts += [str(number) for number in (each.line, each.column) if number is not None]
    label = "internal error" if each.internal else "error"
    message = _last_words(each.message) if each.internal else each.message
    return f"{style(':'.join(parts), 'bold')}: {style(label, 'error')}: {message}"


def said(each: Problem) -> str:
    """Why a file was not linted, without the place; of a defect of torchlint's, the exception."""
    return f"internal error: {_last_words(each.message)}" if each.internal else each.message


def _last_words(message: str) -> str:
    """What a traceback comes down to: the exception and where it was raised; the whole with TORCHLINT_TRACEBACK=1."""
    lines = message.strip().splitlines()
    if len(lines) <= 1 or os.environ.get("TORCHLINT_TRACEBACK"):
        return message
    places = re.findall(r'File "(.*)", line (\d+)', message)
    where = f" at {os.path.basename(places[-1][0])}:{places[-1][1]}" if places else ""
    return f"{lines[-1].strip()}{where} (TORCHLINT_TRACEBACK=1 shows the traceback)"


def where(place: Place) -> str:
    """A place as terminals and editors follow it: `path:line:column`, with the cell in a notebook."""
    cell = "" if place.cell is None else f"cell {place.cell}:"
    return f"{display(place.path)}:{cell}{place.line}:{place.column}"
