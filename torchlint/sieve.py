"""One look at each file's bytes: which files may hold a loss, and which a suppression."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from torchlint import data
from torchlint.diagnostics import Problem
from torchlint.discover import may_suppress, searcher
from torchlint.problems import problem_of
from torchlint.reader import Reader
from torchlint.source import SourceError

if TYPE_CHECKING:
    from torchlint.kept import Kept, Look


class Sifted(NamedTuple):
    """What is left after one look at the bytes: files with a loss word, files with a suppression, unreadable ones."""

    roots: list[str]
    suppressing: list[str]
    unreadable: list[Problem]


def sift(files: Iterable[str], reader: Reader, words: frozenset[bytes], kept: Kept | None, *, keeps: bool) -> Sifted:
    """Look at each file's bytes once, and hold on to those that will be needed as text."""
    has_loss_word = searcher(words, data.LEARNS)
    look = _looker(has_loss_word, kept) if keeps else None
    roots: list[str] = []
    suppressing: list[str] = []
    unreadable: list[Problem] = []
    for path in files:
        try:
            content = reader.load(path)
        except SourceError as error:
            unreadable.append(problem_of(path, error))
            if look is not None:
                reader.looks[path] = look(path, None)
            continue
        if look is not None:
            seen = reader.looks[path] = look(path, content)
            root, suppresses = seen.root, seen.suppresses
        else:
            root, suppresses = has_loss_word(content), may_suppress(content)
        if root:
            roots.append(path)
        if suppresses:
            suppressing.append(path)
        if root or suppresses:
            reader.held[path] = content
    return Sifted(roots, suppressing, unreadable)


def look_again(files: Iterable[str], sifted: Sifted, reader: Reader) -> None:
    """Take down how files were seen: of a few, only once it is known that there is something to keep."""
    from torchlint.cache import UNREADABLE, digest  # noqa: PLC0415  # only with a cache
    from torchlint.kept import Look  # noqa: PLC0415  # as above

    for path in files:
        try:
            content = digest(reader.held[path] if path in reader.held else reader.load(path))
        except SourceError:
            content = UNREADABLE
        reader.looks[path] = Look(content, path in sifted.roots, path in sifted.suppressing)


def _looker(has_loss_word: Callable[[bytes], bool], kept: Kept | None) -> Callable[[str, bytes | None], Look]:
    """Looks at a file for who keeps what is found: one that has not changed is not searched again."""
    from torchlint.cache import UNREADABLE, digest  # noqa: PLC0415  # only with a cache
    from torchlint.kept import Look  # noqa: PLC0415  # as above

    known = {} if kept is None else kept.files

    def look(path: str, content: bytes | None) -> Look:
        if content is None:
            return Look(UNREADABLE)
        now, before = digest(content), known.get(path)
        if before is not None and before.digest == now:
            return before
        return Look(now, has_loss_word(content), may_suppress(content))

    return look
