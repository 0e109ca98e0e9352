"""Calls of what other libraries bring: losses, layers, operations and containers, by the contracts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

import msgspec

from torchlint.analysis import (
    arrays,
    builtin,
    comparisons,
    containers,
    distributions,
    factories,
    gradients,
    invoke,
    ir,
    loaders,
    losses,
    operate,
    registries,
    shapes,
    subscripts,
    trainers,
    wording,
)
from torchlint.analysis.arguments import Args
from torchlint.analysis.values import (
    UNKNOWN,
    Autocast,
    Const,
    Container,
    Criterion,
    Extern,
    Items,
    Layer,
    Tensor,
    Tuple,
    Unknown,
    Value,
    alternatives,
    cause_of,
    is_batch,
    is_pending,
    later,
    union,
)
from torchlint.contracts import Kind, Op

if TYPE_CHECKING:
    from torchlint.analysis.interpret import Interpreter


def call(run: Interpreter, name: str, args: Args, node: ir.Node) -> Value:
    name = run.program.canonical(name)
    contracts = run.contracts
    loss = contracts.loss_classes.get(name)
    if loss is not None:
        return losses.make(run, loss, name, args, node)
    loss = contracts.loss_functions.get(name)
    if loss is not None:
        return losses.call(run, Criterion(loss, {}, wording.spelled(name), None, functional=True), args, node)
    op = contracts.op_functions.get(name)
    if op is not None:
        if args.rest is not None and not args.positional:
            return UNKNOWN
        return operate.apply(
            run, operate.bind(op, name, args.positional, args.keywords, {}, args.rest is not None), node
        )
    op = contracts.layer(name)
    if op is not None and not any(name in args.keywords for name in op.unless):
        options = dict(zip(op.layer_params, args.positional, strict=False))
        options.update(args.keywords)
        return Layer(_as_made(op, options), options, name, run.ref(node), run.program.new_cell() if op.heads else 0)
    wrapper = contracts.wrappers.get(name)
    if wrapper is not None:
        given = args.get(wrapper.keyword or "module", wrapper.argument) or UNKNOWN
        return _variable(run, given, args, node) if wrapper.id == "variable" else given
    if name in CONTAINERS:
        return make_container(run, name, args, node)
    dataset = contracts.datasets.get(name)
    if dataset is not None:
        return loaders.pictures(run, dataset, args)
    special = _special(name)
    if special is not None:
        return special(run, args, node)
    if name in _NO_VALUE:
        return Const(None)
    if name.startswith(("torch.no_grad", "torch.inference_mode", "torch.autograd.no_grad")):
        return Extern(name)
    if registries.is_made_by(name):
        return registries.make(run)
    if name.endswith("build_from_cfg"):
        built = registries.build_from_config(run, args, node)
        if built is not None:
            return built
    made = factories.made(run, name, node)
    if made is not None:
        return made
    distribution = contracts.distributions.get(name)
    if distribution is not None:
        return distributions.make(distribution, args)
    trainer = contracts.trainers.get(name)
    if trainer is not None:
        trainers.bring_together(run, trainer, args, node)
    invoke.escape(run, args)
    run.unresolved(node, Extern(name))
    return invoke.result(f"result of {name}", args)


def _as_made(op: Op, options: Mapping[str, Value]) -> Op:
    """The operation of a layer made with these options."""
    for option in {when.option for when in op.when} & options.keys():
        value = options[option]
        if isinstance(value, Const) and value.value is None:
            continue
        gives: Kind = "unknown"
        for when in op.when:
            if when.option == option and isinstance(value, Const) and value.value == when.equals:
                gives = when.gives
        return msgspec.structs.replace(op, gives=gives)
    return op


CONTAINERS = frozenset({"torch.nn.Sequential", "torch.nn.ModuleList", "torch.nn.ModuleDict"})


_NO_VALUE = frozenset({"builtins.print", "builtins.setattr"})


def make_container(run: Interpreter, name: str, args: Args, node: ir.Node) -> Container:
    if name == "torch.nn.ModuleDict":
        made = builtin.make_dict(run, args, node)
        return made if isinstance(made, Container) else containers.new_dict(run, [])
    items: list[Value] | None = list(args.positional)
    first = alternatives(args.positional[0])[0] if len(args.positional) == 1 else None
    named: dict[str, Value] = {}
    if args.rest is not None:
        items = None
    elif isinstance(first, Container) and first.kind == "dict":
        named = containers.dict_values(run, first)
        items = list(named.values()) if "*" not in run.heap.read(first.id) else None
    elif first is not None and (name == "torch.nn.ModuleList" or isinstance(first, (Container, Tuple, Items))):
        if name == "torch.nn.ModuleList" or not (isinstance(first, Container) and first.kind == "sequential"):
            content = containers.list_contents(run, first) if isinstance(first, Container) else args.positional[0]
            container = containers.new_list(run, None, UNKNOWN)
            if all(isinstance(p, (Tuple, Items)) for p in alternatives(content)):
                containers.set_contents(run, container, content)
            return Container(container.id, "sequential" if name.endswith("Sequential") else "list")
    container = containers.new_list(run, items, UNKNOWN)
    entries = run.heap.write(container.id)
    entries.update({key.strip("'\""): value for key, value in named.items()})
    return Container(container.id, "sequential" if name.endswith("Sequential") else "list")


def _autocast(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """`torch.autocast(device_type, dtype, enabled)`: of CUDA only, since on a CPU no loss is refused."""
    devices = {
        part.value if isinstance(part, Const) else None for part in alternatives(args.get("device_type", 0) or UNKNOWN)
    }
    cuda = [None if device is None else str(device).startswith("cuda") for device in devices]
    if not any(each is not False for each in cuda):
        return Unknown("context of another device")
    return Autocast(_enabled(args, 2, sure=all(cuda)), run.ref(node))


def _cuda_autocast(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """`torch.cuda.amp.autocast(enabled, dtype)`."""
    return Autocast(_enabled(args, 0, sure=True), run.ref(node))


def _enabled(args: Args, position: int, sure: bool) -> Literal["off", "maybe", "on"]:
    enabled = args.get("enabled", position)
    verdict = True if enabled is None else comparisons.truth(enabled)
    if args.rest is not None or args.others is not None:
        verdict = None
    if verdict is False:
        return "off"
    return "on" if verdict and sure else "maybe"


def _variable(run: Interpreter, given: Value, args: Args, node: ir.Node) -> Value:
    """`Variable(x)`, of old code: x, or with `requires_grad=True` of what has no gradient a new leaf."""
    asked = args.get("requires_grad", 1)
    if asked is None or not shapes.is_true(asked) or is_pending(given) or not _cuts_off(node):
        return given
    at = run.ref(node)
    return union(
        msgspec.structs.replace(part, attached=True, cut=gradients.new_leaf(part.cut, "Variable", at))
        if isinstance(part, Tensor)
        else Tensor(batched=is_batch(part), cut=gradients.new_leaf(None, "Variable", at))
        for part in alternatives(given)
    )


def _cuts_off(node: ir.Node) -> bool:
    """Whether the first argument of a call is written with `.data`, `.detach()` or another end of a gradient."""
    first = node.args[0].value if isinstance(node, ir.Call) and node.args else None
    last = first.func if isinstance(first, ir.Call) else first
    return isinstance(last, ir.Attribute) and last.name in ("data", "detach", "item", "numpy")


def _checkpoint(run: Interpreter, args: Args, node: ir.Node) -> Value:
    keywords = {k: v for k, v in args.keywords.items() if k not in ("use_reentrant", "preserve_rng_state")}
    return invoke.call(run, args.first(), Args(args.positional[1:], keywords, args.rest, args.others), node)


def _data_parallel(run: Interpreter, args: Args, node: ir.Node) -> Value:
    return invoke.call(run, args.first(), Args(args.positional[1:2]), node)


def _amp_initialize(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """`apex.amp.initialize(models, optimizers)`: both again, or the models alone if there are no optimizers."""
    optimizers = args.get("optimizers", 1)
    models = args.get("models", 0) or UNKNOWN
    return models if optimizers is None else Tuple((models, optimizers))


def _deepspeed_initialize(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """`deepspeed.initialize(args, model, optimizer, ...)`: an engine that is called like the model, and what else it made."""
    return Tuple((args.get("model", 1) or UNKNOWN, args.get("optimizer", 2) or UNKNOWN, UNKNOWN, UNKNOWN))


def _packed(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """`pack_padded_sequence(input, lengths)`: the steps that are no padding. Its data and its first field are a tensor of them."""
    given = args.get("input", 0) or UNKNOWN
    if is_pending(given):
        return later(lambda: _rows(given), given)
    return _rows(given)


def _rows(value: Value) -> Value:
    """A tensor's rows, in another order and number."""
    return union(
        msgspec.structs.replace(part, shape=None, dim=None, squeezed=None, flattened=None)
        if isinstance(part, Tensor)
        else Unknown("packed steps", invoke.source(Args([part])), cause_of(part))
        for part in alternatives(value)
    )


def _padded(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """`pad_packed_sequence(sequence)`: the steps with padding, and the lengths."""
    return Tuple((_packed(run, Args([args.get("sequence", 0) or UNKNOWN]), node), UNKNOWN))


def _environment(run: Interpreter, args: Args, node: ir.Node) -> Value:
    """`gym.make(name)`: one with any number of actions, unless the code names it."""
    name = args.get("id", 0)
    if name is None or is_pending(name) or any(isinstance(part, Const) for part in alternatives(name)):
        return Unknown("an environment")
    return Extern(subscripts.ENVIRONMENT)


_EXTERNS: dict[str, Callable[[Interpreter, Args, ir.Node], Value]] = {
    "torch.utils.checkpoint.checkpoint": _checkpoint,
    "torch.nn.parallel.data_parallel": _data_parallel,
    "torch.nn.utils.rnn.pack_padded_sequence": _packed,
    "torch.nn.utils.rnn.pad_packed_sequence": _padded,
    "torch.nn.parallel": _data_parallel,  # as the module of the same name is spelled
    "apex.amp.initialize": _amp_initialize,
    "deepspeed.initialize": _deepspeed_initialize,
    "gym.make": _environment,
    "gymnasium.make": _environment,
    distributions.INDEPENDENT: distributions.independent,
    "torch.autocast": _autocast,
    "torch.amp.autocast": _autocast,
    "torch.amp.autocast_mode.autocast": _autocast,
    "torch.cuda.amp.autocast": _cuda_autocast,
    "torch.cuda.amp.autocast_mode.autocast": _cuda_autocast,
}


def _special(name: str) -> Callable[[Interpreter, Args, ir.Node], Value] | None:
    """How a function is called for which a contract would say too little."""
    for table in (_EXTERNS, builtin.FUNCTIONS, loaders.FUNCTIONS, arrays.FUNCTIONS):
        if name in table:
            return table[name]
    return None
