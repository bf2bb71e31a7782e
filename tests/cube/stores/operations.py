"""What tests do with a store that fails: each operation with its proof, and many of them in a mixture."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from cube.errors import MissingObjectError
from cube.stores import s3
from cube.stores.s3 import S3Store

from ...hostile_profile import Profile
from ...hostile_store import HostileStore

BODY = bytes(range(256)) * 40


def put_in_parts(store: S3Store) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(s3, "PART_BYTES", 5 * 2**20)
        body = random.Random(7).randbytes(5 * 2**20 + 1000)
        store.put("v/model.ubj", body)
        return store.get("v/model.ubj") == body


OPERATIONS: dict[str, Callable[[S3Store], object]] = {
    "put": lambda store: store.put("v/c/0", BODY) or store.get("v/c/0") == BODY,
    "put again": lambda store: store.put("v/c/0", BODY[:7]) or store.get("v/c/0") == BODY[:7],
    "put in parts": put_in_parts,
    "get": lambda store: store.get("there") == BODY,
    "get a slice": lambda store: store.get("there", 100, 300) == BODY[100:300],
    "get a suffix": lambda store: store.get("there", -20) == BODY[-20:],
    "get past the end": lambda store: store.get("there", len(BODY) + 5) == b"",
    "get an empty slice": lambda store: store.get("there", 5, 5) == b"",
    "head": lambda store: store.head("there").bytes == len(BODY),
    "head of nothing": lambda store: store.head("absent") is None,
    "copy": lambda store: store.copy("there", "w/there") or store.get("w/there") == BODY,
    "walk": lambda store: list(store.walk("")) == ["lock", "there"],
    "create": lambda store: store.put_if_unchanged("new", b"mine", None) and store.get("new") == b"mine",
    "create twice": lambda store: not store.put_if_unchanged("lock", b"mine", None) and store.get("lock") == b"0",
    "replace": lambda store: store.put_if_unchanged("lock", b"1", b"0") and store.get("lock") == b"1",
    "replace another": lambda store: not store.put_if_unchanged("lock", b"1", b"x") and store.get("lock") == b"0",
    "delete": lambda store: store.delete("there") or store.head("there") is None,
}


WRITES = {"put", "put again", "put in parts", "copy", "create", "create twice", "replace", "delete"}
READS = {name for name in OPERATIONS if name.startswith("get")} - {"get an empty slice"}
SUFFERING = {
    **{fault: set(OPERATIONS) for fault in ("errors", "hangs", "resets")},
    "truncated": {*READS, "walk", "replace another", "create twice"},
    "lost": WRITES,
    "late": {"copy", "put in parts"},
    "damaged": WRITES - {"copy", "delete"},
}


def mixture(store: S3Store, hostile: HostileStore, seed: int, turns: int, profile: Profile) -> Counter[str]:
    """Threads that each write, read, copy, compare and delete objects of their own; what they find must be what they
    wrote. Counts what was done."""
    done: Counter[str] = Counter()

    def work(thread: int) -> None:
        choose, held = random.Random(f"{seed} {thread}"), dict[str, bytes]()
        for turn in range(turns):
            key = f"{thread}/{choose.randrange(5)}"
            kind = choose.choice(["put", "get", "slice", "head", "copy", "compare", "delete"])
            new = choose.randbytes(choose.randrange(1, 3000)) + b"%d" % turn
            done[kind] += 1
            if kind == "put":
                store.put(key, new)
                held[key] = new
            elif kind == "compare":
                assert store.put_if_unchanged(key, new, held.get(key)), (seed, key)
                assert not store.put_if_unchanged(key, b"", new + b"?")
                held[key] = new
            elif kind == "delete":
                store.delete(key)
                held.pop(key, None)
            elif key not in held:
                assert store.head(key) is None, (seed, key)
                with pytest.raises(MissingObjectError):
                    store.get(key)
            elif kind == "copy":
                store.copy(key, f"{thread}/copy")
                held[f"{thread}/copy"] = held[key]
            elif kind == "head":
                assert store.head(key).bytes == len(held[key]), (seed, key)
            else:
                start = choose.randrange(len(held[key])) if kind == "slice" else 0
                assert store.get(key, start) == held[key][start:], (seed, key)
        for key, data in held.items():
            assert store.get(key) == data, (seed, key)

    assert store.conditional
    hostile.play(profile)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    return done
