"""Suppressions in comments: which findings they hide, and which of them hide nothing.

    loss = criterion(p, y)  # torchlint: ignore[TLN101] the reason     (codes, prefixes or names; without codes, all)
    # torchlint: ignore-file[TLN101] the reason                        (on a line of its own, anywhere in the file)
    loss = criterion(p, y)  # noqa: TLN101                             (as flake8 reads it; without codes, all)

A comment counts if it stands on a line of the flagged span, or on the first or last line of the statement around it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Literal, NamedTuple

_COMMENT_OR_STRING = re.compile(
    r"""
    (?P<comment>\#[^\r\n]*)
  | \"\"\"[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*\"\"\"
  | '''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''
  | "(?:\\(?:\r\n|.)|[^"\\\r\n])*"
  | '(?:\\(?:\r\n|.)|[^'\\\r\n])*'
  | (?P<joined>\\(?:\r\n|\r|\n))
  | (?P<newline>\r\n|\r|\n)
  | (?P<open>[(\[{])
  | (?P<close>[)\]}])
    """,
    re.VERBOSE | re.DOTALL,
)
_OURS = re.compile(r"#\s*torchlint:\s*(?P<word>[\w-]*)\s*(?P<list>\[(?P<codes>[^\]]*)(?P<end>\])?)?", re.IGNORECASE)
_NOQA = re.compile(r"#\s*noqa\b(?::\s?(?P<codes>[A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*))?", re.IGNORECASE)
_SEPARATOR = re.compile(r"[\s,]+")

Kind = Literal["ignore", "ignore-file", "noqa"]


class Directive(NamedTuple):
    """A suppression. `codes` are as written; empty means all. The span is that of the comment, as in Place.

    `first_line` and `last_line` are those of the statement that it belongs to, or of the whole file.
    `broken` says what is wrong with one that cannot be read, which hides nothing.
    """

    kind: Kind
    codes: tuple[str, ...]
    line: int
    column: int
    end_column: int
    first_line: int
    last_line: int
    broken: str = ""


class Flagged(NamedTuple):
    """What suppression needs to know about a finding: its code and the lines it spans."""

    code: str
    line: int
    end_line: int


class Verdict(NamedTuple):
    """Which of the flagged are hidden, by index, and the codes of each directive that hid something, by its index."""

    hidden: frozenset[int]
    used: dict[int, frozenset[str]]


def directives(text: str) -> tuple[Directive, ...]:
    """The suppressions in the comments of Python text, which need not be valid Python."""
    if "torchlint:" not in text and "noqa" not in text.lower():
        return ()
    return tuple(_directives(text))


def apply(
    found: Sequence[Directive], flagged: Sequence[Flagged], stands_for: Callable[[str], Collection[str]]
) -> Verdict:
    """Match findings with suppressions. `stands_for` gives the codes that a code, prefix or name means."""
    hidden: set[int] = set()
    used: dict[int, frozenset[str]] = {}
    for number, directive in enumerate(found):
        if directive.broken:
            continue
        covered = {code for given in directive.codes for code in stands_for(given)}
        for index, each in enumerate(flagged):
            if directive.codes and each.code not in covered:
                continue
            if _covers(directive, each):
                hidden.add(index)
                used[number] = used.get(number, frozenset()) | {each.code}
    return Verdict(frozenset(hidden), used)


def _covers(directive: Directive, flagged: Flagged) -> bool:
    """Whether the comment is on a line of the flagged span, or at the first or last line of the statement around it."""
    if flagged.line <= directive.line <= flagged.end_line:
        return True
    at_edge = directive.kind == "ignore-file" or directive.line in (directive.first_line, directive.last_line)
    return at_edge and flagged.line <= directive.last_line and flagged.end_line >= directive.first_line


def _directives(text: str) -> Iterator[Directive]:
    starts = _line_starts(text)
    last_line = len(starts)
    for comment in _comments(text):
        line = bisect_right(starts, comment.start)
        for directive in _read(comment.text):
            column = comment.start - starts[line - 1] + 1 + directive.column
            end_column = column + directive.end_column
            first = bisect_right(starts, comment.statement_start)
            last = bisect_right(starts, comment.statement_end)
            if directive.kind == "ignore-file":
                first, last = 1, last_line
            yield directive._replace(line=line, column=column, end_column=end_column, first_line=first, last_line=last)


class _Comment(NamedTuple):
    text: str
    start: int
    statement_start: int
    statement_end: int


def _comments(text: str) -> Iterator[_Comment]:
    """The comments of a text with the extent of the logical line each belongs to.

    A scan for strings, brackets and line ends: unlike `tokenize`, it does not depend on the running Python's syntax.
    """
    depth = 0
    statement = 0
    waiting: list[tuple[str, int]] = []
    for token in _COMMENT_OR_STRING.finditer(text):
        kind = token.lastgroup
        if kind == "comment":
            waiting.append((token[0], token.start()))
        elif kind == "open":
            depth += 1
        elif kind == "close":
            depth = max(0, depth - 1)
        elif kind == "newline" and depth == 0:
            for comment, start in waiting:
                yield _Comment(comment, start, statement, token.start())
            waiting.clear()
            statement = token.end()
    for comment, start in waiting:  # the last line, or a bracket that is never closed: only the comment's own line
        end = len(text)
        yield _Comment(comment, start, start if depth else statement, start if depth else end)


def _read(comment: str) -> Iterator[Directive]:
    """The directives of one comment; columns are relative to it, and the end column is a length."""
    for match in _OURS.finditer(comment):
        yield _ours(match)
    for match in _NOQA.finditer(comment):
        codes = tuple(filter(None, _SEPARATOR.split(match["codes"] or "")))
        yield Directive("noqa", codes, 0, match.start(), len(match[0].rstrip()), 0, 0)


def _ours(match: re.Match[str]) -> Directive:
    word = match["word"].lower()
    codes = tuple(filter(None, _SEPARATOR.split(match["codes"] or "")))
    broken = ""
    if word not in ("ignore", "ignore-file"):
        broken = f'unknown directive "{match["word"]}"; there are ignore[CODE] and ignore-file[CODE]'
    elif match["list"] is not None and match["end"] is None:
        broken = 'the list of codes lacks its "]"'
    elif match["list"] is not None and not codes:
        broken = "the list of codes is empty; name codes, or leave out the brackets to ignore all"
    kind: Kind = "ignore-file" if word == "ignore-file" else "ignore"
    return Directive(kind, codes, 0, match.start(), len(match[0].rstrip()), 0, 0, broken)


def _line_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", text))]
