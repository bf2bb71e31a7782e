"""Running works on a cluster: a bounded number in flight, receipts as they come, failures named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cube.errors import ComputeError, CubeError, Problem
from cube.job import Work
from cube.stage import Executed, Stage, execute

if TYPE_CHECKING:
    import distributed

IN_FLIGHT = 2
"""Works in flight a thread."""

Done = Callable[[Work, Executed], None]


def run_step(client: distributed.Client | None, works: Sequence[Work], stage: Stage, done: Done) -> None:
    """Run the works of one step; `done` is called for each as it ends.

    Raises the first CubeError of a work, ComputeError for any other failure; works in flight are finished first, so
    that what they wrote is in the ledger.
    """
    if client is None:
        for work in works:
            try:
                done(work, execute(work, stage))
            except CubeError:
                raise
            except Exception as error:
                raise _failed(work, error) from error
        return
    import distributed  # a build that finds nothing to do should not wait for it

    threads = sum(client.nthreads().values()) or 1
    queue = iter(works)
    running = distributed.as_completed(loop=client.loop)
    in_flight: dict[Any, Work] = {}

    def submit() -> None:
        work = next(queue, None)
        if work is not None:
            future = client.submit(execute, work, stage, pure=False, key=f"{work.id}-{id(work)}")
            in_flight[future] = work
            running.add(future)

    for _ in range(IN_FLIGHT * threads):
        submit()
    failures: list[CubeError] = []
    for future in running:
        work = in_flight.pop(future)
        try:
            done(work, future.result())
        except CubeError as error:
            failures.append(error)
        except (Exception, distributed.CancelledError) as error:  # noqa: BLE001  a worker may raise anything
            failures.append(_failed(work, error))
        future.release()
        if not failures:
            submit()
    if failures:
        raise failures[0]


def _failed(work: Work, error: BaseException) -> ComputeError:
    import distributed

    blocks = ", ".join(task.block.id for task in work.tasks[:3]) or work.id
    if isinstance(error, distributed.KilledWorker):
        return ComputeError(
            Problem(
                "worker-killed",
                f"workers died three times while computing {blocks}",
                work.id,
                "mostly the memory of a worker was not enough",
                "raise `memory`; finished blocks are kept and the same command goes on from them",
            )
        )
    return ComputeError(
        Problem(
            "block-failed",
            f"{type(error).__name__}: {error}",
            blocks,
            fix="finished blocks are kept; the same command goes on from them",
        )
    )
