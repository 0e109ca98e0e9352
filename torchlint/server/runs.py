"""Runs over a project of which some files are being edited: quick, since what does not change is kept from run to run.

Nothing here knows of clients; one thread at a time makes runs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from torchlint import config, engine
from torchlint.analysis import ir
from torchlint.analysis.lower import ParseFailure
from torchlint.config import Settings
from torchlint.diagnostics import Diagnostic, Problem
from torchlint.discover import Rules as DiscoverRules
from torchlint.discover import discover, left_out
from torchlint.errors import UserError
from torchlint.notebook import is_python
from torchlint.outcome import Fixed, Report
from torchlint.server.documents import Part, Snapshot
from torchlint.source import Source, SourceError, from_bytes, read_bytes

Adjust = Callable[[Settings], Settings]
"""What the client's own options make of the settings of a folder."""


class Superseded(BaseException):
    """A run that nobody waits for any more. No Exception: the engine would take one for a defect of a file."""


class Looked(NamedTuple):
    """What a run saw of an open file: its diagnostics, and for each text whether it is Python."""

    diagnostics: tuple[Diagnostic, ...]
    good: tuple[bool, ...]


class Outcome(NamedTuple):
    """What a run over some open files came to. `sources` holds every text that a place points into.

    `refused` says which settings cannot be used; the files that they hold for were not `looked` at.
    """

    looked: Mapping[str, Looked]
    sources: Mapping[str, Source]
    problems: tuple[Problem, ...]
    refused: frozenset[str] = frozenset()


class Request(NamedTuple):
    """Open files to lint, all as they were at one time, and the folders of the workspace."""

    opened: tuple[Snapshot, ...]
    folders: tuple[str, ...]


class _Group(NamedTuple):
    """Open files that share settings and a project."""

    settings: Settings
    project: list[str]
    linted: list[str]
    folder: str = ""


class _Plan(NamedTuple):
    """The groups of a request, the files that no group lints, and what is wrong with the settings of others."""

    groups: list[_Group]
    left_out: list[str]
    refused: list[str]


class Runs:
    """Keeps the bytes and the lowered modules of a project between runs."""

    def __init__(self, adjust: Adjust = lambda settings: settings) -> None:
        self.adjust = adjust
        self._files: dict[str, tuple[tuple[int, int, int], bytes]] = {}
        self._lowered: dict[str, list[tuple[str, ir.Module | ParseFailure]]] = {}
        self._listed: dict[tuple[str, DiscoverRules], tuple[str, ...]] = {}
        self._buffers: dict[str, bytes] = {}

    def forget_folders(self) -> None:
        """Look again which files there are: some may have come or gone."""
        self._listed.clear()

    def lint(self, request: Request, *, whole: bool = False, wanted: Callable[[], bool] = lambda: True) -> Outcome:
        """The diagnostics of the open files.

        `whole`: as `torchlint check` of the whole project would see them, which takes longer. Raises Superseded once the
        result is no longer `wanted`.
        """
        good = self._take(request.opened)
        plan = self._plan(request)
        looked = {path: Looked((), good[path]) for path in plan.left_out}
        refused = set(plan.refused)
        sources: dict[str, Source] = {}
        problems: list[Problem] = []

        def told(_path: str, _count: int) -> None:
            if not wanted():
                raise Superseded

        for group in plan.groups:
            linted = group.project if whole else group.linted
            # No fix is worked out at each keystroke: that takes longer than the rest.
            settings = group.settings._replace(fixes=False)
            try:
                report = engine.check_open(linted, group.project, self.load, self.lower, settings, progress=told)
            except UserError as error:
                refused.add(str(error))
                continue
            for path in group.linted:
                found = tuple(each for each in report.diagnostics if each.place.path == path)
                looked[path] = Looked(found, good[path])
            sources.update(report.sources)
            problems += report.problems
        return Outcome(looked, sources, tuple(problems), frozenset(refused))

    def repairs(self, request: Request, path: str) -> Report:
        """The diagnostics of one open file with their fixes."""
        group = self._group_of(request, path)
        if group is None:
            return Report((), ())
        try:
            return engine.check_open([path], group.project, self.load, self.lower, group.settings)
        except UserError:  # told by `lint`
            return Report((), ())

    def fix_all(self, request: Request, path: str) -> Fixed | None:
        """One open file with all safe fixes made."""
        group = self._group_of(request, path)
        try:
            return group and engine.fix_open([path], group.project, self.load, self.lower, group.settings)
        except UserError:  # as above
            return None

    # ---- what the engine asks for

    def load(self, path: str) -> bytes:
        """The bytes of a file: what is being edited, or what is on disk, read again only if it changed. Raises SourceError."""
        if path in self._buffers:
            return self._buffers[path]
        try:
            stat = os.stat(path)
        except (OSError, ValueError):
            self._files.pop(path, None)
            return read_bytes(path)
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        known = self._files.get(path)
        if known is None or known[0] != stamp:
            known = self._files[path] = (stamp, read_bytes(path))
        return known[1]

    def lower(self, text: str, path: str) -> ir.Module:
        """The lowered module of a text. Raises ParseFailure."""
        from torchlint.analysis.lower import lower  # noqa: PLC0415  # imports the parser

        known = self._lowered.setdefault(path, [])
        made = next((module for held, module in known if held == text), None)
        if made is None:
            try:
                made = lower(text, path)
            except ParseFailure as error:
                made = error
        # The two that were asked for last: what is edited now, and while that is no Python, what last was.
        known[:] = [*[each for each in known if each[0] != text][-1:], (text, made)]
        if isinstance(made, ParseFailure):
            raise made
        return made

    # ---- the request

    def _take(self, opened: Sequence[Snapshot]) -> dict[str, tuple[bool, ...]]:
        """Hold the open files, each text that is no Python replaced by the last that was. Tells which texts are Python."""
        good: dict[str, tuple[bool, ...]] = {}
        self._buffers = {}
        for each in opened:
            fine = tuple(self._is_python(each, part) for part in each.parts)
            texts = [
                part.text if is_fine or part.good is None else part.good
                for part, is_fine in zip(each.parts, fine, strict=True)
            ]
            good[each.path] = fine
            self._buffers[each.path] = each.content(texts)
        for path in self._lowered.keys() - self._files.keys() - self._buffers.keys():
            del self._lowered[path]
        return good

    def _is_python(self, opened: Snapshot, part: Part) -> bool:
        if part.language != "python":
            return False
        if part.text == part.good:
            return True
        if opened.notebook:
            return is_python(part.text)
        try:
            self.lower(from_bytes(opened.path, opened.content([part.text])).text, opened.path)
        except (ParseFailure, SourceError):
            return False
        except (Exception, RecursionError, MemoryError):  # noqa: BLE001  # a defect of ours; the run will tell of it
            return True
        return True

    def _group_of(self, request: Request, path: str) -> _Group | None:
        self._take(request.opened)
        return next((group for group in self._plan(request).groups if path in group.linted), None)

    def _plan(self, request: Request) -> _Plan:
        """The open files by the innermost folder of the workspace around them; what lies outside is linted by itself."""
        by_folder: dict[str, list[str]] = {}
        for each in request.opened:
            around = [folder for folder in request.folders if _below(each.path, folder)]
            by_folder.setdefault(max(around, key=len, default=""), []).append(each.path)
        plan = _Plan([], [], [])
        for folder, paths in by_folder.items():
            for some in [paths] if folder else [[path] for path in paths]:
                try:
                    self._add(plan, folder, some)
                except UserError as error:
                    plan.refused.append(str(error))
        return plan

    def _add(self, plan: _Plan, folder: str, paths: list[str]) -> None:
        """Put files of one folder, or one of no folder, into a group. Raises UserError."""
        if folder:
            group = self._in_folder(folder, paths)
            plan.groups.append(group)
            plan.left_out.extend(path for path in paths if path not in group.linted)
            return
        settings = self.adjust(config.load(paths))
        alone = next((each for each in plan.groups if not each.folder and each.settings == settings), None)
        if alone is None:
            plan.groups.append(_Group(settings, [*paths], [*paths]))
            return
        alone.project.extend(paths)
        alone.linted.extend(paths)

    def _in_folder(self, folder: str, paths: list[str]) -> _Group:
        settings = self.adjust(config.load((folder,)))
        key = (folder, settings.discovery)
        listed = self._listed.get(key)
        if listed is None:
            listed = self._listed[key] = discover((folder,), settings.discovery).files
        known = set(listed)
        linted = [path for path in paths if path in known or not left_out(path, settings.discovery)]
        return _Group(settings, [*listed, *(path for path in linted if path not in known)], linted, folder)


def _below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)
