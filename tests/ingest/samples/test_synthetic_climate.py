"""Land, noise and weather behind the files: continuity, independence of grid and blocks, plausible land."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cube.errors import SpecError
from ingest.samples import LatLonGrid, OsgbGrid, SampleSettings
from ingest.samples.climate import blocks
from ingest.samples.land import AFRICA, GREAT_BRITAIN, MADAGASCAR, NORTHERN_IRELAND, inside
from ingest.samples.noise import NoiseField
from ingest.samples.region import african, british

COARSE = SampleSettings(africa=LatLonGrid.africa(10.0))


@pytest.mark.shared
def test_outlines_differ_from_natural_earth(shared: Path) -> None:
    """Half-degree sampling of Africa and Britain; at least 95 % of the points must agree."""
    countries = json.loads((shared / "data/natural-earth-countries/naturalearth_lowres.geojson").read_text())[
        "features"
    ]
    latitude, longitude = np.meshgrid(np.arange(-36, 39, 0.5) + 0.13, np.arange(-19, 52, 0.5) + 0.13, indexing="ij")
    real = np.zeros(latitude.shape, bool)
    britain_lat, britain_lon = np.meshgrid(np.arange(49.5, 59, 0.2), np.arange(-8.5, 2, 0.2), indexing="ij")
    britain = np.zeros(britain_lat.shape, bool)
    for country in countries:
        geometry = country["geometry"]
        polygons = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
        for polygon in polygons:
            if country["properties"]["continent"] == "Africa":
                real |= inside(polygon[0], longitude, latitude)
            elif country["properties"]["iso_a3"] == "GBR":
                britain |= inside(polygon[0], britain_lon, britain_lat)
    ours = inside(AFRICA, longitude, latitude) | inside(MADAGASCAR, longitude, latitude)
    assert (ours == real).mean() > 0.97
    # the comparison itself draws Britain with some fifty corners
    ours = inside(GREAT_BRITAIN, britain_lon, britain_lat) | inside(NORTHERN_IRELAND, britain_lon, britain_lat)
    assert (ours == britain).mean() > 0.92


def test_default_grids_lack_sea_or_land() -> None:
    africa, uk = african(SampleSettings()), british(SampleSettings())
    assert africa.fraction.size == 210
    assert 100 <= len(africa.jules_points) < africa.points < 140
    assert ((africa.fraction > 0) & (africa.fraction < 1)).any()
    assert 8 <= len(uk.jules_points) <= uk.points <= 16
    assert (uk.fraction == 0).any()


def test_weather_depends_on_the_grid() -> None:
    """A place has the same weather on whatever grid it is asked for."""
    fine = african(SampleSettings(africa=LatLonGrid(-3.0, 20.0, 1.0, 5, 5)))
    coarse = african(SampleSettings(africa=LatLonGrid(-3.0, 20.0, 2.0, 3, 3)))
    here, there = (
        region.weather("rcp60").days(date(2020, 3, 1), 20).rain.reshape(20, *region.shape) for region in (fine, coarse)
    )
    np.testing.assert_allclose(here[:, ::2, ::2], there, rtol=1e-3, atol=0.02)


@given(st.integers(1, 40), st.integers(0, 1500))
@settings(max_examples=20, deadline=None)
def test_weather_depends_on_the_blocks_it_is_made_in(length: int, offset: int) -> None:
    field = NoiseField(7, "any", np.array([1.0, 12.0]), np.array([3.0, 30.0]), (3.0, 20.0), 0.5)
    first = date(2003, 1, 1) + timedelta(days=offset)
    whole = field.values("rcp85", first, length + 30)
    parts = [field.values("rcp85", first, length), field.values("rcp85", first + timedelta(days=length), 30)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)


def test_noise_is_not_standard_normal_or_jumps_at_new_year() -> None:
    latitude = np.linspace(-30, 30, 40)
    field = NoiseField(1, "any", latitude, latitude[::-1], (3.0, 20.0), 0.8)
    values = np.concatenate([field.values("observed", date(year, 1, 1), 365) for year in range(2001, 2021)])
    assert abs(values.mean()) < 0.1
    assert values.std() == pytest.approx(1, abs=0.1)
    steps = np.diff(values, axis=0).std(axis=1)
    new_year = steps[364::365]
    assert new_year.mean() == pytest.approx(steps.mean(), rel=0.2)


def test_scenarios_share_no_past_or_one_future() -> None:
    field = NoiseField(1, "any", np.zeros(3), np.arange(3.0) * 10, (3.0, 20.0), 0.5)
    past = [field.values(run, date(2005, 6, 1), 30) for run in ("historical", "rcp26", "rcp85")]
    np.testing.assert_array_equal(past[1], past[2])
    np.testing.assert_array_equal(past[0][:, 0], past[1][:, 0])
    future = [field.values(run, date(2006, 6, 1), 30) for run in ("rcp26", "rcp85")]
    assert abs(np.corrcoef(future[0].ravel(), future[1].ravel())[0, 1]) < 0.7


def test_rain_is_lost_between_windows() -> None:
    """Shifting the day's begin moves water to a neighbouring day and changes no total."""
    weather = african(COARSE).weather("observed")
    first, count = date(2004, 2, 20), 40
    quarters = weather.six_hourly_rain(first, count + 1).reshape(4 * (count + 1), -1).astype(np.float64)
    for hour in (0, 6, 9):
        hourly = np.repeat(quarters / 6, 6, axis=0)[hour : hour + 24 * count]
        expected = hourly.reshape(count, 24, -1).sum(axis=1)
        np.testing.assert_allclose(weather.rain_from(hour, first, count), expected, atol=1e-4)


def test_mean_of_the_four_steps_is_not_the_days_mean() -> None:
    weather = african(COARSE).weather("observed")
    first = date(2010, 5, 1)
    np.testing.assert_allclose(
        weather.six_hourly_temperature(first, 10).mean(axis=1), weather.days(first, 10).temperature, atol=1e-3
    )


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)), st.integers(0, 3000), st.sampled_from([1, 130, 60_000, 9_000_000]))
def test_blocks_overlap_or_outgrow_memory(first: date, days: int, points: int) -> None:
    last = first + timedelta(days=days)
    day = first
    for start, count in blocks(first, last, points):
        assert start == day
        assert count == 1 or count * points <= 4_000_000
        assert count <= 366
        day = start + timedelta(days=count)
    assert day == last + timedelta(days=1)


def test_decades_are_not_those_of_isimip() -> None:
    wide = SampleSettings(historical_start=1976, scenario_end=2099)
    assert wide.decades("historical") == [(1976, 1980), (1981, 1990), (1991, 2000), (2001, 2005)]
    assert wide.decades("rcp60")[0] == (2006, 2010)
    assert wide.decades("rcp60")[-1] == (2091, 2099)
    assert sum(last - first + 1 for first, last in wide.decades("rcp60")) == 94


def test_impossible_settings_are_reported_one_by_one() -> None:
    with pytest.raises(SpecError) as caught:
        SampleSettings(observation_years=(2010, 2000), families=("tamsat",), uk=OsgbGrid(step=7000), scenario_end=2000)
    assert len(caught.value.problems) == 4
    assert {problem.code for problem in caught.value.problems} == {"samples-settings"}
