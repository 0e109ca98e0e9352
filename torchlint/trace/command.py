"""`torchlint trace`: a dry run of a script or module, and its report."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from torchlint import observed
from torchlint.contracts import Contracts
from torchlint.data import TRACE
from torchlint.trace import ranks, runner
from torchlint.trace.children import Children, never, terminate
from torchlint.trace.fake import STOPPED
from torchlint.trace.family import Family
from torchlint.trace.limits import leave
from torchlint.trace.report import Result, as_data
from torchlint.trace.running import Running, Settings

if TYPE_CHECKING:
    from torchlint.outcome import Report


class Options(NamedTuple):
    """How to trace. `steps` and `batches` limit a dry run, which `full` turns off."""

    steps: int = 8
    batches: int = 4
    full: bool = False
    device: str = "real"
    output_format: str = "full"
    output_file: str | None = None


def trace(
    program: runner.Program,
    arguments: Sequence[str],
    options: Options,
    contracts: Contracts,
    check: Callable[[], Report] | None = None,
) -> int:
    """Run the program traced, keep what was seen for `torchlint check`, and report; `check` lints afterwards.

    The exit code is the program's if that is not 0, else 1 if anything is wrong.
    """
    home = os.getcwd()
    rank = ranks.here(os.environ)
    aside = runner.Aside() if options.output_format in ("json", "html") and options.output_file is None else None
    family = Family()

    def report(code: int) -> int:
        children.end_others()
        result = family.gather(running.stop())
        if result.fake is not None and result.fake.halt is not None:
            code = code or STOPPED
        if rank is not None:
            if not rank.reports:
                ranks.send(rank, result)
                return code
            result = ranks.gather(rank, result)
        _keep(as_data(result), home)
        lint = check() if check is not None else None
        _write(result, contracts, options, os.path.basename(program.path), aside, lint)
        return code or int(result.bad) or (0 if lint is None else lint.exit_code)

    def give_up() -> None:
        if children.claim():
            code = report(0)
            sys.stdout.flush()
            sys.stderr.flush()
            terminate()
            leave(code)

    settings = Settings(
        script=os.path.abspath(program.path),
        contracts=contracts,
        keep=(home, program.folder),
        own=(family.folder,),
        steps=options.steps,
        batches=options.batches,
        full=options.full,
        fake=options.device == "fake",
    )
    running = Running(settings, give_up, None if rank is None else os.path.join(rank.folder, "files"))
    running.start()
    children = Children(family, settings, running)
    children.install()
    ended = runner.run(program, arguments)
    return report(ended.code) if children.claim() else never()


def _keep(data: dict[str, Any], home: str) -> None:
    """Write what was seen to where `torchlint check` looks for it; one that cannot be written is only missed."""
    os.chdir(home)
    files = {}
    for path in {site["filename"] for site in data["sites"]}:
        with suppress(OSError), open(path, "rb") as file:
            files[os.path.realpath(path)] = observed.digest(file.read())
    with suppress(OSError):
        os.makedirs(os.path.dirname(TRACE), exist_ok=True)
        with open(TRACE, "w", encoding="utf-8") as target:
            json.dump({"version": observed.VERSION, "files": files, **data}, target)


def _hand_over(text: str, options: Options, aside: runner.Aside | None) -> None:
    """Write a report that stands alone, to its file or to standard output."""
    if aside is not None:
        aside.write(text)
    else:
        assert options.output_file is not None
        with open(options.output_file, "w", encoding="utf-8") as file:
            file.write(text)


def _write(
    result: Result,
    contracts: Contracts,
    options: Options,
    program: str,
    aside: runner.Aside | None,
    lint: Report | None,
) -> None:
    if options.output_format == "html":
        from torchlint.trace.page import render  # noqa: PLC0415

        _hand_over(render(result, contracts, program, None if lint is None else lint.diagnostics), options, aside)
        return
    if options.output_format == "json":
        data = as_data(result)
        if lint is not None:
            from torchlint.report.json import entry  # noqa: PLC0415

            data["diagnostics"] = [entry(each) for each in lint.diagnostics]
        _hand_over(json.dumps(data, indent=2, allow_nan=False) + "\n", options, aside)
        return
    from torchlint.trace.table import write  # noqa: PLC0415  # rich: 60 ms

    if options.output_file is not None:
        with open(options.output_file, "w", encoding="utf-8") as file:
            write(result, contracts, file)
    else:
        write(result, contracts, sys.stdout)
    if lint is not None:
        from torchlint.report import text as findings  # noqa: PLC0415
        from torchlint.report.style import style_for  # noqa: PLC0415

        sys.stdout.write("\n" + findings.render(lint.diagnostics, lint.sources, style_for(sys.stdout)))
