"""Returning readers to a version that is kept, and holding the product there until it is released."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace
from typing import Any

from batch.catalogue import catalogue_changes, first_published, object_bytes, public_base, reading_options
from batch.spec import Spec
from cube.errors import BusyError, IntegrityError, Problem, SpecError
from cube.live import Live, read_live, read_manifest
from cube.lock import Lease
from cube.sealing import check_sizes
from cube.stage import Stored
from cube.stores import Store
from cube.versions import TOMBSTONE, ProductPath, State, after_flip, publish, read_state, write_state
from stac.items import compose_item


@dataclass(frozen=True)
class Pinned:
    """version: what is published and pinned now; others: what else is kept, and since when it is replaced."""

    version: str
    others: str


def roll_back(spec: Spec, store: Store, name: str, version: str | None, lease: Lease) -> Pinned:
    """Publish a kept version again and pin the product to it.

    version  None for the one before the published one; for the pinned one where there is a pin, so that a rollback
             that was killed is finished

    Raises SpecError for a version that is not kept, IntegrityError for one that is not whole or a state that cannot be
    read, BusyError when the item changed meanwhile.
    """
    path = ProductPath(spec.products[name].collection, name)
    live = read_live(store, path, mending=True)
    state = after_flip(read_state(store, path), live.version if live and live.item else None)
    earlier = (each for each in state.kept if live is None or each != live.version)
    target = version or state.pin or next(earlier, None)
    if target is None or target not in state.kept or store.head(f"{path.version(target)}/{TOMBSTONE}") is not None:
        what = f"version {target} is not kept" if target else "there is no earlier version"
        kept = _kept(state, live.version if live and not live.damage else None)
        fix = f"kept are: {kept or 'none but the published one'}"
        raise SpecError(Problem("version-unknown", what, name, fix=fix))
    manifest = _whole(store, path, target, live)
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    item = compose_item(
        manifest,
        version=target,
        published=now,
        created=first_published(live, now),
        base_href=public_base(store),
        storage_options=reading_options(store, spec.storage),
        manifest_bytes=store.get(path.manifest(target)),
    )
    lease.check()
    # The pin first: a build must not undo what was begun here.
    state = replace(state, pin=target)
    write_state(store, path, state)
    if live is None or live.version != target or live.damage:
        lease.check()
        try:
            publish(store, path, live.item if live else None, object_bytes(item), state)
        except BusyError as error:
            again = "run the same command again; until then builds leave the product as it is"
            raise BusyError([replace(problem, fix=again) for problem in error.problems]) from None
    for key, data in catalogue_changes(spec, store).items():
        lease.check()
        store.put(key, data, immutable=False)
    return Pinned(target, _kept(state, target))


def release(spec: Spec, store: Store, name: str, lease: Lease) -> str | None:
    """End a pin; the next build brings the product up to date. The version it was pinned to, None without a pin.

    Raises IntegrityError for a state that cannot be read.
    """
    path = ProductPath(spec.products[name].collection, name)
    state = read_state(store, path)
    if state.pin is not None:
        live = read_live(store, path, mending=True)
        # Without the pin nothing would tell that a rollback was killed after it had replaced the item.
        settled = after_flip(state, live.version if live and live.item else None)
        lease.check()
        write_state(store, path, replace(settled, pin=None))
    return state.pin


def _whole(store: Store, path: ProductPath, version: str, live: Live | None) -> dict[str, Any]:
    """The manifest of a version that has all of its objects; their contents are not read.

    Raises IntegrityError naming what is wrong.
    """
    try:
        # Of the published version it is known which manifest it was published with.
        if live and version == live.version and not live.manifest:
            raise IntegrityError(live.damage)
        manifest = read_manifest(store, path, version)
        stored = {each: Stored(**entry) for each, entry in manifest["objects"].items()}
        if problems := check_sizes(store, path.version(version), stored):
            raise IntegrityError(problems)
    except IntegrityError as error:
        fix = "return to another version with --to, or bring the product up to date with `cube build --repair`"
        raise IntegrityError([replace(problem, fix=fix) for problem in error.problems]) from None
    return manifest


def _kept(state: State, but: str | None) -> str:
    """The kept versions that can be returned to, for people; `but` is the published one."""
    others = [each for each in state.kept if each != but]
    return ", ".join(f"{each} (replaced {state.left[each]})" if each in state.left else each for each in others)
