"""The frame that every job shares: skip, resume, reuse, seal, publish, on a directory; the job itself is a toy."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from batch import jobs
from batch.build import build
from batch.plan import make_plan
from batch.reporting import Reporter
from batch.spec import load_spec
from cube import sealing, versions
from cube.errors import BusyError, RefusedError
from cube.stores import open_store
from tests.batch.toy import Toy, ToyOptions, expected

QUIET = Reporter(quiet=True)


class Project:
    """A specification with a toy product `rain` and a metric `dry` of it, and what they publish."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def spec(self, layout="{segment: 1 years}", metric=True, **options):
        given = ", ".join(f"{key}: {json.dumps(value)}" for key, value in {"days": 800, **options}.items())
        lines = [
            "title: Toy cube",
            "store: ./cube",
            "memory: 2 GiB",
            "cluster: {kind: local, workers: 0}",
            "products:",
            f"  rain: {{job: toy, collection: inputs, layout: {layout}, {given}}}",
        ]
        if metric:
            lines.append(
                "  dry: {job: metric, collection: metrics, metric: dry_days, input: rain, threshold: 4 mm d-1}"
            )
        (self.folder / "cube.yaml").write_text("\n".join(lines))
        return load_spec(self.folder / "cube.yaml", {name: job.Options for name, job in jobs.JOBS.items()})

    def build(self, spec=None, **options):
        spec = spec or self.spec()
        Toy.computed.clear()
        return build(spec, spec.order(), QUIET, **options)

    def open(self, product="rain", collection="inputs", layout="time"):
        item = json.loads((self.folder / "cube" / collection / product / f"{product}.json").read_text())
        href = item["assets"][layout]["href"]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return xr.open_zarr(self.folder / "cube" / collection / product / href)

    def files(self):
        root = self.folder / "cube"
        paths = [path for path in root.rglob("*") if path.is_file()]
        return {str(path.relative_to(root)): (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}

    def version(self, product="rain", collection="inputs"):
        item = json.loads((self.folder / "cube" / collection / product / f"{product}.json").read_text())
        return item["properties"]["version"]


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setitem(jobs.JOBS, "toy", Toy)
    return Project(tmp_path)


def test_published_values_differ_from_what_the_job_computed(project):
    outcome = project.build()
    assert [built.name for built in outcome.built] == ["rain", "dry"]
    found = project.open()
    np.testing.assert_array_equal(found["pr"].values, expected(ToyOptions(days=800)))
    assert str(found["time"].values[0])[:10] == "1970-01-01"
    assert str(found["time"].values[-1])[:10] == "1972-03-10"


def test_metric_differs_from_counting_with_xarray(project):
    project.build(project.spec(empty=[5, 6]))
    rain = project.open()["pr"].load()
    dry = project.open("dry", "metrics").load()
    counted = (rain < 4).groupby("time.year").sum()
    np.testing.assert_array_equal(dry["dry_days"], counted.isel(year=[0, 1]))
    np.testing.assert_array_equal(dry["valid_days"], rain.notnull().groupby("time.year").sum().isel(year=[0, 1]))
    assert dry.sizes["time"] == 2, "a year of which 70 days are known is no year"


def test_unchanged_build_writes_something(project):
    project.build()
    before = project.files()
    outcome = project.build()
    assert outcome.current == ["rain", "dry"]
    assert not outcome.built
    assert not Toy.computed
    assert project.files() == before


def test_growth_computes_more_than_the_tail(project):
    project.build()
    outcome = project.build(project.spec(days=900))
    assert Toy.computed == ["pr 732"]
    # Of the dry days just those of the year that is going on.
    made = {built.name: (built.computed, built.taken) for built in outcome.built}
    assert made == {"rain": (1, 2), "dry": (1, 1)}
    np.testing.assert_array_equal(project.open()["pr"].values, expected(ToyOptions(days=900)))


def test_changed_input_leaves_its_block_or_touches_another(project):
    project.build()
    project.build(project.spec(changed=[400]))
    assert Toy.computed == ["pr 366"]
    np.testing.assert_array_equal(project.open()["pr"].values, expected(ToyOptions(days=800, changed=(400,))))


def test_metadata_change_computes_blocks_again(project):
    project.build()
    first = project.version()
    spec = project.spec()
    product = spec.products["rain"].model_copy(update={"title": "Another title"})
    spec = spec.model_copy(update={"products": {**spec.products, "rain": product}})
    project.build(spec)
    assert not Toy.computed
    assert project.version() != first
    assert project.open().attrs["title"] == "Another title"


def test_failed_block_publishes_or_loses_finished_blocks(project):
    project.build()
    first = project.version()
    outcome = project.build(project.spec(days=1500, broken=1200))
    assert list(outcome.failed) == ["rain"]
    assert outcome.exit_code == 3
    assert project.version() == first
    project.build(project.spec(days=1500))
    assert Toy.computed == ["pr 1098", "pr 1464"], "blocks that were done before the failure are done"
    np.testing.assert_array_equal(project.open()["pr"].values, expected(ToyOptions(days=1500)))


def test_failed_product_stops_those_that_do_not_need_it(project):
    spec = project.spec()
    text = (project.folder / "cube.yaml").read_text()
    text += "\n  other: {job: toy, collection: inputs, days: 10}"
    text += "\n  bad: {job: toy, collection: inputs, days: 10, broken: 3}"
    (project.folder / "cube.yaml").write_text(text)
    spec = load_spec(project.folder / "cube.yaml", {name: job.Options for name, job in jobs.JOBS.items()})
    outcome = build(spec, spec.order(), QUIET)
    assert {built.name for built in outcome.built} == {"rain", "dry", "other"}
    assert list(outcome.failed) == ["bad"]
    assert not (project.folder / "cube/inputs/bad/bad.json").exists()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_end_between_flip_and_state_confuses_the_next_build(project, monkeypatch, moment):
    project.build()
    real = versions.write_state

    def dies(store, path, state):
        if state.staged is None and path.product == "rain":
            raise KeyboardInterrupt
        real(store, path, state)

    def dies_before(store, path, live, item, state):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if moment == "after":
            patch.setattr(versions, "write_state", dies)
        else:
            patch.setattr("batch.making.publish", dies_before)
        with pytest.raises(KeyboardInterrupt):
            project.build(project.spec(days=900))
    assert len(project.open()["time"]) == (900 if moment == "after" else 800)
    project.build(project.spec(days=900))
    assert not Toy.computed
    assert len(project.open()["time"]) == 900
    state = json.loads((project.folder / "cube/inputs/rain/state.json").read_text())
    assert state["staged"] is None
    assert state["kept"][0] == project.version()


def test_item_changed_since_the_plan_is_overwritten(project, monkeypatch):
    project.build()
    item = project.folder / "cube/inputs/rain/rain.json"
    real = sealing.seal

    def sealed(*args):
        item.write_text(item.read_text() + " ")
        return real(*args)

    monkeypatch.setattr("batch.making.seal", sealed)
    with pytest.raises(BusyError, match="superseded"):
        project.build(project.spec(days=900))
    assert len(project.open()["time"]) == 800


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"days": 700}, "end at"),
        ({"days": 700, "first": 100}, "start at"),
        ({"names": ["tas"]}, "variable pr"),
        ({"empty": [20]}, "values"),
    ],
)
def test_loss_for_readers_is_published(project, options, words):
    project.build(project.spec(metric=False))
    first = project.version()
    spec = project.spec(metric=False, **options)
    outcome = project.build(spec)
    assert isinstance(outcome.failed["rain"], RefusedError)
    assert words in str(outcome.failed["rain"])
    assert project.version() == first
    assert not project.build(spec, allow_retraction=True).failed
    assert project.version() != first


def test_plan_over_budget_is_begun(project):
    spec = project.spec(metric=False).model_copy(update={"memory": 100 * 2**20})
    outcome = project.build(spec)
    assert outcome.failed["rain"].problems[0].code == "over-budget"
    assert outcome.exit_code == 4
    assert not list((project.folder / "cube").glob("inputs/rain/*"))


def test_plan_gives_no_reason_for_a_stale_block(project):
    project.build()
    spec = project.spec(days=900, changed=[3])
    store = open_store(spec.store_location)
    plan = make_plan(spec, store, spec.order())
    assert plan.products["rain"].reasons == {"inputs changed": 1, "inputs grew": 1}
    assert plan.products["rain"].bytes_computed == (366 + 168) * 48 * 4
    assert plan.products["dry"].reasons == {"inputs changed": 2}


def test_maps_differ_from_the_series(project):
    spec = project.spec(layout="{segment: 1 years, maps: true}", metric=False)
    project.build(spec)
    np.testing.assert_array_equal(project.open(layout="map")["pr"].values, expected(ToyOptions(days=800)))
    project.build(project.spec(layout="{segment: 1 years, maps: true}", metric=False, days=850))
    np.testing.assert_array_equal(project.open(layout="map")["pr"].values, expected(ToyOptions(days=850)))


def test_versions_of_two_builds_differ_in_any_object(project, tmp_path_factory):
    project.build(project.spec(layout="{segment: 1 years, maps: true}"))
    other = Project(tmp_path_factory.mktemp("other"))
    other.build(other.spec(layout="{segment: 1 years, maps: true}", days=700))
    other.build(other.spec(layout="{segment: 1 years, maps: true}"))
    for product, collection in (("rain", "inputs"), ("dry", "metrics")):
        trees = []
        for each in (project, other):
            root = each.folder / "cube" / collection / product / each.version(product, collection)
            files = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
            trees.append({name: data for name, data in files.items() if not name.startswith("ledger/")})
        assert trees[0] == trees[1]


@pytest.mark.parametrize("damage", ["delete", "truncate", "flip"])
def test_damage_is_kept_by_repair(project, damage):
    project.build()
    root = project.folder / "cube/inputs/rain" / project.version()
    shard = root / "time.zarr/pr/c/0/0/0"
    data = shard.read_bytes()
    shard.unlink()
    if damage == "truncate":
        shard.write_bytes(data[:-20])
    elif damage == "flip":
        shard.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    outcome = project.build(project.spec(), repair=True)
    assert {built.name: (built.computed, built.taken) for built in outcome.built} == {"rain": (1, 2)}
    np.testing.assert_array_equal(project.open()["pr"].values, expected(ToyOptions(days=800)))


def test_lost_catalogue_stays_lost(project):
    project.build()
    wanted = project.files()
    (project.folder / "cube/catalog.json").unlink()
    (project.folder / "cube/inputs/collection.json").unlink()
    project.build()
    found = project.files()
    assert {name: data for name, (_, data) in found.items()} == {name: data for name, (_, data) in wanted.items()}


def test_lost_state_costs_the_published_version(project):
    project.build()
    (project.folder / "cube/inputs/rain/state.json").unlink()
    outcome = project.build()
    assert outcome.current == ["rain", "dry"]
    shutil.rmtree(project.folder / "cube/inputs/rain/")
    assert not project.build().failed


def test_machine_path_or_time_is_in_a_versioned_object(project):
    project.build()
    for name, (_, data) in project.files().items():
        if project.version() in name and "ledger" not in name:
            assert str(project.folder).encode() not in data
            assert b"created" not in data
