"""A run that remembers the last one: the files that nothing has changed for say what they said then.

The part of a file depends on the words and the roots of the run and on what its program looked up; so it is told again if
those that could matter to it are as they were. A module is known by what it was lowered to: a comment changes no part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from torchlint.analysis import ir
from torchlint.analysis.lower import ParseFailure
from torchlint.analysis.parts import Part, Seen
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
    """What files bound to losses, as far as some words told."""

    known: Words
    learned: dict[str, Learned]


class Round(msgspec.Struct, frozen=True):
    """What files said, where these files might call a loss and these words led to one."""

    roots: frozenset[str]
    known: Words
    parts: dict[str, Part]


class Memory(msgspec.Struct, frozen=True):
    """What a run remembers: each step of it, what was searched for between them, and all modules as they were lowered.

    `sizes` are those of the imported modules that were asked for.
    """

    learning: tuple[Learning, ...] = ()
    rounds: tuple[Round, ...] = ()
    searches: tuple[tuple[frozenset[str], frozenset[str], tuple[str, ...]], ...] = ()
    modules: dict[str, bytes] = {}
    sizes: dict[str, int] = {}


class Lowered(NamedTuple):
    """What a module is known by, and its words in one text, each between null characters."""

    known_by: bytes
    words: str


def lowered(modules: Mapping[str, ir.Module]) -> dict[str, Lowered]:
    """What modules are known by."""
    return {
        path: Lowered(_known_by(module), "\0".join(("", *sorted(module.words), ""))) for path, module in modules.items()
    }


def _known_by(module: ir.Module) -> bytes:
    """The digest of a module; nothing for one that holds what cannot be written down, such as a number of 80 bits."""
    try:
        return digest(_ENCODER.encode(module))
    except (OverflowError, UnicodeEncodeError, RecursionError):
        return b""


_ENCODER = msgspec.msgpack.Encoder(enc_hook=repr, order="deterministic")


_NOTHING = Learned(frozenset(), frozenset())
"""What is learned of a file that is no Python."""


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
        self._rounds: list[Round] = []
        self._between = Lookups()
        self._searches: dict[Query, tuple[str, ...]] = {}
        self._changed = frozenset(filter(self._says_otherwise, changes.files))
        self._remember_searches()

    # ---- what a runner does

    def learned(self, paths: Sequence[str], words: Vocabulary) -> dict[str, Learned]:
        """What the files bind to losses."""
        known = Words.of(words)
        before = next(iter(self._before.learning[len(self._learning) :][:1]), Learning(NO_WORDS, {}))
        other = known.differing(before.known)
        still = {
            path: learned
            for path, learned in before.learned.items()
            if path not in self._changed and not self._holds(path, other)
        }
        now = self._runner.learned([path for path in paths if path not in still], words)
        learned = {path: still.get(path) or now.get(path, _NOTHING) for path in paths}
        self._learning.append(Learning(known, learned))
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

    def memory(self, lowered: Mapping[str, bytes]) -> Memory:
        """What the next run remembers of this one, in which these modules were lowered."""
        self._note_searches()
        seen = [part.seen for each in self._rounds for part in each.parts.values() if part.seen is not None]
        needed = {path for each in self._learning for path in each.learned}.union(*(each.loaded for each in seen))
        modules = {
            path: known_by
            for path, known_by in {**self._before.modules, **lowered}.items()
            if path in needed and (path in lowered or path not in self._changed)
        }
        sizes = {path: self.project.size(path) for path in set[str]().union(*(each.sized for each in seen))}
        searches = tuple((*query, found) for query, found in self._searches.items())
        return Memory(tuple(self._learning), tuple(self._rounds), searches, modules, sizes)

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
        changes = self._changes
        return (
            self._changed.isdisjoint(seen.loaded)
            and changes.folders.isdisjoint(seen.folders)
            and roots.isdisjoint(seen.loaded)
            and roots.isdisjoint(seen.resolved)
            and all(self.project.known.get(Query(names, mods)) == found for names, mods, found in seen.mentioning)
            and (changes.files.isdisjoint(seen.sized) or min(seen.left, seen.left - self._growth(seen.sized)) >= 0)
            and not any(self._holds(path, words) for path in seen.loaded)
            and (seen.models is None or self.project.models() == seen.models)
            and (seen.data_sets is None or self.project.data_sets() == seen.data_sets)
        )

    def _growth(self, sized: Iterable[str]) -> int:
        """By how much modules have grown."""
        changed = self._changes.files.intersection(sized)
        return sum(self.project.size(path) - self._before.sizes.get(path, 0) for path in changed)

    def _at_this_size(self, part: Part, seen: Seen) -> Part:
        growth = self._growth(seen.sized)
        if not growth:
            return part
        return msgspec.structs.replace(part, seen=msgspec.structs.replace(seen, left=seen.left - growth))

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
