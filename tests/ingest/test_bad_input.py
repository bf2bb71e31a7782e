"""Bad files: each fault has its words, and several are reported in one go."""

from __future__ import annotations

import os
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from ingest import opening

from .looking import codes, look, refused, values
from .small_files import daily, field, write


def test_a_pattern_that_matches_nothing(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, "nothing/*.nc")
    assert (problem.code, problem.fix.split(",")[0]) == ("files-none", "mount the archive")


def test_a_named_file_that_is_missing(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, "lost.nc")
    assert (problem.code, problem.where) == ("file-missing", "lost.nc")


def test_a_broken_link_is_a_missing_file(tmp_path: Path) -> None:
    daily(tmp_path, [0, 1])
    (tmp_path / "tas_002.nc").symlink_to(tmp_path / "elsewhere.nc")
    (problem,) = refused(tmp_path, "*.nc")
    assert (problem.code, problem.where) == ("file-missing", "tas_002.nc")


def test_zero_bytes(tmp_path: Path) -> None:
    daily(tmp_path, [0, 1])
    (tmp_path / "tas_002.nc").touch()
    (problem,) = refused(tmp_path, "*.nc")
    assert (problem.code, problem.where) == ("file-empty", "tas_002.nc")


@pytest.mark.parametrize("file_format", ["NETCDF4", "NETCDF3_CLASSIC"])
@pytest.mark.parametrize("share", [0.2, 0.9, 0.99])
def test_truncated_files(tmp_path: Path, file_format: str, share: float) -> None:
    paths = daily(tmp_path, [0, 1, 2], file_format=file_format)
    whole = paths[2].read_bytes()
    paths[2].write_bytes(whole[: int(share * len(whole))])
    (problem,) = refused(tmp_path, "*.nc")
    assert (problem.code, problem.where) == ("file-unreadable", "tas_002.nc")


def test_a_page_that_was_saved_as_data(tmp_path: Path) -> None:
    (tmp_path / "tas.nc").write_text("<!DOCTYPE html><title>Log in</title>")
    (problem,) = refused(tmp_path, "*.nc")
    assert "web page" in problem.what


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Tests may run as root, who may read everything.
    paths = daily(tmp_path, [0, 1, 2])
    real = os.open

    def guarded(path: str, flags: int, *more: int) -> int:
        if str(path) == str(paths[2]):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, flags, *more)

    monkeypatch.setattr(opening.os, "open", guarded)
    (problem,) = refused(tmp_path, "*.nc")
    assert (problem.code, problem.where) == ("file-permission", "tas_002.nc")


def test_a_file_of_another_variable(tmp_path: Path) -> None:
    daily(tmp_path, [0, 1])
    write(tmp_path / "pr_002.nc", name="pr", times=[2.0])
    (problem,) = refused(tmp_path, "*.nc", variables=["tas"])
    assert (problem.code, problem.where) == ("variable-absent", "pr_002.nc")


def test_a_file_of_another_map(tmp_path: Path) -> None:
    daily(tmp_path, [0, 1])
    write(tmp_path / "tas_002.nc", times=[2.0], latitudes=[10.0, 10.25, 10.5])
    (problem,) = refused(tmp_path, "*.nc")
    assert (problem.code, problem.where) == ("grid-differs", "tas_002.nc")
    assert "lat 3 from 10 to 10.5" in problem.what


def test_a_map_that_is_off_by_less_than_a_hundredth_of_a_cell(tmp_path: Path) -> None:
    daily(tmp_path, [0, 1])
    write(tmp_path / "tas_002.nc", field(2, 1), times=[2.0], latitudes=[10.003, 10.503, 11.003])
    archive = look(tmp_path, "*.nc")
    assert archive.coords["lat"].values.tolist() == [10, 10.5, 11]
    np.testing.assert_array_equal(values(archive.variables["tas"]), field(0, 3))


def test_a_flipped_latitude_among_others_is_turned(tmp_path: Path) -> None:
    daily(tmp_path, [0, 1, 3])
    write(tmp_path / "tas_002.nc", field(2, 1)[:, ::-1], times=[2.0], latitudes=[11.0, 10.5, 10.0])
    archive = look(tmp_path, "*.nc")
    np.testing.assert_array_equal(values(archive.variables["tas"]), field(0, 4))


def test_longitudes_from_0_to_360_among_others(tmp_path: Path) -> None:
    west = [-1.0, -0.5, 0.0, 0.5]
    daily(tmp_path, [0, 1], longitudes=west)
    rolled = np.roll(field(2, 1), 2, axis=2)
    write(tmp_path / "tas_002.nc", rolled, times=[2.0], longitudes=[0.0, 0.5, 359.0, 359.5])
    archive = look(tmp_path, "*.nc")
    assert archive.coords["lon"].values.tolist() == west
    np.testing.assert_array_equal(values(archive.variables["tas"]), field(0, 3))


def test_a_missing_day(tmp_path: Path) -> None:
    daily(tmp_path, [0, 1, 3, 4])
    (problem,) = refused(tmp_path, "*.nc")
    assert problem.code == "time-gap"
    assert "1 step missing in 1 hole: 2001-01-03" in problem.what


@pytest.mark.parametrize("gaps", [{"max_days": 1}, {"periods": [["2001-01-02", "2001-01-04"]]}])
def test_a_declared_hole_is_listed_and_missing(tmp_path: Path, gaps: dict[str, object]) -> None:
    daily(tmp_path, [0, 1, 3, 4])
    archive = look(tmp_path, "*.nc", gaps=gaps)
    assert archive.gaps == (("2001-01-03", "2001-01-03"),)
    found = values(archive.variables["tas"])
    assert np.isnan(found[2]).all()
    np.testing.assert_array_equal(found[[0, 1, 3, 4]], field(0, 5)[[0, 1, 3, 4]])


@pytest.mark.parametrize("gaps", [{"max_days": 1}, {"periods": [["2001-01-03", "2001-01-03"]]}])
def test_a_longer_hole_than_declared_is_refused(tmp_path: Path, gaps: dict[str, object]) -> None:
    daily(tmp_path, [0, 1, 4])
    assert codes(refused(tmp_path, "*.nc", gaps=gaps)) == ["time-gap"]


def test_a_day_twice_with_other_values(tmp_path: Path) -> None:
    daily(tmp_path, [0, 1, 2])
    write(tmp_path / "zz.nc", field(7, 1), times=[1.0])
    (problem,) = refused(tmp_path, "*.nc")
    assert (problem.code, problem.where) == ("time-duplicate", "tas_001.nc and zz.nc")


def test_a_copy_under_another_name_is_dropped(tmp_path: Path) -> None:
    paths = daily(tmp_path, [0, 1, 2])
    (tmp_path / "copy.nc").write_bytes(paths[1].read_bytes())
    archive = look(tmp_path, "*.nc")
    assert len(archive.variables["tas"].pieces) == 3
    assert any("is the same in" in note for note in archive.notes)
    np.testing.assert_array_equal(values(archive.variables["tas"]), field(0, 3))


def test_overlapping_files_with_equal_values(tmp_path: Path) -> None:
    write(tmp_path / "a.nc", field(0, 6), times=range(6))
    write(tmp_path / "b.nc", field(4, 6), times=range(4, 10))
    archive = look(tmp_path, "*.nc")
    assert archive.time is not None
    assert archive.time.count == 10
    np.testing.assert_array_equal(values(archive.variables["tas"]), field(0, 10))


def test_overlapping_files_with_other_values(tmp_path: Path) -> None:
    write(tmp_path / "a.nc", field(0, 6), times=range(6))
    write(tmp_path / "b.nc", field(14, 6), times=range(4, 10))
    (problem,) = refused(tmp_path, "*.nc")
    assert "2001-01-05 to 2001-01-06 (2 steps)" in problem.what
    last = values(look(tmp_path, "*.nc", duplicates="last").variables["tas"])
    np.testing.assert_array_equal(last, np.concatenate([field(0, 4), field(14, 6)]))
    first = values(look(tmp_path, "*.nc", duplicates="first").variables["tas"])
    np.testing.assert_array_equal(first, np.concatenate([field(0, 6), field(16, 4)]))


def test_a_unit_that_cannot_be_converted(tmp_path: Path) -> None:
    daily(tmp_path, [0, 1])
    write(tmp_path / "tas_002.nc", times=[2.0], attrs={"units": "kg", "standard_name": "air_temperature"})
    (problem,) = refused(tmp_path, "*.nc")
    assert (problem.code, problem.where) == ("unit-convert", "tas_002.nc")
    assert "'kg'" in problem.what


def test_units_that_differ_are_converted(tmp_path: Path) -> None:
    daily(tmp_path, [0, 1])
    write(
        tmp_path / "tas_002.nc",
        field(2, 1) - 273.15,
        times=[2.0],
        attrs={"units": "degC", "standard_name": "air_temperature"},
    )
    found = values(look(tmp_path, "*.nc").variables["tas"])
    np.testing.assert_allclose(found, field(0, 3), atol=2e-4)


def test_packing_that_differs_from_file_to_file(tmp_path: Path) -> None:
    for day, (scale, offset, fill) in enumerate([(0.5, 10.0, -1), (0.25, 0.0, -32767), (1.0, -4.0, 99)]):
        stored = np.rint((field(day, 1) - offset) / scale).astype(np.int16)
        stored[0, 0, 0] = fill
        attrs = {"units": "K", "scale_factor": scale, "add_offset": offset}
        write(tmp_path / f"{day}.nc", stored, times=[float(day)], attrs=attrs, dtype="i2", fill=fill)
    found = values(look(tmp_path, "*.nc").variables["tas"])
    expected = field(0, 3)
    expected[:, 0, 0] = np.nan
    np.testing.assert_allclose(found, expected)


def test_fills_named_in_both_attributes(tmp_path: Path) -> None:
    stored = field(0, 1)
    stored[0, 0, :2] = -9999, -1e20
    attrs = {"units": "K", "missing_value": np.float32(-1e20)}
    write(tmp_path / "a.nc", stored, attrs=attrs, fill=-9999.0)
    found = values(look(tmp_path, "a.nc", step="day").variables["tas"])
    assert np.isnan(found[0, 0]).tolist() == [True, True, False, False]


def test_a_fill_written_as_text(tmp_path: Path) -> None:
    stored = field(0, 1)
    stored[0, 0, 0] = -999
    write(tmp_path / "a.nc", stored, attrs={"units": "K", "missing_value": "-999"})
    assert np.isnan(values(look(tmp_path, "a.nc", step="day").variables["tas"])[0, 0, 0])


def test_never_written_cells_are_missing(tmp_path: Path) -> None:
    write(tmp_path / "a.nc", np.full((1, 3, 4), netCDF4.default_fillvals["f4"], np.float32))
    assert np.isnan(values(look(tmp_path, "a.nc", step="day").variables["tas"])).all()


def test_calendars_that_differ(tmp_path: Path) -> None:
    daily(tmp_path, [0, 1])
    write(tmp_path / "tas_002.nc", times=[2.0], calendar="360_day")
    (problem,) = refused(tmp_path, "*.nc")
    assert (problem.code, problem.where) == ("time-calendar", "tas_002.nc")


def test_two_names_of_one_calendar_after_1582(tmp_path: Path) -> None:
    daily(tmp_path, [0, 1])
    write(tmp_path / "tas_002.nc", field(2, 1), times=[2.0], calendar="proleptic_gregorian")
    archive = look(tmp_path, "*.nc")
    assert archive.time is not None
    assert (archive.time.count, archive.time.calendar) == (3, "standard")


def test_steps_that_differ(tmp_path: Path) -> None:
    write(tmp_path / "a.nc", field(0, 4), times=range(4))
    write(tmp_path / "b.nc", field(0, 4), times=range(4, 8))
    write(tmp_path / "c.nc", field(0, 3), times=[31.0, 59.0, 90.0])
    (problem,) = refused(tmp_path, "*.nc")
    assert (problem.code, problem.where) == ("time-step", "c.nc")
    assert "month" in problem.what


def test_pentads_are_no_step(tmp_path: Path) -> None:
    write(tmp_path / "a.nc", field(0, 4), times=[0, 5, 10, 15])
    assert codes(refused(tmp_path, "*.nc")) == ["time-irregular"]


def test_a_file_without_time_among_others(tmp_path: Path) -> None:
    daily(tmp_path, [0, 1])
    write(tmp_path / "mask.nc", times=None)
    (problem,) = refused(tmp_path, "*.nc")
    assert (problem.code, problem.where) == ("time-missing", "mask.nc")


def test_two_statics_that_differ(tmp_path: Path) -> None:
    write(tmp_path / "a.nc", times=None)
    write(tmp_path / "b.nc", field(3, 1), times=None)
    (problem,) = refused(tmp_path, "*.nc")
    assert problem.code == "static-differs"


def test_negative_rain_is_found_when_it_is_read(tmp_path: Path) -> None:
    attrs = {"units": "mm d-1", "standard_name": "lwe_precipitation_rate"}
    write(tmp_path / "a.nc", np.full((2, 3, 4), -9.9, np.float32), name="pr", times=[0, 1], attrs=attrs)
    archive = look(tmp_path, "a.nc")
    with pytest.raises(opening.InputError) as caught:
        values(archive.variables["pr"])
    assert codes(caught.value.problems) == ["value-negative"]
    assert caught.value.problems[0].where == "a.nc"


def test_an_unknown_variable_and_what_there_is(tmp_path: Path) -> None:
    daily(tmp_path, [0, 1])
    problems = refused(tmp_path, "*.nc", variables=["tasmax"])
    assert problems[0].code == "variable-unknown"
    assert "choose from tas" in problems[0].fix


def test_many_faults_are_one_report(tmp_path: Path) -> None:
    paths = daily(tmp_path, range(12))
    paths[1].write_bytes(paths[1].read_bytes()[:500])
    paths[2].write_bytes(b"")
    write(paths[4], times=[4.0], latitudes=[1.0, 2.0, 3.0])
    write(paths[6], times=[6.0], attrs={"units": "m"})
    write(paths[8], times=[8.0], name="pr")
    write(tmp_path / "tas_20010111.nc", field(0, 1), times=[9.0])
    problems = refused(tmp_path, ["*.nc", "more/*.nc", "gone.nc"], variables=["tas"])
    assert sorted(codes(problems)) == sorted(
        [
            "file-unreadable",
            "file-empty",
            "files-none",
            "file-missing",
            "grid-differs",
            "unit-convert",
            "variable-absent",
            "name-false",
            "time-duplicate",
            "time-gap",
        ]
    )
    assert all(problem.where and problem.fix for problem in problems)


def test_the_report_does_not_depend_on_the_order_of_patterns(tmp_path: Path) -> None:
    daily(tmp_path / "a", [0, 1, 2])
    daily(tmp_path / "b", [3, 4])
    one = look(tmp_path, ["a/*.nc", "b/*.nc"])
    other = look(tmp_path, ["b/*.nc", "a/*.nc"])
    assert [piece.identity() for piece in one.variables["tas"].pieces] == [
        piece.identity() for piece in other.variables["tas"].pieces
    ]
    assert one.files == other.files
    assert [file.name for file in one.files][:2] == ["a/tas_000.nc", "a/tas_001.nc"]
