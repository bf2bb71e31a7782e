"""Worker processes on this machine."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from compute.clusters.cluster import Cluster
from compute.clusters.options import LocalCluster
from compute.clusters.settings import SETTINGS, default_workers


class _Here(Cluster):
    link: str | None = None

    @property
    def dashboard(self) -> str | None:
        return self.link


@contextlib.contextmanager
def local(options: LocalCluster, memory: int, *, dashboard: bool = False) -> Iterator[Cluster]:
    """Worker processes of one thread and `memory` bytes each; with `workers: 0` works run in this process instead."""
    workers = default_workers(memory) if options.workers is None else options.workers
    if workers == 0:
        yield Cluster(None, "this process", options.patience)
        return
    # Most builds find nothing to do, and importing these takes longer than finding that out.
    import dask
    import distributed

    with (
        dask.config.set({**SETTINGS, "distributed.worker.preload": ["compute.clusters.preload"]}),
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=memory,
            # Health and metrics are served in any case, by default on a port that may be taken.
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": dashboard},
            host="127.0.0.1",
            # Whoever may speak to a scheduler may run anything; others use this machine too.
            protocol="tls://",
            security=True,
            # What matters is told as an error of ours; heartbeats that end with the workers would alarm for nothing.
            silence_logs=logging.CRITICAL,
        ) as started,
        distributed.Client(started) as client,
    ):
        cluster = _Here(client, f"{workers} worker processes on this machine", options.patience)
        cluster.link = client.dashboard_link if dashboard else None
        yield cluster
