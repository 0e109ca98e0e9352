"""Where findings are: spans of nodes, the fixes there, and places in the cells of notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from torchlint.diagnostics import Edit, Fix, Place, Problem, Step
from torchlint.problems import internal
from torchlint.reader import Reader
from torchlint.roots import Outcome
from torchlint.source import Source, is_notebook

if TYPE_CHECKING:
    from torchlint.analysis import coverage as analysis_coverage
    from torchlint.analysis.coverage import Observed
    from torchlint.analysis.spans import Span
    from torchlint.coverage import Coverage, Sight
    from torchlint.findings import Finding, NodeRef
    from torchlint.recall import Recall


def mentioned(outcome: Outcome) -> Iterator[NodeRef]:
    """Every node that a finding or its trail mentions, or that coverage tells of."""
    for finding in outcome.findings:
        yield finding.at
        yield from (step.at for step in finding.trail)
    for seen in outcome.observed:
        yield seen.at
        yield from (sight.cause.at for sight in (seen.criterion, seen.input, seen.target) if sight.cause is not None)


def locate_all(
    nodes: Iterable[NodeRef], reader: Reader, recall: Recall | None = None
) -> tuple[dict[NodeRef, Span], list[Problem]]:
    """The spans of nodes, and the files in which none could be found."""
    wanted: dict[str, set[int]] = {}
    for at in nodes:
        wanted.setdefault(at.path, set()).add(at.node)
    if not wanted:
        return {}, []
    from torchlint.analysis.spans import locate  # noqa: PLC0415  # only with findings
    from torchlint.findings import NodeRef  # noqa: PLC0415

    spans: dict[NodeRef, Span] = {}
    problems: list[Problem] = []
    for path, numbers in wanted.items():
        try:
            found = recall.spans(path, numbers) if recall is not None else None
            if found is None:
                found = locate(reader(path).text, numbers)
            if recall is not None:
                recall.placed(path, found)
            spans.update({NodeRef(path, node): span for node, span in found.items()})
        except (Exception, RecursionError, MemoryError) as error:  # noqa: BLE001  # a defect of ours, in this file only
            problems.append(internal(path, error))
    return spans, problems


def repairs(
    findings: Sequence[Finding],
    reader: Reader,
    files: frozenset[str],
    problems: list[Problem],
    recall: Recall | None = None,
) -> dict[tuple[str, NodeRef], Fix]:
    """The fixes of findings by code and place. One that reaches into a file that nobody asked about is only shown."""
    fixes: dict[tuple[str, NodeRef], Fix] = {}
    planned: list[Finding] = []
    for finding in findings:
        known = recall.repair(finding) if recall is not None else None
        if recall is not None and known is not None:
            recall.repaired(finding, known.fix, known.files)
            if known.fix is not None:
                fixes[finding.code, finding.at] = known.fix
        elif finding.plan is not None:
            planned.append(finding)
    if not planned:
        return fixes
    from torchlint.analysis.lower import ParseFailure  # noqa: PLC0415  # a parse is needed here only
    from torchlint.analysis.positions import Placed  # noqa: PLC0415  # imports LibCST
    from torchlint.repair import Code, repair  # noqa: PLC0415  # only with something to repair

    codes: dict[str, Code] = {}

    opened: set[str] = set()

    def code_of(path: str) -> Code:
        opened.add(path)
        if path not in codes:
            codes[path] = Code(path, Placed(reader(path).text))
        return codes[path]

    for finding in planned:
        opened.clear()
        try:
            fix = repair(finding, code_of)
            if fix is None:
                if recall is not None:
                    recall.repaired(finding, None, opened)
                continue
            edits = tuple(Edit(in_cell(edit.place, reader(edit.place.path)), edit.content) for edit in fix.edits)
        except ParseFailure:
            continue  # Python reads it, and LibCST, which a fix needs, does not
        except (Exception, RecursionError, MemoryError) as error:  # noqa: BLE001  # the finding is reported without a fix
            problems.append(internal(finding.at.path, error))
            continue
        given = all(edit.place.path in files for edit in edits)
        fix = fix._replace(edits=edits, safety=fix.safety if given else "display")
        fixes[finding.code, finding.at] = fix
        if recall is not None:
            recall.repaired(finding, fix, opened | {edit.place.path for edit in edits})
    return fixes


def covered(observed: Iterable[Observed], spans: Mapping[NodeRef, Span], reader: Reader) -> Coverage:
    """What coverage tells, placed and in reading order."""
    from torchlint.coverage import Coverage, Seen, Sight  # noqa: PLC0415  # only where asked for

    def place(at: NodeRef) -> Place:
        return in_cell(Place(at.path, *spans[at]), reader(at.path))

    def sight(of: analysis_coverage.Sight) -> Sight:
        at = None if of.cause is None or of.cause.at not in spans else place(of.cause.at)
        return Sight(of.state, of.kinds, Step(at, of.cause.note) if at is not None and of.cause is not None else None)

    seen = [
        Seen(place(each.at), each.name, sight(each.criterion), sight(each.input), sight(each.target))
        for each in observed
        if each.at in spans
    ]
    return Coverage(tuple(sorted(seen, key=lambda each: place_order(each.place))))


def in_cell(place: Place, source: Source) -> Place:
    """A place in a notebook's text as a place in its cell; a plain file's place as it is."""
    cell = source.cell_at(place.line)
    if cell is None:
        return place
    above = cell.first_line - 1
    return place._replace(line=place.line - above, end_line=place.end_line - above, cell=cell.number)


def in_cells(problems: Iterable[Problem], reader: Reader) -> tuple[Problem, ...]:
    """Problems that the parser found in a notebook's text, moved to their cells."""
    placed = []
    for problem in problems:
        source = reader.sources.get(problem.path)
        if source is not None and problem.line is not None and problem.cell is None and is_notebook(problem.path):
            cell = source.cell_at(problem.line)
            if cell is not None:
                line = problem.line - cell.first_line + 1
                problem = problem._replace(line=line, cell=cell.number)  # noqa: PLW2901
        placed.append(problem)
    return tuple(placed)


def place_order(place: Place) -> tuple[str, int, int, int]:
    """By what places are sorted into reading order."""
    return place.path, place.cell or 0, place.line, place.column
