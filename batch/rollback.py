"""Returning readers to a version that is kept, and holding the product there until it is released."""

from __future__ import annotations

import datetime
from dataclasses import replace

from batch.catalogue import catalogue_changes, first_published, object_bytes, public_base, reading_options
from batch.spec import Spec
from cube.errors import IntegrityError, Problem, SpecError
from cube.live import read_live, read_manifest
from cube.lock import Lease
from cube.sealing import check_sizes
from cube.stage import Stored
from cube.stores import Store
from cube.versions import TOMBSTONE, ProductPath, State, publish, read_state, settle, write_state
from stac.items import compose_item


def roll_back(spec: Spec, store: Store, name: str, version: str | None, lease: Lease) -> str:
    """Publish a kept version again and pin the product to it; the version.

    version  None for the one before the published one

    Raises SpecError for a version that is not kept, IntegrityError for one that is not whole.
    """
    path = ProductPath(spec.products[name].collection, name)
    live = read_live(store, path, mending=True)
    state = read_state(store, path, mending=True)
    state = settle(store, path, state, live.version if live and live.item and live.version else None)
    target = version or next((each for each in state.kept if live is None or each != live.version), None)
    if target is None or target not in state.kept:
        raise _not_kept(name, target, state)
    if store.head(f"{path.version(target)}/{TOMBSTONE}") is not None:
        raise _not_kept(name, target, state)
    manifest = read_manifest(store, path, target)
    stored = {each: Stored(**entry) for each, entry in manifest["objects"].items()}
    if problems := check_sizes(store, path.version(target), stored):
        raise IntegrityError(problems)
    # The pin first: a build must not undo what was begun here.
    state = replace(state, pin=target)
    write_state(store, path, state)
    if live is None or live.version != target or live.damage:
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        item = compose_item(
            manifest,
            version=target,
            published=now,
            created=first_published(live, now),
            base_href=public_base(store),
            storage_options=reading_options(store, spec.storage),
        )
        lease.check()
        publish(store, path, live.item if live else None, object_bytes(item), state)
    for key, data in catalogue_changes(spec, store).items():
        store.put(key, data, immutable=False)
    return target


def release(spec: Spec, store: Store, name: str) -> str | None:
    """End a pin; the next build brings the product up to date. The version it was pinned to, None without a pin."""
    path = ProductPath(spec.products[name].collection, name)
    state = read_state(store, path)
    if state.pin is not None:
        write_state(store, path, replace(state, pin=None))
    return state.pin


def _not_kept(name: str, version: str | None, state: State) -> SpecError:
    kept = ", ".join(f"{each} (replaced {when})" for each in state.kept if (when := state.left.get(each)))
    what = f"version {version} is not kept" if version else "there is no earlier version"
    return SpecError(Problem("version-unknown", what, name, fix=f"kept are: {kept or 'none but the published one'}"))
