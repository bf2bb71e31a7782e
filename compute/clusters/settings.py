"""Dask's settings for this project, and what processes on this machine share."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from pathlib import Path
from typing import Any

WORKER: dict[str, Any] = {
    # Nothing of value lives in worker memory: spilling and pausing would only hide a plan that was wrong.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.98,
    # dask's own 64 KiB give back the memory of each array at once: asking for it anew took more time than compressing.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 2**26,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 2**25,
    "distributed.comm.timeouts.connect": "60s",
    "distributed.worker.multiprocessing-method": "spawn",
}

SETTINGS: dict[str, Any] = {
    **WORKER,
    # Who killed which worker is found out in compute.clusters.deaths, where preemption does not count.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.admin.tick.limit": "30s",
}


def exports() -> list[str]:
    """The workers' settings as lines of shell, for workers that are not started by this process."""
    lines = []
    for name, value in WORKER.items():
        if name.startswith("distributed.nanny.pre-spawn-environ."):
            lines.append(f"export {name.rpartition('.')[2]}={value}")
        else:
            variable = name.upper().replace(".", "__").replace("-", "_")
            lines.append(f"export DASK_{variable}={value}")
    return lines


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def machine_memory() -> int:
    """Bytes that processes here may use together: the machine's, or the container's where that is less."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            found.append(int(Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue  # no container, or no limit
    return min(found)


def default_workers(memory: int) -> int:
    """Worker processes on this machine that may use `memory` bytes each: one a core, or as many as memory holds."""
    return max(1, min(cores(), machine_memory() // memory))


def end_with_parent() -> None:
    """For processes of a pool: end when the process that started them is killed, instead of waiting for ever, and leave
    Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:

        def end() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=end, name="parent", daemon=True).start()
