"""The examples of rulebook pages, run as tests: linted here and on the command line, and under torch in pytest.

A page holds its examples in four sections. A `###` heading in one of them starts a case; one case is one test.

    ## Bad            lines that are flagged end in `# error: [TLN101]`
    ## Good           nothing is flagged
    ## Across files   the same as Bad, in several files: a line such as `models/net.py` stands before each block
    ## Known limits   lines that ought to be flagged and are not yet end in `# todo-error: [TLN101]`

In a case, ```py is linted, ```py fixed is the corrected code and must be clean, and ```toml holds settings of
`[tool.torchlint]` for this case. Every block without a path is a file of its own. A fixed block with a path replaces
the file of that path. ```py autofixed is what `torchlint check --fix` makes of the code before it, and ```py autofixed
unsafe what it makes with `--unsafe-fixes`, apart from the marks; every fix, shown or not, must repair what it is for,
bring nothing new and leave nothing for a second one. With torch, repaired code is executed, too, and its `loss` is that
of the corrected code. Each block is also executed, every marked line must really run, and an error that
torch raises must be declared at its line by `# raises: RuntimeError`. A case whose code says `# needs: monai` is linted
everywhere, and executed where that library is installed. Anywhere on a page, ```py damage is executed
with torch, and what it prints must be what the ```text output block behind it says.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import re
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from math import isclose
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from torchlint import rulebook
from torchlint.config import Settings, parse
from torchlint.errors import RulebookError

if TYPE_CHECKING:
    from torchlint.outcome import Fixed, Report

SectionKind = Literal["Bad", "Good", "Across files", "Known limits"]

_FENCE = re.compile(r"(`{3,}|~{3,})(.*)")
_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*")
_PATH = re.compile(r"`?([\w./-]+\.py)`?:?")
_MARK = re.compile(r"#\s*(error|todo-error):\s*\[([^\]]*)\]")
_NEEDS = re.compile(r"#\s*needs:\s*(\w+)")
_RAISES = re.compile(r"#\s*raises:\s*(\w+)")
_NUMBER = re.compile(r"-?\d+\.\d+|-?\d+|nan")
_DECIMAL = re.compile(r"(?<![\w.])-?\d+\.\d+(?![\w.]*\.\d)")
_ANY_MARK = re.compile(r"[ \t]*#\s*(?:error|todo-error|raises):.*$", re.MULTILINE)
_UNNAMED = "example.py"
_AUTOFIXED = {"autofixed": False, "autofixed unsafe": True}
_FLAGS = ("", "fixed", *_AUTOFIXED)
_LANGUAGES = ("py", "python")


class PageError(RulebookError):
    """A page whose examples cannot be read; the message names the file and the line."""


class Block(msgspec.Struct, frozen=True):
    """A fenced block. `line` is the page's line of its first line of text, from 1; `path` the file it stands for."""

    language: str
    flag: str
    text: str
    line: int
    path: str = ""


class Case(msgspec.Struct, frozen=True):
    """A case of a page: its section, its title, the page's line of its heading, and its blocks."""

    kind: SectionKind
    title: str
    line: int
    blocks: tuple[Block, ...]


class Claim(msgspec.Struct, frozen=True):
    """A damage block and the output it claims."""

    code: Block
    output: Block


class Page(msgspec.Struct, frozen=True):
    """A page as the tests see it. `why` is the prose of `## Why it matters` without its blocks."""

    path: str
    cases: tuple[Case, ...]
    claims: tuple[Claim, ...]
    why: str


class CaseResult(msgspec.Struct, frozen=True):
    """What came of a case: `message` says line by line what differs; it is empty if the case passed."""

    title: str
    line: int
    message: str = ""

    @property
    def passed(self) -> bool:
        """Nothing differs."""
        return not self.message


# ---------------------------------------------------------------------- reading


def read_page(path: Path) -> Page:
    """Read the examples of a Markdown file. Raises PageError naming the file and the line."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PageError(f"{path}: cannot be read: {error}") from error
    return parse_examples(text, str(path))


def parse_examples(text: str, origin: str) -> Page:
    """Split a page into cases and claims. Raises PageError naming `origin` and the line."""
    reader = _Reader(origin)
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        fence = _FENCE.fullmatch(line.strip())
        if fence is not None:
            reader.block(number, fence.group(2), _inside(lines, fence.group(1), f"{origin}:{number}"))
        else:
            reader.line(number, line)
    return reader.page()


def _inside(lines: Iterator[tuple[int, str]], fence: str, where: str) -> str:
    """The text up to the closing fence."""
    found: list[str] = []
    for _, line in lines:
        closing = line.strip()
        if len(closing) >= len(fence) and not closing.strip(fence[0]):
            return "\n".join([*found, ""])
        found.append(line)
    raise PageError(f"{where}: this block is never closed")


class _Reader:
    """Collects cases and claims while a page is read line by line."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.kind: SectionKind | None = None
        self.heading = ""
        self.path = ""
        self.cases: list[Case] = []
        self.claims: list[Claim] = []
        self.damage: Block | None = None
        self.why: list[str] = []

    def line(self, number: int, line: str) -> None:
        heading = _HEADING.fullmatch(line)
        if heading is not None:
            self._heading(number, len(heading.group(1)), heading.group(2))
        elif self.heading == "Why it matters":
            self.why.append(line)
        if line.strip():
            path = _PATH.fullmatch(line.strip())
            self.path = path.group(1) if path and self.kind else ""

    def _heading(self, number: int, level: int, title: str) -> None:
        if level <= 2:
            self.heading = title
            self.kind = _kind(title)
            if self.kind:
                self.cases.append(Case(self.kind, title, number, ()))
        elif level == 3 and self.kind:
            self.cases.append(Case(self.kind, f"{self.heading}: {title}", number, ()))

    def block(self, number: int, info: str, text: str) -> None:
        language, _, flag = info.strip().partition(" ")
        block = Block(language, flag.strip(), text, number + 1, self.path)
        self.path = ""
        if language in _LANGUAGES and flag == "damage":
            self._unclaimed()
            self.damage = block
        elif language == "text" and flag == "output":
            if self.damage is None:
                raise PageError(f"{self.origin}:{number}: an output block must follow a ```py damage block")
            self.claims.append(Claim(self.damage, block))
            self.damage = None
        elif self.kind and language in (*_LANGUAGES, "toml"):
            if block.flag not in _FLAGS:
                known = "'fixed', 'autofixed', 'autofixed unsafe', 'damage' or nothing"
                raise PageError(f"{self.origin}:{number}: ```{language} {flag}: the flag is {known}")
            last = self.cases[-1]
            self.cases[-1] = msgspec.structs.replace(last, blocks=(*last.blocks, block))

    def _unclaimed(self) -> None:
        if self.damage is not None:
            where = f"{self.origin}:{self.damage.line - 1}"
            raise PageError(f"{where}: a ```text output block must follow this damage block")

    def page(self) -> Page:
        self._unclaimed()
        cases = tuple(case for case in self.cases if any(block.language in _LANGUAGES for block in case.blocks))
        return Page(self.origin, cases, tuple(self.claims), "\n".join(self.why))


def _kind(title: str) -> SectionKind | None:
    match title:
        case "Bad" | "Good" | "Across files" | "Known limits":
            return title
        case _:
            return None


class _Group(msgspec.Struct, frozen=True):
    """Files that are linted and executed together. `fixed`: the corrected code, in which nothing is expected."""

    files: dict[str, Block]
    fixed: bool = False

    def texts(self) -> dict[str, str]:
        return {path: block.text for path, block in self.files.items()}


def _groups(case: Case, origin: str) -> list[_Group]:
    code = [block for block in case.blocks if block.language in _LANGUAGES and block.flag not in _AUTOFIXED]
    named = {block.path: block for block in code if block.path and not block.flag}
    fixes = {block.path: block for block in code if block.path and block.flag}
    groups: list[_Group] = []
    for block in code:
        if block.path:
            continue
        if named:
            where = f"{origin}:{block.line - 1}"
            raise PageError(f"{where}: in a case of several files, a path line must stand before each block")
        groups.append(_Group({_UNNAMED: block}, bool(block.flag)))
    if named:
        groups.append(_Group(named))
    if fixes:
        groups.append(_Group(named | fixes, fixed=True))
    return groups


class _Repair(msgspec.Struct, frozen=True):
    """Code to be repaired: the corrected code if the page has it, and by `unsafe` what a fix is to make of it."""

    group: _Group
    corrected: _Group | None
    expected: dict[bool, dict[str, Block]]


def _repairs(case: Case, origin: str) -> list[_Repair]:
    groups = _groups(case, origin)
    plain = [group for group in groups if not group.fixed]
    out: list[_Repair] = []
    for index, group in enumerate(plain):
        start = max(block.line for block in group.files.values())
        end = min(plain[index + 1].files[_UNNAMED].line if index + 1 < len(plain) else sys.maxsize, sys.maxsize)
        corrected = [g for g in groups if g.fixed and any(start < b.line < end for b in g.files.values())]
        expected: dict[bool, dict[str, Block]] = {}
        for block in case.blocks:
            if block.flag in _AUTOFIXED and start < block.line < end:
                expected.setdefault(_AUTOFIXED[block.flag], {})[block.path or _UNNAMED] = block
        out.append(_Repair(group, corrected[0] if corrected else None, expected))
    return out


# ---------------------------------------------------------------------- linting


def run_page(path: Path, settings: Settings | None = None) -> list[CaseResult]:
    """Lint the examples of a page and compare with its marks; nothing is executed.

    The rule of the page is selected besides the default ones, so a case says all that is found in it.
    Raises PageError or RulebookError for a page that cannot be read, ConfigError for settings that cannot be used.
    """
    page = read_page(path)
    return [
        CaseResult(
            case.title,
            case.line,
            "\n".join(filter(None, (check(case, page.path, settings) for check in (lint_case, fix_case)))),
        )
        for case in page.cases
    ]


def fix_case(case: Case, origin: str, settings: Settings | None = None) -> str:
    """What is wrong with the fixes of a case, one line each: with what they make, and with what is found in that.

    Raises PageError and ConfigError as `lint_case`.
    """
    chosen = _settings(case, origin, settings or Settings())
    return "\n".join(
        line
        for repair in _repairs(case, origin)
        if case.kind != "Good"
        for unsafe in (False, True)
        for line in _judged(repair, chosen, unsafe=unsafe)
    )


def fix_kinds(page: Page) -> set[str]:
    """The safeties of the fixes in a page's cases for its own rule."""
    from torchlint.engine import check_texts  # noqa: PLC0415  # as in lint_case

    return {
        fix.safety
        for case in page.cases
        for group in _groups(case, page.path)
        for each in check_texts(group.texts(), _settings(case, page.path, Settings())).diagnostics
        if each.code == Path(page.path).stem
        for fix in each.fixes
    }


def _fixed(repair: _Repair, settings: Settings, *, unsafe: bool) -> tuple[Fixed, dict[str, str]]:
    """What the fixes come to, and the texts after them."""
    from torchlint.engine import fix_texts  # noqa: PLC0415  # as in lint_case

    fixed = fix_texts(repair.group.texts(), settings, unsafe=unsafe)
    after = {path: data.decode() for path, data in fixed.after.items()}
    return fixed, repair.group.texts() | after


def _judged(repair: _Repair, settings: Settings, *, unsafe: bool) -> Iterator[str]:
    from torchlint.engine import check_texts, fix_texts  # noqa: PLC0415  # as in lint_case

    fixed, texts = _fixed(repair, settings, unsafe=unsafe)
    where = f"line {min(block.line for block in repair.group.files.values())}"
    mode = "--fix --unsafe-fixes" if unsafe else "--fix"
    before = Counter(_findings(check_texts(repair.group.texts(), settings)))
    after = Counter(_findings(fixed.report))
    gone = Counter((each.code, each.place.path) for each in fixed.repaired)
    for code, path in sorted(set(after)):
        if after[code, path] > before[code, path]:
            yield f"{where}: {mode} brings {code} into {path}"
        elif after[code, path] > before[code, path] - gone[code, path]:
            yield f"{where}: {mode} does not repair {code} in {path}"
    for each in fixed.waiting:
        yield f"{where}: {mode} leaves out a fix of {each.code}"
    if fix_texts(texts, settings, unsafe=unsafe).after:
        yield f"{where}: {mode} changes the code again when it is run twice"
    if unsafe in repair.expected:
        yield from _compared(repair, texts, repair.expected[unsafe], mode)


def _findings(report: Report) -> list[tuple[str, str]]:
    return [(each.code, each.place.path) for each in report.diagnostics]


def _compared(repair: _Repair, texts: Mapping[str, str], expected: Mapping[str, Block], mode: str) -> Iterator[str]:
    """What differs between the texts and those of the page, marks apart; a file that the page does not show stays."""
    for path, block in repair.group.files.items():
        wanted = expected.get(path, block)
        got, said = (_ANY_MARK.sub("", text).splitlines() for text in (texts[path], wanted.text))
        for number, (line, claim) in enumerate(zip_longest(got, said, fillvalue="")):
            if line != claim:
                yield f"line {wanted.line + number}: {mode} makes {line.strip()!r}, the page says {claim.strip()!r}"
                break


def lint_case(case: Case, origin: str, settings: Settings | None = None, *, coverage: bool = False) -> str:
    """What differs between the marks of a case and the findings in it, one line each; empty if nothing does.

    Raises PageError for blocks without a path among files, ConfigError for a toml block that cannot be used.
    """
    from torchlint.engine import check_texts  # noqa: PLC0415  # reading a page needs no engine

    chosen = _settings(case, origin, settings or Settings())
    differences: list[str] = []
    for group in _groups(case, origin):
        report = check_texts(group.texts(), chosen, coverage=coverage)
        differences += _differences(case, group, report)
    return "\n".join(differences)


def _settings(case: Case, origin: str, settings: Settings) -> Settings:
    for block in case.blocks:
        if block.language == "toml":
            where = f"{origin}:{block.line - 1}"
            try:
                settings = parse(tomllib.loads(block.text), where)
            except tomllib.TOMLDecodeError as error:
                raise PageError(f"{where}: not valid TOML: {error}") from error
    code = Path(origin).stem
    return settings._replace(extend_select=(*settings.extend_select, code)) if code in rulebook.load() else settings


def _marks(block: Block, kind: str) -> dict[int, set[str]]:
    """The codes marked on each line of a block, by line from 1."""
    found: dict[int, set[str]] = {}
    for number, line in enumerate(block.text.splitlines(), 1):
        for name, codes in _MARK.findall(line):
            if name == kind:
                found.setdefault(number, set()).update(code.strip() for code in codes.split(","))
    return found


def _differences(case: Case, group: _Group, report: Report) -> Iterator[str]:
    for problem in report.problems:
        yield f"line {_page_line(group, problem.path, problem.line or 1)}: {problem.message}"
    found: dict[tuple[str, int], dict[str, str]] = {}
    for each in report.diagnostics:
        found.setdefault((each.place.path, each.place.line), {})[each.code] = each.message
    for path, block in group.files.items():
        wanted = {} if group.fixed or case.kind == "Good" else _marks(block, "error")
        limits = {} if group.fixed else _marks(block, "todo-error")
        if case.kind == "Good" and (marked := _marks(block, "error")):
            yield f"line {block.line + min(marked) - 1}: an error is marked under Good"
        for number, text in enumerate(block.text.splitlines(), 1):
            here = found.pop((path, number), {})
            expected = wanted.get(number, set())
            where = f"line {block.line + number - 1}"
            for code in sorted(expected - set(here)):
                yield f"{where}: {code} is marked and not found: {text.strip()}"
            for code in sorted(code for code, message in here.items() if "?" in message):
                yield f"{where}: the message of {code} leaves a placeholder open: {here[code]}"
            for code in sorted(set(here) - expected):
                if code in limits.get(number, set()):
                    yield f"{where}: {code} is found, so this limit is gone: mark it as an error, under Bad"
                else:
                    place = " in the fixed code" if group.fixed else ""
                    yield f"{where}: {code} is found{place} and not marked: {here[code]}"
    for (path, number), codes in found.items():
        yield f"{path}:{number}: {', '.join(codes)} found outside the examples"


def _page_line(group: _Group, path: str, line: int) -> int:
    block = group.files.get(path)
    return block.line + line - 1 if block else line


# ---------------------------------------------------------------------- executing, with torch


def run_code(path: Path) -> list[CaseResult]:
    """Execute the examples and damage blocks of a page in this process. Needs torch; never used for linting.

    Each case must run to its end, or stop where it says `# raises:`; each marked line must have run. Random numbers
    start from seed 0 in each block. Raises PageError for a page that cannot be read.
    """
    page = read_page(path)
    cases = [case for case in page.cases if all(importlib.util.find_spec(name) for name in needs(case))]
    results = [CaseResult(case.title, case.line, run_case(case, page.path)) for case in cases]
    return [*results, *(CaseResult("damage", claim.code.line, run_claim(claim)) for claim in page.claims)]


def needs(case: Case) -> list[str]:
    """The libraries besides torch that a case has to be executed with."""
    return sorted({name for block in case.blocks for name in _NEEDS.findall(block.text)})


def run_case(case: Case, origin: str) -> str:
    """Execute the blocks of a case with torch, and what fixes make of them. What differs, one line each."""
    lines = [line for group in _groups(case, origin) for line in _execute(group).lines]
    if case.kind != "Good":
        lines += [line for repair in _repairs(case, origin) for line in _run_repair(repair, case, origin)]
    return "\n".join(lines)


def _run_repair(repair: _Repair, case: Case, origin: str) -> Iterator[str]:
    """Execute repaired code in which nothing is found any more; its loss is that of the corrected code, if there is one."""
    fixed, texts = _fixed(repair, _settings(case, origin, Settings()), unsafe=True)
    if not fixed.after or fixed.report.diagnostics:
        return
    files = {path: msgspec.structs.replace(block, text=texts[path]) for path, block in repair.group.files.items()}
    run = _execute(_Group(files, fixed=True))
    for line in run.lines:
        yield f"after --fix --unsafe-fixes, {line}"
    if repair.corrected is None:
        return
    wanted = _execute(repair.corrected).loss
    if wanted and run.loss and not _alike(run.loss, wanted):
        where = f"line {min(block.line for block in repair.group.files.values())}"
        yield f"{where}: the loss is {run.loss} after the fix and {wanted} in the corrected code"


def run_claim(claim: Claim) -> str:
    """Execute a damage block with torch and compare its output, numbers within one unit of their last place."""
    import torch  # noqa: PLC0415  # linting works without

    torch.manual_seed(0)
    printed = io.StringIO()
    program = compile("\n" * (claim.code.line - 1) + claim.code.text, "<damage>", "exec")
    with contextlib.redirect_stdout(printed):
        exec(program, {"__name__": "damage"})  # a page of the rulebook, run on purpose in tests
    return "\n".join(_compare(printed.getvalue(), claim.output))


def _compare(printed: str, output: Block) -> Iterator[str]:
    got, wanted = printed.rstrip().splitlines(), output.text.rstrip().splitlines()
    if len(got) != len(wanted):
        yield f"line {output.line}: {len(wanted)} lines claimed, {len(got)} printed:\n{printed}"
        return
    for number, (line, claim) in enumerate(zip(got, wanted, strict=True)):
        if not _same(line.rstrip(), claim.rstrip()):
            yield f"line {output.line + number}: {claim.strip()!r} is claimed, {line.strip()!r} printed"


def _same(line: str, claim: str) -> bool:
    if _NUMBER.sub("#", line) != _NUMBER.sub("#", claim):
        return False
    return all(_close(a, b) for a, b in zip(_NUMBER.findall(line), _NUMBER.findall(claim), strict=True))


def _close(printed: str, claimed: str) -> bool:
    if printed == claimed or "nan" in (printed, claimed):
        return printed == claimed
    places = len(claimed.partition(".")[2])
    return "." in claimed and abs(float(printed) - float(claimed)) <= 1.01 * 10.0**-places


def unproven_numbers(page: Page) -> list[str]:
    """The numbers with a decimal point in *Why it matters* that no output block of the page shows."""
    proven = {number.lstrip("-") for claim in page.claims for number in _DECIMAL.findall(claim.output.text)}
    return [number for number in _DECIMAL.findall(page.why) if number.lstrip("-") not in proven]


def _alike(loss: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two losses are the same but for rounding."""
    return len(loss) == len(other) and all(
        isclose(a, b, rel_tol=1e-4, abs_tol=1e-6) for a, b in zip(loss, other, strict=True)
    )


class _Run(msgspec.Struct, frozen=True):
    """What came of executing files: what differs from what they declare, and the numbers of the last file's `loss`."""

    lines: list[str]
    loss: list[float]


def _execute(group: _Group) -> _Run:
    import torch  # noqa: PLC0415  # linting works without

    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        for path, block in group.files.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, "utf-8")
        ran, error, loss = _import_all(root, group.files)
        return _Run(list(_judge(group, root, ran, error)), loss)


def _judge(group: _Group, root: Path, ran: set[tuple[str, int]], error: Exception | None) -> Iterator[str]:
    files = {str(root / path): block for path, block in group.files.items()}
    raised = _place(error, files)
    declared = {
        (file, number): found.group(1)
        for file, block in files.items()
        for number, line in enumerate(block.text.splitlines(), 1)
        if not group.fixed and (found := _RAISES.search(line))
    }
    if error is not None and declared.get(raised) != type(error).__name__:
        line = files[raised[0]].line + raised[1] - 1 if raised[0] in files else 0
        yield f"line {line}: raises {type(error).__name__}: {error}"
    for file, block in files.items():
        where = block.line - 1
        for name, line in sorted(declared):
            if name == file and (name, line) != raised:
                yield f"line {where + line}: does not raise {declared[name, line]}"
        if not group.fixed:
            for line in sorted({*_marks(block, "error"), *_marks(block, "todo-error")}):
                if (file, line) not in ran:
                    yield f"line {where + line}: a marked line that never ran"


def _place(error: Exception | None, files: Mapping[str, Block]) -> tuple[str, int]:
    """The last line of the examples that the error went through."""
    found = ("", 0)
    trace = error.__traceback__ if error else None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in files:
            found = (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        trace = trace.tb_next
    return found


def _import_all(root: Path, paths: Iterable[str]) -> tuple[set[tuple[str, int]], Exception | None, list[float]]:
    """Import every file as a module; the lines that ran, by absolute path, the error that stopped it, the last `loss`."""
    loss: list[float] = []
    ran: set[tuple[str, int]] = set()
    prefix = f"{root}/"

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(prefix):
            return None
        if event == "line":
            ran.add((name, frame.f_lineno))
        return trace

    before, places, tracing = set(sys.modules), list(sys.path), sys.gettrace()
    sys.path[:0] = [str(root), str(root / "src")]
    importlib.invalidate_caches()
    sys.settrace(trace)
    try:
        for path in paths:
            name = path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__")
            module = importlib.import_module(name.replace("/", "."))
            if hasattr(getattr(module, "loss", None), "detach"):
                loss = module.loss.detach().flatten().tolist()
    except Exception as error:  # noqa: BLE001  # whatever an example raises is compared with what it declares
        return ran, error, loss
    finally:
        sys.settrace(tracing)
        sys.path[:] = places
        for name in set(sys.modules) - before:
            if any(str(place).startswith(str(root)) for place in _places(sys.modules[name])):
                del sys.modules[name]
    return ran, None, loss


def _places(module: Any) -> list[str]:
    return [*getattr(module, "__path__", ()), getattr(module, "__file__", None) or ""]
