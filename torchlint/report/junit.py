"""JUnit XML, which most CI servers show as test results: a suite per file, a failed test per finding."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple
from xml.sax.saxutils import escape, quoteattr

from torchlint.diagnostics import RUNTIME_WORDS, Diagnostic, Place, Problem
from torchlint.report import ci
from torchlint.report.concise import said, where

if TYPE_CHECKING:
    from torchlint.outcome import Report

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Case(NamedTuple):
    """A test: what it came to is a failure for a finding, an error for a file that could not be linted."""

    kind: Literal["failure", "error", "passed"]
    xml: str


def render(report: Report) -> str:
    """The suites; a run without findings is one test that passed, since servers take an empty report for a broken one."""
    root = ci.repository()
    suites: dict[str, list[_Case]] = {}
    for problem in report.problems:
        suites.setdefault(ci.below(problem.path, root), []).append(_error(problem, root))
    for diagnostic in report.diagnostics:
        suites.setdefault(ci.below(diagnostic.place.path, root), []).append(_failure(diagnostic, root))
    if not suites:
        passed = '    <testcase name="no findings" classname="torchlint"/>\n'
        suites["torchlint"] = [_Case("passed", passed)]
    total = _counts([case for cases in suites.values() for case in cases])
    body = "".join(_suite(name, cases) for name, cases in suites.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="torchlint" {total}>\n{body}</testsuites>\n'


def _suite(name: str, cases: Sequence[_Case]) -> str:
    inside = "".join(case.xml for case in cases)
    return f"  <testsuite name={_attribute(name)} {_counts(cases)}>\n{inside}  </testsuite>\n"


def _counts(cases: Sequence[_Case]) -> str:
    kinds = [case.kind for case in cases]
    return f'tests="{len(kinds)}" failures="{kinds.count("failure")}" errors="{kinds.count("error")}"'


def _failure(diagnostic: Diagnostic, root: str) -> _Case:
    place = diagnostic.place
    told = [f"{where(place)}: {diagnostic.code} {diagnostic.name}: {diagnostic.message}"]
    told += [] if diagnostic.runtime is None else [f"  {RUNTIME_WORDS[diagnostic.runtime]}"]
    told += [f"  {where(step.place)}: {step.note}" for step in diagnostic.trail]
    message = _attribute(ci.in_cell(place) + diagnostic.message)
    text = "\n".join(told)
    failure = f"<failure message={message} type={_attribute(diagnostic.severity)}>{_text(text)}</failure>"
    cell = "" if place.cell is None else f"cell {place.cell}:"
    name = f"{diagnostic.code} {diagnostic.name} ({cell}{place.line}:{place.column})"  # servers tell tests apart by it
    return _Case("failure", _test(name, place, root, failure))


def _error(problem: Problem, root: str) -> _Case:
    message = ci.in_cell(problem) + said(problem)
    return _Case("error", _test("not linted", problem, root, f"<error message={_attribute(message)}/>"))


def _test(name: str, at: Place | Problem, root: str, result: str) -> str:
    line = "" if at.line is None or at.cell is not None else f' line="{at.line}"'
    path = _attribute(ci.below(at.path, root))
    head = f"<testcase name={_attribute(name)} classname={path} file={path}{line}>"
    return f"    {head}\n      {result}\n    </testcase>\n"


def _text(text: str) -> str:
    return escape(_NO_XML.sub("\ufffd", text))


def _attribute(text: str) -> str:
    return quoteattr(_NO_XML.sub("\ufffd", text))
