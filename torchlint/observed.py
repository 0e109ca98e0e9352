"""What `torchlint trace` saw, as `torchlint check` reads it: confirms findings, refutes them, and adds what only running shows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from torchlint import data
from torchlint.diagnostics import Diagnostic, Place, Runtime

VERSION = 1

_SHAPES = frozenset({"TLN201", "TLN202", "TLN203"})
"""A lost dimension and the broadcast that follows are one mistake, told at two places."""


class Told(NamedTuple):
    """A verdict of the trace."""

    code: str
    name: str
    message: str
    severity: Any
    evidence: str


class Site(NamedTuple):
    """A loss call that was traced. `refuted` are the codes of findings that what was seen rules out."""

    place: Place
    told: tuple[Told, ...]
    refuted: frozenset[str]


class Trace(NamedTuple):
    """A trace by the real paths of its files; `stale` are those that have changed since."""

    sites: dict[str, dict[tuple[int, int], list[Site]]]
    stale: tuple[str, ...]


def digest(data: bytes) -> str:
    """What a file is known by."""
    import hashlib  # noqa: PLC0415  # 4 ms

    return hashlib.sha256(data).hexdigest()


def load(paths: Iterable[str], bytes_of: Callable[[str], bytes]) -> Trace | None:
    """The trace of the working folder, as far as it is about these files and they are unchanged. None if there is none."""
    import json  # noqa: PLC0415  # only where there is a trace

    try:
        with open(data.TRACE, encoding="utf-8") as file:
            held = json.load(file)
        if held["version"] != VERSION:
            return None
        wanted = {os.path.realpath(path): path for path in paths}
        stale = [
            path
            for real, path in wanted.items()
            if real in held["files"] and digest(bytes_of(path)) != held["files"][real]
        ]
        found: dict[str, dict[tuple[int, int], list[Site]]] = {}
        for entry in held["sites"]:
            path = wanted.get(os.path.realpath(entry["filename"]))
            if path is not None and path not in stale:
                site = _site(entry, path)
                calls = found.setdefault(os.path.realpath(path), {})
                calls.setdefault((site.place.line, site.place.column), []).append(site)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Trace(found, tuple(stale))


def _site(entry: Any, path: str) -> Site:
    start, end = entry["location"], entry["end_location"]
    told = [
        Told(each["code"], each["name"], each["message"], each["severity"], each["evidence"])
        for each in entry["verdicts"]
        if each["code"] is not None and each["severity"] != "suspect"
    ]
    place = Place(path, start["row"], start["column"], end["row"], end["column"])
    return Site(place, tuple(told), frozenset(entry["refuted"]))


def judged(diagnostic: Diagnostic, trace: Trace) -> Diagnostic:
    """The diagnostic with what the trace says of it; nothing in a file that has changed since."""
    if diagnostic.place.path in trace.stale:
        return diagnostic
    sites = [site for place in _places(diagnostic) for site in _at(trace, place)]
    alike = _SHAPES if diagnostic.code in _SHAPES else {diagnostic.code}
    runtime: Runtime = "unseen"
    if any(told.code in alike for site in sites for told in site.told):
        runtime = "confirmed"
    elif sites and all(diagnostic.code in site.refuted for site in sites):
        runtime = "refuted"
    return diagnostic._replace(runtime=runtime)


def beyond(diagnostics: Sequence[Diagnostic], trace: Trace) -> list[tuple[Site, Told]]:
    """The verdicts of the trace on calls that no diagnostic of the same code is about."""
    known = {(diagnostic.code, *_key(place)) for diagnostic in diagnostics for place in _places(diagnostic)}
    known |= {(code, *at) for found, *at in known if found in _SHAPES for code in _SHAPES}  # type: ignore[misc]
    return [
        (site, told)
        for calls in trace.sites.values()
        for sites in calls.values()
        for site in sites
        for told in site.told
        if (told.code, *_key(site.place)) not in known
    ]


def _places(diagnostic: Diagnostic) -> list[Place]:
    """Where a diagnostic stands and what its trail passes, the loss call among them; only loss calls are traced."""
    places = [diagnostic.place, *(step.place for step in diagnostic.trail)]
    return [place for place in dict.fromkeys(places) if place.cell is None]


def _key(place: Place) -> tuple[str, int, int]:
    return os.path.realpath(place.path), place.line, place.column


def _at(trace: Trace, place: Place) -> list[Site]:
    path, *start = _key(place)
    return trace.sites.get(path, {}).get((start[0], start[1]), [])
