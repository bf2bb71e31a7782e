"""The emulator at a place: which cell stands for it, a changed scenario, a series of one's own, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import climate_impact_cube as cic
from compute.nearest import nearest
from cube.errors import InputError
from tests.compute import chain


def test_place_differs_from_the_map(whole: Path) -> None:
    cube = cic.open(whole / "cube")
    for product in ("emulated-historical", "emulated-future"):
        found = cic.emulate(cube, product, (0.4, 12.6))
        at = cube[product].sel(lat=0.0, lon=13.0)
        assert (found.attrs["lat"], found.attrs["lon"]) == (0.0, 13.0)
        np.testing.assert_array_equal(found["smcl"], at["smcl"])
        np.testing.assert_array_equal(found["fsmc"], at["fsmc"].isel(pft=0))
        np.testing.assert_array_equal(found["time"], at["time"])
        assert found["smcl"].attrs["units"] == "kg m-2"
        # 0.4 degrees of each, on a sphere of 6371 km
        assert abs(found.attrs["distance_km"] - 111.19 * np.hypot(0.4, 0.4)) < 0.1


def test_less_rain_gives_wetter_soil(whole: Path) -> None:
    cube = cic.open(whole / "cube")
    found = cic.emulate(cube, "emulated-future", (0, 13))
    dry = cic.emulate(cube, "emulated-future", (0, 13), rain=0.5, warming=2.0)
    assert float(dry["fsmc"].mean()) < float(found["fsmc"].mean()) - 0.02
    assert (dry.attrs["rain"], dry.attrs["warming"]) == ("x 0.5", "2 K")
    assert int((dry["out_of_domain"] & 1).sum()) > int((found["out_of_domain"] & 1).sum())


def series(cube: cic.Cube, name: str, run: str) -> xr.DataArray:
    return cube[f"weather-{run}"][name].sel(lat=0.0, lon=13.0, drop=True).load()


def test_ones_own_series_is_not_continued(whole: Path) -> None:
    cube = cic.open(whole / "cube")
    pr, tas = (series(cube, name, "future") for name in ("pr", "tas"))
    celsius = (tas - 273.15).assign_attrs(units="degC")
    found = cic.emulate(cube, "emulated-future", (0, 13), pr=pr, tas=celsius)
    np.testing.assert_allclose(found["fsmc"], cube["emulated-future"]["fsmc"].sel(lat=0, lon=13).isel(pft=0), atol=0.05)
    flux = (pr / 86400).assign_attrs(units="kg m-2 s-1")
    later = cic.emulate(cube, "emulated-future", (0, 13), pr=flux[100:], tas=tas[100:])
    assert later.sizes["time"] == pr.size - 100
    assert str(later["time"].values[0])[:10] == "2006-04-11"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda pr, tas: (pr.drop_attrs(), tas), "it has no units"),
        (lambda pr, tas: (pr.assign_attrs(units="K"), tas), "cannot be converted"),
        (lambda pr, tas: (pr[:300], tas[:300]), "300 days"),
        (lambda pr, tas: (pr[::2], tas[::2]), "do not follow each other"),
        (lambda pr, tas: (pr[5:], tas), "different days"),
        (lambda pr, tas: (pr.where(pr["time"] != pr["time"][7]), tas), "missing values"),
        (lambda pr, tas: (pr, (tas - 273.15).assign_attrs(units="K")), "none in kelvin"),
        (lambda pr, tas: (pr, None), "needed both"),
    ],
)
def test_a_series_that_is_no_weather_is_answered(whole: Path, change, told: str) -> None:
    cube = cic.open(whole / "cube")
    pr, tas = change(*(series(cube, name, "future") for name in ("pr", "tas")))
    with pytest.raises(InputError, match=told):
        cic.emulate(cube, "emulated-future", (0, 13), pr=pr, tas=tas)


def test_a_place_in_the_sea_is_answered_from_far_away(whole: Path) -> None:
    cube = cic.open(whole / "cube")
    sea = (chain.LATS[chain.SEA[0]], chain.LONS[chain.SEA[1]])
    assert cic.emulate(cube, "emulated-future", (sea[0] - 0.2, sea[1])).attrs["lat"] == chain.LATS[chain.SEA[0] - 1]
    with pytest.raises(InputError) as caught:
        cic.emulate(cube, "emulated-future", (sea[0] + 2, sea[1] + 6))
    (problem,) = caught.value.problems
    assert problem.code == "place-too-far"
    assert problem.fix.count(" km)") == 3
    for what, code in (((95, 0), "place-unknown"), ((0, 13), "not-emulated")):
        product = "emulated-future" if code == "place-unknown" else "column-future"
        with pytest.raises(InputError, match=code):
            cic.emulate(cube, product, what)


def test_nearest_is_not_the_nearest() -> None:
    """Against a plain search with the spherical law of cosines."""
    rng = np.random.default_rng(2)
    lat, lon = (each.ravel() for each in np.meshgrid(np.arange(-35, 38, 2.0), np.arange(-18, 52, 2.0), indexing="ij"))
    valid = rng.random(lat.size) < 0.7
    for _ in range(50):
        place = rng.uniform(-34, 36), rng.uniform(-17, 50)
        a, b = np.radians(place[0]), np.radians(lat)
        cosine = np.sin(a) * np.sin(b) + np.cos(a) * np.cos(b) * np.cos(np.radians(lon - place[1]))
        km = np.where(valid, 6371 * np.arccos(np.clip(cosine, -1, 1)), np.inf)
        found = nearest(place, lat, lon, valid)
        assert abs(found.km - km.min()) < 1e-3


def everywhere(step: float) -> tuple[np.ndarray, np.ndarray]:
    """Centres of a grid of the whole earth."""
    rows, columns = np.arange(-90 + step / 2, 90, step), np.arange(-180 + step / 2, 180, step)
    lat, lon = np.meshgrid(rows, columns, indexing="ij")
    return lat.ravel(), lon.ravel()


@pytest.mark.parametrize("step", [1.0, 2.5])
@pytest.mark.parametrize("place", [(71.0, 25.8), (78.95, 15.6), (71.0001, 25.01), (88.99, 0.02), (0.99, 0.99)])
def test_place_inside_a_narrow_cell_is_too_far(place: tuple[float, float], step: float) -> None:
    found = nearest(place, *everywhere(step), np.ones(int(180 / step * 360 / step), np.bool_))
    assert abs(found.lat - place[0]) <= step / 2
    assert abs(found.lon - place[1]) <= step / 2


def test_land_points_towards_the_pole_are_too_narrow() -> None:
    # Every cell north of 60 but one is land: the rows are no rectangle.
    lat, lon = everywhere(1.0)
    kept = (lat > 60) & ~((lat == 70.5) & (lon == 0.5))
    found = nearest((78.95, 15.6), lat[kept], lon[kept], np.ones(kept.sum(), np.bool_))
    assert (found.lat, found.lon) == (78.5, 15.5)


ONE = (np.array([9.0]), np.array([7.0]), np.array([True]))


@pytest.mark.parametrize(("degrees", "near"), [(0.0, True), (1.49, True), (1.51, False), (40.0, False)])
def test_single_cell_stands_for_the_whole_earth(degrees: float, near: bool) -> None:
    if near:
        # One degree of a meridian is 111.195 km on a sphere of 6371 km.
        assert nearest((9.0 + degrees, 7.0), *ONE).km == pytest.approx(111.195 * degrees, abs=0.01)
        return
    with pytest.raises(InputError, match="place-too-far"):
        nearest((9.0 + degrees, 7.0), *ONE)
    with pytest.raises(InputError, match="place-too-far"):
        nearest((51.5, -0.1), *ONE)


def test_land_points_far_apart_stand_for_all_between_them() -> None:
    lats, lons = np.array([9.0, 51.0, -30.0]), np.array([7.0, 0.0, 20.0])
    valid = np.ones(3, np.bool_)
    assert nearest((10.0, 7.0), lats, lons, valid).position == 0
    with pytest.raises(InputError, match="place-too-far"):
        nearest((12.0, 7.0), lats, lons, valid)


def test_row_of_cells_is_as_high_as_its_cells_are_narrow() -> None:
    lons = np.arange(0.0, 30.0)
    lats = np.full(30, 71.0)
    assert nearest((71.5, 10.5), lats, lons, np.ones(30, np.bool_)).lat == 71.0
    with pytest.raises(InputError, match="place-too-far"):
        nearest((72.6, 10.0), lats, lons, np.ones(30, np.bool_))
