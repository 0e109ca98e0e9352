"""Refuse text nested so deeply that LibCST's native parser would overflow the C stack or take minutes over it.

Python does not guard that stack: the process dies. The parser's time grows with the square of the length of a chain
(`a.b.c…`, `1+1+1…`), and exponentially with the nesting of a `case` pattern. Nothing written by hand comes near the limits.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_BRACKETS = 200
"""CPython's own limit ("too many nested parentheses"); LibCST takes 7 KB of stack for each."""

MAX_CHAIN = 1000
"""Operators, attributes, calls and subscripts in a row: about a second of parsing."""

MAX_ELIFS = 2000
"""`elif`s; LibCST takes a kilobyte of stack for each."""

MAX_PATTERN = 7
"""Levels of brackets in a `case` pattern; each multiplies the parser's time by up to four."""


class TooDeep(NamedTuple):
    """What is nested too deeply, and the line (from 1) where it gets so."""

    what: str
    line: int


_BYTES = frozenset(range(256))
_BRACKETS = b"([{)]}"
_OPERATORS = b".+-*/%@&|^<>~!"
_NOT_BRACKETS = bytes(_BYTES - set(_BRACKETS))
_NOT_LINKS = bytes(_BYTES - set(_BRACKETS) - set(_OPERATORS) - set(b",;"))
_CLASSES = bytes.maketrans(_BRACKETS + _OPERATORS + b";", b"((()))" + b"+" * len(_OPERATORS) + b",")
_CHAIN = b"+" * (MAX_CHAIN + 1)
_INNERMOST = re.compile(rb"\([+,]*\)")
_WORDS = (b"not", b"lambda", b"await", b"if", b"and", b"or")
_DEEP_CASE = re.compile(rb"^[ \t\f]*case\b(?:[^\[({\n]*[\[({]){2}", re.MULTILINE)

_TOKEN = r"""
    (?P<skip>[rbuft]{0,2}(?:'''(?:[^\\]|\\.)*?(?:'''|\Z)|\"\"\"(?:[^\\]|\\.)*?(?:\"\"\"|\Z)
        |'(?:[^\\\n']|\\.)*(?:'|$)|"(?:[^\\\n"]|\\.)*(?:"|$)) | \#[^\n]* | \\\r?\n | [0-9][\w.]*)
    | (?P<word>\w+) | (?P<open>[(\[{]) | (?P<close>[)\]}]) | (?P<end>[,;]) | (?P<line>\r\n?|\n)
    | (?P<link>\*\*|//|<<|>>|->|[<>=!]=|[.+\-*/%@&|^<>~!])
    """  # compiled when first needed
_VERBOSE = re.VERBOSE | re.DOTALL | re.MULTILINE | re.IGNORECASE
_LINK_WORDS = frozenset(("not", "lambda", "await", "if", "and", "or", "in", "is"))


def too_deep(text: str) -> TooDeep | None:
    """What in the text is nested too deeply to be parsed; None if it is safe."""
    # Nearly all files are settled by a few passes at memory speed: 0.3% of the time that parsing them takes.
    return _scan(text) if _suspicious(text.encode("utf-8", "replace")) else None


def _suspicious(data: bytes) -> bool:
    """Whether an exact scan is due. Strings and comments count like code here, so that a harmless file can be suspicious."""
    if data.count(b"elif") > MAX_ELIFS or any(_is_frequent(word, data) for word in _WORDS):
        return True
    if b"case" in data and _DEEP_CASE.search(data):
        return True
    if data.count(b"(") + data.count(b"[") + data.count(b"{") > MAX_BRACKETS:
        rest = data.translate(_CLASSES, _NOT_BRACKETS)
        for _ in range(MAX_BRACKETS):
            shorter = rest.replace(b"()", b"")
            if len(shorter) == len(rest):
                break
            rest = shorter
        if rest.count(b"(") > MAX_BRACKETS:
            return True
    rest = data.translate(_CLASSES, _NOT_LINKS)
    while len(rest) > MAX_CHAIN:
        if _CHAIN in rest:
            return True
        shorter = _INNERMOST.sub(b"+", rest)  # seen from outside, a call or subscript is one link
        if shorter == rest:
            break
        rest = shorter
    return False


def _is_frequent(word: bytes, data: bytes) -> bool:
    """Whether a word occurs more often than a chain may have links; `or` is also a part of `for`, `torch` and `forward`."""
    return data.count(word) > MAX_CHAIN and len(re.findall(rb"\b%s\b" % word, data)) > MAX_CHAIN


def _scan(text: str) -> TooDeep | None:
    """Tokens one by one: how many links follow one another on each level of brackets."""
    line = 1
    elifs = 0
    in_case = start = True
    links = [0]  # on each open level: links since the last comma …
    below = [0]  # … and the highest chain inside its operands
    for token in re.finditer(_TOKEN, text, _VERBOSE):
        kind = token.lastgroup
        if kind == "skip":
            line += token.group().count("\n")
            start = False
            continue
        if kind == "line":
            line += 1
            if len(links) == 1:
                links[0] = below[0] = 0
                start = True
            continue
        word = token.group() if kind == "word" else ""
        if start:
            in_case = word == "case"
            start = False
        if word == "elif":
            elifs += 1
            if elifs > MAX_ELIFS:
                return TooDeep("elif branches", line)
        if kind == "open":
            links.append(0)
            below.append(0)
            if len(links) > MAX_BRACKETS + 1:
                return TooDeep("brackets", line)
            if in_case and len(links) > MAX_PATTERN + 1:
                return TooDeep("pattern", line)
        elif kind == "close":
            if len(links) > 1:
                height = links.pop() + below.pop() + 1
                links[-1] += 1
                below[-1] = max(below[-1], height)
        elif kind == "end":
            links[-1] = 0  # `below` stays: the elements of a display lie next to one another
        elif kind == "link" or word in _LINK_WORDS:
            links[-1] += 1
        if links[-1] + below[-1] > MAX_CHAIN:
            return TooDeep("operators", line)
    return None
