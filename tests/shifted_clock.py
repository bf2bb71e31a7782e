"""A wall clock that is wrong by a fixed time, for processes of tests."""

from __future__ import annotations

import datetime
import time


def shift(seconds: float) -> None:
    """Let `time.time`, `time.gmtime` and `datetime.now` of this process be ahead by `seconds`; no other clock moves.

    Call it when compiled modules are imported: pandas ends the process when it meets another `datetime` at its import.
    """
    ahead, real = datetime.timedelta(seconds=seconds), datetime.datetime
    wall, gmtime = time.time, time.gmtime
    time.time = lambda: wall() + seconds
    time.gmtime = lambda at=None: gmtime(wall() + seconds if at is None else at)

    class Kind(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, real)

    class Shifted(real, metaclass=Kind):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return real.now(tz) + ahead

        @classmethod
        def utcnow(cls) -> datetime.datetime:
            return (real.now(datetime.UTC) + ahead).replace(tzinfo=None)

    datetime.datetime = Shifted
