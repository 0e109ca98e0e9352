"""What operations and operators do to kinds: the transfer functions over the contracts of ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from torchlint.analysis import ir, objects, shapes
from torchlint.analysis.calls import Arithmetic, Comparison, Event, OpCall, number_of
from torchlint.analysis.shapes import Bound
from torchlint.analysis.values import (
    UNKNOWN,
    Class,
    Const,
    Container,
    Criterion,
    Cut,
    Extern,
    Function,
    Guard,
    Holder,
    Instance,
    Items,
    Layer,
    Lazy,
    Method,
    ModuleValue,
    Shape,
    Size,
    Tensor,
    Trail,
    Tuple,
    Union,
    Unknown,
    Value,
    alternatives,
    cause_of,
    conflicts,
    either,
    guarded,
    is_batch,
    is_pending,
    join_shapes,
    may_learn,
    number_type,
    only_tensor,
    union,
)
from torchlint.contracts import Kind, Op
from torchlint.findings import Applied, NodeRef, StepRef

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter

KIND_WORDS: dict[str, str] = {
    "raw": "raw values (logits)",
    "probability": "probabilities",
    "simplex": "probabilities that sum to 1",
    "log_simplex": "log-probabilities",
    "log_probability": "log-probabilities",
    "bounded": "values between -1 and 1",
    "nonnegative": "values from 0 up",
    "class_index": "class indices or 0/1 labels",
    "one_hot": "one-hot rows",
    "loss": "a loss",
    "unknown": "values of unknown kind",
}

_UNIT: frozenset[Kind] = frozenset({"probability", "simplex", "one_hot", "class_index"})
_FRACTIONS: frozenset[Kind] = frozenset({"probability", "simplex", "one_hot"})
_BY_LOSSES = frozenset({"sigmoid", "softmax", "softmax2d", "log_softmax"})
"""The activations that losses apply themselves: without one of these, what is left is the raw scores."""

_SMALL = 1e-2
"""A constant added this side of zero is there against log(0), not to change the kind."""


def spelled(name: str) -> str:
    """A dotted name as people write it."""
    for long, short in (("torch.nn.functional.", "F."), ("torch.nn.", "nn.")):
        if name.startswith(long):
            return short + name[len(long) :]
    return name


def later(compute: Callable[[], Value], *sources: Value) -> Lazy:
    """A value for when it is needed, made of these."""
    return Lazy(compute, [], any(is_batch(source) for source in sources))


def kind_of(value: Value) -> Kind:
    """The kind of one possibility."""
    return value.kind if isinstance(value, Tensor) else "unknown"


def bind(
    op: Op,
    name: str,
    args: Sequence[Value],
    keywords: Mapping[str, Value],
    options: Mapping[str, Value],
    more: bool = False,
) -> Bound:
    """The arguments of an operation by its parameters' names; with `more`, any number of others follow."""
    if more and op.shape in _BY_SIZES:
        op = msgspec.structs.replace(op, shape="unknown")
    named: dict[str, Value] = dict(zip(op.params, args, strict=False))
    named.update(keywords)
    for alias, name_of_it in (("axis", "dim"), ("keepdims", "keepdim")):
        if alias in named and alias not in op.params:
            named[name_of_it] = named[alias]
    first = named.get(op.params[0]) if op.params else None
    source = first
    if op.params and op.params[0] == "condition":
        source = named.get("input")
    if source is None:
        source = named.get("input") or named.get("x") or UNKNOWN
    return Bound(op, name, source, tuple(args[1:]), named, options)


_BY_SIZES = frozenset(("view", "expand", "full", "sized", "permute"))
"""The rules of shapes that read as many sizes as there are arguments."""


def apply(run: Interpreter, bound: Bound, node: ir.Node, layer: Layer | None = None) -> Value:
    """The value that an operation gives, computed now, or later if its inputs are not known yet.

    Checks are told of it when it is computed.
    """
    at, op = run.ref(node), bound.op
    if op.id == "compare" and Comparison in run.watched:
        tell_comparison(
            run,
            bound.input,
            _COMPARISONS.get(bound.name.strip(".()").rpartition(".")[2], ""),
            bound.named.get("other", UNKNOWN),
            node,
        )
    if op.threshold and Comparison in run.watched:
        tell_comparison(run, bound.input, ">=", bound.named.get(op.threshold, UNKNOWN), node)
    event: Event | None = None
    if op.id in run.watched_ops:
        event = OpCall(at, spelled(bound.name), run.frame.training, bound=bound)
    elif op.id == "sub" and Arithmetic in run.watched and "other" in bound.named:
        event = Arithmetic(at, "-", run.frame.training, left=bound.input, right=bound.named["other"])
    if any(is_pending(value) for value in _sources(run, bound)):
        return _told_later(run, event, lambda: transfer(run, bound, at, layer), *_sources(run, bound))
    if event is not None:
        run.record(event)
    return transfer(run, bound, at, layer)


def _told_later(run: Interpreter, event: Event | None, compute: Callable[[], Value], *sources: Value) -> Lazy:
    """A value for when it is needed; checks are told of the event then, as of one of this frame."""
    if event is None:
        return later(compute, *sources)
    frame = run.frame

    def tell_and_compute() -> Value:
        with run.enter(frame):
            run.record(event)
            return compute()

    return later(tell_and_compute, *sources)


def _sources(run: Interpreter, bound: Bound) -> list[Value]:
    """The values whose kind the operation passes on."""
    if bound.op.gives != "join":
        return [bound.input]
    out: list[Value] = []
    for name, value in bound.named.items():
        if name in ("input", "other", "tensors"):
            element, known = objects.iterate(run, value) if name == "tensors" else (value, [value])
            out.extend(known if known is not None else [element])
    return out or [bound.input]


def transfer(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value:
    """The value that an operation gives: every possible input through the contract's table."""
    op = bound.op
    special = _SPECIAL.get(op.id)
    if special is not None:
        found = special(run, bound, at, layer)
        if found is not None:
            return found
    if op.items == "model_output":
        return _model_output(run, bound, _plain(run, bound, at, layer))
    if op.items == "values_indices" and _has_dimension(bound):
        values = _plain(run, bound, at, layer)
        indices = Tensor(
            "class_index",
            spelled(bound.name),
            shape=shapes.apply(bound),
            dtype="int",
            attached=False,
            batched=is_batch(bound.input),
        )
        return Tuple((values, indices))
    return _plain(run, bound, at, layer)


def _model_output(run: Interpreter, bound: Bound, logits: Value) -> Value:
    """What a model of a library gives that computes its loss itself where labels are handed in."""
    unsure = not bound.named or "labels" in bound.named
    first: Value = UNKNOWN if unsure else logits
    pairs: list[tuple[Value | None, Value]] = [
        (Const("logits"), logits),
        (Const("loss"), Tensor("loss", dtype="float")),
        (Const(0), first),
        (UNKNOWN, UNKNOWN),
    ]
    return objects.new_dict(run, pairs)


def _has_dimension(bound: Bound) -> bool:
    if bound.op.shape != "reduce":
        return True
    dim = bound.option("dim", 0)
    return dim is not None and all(not isinstance(part, Tensor) or part.dtype == "int" for part in alternatives(dim))


def _plain(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value:
    op = bound.op
    gives = op.gives
    shape = shapes.apply(_listed(run, bound) if op.shape in ("cat", "stack") else bound)
    if isinstance(gives, str) and gives not in ("keep", "join"):
        return _made(bound, gives, shape, at, layer, None)  # type: ignore[arg-type]
    out: list[tuple[Value, Guard]] = []
    for source in _sources(run, bound):
        for part, guard in guarded(source):
            kind = kind_of(part)
            result: Kind = kind
            if isinstance(gives, dict):
                result = gives.get(kind, gives.get("otherwise", "unknown"))
            if result == kind and isinstance(part, Tensor):
                out.append((_kept(bound, part, shape, at), guard))
            else:
                out.append((_made(bound, result, shape, at, layer, part), guard))
    return either(out)


def _listed(run: Interpreter, bound: Bound) -> Bound:
    """An operation on several tensors, with what is in a list in its place."""
    parts = alternatives(bound.input)
    if len(parts) > 1 or not isinstance(parts[0], Container) or parts[0].kind == "dict":
        return bound
    element, known = objects.iterate(run, parts[0])
    return msgspec.structs.replace(bound, input=Items(element) if known is None else Tuple(tuple(known)))


def _kept(bound: Bound, part: Tensor, shape: Shape | None, at: NodeRef) -> Tensor:
    op = bound.op
    squeezed, flattened = _history(bound, part, shape, at)
    return Tensor(
        kind=part.kind,
        activation=part.activation,
        dim=part.dim if op.shape in ("keep", "broadcast") else None,
        shape=shape,
        dtype=_dtype_after(bound, part),
        attached=_attached(bound, part),
        batched=part.batched,
        squeezed=squeezed,
        flattened=flattened,
        unsqueezed=_unsqueezed(bound, part, squeezed, at),
        one_each=_one_each(bound, part, shape),
        regrouped=_regrouped(bound, part, shape, at),
        applied=part.applied if op.gives == "keep" and op.shape != "reduce" else None,
        trail=part.trail,
        cause=part.cause,
        loss=part.loss,
        per_sample=None if op.shape == "reduce" and not _has_dimension(bound) else part.per_sample,
        negated=part.negated is not (op.id == "neg"),
        origin=_origin(bound, part),
        cut=_cut(bound, part, at),
        holder=_holder(bound, part),
    )


def _holder(bound: Bound, part: Value | None) -> Holder:
    """The library whose object an operation gives: of a method, that of what it is a method of."""
    if bound.name.startswith("."):
        return part.holder if isinstance(part, Tensor) else "torch"
    return "numpy" if bound.name.startswith("numpy.") else "pandas" if bound.name.startswith("pandas.") else "torch"


def _origin(bound: Bound, part: Value) -> Value | None:
    """The value that the result of an operation is a copy, a view or a part of, or the sigmoid of; None if it is another."""
    if bound.op.gives not in ("keep", "join") or bound.op.id.startswith("clamp"):
        return None
    if not isinstance(part, Tensor):
        return part if part is not UNKNOWN else None
    return part if part.origin is None and part.kind == "unknown" else part.origin


def _history(
    bound: Bound, part: Value | None, shape: Shape | None, at: NodeRef
) -> tuple[NodeRef | None, NodeRef | None]:
    """Which `squeeze()` and which flattening a tensor still shows after an operation."""
    rule = bound.op.shape
    model = bound.named.get("other") if rule == "like" else None
    if rule == "view" and bound.rest and isinstance(bound.rest[0], Size):
        model = bound.rest[0].tensor
        return model.squeezed, model.flattened
    if model is not None:
        part = next((p for p in alternatives(model) if isinstance(p, Tensor)), part)
    if rule == "squeeze" and bound.option("dim") is None:
        return at, at
    if rule in ("squeeze", "view", "flatten") and shape is not None and shape.rank == 1:
        before = part.shape if isinstance(part, Tensor) else None
        changed = rule == "squeeze" or (before is not None and before.rank != 1)
        return None, at if changed else None
    if rule in ("keep", "broadcast", "like") and isinstance(part, Tensor):
        return part.squeezed, part.flattened
    return None, None


def _squashed(bound: Bound) -> Value | None:
    """What a sigmoid is applied to."""
    if bound.op.id not in ("sigmoid", "sigmoid_"):
        return None
    parts = alternatives(bound.input)
    part = parts[0]
    if len(parts) != 1 or part is UNKNOWN or not isinstance(part, (Tensor, Unknown)):
        return None
    return part.origin if isinstance(part, Tensor) and part.kind == "unknown" and part.origin is not None else part


def _dtype_after(bound: Bound, part: Value | None) -> Number:
    """The type of what an operation gives: the one that it is asked for, its own, or that of its input."""
    asked = bound.named.get("dtype")
    if asked is not None and not (isinstance(asked, Const) and asked.value is None):
        return dtype_of(asked)
    if bound.op.dtype != "keep":
        return bound.op.dtype
    return part.dtype if isinstance(part, Tensor) else "unknown"


def _one_each(bound: Bound, part: Value | None, shape: Shape | None) -> bool:
    """Whether a last dimension of size 1 is taken away, and nothing else changes the shape."""
    if not isinstance(part, Tensor):
        return False
    rule, before = bound.op.shape, part.shape
    if rule in ("keep", "broadcast"):
        return part.one_each
    if rule not in ("squeeze", "view", "flatten") or before is None or before.dims[-1:] != (1,):
        return False
    return (rule == "squeeze" and bound.option("dim") is None) or (shape is not None and shape.rank == 1)


def _regrouped(bound: Bound, part: Value | None, shape: Shape | None, at: NodeRef) -> NodeRef | None:
    """The `view()` that makes rows of C entries out of [B, C, ...], where the C entries of a sample do not lie side by side."""
    if not isinstance(part, Tensor):
        return None
    rule, before = bound.op.shape, part.shape
    if rule in ("keep", "broadcast"):
        return part.regrouped
    if rule != "view" or before is None or before.open or len(before.dims) < 3 or shape is None or shape.rank != 2:
        return None
    classes = before.dims[1]
    if bound.rest and bound.rest[0] is objects.DIMENSION:
        return None  # as many rows as there are samples, so that there is one place for each
    several = isinstance(classes, int) and classes > 1 and any(dim != 1 for dim in before.dims[2:])
    return at if several and shape.dims[1] == classes and before.dims[-1] != classes else None


def _attached(bound: Bound, part: Value | None) -> bool:
    """Whether gradients may flow through the result of an operation to what it is made of."""
    op = bound.op
    if bound.name.startswith(_OTHERS):
        return False
    if bound.name == _NEW_LEAF:
        return not bound.rest or shapes.is_true(bound.rest[0])
    if op.gradient == "cut":
        return shapes.is_true(bound.named.get("requires_grad"))
    if op.layers and not op.functions and not op.methods:
        return True  # it has weights of its own
    if may_learn(bound.input if part is None else part):
        return True
    if op.in_place and any(map(may_learn, bound.rest)):
        return True
    return any(may_learn(value) for name, value in bound.named.items() if name in _TENSORS)


_NEW_LEAF = ".requires_grad_()"

_OTHERS = ("numpy.", "pandas.")
"""Libraries whose functions no gradient goes through."""

_TENSORS = frozenset("weight bias other mat2 input2 x2 end src source tensors value".split())
"""Parameters of operations, besides the first, through which a gradient may flow."""

LEARNT: frozenset[Kind] = frozenset(
    {"raw", "probability", "simplex", "log_simplex", "log_probability", "bounded", "loss"}
)
"""The kinds of what layers and activations give."""


def _cut(bound: Bound, part: Value | None, at: NodeRef) -> Cut | None:
    """Where the gradient of what an operation is applied to was cut off, if it had one: before, or here."""
    if bound.op.gradient == "cut" and bound.op.shape in ("like", "full"):
        return None  # of `zeros_like(x)`, x gives no more than its shape
    parts = alternatives(bound.input) if part is None else (part,)
    if len(parts) > 1 and not all(isinstance(each, Tensor) for each in parts):
        return None
    first = parts[0]
    if bound.name == _NEW_LEAF:
        # Behind a loss it hides that nothing learns; anywhere else the gradient is wanted at this place, and goes on by hand.
        return first.cut if isinstance(first, Tensor) and first.kind == "loss" else None
    if bound.op.gradient == "keep":
        return first.cut if isinstance(first, Tensor) and not _attached(bound, part) else None
    cuts = [cut_here(each, bound.name, at) for each in parts]
    return cuts[0] if None not in cuts else None


def cut_here(part: Value, name: str, at: NodeRef) -> Cut | None:
    """Where the gradient of a value was cut off if it is cut off here, too."""
    step = StepRef(at, f"`{spelled(name)}` cuts off the gradient")
    if isinstance(part, Tensor):
        if not part.attached or part.cut is not None:
            return part.cut
        if part.kind in LEARNT:
            return Cut(step)
        return Cut(step, part if part.origin is None else part.origin) if part.kind == "unknown" else None
    return Cut(step, part) if isinstance(part, Unknown) and part is not UNKNOWN and part.source != "batch" else None


def _unsqueezed(bound: Bound, part: Value | None, squeezed: NodeRef | None, at: NodeRef) -> Shape | None:
    """The shape before the `squeeze()` that a tensor still shows."""
    if squeezed is None:
        return None
    if squeezed == at:
        return shapes.shape_of(bound.input)
    return part.unsqueezed if isinstance(part, Tensor) and part.squeezed == squeezed else None


def _made(
    bound: Bound, kind: Kind, shape: Shape | None, at: NodeRef, layer: Layer | None, part: Value | None
) -> Tensor:
    """A tensor of a new kind; the way of what it was made from goes before."""
    op = bound.op
    source = part if part is not None else bound.input
    before = part.trail if isinstance(part, Tensor) else None
    label = spelled(bound.name)
    activation = label
    if isinstance(part, Tensor) and part.kind in _FRACTIONS and kind in ("bounded", *_FRACTIONS):
        activation = part.activation
    trail = before
    if kind != "unknown":
        note = f"`{label}` gives {KIND_WORDS[kind]}"
        if layer is not None and layer.at != at:
            trail = Trail(StepRef(layer.at, note), before)
            trail = Trail(StepRef(at, f"`{label}` is applied"), trail)
        else:
            trail = Trail(StepRef(at, note), before)
    sole = part if part is not None else only_tensor(bound.input)
    squeezed, flattened = _history(bound, sole, shape, at)
    return Tensor(
        kind=kind,
        activation=activation,
        dim=_dim_after(bound, part),
        shape=shape,
        dtype=_dtype_after(bound, part),
        attached=_attached(bound, part),
        batched=is_batch(source),
        blank=op.blank,
        squeezed=squeezed,
        flattened=flattened,
        unsqueezed=_unsqueezed(bound, sole, squeezed, at),
        one_each=_one_each(bound, sole, shape),
        regrouped=_regrouped(bound, sole, shape, at),
        applied=Applied(at, bound.name, layer.at if layer is not None else None) if op.id in _BY_LOSSES else None,
        trail=trail,
        cause=cause_of(source) if kind == "unknown" else None,
        cut=_cut(bound, part, at),
        origin=_squashed(bound)
        if kind in ("probability", "simplex")
        else None
        if part is None
        else _origin(bound, part),
        holder=_holder(bound, sole),
    )


def _dim_after(bound: Bound, part: Value | None) -> int | None:
    """The dimension that an operation runs over, or that a distribution of which it takes the logarithm runs over."""
    given = bound.option("dim")
    if given is None and bound.op.shape == "keep" and bound.op.id in ("log", "exp") and isinstance(part, Tensor):
        return part.dim
    return shapes.const_int(given)


def _number(value: Value | None) -> float | None:
    if value is None:
        return None
    parts = alternatives(value)
    if len(parts) != 1 or not isinstance(parts[0], Const):
        return None
    number = parts[0].value
    return float(number) if isinstance(number, (int, float)) and not isinstance(number, bool) else None


def _clamp(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value | None:
    """Clamping into [0, 1] makes probabilities of anything; other limits keep what they cannot change."""
    low_name = "max" if bound.op.id == "clamp_max" else "min"
    given_low, given_high = bound.named.get("min"), bound.named.get("max")
    if bound.op.id == "clamp_max":
        given_high = given_high or bound.option(low_name, 0)
    low, high = _number(given_low), _number(given_high)
    if given_low is None:
        given_low = bound.named.get(low_name)
    out: list[Value] = []
    shape = shapes.shape_of(bound.input)
    for part in alternatives(bound.input):
        kind = kind_of(part)
        if kind in _UNIT or kind in ("log_simplex", "log_probability", "loss"):
            out.append(msgspec.structs.replace(part, applied=None) if isinstance(part, Tensor) else part)
        elif low is not None and high is not None and 0 <= low <= high <= 1:
            out.append(_made(bound, "probability", shape, at, layer, part))
        elif kind == "raw" and (low is None or low < 0) and (high is None or high > 1) and (given_low or given_high):
            fixed = (given_low is None or low is not None) and (given_high is None or high is not None)
            out.append(part if fixed else _made(bound, "unknown", shape, at, layer, part))
        else:
            result: Kind = "nonnegative" if low is not None and low >= 0 else "unknown"
            out.append(_made(bound, result, shape, at, layer, part))
    return union(out)


def _arithmetic(op: str) -> Callable[[Interpreter, Bound, NodeRef, Layer | None], Value | None]:
    def rule(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value | None:
        other = bound.named.get("other") or bound.named.get("exponent")
        if other is None or "alpha" in bound.named:
            return None
        return _combine(op, bound.input, other, at)

    return rule


def _matmul(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value | None:
    other = bound.named.get("other") or bound.named.get("mat2")
    return None if other is None else _product(bound.input, other, shapes.apply(bound), at)


def _pieces(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value | None:
    shape = shapes.piece(bound)
    parts = alternatives(_plain(run, bound, at, layer))
    return Items(union(msgspec.structs.replace(p, shape=shape) if isinstance(p, Tensor) else p for p in parts))


def _recurrent(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value | None:
    """The outputs of all steps and the last states, with a dimension of layers in front: for an LSTM a pair of them."""
    shape = shapes.shape_of(bound.input)
    outputs = None if shape is None or shape.open else Shape((*shape.dims[:-1], None))
    batched = is_batch(bound.input)
    state = Tensor("unknown", batched=batched)
    last = Tuple((state, state)) if bound.name.endswith("LSTM") else state
    return Tuple((Tensor("unknown", shape=outputs, batched=batched), last))


def _tensor_of(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value | None:
    """A tensor made from data: numbers and lists of numbers have a shape and a type."""
    value = bound.input
    parts = alternatives(value)
    shape, number = _data(run, value)
    held = _held(run, parts)
    entries = held if held and all(each.kind != "unknown" for each in held) else parts
    kinds = {kind_of(part) for part in entries}
    kind = kinds.pop() if len(kinds) == 1 else "unknown"
    trail = next((part.trail for part in entries if isinstance(part, Tensor)), None)
    dtype = bound.op.dtype if bound.op.dtype != "keep" else "unknown"
    if dtype == "unknown":
        given = bound.named.get("dtype")
        dtype = "float" if bound.name == "torch.Tensor" else number if given is None else dtype_of(given)
    activation = ""
    if "ndmin" in bound.named:
        shape = None
    elif bound.name.endswith("Tensor") and (number == "int" or (len(parts) == 1 and parts[0] is objects.DIMENSION)):
        sizes = shapes.sizes_of((value, *bound.rest)) if shape == Shape(()) else None
        shape = shape if sizes is None else Shape(tuple(sizes))
    elif len(parts) == 1 and isinstance(parts[0], Tensor):
        shape = parts[0].shape
        activation = parts[0].activation
        if dtype == "unknown" and "dtype" not in bound.named:
            dtype = parts[0].dtype
    return Tensor(
        kind,
        activation,
        shape=shape,
        dtype=dtype,
        attached=_attached(bound, None),
        batched=is_batch(value),
        trail=trail,
        cut=_cut(bound, None, at) or _cut_of_all(held),
        holder=_holder(bound, None),
    )


def _held(run: Interpreter, parts: Sequence[Value]) -> Sequence[Tensor]:
    """The tensors in a list, one for each possibility; empty if something else may be in it."""
    part = parts[0]
    if len(parts) > 1 or not isinstance(part, (Container, Items, Tuple)):
        return ()
    if isinstance(part, Container) and part.kind == "dict":
        return ()
    every = alternatives(objects.iterate(run, part)[0])
    tensors = [each for each in every if isinstance(each, Tensor)]
    return tensors if len(tensors) == len(every) else ()


def _cut_of_all(held: Sequence[Tensor]) -> Cut | None:
    """Where the gradients of all the numbers were cut off of which a new tensor is made."""
    cuts = [None if each.attached else each.cut for each in held]
    return cuts[0] if cuts and None not in cuts else None


Number = Literal["unknown", "float", "int", "bool"]
_NUMBERS: dict[type, Number] = {bool: "bool", int: "int", float: "float"}


def _data(run: Interpreter, value: Value) -> tuple[Shape | None, Number]:
    """The shape and the type of a tensor made from a number or from nested lists of numbers."""
    parts = alternatives(value)
    if all(isinstance(part, Const) and type(part.value) in _NUMBERS for part in parts):
        types = {_NUMBERS[type(part.value)] for part in parts if isinstance(part, Const)}
        return Shape(()), types.pop() if len(types) == 1 else "unknown"
    part = parts[0]
    single = number_type(part) if len(parts) == 1 else None
    if single is not None:
        return Shape(()), single
    if isinstance(part, Tensor) and len(parts) == 1:
        # What becomes of a tensor of torch with dimensions depends on who makes the new one.
        return part.shape if part.holder != "torch" or part.shape == Shape(()) else None, part.dtype
    if len(parts) > 1 or not (
        isinstance(part, (Tuple, Items)) or (isinstance(part, Container) and part.kind == "list")
    ):
        return None, "unknown"
    element, items = objects.iterate(run, part)
    if items is None:
        shape, number = _data(run, element)
        return None if shape is None else Shape((None, *shape.dims), shape.open), number
    if not items:
        return None, "unknown"
    rows = [_data(run, item) for item in items]
    inner = rows[0][0]
    for shape, _ in rows[1:]:
        inner = join_shapes(inner, shape)
    numbers = {number for _, number in rows}
    # One float among whole numbers makes all of them floats.
    number = numbers.pop() if len(numbers) == 1 else "float" if numbers <= {"float", "int"} else "unknown"
    return None if inner is None else Shape((len(items), *inner.dims), inner.open), number


def dtype_of(value: Value) -> Number:
    """The type that an argument such as `torch.float32` asks for."""
    parts = alternatives(value)
    part = parts[0]
    name = part.name if len(parts) == 1 and isinstance(part, Extern) else ""
    if len(parts) == 1 and isinstance(part, Const) and isinstance(part.value, str):
        name = f"numpy.{part.value}"
    if name.startswith(("torch.", "numpy.", "builtins.")):
        last = name.partition(".")[2].removeprefix("cuda.")
        for ending, number in _TYPE_NAMES.items():
            if last in ending.split():
                return number
    return "unknown"


_TYPE_NAMES: dict[str, Number] = {
    "float float16 float32 float64 double half bfloat16 FloatTensor DoubleTensor HalfTensor": "float",
    "int int8 int16 int32 int64 long short uint8 LongTensor IntTensor ByteTensor": "int",
    "bool BoolTensor": "bool",
}


def _randint(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value | None:
    """Whole numbers, which count from 0 on if the lower limit is 0, as it is where one limit is given only."""
    first, second = bound.named.get("low"), bound.named.get("high")
    alone = second is None or isinstance(alternatives(second)[0], (Tuple, Size))
    low = 0.0 if alone else _number(first)
    made = _plain(run, bound, at, layer)
    if low is None or low < 0 or not isinstance(made, Tensor):
        return made
    return msgspec.structs.replace(made, kind="class_index")


def _to(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value | None:
    """`x.to(...)`: another type only if one is named; a device leaves the type as it is."""
    given = bound.named.get("dtype")
    asked = "unknown" if given is None else dtype_of(given)
    moved = bound.name == ".to()" and ("device" in bound.named if given is None else _is_device(given))
    if asked == "unknown" and not moved:
        return None
    kept: dict[Number, list[Value]] = {}
    for part in alternatives(bound.input):
        kept.setdefault(asked if isinstance(part, Unknown) or not moved else _dtype(part), []).append(part)
    return union(
        msgspec.structs.replace(part, dtype=number) if isinstance(part, Tensor) else part
        for number, parts in kept.items()
        for part in alternatives(_plain(run, msgspec.structs.replace(bound, input=union(parts)), at, layer))
    )


def _dtype(part: Value) -> Number:
    return part.dtype if isinstance(part, Tensor) else "unknown"


def _is_device(value: Value) -> bool:
    """Whether an argument is a device: a string, or something that is called one."""
    return all(
        (isinstance(part, Const) and isinstance(part.value, str))
        or (isinstance(part, Unknown) and part.reason.endswith("device"))
        for part in alternatives(value)
    )


_SPECIAL: dict[str, Callable[[Interpreter, Bound, NodeRef, Layer | None], Value | None]] = {
    "clamp": _clamp,
    "clamp_": _clamp,
    "clamp_min": _clamp,
    "clamp_max": _clamp,
    "add": _arithmetic("+"),
    "sub": _arithmetic("-"),
    "mul": _arithmetic("*"),
    "div": _arithmetic("/"),
    "pow": _arithmetic("**"),
    "matmul": _matmul,
    "bmm": _matmul,
    "chunk": _pieces,
    "split": _pieces,
    "unbind": _pieces,
    "recurrent_layer": _recurrent,
    "recurrent_cell": lambda *_: UNKNOWN,
    "multihead_attention_layer": _recurrent,
    "to": _to,
    "randint": _randint,
    "numpy_randint": _randint,
    "tensor": _tensor_of,
    "numpy_array": _tensor_of,
    "as_tensor": _tensor_of,
    "FloatTensor": _tensor_of,
    "LongTensor": _tensor_of,
}


# ---- operators


def binary(run: Interpreter, op: str, left: Value, right: Value, node: ir.Node) -> Value:
    """The value of `left op right`."""
    if isinstance(left, Const) and isinstance(right, Const):
        return _fold(op, left.value, right.value)
    at = run.ref(node)
    event = None
    if Arithmetic in run.watched:
        event = Arithmetic(at, op, run.frame.training, left=left, right=right)
    if is_pending(left) or is_pending(right):
        return _told_later(run, event, lambda: _either(run, op, left, right, at), left, right)
    if event is not None:
        run.record(event)
    return _either(run, op, left, right, at)


def _either(run: Interpreter, op: str, left: Value, right: Value, at: NodeRef) -> Value:
    sequences = objects.added(run, op, left, right)
    if sequences is not None:
        return sequences
    if op == "@":
        bound = Bound(run.contracts.op_functions["torch.matmul"], "torch.matmul", left, (right,), {}, {})
        return _product(left, right, shapes.apply(bound), at)
    return _combine(op, left, right, at)


def _fold(op: str, a: object, b: object) -> Value:
    if isinstance(a, str) and isinstance(b, str) and op == "+":
        return Const(a + b)
    if not isinstance(a, (int, float)) or not isinstance(b, (int, float)):
        return UNKNOWN
    try:
        if op == "**" and (abs(a) > _BIG or abs(b) > _BIG_POWER):
            return UNKNOWN
        result = _ARITHMETIC[op](a, b) if op in _ARITHMETIC else None
    except (ArithmeticError, ValueError):
        return UNKNOWN
    return Const(result) if isinstance(result, (int, float)) else UNKNOWN


_BIG = 1e6
_BIG_POWER = 64
_ARITHMETIC: dict[str, Callable[[float, float], object]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "**": lambda a, b: a**b,
}


def _combine(op: str, left: Value, right: Value, at: NodeRef) -> Value:
    lefts, rights = alternatives(left), alternatives(right)
    if not any(isinstance(part, Tensor) for part in (*lefts, *rights)):
        known = [part for part in (*lefts, *rights) if isinstance(part, Unknown) and is_batch(part)]
        if len(lefts) == len(rights) == 1 and isinstance(lefts[0], Const) and isinstance(rights[0], Const):
            return _fold(op, lefts[0].value, rights[0].value)
        return Tensor(batched=True, cause=cause_of(known[0])) if known else UNKNOWN
    shape = shapes.broadcast(shapes.likely_shape(left), shapes.likely_shape(right))
    ones, others = guarded(left), guarded(right)
    if op in "+-":
        ones, others = _terms(ones), _terms(others)
    pairs = [
        (_pair(op, a, b, shape, at), (*under_a, *under_b))
        for a, under_a in ones
        for b, under_b in others
        if not conflicts(under_a, dict(under_b))
    ]
    return either((value, frozenset(guard)) for value, guard in pairs)


def _terms(parts: tuple[tuple[Value, Guard], ...]) -> tuple[tuple[Value, Guard], ...]:
    """The possibilities of a term: where it may be the number 0, what it is otherwise counts."""
    kept = tuple(each for each in parts if _number(each[0]) != 0)
    return kept if any(isinstance(part, Tensor) for part, _ in kept) else parts


def _pair(op: str, a: Value, b: Value, shape: Shape | None, at: NodeRef) -> Value:
    kind, main = _operator_kind(op, a, b)
    source = main if isinstance(main, Tensor) else (a if isinstance(a, Tensor) else b)
    if not isinstance(source, Tensor):
        return Const(0) if op == "*" and 0 in (_number(a), _number(b)) else UNKNOWN
    trail = source.trail
    if kind not in (source.kind, "unknown"):
        trail = Trail(StepRef(at, f"`{op}` gives {KIND_WORDS[kind]}"), trail)
    attached = (may_learn(a) or may_learn(b)) and not _is_weighed(op, a, b)
    tensors = [part for part in (a, b) if isinstance(part, Tensor)]
    whole = op != "/" and all(
        (isinstance(p, Const) and isinstance(p.value, int)) or (isinstance(p, Tensor) and p.dtype == "int")
        for p in (a, b)
    )
    return Tensor(
        kind=kind,
        activation=source.activation,
        shape=shape,
        dtype="int" if whole else "float" if source.dtype == "float" else "unknown",
        attached=attached,
        cut=_cut_of_pair(op, kind, tensors, attached),
        batched=is_batch(a) or is_batch(b),
        squeezed=tensors[0].squeezed if len(tensors) == 1 else None,
        flattened=tensors[0].flattened if len(tensors) == 1 else None,
        unsqueezed=tensors[0].unsqueezed if len(tensors) == 1 else None,
        one_each=len(tensors) == 1 and tensors[0].one_each,
        regrouped=tensors[0].regrouped if len(tensors) == 1 else None,
        trail=trail,
        cause=(cause_of(a) or cause_of(b)) if kind == "unknown" else None,
        loss=source.loss if isinstance(a, Const) or isinstance(b, Const) else None,
        per_sample=next((part.per_sample for part in tensors if part.per_sample is not None), None),
        holder=source.holder if all(part.holder != "torch" for part in tensors) else "torch",
        negated=source.negated is not _turns_sign(op, a, b),
    )


def _is_weighed(op: str, a: Value, b: Value) -> bool:
    """Whether one of two factors is a measure that nothing learns from, and the other its weight from a setting."""
    measured = [
        part
        for part in (a, b)
        if isinstance(part, Tensor) and part.cut is not None and not part.attached and part.shape == Shape(())
    ]
    return op in "*/" and len(measured) == 1 and any(isinstance(part, Unknown) for part in (a, b))


def _cut_of_pair(op: str, kind: Kind, tensors: Sequence[Tensor], attached: bool) -> Cut | None:
    """Where a gradient was cut off: of all that `a op b` is made of, or of one term of a sum of losses."""
    if attached and not (op in "+-" and kind == "loss"):
        return None
    terms = [part.cut for part in tensors if not part.attached or part.kind == "loss"]
    return next((cut for cut in terms if cut is not None), None)


def _turns_sign(op: str, a: Value, b: Value) -> bool:
    """Whether `a op b` has the opposite sign of the one that is no number."""
    if op == "-":
        return _number(a) == 0
    return op in "*/" and any(number is not None and number < 0 for number in (_number(a), _number(b)))


def _operator_kind(op: str, a: Value, b: Value) -> tuple[Kind, Value]:
    """The kind of `a op b`, and which of the two it comes from. Unknown unless it is sure."""
    number_a, number_b = _number(a), _number(b)
    if number_b is not None:
        return _with_number(op, kind_of(a), number_b), a
    if number_a is not None:
        return _number_with(op, number_a, kind_of(b)), b
    kind_a, kind_b = kind_of(a), kind_of(b)
    if "loss" in (kind_a, kind_b) and op in "+-*/":
        return "loss", a if kind_a == "loss" else b
    return _of_tensors(op, kind_a, kind_b), a


def _with_number(op: str, kind: Kind, number: float) -> Kind:
    if kind == "loss" and op in "+-*/":
        return "loss"
    if op in "+-" and abs(number) <= _SMALL and kind in (*_FRACTIONS, "raw", "nonnegative", "loss"):
        return kind
    if op in "+-" and kind == "raw":
        return "raw"
    if op in "*/" and number != 0:
        if kind in ("raw", "loss"):
            return kind
        factor = number if op == "*" else 1 / number
        if kind in _UNIT and factor == 1:
            return kind
        if kind in _UNIT and 0 < factor < 1:
            return "probability"
        if kind in (*_UNIT, "nonnegative") and factor > 0:
            return "nonnegative"
    if op == "**":
        if kind in _FRACTIONS and number >= 0:
            return "probability"
        if number % 2 == 0:
            return "nonnegative"
    return "unknown"


def _number_with(op: str, number: float, kind: Kind) -> Kind:
    if op == "-" and number == 1 and kind in _UNIT:
        return "class_index" if kind == "class_index" else "probability"
    if op in ("+", "*"):
        return _with_number(op, kind, number)
    if op == "-" and kind == "raw":
        return "raw"
    if op == "-" and kind == "loss":
        return "loss"
    return "unknown"


def _of_tensors(op: str, a: Kind, b: Kind) -> Kind:
    pair = {a, b}
    if "unknown" in pair:
        return "unknown"
    if op in "+-" and "raw" in pair:
        return "raw" if pair <= {"raw", "probability", "simplex", "bounded", "class_index", "one_hot"} else "unknown"
    if op == "-" and pair <= _FRACTIONS:
        return "bounded"
    if op == "+" and pair <= {*_UNIT, "nonnegative"}:
        return "nonnegative"
    if op == "*":
        if pair <= _UNIT:
            return "class_index" if pair <= {"class_index", "one_hot"} else "probability"
        if pair <= {*_UNIT, "nonnegative"}:
            return "nonnegative"
        if pair == {"raw"}:
            return "raw"
    return "unknown"


def _product(left: Value, right: Value, shape: Shape | None, at: NodeRef) -> Value:
    """A matrix product: rows of weights that sum to one over one-hot rows or distributions are distributions again."""
    out: list[Value] = []
    for a in alternatives(left):
        for b in alternatives(right):
            kind: Kind = "unknown"
            if kind_of(a) == "simplex" and kind_of(b) in ("one_hot", "simplex"):
                kind = "simplex"
            elif kind_of(a) == kind_of(b) == "raw":
                kind = "raw"
            trail = a.trail if isinstance(a, Tensor) else None
            if kind == "raw":
                trail = Trail(StepRef(at, f"the product gives {KIND_WORDS[kind]}"))
            activation = a.activation if isinstance(a, Tensor) else ""
            cause = (cause_of(a) or cause_of(b)) if kind == "unknown" else None
            batched = is_batch(a) or is_batch(b)
            out.append(Tensor(kind, activation, shape=shape, batched=batched, trail=trail, cause=cause))
    return union(out)


def unary(run: Interpreter, op: str, value: Value, node: ir.Node) -> Value:
    """The value of `-x`, `not x`, `~x`."""
    if op == "not":
        verdict = truth(value)
        return UNKNOWN if verdict is None else Const(not verdict)
    if isinstance(value, Const) and isinstance(value.value, (int, float)):
        return Const(-value.value) if op == "-" else value if op == "+" else UNKNOWN
    if op == "-":
        negate = run.contracts.op_functions.get("torch.neg")
        if negate is not None and not isinstance(value, Unknown):
            return apply(run, bind(negate, "-", (value,), {}, {}), node)
    return UNKNOWN


_COMPARISONS = {
    "gt": ">", "greater": ">", "ge": ">=", "greater_equal": ">=", "lt": "<", "less": "<", "le": "<=", "less_equal": "<=",
    "eq": "==", "ne": "!=", "not_equal": "!=",
}  # fmt: skip
_SIGMOIDS = frozenset(("sigmoid", ".sigmoid", ".Sigmoid", "Sigmoid"))
_MIRRORED = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "==", "!=": "!="}


def tell_comparison(run: Interpreter, left: Value, op: str, right: Value, node: ir.Node) -> None:
    """Tell checks of a comparison of anything but a constant with a number."""
    number = number_of(right)
    if number is None:
        left, op, right, number = right, _MIRRORED.get(op, ""), left, number_of(left)
    if number == 0 and is_pending(left) and _SIGMOIDS.isdisjoint(run.program.words(run.frame.path)):
        return
    if number is not None and op in _MIRRORED and not isinstance(left, Const):
        run.record(Comparison(run.ref(node), op, run.frame.training, value=left, op=op, number=number))


def compare(left: Value, ops: Sequence[str], rights: Sequence[Value], at: NodeRef) -> Value:
    """The value of a comparison: known for constants and for None, a mask for tensors."""
    if len(ops) == 1:
        verdict = _compare_known(left, ops[0], rights[0])
        if verdict is not None:
            return Const(verdict)
        for part in (left, rights[0]):
            if isinstance(part, Tensor):
                cut = cut_here(part, ops[0], at)
                return Tensor(
                    "class_index", ops[0], shape=part.shape, dtype="bool", attached=False, batched=part.batched, cut=cut
                )
    return UNKNOWN


_DEFINITE = (Instance, Class, Function, Layer, Criterion, Container, ModuleValue, Tuple, Tensor, Method, Items)


def _compare_known(left: Value, op: str, right: Value) -> bool | None:
    if op in ("is", "is not", "==", "!="):
        for one, other in ((left, right), (right, left)):
            if isinstance(one, Const) and one.value is None and isinstance(other, _DEFINITE):
                return op in ("is not", "!=")
    if isinstance(left, Const) and isinstance(right, Const):
        a, b = left.value, right.value
        if op in ("is", "=="):
            return bool(a == b)
        if op in ("is not", "!="):
            return bool(a != b)
        if isinstance(a, (int, float)) and isinstance(b, (int, float)):
            return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}.get(op)
        if isinstance(a, str) and isinstance(b, str) and op in ("in", "not in"):
            return (a in b) is (op == "in")
    if op in ("in", "not in") and isinstance(left, Const) and isinstance(right, Tuple):
        if all(isinstance(item, Const) for item in right.items):
            inside = any(isinstance(item, Const) and item.value == left.value for item in right.items)
            return inside is (op == "in")
    return None


def truth(value: Value) -> bool | None:
    """Whether a value counts as true, if the code fixes it. Computes nothing lazy."""
    parts = value.alternatives if isinstance(value, Union) else (value,)
    verdicts = {_truth_of(part) for part in parts}
    return verdicts.pop() if len(verdicts) == 1 else None


def _truth_of(part: Value) -> bool | None:
    if isinstance(part, Const):
        return bool(part.value)
    if isinstance(part, Tuple):
        return bool(part.items)
    if isinstance(part, (Instance, Class, Function, Layer, Criterion, Method)):
        return True
    return None


def is_flag(value: Value) -> bool:
    """Whether a value is one that is asked for its truth only."""
    return isinstance(value, Unknown) or (isinstance(value, Const) and isinstance(value.value, bool))
