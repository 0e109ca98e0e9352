"""Rules on the shapes of input and target: lost batch dimensions and broadcasts that nobody wanted."""

from __future__ import annotations

from collections.abc import Iterator

from torchlint.analysis.calls import LossCall
from torchlint.analysis.values import Shape, Tensor, Trail
from torchlint.checks.registry import Verdict, rule
from torchlint.findings import Plan, SqueezeArgument, SqueezeDim, StepRef


def _shown(part: Tensor) -> str:
    return "of unknown shape" if part.shape is None else str(part.shape)


def _verdict(given: Tensor, target: Tensor, one: Tensor) -> Verdict:
    trail = one.trail
    if one.squeezed is not None:
        trail = Trail(StepRef(one.squeezed, "`squeeze()` takes away every dimension of size 1"), trail)
    return Verdict(_words(given, target), trail, one.squeezed, plan=_with_dim(one))


def _with_dim(squeezed: Tensor) -> Plan | None:
    """Name the dimension that `squeeze()` is there for, if the shape before it has exactly one of size 1 behind the first."""
    shape = squeezed.unsqueezed
    if squeezed.squeezed is None or shape is None or shape.dims.count(1) != 1:
        return None
    index = shape.dims.index(1)
    last = index == len(shape.dims) - 1
    if not last and (shape.open or index == 0):
        return None
    exact = not shape.open and index > 0 and all(dim is not None for dim in shape.dims[1:])
    return SqueezeDim(squeezed.squeezed, -1 if last else index, exact)


def _flat(call: LossCall, given: Tensor, target: Tensor) -> Plan | None:
    """Take the last dimension off the side that is a column."""
    role = "input" if _column(given.shape, given.batched) else "target"
    arg = call.loss.arg(role)
    side = given if role == "input" else target
    if arg is None or side.shape is None:
        return None
    position = [each.name for each in call.loss.args].index(arg.name)
    scalar = call.options.get("reduction") is None
    return SqueezeArgument(call.at, (arg.name, *arg.also), position, exact=scalar and not side.shape.open)


def _words(given: Tensor, target: Tensor) -> dict[str, str]:
    return {
        "input": given.activation or "the input",
        "target": "the target",
        "input_shape": _shown(given),
        "target_shape": _shown(target),
    }


@rule("TLN201")
def squeeze_without_dim(call: LossCall) -> Iterator[Verdict]:
    """`squeeze()` takes the batch dimension away too when a batch holds one sample."""
    given, target = _squeezed(call, "input"), _squeezed(call, "target")
    if call.full_batches or _meets(call) is not None:
        return
    if given is not None and not _is_squeezed(call, "target") and call.loss.shapes == "equal" and call.arg("target"):
        yield _verdict(given, _some_tensor(call, "target"), given)
    elif target is not None and call.loss.shapes in ("equal", "index") and not _is_squeezed(call, "input"):
        yield _verdict(_some_tensor(call, "input"), target, target)


def _squeezed(call: LossCall, role: str) -> Tensor | None:
    """The argument of a role if in every case `squeeze()` may have taken its batch dimension."""
    found = [part for part in call.arg(role) if isinstance(part, Tensor)]
    whole = found and len(found) == len(call.arg(role))
    return found[0] if whole and all(part.squeezed is not None and part.batched for part in found) else None


def _is_squeezed(call: LossCall, role: str) -> bool:
    return any(isinstance(part, Tensor) and part.squeezed is not None for part in call.arg(role))


def _some_tensor(call: LossCall, role: str) -> Tensor:
    return next((part for part in call.arg(role) if isinstance(part, Tensor)), Tensor())


def _column(shape: Shape | None, batched: bool) -> bool:
    """Whether a shape is [B, 1] with B not 1: certainly a last dimension of 1 behind one that varies or is larger."""
    if shape is None or not shape.dims or shape.dims[-1] != 1:
        return False
    if shape.open:
        return batched and len(shape.dims) == 1
    return len(shape.dims) == 2 and shape.dims[0] != 1  # rows and one column


def _row(shape: Shape | None) -> bool:
    """Whether a shape is [B] with B not 1."""
    return shape is not None and not shape.open and len(shape.dims) == 1 and shape.dims[0] != 1


def _meets(call: LossCall) -> tuple[Tensor, Tensor] | None:
    """Input and target, if one of them is [B, 1] and the other [B]."""
    given, target = call.tensor("input"), call.tensor("target")
    if given is None or target is None:
        return None
    if (_column(given.shape, given.batched) and _row(target.shape)) or (
        _row(given.shape) and _column(target.shape, target.batched)
    ):
        return given, target
    return None


@rule("TLN202")
def squeeze_one_side(call: LossCall) -> Iterator[Verdict]:
    """One side made one-dimensional, so that [B] meets [B, 1]."""
    found = _meets(call)
    if found is not None and call.loss.shapes in ("warns", "broadcasts", "equal"):
        given, target = found
        flat = given if _row(given.shape) else target
        if flat.flattened is not None:
            note = "the dimension of size 1 is taken away here"
            trail = Trail(StepRef(flat.flattened, note), flat.trail)
            yield Verdict(_words(given, target), trail, flat.flattened, plan=_flat(call, given, target))


@rule("TLN203")
def broadcast_mismatch(call: LossCall) -> Iterator[Verdict]:
    """[B, 1] against [B] in a loss that broadcasts them to [B, B]."""
    found = _meets(call)
    if found is not None and call.loss.shapes in ("warns", "broadcasts"):
        given, target = found
        if given.flattened is None and target.flattened is None:
            yield Verdict(_words(given, target), given.trail or target.trail, plan=_flat(call, given, target))
