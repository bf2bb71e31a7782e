"""A real Slurm for tests: plain processes on 127.0.0.1, two nodes on this machine, all in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

INSTALL = "apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge"
INSTALL_ACCOUNTS = f"{INSTALL} slurmdbd mariadb-server"
NODES = ("n1", "n2")
MEGABYTES = 8000

CONFIGURATION = """
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={slurmctld}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
KillWait=5
MinJobAge=300
SlurmctldTimeout=30
SlurmdTimeout=20
MessageTimeout=20
UnkillableStepTimeout=30
DebugFlags=NO_CONF_HASH
"""
ACCOUNTING = """
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={slurmdbd}
AccountingStoragePass={folder}/munge.sock
AccountingStorageEnforce=associations,limits,qos
PriorityType=priority/multifactor
"""
DATABASE_DAEMON = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={slurmdbd}
SlurmUser=root
PidFile={folder}/slurmdbd.pid
LogFile={folder}/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={mariadb}
StorageUser=slurm
StoragePass=lab
StorageLoc=slurm_acct_db
"""
QOS = {
    "standard": ("cpu=1", "1-00:00:00"),
    "short": ("cpu=1", "04:00:00"),
    "long": ("cpu=1", "5-00:00:00"),
    "high": ("cpu=96", "2-00:00:00"),
    "debug": ("cpu=8", "01:00:00"),
}
"""Cores a job and longest walltime of LOTUS2's qualities of service."""


class SlurmUnavailableError(Exception):
    """Slurm is not installed here, or does not start."""


class SlurmLab:
    """One Slurm: `start` waits until both nodes are idle, `stop` ends just what it started.

    accounts     with slurmdbd: accounts mygws and no-project, and the qualities of service of LOTUS2
    environment  the variables that make Slurm's commands speak to it
    """

    def __init__(self, folder: Path, *, accounts: bool) -> None:
        self.folder = folder
        self.accounts = accounts
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ports: dict[str, int] = {}

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def start(self) -> None:
        """Raises SlurmUnavailableError."""
        needed = ["munged", "slurmctld", "slurmd", "sbatch"]
        needed += ["slurmdbd", "mariadbd", "mariadb-install-db"] if self.accounts else []
        if missing := [name for name in needed if shutil.which(name) is None]:
            install = INSTALL_ACCOUNTS if self.accounts else INSTALL
            raise SlurmUnavailableError(f"there is no {', '.join(missing)}; install it: {install}")
        if os.geteuid() != 0:
            raise SlurmUnavailableError("slurmd needs root")
        for name in ("state", "log", "spool", "mysql", *(f"spool/{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._choose_ports()
        self._start_munge()
        self._configure()
        if self.accounts:
            self._start_accounts()
        self._begin("slurmctld", "slurmctld", "-D")
        for node in NODES:
            self.start_node(node)
        self._await(30, lambda: "UP" in self.run("scontrol", "ping"))
        self.await_idle()

    def await_idle(self, seconds: float = 60) -> None:
        """Wait until both nodes are idle."""
        self._await(
            seconds, lambda: len(self.run("sinfo", "-hN", "-p", "standard", "-t", "idle").split("\n")) > len(NODES)
        )

    def _choose_ports(self) -> None:
        sockets = {name: socket.socket() for name in ("slurmctld", "slurmdbd", "mariadb", *NODES)}
        for each in sockets.values():
            each.bind(("127.0.0.1", 0))
        self._ports = {name: each.getsockname()[1] for name, each in sockets.items()}
        for each in sockets.values():
            each.close()

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.touch(mode=0o400)
        key.write_bytes(os.urandom(128))
        files = {"key-file": key, "socket": self.folder / "munge.sock", "seed-file": self.folder / "munge.seed"}
        files |= {"pid-file": self.folder / "munged.pid", "log-file": self.folder / "log/munged.log"}
        self._begin("munged", "munged", "-F", "--force", *(f"--{name}={path}" for name, path in files.items()))
        self._await(10, (self.folder / "munge.sock").exists)

    def _configure(self) -> None:
        host = socket.gethostname().partition(".")[0]
        facts = {"folder": self.folder, "host": host, **self._ports}
        text = CONFIGURATION.format(**facts)
        if self.accounts:
            text += ACCOUNTING.format(**facts)
        for node in NODES:
            text += f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={self._ports[node]} CPUs=2 "
            text += f"RealMemory={MEGABYTES} State=UNKNOWN\n"
        allowed = (" AllowQos=standard,short,long,high", " AllowQos=debug") if self.accounts else ("", "")
        text += (
            f"PartitionName=standard Nodes=ALL Default=YES MaxTime=24:00:00 DefMemPerCPU=1024 State=UP{allowed[0]}\n"
        )
        text += f"PartitionName=debug Nodes=ALL MaxTime=01:00:00 DefMemPerCPU=1024 State=UP{allowed[1]}\n"
        (self.folder / "slurm.conf").write_text(text)
        database = self.folder / "slurmdbd.conf"
        database.touch(mode=0o600)
        database.write_text(DATABASE_DAEMON.format(**facts))

    def _start_accounts(self) -> None:
        data, where = self.folder / "mysql", self.folder / "mysql.sock"
        self._call("mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=root",
                   "--auth-root-authentication-method=normal", "--skip-test-db")  # fmt: skip
        self._begin("mariadbd", "mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={where}", "--user=root",
                    f"--pid-file={self.folder}/mariadb.pid", "--bind-address=127.0.0.1", "--skip-name-resolve",
                    f"--port={self._ports['mariadb']}", "--innodb-flush-log-at-trx-commit=0",
                    "--innodb-lock-wait-timeout=900", "--innodb-buffer-pool-size=64M")  # fmt: skip
        client = ("mariadb", "--no-defaults", f"--socket={where}", "-uroot", "-e")
        self._await(60, lambda: self._works(*client, "select 1"))
        self._call(*client, "create database slurm_acct_db; create user slurm@'127.0.0.1' identified by 'lab'; "
                            "grant all on slurm_acct_db.* to slurm@'127.0.0.1'")  # fmt: skip
        self._begin("slurmdbd", "slurmdbd", "-D")
        self._await(60, lambda: self._works("sacctmgr", "-n", "-i", "show", "cluster"))
        # What exists already, as some of these do, is an error of sacctmgr's.
        self._works("sacctmgr", "-i", "add", "cluster", "lab")
        for name, (cores, wall) in QOS.items():
            self._works("sacctmgr", "-i", "add", "qos", name, f"MaxTRESPerJob={cores}", f"MaxWall={wall}")
        for account in ("mygws", "no-project"):
            self._works("sacctmgr", "-i", "add", "account", account, "Cluster=lab")
            self._works("sacctmgr", "-i", "add", "user", "root", f"Account={account}", "Cluster=lab")
        self._works("sacctmgr", "-i", "modify", "user", "root", "set", f"QOS={','.join(QOS)}", "DefaultQOS=standard")

    def start_node(self, node: str) -> None:
        self._begin(f"slurmd-{node}", "slurmd", "-D", "-N", node)

    def kill_node(self, node: str) -> None:
        """`kill -9` of a node's daemon, of those of its jobs, and of the jobs, as when the machine is lost."""
        daemon = self._processes.pop(f"slurmd-{node}")
        # The daemons of jobs leave the session of the node's; their name tells whose they are.
        steps = [pid for pid, words in _processes() if "slurmstepd" in words[0] and self._is_of(pid, node)]
        daemon.kill()
        daemon.wait()
        for step in steps:
            children = _descendants(step)
            for pid in (step, *children):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _is_of(self, step: int, node: str) -> bool:
        """Whether a job's daemon belongs to a node: it writes to that node's log."""
        with contextlib.suppress(OSError):
            opened = {each.readlink() for each in Path(f"/proc/{step}/fd").iterdir()}
            return self.folder / f"log/slurmd-{node}.log" in opened
        return False

    def run(self, *words: str) -> str:
        """What one of Slurm's commands prints."""
        ran = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **self.environment}, check=False)
        return ran.stdout

    def jobs(self, name: str = "cube-worker", state: str = "") -> list[str]:
        """Identifiers of the jobs in the queue."""
        chosen = ["-t", state] if state else []
        return self.run("squeue", "-h", "-n", name, "-o", "%i", *chosen).split()

    def stop(self) -> None:
        self.run("scancel", "-f", "-u", "root")
        end = time.monotonic() + 15
        while self.run("squeue", "-h").strip() and time.monotonic() < end:
            time.sleep(0.1)
        order = [*(f"slurmd-{node}" for node in NODES), "slurmctld", "slurmdbd", "mariadbd", "munged"]
        for name in order:
            process = self._processes.pop(name, None)
            if process is None:
                continue
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _begin(self, name: str, *words: str) -> None:
        with (self.folder / "log" / f"{name}.out").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                cwd=self.folder,
                start_new_session=True,
            )

    def _call(self, *words: str) -> None:
        ran = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **self.environment}, check=False)
        if ran.returncode:
            raise SlurmUnavailableError(f"{words[0]} fails: {ran.stderr[-1000:]}")

    def _works(self, *words: str) -> bool:
        ran = subprocess.run(words, capture_output=True, env={**os.environ, **self.environment}, check=False)
        return ran.returncode == 0

    def _await(self, seconds: float, true: object) -> None:
        assert callable(true)
        end = time.monotonic() + seconds
        while not true():
            dead = [name for name, each in self._processes.items() if each.poll() is not None]
            if dead or time.monotonic() > end:
                logs = "\n".join(path.read_text(errors="replace")[-600:] for path in (self.folder / "log").iterdir())
                raise SlurmUnavailableError(f"Slurm does not start ({', '.join(dead) or 'it takes too long'}): {logs}")
            time.sleep(0.1)


def _processes() -> list[tuple[int, list[str]]]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append((int(path.parent.name), path.read_text(errors="replace").split("\0")))
    return found


def _descendants(pid: int) -> list[int]:
    below: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, path.read_text().split()):
                below += [child, *_descendants(child)]
    return below
