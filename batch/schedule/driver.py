"""The driver of a scheduled run: its own Slurm job, and what that asks for."""

from __future__ import annotations

import math
from pathlib import Path

from batch.schedule.commands import Installed
from batch.schedule.options import Entry, Schedule
from compute.clusters.options import SlurmCluster
from cube.errors import Problem, SpecError

DRIVER = Path(__file__).resolve().parents[2] / "deploy/slurm/build.sbatch"
"""The job script that runs an entry inside a Slurm job: `sbatch [options] build.sbatch ENTRY SPEC`."""

WALLTIME = 24 * 3600.0


def submission(given: Installed, name: str, entry: Entry, cluster: object) -> list[str]:
    """Options and arguments of the sbatch that runs an entry.

    cluster  of the specification

    Raises SpecError for an environment file whose path `--export` could not hold.
    """
    # Its own file for each job: on some file systems, two that append to one lose lines.
    options = [f"--job-name=cube-{given.id}-{name}", f"--output={given.logs}/{name}-%j.log"]
    options += requested(given.schedule, entry, cluster)
    if given.environment is not None:
        if "," in str(given.environment):
            what = "sbatch --export ends a value at a comma"
            raise SpecError(Problem("schedule-path", what, str(given.environment), fix="give the file another name"))
        options.append(f"--export=ALL,CUBE_ENVIRONMENT={given.environment}")
    return [*options, str(DRIVER), name, str(given.spec)]


def requested(schedule: Schedule, entry: Entry, cluster: object) -> list[str]:
    """What the job of an entry asks for, as options of sbatch."""
    asked = as_cluster(schedule, cluster)
    named = {"account": asked.account, "partition": asked.queue, "qos": asked.qos}
    return [
        *(f"--{option}={value}" for option, value in named.items() if value),
        f"--time={math.ceil(walltime(schedule, entry) / 60)}",
        f"--mem={math.ceil(schedule.driver.memory / 2**20)}M",
    ]


def walltime(schedule: Schedule, entry: Entry) -> float:
    """Time limit of the job of an entry, seconds."""
    return schedule.driver.walltime or entry.limit or WALLTIME


def as_cluster(schedule: Schedule, cluster: object) -> SlurmCluster:
    """The driver's request in the form that requests of workers have: one core, and the longest of its walltimes."""
    driver, workers = schedule.driver, cluster if isinstance(cluster, SlurmCluster) else None
    found = {name: getattr(driver, name) or getattr(workers, name, None) for name in ("queue", "account", "qos")}
    asked = SlurmCluster.model_validate({"kind": "slurm", "workers": 1, **found})
    longest = max((walltime(schedule, each) for name, each in schedule.entries().items() if name != "watch"), default=0)
    return asked.model_copy(update={"walltime": longest})
