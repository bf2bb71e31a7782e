"""What `cube doctor` looks at: the store, the archive, the lock, room for the plan, and where works would run."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from batch.doctor.schedule import schedule_trials
from batch.plan import Plan, ProductPlan, make_plan
from batch.spec import Spec
from compute.clusters.checks import Look, cluster_trials
from compute.clusters.options import LocalCluster
from compute.clusters.settings import cores, default_workers, machine_memory
from cube.checks import Check, Trial
from cube.errors import CubeError, InputError, RefusedError
from cube.lock import place_of_lock
from cube.rechunk import Spill
from cube.stores import Store, open_store
from cube.stores.checks import StoreTrials, leftovers
from cube.stores.directory import DirectoryStore
from cube.stores.folder_checks import inodes, locks, room, writable
from ingest.checks import check_archive
from ingest.discovery import fixed_folder
from ingest.options import IngestOptions

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Needs:
    """Bytes that a plan would write. At most: what is computed is counted before compression.

    new      on the store;  twice  of what is published now, which stays beside it until `cube gc`
    scratch  of intermediate data, at most one product's at a time
    """

    new: int
    twice: int
    scratch: int


def needs(plan: Plan) -> Needs:
    """What the products of a plan that can be made would take."""
    stale = plan.stale
    new = sum(each.bytes_computed + (0 if each.links else each.bytes_taken) for each in stale)
    return Needs(new, sum(each.bytes_twice for each in stale), max(map(_scratch, stale), default=0))


def _scratch(plan: ProductPlan) -> int:
    spills = [work for step in plan.steps for work in step if isinstance(work, Spill)]
    return sum(
        work.source.part.itemsize * math.prod(part.stop - part.start for part in work.window.values())
        for work in spills
    )


def trials(
    spec: Spec, names: list[str], store: Store, tried: StoreTrials, progress: Progress | None
) -> Iterator[Trial]:
    """All checks of a cube in their order.

    names     products whose archive is looked at, and that are planned
    tried     of the store, entered and cleared by the caller
    progress  told of files that are looked at for the plan; None makes no plan
    """
    yield from tried.trials()
    if store.url.startswith("s3://"):
        from cube.stores.s3 import S3Store  # its clients take long to import
        from cube.stores.s3_checks import s3_trials

        assert isinstance(store, S3Store)
        yield from s3_trials(tried, store)
    else:
        yield Trial("store: unfinished files", tried.after_write(lambda name: leftovers(store, name)))
        yield Trial("store: room for files", tried.after_write(partial(inodes, folder=_root(store))))
    if spec.storage and (spec.storage.policy != "none" or spec.storage.public_url):
        from cube.stores.public_checks import public_trials

        yield from public_trials(tried)
    if spec.lock:
        yield Trial("lock", partial(_lock, spec=spec, store=store))
    for name in names:
        options = spec.products[name].options
        if isinstance(options, IngestOptions):
            check = partial(check_archive, options=options, folder=spec.folder)
            yield Trial(f"archive: {name}", check, InputError.exit_code)
    if spec.cluster.scratch:
        yield Trial("scratch", partial(writable, folder=Path(spec.resolve(spec.cluster.scratch))))
    yield from _cluster(spec, names, store, tried)
    space = partial(_space, spec=spec, store=store, names=names, progress=progress)
    # Each product's records would be waited for, if the server is away.
    yield Trial("space for the plan", tried.after_write(space) if store.url.startswith("s3://") else space)
    yield from schedule_trials(spec)


def _root(store: Store) -> Path:
    assert isinstance(store, DirectoryStore)
    return store.root


def _lock(name: str, spec: Spec, store: Store) -> Check:
    assert spec.lock is not None
    folder = spec.resolve(spec.lock)
    place_of_lock(store, folder)
    return locks(name, Path(folder))


def _cluster(spec: Spec, names: list[str], store: Store, tried: StoreTrials) -> Iterator[Trial]:
    """Where works would run."""
    options = spec.cluster
    if isinstance(options, LocalCluster):
        yield Trial("cluster: memory", partial(_memory, options=options, memory=spec.memory))
        return
    looks: dict[str, Look] = {}
    if tried.wrote:
        key, token = tried.key("worker"), secrets.token_bytes(16)
        store.put(key, token, immutable=False)
        looks["store"] = partial(_sees_store, store, key, token)
    if folders := _archives(spec, names):
        looks["archive"] = partial(_sees_folders, folders)
    if options.scratch:
        looks["scratch"] = partial(_sees_folders, (spec.resolve(options.scratch),))
    yield from cluster_trials(options, spec.memory, spec.folder, looks)


def _archives(spec: Spec, names: list[str]) -> tuple[str, ...]:
    """Folders of the archive on a disk."""
    found: dict[str, None] = {}
    for name in names:
        options = spec.products[name].options
        if isinstance(options, IngestOptions):
            patterns = [options.files] if isinstance(options.files, str) else options.files
            found.update(dict.fromkeys(str(fixed_folder(each, spec.folder)) for each in patterns if "://" not in each))
    return tuple(found)


def _sees_store(store: Store, key: str, token: bytes) -> str:
    """Called on a worker: whether it reaches the same store."""
    try:
        found = store.get(key)
    except CubeError as error:
        return str(error.problems[0])
    return "" if found == token else "what the command wrote to the store is something else there"


def _sees_folders(folders: tuple[str, ...]) -> str:
    """Called on a worker: folders that it does not have."""
    return ", ".join(f"there is no {each}" for each in folders if not Path(each).is_dir())


def _memory(name: str, options: LocalCluster, memory: int) -> Check:
    workers = default_workers(memory) if options.workers is None else options.workers
    needed, there = max(1, workers) * memory, machine_memory()
    what = f"{max(1, workers)} x {memory / 2**30:.1f} GiB of {there / 2**30:.1f} GiB, {cores()} cores"
    if needed > there:
        fix = "give fewer `cluster.workers` or less `memory`, or a larger machine"
        return Check(name, "warning", f"workers may use more than there is: {what}", fix)
    if workers > cores():
        return Check(name, "warning", f"more workers than cores: {what}", "give fewer `cluster.workers`")
    return Check(name, "ok", what)


def _space(name: str, spec: Spec, store: Store, names: list[str], progress: Progress | None) -> Check:
    if progress is None:
        return Check(name, "not tried", "--no-plan was given")
    plan = make_plan(spec, store, names, progress)
    unknown = _unplanned(plan)
    needed = needs(plan)
    what = f"at most {_gib(needed.new)} for new versions, {_gib(needed.scratch)} for intermediate data"
    if needed.twice:
        what += f"; {_gib(needed.twice)} stay beside them until gc"
    places = {"the store": (store, needed.new)}
    if spec.cluster.scratch:
        places["scratch"] = (open_store(spec.resolve(spec.cluster.scratch)), needed.scratch)
    else:
        places["the store"] = (store, needed.new + needed.scratch)
    untold = []
    for place, (where, size) in places.items():
        if not isinstance(where, DirectoryStore):
            untold.append(place)
            continue
        free = room(where.root).bytes
        what += f"; {place} has {_gib(free)} free"
        if size > free:
            fix = "make room (`cube gc`), or cut products by `area` or `period`"
            return Check(name, "problem", what + unknown, fix, RefusedError.exit_code)
    if untold:
        what += "; free space and quota are not told by this server"
    if unknown:
        return Check(name, "warning", what + unknown, "see `cube plan`")
    return Check(name, "ok", what)


def _unplanned(plan: Plan) -> str:
    if not plan.failed:
        return ""
    name, error = next(iter(plan.failed.items()))
    count = len(plan.failed) + len(plan.waiting)
    return f"; not counting {count} products that cannot be planned, the first for {name} [{error.problems[0].code}]"


def _gib(value: int) -> str:
    return f"{value / 2**30:.1f} GiB" if value >= 2**30 else f"{value / 2**20:.1f} MiB"
