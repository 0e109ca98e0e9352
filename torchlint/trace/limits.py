"""Makes a run short: few batches of each loader, the short last one among them, and an end after some optimizer steps."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sized
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.data import DataLoader, IterableDataset

from torchlint.trace.imports import Watch
from torchlint.trace.patches import Patches
from torchlint.trace.recorder import Recorder

BACKWARDS_PER_STEP = 16
"""A loop that never calls an optimizer's step ends after so many calls of backward() for each step that was allowed."""
PATIENCE = 3
"""How often a stop that the program swallows is repeated before the process is ended."""


class DryRunDone(SystemExit):
    """Ends the traced program. A SystemExit: `except Exception` lets it through, and a thread that it ends says nothing."""


class Limits:
    """Counts steps and stops the program; `give_up` reports and ends the process when the stop is swallowed."""

    def __init__(self, steps: int, batches: int, give_up: Callable[[], None]) -> None:
        self.steps = steps
        self.batches = batches
        self.give_up = give_up
        self.lock = threading.Lock()
        self.taken: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self.stops = 0
        self.patches: Patches | None = None
        self.watch = Watch(self._trainer, {"lightning", "pytorch_lightning"})

    def install(self, patches: Patches) -> None:
        """Limit the batches of each loader's pass."""
        before = vars(DataLoader)["_index_sampler"]
        limits = self

        def few(loader: DataLoader[Any]) -> Any:
            return Few(before.__get__(loader), limits.batches, last_batch(loader))

        patches.put(DataLoader, "_index_sampler", property(few))
        self.patches = patches
        self.watch.start()

    def restart(self) -> None:
        """Count anew, in a process that was forked off; whichever thread held the lock is not there."""
        self.lock = threading.Lock()
        self.taken.clear()
        self.stops = 0

    def close(self) -> None:
        """Limit what is imported from now on no more."""
        self.watch.stop()

    def _trainer(self, module: ModuleType) -> None:
        """Lightning counts on the batches that a loader says it has: it validates and saves behind the last of them."""
        if not module.__name__.endswith(".trainer.trainer"):
            return

        def made(original: Callable[..., None]) -> Callable[..., None]:
            def init(trainer: Any, *args: Any, **kwargs: Any) -> None:
                original(trainer, *args, **_alone(kwargs))
                for stage in ("train", "val", "test", "predict"):
                    name = f"limit_{stage}_batches"
                    limit = getattr(trainer, name)
                    if (isinstance(limit, float) and limit > 0) or limit > self.batches:
                        setattr(trainer, name, self.batches)
                if isinstance(trainer.val_check_interval, int) and trainer.val_check_interval > self.batches:
                    trainer.val_check_interval = 1.0

            return init

        assert self.patches is not None
        self.patches.replace(module.Trainer, "__init__", made)

    def stepped(self, optimizer: Any) -> None:
        """Called after each step of an optimizer; ends the program when one has made all that it may."""
        with self.lock:
            self.taken[optimizer] = self.taken.get(optimizer, 0) + 1
            if self.taken[optimizer] < self.steps:
                return
        self.stop()

    def backward(self, count: int) -> None:
        """Called after each backward() with their number."""
        if count >= self.steps * BACKWARDS_PER_STEP:
            self.stop()

    def stop(self) -> None:
        """End the program here. One that swallows even this is told so a few times, then the process ends."""
        self.stops += 1
        if self.stops > PATIENCE:
            self.give_up()
        raise DryRunDone(0)


def _alone(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a Trainer that would start processes of its own, which nobody traces, for this process alone."""
    devices = settings.get("devices", "auto")
    several = devices not in (None, "auto", 1, "1") and not (isinstance(devices, (list, tuple)) and len(devices) == 1)
    if not several or "LOCAL_RANK" in os.environ:  # torchrun has started them
        return settings
    return {**settings, "devices": 1, "num_nodes": 1, "strategy": "auto"}


def count_steps(recorder: Recorder, limits: Limits | None) -> Callable[[], None]:
    """Count the steps of all optimizers. Returns what ends the counting."""
    handles = [register_optimizer_step_pre_hook(recorder.begins)]
    if limits is not None:
        handles.append(register_optimizer_step_post_hook(lambda optimizer, *_: limits.stepped(optimizer)))

    def stop() -> None:
        for handle in handles:
            handle.remove()

    return stop


def count_backwards(recorder: Recorder, limits: Limits | None, patches: Patches) -> None:
    """Count the calls of backward()."""
    turns = recorder.backwards

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def backward(*args: Any, **kwargs: Any) -> Any:
            turns.count += 1
            if turns.count >= turns.following:
                recorder.learns(args[0])
            result = original(*args, **kwargs)
            if limits is not None:
                limits.backward(recorder.backwards.count)
            return result

        return backward

    patches.replace(torch.Tensor, "backward", counted)


class Few:
    """A sampler's first batches; if the last one of all would be short, one as short as that comes at their end."""

    def __init__(self, sampler: Any, batches: int, last: int) -> None:
        self.sampler = sampler
        self.batches = batches
        self.last = last

    def __iter__(self) -> Iterator[Any]:
        whole = isinstance(self.sampler, Sized) and _length(self.sampler) is not None
        total = _length(self.sampler) if whole else None
        short = self.last if total is None or total > self.batches else 0
        for number, batch in enumerate(self.sampler, 1):
            yield batch[: self.last] if short and number == self.batches else batch
            if number >= self.batches:
                return

    def __len__(self) -> int:
        return len(self.sampler)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sampler, name)


def last_batch(loader: DataLoader[Any]) -> int:
    """How many samples the last batch of a loader has, 0 if it is as long as the others or that cannot be told."""
    sampler = loader.batch_sampler
    size, samples = getattr(sampler, "batch_size", None), _length(getattr(sampler, "sampler", None))
    if isinstance(loader.dataset, IterableDataset) or not isinstance(size, int) or samples is None or size < 1:
        return 0
    return 0 if getattr(sampler, "drop_last", False) else samples % size


def _length(value: Any) -> int | None:
    try:
        return len(value)
    except (TypeError, NotImplementedError, AttributeError):
        return None


def leave(code: int) -> None:
    """End the process at once."""
    os._exit(code)
