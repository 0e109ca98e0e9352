"""The words that lead to a loss: what a function must mention for it to be worth running.

They grow from the names of the losses: what a module binds to a loss, a function or class that mentions one. An attribute's
name counts with its dot (`.criterion`), so that a function called `train` does not make every `model.train()` suspicious.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

from torchlint.analysis import ir
from torchlint.data import LEARNS

_COMMON = frozenset(
    "train eval fit step update run call learn test forward loss predict evaluate validate setup build make get "
    "compute process apply close reset save load init start stop".split()
)
"""Function names that as attributes say nothing: nearly every object has one of them."""

_PARTS = frozenset("model net network module backbone encoder decoder dropout gather metric _".split())
"""Names that say nothing of what is bound to them: a model that computes its own loss is still called `model` by everyone."""


_ROUNDS = 4
"""How often a name may be bound to one that leads to a loss on the way from file to file."""


class Learned(NamedTuple):
    """The words that a module adds, whoever else adds them too, and those of them that are near a loss."""

    words: frozenset[str]
    near: frozenset[str]


class Vocabulary:
    """The words of a program that lead to a loss."""

    def __init__(self, losses: Iterable[str]) -> None:
        self.words: set[str] = set()
        for name in losses:
            self.words |= {name, f".{name}"}
        self._losses = frozenset(self.words)
        self.near = set(self.words)
        # Where something learns is worth a look, but who mentions that function need not come near a loss.
        self.words |= {f".{method}" for method in LEARNS}
        self._local: set[str] = set()
        self._gives = False
        """Whether the function that is being read returns what may be a loss."""
        self._added: tuple[set[str], set[str]] = set(), set()

    def copy(self) -> Vocabulary:
        """Another one that begins with these words."""
        other = Vocabulary(())
        other.words, other._losses, other.near = set(self.words), self._losses, set(self.near)
        return other

    def learn_all(self, one_round: Callable[[Vocabulary], Mapping[str, Learned]]) -> None:
        """Take in what files bind to losses, and what they bind to what others bind to losses, round by round."""
        for _ in range(_ROUNDS):
            learned = one_round(self).values()
            words = set().union(*(each.words for each in learned))
            near = set().union(*(each.near for each in learned))
            if words <= self.words and near <= self.near:
                return
            self.words |= words
            self.near |= near

    def learned(self, module: ir.Module) -> Learned:
        """What a module binds to losses, as far as these words tell: the same, whatever other modules bind."""
        one = self.copy()
        one._added = set(), set()
        one.learn(module)
        return Learned(*map(frozenset, one._added))

    def learn(self, module: ir.Module) -> None:
        """Take in what a module binds to losses."""
        if not self.words.isdisjoint(module.words):
            self._block(module.body, "module")

    def add(self, names: Iterable[str]) -> None:
        """Take in names of functions or classes."""
        for name in names:
            self.words |= _as_read(name)

    def read(self, attributes: Iterable[str]) -> None:
        """Take in attributes, with their dot, however common their names are."""
        self.words |= set(attributes)

    def leads_to_loss(self, node: ir.FunctionDef | ir.ClassDef) -> bool:
        """Whether a function or class mentions such a word."""
        return not self.words.isdisjoint(node.words)

    def _take(self, words: set[str]) -> None:
        self.words |= words
        self._added[0].update(words)

    def _take_near(self, words: set[str]) -> None:
        self.near |= words
        self._added[1].update(words)

    def _block(self, body: ir.Block, scope: Literal["module", "class", "function"]) -> None:
        for stmt in body:
            if isinstance(stmt, (ir.FunctionDef, ir.ClassDef)):
                # A class that mentions a loss is read whole: its constructor may get the loss from another method.
                if scope == "class" or not self.words.isdisjoint(stmt.words):
                    self._definition(stmt, scope)
            elif isinstance(stmt, (ir.Assign, ir.AnnAssign)):
                if stmt.value is not None:
                    for target in stmt.targets if isinstance(stmt, ir.Assign) else (stmt.target,):
                        self._bind(target, stmt.value, scope)
            elif isinstance(stmt, ir.Return):
                self._gives = self._gives or (stmt.value is not None and self._may_be_loss(stmt.value))
            elif isinstance(stmt, ir.ImportFrom):
                self._renamed(stmt)
            elif type(stmt) in BLOCKS:
                for block in BLOCKS[type(stmt)](stmt):
                    self._block(block, scope)

    def _definition(self, stmt: ir.FunctionDef | ir.ClassDef, scope: str) -> None:
        if isinstance(stmt, ir.FunctionDef):
            for param in stmt.params:
                if param.default is not None and self._may_be_loss(param.default):
                    self._take({param.name})
        around = self._local, self._gives
        self._local, self._gives = set(self._local), False
        self._block(stmt.body, "class" if isinstance(stmt, ir.ClassDef) else "function")
        gives, (self._local, self._gives) = self._gives, around
        if gives and scope != "function":
            self._take({_called(word) for word in _as_read(stmt.name) if scope == "module" or word[0] == "."})
        is_model = isinstance(stmt, ir.ClassDef) and not _WEIGHTED.isdisjoint(stmt.words)
        if scope == "class" and self._gives_loss(stmt):
            self._take({f".{stmt.name}"})
        if scope != "module" or is_model:
            # Not a model that computes its loss itself: whoever mentions it need not come near the loss.
            return
        if not self.near.isdisjoint(stmt.words):
            direct = not self._losses.isdisjoint(stmt.words)
            self._take(_as_read(stmt.name))
            if direct:
                self._take_near(_as_read(stmt.name))

    def _gives_loss(self, stmt: ir.FunctionDef | ir.ClassDef) -> bool:
        """Whether what is defined in a class gives a loss: a method that is called so, or a property."""
        if _names_loss(stmt.name):
            return not self._losses.isdisjoint(stmt.words)
        as_attribute = isinstance(stmt, ir.FunctionDef) and any(map(_is_property, stmt.decorators))
        return as_attribute and stmt.name not in _PARTS and not self.words.isdisjoint(stmt.words)

    def _renamed(self, stmt: ir.ImportFrom) -> None:
        """Take in the new names of imported losses."""
        for alias in stmt.names:
            if alias.bound is not None and alias.name in self._losses:
                self._losses |= _as_read(alias.bound)
                self._take_near(_as_read(alias.bound))
            if alias.bound is not None and alias.name in self.words:
                self._take(_as_read(alias.bound))

    def _bind(self, target: ir.Expr, value: ir.Expr, scope: str) -> None:
        """Take in what an assignment gives a name that may be a loss; where several stand side by side, each its own."""
        if isinstance(target, ir.Sequence):
            values = value.items if isinstance(value, ir.Sequence) else ()
            for item, part in zip(target.items, values, strict=False):
                self._bind(item, part, scope)
        elif not self._may_be_loss(value):
            return
        elif isinstance(target, ir.Attribute):
            if target.name not in _PARTS:
                self._take({f".{target.name}"})
        elif isinstance(target, ir.Name) and scope != "function":
            if target.name not in _PARTS:
                self._take({target.name, f".{target.name}"})
        elif isinstance(target, ir.Name):
            self._local.add(target.name)

    def _may_be_loss(self, node: ir.Expr) -> bool:
        """Whether an expression may give a loss object or function (and not just a loss's value)."""
        if isinstance(node, ir.Name):
            return node.name in self.words or node.name in self._local
        if isinstance(node, ir.Attribute):
            return f".{node.name}" in self.words
        if isinstance(node, ir.Call):
            return self._call_may_be_loss(node)
        return any(self._may_be_loss(part) for part in _parts(node))

    def _call_may_be_loss(self, node: ir.Call) -> bool:
        func = node.func
        if isinstance(func, ir.Subscript):
            return self._may_be_loss(func.value)
        if not isinstance(func, (ir.Name, ir.Attribute)):
            return False
        known = self._may_be_loss(func)
        if _names_loss(func.name) or (known and func.name[:1].isupper()):
            return True
        if _called(func.name if isinstance(func, ir.Name) else f".{func.name}") in self.words:
            return True
        if isinstance(func, ir.Attribute) and func.name in _KEEP:
            return self._may_be_loss(func.value)
        return func.name in _COLLECT and any(self._may_be_loss(arg.value) for arg in node.args)


_WEIGHTED = frozenset(
    dot + name
    for dot in ("", ".")
    for name in (
        "Linear Conv1d Conv2d Conv3d ConvTranspose2d Embedding LSTM GRU RNN Transformer TransformerEncoder BatchNorm1d BatchNorm2d "
        "LayerNorm from_pretrained post_init PreTrainedModel config_class"
    ).split()
)
"""Words of a class that has layers of its own."""

_KEEP = frozenset(("to", "cuda", "cpu", "double", "float", "half"))
_COLLECT = frozenset(("partial", "ModuleList", "ModuleDict", "dict", "OrderedDict", "list", "getattr"))


def _as_read(name: str) -> set[str]:
    """A name, and as an attribute where that says something."""
    return {name} if name in _COMMON or name in _PARTS else {name, f".{name}"}


def _called(name: str) -> str:
    """The word by which a function is known that gives a loss where it is called: no other word looks like it."""
    return f"{name}()"


def _is_property(node: ir.Expr) -> bool:
    return isinstance(node, (ir.Name, ir.Attribute)) and node.name in ("property", "cached_property")


def _names_loss(name: str) -> bool:
    low = name.lower()
    return ("loss" in low or "crit" in low) and low.startswith(
        ("get", "build", "make", "create", "_get", "select", "choose")
    )


def _parts(node: ir.Expr) -> tuple[ir.Expr, ...]:
    if isinstance(node, ir.Sequence):
        return node.items
    if isinstance(node, ir.Mapping):
        return node.values
    if isinstance(node, ir.Conditional):
        return node.body, node.orelse
    if isinstance(node, ir.Boolean):
        return node.left, node.right
    if isinstance(node, ir.Subscript):
        return (node.value,)
    if isinstance(node, ir.Lambda):
        return (node.body,)
    return ()


BLOCKS: dict[type, Callable[[Any], tuple[ir.Block, ...]]] = {
    ir.If: lambda s: (*(b.body for b in s.branches), s.orelse),
    ir.For: lambda s: (s.body, s.orelse),
    ir.While: lambda s: (s.body, s.orelse),
    ir.With: lambda s: (s.body,),
    ir.Try: lambda s: (s.body, *(h.body for h in s.handlers), s.orelse, s.final),
    ir.Match: lambda s: tuple(c.body for c in s.cases),
}
"""The blocks of compound statements that open no scope of their own."""
