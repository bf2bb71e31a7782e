"""Making what the plan says: stage, run, seal, publish, product by product."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from batch.catalogue import catalogue_changes, undeclared
from batch.locking import locked
from batch.making import Built, Maker
from batch.plan import Plan, ProductPlan, make_plan, plan_product
from batch.reporting import Reporter
from batch.runs import records
from batch.spec import Spec
from compute.clusters.cluster import Cluster, NoWorkersError
from compute.clusters.performance import performance
from compute.clusters.settings import cores, end_with_parent
from compute.clusters.starting import start
from cube.errors import BusyError, CubeError, InputError, Problem, RefusedError
from cube.job import ProductView
from cube.lock import Lease
from cube.published import pinned_damage
from cube.reading import VersionRef
from cube.stores import Store, open_store
from cube.verify import verify
from cube.versions import ProductPath, is_settled, settle


@dataclass
class Outcome:
    """What a build did.

    waiting     products that could not be made because of another one
    held        products that are pinned to a version
    undeclared  COLLECTION/PRODUCT of those that the catalogue lists and the specification no longer declares
    """

    built: list[Built] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    failed: dict[str, CubeError] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    undeclared: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        return next((error.exit_code for error in self.failed.values()), 0)


def build(
    spec: Spec,
    names: list[str],
    reporter: Reporter,
    *,
    allow_retraction: bool = False,
    repair: bool = False,
    report: Path | None = None,
) -> Outcome:
    """Bring products up to date, each after its inputs; one that fails does not stop those that do not need it.

    names   products in the specification's order, inputs included
    repair  prove the objects of live versions first, and make anew what is damaged
    report  file for a Dask performance report; none is written where nothing is computed

    Raises BusyError when another build is at work.
    """
    store = open_store(spec.store_location, spec.storage)
    with contextlib.ExitStack() as stack:
        executor = stack.enter_context(ProcessPoolExecutor(cores(), get_context("spawn"), end_with_parent))
        plan = make_plan(spec, store, names, reporter.facts, executor, mending=repair)
        if not repair and _nothing_to_do(spec, store, plan, allow_retraction):
            return _unchanged(plan, spec, store)
        lease = stack.enter_context(locked(spec, store, reporter))
        outcome = Builder(spec, store, lease, reporter, stack, executor, allow_retraction, repair, report).run(names)
        for key, data in catalogue_changes(spec, store, only_declared=allow_retraction).items():
            lease.check()
            store.put(key, data, immutable=False)
    outcome.undeclared = [path.prefix for path in undeclared(spec, store)]
    return outcome


def _unchanged(plan: Plan, spec: Spec, store: Store) -> Outcome:
    held = {name: each.pin for name, each in plan.held.items()}
    others = [path.prefix for path in undeclared(spec, store)]
    return Outcome([], list(plan.products), dict(plan.failed), dict(plan.waiting), held, others)


def _nothing_to_do(spec: Spec, store: Store, plan: Plan, only_declared: bool) -> bool:
    """Whether a build would write nothing at all; then it needs no lock either."""
    settled = all(is_settled(each.state, each.live.version if each.live else None) for each in plan.products.values())
    return settled and not plan.stale and not catalogue_changes(spec, store, only_declared=only_declared)


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
        report: Path | None = None,
    ) -> None:
        self.spec = spec
        self.store = store
        self.reporter = reporter
        self.repair = repair
        self.outcome = Outcome()
        self.views: dict[str, ProductView] = {}
        self._stack = stack
        self._report = report
        self._started: list[Cluster] = []
        self._given_up: CubeError | None = None
        self._executor = executor
        self._maker = Maker(spec, store, lease, reporter, self.cluster, allow_retraction)

    def run(self, names: list[str]) -> Outcome:
        facts = self.reporter.facts
        plan = make_plan(self.spec, self.store, names, facts, self._executor, mending=self.repair)
        self.outcome.failed.update(plan.failed)
        self.outcome.waiting.update(plan.waiting)
        for name, pinned in plan.held.items():
            self.views[name] = pinned.view
            self.outcome.held[name] = pinned.pin
            if self.repair and (problems := self._problems_of_pinned(pinned.view)):
                self.outcome.failed[name] = pinned_damage(name, problems)
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
                if isinstance(error, NoWorkersError):
                    self._given_up = error
                self.outcome.failed[name] = error
                self.reporter.failed(name, error)
        return self.outcome

    def _bring_up_to_date(self, name: str, plan: ProductPlan) -> None:
        damaged = self._damaged(plan)
        if self.spec.inputs(name) or self.repair:
            plan = self._plan(name, None, damaged)
        if self._finish_staged(plan, damaged):
            plan = self._plan(name, None)
        if plan.current:
            assert plan.live is not None
            settle(self.store, plan.path, plan.state, plan.live.version)
            version, manifest = plan.live.version, plan.live.manifest
            if not any(built.name == name for built in self.outcome.built):
                self.outcome.current.append(name)
        else:
            built = self._maker.make(plan)
            version, manifest = built.version, built.manifest
            self.outcome.built.append(built)
        self.views[name] = plan.view(VersionRef(self.store, plan.path.version(version)), manifest)

    def _plan(self, name: str, frozen: Mapping[str, Any] | None, damaged: frozenset[str] = frozenset()) -> ProductPlan:
        inputs = {each: self.views[each] for each in self.spec.inputs(name)}
        return plan_product(
            self.spec,
            self.store,
            name,
            inputs,
            frozen,
            damaged,
            self.reporter.facts,
            self._executor,
            mending=self.repair,
        )

    def _damaged(self, plan: ProductPlan) -> frozenset[str]:
        """Objects of the live version that are not what was proven when they were written, by name in the version."""
        found = verify(self.store, plan.path, deep=True, progress=self.reporter.facts) if self.repair else None
        return found.damaged if found else frozenset()

    def _problems_of_pinned(self, view: ProductView) -> tuple[Problem, ...]:
        """What is wrong with a version that no build replaces."""
        path = ProductPath(view.collection, view.name)
        found = verify(self.store, path, deep=True, progress=self.reporter.facts)
        return found.problems if found else ()

    def _finish_staged(self, plan: ProductPlan, damaged: frozenset[str]) -> bool:
        """Finish first what was begun with inputs that are still there, so that arrivals cannot starve a long build."""
        staged = plan.state.staged
        if staged is None or staged.fingerprint == plan.fingerprint or not staged.frozen:
            return False
        try:
            former = self._plan(plan.name, staged.frozen, damaged)
        except InputError:
            return False
        if former.fingerprint != staged.fingerprint or former.current:
            return False
        try:
            self.outcome.built.append(self._maker.make(former))
        except RefusedError:
            return False  # what has arrived since may be what was missing
        return True

    def cluster(self) -> Cluster:
        """The workers, started when the first work needs them. Raises again what kept them from coming."""
        if self._given_up:
            raise self._given_up
        if not self._started:
            self.reporter.end_facts()
            try:
                self._started.append(self._start())
            except CubeError as error:
                self._given_up = error
                raise
        return self._started[0]

    def _start(self) -> Cluster:
        options, run = self.spec.cluster, records.current()
        name = run.id if run else "run"
        started = start(options, self.spec.memory, self.spec.folder, name=name, dashboard=self.reporter.dashboard)
        cluster = self._stack.enter_context(started)
        if self._report and cluster.client is not None:
            self._stack.enter_context(performance(cluster.client, self._report, self.reporter.say))
        link = f"; dashboard {cluster.dashboard}" if cluster.dashboard else ""
        self.reporter.say(f"works run on {cluster.about}{link}")
        return cluster


def products_with_inputs(spec: Spec, wanted: list[str]) -> Iterator[str]:
    """The wanted products and all they are made from, in the order of the specification."""
    needed = set(wanted)
    for name in reversed(spec.order()):
        if name in needed:
            needed.update(spec.inputs(name))
    return (name for name in spec.order() if name in needed)
