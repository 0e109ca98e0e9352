"""One run: discover, prefilter, analyse, select, suppress, place; from paths and settings to diagnostics and problems."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress as passing
from typing import TYPE_CHECKING, NamedTuple

from torchlint import data
from torchlint.config import Selection, Settings, codes_for, selection
from torchlint.diagnostics import Diagnostic, Edit, Fix, Place, Problem, Step
from torchlint.discover import STDIN, Missed, discover, may_suppress, searcher
from torchlint.folders import Folders
from torchlint.reader import Reader
from torchlint.source import Source, SourceError, is_notebook, read_bytes

if TYPE_CHECKING:
    from torchlint import observed, suppress
    from torchlint.analysis import Analysis, ir
    from torchlint.analysis import coverage as analysis_coverage
    from torchlint.analysis.coverage import Observed
    from torchlint.analysis.spans import Span
    from torchlint.baseline import Baseline, Entry
    from torchlint.cache import Cache
    from torchlint.contracts import Contracts
    from torchlint.coverage import Coverage, Sight
    from torchlint.findings import Finding, NodeRef
    from torchlint.kept import Keeper, Kept, Look
    from torchlint.project import Project
    from torchlint.rulebook import Rule

STDIN_NAME = "stdin.py"
"""What standard input is called if no name is given."""

UNUSED, INVALID = "TLN001", "TLN002"
"""The engine's own rules: suppressions that hide nothing, and those that cannot be read."""

Progress = Callable[[str, int], None]
"""Called with the path of each file that is analysed and the number of files to analyse."""


class Report(NamedTuple):
    """What a run found. `files` counts the files looked at, `analysed` those that passed the byte prefilter.

    `incomplete`: a path could not be read at all, or a defect of torchlint kept a file from being linted.
    `sources` holds the texts of the files that diagnostics and trails point into, by path. `coverage` is None if it was not
    asked for. `paths` are the files of the run; `hidden` counts the findings that the baseline hides, `gone` those that it
    holds and that are no longer found. `stale` are files of a trace that have changed since.
    """

    diagnostics: tuple[Diagnostic, ...]
    problems: tuple[Problem, ...]
    files: int = 0
    analysed: int = 0
    incomplete: bool = False
    sources: Mapping[str, Source] = {}
    coverage: Coverage | None = None
    paths: Sequence[str] = ()
    hidden: int = 0
    gone: int = 0
    stale: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0: clean; 1: diagnostics, or a file that is no valid Python; 2: something could not be linted."""
        return 2 if self.incomplete else int(bool(self.diagnostics or self.problems))


def check(
    paths: Sequence[str],
    settings: Settings,
    *,
    stdin: bytes | None = None,
    stdin_filename: str | None = None,
    progress: Progress | None = None,
    coverage: bool = False,
    related: bool = False,
    cache: Cache | None = None,
    jobs: int = 1,
) -> Report:
    """Lint files and folders; `stdin` is linted as the file `stdin_filename` where a path is `-`.

    `coverage` asks for what was seen of each loss call, too. `related` lints the working folder with the paths, and
    reports what they take part in. What is found is kept in the `cache`, and told again as long as it holds. `jobs` is how
    many processes may work if there is enough to do.

    Raises ConfigError or ContractError for settings that cannot be used.
    """
    inputs = _inputs(paths, settings, stdin, stdin_filename, related=related)
    reader = Reader(inputs.load)
    if cache is not None and STDIN not in paths:

        def keeper(settings: Settings) -> Keeper:
            from torchlint.kept import Keeper  # noqa: PLC0415  # a run without losses keeps nothing

            return Keeper(cache, (*paths, str(related)), settings, coverage=coverage)

        reader.keeper, reader.known = keeper, reader.looks
    asked = inputs.scope._replace(jobs=1 if STDIN in paths else jobs)
    return inputs.told(_run(asked, reader, settings, progress, coverage=coverage))


class Fixed(NamedTuple):
    """What a run with fixes came to: `report` of the code as it is then, the bytes of changed files before and after.

    `repaired` are the findings that are gone, `waiting` those whose fix clashes with another or is refused.
    """

    report: Report
    before: Mapping[str, bytes]
    after: Mapping[str, bytes]
    repaired: tuple[Diagnostic, ...]
    waiting: tuple[Diagnostic, ...]

    @staticmethod
    def touched(diagnostic: Diagnostic) -> set[str]:
        """The files that the fix of a diagnostic edits."""
        return {edit.place.path for fix in diagnostic.fixes[:1] for edit in fix.edits}


def fix(
    paths: Sequence[str],
    settings: Settings,
    *,
    unsafe: bool,
    stdin: bytes | None = None,
    stdin_filename: str | None = None,
    progress: Progress | None = None,
    coverage: bool = False,
    related: bool = False,
) -> Fixed:
    """Lint and repair until nothing more can be: fixes that clash are made one after the other. Writes nothing.

    Raises ConfigError or ContractError for settings that cannot be used.
    """
    inputs = _inputs(paths, settings, stdin, stdin_filename, related=related)
    fixed = _fix(inputs, settings, progress, unsafe=unsafe, coverage=coverage)
    return fixed._replace(report=inputs.told(fixed.report))


def fix_texts(files: Mapping[str, str], settings: Settings | None = None, *, unsafe: bool) -> Fixed:
    """Lint and repair texts held in memory, as `check_texts` lints them."""
    inputs = _Inputs([os.path.normpath(path) for path in files], _held(files))
    return _fix(inputs, settings or Settings(), None, unsafe=unsafe)


_ROUNDS = 20
"""Repairs are looked for so often at most: each round makes at least one."""


def _fix(
    inputs: _Inputs,
    settings: Settings,
    progress: Progress | None,
    *,
    unsafe: bool,
    coverage: bool = False,
) -> Fixed:
    from torchlint.fixes import choose  # noqa: PLC0415  # only to fix

    before: dict[str, bytes] = {}
    after: dict[str, bytes] = {}
    repaired: list[Diagnostic] = []

    def now(path: str) -> bytes:
        return after[path] if path in after else inputs.load(path)

    for rounds_left in reversed(range(_ROUNDS)):
        report = inputs.narrowed(_run(inputs.scope, Reader(now, inputs.lower), settings, progress, coverage=coverage))
        chosen = choose(report.diagnostics, report.sources, now, unsafe=unsafe)
        if not (chosen.files and rounds_left):
            break
        for path in chosen.files:
            before.setdefault(path, now(path))
        after.update(chosen.files)
        repaired += chosen.repaired
    return Fixed(report, before, after, tuple(repaired), chosen.waiting)


class _Inputs(NamedTuple):
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
    def scope(self) -> _Asked:
        """What is linted: all files, or those of a project."""
        return _Asked(self.files) if self.project is None else _Asked(self.project, self.files)

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
            diagnostics=tuple(each for each in report.diagnostics if not asked.isdisjoint(_paths_of(each))),
            problems=problems,
            files=len(asked) - len(asked & {each.path for each in report.problems}),
            incomplete=report.incomplete and bool(problems),
        )


def _paths_of(diagnostic: Diagnostic) -> set[str]:
    return {place.path for place in _places_of(diagnostic)}


def _places_of(diagnostic: Diagnostic) -> list[Place]:
    return [diagnostic.place, *(step.place for step in diagnostic.trail)]


def _inputs(
    paths: Sequence[str], settings: Settings, stdin: bytes | None, stdin_filename: str | None, *, related: bool
) -> _Inputs:
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
    return _Inputs(files, lambda path: given[path] if path in given else read_bytes(path), problems, asked)


def check_texts(files: Mapping[str, str], settings: Settings | None = None, *, coverage: bool = False) -> Report:
    """Lint texts held in memory, by relative name such as `models/net.py`; imports among them are followed."""
    names = [os.path.normpath(path) for path in files]
    return _run(_Asked(names), Reader(_held(files)), settings or Settings(), None, coverage=coverage)


def _held(files: Mapping[str, str]) -> Callable[[str], bytes]:
    """Reads the bytes of texts held in memory."""
    texts = {os.path.normpath(path): text.encode("utf-8", "replace") for path, text in files.items()}

    def bytes_of(path: str) -> bytes:
        if os.path.normpath(path) in texts:
            return texts[os.path.normpath(path)]
        raise SourceError("no such file", unreadable=True)

    return bytes_of


def check_open(
    opened: Sequence[str],
    project: Sequence[str],
    load: Callable[[str], bytes],
    lower: Callable[[str, str], ir.Module],
    settings: Settings,
    *,
    progress: Progress | None = None,
) -> Report:
    """Lint the opened files of a project, again and again as they change: bytes and lowered modules come from the caller.

    Raises ConfigError or ContractError for settings that cannot be used.
    """
    asked = _Asked(project, opened)
    return _run(asked, Reader(load, lower), settings, progress)


def fix_open(
    opened: Sequence[str],
    project: Sequence[str],
    load: Callable[[str], bytes],
    lower: Callable[[str, str], ir.Module],
    settings: Settings,
) -> Fixed:
    """Repair the opened files of a project as far as that is safe, as `check_open` lints them. Writes nothing.

    Raises ConfigError or ContractError for settings that cannot be used.
    """
    return _fix(_Inputs(list(opened), load, project=project, lower=lower), settings, None, unsafe=False)


class _Asked(NamedTuple):
    """What a run is about: the files that may be read, those of them that are linted (None: all), and by how many processes."""

    files: Sequence[str]
    only: Sequence[str] | None = None
    jobs: int = 1

    @property
    def linted(self) -> Sequence[str]:
        """The files whose diagnostics are reported."""
        return self.files if self.only is None else self.only


class _Sifted(NamedTuple):
    """What is left after one look at the bytes: files with a loss word, files with a suppression, unreadable ones."""

    roots: list[str]
    suppressing: list[str]
    unreadable: list[Problem]


class _Outcome(NamedTuple):
    findings: Sequence[Finding]
    problems: Sequence[Problem]
    observed: Sequence[Observed] = ()


def _run(
    asked: _Asked, reader: Reader, settings: Settings, progress: Progress | None, *, coverage: bool = False
) -> Report:
    """Lint, ask the trace if there is one, and hide what the baseline knows."""
    if settings.baseline is None:
        return _traced(asked, reader, settings, progress, coverage=coverage)._replace(paths=asked.linted)
    from torchlint import baseline  # noqa: PLC0415  # only where there is one

    known = baseline.load(settings.baseline)
    report = _traced(asked, reader, settings, progress, coverage=coverage)._replace(paths=asked.linted)
    found = baseline.sort(known, report.diagnostics, report.sources, covers(known, report, settings))
    return report._replace(diagnostics=found.new, hidden=found.hidden, gone=found.gone)


def covers(known: Baseline, report: Report, settings: Settings) -> Callable[[Entry], bool]:
    """Tells whether a run would report the findings of a baseline's entry: its file was linted or is gone, its rule selected."""
    troubled = {problem.path for problem in report.problems}
    linted = {os.path.abspath(path) for path in report.paths if path not in troubled}
    selected = _pages(settings)[1] if known.entries else Selection(frozenset())

    def covered(entry: Entry) -> bool:
        path = known.absolute(entry)
        if entry.confidence == "likely" and settings.confidence == "certain":
            return False
        return (path in linted or not os.path.exists(path)) and entry.code in selected.at(path)

    return covered


def _traced(
    asked: _Asked, reader: Reader, settings: Settings, progress: Progress | None, *, coverage: bool = False
) -> Report:
    """Lint, and let what a trace saw confirm, refute and add findings."""
    if not os.path.exists(data.TRACE):
        return _lint(asked, reader, settings, progress, coverage=coverage)
    from torchlint import observed  # noqa: PLC0415  # only where there is a trace

    trace = observed.load(asked.linted, reader.load)
    if trace is None:
        return _lint(asked, reader, settings, progress, coverage=coverage)
    report = _lint(asked, reader, settings._replace(confidence="likely"), progress, coverage=coverage)
    told = [observed.judged(each, trace) for each in report.diagnostics]
    reported = [
        each
        for each in told
        if each.confidence == "certain"
        or each.runtime == "confirmed"
        or (settings.confidence == "likely" and each.runtime != "refuted")
    ]
    added = [
        each
        for site, verdict in observed.beyond(told, trace)
        for each in _observed(site.place, verdict, reader, settings)
    ]
    return report._replace(diagnostics=tuple(_sorted([*reported, *added])), stale=trace.stale)


def _observed(place: Place, told: observed.Told, reader: Reader, settings: Settings) -> list[Diagnostic]:
    """A finding that only the trace made, if it is selected and not hidden."""
    from torchlint import suppress  # noqa: PLC0415  # compiles regular expressions

    rules, selected = _pages(settings)
    judge = _File(place.path, reader, rules, selected, settings, {}, {})
    directives = suppress.directives(reader(place.path).text)
    found = [each for each in directives if settings.noqa or each.kind != "noqa"]
    hidden = suppress.apply(found, [suppress.Flagged(told.code, place.line, place.end_line)], judge.stands_for).hidden
    if hidden or told.code not in selected.at(place.path):
        return []
    message = f"{told.message} (Seen by the trace: {told.evidence}.)"
    return [
        Diagnostic(
            told.code,
            told.name,
            message,
            rules[told.code].severity,
            "certain",
            place,
            fingerprint=judge.fingerprint(told.code, place),
            runtime="confirmed",
        )
    ]


def _lint(
    asked: _Asked, reader: Reader, settings: Settings, progress: Progress | None, *, coverage: bool = False
) -> Report:
    files = asked.linted
    few = len(files) <= _FEW
    keeper = reader.keeper(settings) if reader.keeper is not None and not few else None
    kept = keeper.load() if keeper is not None else None
    sifted = _sift(files, reader, loss_words(settings), kept, keeps=keeper is not None)
    if not (sifted.roots or sifted.suppressing or settings.selectors):
        # The usual file of a hook or editor has no loss: it is done without pages, contracts or the analysis.
        read = len(files) - len(sifted.unreadable)
        nothing = _covered((), {}, reader) if coverage else None
        return Report((), tuple(sifted.unreadable), read, incomplete=bool(sifted.unreadable), coverage=nothing)
    if few and reader.keeper is not None:
        keeper = reader.keeper(settings)
        kept = keeper.load()
        _look_again(files, sifted, reader)
    if kept is not None and kept.holds(reader.looks, reader.load):
        return _told_again(kept, sifted, reader)
    if settings.selectors:
        _pages(settings)  # a selector that stands for no rule is refused before the work
    analysed = _analyse(asked, sifted.roots, reader, settings, progress, coverage)
    outcome = _of_run(analysed, frozenset(files))
    spans, lost = _locate(_mentioned(outcome), reader)
    planned = [finding for finding in outcome.findings if settings.fixes and finding.at in spans]
    fixes = _repairs(planned, reader, frozenset(asked.files), lost)
    troubled = {each.path for each in (*outcome.problems, *lost)}
    diagnostics: list[Diagnostic] = []
    by_path: dict[str, list[Finding]] = {path: [] for path in sifted.suppressing}
    for finding in outcome.findings:
        if finding.at in spans:
            by_path.setdefault(finding.at.path, []).append(finding)
    rules, selected = _pages(settings) if by_path else ({}, Selection(frozenset()))
    for path, findings in by_path.items():
        try:
            diagnostics += _File(path, reader, rules, selected, settings, spans, fixes).diagnostics(
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
    problems = _in_cells(_distinct((*sifted.unreadable, *outcome.problems, *lost, *notes)), reader)
    report = Report(
        diagnostics=tuple(_sorted(diagnostics)),
        problems=problems,
        files=len(files) - len(sifted.unreadable),
        analysed=len(sifted.roots),
        incomplete=bool(sifted.unreadable) or any(problem.internal for problem in problems),
        sources=reader.sources,
        coverage=_covered(outcome.observed, spans, reader) if coverage else None,
    )
    if keeper is not None and not any(problem.internal for problem in problems):
        keeper.save(_to_keep(report, reader))
    return report


_FEW = 50
"""So many files are looked through for a loss sooner than what was found in them before is read."""


def _to_keep(report: Report, reader: Reader) -> Kept:
    """A report, and what it depends on."""
    from torchlint.kept import Kept, names_digest  # noqa: PLC0415  # only with a cache

    folders = {folder: names_digest(names) for folder, names in reader.folders.listed.items()}
    return Kept(reader.looks, reader.outside, folders, report.diagnostics, report.problems, report.coverage)


def _told_again(kept: Kept, sifted: _Sifted, reader: Reader) -> Report:
    """The report of a run that found all as it was."""
    paths = {place.path for diagnostic in kept.diagnostics for place in _places_of(diagnostic)}
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


def _pages(settings: Settings) -> tuple[Mapping[str, Rule], Selection]:
    """The rules, and which of them report. Raises ConfigError, RulebookError."""
    from torchlint import rulebook  # noqa: PLC0415  # parses TOML

    rules = rulebook.load()
    return rules, selection(settings, rules)


def loss_words(settings: Settings) -> frozenset[bytes]:
    """The words of which a file must hold one to be analysed: the last parts of the losses' names."""
    if settings.contracts or settings.tables:
        return load_contracts(settings).loss_words()
    return data.loss_words()


def load_contracts(settings: Settings) -> Contracts:
    """The contracts of a run: the rulebook's, the files and the tables of the settings. Raises ContractError."""
    from pathlib import Path  # noqa: PLC0415  # with the rulebook

    from torchlint import rulebook  # noqa: PLC0415  # parses TOML

    return rulebook.load_contracts([Path(path) for path in settings.contracts], settings.tables or None)


def problem_of(path: str, error: SourceError) -> Problem:
    """A file that is no Python text, as a problem."""
    return Problem(path, error.message, error.line, error.column, error.cell)


def internal(path: str, error: BaseException) -> Problem:
    """A defect of torchlint itself, met at this file. The message is the traceback, of which reports show the end."""
    import traceback  # noqa: PLC0415  # on the way to a report

    return Problem(path, "".join(traceback.format_exception(error, limit=-12)), internal=True)


def _sift(files: Iterable[str], reader: Reader, words: frozenset[bytes], kept: Kept | None, *, keeps: bool) -> _Sifted:
    """Look at each file's bytes once, and hold on to those that will be needed as text."""
    has_loss_word = searcher(words, data.LEARNS)
    look = _looker(has_loss_word, kept) if keeps else None
    roots: list[str] = []
    suppressing: list[str] = []
    unreadable: list[Problem] = []
    for path in files:
        try:
            content = reader.load(path)
        except SourceError as error:
            unreadable.append(problem_of(path, error))
            if look is not None:
                reader.looks[path] = look(path, None)
            continue
        if look is not None:
            seen = reader.looks[path] = look(path, content)
            root, suppresses = seen.root, seen.suppresses
        else:
            root, suppresses = has_loss_word(content), may_suppress(content)
        if root:
            roots.append(path)
        if suppresses:
            suppressing.append(path)
        if root or suppresses:
            reader.held[path] = content
    return _Sifted(roots, suppressing, unreadable)


def _look_again(files: Iterable[str], sifted: _Sifted, reader: Reader) -> None:
    """Take down how files were seen: of a few, only once it is known that there is something to keep."""
    from torchlint.cache import UNREADABLE, digest  # noqa: PLC0415  # only with a cache
    from torchlint.kept import Look  # noqa: PLC0415  # as above

    for path in files:
        try:
            content = digest(reader.held[path] if path in reader.held else reader.load(path))
        except SourceError:
            content = UNREADABLE
        reader.looks[path] = Look(content, path in sifted.roots, path in sifted.suppressing)


def _looker(has_loss_word: Callable[[bytes], bool], kept: Kept | None) -> Callable[[str, bytes | None], Look]:
    """Looks at a file for who keeps what is found: one that has not changed is not searched again."""
    from torchlint.cache import UNREADABLE, digest  # noqa: PLC0415  # only with a cache
    from torchlint.kept import Look  # noqa: PLC0415  # as above

    known = {} if kept is None else kept.files

    def look(path: str, content: bytes | None) -> Look:
        if content is None:
            return Look(UNREADABLE)
        now, before = digest(content), known.get(path)
        if before is not None and before.digest == now:
            return before
        return Look(now, has_loss_word(content), may_suppress(content))

    return look


def _analyse(
    asked: _Asked,
    roots: Sequence[str],
    reader: Reader,
    settings: Settings,
    progress: Progress | None,
    coverage: bool = False,
) -> _Outcome:
    """Analyse the roots together; if that fails as a whole, one by one, so that a defect costs only its own file."""
    if not roots:
        return _Outcome((), ())
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
        return _Outcome(analysis.findings, analysis.problems, analysis.observed)
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
    return _Outcome(findings, problems, observed)


_WORTH_PROCESSES = 2_000_000
"""Bytes of files with losses: they take some two seconds, a process 0.3 to start."""


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


def _of_run(outcome: _Outcome, files: frozenset[str]) -> _Outcome:
    """Without what lies in files that were only imported: nobody asked about them, unless the defect is ours."""
    return _Outcome(
        [finding for finding in outcome.findings if finding.at.path in files],
        [problem for problem in outcome.problems if problem.path in files or problem.internal],
        [seen for seen in outcome.observed if seen.at.path in files],
    )


def _mentioned(outcome: _Outcome) -> Iterator[NodeRef]:
    """Every node that a finding or its trail mentions, or that coverage tells of."""
    for finding in outcome.findings:
        yield finding.at
        yield from (step.at for step in finding.trail)
    for seen in outcome.observed:
        yield seen.at
        yield from (sight.cause.at for sight in (seen.criterion, seen.input, seen.target) if sight.cause is not None)


def _locate(nodes: Iterable[NodeRef], reader: Reader) -> tuple[dict[NodeRef, Span], list[Problem]]:
    """The spans of nodes, and the files in which none could be found."""
    wanted: dict[str, set[int]] = {}
    for at in nodes:
        wanted.setdefault(at.path, set()).add(at.node)
    if not wanted:
        return {}, []
    from torchlint.analysis.spans import locate  # noqa: PLC0415  # only with findings
    from torchlint.findings import NodeRef  # noqa: PLC0415

    spans: dict[NodeRef, Span] = {}
    problems: list[Problem] = []
    for path, numbers in wanted.items():
        try:
            found = locate(reader(path).text, numbers)
            spans.update({NodeRef(path, node): span for node, span in found.items()})
        except (Exception, RecursionError, MemoryError) as error:  # noqa: BLE001  # a defect of ours, in this file only
            problems.append(internal(path, error))
    return spans, problems


def _repairs(
    findings: Sequence[Finding],
    reader: Reader,
    files: frozenset[str],
    problems: list[Problem],
) -> dict[tuple[str, NodeRef], Fix]:
    """The fixes of findings by code and place. One that reaches into a file that nobody asked about is only shown."""
    planned = [finding for finding in findings if finding.plan is not None]
    if not planned:
        return {}
    from torchlint.analysis.lower import ParseFailure  # noqa: PLC0415  # as in _analyse
    from torchlint.analysis.positions import Placed  # noqa: PLC0415  # imports LibCST
    from torchlint.repair import Code, repair  # noqa: PLC0415  # only with something to repair

    codes: dict[str, Code] = {}

    def code_of(path: str) -> Code:
        if path not in codes:
            codes[path] = Code(path, Placed(reader(path).text))
        return codes[path]

    fixes: dict[tuple[str, NodeRef], Fix] = {}
    for finding in planned:
        try:
            fix = repair(finding, code_of)
            if fix is None:
                continue
            edits = tuple(Edit(in_cell(edit.place, reader(edit.place.path)), edit.content) for edit in fix.edits)
        except ParseFailure:
            continue  # Python reads it, and LibCST, which a fix needs, does not
        except (Exception, RecursionError, MemoryError) as error:  # noqa: BLE001  # the finding is reported without a fix
            problems.append(internal(finding.at.path, error))
            continue
        given = all(edit.place.path in files for edit in edits)
        fixes[finding.code, finding.at] = fix._replace(edits=edits, safety=fix.safety if given else "display")
    return fixes


def _covered(observed: Iterable[Observed], spans: Mapping[NodeRef, Span], reader: Reader) -> Coverage:
    """What coverage tells, placed and in reading order."""
    from torchlint.coverage import Coverage, Seen, Sight  # noqa: PLC0415  # only where asked for

    def place(at: NodeRef) -> Place:
        return in_cell(Place(at.path, *spans[at]), reader(at.path))

    def sight(of: analysis_coverage.Sight) -> Sight:
        at = None if of.cause is None or of.cause.at not in spans else place(of.cause.at)
        return Sight(of.state, of.kinds, Step(at, of.cause.note) if at is not None and of.cause is not None else None)

    seen = [
        Seen(place(each.at), each.name, sight(each.criterion), sight(each.input), sight(each.target))
        for each in observed
        if each.at in spans
    ]
    return Coverage(tuple(sorted(seen, key=lambda each: _place_order(each.place))))


class _File(NamedTuple):
    """A file with findings or suppressions, and what is needed to judge them."""

    path: str
    reader: Reader
    rules: Mapping[str, Rule]
    selection: Selection
    settings: Settings
    spans: Mapping[NodeRef, Span]
    fixes: Mapping[tuple[str, NodeRef], Fix]

    def diagnostics(self, findings: Sequence[Finding], *, parsed: bool) -> list[Diagnostic]:
        """What is reported here: the findings that are selected and not hidden, and what is wrong with suppressions."""
        from torchlint import suppress  # noqa: PLC0415  # compiles regular expressions

        source = self.reader(self.path)
        codes = self.selection.at(self.path)
        found = [each for each in suppress.directives(source.text) if self.settings.noqa or each.kind != "noqa"]
        flagged = [suppress.Flagged(each.code, *self._lines(each)) for each in findings]
        verdict = suppress.apply(found, flagged, self.stands_for)
        reported = [
            self._diagnostic(each)
            for index, each in enumerate(findings)
            if index not in verdict.hidden
            and each.code in codes
            and (each.confidence == "certain" or self.settings.confidence == "likely")
        ]
        return reported + (self._about_suppressions(found, verdict.used, codes) if parsed else [])

    def _lines(self, finding: Finding) -> tuple[int, int]:
        span = self.spans[finding.at]
        return span.line, span.end_line

    def stands_for(self, selector: str) -> frozenset[str]:
        """The codes that a selector means."""
        return codes_for(selector, self.rules)

    def _diagnostic(self, finding: Finding) -> Diagnostic:
        rule = self.rules[finding.code]
        place = self._place(finding.at)
        return Diagnostic(
            code=rule.code,
            name=rule.name,
            message=rule.message.format_map(_Values(finding.values)),
            severity=rule.severity,
            confidence=finding.confidence,
            place=place,
            trail=tuple(Step(self._place(step.at), step.note) for step in finding.trail if step.at in self.spans),
            fingerprint=self.fingerprint(rule.code, place),
            fixes=tuple(self.fixes[key] for key in [(finding.code, finding.at)] if key in self.fixes),
        )

    def _place(self, at: NodeRef) -> Place:
        return in_cell(Place(at.path, *self.spans[at]), self.reader(at.path))

    def fingerprint(self, code: str, place: Place) -> str:
        """What a finding is known by when lines move."""
        import hashlib  # noqa: PLC0415  # 4 ms, only with diagnostics

        flagged = self.reader(place.path).lines(place.line, place.end_line, place.cell)
        return hashlib.sha256(
            f"{code}\0{place.path}\0{' '.join(flagged.split())}".encode("utf-8", "replace")
        ).hexdigest()[:16]

    def _about_suppressions(
        self, found: Sequence[suppress.Directive], used: Mapping[int, frozenset[str]], codes: frozenset[str]
    ) -> list[Diagnostic]:
        told = []
        for index, directive in enumerate(found):
            told += [(directive, INVALID, what) for what in self._invalid(directive)]
            told += [(directive, UNUSED, what) for what in self._unused(directive, used.get(index, frozenset()), codes)]
        hidden = {code: [each for each in found if code in map(str.upper, each.codes)] for code in (UNUSED, INVALID)}
        return [
            self._suppression(directive, code, what)
            for directive, code, what in told
            if code in codes
            and code in self.rules
            and not any(each.line == directive.line or each.kind == "ignore-file" for each in hidden[code])
        ]

    def _invalid(self, directive: suppress.Directive) -> list[str]:
        if directive.broken:
            return [directive.broken]
        unknown = [code for code in directive.codes if not self.stands_for(code)]
        if directive.kind == "noqa":  # other linters' codes
            unknown = [code for code in unknown if code.upper().startswith("TLN")]
        return [f"unknown rule {', '.join(unknown)}"] if unknown else []

    def _unused(self, directive: suppress.Directive, used: frozenset[str], selected: frozenset[str]) -> list[str]:
        if directive.broken:
            return []
        if not directive.codes:
            every_default = all(rule.code in selected for rule in self.rules.values() if rule.default)
            return ["it hides nothing"] if directive.kind != "noqa" and not used and every_default else []
        idle = []
        for given in directive.codes:
            codes = self.stands_for(given) - {UNUSED, INVALID}
            if codes and codes <= selected and not codes & used:
                idle.append(given)
        return [f"{', '.join(idle)} hides nothing"] if idle else []

    def _suppression(self, directive: suppress.Directive, code: str, what: str) -> Diagnostic:
        rule = self.rules[code]
        line = directive.line
        place = Place(self.path, line, directive.column, line, directive.end_column)
        placed = in_cell(place, self.reader(self.path))
        return Diagnostic(
            code=code,
            name=rule.name,
            message=f"{rule.message}: {what}",
            severity=rule.severity,
            confidence="certain",
            place=placed,
            fingerprint=self.fingerprint(code, placed),
        )


class _Values(dict[str, str]):
    """The values of a message's placeholders; one that the analysis left out shows as `?`."""

    def __missing__(self, key: str) -> str:
        return "?"


def in_cell(place: Place, source: Source) -> Place:
    """A place in a notebook's text as a place in its cell; a plain file's place as it is."""
    cell = source.cell_at(place.line)
    if cell is None:
        return place
    above = cell.first_line - 1
    return place._replace(line=place.line - above, end_line=place.end_line - above, cell=cell.number)


def _in_cells(problems: Iterable[Problem], reader: Reader) -> tuple[Problem, ...]:
    """Problems that the parser found in a notebook's text, moved to their cells."""
    placed = []
    for problem in problems:
        source = reader.sources.get(problem.path)
        if source is not None and problem.line is not None and problem.cell is None and is_notebook(problem.path):
            cell = source.cell_at(problem.line)
            if cell is not None:
                line = problem.line - cell.first_line + 1
                problem = problem._replace(line=line, cell=cell.number)  # noqa: PLW2901
        placed.append(problem)
    return tuple(placed)


def _distinct(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(set(problems), key=lambda each: (each.path, each.cell or 0, each.line or 0, each.message))


def _sorted(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """In reading order, each (code, place) once; of two, the certain one."""
    best: dict[tuple[str, Place], Diagnostic] = {}
    for each in diagnostics:
        known = best.get((each.code, each.place))
        if known is None or (known.confidence == "likely" and each.confidence == "certain"):
            best[each.code, each.place] = each
    return sorted(best.values(), key=_reading_order)


def _reading_order(diagnostic: Diagnostic) -> tuple[tuple[str, int, int, int], str]:
    return _place_order(diagnostic.place), diagnostic.code


def _place_order(place: Place) -> tuple[str, int, int, int]:
    return place.path, place.cell or 0, place.line, place.column
