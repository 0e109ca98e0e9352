"""A baseline: the findings that a code base had when it adopted torchlint, hidden until somebody mends them.

A finding is known by its rule, its file relative to the baseline's folder, and the text of the flagged lines, spaces apart:
it stays known when lines above it come and go. Equal ones are counted; one more than the baseline holds is reported.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec

from torchlint.config import display
from torchlint.diagnostics import Confidence, Diagnostic
from torchlint.errors import UserError
from torchlint.source import Source

NAME = ".torchlint-baseline.json"
"""What a baseline is called if nobody says otherwise."""

VERSION = 1
_SHOWN = 120


class BaselineError(UserError):
    """A baseline that cannot be read or written; the message names the file."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Equal findings: `text` is their first line, for people who read the file; `fingerprint` tells them from others."""

    path: str
    code: str
    text: str
    fingerprint: str
    count: int = 1
    confidence: Confidence = "certain"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    findings: list[Entry]


class Baseline(NamedTuple):
    """What a baseline file holds."""

    file: str
    entries: tuple[Entry, ...] = ()

    @property
    def total(self) -> int:
        """How many findings it holds."""
        return sum(entry.count for entry in self.entries)

    def absolute(self, entry: Entry) -> str:
        """The path of an entry's file."""
        return os.path.normpath(os.path.join(_folder(self.file), entry.path))


Covers = Callable[[Entry], bool]
"""Whether a run would have found the findings of an entry if they were still there."""


class Sorted(NamedTuple):
    """Findings held against a baseline: those it does not know, how many it hides, how many of its own are gone."""

    new: tuple[Diagnostic, ...]
    hidden: int
    gone: int


def load(file: str) -> Baseline:
    """Read a baseline. Raises BaselineError."""
    try:
        with open(file, encoding="utf-8-sig") as stream:
            read = json.load(stream)
    except FileNotFoundError:
        raise BaselineError(f"{display(file)}: no such baseline; `torchlint baseline` writes one") from None
    except OSError as error:
        raise BaselineError(f"{display(file)}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise BaselineError(f"{display(file)}: not a baseline: {error}") from error
    version = read.get("version") if isinstance(read, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise BaselineError(
            f"{display(file)}: written by a newer torchlint (version {version}, this one reads {VERSION})"
        )
    try:
        return Baseline(file, tuple(msgspec.convert(read, _File).findings))
    except msgspec.ValidationError as error:
        raise BaselineError(f"{display(file)}: not a baseline: {error}") from error


def of(file: str, diagnostics: Iterable[Diagnostic], sources: Mapping[str, Source]) -> Baseline:
    """The baseline that holds these findings, in stable order."""
    found: dict[str, Entry] = {}
    for diagnostic in diagnostics:
        entry = _entry(diagnostic, sources, _folder(file))
        known = found.get(entry.fingerprint)
        if known is not None:
            confidence: Confidence = "certain" if "certain" in (known.confidence, entry.confidence) else "likely"
            entry = msgspec.structs.replace(known, count=known.count + 1, confidence=confidence)
        found[entry.fingerprint] = entry
    return Baseline(file, _ordered(found.values()))


def sort(known: Baseline, diagnostics: Sequence[Diagnostic], sources: Mapping[str, Source], covers: Covers) -> Sorted:
    """Hold findings against a baseline. Of equal ones, the first are taken for those that it knows."""
    left = Counter({entry.fingerprint: entry.count for entry in known.entries})
    new = []
    for diagnostic in diagnostics:
        fingerprint = _entry(diagnostic, sources, _folder(known.file)).fingerprint
        if left[fingerprint] > 0:
            left[fingerprint] -= 1
        else:
            new.append(diagnostic)
    gone = sum(left[entry.fingerprint] for entry in known.entries if covers(entry))
    return Sorted(tuple(new), len(diagnostics) - len(new), gone)


def pruned(known: Baseline, found: Baseline, covers: Covers) -> Baseline:
    """A baseline without the findings that are gone."""
    now = {entry.fingerprint: entry.count for entry in found.entries}
    kept = []
    for entry in known.entries:
        count = min(entry.count, now.get(entry.fingerprint, 0)) if covers(entry) else entry.count
        if count:
            kept.append(msgspec.structs.replace(entry, count=count))
    return known._replace(entries=_ordered(kept))


def renewed(known: Baseline, found: Baseline, covers: Covers) -> Baseline:
    """A baseline of what was found, which keeps what it knows of files that nobody looked at."""
    now = {entry.fingerprint for entry in found.entries}
    others = [entry for entry in known.entries if entry.fingerprint not in now and not covers(entry)]
    return known._replace(entries=_ordered([*found.entries, *others]))


def write(baseline: Baseline) -> None:
    """Write the file as a whole or not at all; a link is followed. Raises BaselineError."""
    findings = [msgspec.to_builtins(entry) for entry in baseline.entries]
    text = json.dumps({"version": VERSION, "findings": findings}, indent=2) + "\n"
    real = os.path.realpath(baseline.file)
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f"{NAME}.", dir=os.path.dirname(real))
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(real))
        os.replace(temporary, real)
    except OSError as error:
        if temporary:
            with suppress(OSError):
                os.unlink(temporary)
        raise BaselineError(f"{display(baseline.file)}: {error.strerror or error}") from error


def _mode(path: str) -> int:
    """The permissions of a file, or those that a new one gets."""
    try:
        return os.stat(path).st_mode & 0o7777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def _entry(diagnostic: Diagnostic, sources: Mapping[str, Source], folder: str) -> Entry:
    place = diagnostic.place
    flagged = sources[place.path].lines(place.line, place.end_line, place.cell) if place.path in sources else ""
    path = relative(place.path, folder)
    text = " ".join(flagged.split())
    digest = hashlib.sha256(f"{diagnostic.code}\0{path}\0{text}".encode("utf-8", "replace")).hexdigest()[:16]
    first = flagged.strip().partition("\n")[0].strip()
    return Entry(path, diagnostic.code, first[:_SHOWN], digest, 1, diagnostic.confidence)


def relative(path: str, folder: str) -> str:
    """A path relative to a folder, with slashes; absolute if there is none such (another drive)."""
    absolute = os.path.abspath(path)
    try:
        return os.path.relpath(absolute, folder).replace(os.sep, "/")
    except ValueError:
        return absolute.replace(os.sep, "/")


def _folder(file: str) -> str:
    return os.path.dirname(os.path.abspath(file))


def _ordered(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: (entry.path, entry.code, entry.text, entry.fingerprint)))
