"""The driver inside a Slurm job, by deploy/slurm/build.sbatch: its workers are jobs of their own; it ends in order."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.slow_cube import ROOT, SlowCube, await_true
from tests.slurm.conftest import WORKERS
from tests.slurm_lab import SlurmLab

DRIVER = ROOT / "deploy/slurm/build.sbatch"


@pytest.fixture
def home(slow: SlowCube) -> Path:
    """A Python environment whose command knows the slow job."""
    cube = slow.folder / "venv/bin/cube"
    cube.parent.mkdir(parents=True)
    cube.write_text(f'#!/bin/sh\ncd {ROOT} && exec {sys.executable} -m tests.slow_cube "$@"\n')
    cube.chmod(0o755)
    return slow.folder / "venv"


def submit(slow: SlowCube, lab: SlurmLab, home: Path, entry: str = "build") -> str:
    """Submit the driver; the identifier of its job."""
    options = ["--parsable", "--mem=1500M", "--time=10", f"--output={slow.folder}/driver-%j.log"]
    options += [f"--export=ALL,CUBE_HOME={home},CUBE_ENVIRONMENT={slow.folder}/none"]
    return lab.run("sbatch", *options, str(DRIVER), entry, str(slow.folder / "cube.yaml")).strip()


def await_end(lab: SlurmLab, job: str, seconds: float = 180) -> str:
    """Wait until a driver has ended; its state."""
    facts: dict[str, str] = {}

    def ended() -> bool:
        words = lab.run("scontrol", "show", "job", job, "-o").split()
        facts.update(word.split("=", 1) for word in words if "=" in word)
        return facts.get("JobState") not in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING")

    await_true(ended, seconds)
    return facts["JobState"]


def said(slow: SlowCube, job: str) -> str:
    return (slow.folder / f"driver-{job}.log").read_text()


def test_driver_in_a_job_cannot_submit_its_workers(slow: SlowCube, lab: SlurmLab, home: Path) -> None:
    slow.declare(WORKERS, seconds=1.0)
    job = submit(slow, lab, home)
    slow.await_begun(1)
    assert lab.jobs(), "workers are jobs of their own"
    assert await_end(lab, job) == "COMPLETED", said(slow, job)
    assert "published" in said(slow, job)
    record = json.loads((slow.folder / "cube/runs/latest-build.json").read_text())
    assert (record["entry"], record["by"], record["exit_code"]) == ("build", "schedule", 0)


def test_driver_at_the_end_of_its_time_leaves_workers_behind(slow: SlowCube, lab: SlurmLab, home: Path) -> None:
    slow.declare(WORKERS, seconds=2.0)
    job = submit(slow, lab, home)
    slow.await_begun(3)
    # As --signal=B:TERM does two minutes before the end.
    lab.run("scancel", "--batch", "--signal=TERM", job)
    assert await_end(lab, job) == "FAILED", said(slow, job)
    await_true(lambda: not lab.jobs(), 30)
    lock = json.loads((slow.folder / "cube/lock").read_text())
    assert lock == {}, "the lock is freed"
    again = submit(slow, lab, home)
    assert await_end(lab, again) == "COMPLETED", said(slow, again)
    begun = Counter(slow.blocks_begun())
    assert sum(count - 1 for count in begun.values()) <= 4, "more was done again than what was in flight"


def test_failure_of_the_command_is_not_that_of_the_job(slow: SlowCube, lab: SlurmLab, home: Path) -> None:
    slow.declare(WORKERS, broken=800)
    job = submit(slow, lab, home)
    assert await_end(lab, job) == "FAILED", said(slow, job)
    assert "ExitCode=3:0" in lab.run("scontrol", "show", "job", job, "-o")
