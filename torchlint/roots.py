"""The analysis of the files that may hold a loss, in one process or several; a defect costs only its own file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from torchlint.config import Settings
from torchlint.diagnostics import Problem
from torchlint.folders import Folders
from torchlint.inputs import Asked
from torchlint.outcome import Progress
from torchlint.problems import internal, problem_of
from torchlint.reader import Reader
from torchlint.selected import load_contracts
from torchlint.source import SourceError

if TYPE_CHECKING:
    from torchlint.analysis import Analysis
    from torchlint.analysis.coverage import Observed
    from torchlint.findings import Finding
    from torchlint.project import Project


_WORTH_PROCESSES = 2_000_000
"""Bytes of files with losses: they take some two seconds, a process 0.3 to start."""


class Outcome(NamedTuple):
    """What the analysis found, and what kept it from a file."""

    findings: Sequence[Finding]
    problems: Sequence[Problem]
    observed: Sequence[Observed] = ()


def analyse_roots(
    asked: Asked,
    roots: Sequence[str],
    reader: Reader,
    settings: Settings,
    progress: Progress | None,
    coverage: bool = False,
) -> Outcome:
    """Analyse the roots together; if that fails as a whole, one by one, so that a defect costs only its own file."""
    if not roots:
        return Outcome((), ())
    from torchlint.analysis import analyse  # noqa: PLC0415  # most runs without torch never need it
    from torchlint.project import Project  # noqa: PLC0415

    contracts = load_contracts(settings)
    files = asked.files
    reader.folders = Folders(files)

    def told(path: str) -> None:
        if progress is not None:
            progress(path, len(roots))

    def project() -> Project:
        return Project(
            files, reader, contracts, settings.src, load=reader.load, lower=reader.lower, folders=reader.folders
        )

    try:
        if asked.jobs > 1 and not coverage and sum(len(reader.held[root]) for root in roots) > _WORTH_PROCESSES:
            analysis = _by_processes(project(), roots, asked.jobs, reader, told)
        else:
            analysis = analyse(project(), roots, told, coverage)
        return Outcome(analysis.findings, analysis.problems, analysis.observed)
    except (Exception, RecursionError, MemoryError):  # noqa: BLE001  # what fails is found out file by file
        pass
    findings: list[Finding] = []
    problems: list[Problem] = []
    observed: list[Observed] = []
    for root in roots:
        try:
            analysis = analyse(project(), [root], told, coverage)
        except SourceError as error:
            problems.append(problem_of(root, error))
        except (Exception, RecursionError, MemoryError) as error:  # noqa: BLE001
            problems.append(internal(root, error))
        else:
            findings += analysis.findings
            problems += analysis.problems
            observed += analysis.observed
    return Outcome(findings, problems, observed)


def _by_processes(
    project: Project, roots: Sequence[str], jobs: int, reader: Reader, told: Callable[[str], None]
) -> Analysis:
    """Analyse in several processes."""
    from torchlint.analysis import analyse  # noqa: PLC0415  # as above
    from torchlint.processes import Share, processes, shares  # noqa: PLC0415  # multiprocessing

    parts = shares(sorted(roots), project.size, jobs)
    given = [Share(project.paths, part, project.contracts, project.search) for part in parts]
    with processes(given) as running:
        analysis = analyse(project, roots, told, runner=running)
        running.finish()
    reader.outside.update(running.looked.outside)
    reader.folders.listed.update(running.looked.folders)
    return analysis


def of_run(outcome: Outcome, files: frozenset[str]) -> Outcome:
    """Without what lies in files that were only imported: nobody asked about them, unless the defect is ours."""
    return Outcome(
        [finding for finding in outcome.findings if finding.at.path in files],
        [problem for problem in outcome.problems if problem.path in files or problem.internal],
        [seen for seen in outcome.observed if seen.at.path in files],
    )
