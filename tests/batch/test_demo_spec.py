"""The demo's specification over a tiny sample archive: values are the originals', on any number of workers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pyproj
import pytest
import xarray as xr

from batch.jobs import OPTIONS
from batch.spec import load_spec
from ingest.samples import LatLonGrid, SampleSettings, write_sample_archive

from .published import ROOT, Published, as_rates, assert_contiguous, assert_same, built_once, dates, files, original

pytestmark = pytest.mark.xdist_group("demo")

SPEC = ROOT / "examples" / "demo" / "cube.yaml"
TINY = SampleSettings(
    africa=LatLonGrid.africa(10.0),
    observation_years=(2003, 2004),
    tamsat_native_years=1,
    cru_ncep_years=2,
    haduk_years=1,
    historical_start=2004,
    scenario_end=2007,
    sif_months=1,
    smap_days=3,
)
ON_A_CLUSTER = ("smap-soil-moisture", "jules-observed-uk", "isimip-hadgem2-es-historical")

type Array = np.ndarray[Any, Any]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Published:
    def prepare(folder: Path) -> None:
        write_sample_archive(folder / "archive", TINY)
        text = without_emulator(SPEC.read_text())
        assert "store: ./cube\n" in text
        assert "cluster: local\n" in text
        (folder / "cube.yaml").write_text(text.replace("cluster: local\n", "cluster: {kind: local, workers: 0}\n"))

    return built_once(tmp_path_factory, "demo", prepare)


def without_emulator(text: str) -> str:
    """The emulator wants more years than are written here; tests/compute tries its chain."""
    before, start, rest = text.partition("  # The emulator in small")
    _, after, metrics = rest.partition("  dry-days-observed:")
    assert start
    assert after
    return f"{before}{after}{metrics}"


@pytest.fixture(scope="session")
def archive(demo: Published) -> Path:
    return demo.folder / "archive"


def stacked(paths: list[Path], name: str) -> Array:
    """A variable of daily files by netCDF4 alone, joined by file name, missing values as NaN, south to north."""
    days = []
    for path in paths:
        with netCDF4.Dataset(path) as nc:
            days.append(np.ma.filled(nc[name][:].astype("f8"), np.nan))
            descending = nc["lat"][0] > nc["lat"][-1]
    values = np.concatenate(days)
    return values[:, ::-1] if descending else values


def test_demo_publishes_less_than_it_declares(demo: Published) -> None:
    declared, whole = (set(load_spec(path, OPTIONS).products) for path in (demo.spec, SPEC))
    assert set(demo.items()) == declared
    assert len(declared) == 21
    assert {"column-observed", "emulator", "emulated-rcp85"} < whole - declared
    collections = {item.collection_id for item in demo.items().values()}
    assert collections == {"inputs", "jules", "metrics"}


def test_second_build_of_the_demo_writes(demo: Published) -> None:
    before = demo.stored()
    outcome = json.loads(demo.run("build", "--json").stdout)
    assert (outcome["built"], outcome["failed"]) == ([], {})
    assert demo.stored() == before


def test_bytes_of_tamsat_are_not_its_rain(demo: Published, archive: Path) -> None:
    found = demo.open("tamsat-rainfall").load()
    paths = files(archive, "tamsat/v3-native/2003/*/rfe*.nc")
    assert len(paths) == 365
    assert_same(found["pr"], stacked(paths, "rfe"))
    assert (dates(found["time"])[0], dates(found["time"])[-1]) == ((2003, 1, 1), (2003, 12, 31))
    assert_contiguous(found)
    xr.testing.assert_identical(found, demo.open("tamsat-rainfall", "map").load())
    newer = demo.open("tamsat-v31-rainfall").load()
    assert_same(newer["pr"], stacked(files(archive, "tamsat/v3.1/2004/*/rfe*.nc"), "rfe_filled"))


@pytest.mark.parametrize(
    ("product", "rain", "temperature"),
    [
        ("cru-ncep-meteorology", ("cru-ncep/*_rain_*", "Total_Precipitation"), ("cru-ncep/*_tair_*", "Temperature")),
        ("cru-jra-meteorology", ("cru-jra/*.pre.*", "pre"), ("cru-jra/*.tmp.*", "tmp")),
    ],
)
def test_six_hours_do_not_add_up_to_days(
    demo: Published, archive: Path, product: str, rain: tuple[str, str], temperature: tuple[str, str]
) -> None:
    found = demo.open(product).load()
    sixths = original(files(archive, rain[0]), rain[1]).astype("f8")
    sums = sixths.resample(time="1D").sum(skipna=False)
    np.testing.assert_allclose(found["pr"].values, sums.transpose("time", "lat", "lon").values, rtol=2e-7)
    means = original(files(archive, temperature[0]), temperature[1]).astype("f8").resample(time="1D").mean(skipna=False)
    np.testing.assert_allclose(found["tas"].values, means.transpose("time", "lat", "lon").values, rtol=2e-7)
    assert dates(found["time"]) == dates(sums["time"])
    assert found["time"].encoding["calendar"] == "noleap"
    assert found.sizes["time"] == 730
    assert int(found["pr"].isnull().sum()) > 0  # the sea
    assert (found["pr"].attrs["units"], found["tas"].attrs["units"]) == ("mm d-1", "K")


def test_references_of_the_demo_name_other_bytes(demo: Published, archive: Path) -> None:
    item = demo.item("cru-jra-temperature")
    href = item.assets["references"].get_absolute_href()
    assert href is not None
    text = Path(href).read_text()
    assert str(archive) not in text
    # Nobody serves the demo's archive: here its own files stand for the address.
    assert "https://data.example.org/cru-jra/" in text
    here = json.loads(text.replace("https://data.example.org/cru-jra/", f"{archive}/cru-jra/"))
    options = {"consolidated": False, "storage_options": {"fo": here, "remote_protocol": "file"}}
    with xr.open_dataset("reference://", engine="zarr", backend_kwargs=options) as by_reference:
        found = by_reference["tmp"].sortby(["lat", "lon"]).load()
    expected = original(files(archive, "cru-jra/*.tmp.*"), "tmp")
    assert_same(found, expected.values)
    assert_same(demo.open("cru-jra-temperature")["tas"].load(), expected.values)


def test_british_grid_is_mixed_up(demo: Published, archive: Path) -> None:
    found = demo.open("haduk-climate").load()
    for name, native, add in (("pr", "rainfall", 0.0), ("tasmax", "tasmax", 273.15), ("tasmin", "tasmin", 273.15)):
        expected = original(files(archive, f"haduk/{native}/*.nc"), native)
        assert_same(found[name], expected.values + add)
        assert dates(found["time"]) == dates(expected["time"])
    np.testing.assert_array_equal(found["y"].values, expected["projection_y_coordinate"].values)
    np.testing.assert_array_equal(found["x"].values, expected["projection_x_coordinate"].values)
    assert demo.item("haduk-climate").properties["proj:code"] == "EPSG:27700"
    assert found["pr"].attrs["day_begins"] == "09:00"


@pytest.mark.parametrize("scenario", ["historical", "rcp26", "rcp60", "rcp85"])
def test_scenarios_are_exchanged(demo: Published, archive: Path, scenario: str) -> None:
    found = demo.open(f"isimip-hadgem2-es-{scenario}").load()
    rain = original(files(archive, f"isimip2b/HadGEM2-ES/{scenario}/pr_*.nc4"), "pr")
    tas = original(files(archive, f"isimip2b/HadGEM2-ES/{scenario}/tas_*.nc4"), "tas")
    assert_same(found["pr"], as_rates(rain))
    assert_same(found["tas"], tas.values)
    assert dates(found["time"]) == dates(rain["time"])
    assert found["time"].encoding["calendar"] == "proleptic_gregorian"
    properties = demo.item(f"isimip-hadgem2-es-{scenario}").properties
    assert properties["isimip2b:climate_scenario"] == scenario
    assert properties["isimip2b:climate_forcing"] == "hadgem2-es"


def test_evening_or_doubtful_retrievals_are_published(demo: Published, archive: Path) -> None:
    found = demo.open("smap-soil-moisture").load()
    raw = demo.open("smap-soil-moisture", mask_and_scale=False)["retrieval_qual_flag"].load()
    rows, columns, cell = 406, 964, 36032.220840584
    y = (rows / 2 - 0.5 - np.arange(rows)) * cell
    x = (np.arange(columns) + 0.5 - columns / 2) * cell
    inside = np.ix_((y >= -4.5e6) & (y <= 4.8e6), (x >= -2e6) & (x <= 5.2e6))
    np.testing.assert_allclose(found["y"].values, y[(y >= -4.5e6) & (y <= 4.8e6)][::-1], atol=0.01)
    np.testing.assert_allclose(found["x"].values, x[(x >= -2e6) & (x <= 5.2e6)], atol=0.01)
    kept = 0
    for step, path in enumerate(files(archive, "smap/SPL3SMP/*.h5")):
        with h5py.File(path) as h5:
            morning = h5["Soil_Moisture_Retrieval_Data_AM"]
            moisture, flag = morning["soil_moisture"][:], morning["retrieval_qual_flag"][:]
        recommended = (moisture != -9999) & (flag & 1 == 0)
        assert (recommended != (moisture != -9999)).any()  # some are doubtful
        expected = np.where(recommended, moisture, np.nan)[inside][::-1]
        assert_same(found["soil_moisture"][step], expected)
        np.testing.assert_array_equal(raw[step].values, flag[inside][::-1])
        kept += int(np.isfinite(expected).sum())
    assert kept > 20
    assert dates(found["time"]) == [(2004, 8, day) for day in (1, 2, 3)]
    assert demo.item("smap-soil-moisture").properties["proj:code"] == "EPSG:6933"


def test_negative_fluorescence_is_clipped(demo: Published, archive: Path) -> None:
    (path,) = files(archive, "tropomi-sif/*.nc")
    found = demo.open("tropomi-sif").load()
    with xr.open_dataset(path) as dataset:
        expected = dataset[["sif", "dcSIF", "sif_err"]].sel(lat=slice(-36, 38), lon=slice(-19, 53)).load()
    for name in ("sif", "dcSIF", "sif_err"):
        assert_same(found[name], expected[name].values)
        assert found[name].attrs["units"] == "mW m-2 nm-1 sr-1"
    assert float(found["sif"].min()) < 0
    np.testing.assert_allclose(found["lat"].values, expected["lat"].values, atol=1e-9)
    assert dates(found["time"]) == dates(expected["time"])


def test_gridded_jules_loses_a_day_or_its_layers(demo: Published, archive: Path) -> None:
    found = demo.open("jules-observed-africa").load()
    parts = []
    for path in files(archive, "jules/africa/*.nc"):
        with xr.open_dataset(path) as dataset:
            parts.append(dataset.load())
    assert len(parts) == 2
    for name in ("smcl", "t_soil", "precip", "t1p5m_gb", "fsmc"):
        assert_same(found[name], np.concatenate([part[name].values for part in parts]))
    starts = np.concatenate([part["time_bounds"].values[:, 0] for part in parts])
    np.testing.assert_array_equal(found["time"].values, starts.astype("M8[D]"))
    np.testing.assert_allclose(found["depth_bnds"], [[0, 0.1], [0.1, 0.35], [0.35, 1], [1, 3]])
    np.testing.assert_allclose(found["lat"].values, parts[0]["latitude"].values[:, 0], atol=1e-4)


def test_land_points_are_scattered_to_wrong_cells(demo: Published, archive: Path) -> None:
    (path,) = files(archive, "jules/uk/*.nc")
    found = demo.open("jules-observed-uk").load()
    with xr.open_dataset(path) as dataset:
        land = dataset.load()
    to_metres = pyproj.Transformer.from_crs(4326, 27700, always_xy=True)
    x, y = to_metres.transform(land["longitude"].values.ravel(), land["latitude"].values.ravel())
    columns = [int(np.abs(found["x"].values - value).argmin()) for value in x]
    rows = [int(np.abs(found["y"].values - value).argmin()) for value in y]
    assert np.abs(found["x"].values[columns] - x).max() < 100
    assert np.abs(found["y"].values[rows] - y).max() < 100
    assert len(set(zip(rows, columns, strict=True))) == land.sizes["x"]
    for name in ("smcl", "t_soil", "precip", "t1p5m_gb"):
        expected = np.full(found[name].shape, np.nan)
        expected[..., rows, columns] = land[name].values[..., 0, :]
        assert_same(found[name], expected)
    assert dates(found["time"])[0] == (2004, 1, 1)
    assert dates(found["time"])[-1] == (2004, 12, 31)


def test_soil_of_several_files_is_not_one_product(demo: Published, archive: Path) -> None:
    found = demo.open("soil-texture-africa").load()
    assert set(found.data_vars) >= {"clay", "sand", "silt", "lai", "land_fraction"}
    for path in files(archive, "statics/africa/*.nc"):
        with xr.open_dataset(path) as dataset:
            for name in dataset.data_vars:
                assert_same(found[name], dataset[name].sortby(["lat", "lon"]).values)


def test_dry_days_of_the_demo_are_miscounted(demo: Published, archive: Path) -> None:
    rain = stacked(files(archive, "tamsat/v3-native/2003/*/rfe*.nc"), "rfe")
    expected = np.where(np.isnan(rain).any(axis=0), np.nan, (rain < 1).sum(axis=0))
    found = demo.open("dry-days-observed").load()
    np.testing.assert_array_equal(found["dry_days"].values, expected[None])
    assert np.isnan(expected).any()
    assert np.isfinite(expected).any()
    rain = as_rates(original(files(archive, "isimip2b/HadGEM2-ES/rcp85/pr_*.nc4"), "pr")).astype("f4")
    future = demo.open("dry-days-hadgem2-es-rcp85").load()
    for year, days in ((0, slice(0, 365)), (1, slice(365, 730))):
        part = rain[days]
        wanted = np.where(np.isnan(part).any(axis=0), np.nan, (part < 1).sum(axis=0))
        np.testing.assert_array_equal(future["dry_days"].values[year], wanted)


@pytest.mark.service
def test_number_of_workers_changes_a_byte(demo: Published, tmp_path: Path) -> None:
    text = SPEC.read_text().replace("cluster: local\n", "cluster: {kind: local, workers: 2}\n")
    (tmp_path / "cube.yaml").write_text(text.replace("archive/", f"{demo.folder}/archive/"))
    other = Published(tmp_path)
    result = other.run("build", *ON_A_CLUSTER)
    assert result.exit_code == 0, result.output
    assert set(other.items()) == set(ON_A_CLUSTER)
    for name, item in other.items().items():
        version = f"{item.collection_id}/{name}/{item.properties['version']}/"
        assert demo.item(name).properties["version"] == item.properties["version"]
        written, expected = (
            {key: sha for key, (_, _, sha) in each.stored().items() if key.startswith(version)}
            for each in (other, demo)
        )
        ledger = f"{version}ledger/"
        assert any(key.startswith(ledger) for key in written)
        assert {key: sha for key, sha in written.items() if not key.startswith(ledger)} == {
            key: sha for key, sha in expected.items() if not key.startswith(ledger)
        }
        assert len(written) > 10
