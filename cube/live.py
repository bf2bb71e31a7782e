"""The published version of a product: what its item points at, proven by the item's own checksum of the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cube.errors import IntegrityError, Problem
from cube.hashing import sha256
from cube.stage import Receipt, Stored
from cube.stores import Store
from cube.versions import ProductPath, content, damaged, get_or_none, parsed, read_state


@dataclass(frozen=True)
class Live:
    """The published version.

    item      its bytes as read, so that a change since can be noticed; None where it is lost
    manifest  empty where it is lost or damaged
    damage    what is wrong with item and manifest
    """

    version: str
    item: bytes | None
    manifest: Mapping[str, Any]
    receipts: Mapping[str, Receipt] = field(repr=False)
    damage: tuple[Problem, ...] = ()


def read_live(store: Store, path: ProductPath, *, mending: bool = False) -> Live | None:
    """The published version, None where nothing is published yet.

    A product whose item is lost is the newest one that its state knows.

    mending  give what is left where item or manifest are damaged, with the problems in `damage`; also tell an item
             that is sound but not the one that was published last

    Raises IntegrityError for a damaged item, and for a manifest that is lost or not the one that was published.
    """
    problems: list[Problem] = []
    item = get_or_none(store, path.item)
    version = proof = None
    try:
        version, proof = _pointed_at(item, path) if item is not None else (None, None)
        if mending and item is not None and (found := _another(item, str(version), path, store)):
            version = proof = None
            problems.append(found)
    except IntegrityError as error:
        problems += error.problems
    if version is None:
        version = next(iter(read_state(store, path, mending=mending).kept), None)
        if item is None and version is None:
            return None
        if item is None:
            lost = "the item is lost; builders take the newest version that state.json knows"
            problems.append(Problem("item-missing", lost, path.item, "readers no longer find it", "run `cube build`"))
    manifest: Mapping[str, Any] = {}
    receipts: Mapping[str, Receipt] = {}
    fatal = [problem for problem in problems if problem.code != "item-missing"]
    try:
        if version is not None:
            manifest = read_manifest(store, path, version, proof)
            receipts = receipts_of(manifest)
    except IntegrityError as error:
        problems += error.problems
        fatal += error.problems
        manifest = {}
    if fatal and not mending:
        raise IntegrityError(fatal)
    return Live(version or "", item, manifest, receipts, tuple(problems))


def _another(item: bytes, version: str, path: ProductPath, store: Store) -> Problem | None:
    """What is wrong with an item that is not the one that was published last, as far as the state tells."""
    state = read_state(store, path, mending=True)
    if state.kept[:1] == (version,) and state.item not in (None, content(item)):
        return damaged(path.item, "it is not as it was published")
    # A kill may have come between the flip of the item and the writing of the state: then the item is right.
    if version in state.kept[1:] and version != state.pin:
        return damaged(path.item, f"it is the item of version {version}, {state.kept[0]} was published last")
    return None


def _pointed_at(item: bytes, path: ProductPath) -> tuple[str, str | None]:
    """The version that an item names, and the sha256 of its manifest. Raises IntegrityError for a damaged item."""
    value = parsed(item, path.item)
    try:
        version, assets = value["properties"]["version"], value["assets"]
        if value["id"] != path.product or not isinstance(version, str):
            raise IntegrityError(damaged(path.item, f"it is the item of {value['id']!r}"))
        # A multihash: 12 20 says that 32 bytes of sha256 follow.
        return version, str(assets["manifest"]["file:checksum"]).removeprefix("1220")
    except (KeyError, TypeError, AttributeError):
        raise IntegrityError(damaged(path.item)) from None


def read_manifest(store: Store, path: ProductPath, version: str, proof: str | None = None) -> dict[str, Any]:
    """The manifest of a version.

    proof  its sha256, where it is known

    Raises IntegrityError where it is lost, or not this version's.
    """
    key = path.manifest(version)
    raw = get_or_none(store, key)
    if raw is None:
        raise IntegrityError(
            Problem(
                "manifest-missing",
                f"version {version} has no manifest",
                key,
                "what it should hold cannot be proven",
                "run `cube build --repair`: it takes over what the ledger proves",
            )
        )
    value = parsed(raw, key)
    try:
        whole = value["product"] == path.product and value["fingerprint"][:12] == version.partition("-")[0]
        receipts_of(value)
    except (KeyError, TypeError, AttributeError):
        whole = False
    if not whole or (proof and sha256(raw) != proof):
        raise IntegrityError(damaged(key, "it is not the manifest that was published with the version"))
    return value


def receipts_of(manifest: Mapping[str, Any]) -> dict[str, Receipt]:
    """The proofs of all blocks from a manifest."""
    objects = manifest["objects"]
    found = {}
    for block, entry in manifest["blocks"].items():
        stored = {name: Stored(**objects[name]) for name in entry["objects"]}
        steps = tuple(entry["steps"]) if entry["steps"] else None
        found[block] = Receipt(block, entry["key"], stored, entry["missing"], entry["cells"], steps)
    return found
