"""Loaded by dask in each worker process of this machine."""

from __future__ import annotations

import contextlib
import signal
from typing import Any


def dask_setup(_worker: Any) -> None:
    """Ctrl-C on a terminal reaches workers too; the command ends them, and their tracebacks would tell nothing."""
    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)
