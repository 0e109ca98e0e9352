"""What `torchlint check` does: from its options to a report that is told, and an exit code."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, NamedTuple

from torchlint import config as configuration
from torchlint import engine, inputs
from torchlint.errors import INTERRUPTED, UserError
from torchlint.report.run import FOR_SERVERS, Output, count_of, say, say_error, write_problems, write_report

if TYPE_CHECKING:
    from torchlint.cache import Cache
    from torchlint.config import Settings
    from torchlint.outcome import Fixed, Progress, Report


class Options(NamedTuple):
    """The options of `torchlint check` as they are when they are not given; the command line's help says what they mean."""

    paths: tuple[str, ...] = ()
    select: str | None = None
    ignore: str | None = None
    extend_select: str | None = None
    per_file_ignores: tuple[str, ...] = ()
    exclude: str | None = None
    extend_exclude: str | None = None
    force_exclude: bool | None = None
    confidence: str | None = None
    fix: bool = False
    unsafe_fixes: bool = False
    diff: bool = False
    baseline: str | None = None
    output_format: str | None = None
    output_file: str | None = None
    statistics: bool = False
    coverage: bool = False
    exit_zero: bool = False
    related: bool = False
    config: str | None = None
    isolated: bool = False
    stdin_filename: str | None = None
    watch: bool = False
    jobs: int | None = None
    no_cache: bool = False
    cache_dir: str | None = None
    quiet: bool = False
    no_progress: bool = False


def check(given: Options) -> int:
    """Lint, repair if asked to, and tell of it; gives the exit code. Raises UserError for what cannot be done."""
    if given.coverage and given.statistics:
        raise UserError("--coverage and --statistics do not go together")
    options = given._replace(paths=given.paths or (("-",) if given.stdin_filename else (".",)))
    paths = options.paths
    if options.watch:
        if options.fix or options.diff or "-" in paths:
            raise UserError("--watch goes with files and folders, and without --fix and --diff")
        return _watch(options)
    stdin = sys.stdin.buffer.read() if "-" in paths else None
    settings = settings_for(options, (options.stdin_filename,) if options.stdin_filename else paths)
    if (options.coverage or options.statistics) and settings.output_format in FOR_SERVERS:
        option = "--coverage" if options.coverage else "--statistics"
        raise UserError(f"{option} and --output-format {settings.output_format} do not go together")
    with progress_bar(options.no_progress or options.quiet) as progress, _collected_seldom():
        asked: Any = {
            "stdin": stdin,
            "stdin_filename": options.stdin_filename,
            "progress": progress,
            "coverage": options.coverage,
            "related": options.related,
        }
        if options.fix or options.diff:
            fixed = engine.fix(paths, settings, unsafe=options.unsafe_fixes, **asked)
        else:
            cache = None if options.no_cache else cache_for(settings, options.cache_dir)
            report = engine.check(paths, settings, **asked, cache=cache, jobs=options.jobs or _cores())
    if options.diff:
        return _show_diff(fixed, quiet=options.quiet, exit_zero=options.exit_zero)
    told = ""
    if options.fix:
        report, told = _write_fixes(fixed, stdin, os.path.normpath(options.stdin_filename or inputs.STDIN_NAME))
    write_problems(report)
    if report.stale and not options.quiet:
        say(f"note: changed since the trace, which is ignored there: {', '.join(report.stale)}", sys.stderr)
    if report.gone and not options.quiet:
        say(_gone(report.gone, settings.baseline or ""), sys.stderr)
    output = Output(
        settings.output_format, options.output_file, options.statistics, options.quiet, options.unsafe_fixes, told
    )
    with _report_aside(options.fix and stdin is not None):
        write_report(report, output)
    if options.exit_zero and not report.incomplete:
        return 0
    return report.exit_code


@contextmanager
def _collected_seldom() -> Iterator[None]:
    """Look for garbage rarely: nearly all that a run makes stays to its end, and would be gone over again and again."""
    before = gc.get_threshold()
    gc.set_threshold(_MANY)
    try:
        yield
    finally:
        gc.freeze()  # or all that is left would be gone over once more, at the end of a process
        gc.set_threshold(*before)


_MANY = 100_000
"""Objects that come before garbage is looked for among them."""


def _gone(number: int, file: str) -> str:
    from torchlint.baseline import NAME  # noqa: PLC0415
    from torchlint.config import display  # noqa: PLC0415

    what = "1 finding of {} is" if number == 1 else f"{number} findings of {{}} are"
    option = "" if display(file) == NAME else f" --output {display(file)}"
    return f"note: {what.format(display(file))} gone; drop with `torchlint baseline --prune{option}`"


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cache_for(settings: Settings, folder: str | None) -> Cache:
    """Where what is found is kept: beside the configuration, or in the working folder."""
    from torchlint.cache import NAME, Cache  # noqa: PLC0415

    return Cache(folder or os.path.join(settings.root, NAME))


def settings_for(options: Options, paths: Sequence[str]) -> Settings:
    """The settings that hold for paths: those of the configuration file, and what the options say. Raises ConfigError."""
    settings = configuration.load(paths, config=options.config, isolated=options.isolated)
    return configuration.override(
        settings,
        select=_split(options.select),
        ignore=_split(options.ignore),
        extend_select=_split(options.extend_select),
        per_file_ignores=_per_file(options.per_file_ignores),
        exclude=_split(options.exclude),
        extend_exclude=_split(options.extend_exclude),
        force_exclude=options.force_exclude,
        confidence=options.confidence,
        output_format=options.output_format,
        baseline=options.baseline,
    )


def _split(value: str | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(part.strip() for part in value.split(",") if part.strip())


def _per_file(given: Sequence[str]) -> dict[str, tuple[str, ...]] | None:
    """`PATTERN:CODE`, several separated by commas or given as several options."""
    table: dict[str, tuple[str, ...]] = {}
    for pair in (part.strip() for each in given for part in each.split(",")):
        pattern, colon, code = pair.rpartition(":")
        if not (pattern.strip() and colon and code.strip()):
            raise UserError(f"--per-file-ignores: expected PATTERN:CODE, got {pair!r}")
        table[pattern.strip()] = (*table.get(pattern.strip(), ()), code.strip())
    return table or None


def _watch(options: Options) -> int:
    """Check again and again; what is wrong with settings may be mended meanwhile."""
    from torchlint import watch  # noqa: PLC0415

    def look() -> watch.Snapshot:
        try:
            return watch.watched(options.paths, settings_for(options, options.paths))
        except UserError:
            return watch.watched(options.paths, configuration.Settings())

    for seen in watch.changes(look):
        if sys.stdout.isatty():
            sys.stdout.write("\x1b[2J\x1b[H")  # clears the screen
        try:
            check(options._replace(watch=False))
        except UserError as error:
            say_error(error)
        sys.stdout.flush()
        say(f"Watching {count_of(len(seen), 'file')}; Ctrl-C ends it.", sys.stderr)
    return INTERRUPTED  # by Ctrl-C, before this line


@contextmanager
def progress_bar(off: bool) -> Iterator[Progress | None]:
    """A progress bar on standard error, if that is a terminal and the run takes more than a second."""
    if off or not sys.stderr.isatty():
        yield None
        return
    from torchlint.report.progress import Bar  # noqa: PLC0415

    with Bar() as bar:
        yield bar


def _show_diff(fixed: Fixed, *, quiet: bool, exit_zero: bool) -> int:
    """Print what the fixes would change; the findings are not reported."""
    from torchlint import fixes  # noqa: PLC0415

    write_problems(fixed.report)
    sys.stdout.write(fixes.diff(fixed.before, fixed.after))
    if not quiet:
        files = count_of(len(fixed.after), "file")
        what = f"Would fix {count_of(len(fixed.repaired), 'finding')} in {files}" if fixed.after else "Nothing to fix"
        say(f"{what}{_waiting(fixed)}", sys.stderr)
    return 2 if fixed.report.incomplete else int(bool(fixed.after) and not exit_zero)


def _write_fixes(fixed: Fixed, stdin: bytes | None, stdin_path: str) -> tuple[Report, str]:
    """Write the repaired files, standard input to standard output. The report with what went wrong, and a summary."""
    from torchlint.diagnostics import Problem  # noqa: PLC0415
    from torchlint.fixes import write  # noqa: PLC0415
    from torchlint.splice import Refused  # noqa: PLC0415

    problems: dict[str, Problem] = {}
    for path, after in fixed.after.items():
        if stdin is not None and path == stdin_path:
            continue
        try:
            write(path, fixed.before[path], after)
        except Refused as error:
            problems[path] = Problem(path, f"cannot be fixed: {error}")
        except OSError as error:
            problems[path] = Problem(path, f"cannot be fixed: {error.strerror or error}")
    if stdin is not None:
        sys.stdout.flush()
        sys.stdout.buffer.write(fixed.after.get(stdin_path, stdin))
        sys.stdout.buffer.flush()
    report = fixed.report
    if problems:
        report = report._replace(problems=(*report.problems, *problems.values()), incomplete=True)
    count = sum(problems.keys().isdisjoint(fixed.touched(each)) for each in fixed.repaired)
    files = count_of(len(fixed.after) - len(problems), "file")
    told = f"Fixed {count_of(count, 'finding')} in {files}" if count else "Nothing fixed"
    return report, f"{told}{_waiting(fixed)}"


def _waiting(fixed: Fixed) -> str:
    left = len(fixed.waiting)
    return f"; left out {count_of(left, 'fix', 'fixes')} that cannot be written or clash with another" if left else ""


@contextmanager
def _report_aside(aside: bool) -> Iterator[None]:
    """Report on standard error where standard output takes the repaired code."""
    if not aside:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield
