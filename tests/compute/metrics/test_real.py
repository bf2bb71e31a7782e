"""Metrics of real files: soil moisture of a climate model with a year of 360 days, rain of CHIRPS and TAMSAT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm, rankdata

import climate_impact_cube as cic
from compute.seasons.spells import dry_spells

pytestmark = pytest.mark.shared


def opened(paths: list[Path], **options: Any) -> xr.Dataset:
    parts = []
    for path in paths:
        with xr.open_dataset(path, **options) as part:
            parts.append(part.load())
    return xr.concat(parts, "time", data_vars="minimal", coords="minimal", compat="override").sortby("time")


@pytest.fixture(scope="module")
def soil(shared: Path) -> xr.DataArray:
    """HadGEM2-ES, upper soil layer, kg m-2, 2006 to 2098 in a calendar of 360 days."""
    coder = xr.coders.CFDatetimeCoder(use_cftime=True)
    paths = sorted((shared / "data" / "hadgem2es-rcp45-mrsos-daily").glob("*.nc"))
    water = opened(paths, decode_times=coder)["mrsos"]
    found = water.sel(time=slice("2006-01-01", "2098-12-30"))
    return found.assign_coords(time=found["time"].dt.floor("D"))


def test_index_of_a_climate_model_differs_from_scipy(soil: xr.DataArray) -> None:
    found = cic.metrics.ssmi(soil, reference=(2006, 2035))
    assert found.sizes["time"] == 93 * 12
    means = soil.values.reshape(93 * 12, 30, *soil.shape[1:]).mean(axis=1, dtype=float).astype(np.float32)
    past = means[: 30 * 12].reshape(30, 12, *soil.shape[1:])
    varies = np.ptp(past, axis=0) > 0
    for month in (0, 6):
        expected = norm.ppf((rankdata(past[:, month], axis=0) - 0.44) / 30.12)
        here = found["ssmi"].values[month:360:12]
        np.testing.assert_allclose(here[:, varies[month]], expected[:, varies[month]], atol=0.02)
    assert np.nanmax(np.abs(found["ssmi"])) < 2.1


def test_dry_soil_of_a_climate_model_is_miscounted(soil: xr.DataArray) -> None:
    found = cic.metrics.dry_days(soil, percentile=20, reference=(2006, 2035))
    limit = found["dry_threshold"].values
    for year in (0, 92):
        part = soil.values[year * 360 : (year + 1) * 360]
        known = np.isfinite(part).all(axis=0)
        here = found["dry_days"].values[year]
        np.testing.assert_array_equal(here[known], np.count_nonzero(part < limit, axis=0)[known])
        assert np.isnan(here[~known]).all()
    # A fifth of the reference's days are below its own 20th percentile, but where many days are equal.
    share = (found["dry_days"].isel(time=slice(0, 30)).mean("time") / 360).values
    assert 0.15 < share[soil.mean("time").values > 0].mean() < 0.21


def test_days_of_chirps_below_a_millimetre_are_miscounted(shared: Path) -> None:
    paths = sorted((shared / "data" / "chirps-nevada-daily").glob("*"))
    parts = []
    for path in paths:
        if path.suffix not in (".nc", ".nc4"):
            continue
        with xr.open_dataset(path) as part:
            parts.append(part.load())
    december = [part for part in parts if str(part["time"].values[0])[:7] == "2024-12" and part.sizes["time"] == 1]
    rain = np.concatenate([part[next(iter(part.data_vars))].values for part in december])
    assert len(rain) == 31
    found = dry_spells(rain.reshape(31, -1).astype(np.float32), [0], [31], 1.0)
    # The mean number of days below 1 mm that comes with the sample.
    assert found.days.mean() == pytest.approx(28.70833333, abs=1e-8)


def test_sea_of_tamsat_is_dry(shared: Path) -> None:
    (path,) = (shared / "data" / "tamsat-v3-daily-native").glob("*.nc")
    with xr.open_dataset(path) as file:
        rain = file["rfe"].values.reshape(1, -1).astype(np.float32)
    found = dry_spells(rain, [0], [1], 1.0)
    assert int(found.valid.sum()) == np.count_nonzero(~np.isnan(rain))
    assert int(found.days.sum()) == np.count_nonzero(rain == 0)
