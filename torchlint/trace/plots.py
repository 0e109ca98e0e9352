"""Small charts as SVG: how values are spread, and curves over the steps. Each names itself for those who do not see it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from torchlint.trace.markup import Markup, joined, tag
from torchlint.trace.seen import Point

WIDTH, HEIGHT = 340, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 10, 10, 30
BINS = 24
CLASSES = 24
"""Whole numbers are counted one by one up to so many different ones."""


def spread(values: Sequence[float], name: str, colour: str, key: str) -> Markup:
    """How often which values came."""
    finite = [value for value in values if math.isfinite(value)]
    lost = len(values) - len(finite)
    if not finite:
        return tag("p", f"{name}: none of the {len(values)} values looked at is finite.")
    bars = _counted(finite)
    most = max(count for _, _, count in bars)
    told = (
        f"{len(finite)} values from {min(finite):.4g} to {max(finite):.4g}, mean {math.fsum(finite) / len(finite):.4g}"
    )
    told += f"; {lost} more are not finite" if lost else ""
    across, up = _Scale(bars[0][0], bars[-1][1], _LEFT, WIDTH - _RIGHT), _Scale(0, most, HEIGHT - _BOTTOM, _TOP)
    shapes = [
        tag(
            "rect",
            x=f"{across(low) + 0.5:.1f}",
            y=f"{up(count):.1f}",
            width=f"{max(1.0, across(high) - across(low) - 1):.1f}",
            height=f"{HEIGHT - _BOTTOM - up(count):.1f}",
            class_=colour,
        )
        for low, high, count in bars
        if count
    ]
    ends = (f"{min(finite):.4g}", f"{max(finite):.4g}")
    rows = [(_span(low, high, _is_whole(finite)), str(count)) for low, high, count in bars]
    return _figure(name, told, [*shapes, *_axes(ends, ("0", str(most)))], ("value", "count"), rows, key)


def curve(points: Sequence[Point], name: str, colour: str, key: str) -> Markup:
    """A number over the steps."""
    finite = [point for point in points if math.isfinite(point.value)]
    if not finite:
        return tag("p", f"{name}: " + ("no number is finite." if points else "nothing was seen."))
    values = [point.value for point in finite]
    low, high = min(values), max(values)
    told = f"{values[0]:.4g} at first, {values[-1]:.4g} at last, between {low:.4g} and {high:.4g}"
    told += f"; not finite {len(points) - len(finite)} times" if len(points) > len(finite) else ""
    across = _Scale(points[0].step, points[-1].step, _LEFT, WIDTH - _RIGHT)
    up = _Scale(low, high, HEIGHT - _BOTTOM, _TOP)
    places = [(across(point.step), up(point.value)) for point in finite]
    line = tag("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in places), class_=f"line {colour}")
    dots = [tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r="2.5", class_=colour) for x, y in places if len(places) <= 64]
    ends = (str(points[0].step), str(points[-1].step))
    rows = [(str(point.step), f"{point.value:.6g}") for point in points]
    return _figure(name, told, [line, *dots, *_axes(ends, (f"{low:.4g}", f"{high:.4g}"))], ("step", name), rows, key)


def _figure(
    name: str, told: str, shapes: Sequence[Markup], heads: Sequence[str], rows: Sequence[Sequence[str]], key: str
) -> Markup:
    drawing = tag(
        "svg",
        tag("title", name, id=f"{key}-title"),
        tag("desc", told, id=f"{key}-text"),
        *shapes,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_labelledby=f"{key}-title {key}-text",
    )
    head = tag("tr", *(tag("th", each, scope="col") for each in heads))
    body = joined(*(tag("tr", *(tag("td", cell) for cell in row)) for row in rows))
    numbers = tag("details", tag("summary", "Numbers"), tag("table", tag("thead", head), tag("tbody", body)))
    return tag("figure", tag("figcaption", tag("strong", name), f": {told}"), drawing, numbers)


def _axes(across: tuple[str, str], up: tuple[str, str]) -> list[Markup]:
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    return [
        tag("path", d=f"M{_LEFT} {_TOP}V{bottom}H{right}", class_="axis"),
        tag("text", across[0], x=_LEFT, y=bottom + 16),
        tag("text", across[1], x=right, y=bottom + 16, text_anchor="end"),
        tag("text", up[0], x=_LEFT - 6, y=bottom, text_anchor="end"),
        tag("text", up[1], x=_LEFT - 6, y=_TOP + 10, text_anchor="end"),
    ]


class _Scale:
    """From numbers to places in the drawing; where all numbers are the same, the middle."""

    def __init__(self, low: float, high: float, first: float, last: float) -> None:
        self.low, self.span = low, high - low
        self.first, self.last = first, last

    def __call__(self, value: float) -> float:
        part = (value - self.low) / self.span if self.span > 0 else 0.5
        return self.first + part * (self.last - self.first)


def _counted(values: Sequence[float]) -> list[tuple[float, float, int]]:
    """Bars: from, to, how many."""
    if _is_whole(values):
        counts = Counter(values)
        low, high = int(min(values)), int(max(values))
        return [(number - 0.5, number + 0.5, counts[number]) for number in range(low, high + 1)]
    least, most = min(values), max(values)
    if least == most:
        return [(least - 0.5, least + 0.5, len(values))]
    width = (most - least) / BINS
    counts = Counter(min(BINS - 1, int((value - least) / width)) for value in values)
    return [(least + number * width, least + (number + 1) * width, counts[number]) for number in range(BINS)]


def _is_whole(values: Sequence[float]) -> bool:
    return max(values) - min(values) < CLASSES and all(value == int(value) for value in values)


def _span(low: float, high: float, whole: bool) -> str:
    return f"{(low + high) / 2:.0f}" if whole else f"{low:.4g} to {high:.4g}"
