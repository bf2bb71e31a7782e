"""Which cell an export takes for a place, against cells chosen by hand, and places that cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from compute.export.asked import AskedPlace
from compute.export.exporting import export
from compute.notebook.explain import explain
from cube.catalogue import Cube
from cube.errors import InputError

HIDDEN, OUTSIDE = (3.1, -4.9), (5.1, -0.9)
"""Places in the cells at 3, -5 and at 5, -1: positions (1, 1) and (2, 3)."""


def taken(cube: Cube, path: Path, product: str, place: tuple[float, float], **asked: Any) -> tuple[float, float]:
    (station,) = export(cube, product, path, places=[place], overwrite=True, **asked).stations
    return station.cell.lat, station.cell.lon


@pytest.mark.parametrize("suffix", [".nc", ".csv"])
def test_indeterminate_place_is_given_its_neighbours_season(cube: Cube, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    assert taken(cube, path, "reasons", HIDDEN) == (3.0, -5.0)
    if suffix == ".csv":
        rows = pd.read_csv(path, keep_default_na=False)
        assert set(rows["season_flag"]) == {"indeterminate"}
        assert set(rows["onset [d]"]) == {""}


def test_place_outside_of_the_mask_keeps_a_cell_without_data(cube: Cube, tmp_path: Path) -> None:
    # 5.1, -0.9 is nearest to the cells at 7, -1 and 5, 1: 1.9 degrees of latitude, or of longitude at 5 degrees north.
    assert taken(cube, tmp_path / "a.nc", "reasons", OUTSIDE) == (5.0, 1.0)


@pytest.mark.parametrize("place", [HIDDEN, OUTSIDE])
@pytest.mark.parametrize("product", ["reasons", "counts"])
def test_export_and_explanation_take_two_cells(
    cube: Cube, tmp_path: Path, product: str, place: tuple[float, float]
) -> None:
    told = explain(cube, product, place, 2001).place
    assert taken(cube, tmp_path / "a.nc", product, place) == (told.lat, told.lon)


def test_too_few_days_are_another_cell(cube: Cube, tmp_path: Path) -> None:
    assert taken(cube, tmp_path / "a.csv", "counts", HIDDEN) == (3.0, -5.0)
    assert taken(cube, tmp_path / "a.csv", "counts", OUTSIDE) == (5.0, 1.0)


@pytest.mark.parametrize(
    ("product", "asked"),
    [
        ("reasons", {"variables": ["rain_mean"]}),
        ("reasons", {"variables": ["onset"]}),
        ("reasons", {"start": 2003}),
        ("gaps", {}),
        ("gaps", {"start": 2002}),
        ("gaps", {"variables": ["tas"]}),
        ("counts", {"variables": ["dry_days"]}),
    ],
)
def test_chosen_variable_or_period_moves_the_place(
    cube: Cube, tmp_path: Path, product: str, asked: dict[str, Any]
) -> None:
    assert taken(cube, tmp_path / "a.nc", product, HIDDEN, **asked) == (3.0, -5.0)


@pytest.mark.parametrize(
    ("places", "told"),
    [
        ([(5.6, -0.19, 3.0), "Accra", (1.0, 1.0)], ["no latitude and longitude"] * 2),
        ((5.6, -0.19), ["no latitude and longitude"] * 2),
        ({"Accra": "5.6"}, ["no latitude and longitude"]),
        ([], ["no places"]),
        ({}, ["no places"]),
        ([(float("nan"), 0.0)], ["no latitude and longitude"]),
        ([(0.0, float("inf"))], ["no latitude and longitude"]),
        ([AskedPlace("a", float("nan"), 0.0)], ["no latitude and longitude"]),
        (5, ["neither places nor a file"]),
        ({"\ud800": (3.0, -5.0)}, ["half of a character"]),
        ({"a\0b": (3.0, -5.0)}, ["a NUL"]),
        ({" ": (3.0, -5.0)}, ["empty"]),
        ("a\0b.csv", ["cannot be read"]),
    ],
)
def test_what_is_no_place_ends_in_a_traceback_or_exports_all(
    cube: Cube, tmp_path: Path, places: Any, told: list[str]
) -> None:
    with pytest.raises(InputError) as refused:
        export(cube, "gaps", tmp_path / "a.csv", places=places)
    assert [each.code for each in refused.value.problems] == ["export-places"] * len(told)
    for problem, words in zip(refused.value.problems, told, strict=True):
        assert words in problem.what
    str(refused.value).encode()
    assert not list(tmp_path.iterdir())


def test_two_places_of_one_name_are_mixed(cube: Cube, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        export(cube, "gaps", tmp_path / "a.csv", places=[AskedPlace("a", 3, -5), AskedPlace("a", 5, -5)])
    assert [each.code for each in refused.value.problems] == ["export-places"]
    found = export(cube, "gaps", tmp_path / "a.csv", places=[(3, -5), (3.0, -5.0), (3.0000004, -5)])
    assert len({each.place.name for each in found.stations}) == len(found.stations) == 2
    assert found.count == 2 * 2


def test_number_as_a_name_ends_in_a_traceback(cube: Cube, tmp_path: Path) -> None:
    export(cube, "gaps", tmp_path / "a.csv", places={5: (3, -5)})  # type: ignore[dict-item]
    assert set(pd.read_csv(tmp_path / "a.csv")["place"]) == {5}


@pytest.mark.parametrize("box", [(0.0, 1.0, 2.0), ("0", "1", "2", "3"), (), 5, "1234", (float("nan"), 0, 1, 1)])
def test_what_is_no_box_ends_in_a_traceback_or_exports_all(cube: Cube, tmp_path: Path, box: Any) -> None:
    with pytest.raises(InputError) as refused:
        export(cube, "gaps", tmp_path / "a.csv", box=box)
    assert [each.code for each in refused.value.problems] == ["export-choice"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("variables", [5, [5], [["pr"]]])
def test_what_is_no_variable_ends_in_a_traceback(cube: Cube, tmp_path: Path, variables: Any) -> None:
    with pytest.raises(InputError) as refused:
        export(cube, "gaps", tmp_path / "a.csv", variables=variables)
    assert [each.code for each in refused.value.problems] == ["variable-unknown"]


def test_box_of_an_array_and_no_variables_end_in_a_traceback(cube: Cube, tmp_path: Path) -> None:
    found = export(cube, "gaps", tmp_path / "a.csv", box=np.array([0, -8, 4, 0]), variables=None)  # type: ignore[arg-type]
    assert found.variables == ("pr", "tas")
    # Latitudes 1 and 3, longitudes -7 to -1, two years.
    assert found.count == 2 * 4 * 2
