"""A trace: installs the recorder by the contracts, takes it out again, and gives what was seen."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any

import torch
import torch.jit._builtins
import torch.jit._recursive

from torchlint import rulebook
from torchlint.contracts import Contracts, Loss
from torchlint.trace.imports import Watch
from torchlint.trace.limits import Limits, count_backwards, count_steps
from torchlint.trace.patches import Patches
from torchlint.trace.recorder import Recorder, Through
from torchlint.trace.report import Result, result_of
from torchlint.trace.seen import Origin
from torchlint.trace.sites import Homes

_SIGMOID = Origin("probability", "torch.sigmoid", "storage")
_SOFTMAX = Origin("simplex", "softmax", "storage")
_LOG_SOFTMAX = Origin("log_simplex", "log_softmax", "storage")
_LOG_SIGMOID = Origin("log_probability", "logsigmoid", "storage")

ACTIVATIONS: tuple[tuple[str, str, Origin], ...] = (
    ("torch", "sigmoid", _SIGMOID),
    ("torch", "sigmoid_", _SIGMOID),
    ("torch.special", "expit", _SIGMOID),
    ("torch.Tensor", "sigmoid", _SIGMOID),
    ("torch.Tensor", "sigmoid_", _SIGMOID),
    ("torch.nn.functional", "sigmoid", _SIGMOID),
    ("torch", "softmax", _SOFTMAX),
    ("torch.Tensor", "softmax", _SOFTMAX),
    ("torch.nn.functional", "softmax", _SOFTMAX),
    ("torch", "log_softmax", _LOG_SOFTMAX),
    ("torch.Tensor", "log_softmax", _LOG_SOFTMAX),
    ("torch.nn.functional", "log_softmax", _LOG_SOFTMAX),
    ("torch.nn.functional", "logsigmoid", _LOG_SIGMOID),
)
"""Holder, name, and what the function gives."""

COPIES: tuple[tuple[str, str], ...] = (
    ("torch", "cat"),
    ("torch", "stack"),
    *(("torch.Tensor", name) for name in "bfloat16 clone contiguous cpu cuda double float half to".split()),
)
"""Holder and name of functions that give a copy of what goes in."""


class Trace:
    """Records the loss calls of the code inside a `with` block; `report()` gives what is wrong with them.

    `contracts` are the rulebook's unless others are given, `limits` make a dry run of it; without
    `values` only shapes, dtypes, devices and operations are looked at.
    """

    def __init__(
        self,
        contracts: Contracts | None = None,
        *,
        script: str | None = None,
        limits: Limits | None = None,
        values: bool = True,
    ) -> None:
        self.contracts = contracts or rulebook.load_contracts()
        self.recorder = Recorder(Homes(script), values=values, plots=limits is not None)
        self.limits = limits
        self.patches = Patches()
        self.watch = Watch(lambda _: self._patch_libraries(), self._libraries())
        self.stop_counting: Callable[[], None] | None = None

    def __enter__(self) -> Trace:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Put the recorder in place."""
        torch.jit._builtins._get_builtin_table()  # type: ignore[no-untyped-call]  # built from the real functions, before others stand there
        for holder, name, origin in ACTIVATIONS:
            self.patches.replace(_holder(holder), name, partial(self.recorder.activated, origin=origin))
        for holder, name in COPIES:
            self.patches.replace(_holder(holder), name, self.recorder.copied)
        for path, loss in self.contracts.loss_functions.items():
            if path.startswith("torch."):
                self._patch_function(path, loss)
        self._patch_libraries()
        self.watch.start()
        self._keep_scripting()
        self.stop_counting = count_steps(self.recorder, self.limits)
        count_backwards(self.recorder, self.limits, self.patches)
        if self.limits is not None:
            self.limits.install(self.patches)
        self.patches.follow(self.recorder.homes.is_user)
        self.recorder.on = True

    def stop(self) -> None:
        """Put everything back as it was."""
        self.recorder.rest()
        self.watch.stop()
        if self.limits is not None:
            self.limits.close()
        if self.stop_counting is not None:
            self.stop_counting()
            self.stop_counting = None
        self.patches.undo(self.recorder.homes.is_user)

    def report(self) -> Result:
        """What was seen, site by site, and what is wrong with it."""
        return result_of(self.recorder)

    def _patch_function(self, path: str, loss: Loss) -> None:
        module, _, name = path.rpartition(".")
        names = [*(arg.name for arg in loss.args), *loss.function_options]
        traced = partial(self.recorder.traced, loss=loss, names=names, through=_through_forward(loss))
        self.patches.replace(_holder(module), name, traced)

    # ------------------------------------------------------------ other libraries

    def _libraries(self) -> set[str]:
        """The top packages besides torch whose losses the contracts describe."""
        names = [*self.contracts.loss_functions, *self.contracts.loss_classes]
        return {name.partition(".")[0] for name in names} - {"torch"}

    def _patch_libraries(self) -> None:
        """Record the losses of libraries that have been imported: their functions, and the `forward` of their classes."""
        done: set[int] = set()
        for path, loss in [*self.contracts.loss_functions.items(), *self.contracts.loss_classes.items()]:
            if path.startswith("torch."):
                continue
            module, _, name = path.rpartition(".")
            holder = sys.modules.get(module)
            found = getattr(holder, name, None)
            if found is None or id(found) in done or id(found) in self.patches.originals:
                continue
            done.add(id(found))
            if inspect.isclass(found):
                if "forward" in vars(found):
                    names = ["self", *(arg.name for arg in loss.args)]
                    traced = partial(self.recorder.traced, loss=loss, names=names, through=_THROUGH_CALL)
                    self.patches.replace(found, "forward", traced)
                    if "__init__" in vars(found):
                        self.patches.replace(found, "__init__", self.recorder.constructed)
            elif callable(found):
                names = [*(arg.name for arg in loss.args), *loss.function_options]
                self.patches.replace(holder, name, partial(self.recorder.traced, loss=loss, names=names))

    # ------------------------------------------------------------ torch.jit

    def _keep_scripting(self) -> None:
        """Let `torch.jit.script` see the functions that stand-ins stand for: it compiles sources and knows builtins by id."""
        original = self.patches.original

        def with_original(compile_or_find: Callable[..., Any]) -> Callable[..., Any]:
            def call(function: Any, *rest: Any) -> Any:
                return compile_or_find(original(function), *rest)

            return call

        self.patches.replace(torch.jit._builtins, "_find_builtin", with_original)
        self.patches.replace(torch.jit._recursive, "try_compile_fn", with_original)


_THROUGH_CALL = Through(torch.nn.Module._call_impl.__code__, 3)
"""A module's `forward` is called by this, and this by `_wrapped_call_impl`."""


def _through_forward(loss: Loss) -> Through | None:
    """Where a function of torch's is called for the module of the same loss."""
    for path in loss.classes:
        module, _, name = path.rpartition(".")
        if path.startswith("torch.") and "forward" in vars(getattr(_holder(module), name, object)):
            return Through(getattr(_holder(module), name).forward.__code__, _THROUGH_CALL.depth + 1)
    return None


def _holder(path: str) -> Any:
    """A module or a class of torch by its dotted name."""
    return torch.Tensor if path == "torch.Tensor" else importlib.import_module(path)
