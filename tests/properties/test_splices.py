"""Edits change what lies in their spans and nothing else, in texts of any line ends, in files and in notebooks."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torchlint.diagnostics import Edit, Place
from torchlint.fixes import rewritten
from torchlint.json_spans import cell_sources
from torchlint.source import line_starts
from torchlint.splice import Splice, spliced, splices

LINES = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=8), min_size=1, max_size=6)
TEXTS = st.builds(lambda lines, end: end.join(lines), LINES, st.sampled_from(["\n", "\r\n", "\r"]))
WORDS = st.text(st.characters(codec="utf-8"), max_size=4)


@st.composite
def edited(draw: st.DrawFn) -> tuple[str, list[Splice]]:
    """A text and changes of it that do not overlap."""
    text = draw(TEXTS)
    ends = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pairs = list(zip(ends[::2], ends[1::2], strict=False))
    return text, [Splice(start, end, draw(WORDS)) for start, end in pairs]


def place(text: str, offset: int) -> tuple[int, int]:
    starts = line_starts(text)
    line = max(number for number, start in enumerate(starts) if start <= offset)
    return line + 1, offset - starts[line] + 1


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(edited())
def test_what_is_outside_stays(case: tuple[str, list[Splice]]) -> None:
    text, changes = case
    new = spliced(text, changes)
    shift = at = 0
    for start, end, content in changes:
        assert new[at + shift : start + shift] == text[at:start]
        assert new[start + shift : start + shift + len(content)] == content
        shift += len(content) - (end - start)
        at = end
    assert new[at + shift :] == text[at:]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(edited())
def test_places_lead_back_to_offsets(case: tuple[str, list[Splice]]) -> None:
    text, changes = case
    edits = [Edit(Place("a.py", *place(text, c.start), *place(text, c.end)), c.content) for c in changes]
    assert splices(text, edits) == sorted(changes)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(TEXTS, min_size=1, max_size=3), st.booleans(), st.sampled_from([None, 1]), st.data())
def test_characters_of_cells_are_found_in_the_json(
    codes: list[str], plain: bool, indent: int | None, data: st.DataObject
) -> None:
    sources: list[object] = [code if plain else code.splitlines(keepends=True) for code in codes]
    book = {"cells": [{"outputs": [{"text": ['"source": "x"']}], "source": s, "cell_type": "code"} for s in sources]}
    raw = json.dumps(book, ensure_ascii=data.draw(st.booleans()), indent=indent)
    found = cell_sources(raw)
    assert [cell.text for cell in found] == codes
    number = data.draw(st.integers(0, len(codes) - 1))
    ends = sorted(data.draw(st.lists(st.integers(0, len(codes[number])), min_size=2, max_size=2)))
    if plain or codes[number]:
        change = Splice(ends[0], ends[1], data.draw(WORDS))
        after = json.loads(spliced(raw, sorted(found[number].replaced(change))))
        got = ["".join(cell["source"]) for cell in after["cells"]]
        assert got == [spliced(code, [change]) if n == number else code for n, code in enumerate(codes)]
        for cell in after["cells"]:
            assert cell["outputs"] == [{"text": ['"source": "x"']}]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=12),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_comments_of_any_text_survive(comment: str, end: str) -> None:
    text = f"# {comment}{end}x = f(1){end}# {comment}"
    data = b"\xef\xbb\xbf" + text.encode()
    new = rewritten("a.py", data, [Edit(Place("a.py", 2, 5, 2, 9), "2")])
    assert new == data.replace(b"f(1)", b"2", 1) if "f(1)" not in comment else True
