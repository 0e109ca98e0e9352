"""The abstract values: what the analysis can know of an object, and how two possibilities join.

A value is one possibility or a `Union` of a few. Joining keeps every possibility apart as long as there are few:
a finding is certain only if all of them are wrong, so none may be dropped in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeGuard

import msgspec

from torchlint.analysis import ir
from torchlint.contracts import Distribution, Kind, Loss, Op
from torchlint.findings import Applied, NodeRef, StepRef

MAX_ALTERNATIVES = 8
"""More possibilities than this are unknown: the lattice has a bounded height, so that loops end."""

MAX_CHOICES = 16
"""So many may they be if all of them are models or the like, of which a setting chooses one: what they give is merged again."""

Varies = Literal["varies"]
VARIES: Varies = "varies"

Several = Literal["several"]
SEVERAL: Several = "several"

Dim = int | Varies | Several | None
"""A dimension's size if the code fixes it; VARIES for a batch's, which differs from call to call and is not always 1;
SEVERAL for one that a setting decides and that is 1 for some of its choices only; None if it is not known."""


class Shape(msgspec.Struct, frozen=True):
    """The dimensions of a tensor, the last ones first known: `open` means that any number of others stand before.

    `picture` is the number of dimensions of a picture of which nothing else is known, or of a batch of them: behind them one for
    its colours may follow. `picked` says that one entry was taken along dimension 1, as of an action's value; `assumed` that the
    rank rests on that alone: an operation along dimension 1 of something unknown, which is taken for the last one.
    """

    dims: tuple[Dim, ...]
    open: bool = False
    picked: bool = False
    assumed: bool = False
    picture: int = 0

    @property
    def rank(self) -> int | None:
        """The number of dimensions if it is known."""
        return None if self.open else len(self.dims)

    def __str__(self) -> str:
        if self.picture and not self.dims:
            return "[" + ", ".join("BNMK"[: self.picture]) + "]"
        return "[" + ", ".join([*(["..."] if self.open else []), *self._names()]) + "]"

    def _names(self) -> list[str]:
        spare = iter("BNMKLPQRSTUVW")
        return [str(dim) if isinstance(dim, int) else "A" if dim == SEVERAL else next(spare, "?") for dim in self.dims]


def join_shapes(a: Shape | None, b: Shape | None) -> Shape | None:
    """What both shapes have in common; None (unknown) if that is nothing."""
    if a is None or b is None:
        return None
    if a == b:
        return a
    if a.assumed or b.assumed:
        return None
    if a.rank is not None and a.rank == b.rank:
        return Shape(tuple(x if x == y else None for x, y in zip(a.dims, b.dims, strict=True)))
    common: list[Dim] = []
    for x, y in zip(reversed(a.dims), reversed(b.dims), strict=False):
        common.append(x if x == y else None)
    while common and common[-1] is None:
        common.pop()
    return Shape(tuple(reversed(common)), True) if common else None


class Trail(msgspec.Struct, frozen=True, eq=False):
    """The steps of a value's way, the last one first."""

    step: StepRef
    before: Trail | None = None

    def steps(self) -> tuple[StepRef, ...]:
        """The steps in the order in which they happen."""
        out: list[StepRef] = []
        trail: Trail | None = self
        while trail is not None:
            out.append(trail.step)
            trail = trail.before
        return tuple(reversed(out))


class Value(msgspec.Struct, frozen=True, eq=False):
    """A possibility, or several."""


class Test(NamedTuple):
    """A condition of the code: whether `subject` counts as true, equals a constant, or is a whole number above another.

    The subject is the value that was tested, which is one object as long as its name is not bound anew, or a way from one.
    """

    subject: object
    equals: tuple[object, ...] = ()
    above: int | None = None


Guard = frozenset[tuple[Test, bool]]
"""How tests must have come out."""

ALWAYS: Guard = frozenset()
MAX_GUARD = 6


class Union(Value, frozen=True, eq=False):
    """Several possibilities, none of them a Union; which one it is depends on what the code does not fix.

    `guards` says of each of them which tests must have come out how, as far as that is known; empty if of none.
    """

    alternatives: tuple[Value, ...]
    guards: tuple[Guard, ...] = ()


Source = Literal["parameter", "batch", "setting", "other"]

Sample = Literal["row", "batch"] | None
"""Whether a value is of one sample: a row that a number picks, such as that of a loop, or a batch that is made of one."""


class Unknown(Value, frozen=True, eq=False):
    """Anything. `reason` says why, for people; `source` where it comes from.

    "parameter" is a parameter of the function where the analysis began, or a part of one; "batch" an item of something
    unknown that a loop goes over. Both have a first dimension that varies from call to call. "setting" is what a caller in
    sight gives by settings that the code does not show, as `**config` does. `cause` is where the analysis lost sight of it,
    noted only where coverage is asked for. `default` is the number that it is unless the command line, or a caller that is not
    in sight, says otherwise. `sample` says that it is of one sample.
    """

    reason: str = ""
    source: Source = "other"
    cause: StepRef | None = None
    default: float | None = None
    sample: Sample = None


class Lazy(Value, frozen=True, eq=False):
    """A value that is computed when it is first needed: most of a model's inside never is.

    `changes` says that computing it may change an object in sight: it must happen when it is written as a statement.
    """

    thunk: Callable[[], Value]
    result: list[Value]
    batched: bool = False
    changes: bool = False
    sample: Sample = None

    def force(self) -> Value:
        """The value; Unknown while it is being computed (it depends on itself)."""
        if not self.result:
            self.result.append(Unknown("depends on itself"))
            # What is lazy in it is computed while this one counts as unknown: two values may stand in one another.
            self.result[0] = _computed(self.thunk())
        return self.result[0]


class Pending(Value, frozen=True, eq=False):
    """A name bound by an import that nobody has read yet: `name` of the module, or the module itself if it is empty."""

    module: str
    level: int
    name: str


Holder = Literal["torch", "numpy", "pandas", "pillow"]


class Tensor(Value, frozen=True, eq=False):
    """A tensor, or what takes its place.

    `activation` is the operation that gave the kind, as users call it; `dim` the dimension along which a simplex sums to one;
    `attached` is False where the gradient was cut; `batched` says that its first dimension varies from call to call, and
    `many` that no batch of one sample comes this far, since a layer has refused it or the rows of several batches were joined;
    `sample` that it is of one sample;
    `loss` is the loss whose value it is, `negated` with its sign turned, and `per_sample` the call that gave one for each
    sample, as long as nothing took their mean or sum. `origin` is the value of which it is a copy, a view or a part, or the
    one that a sigmoid or a softmax was applied to, as long as nothing else was done to it. `cut` is where the gradient of
    something was cut off that it is made of, wholly or as one term of a sum.
    `blank` is one of zeros or ones whose entries are still to be set. `squeezed` is a `squeeze()` without a dimension on the
    way, `flattened` what made the tensor one-dimensional; both are forgotten when the shape changes again. `unsqueezed` is the
    shape before that `squeeze()`. `applied` is where the activation is applied, as long as only such operations follow as could
    be done to its input as well.
    `one_each` says that the last dimension was of size 1 and was taken away, which leaves one number for each sample;
    `regrouped` is a `view()` that took entries of several classes for the scores of one sample.
    `sum_of` is what it is the sum of along a dimension that it keeps, so that its entries are in proportion to it.
    `cause` says why the kind is unknown, as in `Unknown`. `holder` is the library whose object it is.
    """

    kind: Kind = "unknown"
    activation: str = ""
    dim: int | None = None
    shape: Shape | None = None
    dtype: Literal["unknown", "float", "int", "bool"] = "unknown"
    attached: bool = True
    batched: bool = False
    many: bool = False
    sample: Sample = None
    blank: bool = False
    squeezed: NodeRef | None = None
    flattened: NodeRef | None = None
    unsqueezed: Shape | None = None
    one_each: bool = False
    regrouped: NodeRef | None = None
    applied: Applied | None = None
    trail: Trail | None = None
    cause: StepRef | None = None
    loss: Loss | None = None
    per_sample: NodeRef | None = None
    sum_of: SumOf | None = None
    negated: bool = False
    origin: Value | None = None
    cut: Cut | None = None
    holder: Holder = "torch"


class SumOf(msgspec.Struct, frozen=True, eq=False):
    """The tensor that was summed, and the dimension along which it was, which is still there."""

    tensor: Tensor
    dim: int


class Cut(msgspec.Struct, frozen=True, eq=False):
    """A place where a gradient is cut off. `of` is the value that may have had one, None if layers gave it for certain.

    A `leaf` was made of it that asks for a gradient of its own: `backward()` goes through and ends there.
    """

    step: StepRef
    of: Value | None = None
    leaf: bool = False


class Const(Value, frozen=True, eq=False):
    """A Python constant that the code fixes."""

    value: object


class Extern(Value, frozen=True, eq=False):
    """Something outside the project, by its full dotted name."""

    name: str


class ModuleValue(Value, frozen=True, eq=False):
    """A module or package of the project, by its path."""

    path: str


class Function(Value, frozen=True, eq=False):
    """A function of the project, bound to `receiver` if it is a method. `frame` is where its free names are looked up."""

    node: ir.FunctionDef | ir.Lambda
    path: str
    frame: int
    receiver: Value | None = None
    owner: Class | None = None


class Class(Value, frozen=True, eq=False):
    """A class of the project. `frame` holds its attributes, `line` the classes it inherits from once they were asked for."""

    node: ir.ClassDef
    path: str
    frame: int
    bases: tuple[Value, ...]
    line: list[Class] = []


class Instance(Value, frozen=True, eq=False):
    """An object of a class of the project; its attributes lie in the heap."""

    id: int
    cls: Class


class Super(Value, frozen=True, eq=False):
    """`super()` in a method of `owner`."""

    instance: Value
    owner: Class


class Layer(Value, frozen=True, eq=False):
    """A layer or model of a library: its operation and the constructor's arguments by name.

    `cell` is where attributes that are set on it lie in the heap; 0 if nobody would look for them there.
    """

    op: Op
    options: dict[str, Value]
    name: str
    at: NodeRef
    cell: int = 0


class Autocast(Value, frozen=True, eq=False):
    """A context, or a decorator, that sets whether CUDA autocast is on; "maybe" if the code does not fix it."""

    state: Literal["off", "maybe", "on"]
    at: NodeRef | None = None


class Criterion(Value, frozen=True, eq=False):
    """A loss object, or a loss function that was not called yet."""

    loss: Loss
    options: dict[str, Value]
    name: str
    trail: Trail | None
    functional: bool = False


class Drawn(Value, frozen=True, eq=False):
    """An object of `torch.distributions`: its parameters, and how many of their last dimensions belong to one draw."""

    table: Distribution
    params: tuple[Value, ...]
    inside: int


class Container(Value, frozen=True, eq=False):
    """`nn.Sequential`, `nn.ModuleList`, a list or a dict: its items lie in the heap."""

    id: int
    kind: Literal["sequential", "list", "dict"]


class Tuple(Value, frozen=True, eq=False):
    items: tuple[Value, ...]


class Size(Value, frozen=True, eq=False):
    """`tensor.shape`: the sizes of its dimensions."""

    tensor: Tensor


class Items(Value, frozen=True, eq=False):
    """Something that is iterated: any number of `element`, or `count` of them, of which those in `last` are surely the last."""

    element: Value
    count: int | None = None
    last: tuple[Value, ...] = ()


class Spread(Items, frozen=True, eq=False, kw_only=True):
    """Arguments of a call, `*items`, of a list whose length is not known; `ways` are its possibilities if they are few."""

    ways: tuple[Tuple, ...] = ()


class Partial(Value, frozen=True, eq=False):
    """`functools.partial`, or a method that is bound to a value that is no instance."""

    func: Value
    args: tuple[Value, ...]
    keywords: dict[str, Value]


class Method(Value, frozen=True, eq=False):
    """A method of something that is not of the project: of a tensor, a list, a layer."""

    receiver: Value
    name: str


UNKNOWN = Unknown()
NO_AUTOCAST = Autocast("off")
ACTIONS = Unknown("the number of actions of an environment that a setting chooses")
A_FLOAT = Unknown("a float")
AN_INT = Unknown("an int")
"""What `float(...)` and `int(...)` give."""
TOO_MANY = Unknown("too many possibilities")


def alternatives(value: Value) -> tuple[Value, ...]:
    """The possibilities of a value, lazy ones computed; never empty."""
    kind = type(value)
    if kind is Lazy:
        return alternatives(value.force())  # type: ignore[attr-defined]
    if kind is not Union:
        return (value,)
    parts: tuple[Value, ...] = value.alternatives  # type: ignore[attr-defined]
    for part in parts:
        if type(part) is Lazy:
            return alternatives(_settled(value))  # type: ignore[arg-type]
    return parts


def only_tensor(value: Value) -> Tensor | None:
    """A value if it is certainly one tensor."""
    parts = alternatives(value)
    return parts[0] if len(parts) == 1 and isinstance(parts[0], Tensor) else None


def only_constant(value: Value | None) -> Const | None:
    """A value if it is certainly one constant."""
    parts = () if value is None else alternatives(value)
    return parts[0] if len(parts) == 1 and isinstance(parts[0], Const) else None


def guarded(value: Value) -> tuple[tuple[Value, Guard], ...]:
    """The possibilities of a value, lazy ones computed, each with what must hold for it."""
    if type(value) is Lazy:
        return guarded(value.force())
    if type(value) is not Union:
        return ((value, ALWAYS),)
    if any(type(part) is Lazy for part in value.alternatives):
        return guarded(_settled(value))
    return tuple(zip(value.alternatives, value.guards or (ALWAYS,) * len(value.alternatives), strict=True))


def _computed(value: Value) -> Value:
    """A value with nothing lazy among its possibilities."""
    if type(value) is Lazy:
        return value.force()
    if type(value) is Union and any(type(part) is Lazy for part in value.alternatives):
        return _settled(value)
    return value


def _settled(value: Union) -> Value:
    """A union with its lazy parts computed."""
    guards = value.guards or (ALWAYS,) * len(value.alternatives)
    return either(
        (inner, _both(guard, within))
        for part, guard in zip(value.alternatives, guards, strict=True)
        for inner, within in guarded(part)
    )


def conflicts(guard: Guard, assumed: Mapping[Test, bool]) -> bool:
    """Whether what must hold for a possibility cannot hold together with what is assumed."""
    for test, outcome in guard:
        known = assumed.get(test)
        if known is not None and known is not outcome:
            return True
        if outcome and test.equals:
            for other, held in assumed.items():
                if held and other.equals and other.subject == test.subject and other.equals != test.equals:
                    return True
        for other, held in assumed.items():
            if (test.above is None) is not (other.above is None) and other.subject == test.subject:
                above, equal = (
                    ((test, outcome), (other, held)) if other.above is None else ((other, held), (test, outcome))
                )
                if _excludes(*above, *equal):
                    return True
    return False


def _excludes(above: Test, is_above: bool, equal: Test, is_equal: bool) -> bool:
    """Whether a count cannot be above a number (or not above it) and equal another (or not equal it)."""
    limit, number = above.above, equal.equals[1] if equal.equals else None
    if limit is None or type(number) is not int:
        return False
    if is_equal:
        return (number > limit) is not is_above
    # What is counted is no less than 1, or 0: what is neither above that nor equal to it is nothing.
    return not is_above and number == limit and limit in (0, 1)


def narrow(value: Value, assumed: Mapping[Test, bool]) -> Value:
    """A value without the possibilities that what is assumed rules out. Computes nothing lazy."""
    if type(value) is not Union or not value.guards:
        return value
    kept = [
        (part, guard)
        for part, guard in zip(value.alternatives, value.guards, strict=True)
        if not conflicts(guard, assumed)
    ]
    return value if len(kept) == len(value.alternatives) or not kept else either(kept)


def _both(a: Guard, b: Guard) -> Guard:
    """Both guards together; of too many tests, none is kept of the second."""
    if not b or a is b:
        return a
    both = a | b
    return both if len(both) <= MAX_GUARD else a or b


def join(a: Value, b: Value, under_a: Guard = ALWAYS, under_b: Guard = ALWAYS) -> Value:
    """Either of two values, the first under one guard, the second under another."""
    if a is b:
        return a
    if not under_a and not under_b and not _has_guards(a) and not _has_guards(b):
        return union((a, b))
    return either((*_under(a, under_a), *_under(b, under_b)))


def _has_guards(value: Value) -> bool:
    return type(value) is Union and bool(value.guards)


def _under(value: Value, guard: Guard) -> Iterable[tuple[Value, Guard]]:
    """The possibilities of a value, each under one more guard. Computes nothing lazy."""
    if type(value) is not Union:
        return ((value, guard),)
    guards = value.guards or (ALWAYS,) * len(value.alternatives)
    return ((part, _both(within, guard)) for part, within in zip(value.alternatives, guards, strict=True))


def union(values: Iterable[Value]) -> Value:
    """Any of several values: equal ones once, tensors of one kind merged into one."""
    parts: list[Value] = []
    rest = iter(values)
    for value in rest:
        if type(value) is Union:
            if value.guards:
                return either((each, ALWAYS) for each in (*parts, value, *rest))
            for part in value.alternatives:
                _add(parts, part)
        else:
            _add(parts, value)
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return UNKNOWN
    if _is_beyond(parts):
        return _too_many(parts)
    return Union(tuple(parts))


def either(pairs: Iterable[tuple[Value, Guard]]) -> Value:
    """Any of several values, none of them a Union but those that lazy ones turn out to be, each under its guard.

    Of possibilities that are merged, only what must hold for all of them is kept; losses are not, as long as they are few.
    """
    parts: list[Value] = []
    guards: list[Guard] = []
    for outer, guard in pairs:
        for part, within in _under(outer, guard):
            if type(part) is Criterion and within and len(parts) < MAX_ALTERNATIVES and within not in guards:
                parts.append(part)  # a loss for either of two options is none for a third
                guards.append(within)
                continue
            index = _add(parts, part)
            if index == len(guards):
                guards.append(within)
            else:
                guards[index] &= within
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return UNKNOWN
    if _is_beyond(parts):
        return _too_many(parts)
    return Union(tuple(parts), tuple(guards) if any(guards) else ())


def _is_beyond(parts: Sequence[Value]) -> bool:
    """Whether there are more possibilities than are told apart: of objects that a setting chooses from, more are."""
    if len(parts) > MAX_ALTERNATIVES and (len(parts) > MAX_CHOICES or not all(map(_is_chosen, parts))):
        return True
    return any(part is TOO_MANY for part in parts)


def _is_chosen(part: Value) -> bool:
    return type(part) in _CHOSEN or (type(part) is Const and part.value is None)


def _too_many(parts: Sequence[Value]) -> Value:
    """More possibilities than are told apart: of lists of different lengths it is still known what is in them."""
    return one_list(parts) if all(isinstance(part, (Tuple, Items)) for part in parts) else TOO_MANY


_CHOSEN = frozenset((Instance, Class, Layer, Method, Criterion, Function, Partial, Extern, Lazy, Unknown))
"""What a factory gives by a name, what is asked of it, and what it gives beside: nothing, or something unknown."""


def _add(parts: list[Value], part: Value) -> int:
    """Add a possibility, or merge it into one that is there; its index."""
    kind = type(part)
    merge = _MERGERS.get(kind)
    for index, other in enumerate(parts):
        if other is part:
            return index
        if merge is not None and type(other) is kind:
            merged = merge(other, part)
            if merged is not None:
                parts[index] = merged
                return index
    parts.append(part)
    return len(parts) - 1


def _merge_tensors(a: Tensor, b: Tensor) -> Value | None:
    if a.blank and b.blank and "unknown" in (a.kind, b.kind):
        return a if b.kind == "unknown" else b  # a loop that fills it is taken to run
    if a.kind != b.kind or a.dim != b.dim or a.holder != b.holder or a.attached != b.attached or a.negated != b.negated:
        return None
    if a.kind == "loss" and a.attached and (a.cut is None) is not (b.cut is None):
        return None  # a sum, of which one way adds a term without a gradient
    return Tensor(
        kind=a.kind,
        activation=a.activation or b.activation,
        dim=a.dim,
        shape=a.shape if a.shape == b.shape else join_shapes(a.shape, b.shape),
        dtype=a.dtype if a.dtype == b.dtype else "unknown",
        attached=a.attached,
        batched=a.batched and b.batched,
        many=a.many and b.many,
        sample=a.sample if a.sample == b.sample else None,
        squeezed=a.squeezed if a.squeezed == b.squeezed else None,
        flattened=a.flattened if a.flattened == b.flattened else None,
        unsqueezed=a.unsqueezed if a.unsqueezed == b.unsqueezed else None,
        one_each=a.one_each and b.one_each,
        regrouped=a.regrouped if a.regrouped == b.regrouped else None,
        applied=a.applied if a.applied == b.applied else None,
        trail=a.trail,
        cause=a.cause or b.cause,
        loss=a.loss if a.loss is b.loss else None,
        per_sample=a.per_sample if b.per_sample is not None else None,
        negated=a.negated,
        origin=_merged_origin(a, b),
        cut=a.cut if b.cut is not None else None,
        holder=a.holder,
    )


def _merged_origin(a: Tensor, b: Tensor) -> Value | None:
    """The origin of either of two tensors: what two passes of a loop make at one place is taken for one value."""
    if a.origin is b.origin and a.origin is not None:
        return a.origin
    if a.origin is not None and b.origin is not None and a.kind in SQUASHED:
        return join(a.origin, b.origin)
    same = a.kind == "unknown" and a.activation != "" and a.activation == b.activation and a.attached
    return (a if a.origin is None else a.origin) if same else None


def _merge_unknown(a: Unknown, b: Unknown) -> Value | None:
    if TOO_MANY in (a, b):
        return TOO_MANY
    if a.source == b.source and a.sample == b.sample:
        return a
    return Unknown(a.reason or b.reason, a.source if a.source == b.source else "other", a.cause or b.cause)


def _merge_constants(a: Const, b: Const) -> Value | None:
    return a if type(a.value) is type(b.value) and a.value == b.value else None


def _merge_tuples(a: Tuple, b: Tuple) -> Value | None:
    if len(a.items) != len(b.items):
        return None
    items = tuple(join(x, y) for x, y in zip(a.items, b.items, strict=True))
    return a if all(x is y for x, y in zip(items, a.items, strict=True)) else Tuple(items)


def _merge_items(a: Items, b: Items) -> Value | None:
    element, last = join(a.element, b.element), common_end((a, b))
    unchanged = len(last) == len(a.last) and all(x is y for x, y in zip(last, a.last, strict=True))
    if element is a.element and a.count == b.count and unchanged:
        return a
    return Items(element, a.count if a.count == b.count else None, last)


MOST_LAST = 8
"""So many items at the end of a list of unknown length are kept apart."""


def common_end(parts: Sequence[Value]) -> tuple[Value, ...]:
    """The items that a list ends with whichever of these possibilities it is. What is filled later is empty at first."""
    ends = [part.items if isinstance(part, Tuple) else part.last if isinstance(part, Items) else () for part in parts]
    filled = [end for part, end in zip(parts, ends, strict=True) if end or not isinstance(part, Tuple)]
    length = min([MOST_LAST, *map(len, filled)]) if filled else 0
    return tuple(union([end[index] for end in filled]) for index in range(-length, 0))


def one_list(parts: Sequence[Value]) -> Items:
    """One list for several that are possible, all of them Tuples or Items."""
    items = [item for part in parts if isinstance(part, Tuple) for item in part.items]
    items += [part.element for part in parts if isinstance(part, Items)]
    return Items(union(items) if items else UNKNOWN, last=common_end(parts))


def _merge_functions(a: Function, b: Function) -> Value | None:
    same = a.node is b.node and a.frame == b.frame and _same_receiver(a.receiver, b.receiver)
    return a if same else None


def _merge_criteria(a: Criterion, b: Criterion) -> Value | None:
    same = a.loss is b.loss and a.functional == b.functional and not a.options and not b.options
    return a if same else None


_MERGERS: dict[type, Callable[[Any, Any], Value | None]] = {
    Tensor: _merge_tensors,
    Unknown: _merge_unknown,
    Const: _merge_constants,
    Tuple: _merge_tuples,
    Items: _merge_items,
    Function: _merge_functions,
    Criterion: _merge_criteria,
    Extern: lambda a, b: a if a.name == b.name else None,
    Class: lambda a, b: a if a.node is b.node else None,
    Instance: lambda a, b: a if a.id == b.id else None,
    Container: lambda a, b: a if a.id == b.id else None,
    Layer: lambda a, b: a if a.at == b.at and a.op is b.op else None,
    ModuleValue: lambda a, b: a if a.path == b.path else None,
    Method: lambda a, b: a if a.name == b.name and _same_receiver(a.receiver, b.receiver) else None,
}
"""How two possibilities of one type become one, where they differ in nothing that a finding may depend on."""


def _same_receiver(a: Value | None, b: Value | None) -> bool:
    if a is b:
        return True
    return isinstance(a, Instance) and isinstance(b, Instance) and a.id == b.id


def cause_of(value: Value | None) -> StepRef | None:
    """Why nothing, or not the kind, is known of one possibility."""
    return value.cause if isinstance(value, (Unknown, Tensor)) else None


def is_setting(subject: object) -> bool:
    """Whether what a test looks at is, or is taken from, what a caller gives by settings that the code does not show."""
    while isinstance(subject, tuple) and subject:
        subject = subject[0]
    return isinstance(subject, Unknown) and subject.source == "setting"


SQUASHED: frozenset[Kind] = frozenset({"probability", "simplex", "log_simplex"})
"""What sigmoids and softmaxes give."""


def is_sigmoid(part: Value) -> bool:
    """Whether a tensor is what a sigmoid gave, with nothing done to it but views and copies."""
    if not isinstance(part, Tensor) or part.kind != "probability" or part.origin is None:
        return False
    return part.activation.lower().rstrip("()_").endswith(("sigmoid", "expit"))


def sigmoid_inside(part: Value) -> Tensor | None:
    """What a sigmoid is applied to that a sigmoid gave, in every case; None if it is applied to anything else."""
    if not isinstance(part, Tensor) or part.origin is None or not is_sigmoid(part):
        return None
    inside = [each for each in alternatives(part.origin) if isinstance(each, Tensor) and is_sigmoid(each)]
    return inside[0] if len(inside) == len(alternatives(part.origin)) else None


def is_anything(value: Value) -> bool:
    """Whether a value is unknown and nothing tells it from other unknown ones; a cause, for people, does not."""
    if value is UNKNOWN or value is TOO_MANY:
        return True
    return isinstance(value, Unknown) and not value.reason and value.source == "other" and value.default is None


def is_state(value: Value | None) -> TypeGuard[Const]:
    """Whether a value is a number, a flag or a text, by which code tells in which state it is."""
    return isinstance(value, Const) and isinstance(value.value, (int, str))


def any_state(value: Const, reason: str) -> Value:
    """A state in which something may be, and any other one: code that is run who knows when changes it."""
    return Union((value, Unknown(reason)))


def number_type(value: Value) -> Literal["float", "int"] | None:
    """Which type of number a value is that the code does not fix; None if it is none."""
    if not isinstance(value, Unknown):
        return None
    return "float" if value.reason == A_FLOAT.reason else "int" if value.reason == AN_INT.reason else None


def is_number_of_actions(value: Value) -> bool:
    """Whether a value is how many parts an action has in an environment that a setting chooses."""
    return isinstance(value, Unknown) and value.reason == ACTIONS.reason


def is_pending(value: Value) -> bool:
    """Whether a value is still to be computed."""
    kind = type(value)
    if kind is Lazy:
        return not value.result  # type: ignore[attr-defined]
    return kind is Union and any(is_pending(part) for part in value.alternatives)  # type: ignore[attr-defined]


def may_learn(value: Value) -> bool:
    """Whether a gradient may flow through a value. Computes nothing lazy."""
    return any(
        part.attached if isinstance(part, Tensor) else not isinstance(part, (Const, Tuple)) and not _is_item(part)
        for part in computed(value)
    )


def _is_item(part: Value) -> bool:
    return isinstance(part, Unknown) and part.source == "batch"


def computed(value: Value) -> tuple[Value, ...]:
    """The possibilities of a value as far as they were computed; what was not is one of them as it is."""
    if isinstance(value, Lazy):
        return computed(value.result[0]) if value.result else (value,)
    if isinstance(value, Union):
        return tuple(part for each in value.alternatives for part in computed(each))
    return (value,)


def is_batch(value: Value) -> bool:
    """Whether the first dimension of a tensor made from this value varies from call to call. Computes nothing lazy."""
    known = _BATCH.get(type(value))
    return known is not None and known(value)


_BATCH: dict[type, Callable[[Any], bool]] = {
    Tensor: lambda value: value.batched,
    Unknown: lambda value: value.source in ("parameter", "batch"),
    Lazy: lambda value: is_batch(value.result[0]) if value.result else value.batched,
    Union: lambda value: any(is_batch(part) for part in value.alternatives),
}


def sample_of(*values: Value) -> Sample:
    """Whether what is made of these is of one sample: all of them are that vary with a batch. Computes nothing lazy."""
    found: Sample = None
    for value in values:
        tells = _SAMPLE.get(type(value))
        sample = None if tells is None else tells(value)
        if sample is not None:
            found = "batch" if "batch" in (found, sample) else "row"
        elif tells is not None and is_batch(value):
            return None
    return found


_SAMPLE: dict[type, Callable[[Any], Sample]] = {
    Tensor: lambda value: value.sample,
    Unknown: lambda value: value.sample,
    Lazy: lambda value: sample_of(value.result[0]) if value.result else value.sample,
    Union: lambda value: sample_of(*value.alternatives),
}


def alternatives_now(value: Value) -> tuple[Value, ...]:
    """The possibilities of a value without computing a lazy one."""
    if isinstance(value, Union):
        return value.alternatives
    return (value,)


def later(compute: Callable[[], Value], *sources: Value) -> Lazy:
    """A value for when it is needed, made of these."""
    return Lazy(compute, [], any(is_batch(source) for source in sources), sample=sample_of(*sources))


def kind_of(value: Value) -> Kind:
    """The kind of one possibility."""
    return value.kind if isinstance(value, Tensor) else "unknown"
