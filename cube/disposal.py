"""Deleting versions that nobody needs: which ones, and how, so that a kill in between leaves nothing half alive.

A tombstone is written first and deleted last; the manifest, which names the objects, goes last but one. A version with
a tombstone is deleted by the next run, and nobody begins, takes from or returns to one.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from cube.errors import IntegrityError
from cube.hashing import readable
from cube.live import Live, read_manifest
from cube.stage import PARALLEL_REQUESTS
from cube.stores import Store
from cube.versions import TOMBSTONE, ProductPath, State, now, write_state

ABANDONED_DAYS = 1.0
"""How long a staged version that nothing will finish is kept: a build without lock may still be at work on it."""
VERSION = re.compile(r"[0-9a-f]{12}-\d+")


@dataclass(frozen=True)
class Doomed:
    """A version that can go. why: "replaced", "abandoned" or "half deleted"; bytes: None where no manifest tells."""

    version: str
    why: str
    objects: int
    bytes: int | None


def versions_on(store: Store, path: ProductPath) -> dict[str, list[str]]:
    """The keys of every version's objects, by version, as a listing shows them."""
    found: dict[str, list[str]] = {}
    for key in store.walk(path.prefix):
        name = key.removeprefix(f"{path.prefix}/").partition("/")[0]
        if VERSION.fullmatch(name):
            found.setdefault(name, []).append(key)
    return found


def noted(state: State, listed: Iterable[str]) -> State:
    """The state with every version that only the listing knows, and a time for each that left service.

    Versions are noted before they can go, so that their time runs from when they were first seen without an owner.
    """
    unknown = sorted(set(listed) - state.known())
    left = dict(state.left)
    for version in (*state.kept[1:], *state.abandoned, *unknown):
        left.setdefault(version, now())
    return replace(state, abandoned=(*state.abandoned, *unknown), left=left)


def doomed(
    store: Store,
    path: ProductPath,
    state: State,
    live: Live | None,
    keep: int,
    days: float,
    listed: Mapping[str, list[str]],
) -> list[Doomed]:
    """Versions that can go: not live, pinned, staged or among the last `keep`, and out of service for `days`."""
    staged = {state.staged.version} if state.staged else set()
    safe = {live.version if live else None, state.pin, *staged, *state.kept[:keep]}
    found = []
    for version in (*state.kept, *state.abandoned):
        if version in safe:
            continue
        buried = f"{path.version(version)}/{TOMBSTONE}" in listed.get(version, ())
        abandoned = version in state.abandoned
        if buried or _age_days(state.left.get(version)) > (min(days, ABANDONED_DAYS) if abandoned else days):
            why = "half deleted" if buried else "abandoned" if abandoned else "replaced"
            objects, size = _size(store, path, version)
            found.append(Doomed(version, why, objects or len(listed.get(version, ())), size))
    return found


def _age_days(since: str | None) -> float:
    if since is None:
        return 0.0
    passed = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(since)
    return passed / datetime.timedelta(days=1)


def _size(store: Store, path: ProductPath, version: str) -> tuple[int, int | None]:
    try:
        objects = read_manifest(store, path, version)["objects"]
    except IntegrityError:
        return 0, None
    return len(objects), sum(entry["bytes"] for entry in objects.values())


def dispose(store: Store, path: ProductPath, state: State, version: str, listed: list[str]) -> State:
    """Delete a version; the state without it.

    listed  keys that a listing showed; those that the manifest names are deleted whether listed or not
    """
    tombstone, manifest = f"{path.version(version)}/{TOMBSTONE}", path.manifest(version)
    store.put(tombstone, readable({"version": version, "since": now()}), immutable=False)
    if version in state.kept:
        kept = tuple(each for each in state.kept if each != version)
        state = replace(state, kept=kept, abandoned=(*state.abandoned, version))
        write_state(store, path, state)
    keys = {*listed, *_named(store, path, version)} - {tombstone, manifest}
    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        list(pool.map(store.delete, sorted(keys)))
    store.delete(manifest)
    store.delete(tombstone)
    left = {each: when for each, when in state.left.items() if each != version}
    state = replace(state, abandoned=tuple(each for each in state.abandoned if each != version), left=left)
    write_state(store, path, state)
    return state


def _named(store: Store, path: ProductPath, version: str) -> Iterator[str]:
    """What the manifest names, and the marks of its blocks."""
    prefix = path.version(version)
    try:
        manifest = read_manifest(store, path, version)
    except IntegrityError:
        return
    yield from (f"{prefix}/{name}" for name in manifest["objects"])
    yield from (f"{prefix}/ledger/{block}.json" for block in manifest["blocks"])
    yield f"{prefix}/ledger/claim.json"
