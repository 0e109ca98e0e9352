"""The arguments of a call, as far as the code fixes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torchlint.analysis.values import UNKNOWN, Spread, Test, Value, narrow, union


class Args:
    """The arguments of a call. `rest` is any number of further positional ones, `others` of further keywords."""

    __slots__ = ("keywords", "others", "positional", "rest")

    def __init__(
        self,
        positional: Sequence[Value] = (),
        keywords: Mapping[str, Value] | None = None,
        rest: Value | None = None,
        others: Value | None = None,
    ) -> None:
        self.positional = list(positional)
        self.keywords = dict(keywords or {})
        self.rest = rest
        self.others = others

    def first(self) -> Value:
        """The first positional argument, or unknown."""
        return self.positional[0] if self.positional else UNKNOWN

    def get(self, name: str, position: int) -> Value | None:
        """An argument by keyword or position."""
        if name in self.keywords:
            return self.keywords[name]
        return self.positional[position] if position < len(self.positional) else None

    def all(self) -> list[Value]:
        """Every argument, in no useful order."""
        return [*self.positional, *self.keywords.values(), *(v for v in (self.rest, self.others) if v is not None)]

    def narrowed(self, assumed: Mapping[Test, bool]) -> Args:
        """The arguments as they can be where tests came out like this."""
        if not assumed:
            return self
        keywords = {name: narrow(value, assumed) for name, value in self.keywords.items()}
        return Args([narrow(value, assumed) for value in self.positional], keywords, self.rest, self.others)

    def behind(self, *before: Value) -> Args:
        """The same arguments with others in front."""
        return Args([*before, *self.positional], self.keywords, self.rest, self.others)

    def spread(self) -> tuple[int, Spread] | None:
        """The first argument that is a list of unknown length, `*items`, and its place."""
        found = ((index, value) for index, value in enumerate(self.positional) if isinstance(value, Spread))
        return next(found, None)

    def with_items(self, place: int, items: Sequence[Value]) -> Args:
        """The same arguments with these in the place of a list that was spread."""
        positional = (*self.positional[:place], *items, *self.positional[place + 1 :])
        return Args(positional, self.keywords, self.rest, self.others)

    def with_any_number(self, place: int) -> Args:
        """The same arguments with any number of a list's items in the place of it, and of what stands behind."""
        behind = [value.element if isinstance(value, Spread) else value for value in self.positional[place:]]
        return Args(self.positional[:place], self.keywords, union(behind), self.others)
