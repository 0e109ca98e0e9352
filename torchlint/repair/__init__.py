"""From what a check plans to edits of the code: what the code around a finding allows, and what else would change.

A fix is safe only where the code itself proves that nothing but the finding changes: the loss at the call is always this
one, and the value goes nowhere else. Where that cannot be shown it is unsafe, and where the code has another form than
those known here there is no fix.
"""

from __future__ import annotations

from torchlint.diagnostics import Fix, Safety
from torchlint.findings import (
    CallResult,
    Drop,
    Finding,
    Fuse,
    OtherLoss,
    Plan,
    Replace,
    SetOption,
    SqueezeArgument,
    SqueezeDim,
)
from torchlint.repair import activations, calls
from torchlint.repair.code import Change, Code, Open

__all__ = ["Code", "Open", "repair"]


def repair(finding: Finding, code_of: Open) -> Fix | None:
    """The fix of a finding, if its plan fits the code."""
    if finding.plan is None:
        return None
    change = _change(finding.plan, code_of)
    if change is None or not change.edits:
        return None
    proven = change.local and finding.alike and finding.confidence == "certain"
    safety: Safety = "safe" if proven else "unsafe"
    return Fix(change.title, safety, tuple(sorted(change.edits)))


def _change(plan: Plan, code_of: Open) -> Change | None:
    match plan:
        case Drop(applied, use):
            return activations.drop(applied, use, code_of)
        case Replace():
            return activations.replace(plan, code_of)
        case Fuse(dropped, loss):
            return activations.fuse(dropped, loss, code_of)
        case OtherLoss():
            return calls.other_loss(plan, code_of(plan.at.path))
        case SqueezeDim():
            return calls.squeeze_dim(plan, code_of(plan.at.path))
        case SqueezeArgument():
            return calls.squeeze_argument(plan, code_of(plan.call.path))
        case SetOption():
            return calls.set_option(plan, code_of(plan.at.path))
        case CallResult():
            return calls.call_result(plan, code_of(plan.at.path))
    return None
