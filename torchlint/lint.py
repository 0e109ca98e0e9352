"""Lint files: sift, analyse, place and diagnose them, or tell again what was kept."""

from __future__ import annotations

from collections.abc import Container, Iterable
from contextlib import suppress as passing
from typing import TYPE_CHECKING

from torchlint.config import Selection, Settings
from torchlint.diagnostics import Diagnostic, Problem, places_of
from torchlint.folders import Folders
from torchlint.inputs import Asked
from torchlint.outcome import Progress, Report
from torchlint.reader import Reader
from torchlint.selected import loss_words, pages
from torchlint.sieve import Sifted, look_again, sift
from torchlint.source import SourceError, is_notebook

if TYPE_CHECKING:
    from torchlint.coverage import Coverage
    from torchlint.findings import Finding
    from torchlint.kept import Kept
    from torchlint.recall import Recall


_FEW = 50
"""So many files are looked through for a loss sooner than what was found in them before is read."""


def lint(
    asked: Asked, reader: Reader, settings: Settings, progress: Progress | None, *, coverage: bool = False
) -> Report:
    """Lint the files that were asked about. Raises ConfigError or ContractError for settings that cannot be used."""
    files = asked.linted
    few = len(files) <= _FEW
    keeper = reader.keeper(settings) if reader.keeper is not None and not few else None
    kept = keeper.load() if keeper is not None else None
    sifted = sift(files, reader, loss_words(settings), kept, keeps=keeper is not None)
    if not (sifted.roots or sifted.suppressing or settings.selectors):
        # The usual file of a hook or editor has no loss: it is done without pages, contracts or the analysis.
        read = len(files) - len(sifted.unreadable)
        nothing = _no_losses() if coverage else None
        return Report((), tuple(sifted.unreadable), read, incomplete=bool(sifted.unreadable), coverage=nothing)
    from torchlint.diagnose import File, in_order  # noqa: PLC0415  # a file without losses needs none of it
    from torchlint.placing import covered, in_cells, locate_all, mentioned, repairs  # noqa: PLC0415
    from torchlint.problems import internal, problem_of  # noqa: PLC0415
    from torchlint.roots import analyse_roots, of_run  # noqa: PLC0415

    if few and reader.keeper is not None:
        keeper = reader.keeper(settings)
        kept = keeper.load()
        look_again(files, sifted, reader)
    reader.folders = Folders(asked.files)
    changes = kept.changes(reader.looks, reader.load, reader.folders) if kept is not None else None
    if kept is not None and changes is not None and not any(changes):
        return _told_again(kept, sifted, reader)
    if settings.selectors:
        pages(settings)  # a selector that stands for no rule is refused before the work
    recall: Recall | None = None
    if keeper is not None and not coverage:
        same_names = kept is not None and kept.spells_alike(reader.looks)
        recall = keeper.recall(kept if same_names else None, changes)
    analysed = analyse_roots(asked, sifted.roots, reader, settings, progress, coverage, keeper, recall)
    outcome = of_run(analysed, frozenset(files))
    spans, lost = locate_all(mentioned(outcome), reader, recall)
    planned = [finding for finding in outcome.findings if settings.fixes and finding.at in spans]
    fixes = repairs(planned, reader, frozenset(asked.files), lost, recall)
    troubled = {each.path for each in (*outcome.problems, *lost)}
    diagnostics: list[Diagnostic] = []
    by_path: dict[str, list[Finding]] = {path: [] for path in sifted.suppressing}
    for finding in outcome.findings:
        if finding.at in spans:
            by_path.setdefault(finding.at.path, []).append(finding)
    if kept is not None and recall is not None:
        diagnostics += _told_before(by_path, kept, recall, troubled)
        _open(reader, diagnostics, (*sifted.roots, *sifted.suppressing), outcome.problems)
    rules, selected = pages(settings) if by_path else ({}, Selection(frozenset()))
    for path, findings in by_path.items():
        try:
            diagnostics += File(path, reader, rules, selected, settings, spans, fixes).diagnostics(
                findings, parsed=path not in troubled
            )
        except SourceError as error:
            if path not in troubled:
                lost.append(problem_of(path, error))
        except Exception as error:  # noqa: BLE001  # a defect of ours must not keep the other files from being linted
            lost.append(internal(path, error))
    notes = [
        Problem(path, note.message, note.line, note.column, note.cell)
        for path in files
        if path in reader.sources
        for note in reader.sources[path].notes
    ]
    problems = in_cells(_distinct((*sifted.unreadable, *outcome.problems, *lost, *notes)), reader)
    report = Report(
        diagnostics=tuple(in_order(diagnostics)),
        problems=problems,
        files=len(files) - len(sifted.unreadable),
        analysed=len(sifted.roots),
        incomplete=bool(sifted.unreadable) or any(problem.internal for problem in problems),
        sources=reader.sources,
        coverage=covered(outcome.observed, spans, reader) if coverage else None,
    )
    if keeper is not None and not any(problem.internal for problem in problems):
        if recall is not None:
            recall.remember(outcome.findings)
        keeper.save(_to_keep(report, reader, kept, recall), recall)
    return report


def _no_losses() -> Coverage:
    from torchlint.coverage import Coverage  # noqa: PLC0415  # only where asked for

    return Coverage(())


def _told_before(
    by_path: dict[str, list[Finding]], kept: Kept, recall: Recall, troubled: Container[str]
) -> list[Diagnostic]:
    """What was told of files in which the same is found as then. They need not be looked at any more."""
    before = {problem.path for problem in kept.problems}
    same = {
        path
        for path, findings in by_path.items()
        if path not in troubled and path not in before and recall.told(path, findings)
    }
    for path in same:
        del by_path[path]
    return [diagnostic for diagnostic in kept.diagnostics if diagnostic.place.path in same]


def _open(reader: Reader, told: Iterable[Diagnostic], paths: Iterable[str], problems: Iterable[Problem]) -> None:
    """Read the texts that a report needs though they were not analysed: those it points into, and notebooks with their cells."""
    wanted = {place.path for diagnostic in told for place in places_of(diagnostic)}
    for path in wanted.union(filter(is_notebook, (*paths, *(problem.path for problem in problems)))):
        with passing(SourceError):
            reader(path)


def _to_keep(report: Report, reader: Reader, before: Kept | None, recall: Recall | None) -> Kept:
    """A report, and what it depends on."""
    from torchlint.kept import Kept, names_digest  # noqa: PLC0415  # only with a cache

    outside, listed = reader.outside, reader.folders.listed
    if before is not None and recall is not None and recall.remembered is not None:
        loaded, looked_in = recall.loaded()
        outside = {path: known for path, known in before.outside.items() if path in loaded} | outside
        listed = {folder: names for folder, names in listed.items() if folder in looked_in}
    folders = {folder: names_digest(names) for folder, names in listed.items()}
    kept = Kept(reader.looks, outside, folders, report.diagnostics, report.problems, report.coverage)
    return kept if before is None else kept._replace(words=before.words)


def _told_again(kept: Kept, sifted: Sifted, reader: Reader) -> Report:
    """The report of a run that found all as it was."""
    paths = {place.path for diagnostic in kept.diagnostics for place in places_of(diagnostic)}
    for path in paths:
        with passing(SourceError):
            reader(path)
    return Report(
        diagnostics=kept.diagnostics,
        problems=kept.problems,
        files=len(reader.looks) - len(sifted.unreadable),
        analysed=len(sifted.roots),
        incomplete=bool(sifted.unreadable),
        sources=reader.sources,
        coverage=kept.coverage,
    )


def _distinct(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(set(problems), key=lambda each: (each.path, each.cell or 0, each.line or 0, each.message))
