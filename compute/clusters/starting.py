"""From the `cluster:` section to workers, whatever the kind."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compute.clusters.cluster import Cluster
from compute.clusters.local import local
from compute.clusters.options import AddressCluster, AnyCluster, GatewayCluster, LocalCluster, SlurmCluster
from compute.clusters.settings import default_workers
from cube.errors import Problem


def start(
    options: AnyCluster, memory: int, folder: Path, *, name: str = "run", dashboard: bool = False
) -> AbstractContextManager[Cluster]:
    """Workers of one thread and `memory` bytes each, ended with the context.

    folder     where relative paths of the options start
    name       of the run, for what its jobs leave
    dashboard  serve the Dask dashboard, on loopback; an existing scheduler has its own

    Raises RefusedError for what the site would not run, ComputeError where a cluster cannot be reached.
    """
    match options:
        case LocalCluster():
            return local(options, memory, dashboard=dashboard)
        case SlurmCluster():
            from compute.clusters.slurm import slurm  # dask-jobqueue is only needed here

            return slurm(options, memory, folder, name=name, dashboard=dashboard)
        case AddressCluster():
            from compute.clusters.address import address

            return address(options, memory, folder)
        case GatewayCluster():
            from compute.clusters.gateway import gateway  # dask-gateway is only needed here

            return gateway(options, memory)


@dataclass(frozen=True)
class Request:
    """What a build would ask for.

    about     the workers in words
    script    the batch script of a job, submitted `jobs` times; "" where nothing is submitted
    problems  what the site has against it
    """

    about: str
    script: str = ""
    jobs: int = 0
    problems: tuple[Problem, ...] = ()

    def __str__(self) -> str:
        lines = [*map(str, self.problems), self.about]
        if self.script:
            refused = ", were it not refused for what stands above" if self.problems else ""
            lines += [f"submitted by sbatch up to {self.jobs} times{refused}:", "", self.script.rstrip()]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        problems = [problem.to_json() for problem in self.problems]
        return {"about": self.about, "script": self.script, "jobs": self.jobs, "problems": problems}


def request(options: AnyCluster, memory: int, folder: Path) -> Request:
    """What `start` would ask for; starts nothing and submits nothing."""
    match options:
        case LocalCluster():
            workers = default_workers(memory) if options.workers is None else options.workers
            return Request(f"{workers} worker processes on this machine" if workers else "no workers but the command")
        case SlurmCluster():
            from compute.clusters.slurm import job_script, refusals

            script = job_script(options, memory, folder)
            jobs = -(-options.workers // options.workers_per_job)
            found = tuple(refusals(options, memory, folder))
            return Request(f"up to {options.workers} workers in {jobs} jobs of Slurm", script, jobs, found)
        case AddressCluster():
            return Request(f"the workers of the scheduler at {options.address}")
        case GatewayCluster():
            return Request(f"{options.workers} workers of the gateway at {options.address}")
