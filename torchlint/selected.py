"""What a run goes by: the rules that its settings select, the contracts, and the words that losses are called by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torchlint import data
from torchlint.config import Selection, Settings, selection

if TYPE_CHECKING:
    from torchlint.contracts import Contracts, Tables
    from torchlint.rulebook import Rule


def pages(settings: Settings) -> tuple[Mapping[str, Rule], Selection]:
    """The rules, and which of them report. Raises ConfigError, RulebookError."""
    from torchlint import rulebook  # noqa: PLC0415  # parses TOML

    rules = rulebook.load()
    return rules, selection(settings, rules)


def loss_words(settings: Settings) -> frozenset[bytes]:
    """The words of which a file must hold one to be analysed: the last parts of the losses' names."""
    if settings.contracts or settings.tables:
        return load_contracts(settings).loss_words()
    return data.loss_words()


def load_contracts(settings: Settings) -> Contracts:
    """The contracts of a run: the rulebook's, the files and the tables of the settings. Raises ContractError."""
    from pathlib import Path  # noqa: PLC0415  # with the rulebook

    from torchlint import rulebook  # noqa: PLC0415  # parses TOML

    return rulebook.load_contracts([Path(path) for path in settings.contracts], settings.tables or None)


def load_tables(settings: Settings) -> Tables:
    """The same, merged but not indexed. Raises ContractError."""
    from pathlib import Path  # noqa: PLC0415  # as above

    from torchlint import rulebook  # noqa: PLC0415  # as above

    return rulebook.load_tables([Path(path) for path in settings.contracts], settings.tables or None)
