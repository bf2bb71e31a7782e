"""What a notebook hands to a metric that does not fit is refused at the call, by the name of the argument."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml

import climate_impact_cube as cic
from cube.errors import InputError, Problem

DOCS = Path(__file__).parents[3] / "docs"


def series(units: str = "mm d-1", years: int = 12) -> xr.DataArray:
    """Rain of a wet summer, or beta with one."""
    time = xr.date_range("2001-01-01", f"{2000 + years}-12-31", freq="D", use_cftime=False)
    day = time.day_of_year.values[:, None]
    chance = np.exp(6 * (np.cos(2 * np.pi * (day - 215) / 365) - 1))
    draws = np.random.default_rng(3).random((2, len(time), 2))
    rain = np.where(draws[0] < 0.02 + 0.7 * chance, -8 * np.log(draws[1]), 0.0)
    values = rain if units != "1" else np.broadcast_to(chance, rain.shape)
    name = "fsmc" if units == "1" else "pr"
    return xr.DataArray(
        values.astype("float32"), dims=("time", "cell"), coords={"time": time}, name=name, attrs={"units": units}
    )


RAIN, BETA = series(), series("1")
OWN = {"onset_from": "05-01", "onset_until": "08-31", "cessation_from": "09-01", "cessation_until": "12-10"}


def refused(call: Callable[[], Any]) -> list[Problem]:
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value).startswith("the input is refused")
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("call", "where", "told"),
    [
        (lambda: cic.metrics.dry_days(RAIN, "1 mm d-1", spell=5), "spell", 'with its unit, such as "10 d"; found 5'),
        (lambda: cic.metrics.dry_days(RAIN, 1), "threshold", "expected a text, found 1"),
        (lambda: cic.metrics.dry_days(RAIN, "1"), "threshold", "'1' has no unit"),
        (lambda: cic.metrics.dry_days(RAIN), "threshold or percentile", "needs either `threshold` or `percentile`"),
        (lambda: cic.metrics.dry_days(RAIN, "1 mm d-1", percentile=20), "percentile", "found both"),
        (lambda: cic.metrics.dry_days(RAIN, "1 mm d-1", reference=(2001, 2010)), "percentile", "belong together"),
        (lambda: cic.metrics.dry_days(RAIN, percentile=120), "percentile", "expected a number below 100"),
        (lambda: cic.metrics.dry_days(RAIN, "1 mm d-1", months="MAM"), "months", "expected a list, found 'MAM'"),
        (lambda: cic.metrics.dry_days(RAIN, "1 mm d-1", months=["MAY"]), "months", "no row of months"),
        (lambda: cic.metrics.dry_days(RAIN, "1 mm d-1", starts="7-1"), "starts", "has not the form"),
        (lambda: cic.metrics.wet_season(RAIN, spread="45"), "spread", "with its unit"),
        (lambda: cic.metrics.wet_season(RAIN, missing="100 %"), "missing", "less than 100 %"),
        (lambda: cic.metrics.threshold_season(RAIN, "fewz"), "rule", "found 'fewz'"),
        (lambda: cic.metrics.threshold_season(RAIN, {**OWN, "rain": "20 K"}), "rule.rain", "'K' cannot be converted"),
        (lambda: cic.metrics.threshold_season(RAIN, {**OWN, "within": 3}), "rule.within", "with its unit"),
        (lambda: cic.metrics.threshold_season(RAIN, {**OWN, "rian": "9 mm"}), "rule.rian", "is not known here"),
        (lambda: cic.metrics.soil_season(BETA, run="10"), "run", "with its unit"),
        (lambda: cic.metrics.wrsi(BETA, months=["NDJ"]), "months", "is cut by the years"),
        (lambda: cic.metrics.ssmi(BETA, missing=5), "missing", "expected a text, found 5"),
    ],
)
def test_argument_is_refused_without_its_name(call: Callable[[], Any], where: str, told: str) -> None:
    (problem,) = refused(call)
    assert problem.where == where
    assert told in problem.what


def test_keys_that_a_rule_lacks_are_not_named() -> None:
    problems = refused(lambda: cic.metrics.threshold_season(RAIN, {"onset_from": "05-01"}))
    assert [each.where for each in problems] == [f"rule.{name}" for name in list(OWN)[1:]]
    assert problems[0].what == "the key 'onset_until' is missing"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (RAIN.to_dataset(), 'a Dataset was given.*such as ds\\["pr"\\]'),
        (xr.Dataset(), "a Dataset was given.*pass one variable"),
        (RAIN.values, "an array was given, which has no dates.*pass a DataArray"),
        (None, "nothing was given.*pass a DataArray"),
        ([1.0, 2.0], "a list was given"),
        (RAIN.isel(time=0), "has no coordinate time"),
        (RAIN.drop_vars("time"), "has no coordinate time"),
    ],
)
def test_something_else_than_a_series_ends_in_a_traceback(given: Any, told: str) -> None:
    pattern = re.compile(told, re.DOTALL)
    for call in (
        lambda: cic.metrics.dry_days(given, "1 mm d-1"),
        lambda: cic.metrics.wet_season(given),
        lambda: cic.metrics.threshold_season(given, "fews"),
        lambda: cic.metrics.ssmi(given),
    ):
        (problem,) = refused(call)
        assert pattern.search(str(problem))
    if given is not None:
        (problem,) = refused(lambda: cic.metrics.wet_season(RAIN, reference=given))
        assert problem.where in {"reference", "pr"}


@pytest.mark.parametrize("reference", [2001, "2001", (2001,), (2010, 2001), ("2001", "2010"), (2001, 2005, 2010), True])
def test_reference_that_is_no_pair_of_years_ends_in_a_traceback(reference: Any) -> None:
    (problem,) = refused(lambda: cic.metrics.wet_season(RAIN, reference=reference))
    assert problem.where == "reference"
    assert "(1991, 2020)" in problem.fix


@pytest.mark.parametrize(
    ("call", "where"),
    [
        (lambda rain, beta: cic.metrics.dry_days(rain, "2 K"), "threshold"),
        (lambda rain, beta: cic.metrics.dry_days(beta, "2 mm d-1"), "threshold"),
        (lambda rain, beta: cic.metrics.wet_season(rain, arid="1 K"), "arid"),
        (lambda rain, beta: cic.metrics.threshold_season(rain, {**OWN, "dry": "1 mm"}), "rule.dry"),
        (lambda rain, beta: cic.metrics.threshold_season(rain, {**OWN, "bucket": "60 %"}), "rule.bucket"),
        (lambda rain, beta: cic.metrics.soil_season(beta, threshold="5 mm"), "threshold"),
        (lambda rain, beta: cic.metrics.wrsi(beta, missing="5 d"), "missing"),
        (lambda rain, beta: cic.metrics.ssmi(beta, missing="5 mm"), "missing"),
    ],
)
def test_threshold_in_a_wrong_unit_is_refused_when_dask_computes(call: Callable[..., Any], where: str) -> None:
    def chunk(_: Any) -> Any:
        raise AssertionError("it was computed")

    def lazy(given: xr.DataArray) -> xr.DataArray:
        made = xr.apply_ufunc(chunk, given.chunk(cell=1), dask="parallelized", output_dtypes=["f4"])
        return made.assign_attrs(given.attrs)

    (problem,) = refused(lambda: call(lazy(RAIN), lazy(BETA)))
    assert problem.where == where
    assert "converted" in problem.what


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: cic.metrics.soil_season(RAIN), "soil_season is of beta (fsmc, 0 to 1), not of pr in mm d-1"),
        (lambda: cic.metrics.wrsi(RAIN), "wrsi is of beta (fsmc, 0 to 1), not of pr in mm d-1"),
        (lambda: cic.metrics.wet_season(BETA), "wet_season is of rain (mm d-1), not of fsmc in 1"),
        (lambda: cic.metrics.threshold_season(BETA, "fews"), "threshold_season is of rain (mm d-1), not of fsmc in 1"),
    ],
)
def test_series_of_another_kind_is_told_by_its_unit_alone(call: Callable[[], Any], told: str) -> None:
    (problem,) = refused(call)
    assert problem.what == told
    assert problem.fix.startswith("take ")


@pytest.mark.parametrize(
    ("years", "note"),
    [
        ((2001, 2001), "reference of 1 year; 30 are usual"),
        ((2001, 2002), "reference of 2 years; 30 are usual"),
        ((2001, 2009), "reference of 9 years; 30 are usual"),
        ((2001, 2010), None),
    ],
)
def test_reference_of_few_years_passes_without_a_word(years: tuple[int, int], note: str | None) -> None:
    for found in (
        cic.metrics.wet_season(RAIN, reference=years),
        cic.metrics.dry_days(RAIN, percentile=20, reference=years),
        cic.metrics.wrsi(BETA, reference=years),
    ):
        assert found.attrs.get("reference_note") == note
        assert {each.attrs.get("reference_note") for each in found.data_vars.values()} == {note}


@pytest.mark.parametrize("words", ["7 d", "7d", "7 days", "7days"])
def test_days_in_words_are_refused_or_others(words: str) -> None:
    found = cic.metrics.dry_days(RAIN, "1 mm d-1", spell=words)
    year = RAIN.sel(time="2001").values[:, 0] < 1
    runs = [len(run) for run in "".join("d" if dry else " " for dry in year).split()]
    assert int(found["dry_spells"][0, 0]) == sum(run >= 7 for run in runs)


def test_names_of_months_are_not_found_as_the_page_says() -> None:
    ds = cic.metrics.dry_days(RAIN, "1 mm d-1", months=["MAM", "OND"])
    assert ds.months.attrs["flag_meanings"].split() == ["MAM", "OND"]
    spring = RAIN.sel(time="2003").isel(time=RAIN.sel(time="2003").time.dt.month.isin([3, 4, 5]).values)
    np.testing.assert_array_equal(ds["dry_days"].isel(months=0).sel(time="2003").values[0], (spring < 1).sum("time"))


def test_rule_of_the_page_is_refused_or_two_rules() -> None:
    page = (DOCS / "metrics" / "threshold-season.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, flags=re.M | re.S)
    (section,) = (each for each in re.findall(r"^```yaml\n(.*?)^```$", page, flags=re.M | re.S) if "onset_from" in each)
    names: dict[str, Any] = {"cic": cic, "rain": RAIN}
    exec(code, names)
    assert names["rule"] == yaml.load(section, yaml.BaseLoader)["rule"]
    assert set(names["mine"].data_vars) >= {"onset", "cessation", "length"}


@pytest.mark.parametrize(
    ("call", "where"),
    [
        (lambda: cic.metrics.threshold_season(RAIN, {**OWN, "then_rain": "9 mm"}), "then_within"),
        (lambda: cic.metrics.threshold_season(RAIN, {**OWN, "cessation_dry": None}), "cessation_dry or bucket"),
        (lambda: cic.metrics.threshold_season(RAIN, {**OWN, "within": "400 d"}), "rule.within"),
        (lambda: cic.metrics.threshold_season(RAIN, {**OWN, "rain": "-1 mm"}), "rule.rain"),
        (lambda: cic.metrics.dry_days(RAIN, percentile=20, window="200 d"), "window"),
        (lambda: cic.metrics.dry_days(RAIN, "1 mm d-1", spell="99999999999 d"), "spell"),
        (lambda: cic.metrics.soil_season(BETA, run="9" * 30 + " d"), "run"),
        (lambda: cic.metrics.wrsi(BETA, starts="07-01", reference=(2001, 2001)), "reference"),
    ],
)
def test_rule_that_cannot_be_followed_is_dropped_in_silence_or_fails_in_a_block(
    call: Callable[[], Any], where: str
) -> None:
    assert where in "; ".join(problem.where for problem in refused(call))


@pytest.mark.parametrize(("calendar", "asked", "meant"), [("360_day", "08-31", 239), ("noleap", "02-30", 58)])
def test_last_day_of_a_month_is_the_first_of_the_next(calendar: str, asked: str, meant: int) -> None:
    """Rain on one day alone: the onset is the last of three days from it on, and may be that day at the latest."""
    time = xr.date_range("2001-01-01", periods=3600, freq="D", calendar=calendar, use_cftime=True)
    rule = {**OWN, "onset_from": "01-01", "onset_until": asked, "no_dry_spell": None, "within": "1 d"}
    for wet, reached in ((meant, True), (meant + 1, False)):
        values = np.zeros((3600, 1), "f4")
        values[wet] = 50.0
        rain = xr.DataArray(values, {"time": time}, ("time", "cell"), name="pr", attrs={"units": "mm d-1"})
        onset = cic.metrics.threshold_season(rain, rule)["onset"].values.ravel()[0]
        assert (onset == wet) if reached else np.isnan(onset)


def test_share_of_missing_days_at_its_limit_is_lost_to_rounding() -> None:
    """27 of 150 days are just 18 %."""
    time = xr.date_range("2001-01-01", periods=360, freq="D", calendar="360_day", use_cftime=True)
    values = np.zeros((360, 2), "f4")
    values[:27] = np.nan
    values[27, 1] = np.nan
    rain = xr.DataArray(values, {"time": time}, ("time", "cell"), attrs={"units": "mm d-1"})
    found = cic.metrics.dry_days(rain, "1 mm d-1", months=["JFMAM"], missing="18 %")["dry_days"].values.ravel()
    assert found[0] == 123
    assert np.isnan(found[1])


def test_reference_in_another_order_is_compared_cell_by_cell_or_ends_in_a_traceback() -> None:
    data = RAIN.assign_coords(cell=[1.0, 2.0])
    expected = cic.metrics.wet_season(data, reference=data)
    xr.testing.assert_equal(cic.metrics.wet_season(data, reference=data.isel(cell=[1, 0])), expected)
    problems = refused(lambda: cic.metrics.wet_season(data, reference=data.assign_coords(cell=[1.0, 2.1])))
    assert [problem.code for problem in problems] == ["cells-differ"]


def test_dimension_with_a_name_of_ours_ends_in_a_traceback() -> None:
    for name in ("season", "months", "month", "day_of_year"):
        assert [each.code for each in refused(lambda name=name: cic.metrics.ssmi(BETA.rename(cell=name)))] == [
            "series-unusable"
        ]
    undated = RAIN.assign_coords(time=RAIN["time"].where(RAIN["time"].dt.day > 1))
    assert [each.code for each in refused(lambda: cic.metrics.dry_days(undated, "1 mm d-1"))] == ["series-unusable"]
