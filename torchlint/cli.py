"""The command line: arguments in, an exit code out. `torchlint check PATH...`, as most calls are, does without click."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from torchlint.errors import INTERRUPTED, USAGE, UserError

BROKEN_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit. Ctrl-C and a closed pipe end it quietly. Without arguments, it is the process's own."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a message never fails for the terminal's encoding
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        with suppress(OSError):
            sys.stderr.write("\n")  # the terminal shows ^C; click does the same
        code = INTERRUPTED
    except BrokenPipeError:
        _write_no_more()
        code = BROKEN_PIPE
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        _write_no_more()
        code = _refused(UserError(f"standard output: {error.strerror}"))
    except UserError as error:
        code = _refused(error)
    if arguments is None:
        # Taking modules and syntax trees apart at the end would cost 10 ms on the shortest run, more on a long one.
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    """Run a command. click takes three times as long to import as a file without losses takes to check."""
    paths = plain_check(sys.argv[1:] if arguments is None else arguments)
    if paths is None:
        from torchlint import commands  # noqa: PLC0415

        return commands.run(arguments)
    from torchlint import checking  # noqa: PLC0415

    return checking.check(checking.Options(paths))


def plain_check(arguments: Sequence[str]) -> tuple[str, ...] | None:
    """The paths of `check PATH...`, where there is nothing to parse: no option, and no pattern, which click resolves on Windows."""
    command, *paths = arguments or ("",)
    plain = command == "check" and not any(path.startswith("-") or set(path) & set("*?[~%$") for path in paths)
    return tuple(paths) if plain else None


def _refused(error: UserError) -> int:
    from torchlint.report.run import say_error  # noqa: PLC0415

    say_error(error)
    return USAGE


def _write_no_more() -> None:
    """Let standard output lead nowhere: Python would complain when it flushes on exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
