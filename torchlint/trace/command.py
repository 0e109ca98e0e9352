"""`torchlint trace`: a dry run of a script or module, and its report."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from torchlint.contracts import Contracts
from torchlint.trace import runner
from torchlint.trace.limits import Limits, leave
from torchlint.trace.overlay import Overlay
from torchlint.trace.session import Trace


class Options(NamedTuple):
    """How to trace. `steps` and `batches` limit a dry run, which `full` turns off."""

    steps: int = 8
    batches: int = 4
    full: bool = False
    output_format: str = "full"
    output_file: str | None = None


def trace(program: runner.Program, arguments: Sequence[str], options: Options, contracts: Contracts) -> int:
    """Run the program traced and report. The exit code is the program's if that is not 0, else 1 if anything is wrong."""
    aside = runner.Aside() if options.output_format == "json" and options.output_file is None else None
    session: Trace

    def report(code: int) -> int:
        session.stop()
        if overlay is not None:
            overlay.close()
        result = session.report()
        _write(session, options, aside)
        return code or int(result.bad)

    def give_up() -> None:
        code = report(0)
        sys.stdout.flush()
        sys.stderr.flush()
        leave(code)

    overlay = None if options.full else Overlay((os.getcwd(), program.folder))
    limits = None if options.full else Limits(options.steps, options.batches, give_up)
    session = Trace(contracts, script=program.path, limits=limits)
    session.start()
    if limits is not None:
        _run_eagerly(session)
    if overlay is not None:
        overlay.install(session.patches)
        sys.dont_write_bytecode = True
        os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
        os.environ.setdefault("WANDB_MODE", "disabled")  # it writes in a process of its own
    ended = runner.run(program, arguments)
    return report(ended.code)


def _run_eagerly(session: Trace) -> None:
    """Let compiled models run as they are written, so that their losses and activations are seen."""
    import torch  # noqa: PLC0415

    def eager(compile_: object) -> object:
        def call(*args: object, **kwargs: object) -> object:
            torch.compiler.set_stance("force_eager")  # imports the compiler, which few scripts need
            return compile_(*args, **kwargs)  # type: ignore[operator]

        return call

    session.patches.replace(torch, "compile", eager)


def _write(session: Trace, options: Options, aside: runner.Aside | None) -> None:
    from torchlint.trace.report import render_json  # noqa: PLC0415

    result = session.report()
    if options.output_format == "json":
        text = render_json(result)
        if aside is not None:
            aside.write(text)
        else:
            assert options.output_file is not None
            with open(options.output_file, "w", encoding="utf-8") as file:
                file.write(text)
        return
    from torchlint.trace.table import write  # noqa: PLC0415  # rich: 60 ms

    if options.output_file is not None:
        with open(options.output_file, "w", encoding="utf-8") as file:
            write(result, session.contracts, file)
    else:
        write(result, session.contracts, sys.stdout)
