"""The full report: for each diagnostic a frame of its code, the trail of the value step by step, and where to read on."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from torchlint.diagnostics import RUNTIME_WORDS, Diagnostic, Fix, Place, Step
from torchlint.report.concise import is_fixable, where
from torchlint.report.style import Style
from torchlint.source import Source, split_lines

MAX_FLAGGED_LINES = 6
"""A longer span shows its first and last lines."""
MAX_WIDTH = 160
_TAB = "    "


def render(
    diagnostics: Sequence[Diagnostic], sources: Mapping[str, Source], style: Style, *, unsafe: bool = False
) -> str:
    """All diagnostics, an empty line after each."""
    lines = Lines(sources)
    return "".join(f"{_diagnostic(each, lines, style, unsafe=unsafe)}\n" for each in diagnostics)


class Lines:
    """The lines of the sources, split when first asked for."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self.sources = sources
        self.split: dict[str, list[str]] = {}

    def at(self, place: Place, line: int) -> str:
        """A line of the file or cell of this place, without its end; empty if there is none."""
        source = self.sources.get(place.path)
        if source is None:
            return ""
        if place.path not in self.split:
            self.split[place.path] = [text.rstrip("\r\n") for text in split_lines(source.text)]
        first = next((cell.first_line for cell in source.cells if cell.number == place.cell), 1)
        index = first + line - 2
        return self.split[place.path][index] if 0 <= index < len(self.split[place.path]) else ""


def _diagnostic(diagnostic: Diagnostic, lines: Lines, style: Style, *, unsafe: bool) -> str:
    place = diagnostic.place
    doubt = ", likely" if diagnostic.confidence == "likely" else ""
    doubt += "" if diagnostic.runtime is None else f", {RUNTIME_WORDS[diagnostic.runtime]}"
    doubt += " [*]" if is_fixable(diagnostic, unsafe=unsafe) else ""
    label = f"{diagnostic.severity}[{diagnostic.code}]"
    gutter = len(str(place.end_line))
    out = [
        f"{style(label, diagnostic.severity)} {style(diagnostic.name, 'bold')}{doubt}: {diagnostic.message}",
        f"{' ' * gutter}{style('-->', 'frame')} {where(place)}",
        *_frame(place, lines, gutter, diagnostic.severity, style),
    ]
    if diagnostic.trail:
        out += _trail(diagnostic.trail, lines, gutter, style)
    for fix in diagnostic.fixes[:1]:
        out.append(f"{' ' * gutter} {style('=', 'frame')} {style('fix', 'bold')}: {_fix(fix, place)}")
    out.append(f"{' ' * gutter} {style('=', 'frame')} {style('help', 'bold')}: torchlint explain {diagnostic.code}")
    return "\n".join(out) + "\n"


_HOW = {"safe": "--fix", "unsafe": "--fix --unsafe-fixes", "display": "by hand: the file is not among those checked"}


def _fix(fix: Fix, place: Place) -> str:
    """What a fix does, where if that is in another file, and how to have it done."""
    away = next((edit.place for edit in fix.edits if edit.place.path != place.path), None)
    at = f", at {where(away)}" if away is not None else ""
    return f"{fix.title}{at} ({_HOW[fix.safety]})"


def _frame(place: Place, lines: Lines, gutter: int, severity: str, style: Style) -> list[str]:
    """The flagged lines with carets below, as rustc draws them."""
    numbers = list(range(place.line, place.end_line + 1))
    if len(numbers) > MAX_FLAGGED_LINES:
        numbers = [*numbers[: MAX_FLAGGED_LINES - 1], numbers[-1]]
    bar = style("|", "frame")
    out = [f"{' ' * gutter} {bar}"]
    previous = place.line
    for number in numbers:
        if number > previous + 1:
            out.append(style("...", "frame"))
        previous = number
        text = lines.at(place, number)
        indent = len(text) - len(text.lstrip())
        start = place.column - 1 if number == place.line else indent
        end = place.end_column - 1 if number == place.end_line else len(text.rstrip())
        shown, carets = _underlined(text, start, max(end, start + 1))
        out.append(f"{style(str(number).rjust(gutter), 'frame')} {bar} {shown}".rstrip())
        out.append(f"{' ' * gutter} {bar} {style(carets, severity) if carets.strip() else ''}".rstrip())
    return out


def _underlined(text: str, start: int, end: int) -> tuple[str, str]:
    """A line as the terminal shows it, cut around a span if it is very long, and the carets under the span."""
    offset = max(0, start - MAX_WIDTH // 2) if len(text) > MAX_WIDTH else 0
    text, start, end = text[offset : offset + MAX_WIDTH], start - offset, min(end - offset, MAX_WIDTH)
    before, flagged, after = (_printable(part) for part in (text[:start], text[start:end], text[end:]))
    return before + flagged + after, " " * _width(before) + "^" * max(1, _width(flagged))


def _trail(trail: Sequence[Step], lines: Lines, gutter: int, style: Style) -> list[str]:
    """The steps of the value, places and notes in columns, each with its line of source."""
    places = [where(step.place) for step in trail]
    wide = max(map(len, places))
    longest = max(len(step.note) for step in trail)
    head = f"{' ' * gutter} {style('=', 'frame')} {style('how the value got there', 'bold')}:"
    out = [head]
    for place, step in zip(places, trail, strict=True):
        code = _printable(lines.at(step.place, step.place.line).strip()[:MAX_WIDTH])
        out.append(
            f"{' ' * gutter}   {place.ljust(wide)}  {step.note.ljust(longest)}  {style(f'| {code}', 'dim')}".rstrip()
        )
    return out


def _printable(text: str) -> str:
    """Tabs as four columns, and control characters, which could drive the terminal, escaped."""
    return "".join(
        _TAB if character == "\t" else character if character.isprintable() else f"\\x{ord(character):02x}"
        for character in text
    )


def _width(text: str) -> int:
    """The columns that a text takes on a terminal: two for wide characters, none for combining ones."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )
