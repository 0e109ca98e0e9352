"""`--device fake`: runs a program on tensors that have a shape, a dtype and a device, and no values and no memory.

torch's own FakeTensorMode does most of that. What is added here is a CUDA device where there is none, stand-ins for the few
numbers that programs read out of tensors (the loss that is printed), and the place at which code that needs real values stops.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
import torch.utils.data
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
    UnsupportedFakeTensorException,
    UnsupportedOperatorException,
    unset_fake_temporarily,
)
from torch.utils._pytree import tree_map_only
from torch.utils.data import dataloader
from torch.utils.data import dataset as datasets

from torchlint.errors import UserError
from torchlint.trace.limits import PATIENCE, DryRunDone
from torchlint.trace.patches import Patches
from torchlint.trace.seen import Faked, Halt
from torchlint.trace.sites import Homes

STOPPED = 3
"""The exit code of a run that came to code which needs values."""
_NEEDS_VALUES = (DataDependentOutputException, DynamicOutputShapeException)
_UNKNOWN = (UnsupportedOperatorException, UnsupportedFakeTensorException)

_DEVICE = torch.ops.prim.device.default
_SCALAR = torch.ops.aten._local_scalar_dense.default
_MEMORY = 80 << 30

_ANSWERS: dict[str, object] = {
    "is_available": True,
    "is_initialized": True,
    "is_bf16_supported": True,
    "is_current_stream_capturing": False,
    "device_count": 1,
    "get_device_name": "fake device",
    "get_device_capability": (9, 0),
    "get_arch_list": ["sm_90"],
    "get_device_properties": SimpleNamespace(
        name="fake device", major=9, minor=0, total_memory=_MEMORY, multi_processor_count=132, gcnArchName=""
    ),
    "mem_get_info": (_MEMORY, _MEMORY),
    "memory_stats": {},
    "memory_summary": "",
    **dict.fromkeys(
        "memory_allocated max_memory_allocated memory_reserved max_memory_reserved memory_cached max_memory_cached "
        "utilization temperature power_draw initial_seed".split(),
        0,
    ),
    **dict.fromkeys(
        "_lazy_init init synchronize empty_cache ipc_collect manual_seed manual_seed_all seed seed_all set_rng_state "
        "set_rng_state_all reset_peak_memory_stats reset_max_memory_allocated reset_max_memory_cached set_stream "
        "reset_accumulated_memory_stats set_per_process_memory_fraction".split()
    ),
}
"""What the functions of torch.cuda say of a device that is not there."""

_HEALTHY = {"isnan": False, "isinf": False, "isfinite": True, "any": False, "all": True}
"""Questions that code asks to be safe, and the answers with which it goes on."""


class Stopped(DryRunDone):
    """Ends a fake run at code that needs values."""


class Fake:
    """A device without memory. `start` lets the program run on it, `stop` ends that; `told` is what became of it.

    `give_up` reports and ends the process when the program swallows the stop.
    """

    def __init__(self, homes: Homes, patches: Patches, give_up: Callable[[], None]) -> None:
        self.homes = homes
        self.patches = patches
        self.give_up = give_up
        self.ends = 0
        self.mode = _Mode(self)
        self.guard = _Guard()
        self.current = 0
        self.halt: Halt | None = None
        self.guessed: dict[str, None] = {}
        self.saved: dict[str, object] = {}

    def start(self) -> None:
        """Let every tensor that is made from now on be a fake one."""
        self.guard.start()
        self._install_cuda()
        self._install_tensors()
        self._install_data()
        self.mode.__enter__()

    def stop(self) -> None:
        """Let tensors be real again. The patches are undone by their owner."""
        if torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE) is not None:  # not inside an operation
            self.mode.__exit__(None, None, None)
        self.guard.stop()

    @property
    def told(self) -> Faked:
        """Where it stopped the program, and which lines got a 1 for a number that nobody knows."""
        return Faked(self.halt, tuple(self.guessed))

    def place(self) -> str:
        """The line of the user's that runs."""
        frame = self.homes.frame(sys._getframe(1))
        return f"{frame.f_code.co_filename}:{frame.f_lineno}"

    def guess(self) -> None:
        """Remember that a number was asked for that nobody knows."""
        self.guessed[self.place()] = None

    def end(self, why: str) -> Stopped:
        """What to raise where the program cannot go on."""
        if self.halt is None:
            self.halt = Halt(self.place(), why)
        self.ends += 1
        if self.ends > PATIENCE:
            self.give_up()
        return Stopped(STOPPED)

    # ------------------------------------------------------------ a CUDA device

    def named(self, value: Any) -> Any:
        """A device with its number, where `cuda` alone is said."""
        if isinstance(value, str) and value.partition(":")[0] == "cuda":
            value = torch.device(value)
        lacks_number = isinstance(value, torch.device) and str(value) == "cuda"
        return torch.device("cuda", self.current) if lacks_number else value

    def _install_cuda(self) -> None:
        put = self.patches.put
        for holder in (torch.cuda, torch.cuda.memory, torch.cuda.random):
            for name, answer in _ANSWERS.items():
                if hasattr(holder, name):
                    put(holder, name, _says(answer))
        for name in ("Stream", "Event", "ExternalStream"):
            put(torch.cuda, name, _Quiet)
        for name in ("current_stream", "default_stream", "stream"):
            put(torch.cuda, name, _Quiet)
        put(torch.cuda, "current_device", lambda: self.current)
        put(torch.cuda, "set_device", self._exchange)
        put(torch.cuda, "_exchange_device", self._exchange)
        put(torch.cuda, "_maybe_exchange_device", self._exchange)
        for name in ("get_rng_state", "get_rng_state_all"):
            put(torch.cuda, name, lambda *_, **__: torch.empty(16, dtype=torch.uint8))
        put(torch.accelerator, "is_available", lambda: True)
        put(torch.accelerator, "device_count", lambda: 1)
        put(torch.accelerator, "current_accelerator", lambda *_, **__: torch.device("cuda"))
        put(torch.accelerator, "current_device_index", lambda: self.current)
        put(torch.accelerator, "current_stream", _Quiet)
        for name in ("set_device_index", "synchronize", "empty_cache"):
            if hasattr(torch.accelerator, name):
                put(torch.accelerator, name, _says(None))

        def steps(scaler: object, optimizer: Any, state: object, *args: Any, **kwargs: Any) -> Any:
            return optimizer.step(*args, **kwargs)  # it asks first whether a gradient overflowed

        def alone(parallel: Any, *args: Any, **kwargs: Any) -> Any:
            args, kwargs = tree_map_only(
                torch.Tensor, lambda tensor: tensor.to(parallel.src_device_obj), (args, kwargs)
            )
            return parallel.module(*args, **kwargs)

        put(torch.nn.DataParallel, "forward", alone)
        put(torch.amp.GradScaler, "_maybe_opt_step", steps)

    def _exchange(self, device: Any) -> int:
        before = self.current
        index = device if isinstance(device, int) else self.named(device).index
        if index is not None and index >= 0:
            self.current = index
        return before

    # ------------------------------------------------------------ tensors

    def _install_tensors(self) -> None:
        replace, put = self.patches.replace, self.patches.put
        replace(torch.Tensor, "to", self._to)
        put(torch.Tensor, "cuda", self._cuda)
        put(torch.Tensor, "pin_memory", lambda tensor, *_, **__: tensor)
        put(torch.Tensor, "is_pinned", lambda *_, **__: False)
        put(FakeTensor, "is_cuda", property(lambda tensor: tensor.fake_device.type == "cuda"))
        put(FakeTensor, "tolist", self._tolist)
        put(FakeTensor, "__deepcopy__", _copied)
        replace(torch.Tensor, "numpy", self._numpy)
        replace(torch.Tensor, "__format__", _format)
        replace(torch.nn.Module, "_apply", _apply)
        for name, answer in _HEALTHY.items():
            for holder in (torch, torch.Tensor):
                replace(holder, name, partial(_answered, answer=answer))
        replace(threading.Thread, "run", self._in_thread)
        replace(torch, "save", self._saves)
        replace(torch, "load", self._loads)

    @property
    def _cuda(self) -> Callable[..., Any]:
        def cuda(tensor: torch.Tensor, device: Any = None, *_: Any, **__: Any) -> Any:
            return tensor.to(self._number(device))

        return cuda

    def _number(self, device: Any) -> Any:
        return torch.device("cuda", device) if isinstance(device, int) else self.named(device or "cuda")

    def _to(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def to(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            args = (*(self._number(arg) if type(arg) is int else self.named(arg) for arg in args),)
            kwargs = {name: self.named(value) for name, value in kwargs.items()}
            if args and isinstance(args[0], torch.Tensor):
                args = (args[0].device, args[0].dtype, *args[1:])
            if isinstance(tensor, FakeTensor) and not kwargs.get("copy") and len(args) < 4:
                options = {name: value for name, value in kwargs.items() if name != "copy"}
                parsed: Any = torch._C._nn._parse_to(*args, **options)
                device, dtype, _, layout = parsed
                same = device in (None, tensor.device) and dtype in (None, tensor.dtype)
                if same and layout is None:
                    return tensor
            return original(tensor, *args, **kwargs)

        return to

    @property
    def _tolist(self) -> Callable[..., Any]:
        def tolist(tensor: torch.Tensor) -> Any:
            self.guess()
            return _ones(tuple(tensor.shape), _one(tensor.dtype))

        return tolist

    def _numpy(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def numpy(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            if not isinstance(tensor, FakeTensor):
                return original(tensor, *args, **kwargs)
            self.guess()
            with unset_fake_temporarily():
                return original(torch.ones(tuple(tensor.shape), dtype=tensor.dtype))

        return numpy

    def scalar(self, tensor: FakeTensor) -> Any:
        """What `.item()`, `float()` and `if` get: a 1, or the healthy answer; where a program branches, nothing."""
        if tensor.dtype != torch.bool:
            self.guess()
            return _one(tensor.dtype)
        answer = getattr(tensor, "torchlint_answer", None)
        if answer is None:
            raise self.end("whether a condition holds depends on values")
        return answer

    def _in_thread(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def run(thread: threading.Thread) -> None:
            with self.mode:
                original(thread)

        return run

    # ------------------------------------------------------------ data and checkpoints

    def _install_data(self) -> None:
        """Data come from the program's own code, as they are, and are turned into fake ones batch by batch."""
        replace = self.patches.replace

        def iterates(original: Callable[..., Any]) -> Callable[..., Any]:
            def get(loader: Any) -> Any:
                loader.num_workers, loader.prefetch_factor, loader.timeout = 0, None, 0
                loader.pin_memory = False
                with unset_fake_temporarily():
                    return original(loader)

            return get

        def gives(original: Callable[..., Any]) -> Callable[..., Any]:
            def next_data(iterator: Any) -> Any:
                with unset_fake_temporarily():
                    batch = original(iterator)
                return tree_map_only(torch.Tensor, self._fake, batch)

            return next_data

        def really(original: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                with unset_fake_temporarily():
                    return original(*args, **kwargs)

            return call

        replace(dataloader.DataLoader, "_get_iterator", iterates)
        replace(dataloader._SingleProcessDataLoaderIter, "_next_data", gives)
        for holder in (datasets, torch.utils.data):
            replace(holder, "random_split", really)

    def _fake(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor if isinstance(tensor, FakeTensor) else self.mode.from_tensor(tensor)

    def _saves(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def save(obj: object, f: Any, *args: Any, **kwargs: Any) -> None:
            if isinstance(f, (str, os.PathLike)):
                self.saved[os.path.abspath(f)] = obj
                obj = None
            original(obj, f, *args, **kwargs)

        return save

    def _loads(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def load(f: Any, *args: Any, **kwargs: Any) -> Any:
            path = os.path.abspath(f) if isinstance(f, (str, os.PathLike)) else None
            return self.saved[path] if path in self.saved else original(f, *args, **kwargs)

        return load


class _Mode(FakeTensorMode):  # type: ignore[no-untyped-call]
    """torch's mode, with a CUDA device that needs no library, and with stand-ins for numbers."""

    avoid_device_init = True

    def __init__(self, fake: Fake) -> None:
        super().__init__(allow_non_fake_inputs=True)
        self.fake = fake
        self.asked = torch.device("cuda", 0)

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is _DEVICE and not self.in_kernel_invocation and args[0].fake_device.type == "cuda":
            self.asked = args[0].fake_device
            return _Guard.DEVICE
        try:
            return super().__torch_dispatch__(func, types, args, kwargs or {})
        except _NEEDS_VALUES as error:
            raise self.fake.end(f"how many values {_called(error, func)} gives depends on values") from None
        except _UNKNOWN as error:
            raise self.fake.end(f"nothing is known of what {_called(error, func)} gives for fake tensors") from None

    def dispatch(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is _SCALAR and isinstance(args[0], FakeTensor) and args[0].constant is None:
            return self.fake.scalar(args[0])
        kwargs = kwargs or {}
        device = kwargs.get("device")
        if device is not None and device.type == _Guard.DEVICE.type:  # C++ makes a tensor like that it asked about
            kwargs = {**kwargs, "device": self.asked}
        return super().dispatch(func, types, args, kwargs)


class _Guard:
    """Lets torch compute gradients of tensors on CUDA where no CUDA is.

    The autograd engine asks the device's guard for streams, and a build of torch without CUDA has none; with CUDA and
    without a GPU, it fails, too. What C++ sees is therefore a device that torch has no more to say about, XLA, which
    autocast treats as it treats CUDA; and the guard for devices written in Python, which does nothing, stands in for its
    own.
    """

    DEVICE = torch.device("xla", 0)

    def __init__(self) -> None:
        self.table: Any = None
        self.before: int | None = None

    def start(self) -> None:
        """Put the guard there. Raises UserError where the table of guards cannot be reached."""
        from torch.utils.backend_registration import _DummyDeviceGuard  # noqa: PLC0415

        kinds = torch._C._autograd.DeviceType
        stand_in, xla = int(kinds.PrivateUse1.value), int(kinds.XLA.value)
        folder = os.path.join(os.path.dirname(torch.__file__), "lib")
        name = "libc10.dylib" if sys.platform == "darwin" else "libc10.so"
        try:
            library = ctypes.CDLL(os.path.join(folder, name))
            table = (ctypes.c_void_p * (stand_in + 1)).in_dll(library, "_ZN3c104impl26device_guard_impl_registryE")
        except (OSError, ValueError) as error:
            raise UserError(f"--device fake does not work with this build of torch: {error}") from error
        if not table[stand_in]:
            guard = _GUARDS[0] if _GUARDS else _DummyDeviceGuard()
            _GUARDS[:] = [guard]
            torch._C._acc.register_python_privateuseone_device_guard(guard)
        self.table, self.before = table, table[xla]
        table[xla] = table[stand_in]

    def stop(self) -> None:
        """Put back what was there."""
        if self.table is not None:
            self.table[int(torch._C._autograd.DeviceType.XLA.value)] = self.before
            self.table = None


_GUARDS: list[Any] = []
"""torch keeps a bare pointer to the guard: it has to live as long as the process."""


class _Quiet:
    """A stream or an event: whatever is asked of it, nothing happens."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.device = torch.device("cuda", 0)

    def __enter__(self) -> _Quiet:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def elapsed_time(self, other: object) -> float:
        """Milliseconds between two events."""
        return 1.0

    def query(self) -> bool:
        """Whether all is done."""
        return True

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: None


def _says(answer: object) -> Callable[..., object]:
    return lambda *_, **__: answer


def _one(dtype: torch.dtype) -> float | int | bool | complex:
    """A number that nothing is divided by zero with."""
    if dtype.is_complex:
        return 1 + 0j
    if dtype == torch.bool:
        return True
    return 1.0 if dtype.is_floating_point else 1


def _ones(shape: Sequence[int], one: object) -> Any:
    return [_ones(shape[1:], one) for _ in range(shape[0])] if shape else one


def _called(error: Exception, func: Any) -> str:
    """The operation that failed, as torch's users know it: `nonzero`."""
    named = getattr(error, "func", func)
    return str(getattr(named, "__name__", named)).partition(".")[0]


def _answered(original: Callable[..., Any], answer: bool) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if isinstance(result, FakeTensor):
            result.torchlint_answer = answer  # type: ignore[attr-defined]
        return result

    return call


def _format(original: Callable[..., str]) -> Callable[..., str]:
    def format_(tensor: torch.Tensor, spec: str) -> str:
        if isinstance(tensor, FakeTensor) and not tensor.dim():
            return format(tensor.item(), spec)
        return original(tensor, spec)

    return format_


def _copied(tensor: torch.Tensor, memo: dict[int, Any]) -> Any:
    if id(tensor) not in memo:
        with torch.no_grad():
            made = tensor.detach().clone()
        is_parameter = isinstance(tensor, torch.nn.Parameter)
        memo[id(tensor)] = (
            torch.nn.Parameter(made, tensor.requires_grad)
            if is_parameter
            else made.requires_grad_(tensor.requires_grad)
        )
    return memo[id(tensor)]


def _apply(original: Callable[..., Any]) -> Callable[..., Any]:
    """`Module._apply` exchanges the tensors of fake parameters, which fails as soon as a graph knows them."""

    def apply(module: torch.nn.Module, fn: Callable[[Any], Any], recurse: bool = True) -> torch.nn.Module:
        own = {name: each for name, each in module._parameters.items() if each is not None}
        if not all(isinstance(each, FakeTensor) for each in own.values()):
            return original(module, fn, recurse)  # type: ignore[no-any-return]
        if recurse:
            for child in module.children():
                child._apply(fn)  # type: ignore[no-untyped-call]
        for name, parameter in own.items():
            with torch.no_grad():
                made = fn(parameter)
                grad = None if parameter.grad is None else fn(parameter.grad)
            if parameter.is_meta and not made.is_meta:  # a fake tensor stays on the meta device, whatever it is given
                module._parameters[name] = torch.nn.Parameter(made, parameter.requires_grad)
            elif made is not parameter:
                parameter.grad = None
                parameter.data = made
                parameter.fake_device = made.fake_device  # type: ignore[attr-defined]
                parameter.grad = grad
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = fn(buffer)
        return module

    return apply
