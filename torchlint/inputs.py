"""What a run is about: its files, how their bytes are had, and which of them are asked about."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from torchlint.config import Settings
from torchlint.diagnostics import Problem, paths_of
from torchlint.discover import STDIN, Missed, discover
from torchlint.outcome import Report
from torchlint.source import SourceError, read_bytes

if TYPE_CHECKING:
    from torchlint.analysis import ir


STDIN_NAME = "stdin.py"
"""What standard input is called if no name is given."""


class Asked(NamedTuple):
    """What a run is about: the files that may be read, those of them that are linted (None: all), and by how many processes."""

    files: Sequence[str]
    only: Sequence[str] | None = None
    jobs: int = 1

    @property
    def linted(self) -> Sequence[str]:
        """The files whose diagnostics are reported."""
        return self.files if self.only is None else self.only


class Inputs(NamedTuple):
    """The files of a run, how their bytes are had, and the paths that could not be read.

    If only what concerns some of the files is reported, these are `asked`; if the files belong to a project of which more
    may be read, `project` holds all of it.
    """

    files: list[str]
    load: Callable[[str], bytes]
    missed: Sequence[Problem] = ()
    asked: frozenset[str] | None = None
    project: Sequence[str] | None = None
    lower: Callable[[str, str], ir.Module] | None = None

    @property
    def scope(self) -> Asked:
        """What is linted: all files, or those of a project."""
        return Asked(self.files) if self.project is None else Asked(self.project, self.files)

    def told(self, report: Report) -> Report:
        """A report of what was asked for, that names the missed paths, too."""
        report = self.narrowed(report)
        missed = bool(self.missed)
        return report._replace(problems=(*self.missed, *report.problems), incomplete=report.incomplete or missed)

    def narrowed(self, report: Report) -> Report:
        """A report without findings that none of the files asked about takes part in, as place or as step of the trail."""
        asked = self.asked
        if asked is None:
            return report
        problems = tuple(each for each in report.problems if each.path in asked or each.internal)
        return report._replace(
            diagnostics=tuple(each for each in report.diagnostics if not asked.isdisjoint(paths_of(each))),
            problems=problems,
            files=len(asked) - len(asked & {each.path for each in report.problems}),
            incomplete=report.incomplete and bool(problems),
        )


def inputs_of(
    paths: Sequence[str], settings: Settings, stdin: bytes | None, stdin_filename: str | None, *, related: bool
) -> Inputs:
    """The files under paths, and standard input where one of them is `-`."""
    given = {os.path.normpath(stdin_filename or STDIN_NAME): stdin or b""} if STDIN in paths else {}
    stdin_path = {os.path.realpath(path) for path in given}

    def files_of(folders: Sequence[str]) -> tuple[list[str], Sequence[Missed]]:
        found = discover([path for path in folders if path != STDIN], settings.discovery)
        files = [path for path in found.files if not given or os.path.realpath(path) not in stdin_path]
        return [*given, *files], found.missed

    files, missed = files_of(paths)
    asked = frozenset(files) if related else None
    if related and files:
        files, _ = files_of([*paths, os.curdir])
    problems = [Problem(each.path, each.reason) for each in missed]
    return Inputs(files, lambda path: given[path] if path in given else read_bytes(path), problems, asked)


def held(files: Mapping[str, str]) -> Callable[[str], bytes]:
    """Reads the bytes of texts held in memory."""
    texts = {os.path.normpath(path): text.encode("utf-8", "replace") for path, text in files.items()}

    def bytes_of(path: str) -> bytes:
        if os.path.normpath(path) in texts:
            return texts[os.path.normpath(path)]
        raise SourceError("no such file", unreadable=True)

    return bytes_of
