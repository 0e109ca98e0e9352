"""The laws that joining values must keep, so that the order of branches means nothing and loops end."""

from __future__ import annotations

from collections.abc import Hashable
from functools import reduce
from typing import Any

from hypothesis import assume, example, given
from hypothesis import strategies as st

from torchlint.analysis.values import (
    MAX_ALTERNATIVES,
    VARIES,
    Const,
    Container,
    Criterion,
    Extern,
    Items,
    Lazy,
    ModuleValue,
    Shape,
    Tensor,
    Tuple,
    Union,
    Unknown,
    Value,
    alternatives,
    join,
    join_shapes,
    union,
)
from torchlint.contracts import KINDS, Loss

LOSSES = (Loss(classes=("torch.nn.MSELoss",)), Loss(classes=("torch.nn.BCELoss",)))
SOURCES = ("parameter", "batch", "other")

dims = st.one_of(st.none(), st.sampled_from([1, 2, 3, VARIES]))
shapes = st.one_of(
    st.none(),
    st.builds(Shape, st.lists(dims, max_size=3).map(tuple), st.just(False), st.booleans(), st.booleans()),
    # A shape of open rank begins with a known dimension: that is how joining leaves them.
    st.builds(lambda first, rest: Shape((first, *rest), True), st.sampled_from([1, 2, 3]), st.lists(dims, max_size=2)),
)
tensors = st.builds(
    Tensor,
    kind=st.sampled_from(KINDS[:5]),
    activation=st.sampled_from(["", "sigmoid", "softmax"]),
    dim=st.sampled_from([None, 1, -1]),
    shape=shapes,
    dtype=st.sampled_from(["unknown", "float", "int"]),
    attached=st.booleans(),
    batched=st.booleans(),
)
leaves: st.SearchStrategy[Value] = st.one_of(
    tensors,
    st.builds(Unknown, st.sampled_from(["", "why"]), st.sampled_from(SOURCES)),
    st.builds(Const, st.sampled_from([0, 1, True, None, "mean", 1.0])),
    st.builds(Extern, st.sampled_from(["torch.nn", "os"])),
    st.builds(ModuleValue, st.sampled_from(["a.py", "b.py"])),
    st.builds(Container, st.integers(0, 2), st.just("list")),
    st.builds(Criterion, st.sampled_from(LOSSES), st.just({}), st.just("loss"), st.none()),
)
singles = st.recursive(
    leaves,
    lambda inner: st.one_of(st.builds(Items, inner), st.builds(Tuple, st.lists(inner, max_size=2).map(tuple))),
    max_leaves=4,
)
values = st.lists(singles, min_size=1, max_size=4).map(union)


def meaning(value: Any) -> Hashable:
    """What a value says: no trail, no reason, no order of possibilities. An origin is a name for itself, whichever is first."""
    if isinstance(value, Value):
        parts = alternatives(value)
        if len(parts) > 1 or isinstance(value, (Union, Lazy)):
            return frozenset(meaning(part) for part in parts)
        skip = ("trail", "reason", "name") if isinstance(value, Criterion) else ("trail", "reason")
        fields = tuple(
            meaning(getattr(value, field) is not None if field == "origin" else getattr(value, field))
            for field in value.__struct_fields__
            if field not in skip
        )
        return (type(value).__name__, *fields)
    if isinstance(value, tuple):
        return tuple(meaning(item) for item in value)
    if isinstance(value, dict):
        return tuple(sorted((key, meaning(item)) for key, item in value.items()))
    if isinstance(value, Loss):
        return value.classes
    return (type(value).__name__, value)


def size(value: Value) -> int:
    """The most possibilities that stand side by side anywhere in a value."""
    parts = alternatives(value)
    below = [size(each) for part in parts if isinstance(part, Tuple) for each in part.items]
    below += [size(part.element) for part in parts if isinstance(part, Items)]
    return max([len(parts), *below])


@given(shapes, shapes, shapes)
def test_shapes_form_a_semilattice(a: Shape | None, b: Shape | None, c: Shape | None) -> None:
    assert join_shapes(a, a) == a
    assert join_shapes(a, b) == join_shapes(b, a)
    assert join_shapes(join_shapes(a, b), c) == join_shapes(a, join_shapes(b, c))
    assert join_shapes(a, None) is None


@given(shapes, shapes)
def test_a_joined_shape_claims_nothing_that_one_side_denies(a: Shape | None, b: Shape | None) -> None:
    joined = join_shapes(a, b)
    for side in (a, b):
        if joined is None:
            continue
        assert side is not None
        if joined.rank is not None:
            assert joined.rank == side.rank
        assert len(joined.dims) <= len(side.dims)
        known = zip(reversed(joined.dims), reversed(side.dims), strict=False)
        assert all(claimed is None or claimed == real for claimed, real in known)


@given(values)
def test_joining_a_value_with_itself_changes_nothing(a: Value) -> None:
    assert meaning(join(a, a)) == meaning(a)
    assert meaning(union([a, *alternatives(a)])) == meaning(a)


@given(values, values)
def test_order_does_not_matter(a: Value, b: Value) -> None:
    assert meaning(join(a, b)) == meaning(join(b, a))


@given(values, values, values)
def test_grouping_does_not_matter(a: Value, b: Value, c: Value) -> None:
    left, right = join(join(a, b), c), join(a, join(b, c))
    flat = union([a, b, c])
    assume(all(size(value) < MAX_ALTERNATIVES for value in (left, right, flat)))
    assume(sum(len(alternatives(value)) for value in (a, b, c)) <= MAX_ALTERNATIVES)
    assert meaning(left) == meaning(right) == meaning(flat)


@given(values, values)
def test_a_join_is_an_upper_bound(a: Value, b: Value) -> None:
    joined = join(a, b)
    assert meaning(join(joined, a)) == meaning(joined)
    assert meaning(join(joined, b)) == meaning(joined)


@given(st.lists(singles, max_size=30))
def test_possibilities_are_bounded(parts: list[Value]) -> None:
    assert size(union(parts)) <= MAX_ALTERNATIVES


@example([Const(number) for number in range(MAX_ALTERNATIVES + 2)])
@given(st.lists(singles, min_size=1, max_size=14))
def test_joining_round_and_round_ends(parts: list[Value]) -> None:
    """A loop that joins the same values again and again reaches a value that no longer changes."""
    value = parts[0]
    for _ in range(6):
        before = meaning(value)
        value = reduce(join, parts, value)
        if meaning(value) == before:
            return
    raise AssertionError("the value keeps changing")


@given(values)
def test_too_many_possibilities_stay_unknown(a: Value) -> None:
    everything = union([Const(number) for number in range(MAX_ALTERNATIVES + 1)])
    assert isinstance(everything, Unknown)
    assert meaning(join(everything, a)) == meaning(everything)


@given(values, values)
def test_nothing_is_dropped(a: Value, b: Value) -> None:
    """A kind of tensor that one side can have, the join can have, or it is unknown."""

    def kinds(value: Value) -> set[tuple[str, bool]]:
        return {(part.kind, part.attached) for part in alternatives(value) if isinstance(part, Tensor)}

    joined = join(a, b)
    assert kinds(joined) >= kinds(a) | kinds(b) or any(isinstance(part, Unknown) for part in alternatives(joined))


def test_lazy_values_that_stand_in_one_another_come_to_an_end() -> None:
    lazy: list[Lazy] = []
    lazy.append(Lazy(lambda: union((lazy[1], Const(1))), []))
    lazy.append(Lazy(lambda: union((lazy[0], Const(2))), []))
    found = alternatives(union((lazy[0], Const(3))))
    assert {part.value for part in found if isinstance(part, Const)} == {1, 2, 3}
    assert not any(isinstance(part, Lazy) for part in found)
