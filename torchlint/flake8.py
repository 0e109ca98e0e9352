"""The flake8 plugin: what `torchlint check` finds in the paths that flake8 was given, told file by file.

A finding depends on other files than its own, so all paths are linted at once, before flake8 looks at the first file: its
processes share what was found. flake8 itself applies its options and `# noqa` to what is told.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import os
import sys
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from flake8 import exceptions, utils

from torchlint import __version__

if TYPE_CHECKING:
    from types import FrameType

    from torchlint.config import Settings
    from torchlint.diagnostics import Diagnostic
    from torchlint.outcome import Report

NOT_LINTED = "TLN000"
"""The code for a file that torchlint could not read though Python can."""


SHARED = "TORCHLINT_FLAKE8_FOUND"
"""The variable that tells flake8's processes, where they are started afresh, of the file with what was found."""


class Told(NamedTuple):
    """A finding as flake8 takes it: its columns count from 0."""

    line: int
    column: int
    text: str


Found = Mapping[str, Sequence[Told]]
"""What is told of each file, by its absolute path."""


class _Asked(NamedTuple):
    """What flake8 was asked for, as far as it changes what is found."""

    paths: tuple[str, ...]
    stdin_name: str
    noqa: bool
    selected: tuple[str, ...]


class Checker:
    """Made by flake8 for each file. Asking for the `tree` makes it a plugin for whole files."""

    name = "torchlint"
    version = __version__
    options: ClassVar[argparse.Namespace]
    known: ClassVar[tuple[_Asked, Found] | None] = None

    def __init__(self, tree: object, filename: str) -> None:
        self.filename = filename

    @classmethod
    def parse_options(cls, options: argparse.Namespace) -> None:
        """Take flake8's options, and lint the paths now if they are known: before the processes of `--jobs` are started."""
        cls.options, cls.known = options, None
        if "-" not in options.filenames and (options.filenames or _is_program()):
            found = cls.found()
            if multiprocessing.get_start_method() != "fork" and multiprocessing.parent_process() is None:
                _share(_asked(options), found)

    @classmethod
    def found(cls) -> Found:
        """What was found; flake8's programming interface may change the paths from one use to the next."""
        asked = _asked(cls.options)
        if cls.known is None or cls.known[0] != asked:
            shared = _shared(asked)
            cls.known = asked, _find(asked, _jobs(cls.options)) if shared is None else shared
        return cls.known[1]

    def run(self) -> Iterator[tuple[int, int, str, type]]:
        """What is found in the file."""
        for each in self.found().get(os.path.abspath(self.filename), ()):
            yield each.line, each.column, each.text, type(self)


def _asked(options: argparse.Namespace) -> _Asked:
    selected = (*(options.select or ()), *(options.extend_select or ()))
    # `TLN` alone says that the plugin is wanted, as it has to where `--select` lists the others: not every rule there is.
    ours = tuple(code for code in selected if code.startswith("TLN") and code != "TLN")
    paths = tuple(options.filenames) or (".",)
    return _Asked(paths, options.stdin_display_name or "stdin", not options.disable_noqa, ours)


def _is_program() -> bool:
    """Whether flake8's command is being run, where no path means the working folder; its library gets the paths later."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__") == "flake8.main.cli":
            return True
        frame = frame.f_back
    return False


def _jobs(options: argparse.Namespace) -> int:
    """How many processes flake8 may use."""
    return int(multiprocessing.cpu_count() if options.jobs.is_auto else max(1, options.jobs.n_jobs))


def _share(asked: _Asked, found: Found) -> None:
    """Leave what was found to processes that share no memory with this one, as long as it runs."""
    import atexit  # noqa: PLC0415  # not where processes are forked
    import json  # noqa: PLC0415
    import tempfile  # noqa: PLC0415

    with suppress(OSError), tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump([asked, found], file)
        os.environ[SHARED] = file.name
        atexit.register(_forget, file.name)


def _forget(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)


def _shared(asked: _Asked) -> Found | None:
    """What the process that started this one has found; None if it was asked for something else."""
    if SHARED not in os.environ or multiprocessing.parent_process() is None:
        return None
    import json  # noqa: PLC0415  # as above

    try:
        with open(os.environ[SHARED], encoding="utf-8") as file:
            theirs, found = json.load(file)
    except (OSError, ValueError):
        return None
    if theirs != json.loads(json.dumps(asked)):
        return None
    return {path: [Told(*each) for each in told] for path, told in found.items()}


def _find(asked: _Asked, jobs: int) -> Found:
    """Lint the paths. Settings that cannot be used end flake8 with one line."""
    from torchlint import engine  # noqa: PLC0415
    from torchlint.errors import UserError  # noqa: PLC0415

    stdin = _bytes(utils.stdin_get_value()) if "-" in asked.paths else None
    try:
        settings = _settings(asked, stdin is not None)
        report = engine.check(asked.paths, settings, stdin=stdin, stdin_filename=asked.stdin_name, jobs=jobs)
    except UserError as error:
        raise exceptions.ExecutionError(f"torchlint: {error}") from error
    return _by_file(report)


def _settings(asked: _Asked, is_stdin: bool) -> Settings:
    """The settings that `torchlint check` finds. A rule that flake8 selects is on, unless the file's `ignore` knows better."""
    from torchlint import config  # noqa: PLC0415

    settings = config.load((asked.stdin_name,) if is_stdin else asked.paths)._replace(noqa=asked.noqa, fixes=False)
    if not asked.selected:
        return settings
    from torchlint import rulebook  # noqa: PLC0415

    rules = rulebook.load()
    known = tuple(code for code in asked.selected if config.codes_for(code, rules))
    return settings._replace(extend_select=(*settings.extend_select, *known))


def _by_file(report: Report) -> Found:
    found: dict[str, list[Told]] = {}
    for each in report.diagnostics:
        told = Told(each.place.line, each.place.column - 1, _text(each))
        found.setdefault(os.path.abspath(each.place.path), []).append(told)
    for problem in report.problems:
        from torchlint.report.concise import said  # noqa: PLC0415

        told = Told(problem.line or 1, (problem.column or 1) - 1, f"{NOT_LINTED} not linted: {said(problem)}")
        found.setdefault(os.path.abspath(problem.path), []).append(told)
    return found


def _text(diagnostic: Diagnostic) -> str:
    """The code, the message, and where the value comes from if that is another file."""
    from torchlint.report.concise import where  # noqa: PLC0415

    doubt = " [likely]" if diagnostic.confidence == "likely" else ""
    text = f"{diagnostic.code}{doubt} {diagnostic.message}"
    first = next(iter(diagnostic.trail), None)
    if first is None or first.place.path == diagnostic.place.path:
        return text
    return f"{text} ({where(first.place)}: {first.note})"


def _bytes(text: str) -> bytes:
    """A text that flake8 has decoded, as bytes in the encoding that it declares."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(text.encode()).readline)
        return text.encode(encoding)
    except (LookupError, SyntaxError, UnicodeError):
        return text.encode("utf-8", "surrogatepass")
