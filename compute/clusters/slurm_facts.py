"""What a Slurm site says of itself and of jobs, asked with its own commands."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
from dataclasses import dataclass

COMMANDS = ("sbatch", "scancel", "squeue", "scontrol", "sinfo")
ASK_SECONDS = 30.0


@dataclass(frozen=True)
class Limits:
    """What a partition, a quality of service or an association lets a job have; None where nothing is said.

    walltime  seconds
    """

    name: str
    cpus: int | None = None
    walltime: float | None = None
    qos: frozenset[str] | None = None
    accounts: frozenset[str] | None = None
    up: bool = True


@dataclass(frozen=True)
class Node:
    """cpus; memory in bytes."""

    cpus: int
    memory: int


@dataclass(frozen=True)
class Queued:
    """A job as the queue shows it."""

    job: str
    state: str
    reason: str


def missing_commands() -> list[str]:
    return [name for name in COMMANDS if shutil.which(name) is None]


def _ask(*words: str) -> str | None:
    """What a command prints, None where it fails: not every site has accounts, nor lets everybody ask for them."""
    try:
        ran = subprocess.run(words, capture_output=True, text=True, timeout=ASK_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ran.stdout if ran.returncode == 0 else None


def default_queue() -> str | None:
    """The partition that jobs go to which name none."""
    for name in (_ask("sinfo", "-h", "-o", "%P") or "").split():
        if name.endswith("*"):
            return name[:-1]
    return None


def queues() -> list[str]:
    """Names of the partitions."""
    return sorted({name.rstrip("*") for name in (_ask("sinfo", "-h", "-o", "%P") or "").split()})


def queue_limits(name: str) -> Limits | None:
    """A partition's limits, None where there is no such partition."""
    text = _ask("scontrol", "show", "partition", name, "-o")
    if not text or "PartitionName=" not in text:
        return None
    facts = dict(re.findall(r"(\w+)=(\S+)", text))
    return Limits(
        f"partition {name}",
        walltime=seconds(facts.get("MaxTime", "")),
        qos=_names(facts.get("AllowQos")),
        accounts=_names(facts.get("AllowAccounts")),
        up=facts.get("State", "UP") == "UP",
    )


def nodes(queue: str) -> list[Node]:
    """The nodes of a partition that are not down."""
    found = []
    for line in (_ask("sinfo", "-h", "-N", "-p", queue, "-o", "%c|%m|%T") or "").splitlines():
        cpus, memory, state = line.split("|")
        if not state.startswith(("down", "drain", "fail", "unk")):
            found.append(Node(int(re.sub(r"\D", "", cpus)), int(re.sub(r"\D", "", memory)) * 2**20))
    return found


def qos_limits(name: str) -> Limits | None:
    """A quality of service's limits, None where there is none of this name or the site does not tell."""
    text = _ask("sacctmgr", "-nP", "show", "qos", name, "format=name,maxtres,maxwall")
    for line in (text or "").splitlines():
        found, tres, wall = line.split("|")
        if found == name:
            return Limits(f"qos {name}", cpus=_cpus(tres), walltime=seconds(wall))
    return None


@dataclass(frozen=True)
class Association:
    """What a user may charge, and how."""

    account: str
    queue: str
    qos: frozenset[str]
    default_qos: str
    limits: Limits


def associations() -> list[Association] | None:
    """Those of this user; None where the site does not tell."""
    form = "format=account,partition,qos,defaultqos,maxtres,maxwall"
    text = _ask("sacctmgr", "-nP", "show", "assoc", f"user={getpass.getuser()}", form)
    if not text:
        return None
    found = []
    for line in text.splitlines():
        account, queue, qos, default, tres, wall = line.split("|")
        limits = Limits(f"account {account}", cpus=_cpus(tres), walltime=seconds(wall))
        found.append(Association(account, queue, frozenset(filter(None, qos.split(","))), default, limits))
    return found


def queued() -> dict[str, Queued] | None:
    """This user's jobs that have not ended, by identifier; None where Slurm does not answer."""
    text = _ask("squeue", "-h", "-u", getpass.getuser(), "-o", "%i|%T|%r")
    if text is None:
        return None
    return {each.job: each for each in (Queued(*line.split("|", 2)) for line in text.splitlines())}


def cancel(jobs: list[str]) -> None:
    """Cancel jobs, as far as Slurm answers."""
    _ask("scancel", *jobs)


def job_state(job: str) -> str | None:
    """The state of one job such as RUNNING or OUT_OF_MEMORY, None where the site no longer knows."""
    text = _ask("scontrol", "show", "job", job, "-o")
    if text and (match := re.search(r"JobState=(\w+)", text)):
        return match[1]
    text = _ask("sacct", "-nPX", "-j", job, "-o", "state")
    return text.split()[0] if text and text.split() else None


def refusal(script: str) -> str | None:
    """What sbatch has against a script, None where it would take it. Submits nothing."""
    try:
        ran = subprocess.run(
            ["sbatch", "--test-only"],
            input=script,
            capture_output=True,
            text=True,
            timeout=ASK_SECONDS,
            env={name: value for name, value in os.environ.items() if not name.startswith("SBATCH_")},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"sbatch does not answer: {error}"
    if ran.returncode == 0:
        return None
    return " ".join((ran.stderr or ran.stdout).split()) or "sbatch refuses it without a reason"


def seconds(text: str) -> float | None:
    """A duration as Slurm writes it ([days-]hours:minutes:seconds), None for none or unlimited."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+):(\d+)", text)
    if match:
        days, hours, minutes, rest = (int(part or 0) for part in match.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + rest
    match = re.fullmatch(r"(\d+):(\d+)", text)
    return int(match[1]) * 60 + int(match[2]) if match else None


def walltime(value: float) -> str:
    """Seconds as Slurm takes them."""
    whole = int(value)
    return f"{whole // 3600:02d}:{whole % 3600 // 60:02d}:{whole % 60:02d}"


def _names(text: str | None) -> frozenset[str] | None:
    return None if text in (None, "ALL", "N/A") else frozenset(str(text).split(","))


def _cpus(tres: str) -> int | None:
    match = re.search(r"cpu=(\d+)", tres)
    return int(match[1]) if match else None
