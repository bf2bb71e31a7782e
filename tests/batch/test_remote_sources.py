"""Archives on an object store and on the web: equal values, nothing fetched twice, and no change unnoticed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import netCDF4
import numpy as np
import pystac
import pytest
import xarray as xr

from tests.s3_server import S3Server

from .published import Published, assert_contiguous, assert_same, dates, files, original
from .remote_cube import Remote, remote_cube, wire

pytestmark = [pytest.mark.shared, pytest.mark.s3, pytest.mark.xdist_group("remote-sources")]

LAST = "tas_day_EC-EARTH_historical_r1i1p1_20000101-20091130.nc"


@pytest.fixture(scope="module")
def data(shared: Path) -> Path:
    return shared / "data"


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server, data: Path) -> Iterator[Remote]:
    """Built once; tests that change the archive put it back."""
    with wire(s3_server.endpoint_url) as passing:
        made = remote_cube(tmp_path_factory.mktemp("remote"), s3_server, passing, data)
        exit_code, outcome = made.build()
        assert (exit_code, outcome["failed"]) == (0, {})
        made.first = list(passing.asked)
        yield made


def test_series_from_an_object_store_is_not_that_of_the_files(remote: Remote, data: Path) -> None:
    expected = original(files(data, "ecearth-historical-tas-daily/*.nc"), "tas")
    found = remote.open("from-s3").load()
    assert_same(found["tas"], expected.values)
    assert dates(found["time"]) == dates(expected["time"])
    assert_contiguous(found)
    assert remote.item("from-s3").assets["time"].get_absolute_href().startswith(remote.wire.url)


def test_series_from_the_web_is_not_that_of_the_files(remote: Remote, data: Path) -> None:
    expected = original(files(data, "chirps-nevada-daily/*.nc*"), "precip")
    found = remote.open("from-web").load()
    assert_same(found["precip"], expected.values)
    assert dates(found["time"]) == dates(expected["time"])


def test_maps_from_an_object_store_differ_from_those_from_disk(remote: Remote, data: Path) -> None:
    expected = original(files(data, "c3s-sm-daily-active-1991/*.nc"), "sm")
    by_wire, by_disk = remote.open("maps-from-s3").load(), remote.open("maps-from-disk").load()
    assert_same(by_wire["sm"], expected.values)
    xr.testing.assert_identical(by_wire["sm"].drop_attrs(), by_disk["sm"].drop_attrs())


def test_a_file_is_fetched_more_than_once(remote: Remote, data: Path) -> None:
    asked = [(method, path) for method, path, _ in remote.first if path.startswith(f"/{remote.archive}/")]
    for place, folder in (("ecearth", "ecearth-historical-tas-daily"), ("chirps", "chirps-nevada-daily")):
        for path in (data / folder).iterdir():
            assert asked.count(("GET", f"/{remote.archive}/{place}/{path.name}")) == 1, path.name


def test_unchanged_build_fetches_or_writes(remote: Remote) -> None:
    before = remote.stored()
    exit_code, outcome = remote.build()
    assert (exit_code, outcome["built"], outcome["failed"]) == (0, [], {})
    assert len(outcome["current"]) == 5
    reads = remote.wire.methods(remote.archive)
    assert reads.count("GET") == 2  # the two listings
    assert reads.count("HEAD") == 6 + 32 + 6
    assert set(reads) == {"GET", "HEAD"}
    assert set(remote.wire.methods(remote.bucket)) <= {"GET", "HEAD"}
    assert remote.stored() == before


def test_replaced_object_of_the_same_size_goes_unnoticed(remote: Remote, data: Path, tmp_path: Path) -> None:
    source = data / "ecearth-historical-tas-daily" / LAST
    changed = tmp_path / LAST
    shutil.copyfile(source, changed)
    with netCDF4.Dataset(changed, "r+") as nc:
        nc["tas"][-1, 0, 0] += 1
    assert changed.stat().st_size == source.stat().st_size
    version = remote.item("from-s3").properties["version"]
    remote.upload(f"ecearth/{LAST}", changed)
    exit_code, outcome = remote.build("from-s3")
    assert (exit_code, [each["name"] for each in outcome["built"]]) == (0, ["from-s3"])
    gets = [path for method, path, _ in remote.wire.asked if method == "GET" and path.endswith(".nc")]
    assert gets == [f"/{remote.archive}/ecearth/{LAST}"]
    assert remote.item("from-s3").properties["version"] != version
    expected = original(
        [*files(data, "ecearth-historical-tas-daily/*.nc")[:-1], changed],
        "tas",
    )
    assert_same(remote.open("from-s3")["tas"].load(), expected.values)
    remote.upload(f"ecearth/{LAST}", source)
    remote.build("from-s3")
    assert_same(
        remote.open("from-s3")["tas"].load(), original(files(data, "ecearth-historical-tas-daily/*.nc"), "tas").values
    )


def test_object_replaced_while_it_is_fetched_mixes_two_files(remote: Remote, data: Path, tmp_path: Path) -> None:
    source = data / "ecearth-historical-tas-daily" / LAST
    key, other = f"ecearth/{LAST}", tmp_path / LAST
    for change in (2, 3):
        shutil.copyfile(source, other)
        with netCDF4.Dataset(other, "r+") as nc:
            nc["tas"][-1, 0, 0] += change
        if change == 2:
            remote.upload(key, other)
    before = remote.item("from-s3").to_dict()
    remote.wire.after[f"/{remote.archive}/{key}"] = lambda: remote.upload(key, other)
    try:
        exit_code, outcome = remote.build("from-s3")
    finally:
        remote.upload(key, source)
    assert exit_code == 3
    (problem,) = outcome["failed"]["from-s3"]["problems"]
    assert (problem["code"], problem["where"]) == ("input-moved", LAST)
    assert remote.item("from-s3").to_dict() == before
    assert remote.build("from-s3")[1]["current"] == ["from-s3"]


def test_removed_last_object_shortens_the_published_period(remote: Remote, data: Path) -> None:
    before = remote.item("from-s3").to_dict()
    remote.client.delete_object(Bucket=remote.archive, Key=f"ecearth/{LAST}")
    try:
        exit_code, outcome = remote.build("from-s3")
    finally:
        remote.upload(f"ecearth/{LAST}", data / "ecearth-historical-tas-daily" / LAST)
    assert exit_code == 4
    problems = outcome["failed"]["from-s3"]["problems"]
    assert {problem["code"] for problem in problems} == {"retraction"}
    said = " ".join(problem["what"] for problem in problems)
    assert "1999-12-31" in said
    assert "2009-11-30" in said
    assert remote.item("from-s3").to_dict() == before


def test_removed_object_in_the_middle_leaves_a_hole(remote: Remote, data: Path) -> None:
    name = "tas_day_EC-EARTH_historical_r1i1p1_19700101-19791231.nc"
    remote.client.delete_object(Bucket=remote.archive, Key=f"ecearth/{name}")
    try:
        exit_code, outcome = remote.build("from-s3")
    finally:
        remote.upload(f"ecearth/{name}", data / "ecearth-historical-tas-daily" / name)
    assert exit_code == 3
    (problem,) = outcome["failed"]["from-s3"]["problems"]
    assert problem["code"] == "time-gap"
    assert "1970-01-01" in problem["what"]
    assert "1979-12-31" in problem["what"]


def test_removed_address_of_the_web_is_skipped(remote: Remote, data: Path) -> None:
    name = "CHIRPS25_2024-12_Nevada000012.nc4"
    remote.client.delete_object(Bucket=remote.archive, Key=f"chirps/{name}")
    try:
        exit_code, outcome = remote.build("from-web")
    finally:
        remote.upload(f"chirps/{name}", data / "chirps-nevada-daily" / name)
    assert exit_code == 3
    missing, hole = outcome["failed"]["from-web"]["problems"]
    assert (missing["code"], missing["where"]) == ("file-missing", name)
    assert hole["code"] == "time-gap"
    assert "2024-12-12" in hole["what"]
    assert remote.open("from-web").sizes["time"] == 62


def test_truncated_object_reads_as_zeros(remote: Remote, data: Path, tmp_path: Path) -> None:
    source = data / "ecearth-historical-tas-daily" / LAST
    cut = tmp_path / LAST
    cut.write_bytes(source.read_bytes()[:-1000])  # netCDF reads what is not there as zeros
    remote.upload(f"ecearth/{LAST}", cut)
    try:
        exit_code, outcome = remote.build("from-s3")
    finally:
        remote.upload(f"ecearth/{LAST}", source)
    assert exit_code == 3
    (problem,) = outcome["failed"]["from-s3"]["problems"]
    assert (problem["code"], problem["where"]) == ("file-unreadable", LAST)
    size = source.stat().st_size
    assert f"it ends after {size - 1000} of {size} bytes" in problem["what"]
    assert remote.open("from-s3").sizes["time"] == 21_884


def test_bucket_that_is_not_there_looks_like_an_empty_one(remote: Remote, tmp_path: Path) -> None:
    text = remote.local.spec.read_text().replace(f"s3://{remote.archive}/", "s3://nobody-made-this-bucket/")
    other = Published(tmp_path)
    other.spec.write_text(text)
    result = other.run("build", "from-s3")
    assert result.exit_code in (3, 5), result.output
    assert "nobody-made-this-bucket" in result.output


@pytest.mark.parametrize("product", ["maps-from-s3", "maps-from-disk"])
def test_published_references_lead_to_other_values(remote: Remote, data: Path, product: str) -> None:
    paths = files(data, "c3s-sm-daily-active-1991/*.nc")
    asset = remote.item(product).assets["references"]
    url = asset.get_absolute_href()
    assert url == f"{remote.wire.url}/{remote.bucket}/cube/{remote_path(remote, product)}/references.json"
    assert asset.roles == ["virtual"]
    remote.wire.asked.clear()
    with xr.open_dataset(url, engine="kerchunk", storage_options={"remote_protocol": "http"}) as found:
        assert found["sm"].shape == (6, 720, 1440)
        for step in (0, 5):
            with xr.open_dataset(paths[step]) as day:
                np.testing.assert_array_equal(found["sm"][step].values, day["sm"].values[0])
                np.testing.assert_array_equal(found["lat"].values, day["lat"].values)
                np.testing.assert_array_equal(found["time"].values[step], day["time"].values[0])
    ranges = [part for _, path, part in remote.wire.asked if path.startswith(f"/{remote.archive}/c3s/")]
    assert ranges
    assert all(ranges), "a whole file was asked for"


def remote_path(remote: Remote, product: str) -> str:
    item = remote.item(product)
    return f"{item.collection_id}/{product}/{item.properties['version']}"


def test_references_open_by_the_fields_of_their_asset_alone(remote: Remote, data: Path) -> None:
    asset = remote.item("maps-from-s3").assets["references"]
    options = asset.extra_fields["xarray:open_kwargs"]
    storage = asset.extra_fields["xarray:storage_options"]
    third = files(data, "c3s-sm-daily-active-1991/*.nc")[2]
    with (
        xr.open_dataset(asset.get_absolute_href(), **options, storage_options=storage) as found,
        xr.open_dataset(third) as day,
    ):
        np.testing.assert_array_equal(found["flag"][2].values, day["flag"].values[0])
    link = next(link for link in remote.item("maps-from-s3").links if link.rel == "via")
    assert link.href == f"{remote.wire.url}/{remote.archive}/c3s"


def test_references_that_are_of_no_use_are_left_out_in_silence(remote: Remote) -> None:
    item = remote.item("series-from-disk")
    assert "references" not in item.assets
    (reason, *_) = item.properties["cic:references_refused"]
    assert "mrsos is stored in chunks of 16 bytes" in reason
    manifest = pystac.StacIO.default().read_json(item.assets["manifest"].get_absolute_href())
    assert manifest["references"] == {"refused": item.properties["cic:references_refused"]}
    assert remote.open("series-from-disk").sizes["time"] == 33_870


def test_machine_of_the_builder_is_named_in_what_is_published(remote: Remote, data: Path) -> None:
    for key in remote.stored():
        if key.endswith((".json", ".parq")):
            content = remote.client.get_object(Bucket=remote.bucket, Key=key)["Body"].read()
            for secret in (str(data).encode(), str(remote.local.folder).encode(), b"AWS_", b"X-Amz-Signature"):
                assert secret not in content, key
