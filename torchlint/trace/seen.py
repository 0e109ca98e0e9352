"""What the tracer keeps of a loss call: plain data without tensors, so that it is judged and written without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torchlint.contracts import DType, Kind


class Origin(NamedTuple):
    """Which operation a tensor came out of, and what is known of its values by that.

    `by` says how it was found: "graph" by the autograd graph, "storage" by the memory that an activation filled.
    `squeezed`: a `squeeze()` without a dim lies on the way. `regrouped` is the shape in front of a `view` that mixed
    the classes; `direct` says that only the operation itself shaped the tensor, so that its dimensions are still those.
    `joined`: scores of different making stand side by side (a positive pair's before those of the negative ones).
    """

    kind: Kind = "unknown"
    name: str = ""
    by: str = ""
    dim: int | None = None
    squeezed: bool = False
    regrouped: tuple[int, ...] = ()
    direct: bool = False
    joined: bool = False


class Values(NamedTuple):
    """A sample of a tensor's values. `row_sums` are the least and the largest sum along the classes.

    `repeats`: a row names a class twice. `some` are values themselves, kept in a dry run for the plots.
    """

    low: float
    high: float
    size: int
    finite: bool
    whole: bool
    row_sums: tuple[float, float] | None = None
    repeats: bool = False
    some: tuple[float, ...] = ()


class Seen(NamedTuple):
    """One tensor of a call. `values` is None where they cannot be read (fake tensors, inside vmap)."""

    shape: tuple[int, ...]
    dtype: str
    type: DType
    device: str
    learns: bool
    origin: Origin = Origin()
    values: Values | None = None


class Halt(NamedTuple):
    """Where a fake run could not go on, as `file:line`, and why."""

    place: str
    why: str


class Faked(NamedTuple):
    """What became of a run on a fake device. `guessed` are lines that read a number out of a tensor, and got a 1."""

    halt: Halt | None
    guessed: tuple[str, ...]


class Point(NamedTuple):
    """A number at a step of the optimizers."""

    step: int
    value: float


class Call(NamedTuple):
    """One examined call of a loss. `step` counts the optimizer's steps before it; `result` is a scalar loss's value.

    `weights` are the shapes of tensors among the options, by their names.
    """

    loss: str
    name: str
    args: dict[str, Seen]
    options: dict[str, object]
    grad: bool
    step: int
    result: float | None = None
    weights: Mapping[str, tuple[int, ...]] = {}

    def arg(self, role_name: str | None) -> Seen | None:
        """An argument by its name in the contract."""
        return None if role_name is None else self.args.get(role_name)
