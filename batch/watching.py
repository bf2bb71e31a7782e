"""Watching the workers of a build: new ones are examined, and a build without any says why and gives up in time."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any, Protocol

from compute.clusters.cluster import Cluster
from cube.errors import ComputeError, CubeError, Problem
from cube.releases import releases
from cube.stage import Stage

ASK_SECONDS = 10.0
"""Between two questions why there are no workers."""


class Teller(Protocol):
    """Who is told what happens."""

    def say(self, text: str) -> None: ...
    def event(self, name: str, **facts: Any) -> None: ...


def examine(stage: Stage) -> dict[str, Any]:
    """Called on a worker: what it works with, and whether it reaches the store and finds the build's lock there."""
    problem = None
    try:
        if stage.lease:
            stage.lease.check()
    except CubeError as error:
        problem = error.problems[0].to_json()
    return {"host": socket.gethostname(), "releases": releases(), "problem": problem}


class Watch:
    """Looks after the workers of one step."""

    def __init__(self, cluster: Cluster, stage: Stage, teller: Teller) -> None:
        self._cluster = cluster
        self._stage = stage
        self._teller = teller
        self._known = set[str]()
        self._threads: Mapping[str, int] = {}
        self._missed_since = time.monotonic()
        self._asked = self._missed_since
        self._told = ""

    def threads(self) -> int:
        """Threads of the workers that were there at the last look."""
        return sum(self._threads.values())

    def seen(self) -> None:
        """There was a worker just now, even if no look finds it."""
        self._missed_since = self._asked = time.monotonic()

    def look(self) -> None:
        """Raise ComputeError for workers that are not fit, and for the lack of any that will not end by itself."""
        self._cluster.look()
        client = self._cluster.client
        assert client is not None
        now = time.monotonic()
        if client.status == "running":
            self._threads = client.nthreads()
        else:
            self._threads = {}
        if self._threads:
            if self._told:
                self._teller.say(f"{len(self._threads)} workers are at work")
                self._told = ""
            self.seen()
            if new := [address for address in self._threads if address not in self._known]:
                self._examine(new)
            return
        if now - self._asked < ASK_SECONDS:
            return
        self._asked = now
        self._without_workers(now - self._missed_since)

    def _examine(self, new: list[str]) -> None:
        client = self._cluster.client
        assert client is not None
        self._known.update(new)
        found: dict[str, Any] = client.run(examine, self._stage, workers=new, on_error="ignore")
        for address in new:
            if self._threads[address] != 1:
                raise ComputeError(
                    Problem(
                        "worker-unfit",
                        f"it has {self._threads[address]} threads",
                        address,
                        "several blocks at once would take several times the memory that was planned",
                        "start workers with one thread each (`--nthreads 1`)",
                    )
                )
            facts = found.get(address)
            if facts is None:
                continue  # it is gone already
            self._teller.event("worker", worker=address, host=facts["host"])
            self._compare(address, facts)

    def _compare(self, address: str, facts: Mapping[str, Any]) -> None:
        where = f"{facts['host']} ({address})"
        ours = releases()
        differing = [
            f"{name} {facts['releases'].get(name)} instead of {release}"
            for name, release in ours.items()
            if facts["releases"].get(name) != release
        ]
        if differing:
            raise ComputeError(
                Problem(
                    "worker-unfit",
                    f"other releases than the command's: {', '.join(differing)}",
                    where,
                    "its blocks may have other bytes than those of other workers",
                    "let the workers start from the command's own environment",
                )
            )
        if facts["problem"]:
            raise ComputeError(
                Problem(
                    "worker-unfit",
                    f"it does not find the build's lock: {facts['problem']['what']}",
                    where,
                    "it would write to another place, or fail on every block",
                    "see that the store is mounted there under the same path, and that credentials reach the workers",
                )
            )

    def _without_workers(self, seconds: float) -> None:
        said, problems = self._cluster.hindrance()
        if problems:
            raise ComputeError(problems)
        if seconds > self._cluster.patience:
            raise ComputeError(
                Problem(
                    "no-workers",
                    f"there was no worker for {seconds / 60:.0f} minutes" + (f": {said}" if said else ""),
                    self._cluster.about,
                    fix="mend what hinders them, or raise `cluster.patience`; finished blocks are kept and the same "
                    "command goes on from them",
                )
            )
        text = f"no workers yet: {said or self._cluster.about}"
        if text != self._told:
            self._told = text
            self._teller.say(text)
