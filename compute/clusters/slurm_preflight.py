"""Finding before submission what would make jobs wait for ever: Slurm takes many requests that it never runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from compute.clusters import slurm_facts as site
from compute.clusters.options import SlurmCluster
from cube.errors import Problem

FOR_EVER = "Slurm would take such a job and never run it"

HOPELESS = (
    "Invalid",
    "PartitionTimeLimit",
    "PartitionNodeLimit",
    "PartitionConfig",
    "QOSMaxCpuPerJobLimit",
    "QOSMaxMemoryPerJob",
    "QOSMaxWallDurationPerJobLimit",
    "QOSNotAllowed",
    "AssocMaxCpuPerJobLimit",
    "AssocMaxWallDurationPerJobLimit",
    "AccountNotAllowed",
    "BadConstraints",
    "Job's QOS not permitted",
    "JobHeldAdmin",
    "launch failed requeued held",
)
"""Beginnings of reasons that waiting does not settle."""


def unquoted(path: Path) -> list[Problem]:
    """Paths that cannot stand in a batch script: dask-jobqueue does not quote them."""
    if re.fullmatch(r"[\w./+@=:,~-]+", str(path), re.ASCII):
        return []
    what = "the path holds a blank or another character that batch scripts cannot hold"
    fix = "give `cluster.logs` a folder of letters, digits and ./+@=:,~_-"
    return [Problem("slurm-logs", what, str(path), "jobs would begin with other words than were meant", fix)]


def problems(options: SlurmCluster, job_memory: int, script: str) -> list[Problem]:
    """Everything that the site has against the jobs of these options.

    job_memory  bytes that a job asks for;  script  the batch script, which sbatch itself is asked about at the end
    """
    if missing := site.missing_commands():
        return [
            Problem(
                "slurm-missing",
                f"there is no {', '.join(missing)} on this machine",
                "cluster.kind",
                fix="run the command on a node of the cluster from which jobs are submitted, or give --cluster local",
            )
        ]
    if not site.queues():
        return [
            Problem(
                "slurm-away",
                "Slurm does not answer",
                "cluster.kind",
                fix="see what `sinfo` says on this machine; under cron, SLURM_CONF and PATH of modules belong into the "
                "file of `schedule.environment`",
            )
        ]
    found = [*_interface(options), *_requests(options, job_memory)]
    # With all nodes down, as in a maintenance, sbatch --test-only refuses what would only have to wait.
    some = site.nodes(options.queue or site.default_queue() or "")
    if not found and some and (text := site.refusal(script)):
        found.append(Problem("slurm-refused", text, "cluster", fix="correct the option that sbatch names"))
    return found


def _interface(options: SlurmCluster) -> Iterator[Problem]:
    known = psutil.net_if_addrs()
    if options.interface and options.interface not in known:
        yield Problem(
            "slurm-interface",
            f"this machine has no network interface {options.interface}",
            "cluster.interface",
            "workers could not reach the scheduler",
            f"give one of {', '.join(sorted(known))} that the nodes have too, or none",
        )


def _requests(options: SlurmCluster, job_memory: int) -> list[Problem]:
    name = options.queue or site.default_queue()
    queue = site.queue_limits(name) if name else None
    if name is None or queue is None:
        what = f"there is no partition {name}" if name else "the site has no default partition"
        return [Problem("slurm-queue", what, "cluster.queue", fix=f"give one of {', '.join(site.queues())}")]
    found = []
    if not queue.up:
        found.append(Problem("slurm-queue", f"partition {name} is not up", "cluster.queue", FOR_EVER, "give another"))
    rights = _rights(options, queue)
    found += rights.problems
    for limit in rights.limits:
        found += _beyond(options, limit)
    cpus, nodes = options.workers_per_job, site.nodes(name)
    if nodes and not any(node.cpus >= cpus and node.memory >= job_memory for node in nodes):
        most = max(nodes, key=lambda node: node.memory)
        what = (
            f"a job asks for {job_memory / 2**30:.1f} GiB and {cpus} cores; the largest node of {name} that is up has "
            f"{most.memory / 2**30:.1f} GiB and {most.cpus}"
        )
        fix = "lower `memory` or `cluster.workers_per_job`, or give another queue"
        found.append(Problem("slurm-memory", what, "memory", FOR_EVER, fix))
    return found


def _beyond(options: SlurmCluster, limit: site.Limits) -> Iterator[Problem]:
    cpus = options.workers_per_job
    if limit.cpus is not None and cpus > limit.cpus:
        yield Problem(
            "slurm-cpus",
            f"a job of {cpus} workers asks for {cpus} cores, {limit.name} gives {limit.cpus}",
            "cluster.workers_per_job",
            FOR_EVER,
            f"give workers_per_job: {limit.cpus}, or another qos",
        )
    if limit.walltime is not None and options.walltime > limit.walltime:
        yield Problem(
            "slurm-walltime",
            f"a job asks for {site.walltime(options.walltime)}, {limit.name} gives {site.walltime(limit.walltime)}",
            "cluster.walltime",
            FOR_EVER,
            f"give at most {limit.walltime / 3600:g} h, or another queue or qos",
        )


@dataclass(frozen=True)
class _Rights:
    """What the user may charge and how: what is wrong with it, and the limits that hold."""

    problems: list[Problem]
    limits: list[site.Limits]


def _rights(options: SlurmCluster, queue: site.Limits) -> _Rights:
    found = []
    limits = [queue]
    account, qos = options.account, options.qos
    mine = [each for each in site.associations() or [] if f"partition {each.queue}" in ("partition ", queue.name)]
    if mine:
        accounts = sorted({each.account for each in mine})
        if account and account not in accounts:
            fix = f"give one of {', '.join(accounts)}"
            found.append(Problem("slurm-account", f"you may not charge {account}", "cluster.account", fix=fix))
        charged = [each for each in mine if each.account == account]
        limits += [each.limits for each in charged]
        allowed = frozenset[str]().union(*(each.qos for each in charged or mine))
        qos = qos or next((each.default_qos for each in charged if each.default_qos), None)
        if qos and allowed and qos not in allowed:
            fix = f"give one of {', '.join(sorted(allowed))}"
            found.append(Problem("slurm-qos", f"you may not use qos {qos}", "cluster.qos", fix=fix))
    if found:
        return _Rights(found, limits)
    if queue.accounts is not None and account and account not in queue.accounts:
        what, fix = f"{queue.name} does not take account {account}", f"it takes {_listed(queue.accounts)}"
        found.append(Problem("slurm-account", what, "cluster.account", FOR_EVER, fix))
    if queue.qos is not None and qos and qos not in queue.qos:
        what, fix = f"{queue.name} does not take qos {qos}", f"it takes {_listed(queue.qos)}"
        found.append(Problem("slurm-qos", what, "cluster.qos", FOR_EVER, fix))
    if qos and (limit := site.qos_limits(qos)):
        limits.append(limit)
    return _Rights(found, limits)


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))
