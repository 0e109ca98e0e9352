"""Several processes that train together (torchrun): each is traced, the first reports, and what they disagree on is told."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from torchlint.trace.report import Reported, Result, Told, as_data
from torchlint.trace.sites import Where

PATIENCE = 30.0
"""So many seconds the first waits for what the others saw; one that has died sends nothing."""


class Rank(NamedTuple):
    """This process among those of its machine. `folder` is known to all of them."""

    number: int
    local_count: int
    is_first_machine: bool
    folder: str

    @property
    def reports(self) -> bool:
        """Whether this is the one that reports."""
        return self.number == 0


def here(environment: Mapping[str, str]) -> Rank | None:
    """This process's place among others, by what torchrun tells it; None if it runs alone."""
    try:
        number, count = int(environment["RANK"]), int(environment["WORLD_SIZE"])
        local = int(environment.get("LOCAL_WORLD_SIZE", count))
        first = int(environment.get("GROUP_RANK", 0)) == 0
    except (KeyError, ValueError):
        return None
    if count < 2:
        return None
    # All processes of a machine are children of the one that started them.
    name = f"torchlint-trace-{os.getppid()}-{environment.get('MASTER_PORT', '')}"
    folder = os.path.join(os.path.realpath(tempfile.gettempdir()), name)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return Rank(number, local, first, folder)


def send(rank: Rank, result: Result) -> None:
    """Leave what this process saw for the first one."""
    if rank.is_first_machine:
        path = _path(rank, rank.number)
        with open(f"{path}.part", "w", encoding="utf-8") as file:
            json.dump(as_data(result), file)
        os.replace(f"{path}.part", path)


def gather(rank: Rank, result: Result) -> Result:
    """What the first process saw, with what the others saw beside it. What they left is taken away."""
    others: dict[int, Any] = {}
    until = time.monotonic() + PATIENCE
    wanted = range(1, rank.local_count)
    while len(others) < len(wanted) and time.monotonic() < until:
        for number in wanted:
            if number not in others and os.path.exists(_path(rank, number)):
                with open(_path(rank, number), encoding="utf-8") as file:
                    others[number] = json.load(file)
        time.sleep(0.02)
    shutil.rmtree(rank.folder, ignore_errors=True)
    missing = tuple(f"rank {number} did not say what it saw" for number in wanted if number not in others)
    return _joined(result, others)._replace(failures=(*result.failures, *missing))


def _path(rank: Rank, number: int) -> str:
    return os.path.join(rank.folder, f"rank-{number}.json")


class _View(NamedTuple):
    """What one rank saw at a site, as far as ranks should agree."""

    verdicts: frozenset[str]
    arguments: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        given = ", ".join(f"{name} {what}" for name, what in self.arguments)
        return f"{', '.join(sorted(self.verdicts)) or 'ok'} ({given})" if given else ", ".join(sorted(self.verdicts))


def _joined(result: Result, others: Mapping[int, Any]) -> Result:
    own = {_key(entry): entry for entry in as_data(result)["sites"]}
    found = {key: {0: entry} for key, entry in own.items()}
    for number, data in others.items():
        for entry in data["sites"]:
            found.setdefault(_key(entry), {})[number] = entry
    sites = {_key(entry): site for entry, site in zip(own.values(), result.sites, strict=True)}
    made = [_site(sites.get(key), entries) for key, entries in found.items()]
    return result._replace(sites=tuple(sorted(made, key=lambda site: (site.where, site.contract))))


def _key(entry: Any) -> tuple[object, ...]:
    return entry["filename"], *entry["location"].values(), entry["contract"], entry["name"]


def _site(site: Reported | None, entries: Mapping[int, Any]) -> Reported:
    """A site with what is wrong on any rank, and what the ranks disagree on."""
    if site is None:
        entry = next(iter(entries.values()))
        start, end = entry["location"], entry["end_location"]
        place = Where(entry["filename"], start["row"], start["column"], end["row"], end["column"])
        site = Reported(place, entry["contract"], entry["name"], 0, 0, (), ())
    told = {(each.code, each.name): each for each in site.verdicts}
    for number, entry in entries.items():
        for each in entry["verdicts"]:
            seen = Told(**{**each, "evidence": f"{each['evidence']} (rank {number})"})
            told.setdefault((seen.code, seen.name), seen)
    return site._replace(verdicts=tuple(told.values()), ranks=tuple(_disagreement(entries)))


def _disagreement(entries: Mapping[int, Any]) -> Iterator[str]:
    views: dict[_View, list[int]] = {}
    for number, entry in sorted(entries.items()):
        views.setdefault(_view(entry), []).append(number)
    if len(views) > 1:
        for view, numbers in views.items():
            yield f"rank{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}: {view}"


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
