"""Workers, nodes and drivers are lost in mid-build; the cube is the one that nobody disturbed."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import Counter
from pathlib import Path

import numpy as np
import xarray as xr

from tests.batch.toy import ToyOptions, expected
from tests.slurm.conftest import SlurmCube

DAYS = 3653
BLOCKS = 10
"""Of 366 days each."""


def check_values(folder: Path) -> None:
    """What is published equals the formula."""
    (version,) = {path.parent for path in (folder / "cube/inputs/rain").glob("*/time.zarr")}
    with xr.open_zarr(version / "time.zarr") as found:
        np.testing.assert_array_equal(found["pr"].values, expected(ToyOptions(days=DAYS)))


def test_cancelled_workers_are_not_replaced(slow: SlurmCube) -> None:
    slow.declare(seconds=2.0)
    build = slow.start("build")
    slow.await_begun(3)
    first = slow.lab.jobs(state="RUNNING")
    assert len(first) == 2
    slow.lab.run("scancel", *first)
    said, _ = build.communicate(timeout=240)
    assert build.returncode == 0, said
    assert set(slow.lab.jobs()) == set()
    check_values(slow.folder)
    again = Counter(slow.blocks_begun())
    assert len(again) == BLOCKS
    assert sum(count - 1 for count in again.values()) <= 2 * len(first), "more was lost than what was in flight"


def test_node_that_dies_takes_the_build_with_it(slow: SlurmCube) -> None:
    slow.declare(seconds=2.0)
    build = slow.start("build")
    try:
        slow.await_begun(3)
        slow.lab.kill_node("n1")
        said, _ = build.communicate(timeout=240)
    finally:
        slow.lab.start_node("n1")
        slow.lab.await_idle()
    assert build.returncode == 0, said
    check_values(slow.folder)


def test_preemption_counts_as_a_death_by_memory(slow: SlurmCube) -> None:
    slow.declare(hard=800, hard_seconds=6.0)
    build = slow.start("build")
    for attempt in range(1, 5):
        slow.await_true(lambda attempt=attempt: slow.blocks_begun().count("732") >= attempt, 90)
        slow.lab.run("scancel", *slow.lab.jobs(state="RUNNING"))
    said, _ = build.communicate(timeout=240)
    assert build.returncode == 0, said
    check_values(slow.folder)


def test_block_that_exceeds_memory_is_tried_for_ever(slow: SlurmCube) -> None:
    slow.declare(hard=800, hard_bytes=900 * 2**20)
    said = slow.run("build", code=8)
    assert "[worker-killed]" in said
    assert "3 workers died while computing it" in said
    assert slow.blocks_begun().count("732") in (3, 4)  # the last may have begun while it was decided
    assert not slow.lab.jobs()
    slow.declare()
    slow.run("build")
    check_values(slow.folder)


def test_work_that_is_longer_than_the_walltime_never_ends(slow: SlurmCube) -> None:
    cluster = {"kind": "slurm", "workers": 2, "interface": "lo", "walltime": "60 s", "patience": "2 min"}
    slow.declare(cluster=cluster, seconds=12.0)
    said = slow.run("build", seconds=300)
    names = {line.split()[0] for line in said.splitlines() if line.startswith("cube-worker")}
    assert not names
    check_values(slow.folder)
    assert not slow.lab.jobs()


def test_killed_driver_leaves_jobs_or_loses_blocks(slow: SlurmCube) -> None:
    slow.declare(seconds=3.0)
    build = slow.start("build")
    slow.await_begun(5)
    os.killpg(build.pid, signal.SIGKILL)
    build.communicate()
    slow.await_true(lambda: not slow.lab.jobs(), 120)
    marks = [path.stem for path in (slow.folder / "cube/inputs/rain").rglob("ledger/time/pr/*.json")]
    assert marks, "nothing was finished before the kill"
    for path in slow.begun.iterdir():
        path.unlink()
    said = slow.run("build")
    assert f"{len(marks)} blocks were finished by an earlier run" in said
    assert len(slow.blocks_begun()) == BLOCKS - len(marks)
    check_values(slow.folder)


def test_ended_driver_leaves_its_jobs_in_the_queue(slow: SlurmCube) -> None:
    slow.declare(seconds=5.0)
    build = slow.start("build")
    slow.await_begun(2)
    build.terminate()
    said, _ = build.communicate(timeout=60)
    assert build.returncode == 128 + signal.SIGTERM, said
    slow.await_true(lambda: not slow.lab.jobs(state="RUNNING,PENDING"), 10)
    assert (slow.folder / "cube/lock").read_text().strip() == "{}"
    with contextlib.suppress(FileNotFoundError):
        assert not list((slow.folder / "slurm").rglob("*.key*"))
