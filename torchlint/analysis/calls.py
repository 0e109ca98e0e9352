"""What rules look at: a loss call, and the other events of a program that say something of how it learns.

An event holds abstract values as they are, lazy ones uncomputed: a check that looks at one has it computed. So an event
costs next to nothing until a check is interested in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from torchlint.analysis.gradients import PARAMETER
from torchlint.analysis.shapes import Bound
from torchlint.analysis.values import (
    NO_AUTOCAST,
    Autocast,
    Const,
    Tensor,
    Trail,
    Unknown,
    Value,
    alternatives,
    only_constant,
    sample_of,
)
from torchlint.contracts import Arg, Kind, Loss, When
from torchlint.findings import NodeRef, StepRef, Use


class Event(msgspec.Struct, frozen=True, eq=False):
    """Something that happens at a node in one calling context. `name` is what happens there, as users spell it.

    `training` is True where gradients flow, None where they do not or nothing is known.
    """

    at: NodeRef
    name: str
    training: bool | None

    @property
    def about(self) -> str:
        """What tells it from other events at the same node."""
        return self.name

    @property
    def note(self) -> str:
        """The last step of a finding's story."""
        return f"`{self.name}` is applied"

    def steps(self) -> Iterable[Trail]:
        """The ways of what takes part in it besides the value that is wrong."""
        return ()

    def waits_for(self) -> Iterable[Value]:
        """The values of which a caller could tell more, so that the event is worth judging again from there."""
        return ()


class LossCall(Event, frozen=True, eq=False, kw_only=True):
    """One call of one loss.

    `args` are the bound tensors by the contract's parameter names, `options` the constructor's or function's other
    arguments. `made` is where the loss object was made, None for a function. `full_batches` says that a loader in sight
    drops the last, short batch. `autocast`: whether CUDA autocast is on. `shown`: the loss is printed or added up, and nothing
    learns from it; looked up for an input that a `squeeze()` is on the way of. `conditional`: tests that the code does not fix
    decide whether it is called. `rescaled`: a divergence is multiplied by a number of samples or classes.
    """

    loss: Loss
    args: Mapping[str, Value]
    options: Mapping[str, Value]
    made: Trail | None
    full_batches: bool = False
    shown: bool = False
    conditional: bool = False
    rescaled: bool = False
    autocast: Autocast = NO_AUTOCAST

    @property
    def about(self) -> str:
        return self.loss.id

    @property
    def note(self) -> str:
        return f"`{self.name}` gets it here"

    def steps(self) -> Iterable[Trail]:
        return () if self.made is None else (self.made,)

    def waits_for(self) -> Iterable[Value]:
        return self.args.values()

    @property
    def reduction(self) -> str | None:
        """How the values of the samples become one: "mean", "sum", "batchmean" or "none"; None if the code does not fix it."""
        return reduction_of(self.loss, self.options)

    @property
    def swapped(self) -> bool:
        """Whether labels stand in the input's place, and what a model made of its activations in the target's."""
        given, target = self.arg("input"), self.arg("target")
        if self.loss.family in _SYMMETRIC or not given or not target:
            return False
        return all(map(_is_predicted, target)) and all(map(_may_be_labels, given))

    @property
    def of_one_sample(self) -> bool:
        """Whether its input and its target are of one sample: of those that a loop counts, or in a batch of its own."""
        given = [self.args.get(arg.name) for role in ("input", "target") if (arg := self.loss.arg(role)) is not None]
        return len(given) == 2 and all(value is not None and sample_of(value) is not None for value in given)

    @property
    def use(self) -> Use:
        """This call as the place where a value is used."""
        return Use(self.at, None if self.made is None else self.made.steps()[0].at)

    def arg(self, role: str) -> tuple[Value, ...]:
        """All possibilities of the first argument of a role; empty if it was not given."""
        found = self.loss.arg(role)
        if found is None or found.name not in self.args:
            return ()
        return alternatives(self.args[found.name])

    def tensors(self, role: str) -> tuple[Tensor, ...]:
        """All possibilities of a role's argument if each of them is a tensor; empty otherwise."""
        parts = self.arg(role)
        found = tuple(part for part in parts if isinstance(part, Tensor))
        return found if len(found) == len(parts) else ()

    def accepts(self, role: str) -> frozenset[str]:
        """The kinds that are right for a role, as the loss is set up; empty if any is, or if that is not known."""
        found: Arg | None = self.loss.arg(role)
        if found is None:
            return frozenset()
        if whens := self.loss.whens(role):
            if "**" in self.options:
                return frozenset()
            for when in whens:
                holds = self._holds(when)
                if holds is not False:
                    return frozenset(when.accepts if holds else ())
        return frozenset(found.accepts)

    def _holds(self, when: When) -> bool | None:
        """Whether an option is set so, if the code fixes it."""
        value = self.options.get(when.option)
        if value is None:
            return False
        verdicts = {when.holds(part.value) if isinstance(part, Const) else None for part in alternatives(value)}
        if when.equals is None and not any(isinstance(part, (Const, Unknown)) for part in alternatives(value)):
            return True  # a function, an object
        return verdicts.pop() if len(verdicts) == 1 else None

    def tensor(self, role: str) -> Tensor | None:
        """The argument of a role if it is certainly one tensor."""
        parts = self.arg(role)
        return parts[0] if len(parts) == 1 and isinstance(parts[0], Tensor) else None


class Construction(Event, frozen=True, eq=False, kw_only=True):
    """A loss object is made: `args` by the constructor's parameters, `positional` those that were given by position."""

    loss: Loss
    args: Mapping[str, Value]
    positional: tuple[Value, ...]

    @property
    def note(self) -> str:
        return f"`{self.name}` is made"


class OpCall(Event, frozen=True, eq=False, kw_only=True):
    """An operation of the contracts is applied: a function, a method or a layer. Only those that a check names are told."""

    bound: Bound

    @property
    def about(self) -> str:
        return self.bound.op.id

    def input(self) -> tuple[Value, ...]:
        """All possibilities of what the operation is applied to."""
        return alternatives(self.bound.input)


class Arithmetic(Event, frozen=True, eq=False, kw_only=True):
    """`left op right` with an operator of Python, at least one of them no constant; `name` is the operator."""

    left: Value
    right: Value

    @property
    def note(self) -> str:
        return f"`{self.name}` is applied here"


class Comparison(Event, frozen=True, eq=False, kw_only=True):
    """A value is compared with a number, by an operator, a method or a function.

    `op` is the operator with the value on its left: `0.5 < x` is `x > 0.5`.
    """

    value: Value
    op: str
    number: float

    @property
    def note(self) -> str:
        return f"compared with {self.number:g}"

    def waits_for(self) -> Iterable[Value]:
        return (self.value,) if 0 < self.number < 1 else ()


class Thresholded(Event, frozen=True, eq=False, kw_only=True):
    """What a loss or a sigmoid takes for logits elsewhere is compared with a number between 0 and 1.

    `trail` is the value's way, the place where it is taken for logits last.
    """

    number: float
    trail: Trail

    @property
    def note(self) -> str:
        return f"compared with {self.number:g} as if it were a probability"


class Backward(Event, frozen=True, eq=False, kw_only=True):
    """`value.backward()`, or of a wrapper `accelerator.backward(value)`. `seeded` says that a gradient to begin with is given.

    `cuts` are, for each possibility of the value, where its gradient or that of one of its terms was cut off.
    """

    value: Value
    seeded: bool = False
    cuts: tuple[StepRef | None, ...] = ()

    @property
    def note(self) -> str:
        return "`backward()` is called on it"


_SYMMETRIC = frozenset({"regression"})
"""The families of losses that say the same of either side."""

_LABELS: frozenset[Kind] = frozenset({"class_index", "one_hot", "unknown"})
_PREDICTIONS: frozenset[Kind] = frozenset({"raw", "probability", "simplex", "log_simplex", "log_probability"})


def _is_predicted(part: Value) -> bool:
    if isinstance(part, Tensor):
        return part.kind in _PREDICTIONS and part.attached
    return isinstance(part, Unknown) and part.source == "parameter" and _OF_MODEL.fullmatch(part.reason) is not None


_OF_MODEL = re.compile(
    r"result of (?!.*(?:teacher|target|ema|frozen|old|ref))"
    r"(?:parameter |attribute |result of (?:\w+\.)*)(?:\w+_)?(?:model|net|network)(?:_\w+|\d)?(?: of \w+)?"
)
"""What is called of a value that something gave which is named as a model is: one that learns, no teacher."""


def _may_be_labels(part: Value) -> bool:
    """Whether a value is made of data that nothing learns, or comes as it is from a loop over batches."""
    if isinstance(part, Tensor):
        return part.kind in _LABELS and not part.attached and part.activation != PARAMETER
    return isinstance(part, Unknown) and part.source == "batch"


def reduction_of(loss: Loss, options: Mapping[str, Value]) -> str | None:
    """The reduction that a loss's options ask for, the old flags included; None if the code does not fix it."""
    return reduction_in(options, loss.reduction)


def reduction_in(options: Mapping[str, Value], default: str | None = "mean") -> str | None:
    """The reduction that options ask for, if nothing is said this one; None if the code does not fix it."""
    if "**" in options:
        return None
    flags = [_constant(options.get(name)) for name in ("size_average", "reduce")]
    if flags != [None, None]:
        if not all(flag is None or isinstance(flag, bool) for flag in flags):
            return None
        average, reduce = flags
        return "none" if reduce is False else "sum" if average is False else "mean"
    named = _constant(options.get("reduction"), default)
    return named if isinstance(named, str) else None


def _constant(value: Value | None, default: object = None) -> object:
    """The constant that an option is; `default` if it is not given, `...` if the code does not fix it."""
    if value is None:
        return default
    constant = only_constant(value)
    return ... if constant is None else constant.value


def number_of(value: Value) -> float | None:
    """The number that the code fixes, or None. Computes nothing lazy."""
    if isinstance(value, Const) and isinstance(value.value, (int, float)) and not isinstance(value.value, bool):
        return float(value.value)
    return None
