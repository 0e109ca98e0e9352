"""Settings: found upward from the first path, checked key by key, overridden by the command line; and which rules they select.

`torchlint.toml`, `.torchlint.toml` and `[tool.torchlint]` in `pyproject.toml` have the same keys; in one folder the first
of them counts. Paths and patterns in a file are relative to its folder. An unknown or ill-typed key is a ConfigError that
names the file and the full key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, get_args, get_origin, get_type_hints

from torchlint.diagnostics import Confidence
from torchlint.discover import DEFAULT_EXCLUDE, anchored
from torchlint.discover import Rules as DiscoverRules
from torchlint.errors import UserError

if TYPE_CHECKING:
    from torchlint.contracts import Loss, Op, Wrapper

OutputFormat = Literal["full", "concise", "json", "sarif", "github", "gitlab", "junit"]

FILE_NAMES = ("torchlint.toml", ".torchlint.toml", "pyproject.toml")
ALL = "ALL"


_PLAINER = (
    ("`", ""),
    ("Expected", "expected"),
    ("Object contains unknown field", "unknown key"),
    ("Object missing required field", "missing key"),
    ("Invalid enum value", "unknown value"),
    (" array", " a list"),
    (" object", " a table"),
    (" str", " a string"),
    (" bool", " true or false"),
    (" int", " an integer"),
)
"""What msgspec says, in the words of TOML."""


class ConfigError(UserError):
    """Settings that cannot be used; the message names the file or option and the key."""


_EMPTY: dict[str, Any] = {}
"""The default of tables; nobody writes into settings."""


class Given(NamedTuple):
    """What the command line adds. It decides before the file's settings; its patterns are relative to the working folder."""

    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    per_file_ignores: dict[str, tuple[str, ...]] = _EMPTY


class Settings(NamedTuple):
    """The settings of a run. Field names in files are in kebab-case (`per-file-ignores`).

    `loss`, `op`, `wrapper` and `alias` are the user's own contracts, in the format of `rules/contracts/*.toml`.
    `root` is the folder that patterns are relative to; `origin` the file that the settings came from; `given` what the
    command line adds to them; `noqa` whether `# noqa` hides findings, which flake8 can be told
    to change; `fixes` whether fixes are worked out, which flake8 has no use for.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    per_file_ignores: dict[str, tuple[str, ...]] = _EMPTY
    exclude: tuple[str, ...] = DEFAULT_EXCLUDE
    extend_exclude: tuple[str, ...] = ()
    respect_gitignore: bool = True
    force_exclude: bool = False
    src: tuple[str, ...] = ()
    contracts: tuple[str, ...] = ()
    confidence: Confidence = "certain"
    output_format: OutputFormat = "full"
    baseline: str | None = None
    loss: dict[str, Any] = _EMPTY
    op: dict[str, Any] = _EMPTY
    wrapper: dict[str, Any] = _EMPTY
    alias: dict[str, str] = _EMPTY
    root: str = "."
    origin: str | None = None
    given: Given = Given()
    noqa: bool = True
    fixes: bool = True

    @property
    def tables(self) -> dict[str, dict[str, Any]]:
        """The contract tables written in the configuration itself."""
        tables = {"loss": self.loss, "op": self.op, "wrapper": self.wrapper, "alias": self.alias}
        return {name: table for name, table in tables.items() if table}

    @property
    def selectors(self) -> bool:
        """Whether anything is said about the choice of rules."""
        named = (self.select, self.ignore, self.extend_select, self.per_file_ignores)
        return any(named) or any((self.given.extend_select, self.given.ignore, self.given.per_file_ignores))

    @property
    def discovery(self) -> DiscoverRules:
        """What `discover` needs to know."""
        exclude = (*self.exclude, *self.extend_exclude)
        return DiscoverRules(exclude, self.root, self.respect_gitignore, self.force_exclude, self.given.exclude)


INTERNAL = ("root", "origin", "given", "noqa", "fixes")
"""The fields of Settings that are no keys."""


def keys() -> dict[str, Any]:
    """The keys of a configuration file and their types."""
    types = get_type_hints(Settings)
    return {name.replace("_", "-"): types[name] for name in Settings._fields if name not in INTERNAL}


def load(paths: Sequence[str], *, config: str | None = None, isolated: bool = False) -> Settings:
    """The settings for a run over these paths. Raises ConfigError."""
    if isolated:
        return Settings()
    if config is not None:
        return read(config)
    start = os.path.abspath(paths[0] if paths and paths[0] != "-" else ".")
    found = find(start if os.path.isdir(start) else os.path.dirname(start))
    return found if found is not None else Settings()


def find(folder: str) -> Settings | None:
    """The settings of the innermost configuration at or above a folder, or None."""
    while True:
        for name in FILE_NAMES:
            path = os.path.join(folder, name)
            if not os.path.isfile(path):
                continue
            table = _table(path)
            if table is not None:
                return parse(table, path)
        if (above := os.path.dirname(folder)) == folder:
            return None
        folder = above


def read(path: str) -> Settings:
    """The settings of a given file. Raises ConfigError, also if it is a pyproject.toml without `[tool.torchlint]`."""
    table = _table(path)
    if table is None:
        raise ConfigError(f"{display(path)}: has no table [tool.torchlint]")
    return parse(table, path)


def parse(table: Mapping[str, Any], path: str) -> Settings:
    """Check a table key by key and turn it into settings. Raises ConfigError naming the file and the key."""
    where = _Where(display(path), _keys(path))
    types = keys()
    _known(table, types, where)
    values = {key: _convert(value, types[key], where.at(key)) for key, value in table.items()}
    _check_contracts(values, where)
    root = os.path.dirname(os.path.abspath(path))
    for key in ("src", "contracts"):
        values[key] = tuple(os.path.join(root, each) for each in values.get(key, ()))
    if "baseline" in values:
        values["baseline"] = os.path.join(root, values["baseline"])
    return Settings(**{key.replace("-", "_"): value for key, value in values.items()}, root=root, origin=path)


def override(settings: Settings, **given: Any) -> Settings:
    """Settings with what the command line gives (None: not given), as in ruff.

    `--select` starts afresh: the file's choice is dropped. Without it, `--ignore` and `--extend-select` come on top.
    `--exclude` and `--per-file-ignores` replace the file's; `--extend-exclude` comes on top.
    """
    changes = {key: value for key, value in given.items() if value is not None}
    on_top: dict[str, Any] = {}
    if "select" in changes:
        changes = {"ignore": (), "extend_select": (), **changes}
    else:
        on_top |= {key: changes.pop(key) for key in ("ignore", "extend_select") if key in changes}
    on_top["exclude"] = (*changes.get("exclude", ()), *changes.pop("extend_exclude", ()))
    if "exclude" in changes:
        changes["exclude"] = ()
    if "per_file_ignores" in changes:
        on_top["per_file_ignores"] = changes["per_file_ignores"]
        changes["per_file_ignores"] = {}
    return settings._replace(**changes, given=Given(**on_top))


def display(path: str) -> str:
    """A path as messages show it: relative to the working folder if it lies below."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


class HasCode(Protocol):
    """What selection needs to know about a rule."""

    @property
    def code(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def default(self) -> bool: ...


class Selection(NamedTuple):
    """Which rules report, and in which files they do not."""

    codes: frozenset[str]
    per_file: tuple[tuple[Callable[[str], bool], frozenset[str]], ...] = ()

    def at(self, path: str) -> frozenset[str]:
        """The codes that report in this file."""
        absolute = os.path.abspath(path)
        ignored = [codes for applies, codes in self.per_file if applies(absolute)]
        return self.codes.difference(*ignored) if ignored else self.codes


def selection(settings: Settings, rules: Mapping[str, HasCode]) -> Selection:
    """Resolve select, extend-select, ignore and per-file-ignores: the longest prefix of a code decides, ignore at a tie.

    What the command line adds is asked first.

    Raises ConfigError for a selector that is no prefix of a code, no name of a rule and not ALL.
    """
    source = _Where(display(settings.origin), _keys(settings.origin)) if settings.origin else None
    place = (lambda key: source.at(key).label) if source else str

    def prefixes(key: str, selectors: Iterable[str]) -> list[str]:
        return [_selector(each, rules, key) for each in selectors]

    given = settings.given
    select = prefixes(place("select"), settings.select) + prefixes(place("extend-select"), settings.extend_select)
    ignore = prefixes(place("ignore"), settings.ignore)
    then_select = prefixes("--extend-select", given.extend_select)
    then_ignore = prefixes("--ignore", given.ignore)
    codes = set()
    for code, rule in rules.items():
        chosen, ignored = _longest(code, then_select), _longest(code, then_ignore)
        if chosen == ignored == -1:
            chosen, ignored = _longest(code, select), _longest(code, ignore)
            if not settings.select and rule.default:
                chosen = max(chosen, 0)
        if chosen > ignored:
            codes.add(code)
    per_file = []
    for table, root, key in (
        (settings.per_file_ignores, settings.root, place("per-file-ignores")),
        (given.per_file_ignores, ".", "--per-file-ignores"),
    ):
        for pattern, selectors in table.items():
            matching = prefixes(f"{key}.{pattern!r}", selectors)
            hidden = frozenset(code for code in rules if _longest(code, matching) >= 0)
            per_file.append((_matcher(pattern, root), hidden))
    return Selection(frozenset(codes), tuple(per_file))


def codes_for(selector: str, rules: Mapping[str, HasCode]) -> frozenset[str]:
    """The codes that a code, a prefix or a name stands for; empty if it stands for none."""
    upper = selector.upper()
    return frozenset(
        code for code, rule in rules.items() if upper and (code.startswith(upper) or rule.name == selector.lower())
    )


def suggest(word: str, candidates: Iterable[str]) -> str:
    """`; did you mean "…"?` for the candidate that is close to the word (of equals, the first), or nothing."""
    import difflib  # noqa: PLC0415  # only on the way to an error

    known = list(candidates)
    close = difflib.get_close_matches(word, known, len(known) or 1)
    if not close:
        return ""
    closest = max(close, key=lambda one: (difflib.SequenceMatcher(None, one, word).ratio(), -known.index(one)))
    return f'; did you mean "{closest}"?'


class _Where(NamedTuple):
    """A key's place in a configuration file."""

    file: str
    keys: tuple[str, ...]

    def at(self, key: str) -> _Where:
        return _Where(self.file, (*self.keys, key))

    def error(self, message: str, inside: str = "") -> ConfigError:
        return ConfigError(f"{self.label}{inside}: {message}")

    @property
    def label(self) -> str:
        return f"{self.file}: {'.'.join(self.keys)}"


def _keys(path: str) -> tuple[str, ...]:
    """The keys that lead to our table in this file."""
    return ("tool", "torchlint") if os.path.basename(path) == "pyproject.toml" else ()


def _table(path: str) -> Mapping[str, Any] | None:
    """The part of a file that is ours; None if a pyproject.toml has none."""
    try:
        with open(path, "rb") as file:
            content = file.read()
        if b"torchlint" not in content and os.path.basename(path) == "pyproject.toml":
            return None  # another tool's; whether it is valid is not for us to say
        import tomllib  # noqa: PLC0415  # not every run has a configuration

        data = tomllib.loads(content.decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{display(path)}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(f"{display(path)}: not valid TOML: {error}") from error
    if os.path.basename(path) != "pyproject.toml":
        return data
    tool = data.get("tool", {})
    table = tool.get("torchlint") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise ConfigError(f"{display(path)}: tool.torchlint: expected a table")
    return table


def _known(table: Mapping[str, Any], keys: Iterable[str], where: _Where) -> None:
    for key in table:
        if key not in keys:
            raise where.at(key).error(f"unknown key{suggest(key.replace('_', '-'), keys)}")


def _convert(value: Any, type_: Any, where: _Where) -> Any:
    if get_origin(type_) is dict and isinstance(value, dict):  # msgspec's paths leave a table's keys out
        return {
            key: _convert(each, get_args(type_)[1], where.at(repr(key) if "." in key else key))
            for key, each in value.items()
        }
    if get_origin(type_) is Literal and value not in get_args(type_):
        raise where.error(f"expected one of {', '.join(map(repr, get_args(type_)))}, got {value!r}")
    import msgspec  # noqa: PLC0415  # 10 ms, and not every run has a configuration

    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        message, _, inside = str(error).partition(" - at `$")
        inside = inside.removesuffix("`").replace("[...]", "")
        for theirs, ours in _PLAINER:
            message = message.replace(theirs, ours)
        raise where.error(message, inside) from error


def _check_contracts(values: Mapping[str, Any], where: _Where) -> None:
    """Check each contract table by itself, so that an error can name it."""
    if not values.keys() & {"loss", "op", "wrapper"}:
        return
    from torchlint.contracts import Loss, Op, Wrapper  # noqa: PLC0415  # few configurations have any

    for kind, type_ in (("loss", Loss), ("op", Op), ("wrapper", Wrapper)):
        for name, entry in values.get(kind, {}).items():
            _contract(entry, type_, where.at(kind).at(name))


def _contract(entry: Any, type_: type[Loss | Op | Wrapper], where: _Where) -> None:
    if isinstance(entry, dict):
        _known(entry, [name for name in type_.__struct_fields__ if name != "id"], where)
    _convert(entry, type_, where)


def _selector(given: str, rules: Mapping[str, HasCode], where: str) -> str:
    """The prefix of codes that a selector stands for. Raises ConfigError if it stands for no rule."""
    if given.upper() == ALL:
        return ""
    codes = codes_for(given, rules)
    if not codes:
        candidates = [*rules, *(rule.name for rule in rules.values()), ALL]
        raise ConfigError(f'{where}: unknown rule "{given}"{suggest(given, candidates)}')
    return next(iter(codes)) if given.lower() in {rule.name for rule in rules.values()} else given.upper()


def _longest(code: str, prefixes: Iterable[str]) -> int:
    """The length of the longest prefix of the code among these; -1 if there is none."""
    return max((len(prefix) for prefix in prefixes if code.startswith(prefix)), default=-1)


def _matcher(pattern: str, root: str) -> Callable[[str], bool]:
    """A test of absolute paths against a gitignore-style pattern relative to `root`; with a leading `!`, all but those."""
    from pathspec import GitIgnoreSpec  # noqa: PLC0415  # only with per-file-ignores

    wanted = not pattern.startswith("!")
    base, pattern = anchored(pattern.lstrip("!"), os.path.abspath(root))
    spec = GitIgnoreSpec.from_lines([pattern])

    def applies(path: str) -> bool:
        return spec.match_file(os.path.relpath(path, base).replace(os.sep, "/")) is wanted

    return applies
