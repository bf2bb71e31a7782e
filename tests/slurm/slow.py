"""A toy job whose blocks take their time, take memory or end their process, and the command that knows it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from tests.batch.toy import Toy, ToyOptions


class SlowOptions(ToyOptions):
    """seconds  that each block takes; of the block that holds day `hard`: `hard_seconds`, `hard_bytes` of memory,
    or `ends` the process;  begun  folder in which each beginning leaves a file"""

    seconds: float = 0.0
    hard: int | None = None
    hard_seconds: float = 0.0
    hard_bytes: int = 0
    ends: bool = False
    begun: str | None = None


class Slow(Toy):
    name = "slow"
    Options = SlowOptions
    options: SlowOptions

    def compute(self, group: Any, slices: Any, data: Any) -> xr.Dataset:
        options, days = self.options, slices["time"]
        if options.begun:
            (Path(options.begun) / f"{days.start}-{os.getpid()}-{time.monotonic_ns()}").touch()
        if options.hard is not None and days.start <= options.hard < days.stop:
            if options.ends:
                os._exit(3)
            taken = [np.ones(2**22, "u1") for _ in range(options.hard_bytes // 2**22)]
            time.sleep(options.hard_seconds + (5.0 if taken else 0.0))
        else:
            time.sleep(options.seconds)
        return super().compute(group, slices, data)


def register() -> None:
    from batch import jobs

    jobs.JOBS["slow"] = Slow
    jobs.OPTIONS["slow"] = SlowOptions


if __name__ == "__main__":
    from batch.command import main
    from tests.slurm.slow import register as once_imported

    once_imported()  # under the name that workers find it by
    main(sys.argv[1:])
