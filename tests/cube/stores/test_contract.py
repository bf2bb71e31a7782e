"""What every store that can be written promises."""

import itertools
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cube.errors import MissingObjectError, StoreError
from cube.stores import ObjectInfo, Store, open_store

BODY = b"01234"


@pytest.mark.parametrize("body", [b"", b"x", os.urandom(3_000_000)], ids=["empty", "one byte", "3 MB"])
def test_an_object_comes_back_as_it_was(store: Store, body: bytes) -> None:
    store.put("a/b/zarr.json", body)
    assert store.get("a/b/zarr.json") == body
    assert store.head("a/b/zarr.json").bytes == len(body)


def test_a_view_of_numbers_is_written_as_its_bytes(store: Store) -> None:
    values = np.arange(6, dtype="<f4").reshape(2, 3)
    store.put("values", memoryview(values))
    assert store.get("values") == values.tobytes()


def test_every_range_is_the_python_slice(store: Store) -> None:
    store.put("five", BODY)
    for start, stop in itertools.product([None, 0, 1, 4, 5, 9], [None, 0, 1, 4, 5, 9]):
        assert store.get("five", start, stop) == BODY[start:stop], (start, stop)
    for start in (-1, -5, -9):
        assert store.get("five", start) == BODY[start:], start


def test_ranges_of_an_empty_object_are_empty(store: Store) -> None:
    store.put("empty", b"")
    for start, stop in [(0, 4), (-4, None), (2, None), (None, 3)]:
        assert store.get("empty", start, stop) == b""


@pytest.mark.parametrize("wanted", [(-2, 5), (0, -1)])
def test_a_range_from_both_ends_is_refused(store: Store, wanted: tuple[int, int]) -> None:
    store.put("five", BODY)
    with pytest.raises(ValueError):
        store.get("five", *wanted)


@pytest.mark.parametrize("wanted", [(None, None), (0, 2), (-2, None), (3, 3)])
def test_a_missing_object_is_an_error_for_every_range(store: Store, wanted: tuple[int | None, int | None]) -> None:
    store.put("there", BODY)
    for key in ("absent", "absent/deeper", "there-not"):
        with pytest.raises(MissingObjectError):
            store.get(key, *wanted)
        assert store.head(key) is None


def test_a_folder_is_not_an_object(store: Store) -> None:
    store.put("folder/object", BODY)
    assert store.head("folder") is None
    with pytest.raises(MissingObjectError):
        store.get("folder")


@pytest.mark.parametrize(
    "key",
    [
        *("", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\\b", "a\nb", "a\x00b", "a/\udcff"),
        *("x" * 256, "/".join(["x" * 100] * 11), ".tmp-1", "a/.tmp-2/b", ".compare-and-set"),
    ],
)
def test_a_key_that_could_lead_out_is_refused_by_every_method(store: Store, key: str) -> None:
    calls = [
        lambda: store.get(key),
        lambda: store.head(key),
        lambda: store.put(key, b""),
        lambda: store.put_if_unchanged(key, b"", None),
        lambda: store.copy(key, "a"),
        lambda: store.copy("a", key),
        lambda: store.delete(key),
        lambda: store.public_href(key),
    ]
    for call in calls:
        with pytest.raises(StoreError) as caught:
            call()
        assert caught.value.problems[0].code == "key-invalid"


@pytest.mark.parametrize("key", ["a b/ü+&%20=#?.json", "c/0.0", ".zattrs", "x" * 255])
def test_unusual_names_are_kept(store: Store, key: str) -> None:
    store.put(key, BODY)
    assert store.get(key) == BODY
    assert list(store.walk("")) == [key]


def test_writing_again_replaces_and_changes_the_etag(store: Store) -> None:
    store.put("item.json", b"old", immutable=False)
    before = store.head("item.json")
    store.put("item.json", b"new", immutable=False)
    assert store.get("item.json") == b"new"
    assert isinstance(before, ObjectInfo)
    assert before.etag != store.head("item.json").etag


def test_deleting_what_is_not_there_is_fine(store: Store) -> None:
    store.delete("never/was")
    store.put("a/b/c", BODY)
    store.delete("a/b/c")
    store.delete("a/b/c")
    assert store.head("a/b/c") is None
    store.put("a/b/c", b"again")
    assert store.get("a/b/c") == b"again"


def test_walk_is_sorted_by_key_and_stays_below_the_folder(store: Store) -> None:
    keys = ["p/a", "p/b/c", "p/b-1", "p/b.x", "p/bb/d", "p-1/x", "q/ü", "p2/a"]
    for key in keys:
        store.put(key, b"")
    assert list(store.walk("")) == sorted(keys)
    assert list(store.walk("p")) == list(store.walk("p/")) == sorted(key for key in keys if key.startswith("p/"))
    assert list(store.walk("nothing")) == []


def test_a_copy_outlives_its_source(store: Store) -> None:
    store.put("old/shard", BODY)
    store.put("new/shard", b"something else")
    store.copy("old/shard", "new/shard")
    store.copy("old/shard", "new/shard")
    store.delete("old/shard")
    assert store.get("new/shard") == BODY
    assert list(store.walk("")) == ["new/shard"]


def test_a_copy_is_not_changed_by_writing_its_source_again(store: Store) -> None:
    store.put("a", BODY)
    store.copy("a", "b")
    store.put("a", b"changed")
    assert store.get("b") == BODY


def test_copying_a_missing_object_is_an_error(store: Store) -> None:
    store.put("there", BODY)
    with pytest.raises(MissingObjectError):
        store.copy("absent", "target")
    assert store.head("target") is None


def test_compare_and_set_compares_the_content(store: Store) -> None:
    assert not store.put_if_unchanged("item", b"1", b"0")
    assert store.head("item") is None
    assert store.put_if_unchanged("item", b"1", None)
    assert not store.put_if_unchanged("item", b"2", None)
    assert not store.put_if_unchanged("item", b"2", b"0")
    assert store.get("item") == b"1"
    assert store.put_if_unchanged("item", b"2", b"1")
    assert store.get("item") == b"2"
    store.delete("item")
    assert not store.put_if_unchanged("item", b"3", b"2")
    assert store.put_if_unchanged("item", b"3", None)
    assert store.conditional
    assert list(store.walk("")) == ["item"]


@pytest.mark.parametrize("expected", [None, b"before"], ids=["create", "replace"])
def test_one_of_sixteen_writers_at_once_wins(store: Store, expected: bytes | None) -> None:
    assert store.conditional
    if expected is not None:
        store.put("contested", expected, immutable=False)
    start = threading.Barrier(16)

    def write(number: int) -> bool:
        start.wait()
        return store.put_if_unchanged("contested", b"writer %d" % number, expected)

    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(write, range(16)))
    assert sum(won) == 1
    assert store.get("contested") == b"writer %d" % won.index(True)


def test_no_update_of_other_processes_is_lost(store: Store) -> None:
    store.put("count", b"0 nobody", immutable=False)
    # The server takes a second or more to settle each contest.
    processes, turns = (2, 3) if store.url.startswith("s3:") else (4, 20)
    program = (
        "import os, pickle, sys\n"
        "store = pickle.load(sys.stdin.buffer)\n"
        f"for _ in range({turns}):\n"
        "    while True:\n"
        "        held = store.get('count')\n"
        "        if store.put_if_unchanged('count', b'%d %d' % (int(held.split()[0]) + 1, os.getpid()), held):\n"
        "            break\n"
    )
    children = [subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) for _ in range(processes)]
    for child in children:
        child.stdin.write(pickle.dumps(store))
        child.stdin.close()
    assert [child.wait(60) for child in children] == [0] * processes
    assert store.get("count").split()[0] == b"%d" % (processes * turns)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_connections_and_locks_of_its_own(store: Store) -> None:
    store.put("before", BODY)
    child = os.fork()
    if child == 0:
        fine = False
        try:
            fine = store.get("before") == BODY and store.put_if_unchanged("after", b"child", None)
            fine = fine and store.put_if_unchanged("after", b"again", b"child")
        finally:
            os._exit(0 if fine else 1)
    assert store.get("before") == BODY
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.get("after") == b"again"


def test_a_pickled_store_is_the_same_store(store: Store) -> None:
    store.put("a", BODY)
    other = pickle.loads(pickle.dumps(store))
    assert other == store
    assert hash(other) == hash(store)
    assert other.get("a") == BODY


def test_threads_share_a_store(store: Store) -> None:
    def work(number: int) -> bool:
        store.put(f"t/{number}", b"%d" % number * 1000)
        return store.get(f"t/{number}") == b"%d" % number * 1000

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(40)))
    assert len(list(store.walk("t"))) == 40


def test_a_store_opened_by_its_own_url_is_the_same(store: Store) -> None:
    store.put("a", BODY)
    assert open_store(store.url, getattr(store, "storage", None)).get("a") == BODY
