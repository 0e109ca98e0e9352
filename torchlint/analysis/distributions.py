"""Objects of `torch.distributions`: the shapes and kinds of what is drawn from them, and of its density."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from torchlint.analysis import ir, shapes
from torchlint.analysis.arguments import Args
from torchlint.analysis.values import (
    Drawn,
    Shape,
    Tensor,
    Unknown,
    Value,
    alternatives,
    is_batch,
    is_pending,
    later,
    may_learn,
    union,
)
from torchlint.contracts import Distribution

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter

INDEPENDENT = "torch.distributions.Independent"


def make(table: Distribution, args: Args) -> Value:
    """`Normal(mean, std)`."""
    if args.rest is not None or args.others is not None:
        return Unknown("a distribution", "other")
    given = [args.get(name, position) for position, name in enumerate(table.params)]
    return Drawn(table, tuple(value for value in given if value is not None), table.inside)


def independent(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """`Independent(base, n)`: the densities of the last `n` dimensions belong to one draw."""
    base, count = args.get("base_distribution", 0), shapes.const_int(args.get("reinterpreted_batch_ndims", 1))
    if base is None or count is None or is_pending(base):
        return Unknown("a distribution")
    return union(
        Drawn(part.table, part.params, part.inside + count) if isinstance(part, Drawn) else Unknown("a distribution")
        for part in alternatives(base)
    )


def method(drawn: Drawn, name: str, args: Args) -> Value:
    """`log_prob(x)` and `entropy()` give one number for each draw; `sample()` and `rsample()` a draw."""
    if name in ("log_prob", "entropy"):
        about = args.positional[:1] if name == "log_prob" else []
        return _when_known(lambda: _density(drawn, about), *drawn.params, *about)
    if name in ("sample", "rsample"):
        more = bool(args.all())
        return _when_known(lambda: _draw(drawn, name == "rsample", more), *drawn.params)
    return Unknown(f"result of {name}")


def _when_known(compute: Callable[[], Value], *sources: Value) -> Value:
    return later(compute, *sources) if any(map(is_pending, sources)) else compute()


def _density(drawn: Drawn, about: Sequence[Value]) -> Value:
    """What the density is of, broadcast with the parameters, without the dimensions that belong to one draw."""
    shape = _without_last(_joint(drawn.params), drawn.inside)
    attached, batched = any(map(may_learn, drawn.params)), any(map(is_batch, drawn.params))
    for value in about:
        of_draws = shapes.likely_shape(value)
        if drawn.inside and drawn.table.keeps:
            of_draws = _without_last(of_draws, drawn.inside)
        shape = shapes.broadcast(shape, of_draws)
        attached, batched = attached or may_learn(value), batched or is_batch(value)
    return Tensor(dtype="float", shape=shape, attached=attached, batched=batched)


def _draw(drawn: Drawn, through: bool, more: bool) -> Value:
    shape = None if more else _joint(drawn.params)
    if not drawn.table.keeps:
        shape = _without_last(shape, drawn.inside)
    batched = not more and any(map(is_batch, drawn.params))
    attached = through and drawn.table.reparametrized and any(map(may_learn, drawn.params))
    return Tensor(drawn.table.draws, shape=shape, attached=attached, batched=batched)


def _joint(params: Sequence[Value]) -> Shape | None:
    """The shape of the parameters broadcast with each other."""
    shape: Shape | None = Shape(())
    for value in params:
        shape = shapes.broadcast(shape, shapes.likely_shape(value))
    return shape


def _without_last(shape: Shape | None, count: int) -> Shape | None:
    """The shape without its last dimensions; None if it is not known to have so many."""
    if shape is None or count == 0:
        return shape
    if shape.open:
        kept = shape.dims[:-count]
        return Shape(kept, True) if kept else None
    return Shape(shape.dims[:-count]) if len(shape.dims) >= count else None
