"""What a client asks for: it decides before the settings of the project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torchlint import config
from torchlint.config import ConfigError, Settings

_ALLOWED = ("select", "ignore", "extend-select", "confidence")


class Options(NamedTuple):
    """What stands in `initializationOptions`, or later in the client's settings under `torchlint`."""

    config: str | None = None
    overrides: Mapping[str, Any] = {}

    @staticmethod
    def of(given: object, where: str) -> Options:
        """Read the options. Raises ConfigError naming the one that is wrong; `where` says whose they are."""
        table = dict(given) if isinstance(given, dict) else {}
        table = table.get("settings", table)
        if not isinstance(table, dict):
            raise ConfigError(f"{where}.settings: expected a table")
        path = table.pop("config", None)
        if path is not None and not isinstance(path, str):
            raise ConfigError(f"{where}.config: expected a string")
        checked = config.parse(table, where) if table else Settings()
        for key in table:
            if key not in _ALLOWED:
                raise ConfigError(f"{where}.{key}: can only be set in the project's settings")
        return Options(path, {key.replace("-", "_"): getattr(checked, key.replace("-", "_")) for key in table})

    def adjust(self, settings: Settings) -> Settings:
        """Settings with what the options say. Raises ConfigError."""
        if self.config is not None:
            settings = config.read(self.config)
        return config.override(settings, **self.overrides) if self.overrides else settings
