"""The analysis of the files that may hold a loss, in one process or several; a defect costs only its own file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from torchlint.config import Settings
from torchlint.diagnostics import Problem
from torchlint.inputs import Asked
from torchlint.outcome import Progress
from torchlint.problems import internal, problem_of
from torchlint.reader import Reader
from torchlint.selected import load_contracts
from torchlint.source import SourceError

if TYPE_CHECKING:
    from torchlint.analysis import Analysis
    from torchlint.analysis.coverage import Observed
    from torchlint.analysis.parts import Part
    from torchlint.analysis.vocabulary import Learned, Vocabulary
    from torchlint.analysis.whole import Alone
    from torchlint.findings import Finding
    from torchlint.kept import Keeper
    from torchlint.processes import Looked, Processes
    from torchlint.project import Project
    from torchlint.recall import Recall


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
    keeper: Keeper | None = None,
    recall: Recall | None = None,
) -> Outcome:
    """Analyse the roots together; if that fails as a whole, one by one, so that a defect costs only its own file.

    With `recall`, those of which it is not known what they say. The `keeper` may know the contracts.
    """
    if not roots:
        return Outcome((), ())
    from torchlint.analysis import analyse  # noqa: PLC0415  # most runs without torch never need it
    from torchlint.project import Project  # noqa: PLC0415

    contracts = load_contracts(settings) if keeper is None else keeper.contracts(settings)
    files = asked.files

    def told(path: str) -> None:
        if progress is not None:
            progress(path, len(roots))

    def project() -> Project:
        return Project(
            files, reader, contracts, settings.src, load=reader.load, lower=reader.lower, folders=reader.folders
        )

    try:
        if coverage:
            analysis = analyse(project(), roots, told, coverage)
        else:
            analysis = _by_runner(project(), roots, asked.jobs, reader, told, recall)
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


def _by_runner(
    project: Project,
    roots: Sequence[str],
    jobs: int,
    reader: Reader,
    told: Callable[[str], None],
    recall: Recall | None,
) -> Analysis:
    """Analyse in this process, or where that is worth it in several."""
    from torchlint.analysis import analyse  # noqa: PLC0415  # as above

    with ExitStack() as stack:
        runner = _Runner(project, jobs, stack)
        analysis = analyse(project, roots, told, runner=runner if recall is None else recall.runner(project, runner))
        looked = runner.finish(lowered=recall is not None)
    if looked is not None:
        reader.outside.update(looked.outside)
        reader.folders.listed.update(looked.folders)
    if recall is not None:
        from torchlint.analysis.again import lowered  # noqa: PLC0415  # as above

        here = lowered(recall.unknown(project.modules))
        recall.lowered(here | (looked.lowered if looked is not None else {}))
    return analysis


class _Runner:
    """Runs in this process until there is so much to do that it is worth starting others, which `stack` ends."""

    def __init__(self, project: Project, jobs: int, stack: ExitStack) -> None:
        from torchlint.analysis.whole import Alone  # noqa: PLC0415  # as above

        self._project = project
        self._jobs = jobs
        self._stack = stack
        self._alone = Alone(project)
        self._several: Processes | None = None

    def learned(self, paths: Sequence[str], words: Vocabulary) -> Mapping[str, Learned]:
        """What the files bind to losses."""
        return self._for(paths).learned(paths, words)

    def run(
        self, paths: Sequence[str], roots: frozenset[str], words: Vocabulary, progress: Callable[[str], None]
    ) -> list[Part]:
        """What these files say, where these files may call a loss and these words lead to one."""
        return self._for(paths).run(paths, roots, words, progress)

    def builders(self, registries: frozenset[str], paths: Sequence[str]) -> frozenset[str]:
        """Registries of these names, and the functions of the files that take classes out of them."""
        return self._alone.builders(registries, paths)

    def finish(self, *, lowered: bool) -> Looked | None:
        """What other processes looked at, and if need be what they lowered."""
        if self._several is None:
            return None
        self._several.finish(lowered=lowered)
        return self._several.looked

    def _for(self, paths: Sequence[str]) -> Alone | Processes:
        project = self._project
        if self._several is None and self._jobs > 1 and sum(map(project.size, paths)) > _WORTH_PROCESSES:
            from torchlint.processes import Share, processes, shares  # noqa: PLC0415  # multiprocessing

            parts = shares(sorted(paths), project.size, self._jobs)
            given = [Share(project.paths, part, project.contracts, project.search) for part in parts]
            self._several = self._stack.enter_context(processes(given))
        return self._alone if self._several is None else self._several


def of_run(outcome: Outcome, files: frozenset[str]) -> Outcome:
    """Without what lies in files that were only imported: nobody asked about them, unless the defect is ours."""
    return Outcome(
        [finding for finding in outcome.findings if finding.at.path in files],
        [problem for problem in outcome.problems if problem.path in files or problem.internal],
        [seen for seen in outcome.observed if seen.at.path in files],
    )
