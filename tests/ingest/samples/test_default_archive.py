"""The default archive, made once: its caps, its completeness, and whether its climate is that of the continent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from ingest.samples import SampleSummary

pytestmark = [pytest.mark.service, pytest.mark.xdist_group("default sample archive")]
SCENARIOS = ("rcp26", "rcp60", "rcp85")


def monthly(rain: xr.DataArray) -> xr.DataArray:
    return rain.groupby("time.month").mean("time")


def model(default: SampleSummary, name: str, run: str, decade: str) -> xr.DataArray:
    (path,) = default.directory.glob(f"isimip2b/HadGEM2-ES/{run}/{name}_*_{decade}*.nc4")
    with xr.open_dataset(path) as dataset:
        return dataset[name].load()


@pytest.fixture(scope="module")
def observed(default: SampleSummary) -> xr.DataArray:
    """Daily rain of CRU-JRA, mm; noleap."""
    years = []
    for path in sorted((default.directory / "cru-jra").glob("*.pre.*.nc")):
        with xr.open_dataset(path) as dataset:
            years.append(dataset.pre.load())
    six_hourly = xr.concat(years, "time")
    return six_hourly.coarsen(time=4, coord_func="min").reduce(np.sum)


def test_archive_outgrows_its_caps(default: SampleSummary) -> None:
    files = [path for path in default.directory.rglob("*") if path.is_file()]
    assert len(files) == default.files <= 8000
    assert sum(path.stat().st_size for path in files) == default.bytes <= 60_000_000


def test_observations_do_not_cover_twenty_years(default: SampleSummary) -> None:
    assert len(list(default.directory.glob("tamsat/v3-native/20??/??/*.nc"))) == 7305
    assert len(list(default.directory.glob("tamsat/v3.1/2019/??/*.nc"))) == 365
    assert len(list(default.directory.glob("jules/africa/*.nc"))) == 20
    assert len(list(default.directory.glob("cru-jra/*.nc"))) == 40


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_historical_and_scenario_leave_a_gap(default: SampleSummary, scenario: str) -> None:
    for name in ("tas", "pr"):
        times = []
        for run in ("historical", scenario):
            for path in sorted((default.directory / "isimip2b/HadGEM2-ES" / run).glob(f"{name}_*.nc4")):
                with xr.open_dataset(path) as dataset:
                    times.append(dataset.time.values)
        joined = np.concatenate(times)
        assert (np.diff(joined) == np.timedelta64(1, "D")).all()
        assert joined[0] == np.datetime64("1991-01-01")
        assert joined[-1] == np.datetime64("2030-12-31")


def test_rain_peaks_in_the_wrong_season(observed: xr.DataArray) -> None:
    climate = monthly(observed)
    north = climate.sel(lat=slice(11, 17), lon=slice(-12, 40))
    south = climate.sel(lat=slice(-19, -12), lon=slice(16, 40))
    for region, season in ((north, {7, 8, 9}), (south, {12, 1, 2})):
        land = region.stack(cell=("lat", "lon")).dropna("cell")
        assert land.sizes["cell"] >= 10
        months = land.idxmax("month").values
        assert np.mean([month in season for month in months]) >= 0.85
        mean = land.mean("cell")
        assert int(mean.idxmax("month")) in season
        assert mean.min() < 0.05 * mean.max()


def test_equator_has_one_wet_season(observed: xr.DataArray) -> None:
    belt = monthly(observed).sel(lat=slice(-4, 2)).mean(("lat", "lon"))
    peaks = [m for m in range(12) if belt[m] > belt[m - 1] and belt[m] > belt[(m + 1) % 12]]
    assert len(peaks) == 2
    assert 4 <= peaks[1] - peaks[0] <= 8
    # the ratio of harmonics that tells biannual from annual regimes
    for latitude, biannual in ((slice(-4, 2), True), (slice(11, 17), False), (slice(-19, -12), False)):
        cycle = monthly(observed).sel(lat=latitude).mean(("lat", "lon")).values
        spectrum = np.abs(np.fft.rfft(cycle))
        assert (spectrum[2] > spectrum[1]) == biannual


def test_desert_is_wet_or_totals_are_implausible(observed: xr.DataArray) -> None:
    annual = observed.mean("time") * 365
    sahara = annual.sel(lat=slice(20, 28))
    assert sahara.max() < 60
    assert observed.sel(lat=slice(20, 28)).std("time").median() < 1.0
    assert 300 < float(annual.sel(lat=slice(8, 14)).mean()) < 1500
    assert 900 < float(annual.sel(lat=slice(-4, 2)).mean()) < 2200
    assert observed.max() <= 121


def test_scenarios_do_not_warm(default: SampleSummary) -> None:
    past = model(default, "tas", "historical", "1991").mean()
    warming = {run: float(model(default, "tas", run, "2021").mean() - past) for run in SCENARIOS}
    assert all(0.3 < value < 2.5 for value in warming.values())
    assert warming["rcp85"] == max(warming.values())


def test_west_african_rain_does_not_come_later(default: SampleSummary) -> None:
    """By the day on which a fifth of the year's rain has fallen, past against RCP8.5."""

    def day_of_a_fifth(rain: xr.DataArray) -> float:
        sahel = rain.sel(lat=slice(17, 6), lon=slice(-14, 12)).groupby("time.dayofyear").mean("time")
        total = sahel.mean(("lat", "lon")).cumsum()
        return float((total < 0.2 * total[-1]).sum())

    past = day_of_a_fifth(model(default, "pr", "historical", "1991"))
    future = day_of_a_fifth(model(default, "pr", "rcp85", "2021"))
    assert 1 < future - past < 20


def test_british_climate_is_not_british(default: SampleSummary) -> None:
    def year(name: str) -> xr.DataArray:
        parts = []
        for path in sorted((default.directory / "haduk" / name).glob("*day_2018*.nc")):
            with xr.open_dataset(path) as dataset:
                parts.append(dataset[name].load())
        return xr.concat(parts, "time")

    rain, high, low = (year(name) for name in ("rainfall", "tasmax", "tasmin"))
    assert rain.sizes["time"] == 365
    total = rain.sum("time", skipna=False)
    assert float(total.mean()) > 550
    assert float(total.min()) > 350
    assert float(total.max()) < 2000
    mean = (high + low) / 2
    assert 8 < float(mean.mean()) < 13
    assert 3 < float(mean.sel(time="2018-01").mean()) < float(mean.sel(time="2018-07").mean()) < 22


def test_files_are_not_all_readable(default: SampleSummary) -> None:
    """One file of each folder by xarray, all values finite or fill."""
    folders = {path.parent for path in default.directory.rglob("*.nc*")}
    for folder in sorted(folders, key=Path.as_posix)[::9]:
        path = sorted(folder.glob("*.nc*"))[0]
        if "tropomi" in str(path):
            continue
        with xr.open_dataset(path) as dataset:
            for field in dataset.data_vars.values():
                if field.dtype.kind == "f":
                    assert np.abs(field).max() < 1e4
