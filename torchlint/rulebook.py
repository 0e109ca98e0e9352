"""The rulebook: finds and parses the pages and contracts of `rules/`.

A page is one Markdown file named after its code, such as `rules/TLN101.md`:

    # TLN101: sigmoid-before-with-logits
    ```toml
    summary = "..."            # one line, for lists
    message = "... {loss} ..."  # what a finding says; see PLACEHOLDERS
    group = "kinds"
    severity = "error"         # error, warning or info
    default = true             # on without being selected
    fix = "none"               # none, safe or unsafe
    since = "0.1"
    ```

followed by prose and by the examples in `## Bad`, `## Good`, `## Across files` and `## Known limits`, which
`torchlint.testing` runs. Only the head of a page is parsed here; the examples are read when they are run.
"""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from torchlint import data
from torchlint.contracts import Contracts, Tables, index, merge, read_tables, tables_from
from torchlint.diagnostics import Severity
from torchlint.errors import RulebookError

FixKind = Literal["none", "safe", "unsafe"]

# What the analysis fills into messages: the loss always, the others as the rule's group knows them.
PLACEHOLDERS = frozenset(
    "loss activation kind wanted remedy input target input_shape target_shape number dim given".split()
)

_TITLE = re.compile(r"# ([A-Z]{2,8}\d{3}): ([a-z0-9]+(?:-[a-z0-9]+)*)[ \t]*\n")
_TOML = re.compile(r"\A\s*```toml[ \t]*\n(.*?)^```[ \t]*$\n?", re.DOTALL | re.MULTILINE)
_PAGE = re.compile(r"[A-Z]{2,8}\d{3}\.md")
_KEYS = "summary, message, group, severity and since"
_CASES = re.compile(r"^## (?:Bad|Good|Across files|Known limits)[ \t]*$", re.MULTILINE)


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fenced toml block of a page."""

    summary: str
    message: str
    group: str
    severity: Severity
    since: str
    default: bool = True
    fix: FixKind = "none"


class Rule(msgspec.Struct, frozen=True):
    """A page of the rulebook.

    `body` is the prose between the head and the first examples, `cases` the examples, both as Markdown.
    `line` is the line of `cases` in the file, from 1, so that a failing example can be named.
    """

    code: str
    name: str
    summary: str
    message: str
    group: str
    severity: Severity
    default: bool
    fix: FixKind
    since: str
    body: str
    cases: str
    line: int = 1
    path: str = ""


def rules_folder() -> Path:
    """The folder of pages and contracts. Raises RulebookError if there is none, which means a broken installation."""
    return Path(data.rules_folder())


def parse_page(text: str, origin: str) -> Rule:
    """Parse a page. Raises RulebookError naming `origin`, and the line or key that is wrong."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    title = _TITLE.match(text)
    if title is None:
        first = text.partition("\n")[0]
        raise RulebookError(f"{origin}:1: the first line must read '# ABC123: name-of-the-rule', not {first[:60]!r}")
    rest = text[title.end() :]
    block = _TOML.match(rest)
    if block is None:
        raise RulebookError(f"{origin}:2: a ```toml block with {_KEYS} must follow the title")
    head = _head(block.group(1), origin)
    prose = rest[block.end() :]
    cases = _CASES.search(prose)
    cut = cases.start() if cases else len(prose)
    return Rule(
        code=title.group(1),
        name=title.group(2),
        **msgspec.structs.asdict(head),
        body=prose[:cut].strip() + "\n",
        cases=prose[cut:],
        line=text.count("\n", 0, title.end() + block.end() + cut) + 1,
        path=origin,
    )


def _head(toml: str, origin: str) -> Head:
    try:
        head = msgspec.convert(tomllib.loads(toml), Head)
    except tomllib.TOMLDecodeError as error:
        raise RulebookError(f"{origin}: the toml block is not valid TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise RulebookError(f"{origin}: the toml block: {error}") from error
    try:
        used = {name for _, name, _, _ in string.Formatter().parse(head.message) if name is not None}
    except ValueError as error:
        raise RulebookError(f"{origin}: the message: {error}") from error
    if strange := sorted(used - PLACEHOLDERS):
        known = ", ".join(f"{{{name}}}" for name in sorted(PLACEHOLDERS))
        raise RulebookError(f"{origin}: the message uses {{{strange[0]}}}; there are {known}")
    return head


def read_page(path: Path) -> Rule:
    """Read and parse one page. Raises RulebookError naming the file."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise RulebookError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RulebookError(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from error
    rule = parse_page(text, str(path))
    if path.stem != rule.code:
        raise RulebookError(f"{path}: the page of {rule.code} must be called {rule.code}.md")
    return rule


def load(folder: Path | None = None) -> dict[str, Rule]:
    """Every page of a folder by code, in the order of the codes; without a folder, the rulebook of torchlint.

    Only files named like a code are pages. The rulebook of torchlint is read once per process.
    Raises RulebookError naming the page that cannot be read.
    """
    return dict(_load(folder or rules_folder()))


@lru_cache(maxsize=8)
def _load(folder: Path) -> dict[str, Rule]:
    pages = sorted(path for path in folder.glob("*.md") if _PAGE.fullmatch(path.name))
    return {rule.code: rule for rule in map(read_page, pages)}


def load_contracts(extra: Iterable[Path] = (), inline: Mapping[str, Any] | None = None) -> Contracts:
    """The contracts of the rulebook with the user's merged in: first the files of `extra`, then the `inline` tables.

    `inline` is the parsed TOML of `[tool.torchlint]` tables with the keys of a contract file (loss, op, wrapper, ...).
    Raises ContractError naming the file and the key that is wrong.
    """
    extra = tuple(extra)
    if extra or inline:
        return index(load_tables(extra, inline))
    return _own_contracts(rules_folder() / "contracts")


def load_tables(extra: Iterable[Path] = (), inline: Mapping[str, Any] | None = None) -> Tables:
    """The same, merged but not indexed."""
    own = _own_tables(rules_folder() / "contracts")
    given = [read_tables(path) for path in extra]
    if inline:
        given.append(tables_from(inline, "[tool.torchlint]"))
    return merge((*own, *given))


@lru_cache(maxsize=2)
def _own_tables(folder: Path) -> tuple[Tables, ...]:
    return tuple(read_tables(path) for path in sorted(folder.glob("*.toml")))


@lru_cache(maxsize=2)
def _own_contracts(folder: Path) -> Contracts:
    return index(merge(_own_tables(folder)))
