"""Apply fixes: choose those that go together, put their edits into the bytes of files, show them as a diff, write them.

No byte outside the edits changes, whatever the encoding, the line ends and the form of a notebook. What cannot be
written back so, or would no longer be Python, is refused.
"""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from torchlint.config import display
from torchlint.diagnostics import Diagnostic, Edit, Fix
from torchlint.source import Source, SourceError, encoding_of, from_bytes, is_notebook, split_lines
from torchlint.splice import Refused, ends, splices

Load = Callable[[str], bytes]
"""Gives the bytes of a file by its path."""

CHANGED = "it was changed while it was linted, and is left alone"


class Chosen(NamedTuple):
    """One round: the new bytes by path, the diagnostics that are repaired, and those whose fix has to wait or is refused."""

    files: dict[str, bytes]
    repaired: tuple[Diagnostic, ...]
    waiting: tuple[Diagnostic, ...]


def is_applied(fix: Fix, *, unsafe: bool) -> bool:
    """Whether a fix is one of those asked for."""
    return fix.safety == "safe" or (unsafe and fix.safety == "unsafe")


def choose(diagnostics: Sequence[Diagnostic], sources: Mapping[str, Source], now: Load, *, unsafe: bool) -> Chosen:
    """Take as many fixes as go together, in the order of the diagnostics; each is taken as a whole or not at all.

    `sources` are the texts that the diagnostics are about: a file that says something else by now is left alone.
    """
    wanted = [(each, fix) for each in diagnostics for fix in each.fixes[:1] if is_applied(fix, unsafe=unsafe)]
    refused: set[str] = set()
    while True:
        edits: dict[str, list[Edit]] = {}
        repaired: list[Diagnostic] = []
        waiting: list[Diagnostic] = []
        for diagnostic, fix in wanted:
            paths = {edit.place.path for edit in fix.edits}
            fresh = [edit for edit in fix.edits if edit not in edits.get(edit.place.path, ())]
            clash = any(_overlap(edit, other) for edit in fresh for other in edits.get(edit.place.path, ()))
            if clash or not refused.isdisjoint(paths):
                waiting.append(diagnostic)
                continue
            repaired.append(diagnostic)
            for edit in fresh:
                edits.setdefault(edit.place.path, []).append(edit)
        files: dict[str, bytes] = {}
        for path, each in edits.items():
            try:
                data = now(path)
                if from_bytes(path, data) != sources.get(path):
                    raise Refused(CHANGED)
                files[path] = rewritten(path, data, each)
            except (Refused, SourceError):
                refused.add(path)
        if refused.isdisjoint(edits):
            return Chosen(files, tuple(repaired), tuple(waiting))


def _overlap(a: Edit, b: Edit) -> bool:
    """Whether two edits touch the same text; an insertion touches what begins or ends there."""
    if a.place.cell != b.place.cell:
        return False
    (start, end), (other_start, other_end) = ends(a), ends(b)
    if start == end or other_start == other_end:
        return start <= other_end and other_start <= end
    return start < other_end and other_start < end


# ---- bytes


def rewritten(path: str, data: bytes, edits: Sequence[Edit]) -> bytes:
    """The bytes of a file with the edits made. Raises Refused."""
    if is_notebook(path):
        from torchlint import notebook  # noqa: PLC0415  # only for runs with notebooks

        by_cell: dict[int, list[Edit]] = {}
        for edit in edits:
            by_cell.setdefault(edit.place.cell or 0, []).append(edit)
        new = notebook.rewritten(path, data, by_cell)
    else:
        new = _rewritten_text(data, edits)
    _check(path, new)
    return new


def _rewritten_text(data: bytes, edits: Sequence[Edit]) -> bytes:
    mark, encoding = encoding_of(data)
    text = data[len(mark) :].decode(encoding)
    kept, out = [mark], [mark]
    at = 0
    try:
        for start, end, content in splices(text, edits):
            before = text[at:start].encode(encoding)
            kept += [before, text[start:end].encode(encoding)]
            out += [before, content.encode(encoding)]
            at = end
        rest = text[at:].encode(encoding)
    except UnicodeEncodeError as error:
        raise Refused(f"its encoding {encoding} has no {error.object[error.start]!r}") from error
    if b"".join([*kept, rest]) != data:
        raise Refused(f"its encoding {encoding} cannot be written back in pieces")
    return b"".join([*out, rest])


def _check(path: str, data: bytes) -> None:
    """Refuse what is no longer Python."""
    from torchlint.analysis.lower import ParseFailure  # noqa: PLC0415  # with the parsers
    from torchlint.analysis.lower_cst import parse  # noqa: PLC0415  # imports LibCST

    try:
        source = from_bytes(path, data)
        parse(source.text)
    except (SourceError, ParseFailure) as error:
        raise Refused(f"it would no longer be Python: {error.message}") from error


def write(path: str, before: bytes, after: bytes) -> None:
    """Put new bytes in place of a file's, at once and only if it still is what was linted. Raises Refused or OSError.

    Links are followed, permissions kept. A reader sees the old file or the new one, never a part.
    """
    real = os.path.realpath(path)
    if _contents(real) != before:
        raise Refused(CHANGED)
    if not os.access(real, os.W_OK):
        raise PermissionError(f"{real} is read-only")
    descriptor, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(real)}.", dir=os.path.dirname(real))
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(after)
            file.flush()
            os.fsync(file.fileno())
        _like(real, temporary)
        if _contents(real) != before:
            raise Refused(CHANGED)
        os.replace(temporary, real)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _contents(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _like(model: str, path: str) -> None:
    """Give a file the permissions of another, and its owner where that is allowed."""
    found = os.stat(model)
    with suppress(OSError, AttributeError):
        os.chown(path, found.st_uid, found.st_gid)
    os.chmod(path, found.st_mode & 0o7777)


# ---- the diff


def diff(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> str:
    """A unified diff of the files that changed, that `patch` can apply; of a notebook, of each changed cell's code."""
    return "".join(line for path in sorted(after) for line in _diff_file(path, before[path], after[path]))


def _diff_file(path: str, before: bytes, after: bytes) -> Iterator[str]:
    if is_notebook(path):
        from torchlint import notebook  # noqa: PLC0415

        old, new = notebook.cell_codes(before), notebook.cell_codes(after)
        for number in sorted(old):
            yield from _diff_text(f"{display(path)}:cell {number}", old[number], new.get(number, ""))
        return
    mark, encoding = encoding_of(before)
    yield from _diff_text(display(path), before[len(mark) :].decode(encoding), after[len(mark) :].decode(encoding))


def _diff_text(name: str, before: str, after: str) -> Iterator[str]:
    for line in difflib.unified_diff(split_lines(before), split_lines(after), name, name):
        yield line if line.endswith(("\n", "\r")) else f"{line}\n\\ No newline at end of file\n"
