"""The benchmarks of reading, of unchanged builds and of appending: that they run, and what they count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import appending, reading, unchanged
from benchmarks.measure import Table
from benchmarks.readers import read
from benchmarks.scenario import PRODUCT, Scenario
from cube.stores import Storage, open_store
from cube.stores.s3_public import make_public


def column(table: Table, name: str) -> list[str]:
    return [row[table.columns.index(name)] for row in table.rows]


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    made = Scenario(tmp_path_factory.mktemp("reading") / "scenario-small", (2010, 2011), (40, 50), 0)
    made.prepare()
    return made


def test_reading_the_files_gives_other_numbers_than_the_cube(scenario: Scenario) -> None:
    # `run` refuses routes whose sums differ.
    table = reading.run(scenario.folder.parent, "small", 1)
    assert [row[0].partition(":")[0] for row in table.rows] == ["series, disk"] * 3
    assert column(table, "times ours")[0] == "1.00x"


def test_a_series_takes_more_than_two_requests_a_segment(scenario, s3_server) -> None:
    store = open_store(f"s3://{s3_server.bucket}", Storage(endpoint_url=s3_server.endpoint_url, policy="aws"))
    make_public(store)
    address = f"{s3_server.endpoint_url}/{s3_server.bucket}"
    reading._upload(s3_server, scenario.folder / "cube", "cube")
    lat, lon = scenario.place
    version = scenario.version.relative_to(scenario.folder)
    whole = read("zarr", {"href": f"{address}/{version}/time.zarr"}, {"lat": lat, "lon": lon})
    assert whole["loaded"][0] == 2
    for segment, count in ((1, 2), (5, 1), (10, 1)):
        folder, layout = scenario.column(segment)
        assert layout.groups[0].dims[0].blocks == count
        reading._upload(s3_server, folder, folder.name)
        found = read("zarr", {"href": f"{address}/{folder.name}"}, {"lat": lat, "lon": lon})
        assert found["loaded"][0] <= 2 * count
        assert found["sum"] == pytest.approx(whole["sum"], rel=1e-5)


def test_opening_a_product_asks_for_every_item(scenario, s3_server) -> None:
    store = open_store(f"s3://{s3_server.bucket}", Storage(endpoint_url=s3_server.endpoint_url, policy="aws"))
    make_public(store)
    reading._upload(s3_server, scenario.folder / "cube", "many")
    collection = scenario.folder / "cube/rain/collection.json"
    listed = json.loads(collection.read_text())
    item = next(link for link in listed["links"] if link["rel"] == "item")
    listed["links"] += [{**item, "href": f"./other-{n}/other-{n}.json"} for n in range(50)]
    s3_server.client().put_object(Bucket=s3_server.bucket, Key="many/rain/collection.json", Body=json.dumps(listed))
    lat, lon = scenario.place
    href = f"{s3_server.endpoint_url}/{s3_server.bucket}/many"
    found = read("cic", {"href": href, "product": PRODUCT}, {"lat": lat, "lon": lon})
    # Catalogue, collection, item, metadata; then what xarray reads of coordinates, time and its bounds more than once.
    assert found["opened"][0] <= 4 + 7
    assert found["loaded"][0] == 2


@pytest.mark.service
def test_unchanged_build_builds(tmp_path: Path) -> None:
    # A candidate that built something is refused.
    table = unchanged.run(tmp_path, "small", 1)
    assert table.rows[0][0].startswith("`cube build`")
    assert "12 products" in table.notes[1]


@pytest.mark.service
def test_append_counts_the_history(tmp_path: Path) -> None:
    (row,) = appending.run(tmp_path, "small", 1).rows
    found = dict(zip(appending.COLUMNS, row, strict=True))
    # Two years in segments of one: the second year's tail is taken from the live version, but for five days.
    whole = 100 * 38_000 * 365 * 4 / 1e9
    assert float(found["encoded GB"]) == pytest.approx(whole, rel=0.01)
    assert float(found["live GB"]) == pytest.approx(float(found["stored twice GB"]), rel=0.05)
    assert int(found["COPY"]) == 100


def test_longest_segment_exceeds_the_tail() -> None:
    assert appending.longest_segment(1900 * 2000) == 1
    assert appending.longest_segment(1900 * 2000 * 10) == 0
