"""What a shell completes: files and folders, and the codes and names of rules, the last of several after commas."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem

VARIABLE = "_TORCHLINT_COMPLETE"
"""What a shell sets when it asks."""


def mend_fish() -> None:
    """click's script for fish cuts what it is told at each comma: the rules before the last one, and half of the help."""
    from click.shell_completion import FishComplete, add_completion_class  # noqa: PLC0415  # only when a shell asks

    class Fish(FishComplete):
        source_template = FishComplete.source_template.replace('split ","', 'split --max 1 ","')

    add_completion_class(Fish)


def files(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Leave it to the shell, which knows the files."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415  # only when a shell asks

    return [CompletionItem(incomplete, type="file")]


def rules(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The codes and names of rules, with what they are about."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    from torchlint import rulebook  # noqa: PLC0415  # parses the pages

    before, comma, begun = incomplete.rpartition(",")
    return [
        CompletionItem(f"{before}{comma}{word}", help=rule.summary)
        for rule in rulebook.load().values()
        for word in (rule.code, rule.name)
        if word.lower().startswith(begun.lower()) and (begun or word == rule.code)
    ]
