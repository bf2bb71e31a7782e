"""A growing archive: the tail is made from the live version's proven shards and the new files, and equals a rebuild."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from batch.build import build
from batch.jobs import OPTIONS
from batch.plan import make_plan
from batch.reporting import Reporter
from batch.spec import load_spec
from cube.errors import IntegrityError
from cube.stores import open_store
from ingest import reading
from tests.batch.archive import rain, write_day

QUIET = Reporter(quiet=True)
SPEC = """
title: Growing
store: ./cube
memory: 1 GiB
cluster: {kind: local, workers: 0}
products:
  rain:
    job: ingest
    collection: inputs
    source: cf
    files: archive/*.nc
    layout: {segment: 1 years, maps: MAPS}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("CUBE_CACHE", str(tmp_path / "cache"))
    return Growing(tmp_path, monkeypatch)


class Growing:
    def __init__(self, folder, monkeypatch):
        self.folder, self.read_files = folder, set()
        real = reading.opened

        def counted(file):
            self.read_files.add(file.name)
            return real(file)

        monkeypatch.setattr(reading, "opened", counted)

    def write(self, days):
        for day in days:
            write_day(self.folder / "archive", day)

    def spec(self, maps=False):
        (self.folder / "cube.yaml").write_text(SPEC.replace("MAPS", str(maps).lower()))
        return load_spec(self.folder / "cube.yaml", OPTIONS)

    def build(self, *, maps=False, **options):
        self.read_files.clear()
        spec = self.spec(maps=maps)
        return build(spec, spec.order(), QUIET, **options)

    @property
    def root(self):
        item = self.folder / "cube/inputs/rain/rain.json"
        return item.parent / json.loads(item.read_text())["properties"]["version"]

    def values(self, layout="time"):
        return xr.open_zarr(self.root / f"{layout}.zarr")["pr"].values

    def objects(self):
        files = {str(p.relative_to(self.root)): p.read_bytes() for p in self.root.rglob("*") if p.is_file()}
        return {name: data for name, data in files.items() if not name.startswith("ledger/")}


def test_appended_version_differs_from_a_rebuild(project, tmp_path_factory):
    project.write(range(360))
    project.build()
    project.write(range(360, 370))
    outcome = project.build()
    assert {built.name: (built.computed, built.taken) for built in outcome.built}["rain"] == (2, 0)
    np.testing.assert_array_equal(project.values(), np.stack([rain(day) for day in range(370)]))
    appended = project.objects()
    (project.folder / "cube").rename(project.folder / "former")
    project.build()
    assert project.objects() == appended


def test_append_reads_the_history_again(project):
    project.write(range(40))
    project.build()
    assert len(project.read_files) == 40
    project.write(range(40, 43))
    project.build()
    assert sorted(project.read_files) == ["rain_20000210.nc", "rain_20000211.nc", "rain_20000212.nc"]
    np.testing.assert_array_equal(project.values(), np.stack([rain(day) for day in range(43)]))


def test_append_across_a_segment_reads_the_former_one(project):
    project.write(range(366))
    project.build()
    project.write(range(366, 370))
    outcome = project.build()
    assert {built.name: (built.computed, built.taken) for built in outcome.built}["rain"] == (1, 1)
    assert len(project.read_files) == 4


def test_changed_earlier_file_is_overlooked(project):
    project.write(range(40))
    project.build()
    write_day(project.folder / "archive", 7, values=rain(1007))
    project.write(range(40, 41))
    project.build()
    expected = np.stack([rain(1007 if day == 7 else day) for day in range(41)])
    np.testing.assert_array_equal(project.values(), expected)


def test_damaged_shard_is_carried_into_the_next_version(project):
    project.write(range(40))
    project.build()
    before = project.root
    shard = project.root / "time.zarr/pr/c/0/0/0"
    data = shard.read_bytes()
    shard.write_bytes(data[:50] + bytes([data[50] ^ 255]) + data[51:])
    project.write(range(40, 43))
    outcome = project.build()
    assert isinstance(outcome.failed["rain"], IntegrityError)
    assert outcome.exit_code == 6
    assert project.root == before


def test_plan_says_nothing_of_the_bytes_of_an_append(project):
    project.write(range(40))
    project.build()
    project.write(range(40, 43))
    spec = project.spec()
    plan = make_plan(spec, open_store(spec.store_location), spec.order())
    assert plan.products["rain"].reasons == {"inputs grew": 1}
    assert plan.products["rain"].bytes_computed == 43 * 35 * 4


def test_map_layout_is_behind_after_an_append(project):
    project.write(range(40))
    project.build(maps=True)
    project.write(range(40, 43))
    project.build(maps=True)
    np.testing.assert_array_equal(project.values("map"), np.stack([rain(day) for day in range(43)]))


def test_two_passes_differ_from_one(project, monkeypatch):
    project.write(range(40))
    project.build()
    one = project.objects()
    (project.folder / "cube").rename(project.folder / "former")
    from cube import rechunk

    real = rechunk.slab_memory
    # No slab fits, so that intermediate chunks are needed.
    monkeypatch.setattr(rechunk, "slab_memory", lambda source, window: real(source, window) + 10**12)
    project.build()
    assert project.objects() == one
    assert not list(project.folder.glob("cube/inputs/rain/*/tmp/**/*.array")), "intermediate chunks are left behind"


def test_arrivals_starve_a_build_that_was_killed(project, monkeypatch):
    project.write(range(40))
    with monkeypatch.context() as patch:
        patch.setattr("batch.making.publish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            project.build()
    project.write(range(40, 43))
    outcome = project.build()
    assert [(built.computed, built.resumed) for built in outcome.built if built.name == "rain"] == [(0, 1), (1, 0)]
    assert sorted(project.read_files) == ["rain_20000210.nc", "rain_20000211.nc", "rain_20000212.nc"]
    np.testing.assert_array_equal(project.values(), np.stack([rain(day) for day in range(43)]))


def test_staged_version_of_files_that_changed_is_finished(project, monkeypatch):
    project.write(range(40))
    with monkeypatch.context() as patch:
        patch.setattr("batch.making.publish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            project.build()
    write_day(project.folder / "archive", 7, values=rain(1007))
    outcome = project.build()
    assert len([built for built in outcome.built if built.name == "rain"]) == 1
    np.testing.assert_array_equal(project.values()[7], rain(1007))


def interrupted(*_):
    raise KeyboardInterrupt
