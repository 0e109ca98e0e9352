"""Suppressions: which findings they hide, and which of them are reported for hiding nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faces.conftest import BAD, GOOD, Run, Tree
from torchlint.suppress import Flagged, apply, directives

HEAD, _, CALL = BAD.rpartition("    return ")


def stands_for(selector: str) -> frozenset[str]:
    names = {"by-name": "TLN101"}
    known = ("TLN101", "TLN104", "TLN201")
    return frozenset(code for code in known if code.startswith(selector.upper()) or names.get(selector) == code)


@pytest.mark.parametrize(
    ("call", "reported"),
    [
        ("return criterion(probabilities, labels)  # torchlint: ignore[TLN101] reason", []),
        ("return criterion(probabilities, labels)  # torchlint: ignore[TLN101, TLN104]", ["TLN001"]),
        ("return criterion(probabilities, labels)  # torchlint: ignore[TLN1]", []),
        ("return criterion(probabilities, labels)  # torchlint: ignore[sigmoid-before-with-logits]", []),
        ("return criterion(probabilities, labels)  # torchlint: ignore", []),
        ("return criterion(probabilities, labels)  #torchlint:ignore[tln101]", []),
        ("return criterion(probabilities, labels)  # why # torchlint: ignore[TLN101]", []),
        ("return criterion(probabilities, labels)  # noqa", []),
        ("return criterion(probabilities, labels)  # NOQA:tln101,E501", []),
        ("return criterion(probabilities, labels)  # noqa: E501 TLN101", []),
        ("return criterion(probabilities, labels)  # noqa: E501", ["TLN101"]),
        ("return criterion(probabilities, labels)  # torchlint: ignore[TLN201]", ["TLN101", "TLN001"]),
        ("return criterion(probabilities, labels)  # torchlint: ignore[TLN999]", ["TLN101", "TLN002"]),
        ("return criterion(probabilities, labels)  # torchlint: ignore[]", ["TLN101", "TLN002"]),
        ("return criterion(probabilities, labels)  # torchlint: ignore[TLN101", ["TLN101", "TLN002"]),
        ("return criterion(probabilities, labels)  # torchlint: disable=TLN101", ["TLN101", "TLN002"]),
        ("return criterion(\n        probabilities,  # torchlint: ignore[TLN101]\n        labels,\n    )", []),
        ("return criterion(  # noqa: TLN101\n        probabilities, labels,\n    )", []),
        ("return (\n        criterion(probabilities, labels)\n    )  # torchlint: ignore[TLN101]", []),
        ("return criterion(probabilities, labels), \\\n        '# ('  # torchlint: ignore[TLN101]", []),
        ("return criterion(probabilities, labels), '''\n# x '''  # torchlint: ignore[TLN101]", []),
        ("return criterion(probabilities, labels), '# torchlint: ignore[TLN101]'", ["TLN101"]),
        ("# torchlint: ignore-file[TLN101] reason\n    return criterion(probabilities, labels)", []),
        ("# torchlint: ignore-file\n    return criterion(probabilities, labels)", []),
        ("# torchlint: ignore-file[TLN2]\n    return criterion(probabilities, labels)", ["TLN001", "TLN101"]),
        ("# torchlint: ignore[TLN101]\n    return criterion(probabilities, labels)", ["TLN001", "TLN101"]),
    ],
)
def test_a_suppression(call: str, reported: list[str], tree: Tree, torchlint: Run) -> None:
    tree({"a.py": f"{HEAD}    {call}\n"})
    result = torchlint("check", "-q", "--output-format", "concise")
    assert [line.split()[1] for line in result.out.splitlines()] == reported, result
    assert result.code == int(bool(reported))


@pytest.mark.parametrize(
    ("comment", "arguments", "reported"),
    [
        ("# torchlint: ignore[TLN101] mended", [], ["TLN001"]),
        ("# torchlint: ignore", [], ["TLN001"]),
        ("# noqa: TLN101", [], ["TLN001"]),
        ("# noqa: TLN999", [], ["TLN002"]),
        ("# noqa: E501", [], []),
        ("# noqa", [], []),
        ("# torchlint: ignore[TLN101]", ["--ignore", "TLN101"], []),
        ("# torchlint: ignore", ["--select", "TLN001,TLN2"], []),
        ("# torchlint: ignore[TLN101]", ["--ignore", "unused-suppression"], []),
        ("# torchlint: ignore[TLN101]", ["--per-file-ignores", "*.py:TLN001"], []),
        ("# torchlint: ignore[TLN101, TLN001] soon again", [], []),
    ],
)
def test_one_that_hides_nothing(
    comment: str, arguments: list[str], reported: list[str], tree: Tree, torchlint: Run
) -> None:
    tree({"a.py": GOOD.rstrip() + f"  {comment}\n", "no_loss.py": f"x = 1  {comment}\n"})
    result = torchlint("check", "-q", "--output-format", "concise", *arguments)
    assert [line.split()[1] for line in result.out.splitlines()] == reported * 2, result


def test_in_a_file_that_does_not_parse_nothing_is_unused(tree: Tree, torchlint: Run) -> None:
    tree({"a.py": BAD + "x = = 1  # torchlint: ignore[TLN101]\n"})
    assert "TLN001" not in torchlint("check").out


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["x = 1", "'''", '"', "(", ")", "#", "\\", "\r\n", "\n", "\r", "# noqa", "# torchlint: ignore[A]"]
        )
    )
)
def test_any_text_is_scanned_and_every_comment_is_where_it_says(pieces: list[str]) -> None:
    text = " ".join(pieces)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for directive in directives(text):
        written = lines[directive.line - 1][directive.column - 1 : directive.end_column - 1]
        assert written.startswith("#")
        assert written.endswith(("noqa", "ignore[A]", "ignore"))
        assert directive.first_line <= directive.line <= directive.last_line


def test_lines_of_other_statements_are_not_touched() -> None:
    found = directives("a()  # noqa: TLN101\nb(\n  c(),\n  d()  # torchlint: ignore[TLN2, by-name]\n)\n")
    flagged = [Flagged("TLN101", 1, 1), Flagged("TLN101", 2, 5), Flagged("TLN101", 3, 3), Flagged("TLN201", 4, 4)]
    verdict = apply(found, flagged, stands_for)
    assert verdict.hidden == {0, 1, 3}
    assert verdict.used == {0: frozenset({"TLN101"}), 1: frozenset({"TLN101", "TLN201"})}
