"""How a run of `torchlint check` is told: what went wrong, the findings in the format asked for, and a summary."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from torchlint import __version__
from torchlint.errors import UserError
from torchlint.report.style import Style, plain, style_for

if TYPE_CHECKING:
    from torchlint.coverage import Coverage
    from torchlint.diagnostics import Diagnostic
    from torchlint.outcome import Report

FOR_SERVERS = ("sarif", "github", "gitlab", "junit")
"""The formats of CI servers, which hold findings and nothing else."""


def say(text: str, stream: IO[str] | None = None) -> None:
    """A line to standard output. click's echo would guess about colours and encodings, which are settled here."""
    (stream or sys.stdout).write(f"{text}\n")


def say_error(error: UserError) -> None:
    """What the user can mend, in one line."""
    say(f"{style_for(sys.stderr)('error', 'error')}: {error}", sys.stderr)


def write_problems(report: Report) -> None:
    """What was not linted, on standard error."""
    if not report.problems:
        return
    from torchlint.report import concise  # noqa: PLC0415

    style = style_for(sys.stderr)
    for problem in report.problems:
        say(concise.problem(problem, style), sys.stderr)
    if any(problem.internal for problem in report.problems):
        version = f"torchlint {__version__}, Python {sys.version.split()[0]}, {sys.platform}"
        say(
            f"An internal error is a defect of torchlint; the other files were linted. Please report it with the file, "
            f"the command ({' '.join(['torchlint', *sys.argv[1:]])}) and the version ({version}).",
            sys.stderr,
        )


class Output(NamedTuple):
    """How a run is reported. `told` is what its fixes came to."""

    format: str
    file: str | None
    statistics: bool
    quiet: bool
    unsafe: bool
    told: str


def write_report(report: Report, output: Output) -> None:
    """The findings, and a summary where people read it."""
    if output.file is None:
        sys.stdout.write(_rendered(report, output, style_for(sys.stdout)))
    else:
        text = _rendered(report, output, plain)
        try:
            os.makedirs(os.path.dirname(output.file) or os.curdir, exist_ok=True)
            with open(output.file, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError as error:
            raise UserError(f"--output-file: {output.file}: {error.strerror or error}") from error
    if not report.files and not report.problems:
        say("warning: no Python files found under the given paths", sys.stderr)
    elif not output.quiet and output.format in ("full", "concise", "github"):
        for line in (output.told, _summary(report, style_for(sys.stdout)), _fixable(report, unsafe=output.unsafe)):
            if line:
                say(line)


def _rendered(report: Report, output: Output, style: Style) -> str:
    diagnostics = report.diagnostics
    if output.statistics:
        return _statistics(diagnostics, output.format, style)
    if output.format == "json":
        from torchlint.report import json  # noqa: PLC0415

        return json.render(diagnostics, report.coverage)
    if output.format in FOR_SERVERS:
        return _for_server(report, output.format)
    return _findings(report, output, style) + _coverage(report.coverage, output.format, style)


def _for_server(report: Report, output_format: str) -> str:
    from torchlint.report import github, gitlab, junit, sarif  # noqa: PLC0415

    by_format = {"github": github.render, "gitlab": gitlab.render, "junit": junit.render, "sarif": sarif.render}
    return by_format[output_format](report)


def _findings(report: Report, output: Output, style: Style) -> str:
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
        return as_json([{"code": code, "name": name, "count": count} for (code, name, _), count in ordered])
    wide = max((len(str(count)) for count in counts.values()), default=0)
    return "".join(f"{count:>{wide}}  {style(code, severity)}  {name}\n" for (code, name, severity), count in ordered)


def _summary(report: Report, style: Style) -> str:
    if report.coverage is None:
        return _found(report, style)
    from torchlint.report.coverage import totals  # noqa: PLC0415

    return f"{_found(report, style)}\n{totals(report.coverage)}"


def _found(report: Report, style: Style) -> str:
    hidden = f"; the baseline hides {count_of(report.hidden, 'finding')}" if report.hidden else ""
    checked = f"(checked {count_of(report.files, 'file')}{hidden})"
    if not report.diagnostics:
        return f"{style('No findings', 'good' if not report.problems else 'bold')} {checked}"
    severities = [each.severity for each in report.diagnostics]
    kinds = (("error", "error"), ("warning", "warning"), ("info", "note"))
    counts = [count_of(severities.count(kind), word) for kind, word in kinds if kind in severities]
    places = len({each.place.path for each in report.diagnostics})
    return f"Found {', '.join(counts)} in {count_of(places, 'file')} {checked}"


def _fixable(report: Report, *, unsafe: bool) -> str:
    """How many of the findings which option would repair."""
    safeties = [fix.safety for each in report.diagnostics for fix in each.fixes[:1]]
    safe = safeties.count("safe") + (safeties.count("unsafe") if unsafe else 0)
    hidden = 0 if unsafe else safeties.count("unsafe")
    if safe:
        more = f", {hidden} more with --unsafe-fixes" if hidden else ""
        return f"[*] {safe} can be fixed with --fix{more}"
    return f"{hidden} can be fixed with --fix --unsafe-fixes" if hidden else ""


def count_of(number: int, word: str, plural: str = "") -> str:
    """`1 file`, `2 files`."""
    return f"{number} {word if number == 1 else plural or word + 's'}"


def as_json(value: Any) -> str:
    """A value as JSON for people to read."""
    import json  # noqa: PLC0415

    return json.dumps(value, indent=2) + "\n"
