"""One run, as every face asks for it: from paths, texts or open buffers and settings to diagnostics and problems."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from torchlint import data
from torchlint.config import Selection, Settings
from torchlint.diagnostics import Diagnostic, Place
from torchlint.discover import STDIN
from torchlint.inputs import Asked, Inputs, held, inputs_of
from torchlint.lint import lint
from torchlint.outcome import Fixed, Progress, Report
from torchlint.reader import Reader
from torchlint.selected import pages

if TYPE_CHECKING:
    from torchlint import observed
    from torchlint.analysis import ir
    from torchlint.baseline import Baseline, Entry
    from torchlint.cache import Cache
    from torchlint.kept import Keeper


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
    inputs = inputs_of(paths, settings, stdin, stdin_filename, related=related)
    reader = Reader(inputs.load)
    if cache is not None and STDIN not in paths:

        def keeper(settings: Settings) -> Keeper:
            from torchlint.kept import Keeper  # noqa: PLC0415  # a run without losses keeps nothing

            return Keeper(cache, (*paths, str(related)), settings, coverage=coverage)

        reader.keeper, reader.known = keeper, reader.looks
    asked = inputs.scope._replace(jobs=1 if STDIN in paths else jobs)
    return inputs.told(_run(asked, reader, settings, progress, coverage=coverage))


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
    inputs = inputs_of(paths, settings, stdin, stdin_filename, related=related)
    fixed = _fix(inputs, settings, progress, unsafe=unsafe, coverage=coverage)
    return fixed._replace(report=inputs.told(fixed.report))


def fix_texts(files: Mapping[str, str], settings: Settings | None = None, *, unsafe: bool) -> Fixed:
    """Lint and repair texts held in memory, as `check_texts` lints them."""
    inputs = Inputs([os.path.normpath(path) for path in files], held(files))
    return _fix(inputs, settings or Settings(), None, unsafe=unsafe)


_ROUNDS = 20
"""Repairs are looked for so often at most: each round makes at least one."""


def _fix(
    inputs: Inputs,
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


def check_texts(files: Mapping[str, str], settings: Settings | None = None, *, coverage: bool = False) -> Report:
    """Lint texts held in memory, by relative name such as `models/net.py`; imports among them are followed."""
    names = [os.path.normpath(path) for path in files]
    return _run(Asked(names), Reader(held(files)), settings or Settings(), None, coverage=coverage)


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
    asked = Asked(project, opened)
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
    return _fix(Inputs(list(opened), load, project=project, lower=lower), settings, None, unsafe=False)


def _run(
    asked: Asked, reader: Reader, settings: Settings, progress: Progress | None, *, coverage: bool = False
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
    selected = pages(settings)[1] if known.entries else Selection(frozenset())

    def covered(entry: Entry) -> bool:
        path = known.absolute(entry)
        if entry.confidence == "likely" and settings.confidence == "certain":
            return False
        return (path in linted or not os.path.exists(path)) and entry.code in selected.at(path)

    return covered


def _traced(
    asked: Asked, reader: Reader, settings: Settings, progress: Progress | None, *, coverage: bool = False
) -> Report:
    """Lint, and let what a trace saw confirm, refute and add findings."""
    if not os.path.exists(data.TRACE):
        return lint(asked, reader, settings, progress, coverage=coverage)
    from torchlint import observed  # noqa: PLC0415  # only where there is a trace
    from torchlint.diagnose import in_order  # noqa: PLC0415  # as above

    trace = observed.load(asked.linted, reader.load)
    if trace is None:
        return lint(asked, reader, settings, progress, coverage=coverage)
    report = lint(asked, reader, settings._replace(confidence="likely"), progress, coverage=coverage)
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
    return report._replace(diagnostics=tuple(in_order([*reported, *added])), stale=trace.stale)


def _observed(place: Place, told: observed.Told, reader: Reader, settings: Settings) -> list[Diagnostic]:
    """A finding that only the trace made, if it is selected and not hidden."""
    from torchlint import suppress  # noqa: PLC0415  # compiles regular expressions
    from torchlint.diagnose import File  # noqa: PLC0415  # only where there is a trace

    rules, selected = pages(settings)
    judge = File(place.path, reader, rules, selected, settings, {}, {})
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
