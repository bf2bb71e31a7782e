"""Periods that are asked for and those that are there, against dates written by hand."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compute.export.exporting import export
from compute.export.periods import chosen, held
from cube.axes import Step, TimeAxis
from cube.catalogue import Cube
from cube.errors import InputError


@pytest.mark.parametrize(
    ("product", "start", "end", "told"),
    [
        ("seasons", "1991", "2020", "asked 1991 to 2020; the product holds 2001-01-01 to 2003-12-31"),
        ("seasons", 1991, None, "asked from 1991; the product holds 2001-01-01 to 2003-12-31"),
        ("seasons", None, "2004-01-01", "asked until 2004-01-01; the product holds 2001-01-01 to 2003-12-31"),
        ("seasons", "2001", "2003", ""),
        ("seasons", "2002", None, ""),
        ("seasons", None, None, ""),
        ("daily", "2002", "2003", "asked 2002 to 2003; the product holds 2001-01-01 to 2002-12-30"),
        ("daily", "2002", "2002-12-30", ""),
    ],
)
def test_years_that_the_product_lacks_go_unsaid(
    cube: Cube, tmp_path: Path, product: str, start: Any, end: Any, told: str
) -> None:
    found = export(cube, product, tmp_path / "a.csv", start=start, end=end)
    assert found.shortened == told
    assert found.to_json()["shortened"] == told


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (2002, 2002),
        (np.int64(2002), np.int64(2002)),
        (datetime.date(2002, 1, 1), datetime.date(2002, 12, 31)),
        (datetime.datetime(2002, 1, 1), datetime.datetime(2002, 12, 31)),
    ],
)
def test_year_as_a_number_or_a_date_ends_in_an_attribute_error(
    cube: Cube, tmp_path: Path, start: Any, end: Any
) -> None:
    export(cube, "seasons", tmp_path / "a.csv", start="2002", end="2002")
    export(cube, "seasons", tmp_path / "b.csv", start=start, end=end)
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()


@pytest.mark.parametrize(("start", "end"), [(20.5, None), ("", None), (True, "2002-02-31"), ("soon", "later")])
def test_what_is_no_date_is_taken_for_one(cube: Cube, tmp_path: Path, start: Any, end: Any) -> None:
    with pytest.raises(InputError) as refused:
        export(cube, "seasons", tmp_path / "a.csv", start=start, end=end)
    assert {each.code for each in refused.value.problems} == {"period-date"}
    assert len(refused.value.problems) == sum(each is not None for each in (start, end))


def test_last_hour_is_told_as_a_day() -> None:
    # Number 0 is 1970-01-01T00; two days of hours.
    axis = TimeAxis(0, 48, Step("hour", hours=1), "standard")
    assert held(axis) == "1970-01-01T00:00 to 1970-01-02T23:00"


def test_year_that_begins_in_july_is_cut_silently() -> None:
    # Two years that begin in July 1990 and 1991.
    axis = TimeAxis(20, 2, Step("year", month=7), "standard")
    assert held(axis) == "1990-07-01 to 1992-06-30"
    assert chosen(axis, "1990", None, "p") == (
        slice(0, 2),
        "asked from 1990; the product holds 1990-07-01 to 1992-06-30",
    )
    assert chosen(axis, "1990-07", "1992-06", "p") == (slice(0, 2), "")
    assert chosen(axis, "1991", None, "p") == (slice(1, 2), "")


def test_dates_outside_do_not_tell_what_is_held(cube: Cube, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        export(cube, "seasons", tmp_path / "a.csv", start=2050)
    assert refused.value.problems[0].fix == "it holds 2001-01-01 to 2003-12-31"
