"""What a client can do about a diagnostic: read the rule's page."""

from __future__ import annotations

from torchlint import rulebook


def page(code: str) -> str:
    """The page of a rule without its examples, as Markdown."""
    rule = rulebook.load()[code]
    return f"**{rule.code}: {rule.name}**\n\n*{rule.summary} ({rule.severity})*\n\n{rule.body}"
