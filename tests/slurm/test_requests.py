"""What Slurm would never run is found before it is submitted, and what waits is told."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slow_cube import SlowCube, await_true
from tests.slurm.conftest import WORKERS
from tests.slurm_lab import SlurmLab

LOTUS = {**WORKERS, "queue": "standard", "account": "mygws", "qos": "standard"}


@pytest.fixture
def lotus(tmp_path: Path, site: SlurmLab) -> Iterator[SlowCube]:
    yield SlowCube(tmp_path, site.environment)
    site.run("scancel", "-u", "root")


def submitted_by_hand(site: SlurmLab, script: str) -> str:
    """What becomes of a batch script: the reason it waits with, or what sbatch says against it."""
    ran = subprocess.run(
        ["sbatch", "--parsable", "--begin=now"],
        input=script,
        capture_output=True,
        text=True,
        env={**site.environment, "PATH": "/usr/bin:/bin"},
        check=False,
    )
    if ran.returncode:
        return ran.stderr
    time.sleep(3)
    state, _, reason = site.run("squeue", "-h", "-j", ran.stdout.strip(), "-o", "%T|%r").strip().partition("|")
    return reason if state == "PENDING" else state


@pytest.mark.parametrize(
    ("options", "memory", "code", "theirs"),
    [
        ({"qos": "nosuch"}, "600 MiB", "slurm-qos", "Invalid qos"),
        ({"qos": "debug"}, "600 MiB", "slurm-qos", "QOS not permitted"),
        ({"account": "theirs"}, "600 MiB", "slurm-account", "Invalid account"),
        ({"queue": "nosuch"}, "600 MiB", "slurm-queue", "invalid partition"),
        ({"workers_per_job": 2}, "600 MiB", "slurm-cpus", "QOSMaxCpuPerJobLimit"),
        ({"qos": "short", "walltime": "5 h"}, "600 MiB", "slurm-walltime", "QOSMaxWallDurationPerJobLimit"),
        ({"qos": "long", "walltime": "2 d"}, "600 MiB", "slurm-walltime", "Partition"),
        ({}, "9 GiB", "slurm-memory", "Requested node configuration is not available"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)
def test_request_that_pends_for_ever_is_submitted(
    lotus: SlowCube, site: SlurmLab, options: dict[str, str], memory: str, code: str, theirs: str
) -> None:
    lotus.declare({**LOTUS, **options}, memory=memory)
    said = lotus.run("build", code=4)
    assert f"[{code}]" in said
    assert not site.jobs()
    assert not (lotus.folder / "slurm").exists()
    script = lotus.run("build", "--dry-run", code=4)
    assert f"[{code}]" in script
    script = script[script.index("#!/bin/bash") :]
    # The same script by hand, without our looking first: Slurm refuses it, or lets it wait for this reason.
    assert theirs in submitted_by_hand(site, script), "Slurm has nothing against it: we refuse too much"


def test_sound_request_is_refused(lotus: SlowCube, site: SlurmLab) -> None:
    lotus.declare({**LOTUS, "qos": "short", "walltime": "4 h"})
    lotus.run("build")
    lotus.assert_published()


def test_all_that_is_wrong_is_not_told_at_once(lotus: SlowCube) -> None:
    wrong = {**LOTUS, "workers_per_job": 3, "walltime": "30 h", "interface": "nosuch0"}
    lotus.declare(wrong, memory="9 GiB")
    said = lotus.run("build", code=4)
    assert {"slurm-cpus", "slurm-walltime", "slurm-memory", "slurm-interface"} <= set(
        re.findall(r"\[([a-z-]+)\]", said)
    )


def test_dry_run_prints_another_script_than_is_submitted(slow: SlowCube, lab: SlurmLab) -> None:
    slow.declare({**WORKERS, "prologue": ["export GREETING=hello"]}, seconds=3.0)
    dry = slow.run("build", "--dry-run")
    assert not lab.jobs()
    assert not (slow.folder / "slurm").exists()
    build = slow.start("build")
    slow.await_begun(1)
    job = lab.jobs(state="RUNNING")[0]
    script = lab.run("scontrol", "write", "batch_script", job, "-")
    build.communicate(timeout=120)
    for pattern, word in (
        (r"tls://127\.0\.0\.1:\d+", "tls://SCHEDULER:PORT"),
        (r"--name \S+", "--name NAME"),
        (r"slurm/20[^/]*/", "slurm/RUN/"),
        (r"\.dask-jobqueue\.worker\.(ca_file|cert|key)\.\w+", "FILE"),
    ):
        script = re.sub(pattern, word, script)
    dry = re.sub(r"RUN/(CA_FILE|WORKER_CERT|WORKER_KEY)", "RUN/FILE", dry[dry.index("#!/bin/bash") :])
    assert script.strip() == dry.strip()


def test_certificates_can_be_read_by_others(slow: SlowCube) -> None:
    slow.declare(WORKERS, seconds=2.0)
    build = slow.start("build")
    slow.await_begun(1)
    (run,) = (slow.folder / "slurm").iterdir()
    assert run.stat().st_mode & 0o077 == 0
    keys = [path for path in run.iterdir() if ".key." in path.name]
    assert keys
    assert all(path.stat().st_mode & 0o077 == 0 for path in keys)
    build.communicate(timeout=120)
    assert not run.exists(), "keys are left behind"


def test_build_without_any_node_hangs_or_does_not_say_why(slow: SlowCube, lab: SlurmLab) -> None:
    slow.declare({**WORKERS, "patience": "25 s"})
    lab.run("scontrol", "update", "nodename=n[1-2]", "state=drain", "reason=repair")
    try:
        # Drained nodes are not asked for their size, so the request itself is sound.
        said = slow.run("build", code=8)
    finally:
        lab.run("scontrol", "update", "nodename=n[1-2]", "state=resume")
        lab.await_idle()
    assert "no workers yet: 2 jobs in Slurm's queue: PENDING, " in said
    assert "DOWN, DRAINED or reserved" in said
    assert "[no-workers]" in said
    await_true(lambda: not lab.jobs(), 10)


def test_job_that_is_held_is_waited_for(slow: SlowCube, lab: SlurmLab) -> None:
    slow.declare({**WORKERS, "patience": "5 min"})
    lab.run("scontrol", "update", "nodename=n[1-2]", "state=drain", "reason=repair")
    try:
        build = slow.start("build")
        await_true(lambda: len(lab.jobs(state="PENDING")) == 2, 60)
        lab.run("scontrol", "hold", ",".join(lab.jobs()))
        said, _ = build.communicate(timeout=60)
    finally:
        lab.run("scontrol", "update", "nodename=n[1-2]", "state=resume")
        lab.await_idle()
    assert build.returncode == 8, said
    assert "waits with a reason that does not pass: JobHeldAdmin [slurm-pending]" in said
    await_true(lambda: not lab.jobs(), 10)
