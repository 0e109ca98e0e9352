"""The command line: options in, an exit code out. What costs time to import is imported by the command that needs it."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from typing import IO, TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from torchlint import __version__, completion
from torchlint.errors import UserError

if TYPE_CHECKING:
    from torchlint.baseline import Baseline
    from torchlint.cache import Cache
    from torchlint.config import Settings
    from torchlint.coverage import Coverage
    from torchlint.diagnostics import Diagnostic
    from torchlint.outcome import Fixed, Progress, Report
    from torchlint.report.style import Style
    from torchlint.rulebook import Rule

INTERRUPTED = 130
BROKEN_PIPE = 141
USAGE = 2

_FOR_SERVERS = ("sarif", "github", "gitlab", "junit")
"""The formats of CI servers, which hold findings and nothing else."""


class _Fault(click.ClickException):
    """Something the user can mend; shown in one line, exit code 2."""

    exit_code = USAGE

    def show(self, file: IO[Any] | None = None) -> None:
        from torchlint.report.style import style_for  # noqa: PLC0415

        stream = file or sys.stderr
        _say(f"{style_for(stream)('error', 'error')}: {self.message}", stream)


def _say(text: str, stream: IO[str] | None = None) -> None:
    """A line to standard output. click's echo would guess about colours and encodings, which are settled here."""
    (stream or sys.stdout).write(f"{text}\n")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit. Ctrl-C and a closed pipe end it quietly. Without arguments, it is the process's own."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a message never fails for the terminal's encoding
    try:
        code = cli.main(args=arguments, prog_name="torchlint", standalone_mode=False)
        sys.stdout.flush()
    except (KeyboardInterrupt, click.exceptions.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        _write_no_more()
        code = BROKEN_PIPE
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        _write_no_more()
        _Fault(f"standard output: {error.strerror}").show()
        code = USAGE
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    code = code if isinstance(code, int) else 0
    if arguments is None:
        # Taking modules and syntax trees apart at the end would cost 10 ms on the shortest run, more on a long one.
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _write_no_more() -> None:
    """Let standard output lead nowhere: Python would complain when it flushes on exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "-V", "--version", message="torchlint %(version)s")
def cli() -> None:
    """Find loss mistakes in PyTorch code, without running it.

    \b
    torchlint check                   lint the Python files and notebooks below the working folder
    torchlint check train.py --select TLN1
    torchlint explain TLN101          what a rule means, why it matters, what to do
    torchlint baseline                accept the findings of today, to be told of new ones only
    torchlint trace train.py          run a training script for a few steps and look at what its losses get
    """


@cli.command()
@click.argument("paths", nargs=-1, shell_complete=completion.files)
@click.option(
    "--select",
    metavar="CODES",
    shell_complete=completion.rules,
    help="Only these rules: codes, prefixes, names or ALL, separated by commas.",
)
@click.option(
    "--ignore",
    metavar="CODES",
    shell_complete=completion.rules,
    help="Not these rules; the longer prefix wins over --select.",
)
@click.option("--extend-select", metavar="CODES", shell_complete=completion.rules, help="These rules, too.")
@click.option(
    "--per-file-ignores", metavar="PATTERN:CODE", multiple=True, help="Rules ignored in files, such as 'tests/**:TLN2'."
)
@click.option("--exclude", metavar="PATTERNS", help="Leave these out instead of the defaults (as in .gitignore).")
@click.option("--extend-exclude", metavar="PATTERNS", help="Leave these out, too.")
@click.option(
    "--force-exclude/--no-force-exclude", default=None, help="Leave them out even if named on the command line."
)
@click.option("--confidence", type=click.Choice(["certain", "likely"]), help="Report also what is merely likely.")
@click.option("--fix", is_flag=True, help="Repair what can be repaired safely, and report what is left.")
@click.option("--unsafe-fixes", is_flag=True, help="Also repairs that may change what happens elsewhere.")
@click.option(
    "--diff", is_flag=True, help="Write no file: show what --fix would change. Exit code 1 if there is anything."
)
@click.option(
    "--baseline",
    metavar="FILE",
    shell_complete=completion.files,
    help="Hide the findings that this file holds (see `torchlint baseline`).",
)
@click.option(
    "--output-format",
    type=click.Choice(["full", "concise", "json", "sarif", "github", "gitlab", "junit"]),
    help="How to report.  [default: full]",
)
@click.option(
    "--output-file", "-o", metavar="FILE", shell_complete=completion.files, help="Write the report to a file."
)
@click.option("--statistics", is_flag=True, help="Report only how often each rule fired.")
@click.option("--coverage", is_flag=True, help="List every loss call, too: what is known of it, and why not more.")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 even if there are findings.")
@click.option(
    "--related",
    is_flag=True,
    help="Lint the whole working folder, and report what PATHS take part in: a model that a loss elsewhere does not suit.",
)
@click.option("--config", metavar="FILE", shell_complete=completion.files, help="Read the settings from this file.")
@click.option("--isolated", is_flag=True, help="Read no settings from files.")
@click.option(
    "--stdin-filename",
    metavar="FILE",
    shell_complete=completion.files,
    help="The path of what is read from standard input ('-').",
)
@click.option("--watch", is_flag=True, help="Lint again whenever a file changes, until Ctrl-C.")
@click.option(
    "--jobs",
    "-j",
    metavar="N",
    type=click.IntRange(1),
    help="So many processes, at most.  [default: one for each core]",
)
@click.option("--no-cache", is_flag=True, help="Neither use nor keep what was found before.")
@click.option("--cache-dir", metavar="FOLDER", help="Where that is kept.  [default: .torchlint_cache]")
@click.option("--quiet", "-q", is_flag=True, help="Report only the findings.")
@click.option("--no-progress", is_flag=True, help="Show no progress bar.")
def check(  # one parameter per option
    paths: tuple[str, ...],
    fix: bool,
    unsafe_fixes: bool,
    diff: bool,
    output_file: str | None,
    statistics: bool,
    coverage: bool,
    exit_zero: bool,
    related: bool,
    config: str | None,
    isolated: bool,
    stdin_filename: str | None,
    watch: bool,
    jobs: int | None,
    no_cache: bool,
    cache_dir: str | None,
    quiet: bool,
    no_progress: bool,
    **overrides: Any,
) -> int:
    """Lint files and folders (default: the working folder). '-' is standard input.

    What .gitignore and the settings leave out is taken only if it is named itself. A file that may call a loss and has more
    than 1 MB of Python code is refused. '# torchlint: ignore[CODE] reason' or '# noqa: CODE' hides a finding of its line.

    Exit code 0: nothing found; 1: findings, or files that are no valid Python; 2: a path that cannot be read, wrong usage or
    settings, or a defect of torchlint.
    """
    from torchlint import engine, inputs  # noqa: PLC0415

    if coverage and statistics:
        raise _Fault("--coverage and --statistics do not go together")
    paths = paths or (("-",) if stdin_filename else (".",))
    if watch:
        if fix or diff or "-" in paths:
            raise _Fault("--watch goes with files and folders, and without --fix and --diff")
        return _watch(paths, lambda: _settings(paths, config, isolated, overrides))
    stdin = sys.stdin.buffer.read() if "-" in paths else None
    with _faults():
        settings = _settings((stdin_filename,) if stdin_filename else paths, config, isolated, overrides)
        if (coverage or statistics) and settings.output_format in _FOR_SERVERS:
            option = "--coverage" if coverage else "--statistics"
            raise _Fault(f"{option} and --output-format {settings.output_format} do not go together")
        with _progress(no_progress or quiet) as progress:
            asked: Any = {
                "stdin": stdin,
                "stdin_filename": stdin_filename,
                "progress": progress,
                "coverage": coverage,
                "related": related,
            }
            if fix or diff:
                fixed = engine.fix(paths, settings, unsafe=unsafe_fixes, **asked)
            else:
                cache = _cache(settings, cache_dir, off=no_cache)
                report = engine.check(paths, settings, **asked, cache=cache, jobs=jobs or _cores())
    if diff:
        return _show_diff(fixed, quiet=quiet, exit_zero=exit_zero)
    told = ""
    if fix:
        report, told = _write_fixes(fixed, stdin, os.path.normpath(stdin_filename or inputs.STDIN_NAME))
    _write_problems(report)
    if report.stale and not quiet:
        _say(f"note: changed since the trace, which is ignored there: {', '.join(report.stale)}", sys.stderr)
    if report.gone and not quiet:
        _say(_gone(report.gone, settings.baseline or ""), sys.stderr)
    output = _Output(settings.output_format, output_file, statistics, quiet, unsafe_fixes, told)
    with _report_aside(fix and stdin is not None):
        _write_report(report, output)
    if exit_zero and not report.incomplete:
        return 0
    return report.exit_code


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cache(settings: Settings, folder: str | None, *, off: bool) -> Cache | None:
    """Where what is found is kept: beside the configuration, or in the working folder."""
    if off:
        return None
    from torchlint.cache import NAME, Cache  # noqa: PLC0415

    return Cache(folder or os.path.join(settings.root, NAME))


@cli.command()
@click.option("--cache-dir", metavar="FOLDER", help="Where it is.  [default: .torchlint_cache]")
@click.option("--config", metavar="FILE", shell_complete=completion.files, help="Read the settings from this file.")
def clean(cache_dir: str | None, config: str | None) -> int:
    """Remove the cache: what `check` found, kept for the next run. It goes in any case when it gets old."""
    with _faults():
        cache = _cache(_settings((".",), config, False, {}), cache_dir, off=False)
    assert cache is not None
    try:
        removed = cache.clear()
    except OSError as error:
        raise _Fault(f"{cache.folder}: {error.strerror or error}") from error
    if not removed and os.path.exists(cache.folder):
        raise _Fault(f"{cache.folder}: is no cache of torchlint, and stays")
    _say(f"{'Removed' if removed else 'There is no'} {os.path.normpath(cache.folder)}")
    return 0


@cli.command()
@click.argument("rule", shell_complete=completion.rules)
def explain(rule: str) -> int:
    """Print the page of a rule, given its code or name."""
    found = _rule(rule)
    from torchlint.report.style import wants_colour  # noqa: PLC0415

    if wants_colour(sys.stdout):
        from rich.console import Console  # noqa: PLC0415  # 60 ms
        from rich.markdown import Markdown  # noqa: PLC0415

        page = f"# {found.code}: {found.name}\n\n*{found.summary} ({found.severity})*\n\n{found.body}\n{found.cases}"
        Console(force_terminal=True).print(Markdown(page))
        return 0
    with open(found.path, encoding="utf-8") as file:
        _say(file.read().rstrip("\n"))
    return 0


@cli.command()
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", help="How to list them.")
def rules(output_format: str) -> int:
    """List the rules."""
    found = _rulebook()
    if output_format == "json":
        keys = ("code", "name", "summary", "group", "severity", "default", "fix", "since")
        _echo_json([{key: getattr(each, key) for key in keys} for each in found.values()])
        return 0
    from torchlint.report.style import style_for  # noqa: PLC0415

    style = style_for(sys.stdout)
    wide = max((len(each.name) for each in found.values()), default=0)
    for each in found.values():
        off = "" if each.default else style(" (off by default)", "dim")
        _say(f"{style(each.code, each.severity)}  {each.name.ljust(wide)}  {each.summary}{off}")
    return 0


@cli.command("test")
@click.argument("pages", nargs=-1, required=True, shell_complete=completion.files)
@click.option(
    "--config",
    metavar="FILE",
    shell_complete=completion.files,
    help="Read the settings, and with them your contracts, from this file.",
)
def test_pages(pages: tuple[str, ...], config: str | None) -> int:
    """Run the examples of rulebook pages: Markdown files, or folders of them."""
    from pathlib import Path  # noqa: PLC0415

    from torchlint import testing  # noqa: PLC0415
    from torchlint.report.style import style_for  # noqa: PLC0415

    files = _pages(pages)
    with _faults():
        settings = _settings(pages, config, False, {})
    style = style_for(sys.stdout)
    failed = total = 0
    for file in files:
        try:
            with _faults():
                results = testing.run_page(Path(file), settings)
        except testing.PageError as error:
            raise _Fault(str(error)) from error
        for result in results:
            total += 1
            failed += not result.passed
            mark = style("pass", "good") if result.passed else style("FAIL", "error")
            _say(f"{mark}  {file}:{result.line}  {result.title}")
            for line in result.message.splitlines() if not result.passed else ():
                _say(f"      {line}")
    _say(f"{total - failed} passed, {failed} failed in {_count(len(files), 'page')}")
    return int(failed > 0)


@cli.command("baseline")
@click.argument("paths", nargs=-1, shell_complete=completion.files)
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    shell_complete=completion.files,
    help="The file to write.  [default: that of the settings, or .torchlint-baseline.json]",
)
@click.option("--prune", is_flag=True, help="Only take out what is no longer found; add nothing.")
@click.option("--confidence", type=click.Choice(["certain", "likely"]), help="Also what is merely likely.")
@click.option("--config", metavar="FILE", shell_complete=completion.files, help="Read the settings from this file.")
@click.option("--isolated", is_flag=True, help="Read no settings from files.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing if all is well.")
def write_baseline(
    paths: tuple[str, ...],
    output: str | None,
    prune: bool,
    config: str | None,
    isolated: bool,
    quiet: bool,
    **overrides: Any,
) -> int:
    """Write the findings of today to a file; `check --baseline FILE` then reports only new ones.

    A finding is known by its rule, its file, and the text of the flagged lines, so that it stays known when lines move.
    What the file holds of files that are not among PATHS is kept.
    """
    from torchlint import baseline, engine  # noqa: PLC0415

    with _faults():
        settings = _settings(paths or (".",), config, isolated, overrides)
        file = output or settings.baseline or baseline.NAME
        known = baseline.load(file) if prune or os.path.exists(file) else baseline.Baseline(file)
        settings = settings._replace(baseline=None)
        with _progress(quiet) as progress:
            report = engine.check(paths or (".",), settings, progress=progress)
        if report.incomplete and not report.files:
            _write_problems(report)
            raise _Fault(f"{file}: not written, since nothing could be linted")
        found = baseline.of(file, report.diagnostics, report.sources)
        change = baseline.pruned if prune else baseline.renewed
        new = change(known, found, engine.covers(known, report, settings))
        baseline.write(new)
    _write_problems(report)
    if not quiet:
        _say(_written(known, new, prune))
    return USAGE if report.incomplete else 0


def _written(known: Baseline, new: Baseline, prune: bool) -> str:
    from torchlint.config import display  # noqa: PLC0415

    file = display(new.file)
    if prune:
        return f"{file}: {_count(known.total - new.total, 'finding')} taken out, {new.total} left"
    files = _count(len({entry.path for entry in new.entries}), "file")
    return f"{file}: {_count(new.total, 'finding')} in {files}"


def _gone(number: int, file: str) -> str:
    from torchlint.baseline import NAME  # noqa: PLC0415
    from torchlint.config import display  # noqa: PLC0415

    what = "1 finding of {} is" if number == 1 else f"{number} findings of {{}} are"
    option = "" if display(file) == NAME else f" --output {display(file)}"
    return f"note: {what.format(display(file))} gone; drop with `torchlint baseline --prune{option}`"


@cli.command("trace", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("-m", "module", is_flag=True, help="SCRIPT is the name of a module, as for `python -m`.")
@click.option(
    "--steps",
    metavar="N",
    type=click.IntRange(1),
    default=8,
    show_default=True,
    help="End after so many steps of an optimizer.",
)
@click.option(
    "--batches",
    metavar="N",
    type=click.IntRange(1),
    default=4,
    show_default=True,
    help="Take so many batches of each loader in each pass.",
)
@click.option("--check", "with_check", is_flag=True, help="Lint the working folder afterwards, with what was seen.")
@click.option("--full", is_flag=True, help="No dry run: run to the end, and look at some of the calls.")
@click.option(
    "--device",
    type=click.Choice(["real", "fake"]),
    default="real",
    show_default=True,
    help="Where the script says, or on a fake device: shapes, dtypes and devices are checked without memory and values.",
)
@click.option(
    "--output-format",
    type=click.Choice(["full", "json", "html"]),
    default="full",
    help="How to report: a table, JSON, or a page.",
)
@click.option(
    "--output-file", "-o", metavar="FILE", shell_complete=completion.files, help="Write the report to a file."
)
@click.option(
    "--config",
    metavar="FILE",
    shell_complete=completion.files,
    help="Read the settings, and with them your contracts, from this file.",
)
@click.option("--isolated", is_flag=True, help="Read no settings from files.")
@click.argument("script", shell_complete=completion.files)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def trace_script(
    module: bool,
    script: str,
    arguments: tuple[str, ...],
    config: str | None,
    isolated: bool,
    with_check: bool,
    **given: Any,
) -> int:
    """Run a training script for a few steps and tell what its losses really get: shapes, types, ranges, and what is wrong.

    Unlike `check`, this runs the code, and needs torch. Options of the tracer stand before SCRIPT, those of the script
    behind it. Exit code 0: nothing wrong was seen; 1: something was; 3: a fake run was stopped by code that needs values;
    otherwise that of the script, if it ended with an error of its own.
    """
    from torchlint import engine, selected  # noqa: PLC0415

    with _faults():
        settings = _settings((".",), config, isolated, {})
        contracts = selected.load_contracts(settings)
    try:
        from torchlint.trace import command, runner  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise _Fault("trace runs your training code, and torch is not installed here") from error
    if given["full"] and given["device"] == "fake":
        raise _Fault("a fake run is always a dry run: leave out --full")
    with _faults():
        program = runner.module(script) if module else runner.script(script)
    lint = (lambda: engine.check((".",), settings)) if with_check else None
    with _faults():
        return command.trace(program, arguments, command.Options(**given), contracts, lint)


@cli.command()
@click.option("--stdio", is_flag=True, help="Talk over standard input and output (the default; some editors pass it).")
def server(stdio: bool) -> int:
    """Serve an editor: a language server (LSP) on standard input and output. Needs `pip install 'torchlint[server]'`."""
    try:
        from torchlint.server import protocol  # noqa: PLC0415  # 0.4 s
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in {"pygls", "lsprotocol"}:
            raise
        raise _Fault("the language server needs pygls 2: python -m pip install 'torchlint[server]'") from error
    return protocol.serve()


@cli.command("config")
@click.argument("paths", nargs=-1, shell_complete=completion.files)
@click.option("--show", is_flag=True, help="Print the settings that hold, and the file they come from (the default).")
@click.option("--config", metavar="FILE", shell_complete=completion.files, help="Read the settings from this file.")
@click.option("--isolated", is_flag=True, help="Read no settings from files.")
def show_config(paths: tuple[str, ...], show: bool, config: str | None, isolated: bool) -> int:
    """Print the settings that `check` would use for these paths, as JSON."""
    from torchlint import rulebook  # noqa: PLC0415
    from torchlint.config import selection  # noqa: PLC0415

    with _faults():
        settings = _settings(paths or (".",), config, isolated, {})
        codes = selection(settings, rulebook.load()).codes
    shown = {
        name.replace("_", "-"): value
        for name, value in settings._asdict().items()
        if name not in ("given", "noqa", "fixes")
    }
    _echo_json({**shown, "rules": sorted(codes)})
    return 0


def _settings(paths: Sequence[str], config: str | None, isolated: bool, overrides: Mapping[str, Any]) -> Settings:
    from torchlint import config as configuration  # noqa: PLC0415

    settings = configuration.load(paths, config=config, isolated=isolated)
    lists = ("select", "ignore", "extend_select", "exclude", "extend_exclude")
    given = {key: _split(value) if key in lists else value for key, value in overrides.items()}
    given["per_file_ignores"] = _per_file(overrides.get("per_file_ignores") or ())
    return configuration.override(settings, **given)


def _split(value: str | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(part.strip() for part in value.split(",") if part.strip())


def _per_file(given: Sequence[str]) -> dict[str, tuple[str, ...]] | None:
    """`PATTERN:CODE`, several separated by commas or given as several options."""
    table: dict[str, tuple[str, ...]] = {}
    for pair in (part.strip() for each in given for part in each.split(",")):
        pattern, colon, code = pair.rpartition(":")
        if not (pattern.strip() and colon and code.strip()):
            raise _Fault(f"--per-file-ignores: expected PATTERN:CODE, got {pair!r}")
        table[pattern.strip()] = (*table.get(pattern.strip(), ()), code.strip())
    return table or None


@contextmanager
def _faults() -> Iterator[None]:
    """Turn what the user can mend, in settings, contracts and pages, into one line and exit code 2."""
    try:
        yield
    except UserError as error:
        raise _Fault(str(error)) from error


def _watch(paths: Sequence[str], settings: Callable[[], Settings]) -> int:
    """Run the present command again and again; what is wrong with settings may be mended meanwhile."""
    from torchlint import watch  # noqa: PLC0415
    from torchlint.config import Settings  # noqa: PLC0415

    def look() -> watch.Snapshot:
        try:
            return watch.watched(paths, settings())
        except UserError:
            return watch.watched(paths, Settings())

    context = click.get_current_context()
    options = {**context.params, "watch": False}
    for seen in watch.changes(look):
        if sys.stdout.isatty():
            sys.stdout.write("\x1b[2J\x1b[H")  # clears the screen
        try:
            context.invoke(context.command, **options)
        except click.ClickException as error:
            error.show()
        sys.stdout.flush()
        _say(f"Watching {_count(len(seen), 'file')}; Ctrl-C ends it.", sys.stderr)
    return INTERRUPTED  # by Ctrl-C, before this line


@contextmanager
def _progress(off: bool) -> Iterator[Progress | None]:
    """A progress bar on standard error, if that is a terminal and the run takes more than a second."""
    if off or not sys.stderr.isatty():
        yield None
        return
    from torchlint.report.progress import Bar  # noqa: PLC0415

    with Bar() as bar:
        yield bar


def _write_problems(report: Report) -> None:
    if not report.problems:
        return
    from torchlint.report import concise  # noqa: PLC0415
    from torchlint.report.style import style_for  # noqa: PLC0415

    style = style_for(sys.stderr)
    for problem in report.problems:
        _say(concise.problem(problem, style), sys.stderr)
    if any(problem.internal for problem in report.problems):
        version = f"torchlint {__version__}, Python {sys.version.split()[0]}, {sys.platform}"
        _say(
            f"An internal error is a defect of torchlint; the other files were linted. Please report it with the file, "
            f"the command ({' '.join(['torchlint', *sys.argv[1:]])}) and the version ({version}).",
            sys.stderr,
        )


def _show_diff(fixed: Fixed, *, quiet: bool, exit_zero: bool) -> int:
    """Print what the fixes would change; the findings are not reported."""
    from torchlint import fixes  # noqa: PLC0415

    _write_problems(fixed.report)
    sys.stdout.write(fixes.diff(fixed.before, fixed.after))
    if not quiet:
        files = _count(len(fixed.after), "file")
        what = f"Would fix {_count(len(fixed.repaired), 'finding')} in {files}" if fixed.after else "Nothing to fix"
        _say(f"{what}{_waiting(fixed)}", sys.stderr)
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
    files = _count(len(fixed.after) - len(problems), "file")
    told = f"Fixed {_count(count, 'finding')} in {files}" if count else "Nothing fixed"
    return report, f"{told}{_waiting(fixed)}"


def _waiting(fixed: Fixed) -> str:
    left = len(fixed.waiting)
    return f"; left out {_count(left, 'fix', 'fixes')} that cannot be written or clash with another" if left else ""


@contextmanager
def _report_aside(aside: bool) -> Iterator[None]:
    """Report on standard error where standard output takes the repaired code."""
    if not aside:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


class _Output(NamedTuple):
    """How a run is reported. `told` is what its fixes came to."""

    format: str
    file: str | None
    statistics: bool
    quiet: bool
    unsafe: bool
    told: str


def _write_report(report: Report, output: _Output) -> None:
    from torchlint.report.style import plain, style_for  # noqa: PLC0415

    if output.file is None:
        sys.stdout.write(_rendered(report, output, style_for(sys.stdout)))
    else:
        text = _rendered(report, output, plain)
        try:
            with open(output.file, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError as error:
            raise _Fault(f"--output-file: {output.file}: {error.strerror or error}") from error
    if not report.files and not report.problems:
        _say("warning: no Python files found under the given paths", sys.stderr)
    elif not output.quiet and output.format in ("full", "concise", "github"):
        for line in (output.told, _summary(report, style_for(sys.stdout)), _fixable(report, unsafe=output.unsafe)):
            if line:
                _say(line)


def _rendered(report: Report, output: _Output, style: Style) -> str:
    diagnostics = report.diagnostics
    if output.statistics:
        return _statistics(diagnostics, output.format, style)
    if output.format == "json":
        from torchlint.report import json  # noqa: PLC0415

        return json.render(diagnostics, report.coverage)
    if output.format in _FOR_SERVERS:
        return _for_server(report, output.format)
    return _findings(report, output, style) + _coverage(report.coverage, output.format, style)


def _for_server(report: Report, output_format: str) -> str:
    from torchlint.report import github, gitlab, junit, sarif  # noqa: PLC0415

    by_format = {"github": github.render, "gitlab": gitlab.render, "junit": junit.render, "sarif": sarif.render}
    return by_format[output_format](report)


def _findings(report: Report, output: _Output, style: Style) -> str:
    if not report.diagnostics:
        return ""
    from torchlint.report import concise, text  # noqa: PLC0415

    if output.format == "concise":
        return concise.render(report.diagnostics, style, unsafe=output.unsafe)
    return text.render(report.diagnostics, report.sources, style, unsafe=output.unsafe)


def _coverage(coverage: Coverage | None, output_format: str, style: Style) -> str:
    if coverage is None:
        return ""
    from torchlint.report import coverage as lists  # noqa: PLC0415

    return lists.concise(coverage, style) if output_format == "concise" else lists.render(coverage, style)


def _statistics(diagnostics: Sequence[Diagnostic], output_format: str, style: Style) -> str:
    counts: dict[tuple[str, str, str], int] = {}
    for each in diagnostics:
        key = (each.code, each.name, each.severity)
        counts[key] = counts.get(key, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if output_format == "json":
        return _json([{"code": code, "name": name, "count": count} for (code, name, _), count in ordered])
    wide = max((len(str(count)) for count in counts.values()), default=0)
    return "".join(f"{count:>{wide}}  {style(code, severity)}  {name}\n" for (code, name, severity), count in ordered)


def _summary(report: Report, style: Style) -> str:
    if report.coverage is None:
        return _found(report, style)
    from torchlint.report.coverage import totals  # noqa: PLC0415

    return f"{_found(report, style)}\n{totals(report.coverage)}"


def _found(report: Report, style: Style) -> str:
    hidden = f"; the baseline hides {_count(report.hidden, 'finding')}" if report.hidden else ""
    checked = f"(checked {_count(report.files, 'file')}{hidden})"
    if not report.diagnostics:
        return f"{style('No findings', 'good' if not report.problems else 'bold')} {checked}"
    severities = [each.severity for each in report.diagnostics]
    kinds = (("error", "error"), ("warning", "warning"), ("info", "note"))
    counts = [_count(severities.count(kind), word) for kind, word in kinds if kind in severities]
    places = len({each.place.path for each in report.diagnostics})
    return f"Found {', '.join(counts)} in {_count(places, 'file')} {checked}"


def _fixable(report: Report, *, unsafe: bool) -> str:
    """How many of the findings which option would repair."""
    safeties = [fix.safety for each in report.diagnostics for fix in each.fixes[:1]]
    safe = safeties.count("safe") + (safeties.count("unsafe") if unsafe else 0)
    hidden = 0 if unsafe else safeties.count("unsafe")
    if safe:
        more = f", {hidden} more with --unsafe-fixes" if hidden else ""
        return f"[*] {safe} can be fixed with --fix{more}"
    return f"{hidden} can be fixed with --fix --unsafe-fixes" if hidden else ""


def _count(number: int, word: str, plural: str = "") -> str:
    return f"{number} {word if number == 1 else plural or word + 's'}"


def _json(value: Any) -> str:
    import json  # noqa: PLC0415

    return json.dumps(value, indent=2) + "\n"


def _echo_json(value: Any) -> None:
    sys.stdout.write(_json(value))


def _rulebook() -> dict[str, Rule]:
    with _faults():
        from torchlint import rulebook  # noqa: PLC0415

        return rulebook.load()


def _rule(given: str) -> Rule:
    found = _rulebook()
    for rule in found.values():
        if given.upper() == rule.code or given.lower() == rule.name:
            return rule
    from torchlint.config import suggest  # noqa: PLC0415

    names = [*found, *(rule.name for rule in found.values())]
    raise _Fault(f'there is no rule "{given}"{suggest(given, names)}; `torchlint rules` lists them')


def _pages(paths: Sequence[str]) -> list[str]:
    """The Markdown pages among paths and folders; a folder's README is no page."""
    files: list[str] = []
    for path in paths:
        if os.path.isdir(path):
            names = sorted(os.listdir(path))
            found = [os.path.join(path, name) for name in names if name.endswith(".md") and name != "README.md"]
            if not found:
                raise _Fault(f"{path}: has no pages (*.md)")
            files += found
        elif os.path.isfile(path):
            files.append(path)
        else:
            raise _Fault(f"{path}: no such file or folder")
    return files
