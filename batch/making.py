"""Making one product: stage, take over, run, seal, publish."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from batch.catalogue import first_published, object_bytes, public_base, reading_options
from batch.plan import ProductPlan, steps_for
from batch.reporting import Reporter
from batch.running import run_step
from batch.spec import Spec
from compute.clusters.cluster import Cluster
from cube.errors import IntegrityError, Problem, RefusedError, StoreError
from cube.hashing import sha256
from cube.job import Work
from cube.layout import Block
from cube.lock import Lease
from cube.maps import map_sources
from cube.retraction import retractions
from cube.scratch import Scratchpad
from cube.sealing import seal, write_objects
from cube.stage import PARALLEL_REQUESTS, Executed, Receipt, Stage
from cube.stores import Store, open_store
from cube.structure import structure
from cube.versions import TOMBSTONE, begin, publish, settle
from stac.items import compose_item


@dataclass(frozen=True)
class Built:
    """What was done for one product."""

    name: str
    version: str
    computed: int
    taken: int
    resumed: int
    bytes: int
    seconds: float
    peak_bytes: int
    manifest: Mapping[str, Any] = field(repr=False)


class Maker:
    """Makes products, one after another; holds what they share.

    cluster  gives the workers, started when the first work needs it
    """

    def __init__(
        self,
        spec: Spec,
        store: Store,
        lease: Lease,
        reporter: Reporter,
        cluster: Callable[[], Cluster],
        allow_retraction: bool,
    ) -> None:
        self.spec = spec
        self.store = store
        self.lease = lease
        self.reporter = reporter
        self.allow_retraction = allow_retraction
        self._cluster = cluster

    def make(self, plan: ProductPlan) -> Built:
        """Stage, run, seal and publish.

        Raises RefusedError for what the plan refuses and for a retraction that was found when all was made.
        """
        started = time.monotonic()
        if plan.refused and not (self.allow_retraction and all(p.code == "retraction" for p in plan.refused)):
            raise RefusedError(plan.refused)
        former = _former(self.store, plan)
        state = settle(self.store, plan.path, plan.state, plan.live.version if plan.live and plan.live.item else None)
        state = begin(self.store, plan.path, state, plan.fingerprint, plan.job.frozen(), plan.core["packages"])
        assert state.staged is not None
        prefix = plan.path.version(state.staged.version)
        objects = {
            f"{name}.zarr/{key}": data
            for name, layout in plan.layouts.items()
            for key, data in structure(plan.template, layout, plan.core["attrs"]).items()
        }
        self.lease.check()
        written = write_objects(self.store, prefix, objects)
        stage = self._stage(plan, prefix, objects)
        receipts = stage.marked((block, key.key) for block, key in plan.blocks.items())
        resumed = set(receipts)
        receipts.update(self._take(plan, stage, receipts, former))
        peak = self._run(plan, stage, self._steps(plan, stage, receipts), receipts, len(resumed))
        extras, references = plan.job.extras()
        self.lease.check()
        written.update(write_objects(self.store, prefix, extras))
        _prove_extent(plan, receipts)
        shards = (
            name for layout in plan.layouts.values() for block in layout.blocks() for name in stage.object_names(block)
        )
        core = {**plan.core, "references": references}
        manifest = seal(self.store, prefix, written, receipts, plan.blocks, shards, core)
        lost = retractions(plan.live, manifest) if plan.live else []
        if lost and not self.allow_retraction:
            raise RefusedError(lost)
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        item = compose_item(
            manifest,
            version=state.staged.version,
            published=now,
            created=first_published(plan.live, now),
            base_href=public_base(self.store),
            storage_options=reading_options(self.store, self.spec.storage),
        )
        self._tidy(stage)
        self.lease.check()
        publish(self.store, plan.path, plan.live.item if plan.live else None, object_bytes(item), state)
        taken = [receipt.taken for block, receipt in receipts.items() if block not in resumed]
        built = Built(
            plan.name,
            state.staged.version,
            taken.count(False),
            taken.count(True),
            len(resumed),
            sum(stored["bytes"] for stored in manifest["objects"].values()),
            time.monotonic() - started,
            peak,
            manifest,
        )
        self.reporter.published(plan.name, built.version, built.computed, built.taken, built.bytes, built.seconds)
        return built

    def _stage(self, plan: ProductPlan, prefix: str, objects: Mapping[str, bytes]) -> Stage:
        metadata: dict[str, dict[str, bytes]] = {}
        for name in plan.layouts:
            metadata[name] = {
                f"{variable}/zarr.json": objects[f"{name}.zarr/{variable}/zarr.json"]
                for variable in plan.template.arrays
            }
        pad = scratchpad(self.spec, self.store, prefix)
        files: dict[str, list[str]] = {}
        for name, file in plan.template.files.items():
            files.setdefault(plan.layouts["time"].group_of(file.beside).name, []).append(name)
        return Stage(self.store, prefix, plan.layouts, plan.template.dims, metadata, pad, self.lease, files)

    def _take(
        self, plan: ProductPlan, stage: Stage, receipts: Mapping[str, Receipt], former: list[str]
    ) -> dict[str, Receipt]:
        """Take over finished blocks of the live version, then of staged versions that nothing will finish."""
        takes = {t.block: (t.block, t.key, t.source, t.receipt) for t in plan.take if t.block not in receipts}
        left = [(task.block.id, task.key) for task in plan.compute if task.block.id not in receipts]
        for version in former:
            prefix = plan.path.version(version)
            if prefix != stage.prefix:
                old = replace(stage, prefix=prefix)
                takes.update({each.block: (each.block, each.key, prefix, each) for each in old.marked(left).values()})
                left = [pair for pair in left if pair[0] not in takes]
        # What other blocks of it are made from is read: they would keep what is wrong there, unseen by any repair.
        blocks = [block for block, _ in left]
        read = map_sources(plan.layouts, blocks) | plan.job.builds_on(plan.layouts["time"], blocks)
        with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
            taken = pool.map(lambda take: stage.take(*take, prove=take[0] in read), takes.values())
            return {receipt.block: receipt for receipt in taken}

    def _steps(self, plan: ProductPlan, stage: Stage, receipts: Mapping[str, Receipt]) -> list[list[Work]]:
        """What is left to do.

        Works are cut for all blocks of the plan, as they were in the run that is resumed: cut for the blocks that are
        left, first passes would be other ones and be done again.
        """
        left = {task.block for task in plan.compute if task.block.id not in receipts}
        if not left:
            return []
        steps = []
        for step in steps_for(plan, list(plan.compute), self.spec.memory, stage.ref):
            works = [some for work in step if (some := _left(work, left, stage))]
            if works:
                steps.append(works)
        return steps

    def _run(
        self, plan: ProductPlan, stage: Stage, steps: list[list[Work]], receipts: dict[str, Receipt], resumed: int
    ) -> int:
        """Run the works; the largest resident set of a worker."""
        peak = 0
        arrays, scratch = set[str](), set[str]()
        with self.reporter.product(plan, sum(len(step) for step in steps), resumed) as done:

            def finished(work: Work, found: Executed) -> None:
                nonlocal peak
                peak = max(peak, found.peak_bytes)
                receipts.update({receipt.block: receipt for receipt in found.receipts})
                arrays.update(f"{stage.prefix}/{name}" for each in found.receipts for name in each.objects)
                scratch.update(f"{stage.scratch.prefix}/{name}" for name in work.leaves)
                done(sum(receipt.bytes for receipt in found.receipts))

            for works in steps:
                _await_objects(self.store, arrays)
                _await_objects(stage.scratch.store, scratch)
                run_step(self._cluster(), works, stage, finished, self.reporter)
            self.store.expect(arrays)
        return peak

    def _tidy(self, stage: Stage) -> None:
        """Delete intermediate arrays; a listing that lags leaves some to gc."""
        with contextlib.suppress(StoreError):
            for key in list(stage.scratch.store.walk(stage.scratch.prefix)):
                stage.scratch.store.delete(key)


def _await_objects(store: Store, keys: Collection[str]) -> None:
    """Wait until what workers have written is seen by others: an object store may lag behind."""
    store.expect(keys)
    if store.url.startswith("s3://"):
        with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
            list(pool.map(store.head, keys))


def _prove_extent(plan: ProductPlan, receipts: Mapping[str, Receipt]) -> None:
    """The extent that the ledger proves must be the one that the structure declares."""
    axis = plan.template.time
    missing = [block for block in plan.blocks if block not in receipts]
    if missing:
        raise IntegrityError(Problem("block-missing", f"{len(missing)} blocks are not in the ledger", missing[0]))
    for group in (each for each in plan.layouts["time"].groups if axis and each.dim("time")):
        assert axis is not None
        steps = [r.steps for b, r in receipts.items() if b.startswith(f"time/{group.name}/") and r.steps]
        covered = [each for each in steps if each[1] > each[0]]
        found = (min(a for a, _ in covered), max(b for _, b in covered)) if covered else (0, 0)
        if found != (0, axis.count):
            raise IntegrityError(
                Problem(
                    "extent-unproven",
                    f"blocks prove steps {found[0]} to {found[1]} of {axis.count}",
                    f"{plan.name} {group.name}",
                    "the catalogue would advertise a period that holds no data",
                    "this is a fault of the job: please report it",
                )
            )


def scratchpad(spec: Spec, store: Store, prefix: str) -> Scratchpad:
    """Where intermediate arrays of the version at `prefix` are: beside it, or in the folder that the cluster names."""
    if spec.cluster.scratch is None:
        return Scratchpad(store, f"{prefix}/tmp")
    # Several cubes may share the folder.
    cube = sha256(store.url.encode())[:12]
    return Scratchpad(open_store(spec.resolve(spec.cluster.scratch)), f"{cube}/{prefix}")


def _left(work: Work, left: Collection[Block], stage: Stage) -> Work | None:
    """What of a work is still to be done, None where nothing is."""
    if not work.tasks:
        return None if stage.passed(work.id, work.leaves) else work
    tasks = tuple(task for task in work.tasks if task.block in left)
    return work.only(tasks) if tasks else None


def _former(store: Store, plan: ProductPlan) -> list[str]:
    """Versions whose ledgers may hold blocks of this one: those that were published before or had the same inputs,
    staged ones, and a published one without its manifest."""
    live, state = plan.live.version if plan.live else None, plan.state
    kept = [each for each in state.kept if each != live]
    likely = (*kept[:1], *state.abandoned[-1:])
    found = [each for each in (*kept, *state.abandoned) if each in likely or each.startswith(plan.fingerprint[:12])]
    found += [state.staged.version] if state.staged else []
    if plan.live and plan.live.version and not plan.live.manifest:
        found.append(plan.live.version)
    return [each for each in found if store.head(f"{plan.path.version(each)}/{TOMBSTONE}") is None]
