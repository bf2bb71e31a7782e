"""Which work it was that ended a worker: what ends three fails, and preemption never counts.

The scheduler reports every work that was assigned to a worker that died (`allowed-failures` is 0 where the scheduler is
ours). Whether that is held against the work is found out here: it must have begun there, and the worker's process must
have ended by itself, which shows in its nanny's word that the memory was exceeded, in the nanny starting another
worker, or in the job's state.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compute.clusters.cluster import Cluster, Fate

if TYPE_CHECKING:
    import distributed

LIMIT = 3
"""Workers that a work may end, and workers that may reach the end of their time while they do it."""

AT_BIRTH = 10
"""Workers that may die before they begin a work, one after another; at least three times as many as there are."""

BEGUN = "cube-work-begun"
"""Topic of events: a worker begins a work."""

MEMORY = "worker-restart-memory"
"""Topic of dask's own events: a nanny ends its worker because of its memory."""

DECIDED_SECONDS = 60.0
"""A worker whose nanny has not started another one by then is gone with its machine."""


@dataclass
class _Attempt:
    """A work on a worker. lasted: seconds until the worker was gone, None while it is there."""

    worker: str
    at: float = field(default_factory=time.monotonic)
    lasted: float | None = None
    died: bool = False


@dataclass
class _Death:
    work: str
    worker: str
    name: str
    nanny: str | None
    before: frozenset[str]
    at: float = field(default_factory=time.monotonic)


def tell_begun(work: str) -> None:
    """Called on a worker: it begins this work."""
    import distributed

    worker = distributed.get_worker()
    worker.log_event(BEGUN, {"work": work, "worker": worker.address, "nanny": worker.nanny})


class Deaths:
    """Deaths of workers during one step.

    works are named by the keys they were submitted under; `alias` gives the name that stays when one is submitted again
    """

    def __init__(self, cluster: Cluster, alias: Callable[[str], str]) -> None:
        assert cluster.client is not None
        self._cluster = cluster
        self._client: distributed.Client = cluster.client
        self._alias = alias
        self._attempts: dict[str, list[_Attempt]] = {}
        self._last: dict[str, str] = {}
        self._memory: set[str] = set()
        self._seen = set[tuple[str | None, str]]()
        self._open: list[_Death] = []
        self._at_birth = set[str]()
        self.by_memory = Counter[str]()
        self.by_process = Counter[str]()
        self.most_bytes = 0
        self._client.subscribe_topic(BEGUN, self._note_begun)
        self._client.subscribe_topic(MEMORY, self._note_memory)

    def close(self) -> None:
        for topic in (BEGUN, MEMORY):
            self._client.unsubscribe_topic(topic)

    def _note_begun(self, event: tuple[float, dict[str, Any]]) -> None:
        facts = event[1]
        self._attempts.setdefault(facts["work"], []).append(_Attempt(facts["worker"]))
        self._last[facts["worker"]] = facts["work"]
        # A worker that dies at once may never be seen by a look at those that live.
        self._seen.add((facts["nanny"], facts["worker"]))

    def _note_memory(self, event: tuple[float, dict[str, Any]]) -> None:
        # Counted here and not when the scheduler reports the work: one that is not ours tries it again by itself.
        worker, taken = event[1]["worker"], event[1]["rss"]
        work = self._last.get(worker)
        if work is not None and worker not in self._memory:
            self._memory.add(worker)
            self.by_memory[self._alias(work)] += 1
            self.most_bytes = max(self.most_bytes, taken)

    def died(self, key: str, worker: Any) -> None:
        """The scheduler reports that the worker (a WorkerState) died while it had this work."""
        if worker.address not in self._last:
            self._at_birth.add(worker.address)
        for attempt in self._attempts.get(key, ()):
            if attempt.worker == worker.address:
                attempt.died = True
                before = frozenset(address for nanny, address in self._seen if nanny == worker.nanny)
                self._open.append(_Death(key, worker.address, str(worker.name), worker.nanny, before))

    def finished(self) -> None:
        """A work was finished: workers are sound."""
        self._at_birth.clear()

    def interrupted(self, key: str) -> int:
        """How many workers came to the end of their time while they did this work, most of which it took."""
        least = (self._cluster.lifetime or 0) / 2
        attempts = self._attempts.get(key, ())
        return sum(least > 0 and not each.died and (each.lasted or 0) >= least for each in attempts)

    def settle(self, there: Collection[str]) -> None:
        """Decide what can be decided by now. there: addresses of the workers at this moment."""
        now = time.monotonic()
        for attempts in self._attempts.values():
            for attempt in attempts:
                if attempt.lasted is None and attempt.worker not in there:
                    attempt.lasted = now - attempt.at
        if not self._open:
            return
        workers = self._client.scheduler_info()["workers"]
        seen = self._seen | {(info.get("nanny"), address) for address, info in workers.items()}
        undecided = []
        for death in self._open:
            # An earlier worker's event of the same address cannot be meant: ports are not used again that soon.
            if death.worker in self._memory:
                continue
            restarted = death.nanny and any(
                nanny == death.nanny and address not in death.before for nanny, address in seen
            )
            fate = Fate.PROCESS if restarted else self._cluster.fate(death.name)
            if fate is Fate.PROCESS:
                self.by_process[self._alias(death.work)] += 1
            elif fate is None and now - death.at < DECIDED_SECONDS:
                undecided.append(death)
        self._open = undecided

    def guilty(self) -> set[str]:
        """Works that have ended too many workers."""
        ended = self.by_memory + self.by_process
        return {work for work, count in ended.items() if count >= LIMIT}

    def at_birth(self, threads: int) -> int:
        """How many workers died before they began a work, where these are too many, else 0."""
        return len(self._at_birth) if len(self._at_birth) > max(AT_BIRTH, 3 * threads) else 0
