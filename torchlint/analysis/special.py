"""Operations of which no table of kinds can say what they give: it depends on their arguments."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from torchlint.analysis import arithmetic, conversions, gradients, iteration, shapes, transfer, wording
from torchlint.analysis.shapes import Bound
from torchlint.analysis.values import (
    UNKNOWN,
    Const,
    Container,
    Items,
    Layer,
    Shape,
    Size,
    Tensor,
    Tuple,
    Value,
    alternatives,
    either,
    guarded,
    is_batch,
    kind_of,
    union,
)
from torchlint.contracts import Kind
from torchlint.findings import NodeRef

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


def _clamp(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value | None:
    """Clamping into [0, 1] makes probabilities of anything; other limits keep what they cannot change."""
    low_name = "max" if bound.op.id == "clamp_max" else "min"
    given_low, given_high = bound.named.get("min"), bound.named.get("max")
    if bound.op.id == "clamp_max":
        given_high = given_high or bound.option(low_name, 0)
    low, high = arithmetic.number_in(given_low), arithmetic.number_in(given_high)
    if given_low is None:
        given_low = bound.named.get(low_name)
    out: list[Value] = []
    shape = shapes.shape_of(bound.input)
    for part in alternatives(bound.input):
        kind = kind_of(part)
        if kind in arithmetic.UNIT or kind in ("log_simplex", "log_probability", "loss"):
            out.append(msgspec.structs.replace(part, applied=None) if isinstance(part, Tensor) else part)
        elif low is not None and high is not None and 0 <= low <= high <= 1:
            out.append(transfer.made(bound, "probability", shape, at, layer, part))
        elif kind == "raw" and (low is None or low < 0) and (high is None or high > 1) and (given_low or given_high):
            fixed = (given_low is None or low is not None) and (given_high is None or high is not None)
            out.append(part if fixed else transfer.made(bound, "unknown", shape, at, layer, part))
        else:
            result: Kind = "nonnegative" if low is not None and low >= 0 else "unknown"
            out.append(transfer.made(bound, result, shape, at, layer, part))
    return union(out)


def _arithmetic(op: str) -> Callable[[Interpreter, Bound, NodeRef, Layer | None], Value | None]:
    def rule(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value | None:
        other = bound.named.get("other") or bound.named.get("exponent")
        if other is None or "alpha" in bound.named:
            return None
        return arithmetic.combine(op, bound.input, other, at)

    return rule


def _matmul(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value | None:
    other = bound.named.get("other") or bound.named.get("mat2")
    return None if other is None else arithmetic.product(bound.input, other, shapes.apply(bound), at)


def _pieces(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value | None:
    shape = shapes.piece(bound)
    parts = alternatives(transfer.by_table(run, bound, at, layer))
    return Items(union(msgspec.structs.replace(p, shape=shape) if isinstance(p, Tensor) else p for p in parts))


def _recurrent(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value | None:
    """The outputs of all steps and the last states, with a dimension of layers in front: for an LSTM a pair of them."""
    shape = shapes.shape_of(bound.input)
    outputs = None if shape is None or shape.open else Shape((*shape.dims[:-1], None))
    batched, many = is_batch(bound.input), _refuses_other_sizes(run, bound)
    state = Tensor("unknown", batched=batched, many=many)
    last = Tuple((state, state)) if bound.name.endswith("LSTM") else state
    return Tuple((Tensor("unknown", shape=outputs, batched=batched, many=many), last))


def _refuses_other_sizes(run: Interpreter, bound: Bound) -> bool:
    """Whether a network is given a state that was not made for this very batch: it raises for a batch of another size."""
    given = bound.option("hx", 0) if bound.op.id == "recurrent_layer" else None
    return given is not None and any(not _fits_any_batch(run, part) for part in alternatives(given))


def _fits_any_batch(run: Interpreter, state: Value, depth: int = 0) -> bool:
    """Whether a state is as long as the batch: there is none, or it was made with a size of the batch."""
    if isinstance(state, (Tuple, Items, Container)):
        if depth == conversions.DEEPEST:
            return False
        return all(_fits_any_batch(run, part, depth + 1) for part in alternatives(iteration.iterate(run, state)[0]))
    if isinstance(state, Const):
        return state.value is None
    return is_batch(state) and not (isinstance(state, Tensor) and state.many)


def _randint(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value | None:
    """Whole numbers, which count from 0 on if the lower limit is 0, as it is where one limit is given only."""
    first, second = bound.named.get("low"), bound.named.get("high")
    alone = second is None or isinstance(alternatives(second)[0], (Tuple, Size))
    low = 0.0 if alone else arithmetic.number_in(first)
    made = transfer.by_table(run, bound, at, layer)
    if low is None or low < 0 or not isinstance(made, Tensor):
        return made
    return msgspec.structs.replace(made, kind="class_index")


def _scatter(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value | None:
    """Ones put into zeros: flags, as of the classes of each sample or of the entries that count."""
    source = bound.rest[2] if len(bound.rest) > 2 else bound.named.get("value") or bound.named.get("src")
    blank = all(isinstance(part, Tensor) and part.blank for part in alternatives(bound.input))
    if not blank or "scatter" not in bound.name or arithmetic.number_in(source) not in (0, 1):
        return None
    made = transfer.by_table(run, bound, at, layer)
    return msgspec.structs.replace(made, kind="class_index", blank=True) if isinstance(made, Tensor) else made


def _repeated(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value | None:
    """The same rows several times over: never one."""
    made = transfer.by_table(run, bound, at, layer)
    many = _repeats_rows(bound)
    return union(
        msgspec.structs.replace(part, many=part.many or many, sample=None if many else part.sample)
        if isinstance(part, Tensor)
        else part
        for part in alternatives(made)
    )


def _repeats_rows(bound: Bound) -> bool:
    """Whether each row, or all of them, are repeated a number of times above 1."""
    if bound.op.id == "repeat":
        sizes = shapes.sizes_of(bound.rest[:1])
        times = sizes[0] if sizes else None
    else:
        along = bound.named.get("dim")
        times = shapes.const_int(bound.named.get("repeats")) if along is None or shapes.const_int(along) == 0 else None
    return isinstance(times, int) and times > 1


def _parameter(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value | None:
    """What is learned, which may become any number whatever it was made from."""
    made = transfer.by_table(run, bound, at, layer)
    if not isinstance(made, Tensor) or made.kind != "unknown":
        return made
    return msgspec.structs.replace(made, activation=gradients.PARAMETER)


def _log(run: Interpreter, bound: Bound, at: NodeRef, layer: Layer | None) -> Value | None:
    """A logarithm is one whatever it is taken of."""
    name = wording.spelled(bound.name)
    return either(
        (
            msgspec.structs.replace(part, activation=name)
            if isinstance(part, Tensor) and part.kind == "unknown"
            else part,
            guard,
        )
        for part, guard in guarded(transfer.by_table(run, bound, at, layer))
    )


@cache
def rules() -> dict[str, Callable[[Interpreter, Bound, NodeRef, Layer | None], Value | None]]:
    """What operations give, by their ids. Made at the first call: these modules import each other."""
    return {
        "clamp": _clamp,
        "clamp_": _clamp,
        "clamp_min": _clamp,
        "clamp_max": _clamp,
        "add": _arithmetic("+"),
        "sub": _arithmetic("-"),
        "mul": _arithmetic("*"),
        "div": _arithmetic("/"),
        "pow": _arithmetic("**"),
        "log": _log,
        "matmul": _matmul,
        "bmm": _matmul,
        "chunk": _pieces,
        "split": _pieces,
        "unbind": _pieces,
        "recurrent_layer": _recurrent,
        "recurrent_cell": lambda *_: UNKNOWN,
        "multihead_attention_layer": _recurrent,
        "to": conversions.to,
        "parameter": _parameter,
        "repeat": _repeated,
        "repeat_interleave": _repeated,
        "scatter": _scatter,
        "overwrite_": _scatter,
        "randint": _randint,
        "numpy_randint": _randint,
        "tensor": conversions.tensor_of,
        "numpy_array": conversions.tensor_of,
        "as_tensor": conversions.tensor_of,
        "FloatTensor": conversions.tensor_of,
        "LongTensor": conversions.tensor_of,
    }
