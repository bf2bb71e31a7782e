"""The writers' lock: a lease in one object, so that two builds do not do the same work twice.

Correctness does not rest on it: versions never share a prefix and the item is one PUT. A lease is stale when its
counter has not moved for `LEASE_SECONDS` of the *waiter's* monotonic clock, so clocks that differ do no harm. Only a
holder that is proven dead, being a process of this machine, is not waited for.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cube.errors import BusyError, CubeError, MissingObjectError, Problem, StoreError
from cube.hashing import readable, sha256
from cube.process import find, is_gone, machine
from cube.stores import Store
from cube.stores.directory import DirectoryStore

KEY = "lock"
LEASE_SECONDS = 60.0
RENEW_SECONDS = 10.0

SETTLE_SECONDS = 1.0
"""Where a store cannot compare and set in one step, who took the lock looks again after this time."""


@dataclass(frozen=True)
class Place:
    """Where a lock is: an object of a store."""

    store: Store
    key: str = KEY

    def __str__(self) -> str:
        return f"{self.store.url}/{self.key}"


def place_of_lock(store: Store, folder: str | None = None) -> Place:
    """Where the lock of the cube in `store` is: in the store itself, or in a folder that several cubes may share.

    Raises StoreError for a folder that is not there: one that is not mounted would look just like a free lock.
    """
    if folder is None:
        return Place(store)
    if not Path(folder).is_dir():
        raise StoreError(
            Problem(
                "lock-folder",
                "there is no such folder",
                folder,
                "a build on another machine, where the folder is mounted, would not be noticed",
                "mount it, make it, or correct `lock:`",
            )
        )
    # One directory may have several names; its lock must not.
    url = store.root.resolve().as_uri() if isinstance(store, DirectoryStore) else store.url
    return Place(DirectoryStore(folder), f"{sha256(url.encode())[:16]}.lock")


@dataclass(frozen=True)
class Lease:
    """A held lock; picklable, so that workers can check it."""

    place: Place
    token: str

    def check(self) -> None:
        """Raise BusyError if the lock is no longer ours, StoreError if that cannot be found out."""
        _, holder = _read(self.place)
        if holder.get("token") != self.token:
            raise _busy(self.place, holder, "the lock was lost while this build was at work")


def _read(place: Place) -> tuple[bytes | None, dict[str, Any]]:
    """The lock's bytes, None where it was never taken, and its holder, empty where it is free."""
    try:
        raw = place.store.get(place.key)
    except MissingObjectError:
        return None, {}
    try:
        return raw, dict(json.loads(raw))
    except (ValueError, TypeError):
        return raw, {"host": "unknown"}


def _busy(place: Place, held: dict[str, Any], what: str) -> BusyError:
    holder = f"process {held.get('process')} on {held.get('host')}, since {held.get('started')}" if held else "nobody"
    return BusyError(
        Problem(
            "locked",
            f"{what}; it is held by {holder}",
            str(place),
            "two builds at once would do the same work twice",
            "wait for the other build to end; a lock whose holder died is taken over by itself",
        )
    )


def _is_alive(held: dict[str, Any]) -> bool | None:
    """Whether the holder lives and renews its lease; None where only the lease can tell."""
    if held.get("machine") is None or held["machine"] != machine():
        return None
    try:
        number, started, renewed = int(held["process"]), int(held["process_started"]), float(held["renewed"])
    except (KeyError, TypeError, ValueError):
        return None
    found = find(number)
    if found is None:
        return False if is_gone(number) else None
    # A process that ended and was not waited for, as in a container without init, still has its number.
    if found[1] != started or found[0] in "ZX":
        return False
    # Stopped, or at work without renewing: nobody knows for how long. The processes of a machine share this clock.
    if found[0] in "Tt" or time.monotonic() - renewed > LEASE_SECONDS:
        return None
    return True


def _mine(token: str) -> dict[str, Any]:
    """This process as a holder. host and started are for people."""
    found = find(os.getpid())
    return {
        "token": token,
        "host": socket.gethostname(),
        "process": os.getpid(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine() if found else None,
        "process_started": found[1] if found else None,
    }


def _counted(mine: dict[str, Any], counter: int) -> bytes:
    return readable({**mine, "counter": counter, "renewed": time.monotonic()})


def _acquire(
    place: Place, mine: dict[str, Any], waiting: Callable[[dict[str, Any]], None] | None, settle: float
) -> bytes:
    """Take the lock; its bytes. Raises BusyError."""
    watched: bytes | None = None
    since = time.monotonic()
    while True:
        raw, holder = _read(place)
        if raw is not None and holder.get("token") == mine["token"]:
            return raw
        alive = _is_alive(holder) if holder else False
        if alive is False or (raw == watched and time.monotonic() - since > LEASE_SECONDS):
            if place.store.put_if_unchanged(place.key, _counted(mine, 0), raw):
                time.sleep(settle)
            continue
        if alive or (watched is not None and raw != watched):
            raise _busy(place, holder, "another build is at work")
        if watched is None:
            watched, since = raw, time.monotonic()
            if waiting:
                waiting(holder)
        time.sleep(min(1.0, LEASE_SECONDS / 20))


def _replace(place: Place, token: str, old: bytes | None, new: bytes) -> bytes | None:
    """Set our lock to `new`; what it holds then, None where it is no longer ours."""
    for _ in range(2):
        if place.store.put_if_unchanged(place.key, new, old):
            return new
        # A write that was answered by an error may have taken effect.
        old, holder = _read(place)
        if holder.get("token") != token:
            return None
    return old


@contextmanager
def hold(
    place: Place,
    waiting: Callable[[dict[str, Any]], None] | None = None,
    warn: Callable[[str], None] | None = None,
) -> Iterator[Lease]:
    """Hold the lock, renewing it in the background.

    waiting  called once with the holder while it is found out whether the holder is alive
    warn     called with a text where the lock cannot keep two builds apart for certain

    Raises BusyError when another build holds it and is alive, StoreError where that cannot be found out.
    """
    atomic = place.store.conditional
    token = secrets.token_hex(8)
    mine = _mine(token)
    raw: bytes | None = _acquire(place, mine, waiting, 0.0 if atomic else SETTLE_SECONDS)
    if not atomic and warn:
        warn(str(_not_atomic(place)))
    stop = threading.Event()

    def renew() -> None:
        nonlocal raw
        counter = 0
        while not stop.wait(RENEW_SECONDS):
            counter += 1
            try:
                raw = _replace(place, token, raw, _counted(mine, counter))
            except CubeError:
                continue  # a store that fails for a moment must not end the lease
            if raw is None:
                return  # lost: the next check before a write says so

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield Lease(place, token)
    finally:
        stop.set()
        thread.join()
        # A lock that cannot be freed is taken over, and must not hide how the build ended.
        with contextlib.suppress(StoreError):
            _free(place, token, raw)


def _free(place: Place, token: str, raw: bytes | None) -> None:
    if raw is None:
        return
    # In one step: deleting could take away the lock of whoever took it over just now.
    try:
        _replace(place, token, raw, readable({}))
    except StoreError as error:
        # A full store takes no new object, but lets one go.
        if error.problems[0].code == "store-full" and _read(place)[1].get("token") == token:
            place.store.delete(place.key)


def _not_atomic(place: Place) -> Problem:
    return Problem(
        "lock-not-atomic",
        "the lock is in a place that cannot compare and set in one step, so it may let two builds pass",
        str(place),
        "two builds at once may do the same work twice; the last whole version wins",
        "give `lock:` a folder that every machine sees on which this cube is built",
    )
