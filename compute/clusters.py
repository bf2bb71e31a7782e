"""Dask clusters: where works run."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import distributed


SETTINGS = {
    # Nothing of value lives in worker memory: spilling and pausing would only hide a plan that was wrong.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.98,
    # dask's own 64 KiB give back the memory of each array at once: asking for it anew took more time than compressing.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 2**26,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 2**25,
    "distributed.scheduler.allowed-failures": 3,
    "distributed.admin.tick.limit": "30s",
    "distributed.comm.timeouts.connect": "60s",
    "distributed.worker.multiprocessing-method": "spawn",
}


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def end_with_parent() -> None:
    """For processes of a pool: end when the process that started them is killed, instead of waiting for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def end() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=end, name="parent", daemon=True).start()


@contextlib.contextmanager
def local(workers: int | None, memory: int) -> Iterator[distributed.Client | None]:
    """A client of worker processes on this machine, of one thread and `memory` bytes each.

    workers  None for one a core; 0 gives no client: works then run in this process, one after another
    """
    workers = cores() if workers is None else workers
    if workers == 0:
        yield None
        return
    # Most builds find nothing to do, and importing these takes longer than finding that out.
    import dask
    import distributed

    with (
        dask.config.set(SETTINGS),
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=memory,
            dashboard_address="127.0.0.1:0",
            host="127.0.0.1",
            # What matters is told as an error of ours; heartbeats that end with the workers would alarm for nothing.
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client
