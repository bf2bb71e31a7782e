"""The versions of a product as builders keep them: its state, beginning a staged one, publishing one."""

from __future__ import annotations

import datetime
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cube.errors import BusyError, IntegrityError, MissingObjectError, Problem
from cube.hashing import digest, readable, sha256
from cube.stores import Store

SCHEMA = 1
TOMBSTONE = "tombstone.json"
"""Marks a version that is being deleted: none is begun, taken from or returned to under its name."""


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

    def manifest(self, version: str) -> str:
        return f"{self.version(version)}/manifest.json"


@dataclass(frozen=True)
class Staged:
    """A version that was begun.

    frozen    what it is made from
    packages  what wrote its blocks: other releases may give other bytes, so they make an attempt of their own
    """

    version: str
    fingerprint: str
    frozen: Mapping[str, Any]
    packages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class State:
    """For builders only.

    kept       versions that were published, the live one first
    abandoned  staged ones that nothing will finish
    pin        the version that readers shall have until it is released, whatever the inputs say
    left       when a version was replaced or abandoned, UTC
    item       `content` of the item that was published with the live version, None where it is not known
    """

    kept: tuple[str, ...] = ()
    staged: Staged | None = None
    abandoned: tuple[str, ...] = ()
    pin: str | None = None
    left: Mapping[str, str] = field(default_factory=dict)
    item: str | None = None

    def known(self) -> set[str]:
        return {*self.kept, *self.abandoned, *([self.staged.version] if self.staged else [])}


def now() -> str:
    """The time for a state: UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def get_or_none(store: Store, key: str) -> bytes | None:
    try:
        return store.get(key)
    except MissingObjectError:
        return None


def read_json(store: Store, key: str) -> dict[str, Any] | None:
    """A small object that builders rely on, None where it is not there.

    Raises IntegrityError where it is no JSON object.
    """
    raw = get_or_none(store, key)
    return None if raw is None else parsed(raw, key)


def parsed(raw: bytes, key: str) -> dict[str, Any]:
    """The JSON object in the bytes of `key`. Raises IntegrityError where it is none."""
    try:
        value = json.loads(raw)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise IntegrityError(damaged(key))
    return value


def damaged(key: str, what: str = "it is truncated, emptied or not what it should be") -> Problem:
    return Problem(
        "record-damaged", what, key, "nothing can be proven or published from it", "run `cube build --repair`"
    )


def read_state(store: Store, path: ProductPath, *, mending: bool = False) -> State:
    """What builders know of a product. Raises IntegrityError where it cannot be read.

    mending  take one that cannot be read for an empty one: it is made again from the item
    """
    try:
        value = read_json(store, path.state)
        if value is None:
            return State()
        if value.pop("sha256") != digest(value) or value["product"] != path.product:
            raise IntegrityError(damaged(path.state))
        staged = Staged(**value["staged"]) if value["staged"] else None
        kept, abandoned, left = tuple(value["kept"]), tuple(value["abandoned"]), dict(value["left"])
        return State(kept, staged, abandoned, value["pin"], left, value["item"])
    except (IntegrityError, KeyError, TypeError, ValueError):
        if mending:
            return State()
        raise IntegrityError(damaged(path.state)) from None


def write_state(store: Store, path: ProductPath, state: State) -> None:
    known = state.known()
    value = {
        "schema": SCHEMA,
        "product": path.product,
        "item": state.item,
        "kept": state.kept,
        "staged": vars(state.staged) if state.staged else None,
        "abandoned": state.abandoned,
        "pin": state.pin,
        "left": {version: when for version, when in state.left.items() if version in known},
    }
    store.put(path.state, readable({**value, "sha256": digest(value)}), immutable=False)


def version_of(item: bytes) -> str:
    """The version that an item points at."""
    return str(json.loads(item)["properties"]["version"])


def begin(
    store: Store,
    path: ProductPath,
    state: State,
    fingerprint: str,
    frozen: Mapping[str, Any],
    packages: Mapping[str, str],
) -> State:
    """The state with a staged version of this fingerprint: the one at hand where it fits, else a new attempt.

    A new attempt claims its prefix with one object, so that two writers can never share it. Where the store cannot
    tell which of two writers was first, every build makes an attempt of its own, with a number that no other has, and
    takes finished blocks over from the former.
    """
    former = state.staged
    same = former and (former.fingerprint, dict(former.packages)) == (fingerprint, dict(packages))
    if same and store.conditional:
        return state
    abandoned, left = state.abandoned, dict(state.left)
    if state.staged:
        abandoned = (*abandoned, state.staged.version)
        left[state.staged.version] = now()
    attempt = 1
    while True:
        number = attempt if store.conditional else secrets.randbelow(10**12) + 10**12
        version = f"{fingerprint[:12]}-{number}"
        claim = readable({"fingerprint": fingerprint, "attempt": number, "token": secrets.token_hex(8)})
        free = version not in state.known() and store.head(f"{path.version(version)}/{TOMBSTONE}") is None
        if free and store.put_if_unchanged(f"{path.version(version)}/ledger/claim.json", claim, None):
            break
        attempt += 1
    new = replace(state, staged=Staged(version, fingerprint, frozen, packages), abandoned=abandoned, left=left)
    write_state(store, path, new)
    return new


def content(item: bytes) -> str:
    """sha256 of what an item says, however its text is laid out."""
    return sha256(json.dumps(json.loads(item), sort_keys=True).encode())


def publish(store: Store, path: ProductPath, before: bytes | None, item: bytes, state: State) -> State:
    """Flip the item to the version it names, then bring the state up to date.

    before  the item as it was read when this was planned, None where there was none

    Raises BusyError ("superseded") when the item is another one by now.
    """
    if not store.put_if_unchanged(path.item, item, before):
        raise BusyError(
            Problem(
                "superseded",
                "another build published this product since this one was planned",
                path.item,
                "publishing now could take back what the other one published",
                "run `cube build` again: it starts from what is published now and keeps finished blocks",
            )
        )
    return flipped(store, path, state, version_of(item), item)


def is_settled(state: State, version: str | None) -> bool:
    """Whether the state knows that `version` is the live one."""
    return not version or (state.kept[:1] == (version,) and not _is_staged(state, version))


def settle(store: Store, path: ProductPath, state: State, version: str | None) -> State:
    """The state after a kill between flip and state update: the item wins."""
    if not version or is_settled(state, version):
        return state
    return flipped(store, path, state, version)


def flipped(store: Store, path: ProductPath, state: State, version: str, item: bytes | None = None) -> State:
    """The state once the item points at `version`, written. item: its bytes as they were published, if known."""
    new = replace(after_flip(state, version), item=content(item) if item else None)
    write_state(store, path, new)
    return new


def after_flip(state: State, version: str | None) -> State:
    """The state once the item points at `version`; as it is where it tells so already, or nothing is published."""
    if not version or is_settled(state, version):
        return state
    kept = (version, *(each for each in state.kept if each != version))
    left = {each: when for each, when in state.left.items() if each != version}
    for former in kept[1:2]:
        left.setdefault(former, now())
    staged = None if _is_staged(state, version) else state.staged
    abandoned = tuple(each for each in state.abandoned if each != version)
    return replace(state, kept=kept, staged=staged, abandoned=abandoned, left=left, item=None)


def _is_staged(state: State, version: str) -> bool:
    return state.staged is not None and state.staged.version == version
