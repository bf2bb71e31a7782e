"""The writers' lock: one holder, nobody blocked for ever by a dead one, whatever the clocks say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from cube import lock
from cube.errors import BusyError
from cube.stores import open_store


@pytest.fixture(params=["directory", "s3"])
def store(request, tmp_path):
    if request.param == "directory":
        return open_store(tmp_path)
    server = request.getfixturevalue("s3_server")
    from cube.stores import Storage

    return open_store(request.getfixturevalue("s3_url"), Storage(endpoint_url=server.endpoint_url))


def test_two_of_sixteen_hold_the_lock_at_once(store):
    start, inside, most, refused = threading.Barrier(16), [], [], []

    def build():
        start.wait()
        try:
            with lock.hold(store):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.3)
                inside.pop()
        except BusyError:
            refused.append(1)

    threads = [threading.Thread(target=build) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert len(most) + len(refused) == 16
    assert refused
    with lock.hold(store):
        pass


def test_living_holder_of_this_machine_is_taken_over(store):
    with lock.hold(store), pytest.raises(BusyError, match=str(os.getpid())), lock.hold(store):
        pass


def test_holder_killed_hard_blocks_for_ever(tmp_path):
    code = (
        "import sys, time; from cube import lock; from cube.stores import open_store\n"
        "with lock.hold(open_store(sys.argv[1])):\n    print('held', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(BusyError), lock.hold(open_store(tmp_path)):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with lock.hold(open_store(tmp_path)):
        pass


def test_dead_holder_of_another_machine_is_waited_for_by_its_clock(store, monkeypatch):
    monkeypatch.setattr(lock, "LEASE_SECONDS", 1.0)
    held = {"token": "x", "counter": 1, "host": "elsewhere", "process": 1, "started": "2099-01-01T00:00:00Z"}
    store.put("lock", json.dumps(held).encode(), immutable=False)
    asked = []
    started = time.monotonic()
    with lock.hold(store, asked.append):
        assert time.monotonic() - started >= 1.0
    assert asked[0]["host"] == "elsewhere"


def test_living_holder_of_another_machine_is_taken_over(store, monkeypatch):
    monkeypatch.setattr(lock, "LEASE_SECONDS", 20.0)
    stop = threading.Event()

    def renew():
        counter = 0
        while not stop.wait(0.2):
            counter += 1
            value = {
                "token": "x",
                "counter": counter,
                "host": "elsewhere",
                "process": 1,
                "started": "1970-01-01T00:00:00Z",
            }
            store.put("lock", json.dumps(value).encode(), immutable=False)

    store.put("lock", json.dumps({"token": "x", "counter": 0, "host": "elsewhere"}).encode(), immutable=False)
    thread = threading.Thread(target=renew)
    thread.start()
    try:
        with pytest.raises(BusyError, match="elsewhere"), lock.hold(store):
            pass
    finally:
        stop.set()
        thread.join()


def test_worker_writes_after_its_lock_was_taken(store):
    with lock.hold(store) as lease:
        lease.check()
        store.put("lock", json.dumps({"token": "another", "host": "elsewhere"}).encode(), immutable=False)
        with pytest.raises(BusyError, match="lost"):
            lease.check()
    assert json.loads(store.get("lock"))["token"] == "another", "somebody else's lock must not be deleted"


def test_lease_that_is_renewed_goes_stale(store, monkeypatch):
    monkeypatch.setattr(lock, "RENEW_SECONDS", 0.1)
    with lock.hold(store):
        before = json.loads(store.get("lock"))["counter"]
        time.sleep(1.0)
        assert json.loads(store.get("lock"))["counter"] > before
