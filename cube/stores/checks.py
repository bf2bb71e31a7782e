"""Does a store do what builds ask of it? Tried on objects of its own, of which none remains."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator

from cube.checks import Check, Trial
from cube.errors import CubeError, MissingObjectError, StoreError
from cube.stores import retry
from cube.stores.directory import DirectoryStore
from cube.stores.store import Store

PREFIX = "runs/doctor-"
"""Objects of a doctor are below `runs/doctor-TIME-TOKEN/`, TIME in hexadecimal seconds: no product can lie there."""

BYTES = 4096
FORGOTTEN_SECONDS = 86400.0
"""Objects of a doctor that was killed so long ago are deleted by the next one."""

PAUSE_SECONDS = 0.5
"""Between two looks at a listing."""

_OURS = re.compile(rf"{PREFIX}([0-9a-f]+)-[0-9a-f]+/[a-z]+")


class StoreTrials:
    """The checks that any store can be put to, in their order.

    lock_elsewhere  whether the writers' lock is not in this store

    Use it as a context: what the checks wrote is deleted at its end. Further checks write by `key`.
    """

    def __init__(self, store: Store, *, lock_elsewhere: bool = False) -> None:
        self.store = store
        self.lock_elsewhere = lock_elsewhere
        self.folder = f"{PREFIX}{int(time.time()):x}-{secrets.token_hex(6)}"
        self.written: dict[str, None] = {}
        self.content = secrets.token_bytes(BYTES)
        self._wrote: bool | None = None

    def key(self, name: str) -> str:
        """The key of an object of ours, deleted at the end whether it was written or not."""
        key = f"{self.folder}/{name}"
        self.written[key] = None
        return key

    @property
    def wrote(self) -> bool:
        """Whether the store took an object."""
        return bool(self._wrote)

    def after_write(self, make: Callable[[str], Check]) -> Callable[[str], Check]:
        """A check that makes no sense on a store that cannot be written."""

        def made(name: str) -> Check:
            return make(name) if self._wrote else Check(name, "not tried", "nothing could be written")

        return made

    def trials(self) -> Iterator[Trial]:
        after = self.after_write
        yield Trial("store: write", self._write)
        yield Trial("store: read back", after(self._read))
        yield Trial("store: ranged read", after(self._ranges))
        yield Trial("store: copy", after(self._copy))
        yield Trial("store: conditional write", after(self._conditional))
        yield Trial("store: listing", after(self._listing))
        yield Trial("store: delete", after(self._delete))

    def _write(self, name: str) -> Check:
        self._wrote = False
        if isinstance(self.store, DirectoryStore) and not self.store.root.is_dir():
            return Check(
                name,
                "problem",
                f"there is no folder {self.store.root}; one that is not mounted looks just so",
                "mount it, or make it by `cube init`",
            )
        self.store.put(self.key("object"), self.content)
        self._wrote = True
        return Check(name, "ok", f"an object of {BYTES} bytes")

    def _read(self, name: str) -> Check:
        if self.store.get(self.key("object")) != self.content:
            return Check(name, "problem", "other bytes came back than were written", "do not use this store")
        return Check(name, "ok", "the same bytes")

    def _ranges(self, name: str) -> Check:
        key = self.key("object")
        if self.store.get(key, 100, 300) != self.content[100:300]:
            return Check(name, "problem", "a range of bytes came back wrong", "do not use this store")
        if self.store.get(key, -20) != self.content[-20:]:
            what = "the last bytes of an object, asked for by a suffix range, came back wrong"
            return Check(name, "problem", what, "do not use this store: nobody can read sharded Zarr from it")
        return Check(name, "ok", "ranges, and suffix ranges as sharded Zarr needs them")

    def _copy(self, name: str) -> Check:
        target = self.key("copy")
        self.store.copy(self.key("object"), target)
        if self.store.get(target) != self.content:
            return Check(name, "problem", "a copy differs from its source", "do not use this store")
        return Check(name, "ok", "made inside the store")

    def _conditional(self, name: str) -> Check:
        key = self.key("conditional")
        steps = (
            ("create", self.store.put_if_unchanged(key, b"1", None)),
            ("create what is there", not self.store.put_if_unchanged(key, b"2", None)),
            ("replace", self.store.put_if_unchanged(key, b"3", b"1")),
            ("replace what has changed", not self.store.put_if_unchanged(key, b"4", b"1")),
        )
        if wrong := [step for step, right in steps if not right]:
            return Check(name, "problem", f"answered wrongly: {', '.join(wrong)}", "do not use this store")
        if self.store.conditional:
            return Check(name, "ok", "create and replace are atomic; the lock keeps two builds apart")
        found = "two writers at once may both be told that they won"
        if self.lock_elsewhere:
            return Check(name, "ok", f"{found}, but the lock is in the folder that `lock:` names")
        fix = "give `lock:` a folder that every machine sees on which this cube is built"
        return Check(name, "warning", f"{found}: the lock may let two builds pass", fix)

    def _listing(self, name: str) -> Check:
        key, began = self.key("listed"), time.monotonic()
        self.store.put(key, b"listed")
        while key not in set(self.store.walk(self.folder)):
            if time.monotonic() - began > retry.LAG_SECONDS:
                what = f"an object is not listed {retry.LAG_SECONDS:.0f} s after it was written"
                return Check(name, "warning", what, "nothing rests on listings, but `cube gc` may leave objects behind")
            time.sleep(PAUSE_SECONDS)
        lag = time.monotonic() - began
        if lag < PAUSE_SECONDS:
            return Check(name, "ok", "shows an object as soon as it is written")
        return Check(name, "warning", f"lags behind by {lag:.1f} s", "nothing rests on listings; `cube gc` may be late")

    def _delete(self, name: str) -> Check:
        key = self.key("object")
        self.store.delete(key)
        if self.store.head(key) is None:
            return Check(name, "ok", "gone at once")
        return Check(name, "warning", "an object is still answered after it was deleted", "nothing rests on it")

    def clear(self) -> Check | None:
        """Delete all that was written, and what doctors left that were killed; a problem where that is not possible."""
        left = [key for key in self.written if not self._deleted(key)]
        try:
            for key in list(self.store.walk("runs")) if self._wrote else []:
                if key not in self.written and _forgotten(key) and not self._deleted(key):
                    left.append(key)
        except StoreError:
            pass  # the listing has been checked before
        if not left or not self._wrote:
            return None
        return Check("store: tidy", "problem", f"could not delete {', '.join(left)}", "delete them by hand")

    def _deleted(self, key: str) -> bool:
        try:
            self.store.delete(key)
        except MissingObjectError:
            return True
        except CubeError:
            return False
        return True


def _forgotten(key: str) -> bool:
    match = _OURS.fullmatch(key)
    return match is not None and time.time() - int(match[1], 16) > FORGOTTEN_SECONDS


def leftovers(store: Store, name: str) -> Check:
    """What killed writers left in a store and nobody has added to for a day. May raise StoreError."""
    old = [each for each in store.leftovers("") if each.age_seconds > FORGOTTEN_SECONDS]
    if not old:
        return Check(name, "ok", "no files or uploads of writers that were killed")
    total = sum(each.bytes for each in old) / 2**20
    return Check(name, "warning", f"{len(old)} older than a day, {total:.1f} MiB", "run `cube gc`")
