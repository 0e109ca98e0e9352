"""Repairs of a call in one place: another loss, a dimension that is named, an option that is set."""

from __future__ import annotations

import libcst as cst

from torchlint.analysis import ir
from torchlint.diagnostics import Edit
from torchlint.findings import CallResult, OtherLoss, SetOption, SqueezeArgument, SqueezeDim
from torchlint.repair.code import ATOMS, Change, Code, loses_comment, whole
from torchlint.repair.flow import is_named, names_import


def other_loss(plan: OtherLoss, code: Code) -> Change | None:
    """Take the loss that applies the activation itself."""
    edits = renamed(code, code.node(plan.at), plan.new, plan.old)
    if edits is None:
        return None
    return Change(f"Use `{plan.new}`, which takes raw scores", edits, local=False)


def renamed(code: Code, call: ir.Node | None, new: str, old: str = "") -> list[Edit] | None:
    """Call another function or class of the same module, imported where the name is."""
    if not isinstance(call, ir.Call) or not isinstance(call.func, (ir.Name, ir.Attribute)):
        return None
    func = call.func
    if old and func.name != old:
        return None
    end = code.range(func)[1]
    edits = [code.edit(end - len(func.name), end, new)]
    if isinstance(func, ir.Attribute) or new in code.uses.module.words:
        return edits
    for node, syntax in zip(range(code.placed.module.nodes), code.placed.nodes, strict=True):
        if isinstance(code.uses.node.get(node), ir.ImportFrom) and isinstance(syntax, cst.ImportFrom):
            for alias in syntax.names if not isinstance(syntax.names, cst.ImportStar) else ():
                if isinstance(alias.name, cst.Name) and alias.name.value == func.name and alias.asname is None:
                    behind = code.syntax_range(alias.name)[1]
                    return [code.edit(behind, behind, f", {new}"), *edits]
    return None


def squeeze_dim(plan: SqueezeDim, code: Code) -> Change | None:
    """Name the dimension that `squeeze` takes away."""
    call = code.node(plan.at)
    if not isinstance(call, ir.Call) or not isinstance(call.func, (ir.Name, ir.Attribute)):
        return None
    if call.func.name != "squeeze" or any(arg.star or arg.keyword for arg in call.args) or len(call.args) > 1:
        return None
    title = f"Say which dimension `squeeze` takes away: {plan.dim}"
    if call.args:
        if not names_import(code, call.func, "squeeze"):
            return None
        end = code.outer_range(call.args[0].value)[1]
        return Change(title, [code.edit(end, end, f", {plan.dim}")], plan.exact)
    end = code.range(call)[1] - 1
    return Change(title, [code.edit(end, end, str(plan.dim))], plan.exact)


def squeeze_argument(plan: SqueezeArgument, code: Code) -> Change | None:
    """Take the last dimension off an argument of a call."""
    call = code.node(plan.call)
    if not isinstance(call, ir.Call):
        return None
    places = [arg for arg in call.args if arg.keyword is None]
    named = [arg.value for arg in call.args if arg.keyword in plan.names]
    if named:
        value = named[0]
    elif plan.position < len(places) and not any(arg.star for arg in places):
        value = places[plan.position].value
    else:
        return None
    start, end = code.range(value)
    outer = code.outer_range(value)
    title = f"Take the last dimension off `{code.text[start:end]}`"
    if isinstance(value, ATOMS) or outer != (start, end):
        return Change(title, [code.edit(outer[1], outer[1], ".squeeze(-1)")], plan.exact)
    return Change(title, [code.edit(start, start, "("), code.edit(end, end, ").squeeze(-1)")], plan.exact)


def set_option(plan: SetOption, code: Code) -> Change | None:
    """Set an option of a call, or give it another value."""
    call = code.node(plan.at)
    if not isinstance(call, ir.Call) or any(arg.star for arg in call.args):
        return None
    option = f"{plan.name}={plan.value}"
    title = f"Say `{option}`"
    given = [arg.value for arg in call.args if arg.keyword == plan.name]
    if given:
        edit = code.edit(*code.outer_range(given[0]), plan.value)
    elif call.args:
        end = code.outer_range(call.args[-1].value)[1]
        edit = code.edit(end, end, f", {option}")
    else:
        end = code.range(call)[1] - 1
        edit = code.edit(end, end, option)
    return Change(title, [edit], is_named(code, call))


def call_result(plan: CallResult, code: Code) -> Change | None:
    """`nn.BCELoss(out, y)` to `nn.BCELoss()(out, y)`; keyword arguments are the constructor's."""
    call = code.node(plan.at)
    if not isinstance(call, ir.Call) or any(arg.star for arg in call.args):
        return None
    places = [arg for arg in call.args if arg.keyword is None]
    options = [arg for arg in call.args if arg.keyword is not None]
    if len(places) != plan.tensors or call.args[: len(places)] != tuple(places):
        return None
    end = code.range(call.func)[1]
    title = f"Make the loss first: `{code.source(call.func)}(…)(…)`"
    given = ", ".join(f"{arg.keyword}={whole(code, arg.value)}" for arg in options)
    edits = [code.edit(end, end, f"({given})")]
    if options:
        behind = code.outer_range(places[-1].value)[1]
        edits.append(code.edit(behind, code.outer_range(options[-1].value)[1]))
    return Change(title, edits, is_named(code, call) and not loses_comment(code, edits))
