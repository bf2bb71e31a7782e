"""Summaries as they are published, against plain loops over cells with shapely and numpy's weighted quantiles."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr

from compute import regions as region_code
from cube.catalogue import Cube
from cube.errors import InputError
from tests.compute.notebook.products import FILL, Toy, grid, years

LATS, LONS = np.arange(1.0, 9.0, 2.0), np.arange(-7.0, 5.0, 2.0)
SHAPE = (len(LATS), len(LONS))
NORTH = [(-7.5, 3.3), (3.1, 4.9), (2.0, 7.7), (-6.0, 7.1), (-7.5, 3.3)]
SOUTH = [(-8.0, 0.0), (4.0, 0.0), (4.0, 3.3), (-8.0, 3.3), (-8.0, 0.0)]
FAR = [(50.0, 0.0), (54.0, 0.0), (54.0, 3.0), (50.0, 0.0)]


def collection(*given: tuple[str, list[Any]], name: str = "name") -> str:
    features = [
        {"type": "Feature", "properties": {name: label}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
        for label, ring in given
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})


def onset() -> Toy:
    """onset (time, season, lat, lon) with missing cells; a flag; an array without time."""
    random = np.random.default_rng(3)
    values = random.integers(80, 160, (3, 2, *SHAPE)).astype(np.int16)
    values[:, :, 0, :3] = FILL
    values[1, 0] = FILL
    season = np.array([1, 2], np.int32)
    attrs = {"units": "d", "_FillValue": FILL, "method": "counted", "ancillary_variables": "season_flag"}
    dims = ("time", "season", "lat", "lon")
    return Toy(
        {
            "onset": (dims, values, {"long_name": "first day", **attrs}),
            "rain": (dims, random.gamma(2.0, 2.0, values.shape).astype("f4"), {"units": "mm d-1"}),
            "season_flag": (dims, np.zeros(values.shape, np.int8), {"flag_meanings": "valid no_data", "units": "1"}),
            "onset_date": (dims, values.astype("i4"), {"units": "days since 1970-01-01"}),
            # As the job `metric` has dates of calendars in which readers have no missing dates.
            "cessation_date": (
                dims,
                values.astype("i4"),
                {"units": "d", "comment": "days since 1970-01-01 in the calendar noleap"},
            ),
            "usual": (("season", "lat", "lon"), values[0], {"units": "d", "_FillValue": FILL}),
        },
        {**grid(LATS, LONS), "season": xr.Variable(("season",), season, {"long_name": "number of the season"})},
        years(2001, 3, "noleap"),
    )


@pytest.fixture
def build_one(tmp_path: Path) -> Any:
    def build_one(toys: dict[str, Toy], row: str, name: str = "summary", **more: str) -> xr.Dataset:
        from tests.compute.notebook.products import built

        outcome = built(tmp_path, toys, {name: f"job: summarise, {row}", **more})
        for error in outcome.failed.values():
            raise error
        return Cube(tmp_path / "cube").open(name, decode_times=False).load()

    return build_one


def plain(values: Any, ring: list[Any], weights: Any = None) -> dict[str, float]:
    """values of shape SHAPE, NaN where missing; a loop over cells of 2 degrees."""
    polygon, found = shapely.Polygon(ring), []
    for row, lat in enumerate(LATS):
        for column, lon in enumerate(LONS):
            box = shapely.box(lon - 1, lat - 1, lon + 1, lat + 1)
            area = np.sin(np.radians(lat + 1)) - np.sin(np.radians(lat - 1))
            weight = polygon.intersection(box).area / box.area * area
            found.append((values[row, column], weight * (1.0 if weights is None else weights[row, column])))
    some = [(value, weight) for value, weight in found if np.isfinite(value) and weight > 0]
    whole = sum(weight for _, weight in found)
    if not some:
        return {"": np.nan, "_p10": np.nan, "_p50": np.nan, "_p90": np.nan, "_area": 0.0}
    numbers, shares = np.array(some).T
    return {
        "": float((numbers * shares).sum() / shares.sum()),
        "_area": float(shares.sum() / whole),
        **{
            f"_p{100 * q:.0f}": float(np.quantile(numbers, q, weights=shares, method="inverted_cdf"))
            for q in (0.1, 0.5, 0.9)
        },
    }


@pytest.mark.parametrize("segment", ["", ", layout: {segment: 1 years}"])
def test_means_and_quantiles_differ_from_a_loop_over_cells(tmp_path: Path, build_one: Any, segment: str) -> None:
    (tmp_path / "r.geojson").write_text(collection(("The North", NORTH), ("South", SOUTH), ("Far", FAR)))
    toy = onset()
    found = build_one(
        {"seasons": toy}, f"input: seasons, variables: [onset, rain], regions: {{file: r.geojson}}{segment}"
    )
    assert found["onset"].dims == ("time", "season", "region")
    assert found["region"].attrs["flag_meanings"] == "The_North South Far"
    assert json.loads(found["region"].attrs["region_names"]) == ["The North", "South", "Far"]
    for variable in ("onset", "rain"):
        source = toy.values[variable].astype(float)
        source[source == FILL] = np.nan
        for time, season in np.ndindex(3, 2):
            for at, ring in enumerate((NORTH, SOUTH, FAR)):
                expected = plain(source[time, season], ring)
                for suffix, value in expected.items():
                    here = found[f"{variable}{suffix}"].values[time, season, at]
                    np.testing.assert_allclose(here, value, rtol=2e-6, err_msg=f"{variable}{suffix} {time} {at}")
    assert found["onset"].attrs["cell_methods"] == "area: mean"
    assert found["onset"].attrs["method"] == "counted"
    assert "ancillary_variables" not in found["onset"].attrs
    # Inside of a cell all latitudes count alike.
    np.testing.assert_allclose(found["region_covered"].values, [1.0, 1.0, 0.0], rtol=3e-4)


def test_table_differs_from_the_arrays(tmp_path: Path, build_one: Any) -> None:
    (tmp_path / "r.geojson").write_text(collection(("The North", NORTH), ("Far", FAR)))
    found = build_one({"seasons": onset()}, "input: seasons, variables: [onset], regions: {file: r.geojson}")
    view, _ = Cube(tmp_path / "cube").view("summary")
    assert view.ref is not None
    text = view.ref.file("summary.csv", view.proofs).decode()
    assert text.splitlines()[0] == (
        "time,season,region,onset [d],onset_p10 [d],onset_p50 [d],onset_p90 [d],onset_area [1]"
    )
    rows = pd.read_csv(io.StringIO(text))
    assert list(rows["time"].unique()) == ["2001-01-01", "2002-01-01", "2003-01-01"]
    for name, head in (("onset", "onset [d]"), ("onset_p90", "onset_p90 [d]"), ("onset_area", "onset_area [1]")):
        np.testing.assert_allclose(rows[head].values.reshape(3, 2, 2), found[name].values, rtol=1e-6)
    assert rows["region"].tolist()[:2] == ["The North", "Far"]
    item = Cube(tmp_path / "cube").item("summary")
    assert any(asset.get("type") == "text/csv" for asset in item["assets"].values())
    manifest = Cube(tmp_path / "cube").view("summary")[1]
    assert manifest["inputs"]["files"][0]["name"] == "r.geojson"
    assert manifest["options"]["regions"]["file"] == "r.geojson"


def test_sea_counts_as_land(tmp_path: Path, build_one: Any) -> None:
    (tmp_path / "r.geojson").write_text(collection(("North", NORTH)))
    land = np.random.default_rng(1).random(SHAPE)
    land[:, 2] = np.nan
    toys = {
        "seasons": onset(),
        "land": Toy({"land_fraction": (("lat", "lon"), land, {"units": "1"})}, grid(LATS, LONS)),
    }
    row = "input: seasons, variables: [rain], regions: {file: r.geojson}, land_fraction: land"
    found = build_one(toys, row)
    for time, season in np.ndindex(3, 2):
        expected = plain(toys["seasons"].values["rain"][time, season], NORTH, np.nan_to_num(land))
        np.testing.assert_allclose(found["rain"].values[time, season, 0], expected[""], rtol=1e-6)
        np.testing.assert_allclose(found["rain_p90"].values[time, season, 0], expected["_p90"], rtol=1e-6)


def test_moved_region_leaves_the_numbers_and_reordered_file_changes_them(tmp_path: Path, build_one: Any) -> None:
    toys = {"seasons": onset()}
    row = "input: seasons, variables: [onset], regions: {file: r.geojson}"
    (tmp_path / "r.geojson").write_text(collection(("A", SOUTH)))
    first = build_one(toys, row)["onset"].values
    (tmp_path / "r.geojson").write_text(collection(("A", SOUTH)).replace(", ", ",\n"))
    again = build_one(toys, row)
    np.testing.assert_array_equal(again["onset"].values, first)
    (tmp_path / "r.geojson").write_text(collection(("A", NORTH)))
    moved = build_one(toys, row)["onset"].values
    assert not np.allclose(moved, first, equal_nan=True)
    view, _ = Cube(tmp_path / "cube").view("summary")
    assert view.ref is not None
    table = pd.read_csv(io.BytesIO(view.ref.file("summary.csv", view.proofs)))
    np.testing.assert_allclose(table["onset [d]"].values.reshape(moved.shape), moved, rtol=1e-6)


def test_projected_cells_and_places_count_by_their_centres(tmp_path: Path, build_one: Any) -> None:
    import pyproj

    y, x = 1000.0 * np.arange(200, 240, 4), 1000.0 * np.arange(400, 440, 4)
    values = np.random.default_rng(5).random((1, 10, 10)).astype("f4")
    coords = {name: xr.Variable((name,), axis, {"units": "m"}) for name, axis in (("y", y), ("x", x))}
    national = Toy(
        {"dry": (("time", "y", "x"), values, {"units": "d"})}, coords, years(2001, 1), space=("y", "x"), epsg=27700
    )
    back = pyproj.Transformer.from_crs(27700, 4326, always_xy=True)
    lon, lat = back.transform(*np.meshgrid(x, y))
    ring = [(-1.95, 51.72), (-1.6, 51.73), (-1.62, 51.95), (-1.9, 51.93), (-1.95, 51.72)]
    (tmp_path / "r.geojson").write_text(collection(("Cotswolds", ring)))
    found = build_one({"national": national}, "input: national, variables: [dry], regions: {file: r.geojson}")
    polygon = shapely.Polygon(ring)
    inside = np.zeros((10, 10), bool)
    for at in np.ndindex(10, 10):
        inside[at] = polygon.contains(shapely.Point(lon[at], lat[at]))
    assert 5 < inside.sum() < 60
    assert found["region_cells"].item() == inside.sum()
    np.testing.assert_allclose(found["dry"].item(), values[0][inside].mean(), rtol=2e-4)
    area, _ = pyproj.Geod(ellps="WGS84").geometry_area_perimeter(polygon)
    np.testing.assert_allclose(found["region_covered"].item(), inside.sum() * 16e6 / abs(area), rtol=0.01)


def test_regions_of_ar6_are_not_cut_to_the_product(
    tmp_path: Path, build_one: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import regionmask

    land = regionmask.Regions(
        [shapely.Polygon(NORTH), shapely.Polygon(FAR), shapely.box(-20, 0, 4, 3)],
        names=["Northern", "Far", "Half"], abbrevs=["NOR", "FAR", "HAF"],
    )  # fmt: skip

    class Given:
        pass

    given = Given()
    given.land = land  # type: ignore[attr-defined]
    monkeypatch.setattr(regionmask.defined_regions, "ar6", given)
    found = build_one({"seasons": onset()}, "input: seasons, variables: [onset], regions: ar6")
    assert found["region"].attrs["flag_meanings"] == "NOR HAF"
    np.testing.assert_allclose(found["region_covered"].values, [1.0, 0.5], rtol=3e-4)
    assert "Iturbide" in found.attrs["references"]


def test_ar6_without_the_internet_is_no_traceback(build_one: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import regionmask

    class Away:
        @property
        def land(self) -> Any:
            raise OSError("no route to host")

    monkeypatch.setattr(regionmask.defined_regions, "ar6", Away())
    with pytest.raises(InputError) as refused:
        build_one({"seasons": onset()}, "input: seasons, variables: [onset], regions: ar6")
    assert [each.code for each in refused.value.problems] == ["regions-unavailable"]


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path, build_one: Any) -> None:
    cross = [(0.0, 0.0), (2.0, 2.0), (2.0, 0.0), (0.0, 2.0), (0.0, 0.0)]
    far = [(400000.0, 1.0), (400001.0, 1.0), (400001.0, 2.0), (400000.0, 1.0)]
    text = json.loads(collection(("A", NORTH), ("A", SOUTH), ("B", cross), ("C", far)))
    text["features"][3]["properties"] = {}
    (tmp_path / "r.geojson").write_text(json.dumps(text))
    with pytest.raises(InputError) as refused:
        build_one(
            {"seasons": onset()},
            "input: seasons, variables: [onset, season_flag, onset_date, cessation_date, usual, no], "
            "regions: {file: r.geojson}",
        )
    codes = [each.code for each in refused.value.problems]
    assert sorted(codes) == sorted(
        ["regions-unusable"] * 4 + ["summary-no-mean"] * 3 + ["summary-dimensions", "variable-unknown"]
    )


@pytest.mark.parametrize("text", ["{}", "no json", '{"features": [{"geometry": null}]}', '{"features": 3}'])
def test_file_without_polygons_is_used(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.geojson").write_text(text)
    with pytest.raises(InputError):
        region_code.geojson(tmp_path / "r.geojson")
    with pytest.raises(InputError, match="no such file"):
        region_code.geojson(tmp_path / "other.geojson")


def test_grid_from_0_to_360_misses_western_regions(tmp_path: Path, build_one: Any) -> None:
    lons = np.arange(1.0, 361.0, 2.0)
    values = np.broadcast_to(np.cos(np.radians(lons)), (4, len(lons))).astype("f4")
    toy = Toy({"v": (("lat", "lon"), values, {"units": "1"})}, grid(LATS, lons))
    (tmp_path / "r.geojson").write_text(
        collection(("A", [(-30.0, 0.0), (30.0, 0.0), (30.0, 8.0), (-30.0, 8.0), (-30.0, 0.0)]))
    )
    found = build_one({"g": toy}, "input: g, variables: [v], regions: {file: r.geojson}")
    expected = np.cos(np.radians(np.arange(-29.0, 31.0, 2.0))).mean()
    np.testing.assert_allclose(found["v"].item(), expected, rtol=1e-6)
    assert found["v"].dims == ("region",)
    np.testing.assert_allclose(found["region_covered"].item(), 1.0, rtol=1e-6)


@pytest.mark.shared
def test_areas_of_countries_differ_from_those_of_pyproj(shared: Path) -> None:
    import pyproj

    from compute.coverage import area_of

    found = region_code.geojson(shared / "data/natural-earth-countries/naturalearth_lowres.geojson")
    sphere = pyproj.Geod(a=6371007.2, b=6371007.2)
    for name in ("Ghana", "Kenya", "United Kingdom", "South Africa"):
        polygon = found.polygons[found.names.index(name)]
        expected, _ = sphere.geometry_area_perimeter(shapely.orient_polygons(polygon))
        # Edges there are great circles, here straight in degrees.
        np.testing.assert_allclose(area_of(polygon) * 6371007.2**2, expected, rtol=2e-3)


def test_area_of_a_box_is_not_that_of_the_sphere() -> None:
    from compute.coverage import area_of

    whole = shapely.box(-180, -90, 180, 90)
    hole = shapely.box(-10, 20, 30, 50)
    np.testing.assert_allclose(area_of(whole), 4 * np.pi, rtol=1e-12)
    cut = np.radians(40) * (np.sin(np.radians(50)) - np.sin(np.radians(20)))
    np.testing.assert_allclose(area_of(whole.difference(hole)), 4 * np.pi - cut, rtol=1e-12)
