"""Parts of archives: periods, areas, variables, daily steps; labels of all kinds of stamps."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest
from pydantic import ValidationError

from ingest.selection import IngestSelection

from .looking import codes, look, refused, values
from .small_files import LATITUDES, LONGITUDES, daily, field, write


def first_and_last(archive: object) -> tuple[str, str]:
    time = getattr(archive, "time", None)
    assert time is not None
    return time.text(0), time.text(-1)


def test_a_period_is_inclusive_at_both_ends(tmp_path: Path) -> None:
    daily(tmp_path, range(70))
    archive = look(tmp_path, "*.nc", period={"start": "2001-01-15", "end": "2001-02"})
    assert first_and_last(archive) == ("2001-01-15", "2001-02-28")
    np.testing.assert_array_equal(values(archive.variables["tas"]), field(14, 45))
    assert len(archive.files) == 45  # files outside it are no input


def test_a_period_cuts_inside_files(tmp_path: Path) -> None:
    write(tmp_path / "a.nc", field(0, 30), times=range(30))
    archive = look(tmp_path, "*.nc", period={"start": "2001-01-11", "end": "2001-01-20"})
    (piece,) = archive.variables["tas"].pieces
    assert (piece.start, piece.count, piece.source_start) == (0, 10, 10)
    np.testing.assert_array_equal(values(archive.variables["tas"]), field(10, 10))


@pytest.mark.parametrize(
    "options", [{"period": {"start": "2001-01-31"}}, {"gaps": {"periods": [["2001-01-01", "2001-01-31"]]}}]
)
def test_a_day_that_the_calendar_lacks(tmp_path: Path, options: dict[str, object]) -> None:
    daily(tmp_path, range(3), calendar="360_day")
    (problem,) = refused(tmp_path, "*.nc", **options)
    assert problem.code == "period-date"
    assert "360_day" in problem.what


def test_a_period_without_files(tmp_path: Path) -> None:
    daily(tmp_path, range(3))
    assert codes(refused(tmp_path, "*.nc", period={"start": "2050"})) == ["period-empty"]


def test_variables_of_separate_files_must_cover_the_same(tmp_path: Path) -> None:
    write(tmp_path / "tas.nc", field(0, 20), times=range(20))
    write(tmp_path / "hurs.nc", field(0, 15), times=range(5, 20), name="hurs", attrs={"units": "%"})
    (problem,) = refused(tmp_path, "*.nc")
    assert problem.code == "variables-period"
    assert "hurs" in problem.what
    assert "2001-01-06 to 2001-01-20" in problem.what
    archive = look(tmp_path, "*.nc", period={"start": "2001-01-06"})
    assert first_and_last(archive) == ("2001-01-06", "2001-01-20")


def test_a_variable_that_some_files_lack(tmp_path: Path) -> None:
    extra = {"flag": (("time", "lat", "lon"), np.ones((1, 3, 4), np.int8), {})}
    daily(tmp_path, [0, 1, 3], extra=extra)
    write(tmp_path / "tas_002.nc", field(2, 1), times=[2.0])
    (problem,) = refused(tmp_path, "*.nc")
    assert problem.code == "time-gap"
    assert problem.what.startswith("flag: 1 step")
    assert set(look(tmp_path, "*.nc", variables=["tas"]).variables) == {"tas"}


@pytest.mark.parametrize("area", [{"lat": [10.2, 11.2], "lon": [30.2, 31.2]}, {"lat": [10.5, 11], "lon": [30.5, 31]}])
def test_an_area_takes_centres_inside(tmp_path: Path, area: dict[str, list[float]]) -> None:
    daily(tmp_path, range(3))
    archive = look(tmp_path, "*.nc", area=area)
    np.testing.assert_array_equal(values(archive.variables["tas"]), field(0, 3)[:, 1:3, 1:3])
    assert archive.attrs["bbox"] == [30.25, 10.25, 31.25, 11.25]


def test_an_area_outside_the_map(tmp_path: Path) -> None:
    daily(tmp_path, range(3))
    (problem,) = refused(tmp_path, "*.nc", area={"lat": [50, 60], "lon": [0, 10]})
    assert problem.code == "area-empty"
    assert "lat 3 from 10 to 11" in problem.what


def test_an_area_in_the_wrong_coordinates(tmp_path: Path) -> None:
    daily(tmp_path, range(3))
    (problem,) = refused(tmp_path, "*.nc", area={"x": [0, 1000], "y": [0, 1000]})
    assert (problem.code, problem.fix) == ("area-kind", "give `area` by lat and lon")


def hourly(path: Path, first: int, steps: int, hours: int = 6, **options: object) -> Path:
    return write(path, field(first, steps), times=[hours * (first + n) for n in range(steps)],
                 units="hours since 2001-01-01", **options)  # type: ignore[arg-type]  # fmt: skip


def test_days_are_made_of_all_their_steps(tmp_path: Path) -> None:
    hourly(tmp_path / "a.nc", 0, 8)
    hourly(tmp_path / "b.nc", 8, 8)
    archive = look(tmp_path, "*.nc", step="day")
    assert first_and_last(archive) == ("2001-01-01", "2001-01-04")
    expected = field(0, 16).reshape(4, 4, 3, 4).mean(axis=1)
    np.testing.assert_allclose(values(archive.variables["tas"]), expected, rtol=1e-7)
    part = values(archive.variables["tas"], time=slice(1, 3), lat=slice(1, 2))
    np.testing.assert_allclose(part, expected[1:3, 1:2], rtol=1e-7)


def test_days_without_all_their_steps_are_left_out(tmp_path: Path) -> None:
    hourly(tmp_path / "a.nc", 2, 14)
    archive = look(tmp_path, "*.nc", step="day")
    assert first_and_last(archive) == ("2001-01-02", "2001-01-04")
    assert "tas: 2001-01-01 has 2 of 4 steps and is left out" in archive.notes


def test_a_day_in_two_files_is_refused(tmp_path: Path) -> None:
    hourly(tmp_path / "a.nc", 0, 6)
    hourly(tmp_path / "b.nc", 6, 6)
    problems = refused(tmp_path, "*.nc", step="day")
    assert "time-day-split" in codes(problems)


def test_the_maximum_of_a_day(tmp_path: Path) -> None:
    attrs = {"units": "K", "standard_name": "air_temperature", "cell_methods": "time: maximum"}
    hourly(tmp_path / "a.nc", 0, 8, attrs=attrs)
    found = values(look(tmp_path, "*.nc", step="day").variables["tas"])
    np.testing.assert_array_equal(found, field(0, 8).reshape(2, 4, 3, 4).max(axis=1))


def test_flags_have_no_daily_mean(tmp_path: Path) -> None:
    hourly(tmp_path / "a.nc", 0, 8, name="state", dtype="i2", attrs={"flag_meanings": "a b"})
    assert codes(refused(tmp_path, "*.nc", step="day")) == ["step-flag"]


def test_days_do_not_become_months(tmp_path: Path) -> None:
    daily(tmp_path, range(3))
    assert "step-unsupported" in codes(refused(tmp_path, "*.nc", step="month"))


def test_sums_become_rates_by_the_length_of_the_month(tmp_path: Path) -> None:
    attrs = {"units": "kg m-2", "standard_name": "precipitation_amount", "cell_methods": "time: sum"}
    amount = np.full((3, 3, 4), 62.0, np.float32)
    bounds = [[0, 31], [31, 59], [59, 90]]
    write(tmp_path / "a.nc", amount, name="pr", times=[15, 45, 74], bounds=bounds, attrs=attrs)
    archive = look(tmp_path, "*.nc")
    variable = archive.variables["pr"]
    found = values(variable)[:, 0, 0]
    np.testing.assert_allclose(found, [2, 62 / 28, 2], rtol=1e-7)
    assert (variable.attrs["units"], variable.attrs["cell_methods"]) == ("mm d-1", "time: mean")
    np.testing.assert_allclose(values(variable, time=slice(1, 2))[:, 0, 0], [62 / 28], rtol=1e-7)


@pytest.mark.parametrize("stamp", [0.0, 0.5, 1.0])
def test_bounds_tell_the_label_wherever_the_stamp_is(tmp_path: Path, stamp: float) -> None:
    bounds = [[n, n + 1] for n in range(4)]
    write(tmp_path / "a.nc", field(0, 4), times=[n + stamp for n in range(4)], bounds=bounds)
    assert first_and_last(look(tmp_path, "*.nc")) == ("2001-01-01", "2001-01-04")


@pytest.mark.parametrize("stamp", [0.0, 0.5])
def test_stamps_at_the_start_or_in_the_middle(tmp_path: Path, stamp: float) -> None:
    write(tmp_path / "a.nc", field(0, 4), times=[n + stamp for n in range(4)])
    assert first_and_last(look(tmp_path, "*.nc")) == ("2001-01-01", "2001-01-04")


@pytest.mark.parametrize("calendar", ["noleap", "360_day", "standard", None])
def test_calendars_are_kept(tmp_path: Path, calendar: str | None) -> None:
    write(tmp_path / "a.nc", field(0, 62), times=range(62), calendar=calendar, units="days since 2004-01-01")
    archive = look(tmp_path, "*.nc")
    assert archive.time is not None
    assert archive.time.calendar == (calendar or "standard")
    last = {"noleap": "2004-03-03", "360_day": "2004-03-02"}.get(calendar or "", "2004-03-02")
    assert archive.time.text(-1) == last


def test_scalar_times_one_file_a_step(tmp_path: Path) -> None:
    for day in range(3):
        extra = {"time": ((), float(day), {"units": "days since 2001-01-01", "standard_name": "time"})}
        write(tmp_path / f"{day}.nc", field(day, 1), times=None, extra=extra)
    archive = look(tmp_path, "*.nc")
    assert first_and_last(archive) == ("2001-01-01", "2001-01-03")
    np.testing.assert_array_equal(values(archive.variables["tas"]), field(0, 3))


def test_statics_beside_series_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    mask = np.arange(12, dtype=np.float32).reshape(3, 4)
    extra = {"height": (("lat", "lon"), mask, {"units": "m"})}
    daily(tmp_path, range(3), extra=extra)
    archive = look(tmp_path, "*.nc")
    assert set(archive.variables) == {"tas"}
    assert "left out because they have no time: height" in archive.notes
    static = look(tmp_path, "*.nc", variables=["height"])
    assert static.time is None
    assert static.variables["height"].dims == ("lat", "lon")
    np.testing.assert_array_equal(values(static.variables["height"]), mask)
    assert codes(refused(tmp_path, "*.nc", variables=["tas", "height"])) == ["variable-without-time"]


def test_extra_dimensions_keep_their_coordinate(tmp_path: Path) -> None:
    levels = np.array([10.0, 100.0])
    data = np.stack([field(0, 3), field(5, 3)], axis=1)
    path = tmp_path / "a.nc"
    write(path, times=range(3))
    with netCDF4.Dataset(path, "a") as dataset:
        dataset.createDimension("level", 2)
        level = dataset.createVariable("level", "f8", ("level",))
        level.setncatts({"units": "hPa", "positive": "down", "axis": "Z"})
        level[:] = levels
        hus = dataset.createVariable("hus", "f4", ("time", "level", "lat", "lon"))
        hus.units = "1"
        hus[:] = data
    archive = look(tmp_path, "*.nc", variables=["hus"])
    variable = archive.variables["hus"]
    assert variable.dims == ("time", "level", "lat", "lon")
    assert archive.coords["level"].values.tolist() == [10, 100]
    assert archive.coords["level"].attrs["positive"] == "down"
    np.testing.assert_array_equal(values(variable, level=slice(1, 2))[:, 0], field(5, 3))


def test_levels_that_differ_from_file_to_file(tmp_path: Path) -> None:
    for day, top in enumerate((10.0, 10.0, 20.0)):
        extra = {
            "level": (("level",), np.array([top, 100.0]), {"units": "hPa"}),
            "hus": (("time", "level", "lat", "lon"), np.zeros((1, 2, 3, 4), np.float32), {"units": "1"}),
        }
        path = tmp_path / f"{day}.nc"
        write(path, times=[float(day)])
        with netCDF4.Dataset(path, "a") as dataset:
            dataset.createDimension("level", 2)
            for name, (dims, data, attrs) in extra.items():
                variable = dataset.createVariable(name, data.dtype, dims)
                variable.setncatts(attrs)
                variable[:] = data
    assert "dimension-differs" in codes(refused(tmp_path, "*.nc", variables=["hus"]))


def test_scalars_that_differ_are_left_out(tmp_path: Path) -> None:
    for day, height in enumerate((2.0, 2.0, 10.0)):
        write(tmp_path / f"{day}.nc", field(day, 1), times=[float(day)], extra={"height": ((), height, {"units": "m"})})
    archive = look(tmp_path, "*.nc")
    assert "height" not in archive.coords
    assert "the number height is not the same in all files and is left out" in archive.notes


def test_dangling_attributes_do_no_harm(tmp_path: Path) -> None:
    attrs = {"units": "K", "coordinates": "height place", "grid_mapping": "nowhere", "cell_measures": "area: areacella"}
    path = write(tmp_path / "a.nc", field(0, 3), times=range(3), attrs=attrs)
    with netCDF4.Dataset(path, "a") as dataset:
        dataset["time"].bounds = "time_bnds"
        dataset["lat"].bounds = "lat_bnds"
    archive = look(tmp_path, "*.nc")
    assert archive.variables["tas"].attrs == {"units": "K"}


def test_projected_axes_without_a_mapping_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w") as dataset:
        for name in ("y", "x"):
            dataset.createDimension(name, 3)
            axis = dataset.createVariable(name, "f8", (name,))
            axis.setncatts({"units": "m", "standard_name": f"projection_{name}_coordinate"})
            axis[:] = [0, 1000, 2000]
        dataset.createVariable("tas", "f4", ("y", "x"))[:] = 1
    (problem,) = refused(tmp_path, "*.nc")
    assert problem.code == "grid-projection"


def test_axes_in_kilometres_become_metres(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w") as dataset:
        for name, positions in (("y", [3.0, 2.0, 1.0]), ("x", [0.0, 1.0])):
            dataset.createDimension(name, len(positions))
            axis = dataset.createVariable(name, "f8", (name,))
            axis.setncatts({"units": "km", "standard_name": f"projection_{name}_coordinate"})
            axis[:] = positions
        mapping = dataset.createVariable("crs", "i4", ())
        mapping.setncatts(
            {"grid_mapping_name": "lambert_azimuthal_equal_area", "latitude_of_projection_origin": 90.0,
             "longitude_of_projection_origin": 0.0, "false_easting": 0.0, "false_northing": 0.0}
        )  # fmt: skip
        tas = dataset.createVariable("tas", "f4", ("y", "x"))
        tas.grid_mapping = "crs"
        tas[:] = 1
    archive = look(tmp_path, "*.nc")
    assert archive.coords["y"].values.tolist() == [1000, 2000, 3000]
    assert archive.coords["y"].attrs["units"] == "m"


def test_a_range_of_temperatures_has_no_zero_to_move(tmp_path: Path) -> None:
    attrs = {"units": "degC", "long_name": "diurnal temperature range"}
    write(tmp_path / "a.nc", field(0, 3), name="dtr", times=range(3), attrs=attrs)
    variable = look(tmp_path, "*.nc").variables["dtr"]
    assert variable.attrs["units"] == "degC"
    np.testing.assert_array_equal(values(variable), field(0, 3))


def test_curved_maps_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    rows, columns = np.mgrid[0:4, 0:5].astype(float)
    with netCDF4.Dataset(path, "w") as dataset:
        dataset.createDimension("y", 4)
        dataset.createDimension("x", 5)
        for name, data in (("lat", rows + 0.2 * columns), ("lon", columns - 0.3 * rows)):
            variable = dataset.createVariable(name, "f8", ("y", "x"))
            variable.standard_name = {"lat": "latitude", "lon": "longitude"}[name]
            variable[:] = data
        dataset.createVariable("tas", "f4", ("y", "x"))[:] = 1
    (problem,) = refused(tmp_path, "*.nc")
    assert problem.code == "grid-curvilinear"


def test_a_rotated_pole_stays_rotated(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    rows, columns = np.meshgrid([-1.0, 0.0, 1.0], [0.0, 1.0], indexing="ij")
    with netCDF4.Dataset(path, "w") as dataset:
        for name, positions in (("rlat", [1.0, 0.0, -1.0]), ("rlon", [0.0, 1.0])):
            dataset.createDimension(name, len(positions))
            axis = dataset.createVariable(name, "f8", (name,))
            axis.standard_name = "grid_latitude" if name == "rlat" else "grid_longitude"
            axis[:] = positions
        for name, data in (("lat", 50 + rows[::-1] + 0.1 * columns), ("lon", columns + 0.2 * rows)):
            variable = dataset.createVariable(name, "f8", ("rlat", "rlon"))
            variable.standard_name = {"lat": "latitude", "lon": "longitude"}[name]
            variable[:] = data
        pole = dataset.createVariable("rotated_pole", "i4", ())
        pole.setncatts(
            {"grid_mapping_name": "rotated_latitude_longitude", "grid_north_pole_latitude": 39.25,
             "grid_north_pole_longitude": -162.0}
        )  # fmt: skip
        tas = dataset.createVariable("tas", "f4", ("rlat", "rlon"))
        tas.setncatts({"units": "K", "grid_mapping": "rotated_pole", "coordinates": "lat lon"})
        tas[:] = [[5, 6], [3, 4], [1, 2]]
    archive = look(tmp_path, "*.nc")
    variable = archive.variables["tas"]
    assert variable.dims == ("rlat", "rlon")
    assert archive.coords["rlat"].values.tolist() == [-1, 0, 1]
    assert values(variable).tolist() == [[1, 2], [3, 4], [5, 6]]
    assert archive.coords["crs"].attrs["grid_north_pole_latitude"] == 39.25
    np.testing.assert_allclose(archive.coords["lat"][:, 0], [49, 50, 51])
    assert (variable.attrs["grid_mapping"], variable.attrs["coordinates"]) == ("crs", "lat lon")


def test_licence_and_providers_come_from_the_specification(tmp_path: Path) -> None:
    daily(tmp_path, range(2))
    plain = look(tmp_path, "*.nc").provenance
    assert (plain["licence"], plain["redistribution"], plain["ancestors"]) == ("other", "unknown", [])
    given = {
        "licence": "CC-BY-4.0",
        "redistribution": "yes",
        "providers": [{"name": "Centre", "roles": ["producer"], "url": "https://example.org"}],
        "citations": [{"text": "Somebody (2020)", "doi": "10.1/x"}],
    }
    found = look(tmp_path, "*.nc", provenance=given).provenance
    assert found == {**given, "licence_url": None, "ancestors": []}


@pytest.mark.parametrize(
    "options", [{"step": "5 hours"}, {"dzsoil": [0.1, -1]}, {"names": "perhaps"}, {"variables": []}, {"unknown": 1}]
)
def test_impossible_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        IngestSelection.model_validate(options)


def test_small_files_are_as_the_tests_think(tmp_path: Path) -> None:
    write(tmp_path / "a.nc", times=[0.0, 1.0])
    with netCDF4.Dataset(tmp_path / "a.nc") as dataset:
        assert dataset["tas"][1, 2, 3] == 1023
        assert dataset["lat"][:].tolist() == list(LATITUDES)
        assert dataset["lon"][:].tolist() == list(LONGITUDES)
