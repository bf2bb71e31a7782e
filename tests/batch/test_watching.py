"""A worker that cannot do what was planned is named before it computes anything."""

from __future__ import annotations

from typing import Any

import pytest

from batch.reporting import Reporter
from batch.watching import Watch
from compute.clusters.cluster import Cluster
from cube.errors import ComputeError, Problem
from cube.releases import releases


class Client:
    """The one worker of a cluster; facts: what examining it gives, None where it has gone meanwhile."""

    status = "running"

    def __init__(self, facts: dict[str, Any] | None, threads: int = 1) -> None:
        self.facts = facts
        self.threads = threads

    def nthreads(self) -> dict[str, int]:
        return {"tls://10.0.0.1:4000": self.threads}

    def run(self, *_: Any, workers: list[str], **__: Any) -> dict[str, Any]:
        return dict.fromkeys(workers, self.facts) if self.facts else {}


def look(client: Client) -> None:
    watch = Watch(Cluster(client, "a test", 60.0), None, Reporter(quiet=True))  # type: ignore[arg-type]
    watch.look()


def facts(**changes: Any) -> dict[str, Any]:
    return {"host": "node7", "releases": releases(), "problem": None, **changes}


def test_sound_worker_is_refused() -> None:
    look(Client(facts()))


def test_worker_that_is_gone_already_ends_the_build() -> None:
    look(Client(None))


def test_worker_of_another_release_writes_other_bytes() -> None:
    with pytest.raises(ComputeError) as caught:
        look(Client(facts(releases={**releases(), "numcodecs": "0.1", "zarr": "3.0"})))
    (problem,) = caught.value.problems
    assert (problem.code, problem.where) == ("worker-unfit", "node7 (tls://10.0.0.1:4000)")
    assert f"numcodecs 0.1 instead of {releases()['numcodecs']}" in problem.what
    assert "zarr 3.0 instead of" in problem.what


def test_worker_that_does_not_see_the_store_fails_every_block() -> None:
    gone = Problem("object-missing", "there is no such object", "lock").to_json()
    with pytest.raises(ComputeError) as caught:
        look(Client(facts(problem=gone)))
    (problem,) = caught.value.problems
    assert problem.code == "worker-unfit"
    assert "there is no such object" in problem.what


def test_worker_of_two_threads_takes_twice_the_memory() -> None:
    with pytest.raises(ComputeError, match="it has 2 threads"):
        look(Client(facts(), threads=2))
