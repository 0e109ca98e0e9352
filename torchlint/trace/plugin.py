"""The pytest fixture `loss_trace`: a test that uses it fails if one of its loss calls is wrong. torch is imported only then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from torchlint.trace.session import Trace


@pytest.fixture
def loss_trace() -> Iterator[Trace]:
    """Record the loss calls of a test, and fail it if one of them is wrong."""
    from torchlint.trace.session import Trace  # noqa: PLC0415  # torch: seconds

    with Trace() as trace:
        yield trace
    result = trace.report()
    if result.bad:
        pytest.fail(f"a loss call of this test is wrong\n{result}", pytrace=False)
