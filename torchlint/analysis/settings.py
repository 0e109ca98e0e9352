"""Losses chosen by settings that the code does not show: what is wrong with one of them may be right with another.

A caller that hands over `**config`, or names a class of a registry in a configuration that is not in sight, knows which of
a class's losses it has chosen, and makes its tensors for that one. So a finding that such a setting decides on is likely, no
more, if the setting may lead to a loss that shows nothing of the kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from torchlint.analysis.values import Guard, Test, conflicts, is_setting

Key = tuple[object, ...]


class Chosen:
    """The loss calls of a program by what unseen settings lead to them, and the rules that each breaks."""

    def __init__(self) -> None:
        self._ways: dict[Guard, dict[Key, frozenset[str]]] = {}

    def note(self, key: Key, assumed: Mapping[Test, bool], codes: Iterable[str]) -> None:
        """A loss is called where tests came out like this."""
        way = frozenset((test, outcome) for test, outcome in assumed.items() if is_setting(test.subject))
        if way:
            self._ways.setdefault(way, {})[key] = frozenset(codes)

    def doubtful(self) -> Iterator[tuple[Key, str]]:
        """The calls and the rules that they break, of which other settings show no breach."""
        for way, calls in self._ways.items():
            broken = frozenset().union(*calls.values())
            if not broken:
                continue
            others = [self._on(other) for other in self._ways if conflicts(other, dict(way))]
            right = {code for code in broken if any(code not in codes for codes in others)}
            yield from ((key, code) for key, codes in calls.items() for code in codes & right)

    def _on(self, way: Guard) -> frozenset[str]:
        """The rules that calls break which are made where a guard holds."""
        return frozenset().union(
            *(codes for other, calls in self._ways.items() if other <= way for codes in calls.values())
        )
