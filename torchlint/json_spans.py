"""Where the code of a notebook's cells stands in its JSON text, character by character, so that a part can be replaced."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from torchlint.splice import Splice

_TOKEN = re.compile(r'[ \t\r\n]*("(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^ \t\r\n{}\[\]:,"]+)', re.DOTALL)
_CHARACTER = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[^\\]", re.DOTALL
)


class CellSource(NamedTuple):
    """The code of a cell: `offsets` holds for each of its characters the span in the JSON text; `ends` where strings end."""

    text: str
    offsets: tuple[tuple[int, int], ...]
    ends: tuple[int, ...]
    ascii_only: bool

    def replaced(self, change: Splice) -> list[Splice]:
        """A change of the code as changes of the JSON text, one for each string of a list that it reaches into."""
        content = json.dumps(change.content, ensure_ascii=self.ascii_only)[1:-1]
        spans = self.offsets[change.start : change.end]
        if not spans:
            at = self.offsets[change.start][0] if change.start < len(self.offsets) else self.ends[-1]
            return [Splice(at, at, content)]
        runs = [[*spans[0]]]
        for start, end in spans[1:]:
            if start == runs[-1][1]:
                runs[-1][1] = end
            else:
                runs.append([start, end])
        return [Splice(start, end, content if index == 0 else "") for index, (start, end) in enumerate(runs)]


class _Open:
    """An object or array that is being read: the key or index of the item that is next, whether it holds code."""

    __slots__ = ("is_object", "key", "kind", "source", "wanted")

    def __init__(self, *, is_object: bool, wanted: bool) -> None:
        self.is_object = is_object
        self.wanted = wanted
        self.key: str | None = None
        self.kind = ""
        self.source: list[tuple[int, int]] = []


def cell_sources(raw: str) -> list[CellSource]:
    """The code of each code cell in order. The text must be valid JSON."""
    found: list[CellSource] = []
    stack: list[_Open] = []
    ascii_only = raw.isascii()
    at = 0
    while token := _TOKEN.match(raw, at):
        word, at = token[1], token.end()
        top = stack[-1] if stack else None
        if word in ("{", "["):
            stack.append(_Open(is_object=word == "{", wanted=_holds_code(stack)))
            if top is not None and top.is_object and top.key in ("source", "input"):
                top.source = []
        elif word in ("}", "]"):
            closed = stack.pop()
            if closed.kind == "code":
                found.append(_cell(raw, closed.source, ascii_only))
        elif word == ",":
            if top is not None and top.is_object:
                top.key = None
        elif word.startswith('"') and top is not None:
            span = (token.start(1) + 1, token.end(1) - 1)
            if top.is_object and top.key is None:
                top.key = json.loads(word)
            elif top.is_object and top.key == "cell_type":
                top.kind = json.loads(word)
            elif top.is_object and top.key in ("source", "input"):
                top.source = [span]
            elif top.wanted:
                stack[-2].source.append(span)
    return found


def _holds_code(stack: list[_Open]) -> bool:
    """Whether an array that begins here is the value of a cell's `source`."""
    return bool(stack) and stack[-1].is_object and stack[-1].key in ("source", "input")


def _cell(raw: str, strings: list[tuple[int, int]], ascii_only: bool) -> CellSource:
    text: list[str] = []
    offsets: list[tuple[int, int]] = []
    for start, end in strings:
        for each in _CHARACTER.finditer(raw, start, end):
            offsets.append(each.span())
            text.append(json.loads(f'"{each[0]}"', strict=False))
    return CellSource("".join(text), tuple(offsets), tuple(end for _, end in strings), ascii_only)
