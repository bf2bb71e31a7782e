"""Worker processes in jobs of a Slurm cluster, by dask-jobqueue."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import dask_jobqueue
import distributed
from dask_jobqueue.slurm import SLURMJob
from distributed.core import Status
from distributed.security import Security

from compute.clusters import slurm_facts as site
from compute.clusters.cluster import Cluster, Fate, NoWorkersError
from compute.clusters.options import SlurmCluster
from compute.clusters.settings import SETTINGS, exports
from compute.clusters.slurm_preflight import HOPELESS, problems, unquoted
from cube.errors import Problem, RefusedError

NANNY_BYTES = 300 * 2**20
"""What the process that watches a worker takes, beside the worker's own memory."""

LIFETIME, STAGGER = 0.8, 0.1
"""When workers leave, as parts of the walltime: at the end of a job, Slurm would take them in mid-block."""

COUNT_SECONDS = 10.0
"""Between two counts of the jobs in the queue."""

KEPT_SECONDS = 14 * 86400.0
"""How long the folders of failed runs stay."""

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
        # dask-jobqueue would make the folder even for a script that is only looked at.
        "log_directory": None,
        # A worker whose scheduler is gone has nothing to do, and its job costs others their place.
        "death_timeout": 60,
        "worker_extra_args": [
            "--no-dashboard",
            "--lifetime",
            f"{leave:.0f}s",
            "--lifetime-stagger",
            f"{stagger:.0f}s",
        ],
        "job_extra_directives": [
            *([f"--qos={options.qos}"] if options.qos else []),
            # Workers are replaced by the build; a job that Slurm starts again would look for a scheduler that is gone.
            "--no-requeue",
            f'--output="{logs}/cube-worker-%j.out"',
            f'--error="{logs}/cube-worker-%j.err"',
        ],
        "job_directives_skip": [],
        "job_script_prologue": [*exports(), *options.prologue],
        "local_directory": None,
        "python": None,
        "shebang": "#!/bin/bash",
    }


def job_script(options: SlurmCluster, memory: int, folder: Path, scheduler: str = "tls://SCHEDULER:PORT") -> str:
    """The batch script of a worker's job, with words in capitals for what is only known when a build runs."""
    logs = folder / options.logs / "RUN"
    arguments = job_arguments(options, memory, logs)
    files = {f"tls_{name}": str(logs / name.upper()) for name in ("ca_file", "worker_key", "worker_cert")}
    security = Security(require_encryption=True, **files)
    return str(SLURMJob(scheduler, name="NAME", protocol="tls://", security=security, **arguments).job_script())


class _Job(SLURMJob):  # type: ignore[misc]  # dask-jobqueue has no types
    """A job whose submission may fail for a moment: it is submitted again with the next count of the queue."""

    said = ""
    """What sbatch said against it."""

    @property
    def submit_command(self) -> str:
        # Variables of the user's that sbatch reads would go before the lines of the script.
        given = sorted(name for name in os.environ if name.startswith("SBATCH_"))
        return " ".join(["env", *(f"-u {name}" for name in given), "sbatch"])

    async def start(self) -> None:
        try:
            await super().start()
        except (RuntimeError, ValueError, OSError) as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            type(self).said = self.said = lines[-1].strip() if lines else type(error).__name__
            self.status = Status.running


class _Jobs(dask_jobqueue.SLURMCluster):  # type: ignore[misc]  # dask-jobqueue has no types
    """Jobs whose workers never have the name of an earlier one, which the scheduler may still have on its list."""

    _names = itertools.count()

    def _new_worker_name(self, _worker_number: int) -> str:
        return f"{self._name}-{next(self._names)}"


class SlurmWorkers(Cluster):
    """Jobs that this process has submitted."""

    replaces = True

    def __init__(self, client: distributed.Client, started: Any, options: SlurmCluster, logs: Path, link: str) -> None:
        self._options = options
        self._workers = 0
        jobs = -(-options.workers // options.workers_per_job)
        about = f"up to {options.workers} workers in {jobs} jobs of partition {options.queue or site.default_queue()}"
        super().__init__(client, about, patience=options.patience)
        self.lifetime = LIFETIME * options.walltime
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

    def want(self, works: int) -> None:
        wanted = max(self._workers, min(self._options.workers, works))
        if wanted > self._workers:
            self._workers = wanted
            # scale() would never replace a worker that was lost.
            self._started.adapt(minimum=wanted, maximum=wanted, interval="2s")

    def look(self) -> None:
        """Raises ComputeError where job after job ends before its worker is there."""
        jobs = self._listed()
        self._jobs.update({name: job for name, job in jobs.items() if job})
        names = {str(info["name"]) for info in list(self._started.scheduler_info["workers"].values())}
        arrived = {name for name in jobs if any(_is_of(worker, name) for worker in names)} - self._at_work
        if arrived:
            self._at_work |= arrived
            self._stillborn = 0
        if time.monotonic() - self._counted > COUNT_SECONDS:
            self._counted = time.monotonic()
            self._replace(jobs)

    def _replace(self, jobs: dict[str, str | None]) -> None:
        """Have jobs submitted anew that have ended: dask-jobqueue misses those whose worker never came, and those of
        several workers."""
        queued = site.queued()
        if queued is None:
            return
        gone = [name for name, job in jobs.items() if job not in queued]
        if not gone:
            return
        self._stillborn += len({name for name in gone if jobs[name]} - self._at_work)
        if self._stillborn >= max(3, 2 * -(-self._workers // self._options.workers_per_job)):
            self.troubled = True
            raise NoWorkersError(
                Problem(
                    "slurm-jobs-end",
                    f"{self._stillborn} jobs ended before their worker was there, the last one was {jobs[gone[-1]]}",
                    self.about,
                    "more jobs would be submitted for ever",
                    f"see what they said in {self._logs}, and whether `cluster.prologue` and `cluster.interface` fit",
                )
            )
        self._started.loop.add_callback(self._started.scale_down, gone)

    def _listed(self) -> dict[str, str | None]:
        """Identifiers of the jobs that are wanted, by name; None for one that sbatch did not take."""
        for _ in range(3):
            with contextlib.suppress(RuntimeError):  # another thread changes it
                found = list(self._started.workers.items())
                return {str(name): job.job_id for name, job in found if job.status is Status.running}
        return {}

    def hindrance(self) -> tuple[str, list[Problem]]:
        queued = site.queued()
        if queued is None:
            return "Slurm does not answer", []
        waiting = [queued[job] for job in self._jobs.values() if job in queued]
        said = "; ".join(sorted({f"{each.state}, {each.reason}" for each in waiting}))
        if not waiting and _Job.said:
            return f"sbatch: {_Job.said}", []
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

    def cancel(self) -> None:
        """Cancel what is still in the queue: jobs that were given up, or that Slurm has put there again."""
        queued = site.queued() or {}
        if left := [job for job in self._jobs.values() if job in queued]:
            site.cancel(left)

    def fate(self, worker: str) -> Fate | None:
        job = next((job for name, job in self._jobs.items() if _is_of(worker, name)), None)
        state = site.job_state(job) if job else None
        if state is None or state in GOING_ON:
            return None
        return Fate.PROCESS if state in OF_ITSELF else Fate.MACHINE


def _is_of(worker: str, job: str) -> bool:
    """Whether a worker of this name belongs to the job of that name; one of several has a number behind it."""
    return worker == job or worker.rpartition("-")[0] == job


def refusals(options: SlurmCluster, memory: int, folder: Path) -> list[Problem]:
    """All that speaks against the jobs of these options, on this site."""
    if found := unquoted(folder / options.logs):
        return found
    return problems(options, job_memory(options, memory), job_script(options, memory, folder))


@contextlib.contextmanager
def slurm(
    options: SlurmCluster, memory: int, folder: Path, *, name: str = "run", dashboard: bool = False
) -> Iterator[Cluster]:
    """Workers in jobs that are replaced when they are lost, and cancelled with the context.

    Raises RefusedError with all that the site has against such jobs, before anything is submitted.
    """
    if found := refusals(options, memory, folder):
        raise RefusedError(found)
    scheduler_options: dict[str, Any] = {
        # A dashboard has no password; who wants it comes through a tunnel.
        "dashboard_address": "127.0.0.1:0",
        "dashboard": dashboard,
    }
    with (
        _folder_of_run(folder / options.logs, name) as (logs, kept),
        contextlib.ExitStack() as afterwards,
        dask.config.set(SETTINGS),
        _Jobs(
            job_cls=_Job,
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
        cluster = SlurmWorkers(client, started, options, logs, client.dashboard_link if dashboard else "")
        afterwards.callback(cluster.cancel)
        try:
            yield cluster
        except BaseException:
            cluster.troubled = True
            raise
        finally:
            kept[0] = cluster.troubled


@contextlib.contextmanager
def _folder_of_run(parent: Path, name: str) -> Iterator[tuple[Path, list[bool]]]:
    """A folder for certificates, readable by this user only, and for what jobs say; kept where its flag is set."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _clear(parent)
        made = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
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
            with contextlib.suppress(OSError):  # others are in it
                parent.rmdir()


def _clear(parent: Path) -> None:
    """Delete what runs left that failed or were killed long ago."""
    for each in parent.iterdir():
        old = time.time() - each.stat().st_mtime > KEPT_SECONDS
        if old and each.is_dir() and (each.name.startswith("run-") or "-build-" in each.name):
            shutil.rmtree(each, ignore_errors=True)
