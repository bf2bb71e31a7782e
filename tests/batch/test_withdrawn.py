"""Products that leave the specification, and staged versions that may not be published."""

from __future__ import annotations

import json

import numpy as np
import pystac
import pytest

from batch import jobs
from batch.catalogue import undeclared
from cube.stores import open_store
from tests.batch.archive import rain
from tests.batch.test_append import Growing, interrupted
from tests.batch.test_build import Project
from tests.batch.toy import Toy


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.setitem(jobs.JOBS, "toy", Toy)
    return Project(tmp_path)


def listed(folder):
    catalogue = pystac.Catalog.from_file(str(folder / "cube/catalog.json"))
    return sorted(item.id for item in catalogue.get_items(recursive=True))


def test_product_that_left_the_specification_vanishes_from_the_catalogue(toy):
    toy.build()
    before = toy.files()
    outcome = toy.build(toy.spec(metric=False))
    assert outcome.undeclared == ["metrics/dry"]
    assert listed(toy.folder) == ["dry", "rain"]
    assert toy.files() == before, "nothing has changed, so nothing may be written"
    outcome = toy.build(toy.spec(metric=False), allow_retraction=True)
    assert outcome.undeclared == []
    assert listed(toy.folder) == ["rain"]
    assert (toy.folder / "cube/metrics/dry/dry.json").exists()


def test_damaged_catalogue_leads_out_of_the_store(toy):
    toy.build()
    catalog = toy.folder / "cube/catalog.json"
    value = json.loads(catalog.read_text())
    value["links"] += [
        {"rel": "child", "href": "../../etc/collection.json"},
        {"rel": "child", "href": "https://example.org/collection.json"},
        {"rel": "child"},
        7,
    ]
    catalog.write_text(json.dumps(value))
    spec = toy.spec()
    assert undeclared(spec, open_store(spec.store_location)) == []
    toy.build()
    assert listed(toy.folder) == ["dry", "rain"]


def test_staged_version_with_a_loss_keeps_out_what_has_arrived_since(tmp_path, monkeypatch):
    monkeypatch.setenv("CUBE_CACHE", str(tmp_path / "cache"))
    growing = Growing(tmp_path, monkeypatch)
    growing.write(range(40))
    growing.build()
    # A day without data is staged and killed; the day itself arrives before the next build.
    with monkeypatch.context() as patch:
        patch.setattr("batch.making.publish", interrupted)
        patch.setattr("batch.making.retractions", lambda *_: [])
        (tmp_path / "archive/rain_20000209.nc").rename(tmp_path / "late.nc")
        with pytest.raises(KeyboardInterrupt):
            growing.build(allow_retraction=True)
    (tmp_path / "late.nc").rename(tmp_path / "archive/rain_20000209.nc")
    growing.write(range(40, 43))
    outcome = growing.build()
    assert not outcome.failed
    np.testing.assert_array_equal(growing.values(), np.stack([rain(day) for day in range(43)]))
