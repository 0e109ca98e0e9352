"""Options of the command line: what `add_argument` says of the attributes of what `parse_args` gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchlint.analysis import attributes
from torchlint.analysis.arguments import Args
from torchlint.analysis.calls import number_of
from torchlint.analysis.values import UNKNOWN, Const, Tuple, Unknown, Value

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


def method(run: Interpreter, parser: Unknown, name: str, args: Args) -> Value | None:
    """What a method of a parser gives; None for one that is not known to be a parser's. The parsed options are the parser."""
    if name == "add_argument":
        declare(run, parser, args)
        return UNKNOWN
    if name in _SAME_PARSER or name == "parse_args":
        return parser
    if name == "parse_known_args":
        return Tuple((parser, UNKNOWN))
    return None


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
