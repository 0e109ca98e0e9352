"""Parses the files of a list, as one of the parsers does alone: `python -m tests.benchmarks.parsing libcst|ast LIST`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

from torchlint.source import SourceError, read


def parser(name: str) -> Callable[[str], object]:
    """LibCST's parser, or Python's own."""
    if name == "ast":
        import ast

        return ast.parse
    import libcst

    return libcst.parse_module


def main(name: str, listed: str) -> None:
    """Parse each file, and keep none of the trees."""
    parse = parser(name)
    gc.disable()
    with open(listed, encoding="utf-8") as file:
        for path in file.read().splitlines():
            try:
                parse(read(path).text)
            except (SourceError, SyntaxError, ValueError, RecursionError):
                continue
            except Exception as error:
                if type(error).__name__ != "ParserSyntaxError":
                    raise


if __name__ == "__main__":
    main(*sys.argv[1:])
