"""Running works on a cluster: a bounded number in flight, receipts as they come, failures named."""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batch.watching import Teller, Watch, examine
from compute.clusters.cluster import Cluster, NoWorkersError
from compute.clusters.deaths import LIMIT, Deaths, tell_begun
from cube.errors import ComputeError, CubeError, Problem
from cube.job import Work
from cube.releases import releases
from cube.stage import Executed, Stage, execute

if TYPE_CHECKING:
    import distributed

IN_FLIGHT = 2
"""Works in flight a thread."""

TICK_SECONDS = 1.0

RESULT_SECONDS = 10.0
"""How long a receipt is waited for that is said to be there."""

AGAIN_SECONDS = 3.0
"""Before a work is tried again that was on a worker that died: one that ends its process at once must not meet a worker
that is just starting, whose nanny would give up."""

Done = Callable[[Work, Executed], None]


def run_step(cluster: Cluster, works: Sequence[Work], stage: Stage, done: Done, teller: Teller) -> None:
    """Run the works of one step; `done` is called for each as it ends.

    Raises the first CubeError of a work, ComputeError for any other failure, for a work that ends worker after worker,
    and where there are no workers for longer than the cluster's patience; works in flight are finished first, so that
    what they wrote is in the ledger.
    """
    if cluster.client is not None:
        _Step(cluster, cluster.client, works, stage, done, teller).run()
        return
    for work in works:
        try:
            done(work, execute(work, stage))
        except CubeError:
            raise
        except Exception as error:
            raise _failed(work, error) from error


@dataclass(frozen=True)
class _Unfit:
    """The answer of a worker that cannot do the work."""

    worker: str
    problem: Problem


def _execute(key: str, work: Work, stage: Stage, ours: Mapping[str, str]) -> Executed | _Unfit:
    """Called on a worker."""
    import distributed

    if problem := examine(stage, ours):
        return _Unfit(distributed.get_worker().address, problem)
    tell_begun(key)
    return execute(work, stage, again=not key.endswith("-0"))


class _Step:
    """One step on workers that may come and go."""

    def __init__(
        self,
        cluster: Cluster,
        client: distributed.Client,
        works: Sequence[Work],
        stage: Stage,
        done: Done,
        teller: Teller,
    ) -> None:
        self._cluster = cluster
        self._client = client
        self._works: Iterator[Work] = iter(works)
        self._count = len(works)
        self._stage = stage
        self._done = done
        self._teller = teller
        self._names: dict[str, str] = {}
        self._in_flight: dict[Any, Work] = {}
        self._again: list[tuple[float, Work, int]] = []
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._deaths = Deaths(cluster, self._names.__getitem__)
        self._watch = Watch(cluster, teller)
        self._releases = releases()
        self._failures: list[CubeError] = []

    def run(self) -> None:
        try:
            self._cluster.want(self._count)
            self._fill()
            while self._in_flight or self._again:
                with contextlib.suppress(queue.Empty):
                    self._finish(self._ended.get(timeout=TICK_SECONDS))
                    while True:
                        self._finish(self._ended.get_nowait())
                self._tick()
        except BaseException:
            self._cluster.troubled = True
            self._client.cancel(list(self._in_flight), force=True)
            raise
        finally:
            self._deaths.close()
        if self._failures:
            self._cluster.troubled |= any(isinstance(each, ComputeError) for each in self._failures)
            raise self._failures[0]

    def _fill(self) -> None:
        """Submit until there is enough in flight for the workers that are there now."""
        wanted = IN_FLIGHT * max(1, sum(self._watch.there.values()))
        while len(self._in_flight) + len(self._again) < wanted and not self._failures:
            work = next(self._works, None)
            if work is None:
                return
            self._submit(work, 0)

    def _submit(self, work: Work, attempt: int) -> None:
        key = f"{work.id}-{id(work)}-{attempt}"
        self._names[key] = work.id
        future = self._client.submit(_execute, key, work, self._stage, self._releases, pure=False, key=key)
        self._in_flight[future] = work
        future.add_done_callback(self._ended.put)

    def _finish(self, future: Any) -> None:
        import distributed

        work = self._in_flight.pop(future, None)
        if work is None:
            return
        try:
            found = future.result(timeout=RESULT_SECONDS)
            if isinstance(found, _Unfit):
                self._watch.unfit(found.worker, found.problem)
                self._try_again(work, future.key)
            else:
                self._done(work, found)
                self._deaths.finished()
        except TimeoutError as error:
            if future.status == "error":  # raised by the work itself
                self._failures.append(_failed(work, error))
                future.release()
                return
            # The worker died with its receipt: the scheduler has it computed again, for which workers must be watched.
            self._in_flight[future] = work
            future.add_done_callback(self._ended.put)
            return
        except CubeError as error:
            self._failures.append(error)
        except distributed.KilledWorker as error:
            self._teller.event("lost", work=work.id, worker=error.last_worker.address)
            self._deaths.died(future.key, error.last_worker)
            self._watch.seen()
            self._try_again(work, future.key)
        except (Exception, distributed.CancelledError) as error:  # noqa: BLE001  a worker may raise anything
            lost = self._client.status != "running" or isinstance(error, distributed.CancelledError)
            self._failures.append(self._scheduler_lost() if lost else _failed(work, error))
        future.release()
        self._fill()

    def _try_again(self, work: Work, key: str) -> None:
        if not self._failures:
            self._again.append((time.monotonic() + AGAIN_SECONDS, work, int(key.rpartition("-")[2]) + 1))

    def _scheduler_lost(self) -> NoWorkersError:
        return NoWorkersError(
            Problem(
                "scheduler-lost",
                "the connection to the Dask scheduler broke",
                self._cluster.about,
                fix="see whether it still runs; finished blocks are kept and the same command goes on from them",
            )
        )

    def _tick(self) -> None:
        self._watch.look()
        self._deaths.settle(self._watch.there)
        if died := self._deaths.at_birth(sum(self._watch.there.values())):
            raise NoWorkersError(_die_at_birth(died, self._cluster))
        guilty = self._deaths.guilty()
        for future, work in list(self._in_flight.items()):
            if work.id in guilty:
                self._give_up(future, self._killed(work.id))
            elif self._deaths.interrupted(future.key) >= LIMIT:
                self._give_up(future, _outlived(work))
        for work in [work for _, work, _ in self._again if work.id in guilty]:
            self._failures.append(ComputeError(self._killed(work.id)))
        if self._failures:
            self._again.clear()
        now = time.monotonic()
        for due in [due for due in self._again if due[0] <= now]:
            self._again.remove(due)
            self._submit(*due[1:])
        self._fill()

    def _give_up(self, future: Any, problem: Problem) -> None:
        """Try this one no more; what else is in flight is finished."""
        del self._in_flight[future]
        future.cancel(force=True)
        self._failures.append(ComputeError(problem))

    def _killed(self, work: str) -> Problem:
        memory = self._deaths.by_memory[work]
        if memory:
            how = f"{memory} of them because of their memory, at {self._deaths.most_bytes / 2**20:.0f} MiB"
            fix = "raise `memory`, or cut the product by `area` or `layout.segment`"
        else:
            how = "their processes ended by themselves"
            fix = "see the output of the workers for a library that crashed, and the machine's log for its memory"
        return Problem(
            "worker-killed",
            f"{LIMIT} workers died while computing it, {how}",
            work,
            "computing it again would end more workers",
            f"{fix}; finished blocks are kept and the same command goes on from them",
        )


def _die_at_birth(count: int, cluster: Cluster) -> Problem:
    return Problem(
        "workers-die",
        f"{count} workers died one after another before they began a block",
        cluster.about,
        "they would be replaced for ever",
        "see the output of the workers: mostly a library that does not run on these machines, or too little memory",
    )


def _outlived(work: Work) -> Problem:
    return Problem(
        "block-outlives-worker",
        f"{LIMIT} workers came to the end of their time while computing it",
        work.id,
        "no worker lives long enough to finish it, so the build would never end",
        "raise `cluster.walltime`; finished blocks are kept and the same command goes on from them",
    )


def _failed(work: Work, error: BaseException) -> ComputeError:
    return ComputeError(
        Problem(
            "block-failed",
            f"{type(error).__name__}: {error}",
            ", ".join(task.block.id for task in work.tasks[:3]) or work.id,
            fix="finished blocks are kept; the same command goes on from them",
        )
    )
