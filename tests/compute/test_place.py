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
