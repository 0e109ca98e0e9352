"""What lists and dicts hold: their items in order where they are known, their entries by key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torchlint.analysis import registries
from torchlint.analysis.values import (
    MOST_LAST,
    UNKNOWN,
    Const,
    Container,
    Items,
    Tensor,
    Tuple,
    Unknown,
    Value,
    alternatives,
    join,
    narrow,
    union,
)

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


MAX_ITEMS = 64
"""Lists longer than this are known by the kinds of their items only."""

ITEMS = "<items>"
"""The entry of a list's cell that holds its items."""

ANY_KEY = "*"
"""The entry of a dict's cell that holds what may stand under keys which are not known."""


def new_list(
    run: Interpreter, items: Sequence[Value] | None, element: Value, last: tuple[Value, ...] = ()
) -> Container:
    """A list with these items, or any number of `element`, the last ones of which are known."""
    cell = run.program.new_cell()
    known = items is not None and len(items) <= MAX_ITEMS
    content = Tuple(tuple(items)) if known and items is not None else Items(element, last=last)
    run.heap.write(cell)[ITEMS] = content
    return Container(cell, "list")


def new_dict(run: Interpreter, pairs: Sequence[tuple[Value | None, Value]]) -> Container:
    """A dict of these pairs; a key of None spreads another dict."""
    cell = run.program.new_cell()
    container = Container(cell, "dict")
    run.heap.write(cell)
    for key, value in pairs:
        if key is not None:
            write_key(run, container, key, value)
            continue
        update(run, container, value)
    return container


def update(run: Interpreter, container: Container, value: Value) -> None:
    """`container.update(value)`: what each of several dicts has is one of the possibilities of its entry."""
    held = [
        run.heap.read(part.id) for part in alternatives(value) if isinstance(part, Container) and part.kind == "dict"
    ]
    if len(held) < sum(not isinstance(part, Tensor) for part in alternatives(value)):  # no tensor can be handed in
        write_key(run, container, UNKNOWN, UNKNOWN)
    entries = run.heap.write(container.id)
    before = dict(entries)
    for key in {key: None for each in held for key in each}:
        values = [each.get(key, before.get(key)) for each in held]
        if key == ANY_KEY:
            values.append(before.get(key))
        entries[key] = union([item for item in values if item is not None])


def key_of(value: Value) -> str | None:
    """The name of the entry under a key; None for a key that is not known."""
    parts = alternatives(value)
    if len(parts) == 1 and isinstance(parts[0], Const):
        return f"={parts[0].value!r}"
    return None


def write_key(run: Interpreter, container: Container, key: Value, value: Value) -> None:
    """`container[key] = value`."""
    entries = run.heap.write(container.id)
    name = key_of(key)
    if name is not None:
        entries[name] = value
    else:
        entries[ANY_KEY] = join(entries[ANY_KEY], value) if ANY_KEY in entries else value


def read_key(run: Interpreter, container: Container, key: Value) -> Value:
    """`container[key]`: every value that it may be."""
    entries = run.heap.read(container.id)
    name = key_of(key)
    if name is not None:
        found = entries.get(name)
        if found is not None:
            return narrow(found, run.heap.assumed)
    if container.id in run.program.registries:
        registries.complete(run, container)
        entries = run.heap.read(container.id)
    if name is not None:
        return entries.get(name) or entries.get(ANY_KEY) or Unknown("missing key")
    values = [value for entry, value in entries.items() if entry[:1] in ("=", ANY_KEY)]
    return union(values) if values else UNKNOWN


def has_key(run: Interpreter, container: Container, key: Value) -> bool:
    """Whether a dict certainly has an entry under this key."""
    return key_of(key) in run.heap.read(container.id)


def dict_values(run: Interpreter, container: Container) -> dict[str, Value]:
    """The entries of a dict whose keys are known, by `repr` of the key."""
    return {key[1:]: value for key, value in run.heap.read(container.id).items() if key[:1] == "="}


def is_open(run: Interpreter, container: Container) -> bool:
    """Whether a dict may have entries under keys that are not known."""
    return ANY_KEY in run.heap.read(container.id)


def list_contents(run: Interpreter, container: Container) -> Value:
    """The items of a list: a Tuple, Items, or several of them."""
    return run.heap.read(container.id).get(ITEMS, Items(UNKNOWN))


def set_contents(run: Interpreter, container: Container, content: Value) -> None:
    """Replace the items of a list."""
    run.heap.write(container.id)[ITEMS] = content


def append(run: Interpreter, container: Container, values: Sequence[Value]) -> None:
    """Put values at the end of a list."""
    out: list[Value] = []
    for part in alternatives(list_contents(run, container)):
        if isinstance(part, Tuple) and len(part.items) + len(values) <= MAX_ITEMS:
            out.append(Tuple((*part.items, *values)))
        elif isinstance(part, (Tuple, Items)):
            out.append(lengthened(part, values))
        else:
            out.append(Items(UNKNOWN))
    set_contents(run, container, union(out))


def lengthened(part: Tuple | Items, values: Sequence[Value]) -> Items:
    """A list of unknown length with these values at its end."""
    items = part.items if isinstance(part, Tuple) else (part.element,)
    last = part.items if isinstance(part, Tuple) else part.last
    return Items(union((*items, *values)), last=(*last, *values)[-MOST_LAST:])


def literal(text: str) -> object:
    """The key of a dict that `repr` shows so."""
    if text[:1] in "'\"":
        return text[1:-1]
    try:
        return int(text)
    except ValueError:
        return text
