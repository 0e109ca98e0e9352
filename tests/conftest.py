"""What all tests share: a single torch thread, so that tests run side by side do not fight for the cores."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
