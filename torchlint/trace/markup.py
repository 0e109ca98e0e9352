"""HTML and SVG from nested calls: whatever is not markup already is escaped."""

from __future__ import annotations

from html import escape

_EMPTY = frozenset({"meta"})


class Markup(str):
    """Text that is markup; any other text is escaped where it is put in."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: object) -> Markup:
    """An element. `class_` and `for_` stand for the names that Python keeps, `aria_label` for `aria-label`; None is left out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = joined(*children)
    return Markup(f"<{name}{given}>" if name in _EMPTY else f"<{name}{given}>{inside}</{name}>")


def joined(*children: str) -> Markup:
    """Pieces behind each other."""
    return Markup("".join(child if isinstance(child, Markup) else escape(child) for child in children))
