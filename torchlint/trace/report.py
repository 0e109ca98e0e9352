"""What a trace came to: sites with their verdicts, as plain data, and as JSON."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from torchlint.trace.seen import Call, Faked, Point, Seen
from torchlint.trace.sites import Spot, Where, where
from torchlint.trace.verdicts import Around, Verdict, judge_all, only_label, origin_words, refuted, shape_words

if TYPE_CHECKING:
    from torchlint.rulebook import Rule
    from torchlint.trace.progress import Watched
    from torchlint.trace.recorder import Recorder, Site


class Told(NamedTuple):
    """A verdict as users see it. `calls` counts the examined calls that showed it, None if all of them together did."""

    code: str | None
    name: str
    message: str
    severity: str
    evidence: str
    calls: int | None


class Reported(NamedTuple):
    """One site of a result. `ranks` says what the processes of a distributed run disagree on.

    `roles` are those of the arguments by their names, where the contract knows them: input and target.
    """

    where: Where
    contract: str
    name: str
    total: int
    examined: int
    calls: Sequence[Call]
    verdicts: tuple[Told, ...]
    refuted: frozenset[str] = frozenset()
    ranks: tuple[str, ...] = ()
    roles: Mapping[str, str] = {}


class Result(NamedTuple):
    """All sites, in the order of files and lines; `failures` are errors of the tracer itself, `fake` is of a run on a fake device.

    `losses` are those that `backward()` was called on, `gradients` the norms at the optimizers' steps.
    """

    sites: tuple[Reported, ...]
    steps: int = 0
    failures: tuple[str, ...] = ()
    fake: Faked | None = None
    losses: tuple[Point, ...] = ()
    gradients: tuple[Point, ...] = ()

    def __str__(self) -> str:
        """Each verdict in a line or two, for the messages of tests and for notebooks."""
        lines = [
            f"{site.where.path}:{site.where.line}:{site.where.column}: {told.severity}: {told.code or told.name}: "
            f"{told.message}\n    seen: {told.evidence}"
            for site in self.sites
            for told in site.verdicts
        ]
        return "\n".join(lines) or f"nothing wrong at {len(self.sites)} loss sites"

    @property
    def bad(self) -> bool:
        """Whether anything is wrong: suspicions and hints aside."""
        return any(told.severity in ("error", "warning") for site in self.sites for told in site.verdicts)


def result_of(recorder: Recorder) -> Result:
    """Judge what was recorded."""
    recorder.settle()
    with recorder.lock:
        seen = [site for site in recorder.sites.values() if site.total]
        labels = (only_label(site.calls, site.loss) for site in seen)
        around = Around(frozenset(label for label in labels if label is not None), recorder.progress.warms_up)
        sites = [_reported(site, around) for site in seen]
    if not any(_spoils_training(site) for site in sites):  # what the steps show then follows from that
        wrong = list(recorder.progress.wrong())
        learns = all(verdict.name != "no-gradient" for each in wrong for verdict in each.verdicts)
        sites += [_cut(*each) for each in (recorder.cut or {}).items() if not learns] or map(_watched, wrong)
    losses, gradients = recorder.progress.points()
    ordered = tuple(sorted(sites, key=lambda site: (site.where, site.contract)))
    return Result(ordered, recorder.step, tuple(recorder.failures), losses=losses, gradients=gradients)


def _spoils_training(site: Reported) -> bool:
    learns = site.contract == "backward" or any(call.grad for call in site.calls)
    return learns and any(told.severity == "error" for told in site.verdicts)


def _cut(spot: Spot, calls: int) -> Reported:
    """A call of `backward()` on a loss that does not depend on the model: no parameter had a gradient at any step."""
    words = {"activation": "making a new tensor (torch.tensor, .detach(), .item(), numpy, argmax)", "input": "it"}
    verdict = Verdict("TLN403", "the graph of the loss leads to no parameter, and no step saw a gradient", words)
    return Reported(where(spot), "backward", "backward", calls, calls, (), (_told(verdict, "backward", calls),))


def _watched(each: Watched) -> Reported:
    told = tuple(_told(verdict, each.name, None) for verdict in each.verdicts)
    return Reported(where(each.spot), "step", each.name, each.steps, 0, (), told)


def _reported(site: Site, around: Around) -> Reported:
    told = [_told(found.verdict, site.name, found.calls) for found in site.found.values()]
    if not any(each.severity == "error" for each in told):
        told += [_told(verdict, site.name, None) for verdict in judge_all(site.calls, site.loss, around)]
    return Reported(
        where(site.spot),
        site.loss.id,
        site.name,
        site.total,
        site.examined,
        tuple(site.calls),
        tuple(told),
        refuted(site.calls, site.loss),
        roles={arg.name: arg.role for arg in site.loss.args if arg.role != "other"},
    )


def _told(verdict: Verdict, loss: str, calls: int | None) -> Told:
    if verdict.code is None:
        severity = verdict.severity or "error"
        return Told(None, verdict.name, verdict.message, severity, verdict.evidence, calls)
    rule = _rules()[verdict.code]
    message = rule.message.format_map(_Words({"loss": loss, **verdict.words}))
    return Told(rule.code, rule.name, message, verdict.severity or rule.severity, verdict.evidence, calls)


class _Words(dict[str, str]):
    """The words of a message; one that a verdict does not know is said so."""

    def __missing__(self, key: str) -> str:
        return f"({key} not known)"


@cache
def _rules() -> dict[str, Rule]:
    from torchlint import rulebook  # noqa: PLC0415  # parses TOML

    return rulebook.load()


# ---------------------------------------------------------------- JSON


def as_data(result: Result) -> dict[str, Any]:
    """The whole result as lists and dictionaries."""
    return {
        "sites": [_site(site) for site in result.sites],
        "steps": result.steps,
        "training": {
            "loss": [{"step": point.step, "value": _number(point.value)} for point in result.losses],
            "gradient_norm": [{"step": point.step, "value": _number(point.value)} for point in result.gradients],
        },
        "failures": list(result.failures),
        "fake": None if result.fake is None else _fake(result.fake),
    }


def _fake(fake: Faked) -> dict[str, Any]:
    return {"stopped": None if fake.halt is None else fake.halt._asdict(), "guessed": list(fake.guessed)}


def _site(site: Reported) -> dict[str, Any]:
    place = site.where
    names = list(dict.fromkeys(name for call in site.calls for name in call.args))
    arguments = {name: _argument([call.args[name] for call in site.calls if name in call.args]) for name in names}
    by_role = {site.roles.get(name, name): argument for name, argument in arguments.items()}
    return {
        "filename": place.path,
        "location": {"row": place.line, "column": place.column},
        "end_location": {"row": place.end_line, "column": place.end_column},
        "contract": site.contract,
        "name": site.name,
        "count": site.total,
        "examined": site.examined,
        **{key: {role: argument[key] for role, argument in by_role.items()} for key in _OF_SITE},
        "arguments": arguments,
        "losses": [_number(call.result) for call in site.calls],
        "refuted": sorted(site.refuted),
        "ranks": list(site.ranks),
        "verdicts": [told._asdict() for told in site.verdicts],
    }


_OF_SITE = ("shapes", "dtypes", "devices", "range", "provenance")
"""What a site says of each argument by its role; `arguments` has the whole of it by the names of the parameters."""


def _argument(seen: Sequence[Seen]) -> dict[str, Any]:
    values = [each.values for each in seen if each.values is not None]
    known = [each for each in seen if each.origin.name]
    return {
        "shapes": [list(shape) for shape in _distinct(each.shape for each in seen)],
        "dtypes": _distinct(each.dtype for each in seen),
        "devices": _distinct(each.device for each in seen),
        "requires_grad": _distinct(each.learns for each in seen),
        "range": [_number(min(each.low for each in values)), _number(max(each.high for each in values))]
        if values
        else None,
        "values": sum(each.size for each in values),
        "finite": all(each.finite for each in values),
        "provenance": [
            {"kind": origin.kind, "operation": origin.name, "by": origin.by}
            for origin in _distinct(each.origin for each in known)
        ],
    }


def _number(value: float | None) -> float | str | None:
    """A number as JSON can hold it: "nan" and "inf" as texts."""
    return value if value is None or abs(value) < float("inf") else str(value)


def _distinct(items: Iterator[Any]) -> list[Any]:
    return list(dict.fromkeys(items))


# ---------------------------------------------------------------- text


def fake_words(fake: Faked) -> Iterator[str]:
    """What a reader has to know of a run without values."""
    if fake.halt is not None:
        yield f"stopped: {near(fake.halt.place)}: {fake.halt.why}, and a fake run has none; what is above was seen before"
    if fake.guessed:
        shown = ", ".join(near(place) for place in fake.guessed[:5]) + (" ..." if len(fake.guessed) > 5 else "")
        yield f"note: numbers that were read out of tensors are stand-ins (1): {shown}"
    yield "note: a fake run looks at shapes, dtypes, devices and operations, and at no values"


def summary(result: Result) -> str:
    """How much was seen and how much of it is wrong, in a line."""
    wrong = sum(told.severity in ("error", "warning") for site in result.sites for told in site.verdicts)
    suspects = sum(told.severity == "suspect" for site in result.sites for told in site.verdicts)
    calls = sum(site.total for site in result.sites)
    more = f", {suspects} suspected" if suspects else ""
    return f"{len(result.sites)} loss sites, {calls} calls, {result.steps} optimizer steps: {wrong} wrong{more}"


def near(path: str) -> str:
    """A path as seen from the working folder, if it lies below it."""
    if path.startswith("<"):
        return path
    short = os.path.relpath(path)
    return path if short.startswith("..") else short


def input_words(site: Reported, role: str | None) -> str:
    """What arrived as one argument: `[8, 1] float32, torch.sigmoid`."""
    seen = [call.args[role] for call in site.calls if role in call.args] if role is not None else []
    if not seen:
        return ""
    shapes = _distinct(shape_words(each) for each in seen)
    shown = ", ".join(shapes[:3]) + (" ..." if len(shapes) > 3 else "")
    types = "/".join(_distinct(each.dtype for each in seen))
    values = [each.values for each in seen if each.values is not None]
    span = f"\n{min(v.low for v in values):.4g} to {max(v.high for v in values):.4g}" if values else ""
    names = _distinct(each.origin.name for each in seen if each.origin.name)
    return f"{shown} {types}{span}" + (f"\n{', '.join(names)}" if names else "")


__all__ = [
    "Reported",
    "Result",
    "Told",
    "as_data",
    "fake_words",
    "input_words",
    "near",
    "origin_words",
    "result_of",
    "summary",
]


def place_of(site: Reported) -> str:
    """Where a site is, as it is shown to people."""
    return f"{near(site.where.path)}:{site.where.line}:{site.where.column}"
