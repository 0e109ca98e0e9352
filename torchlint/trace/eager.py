"""Lets compiled and scripted code of a dry run run as it is written, so that its losses and activations are seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from torchlint.trace.patches import Patches


def install(patches: Patches) -> None:
    """Run what the program compiles, scripts or records from now on eagerly."""
    patches.replace(torch, "compile", _uncompiled)
    patches.replace(torch.jit, "script", _unscripted)
    patches.replace(torch.jit, "trace", _unrecorded)
    patches.replace(torch.jit.ScriptFunction, "__call__", _written)


def _uncompiled(original: Callable[..., Any]) -> Callable[..., Any]:
    def compile_(*args: Any, **kwargs: Any) -> Any:
        torch.compiler.set_stance("force_eager")  # imports the compiler, which few scripts need
        return original(*args, **kwargs)

    return compile_


def _written(original: Callable[..., Any]) -> Callable[..., Any]:
    """A scripted function keeps the one that it was made of; while another is recorded, it is left as it is."""

    def call(function: Any, *args: Any, **kwargs: Any) -> Any:
        source = vars(function).get("_torchdynamo_inline")
        if source is None or torch._C._get_tracing_state() is not None:
            return original(function, *args, **kwargs)
        return source(*args, **kwargs)

    return call


def _unscripted(original: Callable[..., Any]) -> Callable[..., Any]:
    def script(obj: Any, optimize: Any = None, _frames_up: int = 0, *args: Any, **kwargs: Any) -> Any:
        made = original(obj, optimize, _frames_up + 1, *args, **kwargs)  # it looks for names in its caller's frame
        return _forwarding(made, obj, follows_mode=True)

    return script


def _unrecorded(original: Callable[..., Any]) -> Callable[..., Any]:
    def trace(func: Any, *args: Any, **kwargs: Any) -> Any:
        return _forwarding(original(func, *args, **kwargs), func, follows_mode=False)

    return trace


def _forwarding(made: Any, module: Any, *, follows_mode: bool) -> Any:
    """A compiled module whose `forward` is that of the module it was made of. It keeps everything else it has."""
    if isinstance(made, torch.jit.ScriptModule) and isinstance(module, torch.nn.Module) and made is not module:
        compiled = made.forward

        def forward(*args: Any, **kwargs: Any) -> Any:
            if torch._C._get_tracing_state() is not None:
                return compiled(*args, **kwargs)
            _align(module, made, follows_mode=follows_mode)
            return module.forward(*args, **kwargs)

        vars(made)["forward"] = forward
    return made


def _align(module: torch.nn.Module, made: torch.nn.Module, *, follows_mode: bool) -> None:
    """Give a module the tensors of the compiled one, which may have been moved since, and its mode."""
    twins = dict(made.named_modules())
    for name, part in module.named_modules():
        twin = twins.get(name)
        if twin is None:
            continue
        if follows_mode:
            part.training = twin.training
        for own, theirs in ((part._parameters, twin._parameters), (part._buffers, twin._buffers)):
            for key, tensor in theirs.items():
                if tensor is not None and key in own and own[key] is not tensor:
                    own[key] = tensor
