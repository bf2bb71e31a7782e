"""Worker processes in jobs of a Slurm cluster, by dask-jobqueue."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compute.clusters import slurm_facts as site
from compute.clusters.cluster import Cluster, Fate
from compute.clusters.options import SlurmCluster
from compute.clusters.settings import SETTINGS, exports
from compute.clusters.slurm_preflight import HOPELESS, problems
from cube.errors import ComputeError, Problem, RefusedError

if TYPE_CHECKING:
    import distributed

NANNY_BYTES = 300 * 2**20
"""What the process that watches a worker takes, beside the worker's own memory."""

LIFETIME, STAGGER = 0.8, 0.1
"""When workers leave, as parts of the walltime: at the end of a job, Slurm would take them in mid-block."""

COUNT_SECONDS = 10.0
"""Between two counts of the jobs in the queue."""

OF_ITSELF = frozenset({"OUT_OF_MEMORY", "FAILED"})
GOING_ON = frozenset({"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "CONFIGURING"})


def job_memory(options: SlurmCluster, memory: int) -> int:
    """Bytes that a job asks for, when each of its workers may use `memory`."""
    return options.workers_per_job * (memory + NANNY_BYTES)


def job_arguments(options: SlurmCluster, memory: int, logs: Path) -> dict[str, Any]:
    """What dask-jobqueue is given for each job; nothing is left to a configuration file of the site or user."""
    leave, stagger = LIFETIME * options.walltime, STAGGER * options.walltime
    return {
        "job_name": "cube-worker",
        "queue": options.queue,
        "account": options.account,
        "walltime": site.walltime(options.walltime),
        "cores": options.workers_per_job,
        "processes": options.workers_per_job,
        "job_cpu": options.workers_per_job,
        "memory": f"{options.workers_per_job * memory} B",
        "job_mem": f"{-(-job_memory(options, memory) // 2**20)}M",
        "interface": options.interface,
        "log_directory": str(logs),
        # A worker whose scheduler is gone has nothing to do, and its job costs others their place.
        "death_timeout": 60,
        "worker_extra_args": [
            "--no-dashboard",
            "--lifetime",
            f"{leave:.0f}s",
            "--lifetime-stagger",
            f"{stagger:.0f}s",
        ],
        "job_extra_directives": [f"--qos={options.qos}"] if options.qos else [],
        "job_directives_skip": [],
        "job_script_prologue": [*exports(), *options.prologue],
        "local_directory": None,
        "python": None,
        "shebang": "#!/bin/bash",
    }


def job_script(options: SlurmCluster, memory: int, folder: Path, scheduler: str = "tls://SCHEDULER:PORT") -> str:
    """The batch script of a worker's job, with words in capitals for what is only known when a build runs."""
    from dask_jobqueue.slurm import SLURMJob
    from distributed.security import Security

    logs = folder / options.logs / "RUN"
    arguments = job_arguments(options, memory, logs)
    files = {f"tls_{name}": str(logs / name.upper()) for name in ("ca_file", "worker_key", "worker_cert")}
    with _unmade(logs):
        job = SLURMJob(
            scheduler, name="NAME", protocol="tls://", security=Security(require_encryption=True, **files), **arguments
        )
    return str(job.job_script())


@contextlib.contextmanager
def _unmade(folder: Path) -> Iterator[None]:
    """dask-jobqueue makes the folder of logs when it composes a script; who only looks leaves nothing behind."""
    absent = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        yield
    finally:
        for each in absent:
            with contextlib.suppress(OSError):
                each.rmdir()


class SlurmWorkers(Cluster):
    """Jobs that this process has submitted."""

    def __init__(self, client: distributed.Client, started: Any, options: SlurmCluster, logs: Path, link: str) -> None:
        self._wanted = -(-options.workers // options.workers_per_job)
        where = options.queue or site.default_queue()
        about = f"{options.workers} workers in {self._wanted} jobs of partition {where}"
        super().__init__(client, about, patience=options.patience)
        self._started = started
        self._logs = logs
        self._link = link
        self._jobs: dict[str, str] = {}
        self._at_work = set[str]()
        self._stillborn = 0
        self._counted = time.monotonic()

    @property
    def dashboard(self) -> str | None:
        return self._link or None

    def look(self) -> None:
        """Raises ComputeError where job after job ends before its worker is there."""
        jobs = self._listed()
        self._jobs.update(jobs)
        names = {str(info["name"]) for info in list(self._started.scheduler_info["workers"].values())}
        arrived = {name for name in jobs if any(_is_of(worker, name) for worker in names)} - self._at_work
        if arrived:
            self._at_work |= arrived
            self._stillborn = 0
        if time.monotonic() - self._counted > COUNT_SECONDS:
            self._counted = time.monotonic()
            self._replace(jobs)

    def _replace(self, jobs: dict[str, str]) -> None:
        """Have jobs submitted anew that have ended: dask-jobqueue misses those whose worker never came, and those of
        several workers."""
        queued = site.queued()
        if queued is None:
            return
        gone = [name for name, job in jobs.items() if job not in queued]
        if not gone:
            return
        self._stillborn += len(set(gone) - self._at_work)
        if self._stillborn >= max(3, 2 * self._wanted):
            self.troubled = True
            raise ComputeError(
                Problem(
                    "slurm-jobs-end",
                    f"{self._stillborn} jobs ended before their worker was there, the last one was {jobs[gone[-1]]}",
                    self.about,
                    "more jobs would be submitted for ever",
                    f"see what they said in {self._logs}, and whether `cluster.prologue` and `cluster.interface` fit",
                )
            )
        self._started.loop.add_callback(self._started.scale_down, gone)

    def _listed(self) -> dict[str, str]:
        """Identifiers of the jobs that are wanted, by name."""
        for _ in range(3):
            with contextlib.suppress(RuntimeError):  # another thread changes it
                found = list(self._started.workers.items())
                return {str(name): str(job.job_id) for name, job in found if getattr(job, "job_id", None)}
        return {}

    def hindrance(self) -> tuple[str, list[Problem]]:
        queued = site.queued()
        if queued is None:
            return "Slurm does not answer", []
        waiting = [queued[job] for job in self._jobs.values() if job in queued]
        said = "; ".join(sorted({f"{each.state}, {each.reason}" for each in waiting}))
        if not waiting:
            return f"none of the jobs is in Slurm's queue; what they said is in {self._logs}", []
        hopeless = [each for each in waiting if each.state == "PENDING" and each.reason.startswith(HOPELESS)]
        if len(hopeless) < len(waiting):
            return f"{len(waiting)} jobs in Slurm's queue: {said}", []
        return said, [
            Problem(
                "slurm-pending",
                f"job {hopeless[0].job} waits with a reason that does not pass: {hopeless[0].reason}",
                self.about,
                "the build would wait for ever",
                "correct the option of `cluster` that the reason names; `cube build --dry-run` shows the batch script",
            )
        ]

    def fate(self, worker: str) -> Fate | None:
        job = next((job for name, job in self._jobs.items() if _is_of(worker, name)), None)
        state = site.job_state(job) if job else None
        if state is None or state in GOING_ON:
            return None
        return Fate.PROCESS if state in OF_ITSELF else Fate.MACHINE


def _is_of(worker: str, job: str) -> bool:
    """Whether a worker of this name belongs to the job of that name; one of several has a number behind it."""
    return worker == job or worker.rpartition("-")[0] == job


@contextlib.contextmanager
def slurm(options: SlurmCluster, memory: int, folder: Path, *, dashboard: bool = False) -> Iterator[Cluster]:
    """Workers in jobs that are replaced when they are lost, and cancelled with the context.

    Raises RefusedError with all that the site has against such jobs, before anything is submitted.
    """
    if found := problems(options, job_memory(options, memory), job_script(options, memory, folder)):
        raise RefusedError(found)
    import dask
    import dask_jobqueue
    import distributed

    with _folder_of_run(folder / options.logs) as (logs, kept), dask.config.set(SETTINGS):
        scheduler_options: dict[str, Any] = {
            # A dashboard has no password; who wants it comes through a tunnel.
            "dashboard_address": "127.0.0.1:0",
            "dashboard": dashboard,
        }
        with (
            dask_jobqueue.SLURMCluster(
                shared_temp_directory=str(logs),
                protocol="tls://",
                # The network is everybody's, and who may speak to a scheduler may run anything.
                security=True,
                scheduler_options=scheduler_options,
                silence_logs=logging.CRITICAL,
                **job_arguments(options, memory, logs),
            ) as started,
            distributed.Client(started) as client,
        ):
            # scale() would never replace a worker that was lost.
            started.adapt(minimum=options.workers, maximum=options.workers, interval="2s")
            link = client.dashboard_link if dashboard else ""
            cluster = SlurmWorkers(client, started, options, logs, link)
            try:
                yield cluster
            except BaseException:
                cluster.troubled = True
                raise
            finally:
                kept[0] = cluster.troubled


@contextlib.contextmanager
def _folder_of_run(parent: Path) -> Iterator[tuple[Path, list[bool]]]:
    """A folder for certificates, readable by this user only, and for what jobs say; kept where its flag is set."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=time.strftime("%Y-%m-%dT%H-%M-%SZ-", time.gmtime()), dir=parent))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise RefusedError(
            Problem("slurm-logs", f"no folder can be made there: {reason}", str(parent), fix="correct `cluster.logs`")
        ) from None
    kept = [True]
    try:
        yield made, kept
    finally:
        if not kept[0]:
            shutil.rmtree(made, ignore_errors=True)
