"""Training data as they are published: sites, days, features and targets; and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from compute.sample.sites import chosen, classes
from cube.errors import InputError
from tests.compute import chain
from tests.compute.test_simulate_job import THICKNESS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CUBE_CACHE", str(tmp_path / "cache"))
    return tmp_path


def dates(sample: xr.Dataset, run: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Positions of a run's samples, and their dates."""
    own = np.flatnonzero(sample["run"].values == run)
    start = (sample["year"].values[own] - 1970).astype("datetime64[Y]").astype("datetime64[D]")
    return own, start + (sample["day_of_year"].values[own] - 1).astype("timedelta64[D]")


def test_sites_are_in_the_sea_or_twice(whole: Path) -> None:
    sample = chain.opened(whole)["training"]
    cells = sample["cell"].values
    assert len(set(cells)) == 16
    assert np.ravel_multi_index(chain.SEA, (5, 4)) not in cells
    lat, lon = np.meshgrid(chain.LATS, chain.LONS, indexing="ij")
    np.testing.assert_array_equal(sample["latitude"], lat.ravel()[cells])
    np.testing.assert_array_equal(sample["longitude"], lon.ravel()[cells])


@pytest.mark.parametrize("run", [0, 1])
def test_targets_are_of_another_day_or_cell(whole: Path, run: int) -> None:
    cube = chain.opened(whole)
    sample, soil = cube["training"], cube["soil"]
    simulated = cube[("column-historical", "column-future")[run]]
    own, days = dates(sample, run)
    assert np.unique((days - np.datetime64("1970-01-01")).astype(int) % 5).tolist() == [0]
    assert days[0] >= np.datetime64(("2002-01-01", "2006-01-01")[run])
    cells = sample["cell"].values
    at = {"lat": xr.DataArray(cells // 4, dims="site"), "lon": xr.DataArray(cells % 4, dims="site")}
    water = simulated["smcl"].sel(time=days).isel(at).transpose("depth", "site", "time").values.astype("f8")
    pores = soil["sm_sat"].isel(at).values.astype("f8")
    for layer, metres in enumerate(THICKNESS):
        expected = water[layer] / (1000 * metres * pores[:, None])
        np.testing.assert_allclose(sample[f"sat_{layer + 1}"][:, own], expected, rtol=1e-6)
    beta = simulated["fsmc"].sel(time=days).isel(at).isel(pft=0).transpose("site", "time")
    np.testing.assert_array_equal(sample["beta"][:, own], beta)


def test_memory_of_rain_starts_cold_in_the_scenario(whole: Path) -> None:
    sample = chain.opened(whole)["training"]
    rain = np.concatenate([chain.weather(run)[0] for run in ("historical", "future")]).astype("f8")
    rain = rain.reshape(len(rain), -1)[:, sample["cell"].values]
    # SCIENCE 3.2, written down once more: an exponential mean that starts at the mean of the first 365 days.
    memory = rain[:365].mean(axis=0)
    keep = np.exp(-1 / 320)
    found = []
    for day in rain:
        memory = keep * memory + (1 - keep) * day
        found.append(memory)
    for run, name in enumerate(("historical", "future")):
        own, days = dates(sample, run)
        at = (days - np.datetime64("2001-01-01")).astype(int)
        expected = np.array(found)[at].T
        np.testing.assert_allclose(sample["pr_memory_320d"][:, own], expected, rtol=1e-5, err_msg=name)


def test_mean_rain_is_that_of_another_period(whole: Path) -> None:
    cube = chain.opened(whole)
    days = int((np.datetime64("2005-01-01") - np.datetime64("2001-01-01")).astype(int))
    expected = chain.weather("historical")[0][:days].astype("f8").mean(axis=0)
    np.testing.assert_allclose(cube["rain-mean"]["pr_mean"], expected, rtol=1e-6)
    sample = cube["training"]
    mean = expected.ravel()[sample["cell"].values] * 365.25
    np.testing.assert_allclose(sample["pr_annual"], np.repeat(mean[:, None], sample.sizes["sample"], 1), rtol=1e-6)


def test_training_data_do_not_survive_netcdf(whole: Path, tmp_path: Path) -> None:
    sample = chain.opened(whole)["training"]
    sample.to_netcdf(tmp_path / "training.nc")
    with xr.open_dataset(tmp_path / "training.nc") as again:
        xr.testing.assert_identical(again.load(), sample.load())


def test_one_climate_gives_all_sites() -> None:
    rng = np.random.default_rng(3)
    rain, soil = rng.gamma(2, 2, 4000), rng.normal(6, 1, 4000)
    rain[:50] = np.nan
    of = classes(rain, soil)
    assert (of[:50] == -1).all()
    cells = chosen(of, 500, 1)
    assert (np.diff(cells) > 0).all()
    counts = np.bincount(of[cells], minlength=50)
    assert counts.tolist() == [10] * 50
    # every tenth of the rain gives a tenth of the sites
    edges = np.nanquantile(rain, np.linspace(0, 1, 11))
    shares = np.histogram(rain[cells], edges)[0]
    assert (abs(shares - 50) <= 2).all()
    assert not np.array_equal(cells, chosen(of, 500, 2))
    np.testing.assert_array_equal(cells, chosen(of, 500, 1))


def test_more_sites_than_cells_are_taken_twice() -> None:
    with pytest.raises(InputError, match="too-few-cells"):
        chosen(classes(np.arange(8.0), np.arange(8.0)), 9, 0)


MIXED = (
    chain.WEATHER
    + chain.LAND
    + """
  other: {job: soil, collection: land, texture: texture, lai: texture, pedotransfer: cosby1984}
"""
    + chain.COLUMN
    + chain.TRAINING.replace("    soil: soil", "    soil: other", 1)
)


def test_saturation_of_another_soil_is_trained_on(folder: Path) -> None:
    error = chain.built(chain.archive(folder), MIXED).failed["training"]
    assert {problem.code for problem in error.problems} == {"soil-mixed"}
    assert {problem.where for problem in error.problems} == {"column-historical", "column-future"}
