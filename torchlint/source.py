"""Source text and where its lines come from: files, notebooks' cells, standard input.

The text is exactly what Python would read: the declared or detected encoding is decoded, a byte order mark is left out,
and line ends (LF, CRLF, CR) stay as they are. What cannot become Python text raises SourceError with the place.
"""

from __future__ import annotations

import codecs
import os
import re
from bisect import bisect_right
from typing import NamedTuple

MAX_SOURCE_BYTES = 1_000_000
"""Longer Python text is refused: LibCST needs some 12 seconds and 1 GB for a megabyte of generated literals."""

MAX_FILE_BYTES = 256 << 20
"""No more than this is read of any file: it bounds notebooks full of images, and devices that never end."""

_CODING = rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)"
_BLANK = rb"^[ \t\f]*(?:#.*)?$"
_LINE = r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+"
_LINE_END = rb"\r\n|\r|\n"
# Compiled when first needed: a file without losses never becomes a text.


class Cell(NamedTuple):
    """A notebook's code cell: its number among the code cells from 1, its first line in `Source.text` (from 1), its line count."""

    number: int
    first_line: int
    lines: int


class SourceNote(NamedTuple):
    """A part of a file that was left out, and why: a notebook's cell that is not Python. Places count as in Place."""

    message: str
    line: int | None = None
    column: int | None = None
    cell: int | None = None


class Source(NamedTuple):
    """Python text to analyse. For a notebook, `text` is the code cells one after the other and `cells` maps lines back."""

    path: str
    text: str
    cells: tuple[Cell, ...] = ()
    notes: tuple[SourceNote, ...] = ()

    def cell_at(self, line: int) -> Cell | None:
        """The notebook cell that holds this line of `text`; None in a plain file."""
        index = bisect_right(self.cells, line, key=lambda cell: cell.first_line) - 1
        return self.cells[index] if index >= 0 else None

    def lines(self, first: int, last: int, cell: int | None = None) -> str:
        """Lines of `text`; in a notebook, of one of its cells."""
        above = next((each.first_line - 1 for each in self.cells if each.number == cell), 0)
        starts = line_starts(self.text)
        return self.text[starts[above + first - 1] : starts[min(above + last, len(starts) - 1)]]


class SourceError(Exception):
    """A file that cannot be turned into Python text; `message` is for people, `line` and `column` count from 1 where known."""

    def __init__(
        self,
        message: str,
        line: int | None = None,
        column: int | None = None,
        cell: int | None = None,
        *,
        unreadable: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.cell = cell
        self.unreadable = unreadable
        """The bytes could not be had at all (missing, no permission), so nothing is known about the file."""


def is_notebook(path: str) -> bool:
    """Whether the path is read as a notebook."""
    return path.lower().endswith(".ipynb")


def read(path: str) -> Source:
    """Read a file as Python text. Raises SourceError."""
    return from_bytes(path, read_bytes(path))


def read_bytes(path: str) -> bytes:
    """The bytes of a file. Raises SourceError, `unreadable`, that says why in plain words."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            # One read of the size that fstat gives: Python's file objects cost twice as much over thousands of small files.
            chunks = [os.read(descriptor, min(os.fstat(descriptor).st_size, MAX_FILE_BYTES) + 1)]
            size = len(chunks[0])
            while chunks[-1] and size <= MAX_FILE_BYTES:
                chunks.append(os.read(descriptor, 1 << 20))
                size += len(chunks[-1])
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceError(f"cannot be read: {reason}", unreadable=True) from error
    if size > MAX_FILE_BYTES:
        raise SourceError(f"is larger than {MAX_FILE_BYTES >> 20} MiB")
    return b"".join(chunks) if len(chunks) > 2 else chunks[0]


def from_bytes(path: str, data: bytes) -> Source:
    """Turn the bytes of a file into Python text. Raises SourceError."""
    if is_notebook(path):
        from torchlint import notebook  # noqa: PLC0415  # json and the rest only for runs with notebooks

        source = notebook.from_bytes(path, data)
        _check_size(len(source.text))
        return source
    _check_size(len(data))
    return Source(path, decode(data))


def decode(data: bytes) -> str:
    """Decode Python source as PEP 263 says. Raises SourceError naming the line and the byte that does not fit."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SourceError("is UTF-16, which Python cannot read; save it as UTF-8", 1, 1)
    bom = data.startswith(codecs.BOM_UTF8)
    if bom:
        data = data[len(codecs.BOM_UTF8) :]
    encoding, declared_at = _declared_encoding(data)
    if (null := data.find(b"\0")) >= 0:
        line, start = _line_of(data, null)
        raise SourceError("contains a null byte, so it is no Python source", line, null - start + 1)
    if bom and encoding is not None and encoding != "utf-8":
        raise SourceError(f"starts with a UTF-8 byte order mark but declares the encoding {encoding}", declared_at, 1)
    try:
        return data.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        raise _undecodable(data, error, encoding) from error
    except (LookupError, UnicodeError, ValueError) as error:
        raise SourceError(f"declares the encoding {encoding}, which is not known for text", declared_at, 1) from error


def encoding_of(data: bytes) -> tuple[bytes, str]:
    """The byte order mark and the encoding of bytes that `decode` can decode."""
    mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
    return mark, _declared_encoding(data[len(mark) :])[0] or "utf-8"


def split_lines(text: str) -> list[str]:
    """The lines of a text with their ends, split as Python does: at LF, CRLF and CR only, not at form feeds."""
    return re.findall(_LINE, text)


def line_starts(text: str) -> list[int]:
    """The offset of each line's first character, in code points."""
    starts = [0]
    for line in split_lines(text):
        starts.append(starts[-1] + len(line))
    return starts


def _check_size(size: int) -> None:
    if size > MAX_SOURCE_BYTES:
        limit = MAX_SOURCE_BYTES / 1e6
        raise SourceError(
            f"has {size / 1e6:.1f} MB of Python code, more than the limit of {limit:g} MB; "
            "leave generated files out with extend-exclude"
        )


def _declared_encoding(data: bytes) -> tuple[str | None, int]:
    """The encoding that one of the first two lines declares, normalised where it means UTF-8, and the line."""
    for number, line in enumerate(re.split(_LINE_END, data[:4096], maxsplit=2)[:2], 1):
        if match := re.match(_CODING, line):
            name = match[1].decode("ascii", "replace")
            is_utf8 = name.lower().replace("_", "-").startswith(("utf-8", "utf8"))
            return ("utf-8" if is_utf8 else name), number
        if not re.match(_BLANK, line):
            break
    return None, 1


def _undecodable(data: bytes, error: UnicodeDecodeError, encoding: str | None) -> SourceError:
    line, start = _line_of(data, error.start)
    column = len(data[start : error.start].decode(encoding or "utf-8", "replace")) + 1
    wrong = f"byte 0x{data[error.start]:02x}"
    if encoding is None:
        message = f"{wrong} is not valid UTF-8; save the file as UTF-8 or declare its encoding in the first line"
    else:
        message = f"{wrong} is not valid in the declared encoding {encoding}"
    return SourceError(message, line, column)


def _line_of(data: bytes, offset: int) -> tuple[int, int]:
    """The line (from 1) that holds this byte, and the offset at which the line starts."""
    ends = [match.end() for match in re.finditer(_LINE_END, data[:offset])]
    return len(ends) + 1, ends[-1] if ends else 0
