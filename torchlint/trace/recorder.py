"""Records the calls of losses: which to look at, what of them is kept, and in which order of sites."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from types import CodeType, FrameType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch.compiler import is_compiling, is_dynamo_compiling

from torchlint.contracts import Loss
from torchlint.trace.graphs import TWICE, judge_backward, reaches_parameter
from torchlint.trace.progress import Progress
from torchlint.trace.provenance import Memory, origin_of
from torchlint.trace.samples import KEPT as VALUES
from torchlint.trace.samples import Look, look, read, settle, type_of, unseen
from torchlint.trace.seen import Call, Origin, Seen
from torchlint.trace.sites import Homes, Spot
from torchlint.trace.turns import Turns
from torchlint.trace.verdicts import Verdict, judge

KEPT = 256
"""So many examined calls of a site are kept; the verdicts count them all."""
KINDS = 64
"""So many combinations of shapes at a site are looked at for their own sake."""


BACKWARD = Loss(id="backward")
"""Stands for the loss where one that is written by hand is judged: the call of backward() on it."""
_PLAIN = (bool, int, float, str, type(None))
_SHAPE = attrgetter("shape")
_WEIGHTS = ("pos_weight", "weight")
"""Options that may be tensors with a number for each class."""


class Through(NamedTuple):
    """The code of torch's that calls a loss for a module, and how many frames above the loss the module's call stands."""

    code: CodeType
    depth: int


class Found(NamedTuple):
    """A verdict on a site, and in how many of the examined calls."""

    verdict: Verdict
    calls: int


class Looks(NamedTuple):
    """A call that was examined, and the numbers of its tensors, which a GPU may not have computed yet."""

    call: Call
    args: dict[str, Look]
    result: Look | None = None


class Site:
    """What was seen of the calls of one loss at one place."""

    def __init__(self, spot: Spot, loss: Loss, name: str, every: int) -> None:
        self.spot = spot
        self.code: CodeType | None = spot.code
        """The code that calls it, as long as calls are recorded."""
        self.loss = loss
        self.name = name
        self.restart(every)

    def restart(self, every: int) -> None:
        """Begin with no calls."""
        self.turns = Turns(every)
        self.examined = 0
        self.shapes: list[list[torch.Size]] = []
        self.last: object = None
        """The shape of the first tensor of the last call whose shapes were compared: with it, others seldom come."""
        self.calls: list[Call] = []
        self.looks: list[Looks] = []
        self.found: dict[tuple[str | None, str], Found] = {}

    @property
    def total(self) -> int:
        """How many calls there were."""
        return self.turns.count

    def knows(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Whether arguments of these shapes were given here before; of many kinds, only the first are told apart."""
        try:
            shapes = [*map(_SHAPE, args)]  # far the most calls have nothing but tensors there, and no more behind
        except AttributeError:
            shapes = []
        if len(shapes) < 2:
            shapes = [value.shape for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)]
        if shapes in self.shapes:
            return True
        if len(self.shapes) < KINDS:
            self.shapes.append(shapes)
            return False
        return True

    def add(self, call: Call, looks: Looks) -> None:
        """Keep an examined call and the numbers that are on their way to it."""
        self.examined += 1
        if len(self.looks) < KEPT:
            self.looks.append(looks._replace(call=call))

    def settle(self) -> None:
        """Fill the numbers in, and judge the calls that they belong to."""
        while self.looks:
            looks = self.looks.pop(0)
            args = {
                name: seen._replace(values=read(found)) if (found := looks.args.get(name)) else seen
                for name, seen in looks.call.args.items()
            }
            result = None if looks.result is None else read(looks.result).low
            call = looks.call._replace(args=args, result=result)
            self.calls.append(call)
            for verdict in judge(call, self.loss):
                self.find(verdict)

    def find(self, verdict: Verdict) -> None:
        """Count a verdict; the first one's evidence is told."""
        key = (verdict.code, verdict.name)
        known = self.found.get(key, Found(verdict, 0))
        self.found[key] = known._replace(calls=known.calls + 1)


class Recorder:
    """All sites of a run, of whose calls some are examined: by turns, and where shapes come that did not come before.

    `values` says whether there are any to look at, `plots` keeps some of them. Nothing that fails in here reaches the
    traced program: it is kept in `failures`.
    """

    def __init__(self, homes: Homes, every: int = 64, *, values: bool = True, plots: bool = False) -> None:
        self.homes = homes
        self.every = every
        self.values = values
        self.kept = VALUES if plots else 0
        self.progress = Progress(every, values=values)
        self.memory = Memory()
        self.built: WeakKeyDictionary[Any, dict[str, object]] = WeakKeyDictionary()
        """What the losses of libraries were set up with, which not all of them keep."""
        self.on = False
        self.sites: dict[tuple[int, int, str], Site] = {}
        self.failures: list[str] = []
        self.backwards = Turns(every)
        self.cut: dict[Spot, int] | None = {}
        """Where `backward()` was called on losses whose graph leads to no parameter; None once one led there."""
        self.wrapper: CodeType | None = None
        """The code that stands in the losses' places: what is called below it is part of a loss already."""
        self.lock = threading.Lock()

    def traced(
        self, original: Callable[..., Any], loss: Loss, names: Sequence[str], through: Through | None = None
    ) -> Callable[..., Any]:
        """A function that does what `original` does and records its calls. `names` are its parameters in order.

        `through` is where torch calls it for a module.
        """
        near: dict[int, Site] = {}  # the last site at each instruction of the user's that calls this or the module
        first = int(names[0] == "self")
        torchs, depth = through or (None, 1)

        def call(*args: Any, **kwargs: Any) -> Any:
            # Most calls are only counted. Between a step's large operations the memory behind this code is cold, so
            # that each thing that it touches takes far longer than in a loop of its own: it touches few.
            if is_dynamo_compiling():
                return original(*args, **kwargs)
            pending = None
            try:
                frame = sys._getframe(1)
                if frame.f_code is torchs:
                    try:
                        frame = sys._getframe(depth)
                    except ValueError:
                        frame = sys._getframe(1)  # nobody called the module itself
                site = near.get(frame.f_lasti)
                if site is None or site.code is not frame.f_code:
                    site = self._site(sys._getframe(1), loss, original, names, args)
                    if site is not None and site.code is frame.f_code:
                        near[frame.f_lasti] = site
                if site is not None:
                    turns = site.turns
                    turns.count += 1
                    due = turns.count >= turns.following
                    if due:
                        turns.take()
                    shape = getattr(args[first], "shape", None) if len(args) > first else None
                    if (due or shape is None or shape != site.last) and not is_compiling():
                        site.last = shape
                        if due or not site.knows(args, kwargs):
                            pending = self.before(site, names, args, kwargs)
            except Exception as error:  # noqa: BLE001  # the traced program goes on whatever happens here
                self.fail(error)
            if pending is None:
                return original(*args, **kwargs)
            try:
                result = original(*args, **kwargs)
            except BaseException:
                self.after(pending, None)
                raise
            self.after(pending, result)
            return result

        self.wrapper = call.__code__
        return call

    def constructed(self, original: Callable[..., None]) -> Callable[..., None]:
        """An `__init__` that does what `original` does and remembers what it was given."""
        signature = inspect.signature(original)

        def init(module: Any, *args: Any, **kwargs: Any) -> None:
            original(module, *args, **kwargs)
            try:
                given = signature.bind(module, *args, **kwargs)
                given.apply_defaults()
                plain = {name: value for name, value in given.arguments.items() if isinstance(value, _PLAIN)}
                self.built[module] = {**self.built.get(module, {}), **plain}  # a base's were set before
            except Exception as error:  # noqa: BLE001
                self.fail(error)

        return init

    def before(
        self, site: Site, names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Site, Looks]:
        """What is to be kept of a call that begins."""
        grad = torch.is_grad_enabled()
        with self.lock, unseen():
            return site, self._call(site, names, args, kwargs, grad)

    def _site(
        self, caller: FrameType, loss: Loss, original: Any, names: Sequence[str], args: Sequence[Any]
    ) -> Site | None:
        """The site of a call at the innermost frame of the user's; None if it is part of another loss, or after the end."""
        here = self.homes.frame(caller)
        if not self.on or self._is_part(caller, here.f_back):
            return None
        key = (id(here.f_code), here.f_lasti, loss.id)  # the site keeps the code, and with it its id
        site = self.sites.get(key)
        if site is None:
            if self._is_part(caller, None):
                return None
            module = args[0] if args and names[0] == "self" else None
            made = Site(Spot(here.f_code, here.f_lasti), loss, _name(caller, original, module), self.every)
            site = self.sites.setdefault(key, made)
        site.code = site.spot.code
        return site

    def _is_part(self, frame: FrameType, end: FrameType | None) -> bool:
        """Whether one of the frames from here to the end, which is none of them, is a stand-in's for a loss."""
        here: FrameType | None = frame
        while here is not end and here is not None:
            if here.f_code is self.wrapper:
                return True
            here = here.f_back
        return False

    def _call(
        self, site: Site, names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any], grad: bool
    ) -> Looks:
        """Examine the arguments of a call."""
        bound: dict[str, Any] = dict(zip(names, args, strict=False)) | dict(kwargs)
        module = bound.pop("self", None)
        settings = bound if module is None else {**self.built.get(module, {}), **vars(module)}
        loss = site.loss
        given = {
            arg.name: value
            for arg in loss.args
            for key in (arg.name, *arg.also)
            if isinstance(value := bound.get(key), torch.Tensor)
        }
        options = {name: settings[name] for name in settings if isinstance(settings[name], _PLAIN)}
        seen = {name: self._seen(value) for name, value in given.items()}
        weights = {
            name: tuple(int(size) for size in value.shape)
            for name in _WEIGHTS
            if isinstance(value := settings.get(name), torch.Tensor)
        }
        call = Call(loss.id, site.name, seen, options, grad, self.step, weights=weights)
        arg = loss.arg("input")
        looks = {
            name: found
            for name, value in given.items()
            if (found := self._look(value, arg is not None and name == arg.name)) is not None
        }
        return Looks(call, looks)

    def _look(self, tensor: torch.Tensor, is_input: bool) -> Look | None:
        class_dim = None if is_input else int(tensor.dim() != 1)
        return look(tensor, class_dim, self.kept) if self.values else None

    def _seen(self, tensor: torch.Tensor) -> Seen:
        return Seen(
            tuple(int(size) for size in tensor.shape),
            str(tensor.dtype).removeprefix("torch."),
            type_of(tensor),
            str(tensor.device),
            tensor.requires_grad,
            origin_of(tensor, self.memory),
        )

    def after(self, pending: tuple[Site, Looks], result: Any) -> None:
        """Add what came out of the call, None if it raised."""
        try:
            with self.lock, unseen():
                site, looks = pending
                is_number = self.values and isinstance(result, torch.Tensor) and not result.dim()
                site.add(looks.call, looks._replace(result=look(result, None) if is_number else None))
        except Exception as error:  # noqa: BLE001
            self.fail(error)

    def learns(self, loss: torch.Tensor) -> None:
        """Look at a loss that `backward()` is about to be called on, whose turn it is; it is a site only if it is wrong."""
        self.backwards.take()
        if not self.on:
            return
        try:
            self.progress.backward(self.step, loss)
            if self.cut is not None and loss.grad_fn is not None:
                spot = self._here()
                self.cut = None if reaches_parameter(loss) else {**self.cut, spot: self.cut.get(spot, 0) + 1}
            for verdict in judge_backward(loss):
                site = self._site(sys._getframe(2), BACKWARD, torch.Tensor.backward, ("loss",), ())
                if site is not None:
                    site.turns.due()
                    site.examined += 1
                    site.find(verdict)
        except Exception as error:  # noqa: BLE001
            self.fail(error)

    def begins(self, optimizer: Any, *_: Any) -> None:
        """Called before each step of an optimizer."""
        try:
            seen = self.progress.last
            if seen is None or seen.of() is not optimizer:
                seen = self.progress.of(optimizer, self._here)
            turns = seen.turns
            turns.count += 1
            if seen.ending is not None:
                seen.unhook()
            if turns.count >= turns.following:
                turns.take()
                self.progress.before(seen, optimizer, self.ends)
        except Exception as error:  # noqa: BLE001
            self.fail(error)

    def ends(self, optimizer: Any, *_: Any) -> None:
        """Called after each step of an optimizer that is looked at."""
        if self.on:
            try:
                self.progress.after(optimizer, self.step - 1)
            except Exception as error:  # noqa: BLE001
                self.fail(error)

    @property
    def step(self) -> int:
        """How many steps of optimizers have begun."""
        return sum(seen.turns.count for seen in self.progress.all)

    def rest(self) -> None:
        """Record nothing more, whatever still calls the stand-ins."""
        self.on = False
        self.progress.leave()
        for site in self.sites.values():
            site.code = None

    def _here(self) -> Spot:
        frame = self.homes.frame(sys._getframe(1))
        return Spot(frame.f_code, frame.f_lasti)

    def restart(self) -> None:
        """Begin with nothing seen, in a process that was forked off; whichever thread held the lock is not there.

        The sites stay, since stand-ins keep them at hand.
        """
        self.lock = threading.Lock()
        for site in self.sites.values():
            site.restart(self.every)
        self.progress.leave()
        self.progress = Progress(self.every, values=self.values)
        self.backwards.count, self.backwards.following = 0, 1
        self.cut = {}
        self.failures.clear()

    def settle(self) -> None:
        """Read all numbers, which waits for a GPU, and judge what they show."""
        with self.lock:
            settle()
            for site in self.sites.values():
                try:
                    site.settle()
                except Exception as error:  # noqa: BLE001
                    self.fail(error)
            self._tell_once()

    def _tell_once(self) -> None:
        """Leave to the calls of losses what the graph behind `backward()` shows of them as well."""
        told = {key[0] for site in self.sites.values() if site.loss is not BACKWARD for key in site.found}
        for key, site in [*self.sites.items()]:
            if site.loss is BACKWARD:
                site.found = {code: found for code, found in site.found.items() if code[0] not in TWICE & told}
                if not site.found:
                    del self.sites[key]

    def fail(self, error: Exception) -> None:
        """Remember what went wrong in the tracer itself."""
        if len(self.failures) < 20:
            self.failures.append(f"{type(error).__name__}: {error}")

    def activated(self, original: Callable[..., Any], origin: Origin) -> Callable[..., Any]:
        """A function that does what `original` does and marks the memory that it fills where there is no graph."""

        def call(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if not is_compiling() and self.on:
                self.mark(result, origin)
            return result

        return call

    def copied(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """A function that does what `original` does, and whose result holds what its tensors hold: a copy, or all of them."""

        def call(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if not is_compiling() and self.on and self.memory.tags:
                self.carry(result, args[0] if args else None)
            return result

        return call

    def carry(self, result: Any, given: Any) -> None:
        """Mark what was made of marked memory, if all of it holds the same."""
        parts = [given] if isinstance(given, torch.Tensor) else given
        if not isinstance(result, torch.Tensor) or result.grad_fn is not None or not isinstance(parts, (list, tuple)):
            return
        try:
            origins = {self.memory.origin(part) for part in parts}
        except Exception:  # noqa: BLE001  # tensors without memory of their own
            return
        origin = origins.pop() if len(origins) == 1 else None
        if origin is not None:
            self.mark(result, origin if len(parts) == 1 else origin._replace(direct=False))

    def mark(self, result: Any, origin: Origin) -> None:
        """Mark what an activation gave, unless the graph tells it anyway."""
        try:
            if isinstance(result, torch.Tensor) and result.grad_fn is None:
                self.memory.mark(result, origin)
        except Exception as error:  # noqa: BLE001  # as for tensors without memory of their own (inside vmap)
            if not isinstance(error, (RuntimeError, NotImplementedError)):
                self.fail(error)


def _name(frame: FrameType | None, original: Any, module: Any) -> str:
    """What the user calls the loss: the class of the module that calls the function, or the function's name."""
    if module is None and frame is not None and frame.f_code.co_filename == torch.nn.modules.loss.__file__:
        module = frame.f_locals.get("self")
    if module is not None:
        return type(module).__name__
    return str(getattr(original, "__name__", "loss"))
