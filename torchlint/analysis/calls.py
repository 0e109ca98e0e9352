"""A loss call as rules see it: which loss, with which abstract values, and the way each of them came."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from torchlint.analysis.values import Tensor, Trail, Value, alternatives
from torchlint.contracts import Arg, Loss
from torchlint.findings import NodeRef


class LossCall(msgspec.Struct, frozen=True, eq=False):
    """One call of one loss in one calling context.

    `args` are the bound tensors by the contract's parameter names, `options` the constructor's or function's other
    arguments. `made` is where the loss object was made, None for a function. `full_batches` says that a loader in sight
    drops the last, short batch.
    """

    loss: Loss
    at: NodeRef
    args: Mapping[str, Value]
    options: Mapping[str, Value]
    name: str
    made: Trail | None
    training: bool | None
    full_batches: bool = False

    def arg(self, role: str) -> tuple[Value, ...]:
        """All possibilities of the first argument of a role; empty if it was not given."""
        found = self.loss.arg(role)
        if found is None or found.name not in self.args:
            return ()
        return alternatives(self.args[found.name])

    def accepts(self, role: str) -> frozenset[str]:
        """The kinds that are right for a role; empty if any is."""
        found: Arg | None = self.loss.arg(role)
        return frozenset(found.accepts) if found is not None else frozenset()

    def tensor(self, role: str) -> Tensor | None:
        """The argument of a role if it is certainly one tensor."""
        parts = self.arg(role)
        return parts[0] if len(parts) == 1 and isinstance(parts[0], Tensor) else None
