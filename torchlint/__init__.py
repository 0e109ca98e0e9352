"""torchlint finds loss mistakes in PyTorch code by following values from the model's last layer to the loss."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torchlint.trace.session import Trace as trace  # noqa: N813

__all__ = ["__version__", "trace"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`torchlint.trace()` is the tracer, which is imported when it is asked for."""
    if name == "trace":
        import importlib  # noqa: PLC0415

        return importlib.import_module("torchlint.trace")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
