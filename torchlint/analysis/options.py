"""Options of the command line and of files: what `add_argument` says of what `parse_args` gives, and what `merge_from_file`
leaves of the constants that a tree of settings was made with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchlint.analysis import attributes
from torchlint.analysis.arguments import Args
from torchlint.analysis.calls import number_of
from torchlint.analysis.program import SLOT
from torchlint.analysis.values import UNKNOWN, Const, Tuple, Unknown, Value, alternatives_now

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


def method(run: Interpreter, parser: Unknown, name: str, args: Args) -> Value | None:
    """What a method of a parser or a tree of settings gives; None for one that is not known to be such a one's.

    The parsed options are the parser.
    """
    if name == "add_argument":
        declare(run, parser, args)
        return UNKNOWN
    if name in _SAME_PARSER or name == "parse_args":
        return parser
    if name == "parse_known_args":
        return Tuple((parser, UNKNOWN))
    if name.startswith(MERGES):
        overwrite(run, parser)
        return UNKNOWN
    return None


MERGES = "merge_from_"
"""How the methods begin that put what a file or the command line says into a tree of settings."""

_SAME_PARSER = frozenset(("add_argument_group", "add_mutually_exclusive_group"))


def declare(run: Interpreter, parser: Unknown, args: Args) -> None:
    """`parser.add_argument("--threshold", default=0.5)`: that number unless a user says otherwise."""
    default = number_of(args.keywords.get("default", UNKNOWN))
    name = _destination(args)
    if default is not None and name is not None:
        option = Unknown(parser.reason, parser.source, parser.cause, default)
        attributes.set_attribute(run, parser, name, option)


def _destination(args: Args) -> str | None:
    """The attribute that an option is kept in: `dest`, or the first long name."""
    given = args.keywords.get("dest")
    names = [given] if given is not None else args.positional
    texts = [value.value for value in names if isinstance(value, Const) and isinstance(value.value, str)]
    long = [text for text in texts if text.startswith("--")] or texts
    return long[0].lstrip("-").replace("-", "_") if long else None


def overwrite(run: Interpreter, settings: Unknown) -> None:
    """`settings.merge_from_file(path)`: the constants in them are what the code says, or what the file does."""
    for cell in run.program.slots(settings):
        held = run.heap.write(cell)
        parts = alternatives_now(held[SLOT])
        if any(isinstance(part, Const) for part in parts):
            held[SLOT] = Unknown("a setting", "setting")
        for part in parts:
            if isinstance(part, Unknown) and part is not settings:
                overwrite(run, part)
