"""Aligned products as they are published: through the specification and the engine, read by plain xarray."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from batch import jobs
from batch.build import Outcome, build
from batch.reporting import Reporter
from batch.spec import load_spec
from compute.align.job import AlignJob
from tests.ingest.small_files import write

SPEC = """
title: Aligned
store: ./cube
cluster: {kind: local, workers: 0}
grids:
  here: {lat: [10.15, 10.85], lon: [30.15, 31.35], step: 0.1}
products:
  tas: {job: ingest, collection: inputs, source: cf, files: tas_*.nc, layout: {segment: 1 years}}
  tas-here:
    job: align
    collection: aligned
    input: tas
    variables: {tas: bilinear, hurs: conservative}
    grid: here
    calendar: noleap-to-standard
    coast: nearest
    layout: {segment: 1 years, maps: true}
"""


@pytest.fixture(autouse=True, scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUBE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setitem(jobs.JOBS, "align", AlignJob)
        patch.setitem(jobs.OPTIONS, "align", AlignJob.Options)
        yield


@pytest.fixture(scope="module")
def whole(registered: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cube that was built in one go."""
    folder = tmp_path_factory.mktemp("whole")
    for number in (2003, 2004):
        year(folder, number)
    built(folder, SPEC)
    return folder


def built(folder: Path, text: str) -> Outcome:
    (folder / "cube.yaml").write_text(text)
    spec = load_spec(folder / "cube.yaml", jobs.OPTIONS)
    outcome = build(spec, spec.order(), Reporter(quiet=True))
    assert not outcome.failed
    return outcome


def opened(folder: Path, product: str, layout: str = "time") -> xr.Dataset:
    place = folder / "cube" / "aligned" / product
    item = json.loads((place / f"{product}.json").read_text())
    return xr.open_zarr(place / item["assets"][layout]["href"]).load()


def year(folder: Path, number: int, days: int = 365) -> None:
    """A file of one year without a leap day."""
    random = np.random.default_rng(number)
    values = random.normal(290, 5, (days, 3, 4)).astype("f4")
    values[:, 2, 2:] = np.nan
    first = 365 * (number - 2001)
    write(
        folder / f"tas_{number}.nc",
        values,
        times=range(first, first + days),
        calendar="noleap",
        extra={"hurs": (("time", "lat", "lon"), values / 10, {"units": "%", "cell_methods": "time: mean"})},
    )


def test_growth_leaves_other_days_than_a_build_of_all(whole: Path, tmp_path: Path) -> None:
    year(tmp_path, 2003)
    year(tmp_path, 2004, 58)
    built(tmp_path, SPEC)
    assert opened(tmp_path, "tas-here").sizes["time"] == 365 + 58
    year(tmp_path, 2004)
    outcome = built(tmp_path, SPEC)
    # Of two segments the last one, of two variables and the marks of days; and the maps of that time.
    assert {each.name: each.taken > 0 for each in outcome.built} == {"tas": True, "tas-here": True}
    for layout in ("time", "map"):
        found, expected = opened(tmp_path, "tas-here", layout), opened(whole, "tas-here", layout)
        xr.testing.assert_identical(found, expected)
        assert set(found.data_vars) >= {"tas", "tas_filled", "hurs", "hurs_filled", "interpolated_day"}
    assert found.sizes["time"] == 365 + 366
    assert [str(day)[:10] for day in found["time"].values[found["interpolated_day"].values == 1]] == ["2004-02-29"]
    near = found["tas"].sel(time=["2004-02-28", "2004-03-01"]).mean("time")
    np.testing.assert_allclose(found["tas"].sel(time="2004-02-29").squeeze(), near, rtol=1e-6)


def test_published_values_differ_from_interpolation_of_the_files(whole: Path) -> None:
    found = opened(whole, "tas-here").isel(time=slice(0, 365))
    with xr.open_dataset(whole / "tas_2003.nc", decode_times=False) as file:
        expected = file["tas"].astype("f8").interp(lat=found["lat"].values, lon=found["lon"].values)
    inside = expected.notnull().values  # all four neighbours are known
    assert inside[0].sum() == 68
    np.testing.assert_allclose(found["tas"].values[inside], expected.values[inside], rtol=1e-6)
    assert not found["tas_filled"].values[inside].any()
    assert found["tas"].notnull().all()  # the corner without values is within one cell of some
    assert found["tas_filled"].any()


def test_attributes_are_lost_or_those_of_the_other_grid(whole: Path) -> None:
    found = opened(whole, "tas-here")
    tas, hurs = found["tas"].attrs, found["hurs"].attrs
    assert (tas["units"], tas["standard_name"]) == ("K", "air_temperature")
    assert tas["regridding"].startswith("bilinear: interpolated")
    assert "50 %" in tas["regridding"]
    assert "cell_methods" not in tas
    assert hurs["cell_methods"] == "time: mean area: mean"
    assert hurs["ancillary_variables"] == "hurs_filled interpolated_day"
    assert found["tas_filled"].attrs["flag_values"] == [0, 1]
    assert found["lat"].attrs["bounds"] == "lat_bnds"
    assert found["lon_bnds"].values[0].tolist() == pytest.approx([30.1, 30.2])
    item = json.loads((whole / "cube" / "aligned" / "tas-here" / "tas-here.json").read_text())
    assert item["bbox"] == pytest.approx([30.1, 10.1, 31.4, 10.9])


@pytest.mark.shared
def test_rain_of_the_satellite_is_another_on_the_coarse_grid(shared: Path, tmp_path: Path) -> None:
    path = shared / "data" / "tamsat-v3-daily-native" / "tamsat_sample.nc"
    text = f"""
title: Native
store: ./cube
cluster: {{kind: local, workers: 0}}
products:
  rain:
    job: ingest
    collection: inputs
    source: tamsat
    files: {path}
    area: {{lat: [-6, 12], lon: [10, 30]}}
  rain-coarse:
    job: align
    collection: aligned
    input: rain
    variables: {{pr: conservative}}
    grid: {{lat: [-4.875, 10.125], lon: [11.125, 28.875], step: 0.25}}
"""
    with xr.open_dataset(path, decode_times=False) as file:
        variable = file["rfe"].isel(time=0).sortby("lat").sel(lat=slice(-6, 12), lon=slice(10, 30)).load()
    built(tmp_path, text)
    found = opened(tmp_path, "rain-coarse")
    # Centres are rebuilt from the first and the step, as the file's single-precision numbers are not exact.
    lat = np.round(variable["lat"].values / 0.0375) * 0.0375
    lon = np.round(variable["lon"].values / 0.0375) * 0.0375
    north = shares(np.sin(np.radians(edges(found["lat"].values, 0.25))), np.sin(np.radians(edges(lat, 0.0375))))
    east = shares(edges(found["lon"].values, 0.25), edges(lon, 0.0375))
    known = variable.notnull().values
    area = north @ known @ east.T
    total = north @ np.where(known, variable.values, 0).astype("f8") @ east.T
    whole = north.sum(axis=1)[:, None] * east.sum(axis=1)[None]
    with np.errstate(invalid="ignore"):
        expected = np.where(area >= 0.5 * whole, total / area, np.nan)
    assert 0.5 < np.isfinite(expected).mean() <= 1
    np.testing.assert_allclose(found["pr"].values[0], expected, rtol=2e-5, atol=1e-6)


def edges(centre: np.ndarray, step: float) -> np.ndarray:
    return np.append(centre - step / 2, centre[-1] + step / 2)


def shares(targets: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Overlap of each target with each cell, both given by their edges."""
    high = np.minimum(targets[1:, None], cells[None, 1:]) - np.maximum(targets[:-1, None], cells[None, :-1])
    return np.clip(high, 0, None)
