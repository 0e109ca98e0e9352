"""Losses chosen by settings that the code does not show: what is wrong with one of them may be right with another.

A caller that hands over `**config`, or names a class of a registry in a configuration that is not in sight, knows which of
a class's losses it has chosen, and makes its tensors for that one. So a finding that such a setting decides on is likely, no
more, if the setting may lead to a loss that shows nothing of the kind.

Two settings may belong together, too: one chooses the loss, the other one whether scores or probabilities are handed to it.
Where either loss is right in one of two branches, nobody means the two other pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torchlint.analysis.values import Guard, Test, conflicts, is_setting

Key = tuple[object, ...]
"""Where a loss is called, and on which way; at its end which loss."""

Loss = tuple[object, object]
"""Which loss, and where it was made."""


class Seen(NamedTuple):
    """A call of a loss: how tests came out on the way to it, and the codes of the rules that it breaks to its harm."""

    assumed: Guard
    harms: frozenset[str]


class Chosen:
    """The loss calls of a program by what unseen settings lead to them, and the rules that each breaks."""

    def __init__(self) -> None:
        self._ways: dict[Guard, dict[Key, frozenset[str]]] = {}
        self._calls: dict[Key, dict[Loss, Seen]] = {}

    def note(
        self, key: Key, made: object, assumed: Mapping[Test, bool], codes: frozenset[str], harmless: frozenset[str]
    ) -> None:
        """A loss, which was `made` somewhere, is called where tests came out like this, and breaks these rules."""
        seen = Seen(frozenset(assumed.items()), codes - harmless)
        self._calls.setdefault(key[:-1], {})[key[-1], made] = seen
        way = frozenset((test, outcome) for test, outcome in assumed.items() if is_setting(test.subject))
        if way:
            self._ways.setdefault(way, {})[key] = codes

    def doubtful(self) -> Iterator[tuple[Key, str]]:
        """The calls and the rules that they break, of which other settings show no breach."""
        for way, calls in self._ways.items():
            broken = frozenset().union(*calls.values())
            if not broken:
                continue
            others = [self._on(other) for other in self._ways if conflicts(other, dict(way))]
            right = {code for code in broken if any(code not in codes for codes in others)}
            yield from ((key, code) for key, codes in calls.items() for code in codes & right)

    def paired(self) -> Iterator[tuple[Key, str]]:
        """The calls and the rules that they break, where another branch has a call of the same loss and this one a call of
        another loss, which break none.
        """
        for place, calls in self._calls.items():
            if len(calls) > 1 and any(not seen.harms for seen in calls.values()):
                for loss, seen in calls.items():
                    if seen.harms and self._is_right_elsewhere(loss, seen.assumed):
                        yield from (((*place, loss[0]), code) for code in seen.harms)

    def _is_right_elsewhere(self, loss: Loss, assumed: Guard) -> bool:
        """Whether a call of a loss breaks no rule that is made where these tests come out otherwise."""
        others = (calls[loss] for calls in self._calls.values() if loss in calls)
        return any(not other.harms and conflicts(other.assumed, dict(assumed)) for other in others)

    def _on(self, way: Guard) -> frozenset[str]:
        """The rules that calls break which are made where a guard holds."""
        return frozenset().union(
            *(codes for other, calls in self._ways.items() if other <= way for codes in calls.values())
        )
