"""Deleting old versions: what readers, builds and pins need stays whole, and a kill leaves nothing half alive."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time

import numpy as np
import pytest

from batch import collecting, jobs
from cube import disposal, lock, rechunk
from cube.errors import BusyError, Problem, SpecError, StoreError
from cube.lock import hold, place_of_lock
from cube.stores.directory import DirectoryStore
from cube.versions import TOMBSTONE, ProductPath
from tests.batch.archive import rain
from tests.batch.kept import LENGTHS, RAIN, Kept, Remote
from tests.batch.test_append import Growing, interrupted
from tests.batch.toy import Toy, ToyOptions, expected

DAY = 86400.0


def killed_before_publishing(kept, monkeypatch, **options):
    with monkeypatch.context() as patch:
        patch.setattr("batch.making.publish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            kept.build(kept.spec(metric=False, **options))
    return kept.state()["staged"]["version"]


def folders(kept):
    return {path.name for path in kept.rain.iterdir() if path.is_dir()}


def found(kept, **options):
    return [(each.version, each.why) for each in kept.collect(**options)]


def test_version_goes_before_its_time(three):
    first, second, last = three.versions
    three.age(29.9)
    before = three.tree()
    assert three.collect() == []
    assert three.tree() == before
    three.age(0.2)
    assert found(three) == [(first, "replaced")]
    assert folders(three) == {second, last}, "the last two stay whatever their age"
    assert three.state()["kept"] == [last, second]
    assert three.state()["abandoned"] == []
    three.assert_rain(1000)
    assert three.roll_back().version == second
    three.assert_rain(900)
    before = three.tree()
    assert three.collect() == []
    assert three.tree() == before


def test_numbers_of_the_command_are_not_heeded(three):
    first, second, last = three.versions
    assert json.loads(three.run("gc", "--json", "--days", "0", "--keep", "3").stdout)["found"] == []
    result = json.loads(three.run("gc", "--json", "--days", "0").stdout)
    assert [each["version"] for each in result["found"]] == [first]
    assert [
        each["version"] for each in json.loads(three.run("gc", "--json", "--days", "0", "--keep", "1").stdout)["found"]
    ] == [second]
    assert folders(three) == {last}
    three.assert_rain(1000)
    assert three.run("gc", "--keep", "0").exit_code == 2
    assert three.run("gc", "--days", "-1").exit_code == 2


def test_size_of_what_is_deleted_is_another(three):
    first = three.rain / three.versions[0]
    sizes = [path.stat().st_size for path in (first / "time.zarr").rglob("*") if path.is_file()]
    three.age(31)
    (each,) = json.loads(three.run("gc", "--json").stdout)["found"]
    assert each == {
        "product": "rain",
        "version": three.versions[0],
        "why": "replaced",
        "objects": len(sizes),
        "bytes": sum(sizes),
    }


@pytest.mark.parametrize("finished", [True, False])
def test_pinned_version_is_deleted(three, monkeypatch, finished):
    first, second, last = three.versions
    if finished:
        three.roll_back(first)
    else:
        with monkeypatch.context() as patch:
            patch.setattr("batch.rollback.publish", interrupted)
            with pytest.raises(KeyboardInterrupt):
                three.roll_back(first)
    three.age(400)
    assert found(three, keep=1, days=0) == [(each, "replaced") for each in ([last, second] if finished else [second])]
    assert folders(three) == ({first} if finished else {first, last})
    three.roll_back()
    three.assert_rain(800)


def test_staged_version_is_deleted(three, monkeypatch):
    staged = killed_before_publishing(three, monkeypatch, days=1500)
    three.age(400)
    assert found(three, keep=1, days=0) == [(three.versions[1], "replaced"), (three.versions[0], "replaced")]
    assert folders(three) == {three.versions[2], staged}
    outcome = three.build(three.spec(metric=False, days=1500))
    assert not Toy.computed
    assert [(built.version, built.resumed, built.computed) for built in outcome.built] == [(staged, 5, 0)]
    three.assert_rain(1500)


def test_killed_build_is_not_resumed_from_its_blocks(three, monkeypatch):
    three.build(three.spec(metric=False, days=1500, broken=1200))
    three.age(400)
    three.collect(keep=1, days=0)
    three.build(three.spec(metric=False, days=1500))
    assert Toy.computed == ["pr 1098", "pr 1464"]
    three.assert_rain(1500)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_intermediate_arrays_of_a_killed_build_are_deleted(tmp_path, monkeypatch, elsewhere):
    monkeypatch.setenv("CUBE_CACHE", str(tmp_path / "cache"))
    real = rechunk.slab_memory
    monkeypatch.setattr(rechunk, "slab_memory", lambda source, window: real(source, window) + 10**12)
    growing = Growing(tmp_path, monkeypatch)
    with_scratch(growing, monkeypatch, elsewhere)
    growing.write(range(40))
    with monkeypatch.context() as patch:
        patch.setattr(rechunk.Gather, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            growing.build()
    arrays = sorted(tmp_path.rglob("*.array"))
    assert arrays
    assert all((tmp_path / "scratch" in path.parents) == elsewhere for path in arrays)
    kept = Kept(tmp_path)
    assert kept.collect(days=0, keep=1) == []
    growing.build()
    assert not growing.read_files
    np.testing.assert_array_equal(growing.values(), np.stack([rain(day) for day in range(40)]))


def with_scratch(growing, monkeypatch, elsewhere=True):
    if elsewhere:
        cluster = "cluster: {kind: local, workers: 0, scratch: SCRATCH}".replace(
            "SCRATCH", str(growing.folder / "scratch")
        )
        text = "tests.batch.test_append.SPEC"
        from tests.batch import test_append

        monkeypatch.setattr(text, test_append.SPEC.replace("cluster: {kind: local, workers: 0}", cluster))


def leave_arrays(kept, version, *, scratch=None):
    """Intermediate arrays of a version, as a killed build leaves them."""
    from batch.making import scratchpad

    pad = scratchpad(kept.loaded(), kept.store(), RAIN.version(version))
    for part in range(3):
        pad.put(f"map/pr/{part}.array", np.zeros(2))


@pytest.mark.parametrize("elsewhere", [False, True])
def test_intermediate_arrays_of_nobody_stay(three, tmp_path_factory, elsewhere):
    scratch = tmp_path_factory.mktemp("scratch")
    three.spec(metric=False, days=1000)
    if elsewhere:
        share_scratch(three, scratch)
    last = three.versions[2]
    leave_arrays(three, last)
    if elsewhere:
        leave_arrays(three, "0123456789ab-7")  # of a version that is deleted
    wanted = [(version, "intermediate", 3) for version in (["0123456789ab-7", last] if elsewhere else [last])]
    for dry_run in (True, False):
        assert [(each.version, each.why, each.objects) for each in three.collect(dry_run=dry_run)] == wanted
    assert not list(scratch.rglob("*.array"))
    assert not list(three.rain.rglob("*.array"))
    three.assert_rain(1000)


def share_scratch(kept, scratch):
    path = kept.folder / "cube.yaml"
    path.write_text(path.read_text().replace("workers: 0}", f"workers: 0, scratch: {scratch}}}"))


def test_cube_deletes_the_intermediate_arrays_of_another(three, built, tmp_path_factory, monkeypatch):
    scratch = tmp_path_factory.mktemp("scratch")
    other = built.copied(tmp_path_factory.mktemp("other"), monkeypatch)
    for cube in (three, other):
        cube.spec(metric=False, days=1000)
        share_scratch(cube, scratch)
        leave_arrays(cube, cube.versions[2])
        pad = next(scratch.rglob("*.array")).parent / ".tmp-0011"
    assert len(list(scratch.rglob("*.array"))) == 6
    for path in [each.parent for each in scratch.rglob("0.array")]:
        pad = path / ".tmp-0011"
        pad.write_bytes(b"half")
        os.utime(pad, (time.time() - 2 * DAY,) * 2)
        os.utime(path, (time.time() - 2 * DAY,) * 2)
    assert sorted(each.why for each in three.collect(dry_run=True)) == ["intermediate", "unfinished"]
    three.collect()
    assert len(list(scratch.rglob("*.array"))) == 3
    assert found(other, dry_run=True)[0] == (other.versions[2], "intermediate")
    other.collect()
    assert not list(scratch.rglob("*.array"))


def test_intermediate_arrays_of_a_build_without_lock_are_deleted(three):
    three.spec(metric=False, days=1000)
    (three.rain / "0123456789ab-1/ledger").mkdir(parents=True)
    (three.rain / "0123456789ab-1/ledger/claim.json").write_text("{}")
    leave_arrays(three, "0123456789ab-1")
    assert three.collect(days=0, keep=3) == []
    assert len(list(three.rain.rglob("*.array"))) == 3


@pytest.mark.parametrize("days", [0, 30])
def test_unknown_folder_is_deleted_at_first_sight(three, days):
    unknown = three.rain / "0123456789ab-3"
    (unknown / "ledger").mkdir(parents=True)
    (unknown / "ledger/claim.json").write_text("{}")
    assert found(three, days=days, keep=3) == []
    assert three.state()["abandoned"] == [unknown.name]
    three.age(0.9)
    assert found(three, days=days, keep=3) == []
    three.age(0.2)
    assert found(three, days=days, keep=3) == [(unknown.name, "abandoned")]
    assert folders(three) == set(three.versions)
    assert three.state()["abandoned"] == []


def test_folders_of_others_are_deleted(three):
    names = ["notes", "0123456789ab", "0123456789AB-1", "0123456789abc-1", "x-1"]
    for name in names:
        (three.rain / name).mkdir()
        (three.rain / name / "data").write_text("mine")
    three.age(400)
    three.collect(keep=1, days=0)
    three.age(400)
    three.collect(keep=1, days=0)
    assert folders(three) == {three.versions[2], *names}


def test_abandoned_version_stays_or_goes_at_once(three, monkeypatch):
    abandoned = killed_before_publishing(three, monkeypatch, days=1500)
    (three.rain / abandoned / "manifest.json").unlink()  # killed before it was sealed
    three.build(three.spec(metric=False, days=1000, changed=[3, 400]))
    assert three.state()["abandoned"] == [abandoned]
    three.age(0.9)
    assert found(three, keep=9) == []
    three.age(0.2)
    assert found(three, keep=9) == [(abandoned, "abandoned")]
    three.assert_rain(1000, changed=(3, 400))


def test_lost_state_gives_published_versions_a_day(three):
    first, second, last = three.versions
    (three.rain / "state.json").unlink()
    assert three.collect() == []
    state = three.state()
    assert (state["kept"], sorted(state["abandoned"])) == ([last], sorted([first, second]))
    three.age(29)
    assert three.collect() == []
    three.build(three.spec(metric=False, days=1100))
    assert three.state()["kept"][1] == last
    three.age(2)
    assert sorted(found(three)) == sorted([(first, "abandoned"), (second, "abandoned")])
    three.build(three.spec(metric=False, days=1200))
    three.build(three.spec(metric=False, days=1300))
    three.age(20)
    assert three.collect() == [], "each was published, and is replaced for less than 30 days"
    three.assert_rain(1300)


def test_shards_that_versions_share_go_with_the_first(toy):
    toy.build(toy.spec(metric=False))
    toy.build(toy.spec(metric=False, days=900))
    shard = next(toy.rain.glob(f"{toy.version()}/time.zarr/pr/c/0/0/0"))
    assert shard.stat().st_nlink == 2
    toy.collect(keep=1, days=0)
    assert shard.stat().st_nlink == 1
    toy.assert_rain(900)


def test_reader_of_a_version_in_its_time_reads_other_values(three):
    first, second, _ = three.versions
    three.roll_back(first)
    reader = three.open()
    three.roll_back(three.versions[2])
    three.age(31)
    three.roll_back(second)  # now the last one was replaced a moment ago, and the first 31 days ago
    three.roll_back(first)
    three.release()
    three.build(three.spec(metric=False, days=1000, changed=[900]))
    reading, wrong = threading.Event(), []

    def read():
        while not reading.is_set():
            if not np.array_equal(reader["pr"].isel(lat=slice(2)).values, expected(ToyOptions(days=800))[:, :2]):
                wrong.append("values")

    thread = threading.Thread(target=read)
    thread.start()
    try:
        assert {each.version for each in three.collect(keep=1)} == set()
        three.age(29)
        three.collect(keep=1)
    finally:
        reading.set()
        thread.join()
    assert not wrong
    np.testing.assert_array_equal(reader["pr"].values, expected(ToyOptions(days=800)))


class Dying:
    """A process that is killed at its n-th change of the store; the lock's own are not counted."""

    def __init__(self, monkeypatch, at):
        self.changes, self.at = 0, at
        monkeypatch.setattr(disposal, "PARALLEL_REQUESTS", 1)
        for name in ("put", "put_if_unchanged", "delete", "copy"):
            monkeypatch.setattr(DirectoryStore, name, self.counted(getattr(DirectoryStore, name)))

    def counted(self, real):
        def call(store, key, *arguments, **options):
            if key == lock.KEY:
                return real(store, key, *arguments, **options)
            if self.changes == self.at:
                raise KeyboardInterrupt
            self.changes += 1
            return real(store, key, *arguments, **options)

        return call


def killed_at(kept, built, monkeypatch, at):
    """A fresh copy of the cube whose gc was killed at its `at`-th change; whether it was. One version can go."""
    shutil.rmtree(kept.folder / "cube")
    shutil.copytree(built.folder / "cube", kept.folder / "cube")
    kept.spec(metric=False, days=1000)
    kept.age(31)
    with monkeypatch.context() as patch:
        dying = Dying(patch, at)
        try:
            kept.collect()
        except KeyboardInterrupt:
            kept.assert_whole(RAIN)
            return True
    assert dying.changes <= at
    return False


def assert_finished(kept, gone):
    told = kept.collect(dry_run=True)
    assert kept.collect() == told
    assert gone not in folders(kept) | {*kept.state()["kept"], *kept.state()["abandoned"]}
    assert kept.collect() == []


def test_killed_gc_leaves_a_version_that_can_be_returned_to(three, built, monkeypatch):
    first, second, _ = three.versions
    at = 0
    while killed_at(three, built, monkeypatch, at):
        if at:  # only then anything was changed
            before = three.tree()
            with pytest.raises(SpecError):
                three.roll_back(first)
            assert three.tree() == before
        assert_finished(three, first)
        three.roll_back(second)
        three.assert_whole(RAIN)
        at += 1
    assert at > 15


def assert_same_is_made_again(kept, whole):
    """Just what is being deleted is wanted again: only its last block is not in the published version."""
    first = kept.versions[0]
    assert not kept.build(kept.spec(metric=False, days=800), allow_retraction=True).failed
    assert Toy.computed == ([] if whole else ["pr 732"])
    kept.assert_rain(800)
    assert not (kept.rain / kept.version() / TOMBSTONE).exists()
    if kept.version() == first:
        assert kept.collect()[0].version == kept.versions[1]
    else:
        assert_finished(kept, first)
    kept.assert_rain(800)
    kept.roll_back(kept.versions[2])
    kept.assert_rain(1000)


@pytest.mark.parametrize(
    "start", [0, 4, *(pytest.param(each, marks=pytest.mark.soak) for each in (1, 2, 3, 5, 6, 7, 8))]
)
def test_killed_gc_forbids_or_spoils_the_same_version(three, built, monkeypatch, start):
    at = start
    while killed_at(three, built, monkeypatch, at):
        assert_same_is_made_again(three, whole=at == 0)
        at += 9
    assert at > 9
    assert_same_is_made_again(three, whole=False)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Three versions of the rain and three of the metric."""
    with pytest.MonkeyPatch.context() as patch:
        pair = Kept.empty(tmp_path_factory.mktemp("pair"), patch)
        for days in LENGTHS:
            pair.spec(days=days)
            path = pair.folder / "cube.yaml"
            path.write_text(path.read_text().replace("4 mm", f"{days} mm"))
            pair.build(pair.loaded())
    return pair


@pytest.mark.parametrize("damage", ["state", "no time", "item", "no item", "old item", "manifest", "no manifest"])
def test_damaged_record_stops_gc_or_is_taken_for_an_order(pair, tmp_path, monkeypatch, damage):
    toy = pair.copied(tmp_path, monkeypatch)
    dry = ProductPath("metrics", "dry")
    toy.age(31)
    toy.age(31, dry)
    live = toy.rain / toy.version()
    if damage == "state":
        (toy.rain / "state.json").write_text("[1")
    elif damage == "no time":
        toy.change_state(left=dict.fromkeys(toy.state()["kept"], "yesterday"))
    elif damage == "item":
        (toy.rain / "rain.json").write_text("{}")
    elif damage == "no item":
        (toy.rain / "rain.json").unlink()
    elif damage == "old item":
        item = json.loads((toy.rain / "rain.json").read_text())
        item["properties"]["version"] = toy.state()["kept"][1]
        (toy.rain / "rain.json").write_text(json.dumps(item))
    elif damage == "manifest":
        (live / "manifest.json").write_text("{}")
    else:
        (live / "manifest.json").unlink()
    before = {name: value for name, value in toy.tree().items() if name.startswith("inputs/")}
    for arguments in ((), ("--dry-run",)):
        result = toy.run("gc", "--json", *arguments)
        assert result.exit_code == 6
        value = json.loads(result.stdout)
        assert list(value["failed"]) == ["rain"]
        if not arguments:
            assert {each["product"] for each in value["found"]} == {"dry"}
    assert "rain: left alone" in toy.run("gc").output
    assert {name: value for name, value in toy.tree().items() if name.startswith("inputs/")} == before


def clutter(kept, monkeypatch):
    """One of everything that gc deletes: what a dry run should find."""
    first = kept.versions[0]
    killed_before_publishing(kept, monkeypatch, days=1500)
    (kept.rain / kept.state()["staged"]["version"] / "manifest.json").unlink()
    kept.build(kept.spec(metric=False, days=1000, changed=[3, 400]))
    kept.age(31)
    leave_arrays(kept, first)
    leave_arrays(kept, kept.version())
    unknown = kept.rain / "0123456789ab-3"
    (unknown / "ledger").mkdir(parents=True)
    (unknown / "ledger/claim.json").write_text("{}")
    buried = kept.rain / "0123456789ab-4"
    buried.mkdir()
    (buried / TOMBSTONE).write_text("{}")
    for place, days in (("left", 2), ("young", 0.5)):
        folder = kept.folder / "cube/inputs" / place
        folder.mkdir()
        (folder / ".tmp-0011").write_bytes(b"half of it")
        os.utime(folder / ".tmp-0011", (time.time() - days * DAY,) * 2)
        os.utime(folder, (time.time() - days * DAY,) * 2)


def test_dry_run_writes_or_finds_something_else(three, monkeypatch):
    clutter(three, monkeypatch)
    # A build was killed between flip and state, so that the state is one version behind.
    state = three.state()
    three.build(three.spec(metric=False, days=1100))
    staged = {"version": three.version(), "fingerprint": "0" * 64, "frozen": {}}
    three.change_state(**{**state, "staged": staged})
    before, times = three.files(), {path: path.stat().st_mtime_ns for path in three.folder.rglob("*")}
    told = three.collect(dry_run=True)
    result = three.run("gc", "--dry-run", "--json")
    assert three.files() == before
    root = three.folder / "cube"
    # Asking the file system for its time leaves a trace on the root alone.
    assert {path: path.stat().st_mtime_ns for path in times if path != root} == {
        p: t for p, t in times.items() if p != root
    }
    assert set(three.folder.rglob("*")) == set(times)
    assert json.loads(result.stdout) == {"deleted": False, "failed": {}, "found": [vars(each) for each in told]}
    text = three.run("gc", "--dry-run").output
    assert f"{len(told)} would be deleted" in text
    assert all(each.version in text for each in told)
    assert sorted({each.why for each in told}) == [
        "abandoned",
        "half deleted",
        "intermediate",
        "replaced",
        "unfinished",
    ]
    changed, last, second, first = state["kept"]
    assert {each.version for each in told if each.why == "replaced"} == {last, second, first}
    assert three.collect() == told
    assert three.collect() == []
    assert {changed, three.version(), "0123456789ab-3"} == folders(three)
    three.assert_rain(1100)


def test_command_tells_nothing_of_what_it_deleted(three):
    three.age(31)
    text = three.run("gc").output
    assert "1 deleted" in text
    assert three.versions[0] in text
    assert "0 deleted" in three.run("gc").output


def test_gc_passes_a_build_at_work(three):
    three.age(31)
    before = three.tree()
    with hold(place_of_lock(three.store())):
        result = three.run("gc")
        assert result.exit_code == 7
        assert json.loads(three.run("gc", "--json").stdout)["exit_code"] == 7
        assert json.loads(three.run("gc", "--json", "--dry-run").stdout)["found"]
    assert three.tree() == before


@pytest.mark.parametrize("moment", ["begin", "end"])
def test_gc_that_lost_its_lock_overwrites_what_others_wrote(three, monkeypatch, moment):
    """A machine that slept in the middle of gc: others have taken the lock, and pinned the product, since."""
    first, second, _ = three.versions
    three.age(31)
    real = disposal.delete_all

    def slept(store, keys):
        if moment == "end":
            real(store, keys)
        (three.folder / "cube/lock").write_text(json.dumps({"token": "another"}))
        three.change_state(pin=second)
        if moment == "begin":
            real(store, keys)

    monkeypatch.setattr(disposal, "delete_all", slept)
    with pytest.raises(BusyError, match="lost"):
        three.collect()
    assert three.state()["pin"] == second
    monkeypatch.undo()
    monkeypatch.setitem(jobs.JOBS, "toy", Toy)
    (three.folder / "cube/lock").unlink()
    three.collect()
    assert folders(three) == set(three.versions) - {first}
    assert three.state()["pin"] == second


def test_unfinished_files_of_writers_at_work_are_deleted(three):
    young, old = three.rain / three.versions[2] / ".tmp-1", three.rain / three.versions[1] / ".tmp-2"
    for path, days in ((young, 0.9), (old, 1.1)):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - days * DAY,) * 2)
        os.utime(path.parent, (time.time() - days * DAY,) * 2)
    assert [(each.product, each.why, each.bytes) for each in three.collect(days=0, keep=3)] == [
        (f"inputs/rain/{three.versions[1]}/.tmp-2", "unfinished", 4)
    ]
    assert young.exists()
    assert not old.exists()


def test_product_that_is_not_built_or_not_declared_stops_gc(toy):
    toy.spec()
    assert toy.collect() == []
    for days in LENGTHS:
        toy.build(toy.spec(days=days))
    toy.age(31)
    path = toy.folder / "cube.yaml"
    path.write_text(path.read_text().replace("  rain:", "  other:").replace("input: rain", "input: other"))
    before = toy.tree()
    assert toy.collect() == []
    assert toy.tree() == before


@pytest.mark.parametrize("free", [0, 200, 3000])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_full_store_cannot_be_cleared(three, tmp_path_factory, monkeypatch, free, elsewhere):
    """A store whose quota is used up refuses all that is new, even the lock, and deletes one object at a time."""
    first, second, last = three.versions
    three.age(31)
    if elsewhere:
        path = three.folder / "cube.yaml"
        path.write_text(path.read_text() + f"\nlock: {tmp_path_factory.mktemp('locks')}\n")
    root = three.folder / "cube"

    def used():
        return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())

    quota, refused = used() + free, []

    def limited(name):
        real = getattr(DirectoryStore, name)

        def call(store, key, data, *arguments, **options):
            if store.root == root and used() + len(data) > quota:
                refused.append(key)
                raise StoreError(Problem("store-full", "the quota is used up", key))
            return real(store, key, data, *arguments, **options)

        monkeypatch.setattr(DirectoryStore, name, call)

    limited("put")
    limited("put_if_unchanged")
    result = three.run("gc", "--json")
    assert result.exit_code == 0, result.output
    assert bool(refused) == (free < 1000)
    assert [each["version"] for each in json.loads(result.stdout)["found"]] == [first]
    assert folders(three) == {second, last}
    assert three.state()["kept"] == [last, second]
    three.assert_rain(1000)
    quota = used()
    result = three.run("gc")
    assert result.exit_code == (0 if elsewhere else 5), "where nothing can go, it says that the store is full"


@pytest.mark.s3
def test_gc_on_an_object_store_leaves_or_takes_too_much(toy, s3_url, s3_server, monkeypatch):
    remote = Remote(toy.folder, s3_url, s3_server.endpoint_url)
    versions = []
    for days in LENGTHS:
        remote.build(remote.spec(days=days))
        versions.append(remote.version())
    reader = remote.open(versions[1])
    client = s3_server.client()
    bucket, _, prefix = s3_url.removeprefix("s3://").partition("/")
    target = {"Bucket": bucket, "Key": f"{prefix}/inputs/rain/{versions[2]}/time.zarr/pr/c/9/9/9"}
    upload = client.create_multipart_upload(**target)["UploadId"]
    client.upload_part(**target, UploadId=upload, PartNumber=1, Body=bytes(5 * 2**20))
    remote.age(31)
    before = remote.tree()
    assert json.loads(remote.run("gc", "--dry-run", "--json").stdout)["found"][0]["version"] == versions[0]
    assert remote.tree() == before
    assert [each.version for each in remote.collect()] == [versions[0]]
    assert {key.split("/")[2] for key in remote.tree() if "-1/" in key} == set(versions[1:])
    remote.assert_rain(1000)
    np.testing.assert_array_equal(reader["pr"].values, expected(ToyOptions(days=900)))
    # The upload was begun just now; a day later nobody is at work on it.
    assert client.list_parts(**target, UploadId=upload)["Parts"]
    monkeypatch.setattr(collecting, "ABANDONED_DAYS", -1.0)
    (each,) = remote.collect()
    assert (each.product, each.why, each.bytes) == (target["Key"].removeprefix(f"{prefix}/"), "unfinished", 5 * 2**20)
    assert not client.list_multipart_uploads(Bucket=bucket, Prefix=prefix).get("Uploads")
    assert remote.run("verify", "--deep").exit_code == 0


@pytest.mark.s3
def test_killed_gc_on_an_object_store_is_not_finished(toy, s3_url, s3_server, monkeypatch):
    remote = Remote(toy.folder, s3_url, s3_server.endpoint_url)
    for days in LENGTHS:
        remote.build(remote.spec(days=days))
    _, second, first = remote.state()["kept"]
    remote.age(31)
    store = type(remote.store())
    real, deleted = store.delete, []

    def dies(self, key):
        if len(deleted) == 7:
            raise KeyboardInterrupt
        deleted.append(key)
        real(self, key)

    with monkeypatch.context() as patch:
        patch.setattr(store, "delete", dies)
        with pytest.raises(KeyboardInterrupt):
            remote.collect()
    assert remote.run("rollback", "rain", "--to", first).exit_code == 2
    outcome = remote.build(remote.spec(days=800), allow_retraction=True)
    assert [(built.computed, built.taken) for built in outcome.built] == [(1, 2)]
    remote.assert_rain(800)
    assert found(remote) == [(second, "replaced"), (first, "half deleted")]
    assert not [key for key in remote.tree() if first in key]
    remote.assert_rain(800)
