"""TAMSAT daily rainfall: the native files of version 3 (NetCDF-3, whole mm in signed bytes) and those of version 3.1.

A file a day. The rain day runs 06-06 UTC and carries the date on which it begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from . import netcdf
from .climate import blocks
from .noise import Array, generator
from .region import Region
from .settings import SampleSettings

_DAY_BEGINS = 6
_NATIVE_FILL = -1


def count_native(settings: SampleSettings) -> int:
    return _days(settings.tamsat_native)


def count_v31(settings: SampleSettings) -> int:
    return _days(settings.tamsat_v31)


def write_native(folder: Path, settings: SampleSettings, africa: Region) -> Iterator[Path]:
    """`rfeYYYY_MM_DD.v3.nc`: time units of their own in each file, no calendar, float64 axes with float32 noise."""
    axes = _noisy(settings.africa.latitude[::-1]), _noisy(settings.africa.longitude)
    first_file: bytes | None = None
    for day, rain in _rain(africa, settings.tamsat_native):
        whole = africa.on_grid(np.rint(np.minimum(rain, 127)), _NATIVE_FILL, "i1")[::-1]
        path = folder / f"{day:%Y/%m}" / f"rfe{day:%Y_%m_%d}.v3.nc"
        if first_file is None:
            first_day = day
            _native_file(path, day, axes, whole, settings)
            first_file = path.read_bytes()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_another_day(first_file, first_day, day, whole))
        yield path


def write_v31(folder: Path, settings: SampleSettings, africa: Region) -> Iterator[Path]:
    """`rfeYYYY_MM_DD.v3.1.nc`: `rfe` lacks a box of cells on one day in eight and all of them on one in eighty."""
    latitude, longitude = settings.africa.latitude[::-1], settings.africa.longitude
    for day, rain in _rain(africa, settings.tamsat_v31):
        filled = africa.on_grid(netcdf.to_step(rain, 0.1), np.nan)[::-1]
        path = folder / f"{day:%Y/%m}" / f"rfe{day:%Y_%m_%d}.v3.1.nc"
        path.parent.mkdir(parents=True, exist_ok=True)
        _v31_file(path, day, (latitude, longitude), _with_gaps(filled, settings.seed, day), filled, settings)
        yield path


def _days(years: range) -> int:
    return (date(years[-1], 12, 31) - date(years[0], 1, 1)).days + 1 if years else 0


def _rain(africa: Region, years: range) -> Iterator[tuple[date, Array]]:
    if not years:
        return
    weather = africa.weather("observed")
    for first, count in blocks(date(years[0], 1, 1), date(years[-1], 12, 31), africa.points):
        for offset, rain in enumerate(weather.rain_from(_DAY_BEGINS, first, count)):
            yield first + timedelta(days=offset), rain


def _noisy(axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """As real axes are after single precision: every other value is off by one unit in its last place."""
    single = axis.astype(np.float32)
    single[::2] = np.nextafter(single[::2], np.float32(np.inf))
    return single.astype(np.float64)


def _with_gaps(filled: NDArray[np.generic], seed: int, day: date) -> NDArray[np.generic]:
    random = generator(seed, "tamsat gaps", day.toordinal())
    chance = random.random()
    gappy = filled.copy()
    if chance < 1 / 80:
        gappy[...] = np.nan
    elif chance < 1 / 80 + 1 / 8:
        row, column = (int(random.integers(0, size)) for size in filled.shape)
        gappy[row : row + max(1, filled.shape[0] // 4), column : column + max(1, filled.shape[1] // 4)] = np.nan
    return gappy


def _native_file(
    path: Path,
    day: date,
    axes: tuple[NDArray[np.float64], NDArray[np.float64]],
    rain: NDArray[np.generic],
    settings: SampleSettings,
) -> None:
    latitude, longitude = axes
    attributes = netcdf.provenance("TAMSAT Rain Fall Estimate (RFE)", settings.seed) | {
        "Conventions": "CF-1.5",
        "latmin": np.float32(latitude.min()),
        "latmax": np.float32(latitude.max()),
        "lonmin": np.float32(longitude.min()),
        "lonmax": np.float32(longitude.max()),
        "latres": np.float32(settings.africa.step),
        "lonres": np.float32(settings.africa.step),
    }
    with netcdf.create(path, "NETCDF3_CLASSIC", attributes) as dataset:
        for name, size in {"lat": len(latitude), "lon": len(longitude), "time": None}.items():
            dataset.createDimension(name, size)
        time = {"long_name": "time", "units": f"days since {day:%Y-%m-%d} 0:0:0", "day_begins": "06:15"}
        north = {"long_name": "latitude", "standard_name": "latitude", "units": "degrees_north", "axis": "Y"}
        east = {"long_name": "longitude", "standard_name": "longitude", "units": "degrees_east", "axis": "X"}
        rfe = {"units": "mm", "long_name": "Rain Fall Estimate", "short_name": "rfe"}
        times = netcdf.add(dataset, "time", "i4", ("time",), time)
        netcdf.add(dataset, "lat", "f8", ("lat",), north, latitude)
        netcdf.add(dataset, "lon", "f8", ("lon",), east, longitude)
        field = netcdf.add(dataset, "rfe", "i1", ("time", "lat", "lon"), rfe, fill=_NATIVE_FILL)
        times[0], field[0] = 0, rain


def _another_day(file: bytes, first_day: date, day: date, rain: NDArray[np.generic]) -> bytes:
    """The same file for another day, ten times as fast as by the library.

    In NetCDF-3 two files of this layout differ in the date within the time units and in the one record of rain, which
    ends the file, padded to whole words.
    """
    padding = -rain.size % 4
    head = file[: len(file) - padding - rain.size].replace(f"{first_day:%Y-%m-%d}".encode(), f"{day:%Y-%m-%d}".encode())
    return head + rain.tobytes() + file[len(file) - padding :]


def _v31_file(
    path: Path,
    day: date,
    axes: tuple[NDArray[np.float64], NDArray[np.float64]],
    rain: NDArray[np.generic],
    filled: NDArray[np.generic],
    settings: SampleSettings,
) -> None:
    """By h5py: the newest file format and coordinates inside their headers save half the size."""
    with h5py.File(path, "w", libver="latest", track_order=False) as file:
        for name, value in netcdf.provenance("TAMSAT v3.1 daily rainfall", settings.seed).items():
            file.attrs[name] = _ascii(value)
        file.attrs["Conventions"] = _ascii("CF-1.6")
        scales = [
            _scale(file, "time", np.zeros(1, np.int32), f"days since {day:%Y-%m-%d} 00:00:00"),
            _scale(file, "lat", axes[0].astype(np.float32), "degrees_north"),
            _scale(file, "lon", axes[1].astype(np.float32), "degrees_east"),
        ]
        scales[0].attrs["calendar"] = _ascii("proleptic_gregorian")
        for name, long_name, values in (
            ("rfe", "Rainfall Estimate", rain),
            ("rfe_filled", "Recovered Rainfall Estimate", filled),
        ):
            field = file.create_dataset(
                name,
                data=values[None],
                chunks=(1, *values.shape),
                compression="gzip",
                compression_opts=6,
                shuffle=True,
                fillvalue=np.nan,
                track_times=False,
            )
            field.attrs["_FillValue"] = np.array([np.nan], dtype=np.float32)
            field.attrs["units"] = _ascii("mm/day")
            field.attrs["long_name"] = _ascii(long_name)
            for axis, scale in enumerate(scales):
                field.dims[axis].attach_scale(scale)


def _scale(file: h5py.File, name: str, values: NDArray[np.generic], units: str) -> h5py.Dataset:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.COMPACT if values.nbytes < 2**15 else h5py.h5d.CONTIGUOUS)
    properties.set_obj_track_times(False)
    space = h5py.h5s.create_simple(values.shape)
    dataset = h5py.Dataset(
        h5py.h5d.create(file.id, name.encode(), h5py.h5t.py_create(values.dtype), space, dcpl=properties)
    )
    dataset[...] = values
    dataset.attrs["units"] = _ascii(units)
    dataset.make_scale(name)
    return dataset


def _ascii(value: object) -> object:
    """Strings of fixed length: those of variable length take more room than their text."""
    return np.bytes_(value) if isinstance(value, str) else value
