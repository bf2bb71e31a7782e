"""Which work it was that ended a worker: what killed three by memory fails, and preemption never counts.

The scheduler reports every work that was assigned to a worker that died (`allowed-failures` is 0). Whether that is held
against the work is found out here: it must have begun there, and the worker's process must have ended by itself, which
shows in its nanny's word that the memory was exceeded, in the nanny starting another worker, or in the job's state.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compute.clusters.cluster import Cluster, Fate

if TYPE_CHECKING:
    import distributed

LIMIT = 3
"""Workers that a work may end, and workers that may reach the end of their time while they do it."""

BEGUN = "cube-work-begun"
"""Topic of events: a worker begins a work."""

MEMORY = "worker-restart-memory"
"""Topic of dask's own events: a nanny ends its worker because of its memory."""

DECIDED_SECONDS = 60.0
"""A worker whose nanny has not started another one by then is gone with its machine."""


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
        self._begun: dict[str, list[str]] = {}
        self._memory: dict[str, int] = {}
        self._seen = set[tuple[str | None, str]]()
        self._open: list[_Death] = []
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
        self._begun.setdefault(facts["work"], []).append(facts["worker"])
        # A worker that dies at once may never be seen by a look at those that live.
        self._seen.add((facts["nanny"], facts["worker"]))

    def _note_memory(self, event: tuple[float, dict[str, Any]]) -> None:
        self._memory[event[1]["worker"]] = event[1]["rss"]

    def died(self, key: str, worker: Any) -> None:
        """The scheduler reports that the worker (a WorkerState) died while it had this work."""
        if worker.address in self._begun.get(key, ()):
            before = frozenset(address for nanny, address in self._seen if nanny == worker.nanny)
            self._open.append(_Death(key, worker.address, str(worker.name), worker.nanny, before))

    def interrupted(self, key: str) -> int:
        """How often a work has begun and was taken from a worker that left in order."""
        return max(0, len(self._begun.get(key, ())) - 1)

    def settle(self) -> None:
        """Decide what can be decided by now."""
        if not self._open:
            return
        workers = self._client.scheduler_info()["workers"]
        seen = self._seen | {(info.get("nanny"), address) for address, info in workers.items()}
        undecided = []
        for death in self._open:
            # An earlier worker's event of the same address cannot be meant: ports are not used again that soon.
            if death.worker in self._memory:
                self.by_memory[self._alias(death.work)] += 1
                self.most_bytes = max(self.most_bytes, self._memory[death.worker])
                continue
            restarted = death.nanny and any(
                nanny == death.nanny and address not in death.before for nanny, address in seen
            )
            fate = Fate.PROCESS if restarted else self._cluster.fate(death.name)
            if fate is Fate.PROCESS:
                self.by_process[self._alias(death.work)] += 1
            elif fate is None and time.monotonic() - death.at < DECIDED_SECONDS:
                undecided.append(death)
        self._open = undecided

    def guilty(self) -> set[str]:
        """Works that have ended too many workers."""
        ended = self.by_memory + self.by_process
        return {work for work, count in ended.items() if count >= LIMIT}
