"""Workers, nodes and drivers are lost in mid-build; the cube is the one that nobody disturbed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.slow_cube import BLOCKS, SlowCube, await_true
from tests.slurm.conftest import WORKERS
from tests.slurm_lab import SlurmLab


def test_cancelled_workers_are_not_replaced(slow: SlowCube, lab: SlurmLab) -> None:
    slow.declare(WORKERS, seconds=2.0)
    build = slow.start("build")
    slow.await_begun(3)
    first = lab.jobs(state="RUNNING")
    assert len(first) == 2
    lab.run("scancel", *first)
    said, _ = build.communicate(timeout=240)
    assert build.returncode == 0, said
    assert set(lab.jobs()) == set()
    slow.assert_published()
    again = Counter(slow.blocks_begun())
    assert len(again) == BLOCKS
    assert sum(count - 1 for count in again.values()) <= 2 * len(first), "more was lost than what was in flight"


def test_node_that_dies_takes_the_build_with_it(slow: SlowCube, lab: SlurmLab) -> None:
    slow.declare(WORKERS, seconds=2.0)
    build = slow.start("build")
    try:
        slow.await_begun(3)
        lab.kill_node("n1")
        said, _ = build.communicate(timeout=240)
    finally:
        lab.start_node("n1")
        lab.await_idle()
    assert build.returncode == 0, said
    slow.assert_published()


def test_preemption_counts_as_a_death_by_memory(slow: SlowCube, lab: SlurmLab) -> None:
    slow.declare(WORKERS, hard=800, hard_seconds=6.0)
    build = slow.start("build")
    for attempt in range(1, 5):
        await_true(lambda attempt=attempt: slow.blocks_begun().count("732") >= attempt, 90)
        lab.run("scancel", *lab.jobs(state="RUNNING"))
    said, _ = build.communicate(timeout=240)
    assert build.returncode == 0, said
    slow.assert_published()


def test_block_that_exceeds_memory_is_tried_for_ever(slow: SlowCube, lab: SlurmLab) -> None:
    slow.declare(WORKERS, hard=800, hard_bytes=900 * 2**20)
    said = slow.run("build", code=8)
    assert "[worker-killed]" in said
    assert "3 workers died while computing it" in said
    assert slow.blocks_begun().count("732") in (3, 4)  # the last may have begun while it was decided
    assert not lab.jobs()
    slow.declare(WORKERS)
    slow.run("build")
    slow.assert_published()


def test_work_that_is_longer_than_the_walltime_never_ends(slow: SlowCube, lab: SlurmLab) -> None:
    slow.declare({**WORKERS, "walltime": "60 s"}, seconds=12.0)
    last = int(lab.run("sbatch", "--parsable", "--wrap", "true"))
    slow.run("build", seconds=300)
    assert int(lab.run("sbatch", "--parsable", "--wrap", "true")) > last + 1 + 2, "no worker was ever replaced"
    slow.assert_published()
    assert not lab.jobs()


def test_killed_driver_leaves_jobs_or_loses_blocks(slow: SlowCube, lab: SlurmLab) -> None:
    slow.declare(WORKERS, seconds=3.0)
    build = slow.start("build")
    slow.await_begun(5)
    os.killpg(build.pid, signal.SIGKILL)
    build.communicate()
    await_true(lambda: not lab.jobs(), 120)
    marks = slow.marks()
    assert marks, "nothing was finished before the kill"
    for path in slow.begun.iterdir():
        path.unlink()
    said = slow.run("build")
    assert f"{len(marks)} blocks were finished by an earlier run" in said
    assert len(slow.blocks_begun()) == BLOCKS - len(marks)
    slow.assert_published()


def test_ended_driver_leaves_its_jobs_in_the_queue(slow: SlowCube, lab: SlurmLab) -> None:
    slow.declare(WORKERS, seconds=5.0)
    build = slow.start("build")
    slow.await_begun(2)
    build.terminate()
    said, _ = build.communicate(timeout=60)
    assert build.returncode == 128 + signal.SIGTERM, said
    await_true(lambda: not lab.jobs(state="RUNNING,PENDING"), 10)
    assert (slow.folder / "cube/lock").read_text().strip() == "{}"
    with contextlib.suppress(FileNotFoundError):
        assert not list((slow.folder / "slurm").rglob("*.key*"))


def test_jobs_that_end_at_once_are_submitted_for_ever(slow: SlowCube, lab: SlurmLab) -> None:
    slow.declare({**WORKERS, "prologue": ["echo this node lacks something >&2", "exit 1"]})
    said = slow.run("build", code=8)
    assert "[slurm-jobs-end]" in said
    assert not lab.jobs()
    (run,) = (slow.folder / "slurm").iterdir()
    logs = [path.read_text() for path in run.glob("cube-worker-*.err")]
    assert 4 <= len(logs) <= 8
    assert all("this node lacks something" in text for text in logs)
    assert not list(run.glob(".*key*"))


def test_job_that_is_lost_before_its_worker_came_is_not_replaced(slow: SlowCube, lab: SlurmLab) -> None:
    slow.declare({**WORKERS, "prologue": ["sleep 4"]}, seconds=0.5)
    build = slow.start("build")
    await_true(lambda: len(lab.jobs()) == 2, 60)
    lab.run("scancel", *lab.jobs())
    said, _ = build.communicate(timeout=120)
    assert build.returncode == 0, said
    slow.assert_published()


@pytest.mark.soak  # under load the build once stood still for two minutes; why is not known
def test_job_of_several_workers_is_not_replaced(slow: SlowCube, lab: SlurmLab) -> None:
    slow.declare({**WORKERS, "workers_per_job": 2}, seconds=2.0)
    build = slow.start("build")
    slow.await_begun(3)
    lab.run("scancel", *lab.jobs())
    said, _ = build.communicate(timeout=120)
    assert build.returncode == 0, said
    slow.assert_published()


def test_block_that_outlives_every_worker_is_tried_for_ever(slow: SlowCube) -> None:
    slow.declare({**WORKERS, "walltime": "60 s"}, hard=800, hard_seconds=100.0)
    said = slow.run("build", code=8, seconds=400)
    assert "3 workers came to the end of their time while computing it [block-outlives-worker]" in said


def test_submission_that_fails_once_loses_its_place(slow: SlowCube, lab: SlurmLab, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    real = shutil.which("sbatch")
    wrapper = folder / "sbatch"
    wrapper.write_text(
        f'#!/bin/sh\n[ "$1" = --test-only ] && exec {real} "$@"\n'
        f"mkdir {folder}/first 2>/dev/null && {{ echo 'Unable to contact slurm controller' >&2; exit 1; }}\n"
        f'exec {real} "$@"\n'
    )
    wrapper.chmod(0o755)
    slow.environment = {**slow.environment, "PATH": f"{folder}:{os.environ['PATH']}"}
    slow.declare({**WORKERS, "workers": 1, "patience": "1 min"}, seconds=0.2)
    slow.run("build")
    assert (folder / "first").is_dir()
    slow.assert_published()
    assert not lab.jobs()


def test_submission_that_always_fails_is_not_told(slow: SlowCube, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    wrapper = folder / "sbatch"
    wrapper.write_text(
        f'#!/bin/sh\n[ "$1" = --test-only ] && exec {shutil.which("sbatch")} "$@"\n'
        "echo 'sbatch: error: too many jobs' >&2; exit 1\n"
    )
    wrapper.chmod(0o755)
    slow.environment = {**slow.environment, "PATH": f"{folder}:{os.environ['PATH']}"}
    slow.declare({**WORKERS, "patience": "25 s"})
    said = slow.run("build", code=8)
    assert "[no-workers]" in said
    assert "too many jobs" in said
    assert "Traceback" not in said


def test_variables_of_the_user_override_the_batch_script(slow: SlowCube, lab: SlurmLab) -> None:
    slow.environment = {**slow.environment, "SBATCH_TIMELIMIT": "2", "SBATCH_MEM_PER_NODE": "100M"}
    slow.declare(WORKERS, seconds=1.0)
    build = slow.start("build")
    slow.await_begun(1)
    assert lab.run("squeue", "-h", "-j", lab.jobs()[0], "-o", "%l %m").split() == ["10:00", "900M"]
    said, _ = build.communicate(timeout=120)
    assert build.returncode == 0, said


def test_worker_that_dies_on_import_is_replaced_for_ever(slow: SlowCube, tmp_path: Path) -> None:
    """As on a node whose processor lacks an instruction that a library uses."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'tests.slow_cube':\n"
        "            os.kill(os.getpid(), signal.SIGILL)\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    slow.declare({**WORKERS, "prologue": [f"export PYTHONPATH={folder}"]})
    said = slow.run("build", code=8)
    assert "[workers-die]" in said
