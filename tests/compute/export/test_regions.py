"""Regions that rows and cells are of, against polygons asked one by one with shapely."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr

from compute.export.exporting import export
from cube.catalogue import Cube
from cube.errors import InputError

from .conftest import BAND, TRIANGLE

WEST = [[-8.0, 0.0], [-2.0, 0.0], [-2.0, 8.0], [-8.0, 8.0], [-8.0, 0.0]]
"""Overlaps both others."""
FAR = [[100.0, 0.0], [102.0, 0.0], [102.0, 2.0], [100.0, 2.0], [100.0, 0.0]]


def file_of(folder: Path, *features: tuple[str | None, Any]) -> Path:
    path = folder / "regions.geojson"
    found = [
        {
            "type": "Feature",
            "properties": {} if name is None else {"name": name},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }
        for name, ring in features
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": found}))
    return path


def first_of(lat: float, lon: float, *features: tuple[str, Any]) -> str | None:
    return next((name for name, ring in features if shapely.Polygon(ring).intersects(shapely.Point(lon, lat))), None)


FEATURES = (("Triangle", TRIANGLE), ("West, old", WEST), ("Band", BAND))


def test_rows_do_not_say_which_polygon_they_are_of(cube: Cube, tmp_path: Path) -> None:
    export(cube, "seasons", tmp_path / "a.csv", region=file_of(tmp_path, *FEATURES), variables=["onset"])
    rows = pd.read_csv(tmp_path / "a.csv")
    assert list(rows.columns) == ["time", "lat [degrees_north]", "lon [degrees_east]", "region", "season", "onset [d]"]
    assert set(rows["region"]) == {"Triangle", "West, old", "Band"}
    for _, row in rows.iterrows():
        assert row["region"] == first_of(row["lat [degrees_north]"], row["lon [degrees_east]"], *FEATURES)


def test_cells_do_not_say_which_polygon_they_are_of(cube: Cube, tmp_path: Path) -> None:
    export(cube, "seasons", tmp_path / "a.nc", region=file_of(tmp_path, *FEATURES))
    with xr.open_dataset(tmp_path / "a.nc", decode_times=False, mask_and_scale=False) as file:
        region = file["region"].load()
    assert region.dims == ("lat", "lon")
    assert region.dtype == np.int32
    assert region.attrs["flag_meanings"] == "Triangle West__old Band"
    assert json.loads(region.attrs["region_names"]) == ["Triangle", "West, old", "Band"]
    names = {
        -1: None,
        **dict(zip(region.attrs["flag_values"].tolist(), ["Triangle", "West, old", "Band"], strict=True)),
    }
    for row, column in np.ndindex(*region.shape):
        expected = first_of(float(region["lat"][row]), float(region["lon"][column]), *FEATURES)
        assert names[int(region.values[row, column])] == expected


def test_small_pieces_give_other_regions(cube: Cube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file_of(tmp_path, *FEATURES)
    export(cube, "daily", tmp_path / "a.csv", region=path, end=2001)
    monkeypatch.setattr("compute.export.rows.BUDGET", 1)
    export(cube, "daily", tmp_path / "b.csv", region=path, end=2001)
    keys = ["lat [degrees_north]", "lon [degrees_east]", "time"]
    one, other = (pd.read_csv(tmp_path / name).sort_values(keys, ignore_index=True) for name in ("a.csv", "b.csv"))
    pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize(
    ("features", "chosen", "told"),
    [
        ([(None, TRIANGLE)], "", None),
        ([("Triangle", TRIANGLE)], "", {"Triangle"}),
        ([("Triangle", TRIANGLE), ("Band", BAND)], ":Band", {"Band"}),
        ([(None, TRIANGLE), ("Band", BAND)], "", {1, 2}),
        ([("Same", TRIANGLE), ("Same", BAND)], "", {1, 2}),
    ],
)
def test_nameless_polygon_has_a_name_or_named_ones_have_none(
    cube: Cube, tmp_path: Path, features: list[Any], chosen: str, told: set[Any] | None
) -> None:
    export(cube, "seasons", tmp_path / "a.csv", region=f"{file_of(tmp_path, *features)}{chosen}")
    rows = pd.read_csv(tmp_path / "a.csv")
    assert (set(rows["region"]) if "region" in rows else None) == told


def test_region_without_cells_is_left_out_silently(cube: Cube, tmp_path: Path) -> None:
    features = (("Triangle", TRIANGLE), ("Within", TRIANGLE), ("Far", FAR))
    found = export(cube, "seasons", tmp_path / "a.csv", region=file_of(tmp_path, *features))
    assert found.empty_regions == ("Within", "Far")
    assert found.to_json()["empty_regions"] == ["Within", "Far"]


@pytest.mark.parametrize("folder_name", ["plain", "with: colon"])
def test_name_with_a_colon_cannot_be_chosen(cube: Cube, tmp_path: Path, folder_name: str) -> None:
    (tmp_path / folder_name).mkdir()
    path = file_of(tmp_path / folder_name, ("Zone: North", BAND), ("North", TRIANGLE))
    found = export(cube, "seasons", tmp_path / "a.csv", region=f"{path}:Zone: North", variables=["onset"])
    assert found.count > 0
    rows = pd.read_csv(tmp_path / "a.csv")
    assert set(rows["region"]) == {"Zone: North"}
    assert set(rows["lat [degrees_north]"]) == {7.0}


def test_name_that_no_file_can_hold_ends_in_a_traceback(cube: Cube, tmp_path: Path) -> None:
    path = file_of(tmp_path, ("a\ud800", BAND), ("b\0c", TRIANGLE))
    with pytest.raises(InputError) as refused:
        export(cube, "seasons", tmp_path / "a.nc", region=path)
    assert [each.code for each in refused.value.problems] == ["regions-unusable"] * 2
    str(refused.value).encode()
