"""Colour on terminals: whether to use it, and the few styles of the reports, without importing a library for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import IO

Style = Callable[[str, str], str]
"""Gives a text in a style, one of the names in `_CODES`."""

_CODES = {"error": "1;31", "warning": "1;33", "info": "1;36", "bold": "1", "dim": "2", "frame": "1;34", "good": "1;32"}


def style_for(stream: IO[str]) -> Style:
    """Colours if the stream is a terminal that has them, or FORCE_COLOR is set; never with NO_COLOR."""
    return coloured if wants_colour(stream) else plain


def wants_colour(stream: IO[str]) -> bool:
    """See no-color.org and force-color.org: a variable counts if it is set and not empty."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def coloured(text: str, style: str) -> str:
    """The text between ANSI codes."""
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m"


def plain(text: str, style: str) -> str:  # the same signature as `coloured`
    """The text as it is."""
    return text
