"""The writers' lock: a lease in one object, so that two builds do not do the same work twice.

Correctness does not rest on it: versions never share a prefix and the item is one PUT. A lease is stale when its
counter has not moved for `LEASE_SECONDS` of the *waiter's* monotonic clock, so clocks that differ do no harm.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil

from cube.errors import BusyError, CubeError, MissingObjectError, Problem, StoreError
from cube.hashing import readable
from cube.stores import Store

KEY = "lock"
LEASE_SECONDS = 60.0
RENEW_SECONDS = 10.0


@dataclass(frozen=True)
class Lease:
    """A held lock; picklable, so that workers can check it."""

    store: Store
    token: str

    def check(self) -> None:
        """Raise BusyError if the lock is no longer ours."""
        _, holder = _read(self.store)
        if holder.get("token") != self.token:
            raise _busy(holder, "the lock was lost while this build was at work")


def _read(store: Store) -> tuple[bytes | None, dict[str, Any]]:
    """The lock's bytes, None where it was never taken, and its holder, empty where it is free."""
    try:
        raw = store.get(KEY)
    except MissingObjectError:
        return None, {}
    try:
        return raw, dict(json.loads(raw))
    except (ValueError, TypeError):
        return raw, {"host": "unknown"}


def _busy(held: dict[str, Any], what: str) -> BusyError:
    holder = f"process {held.get('process')} on {held.get('host')}, started {held.get('started')}" if held else "nobody"
    return BusyError(
        Problem(
            "locked",
            f"{what}; it is held by {holder}",
            KEY,
            "two builds at once would do the same work twice",
            "wait for the other build to end; a lock whose holder died is taken over by itself",
        )
    )


def _is_alive(held: dict[str, Any]) -> bool | None:
    """Whether the holder lives, where it is a process of this machine; None where that cannot be known."""
    if held.get("host") != socket.gethostname():
        return None
    try:
        process = psutil.Process(int(held["process"]))
        # A process that ended and was not waited for, as in a container without init, still has its number.
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return bool(abs(process.create_time() - float(held["process_started"])) < 1)
    except psutil.NoSuchProcess:
        return False
    except (KeyError, TypeError, ValueError, psutil.Error):
        return None


def _mine(token: str, counter: int) -> dict[str, Any]:
    return {
        "token": token,
        "counter": counter,
        "host": socket.gethostname(),
        "process": os.getpid(),
        "process_started": psutil.Process().create_time(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(psutil.Process().create_time())),
    }


def _acquire(store: Store, waiting: Callable[[dict[str, Any]], None] | None) -> tuple[str, bytes]:
    token = secrets.token_hex(8)
    mine = readable(_mine(token, 0))
    watched: bytes | None = None
    since = time.monotonic()
    while True:
        raw, content = _read(store)
        alive = _is_alive(content) if content else False
        if alive is False or (raw == watched and time.monotonic() - since > LEASE_SECONDS):
            if store.put_if_unchanged(KEY, mine, raw):
                return token, mine
            continue
        if alive or (watched is not None and raw != watched):
            raise _busy(content, "another build is at work")
        if watched is None:
            watched, since = raw, time.monotonic()
            if waiting:
                waiting(content)
        time.sleep(min(1.0, LEASE_SECONDS / 20))


@contextmanager
def hold(store: Store, waiting: Callable[[dict[str, Any]], None] | None = None) -> Iterator[Lease]:
    """Hold the lock, renewing it in the background.

    waiting  called once with the holder while it is found out whether the holder is alive

    Raises BusyError when another build holds it and is alive.
    """
    token, raw = _acquire(store, waiting)
    stop = threading.Event()

    def renew() -> None:
        nonlocal raw
        counter = 0
        while not stop.wait(RENEW_SECONDS):
            counter += 1
            new = readable(_mine(token, counter))
            try:
                if not store.put_if_unchanged(KEY, new, raw):
                    return  # lost: the next check before a write says so
            except CubeError:
                continue  # a store that fails for a moment must not end the lease
            raw = new

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield Lease(store, token)
    finally:
        stop.set()
        thread.join()
        # Freed in one step: deleting could take away the lock of whoever took it over just now.
        try:
            store.put_if_unchanged(KEY, readable({}), raw)
        except StoreError:
            # A full store takes no new object, but lets one go.
            if _read(store)[1].get("token") == token:
                store.delete(KEY)
