"""Where a call stands in the user's own code: the first frame outside torch, installed packages and Python itself."""

from __future__ import annotations

import os
import sysconfig
from functools import cache
from types import CodeType, FrameType
from typing import NamedTuple

_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_STANDARD = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")})
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


class Spot(NamedTuple):
    """An instruction of a code object, which tells two calls in one line apart."""

    code: CodeType
    instruction: int


class Where(NamedTuple):
    """A span of a source file. Lines and columns count from 1, columns in code points."""

    path: str
    line: int
    column: int
    end_line: int
    end_column: int


class Homes:
    """Which files are the user's. A script that lies among installed packages itself makes its folder the user's, too."""

    def __init__(self, script: str | None = None) -> None:
        folder = os.path.dirname(os.path.abspath(script)) + os.sep if script else ""
        self.script_folder = folder if any(part in folder for part in _INSTALLED) else ""
        self.known: dict[str, bool] = {}

    def is_user(self, path: str) -> bool:
        """Whether a code object's file is the user's own."""
        known = self.known.get(path)
        if known is None:
            known = self.known[path] = self._is_user(path)
        return known

    def _is_user(self, path: str) -> bool:
        if path.startswith("<"):
            # Cells of a notebook and of the console; not Python's own frozen modules or generated code.
            return path.startswith(("<ipython", "<stdin"))
        path = os.path.abspath(path)
        if self.script_folder and path.startswith(self.script_folder):
            return True
        if path.startswith(_OWN) or any(part in path for part in _INSTALLED):
            return False
        return not path.startswith(_STANDARD)

    def frame(self, frame: FrameType) -> FrameType:
        """The innermost frame of the user's on the stack, or the outermost of all if there is none."""
        here: FrameType | None = frame
        known = self.known
        while here is not None:
            path = here.f_code.co_filename
            if known[path] if path in known else self.is_user(path):
                return here
            frame, here = here, here.f_back
        return frame


def where(spot: Spot) -> Where:
    """The place of an instruction in its file."""
    code, instruction = spot
    positions = list(code.co_positions())
    line, end_line, column, end_column = positions[instruction // 2] if instruction >= 0 else (None,) * 4
    line = line or code.co_firstlineno
    end_line = end_line or line
    path = code.co_filename if code.co_filename.startswith("<") else os.path.abspath(code.co_filename)
    start = _characters(path, line, column or 0)
    end = _characters(path, end_line, end_column) if end_column is not None else start
    return Where(path, line, start + 1, end_line, end + 1)


def _characters(path: str, line: int, column: int) -> int:
    """A column in code points, from one in UTF-8 bytes."""
    lines = _lines(path)
    if line > len(lines):
        return column
    return len(lines[line - 1][:column].decode("utf-8", "replace"))


@cache
def _lines(path: str) -> list[bytes]:
    import linecache  # noqa: PLC0415  # knows the cells of notebooks, too

    return [line.encode() for line in linecache.getlines(path)]
