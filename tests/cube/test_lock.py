"""The writers' lock: one holder, nobody blocked for ever by a dead one, whatever the clocks say."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cube import lock
from cube.errors import BusyError, MissingObjectError, Problem, StoreError
from cube.stores import Storage, open_store, retry
from cube.stores.directory import DirectoryStore

HOLDER = """
import json, sys
from cube import lock
from cube.errors import BusyError
from cube.stores import Storage, open_store
from tests import shifted_clock
url, endpoint, folder, shift, boot, renew = json.loads(sys.argv[1])
if shift:
    shifted_clock.shift(shift)
lock.RENEW_SECONDS = renew
here = lock.machine()
lock.machine = lambda: boot or here
place = lock.place_of_lock(open_store(url, Storage(endpoint_url=endpoint) if endpoint else None), folder)
with lock.hold(place) as lease:
    print("held", flush=True)
    for line in sys.stdin:
        if line == "end\\n":
            break
        try:
            lease.check()
            print("ours", flush=True)
        except BusyError as error:
            print(error.problems[0].what, flush=True)
"""


class Holder:
    """A process of its own that holds a lock; `ask` lets it check its lease as before a write."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[2],
        )
        assert self.process.stdout.readline() == "held\n"

    def ask(self):
        self.process.stdin.write("check\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self):
        self.process.stdin.write("end\n")
        self.process.stdin.flush()
        assert self.process.wait(30) == 0

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def holder():
    """Starts a holder of a place: its wall clock is wrong by `shift` seconds, `boot` makes it another machine's."""
    made = []

    def start(place, cube=None, *, shift=0, boot=None, renew=10.0):
        store = cube or place.store
        endpoint = None if isinstance(store, DirectoryStore) else store.storage.endpoint_url
        folder = None if store == place.store else str(place.store.root)
        url = str(store.root) if isinstance(store, DirectoryStore) else store.url
        made.append(Holder(url, endpoint, folder, shift, boot, renew))
        return made[-1]

    yield start
    for each in made:
        each.kill()
        each.process.stdin.close()
        each.process.stdout.close()


@pytest.fixture
def on_s3(request):
    def make():
        server = request.getfixturevalue("s3_server")
        return open_store(request.getfixturevalue("s3_url"), Storage(endpoint_url=server.endpoint_url))

    return make


@pytest.fixture(params=["directory", "s3", "folder"])
def cube(request, tmp_path, on_s3):
    """A store, and the place of its lock."""
    if request.param == "s3":
        store = on_s3()
        return store, lock.place_of_lock(store)
    store = open_store(tmp_path / "cube")
    if request.param == "directory":
        return store, lock.place_of_lock(store)
    (tmp_path / "locks").mkdir()
    return store, lock.place_of_lock(store, str(tmp_path / "locks"))


@pytest.fixture
def place(cube):
    return cube[1]


@pytest.fixture
def here(tmp_path):
    """The place of a lock in a directory."""
    return lock.place_of_lock(open_store(tmp_path))


def content(place):
    return json.loads(place.store.get(place.key))


def put(place, **held):
    place.store.put(place.key, json.dumps(held).encode(), immutable=False)


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.service
def test_two_of_sixteen_hold_the_lock_at_once(place):
    start, inside, most, refused = threading.Barrier(16), [], [], []

    def build():
        start.wait()
        try:
            with lock.hold(place):
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
    with lock.hold(place):
        pass


def test_living_holder_of_this_machine_is_taken_over_or_not_named(place):
    with (
        lock.hold(place),
        pytest.raises(BusyError, match=f"process {os.getpid()} on {socket.gethostname()}"),
        lock.hold(place),
    ):
        pass


@pytest.mark.parametrize("cube", ["directory"], indirect=True)
@pytest.mark.parametrize("shift", [-420, 420])
def test_holder_with_another_clock_is_taken_over_or_blocks_when_it_died(cube, holder, shift):
    store, place = cube
    other = holder(place, store, shift=shift)
    with pytest.raises(BusyError, match=str(other.process.pid)), lock.hold(place):
        pass
    assert other.ask() == "ours"
    other.kill()
    waited = []
    with lock.hold(place, waited.append):
        pass
    assert not waited, "a process of this machine that was killed is known to be dead"


@pytest.mark.parametrize("cube", ["directory", "s3"], indirect=True)
@pytest.mark.parametrize("shift", [-420, 420])
def test_clock_of_another_machine_lets_its_lease_look_old_or_young(cube, holder, monkeypatch, shift):
    store, place = cube
    other = holder(place, store, shift=shift, boot="another boot pid:[1]", renew=0.1)
    waited = []
    with pytest.raises(BusyError, match=str(other.process.pid)), lock.hold(place, waited.append):
        pass
    other.kill()
    monkeypatch.setattr(lock, "LEASE_SECONDS", 1.0)
    with lock.hold(place, waited.append):
        assert content(place)["process"] == os.getpid()
    assert [each["process"] for each in waited] == [other.process.pid] * 2


def test_wall_clock_that_is_set_back_lets_the_holder_look_dead(here, monkeypatch):
    with lock.hold(here):
        for seconds in (-86400, 86400):
            with monkeypatch.context() as patch:
                wall = time.time() + seconds
                patch.setattr(time, "time", lambda wall=wall: wall)
                with pytest.raises(BusyError), lock.hold(here):
                    pass


@pytest.mark.parametrize("cube", ["directory", "s3"], indirect=True)
def test_stopped_holder_blocks_for_ever_or_writes_when_it_goes_on(cube, holder, monkeypatch):
    store, place = cube
    other = holder(place, store, renew=0.1)
    assert other.ask() == "ours"
    with pytest.raises(BusyError), lock.hold(place):
        pass
    other.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, other.process.pid, os.WSTOPPED | os.WNOWAIT)
    monkeypatch.setattr(lock, "LEASE_SECONDS", 1.0)
    waited = []
    with lock.hold(place, waited.append) as lease:
        assert waited[0]["process"] == other.process.pid
        other.process.send_signal(signal.SIGCONT)
        assert f"lost while this build was at work; it is held by process {os.getpid()}" in other.ask()
        other.end()
        lease.check()
    assert content(place) == {}


def test_holder_that_hangs_blocks_for_ever(here, holder, monkeypatch):
    monkeypatch.setattr(lock, "LEASE_SECONDS", 1.0)
    other = holder(here, renew=600)
    waited = []
    time.sleep(1.1)
    with lock.hold(here, waited.append):
        assert waited[0]["process"] == other.process.pid
        assert "lost" in other.ask()


def test_stopped_holder_that_goes_on_in_time_loses_its_lock(here, holder):
    other = holder(here, renew=0.1)
    other.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, other.process.pid, os.WSTOPPED | os.WNOWAIT)
    with pytest.raises(BusyError), lock.hold(here, lambda _: other.process.send_signal(signal.SIGCONT)):
        pass
    assert other.ask() == "ours"


def test_dead_holder_of_another_machine_is_not_waited_for(place, monkeypatch):
    monkeypatch.setattr(lock, "LEASE_SECONDS", 1.0)
    put(place, token="x", counter=1, host="elsewhere", process=1, started="2099-01-01T00:00:00Z")
    asked = []
    started = time.monotonic()
    with lock.hold(place, asked.append):
        assert time.monotonic() - started >= 1.0
    assert asked[0]["host"] == "elsewhere"


def test_holder_killed_in_another_container_of_the_same_name_is_judged_by_our_processes(here, monkeypatch):
    monkeypatch.setattr(lock, "LEASE_SECONDS", 0.5)
    with lock.hold(here):
        held = content(here)
    boot, space = held["machine"].split()
    asked = []
    for machine in (f"{boot} pid:[1]", f"another-boot {space}", None):
        put(here, **{**held, "machine": machine, "process": 2**22 + 1})
        with lock.hold(here, asked.append):
            pass
    assert len(asked) == 3, "no process of ours has this number, but the holder is none of ours"


def test_number_of_a_dead_holder_that_another_process_has_blocks(here):
    with lock.hold(here):
        held = content(here)
    put(here, **{**held, "process_started": held["process_started"] - 1})
    asked = []
    with lock.hold(here, asked.append):
        pass
    assert not asked


def test_zombie_blocks(here, holder):
    other = holder(here)
    other.process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, other.process.pid, os.WEXITED | os.WNOWAIT)
    asked = []
    with lock.hold(here, asked.append):
        pass
    assert not asked


def test_process_that_the_system_hides_looks_dead(here, monkeypatch):
    monkeypatch.setattr(lock, "RENEW_SECONDS", 0.1)
    with lock.hold(here):
        monkeypatch.setattr(lock, "find", lambda number: None)
        with pytest.raises(BusyError), lock.hold(here):
            pass


def test_system_without_proc_takes_over_a_living_holder_or_blocks_for_ever(here, monkeypatch):
    monkeypatch.setattr(lock, "machine", lambda: None)
    monkeypatch.setattr(lock, "find", lambda number: None)
    monkeypatch.setattr(lock, "RENEW_SECONDS", 0.1)
    with lock.hold(here):
        held = content(here)
        with pytest.raises(BusyError), lock.hold(here):
            pass
    monkeypatch.setattr(lock, "LEASE_SECONDS", 0.5)
    put(here, **held)
    with lock.hold(here):
        pass


def test_damaged_lock_blocks_for_ever(here, monkeypatch):
    monkeypatch.setattr(lock, "LEASE_SECONDS", 0.3)
    for raw in (b"", b"{", b"[1]", b"\xff", b'{"machine": 1, "process": "x"}'):
        here.store.put(here.key, raw, immutable=False)
        with lock.hold(here):
            pass


def test_living_holder_of_another_machine_is_taken_over(place, monkeypatch):
    monkeypatch.setattr(lock, "LEASE_SECONDS", 20.0)
    stop = threading.Event()

    def renew():
        counter = 0
        while not stop.wait(0.2):
            counter += 1
            put(place, token="x", counter=counter, host="elsewhere", process=1, started="1970-01-01T00:00:00Z")

    put(place, token="x", counter=0, host="elsewhere")
    thread = threading.Thread(target=renew)
    thread.start()
    try:
        with pytest.raises(BusyError, match="elsewhere"), lock.hold(place):
            pass
    finally:
        stop.set()
        thread.join()


def test_worker_writes_after_its_lock_was_taken(place):
    with lock.hold(place) as lease:
        lease = pickle.loads(pickle.dumps(lease))
        lease.check()
        put(place, token="another", host="elsewhere")
        with pytest.raises(BusyError, match="lost"):
            lease.check()
    assert content(place)["token"] == "another", "somebody else's lock must not be deleted"


def test_lease_that_is_renewed_goes_stale(place, monkeypatch):
    monkeypatch.setattr(lock, "RENEW_SECONDS", 0.1)
    with lock.hold(place):
        before = content(place)["counter"]
        wait_for(lambda: content(place)["counter"] > before)


class Faulty(DirectoryStore):
    """A directory whose writes may take effect and yet be answered wrongly, or which is away.

    answers  what `put_if_unchanged` answers after writing: "false", "error", or "last" where no other renewal follows
    """

    def __init__(self, root):
        super().__init__(root)
        self.answers = []
        self.away = False
        self.lost = threading.Event()

    def _fail(self):
        raise StoreError(Problem("store-unavailable", "away"))

    def get(self, key, start=None, stop=None):
        if self.away:
            self._fail()
        return super().get(key, start, stop)

    def put_if_unchanged(self, key, data, expected):
        if self.away:
            self._fail()
        done = super().put_if_unchanged(key, data, expected)
        if not self.answers:
            return done
        answer = self.answers.pop(0)
        if answer == "last":
            lock.RENEW_SECONDS = 600.0
        self.lost.set()
        if answer != "false":
            self._fail()
        return False


@pytest.mark.parametrize("answer", ["error", "false"])
def test_renewal_whose_answer_was_lost_loses_the_lock(tmp_path, monkeypatch, answer):
    monkeypatch.setattr(lock, "RENEW_SECONDS", 0.05)
    store = Faulty(tmp_path)
    with lock.hold(lock.Place(store)) as lease:
        store.answers.append(answer)
        assert store.lost.wait(60)
        before = content(lease.place)["counter"]
        wait_for(lambda: content(lease.place)["counter"] > before + 2)
        lease.check()
    assert content(lease.place) == {}


def test_lock_whose_last_renewal_was_not_answered_stays_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "RENEW_SECONDS", 0.05)
    store = Faulty(tmp_path)
    with lock.hold(lock.Place(store)) as lease:
        store.answers.append("last")
        assert store.lost.wait(60)
    assert content(lease.place) == {}


def test_lock_that_was_taken_with_a_lost_answer_is_held_by_nobody_we_know(tmp_path):
    store = Faulty(tmp_path)
    store.answers = ["false"]
    with lock.hold(lock.Place(store)) as lease:
        lease.check()


def test_check_while_the_store_is_away_succeeds(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "RENEW_SECONDS", 0.05)
    store = Faulty(tmp_path)
    with lock.hold(lock.Place(store)) as lease:
        store.away = True
        with pytest.raises(StoreError):
            lease.check()
        time.sleep(0.2)
        store.away = False
        before = content(lease.place)["counter"]
        wait_for(lambda: content(lease.place)["counter"] > before)
        lease.check()


def test_check_while_the_server_is_away_succeeds(monkeypatch):
    monkeypatch.setattr(retry, "CONTACT_SECONDS", 0.1)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobody")
        store = open_store("s3://bucket/prefix", Storage(endpoint_url=address))
        with pytest.raises(StoreError, match="store-unreachable") as caught:
            lock.Lease(lock.Place(store), "token").check()
        assert not isinstance(caught.value, MissingObjectError)


def test_store_that_went_away_hides_how_the_build_ended(tmp_path):
    store = Faulty(tmp_path)

    def build():
        with lock.hold(lock.Place(store)):
            store.away = True
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        build()
    store.away = False
    assert content(lock.Place(store))["process"] == os.getpid()


def test_lock_on_a_full_store_stays_taken(here, monkeypatch):
    def full(*_):
        raise StoreError(Problem("store-full", "full"))

    with lock.hold(here):
        monkeypatch.setattr(DirectoryStore, "put_if_unchanged", full)
    assert here.store.head(here.key) is None


def test_two_cubes_of_one_folder_exclude_each_other_or_one_cube_of_two_names_does_not(tmp_path, on_s3):
    locks = str(tmp_path)
    (tmp_path / "one").mkdir()
    (tmp_path / "same").symlink_to(tmp_path / "one")
    one, same, two = (lock.place_of_lock(open_store(tmp_path / name), locks) for name in ("one", "same", "two"))
    far = lock.place_of_lock(on_s3(), locks)
    assert len({one.key, same.key, two.key, far.key}) == 3
    with lock.hold(one), lock.hold(two), lock.hold(far), pytest.raises(BusyError), lock.hold(same):
        pass
    assert not (tmp_path / "one" / "lock").exists()


def test_folder_that_is_not_mounted_is_made(tmp_path):
    with pytest.raises(StoreError, match="lock-folder"):
        lock.place_of_lock(open_store(tmp_path), str(tmp_path / "absent"))
    assert list(tmp_path.iterdir()) == []


class Racing(DirectoryStore):
    """A store that compares and sets in two steps, and lets two writers pass between them."""

    def __init__(self, root, barrier):
        super().__init__(root)
        self.barrier = barrier

    @property
    def conditional(self):
        return False

    def put_if_unchanged(self, key, data, expected):
        if self._content(key) != expected:
            return False
        with contextlib.suppress(threading.BrokenBarrierError):
            self.barrier.wait(30)
        self.put(key, data)
        with contextlib.suppress(threading.BrokenBarrierError):
            self.barrier.wait(30)
        return True


def test_both_of_two_that_raced_for_a_lock_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "SETTLE_SECONDS", 0.1)
    barrier = threading.Barrier(2)
    place, held, refused, said = lock.Place(Racing(tmp_path, barrier)), [], [], []

    def build():
        try:
            with lock.hold(place, warn=said.append) as lease:
                barrier.abort()
                lease.check()
                held.append(lease.token)
        except BusyError:
            refused.append(1)

    threads = [threading.Thread(target=build) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(held) == 1 or not refused, "the second may only come when the first has ended"
    assert len(held) + len(refused) == 2
    assert "lock-not-atomic" in said[0]
    assert "last whole version wins" in said[0]


def test_lock_that_keeps_builds_apart_is_warned_of(place):
    with lock.hold(place, warn=pytest.fail):
        pass
