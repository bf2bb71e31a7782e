"""Making what the plan says: stage, run, seal, publish, product by product."""

from __future__ import annotations

import contextlib
import datetime
import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from batch.catalogue import catalogue_changes, object_bytes, public_base, reading_options
from batch.plan import Plan, ProductPlan, make_plan, plan_product, steps_for
from batch.reporting import Reporter
from batch.running import run_step
from batch.spec import Spec
from compute.clusters import cores, end_with_parent, local
from cube.errors import BusyError, CubeError, InputError, IntegrityError, Problem, RefusedError
from cube.job import ProductView, Work
from cube.lock import Lease, hold
from cube.reading import VersionRef
from cube.rechunk import Spill
from cube.stage import PARALLEL_REQUESTS, Receipt, Scratchpad, Stage
from cube.stores import Store, open_store
from cube.structure import structure
from cube.verify import verify
from cube.versions import begin, is_settled, publish, retractions, seal, settle, write_objects
from stac.items import compose_item

if TYPE_CHECKING:
    import distributed


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


@dataclass
class Outcome:
    """What a build did. waiting: products that could not be made because of another one."""

    built: list[Built] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    failed: dict[str, CubeError] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        return next((error.exit_code for error in self.failed.values()), 0)


def build(
    spec: Spec, names: list[str], reporter: Reporter, *, allow_retraction: bool = False, repair: bool = False
) -> Outcome:
    """Bring products up to date, each after its inputs; one that fails does not stop those that do not need it.

    names   products in the specification's order, inputs included
    repair  prove the objects of live versions first, and make anew what is damaged

    Raises BusyError when another build is at work.
    """
    store = open_store(spec.store_location, spec.storage)
    with contextlib.ExitStack() as stack:
        executor = stack.enter_context(ProcessPoolExecutor(cores(), get_context("spawn"), end_with_parent))
        plan = make_plan(spec, store, names, reporter.facts, executor)
        if not repair and _nothing_to_do(spec, store, plan):
            return Outcome(current=list(plan.products), failed=dict(plan.failed), waiting=dict(plan.waiting))
        lease = stack.enter_context(hold(store, reporter.waiting))
        outcome = Builder(spec, store, lease, reporter, stack, executor, allow_retraction, repair).run(names)
        for key, data in catalogue_changes(spec, store).items():
            store.put(key, data, immutable=False)
    return outcome


def _nothing_to_do(spec: Spec, store: Store, plan: Plan) -> bool:
    """Whether a build would write nothing at all; then it needs no lock either."""
    settled = all(is_settled(each.state, each.live) for each in plan.products.values())
    return settled and not plan.stale and not catalogue_changes(spec, store)


class Builder:
    """One run of `cube build`; holds what its products share."""

    def __init__(
        self,
        spec: Spec,
        store: Store,
        lease: Lease,
        reporter: Reporter,
        stack: contextlib.ExitStack,
        executor: ProcessPoolExecutor,
        allow_retraction: bool,
        repair: bool,
    ) -> None:
        self.spec = spec
        self.store = store
        self.lease = lease
        self.reporter = reporter
        self.allow_retraction = allow_retraction
        self.repair = repair
        self.outcome = Outcome()
        self.views: dict[str, ProductView] = {}
        self._stack = stack
        self._client: list[distributed.Client | None] = []
        self._executor = executor

    def run(self, names: list[str]) -> Outcome:
        plan = make_plan(self.spec, self.store, names, self.reporter.facts, self._executor)
        self.outcome.failed.update(plan.failed)
        self.outcome.waiting.update(plan.waiting)
        for name, first in plan.products.items():
            blocked = next((n for n in self.spec.inputs(name) if n not in self.views), None)
            if blocked:
                self.outcome.waiting[name] = blocked
                continue
            try:
                self._bring_up_to_date(name, first)
            except BusyError:
                raise
            except CubeError as error:
                self.outcome.failed[name] = error
                self.reporter.failed(name, error)
        return self.outcome

    def _bring_up_to_date(self, name: str, plan: ProductPlan) -> None:
        if self.spec.inputs(name) or self.repair:
            plan = self._plan(name, None, self._damaged(plan))
        if self._finish_staged(plan):
            plan = self._plan(name, None)
        if plan.current:
            settle(self.store, plan.path, plan.state, plan.live)
            assert plan.live is not None
            version = plan.live.version
            if not any(built.name == name for built in self.outcome.built):
                self.outcome.current.append(name)
        else:
            built = self._make(plan)
            version = built.version
            self.outcome.built.append(built)
        self.views[name] = plan.view(VersionRef(self.store, plan.path.version(version)))

    def _plan(self, name: str, frozen: Mapping[str, Any] | None, damaged: frozenset[str] = frozenset()) -> ProductPlan:
        inputs = {each: self.views[each] for each in self.spec.inputs(name)}
        return plan_product(self.spec, self.store, name, inputs, frozen, damaged, self.reporter.facts, self._executor)

    def _damaged(self, plan: ProductPlan) -> frozenset[str]:
        """Objects of the live version that are not what was proven when they were written, by name in the version."""
        if not self.repair or plan.live is None:
            return frozenset()
        found = verify(
            self.store, plan.path, plan.live.version, plan.live.manifest, deep=True, progress=self.reporter.facts
        )
        prefix = f"{plan.path.version(plan.live.version)}/"
        return frozenset(problem.where.removeprefix(prefix) for problem in found.problems)

    def _finish_staged(self, plan: ProductPlan) -> bool:
        """Finish first what was begun with inputs that are still there, so that arrivals cannot starve a long build."""
        staged = plan.state.staged
        if staged is None or staged.fingerprint == plan.fingerprint or not staged.frozen:
            return False
        try:
            former = self._plan(plan.name, staged.frozen)
        except InputError:
            return False
        if former.fingerprint != staged.fingerprint or former.current:
            return False
        self.outcome.built.append(self._make(former))
        return True

    def client(self) -> distributed.Client | None:
        """The cluster, started when the first work needs it."""
        if not self._client:
            self._client.append(self._stack.enter_context(local(self.spec.cluster.workers, self.spec.memory)))
        return self._client[0]

    def _make(self, plan: ProductPlan) -> Built:
        started = time.monotonic()
        if plan.refused and not (self.allow_retraction and all(p.code == "retraction" for p in plan.refused)):
            raise RefusedError(plan.refused)
        former = [*plan.state.abandoned[-1:], *([plan.state.staged.version] if plan.state.staged else [])]
        state = settle(self.store, plan.path, plan.state, plan.live)
        state = begin(self.store, plan.path, state, plan.fingerprint, plan.job.frozen())
        assert state.staged is not None
        prefix = plan.path.version(state.staged.version)
        objects = {
            f"{name}.zarr/{key}": data
            for name, layout in plan.layouts.items()
            for key, data in structure(plan.template, layout, plan.core["attrs"]).items()
        }
        written = write_objects(self.store, prefix, objects)
        stage = self._stage(plan, prefix, objects)
        receipts = stage.marked((block, key.key) for block, key in plan.blocks.items())
        resumed = len(receipts)
        receipts.update(self._take(plan, stage, receipts, former))
        steps = self._steps(plan, stage, receipts)
        self._run(plan, stage, steps, receipts, resumed)
        extras, references = plan.job.extras()
        written.update(write_objects(self.store, prefix, extras))
        _prove_extent(plan, receipts)
        manifest = seal(self.store, prefix, written, receipts, plan.blocks, {**plan.core, "references": references})
        lost = retractions(plan.live, manifest) if plan.live else []
        if lost and not self.allow_retraction:
            raise RefusedError(lost)
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        item = compose_item(
            manifest,
            version=state.staged.version,
            published=now,
            created=_created(plan, now),
            base_href=public_base(self.store),
            storage_options=reading_options(self.store, self.spec.storage),
        )
        self._tidy(stage)
        self.lease.check()
        publish(self.store, plan.path, plan.live, object_bytes(item), state)
        computed = [receipt for receipt in receipts.values() if not receipt.taken]
        built = Built(
            plan.name,
            state.staged.version,
            len(computed) - resumed if len(computed) > resumed else 0,
            len(receipts) - len(computed),
            resumed,
            sum(stored["bytes"] for stored in manifest["objects"].values()),
            time.monotonic() - started,
            max((receipt.peak_bytes for receipt in computed), default=0),
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
        scratch = self.spec.cluster.scratch
        pad = (
            Scratchpad(open_store(self.spec.resolve(str(scratch))), prefix.replace("/", "-"))
            if scratch
            else Scratchpad(self.store, f"{prefix}/tmp")
        )
        return Stage(self.store, prefix, plan.layouts, metadata, pad, self.lease)

    def _take(
        self, plan: ProductPlan, stage: Stage, receipts: Mapping[str, Receipt], former: list[str]
    ) -> dict[str, Receipt]:
        """Take over finished blocks of the live version, then of staged versions that nothing will finish."""
        takes = {t.block: (t.block, t.key, t.source, t.receipt) for t in plan.take if t.block not in receipts}
        left = [(task.block.id, task.key) for task in plan.compute if task.block.id not in receipts]
        for version in former:
            prefix = plan.path.version(version)
            if prefix != stage.prefix:
                old = Stage(self.store, prefix, plan.layouts, stage.metadata, stage.scratch)
                takes.update({each.block: (each.block, each.key, prefix, each) for each in old.marked(left).values()})
        with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
            taken = pool.map(lambda take: stage.take(*take), takes.values())
            return {receipt.block: receipt for receipt in taken}

    def _steps(self, plan: ProductPlan, stage: Stage, receipts: Mapping[str, Receipt]) -> list[list[Work]]:
        left = [task for task in plan.compute if task.block.id not in receipts]
        ref = VersionRef(self.store, stage.prefix)
        steps = []
        for step in steps_for(plan, left, self.spec.memory, ref):
            works = [work for work in step if not (isinstance(work, Spill) and stage.passed(work.id, work.leaves))]
            if works:
                steps.append(works)
        return steps

    def _run(
        self,
        plan: ProductPlan,
        stage: Stage,
        steps: list[list[Work]],
        receipts: dict[str, Receipt],
        resumed: int,
    ) -> None:
        total = sum(len(step) for step in steps)
        with self.reporter.product(plan, total, resumed) as done:
            for works in steps:

                def finished(work: Work, found: list[Receipt]) -> None:
                    receipts.update({receipt.block: receipt for receipt in found})
                    done(sum(receipt.bytes for receipt in found))

                run_step(self.client(), works, stage, finished)

    def _tidy(self, stage: Stage) -> None:
        """Delete intermediate arrays; a listing that lags leaves some to gc."""
        for key in list(stage.scratch.store.walk(stage.scratch.prefix)):
            stage.scratch.store.delete(key)


def _prove_extent(plan: ProductPlan, receipts: Mapping[str, Receipt]) -> None:
    """The extent that the ledger proves must be the one that the structure declares."""
    axis = plan.template.time
    missing = [block for block in plan.blocks if block not in receipts]
    if missing:
        raise IntegrityError(Problem("block-missing", f"{len(missing)} blocks are not in the ledger", missing[0]))
    for group in plan.layouts["time"].groups if axis else ():
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


def _created(plan: ProductPlan, now: datetime.datetime) -> datetime.datetime:
    if plan.live is None:
        return now
    return datetime.datetime.fromisoformat(json.loads(plan.live.item)["properties"]["created"])


def products_with_inputs(spec: Spec, wanted: list[str]) -> Iterator[str]:
    """The wanted products and all they are made from, in the order of the specification."""
    needed = set(wanted)
    for name in reversed(spec.order()):
        if name in needed:
            needed.update(spec.inputs(name))
    return (name for name in spec.order() if name in needed)
