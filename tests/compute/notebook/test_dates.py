"""Dates of calendars in which readers have no missing dates: numbers of days that are dates all the same."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from compute.dates import is_date
from compute.export.exporting import export
from compute.metrics.kind import Setting
from compute.metrics.options import MetricOptions
from compute.metrics.threshold_season import ThresholdSeason
from compute.notebook import plot
from cube.axes import Step, TimeAxis
from cube.catalogue import Cube
from cube.errors import InputError
from cube.template import ArraySpec


@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day"])
def test_dates_of_a_metric_are_numbers(calendar: str) -> None:
    options = MetricOptions(metric="threshold_season", input="rain", rule="sivakumar_1988")
    days = TimeAxis(0, 3 * 366, Step("day"), calendar)
    kind = ThresholdSeason(Setting(options, days, None, "mm d-1"))
    made = {**kind.arrays(), **kind.unfinished()}
    dated = {name for name, each in made.items() if is_date(ArraySpec((), (), np.dtype(each.dtype), dict(each.attrs)))}
    assert dated == {"onset_date", "cessation_date", "provisional_onset_date"}


def test_dates_are_drawn_as_numbers(cube: Cube) -> None:
    with pytest.raises(InputError, match="onset_date are dates"):
        plot.map(cube, "scenario", "onset_date")
    with pytest.raises(InputError, match="no variable 'onset_date' with a number a year"):
        plot.season(cube, "scenario", (4.0, 0.0), variable="onset_date")


def test_table_has_numbers_for_dates(cube: Cube, tmp_path: Path) -> None:
    """Onset of 2042 in column 3 is day 131 from 1 January: in a year of 365 days 12 May."""
    export(cube, "scenario", tmp_path / "dates.csv", variables=["onset_date"])
    with (tmp_path / "dates.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    at = {"time": "2042-01-01", "lat [degrees_north]": "4", "lon [degrees_east]": "0", "season": "1"}
    (row,) = (each for each in rows if all(each[name].removesuffix(".0") == value for name, value in at.items()))
    assert row["onset_date"] == "2042-05-12"
    assert {each["onset_date"] for each in rows if each["season"] == "2"} == {""}
