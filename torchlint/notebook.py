"""Notebooks as Python text: the code cells one after the other, with IPython's own syntax made harmless, line by line.

What IPython adds (magics, shell lines, help) is replaced by `pass` or `None` on the same line, so that every other
character keeps its line and column. A cell that is still not Python is left out and noted; the others are analysed.
"""

from __future__ import annotations

import ast
import codecs
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torchlint.source import Cell, Source, SourceError, SourceNote, split_lines

if TYPE_CHECKING:
    from torchlint.diagnostics import Edit
    from torchlint.splice import Splice

PYTHON_CELL_MAGICS = frozenset({"time", "timeit", "capture", "prun", "memit", "debug", "python", "python3", "pypy"})
"""Cell magics whose body is Python; the body of any other is another language or goes somewhere else."""

_TOKEN = re.compile(
    r"""
    (?P<comment>\#[^\r\n]*)
  | (?P<string>\"\"\"[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*\"\"\"
             | '''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''
             | "(?:\\(?:\r\n|.)|[^"\\\r\n])*"
             | '(?:\\(?:\r\n|.)|[^'\\\r\n])*')
  | (?P<joined>\\(?:\r\n|\r|\n))
  | (?P<newline>\r\n|\r|\n)
  | (?P<space>[ \t\f]+)
  | (?P<word>\w+)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_MAYBE_ESCAPED = re.compile(r"[!%?]|^[ \t]*[,/]", re.MULTILINE)
_JOINED_LINE = re.compile(r"(?:[^\\\r\n]|\\(?:\r\n|.)|\\)*", re.DOTALL)
_TIMED = re.compile(r"%%?time(?:it)?[ \t]+(?=[^\s-])")
_CELL_MAGIC = re.compile(r"\s*%%(\w+)")


def from_bytes(path: str, data: bytes) -> Source:
    """Read a notebook (nbformat 3 or 4). Raises SourceError if it is none, with the place in the JSON."""
    notebook = _load(data)
    if not _is_python(notebook):
        return Source(path, "")
    text: list[str] = []
    cells: list[Cell] = []
    notes: list[SourceNote] = []
    line = 1
    for number, code in enumerate(_code_cells(notebook), 1):
        if code is None:
            continue
        plain = to_python(code)
        if (note := _not_python(plain, number)) is not None:
            notes.append(note)
            continue
        if not plain.endswith(("\n", "\r")):
            plain += "\n"
        count = len(split_lines(plain))
        cells.append(Cell(number, line, count))
        text.append(plain)
        line += count
    return Source(path, "".join(text), tuple(cells), tuple(notes))


def cell_codes(data: bytes) -> dict[int, str]:
    """The code of each code cell in Python by its number. Raises SourceError."""
    return {number: code for number, code in enumerate(_code_cells(_load(data)), 1) if code is not None}


def rewritten(path: str, data: bytes, edits: Mapping[int, Sequence[Edit]]) -> bytes:
    """The bytes of a notebook with edits made in the code of its cells, by number. Raises Refused.

    Only characters of the cells' code are replaced: the layout of the JSON, the outputs and all else stay byte for byte.
    """
    from torchlint import json_spans  # noqa: PLC0415  # only for fixes
    from torchlint.splice import Refused, spliced, splices  # noqa: PLC0415  # only for fixes

    mark = data[: len(codecs.BOM_UTF8)] if data.startswith(codecs.BOM_UTF8) else b""
    raw = data[len(mark) :].decode("utf-8")
    found = json_spans.cell_sources(raw)
    codes = cell_codes(data)
    changes: list[Splice] = []
    for number, each in edits.items():
        code = codes.get(number)
        source = found[number - 1] if number <= len(found) else None
        if code is None or source is None or source.text != code:
            raise Refused(f"the code of cell {number} cannot be found in its JSON")
        for splice in splices(code, each):
            changes += source.replaced(splice)
        new = spliced(code, splices(code, each))
        if to_python(new) != spliced(to_python(code), splices(to_python(code), each)):
            raise Refused(f"the code of cell {number} holds what only IPython understands at that place")
    return mark + spliced(raw, sorted(changes)).encode("utf-8")


def to_python(code: str) -> str:
    """A cell's code with IPython's syntax replaced; as many lines as before, and Python stays where it was."""
    if magic := _CELL_MAGIC.match(code):
        first_end = magic.end() + len(_JOINED_LINE.match(code, magic.end())[0])  # type: ignore[index]
        if magic[1] not in PYTHON_CELL_MAGICS:
            return _only_line_ends(code)
        return _only_line_ends(code[:first_end]) + to_python(code[first_end:])
    return "".join(_replaced(code)) if _MAYBE_ESCAPED.search(code) else code


def is_python(code: str) -> bool:
    """Whether a cell's code is analysed: Python but for what IPython adds."""
    return _not_python(to_python(code), 1) is None


def _replaced(code: str) -> Iterator[str]:
    """The pieces of a cell's code, IPython's replaced. An escape counts only where a statement or a value may begin."""
    depth = 0
    previous = "\n"  # the last character that means something; at the start of a line, a line end
    statement = at = 0  # where the logical line starts in `code`, and up to where the pieces have been given out
    position = 0
    while token := _TOKEN.match(code, position):
        kind, word, position = token.lastgroup, token[0], token.end()
        if kind in ("space", "comment", "joined"):
            continue
        if kind == "newline":
            if depth == 0:
                previous, statement = "\n", position
            continue
        if depth == 0 and kind == "other" and _escapes(code, token.start(), previous):
            start = statement if word == "?" else token.start()
            end = start + len(_JOINED_LINE.match(code, start)[0])  # type: ignore[index]
            yield code[at:start]
            yield _substitute(code[start:end], is_value=previous == "=" and word != "?")
            at = position = end
            previous = "x"
            continue
        depth = max(0, depth + (word in "([{") - (word in ")]}")) if kind == "other" else depth
        previous = word[-1]
    yield code[at:]


def _escapes(code: str, at: int, previous: str) -> bool:
    """Whether the character begins something that only IPython understands."""
    character = code[at]
    if character == "?":
        return True
    if character in "!%":
        return previous in "\n;:=" and not code.startswith(("!=", "%="), at)
    return character in ",/" and previous == "\n"


def _substitute(escaped: str, *, is_value: bool) -> str:
    """Python of the same line count for an escaped line; what `%time` and `%timeit` run is kept where it stands."""
    if not is_value and (timed := _TIMED.match(escaped)):
        return "pass;".ljust(timed.end()) + escaped[timed.end() :]
    indent = escaped[: len(escaped) - len(escaped.lstrip(" \t"))]
    return indent + ("None" if is_value else "pass") + _only_line_ends(escaped)


def _only_line_ends(text: str) -> str:
    # LF whatever they were: of two lines that end in CR and LF, blanks would make a single CRLF.
    return "\n" * len(re.findall(r"\r\n|\r|\n", text))


def _load(data: bytes) -> Mapping[str, Any]:
    try:
        notebook = json.loads(data.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        reason = "is empty" if not data.strip() else f"not valid JSON: {error.msg}"
        raise SourceError(f"not a notebook: {reason}", error.lineno, error.colno) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SourceError(f"not a notebook: byte 0x{data[error.start]:02x} is not valid UTF-8", line) from error
    except RecursionError as error:
        raise SourceError("not a notebook: its JSON is nested too deeply") from error
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells", notebook.get("worksheets")), list):
        raise SourceError("not a notebook: its JSON has no list of cells", 1, 1)
    return notebook


def _is_python(notebook: Mapping[str, Any]) -> bool:
    """Whether the kernel runs Python, or does not say what it runs."""
    metadata = _table(notebook.get("metadata"))
    for table, key in (("kernelspec", "language"), ("language_info", "name")):
        language = _table(metadata.get(table)).get(key)
        if isinstance(language, str):
            return "python" in language.lower()
    return True


def _code_cells(notebook: Mapping[str, Any]) -> Iterator[str | None]:
    """The code of each code cell in order; None for one in another language, which still counts."""
    cells = _list(notebook.get("cells"))
    for sheet in _list(notebook.get("worksheets")):
        cells = [*cells, *_list(_table(sheet).get("cells"))]
    for cell in map(_table, cells):
        if cell.get("cell_type") != "code":
            continue
        language = cell.get("language") or _table(_table(cell.get("metadata")).get("vscode")).get("languageId")
        code = cell.get("source", cell.get("input", ""))
        code = "".join(map(str, code)) if isinstance(code, list) else str(code or "")
        # A lone surrogate is legal JSON and cannot be encoded, which the parser must do.
        yield None if language not in (None, "python") else re.sub("[\ud800-\udfff]", "\ufffd", code)


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _not_python(code: str, number: int) -> SourceNote | None:
    """Why a cell cannot be analysed, or None. The running Python decides fast; LibCST knows newer syntax, too."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        import libcst  # noqa: PLC0415  # only for a cell that looks broken

        try:
            libcst.parse_module(code)
        except (libcst.ParserSyntaxError, ValueError, RecursionError) as refused:
            line = getattr(refused, "raw_line", None) or getattr(error, "lineno", None)
            reason = getattr(error, "msg", None) or str(error)
            return SourceNote(f"cell is not valid Python and was left out: {reason}", line, None, number)
    return None
