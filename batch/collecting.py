"""`cube gc`: what nobody needs any more is deleted, and what a killed command left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from batch.making import scratchpad
from batch.spec import Spec
from cube.disposal import ABANDONED_DAYS, dispose, doomed, noted, versions_on
from cube.errors import CubeError
from cube.live import read_live
from cube.lock import Lease
from cube.stores import Store
from cube.versions import ProductPath, read_state, settle, write_state

KEEP = 2
"""Published versions that stay whatever their age, the live one among them."""
DAYS = 30.0
"""How long a version stays after it was replaced, for readers that have it open."""


@dataclass(frozen=True)
class Collected:
    """Something that was deleted, or would be. why: "replaced", "abandoned", "half deleted", "intermediate" or
    "unfinished"; version: empty where it is of none; bytes: None where they are not known."""

    product: str
    version: str
    why: str
    objects: int
    bytes: int | None


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
    """
    for name, product in spec.products.items():
        path = ProductPath(product.collection, name)
        try:
            yield from _versions(store, path, lease, max(1, keep), days)
            yield from _intermediate(spec, store, path, lease)
        except CubeError as error:
            failed(name, error)
    for leftover in store.leftovers(""):
        if leftover.age_seconds > ABANDONED_DAYS * 86400:
            if lease:
                store.sweep(leftover)
            yield Collected(leftover.key, "", "unfinished", 1, leftover.bytes)


def _versions(store: Store, path: ProductPath, lease: Lease | None, keep: int, days: float) -> Iterator[Collected]:
    listed = versions_on(store, path)
    live, before = read_live(store, path), read_state(store, path)
    state = noted(before, listed)
    if lease:
        lease.check()
        state = settle(store, path, state, live.version if live and live.item else None)
        if state != before:
            write_state(store, path, state)
    for each in doomed(store, path, state, live, keep, days, listed):
        if lease:
            lease.check()
            state = dispose(store, path, state, each.version, listed.get(each.version, []))
        yield Collected(path.product, each.version, each.why, each.objects, each.bytes)


def _intermediate(spec: Spec, store: Store, path: ProductPath, lease: Lease | None) -> Iterator[Collected]:
    """Intermediate arrays of versions that are no longer being made."""
    state = read_state(store, path)
    staged = state.staged.version if state.staged else None
    pads = {version: scratchpad(spec, store, path.version(version)) for version in versions_on(store, path)}
    elsewhere = scratchpad(spec, store, path.prefix)
    if elsewhere.store is not store:
        for key in elsewhere.store.walk(elsewhere.prefix):
            version = key.removeprefix(f"{elsewhere.prefix}/").partition("/")[0]
            pads.setdefault(version, scratchpad(spec, store, path.version(version)))
    for version, pad in sorted(pads.items()):
        keys = list(pad.store.walk(pad.prefix)) if version != staged else []
        for key in keys if lease else ():
            pad.store.delete(key)
        if keys:
            yield Collected(path.product, version, "intermediate", len(keys), None)
