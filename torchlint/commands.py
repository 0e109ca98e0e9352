"""The commands and their options, for click. What costs time to import is imported by the command that needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from torchlint import __version__, checking, completion
from torchlint.errors import INTERRUPTED, USAGE, UserError
from torchlint.report.run import as_json, count_of, say, write_problems

if TYPE_CHECKING:
    from torchlint.baseline import Baseline
    from torchlint.config import Settings
    from torchlint.rulebook import Rule


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


def run(arguments: Sequence[str] | None) -> int:
    """Run the command that the arguments name (None: those of the process), and give its exit code. Raises UserError."""
    if completion.VARIABLE in os.environ:
        completion.mend_fish()
    try:
        code = cli.main(args=arguments, prog_name="torchlint", standalone_mode=False)
    except click.exceptions.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return code if isinstance(code, int) else 0


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
def check(**options: Any) -> int:
    """Lint files and folders (default: the working folder). '-' is standard input.

    What .gitignore and the settings leave out is taken only if it is named itself. A file that may call a loss and has more
    than 1 MB of Python code is refused. '# torchlint: ignore[CODE] reason' or '# noqa: CODE' hides a finding of its line.

    Exit code 0: nothing found but notes; 1: errors or warnings, or files that are no valid Python; 2: a path that cannot be
    read, wrong usage or settings, or a defect of torchlint.
    """

    return checking.check(checking.Options(**options))


@cli.command()
@click.option("--cache-dir", metavar="FOLDER", help="Where it is.  [default: .torchlint_cache]")
@click.option("--config", metavar="FILE", shell_complete=completion.files, help="Read the settings from this file.")
def clean(cache_dir: str | None, config: str | None) -> int:
    """Remove the cache: what `check` found, kept for the next run. It goes in any case when it gets old."""
    cache = checking.cache_for(_settings((".",), config), cache_dir)
    try:
        removed = cache.clear()
    except OSError as error:
        raise UserError(f"{cache.folder}: {error.strerror or error}") from error
    if not removed and os.path.exists(cache.folder):
        raise UserError(f"{cache.folder}: is no cache of torchlint, and stays")
    say(f"{'Removed' if removed else 'There is no'} {os.path.normpath(cache.folder)}")
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
        say(file.read().rstrip("\n"))
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
        say(f"{style(each.code, each.severity)}  {each.name.ljust(wide)}  {each.summary}{off}")
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
    settings = _settings(pages, config)
    style = style_for(sys.stdout)
    failed = total = 0
    for file in files:
        for result in testing.run_page(Path(file), settings):
            total += 1
            failed += not result.passed
            mark = style("pass", "good") if result.passed else style("FAIL", "error")
            say(f"{mark}  {file}:{result.line}  {result.title}")
            for line in result.message.splitlines() if not result.passed else ():
                say(f"      {line}")
    say(f"{total - failed} passed, {failed} failed in {count_of(len(files), 'page')}")
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
    confidence: str | None,
) -> int:
    """Write the findings of today to a file; `check --baseline FILE` then reports only new ones.

    A finding is known by its rule, its file, and the text of the flagged lines, so that it stays known when lines move.
    What the file holds of files that are not among PATHS is kept.
    """
    from torchlint import baseline, engine  # noqa: PLC0415

    settings = _settings(paths or (".",), config, isolated, confidence)
    file = output or settings.baseline or baseline.NAME
    known = baseline.load(file) if prune or os.path.exists(file) else baseline.Baseline(file)
    settings = settings._replace(baseline=None)
    with checking.progress_bar(quiet) as progress:
        report = engine.check(paths or (".",), settings, progress=progress)
    if report.incomplete and not report.files:
        write_problems(report)
        raise UserError(f"{file}: not written, since nothing could be linted")
    found = baseline.of(file, report.diagnostics, report.sources)
    change = baseline.pruned if prune else baseline.renewed
    new = change(known, found, engine.covers(known, report, settings))
    baseline.write(new)
    write_problems(report)
    if not quiet:
        say(_written(known, new, prune))
    return USAGE if report.incomplete else 0


def _written(known: Baseline, new: Baseline, prune: bool) -> str:
    from torchlint.config import display  # noqa: PLC0415

    file = display(new.file)
    if prune:
        return f"{file}: {count_of(known.total - new.total, 'finding')} taken out, {new.total} left"
    files = count_of(len({entry.path for entry in new.entries}), "file")
    return f"{file}: {count_of(new.total, 'finding')} in {files}"


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

    settings = _settings((".",), config, isolated)
    contracts = selected.load_contracts(settings)
    try:
        from torchlint.trace import command, runner  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise UserError("trace runs your training code, and torch is not installed here") from error
    if given["full"] and given["device"] == "fake":
        raise UserError("a fake run is always a dry run: leave out --full")
    program = runner.module(script) if module else runner.script(script)
    lint = (lambda: engine.check((".",), settings)) if with_check else None
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
        raise UserError("the language server needs pygls 2: python -m pip install 'torchlint[server]'") from error
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

    settings = _settings(paths or (".",), config, isolated)
    codes = selection(settings, rulebook.load()).codes
    shown = {
        name.replace("_", "-"): value
        for name, value in settings._asdict().items()
        if name not in ("given", "noqa", "fixes")
    }
    _echo_json({**shown, "rules": sorted(codes)})
    return 0


def _settings(
    paths: Sequence[str], config: str | None, isolated: bool = False, confidence: str | None = None
) -> Settings:
    options = checking.Options(config=config, isolated=isolated, confidence=confidence)
    return checking.settings_for(options, paths)


def _echo_json(value: Any) -> None:
    sys.stdout.write(as_json(value))


def _rulebook() -> dict[str, Rule]:
    from torchlint import rulebook  # noqa: PLC0415

    return rulebook.load()


def _rule(given: str) -> Rule:
    found = _rulebook()
    for rule in found.values():
        if given.upper() == rule.code or given.lower() == rule.name:
            return rule
    from torchlint.config import suggest  # noqa: PLC0415

    names = [*found, *(rule.name for rule in found.values())]
    raise UserError(f'there is no rule "{given}"{suggest(given, names)}; `torchlint rules` lists them')


def _pages(paths: Sequence[str]) -> list[str]:
    """The Markdown pages among paths and folders; a folder's README is no page."""
    files: list[str] = []
    for path in paths:
        if os.path.isdir(path):
            names = sorted(os.listdir(path))
            found = [os.path.join(path, name) for name in names if name.endswith(".md") and name != "README.md"]
            if not found:
                raise UserError(f"{path}: has no pages (*.md)")
            files += found
        elif os.path.isfile(path):
            files.append(path)
        else:
            raise UserError(f"{path}: no such file or folder")
    return files
