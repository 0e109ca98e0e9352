"""What the reports for CI servers share: paths below the repository, and fingerprints that survive moved lines."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from torchlint.diagnostics import Diagnostic, Place, Problem
from torchlint.source import Source


class Region(NamedTuple):
    """Where a server shows a finding in a file; its numbers count from 1, the end column points behind the last character."""

    line: int
    column: int
    end_line: int
    end_column: int


def region(place: Place) -> Region | None:
    """The region of a place; None in a notebook, whose file is JSON: a line of a cell is none of the file's."""
    return None if place.cell is not None else Region(place.line, place.column, place.end_line, place.end_column)


def in_cell(place: Place | Problem) -> str:
    """What to write before a message, so that it names a place in a notebook; nothing in a plain file."""
    if place.cell is None:
        return ""
    return f"cell {place.cell}" + (f", line {place.line}: " if place.line is not None else ": ")


def repository() -> str:
    """The innermost folder at or above the working folder that is a git repository, else the working folder.

    Servers know files by their path in the repository, also where a job works in a folder of it.
    """
    here = folder = os.getcwd()
    while not os.path.exists(os.path.join(folder, ".git")):
        if (above := os.path.dirname(folder)) == folder:
            return here
        folder = above
    return folder


def below(path: str, root: str) -> str:
    """A path relative to the root, with slashes; absolute if it lies elsewhere."""
    absolute = os.path.abspath(path)
    try:
        relative = os.path.relpath(absolute, root)
    except ValueError:  # another drive
        relative = os.pardir
    outside = relative == os.pardir or relative.startswith(os.pardir + os.sep)
    return (absolute if outside else relative).replace(os.sep, "/")


def fingerprints(diagnostics: Sequence[Diagnostic], sources: Mapping[str, Source], root: str) -> Iterator[str]:
    """A name for each finding: its rule, its path, the text of the flagged lines, and which of equal ones it is."""
    met: Counter[str] = Counter()
    for each in diagnostics:
        place = each.place
        flagged = sources[place.path].lines(place.line, place.end_line, place.cell) if place.path in sources else ""
        known_by = f"{each.code}\0{below(place.path, root)}\0{' '.join(flagged.split())}"
        yield digest(f"{known_by}\0{met[known_by]}")
        met[known_by] += 1


def digest(text: str) -> str:
    """A short hash of a text."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]
