"""Repeating what may succeed when repeated: for two minutes, with growing pauses of random length."""

from __future__ import annotations

import itertools
import logging
import random
import time
from collections.abc import Callable
from dataclasses import replace

from cube.errors import StoreError

RETRY_SECONDS = 120.0
"""How long an operation is repeated before it fails."""

CONTACT_SECONDS = 6.0
"""The same for a server that never answered this process: more likely a wrong address than a pause."""

LAG_SECONDS = 30.0
"""How long an object that this process has written may be reported missing."""

SHORTEST_PAUSE = 0.2
LONGEST_PAUSE = 10.0

_log = logging.getLogger(__name__)


class TransientError(Exception):
    """A failed attempt that is worth repeating.

    error    raised when repeating has not helped
    contact  the server has never answered, so CONTACT_SECONDS apply
    """

    def __init__(self, error: StoreError, *, contact: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.contact = contact


def retrying[T](attempt: Callable[[], T]) -> T:
    """The result of `attempt`, called again while it raises TransientError; then raises that error's StoreError."""
    start = time.monotonic()
    for count in itertools.count(1):
        try:
            return attempt()
        except TransientError as failure:
            error = failure.error
            limit = min(CONTACT_SECONDS, RETRY_SECONDS) if failure.contact else RETRY_SECONDS
        elapsed = time.monotonic() - start
        pause = random.uniform(0.5, 1.0) * min(SHORTEST_PAUSE * 2.0 ** (count - 1), LONGEST_PAUSE)
        problem = error.problems[0]
        if elapsed + pause > limit:
            what = f"{problem.what} ({count} attempts in {elapsed:.0f} s)"
            raise type(error)(replace(problem, what=what))
        if count >= 3:
            _log.warning("%s: %s; trying again in %.0f s", problem.where, problem.what, pause)
        time.sleep(pause)
    raise AssertionError("unreachable")
