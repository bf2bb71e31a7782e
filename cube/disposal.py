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
from cube.lock import Lease
from cube.stage import PARALLEL_REQUESTS
from cube.stores import Store
from cube.versions import TOMBSTONE, ProductPath, State, damaged, now, read_state, write_state

ABANDONED_DAYS = 1.0
"""How long a version that was not published is kept: a build without lock may still be at work on it."""
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
    """Versions that can go: not live, pinned, staged or among the last `keep`, and out of service for `days`.

    What was not published goes after ABANDONED_DAYS. What has a tombstone goes whatever its age, and is none of the
    last `keep`.

    Raises IntegrityError for a state with times that are none.
    """
    # A listing that lags may show the tombstone of a namesake.
    tombstones = {version: f"{path.version(version)}/{TOMBSTONE}" for version in listed}
    buried = {each for each, key in tombstones.items() if key in listed[each] and store.head(key) is not None}
    in_use = {live.version if live else None, state.pin, state.staged.version if state.staged else None}
    in_use.update([version for version in state.kept if version not in buried][:keep])
    found = []
    for version in (*state.kept, *state.abandoned):
        age = age_days(path, state, version)
        published = version in state.kept
        if version in in_use or (version not in buried and age <= (days if published else ABANDONED_DAYS)):
            continue
        objects, size = _size(store, path, version)
        # What has a manifest may have been published before the state was lost, and readers may have it open.
        if version not in buried and size is not None and age <= days:
            continue
        why = "half deleted" if version in buried else "replaced" if published else "abandoned"
        found.append(Doomed(version, why, objects or len(listed.get(version, ())), size))
    return found


def age_days(path: ProductPath, state: State, version: str) -> float:
    """How long a version has been out of service; 0 where the state does not tell.

    Raises IntegrityError where what it tells is no time.
    """
    since = state.left.get(version)
    if since is None:
        return 0.0
    try:
        passed = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(since)
    except (ValueError, TypeError):
        raise IntegrityError(damaged(path.state, f"{since!r} is no time")) from None
    return passed / datetime.timedelta(days=1)


def _size(store: Store, path: ProductPath, version: str) -> tuple[int, int | None]:
    try:
        objects = read_manifest(store, path, version)["objects"]
    except IntegrityError:
        return 0, None
    return len(objects), sum(entry["bytes"] for entry in objects.values())


def dispose(store: Store, path: ProductPath, version: str, listed: Iterable[str], lease: Lease) -> None:
    """Delete a version and strike it off the state.

    listed  keys that a listing showed; those that the manifest names are deleted whether listed or not

    Raises BusyError when the lock was lost; what is begun is finished by the next run.
    """
    tombstone, manifest = f"{path.version(version)}/{TOMBSTONE}", path.manifest(version)
    lease.check()
    store.put(tombstone, readable({"version": version, "since": now()}), immutable=False)
    state = read_state(store, path)
    if version in state.kept:
        kept = tuple(each for each in state.kept if each != version)
        write_state(store, path, replace(state, kept=kept, abandoned=(*state.abandoned, version)))
    delete_all(store, {*listed, *_named(store, path, version)} - {tombstone, manifest})
    store.delete(manifest)
    store.delete(tombstone)
    # Deleting takes long. Who has lost the lock meanwhile must not take back what others wrote since.
    lease.check()
    state = read_state(store, path)
    write_state(store, path, replace(state, abandoned=tuple(each for each in state.abandoned if each != version)))


def delete_all(store: Store, keys: Iterable[str]) -> None:
    """Delete objects, one request each: a server whose quota is used up refuses to delete several at once."""
    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        list(pool.map(store.delete, sorted(keys)))


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
