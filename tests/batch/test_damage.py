"""Damage between a kill and the next build, and what must not be taken for a loss."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from batch import jobs
from cube import rechunk
from cube.errors import CubeError, IntegrityError, RefusedError
from cube.stores import open_store
from tests.batch.archive import rain, write_day
from tests.batch.test_append import Growing, interrupted
from tests.batch.test_build import Project
from tests.batch.toy import Toy, ToyOptions, expected


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.setitem(jobs.JOBS, "toy", Toy)
    return Project(tmp_path)


@pytest.fixture
def growing(tmp_path, monkeypatch):
    monkeypatch.setenv("CUBE_CACHE", str(tmp_path / "cache"))
    return Growing(tmp_path, monkeypatch)


def killed_before_publishing(project, monkeypatch, **options):
    with monkeypatch.context() as patch:
        patch.setattr("batch.making.publish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            project.build(project.spec(**options))
    return next((project.folder / "cube/inputs/rain").glob("*/ledger")).parent


@pytest.mark.parametrize("damage", ["flip", "delete", "mark-empty", "mark-garbage", "mark-without-objects"])
def test_damaged_staged_block_is_published(toy, monkeypatch, damage):
    staged = killed_before_publishing(toy, monkeypatch, metric=False)
    shard, mark = staged / "time.zarr/pr/c/1/0/0", staged / "ledger/time/pr/1.0.0.json"
    if damage == "flip":
        data = shard.read_bytes()
        shard.write_bytes(data[:60] + bytes([data[60] ^ 1]) + data[61:])
    elif damage == "delete":
        shard.unlink()
    elif damage == "mark-without-objects":
        mark.write_text(json.dumps({**json.loads(mark.read_text()), "objects": {}}))
        shard.unlink()
    else:
        mark.write_text("" if damage == "mark-empty" else "[1")
    outcome = toy.build(toy.spec(metric=False))
    assert not outcome.failed
    assert Toy.computed == ["pr 366"]
    np.testing.assert_array_equal(toy.open()["pr"].values, expected(ToyOptions(days=800)))


@pytest.fixture
def two_passes(monkeypatch):
    real = rechunk.slab_memory
    monkeypatch.setattr(rechunk, "slab_memory", lambda source, window: real(source, window) + 10**12)


@pytest.mark.parametrize("damage", ["gone", "flip"])
def test_lost_intermediate_array_stops_a_build_for_ever(growing, monkeypatch, two_passes, damage):
    growing.write(range(40))
    with monkeypatch.context() as patch:
        patch.setattr(rechunk.Gather, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            growing.build()
    array = next((growing.folder / "cube/inputs/rain").glob("*/tmp/**/*.array"))
    if damage == "gone":
        array.unlink()
    else:
        data = array.read_bytes()
        array.write_bytes(data[:-5] + bytes([data[-5] ^ 1]) + data[-4:])
        assert isinstance(growing.build().failed["rain"], IntegrityError)
    assert not growing.build().failed
    np.testing.assert_array_equal(growing.values(), np.stack([rain(day) for day in range(40)]))
    assert not list(growing.folder.glob("cube/inputs/rain/*/tmp/**/*.array"))


@pytest.mark.parametrize(("before", "after"), [("3 years", "1 years"), ("1 years", "3 years")])
def test_other_segment_is_taken_for_a_loss(toy, before, after):
    toy.build(toy.spec(layout=f"{{segment: {before}}}", metric=False))
    assert not toy.build(toy.spec(layout=f"{{segment: {after}}}", metric=False)).failed
    outcome = toy.build(toy.spec(layout=f"{{segment: {before}}}", metric=False, empty=[20]))
    assert isinstance(outcome.failed["rain"], RefusedError), "a lost day must be noticed whatever the segment"


def test_maps_vanish_without_a_word(toy):
    toy.build(toy.spec(layout="{segment: 1 years, maps: true}", metric=False))
    outcome = toy.build(toy.spec(metric=False))
    assert "map.zarr would be gone" in str(outcome.failed["rain"])


def test_area_that_moved_by_a_row_is_the_same_area(growing):
    growing.write(range(5))
    growing.build()
    for day in range(5):
        write_day(growing.folder / "archive", day, lat=(np.arange(5) * 0.5 + 10.5)[::-1])
    outcome = growing.build()
    assert "lat would span" in str(outcome.failed["rain"])


@pytest.mark.parametrize("name", ["rain.json", "state.json", "manifest.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", "5", "{}"])
def test_damaged_record_is_a_traceback(toy, name, content):
    toy.build(toy.spec(metric=False))
    folder = toy.folder / "cube/inputs/rain"
    path = folder / name if name != "manifest.json" else folder / toy.version() / name
    path.write_text(content)
    try:
        outcome = toy.build(toy.spec(metric=False))
    except CubeError as error:
        assert path.name in str(error)  # noqa: PT017  either way of telling will do
    else:
        assert path.name in str(outcome.failed["rain"])


def test_zombie_holds_the_lock_for_ever(tmp_path):
    from cube import lock

    code = (
        "import os, sys; from cube import lock, stores; "
        "lock.hold(lock.Place(stores.open_store(sys.argv[1]))).__enter__(); os._exit(0)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    deadline = time.monotonic() + 60
    while not (tmp_path / "lock").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with lock.hold(lock.Place(open_store(tmp_path))):
        pass
    process.wait()
