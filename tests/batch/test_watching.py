"""A worker that cannot do what was planned is named before it computes anything."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from batch.reporting import Reporter
from batch.watching import Watch, examine
from compute.clusters.cluster import Cluster
from cube.errors import ComputeError, Problem
from cube.lock import Lease, Place
from cube.releases import releases
from cube.scratch import Scratchpad
from cube.stage import Stage
from cube.stores import open_store


class Client:
    """The one worker of a cluster."""

    status = "running"

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def nthreads(self) -> dict[str, int]:
        return {"tls://10.0.0.1:4000": self.threads}


class Loop:
    def __init__(self) -> None:
        self.calls: list[Any] = []

    def add_callback(self, *call: Any, **options: Any) -> None:
        self.calls.append((call, options))


class Replaced(Cluster):
    replaces = True


def stage(folder: Path, token: str | None = None) -> Stage:
    """A staged version; with a token, under a lock that holds another one."""
    store = open_store(folder)
    lease = None
    if token:
        store.put("lock", json.dumps({"token": "another", "counter": 1}).encode(), immutable=False)
        lease = Lease(Place(store), token)
    return Stage(store, f"inputs/rain/{folder.name}", {}, {}, {}, Scratchpad(store, "tmp"), lease)


def test_sound_worker_is_refused(tmp_path: Path) -> None:
    Watch(Cluster(Client(1), "a test", 60.0), Reporter(quiet=True)).look()  # type: ignore[arg-type]
    assert examine(stage(tmp_path), releases()) is None


def test_worker_of_another_release_writes_other_bytes(tmp_path: Path) -> None:
    problem = examine(stage(tmp_path), {**releases(), "numcodecs": "0.1", "zarr": "3.0"})
    assert problem is not None
    assert (problem.code, problem.where) == ("worker-unfit", socket.gethostname())
    assert f"numcodecs {releases()['numcodecs']} instead of 0.1" in problem.what
    assert "instead of 3.0" in problem.what


def test_worker_that_does_not_find_the_lock_fails_every_block(tmp_path: Path) -> None:
    problem = examine(stage(tmp_path, "ours"), releases())
    assert problem is not None
    assert problem.code == "worker-unfit"
    assert "does not find the build's lock" in problem.what


def test_worker_of_two_threads_takes_twice_the_memory() -> None:
    watch = Watch(Cluster(Client(2), "a test", 60.0), Reporter(quiet=True))  # type: ignore[arg-type]
    with pytest.raises(ComputeError, match="it has 2 threads"):
        watch.look()


def test_one_bad_node_of_many_ends_the_build() -> None:
    client: Any = Client(1)
    client.loop, client.scheduler = Loop(), Loop()
    client.scheduler.retire_workers = None
    watch = Watch(Replaced(client, "a test", 60.0), Reporter(quiet=True))
    bad = Problem("worker-unfit", "no store", "node7")
    watch.unfit("tls://10.0.0.1:4000", bad)
    assert client.loop.calls == [((None,), {"workers": ["tls://10.0.0.1:4000"], "close_workers": True})]
    watch.unfit("tls://10.0.0.2:4000", bad)
    with pytest.raises(ComputeError, match="no store"):
        watch.unfit("tls://10.0.0.3:4000", bad)


def test_unfit_worker_of_somebody_else_is_closed() -> None:
    watch = Watch(Cluster(Client(1), "a test", 60.0), Reporter(quiet=True))  # type: ignore[arg-type]
    with pytest.raises(ComputeError, match="no store"):
        watch.unfit("tls://10.0.0.1:4000", Problem("worker-unfit", "no store", "node7"))
