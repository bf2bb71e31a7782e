"""Files of regions that are not what they seem, and regions that lie on both sides of the date line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from compute.coverage import turned
from compute.regions import geojson
from cube.errors import InputError
from tests.compute.notebook.products import Toy, built, grid

RING = [(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0), (0.0, 0.0)]
POLYGON = {"type": "Polygon", "coordinates": [RING]}


def written(folder: Path, *geometries: Any, **more: Any) -> Path:
    features = [
        {"type": "Feature", "properties": {"name": f"region {number}"}, "geometry": each}
        for number, each in enumerate(geometries)
    ]
    path = folder / "r.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features, **more}))
    return path


@pytest.mark.parametrize(
    "geometry",
    [
        None,
        [1],
        "x",
        {},
        {"type": "Point", "coordinates": [1.0, 2.0]},
        {"type": "GeometryCollection", "geometries": [POLYGON]},
        {"type": "Polygon", "coordinates": []},
        {"type": "Polygon", "coordinates": [[1, 2]]},
    ],
)
def test_feature_that_is_no_polygon_is_left_out_unsaid(tmp_path: Path, geometry: Any) -> None:
    with pytest.raises(InputError) as refused:
        geojson(written(tmp_path, POLYGON, geometry))
    assert [(each.code, each.where) for each in refused.value.problems] == [
        ("regions-unusable", "r.geojson, feature 2")
    ]


@pytest.mark.parametrize("properties", [[1], "x", None, 5])
def test_properties_of_another_kind_end_in_a_traceback(tmp_path: Path, properties: Any) -> None:
    path = written(tmp_path, POLYGON)
    document = json.loads(path.read_text())
    document["features"][0]["properties"] = properties
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="it has no property 'name'"):
        geojson(path)


def test_file_that_no_parser_takes_ends_in_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "deep.geojson"
    path.write_text("[" * 100_000)
    for each in (path, Path("a\0b.geojson")):
        with pytest.raises(InputError) as refused:
            geojson(each)
        assert [problem.code for problem in refused.value.problems] == ["regions-file"]


@pytest.mark.parametrize(
    ("crs", "taken"),
    [
        ("urn:ogc:def:crs:OGC:1.3:CRS84", True),
        ("urn:ogc:def:crs:EPSG::4326", True),
        ("urn:ogc:def:crs:EPSG::27700", False),
        ("EPSG:3857", False),
    ],
)
def test_metres_that_look_like_degrees_are_taken(tmp_path: Path, crs: str, taken: bool) -> None:
    path = written(tmp_path, POLYGON, crs={"type": "name", "properties": {"name": crs}})
    if taken:
        assert len(geojson(path)) == 1
        return
    with pytest.raises(InputError, match=crs):
        geojson(path)


def test_parts_that_coincide_after_a_turn_count_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells of 1 degree; 178 to 183 east holds -180 to -177, which the second part tells again."""
    monkeypatch.setenv("CUBE_CACHE", str(tmp_path / "cache"))
    lats, lons = np.arange(-9.5, 10), np.arange(-179.5, 180)
    values = np.broadcast_to(np.arange(lons.size, dtype="f4"), (lats.size, lons.size)).copy()
    boxes = shapely.MultiPolygon([shapely.box(178, -5, 183, 5), shapely.box(-180, -5, -176.5, 5)])
    written(tmp_path, shapely.geometry.mapping(boxes))
    toys = {"g": Toy({"v": (("lat", "lon"), values, {"units": "1"})}, grid(lats, lons))}
    outcome = built(tmp_path, toys, {"s": "job: summarise, input: g, variables: [v], regions: {file: r.geojson}"})
    assert not outcome.failed
    from cube.catalogue import Cube

    found = Cube(tmp_path / "cube")["s"].load()
    # Columns 358 and 359 from 178 to 180, 0 to 2 wholly and half of column 3 from -180 to -176.5.
    np.testing.assert_allclose(found["v"].item(), (358 + 359 + 0 + 1 + 2 + 0.5 * 3) / 5.5, rtol=1e-6)
    np.testing.assert_allclose(found["region_covered"].item(), 1.0, rtol=1e-9)


def test_turned_polygon_is_not_the_same_everywhere() -> None:
    everywhere = turned(shapely.box(170, 0, 190, 10))
    for west in (-190, 170):
        assert everywhere.contains(shapely.box(west + 0.1, 0.1, west + 19.9, 9.9))
    assert everywhere.intersection(shapely.box(-180, -90, 180, 90)).area == pytest.approx(200)
