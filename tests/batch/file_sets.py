"""Sets of archive files of any calendar, step, split, packing, unit and map, written by netCDF4.

What a set is known to be: `sound` sets must be published, `broken` ones must be refused, of others either may happen.
"""

from __future__ import annotations

import datetime
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cftime
import netCDF4
import numpy as np

type Array = np.ndarray[Any, Any]

CALENDARS = {
    "standard": ("standard", "gregorian", None),
    "proleptic_gregorian": ("proleptic_gregorian",),
    "noleap": ("noleap", "365_day"),
    "360_day": ("360_day",),
    "all_leap": ("all_leap", "366_day"),
    "julian": ("julian",),
}
HOURS = {"3 hours": 3, "6 hours": 6, "12 hours": 12, "day": 24}
UNITS: dict[str, dict[str, tuple[float, float]]] = {
    # number in the file = canonical number * factor + offset
    "tas": {"K": (1, 0), "degC": (1, -273.15), "kelvin": (1, 0), "degrees_celsius": (1, -273.15)},
    "pr": {
        "mm d-1": (1, 0),
        "mm/day": (1, 0),
        "kg m-2 s-1": (1 / 86400, 0),
        "m s-1": (1e-3 / 86400, 0),
        "mm/h": (1 / 24, 0),
        "cm day-1": (0.1, 0),
        "kg m-2 day-1": (1, 0),
    },
    "amount": {"kg m-2": (1, 0), "mm": (1, 0), "m": (1e-3, 0)},  # of a step, from a rate in mm d-1
    "thick": {"m": (1, 0), "cm": (100, 0), "mm": (1000, 0)},
    "flag": {"1": (1, 0)},
}
CANONICAL = {"tas": "K", "pr": "mm d-1", "amount": "mm d-1", "thick": "m", "flag": "1"}
ATTRS = {
    "tas": {"standard_name": "air_temperature", "cell_methods": "time: mean"},
    "pr": {"standard_name": "precipitation_flux"},
    "amount": {"standard_name": "precipitation_amount", "cell_methods": "time: sum"},
    "thick": {"long_name": "thickness"},
    "flag": {"long_name": "flag"},
}
RANGES = {"tas": (230.0, 320.0), "pr": (0.0, 90.0), "amount": (0.0, 90.0), "thick": (0.0, 2.0), "flag": (0, 6)}
EPOCHS = (
    "since 1970-01-01",
    "since 1900-01-01 00:00:00",
    "since 1900-01-01 01:00:00",  # days of it are no whole numbers in single precision
    "since 1850-1-1",
    "since 2000-01-01T12:00:00Z",
    "since 1583-10-16 00:00:00",
    "since 0001-01-01",
)
UNIT_SECONDS = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}


@dataclass(frozen=True)
class Period:
    """`count` steps from a date, in a calendar."""

    calendar: str
    step: str
    start: tuple[int, int, int]
    count: int

    def edge(self, number: int) -> cftime.datetime:
        """Where a step begins."""
        year, month, day = self.start
        if self.step == "year":
            return cftime.datetime(year + number, 1, 1, calendar=self.calendar)
        if self.step == "month":
            months = month - 1 + number
            return cftime.datetime(year + months // 12, months % 12 + 1, 1, calendar=self.calendar)
        first = cftime.datetime(year, month, day, calendar=self.calendar)
        return first + datetime.timedelta(hours=HOURS[self.step] * number)

    def days(self, number: int, steps: int = 1) -> float:
        """Length of steps in days."""
        return float((self.edge(number + steps) - self.edge(number)) / datetime.timedelta(days=1))


@dataclass(frozen=True)
class Times:
    """How a file stores its times.

    unit, epoch, calendar, dtype  of the numbers;  says  the calendar that the file names instead of its own
    label      which part of the period they mark: start, middle or end
    begins     hour at which the days of the bounds begin;  backwards  whether bounds give the end first
    own_units  whether bounds have units of their own;  scalar  whether the single time has no dimension
    """

    unit: str
    epoch: str
    dtype: str
    label: str
    bounds: bool
    calendar: str | None
    name: str = "time"
    begins: int = 0
    backwards: bool = False
    says: str | None = None
    own_units: bool = False
    scalar: bool = False


@dataclass(frozen=True)
class Stored:
    """How a file stores a variable.

    fill, missing  stored numbers, None where the file gives none
    says           the unit that the file names instead of its own
    single         whether attributes are in single precision;  double  whether `missing_value` is, whatever the type
    """

    dtype: str
    units: str
    scale: float | None
    offset: float | None
    fill: float | int | None
    missing: float | int | None
    unsigned: bool
    dims: tuple[str, ...]
    chunks: tuple[int, ...] | None
    says: str | None = None
    single: bool = False
    double: bool = False


@dataclass(frozen=True)
class Map:
    """How a file stores the map: rows and columns in its own order; `plane` gives both of every cell."""

    latitudes: tuple[float, ...]
    longitudes: tuple[float, ...]
    dtype: str
    names: tuple[str, str]
    bounds: bool
    plane: bool = False

    @property
    def dims(self) -> tuple[str, str]:
        return ("j", "i") if self.plane else self.names


@dataclass(frozen=True)
class File:
    """One file: the steps of the period that it holds.

    copy    makes other values of the same steps;  damage  "cut" or "text", done to the finished file
    extras  whether it holds what no product takes: a height, a mapping, a text, a number a step
    """

    name: str
    steps: tuple[int, ...]
    format: str
    unlimited: bool
    times: Times
    map: Map
    stored: Mapping[str, Stored]
    copy: int = 0
    damage: str = ""
    extras: bool = False


@dataclass(frozen=True)
class FileSet:
    """Files of one product and the options that go with them.

    verdict  "sound", "broken" or "either";  codes  problems of a broken set, one of which must be named
    levels   size of a further dimension, 0 for none
    kept     first and last step that the options leave, None for all
    grown    how many files are there when the product is built for the first time, 0 for all
    spilled  whether it is made in two passes
    """

    period: Period
    latitudes: tuple[float, ...]
    longitudes: tuple[float, ...]
    levels: int
    files: tuple[File, ...]
    seed: int
    layout: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    verdict: str = "sound"
    codes: tuple[str, ...] = ()
    kept: tuple[int, int] | None = None
    grown: int = 0
    spilled: bool = False

    def having(self, **options: Any) -> FileSet:
        """The set with further options."""
        return replace(self, options={**self.options, **options})

    def write(self, folder: Path, files: Sequence[File]) -> None:
        for file in files:
            path = folder / file.name
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # netCDF4 warns of fills of another type
                _write(self, file, path)
            if file.damage == "cut":
                os.truncate(path, path.stat().st_size * 3 // 5)
            elif file.damage == "text":
                path.write_text("404: the file moved to another server")

    def truth(self, variable: str, step: int, copy: int) -> Array:
        """Canonical numbers of a step, (level, south to north, west to east); NaN where missing."""
        low, high = RANGES[variable]
        random = np.random.default_rng([self.seed, sorted(UNITS).index(variable), step + 10_000, copy])
        shape = (max(1, self.levels), len(self.latitudes), len(self.longitudes))
        values = np.round(random.uniform(low, high, shape), 0 if variable == "flag" else 3)
        values[random.random(shape) < 0.15] = np.nan
        return values


def _write(files: FileSet, file: File, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with netCDF4.Dataset(path, "w", format=file.format) as nc:
        rows, columns = file.map.dims
        if not file.times.scalar:
            nc.createDimension(file.times.name, None if file.unlimited else len(file.steps))
        nc.createDimension(rows, len(file.map.latitudes))
        nc.createDimension(columns, len(file.map.longitudes))
        if files.levels:
            nc.createDimension("lev", files.levels)
            nc.createVariable("lev", "f4", ("lev",))[:] = np.arange(files.levels) * 10.0
        if file.times.bounds or file.map.bounds:
            nc.createDimension("bnds", 2)
        _write_times(files.period, file, nc)
        _write_map(file.map, nc)
        if file.extras:
            _write_extras(file, nc)
        for name, stored in file.stored.items():
            _write_variable(files, file, name, stored, nc)


def _write_map(placed: Map, nc: netCDF4.Dataset) -> None:
    grid = np.meshgrid(placed.latitudes, placed.longitudes, indexing="ij")
    for number, (name, values) in enumerate(zip(placed.names, (placed.latitudes, placed.longitudes), strict=True)):
        axis = nc.createVariable(name, placed.dtype, placed.dims if placed.plane else (name,))
        axis.units = ("degrees_north", "degrees_east")[number]
        axis[:] = grid[number] if placed.plane else np.array(values)
        if placed.bounds and len(values) > 1 and not placed.plane:
            half = abs(values[1] - values[0]) / 2
            axis.bounds = f"{name}_bnds"
            nc.createVariable(f"{name}_bnds", "f8", (name, "bnds"))[:] = np.array(values)[:, None] + [-half, half]


def _write_extras(file: File, nc: netCDF4.Dataset) -> None:
    height = nc.createVariable("height", "f8", ())
    height.units = "m"
    height[...] = 2.0 + len(file.steps)
    crs = nc.createVariable("crs", "i4", ())
    crs.grid_mapping_name = "latitude_longitude"
    nc.createDimension("letters", 4)
    nc.createVariable("word", "S1", ("letters",))[:] = np.array(list("word"), "S1")
    if not file.times.scalar:
        nc.createVariable("number_of_files", "i4", (file.times.name,))[:] = np.arange(len(file.steps))


def _write_times(period: Period, file: File, nc: netCDF4.Dataset) -> None:
    times = file.times
    units, shift = f"{times.unit} {times.epoch}", datetime.timedelta(hours=times.begins if times.bounds else 0)
    edges = [(period.edge(step) + shift, period.edge(step + 1) + shift) for step in file.steps]
    share = {"start": 0.0, "middle": 0.5, "end": 1.0}[times.label]
    dates = [first + (last - first) * share for first, last in edges]
    calendar = _calendar(times.calendar)

    def numbers(values: Sequence[cftime.datetime], units: str) -> Array:
        own = [cftime.datetime(*each.timetuple()[:6], calendar=calendar) for each in values]
        return np.asarray(cftime.date2num(own, units, calendar=calendar) if own else [], np.float64)

    dims = () if times.scalar else (times.name,)
    variable = nc.createVariable(times.name, times.dtype, dims)
    variable.units = units
    variable.standard_name = "time"
    if times.says or times.calendar:
        variable.calendar = times.says or times.calendar
    if not file.steps:
        return
    variable[...] = numbers(dates, units)[0] if times.scalar else numbers(dates, units)
    if times.bounds:
        variable.bounds = f"{times.name}_bnds"
        bounds = nc.createVariable(f"{times.name}_bnds", "f8", (*dims, "bnds"))
        if times.own_units:
            units = "hours since 1990-01-01"
            bounds.setncatts({"units": units, "calendar": variable.calendar} if times.calendar else {"units": units})
        ends = [numbers([pair[side] for pair in edges], units) for side in ((1, 0) if times.backwards else (0, 1))]
        bounds[...] = np.stack(ends, axis=1)[0 if times.scalar else slice(None)]


def _calendar(name: str | None) -> str:
    return next(calendar for calendar, names in CALENDARS.items() if name in names)


def _write_variable(files: FileSet, file: File, name: str, stored: Stored, nc: netCDF4.Dataset) -> None:
    kind = np.dtype(stored.dtype)
    number = np.float32 if stored.single else np.float64
    parts = {"time": file.times.name, "lat": file.map.dims[0], "lon": file.map.dims[1]}
    dims = tuple(parts.get(dim, dim) for dim in stored.dims)
    options = {} if stored.chunks is None else {"chunksizes": stored.chunks, "zlib": True}
    order = "big" if stored.dtype.startswith(">") else "native"
    variable = nc.createVariable(name, kind, dims, fill_value=stored.fill, endian=order, **options)
    variable.set_auto_maskandscale(False)
    variable.units = stored.units if stored.says is None else stored.says
    variable.setncatts(ATTRS[name])
    if stored.scale is not None:
        variable.scale_factor = number(stored.scale)
    if stored.offset is not None:
        variable.add_offset = number(stored.offset)
    if stored.missing is not None:
        variable.missing_value = np.float64(stored.missing) if stored.double else kind.type(stored.missing)
    if stored.unsigned:
        variable.setncattr("_Unsigned", "true")
    if file.steps:
        raw = _raw(files, file, name, stored)
        canonical = [dim for dim in ("time", "lev", "lat", "lon") if dim in stored.dims]
        raw = raw if files.levels else raw[:, 0]
        raw = raw[0] if file.times.scalar else raw
        variable[...] = raw.transpose([canonical.index(dim) for dim in stored.dims])


def _raw(files: FileSet, file: File, name: str, stored: Stored) -> Array:
    """Stored numbers, (step, level, row, column) in the file's own order of the map."""
    factor, add = UNITS[name][stored.units]
    values = np.stack([files.truth(name, step, file.copy) for step in file.steps])
    if name == "amount":
        values *= np.array([files.period.days(step) for step in file.steps])[:, None, None, None]
    values = values * factor + add
    # From the canonical order of the map to that of the file.
    rows = [_where(files.latitudes, each) for each in file.map.latitudes]
    columns = [_where(files.longitudes, each, 360.0) for each in file.map.longitudes]
    values = values[:, :, rows][..., columns]
    gone = np.isnan(values)
    raw = (values - (stored.offset or 0.0)) / (stored.scale or 1.0)
    kind = np.dtype(stored.dtype)
    marks = [each for each in (stored.fill, stored.missing) if each is not None]
    raw = np.where(gone, 0.0, raw)
    if kind.kind in "iu":
        raw = np.rint(raw)
    if stored.unsigned:
        raw = raw.astype(np.int64).astype(f"u{kind.itemsize}").view(f"i{kind.itemsize}")
    raw = raw.astype(kind)
    if marks:
        raw[gone] = np.resize(np.array(marks, kind), int(gone.sum()))
    return raw


def _where(canonical: Sequence[float], value: float, turn: float | None = None) -> int:
    off = [
        abs(each - value) if turn is None else abs((each - value + turn / 2) % turn - turn / 2) for each in canonical
    ]
    return int(np.argmin(off))
