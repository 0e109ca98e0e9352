"""What several processes saw that train together, as one result: what is wrong in any, and what they disagree on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from torchlint.trace.report import Reported, Result, Told, as_data

_RESULTS = msgspec.msgpack.Decoder(Result)


def packed(result: Result) -> bytes:
    """A result on its way to the process that reports."""
    return msgspec.msgpack.encode(result)


def unpacked(data: bytes) -> Result:
    """A result from another process. Raises msgspec.MsgspecError."""
    return _RESULTS.decode(data)


def leave_file(path: str, data: bytes) -> None:
    """Write a file for another process, which sees all of it at once."""
    with open(f"{path}.part", "wb") as file:
        file.write(data)
    os.replace(f"{path}.part", path)


def joined(results: Sequence[tuple[str, Result]]) -> Result:
    """What processes saw, by the names that they go by. The first one's curves and counts stand for all."""
    first, lead = results[0]
    found: dict[object, dict[str, Reported]] = {}
    for name, result in results:
        for site in result.sites:
            found.setdefault((site.where, site.contract, site.name), {})[name] = site
    sites = sorted((_site(first, each) for each in found.values()), key=lambda site: (site.where, site.contract))
    return lead._replace(sites=tuple(sites))


def _site(first: str, seen: Mapping[str, Reported]) -> Reported:
    """A site with what is wrong in any process, and what they disagree on."""
    told: dict[tuple[str | None, str], Told] = {}
    for process, site in seen.items():
        for each in site.verdicts:
            evidence = each.evidence if process == first else f"{each.evidence} ({process})"
            told.setdefault((each.code, each.name), each._replace(evidence=evidence))
    refuted = frozenset.intersection(*(site.refuted for site in seen.values()))
    base = next(iter(seen.values()))
    return base._replace(verdicts=tuple(told.values()), refuted=refuted, ranks=tuple(_disagreement(seen)))


def _disagreement(seen: Mapping[str, Reported]) -> Iterator[str]:
    views: dict[_View, list[str]] = {}
    for process, site in seen.items():
        views.setdefault(_view(as_data(Result((site,)))["sites"][0]), []).append(process)
    if len(views) > 1:
        for view, processes in views.items():
            yield f"{_listed(processes)}: {view}"


def _listed(processes: Sequence[str]) -> str:
    """Their names, the numbers of those of one kind together: `ranks 0, 2`."""
    kinds: dict[str, list[str]] = {}
    for each in processes:
        kind, _, number = each.rpartition(" ")
        kinds.setdefault(kind, []).append(number)
    plurals = {"rank": "ranks", "process": "processes"}
    return ", ".join(
        f"{plurals.get(kind, kind) if len(numbers) > 1 else kind} {', '.join(numbers)}"
        for kind, numbers in kinds.items()
    )


class _View(NamedTuple):
    """What one process saw at a site, as far as they should agree."""

    verdicts: frozenset[str]
    arguments: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        given = ", ".join(f"{name} {what}" for name, what in self.arguments)
        return f"{', '.join(sorted(self.verdicts)) or 'ok'} ({given})" if given else ", ".join(sorted(self.verdicts))


def _view(entry: Any) -> _View:
    """Sizes of batches may differ, and so may the devices' numbers; dimensions, dtypes and kinds of devices may not."""
    arguments = tuple(
        (name, f"{_dimensions(given['shapes'])} {'/'.join(given['dtypes'])} {'/'.join(_kinds(given['devices']))}")
        for name, given in entry["arguments"].items()
    )
    return _View(frozenset(each["code"] or each["name"] for each in entry["verdicts"]), arguments)


def _dimensions(shapes: Iterable[list[int]]) -> str:
    return "/".join(dict.fromkeys(f"{len(shape)}-D" for shape in shapes))


def _kinds(devices: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(device.partition(":")[0] for device in devices))
