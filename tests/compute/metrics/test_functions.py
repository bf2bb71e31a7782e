"""Metrics in a notebook: the published numbers, on numpy and dask, and what xarray and scipy make of the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm, rankdata

import climate_impact_cube as cic
from compute.metrics.threshold_season import RULES
from cube.catalogue import Cube
from cube.errors import InputError
from tests.compute.metrics import toy

TEN = "reference: {product: %s, period: {start: 2001, end: 2010}}"
RAIN, BETA = TEN % "rain", TEN % "beta"
METRICS = {
    "dry-days": "metric: dry_days, input: rain, threshold: 1 mm d-1, spell: 7 d",
    "southern": "metric: dry_days, input: rain, threshold: 2 mm d-1, starts: 07-01, months: [OND, JFM]",
    "dry-soil": f"metric: dry_days, input: beta, percentile: 20, {BETA}",
    "wet-season": f"metric: wet_season, input: rain, {RAIN}",
    "thresholds": "metric: threshold_season, input: rain, rule: sivakumar_1988",
    "soil-season": f"metric: soil_season, input: beta, threshold: 40 %, run: 8 d, {BETA}",
    "wrsi": f"metric: wrsi, input: beta, months: [MAM, JJAS], {BETA}",
    "wrsi-seasons": f"metric: wrsi, input: beta, seasons: wet-season, {BETA}",
    "ssmi": f"metric: ssmi, input: beta, {BETA}",
}
PRODUCTS = "".join(f"  {name}: {{job: metric, collection: metrics, {options}}}\n" for name, options in METRICS.items())
PERIOD = (2001, 2010)

CALLS: dict[str, Callable[[xr.DataArray, xr.DataArray], xr.Dataset]] = {
    "dry-days": lambda rain, beta: cic.metrics.dry_days(rain, "1 mm d-1", spell="7 d"),
    "southern": lambda rain, beta: cic.metrics.dry_days(rain, "2 mm d-1", starts="07-01", months=["OND", "JFM"]),
    "dry-soil": lambda rain, beta: cic.metrics.dry_days(beta, percentile=20, reference=PERIOD),
    "wet-season": lambda rain, beta: cic.metrics.wet_season(rain, reference=PERIOD),
    "thresholds": lambda rain, beta: cic.metrics.threshold_season(rain, "sivakumar_1988"),
    "soil-season": lambda rain, beta: cic.metrics.soil_season(beta, reference=PERIOD, threshold="40 %", run="8 d"),
    "wrsi": lambda rain, beta: cic.metrics.wrsi(beta, reference=PERIOD, months=["MAM", "JJAS"]),
    "ssmi": lambda rain, beta: cic.metrics.ssmi(beta, reference=PERIOD),
}


@pytest.fixture(scope="module")
def cube(tmp_path_factory: pytest.TempPathFactory) -> Cube:
    folder = tmp_path_factory.mktemp("metrics")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUBE_CACHE", str(folder / "cache"))
        toy.archive(folder, "standard")
        # The last year is not whole.
        for name, days in (("rain", 250), ("beta", 250)):
            with xr.open_dataset(folder / f"{name}-2014.nc") as last:
                cut = last.isel(time=slice(0, days)).load()
            cut.to_netcdf(folder / f"{name}-2014.nc")
        outcome = toy.built(folder, PRODUCTS)
    assert not outcome.failed, outcome.failed
    return toy.opened(folder)


def arrays(cube: Cube) -> tuple[xr.DataArray, xr.DataArray]:
    return cube["rain"]["pr"].load(), cube["beta"]["fsmc"].load()


@pytest.mark.parametrize("chunked", [False, True], ids=["numpy", "dask"])
@pytest.mark.parametrize("name", CALLS)
def test_notebook_has_other_numbers_than_the_cube(cube: Cube, name: str, chunked: bool) -> None:
    given = arrays(cube)
    if chunked:
        given = tuple(each.chunk(time=500, lat=1, lon=2) for each in given)  # type: ignore[assignment]
    found, published = CALLS[name](*given), cube[name].load()
    if chunked:
        assert all(each.chunks is not None for each in found.data_vars.values())
    names = {str(each) for each in published.data_vars if not str(each).endswith("_bnds")}
    assert names == {str(each) for each in found.data_vars}
    for each in names:
        expected = published[each].transpose(*found[each].dims)
        np.testing.assert_array_equal(found[each].values, expected.values, err_msg=each)
    if "time" in published.dims:
        assert (found["time"].values == published["time"].values).all()


def test_one_place_has_other_numbers_than_its_cell(cube: Cube) -> None:
    rain, _ = arrays(cube)
    alone = cic.metrics.wet_season(rain.isel(lat=1, lon=2), reference=PERIOD)
    published = cube["wet-season"].isel(lat=1, lon=2).load()
    for name in ("onset", "cessation", "onset_spread", "rain_daily", "provisional_onset"):
        np.testing.assert_array_equal(alone[name].values, published[name].values)


def test_index_differs_from_scipy(cube: Cube) -> None:
    _, beta = arrays(cube)
    means = beta.resample(time="MS").mean(skipna=False).isel(time=slice(0, 13 * 12 + 8))
    found = cube["ssmi"].load()
    assert found.sizes["time"] == means.sizes["time"]
    inside = means.isel(time=slice(0, 120)).values
    for month in range(12):
        part = inside[month::12]
        expected = norm.ppf((rankdata(part, axis=0) - 0.44) / 10.12)
        known = np.isfinite(part).all(axis=0) & (np.ptp(part, axis=0) > 0)
        np.testing.assert_allclose(
            found["ssmi"].values[month:120:12][:, known], expected[:, known], rtol=1e-3, atol=1e-4
        )


def test_days_below_a_percentile_differ_from_numpy(cube: Cube) -> None:
    _, beta = arrays(cube)
    whole = beta.sel(time=slice("2001", "2010"))
    plain = whole.values[~((whole.time.dt.month == 2) & (whole.time.dt.day == 29)).values]
    table = plain.reshape(10, 365, *plain.shape[1:])
    found = cube["dry-soil"].load()
    for day in (0, 58, 200, 364):
        pool = table[:, [(day + step) % 365 for step in range(-15, 16)]].reshape(-1, *plain.shape[1:])
        np.testing.assert_allclose(found["dry_threshold"].values[day], np.percentile(pool, 20, axis=0), rtol=1e-5)
    limit = found["dry_threshold"].values
    year = beta.sel(time="2004")
    places = np.r_[np.arange(59), 58, np.arange(59, 365)]
    expected = np.count_nonzero(year.values < limit[places], axis=0)
    known = np.isfinite(year.values).all(axis=0)
    np.testing.assert_array_equal(found["dry_days"].sel(time="2004").values[0][known], expected[known])


def test_season_mean_is_of_other_days(cube: Cube) -> None:
    _, beta = arrays(cube)
    found = cube["wrsi"].load()
    means = xr.concat(
        [
            beta.sel(time=beta.time.dt.month.isin(months)).resample(time="YS").mean()
            for months in ((3, 4, 5), (6, 7, 8, 9))
        ],
        "months",
    ).isel(time=slice(0, 13))
    np.testing.assert_allclose(found["beta"].values, means.transpose("time", "months", ...), rtol=1e-5)
    reference = means.isel(time=slice(0, 10)).mean("time")
    np.testing.assert_allclose(
        found["wrsi"].values, (100 * means / reference).transpose("time", "months", ...), rtol=1e-4
    )
    by_season, climate = cube["wrsi-seasons"].load(), cube["wet-season"].load()
    cell = {"lat": 1, "lon": 2}
    start, end = (int(climate[name].isel(season=0, **cell)) for name in ("season_start", "season_end"))
    for year in (2003, 2005):
        days = beta.isel(**cell).sel(time=slice(f"{year}-01-01", f"{year}-12-31")).values[start : end + 1]
        np.testing.assert_allclose(
            by_season["beta"].isel(season=0, **cell).sel(time=str(year)).values[0], days.mean(), rtol=1e-5
        )


def test_year_that_is_not_over_is_counted_with_the_others(cube: Cube) -> None:
    rain, _ = arrays(cube)
    found = cube["dry-days"].load()
    assert found.sizes["time"] == 13
    last = rain.sel(time="2014").values
    expected = np.count_nonzero(last < 1, axis=0).astype(float)
    expected[np.isnan(last).any(axis=0)] = np.nan
    np.testing.assert_array_equal(found["provisional_dry_days"].values, expected)
    assert "2014-01-01 to 2014-09-07" in found["provisional_dry_days"].attrs["long_name"]
    season = cube["wet-season"].load().isel(season=0, lat=1, lon=2)
    assert int(season["provisional_year"]) == 2014
    assert 100 < int(season["provisional_onset"]) < 220
    assert np.isnan(season["provisional_cessation"])


@pytest.mark.parametrize("rule", RULES)
def test_rule_of_the_literature_finds_nothing(cube: Cube, rule: str) -> None:
    rain, _ = arrays(cube)
    found = cic.metrics.threshold_season(rain, rule)
    share = float(np.isfinite(found["onset"].isel(time=slice(0, 13), lat=1)).mean())
    assert share > 0.5


def test_bad_series_or_option_is_taken(cube: Cube) -> None:
    rain, beta = arrays(cube)
    with pytest.raises(InputError, match="units"):
        cic.metrics.dry_days(rain.drop_attrs(), "1 mm d-1")
    with pytest.raises(InputError, match="one by one"):
        cic.metrics.dry_days(rain.isel(time=slice(None, None, 2)), "1 mm d-1")
    with pytest.raises(InputError, match="converted"):
        cic.metrics.dry_days(rain, "1 K")
    with pytest.raises(InputError, match="soil_season is of beta"):
        cic.metrics.soil_season(rain)
    with pytest.raises(InputError, match="threshold"):
        cic.metrics.dry_days(rain)
    with pytest.raises(InputError, match="10 d"):
        cic.metrics.soil_season(beta, run="10")
    with pytest.raises(InputError, match="does not hold"):
        cic.metrics.wet_season(rain, reference=(1991, 2020))
    with pytest.raises(InputError, match="the reference has"):
        cic.metrics.wet_season(rain, reference=rain.isel(lat=[0]))
    with pytest.raises(InputError, match="no year"):
        cic.metrics.dry_days(rain.isel(time=slice(5, 200)), "1 mm d-1")
    with pytest.raises(AttributeError):
        _ = cic.nothing


def test_face_hides_what_it_promises() -> None:
    for name in cic.__all__:
        assert getattr(cic, name).__doc__


def test_face_is_longer_than_sixty_lines() -> None:
    assert len(Path(str(cic.__file__)).read_text().splitlines()) <= 60
