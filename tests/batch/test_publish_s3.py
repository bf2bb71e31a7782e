"""A cube on a real object store: signed writes, public reads by tools that are not ours."""

from __future__ import annotations

import json
import secrets
import urllib.request
import warnings

import numpy as np
import pystac
import pytest
import xarray as xr
import zarr.errors
from click.testing import CliRunner

import climate_impact_cube as cic
from batch import jobs
from batch.build import build
from batch.command import main
from batch.reporting import Reporter
from batch.spec import load_spec
from cube.catalogue import Cube
from cube.errors import StoreError
from cube.provenance import Provenance
from cube.stores import open_store
from tests.batch.toy import Toy, ToyOptions, expected

QUIET = Reporter(quiet=True)


@pytest.fixture
def spec_on_s3(tmp_path, s3_server, monkeypatch):
    monkeypatch.setitem(jobs.JOBS, "toy", Toy)
    monkeypatch.setitem(jobs.OPTIONS, "toy", ToyOptions)
    bucket = f"cube-{secrets.token_hex(4)}"

    def make(days=800, policy="aws"):
        (tmp_path / "cube.yaml").write_text(
            f"""
title: Toy cube on an object store
store: s3://{bucket}/public
storage: {{endpoint_url: "{s3_server.endpoint_url}", policy: {policy}}}
memory: 2 GiB
cluster: {{kind: local, workers: 0}}
products:
  rain: {{job: toy, collection: inputs, layout: {{segment: 1 years}}, days: {days}}}
  dry: {{job: metric, collection: metrics, metric: dry_days, input: rain, threshold: 4 mm d-1}}
"""
        )
        return load_spec(tmp_path / "cube.yaml", jobs.OPTIONS)

    return make


@pytest.fixture
def published(spec_on_s3, tmp_path):
    spec = spec_on_s3()
    result = CliRunner().invoke(main, ["init", "--spec", str(tmp_path / "cube.yaml")])
    assert result.exit_code == 0, result.output
    outcome = build(spec, spec.order(), QUIET)
    assert not outcome.failed
    return spec


def public_url(spec):
    return open_store(spec.store_location, spec.storage).public_href("catalog.json").removesuffix("/catalog.json")


def test_reader_without_credentials_or_our_code_sees_other_values(published):
    catalog = json.loads(urllib.request.urlopen(f"{public_url(published)}/catalog.json").read())
    assert catalog["type"] == "Catalog"
    items = list(pystac.Catalog.from_file(f"{public_url(published)}/catalog.json").get_items(recursive=True))
    assert {item.id for item in items} == {"rain", "dry"}
    rain = next(item for item in items if item.id == "rain")
    asset = rain.assets["time"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = xr.open_zarr(asset.get_absolute_href(), **asset.extra_fields["xarray:open_kwargs"])
        np.testing.assert_array_equal(found["pr"].values, expected(ToyOptions(days=800)))


def test_notebook_opens_another_cube_by_web_address_than_by_bucket(published, s3_server):
    by_web = cic.open(public_url(published))
    by_bucket = cic.open(published.store_location, {"endpoint_url": s3_server.endpoint_url, "anonymous": True})
    assert isinstance(by_web, Cube)
    assert sorted(by_web) == sorted(by_bucket) == ["dry", "rain"]
    for cube in (by_web, by_bucket):
        np.testing.assert_array_equal(cube["rain"]["pr"].values, expected(ToyOptions(days=800)))
    assert "1970-01-01" in repr(by_web)


def test_growth_on_an_object_store_copies_more_than_it_must(published, spec_on_s3):
    Toy.computed.clear()
    spec = spec_on_s3(days=900)
    outcome = build(spec, spec.order(), QUIET)
    assert Toy.computed == ["pr 732"]
    # Of the dry days just those of the year that is going on.
    made = {built.name: (built.computed, built.taken) for built in outcome.built}
    assert made == {"rain": (1, 2), "dry": (1, 1)}
    np.testing.assert_array_equal(cic.open(public_url(spec))["rain"]["pr"].values, expected(ToyOptions(days=900)))


def test_unchanged_build_writes_an_object(published):
    store = open_store(published.store_location, published.storage)
    before = {key: store.head(key) for key in store.walk("") if key != "lock"}
    outcome = build(published, published.order(), QUIET)
    assert outcome.current == ["rain", "dry"]
    assert {key: store.head(key) for key in store.walk("") if key != "lock"} == before


def test_deleted_object_reads_as_missing_values_to_us(published):
    store = open_store(published.store_location, published.storage)
    version = Cube(published.store_location, {"endpoint_url": published.storage.endpoint_url}).item("rain")[
        "properties"
    ]["version"]
    store.delete(f"inputs/rain/{version}/time.zarr/pr/c/1/0/0")
    with pytest.raises(zarr.errors.ChunkNotFoundError):
        cic.open(public_url(published))["rain"]["pr"].load()


def test_writer_without_the_right_secret_writes(spec_on_s3, published, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-right-one-at-all")
    spec = spec_on_s3(days=900)
    with pytest.raises(StoreError) as caught:
        build(spec, spec.order(), QUIET)
    assert "not-the-right-one" not in str(caught.value)


def test_data_that_may_not_be_passed_on_reach_a_public_store(spec_on_s3, published, monkeypatch):
    monkeypatch.setattr(Toy, "provenance", lambda self: Provenance("other", "no"))
    spec = spec_on_s3(days=900)
    outcome = build(spec, spec.order(), QUIET)
    assert outcome.failed["rain"].problems[0].code == "not-permitted"
    assert outcome.exit_code == 4
