"""The versions of a product: its state, the live one, beginning a staged one, sealing and publishing it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from cube.errors import BusyError, IntegrityError, MissingObjectError, Problem
from cube.hashing import readable, sha256
from cube.keys import BlockKey
from cube.stage import PARALLEL_REQUESTS, Receipt, Stored
from cube.stores import Store

SCHEMA = 1


@dataclass(frozen=True)
class ProductPath:
    """Where a product lies on the store."""

    collection: str
    product: str

    @property
    def prefix(self) -> str:
        return f"{self.collection}/{self.product}"

    @property
    def item(self) -> str:
        """Key of the STAC item, the one pointer to the live version."""
        return f"{self.prefix}/{self.product}.json"

    @property
    def state(self) -> str:
        return f"{self.prefix}/state.json"

    def version(self, version: str) -> str:
        return f"{self.prefix}/{version}"


@dataclass(frozen=True)
class Staged:
    """A version that was begun: what it is made from is frozen in `frozen`."""

    version: str
    fingerprint: str
    frozen: Mapping[str, Any]


@dataclass(frozen=True)
class State:
    """For builders only. kept: published versions, newest first; abandoned: staged ones that nothing will finish."""

    kept: tuple[str, ...] = ()
    staged: Staged | None = None
    abandoned: tuple[str, ...] = ()
    pin: str | None = None

    def known(self) -> set[str]:
        return {*self.kept, *self.abandoned, *([self.staged.version] if self.staged else [])}


@dataclass(frozen=True)
class Live:
    """The published version: the item's bytes as read, so that a change since can be noticed, and its manifest."""

    version: str
    item: bytes
    manifest: Mapping[str, Any]
    receipts: Mapping[str, Receipt] = field(repr=False)


def read_json(store: Store, key: str) -> dict[str, Any] | None:
    """A small object that builders rely on, None where it is not there.

    Raises IntegrityError where it is no JSON object.
    """
    raw = _get(store, key)
    if raw is None:
        return None
    try:
        value = json.loads(raw)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise _damaged(key)
    return value


def _damaged(key: str) -> IntegrityError:
    return IntegrityError(
        Problem(
            "record-damaged",
            "it is truncated, emptied or not what it should be",
            key,
            "nothing can be proven or published from it",
            "restore it from a copy; a state.json may be deleted, it is made again from the item",
        )
    )


def read_state(store: Store, path: ProductPath) -> State:
    """What builders know of a product. Raises IntegrityError where it cannot be read."""
    value = read_json(store, path.state)
    if value is None:
        return State()
    try:
        staged = Staged(**value["staged"]) if value["staged"] else None
        return State(tuple(value["kept"]), staged, tuple(value["abandoned"]), value["pin"])
    except (KeyError, TypeError):
        raise _damaged(path.state) from None


def write_state(store: Store, path: ProductPath, state: State) -> None:
    staged = vars(state.staged) if state.staged else None
    value = {"schema": SCHEMA, "kept": state.kept, "staged": staged, "abandoned": state.abandoned, "pin": state.pin}
    store.put(path.state, readable(value), immutable=False)


def _get(store: Store, key: str) -> bytes | None:
    try:
        return store.get(key)
    except MissingObjectError:
        return None


def version_of(item: bytes) -> str:
    """The version that an item points at."""
    return str(json.loads(item)["properties"]["version"])


def read_live(store: Store, path: ProductPath) -> Live | None:
    """The published version, None where nothing is published yet.

    Raises IntegrityError where the item points at a version without a manifest.
    """
    item = _get(store, path.item)
    if item is None:
        return None
    try:
        version = version_of(item)
    except (ValueError, KeyError, TypeError):
        raise _damaged(path.item) from None
    key = f"{path.version(version)}/manifest.json"
    manifest = read_json(store, key)
    if manifest is None:
        raise IntegrityError(
            Problem(
                "manifest-missing",
                f"the published version {version} has no manifest",
                path.item,
                "what it should hold cannot be proven",
                "restore the version from a copy, or delete the product's folder and build it anew",
            )
        )
    try:
        if manifest["product"] != path.product:
            raise _damaged(key)
        return Live(version, item, manifest, receipts_of(manifest))
    except (KeyError, TypeError, AttributeError):
        raise _damaged(key) from None


def receipts_of(manifest: Mapping[str, Any]) -> dict[str, Receipt]:
    """The proofs of all blocks from a manifest."""
    objects = manifest["objects"]
    found = {}
    for block, entry in manifest["blocks"].items():
        stored = {name: Stored(**objects[name]) for name in entry["objects"]}
        steps = tuple(entry["steps"]) if entry["steps"] else None
        found[block] = Receipt(block, entry["key"], stored, entry["missing"], entry["cells"], steps)
    return found


def begin(store: Store, path: ProductPath, state: State, fingerprint: str, frozen: Mapping[str, Any]) -> State:
    """The state with a staged version of this fingerprint: the one at hand where it fits, else a new attempt.

    A new attempt claims its prefix with one object, so that two writers can never share it.
    """
    if state.staged and state.staged.fingerprint == fingerprint:
        return state
    abandoned = (*state.abandoned, state.staged.version) if state.staged else state.abandoned
    attempt = 1
    while True:
        version = f"{fingerprint[:12]}-{attempt}"
        claim = readable({"fingerprint": fingerprint, "attempt": attempt, "token": secrets.token_hex(8)})
        key = f"{path.version(version)}/ledger/claim.json"
        if version not in state.known() and store.put_if_unchanged(key, claim, None):
            break
        attempt += 1
    new = replace(state, staged=Staged(version, fingerprint, frozen), abandoned=abandoned)
    write_state(store, path, new)
    return new


def write_objects(store: Store, prefix: str, objects: Mapping[str, bytes]) -> dict[str, Stored]:
    """Write small objects of a version, by name relative to it."""
    for name, data in sorted(objects.items()):
        store.put(f"{prefix}/{name}", data)
    return {name: Stored(len(data), sha256(data)) for name, data in objects.items()}


def seal(
    store: Store,
    prefix: str,
    written: Mapping[str, Stored],
    receipts: Mapping[str, Receipt],
    keys: Mapping[str, BlockKey],
    manifest: Mapping[str, Any],
) -> dict[str, Any]:
    """Prove a staged version whole and write its manifest, which is returned.

    written   structure, coordinates, references, by name relative to the version
    receipts  every block of every layout, by block id
    manifest  all but `objects`, `blocks` and `missing`

    Raises IntegrityError naming each object that is absent or of another size than its receipt says.
    """
    stored = dict(written)
    for receipt in receipts.values():
        stored.update(receipt.objects)
    problems = check_sizes(store, prefix, stored)
    if problems:
        raise IntegrityError(problems)
    missing: dict[str, dict[str, int]] = {}
    for receipt in receipts.values():
        if receipt.block.startswith("time/"):
            for name in receipt.missing:
                counts = missing.setdefault(name, {"missing": 0, "cells": 0})
                counts["missing"] += receipt.missing[name]
                counts["cells"] += receipt.cells[name]
    blocks = {
        block: {
            "key": receipt.key,
            "base": keys[block].base,
            "inputs": keys[block].inputs,
            "objects": sorted(receipt.objects),
            "missing": receipt.missing,
            "cells": receipt.cells,
            "steps": receipt.steps,
        }
        for block, receipt in receipts.items()
    }
    value = {
        **manifest,
        "schema": SCHEMA,
        "blocks": blocks,
        "objects": {name: vars(each) for name, each in stored.items()},
        "missing": missing,
    }
    raw = readable(value)
    store.put(f"{prefix}/manifest.json", raw)
    return dict(json.loads(raw))


def check_sizes(store: Store, prefix: str, stored: Mapping[str, Stored]) -> list[Problem]:
    """Problems of objects that are absent or of another size than recorded (one HEAD each)."""

    def check(name: str) -> Problem | None:
        found = store.head(f"{prefix}/{name}")
        if found is not None and found.bytes == stored[name].bytes:
            return None
        what = (
            "the object is missing" if found is None else f"{found.bytes} bytes where {stored[name].bytes} were written"
        )
        code = "object-missing" if found is None else "object-size"
        return Problem(
            code, what, f"{prefix}/{name}", "readers would see fill values or errors", "`cube build --repair`"
        )

    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        return [problem for problem in pool.map(check, sorted(stored)) if problem]


def publish(store: Store, path: ProductPath, live: Live | None, item: bytes, state: State) -> State:
    """Flip the item to the staged version, then bring the state up to date.

    Raises BusyError ("superseded") when the item changed since `live` was read.
    """
    if not store.put_if_unchanged(path.item, item, live.item if live else None):
        raise BusyError(
            Problem(
                "superseded",
                "another build published this product since this one was planned",
                path.item,
                "publishing now could take back what the other one published",
                "run `cube build` again: it starts from what is published now and keeps finished blocks",
            )
        )
    return _flipped(store, path, state, version_of(item))


def is_settled(state: State, live: Live | None) -> bool:
    """Whether the state knows of the live version."""
    return live is None or (live.version in state.kept and not _is_staged(state, live.version))


def settle(store: Store, path: ProductPath, state: State, live: Live | None) -> State:
    """The state after a kill between flip and state update: the item wins."""
    if is_settled(state, live):
        return state
    assert live is not None
    return _flipped(store, path, state, live.version)


def _flipped(store: Store, path: ProductPath, state: State, version: str) -> State:
    kept = (version, *(each for each in state.kept if each != version))
    new = replace(state, kept=kept, staged=None if _is_staged(state, version) else state.staged)
    write_state(store, path, new)
    return new


def _is_staged(state: State, version: str) -> bool:
    return state.staged is not None and state.staged.version == version


def retractions(live: Live, manifest: Mapping[str, Any]) -> list[Problem]:
    """What readers would lose if a version replaced the live one: period, variables, cells or valid values.

    manifest  of the new version, or of a planned one: then without `blocks`
    """
    old, lost = live.manifest, []
    for name in sorted(set(old["variables"]) - set(manifest["variables"])):
        lost.append(f"the variable {name} would be gone")
    if old["map"] and not manifest["map"]:
        lost.append("map.zarr would be gone")
    before, after = old["extent"]["time"], manifest["extent"]["time"]
    if before and after and before["calendar"] == after["calendar"] and before["step"] == after["step"]:
        if after["first"] > before["first"]:
            lost.append(f"the period would start at {after['start']}, it starts at {before['start']} now")
        if after["first"] + after["count"] < before["first"] + before["count"]:
            lost.append(f"the period would end at {after['end']}, it ends at {before['end']} now")
    for name in sorted(set(old["variables"]) & set(manifest["variables"])):
        sizes = _sizes(manifest, name)
        for dim, size in _sizes(old, name).items():
            if dim != "time" and sizes.get(dim, 0) < size:
                lost.append(f"{name} would have {sizes.get(dim, 0)} along {dim}, it has {size} now")
    for name, was in old["coordinates"].items():
        now = manifest["coordinates"].get(name, {})
        if "extent" in was and "extent" in now:
            slack = 0.01 * abs(was.get("step") or 0)
            if now["extent"][0] > was["extent"][0] + slack or now["extent"][1] < was["extent"][1] - slack:
                lost.append(f"{name} would span {now['extent']}, it spans {was['extent']} now")
    lost += _fewer_values(old, manifest) if "blocks" in manifest else []
    return [
        Problem(
            "retraction",
            what,
            str(old["product"]),
            "an archive that is not mounted or a wrong option would publish less than readers have now",
            "check the inputs; if the loss is meant, build with --allow-retraction",
        )
        for what in lost
    ]


def _fewer_values(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Valid values that would be lost: in all of a variable, and in each block that covers the same cells and times."""
    lost = []
    for name in sorted(set(old["missing"]) & set(new["missing"])):
        before, after = (each["missing"][name]["cells"] - each["missing"][name]["missing"] for each in (old, new))
        if after < before:
            lost.append(f"{name} would have {after} values, it has {before} now")
    for block, entry in new["blocks"].items():
        earlier = old["blocks"].get(block)
        # Another layout or other cells give blocks of one name another content.
        for name in earlier["missing"] if earlier and earlier["base"] == entry["base"] else ():
            valid = [each["cells"].get(name, 0) - each["missing"].get(name, 0) for each in (earlier, entry)]
            if valid[1] < valid[0]:
                lost.append(f"{name} would have {valid[1]} values in block {block}, it has {valid[0]} now")
    return lost


def _sizes(manifest: Mapping[str, Any], name: str) -> dict[str, int]:
    variable = manifest["variables"][name]
    return dict(zip(variable["dims"], variable["shape"], strict=True))
