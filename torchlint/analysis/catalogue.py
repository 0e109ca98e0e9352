"""The classes of a project that are whole models: no part of another class."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from torchlint.analysis import ir
from torchlint.analysis.lower import ParseFailure
from torchlint.source import SourceError

_CLASS = re.compile(r"^class[ \t]+(\w+)[ \t]*\([^)]*\w[^)]*\)", re.MULTILINE)
_WORD = re.compile(r"\w+")

MOST_FILES = 400
_MOST_CLASSES = 200
_MOST_BYTES = 400_000
"""In a project of more files or classes, or with more text that speaks of them, nobody can tell which model is meant."""


class Model(NamedTuple):
    """A class of a project, and whether something in sight makes an object of it."""

    path: str
    name: str
    built: bool


_DATA_SET = re.compile(r"^class[ \t]+(\w+)[ \t]*\([^)]*Dataset[^)]*\)", re.MULTILINE)

_MOST_DATA_SETS = 30


def data_sets(texts: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The classes that are data sets, each with its file; none if there are too many, or batches are made in another way."""
    found = tuple((path, name) for path, text in texts.items() if "Dataset" in text for name in _DATA_SET.findall(text))
    own_batches = any("collate" in text for text in texts.values())
    return () if own_batches or len(found) > _MOST_DATA_SETS else found


class _Mentions(msgspec.Struct):
    """How the names of classes are used: called outside of modules, in a module's class, or otherwise."""

    built: set[str]
    part: set[str]
    other: set[str]


def models(texts: Mapping[str, str], load: Callable[[str], ir.Module]) -> tuple[Model, ...]:
    """The classes that may be modules and are no part, base or item of another; none if there are too many to tell.

    `texts` are the texts of all files, and `load` lowers one of them; it raises SourceError or ParseFailure.
    """
    defined = [
        (path, name)
        for path, text in texts.items()
        if "nn" in text or "Module" in text
        for name in _CLASS.findall(text)
    ]
    names = frozenset(name for _, name in defined)
    speaking = [path for path, text in texts.items() if not names.isdisjoint(_WORD.findall(text))]
    if len(defined) > _MOST_CLASSES or sum(len(texts[path]) for path in speaking) > _MOST_BYTES:
        return ()
    mentions = _Mentions(set(), set(), set())
    for path in speaking:
        try:
            module = load(path)
        except (SourceError, ParseFailure):
            continue
        _collect(module.body, names, mentions)
    return tuple(
        Model(path, name, name in mentions.built)
        for path, name in defined
        if name not in mentions.part and (name in mentions.built or name not in mentions.other)
    )


def _collect(value: Any, names: frozenset[str], mentions: _Mentions) -> None:
    """Note how the names are used in a part of a module."""
    if isinstance(value, tuple):
        for item in value:
            _collect(item, names, mentions)
    elif isinstance(value, ir.ClassDef) and any(
        isinstance(stmt, ir.FunctionDef) and stmt.name == "forward" for stmt in value.body
    ):
        mentions.part |= (value.words & names) - {value.name}
    elif isinstance(value, ir.Call) and (name := _last_name(value.func)) in names:
        mentions.built.add(name)
        _collect(value.args, names, mentions)
    elif isinstance(value, (ir.Name, ir.Attribute)) and value.name in names:
        mentions.other.add(value.name)
    elif isinstance(value, msgspec.Struct) and not isinstance(value, (ir.Import, ir.ImportFrom)):
        for part in _parts(value):
            _collect(part, names, mentions)


def _last_name(func: ir.Expr) -> str:
    return func.name if isinstance(func, (ir.Name, ir.Attribute)) else ""


def _parts(value: msgspec.Struct) -> Iterator[Any]:
    for field in value.__struct_fields__:
        part = getattr(value, field)
        if isinstance(part, (tuple, msgspec.Struct)):
            yield part
