"""`cube gc`: what nobody needs any more is deleted, and what a killed command left."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass

from batch.making import scratchpad
from batch.runs import records
from batch.spec import Spec
from cube.disposal import ABANDONED_DAYS, age_days, delete_all, dispose, doomed, noted, versions_on
from cube.errors import BusyError, CubeError, IntegrityError
from cube.live import Live, read_live
from cube.lock import Lease
from cube.scratch import Scratchpad
from cube.stores import Store
from cube.versions import ProductPath, State, after_flip, read_state, write_state

KEEP = 2
"""Published versions that stay whatever their age, the live one among them."""
DAYS = 30.0
"""How long a version stays after it was replaced, for readers that have it open."""


@dataclass(frozen=True)
class Collected:
    """Something that was deleted, or would be. why: "replaced", "abandoned", "half deleted", "intermediate",
    "old record" or "unfinished"; version: empty where it is of none; bytes: None where they are not known."""

    product: str
    version: str
    why: str
    objects: int
    bytes: int | None


@dataclass(frozen=True)
class _Remaining:
    """What is known of a product's versions once those that can go are gone.

    gone    the versions that went, or would go
    listed  all versions that the store held before
    """

    state: State
    gone: frozenset[str]
    listed: Mapping[str, list[str]]


def collect(
    spec: Spec,
    store: Store,
    lease: Lease | None,
    *,
    keep: int = KEEP,
    days: float = DAYS,
    failed: Callable[[str, CubeError], None],
) -> Iterator[Collected]:
    """Delete what can go, product by product, and tell of it.

    lease   the writers' lock; None only looks
    failed  told of products that are left alone because their records are damaged

    Raises BusyError when the lock was lost, StoreError when the store is full.
    """
    for name, product in spec.products.items():
        path = ProductPath(product.collection, name)
        try:
            remaining = yield from _versions(store, path, lease, keep, days)
            yield from _intermediate(spec, store, path, lease, remaining)
        except CubeError as error:
            if isinstance(error, BusyError) or is_full(error):
                raise
            failed(name, error)
    yield from _records(store, lease, days)
    yield from _unfinished(store, "", lease)
    scratch = scratchpad(spec, store, "")
    if scratch.store is not store:
        yield from _unfinished(scratch.store, scratch.prefix, lease)


def is_full(error: CubeError) -> bool:
    """Whether a store refused to take anything more."""
    return error.problems[0].code == "store-full"


def make_room(spec: Spec, store: Store, *, keep: int = KEEP, days: float = DAYS) -> bool:
    """Delete objects of versions that can go from a store that is too full for a lock or a tombstone; whether any.

    Nothing is written. The versions keep their manifests, so that a run with the lock finds them; without its objects
    nobody takes from a version or returns to it.
    """
    found = False
    for name, product in spec.products.items():
        path = ProductPath(product.collection, name)
        with contextlib.suppress(IntegrityError):
            _, state, live, listed = _known(store, path)
            for each in doomed(store, path, state, live, keep, days, listed):
                objects = [key for key in listed.get(each.version, ()) if key != path.manifest(each.version)]
                delete_all(store, objects)
                found = found or bool(objects)
    return found


def _known(store: Store, path: ProductPath) -> tuple[State, State, Live | None, dict[str, list[str]]]:
    """The state as it is and as it should be, what is published, and what is listed.

    Raises IntegrityError for records that are lost or damaged.
    """
    listed = versions_on(store, path)
    live, before = read_live(store, path, mending=True), read_state(store, path)
    if live and live.damage:
        raise IntegrityError(live.damage)
    return before, noted(after_flip(before, live.version if live else None), listed), live, listed


def _versions(
    store: Store, path: ProductPath, lease: Lease | None, keep: int, days: float
) -> Generator[Collected, None, _Remaining]:
    before, state, live, listed = _known(store, path)
    if lease and state != before:
        lease.check()
        write_state(store, path, state)
    gone = doomed(store, path, state, live, keep, days, listed)
    for each in gone:
        if lease:
            dispose(store, path, each.version, listed.get(each.version, []), lease)
        yield Collected(path.product, each.version, each.why, each.objects, each.bytes)
    return _Remaining(state, frozenset(each.version for each in gone), listed)


def _intermediate(
    spec: Spec, store: Store, path: ProductPath, lease: Lease | None, remaining: _Remaining
) -> Iterator[Collected]:
    """Intermediate arrays of versions that are no longer being made."""
    state = remaining.state
    # Those of a version that is gone went with it; those that lie elsewhere did not.
    left = remaining.listed.keys() - remaining.gone
    found = [(each, Scratchpad(store, f"{path.version(each)}/tmp")) for each in left]
    elsewhere = scratchpad(spec, store, path.prefix)
    if elsewhere.store is not store:
        names = (key.removeprefix(f"{elsewhere.prefix}/") for key in elsewhere.store.walk(elsewhere.prefix))
        versions = {name.partition("/")[0] for name in names}
        found += [(each, scratchpad(spec, store, path.version(each))) for each in versions]
    for version, pad in sorted(found, key=lambda each: each[0]):
        in_use = state.staged is not None and version == state.staged.version
        abandoned = version in state.abandoned and version not in remaining.gone
        if in_use or (abandoned and age_days(path, state, version) <= ABANDONED_DAYS):
            continue
        if keys := list(pad.store.walk(pad.prefix)):
            if lease:
                lease.check()
                delete_all(pad.store, keys)
            yield Collected(path.product, version, "intermediate", len(keys), None)


def _records(store: Store, lease: Lease | None, days: float) -> Iterator[Collected]:
    """Records of runs that began long ago, and the reports that belong to them."""
    # A run of the last day may still be at work.
    least = max(days, ABANDONED_DAYS)
    if keys := [key for key in store.walk(records.FOLDER) if (records.age_days(key) or 0.0) > least]:
        if lease:
            lease.check()
            delete_all(store, keys)
        yield Collected(records.FOLDER, "", "old record", len(keys), None)


def _unfinished(store: Store, folder: str, lease: Lease | None) -> Iterator[Collected]:
    """Files and uploads that no writer has added to for long."""
    for leftover in store.leftovers(folder):
        if leftover.age_seconds > ABANDONED_DAYS * 86400:
            if lease:
                store.sweep(leftover)
            yield Collected(leftover.key, "", "unfinished", 1, leftover.bytes)
