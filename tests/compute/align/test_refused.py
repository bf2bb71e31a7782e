"""Inputs and options that cannot be aligned are refused at once, with all that is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from compute.align.grid import GridOptions
from cube.axes import Step, TimeAxis
from cube.errors import InputError

from .views import PLANE, Product, centres, days, job_of

PLACE = centres(0.25, 0.5, 8), centres(0.25, 0.5, 8)
GRID = {"lat": [0.5, 3.5], "lon": [0.5, 3.5], "step": 1}
TIME = days("2001-01-01", 2)
ONES = np.ones((2, 8, 8), "f4")


def codes(*products: Product, **options: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        job_of(*products, **{"variables": {"x": "conservative"}, "grid": GRID, **options}).template()
    assert all(problem.what and problem.fix for problem in caught.value.problems)
    return [problem.code for problem in caught.value.problems]


def test_everything_wrong_is_not_told_at_once() -> None:
    attrs = {"pr": {"units": "mm d-1"}, "kind": {"flag_values": [1, 2]}}
    monthly = TimeAxis(0, 2, Step("month"), "standard")
    source = Product({"pr": ONES, "kind": ONES}, PLACE, time=monthly, attrs=attrs)
    given = {"pr": "bilinear", "kind": "conservative", "tas": "bilinear"}
    far = {"lat": [50.5, 52.5], "lon": [0.5, 3.5], "step": 1}
    found = codes(source, variables=given, grid=far)
    assert found == ["not-daily", "align-rain", "align-categories", "variable-unknown", "align-outside"]


def test_source_elsewhere_gives_only_missing_values() -> None:
    source = Product({"x": ONES}, PLACE, time=TIME)
    far = {"lat": [0.5, 3.5], "lon": [-20.5, -10.5], "step": 1}
    with pytest.raises(InputError, match="0 to 4 E, the grid 0 to 4 N and -21 to -10 E"):
        job_of(source, variables={"x": "mean"}, grid=far).template()
    # The same place counted once round is not elsewhere.
    beyond = Product({"x": ONES}, (PLACE[0], PLACE[1] - 180), time=TIME)
    grid = {"lat": [0.5, 3.5], "lon": [178.5, 183.5], "step": 1}
    assert job_of(beyond, variables={"x": "mean"}, grid=grid).template()
    plane = Product({"x": ONES}, PLACE, time=TIME, plane=PLANE, crs={"epsg": 27700, "wkt": None}, bbox=(-9, 49, 2, 61))
    assert codes(plane) == ["align-outside"]


def test_map_without_place_is_guessed() -> None:
    assert codes(Product({"x": ONES}, PLACE, time=TIME, plane=PLANE)) == ["align-no-crs"]
    assert codes(Product({"x": ONES}, PLACE, time=TIME, plane=("station", "point"))) == ["align-no-map"]
    assert codes(Product({"x": ONES[:, :1]}, (PLACE[0][:1], PLACE[1]), time=TIME)) == ["align-no-map"]
    bounds = {"lat": np.array([[0.0, 0.5]])}
    assert job_of(
        Product({"x": ONES[:, :1]}, (PLACE[0][:1], PLACE[1]), time=TIME, bounds=bounds),
        variables={"x": "conservative"},
        grid=GRID,
    ).template()


def test_series_beside_maps_is_regridded() -> None:
    source = Product({"x": ONES}, PLACE, time=TIME)
    spec = source.view.template.arrays["x"]
    arrays = dict(source.view.template.arrays)
    arrays["flag"] = type(spec)(("time",), (2,), np.dtype("int8"))
    object.__setattr__(source.view.template, "arrays", arrays)
    assert codes(source, variables={"x": "mean", "flag": "majority"}) == ["align-no-map"]


def test_coarse_cells_are_averaged_to_holes() -> None:
    source = Product({"x": ONES}, PLACE, time=TIME)
    grid = {"lat": [0.5, 3.4], "lon": [0.5, 3.4], "step": 0.1}
    assert codes(source, variables={"x": "mean"}, grid=grid) == ["align-coarse"]
    axes = centres(-288_000, 36_000, 16), centres(-288_000, 36_000, 16)
    ease = Product({"x": np.ones((2, 16, 16))}, axes, time=TIME, plane=PLANE, crs={"epsg": 6933, "wkt": None})
    assert codes(ease, variables={"x": "mean"}, grid={**GRID, "step": 0.25}) == ["align-coarse"]
    assert job_of(ease, variables={"x": "mean"}, grid=GRID).template()


def test_names_of_marks_clash() -> None:
    source = Product({"x": ONES, "x_filled": ONES}, PLACE, time=TIME)
    given = {"x": "conservative", "x_filled": "conservative"}
    assert codes(source, variables=given, coast="nearest") == ["align-name-clash"]


def test_lapse_rate_without_temperature_or_height_is_ignored() -> None:
    height = Product({"a": ONES[0], "b": ONES[0]}, PLACE, name="low")
    series = Product({"z": ONES}, PLACE, name="high", time=TIME, attrs={"z": {"units": "m"}})
    source = Product({"x": ONES}, PLACE, time=TIME, attrs={"x": {"units": "K"}})
    given = {"lapse_rate": "6.5 K km-1", "orography": "low", "target_orography": "high"}
    assert codes(source, height, series, **given) == ["align-lapse"] * 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"variables": {}}, "at least 1"),
        ({"variables": {"x": "cubic"}}, "conservative"),
        ({"min_valid": "0 %"}, "more than 0"),
        ({"min_valid": "120 %"}, "more than 0"),
        ({"min_valid": "50"}, "no unit"),
        ({"min_valid": 0.5}, "string"),
        ({"lapse_rate": "6.5", "orography": "a", "target_orography": "b"}, "no unit"),
        ({"lapse_rate": "6.5 K", "orography": "a", "target_orography": "b"}, "cannot be converted"),
        ({"lapse_rate": "6.5 K km-1"}, "belong together"),
        ({"orography": "a"}, "belong together"),
        ({"lapse_rate": "6.5 K km-1", "orography": "a", "target_orography": "a"}, "different products"),
        ({"calendar": "360_day"}, "noleap-to-standard"),
        ({"grid": "africa"}, "name of a grid"),
    ],
)
def test_option_without_meaning_is_taken(changes: dict[str, Any], words: str) -> None:
    source = Product({"x": ONES}, PLACE, time=TIME)
    with pytest.raises(ValidationError, match=words):
        job_of(source, **{"variables": {"x": "conservative"}, "grid": GRID, **changes})


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ({"lat": [0, 10], "lon": [0, 10], "step": 3}, "no whole number"),
        ({"lat": [0, 10.01], "lon": [0, 10], "step": 0.25}, "may be 10"),
        ({"lat": [10, 0], "lon": [0, 10], "step": 1}, "first, last"),
        ({"lat": [0, 90], "lon": [0, 10], "step": 1}, "90"),
        ({"lat": [0, 10], "lon": [-180, 179], "step": 1}, "-180"),
        ({"lat": [0, 10], "lon": [0.5, 360.5], "step": 1}, "360"),
        ({"lat": [0, 10], "lon": [0, 10], "step": 0}, "greater than 0"),
        ({"lat": [0, 10], "lon": [0, 10], "step": -1}, "greater than 0"),
        ({"lat": [0], "lon": [0, 10], "step": 1}, "lat"),
        ({"lat": [0, 10], "lon": [0, 10], "step": 1, "mask": "land"}, "mask"),
    ],
)
def test_grid_that_is_none_is_taken(grid: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        GridOptions.model_validate(grid)


def test_grid_of_africa_is_not_that_of_its_declaration() -> None:
    grid = GridOptions(lat=(-35.875, 37.875), lon=(-18.875, 51.875), step=0.25)
    assert (len(grid.rows), len(grid.columns)) == (296, 284)
    assert grid.bbox == (-19.0, -36.0, 52.0, 38.0)
    np.testing.assert_array_equal(grid.rows.centre * 8, np.rint(grid.rows.centre * 8))
    globe = GridOptions(lat=(-89.75, 89.75), lon=(-179.75, 179.75), step=0.5)
    assert (len(globe.rows), len(globe.columns)) == (360, 720)
    coords = globe.coords()
    assert coords["lat_bnds"].values[[0, -1]].ravel().tolist() == [-90, -89.5, 89.5, 90]
