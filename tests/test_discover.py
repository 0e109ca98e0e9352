"""Discovery and the byte prefilter."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchlint.discover import Rules, discover, has_loss_word, prefilter

WORDS = frozenset({b"BCELoss", b"NLLLoss", b"NLLLoss2d", b"cross_entropy", b"kl_div", b"f"})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "a.py", "b.pyi", "c.pyw", "n.ipynb", "d.txt", ".hidden/h.py", ".venv/v.py", "build/x.py", "pkg/build/y.py",
        "pkg/a.py", "pkg/out/o.py", "pkg/keep/k.py", "pkg/gen_1.py", "pkg/deep/gen_2.py", "node_modules/m/z.py",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*paths: str, **rules: object) -> list[str]:
    return list(discover(paths or (".",), Rules(**rules)).files)  # type: ignore[arg-type]


def test_a_folder(folder: Path) -> None:
    everything = [
        "a.py",
        "c.pyw",
        "n.ipynb",
        ".hidden/h.py",
        "pkg/a.py",
        "pkg/gen_1.py",
        "pkg/deep/gen_2.py",
        "pkg/keep/k.py",
        "pkg/out/o.py",
    ]
    assert found() == everything
    assert found(".", "a.py", "./pkg/../a.py") == everything
    assert found("pkg/") == everything[4:]
    assert found(str(folder / "pkg"))[0] == str(folder / "pkg" / "a.py")
    assert found("../" + folder.name + "/a.py") == ["../" + folder.name + "/a.py"]


def test_a_file_with_several_names_is_taken_under_the_first(folder: Path) -> None:
    (folder / "link.py").symlink_to("a.py")
    (folder / "pkg" / "again.py").symlink_to("../a.py")
    (folder / "way").symlink_to("pkg")
    assert found("link.py", "a.py", str(folder / "a.py")) == ["link.py"]
    assert not {"link.py", "pkg/again.py", "way/a.py"} & set(found())
    assert found("pkg", ".")[1:2] == ["pkg/again.py"]
    assert found("way", "pkg", "a.py")[0] == "way/a.py"
    assert not {name for name in found("way", "pkg", "a.py") if not name.startswith("way/")}


def test_what_is_named_is_taken(folder: Path) -> None:
    assert found("build/x.py", "d.txt", "b.pyi", ".venv") == ["build/x.py", "d.txt", "b.pyi", ".venv/v.py"]
    assert found("build/x.py", "a.py", ".venv", force=True) == ["a.py"]


def test_exclude_patterns(folder: Path) -> None:
    assert found("pkg", exclude=("gen_*",)) == ["pkg/a.py", "pkg/build/y.py", "pkg/keep/k.py", "pkg/out/o.py"]
    assert found("pkg", exclude=("/pkg/*/", "a.py")) == ["pkg/gen_1.py"]
    assert found("pkg", exclude=("./pkg/gen_1.py", "pkg/deep", "keep/")) == [
        "pkg/a.py",
        "pkg/build/y.py",
        "pkg/out/o.py",
    ]
    assert found("pkg/gen_1.py", "pkg/deep", exclude=("gen_*",), force=True) == []


def test_gitignore(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".gitignore").write_text("# notes\n*.ipynb\nout/\n/pkg/gen_*.py\n")
    (folder / "pkg" / ".gitignore").write_text("!gen_1.py\nkeep\n")
    expected = ["pkg/a.py", "pkg/gen_1.py", "pkg/deep/gen_2.py"]
    assert found() == ["a.py", "c.pyw", ".hidden/h.py", *expected]
    assert found("pkg") == expected
    assert found("pkg/out", "n.ipynb") == ["pkg/out/o.py", "n.ipynb"]
    assert found("pkg/out/o.py", "n.ipynb", "pkg/gen_1.py", force=True) == ["pkg/gen_1.py"]
    assert "n.ipynb" in found(gitignore=False)


def test_a_missing_path_is_told_and_the_others_are_found(folder: Path) -> None:
    result = discover(["nowhere", "a.py", "a\0b"])
    assert result.files == ("a.py",)
    assert [each.path for each in result.missed] == ["nowhere", "a\0b"]


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                b"BCELoss",
                b"NLLLoss2d",
                b"NLL",
                b"Loss",
                b"cross",
                b"_entropy",
                b"kl_div",
                b"f",
                b" ",
                b".",
                b"\xc3",
                b"2",
            ]
        )
    )
)
def test_the_prefilter_finds_whole_words(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    expected = bool(re.search(rb"(?<![A-Za-z0-9_])(?:" + b"|".join(WORDS) + rb")(?![A-Za-z0-9_])", data))
    assert has_loss_word(data, WORDS) is expected


def test_the_prefilter_asks_for_each_file_once() -> None:
    files = {"a": b"x = nn.BCELoss()", "b": b"BCELosses", "c": b"", "d": b"import f"}
    asked: list[str] = []

    def read(path: str) -> bytes:
        asked.append(path)
        return files[path]

    assert prefilter(files, read, WORDS) == ["a", "d"]
    assert asked == list(files)
    assert prefilter(files, files.__getitem__, frozenset()) == []


def test_the_words_that_need_no_toml_are_those_of_the_contracts() -> None:
    from torchlint import selected
    from torchlint.config import Settings

    settings = Settings()
    assert selected.load_contracts(settings).loss_words() <= selected.loss_words(settings)
    assert os.sep not in "".join(map(bytes.decode, selected.loss_words(settings)))
