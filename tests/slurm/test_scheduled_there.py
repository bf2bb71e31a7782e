"""Lines of the form slurm, as cron runs them: the job that they submit asks for what the specification says."""

from __future__ import annotations

import json
import subprocess
import sys

import yaml

from tests.slow_cube import ROOT, SlowCube, await_true
from tests.slurm.conftest import WORKERS
from tests.slurm.test_doctor_there import checks
from tests.slurm_lab import SlurmLab


def test_scheduled_entry_does_not_fire_or_asks_for_what_the_script_says(slow: SlowCube, lab: SlurmLab) -> None:
    home = slow.folder / "the venv"
    (home / "bin").mkdir(parents=True)
    (home / "bin/cube").write_text(f'#!/bin/sh\ncd {ROOT} && exec {sys.executable} -m tests.slow_cube "$@"\n')
    (home / "bin/cube").chmod(0o755)
    variables = slow.folder / "of the night.env"
    variables.write_text(f"CUBE_HOME='{home}'\n")
    variables.chmod(0o600)
    slow.declare(WORKERS, seconds=0.5)
    path = slow.folder / "cube.yaml"
    schedule = {
        "build": {"cron": "30 2 * * *"},
        "environment": variables.name,
        "driver": {"memory": "1500 MiB", "walltime": "10 min"},
    }
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "schedule": schedule}, sort_keys=False))
    slow.run("init")
    row = checks(slow.run("doctor", "--json", "--no-plan"))["schedule: driver's request"]
    assert (row["result"], row["found"]) == ("ok", "--time=10 --mem=1500M")
    line = slow.run("schedule", "--form", "slurm").splitlines()[1]
    subprocess.run(
        ["/bin/sh", "-c", line.split(" ", 5)[5].replace(r"\%", "%")],
        env={"HOME": str(slow.folder), "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh"},
        check=True,
    )
    (job,) = (each for each in lab.run("squeue", "-h", "-o", "%i %j").splitlines() if each.endswith("cube-slow-build"))
    asked = lab.run("scontrol", "show", "job", job.split()[0], "-o")
    assert "TimeLimit=00:10:00" in asked
    assert "MinMemoryNode=1500M" in asked
    latest = slow.folder / "cube/runs/latest-build.json"
    await_true(lambda: latest.exists() and json.loads(latest.read_text())["ended"], 120)
    record = json.loads(latest.read_text())
    log = "".join(each.read_text() for each in (slow.folder / "logs").iterdir())
    assert (record["exit_code"], record["by"], record["slurm_job"]) == (0, "schedule", job.split()[0]), log
    slow.assert_published()
