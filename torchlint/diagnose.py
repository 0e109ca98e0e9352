"""From the findings in a file to diagnostics: selected, not hidden, placed and worded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from torchlint.config import Selection, Settings, codes_for
from torchlint.diagnostics import Diagnostic, Fix, Place, Step
from torchlint.placing import in_cell, place_order
from torchlint.reader import Reader

if TYPE_CHECKING:
    from torchlint import suppress
    from torchlint.analysis.spans import Span
    from torchlint.findings import Finding, NodeRef
    from torchlint.rulebook import Rule


UNUSED, INVALID = "TLN001", "TLN002"
"""The engine's own rules: suppressions that hide nothing, and those that cannot be read."""


class File(NamedTuple):
    """A file with findings or suppressions, and what is needed to judge them."""

    path: str
    reader: Reader
    rules: Mapping[str, Rule]
    selection: Selection
    settings: Settings
    spans: Mapping[NodeRef, Span]
    fixes: Mapping[tuple[str, NodeRef], Fix]

    def diagnostics(self, findings: Sequence[Finding], *, parsed: bool) -> list[Diagnostic]:
        """What is reported here: the findings that are selected and not hidden, and what is wrong with suppressions."""
        from torchlint import suppress  # noqa: PLC0415  # compiles regular expressions

        source = self.reader(self.path)
        codes = self.selection.at(self.path)
        found = [each for each in suppress.directives(source.text) if self.settings.noqa or each.kind != "noqa"]
        flagged = [suppress.Flagged(each.code, *self._lines(each)) for each in findings]
        verdict = suppress.apply(found, flagged, self.stands_for)
        reported = [
            self._diagnostic(each)
            for index, each in enumerate(findings)
            if index not in verdict.hidden
            and each.code in codes
            and (each.confidence == "certain" or self.settings.confidence == "likely")
        ]
        return reported + (self._about_suppressions(found, verdict.used, codes) if parsed else [])

    def _lines(self, finding: Finding) -> tuple[int, int]:
        span = self.spans[finding.at]
        return span.line, span.end_line

    def stands_for(self, selector: str) -> frozenset[str]:
        """The codes that a selector means."""
        return codes_for(selector, self.rules)

    def _diagnostic(self, finding: Finding) -> Diagnostic:
        rule = self.rules[finding.code]
        place = self._place(finding.at)
        return Diagnostic(
            code=rule.code,
            name=rule.name,
            message=rule.message.format_map(_Values(finding.values)),
            severity=rule.severity,
            confidence=finding.confidence,
            place=place,
            trail=tuple(Step(self._place(step.at), step.note) for step in finding.trail if step.at in self.spans),
            fingerprint=self.fingerprint(rule.code, place),
            fixes=tuple(self.fixes[key] for key in [(finding.code, finding.at)] if key in self.fixes),
        )

    def _place(self, at: NodeRef) -> Place:
        return in_cell(Place(at.path, *self.spans[at]), self.reader(at.path))

    def fingerprint(self, code: str, place: Place) -> str:
        """What a finding is known by when lines move."""
        import hashlib  # noqa: PLC0415  # 4 ms, only with diagnostics

        flagged = self.reader(place.path).lines(place.line, place.end_line, place.cell)
        return hashlib.sha256(
            f"{code}\0{place.path}\0{' '.join(flagged.split())}".encode("utf-8", "replace")
        ).hexdigest()[:16]

    def _about_suppressions(
        self, found: Sequence[suppress.Directive], used: Mapping[int, frozenset[str]], codes: frozenset[str]
    ) -> list[Diagnostic]:
        told = []
        for index, directive in enumerate(found):
            told += [(directive, INVALID, what) for what in self._invalid(directive)]
            told += [(directive, UNUSED, what) for what in self._unused(directive, used.get(index, frozenset()), codes)]
        hidden = {code: [each for each in found if code in map(str.upper, each.codes)] for code in (UNUSED, INVALID)}
        return [
            self._suppression(directive, code, what)
            for directive, code, what in told
            if code in codes
            and code in self.rules
            and not any(each.line == directive.line or each.kind == "ignore-file" for each in hidden[code])
        ]

    def _invalid(self, directive: suppress.Directive) -> list[str]:
        if directive.broken:
            return [directive.broken]
        unknown = [code for code in directive.codes if not self.stands_for(code)]
        if directive.kind == "noqa":  # other linters' codes
            unknown = [code for code in unknown if code.upper().startswith("TLN")]
        return [f"unknown rule {', '.join(unknown)}"] if unknown else []

    def _unused(self, directive: suppress.Directive, used: frozenset[str], selected: frozenset[str]) -> list[str]:
        if directive.broken:
            return []
        if not directive.codes:
            every_default = all(rule.code in selected for rule in self.rules.values() if rule.default)
            return ["it hides nothing"] if directive.kind != "noqa" and not used and every_default else []
        idle = []
        for given in directive.codes:
            codes = self.stands_for(given) - {UNUSED, INVALID}
            if codes and codes <= selected and not codes & used:
                idle.append(given)
        return [f"{', '.join(idle)} hides nothing"] if idle else []

    def _suppression(self, directive: suppress.Directive, code: str, what: str) -> Diagnostic:
        rule = self.rules[code]
        line = directive.line
        place = Place(self.path, line, directive.column, line, directive.end_column)
        placed = in_cell(place, self.reader(self.path))
        return Diagnostic(
            code=code,
            name=rule.name,
            message=f"{rule.message}: {what}",
            severity=rule.severity,
            confidence="certain",
            place=placed,
            fingerprint=self.fingerprint(code, placed),
        )


class _Values(dict[str, str]):
    """The values of a message's placeholders; one that the analysis left out shows as `?`."""

    def __missing__(self, key: str) -> str:
        return "?"


def in_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """In reading order, each (code, place) once; of two, the certain one."""
    best: dict[tuple[str, Place], Diagnostic] = {}
    for each in diagnostics:
        known = best.get((each.code, each.place))
        if known is None or (known.confidence == "likely" and each.confidence == "certain"):
            best[each.code, each.place] = each
    return sorted(best.values(), key=_reading_order)


def _reading_order(diagnostic: Diagnostic) -> tuple[tuple[str, int, int, int], str]:
    return place_order(diagnostic.place), diagnostic.code
