"""Which versions can go, and how they go: whatever a listing shows, whoever writes at the same time."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cube.disposal import VERSION, age_days, dispose, doomed, noted, versions_on
from cube.errors import BusyError, IntegrityError, MissingObjectError, Problem, StoreError
from cube.live import Live
from cube.lock import Lease, Place, hold, place_of_lock
from cube.stores.directory import DirectoryStore
from cube.versions import TOMBSTONE, ProductPath, Staged, State, read_state, write_state

PATH = ProductPath("inputs", "rain")
NAMES = [f"{number:012x}-1" for number in range(1, 7)]


class Lagging(DirectoryStore):
    """A store whose listings show something else than what is there: `hidden` not yet, `ghosts` still."""

    def __init__(self, root: Path, hidden: str = "", ghosts: Iterable[str] = ()) -> None:
        super().__init__(root)
        self.hidden, self.ghosts = hidden, tuple(ghosts)

    def walk(self, prefix: str) -> Iterator[str]:
        shown = {key for key in super().walk("") if not (self.hidden and self.hidden in key)}
        yield from sorted(key for key in shown | {*self.ghosts} if key.startswith(f"{prefix}/"))


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "cube")


@pytest.fixture
def lease(store: DirectoryStore) -> Iterator[Lease]:
    with hold(place_of_lock(store)) as lease:
        yield lease


def put(
    store: DirectoryStore, version: str, objects: Iterable[str] = ("time.zarr/pr/c/0", "time.zarr/zarr.json")
) -> None:
    """A sealed version of a block."""
    prefix = PATH.version(version)
    for name in objects:
        store.put(f"{prefix}/{name}", name.encode())
    store.put(f"{prefix}/ledger/claim.json", b"{}")
    store.put(f"{prefix}/ledger/time/pr/0.json", b"{}")
    block = {"key": "0", "objects": ["time.zarr/pr/c/0"], "missing": {}, "cells": {}, "steps": None}
    manifest = {
        "product": "rain",
        "fingerprint": version.partition("-")[0] + "0" * 52,
        "objects": {name: {"bytes": len(name), "sha256": "0"} for name in objects},
        "blocks": {"time/pr/0": block},
    }
    store.put(PATH.manifest(version), json.dumps(manifest).encode())


def ago(days: float) -> str:
    when = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def keys(store: DirectoryStore) -> set[str]:
    return {key for key in DirectoryStore(store.root).walk("") if key != "lock"}


def live(version: str) -> Live:
    return Live(version, b"{}", {}, {})


@given(
    order=st.permutations(NAMES),
    kept=st.integers(0, 4),
    staged=st.booleans(),
    pin=st.integers(0, 5),
    keep=st.integers(1, 3),
    days=st.sampled_from([0.0, 0.5, 30.0]),
    ages=st.lists(st.sampled_from([0.0, 0.4, 0.6, 1.5, 29.0, 31.0]), min_size=6, max_size=6),
    sealed=st.sets(st.sampled_from(NAMES)),
    buried=st.sets(st.sampled_from(NAMES), max_size=2),
)
def test_version_in_use_or_in_its_time_goes(
    tmp_path_factory: pytest.TempPathFactory,
    order: list[str],
    kept: int,
    staged: bool,
    pin: int,
    keep: int,
    days: float,
    ages: list[float],
    sealed: set[str],
    buried: set[str],
) -> None:
    """The rules of the operator's page, written once more."""
    store = Dictionary(sealed, buried)
    published, rest = order[:kept], order[kept:]
    made = rest.pop() if staged and rest else None
    pinned = published[pin] if pin < len(published) else None
    buried -= {made, pinned, *published[:1]}
    state = State(
        tuple(published),
        Staged(made, "0" * 64, {}) if made else None,
        tuple(rest),
        pinned,
        {name: ago(age) for name, age in zip(order, ages, strict=True) if name != made and name not in published[:1]},
    )
    listed = {name: [f"{PATH.version(name)}/ledger/claim.json"] for name in order}
    for name in buried:
        listed[name].append(f"{PATH.version(name)}/{TOMBSTONE}")
    found = {
        each.version: each for each in doomed(store, PATH, state, live(order[0]) if kept else None, keep, days, listed)
    }
    age = dict(zip(order, ages, strict=True))
    newest = [name for name in published if name not in buried][:keep]
    for name in order:
        if name in (made, pinned, *newest, *published[:1]):
            assert name not in found
        elif name in buried:
            assert found[name].why == "half deleted"
        elif name in published or name in sealed:
            # Readers may have it open.
            least = days if name in published else max(days, 1.0)
            assert (name in found) == (age[name] > least or age[name] == least == 0.0)
        else:
            assert (name in found) == (age[name] > 1)


class Dictionary(DirectoryStore):
    """Manifests of `sealed` and tombstones of `buried` versions, without a disk."""

    def __init__(self, sealed: set[str], buried: set[str]) -> None:
        super().__init__("/nowhere")
        self.sealed, self.buried = sealed, buried

    def get(self, key: str, start: int | None = None, stop: int | None = None) -> bytes:
        version = key.split("/")[2]
        if version not in self.sealed:
            raise MissingObjectError(Problem("object-missing", "no such object", key))
        fingerprint = version.partition("-")[0] + "0" * 52
        return json.dumps({"product": "rain", "fingerprint": fingerprint, "objects": {}, "blocks": {}}).encode()

    def head(self, key: str):  # type: ignore[no-untyped-def]
        return object() if key.endswith(TOMBSTONE) and key.split("/")[2] in self.buried else None


def test_folder_of_another_is_taken_for_a_version(store: DirectoryStore) -> None:
    put(store, NAMES[0])
    for name in ("rain.json", "state.json", "notes/a", "0123456789ab/a", "0123456789AB-1/a", "0123456789ab-x/a"):
        store.put(f"inputs/rain/{name}", b"")
    store.put(f"inputs/rain-2/{NAMES[1]}/a", b"")
    assert list(versions_on(store, PATH)) == [NAMES[0]]
    assert not VERSION.fullmatch("../0123456789ab-1")


def test_time_of_leaving_service_is_moved_by_looking_again() -> None:
    state = State((NAMES[0], NAMES[1]), None, (NAMES[2],), None, {NAMES[1]: ago(5)})
    first = noted(state, [NAMES[0], NAMES[3]])
    assert first.abandoned == (NAMES[2], NAMES[3])
    assert first.left[NAMES[1]] == state.left[NAMES[1]]
    assert set(first.left) == {NAMES[1], NAMES[2], NAMES[3]}
    assert noted(first, [NAMES[0], NAMES[3]]) == first


@pytest.mark.parametrize("when", ["yesterday", "", "2026-01-01T00:00:00", 5, None, []])
def test_time_that_is_none_deletes_or_is_a_traceback(store: DirectoryStore, when: object) -> None:
    state = State((NAMES[0], NAMES[1]), None, (), None, {NAMES[1]: when})  # type: ignore[dict-item]
    if when is None:
        assert age_days(PATH, state, NAMES[1]) == 0
        return
    with pytest.raises(IntegrityError, match=r"inputs/rain/state\.json"):
        doomed(store, PATH, state, live(NAMES[0]), 1, 0, {})


def test_clock_that_was_ahead_deletes_at_once(store: DirectoryStore) -> None:
    state = State((NAMES[0], NAMES[1]), None, (NAMES[2],), None, {name: ago(-3) for name in NAMES[1:3]})
    assert doomed(store, PATH, state, live(NAMES[0]), 1, 0, {}) == []


@pytest.mark.parametrize("hidden", ["", "inputs/rain/", "/c/", "/ledger/"])
def test_object_that_no_listing_shows_stays_for_ever(tmp_path: Path, hidden: str) -> None:
    store = Lagging(tmp_path / "cube", hidden)
    for name in NAMES[:2]:
        put(store, name)
    write_state(store, PATH, State((NAMES[0], NAMES[1]), left={NAMES[1]: ago(40)}))
    state = read_state(store, PATH)
    listed = versions_on(store, PATH)
    (each,) = doomed(store, PATH, state, live(NAMES[0]), 1, 30, listed)
    assert (each.version, each.why, each.objects, each.bytes) == (NAMES[1], "replaced", 2, 35)
    with hold(place_of_lock(store)) as lease:
        dispose(store, PATH, NAMES[1], listed.get(NAMES[1], []), lease)
    assert {key for key in keys(store) if NAMES[1] in key} == set()
    assert len({key for key in keys(store) if NAMES[0] in key}) == 5
    assert read_state(store, PATH) == State((NAMES[0],))


def test_tombstone_in_an_old_listing_deletes_its_namesake(tmp_path: Path) -> None:
    store = Lagging(tmp_path / "cube", ghosts=[f"{PATH.version(NAMES[2])}/{TOMBSTONE}"])
    for name in NAMES[:3]:
        put(store, name)
    state = State((NAMES[0], NAMES[1], NAMES[2]), left={NAMES[1]: ago(2), NAMES[2]: ago(3)})
    assert doomed(store, PATH, state, live(NAMES[0]), 2, 30, versions_on(store, PATH)) == []


def test_ghost_of_a_deleted_version_is_an_error(tmp_path: Path, lease: Lease) -> None:
    store = Lagging(tmp_path / "cube", ghosts=[f"{PATH.version(NAMES[2])}/time.zarr/pr/c/0"])
    put(store, NAMES[0])
    state = noted(State((NAMES[0],)), versions_on(store, PATH))
    assert state.abandoned == (NAMES[2],)
    write_state(store, PATH, replace(state, left={NAMES[2]: ago(2)}))
    (each,) = doomed(store, PATH, read_state(store, PATH), live(NAMES[0]), 1, 30, versions_on(store, PATH))
    dispose(store, PATH, each.version, [], lease)
    assert read_state(store, PATH) == State((NAMES[0],))
    assert not [key for key in keys(store) if NAMES[2] in key]


@pytest.mark.parametrize("at", range(1, 10))
def test_store_that_fails_in_between_leaves_a_version_in_use(
    store: DirectoryStore, lease: Lease, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    for name in NAMES[:2]:
        put(store, name)
    write_state(store, PATH, State((NAMES[0], NAMES[1]), left={NAMES[1]: ago(40)}))
    other = {key: store.get(key) for key in keys(store) if NAMES[0] in key}
    calls = 0

    def failing(name: str) -> None:
        real = getattr(DirectoryStore, name)

        def call(self: DirectoryStore, key: str, *arguments: object, **options: object) -> object:
            nonlocal calls
            calls += 1
            if calls == at:
                raise StoreError(Problem("store-full", "the quota is used up", key))
            return real(self, key, *arguments, **options)

        monkeypatch.setattr(DirectoryStore, name, call)

    failing("put")
    failing("delete")
    with pytest.raises(StoreError):
        dispose(store, PATH, NAMES[1], versions_on(store, PATH)[NAMES[1]], lease)
    monkeypatch.undo()
    state = read_state(store, PATH)
    tombstone = f"{PATH.version(NAMES[1])}/{TOMBSTONE}" in keys(store)
    parts = {key for key in keys(store) if NAMES[1] in key and not key.endswith(TOMBSTONE)}
    assert tombstone or len(parts) in (0, 5), "a version of which something is gone has a tombstone"
    # The manifest goes last, since it names the others.
    assert PATH.manifest(NAMES[1]) in parts or not parts
    listed = versions_on(store, PATH)
    (each,) = doomed(store, PATH, noted(state, listed), live(NAMES[0]), 1, 30, listed)
    dispose(store, PATH, each.version, listed.get(each.version, []), lease)
    assert {key: store.get(key) for key in keys(store)} == {**other, PATH.state: store.get(PATH.state)}
    assert read_state(store, PATH) == State((NAMES[0],))


def test_state_written_by_another_meanwhile_is_lost(
    store: DirectoryStore, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES[:2]:
        put(store, name)
    write_state(store, PATH, State((NAMES[0], NAMES[1]), left={NAMES[1]: ago(40)}))
    staged = Staged(NAMES[3], "0" * 64, {})
    real = DirectoryStore.delete

    def late(self: DirectoryStore, key: str) -> None:
        if key == PATH.manifest(NAMES[1]):
            # A store without locks: somebody begins a version just now.
            write_state(self, PATH, replace(read_state(self, PATH), staged=staged, pin=NAMES[0]))
        real(self, key)

    monkeypatch.setattr(DirectoryStore, "delete", late)
    dispose(store, PATH, NAMES[1], versions_on(store, PATH)[NAMES[1]], lease)
    assert read_state(store, PATH) == State((NAMES[0],), staged, pin=NAMES[0])


def test_version_goes_without_the_lock(store: DirectoryStore) -> None:
    put(store, NAMES[0])
    before = keys(store)
    with pytest.raises(BusyError):
        dispose(store, PATH, NAMES[0], [], Lease(Place(store), "not ours"))
    assert keys(store) == before
