"""Metrics as they are published, against plain implementations on the files that they are made from."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from compute.seasons.reasons import ARID, INCOMPLETE, MEANINGS, NO_DATA, NO_SEASON, VALID
from cube.errors import CubeError, IntegrityError
from cube.stage import Stage
from tests.compute.metrics import toy
from tests.compute.seasons import plain_dunning
from tests.ingest.small_files import write

REFERENCE = "reference: {product: rain, period: {start: 2001, end: 2010}}"
WET = f"  wet: {{job: metric, collection: metrics, metric: wet_season, input: rain, {REFERENCE}}}\n"
LENGTH = {"noleap": 365, "360_day": 360, "standard": 365}


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBE_CACHE", str(tmp_path_factory.mktemp("cache")))


def without_leap_days(values: np.ndarray[Any, Any], calendar: str) -> np.ndarray[Any, Any]:
    if calendar != "standard":
        return values
    first = f"{toy.FIRST}-01-01"
    days = xr.date_range(first, periods=len(values), freq="D", use_cftime=False)
    return values[~((days.month == 2) & (days.day == 29))]


@pytest.mark.parametrize("calendar", ["noleap", "360_day", "standard"])
def test_season_differs_from_a_plain_one(tmp_path: Path, calendar: str) -> None:
    rain = toy.archive(tmp_path, calendar)
    outcome = toy.built(tmp_path, WET)
    assert not outcome.failed
    found = toy.opened(tmp_path)["wet"].load()
    kept, length = without_leap_days(rain, calendar), LENGTH[calendar]
    seen = set()
    for cell in np.ndindex(3, 4):
        series = kept[:, *cell]
        climate = plain_dunning.climate(series[: 10 * length], length)
        at = found.isel(lat=cell[0], lon=cell[1])
        for season, year in np.ndindex(2, toy.YEARS):
            onset, cessation, reason, _ = plain_dunning.season(series, year * length, climate, season)
            here = at.isel(season=season, time=year)
            assert int(here["season_flag"]) == reason, (cell, season, year)
            seen.add(reason)
            if reason != VALID:
                assert np.isnan(here["onset"])
                assert np.isnan(here["length"])
                assert np.isnat(here["onset_date"]) if calendar == "standard" else True
                continue
            assert (int(here["onset"]), int(here["cessation"])) == (onset, cessation)
            assert int(here["length"]) == cessation - onset + 1
    assert {VALID, ARID, NO_DATA, NO_SEASON, INCOMPLETE} <= seen


def test_date_of_an_onset_is_not_that_of_its_day(tmp_path: Path) -> None:
    rain = toy.archive(tmp_path, "standard")
    assert not toy.built(tmp_path, WET).failed
    found = toy.opened(tmp_path)["wet"].load()
    onset = found["onset"].isel(season=0, lat=1, lon=2)
    dates = found["onset_date"].isel(season=0, lat=1, lon=2)
    kept = without_leap_days(np.arange(len(rain)), "standard")
    for year in range(toy.YEARS):
        if np.isnan(onset[year]):
            continue
        position = kept[year * 365 + int(onset[year])]
        assert dates[year].values == np.datetime64(f"{toy.FIRST}-01-01") + np.timedelta64(int(position), "D")


def test_growth_moves_past_seasons(tmp_path: Path) -> None:
    rain = toy.archive(tmp_path)
    for year in (2013, 2014):
        (tmp_path / f"rain-{year}.nc").rename(tmp_path / f"later-{year}.nc")
    product = WET.replace("}}", "}, layout: {segment: 5 years}}", 1).replace(
        "2010}, layout: {segment: 5 years}}", "2010}}, layout: {segment: 5 years}"
    )
    assert not toy.built(tmp_path, product).failed
    before = toy.opened(tmp_path)["wet"].load()
    later = rain.copy()
    later[-2 * 365 :] *= 3.0
    for year in (2013, 2014):
        (tmp_path / f"later-{year}.nc").unlink()
    toy.files(tmp_path, "rain", later, "noleap", "mm d-1")
    outcome = toy.built(tmp_path, product)
    assert not outcome.failed
    after = toy.opened(tmp_path)["wet"].load()
    whole = before["season_flag"] != INCOMPLETE
    for name in ("onset", "cessation", "length", "season_flag"):
        old, new = before[name], after[name].isel(time=slice(0, before.sizes["time"]))
        xr.testing.assert_equal(old.where(whole), new.where(whole))
    for name in ("rain_mean", "rain_daily", "season_start", "onset_spread"):
        xr.testing.assert_identical(before[name].drop_attrs(), after[name].drop_attrs())
    assert after.sizes["time"] == before.sizes["time"] + 2


class _Killed(BaseException):
    pass


def test_kill_between_reference_and_seasons_makes_the_reference_again_or_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.archive(tmp_path / "killed")
    toy.archive(tmp_path / "whole")
    marked, made = Stage.mark, []

    def mark(stage: Stage, receipt: Any) -> None:
        marked(stage, receipt)
        if "wet" in stage.prefix:
            made.append(receipt.block)
            if receipt.block.startswith("time/rain_mean/") and len(made) == 1:
                raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(Stage, "mark", mark)
        with pytest.raises(_Killed):
            toy.built(tmp_path / "killed", WET)
        assert not toy.built(tmp_path / "killed", WET).failed
    assert len([block for block in made if block.startswith("time/rain_mean/")]) == 1
    assert any(not block.startswith("time/rain_mean/") for block in made[1:])
    assert not toy.built(tmp_path / "whole", WET).failed
    killed, whole = (toy.objects(tmp_path / name, "wet") for name in ("killed", "whole"))
    assert killed == whole


def test_seasons_are_found_with_a_reference_that_was_taken_over_damaged(tmp_path: Path) -> None:
    toy.archive(tmp_path)
    later = tmp_path / "rain-2014.nc"
    later.rename(tmp_path / "later.nc")
    assert not toy.built(tmp_path, WET).failed
    chunks = (tmp_path / "cube/metrics/wet").glob("*/time.zarr/rain_daily/c/**/*")
    (shard,) = (path for path in chunks if path.is_file())
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.chmod(0o644)
    shard.write_bytes(bytes(data))
    (tmp_path / "later.nc").rename(later)
    failed = toy.built(tmp_path, WET).failed
    assert isinstance(failed["wet"], IntegrityError)
    assert [problem.code for problem in failed["wet"].problems] == ["object-changed"]


def test_unchanged_build_makes_metrics_anew(tmp_path: Path) -> None:
    toy.archive(tmp_path)
    assert not toy.built(tmp_path, WET).failed
    names = {path: path.stat().st_mtime_ns for path in (tmp_path / "cube" / "metrics").rglob("*") if path.is_file()}
    assert not toy.built(tmp_path, WET).failed
    again = {path: path.stat().st_mtime_ns for path in (tmp_path / "cube" / "metrics").rglob("*") if path.is_file()}
    assert names == again


def test_drier_rain_is_hidden_by_a_reference_of_another(tmp_path: Path) -> None:
    rain = toy.archive(tmp_path)
    toy.files(tmp_path, "rain-dry", rain * np.float32(0.75), "noleap", "mm d-1")
    for path in tmp_path.glob("rain-dry-*.nc"):
        path.rename(tmp_path / path.name.replace("rain-dry", "dry"))
    products = WET + (
        "  dry: {job: ingest, collection: inputs, source: cf, files: dry-*.nc}\n"
        f"  against: {{job: metric, collection: metrics, metric: wet_season, input: dry, {REFERENCE}}}\n"
        "  itself: {job: metric, collection: metrics, metric: wet_season, input: dry, reference: self}\n"
        "  before: {job: metric, collection: metrics, metric: wet_season, input: rain, reference: self}\n"
    )
    assert not toy.built(tmp_path, products).failed
    cube = toy.opened(tmp_path)
    shorter = (cube["against"]["length"] - cube["wet"]["length"]).isel(season=0)
    assert float(shorter.mean()) < -3
    for name in ("onset", "cessation", "length"):
        xr.testing.assert_equal(cube["itself"][name].drop_attrs(), cube["before"][name].drop_attrs())
    assert "timing only" in cube["itself"]["length"].attrs["reference"]
    assert any("Timing only" in note for note in cube.item("itself")["properties"]["cic:notes"])
    assert "reference" not in cube["wet"]["length"].attrs


def test_sea_has_dry_days(tmp_path: Path) -> None:
    rain = toy.archive(tmp_path)
    products = (
        "  dry: {job: metric, collection: metrics, metric: dry_days, input: rain, threshold: 1 mm d-1, "
        "land_fraction: land, starts: 07-01, months: [OND, MAM]}\n"
    )
    assert not toy.built(tmp_path, products).failed
    found = toy.opened(tmp_path)["dry"]["dry_days"]
    assert np.isnan(found.isel(lat=toy.SEA[0], lon=toy.SEA[1])).all()
    assert np.isnan(found.isel(lat=toy.OCEAN[0], lon=toy.OCEAN[1])).all()
    assert found.dims == ("time", "months", "lat", "lon")
    assert [str(each)[:10] for each in found["time"].values] == [f"{year}-07-01" for year in range(2001, 2014)]
    # October to December of the year, March to May of the next.
    for year in (0, 7):
        first = 365 * year
        for months, start, stop in ((0, 273, 365), (1, 365 + 59, 365 + 151)):
            expected = np.count_nonzero(rain[first + start : first + stop, 1, 1] < 1)
            assert int(found[year, months, 1, 1]) == expected
    provisional = toy.opened(tmp_path)["dry"]["provisional_dry_days"]
    assert int(provisional[0, 1, 1]) == np.count_nonzero(rain[13 * 365 + 273 :, 1, 1] < 1)
    assert np.isnan(provisional[1, 1, 1])


def test_manifest_tells_of_options_that_nobody_gave(tmp_path: Path) -> None:
    toy.archive(tmp_path)
    product = (
        "  dry: {job: metric, collection: metrics, metric: dry_days, input: rain, threshold: 1 mm d-1, spell: 5 d}\n"
    )
    assert not toy.built(tmp_path, product).failed
    _, manifest = toy.opened(tmp_path).view("dry")
    assert manifest["options"] == {"metric": "dry_days", "input": "rain", "threshold": "1 mm d-1"}


def test_land_fraction_in_percent_makes_the_sea_land(tmp_path: Path) -> None:
    toy.archive(tmp_path)
    land = np.full((3, 4), 100.0, np.float32)
    land[1, 2], land[1, 3] = 49.0, 51.0
    write(tmp_path / "land.nc", land, name="land_fraction", times=None, attrs={"units": "%"})
    product = (
        "  dry: {job: metric, collection: metrics, metric: dry_days, input: rain, threshold: 1 mm d-1, "
        "land_fraction: land}\n"
    )
    assert not toy.built(tmp_path, product).failed
    found = toy.opened(tmp_path)["dry"]["dry_days"].load()
    assert np.isnan(found[:, 1, 2]).all()
    assert np.isfinite(found[:, 1, 3]).all()


TEN = "period: {start: 2001, end: 2010}"
BAD = {
    "reference-not-covered": "wet_season, input: rain, reference: {product: rain, period: {start: 1991, end: 2010}}",
    "reference-not-whole": "wet_season, input: rain, reference: {product: rain, period: {start: 2001-03, end: 2010}}",
    "unit-unknown": f"soil_season, input: rain, reference: {{product: rain, {TEN}}}",
    "variable-unknown": "dry_days, input: rain, threshold: 1 mm d-1, land_fraction: beta",
    "pft-unknown": f"soil_season, input: beta, pft: 4, reference: {{product: beta, {TEN}}}",
    "not-daily": "dry_days, input: land, threshold: 50 %",
}


@pytest.mark.parametrize("code", BAD)
def test_metric_of_what_does_not_fit_is_made(tmp_path: Path, code: str) -> None:
    toy.archive(tmp_path)
    outcome = toy.built(tmp_path, f"  bad: {{job: metric, collection: metrics, metric: {BAD[code]}}}\n")
    assert code in {problem.code for error in outcome.failed.values() for problem in error.problems}


WRONG = {
    "not an option of wet_season": "wet_season, input: rain, reference: self, threshold: 1 mm d-1",
    "needs `reference`": "wet_season, input: rain",
    "needs either": "dry_days, input: rain",
    "belong together": "dry_days, input: rain, percentile: 20",
    "has no unit": "dry_days, input: rain, threshold: '1'",
    "is cut by the years": "dry_days, input: rain, threshold: 1 mm d-1, months: [NDJ]",
    "no row of months": "dry_days, input: rain, threshold: 1 mm d-1, months: [MAY]",
    "first of a month": "dry_days, input: rain, threshold: 1 mm d-1, starts: 07-15",
    "10 d": "soil_season, input: beta, reference: self, run: 10",
}


@pytest.mark.parametrize("told", WRONG)
def test_option_that_does_not_belong_is_taken(tmp_path: Path, told: str) -> None:
    with pytest.raises(CubeError) as caught:
        toy.built(tmp_path, f"  bad: {{job: metric, collection: metrics, metric: {WRONG[told]}}}\n")
    assert any(told in f"{problem.what} {problem.fix}" for problem in caught.value.problems)


def test_flag_without_a_meaning() -> None:
    assert len(MEANINGS) == len(set(MEANINGS)) == 11


def test_flag_is_not_in_the_table_of_the_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")
    table = page[page.index("| flag | meaning |") :].split("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", table)) == set(MEANINGS)


def test_short_reference_or_the_source_of_dry_days_is_not_told(tmp_path: Path) -> None:
    toy.archive(tmp_path)
    products = WET.replace("2010", "2002") + (
        "  dry: {job: metric, collection: metrics, metric: dry_days, input: rain, threshold: 1 mm d-1}\n"
    )
    outcome = toy.built(tmp_path, products)
    assert not outcome.failed, outcome.failed
    folder = tmp_path / "cube" / "metrics"
    item = json.loads((folder / "wet" / "wet.json").read_text())
    assert "Reference of 2 years; 30 are usual." in item["properties"]["cic:notes"]
    wet = toy.opened(tmp_path)["wet"]
    for name in ("onset", "length", "onset_spread", "season_flag"):
        assert wet[name].attrs["reference_note"] == "reference of 2 years; 30 are usual"
    page = (Path(__file__).parents[3] / "docs" / "metrics" / "dry-days.md").read_text(encoding="utf-8")
    (doi,) = re.findall(r"doi:(10\.\S+[^\s.])", page)
    dry = json.loads((folder / "dry" / "dry.json").read_text())
    assert doi in json.dumps(dry["properties"])


def test_year_that_is_over_loses_its_provisional_numbers_and_is_refused(tmp_path: Path) -> None:
    rain = toy.archive(tmp_path)
    products = WET + (
        "  dry: {job: metric, collection: metrics, metric: dry_days, input: rain, threshold: 1 mm d-1}\n"
        "  soil: {job: metric, collection: metrics, metric: soil_season, input: beta, "
        f"{REFERENCE.replace('rain', 'beta')}}}\n"
    )
    last = 13 * 365
    for days in (250, 365):
        for name in ("rain", "beta"):
            (tmp_path / f"{name}-2014.nc").unlink(missing_ok=True)
        toy.files(tmp_path, "rain", rain[last : last + days], "noleap", "mm d-1", first=2014)
        toy.files(tmp_path, "beta", toy.beta_of(rain)[last : last + days], "noleap", "1", first=2014)
        outcome = toy.built(tmp_path, products)
        assert not outcome.failed, (days, outcome.failed)
    cube = toy.opened(tmp_path)
    assert np.isnan(cube["dry"]["provisional_dry_days"]).all()
    assert cube["dry"].sizes["time"] == 14
    # A season that is going on has a number, one that is over has none.
    southern = cube["wet"].isel(season=0, lat=toy.SOUTHERN[0], lon=toy.SOUTHERN[1])
    assert int(southern["provisional_year"]) == 2014
    assert np.isnan(cube["wet"]["provisional_onset"].isel(season=0, lat=1, lon=2))
