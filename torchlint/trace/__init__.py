"""The tracer: runs a user's own training code and looks at what its losses really get. The only part that imports torch.

`with torchlint.trace() as t: ...` records the loss calls of a block, and `t.report()` judges them; the module itself is
what is called, since a function of its name could not stand beside it.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torchlint.contracts import Contracts
    from torchlint.trace.session import Trace


class _Callable(ModuleType):
    """A module that makes a Trace when it is called; torch is imported only then."""

    def __call__(self, contracts: Contracts | None = None) -> Trace:
        from torchlint.trace.session import Trace  # noqa: PLC0415

        return Trace(contracts)


sys.modules[__name__].__class__ = _Callable
