"""What a run saw of the loss calls: where each one is, what is known of what it gets, and why that is not more."""

from __future__ import annotations

from typing import Literal, NamedTuple

from torchlint.diagnostics import Place, Step

State = Literal["known", "partly", "unknown", "absent"]
"""Whether every possibility is known, some, or none; "absent" if there is no such argument."""


class Sight(NamedTuple):
    """What is known of one argument of a loss call, or of which loss is called: its possibilities, and why these are not all."""

    state: State
    kinds: tuple[str, ...] = ()
    reason: Step | None = None


class Seen(NamedTuple):
    """A loss call, or a call that looks like one of which it is not known what it calls. `name` is how people name it."""

    place: Place
    name: str
    criterion: Sight
    input: Sight
    target: Sight


class Coverage(NamedTuple):
    """All loss calls that a run saw, in reading order. An argument counts as known if it is where one caller calls."""

    seen: tuple[Seen, ...]

    @property
    def calls(self) -> int:
        """The calls of which it is known that they call a loss."""
        return sum(each.criterion.state != "unknown" for each in self.seen)

    @property
    def unresolved(self) -> int:
        """The calls that look like one of a loss, and no more is known."""
        return len(self.seen) - self.calls

    @property
    def inputs(self) -> int:
        """The calls whose input is known."""
        return sum(each.input.state == "known" for each in self.seen)

    @property
    def targets(self) -> int:
        """The calls whose target is known."""
        return sum(each.target.state == "known" for each in self.seen)
