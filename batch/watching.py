"""Watching the workers of a build: each is examined, and a build without any says why and gives up in time."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from compute.clusters.cluster import Cluster, NoWorkersError
from cube.errors import ComputeError, CubeError, Problem
from cube.releases import releases
from cube.stage import Stage

if TYPE_CHECKING:
    import distributed

ASK_SECONDS = 10.0
"""Between two questions why there are no workers."""

UNFIT = 3
"""Unfit workers that are sent away; where there are more, they are the rule."""


class Teller(Protocol):
    """Who is told what happens."""

    def say(self, text: str) -> None: ...
    def event(self, name: str, **facts: Any) -> None: ...


_examined: set[str] = set()
"""Prefixes of the staged versions for which this process, a worker, was found fit."""


def examine(stage: Stage, ours: Mapping[str, str]) -> Problem | None:
    """Called on a worker before its first work for a version: what makes it unfit for it, None where it is fit.

    It is unfit where it would give other bytes, and where it does not reach the store and find the build's lock there.

    ours  the releases that the command works with
    """
    if stage.prefix in _examined:
        return None
    host, theirs = socket.gethostname(), releases()
    other = [f"{name} {theirs[name]} instead of {release}" for name, release in ours.items() if theirs[name] != release]
    if other:
        return Problem(
            "worker-unfit",
            f"other releases than the command's: {', '.join(other)}",
            host,
            "its blocks may have other bytes than those of other workers",
            "let the workers start from the command's own environment",
        )
    try:
        if stage.lease:
            stage.lease.check()
    except CubeError as error:
        return Problem(
            "worker-unfit",
            f"it does not find the build's lock: {error.problems[0].what}",
            host,
            "it would write to another place, or fail on every block",
            "see that the store is mounted there under the same path, and that credentials reach the workers",
        )
    _examined.add(stage.prefix)
    return None


class Watch:
    """Looks after the workers of one step."""

    def __init__(self, cluster: Cluster, teller: Teller) -> None:
        self._cluster = cluster
        self._teller = teller
        self._threads: Mapping[str, int] = {}
        self._missed_since = time.monotonic()
        self._asked = self._missed_since
        self._told = ""
        self._unfit = 0
        self._known = set[str]()

    @property
    def there(self) -> Mapping[str, int]:
        """Threads by address of the workers that were there at the last look."""
        return self._threads

    def seen(self) -> None:
        """There was a worker just now, even if no look finds it."""
        self._missed_since = self._asked = time.monotonic()

    def look(self) -> None:
        """Raise ComputeError for workers of several threads, NoWorkersError for a lack that will not end by itself."""
        self._cluster.look()
        client = self._cluster.client
        assert client is not None
        self._threads = client.nthreads() if client.status == "running" else {}
        if self._threads:
            if self._told:
                self._teller.say(f"{len(self._threads)} workers are at work")
                self._told = ""
            self.seen()
            self._check(client)
            return
        now = time.monotonic()
        if now - self._asked >= ASK_SECONDS:
            self._asked = now
            self._without_workers(now - self._missed_since)

    def _check(self, client: distributed.Client) -> None:
        """Whether workers that others started are such as the plan rests on."""
        new = [address for address in self._threads if address not in self._known]
        self._known.update(new)
        workers = client.scheduler_info()["workers"] if new and self._cluster.memory else {}
        for address in new:
            if self._threads[address] != 1:
                raise ComputeError(_several(address, self._threads[address]))
            limit = workers.get(address, {}).get("memory_limit") or 0  # none at all, or gone by now
            if 0 < limit < self._cluster.memory:
                raise ComputeError(_small(address, limit, self._cluster.memory))

    def unfit(self, address: str, problem: Problem) -> None:
        """Send an unfit worker away where it is replaced; raises ComputeError where that does not help."""
        self._unfit += 1
        client = self._cluster.client
        assert client is not None
        if not self._cluster.replaces or self._unfit >= UNFIT:
            raise ComputeError(problem)
        self._teller.say(f"a worker is sent away: {problem}")
        # Not waited for: one that cannot read the store may not be able to leave either.
        client.loop.add_callback(client.scheduler.retire_workers, workers=[address], close_workers=True)

    def _without_workers(self, seconds: float) -> None:
        said, problems = self._cluster.hindrance()
        if problems:
            raise NoWorkersError(problems)
        if seconds > self._cluster.patience:
            spent = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"
            raise NoWorkersError(
                Problem(
                    "no-workers",
                    f"there was no worker for {spent}" + (f": {said}" if said else ""),
                    self._cluster.about,
                    fix="mend what hinders them, or raise `cluster.patience`; finished blocks are kept and the same "
                    "command goes on from them",
                )
            )
        text = f"no workers yet: {said or self._cluster.about}"
        if text != self._told:
            self._told = text
            self._teller.say(text)


def _several(address: str, threads: int) -> Problem:
    return Problem(
        "worker-unfit",
        f"it has {threads} threads",
        address,
        "several blocks at once would take several times the memory that was planned",
        "start workers with one thread each (`--nthreads 1`)",
    )


def _small(address: str, limit: int, memory: int) -> Problem:
    return Problem(
        "worker-unfit",
        f"it may use {limit / 2**30:.1f} GiB, the plan rests on {memory / 2**30:.1f} GiB",
        address,
        "it would be ended in mid-block",
        "give workers more memory, or lower `memory` in the specification",
    )
