"""Random programs, put together production by production; every one is valid Python 3.11."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "x", "loss", "torch", "größe"])
CONSTANTS = st.sampled_from(["0", "1.5", "2j", "'s'", "b'y'", "None", "True", "...", "'a' 'b'", "0x1F", "r'\\d'"])
BINARY = st.sampled_from("+ - * / // % ** @ << >> & | ^ and or".split())
COMPARE = st.sampled_from(["<", "==", "!=", ">=", "in", "not in", "is", "is not"])


def _grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def shape(template: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.tuples(*parts).map(lambda given: template.format(*given))

    items = st.lists(st.one_of(inner, inner.map("*{}".format)), min_size=1, max_size=3).map(", ".join)
    arguments = st.lists(
        st.one_of(inner, inner.map("*{}".format)), max_size=3
    ).flatmap(lambda first: st.lists(st.one_of(inner.map("**{}".format), inner.map("k={}".format)), max_size=1).map(
        lambda last: ", ".join([*first, *last])
    ))  # fmt: skip
    clause = st.one_of(
        shape("for {} in {}", NAMES, inner),
        shape("for {}, *{} in {}", NAMES, NAMES, inner),
        shape("for {} in {} if {}", NAMES, inner, inner),
        shape("for {} in {} for {} in {}", NAMES, inner, NAMES, inner),
    )
    return st.one_of(
        shape("({} {} {})", inner, BINARY, inner),
        shape("({} {} {} {} {})", inner, COMPARE, inner, COMPARE, inner),
        shape("(-{})", inner),
        shape("(not {})", inner),
        shape("({} if {} else {})", inner, inner, inner),
        shape("({}).{}", inner, NAMES),
        shape("({})({})", inner, arguments),
        shape("({})[{}]", inner, inner),
        shape("({})[{}:{}, ::{}]", inner, inner, inner, inner),
        shape("({})[{}]", inner, items),
        shape("[{}]", items),
        shape("({},)", items),
        shape("{{{}}}", items),
        shape("{{{}: {}, **{}}}", inner, inner, inner),
        shape("[{} {}]", inner, clause),
        shape("{{{} {}}}", inner, clause),
        shape("{{{}: {} {}}}", inner, inner, clause),
        shape("({} {})", inner, clause),
        shape("(lambda {}, /, *q, w={}, **r: {})", st.just("p"), inner, inner),
        shape("(lambda: {})", inner),
    )


EXPRESSIONS: st.SearchStrategy[str] = st.recursive(st.one_of(NAMES, CONSTANTS), _grow, max_leaves=8)


def _indented(block: str) -> str:
    return "".join(f"    {line}\n" for line in block.splitlines())


SIMPLE: st.SearchStrategy[str] = st.one_of(
    EXPRESSIONS,
    st.tuples(NAMES, EXPRESSIONS).map(lambda p: f"{p[0]} = {p[1]}"),
    st.tuples(NAMES, NAMES, EXPRESSIONS).map(lambda p: f"{p[0]}.attr, *{p[1]} = {p[2]}"),
    st.tuples(NAMES, EXPRESSIONS).map(lambda p: f"{p[0]}[0] += {p[1]}"),
    st.tuples(NAMES, EXPRESSIONS).map(lambda p: f"{p[0]}: int = {p[1]}"),
    st.tuples(EXPRESSIONS, EXPRESSIONS).map(lambda p: f"assert {p[0]}, {p[1]}"),
    st.tuples(EXPRESSIONS, EXPRESSIONS).map(lambda p: f"raise {p[0]} from {p[1]}"),
    NAMES.map("del {}".format),
    st.sampled_from(["pass", "import torch.nn as nn", "from torch import nn, optim as o", "a; b"]),
)


def _blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(inner, min_size=1, max_size=3).map(lambda lines: _indented("\n".join(lines)))
    make: list[tuple[Callable[..., str], tuple[st.SearchStrategy[str], ...]]] = [
        (lambda e, b: f"if {e}:\n{b}", (EXPRESSIONS, body)),
        (lambda e, b, f, c, d: f"if {e}:\n{b}elif {f}:\n{c}else:\n{d}", (EXPRESSIONS, body, EXPRESSIONS, body, body)),
        (lambda n, e, b, c: f"for {n} in {e}:\n{b}else:\n{c}", (NAMES, EXPRESSIONS, body, body)),
        (lambda e, b: f"while {e}:\n{b}", (EXPRESSIONS, body)),
        (lambda e, n, b: f"with {e} as {n}, {n}:\n{b}", (EXPRESSIONS, NAMES, body)),
        (lambda b, e, c, d: f"try:\n{b}except {e} as err:\n{c}finally:\n{d}", (body, EXPRESSIONS, body, body)),
        (lambda b, e, c: f"try:\n{b}except* {e}:\n{c}", (body, EXPRESSIONS, body)),
        (lambda d, e, b: f"@{d}\ndef f(p, /, q={e}, *args, r, **kw) -> {d}:\n{b}", (EXPRESSIONS, EXPRESSIONS, body)),
        (lambda e, b: f"async def f():\n    await ({e})\n    yield {e}\n{b}", (EXPRESSIONS, body)),
        (lambda e, b: f"def f():\n    got = yield {e}\n    return\n{b}", (EXPRESSIONS, body)),
        (lambda e, b: f"class A({e}, metaclass={e}):\n{b}", (EXPRESSIONS, body)),
        (
            lambda e, b: f"match {e}:\n    case [1, *rest] | {{'k': rest}}:\n{_indented(b)}    case _:\n{_indented(b)}",
            (EXPRESSIONS, body),
        ),
    ]
    return st.one_of([st.tuples(*parts).map(_spread(build)) for build, parts in make])


def _spread(build: Callable[..., str]) -> Callable[[tuple[str, ...]], str]:
    return lambda given: build(*given)


@st.composite
def programs(draw: st.DrawFn) -> str:
    """A whole file."""
    statement = st.recursive(SIMPLE, _blocks, max_leaves=6)
    return "\n".join(draw(st.lists(statement, min_size=1, max_size=4))) + "\n"
