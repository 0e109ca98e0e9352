"""The list of the loss calls: what is known of each, and where sight of the rest was lost."""

from __future__ import annotations

from collections.abc import Iterator

from torchlint.coverage import Coverage, Seen, Sight
from torchlint.report.concise import where
from torchlint.report.style import Style


def render(coverage: Coverage, style: Style) -> str:
    """Each call, and under it a line for what it gets; an empty line after the list."""
    lines = [line for seen in coverage.seen for line in _lines(seen, style)]
    return "".join(f"{line}\n" for line in lines) + ("\n" if lines else "")


def concise(coverage: Coverage, style: Style) -> str:
    """One line for each call."""
    return "".join(
        f"{style(where(seen.place), 'bold')}: {seen.name}: "
        f"{'; '.join(f'{label} {_told(sight)}' for label, sight in _sights(seen))}\n"
        for seen in coverage.seen
    )


def totals(coverage: Coverage) -> str:
    """`12 loss calls: the input of 9 is known, the target of 4; 2 calls that look like one are not understood`."""
    calls, unresolved = coverage.calls, coverage.unresolved
    known = f"the input of {coverage.inputs} is known, the target of {coverage.targets}"
    text = f"{calls} loss call{'' if calls == 1 else 's'}{f': {known}' if calls else ''}"
    if unresolved == 1:
        return f"{text}; 1 call that looks like one is not understood"
    return f"{text}; {unresolved} calls that look like one are not understood" if unresolved else text


def _lines(seen: Seen, style: Style) -> Iterator[str]:
    yield f"{style(where(seen.place), 'bold')}: {seen.name}"
    for label, sight in _sights(seen):
        yield f"    {style(label.ljust(9), 'dim')}  {_told(sight)}"


def _sights(seen: Seen) -> Iterator[tuple[str, Sight]]:
    """What is worth a line: the input and target of a known loss, and which loss it is where that is not settled."""
    for label, sight in _all_sights(seen):
        told = sight.state != "known" or len(sight.kinds) > 1 if label == "criterion" else _is_loss(seen)
        if told and sight.state != "absent":
            yield label, sight


def _is_loss(seen: Seen) -> bool:
    return seen.criterion.state != "unknown"


def _all_sights(seen: Seen) -> tuple[tuple[str, Sight], ...]:
    return ("criterion", seen.criterion), ("input", seen.input), ("target", seen.target)


def _told(sight: Sight) -> str:
    kinds = " or ".join(sight.kinds)
    if sight.state == "known":
        return kinds
    reason = "" if sight.reason is None else f" ({sight.reason.note}, {where(sight.reason.place)})"
    return f"{kinds} or not known{reason}" if kinds else f"not known{reason}"
