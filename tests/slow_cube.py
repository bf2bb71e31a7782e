"""A cube whose blocks take their time, take memory or end their process, and its commands in processes of their own.

`python -m tests.slow_cube ARGUMENTS` is the `cube` command with the job `slow`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml

from tests.batch.toy import Toy, ToyOptions, expected

ROOT = Path(__file__).resolve().parents[1]
DAYS = 3653
BLOCKS = 10
"""Of 366 days each."""


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
    """Make the job known to this process."""
    from batch import jobs

    jobs.JOBS["slow"] = Slow
    jobs.OPTIONS["slow"] = SlowOptions


class SlowCube:
    """A cube of one product, one block a year.

    environment  variables that its commands get
    begun        folder with a file for each block that a worker has begun
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.begun = folder / "begun"
        self.begun.mkdir(exist_ok=True)

    def declare(self, cluster: Mapping[str, Any], *, memory: str = "600 MiB", **options: Any) -> None:
        """Write the specification; options: those of the job."""
        product = {"job": "slow", "collection": "inputs", "layout": {"segment": "1 years"}, "begun": str(self.begun)}
        spec = {
            "title": "Slow",
            "store": "./cube",
            "memory": memory,
            "cluster": dict(cluster),
            "products": {"rain": {**product, "days": DAYS, **options}},
        }
        (self.folder / "cube.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A command, its outputs in one stream."""
        return subprocess.Popen(
            [sys.executable, "-m", "tests.slow_cube", *words, "--spec", str(self.folder / "cube.yaml")],
            cwd=ROOT,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, code: int = 0, seconds: float = 240) -> str:
        """What a command says that ends with this exit code."""
        process = self.start(*words)
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            pytest.fail(f"it hangs: {said}")
        assert process.returncode == code, said
        return said

    def blocks_begun(self) -> list[str]:
        """First days of the blocks that workers have begun, as often as they did."""
        return [path.name.partition("-")[0] for path in self.begun.iterdir()]

    def await_begun(self, count: int, seconds: float = 90) -> None:
        await_true(lambda: len(self.blocks_begun()) >= count, seconds)

    def marks(self) -> list[Path]:
        """Done-marks of blocks."""
        return list((self.folder / "cube/inputs/rain").glob("*/ledger/time/pr/*.json"))

    def assert_published(self) -> None:
        """What readers find equals the formula."""
        (version,) = {path.parent for path in (self.folder / "cube/inputs/rain").glob("*/manifest.json")}
        with xr.open_zarr(version / "time.zarr") as found:
            np.testing.assert_array_equal(found["pr"].values, expected(ToyOptions(days=DAYS)))


def await_true(true: Callable[[], bool], seconds: float) -> None:
    """Wait until it is true; fail after so many seconds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.1)


if __name__ == "__main__":
    from batch.command import main
    from tests.slow_cube import register as once_imported

    once_imported()  # under the name that workers find it by
    main(sys.argv[1:])
