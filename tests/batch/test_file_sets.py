"""Any set of files is published as xarray reads them one by one, or is refused with a reason; never wrong, never a
traceback."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cftime
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, note, settings

from batch.build import Outcome, build
from batch.jobs import OPTIONS
from batch.reporting import Reporter
from batch.spec import load_spec
from cube import rechunk
from cube.errors import InputError
from ingest.references import ReferencedFile, build_references
from tests.batch.file_sets import HOURS, UNITS, File, FileSet
from tests.batch.troubled_sets import any_sets
from tests.ingest.looking import codes, look, refused
from tests.ingest.looking import values as read
from tests.ingest.small_files import field, write

type Array = np.ndarray[Any, Any]
type Date = tuple[int, ...]

CFTIME = xr.coders.CFDatetimeCoder(use_cftime=True)
SINGLE = float(np.finfo(np.float32).eps)


class Serial(ThreadPoolExecutor):
    """In place of processes, which take longer to start than these builds take."""

    def __init__(self, *_: Any) -> None:
        super().__init__(1)


def spec_of(files: FileSet) -> str:
    product = {
        "job": "ingest",
        "collection": "inputs",
        "source": "cf",
        "files": "archive/**/*.nc",
        "layout": files.layout,
    }
    made = {
        "title": "Any files",
        "store": "./cube",
        "memory": "1 GiB",
        "cluster": {"kind": "local", "workers": 0},
        "products": {"made": {**product, **files.options}},
    }
    return json.dumps(made)  # which is YAML


def published(folder: Path, layout: str = "time") -> xr.Dataset:
    item = json.loads((folder / "cube/inputs/made/made.json").read_text())
    return xr.open_zarr(
        folder / "cube/inputs/made" / item["assets"][layout]["href"], chunks=None, decode_times=CFTIME
    ).load()


# The plain second implementation: one file at a time through xarray, then labels, places and units by hand.


def label_of(date: cftime.datetime, step: str) -> Date:
    """The period that holds a moment, to which single precision may lack minutes."""
    date += datetime.timedelta(minutes=30)
    parts = (date.year, date.month, date.day, date.hour)
    if step in ("year", "month", "day"):
        return parts[: ("year", "month", "day").index(step) + 1]
    hours = int(step.split()[0])
    return (*parts[:3], parts[3] // hours * hours)


def plain(folder: Path, files: FileSet, file: File, variable: str, units: str, like: xr.Dataset) -> dict[Date, Array]:
    """What a file holds, by label: (level, lat, lon) on the map of `like`, in the published units."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # xarray warns of two different fills
        dataset = xr.open_dataset(folder / file.name, decode_times=CFTIME).load()
        dataset.close()
    time, (lat, lon) = file.times.name, file.map.names
    array = dataset[variable]
    if file.times.scalar:
        array = array.expand_dims(time)
    array = array.transpose(time, *(["lev"] if files.levels else []), *file.map.dims)
    values = array.values.astype(np.float64)
    values = values if files.levels else values[:, None]
    starts = np.atleast_1d(dataset[time].values)
    if file.times.bounds:
        bounds = np.atleast_2d(dataset[f"{time}_bnds"].values)
        starts = bounds.min(axis=1)
        if variable == "amount":
            lengths = [abs(last - first) / datetime.timedelta(days=1) for first, last in bounds]
    if variable == "amount" and not file.times.bounds:
        lengths = [files.period.days(number) for number in file.steps]
    if variable == "amount":
        values = values / np.round(lengths, 4)[:, None, None, None]
    factor, add = UNITS[variable][file.stored[variable].units]
    wanted, shift = UNITS[variable].get(units, (1.0, 0.0)) if variable != "amount" else (1.0, 0.0)
    values = (values - add) / factor * wanted + shift
    north, east = dataset[lat].values, dataset[lon].values
    rows = places(like["lat"].values, north[:, 0] if file.map.plane else north)
    columns = places(like["lon"].values, east[0] if file.map.plane else east, 360.0)
    values = values[:, :, rows][..., columns]
    if variable in ("pr", "amount"):
        values = np.where((values < 0) & (values > -8.64e-4), 0, values)  # noise of packing, as documented
    return {label_of(start, files.period.step): each for start, each in zip(starts, values, strict=True)}


def places(wanted: Array, held: Array, turn: float | None = None) -> list[int]:
    """Where the wanted positions are held, each once."""
    cell = np.diff(np.sort(wanted)).min() if len(wanted) > 1 else 1.0
    off = wanted[:, None].astype(np.float64) - held[None, :]
    off = np.abs(off if turn is None else (off + turn / 2) % turn - turn / 2)
    near = off <= 0.01 * min(cell, 1.0)
    assert (near.sum(axis=1) == 1).all(), (wanted, held)
    return [int(each) for each in near.argmax(axis=1)]


def check(files: FileSet) -> str:
    """Build the set; what it became: "published" or the codes for which it was refused."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        patch.setenv("CUBE_CACHE", f"{name}/cache")
        patch.setattr("batch.build.ProcessPoolExecutor", Serial)
        patch.setattr(os, "fsync", lambda _: None)
        if files.spilled:
            real = rechunk.slab_memory
            patch.setattr(rechunk, "slab_memory", lambda source, window: real(source, window) + 10**12)
        (folder / "cube.yaml").write_text(spec_of(files))
        spec = load_spec(folder / "cube.yaml", OPTIONS)
        if files.grown:
            files.write(folder / "archive", files.files[: files.grown])
            first = build(spec, spec.order(), Reporter(quiet=True))
            assert not first.failed, first.failed
        files.write(folder / "archive", files.files[files.grown :])
        outcome = build(spec, spec.order(), Reporter(quiet=True))
        if outcome.failed:
            return reasons(files, outcome, folder)
        assert files.verdict != "broken", f"published, but {files.codes}"
        compare(files, folder)
        return "published"


def reasons(files: FileSet, outcome: Outcome, folder: Path) -> str:
    (error,) = outcome.failed.values()
    note(str(error))
    assert isinstance(error, InputError), repr(error)
    assert all(problem.code and problem.what and problem.where for problem in error.problems)
    assert not (folder / "cube/inputs/made/made.json").exists()
    assert files.verdict != "sound", str(error)
    codes = {problem.code for problem in error.problems}
    assert not files.codes or codes & set(files.codes), str(error)
    return " ".join(sorted(codes))


def compare(files: FileSet, folder: Path) -> None:
    found, options = published(folder), files.options
    step = str(options.get("step", files.period.step))
    names = set(options.get("variables", {name for file in files.files for name in file.stored}))
    assert set(found.data_vars) - {"time_bnds", "lat_bnds", "lon_bnds"} == names
    for name, values in (("lat", files.latitudes), ("lon", files.longitudes)):
        low, high = options.get("area", {}).get(name, (-400, 400))
        assert (np.diff(found[name]) > 0).all()
        assert found.sizes[name] == sum(low <= each <= high for each in values)
    first, last = files.kept or (0, files.period.count - 1)
    wanted = list(dict.fromkeys(label_of(files.period.edge(number), step) for number in range(first, last + 1)))
    assert [label_of(each, step) for each in found["time"].values] == wanted
    for name in names:
        array = found[name].transpose("time", *(["lev"] if files.levels else []), "lat", "lon")
        values = array.values.astype(np.float64)
        values = values if files.levels else values[:, None]
        held = assembled(folder / "archive", files, name, array.attrs["units"], found)
        held = daily(held, 24 // HOURS[files.period.step]) if "step" in options and step != files.period.step else held
        expected = np.stack([held.get(label, np.full(values.shape[1:], np.nan)) for label in wanted])
        loosest = max(rounding(file, name, array.attrs["units"]) for file in files.files if name in file.stored)
        np.testing.assert_array_equal(np.isnan(values), np.isnan(expected), err_msg=name)
        np.testing.assert_allclose(values, expected, rtol=4 * SINGLE, atol=loosest, err_msg=name)
        if files.layout.get("maps"):
            xr.testing.assert_identical(published(folder, "map")[name].drop_attrs(), found[name].drop_attrs())


def assembled(folder: Path, files: FileSet, name: str, units: str, like: xr.Dataset) -> dict[Date, Array]:
    """All files in one; where two hold a time, the one that the option `duplicates` names."""
    holding = []
    for file in files.files:
        if name in file.stored:
            held = plain(folder, files, file, name, units, like)
            holding.append((min(held), file.name, held, rounding(file, name, units)))
    rule = files.options.get("duplicates", "refuse")
    made: dict[Date, Array] = {}
    for _, _, held, loosest in sorted(holding, key=lambda each: each[:2], reverse=rule == "first"):
        for label, values in held.items():
            if rule == "refuse" and label in made:
                np.testing.assert_allclose(made[label], values, rtol=4 * SINGLE, atol=2 * loosest, err_msg="joined")
        made.update(held)
    return made


def daily(held: dict[Date, Array], number: int) -> dict[Date, Array]:
    """Means of the days of which all steps are there."""
    days: dict[Date, list[Array]] = {}
    for label, values in held.items():
        days.setdefault(label[:3], []).append(values)
    return {day: np.mean(steps, axis=0) for day, steps in days.items() if len(steps) == number}


def rounding(file: File, name: str, units: str) -> float:
    """By how much a number that xarray unpacked in single precision may differ from the exact one, as published."""
    stored = file.stored[name]
    factor, add = UNITS[name][stored.units]
    wanted = UNITS[name].get(units, (1.0, 0.0))[0] if name != "amount" else 1.0
    kind = np.dtype(stored.dtype)
    largest = 2.0 ** (8 * kind.itemsize) * (stored.scale or 1.0) if kind.kind in "iu" else 320 * factor + abs(add)
    return 4 * SINGLE * (largest + abs(stored.offset or 0.0) + abs(add)) / factor * wanted


EXAMPLES = settings(max_examples=30, suppress_health_check=list(HealthCheck))


@EXAMPLES
@given(any_sets())
def test_files_are_published_wrong_or_refused_without_a_reason(files: FileSet) -> None:
    check(files)


@pytest.mark.soak
@settings(EXAMPLES, max_examples=3000)
@given(any_sets())
def test_files_of_a_long_search_are_published_wrong_or_refused_without_a_reason(files: FileSet) -> None:
    check(files)


# What the search found, each on its own.


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CUBE_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize("order", [1, -1], ids=["start first", "end first"])
def test_bounds_that_give_the_end_first_move_the_labels_by_a_day(folder: Path, order: int) -> None:
    bounds = [[day, day + 1.0][::order] for day in range(3)]
    write(folder / "a.nc", times=[1.0, 2.0, 3.0], bounds=bounds)
    time = look(folder, "*.nc").time
    assert time is not None
    assert (time.text(0), time.text(-1)) == ("2001-01-01", "2001-01-03")


@pytest.mark.parametrize(("end", "last"), [("2001-01-01T06", "2001-01-01T06:00"), ("2001-01-01", "2001-01-01T18:00")])
def test_last_hour_of_the_period_is_left_out(folder: Path, end: str, last: str) -> None:
    write(folder / "a.nc", times=[0.25 * step for step in range(8)])
    time = look(folder, "*.nc", period={"end": end}).time
    assert time is not None
    assert time.text(-1) == last


def test_declared_hole_of_an_hour_is_undeclared(folder: Path) -> None:
    write(folder / "a.nc", times=[0.0, 0.25, 0.75, 1.0], bounds=[[t, t + 0.25] for t in (0.0, 0.25, 0.75, 1.0)])
    archive = look(folder, "*.nc", gaps={"periods": [["2001-01-01T12", "2001-01-01T12"]]})
    assert archive.gaps == (("2001-01-01T12:00", "2001-01-01T12:00"),)


def test_two_months_with_a_declared_hole_are_irregular_although_the_step_is_given(folder: Path) -> None:
    write(folder / "a.nc", times=[0.0])
    write(folder / "b.nc", times=[59.0])  # March
    assert codes(refused(folder, "*.nc")) == ["time-irregular"]
    archive = look(folder, "*.nc", step="month", gaps={"periods": [["2001-02", "2001-02"]]})
    assert archive.time is not None
    ends = (archive.time.text(0), archive.time.text(-1))
    assert (*ends, str(archive.time.step)) == ("2001-01-01", "2001-03-01", "month")


@pytest.mark.parametrize(
    "stored", [[178.0, 179.0, 180.0, 181.0], [178.0, 179.0, -180.0, -179.0], [-180.0, -179.0, 178.0, 179.0]]
)
def test_cells_around_the_date_line_span_the_globe(folder: Path, stored: list[float]) -> None:
    order = np.argsort(np.array(stored) % 360)
    write(folder / "a.nc", field(0, 1), longitudes=stored)
    write(folder / "b.nc", field(1, 1), times=[1.0], longitudes=[178.0, 179.0, 180.0, 181.0])
    archive = look(folder, "*.nc")
    np.testing.assert_array_equal(archive.coords["lon"], [178, 179, 180, 181])
    np.testing.assert_array_equal(archive.coords["lon_bnds"][:, 0], [177.5, 178.5, 179.5, 180.5])
    found = read(archive.variables["tas"])
    np.testing.assert_array_equal(found[0], field(0, 1)[0][:, order])
    np.testing.assert_array_equal(found[1], field(1, 1)[0])


def test_two_columns_on_both_sides_of_the_date_line_are_a_globe_wide(folder: Path) -> None:
    write(folder / "a.nc", longitudes=[178.75, -178.75])
    axis = look(folder, "*.nc", step="day").coords["lon_bnds"]
    np.testing.assert_array_equal(axis, [[177.5, 180.0], [180.0, 182.5]])


def flags(folder: Path, fills: Sequence[int | None], stored: Sequence[int]) -> None:
    """A file a day of one-byte flags, all cells the same."""
    for day, (fill, number) in enumerate(zip(fills, stored, strict=True)):
        data = np.full((1, 3, 4), number, "i1")
        attrs = {"units": "1", "long_name": "flag"}
        write(folder / f"{day}.nc", data, name="flag", times=[float(day)], attrs=attrs, dtype="i1", fill=fill)


def test_flag_that_is_missing_elsewhere_is_missing_here(folder: Path) -> None:
    flags(folder, [0, -127, None], [0, 0, 3])
    variable = look(folder, "*.nc").variables["flag"]
    assert variable.fill == -127
    assert read(variable)[:, 0, 0].tolist() == [-127, 0, 3]


def test_flag_that_stands_for_missing_in_another_file_is_published(folder: Path) -> None:
    flags(folder, [99, -1, -1], [1, 99, -1])
    with pytest.raises(InputError) as caught:
        read(look(folder, "*.nc").variables["flag"])
    (problem,) = caught.value.problems
    assert (problem.code, problem.where) == ("value-fill", "1.nc")


def test_link_to_a_file_of_another_name_has_no_references(folder: Path) -> None:
    (folder / "archive").mkdir()
    real = write(folder / "store" / "0001.nc", np.zeros((1, 40, 40)), latitudes=range(40), longitudes=range(40))
    link = folder / "archive" / "tas.nc"
    link.symlink_to(real)
    sha256 = hashlib.sha256(real.read_bytes()).hexdigest()
    file = ReferencedFile(link, "https://data.example.org/tas.nc", sha256, real.stat().st_size)
    made = json.loads(build_references([file], ["tas"]).objects["references.json"])
    assert {value[0] for value in made["refs"].values() if isinstance(value, list)} == {file.href}
