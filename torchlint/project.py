"""The files of a run and those they import: which file a dotted name leads to, each parsed at most once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import NamedTuple

from torchlint.analysis import catalogue, ir
from torchlint.analysis.catalogue import Model
from torchlint.contracts import Contracts
from torchlint.folders import Folders
from torchlint.lookups import Lookups, Query
from torchlint.source import Source, SourceError, is_notebook, read_bytes

_NEVER_OURS = frozenset(
    {"torch", "numpy", "typing", "functools", "collections", "math", "os", "sys", "argparse", "random"}
)
"""Top-level names that are taken for the library even if a folder of the project has the same name."""

_MAX_ANCESTORS = 8

_MAX_DEPTH = 3
_MOST_BELOW = 200
"""In a folder, and so many below each other in it, so many modules are searched for a name that it gives."""

_STEP = 4096
"""The bytes to which the sizes of imported modules are rounded up."""

# A pattern that begins with a newline is looked for at newlines alone: several times as fast as one that begins with ^.
_IMPORT_LINE = re.compile(r"\n[ \t]*(?:from|import)[ \t]([^\n(]*(?:\([^)]*\))?)")
_DEFINED = re.compile(r"\n(?:class|(?:async )?def)[ \t]+(\w+)")
_WORD = re.compile(r"\w+")
_APART = bytes(code if code >= 0x80 or chr(code).isalnum() or code == ord("_") else ord(" ") for code in range(256))
"""By which everything between words becomes a space, many times as fast as a pattern finds them."""


def is_library(name: str) -> bool:
    """Whether a dotted name is certainly one of a library that projects use for many things."""
    return name.partition(".")[0] in _NEVER_OURS


class _Below(NamedTuple):
    """Folders and modules below a folder, and which of these define a name."""

    folders: frozenset[str]
    modules: frozenset[str]
    defining: Mapping[str, Sequence[str]]


class Project:
    """Finds and lowers modules. Paths are kept as the run spells them; a file found by import is spelled from the importer's.

    `load` gives a file's bytes; `lower` lowers a text, or knows what it was lowered to before. `lookups` is what was asked
    for since somebody set it, whoever else asked for the same before.
    """

    def __init__(
        self,
        paths: Sequence[str],
        read: Callable[[str], Source],
        contracts: Contracts,
        search: Sequence[str] = (),
        *,
        load: Callable[[str], bytes] = read_bytes,
        lower: Callable[[str, str], ir.Module] | None = None,
        folders: Folders | None = None,
    ) -> None:
        self.paths = tuple(paths)
        self.given = frozenset(paths)
        self.read = read
        self._load = load
        self._lower = lower
        self.contracts = contracts
        self.search = tuple(search)
        self.lookups = Lookups()
        folders = folders or Folders(paths)
        self._spelling = folders.spelling
        self._names = folders.names
        self._found: dict[tuple[str, str], tuple[str | None, frozenset[str]]] = {}
        self.modules: dict[str, ir.Module] = {}
        self._importing: dict[str, list[str]] | None = None
        self._models: tuple[Model, ...] | None = None
        self._data_sets: tuple[tuple[str, str], ...] | None = None
        self._below_folders: dict[str, _Below] = {}
        self.known: dict[Query, tuple[str, ...]] = {}
        """The files that mention something, as far as it was searched for."""

    def load(self, path: str) -> ir.Module:
        """The lowered module. Raises SourceError or ParseFailure."""
        self.lookups.loaded.add(path)
        module = self.modules.get(path)
        if module is None:
            if self._lower is None:
                from torchlint.analysis.lower import lower  # noqa: PLC0415  # imports the parser

                self._lower = lower
            module = self.modules[path] = self._lower(self.read(path).text, path)
        return module

    def models(self) -> tuple[Model, ...]:
        """The classes of the files of the run that are whole models; none if there are too many to tell."""
        if self._models is None:
            asked, self.lookups = self.lookups, Lookups()  # of whoever asked, this is one lookup
            few = len(self.paths) <= catalogue.MOST_FILES
            self._models = catalogue.models({path: self.text(path) for path in self.paths}, self.load) if few else ()
            self.lookups = asked
        self.lookups.models = self._models
        return self._models

    def data_sets(self) -> tuple[tuple[str, str], ...]:
        """The classes of the files of the run that are data sets; none if there are too many to tell."""
        if self._data_sets is None:
            few = len(self.paths) <= catalogue.MOST_FILES
            self._data_sets = catalogue.data_sets({path: self.text(path) for path in self.paths}) if few else ()
        self.lookups.data_sets = self._data_sets
        return self._data_sets

    def size(self, path: str) -> int:
        """The size of a file in bytes; 0 if it cannot be told."""
        try:
            return os.path.getsize(path)
        except OSError:
            return 0

    def charge(self, path: str) -> int:
        """The size of a file in whole steps: what is counted so stays the same when a line is added."""
        self.lookups.sized.add(path)
        return -(-self.size(path) // _STEP) * _STEP

    def mentioning(self, names: frozenset[str], modules: frozenset[str]) -> tuple[str, ...]:
        """The files that import one of the names, or one of the modules and use one of the names. A search in their texts.

        A name that is looked up in the module while the program runs may be any of them.
        """
        query = Query(names, modules)
        found = self.known.get(query)
        if found is None:
            importing = self._index()
            chosen = {path for name in names for path in importing.get(name, ())}
            through: dict[str, list[str]] = {}
            for module in modules:
                for path in importing.get(module, ()):
                    if path not in chosen:
                        through.setdefault(path, []).append(module)
            chosen.update(path for path, imported in through.items() if self._uses(path, names, imported))
            found = self.known[query] = tuple(path for path in self.paths if path in chosen)
        self.lookups.mentioning[query] = found
        return found

    def mentions(self, path: str, query: Query, words: frozenset[str]) -> bool:
        """Whether a file with these words in its import statements is one of those that mention something."""
        if not words.isdisjoint(query.names):
            return True
        imported = query.modules & words
        return bool(imported) and self._uses(path, query.names, imported)

    def imports(self, path: str) -> frozenset[str]:
        """The words of the import statements of a file. A search in its text."""
        text = self.text(path)
        if is_notebook(path):
            text = text.replace("\\n", "\n").replace('"', "\n")  # its lines stand in texts of JSON
        return frozenset(word for line in _IMPORT_LINE.findall("\n" + text) for word in _WORD.findall(line))

    def _index(self) -> dict[str, list[str]]:
        """The files of the run by the words of their import statements. Each file is searched once, when first asked for any."""
        if self._importing is None:
            self._importing = {}
            for path in self.paths:
                for word in self.imports(path):
                    self._importing.setdefault(word, []).append(path)
        return self._importing

    def _uses(self, path: str, names: frozenset[str], modules: Iterable[str]) -> bool:
        data = self.text(path)
        return _holds(data, names) or any(_looked_up(data, module) for module in modules)

    def looked_up(self, modules: Iterable[str], paths: Iterable[str]) -> list[str]:
        """Those of the modules in which one of the files looks up a name that its text does not fix. A search in the texts."""
        texts = [text for text in map(self.text, paths) if "getattr(" in text]
        return [module for module in modules if any(_looked_up(text, module) for text in texts)]

    def text(self, path: str) -> str:
        """The text of a file, not decoded properly; empty if it cannot be read."""
        try:
            return self._load(path).decode("latin-1")
        except SourceError:
            return ""

    def absolute(self, name: str, importer: str) -> str | None:
        """The file or folder that `import name` leads to from the file `importer`, or None if it is not of the project."""
        top = name.partition(".")[0]
        if top in _NEVER_OURS:
            return None
        folder = os.path.dirname(importer)
        key = (folder, name)
        if key not in self._found:
            before, self.lookups.folders = self.lookups.folders, set()
            found = self._search(top, name, folder)
            self._found[key] = found, frozenset(self.lookups.folders)
            self.lookups.folders = before
        found, folders = self._found[key]
        self.lookups.folders |= folders
        return self._resolved(found)

    def relative(self, name: str, level: int, importer: str) -> str | None:
        """The file or folder that `from ..name import` leads to; `level` counts the dots."""
        folder = os.path.dirname(importer)
        for _ in range(level - 1):
            folder = os.path.join(folder, os.pardir) if folder in ("", os.pardir) else os.path.dirname(folder)
        return self._resolved(self._below(folder, name) if name else self._package(folder))

    def member(self, package: str, name: str) -> str | None:
        """The submodule `name` of a package given by its folder or its `__init__.py`."""
        if package.endswith(".py"):
            if os.path.basename(package) != "__init__.py":
                return None
            package = os.path.dirname(package)
        return self._resolved(self._below(package, name))

    def package_around(self, name: str, importer: str) -> str | None:
        """The folder of the innermost package there is around a module that is not, by its dotted name; None if it is there."""
        parts = name.split(".")
        for count in range(len(parts), 0, -1):
            path = self.absolute(".".join(parts[:count]), importer)
            if path is not None:
                is_package = not path.endswith(".py") or os.path.basename(path) == "__init__.py"
                if not is_package or (count == len(parts) and path.endswith(".py")):
                    return None
                return os.path.dirname(path) if path.endswith(".py") else path
        return None

    def defining(self, folder: str, name: str) -> Sequence[str]:
        """The modules below a folder that define a class or a function of this name. A search in their texts."""
        below = self._below_folders.get(folder)
        if below is None:
            below = self._below_folders[folder] = self._search_below(folder)
        self.lookups.folders |= below.folders
        self.lookups.loaded |= below.modules
        return below.defining.get(name, ())

    def _search_below(self, folder: str) -> _Below:
        before, self.lookups.folders = self.lookups.folders, set()
        modules = list(islice(self._modules_below(folder, _MAX_DEPTH), _MOST_BELOW))
        folders, self.lookups.folders = frozenset(self.lookups.folders), before
        defining: dict[str, list[str]] = {}
        for path in modules:
            for name in dict.fromkeys(_DEFINED.findall("\n" + self.text(path))):
                defining.setdefault(name, []).append(path)
        return _Below(folders, frozenset(modules), defining)

    def _modules_below(self, folder: str, depth: int) -> Iterator[str]:
        for entry in sorted(self._list(folder)):
            path = os.path.join(folder, entry)
            if entry.endswith(".py"):
                yield self._spell(path)
            elif depth and "." not in entry:
                yield from self._modules_below(path, depth - 1)

    def _resolved(self, path: str | None) -> str | None:
        if path is not None:
            self.lookups.resolved.add(path)
        return path

    def _list(self, folder: str) -> frozenset[str]:
        self.lookups.folders.add(folder)
        return self._names(folder)

    def _search(self, top: str, name: str, folder: str) -> str | None:
        for root in (*self._roots(folder), *self.search):
            if self._below(root, top) is not None:
                return self._below(root, name)
        return None

    def _roots(self, folder: str) -> list[str]:
        """Where an import looks: the importer's folder and those above it, a package's own folder last, `src/` beside each."""
        roots: list[str] = []
        packages: list[str] = []
        current = folder
        for _ in range(_MAX_ANCESTORS):
            in_package = "__init__.py" in self._list(current)
            (packages if in_package else roots).append(current)
            if "src" in self._list(current) and not in_package:
                roots.append(os.path.join(current, "src"))
            parent = os.path.dirname(current)
            if parent == current or (not parent and not current):
                break
            if not in_package and ".git" in self._list(current):
                break
            current = parent
        return roots + packages

    def _below(self, folder: str, name: str) -> str | None:
        parts = name.split(".")
        for part in parts[:-1]:
            if part not in self._list(folder):
                return None
            folder = os.path.join(folder, part)
        last = parts[-1]
        entries = self._list(folder)
        package = self._package(os.path.join(folder, last)) if last in entries else None
        if f"{last}.py" in entries and (package is None or not package.endswith(".py")):
            # Like Python: a module comes before a folder that is no regular package, such as one of data.
            return self._spell(os.path.join(folder, f"{last}.py"))
        return package

    def _package(self, folder: str) -> str | None:
        entries = self._list(folder)
        if "__init__.py" in entries:
            return self._spell(os.path.join(folder, "__init__.py"))
        return folder if entries else None

    def _spell(self, path: str) -> str:
        return self._spelling.get(os.path.normpath(path), path)


def _holds(data: str, names: frozenset[str]) -> bool:
    """Whether one of the names is a word of a text."""
    if len(names) > _FEW or any(name in data for name in names):
        return not _encoded(names).isdisjoint(data.encode("latin-1").translate(_APART).split())
    return False


@cache
def _encoded(names: frozenset[str]) -> frozenset[bytes]:
    return frozenset(name.encode() for name in names)


_FEW = 8
"""So many names are looked for one by one sooner than all words of a text are taken apart."""


def _looked_up(data: str, module: str) -> bool:
    start = f"getattr({module},"
    return start in data and any(rest.lstrip()[:1] not in ("'", '"') for rest in data.split(start)[1:])
