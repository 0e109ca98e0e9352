"""What can be done about a diagnostic: changes of texts by offsets, and the page to read. Nothing here knows the protocol."""

from __future__ import annotations

import ast
import difflib
import warnings
from collections.abc import Iterator
from typing import NamedTuple

from torchlint import rulebook, suppress
from torchlint.notebook import to_python
from torchlint.server.texts import Text
from torchlint.source import split_lines

REASON = "why it is meant so"
"""What stands in place of the reason until it is written."""


class Replacement(NamedTuple):
    """Text in place of what lies between two offsets."""

    start: int
    end: int
    content: str


def page(code: str) -> str:
    """The page of a rule without its examples, as Markdown."""
    rule = rulebook.load()[code]
    return f"**{rule.code}: {rule.name}**\n\n*{rule.summary} ({rule.severity})*\n\n{rule.body}"


def difference(old: str, new: str) -> Iterator[Replacement]:
    """The changed lines, as few as a line diff finds, so that cursors and marks in the rest of the text stay."""
    before, after = split_lines(old), split_lines(new)
    starts = Text.of(old + "\n").starts
    for what, start, end, new_start, new_end in difflib.SequenceMatcher(None, before, after, False).get_opcodes():
        if what != "equal":
            last = len(old) if end == len(before) else starts[end]
            yield Replacement(
                starts[start] if start < len(before) else len(old), last, "".join(after[new_start:new_end])
            )


def ignored(text: Text, code: str, span: tuple[int, int]) -> Replacement | None:
    """A comment that hides this finding of these offsets; None if no line of it can take one."""
    first, last = text.place(span[0])[0], text.place(max(span[0], span[1] - 1))[0]
    lines = [last, first, *range(first + 1, last)]
    for directive in suppress.directives(text.text):
        if directive.line in lines and directive.kind == "ignore" and directive.codes and not directive.broken:
            line = text.line(directive.line - 1)
            bracket = line.find("]", directive.column - 1)
            if bracket >= 0:
                at = text.at(directive.line, bracket + 1)
                return Replacement(at, at, f", {code}")
    for number in lines:
        line = text.line(number - 1)
        bare = line.rstrip("\r\n \t")
        start = text.starts[number - 1]
        new = Replacement(
            start + len(bare), start + len(line.rstrip("\r\n")), f"  # torchlint: ignore[{code}] {REASON}"
        )
        if _says_the_same(text.text, text.text[: new.start] + new.content + text.text[new.end :]):
            return new
    return None


def _says_the_same(old: str, new: str) -> bool:
    """Whether two texts are the same but for comments: in a string or behind a backslash there is no room for one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            before, after = (ast.dump(ast.parse(to_python(text))) for text in (old, new))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return before == after
