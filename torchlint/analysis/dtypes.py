"""The types of numbers, and those that arguments ask for."""

from __future__ import annotations

from typing import Literal

from torchlint.analysis.values import Const, Extern, Value, alternatives

Number = Literal["unknown", "float", "int", "bool"]

NUMBERS: dict[type, Number] = {bool: "bool", int: "int", float: "float"}

_TYPE_NAMES: dict[str, Number] = {
    "float float16 float32 float64 double half bfloat16 FloatTensor DoubleTensor HalfTensor": "float",
    "int int8 int16 int32 int64 long short uint8 LongTensor IntTensor ByteTensor": "int",
    "bool BoolTensor": "bool",
}


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
