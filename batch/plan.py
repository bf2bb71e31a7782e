"""The plan: what is stale and why, what it takes to make it, as a value and before anything is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from batch.describing import described
from batch.jobs import JOBS
from batch.sections import ProductSpec
from batch.spec import Spec
from cube.errors import CubeError, Problem, RefusedError, SpecError
from cube.hashing import digest
from cube.job import BlockTask, Job, JobContext, Prior, ProductView, Work
from cube.keys import BlockKey, block_keys, known_inputs, template_digest
from cube.layout import Block, Layout, map_layout
from cube.live import Live, read_live
from cube.maps import map_works
from cube.published import pinned_view, proofs_of
from cube.reading import VersionRef
from cube.releases import releases
from cube.retraction import retractions
from cube.stage import Receipt
from cube.stores import Store
from cube.template import Template
from cube.versions import ProductPath, State, read_state


@dataclass(frozen=True)
class Take:
    """A finished block that is taken over from another version of the product."""

    block: str
    key: str
    source: str
    receipt: Receipt


@dataclass(frozen=True)
class ProductPlan:
    """What it takes to bring one product up to date.

    blocks   all of its blocks by id, those of the map layout included
    compute  blocks to be computed;  take  blocks taken over;  reasons  why blocks are computed, counted
    refused  problems that forbid it unless they are allowed (retractions)
    links    whether what is taken over takes no space twice
    """

    name: str
    path: ProductPath
    spec: ProductSpec
    job: Job = field(repr=False)
    template: Template = field(repr=False)
    layouts: Mapping[str, Layout] = field(repr=False)
    blocks: Mapping[str, BlockKey] = field(repr=False)
    core: Mapping[str, Any] = field(repr=False)
    fingerprint: str
    live: Live | None = field(repr=False)
    state: State = field(repr=False)
    compute: tuple[BlockTask, ...] = field(repr=False)
    take: tuple[Take, ...] = field(repr=False)
    reasons: Mapping[str, int]
    refused: tuple[Problem, ...]
    steps: tuple[tuple[Work, ...], ...] = field(repr=False)
    current: bool
    links: bool

    @property
    def memory(self) -> int:
        """Estimated peak resident set of a worker, bytes."""
        return max((work.memory for step in self.steps for work in step), default=0)

    @property
    def bytes_computed(self) -> int:
        """Uncompressed bytes of the blocks to be computed."""
        return sum(self._bytes(task.block) for task in self.compute)

    @property
    def bytes_taken(self) -> int:
        """Compressed bytes that are copied or linked."""
        return sum(take.receipt.bytes for take in self.take)

    @property
    def bytes_twice(self) -> int:
        """Compressed bytes of the live version that stay beside the new one until gc: what is not linked."""
        if self.live is None or self.current:
            return 0
        linked = {name for take in self.take for name in take.receipt.objects} if self.links else set()
        return sum(e["bytes"] for n, e in self.live.manifest.get("objects", {}).items() if n not in linked)

    @property
    def works(self) -> int:
        return sum(len(step) for step in self.steps)

    def _bytes(self, block: Block) -> int:
        group = self.layouts[block.layout].group(block.group)
        return sum(self.template.arrays[name].bytes(group.slices(block)) for name in group.variables)

    def view(self, ref: VersionRef | None, manifest: Mapping[str, Any] | None = None) -> ProductView:
        """The product as input of others.

        ref, manifest  of its version that is to be read, None while there is none
        """
        keys = {block: key.key for block, key in self.blocks.items() if block.startswith("time/")}
        layout, provenance = self.layouts["time"], self.job.provenance()
        proofs = proofs_of(manifest) if manifest else {}
        return ProductView(
            self.name, self.path.collection, self.template, layout, keys, provenance, self.fingerprint, ref, proofs
        )


@dataclass(frozen=True)
class Held:
    """A product that is pinned: it stays at what is published, and others are made from that.

    published  another one than the pin where a rollback was killed
    """

    pin: str
    published: str
    view: ProductView = field(repr=False)


@dataclass(frozen=True)
class Plan:
    """All products in order.

    failed   those that cannot be planned
    waiting  those that wait for another one
    held     those that are pinned
    """

    products: Mapping[str, ProductPlan]
    failed: Mapping[str, CubeError]
    waiting: Mapping[str, str]
    held: Mapping[str, Held]

    @property
    def stale(self) -> list[ProductPlan]:
        return [plan for plan in self.products.values() if not plan.current]


Progress = Callable[[str, int, int], None]


def make_plan(
    spec: Spec,
    store: Store,
    names: list[str],
    progress: Progress | None = None,
    executor: Executor | None = None,
    *,
    mending: bool = False,
) -> Plan:
    """Plan products in their order; names must hold the inputs of each.

    mending  plan also where item, manifest or state of a product are damaged
    """
    products: dict[str, ProductPlan] = {}
    held: dict[str, Held] = {}
    failed: dict[str, CubeError] = {}
    waiting: dict[str, str] = {}
    for name in names:
        blocked = next((each for each in spec.inputs(name) if each in failed or each in waiting), None)
        if blocked:
            waiting[name] = blocked
            continue
        try:
            if pinned := _held(spec, store, name, mending):
                held[name] = pinned
                continue
            views = {
                each: held[each].view if each in held else _planned_view(products[each], store)
                for each in spec.inputs(name)
            }
            products[name] = plan_product(
                spec, store, name, views, progress=progress, executor=executor, mending=mending
            )
        except CubeError as error:
            failed[name] = error
    return Plan(products, failed, waiting, held)


def _held(spec: Spec, store: Store, name: str, mending: bool) -> Held | None:
    path = ProductPath(spec.products[name].collection, name)
    state = read_state(store, path, mending=mending)
    found = pinned_view(store, path) if state.pin else None
    return Held(state.pin, *found) if state.pin and found else None


def _planned_view(plan: ProductPlan, store: Store) -> ProductView:
    live = plan.live
    if live is None or not plan.current:
        return plan.view(None)
    return plan.view(VersionRef(store, plan.path.version(live.version)), live.manifest)


def plan_product(
    spec: Spec,
    store: Store,
    name: str,
    inputs: Mapping[str, ProductView],
    frozen: Mapping[str, Any] | None = None,
    damaged: frozenset[str] = frozenset(),
    progress: Progress | None = None,
    executor: Executor | None = None,
    *,
    mending: bool = False,
) -> ProductPlan:
    """Plan one product.

    frozen   of a staged version that is to be finished with just what it was begun with
    damaged  objects of the live version that must not be taken over, by name relative to it
    mending  plan also where item, manifest or state are damaged

    Raises InputError for inputs that cannot be used, SpecError for options that do not fit them, RefusedError where no
    work fits the budget.
    """
    product = spec.products[name]
    path = ProductPath(product.collection, name)
    context = JobContext(spec.folder, inputs, frozen, progress, executor)
    try:
        job = JOBS[product.job].create(product.options, context)
    except SpecError as error:
        raise SpecError(spec.placed(name, each) for each in error.problems) from None
    template = job.template().carrying(product.layout)
    layouts = {"time": template.layout(product.layout)}
    if product.layout.maps and template.time:
        parts = {each: template.part(each) for each in template.arrays}
        layouts["map"] = map_layout(layouts["time"], parts, time="time")
    keys = {block: key for layout in layouts.values() for block, key in block_keys(job, template, layout).items()}
    core = described(spec, product, job, template, layouts)
    blocks = {block: [key.base, key.inputs] for block, key in keys.items()}
    # An input that grew where no block reads makes no new version of what is made from it.
    described_inputs = {**core["inputs"], "products": sorted(inputs)}
    fingerprint = digest([{**core, "inputs": described_inputs}, template_digest(template), blocks])
    core = {**core, "fingerprint": fingerprint, "packages": releases()}
    live, state = read_live(store, path, mending=mending), read_state(store, path, mending=mending)
    same = live is not None and live.manifest.get("fingerprint") == fingerprint
    current = same and live is not None and not live.damage and not damaged
    compute: list[BlockTask] = []
    take: list[Take] = []
    reasons: Counter[str] = Counter()
    if not current:
        for block, key in keys.items():
            entry = live.manifest.get("blocks", {}).get(block) if live else None
            if entry and damaged.intersection(entry["objects"]):
                reasons["damaged"] += 1
                compute.append(BlockTask(Block.parse(block), key.key))
                continue
            if live and entry and entry["key"] == key.key:
                take.append(Take(block, key.key, path.version(live.version), live.receipts[block]))
                continue
            prior, reason = _compare(store, path, job, layouts, Block.parse(block), key, live)
            if prior and damaged.intersection(prior.objects):
                prior = None
            reasons[reason] += 1
            compute.append(BlockTask(Block.parse(block), key.key, prior))
    steps = _steps(job, template, layouts, compute, spec.memory, VersionRef(store, path.version("planned")))
    refused = tuple(retractions(live, core)) if live and not current else ()
    return ProductPlan(
        name,
        path,
        product,
        job,
        template,
        layouts,
        keys,
        core,
        fingerprint,
        live,
        state,
        tuple(compute),
        tuple(take),
        dict(reasons),
        (*refused, *_unpermitted(spec, product, job)),
        steps,
        current,
        store.url.startswith("file:"),
    )


def _compare(
    store: Store,
    path: ProductPath,
    job: Job,
    layouts: Mapping[str, Layout],
    block: Block,
    key: BlockKey,
    live: Live | None,
) -> tuple[Prior | None, str]:
    """Why a block must be computed, and what of the live version it can start from."""
    if live is None:
        return None, "not built yet"
    if not live.manifest:
        return None, "the manifest is lost"
    entry = live.manifest["blocks"].get(block.id)
    if entry is None:
        return None, "new part of the product"
    if entry["base"] != key.base:
        return None, "job, options, layout or cells changed"
    group = layouts[block.layout].group(block.group)
    done = known_inputs(job.identities(group, group.slices(block)), entry["inputs"])
    if done is None:
        return None, "inputs changed"
    if not job.extends or block.layout != "time":
        return None, "inputs grew"
    former = Layout.from_json(live.manifest["layout"]["time"]).group(block.group)
    if former.slices(block).get("time") == group.slices(block).get("time"):
        return None, "inputs changed"  # a hole was filled: what is new is not behind what is known
    receipt = live.receipts[block.id]
    objects = {name: stored.sha256 for name, stored in receipt.objects.items()}
    for name in (f"time.zarr/{variable}/zarr.json" for variable in group.variables):
        objects[name] = live.manifest["objects"][name]["sha256"]
    ref = VersionRef(store, path.version(live.version))
    return Prior(ref, former, block, done, objects), "inputs grew"


def _steps(
    job: Job,
    template: Template,
    layouts: Mapping[str, Layout],
    compute: list[BlockTask],
    budget: int,
    ref: VersionRef,
) -> tuple[tuple[Work, ...], ...]:
    steps = job.works(layouts["time"], [task for task in compute if task.block.layout == "time"], budget, ref)
    if "map" in layouts:
        tasks = [task for task in compute if task.block.layout == "map"]
        steps += map_works(template, layouts["time"], layouts["map"], ref, tasks, budget)
    over = [work for step in steps for work in step if work.memory > budget]
    if over:
        worst = max(over, key=lambda work: work.memory)
        raise RefusedError(
            Problem(
                "over-budget",
                f"a worker would need {worst.memory / 2**20:.0f} MiB, `memory` allows {budget / 2**20:.0f} MiB",
                worst.id,
                "a worker would be killed for its memory in the middle of the build",
                "raise `memory`, or cut the product by `area`, `period` or `layout.segment`",
            )
        )
    return tuple(tuple(step) for step in steps if step)


def steps_for(plan: ProductPlan, tasks: list[BlockTask], budget: int, ref: VersionRef) -> tuple[tuple[Work, ...], ...]:
    """The works for just these blocks of a plan, those of the map layout reading the version `ref`."""
    return _steps(plan.job, plan.template, plan.layouts, tasks, budget, ref)


def _unpermitted(spec: Spec, product: ProductSpec, job: Job) -> list[Problem]:
    """Data that may not or perhaps may not be passed on are not published to a store that others can read."""
    word = job.provenance().redistribution
    if (
        word == "yes"
        or product.permission
        or not (spec.storage and (spec.storage.policy != "none" or spec.storage.public_url))
    ):
        return []
    sources = [name for name, each in job.provenance().ancestors if each.redistribution != "yes"]
    what = "may not be redistributed" if word == "no" else "carry no word on redistribution"
    origin = f" (from {', '.join(sources)})" if sources else ""
    return [
        Problem(
            "not-permitted",
            f"the data {what}{origin}, and the store is public",
            spec.line(product.name),
            "publishing them could break their licence",
            "record who permitted it in `permission:`, or use a store that is not public",
        )
    ]
