"""A run that remembers the last one: the files that nothing has changed for say what they said then.

The part of a file depends on the words and the roots of the run and on what its program looked up; so it is told again if
those that could matter to it are as they were. A module is known by what it was lowered to: a comment changes no part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from torchlint.analysis import ir
from torchlint.analysis.lower import ParseFailure
from torchlint.analysis.parts import Part, Seen, in_text, of_text
from torchlint.analysis.vocabulary import Learned, Vocabulary
from torchlint.analysis.whole import Runner
from torchlint.cache import digest
from torchlint.kept import Changes
from torchlint.lookups import Lookups, Query
from torchlint.project import Project
from torchlint.source import SourceError


class Words(msgspec.Struct, frozen=True):
    """The words of a run that lead to a loss, and those of them that are near one."""

    words: frozenset[str]
    near: frozenset[str]

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> Words:
        return cls(frozenset(vocabulary.words), frozenset(vocabulary.near))

    def differing(self, other: Words) -> frozenset[str]:
        """The words that are in one of both only, without the dot of attributes."""
        return frozenset(word.lstrip(".") for word in (self.words ^ other.words) | (self.near ^ other.near))


NO_WORDS = Words(frozenset(), frozenset())


class Learning(msgspec.Struct, frozen=True):
    """What the first round's roots bound to losses, as far as some words told: where it is more than by the words before."""

    known: Words
    learned: dict[str, Learned]


class Building(msgspec.Struct, frozen=True):
    """What took classes out of registries of these names in the files that made them."""

    registries: frozenset[str]
    paths: tuple[str, ...]
    builders: frozenset[str]


class Round(msgspec.Struct, frozen=True):
    """What files said, where these files might call a loss and these words led to one."""

    roots: frozenset[str]
    known: Words
    parts: dict[str, Part]


class Memory(msgspec.Struct, frozen=True):
    """What a run remembers: each step of it, what was searched for between them, and all modules as they were lowered.

    `sizes` is what was charged for imported modules.
    """

    learning: tuple[Learning, ...] = ()
    rounds: tuple[Round, ...] = ()
    buildings: tuple[Building, ...] = ()
    searches: tuple[tuple[frozenset[str], frozenset[str], tuple[str, ...]], ...] = ()
    modules: dict[str, bytes] = {}
    sizes: dict[str, int] = {}


class Lowered(NamedTuple):
    """What a module is known by, and its words in one text, each between null characters."""

    known_by: bytes
    words: str


def lowered(modules: Mapping[str, ir.Module]) -> dict[str, Lowered]:
    """What modules are known by."""
    return {path: Lowered(_known_by(module), in_text(module.words)) for path, module in modules.items()}


def _known_by(module: ir.Module) -> bytes:
    """The digest of a module; nothing for one that holds what cannot be written down, such as a number of 80 bits."""
    try:
        return digest(_ENCODER.encode(module))
    except (OverflowError, UnicodeEncodeError, RecursionError):
        return b""


_ENCODER = msgspec.msgpack.Encoder(enc_hook=repr, order="deterministic")


class Again:
    """Has `runner` run the entries of files of which the memory does not know what they say now.

    `words` gives the words of the modules that are remembered, which are asked for only if those of the run have changed.
    """

    def __init__(
        self,
        project: Project,
        runner: Runner,
        memory: Memory,
        changes: Changes,
        words: Callable[[], Mapping[str, str]],
    ) -> None:
        self.project = project
        self.run_again: list[str] = []
        self._runner = runner
        self._before = memory
        self._changes = changes
        self._words_of_modules = words
        self._words: Mapping[str, str] | None = None
        self._holding: dict[tuple[str, frozenset[str]], bool] = {}
        self._learning: list[Learning] = []
        self._buildings: list[Building] = []
        self._learned_before: dict[str, Learned] = {}
        self._learned_now: dict[str, Learned] = {}
        self._rounds: list[Round] = []
        self._between = Lookups()
        self._searches: dict[Query, tuple[str, ...]] = {}
        self._changed = frozenset(filter(self._says_otherwise, changes.files))
        self._grown = frozenset(
            path for path in changes.files & memory.sizes.keys() if self._charge(path) != memory.sizes[path]
        )
        self._remember_searches()

    # ---- what a runner does

    def learned(self, paths: Sequence[str], words: Vocabulary) -> dict[str, Learned]:
        """What the files bind to losses."""
        known = Words.of(words)
        still: set[str] = set()
        before = next(iter(self._before.learning[len(self._learning) :][:1]), Learning(NO_WORDS, {}))
        if before.known != NO_WORDS:
            other = known.differing(before.known)
            self._learned_before |= before.learned
            asked = self._before.rounds[0].roots.intersection(paths)
            still = {path for path in asked - self._changed if not (other and self._holds(path, other))}
        now = self._runner.learned([path for path in paths if path not in still], words)
        learned = {path: each for path, each in self._learned_before.items() if path in still} | dict(now)
        more = {path: each for path, each in learned.items() if any(each) and each != self._learned_now.get(path)}
        self._learned_now |= more
        self._learning.append(Learning(known, more))
        return learned

    def run(
        self, paths: Sequence[str], roots: frozenset[str], words: Vocabulary, progress: Callable[[str], None]
    ) -> list[Part]:
        """What these files say, where these files may call a loss and these words lead to one."""
        self._note_searches()
        known = Words.of(words)
        before = next(iter(self._before.rounds[len(self._rounds) :][:1]), Round(frozenset(), NO_WORDS, {}))
        other, differing = known.differing(before.known), roots ^ before.roots
        parts: dict[str, Part] = {}
        for path in paths:
            part = before.parts.get(path)
            if part is not None and part.seen is not None and self._stands(part.seen, other, differing):
                parts[path] = self._at_this_size(part, part.seen)
        todo = [path for path in paths if path not in parts]
        self.run_again += todo
        for path in paths:
            if path in parts:
                progress(path)
        parts |= {part.path: part for part in self._runner.run(todo, roots, words, progress)}
        self._rounds.append(Round(roots, known, parts))
        self.project.lookups = self._between = Lookups()
        return [parts[path] for path in paths]

    def builders(self, registries: frozenset[str], paths: Sequence[str]) -> frozenset[str]:
        """Registries of these names, and the functions of the files that take classes out of them."""
        for each in self._before.buildings:
            if (each.registries, each.paths) == (registries, tuple(paths)) and self._changed.isdisjoint(paths):
                break
        else:
            each = Building(registries, tuple(paths), self._runner.builders(registries, paths))
        self._buildings.append(each)
        return each.builders

    def memory(self, lowered: Mapping[str, bytes]) -> Memory:
        """What the next run remembers of this one, in which these modules were lowered."""
        self._note_searches()
        seen = [part.seen for each in self._rounds for part in each.parts.values() if part.seen is not None]
        needed = set[str]().union(*(each.roots for each in self._rounds), *(of_text(each.loaded) for each in seen))
        modules = {
            path: known_by
            for path, known_by in {**self._before.modules, **lowered}.items()
            if path in needed and (path in lowered or path not in self._changed)
        }
        sized = set[str]().union(*(of_text(each.sized) for each in seen))
        sizes = {path: self._charge(path) for path in sized}
        searches = tuple((*query, found) for query, found in self._searches.items())
        return Memory(tuple(self._learning), tuple(self._rounds), tuple(self._buildings), searches, modules, sizes)

    # ---- what has changed

    def _says_otherwise(self, path: str) -> bool:
        """Whether a file that holds other bytes is not lowered to what it was."""
        before = self._before.modules.get(path)
        if not before:
            return True
        try:
            return _known_by(self.project.load(path)) != before
        except (SourceError, ParseFailure):
            return True

    def _remember_searches(self) -> None:
        """Have the project know what was searched for, where no file that changed is found now and was not, or was and is not."""
        project = self.project
        imports = {path: project.imports(path) for path in self._changes.files if path in project.given}
        searches = {
            Query(names, modules): found
            for names, modules, found in (
                *self._before.searches,
                *(
                    search
                    for each in self._before.rounds
                    for part in each.parts.values()
                    if part.seen is not None
                    for search in part.seen.mentioning
                ),
            )
        }
        for query, found in searches.items():
            if all(
                (path in found) == (path in imports and project.mentions(path, query, imports[path]))
                for path in self._changes.files
            ):
                project.known[query] = found

    def _note_searches(self) -> None:
        self._searches |= self._between.mentioning

    def _stands(self, seen: Seen, words: frozenset[str], roots: frozenset[str]) -> bool:
        """Whether what a program looked up is as it was, where these words and roots of the run are others."""
        return (
            _without(seen.loaded, self._changed)
            and _without(seen.folders, self._changes.folders)
            and _without(seen.loaded, roots)
            and _without(seen.resolved, roots)
            and all(self.project.known.get(Query(names, mods)) == found for names, mods, found in seen.mentioning)
            and (_without(seen.sized, self._grown) or min(seen.left, self._left(seen)) >= 0)
            and not (words and any(self._holds(path, words) for path in of_text(seen.loaded)))
            and (seen.models is None or self.project.models() == seen.models)
            and (seen.data_sets is None or self.project.data_sets() == seen.data_sets)
        )

    def _charge(self, path: str) -> int:
        """What is charged for a module."""
        known = self._before.sizes.get(path) if path not in self._changes.files else None
        return self.project.charge(path) if known is None else known

    def _left(self, seen: Seen) -> int:
        """How many bytes of modules might still have been read at the size that they have now."""
        grown = self._grown.intersection(of_text(seen.sized))
        return seen.left - sum(self._charge(path) - self._before.sizes[path] for path in grown)

    def _at_this_size(self, part: Part, seen: Seen) -> Part:
        if _without(seen.sized, self._grown):
            return part
        return msgspec.structs.replace(part, seen=msgspec.structs.replace(seen, left=self._left(seen)))

    def _holds(self, path: str, words: frozenset[str]) -> bool:
        """Whether a module that is remembered holds one of these words, or may."""
        if not words or path not in self._before.modules:
            return False  # what is no Python holds none
        if self._words is None:
            self._words = self._words_of_modules()
        found = self._holding.get((path, words))
        if found is None:
            text = self._words.get(path)
            found = text is None or any(f"\0{word}\0" in text or f"\0.{word}\0" in text for word in words)
            self._holding[path, words] = found
        return found


def _without(text: str, paths: frozenset[str]) -> bool:
    """Whether none of the paths is among those of a text."""
    if len(paths) <= _FEW:
        return not any(f"\0{path}\0" in text for path in paths)
    return paths.isdisjoint(of_text(text))


_FEW = 10
"""So many names are sooner looked for in a text than the text is taken apart."""
