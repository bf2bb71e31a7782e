"""Axes of maps: order, noise, seam, area."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.axis import Axis, AxisError, latitude, longitude, plain
from ingest.scatter import cut, spanned


def taken(axis: Axis, native: np.ndarray) -> np.ndarray:
    """What the runs of an axis pick from values in the file's order."""
    out = np.full(len(axis.values), np.nan)
    for run in axis.runs:
        out[run.start : run.start + run.count] = native[run.source + run.step * np.arange(run.count)]
    return out


def test_single_precision_noise_is_removed() -> None:
    # TAMSAT: float64 axes that hold float32 noise, 38.025001525878906 descending to -35.96250152587890.
    exact = 38.025 - 0.0375 * np.arange(1974)
    axis = latitude(exact.astype(np.float32).astype(np.float64), None)
    assert axis.step == 0.0375
    np.testing.assert_array_equal(axis.values, np.round(exact[::-1], 10))
    assert axis.bounds is not None
    np.testing.assert_allclose(axis.bounds[0], [-35.98125, -35.94375])


def test_noise_of_two_last_places_is_removed() -> None:
    single = (-19.0125 + 0.0375 * np.arange(1894)).astype(np.float32)
    single[::2] = np.nextafter(single[::2], np.float32(np.inf))
    axis = longitude(single.astype(np.float64), None)
    assert (axis.values[0], axis.values[-1], axis.step) == (-19.0125, 51.975, 0.0375)


@pytest.mark.parametrize("step", [0.1, 0.2, 0.25, 1 / 12, 1 / 120, 0.44, 1.875, 2.5])
def test_regular_axes_are_rebuilt_from_first_and_step(step: float) -> None:
    exact = -30 + step * (np.arange(200) + 0.5)
    for stored in (exact, exact.astype(np.float32).astype(np.float64)):
        axis = plain(stored, None)
        assert axis.step == pytest.approx(step, rel=1e-6)
        np.testing.assert_allclose(axis.values, exact, atol=5e-6)
        assert len(set(np.round(np.diff(axis.values), 8))) == 1


def test_descending_latitude_is_turned() -> None:
    stored = np.array([30.0, 20.0, 10.0])
    axis = latitude(stored, None)
    assert axis.values.tolist() == [10, 20, 30]
    assert taken(axis, stored).tolist() == [10, 20, 30]


def test_longitudes_from_0_to_360_are_turned_at_the_seam() -> None:
    stored = np.arange(0.0, 360.0, 2.5)
    axis = longitude(stored, None)
    assert (axis.values[0], axis.values[-1], axis.step, len(axis.runs)) == (-180, 177.5, 2.5, 2)
    np.testing.assert_array_equal((taken(axis, stored) + 180) % 360 - 180, axis.values)


def test_a_region_across_greenwich_is_not_broken() -> None:
    # CORDEX Africa: 335.47, 357.47, 19.47, 41.47 as stored.
    axis = longitude(np.array([335.47, 357.47, 19.47, 41.47]), None)
    np.testing.assert_allclose(axis.values, [-24.53, -2.53, 19.47, 41.47])
    assert axis.step == 22


def test_a_region_across_the_date_line_stays_whole() -> None:
    axis = longitude(np.arange(165.0, 200.0, 2.5), None)
    assert (axis.values[0], axis.values[-1], axis.step) == (165, 197.5, 2.5)
    inside = axis.cut(-175, -170, turn=360)
    assert inside is not None
    assert inside.values.tolist() == [185, 187.5, 190]


def test_both_ends_of_the_circle_are_a_repeat() -> None:
    with pytest.raises(AxisError, match="repeat"):
        longitude(np.arange(0.0, 361.0, 1.0), None)


def test_thinned_axes_keep_their_places_and_have_no_step() -> None:
    # HadGEM2-ES test data: cells picked 100 apart keep their own bounds.
    axis = latitude(np.array([-90.0, 35.0]), np.array([[-90.0, -89.375], [34.375, 35.625]]))
    assert axis.step is None
    assert axis.values.tolist() == [-90, 35]
    assert axis.bounds is not None
    assert axis.bounds.tolist() == [[-90, -89.375], [34.375, 35.625]]


def test_gaussian_latitudes_are_not_made_regular() -> None:
    degrees = np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(96)[0]))
    axis = latitude(degrees[::-1], None)
    assert axis.step is None
    np.testing.assert_array_equal(axis.values, degrees)


def test_an_axis_within_a_hundredth_of_a_cell_is_regular() -> None:
    stored = np.arange(10.0) + np.array([0, 0.009, -0.009, 0, 0.005, 0, 0, 0, 0, 0])
    assert plain(stored, None).step == 1
    stored[3] += 0.02
    assert plain(stored, None).step is None


def test_impossible_latitudes_are_refused() -> None:
    with pytest.raises(AxisError, match="123"):
        latitude(np.array([0.0, 123.0]), None)


def test_polar_cells_end_at_the_pole() -> None:
    axis = latitude(np.arange(-90.0, 91.0, 10.0), None)
    assert axis.bounds is not None
    assert (axis.bounds.min(), axis.bounds.max()) == (-90, 90)


@given(
    rows=st.integers(1, 30),
    low=st.floats(-50, 50),
    width=st.floats(0, 40),
    descending=st.booleans(),
    start=st.floats(-40, 20),
)
def test_an_area_takes_the_cells_with_their_centre_inside(
    rows: int, low: float, width: float, descending: bool, start: float
) -> None:
    stored = round(start, 2) + 0.5 * np.arange(rows)
    stored = stored[::-1].copy() if descending else stored
    axis = plain(stored, None)
    part = axis.cut(low, low + width)
    inside = np.sort(stored[(stored >= low - 0.005) & (stored <= low + width + 0.005)])
    found = np.zeros(0) if part is None else taken(part, stored)
    # Centres within a hundredth of a cell of the edge may go either way.
    clear = inside[(np.abs(inside - low) > 0.006) & (np.abs(inside - low - width) > 0.006)]
    assert set(np.round(clear, 4)) <= set(np.round(found, 4)) <= set(np.round(inside, 4))
    if part is not None:
        np.testing.assert_allclose(part.values, found, atol=1e-9)


@given(st.data())
def test_runs_follow_any_order_of_cells(data: st.DataObject) -> None:
    stored = np.array(data.draw(st.permutations(range(12))), float)
    axis = plain(stored, None)
    assert taken(axis, stored).tolist() == sorted(stored)


def test_land_points_span_the_map_they_were_taken_from() -> None:
    rng = np.random.default_rng(7)
    rows, columns = np.nonzero(rng.random((12, 9)) < 0.4)
    rows, columns = rows[rows != 5], columns[rows != 5]  # a row without land
    latitudes = (-3.25 + 0.5 * rows).astype(np.float32).astype(np.float64)
    longitudes = (355.75 + 0.5 * columns).astype(np.float32).astype(np.float64) % 360
    found = spanned(latitudes, longitudes, ())
    assert (found.y.step, found.x.step) == (0.5, 0.5)
    grid = cut(found.index, found.y, found.x)
    points = grid.points()
    for point, (north, east) in enumerate(zip(latitudes, longitudes, strict=True)):
        row, column = np.argwhere(points == point)[0]
        assert found.y.values[row] == pytest.approx(north, abs=1e-4)
        assert found.x.values[column] == pytest.approx((east + 180) % 360 - 180, abs=1e-4)
    assert (points >= 0).sum() == len(latitudes)


def test_two_points_in_one_cell_are_refused() -> None:
    with pytest.raises(AxisError, match="one cell"):
        spanned(np.array([1.0, 1.0, 2.0]), np.array([5.0, 5.0, 6.0]), ())


def test_scattered_sites_are_not_made_a_map() -> None:
    rng = np.random.default_rng(3)
    with pytest.raises(AxisError, match="would span a map"):
        spanned(rng.uniform(-30, 30, 900), rng.uniform(-10, 40, 900), ())


def test_points_of_the_national_grid_are_found_there() -> None:
    import pyproj

    east, north = np.meshgrid(np.arange(300_500, 306_000, 1000), np.arange(90_500, 94_000, 1000))
    to_degrees = pyproj.Transformer.from_crs("EPSG:27700", "EPSG:4326", always_xy=True)
    longitudes, latitudes = to_degrees.transform(east.ravel(), north.ravel())
    single = [each.astype(np.float32).astype(np.float64) for each in (latitudes, longitudes)]
    found = spanned(*single, (27700,))
    assert found.epsg == 27700
    assert found.x.values.tolist() == sorted(set(east.ravel().tolist()))
    assert found.y.values.tolist() == sorted(set(north.ravel().tolist()))
