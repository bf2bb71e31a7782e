"""TROPOMI solar-induced fluorescence, Caltech gridded: global 0.2 degrees, daily, a file a month."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from . import netcdf
from .column import simulate, sunshine
from .noise import generator
from .region import Region
from .settings import SampleSettings

_EPOCH = date(2018, 1, 1)
_FILL = -999.9
_ROWS, _COLUMNS, _STEP = 900, 1800, 0.2
_TILE = 30  # cells along the side of a chunk
_WARM_UP_YEARS = 1
_PER_GPP = 8e6  # mW m-2 nm-1 sr-1 for a GPP of 1 kg m-2 s-1: about 1.5 where plants thrive
_UNITS = {
    "sif": "mW/m2/sr/nm",
    "dcSIF": "mW/m2/sr/nm",
    "sif_err": "mW/m2/sr/nm",
    "sif_relative": "-",
    "sza": "degrees",
    "vza": "degrees",
    "phase_angle": "degrees",
    "cloud_fraction": "-",
    "daily_correction_factor": "-",
    "nir": "mW/m2/sr/nm",
    "N": "-",
}


def count(settings: SampleSettings) -> int:
    return len(settings.sif)


def write(folder: Path, settings: SampleSettings, africa: Region) -> Iterator[Path]:
    """`TROPO_SIF_MM-YYYY.nc`: latitude ascending, fill -999.9; data only in the cells of the archive's land points."""
    if not settings.sif:
        return
    first, final = settings.sif[0], settings.sif[-1]
    last = final.replace(day=monthrange(final.year, final.month)[1])
    days: list[dict[str, NDArray[np.float64]]] = []
    for day, rain, temperature, column in simulate(africa, date(first.year - _WARM_UP_YEARS, 1, 1), last, 6, 0):
        if day < first:
            continue
        gpp = (column.productivity(temperature, day.timetuple().tm_yday) * column.tiles[:5]).sum(axis=0)
        days.append(_retrievals(gpp, rain, column.latitude, day, settings.seed))
        if day.day == monthrange(day.year, day.month)[1]:
            path = folder / f"TROPO_SIF_{day:%m-%Y}.nc"
            _file(path, day.replace(day=1), days, column.latitude, column.longitude, settings.seed)
            yield path
            days = []


def _retrievals(
    gpp: NDArray[np.float64], rain: NDArray[np.float32], latitude: NDArray[np.float64], day: date, seed: int
) -> dict[str, NDArray[np.float64]]:
    """One day's values at the land points, fill where cloud leaves none. Noise makes some fluorescence negative."""
    random = generator(seed, "sif", day.toordinal())
    size = len(gpp)
    cloud = np.clip(0.15 + 0.03 * rain + random.normal(0, 0.15, size), 0, 1)
    error = 0.25 + 0.15 * random.random(size)
    factor = np.clip(sunshine(latitude, day.timetuple().tm_yday) / 95, 0.15, 0.5)
    fluorescence = _PER_GPP * gpp + error * random.standard_normal(size)
    radiance = 60 + 80 * random.random(size)
    values = {
        "sif": fluorescence,
        "dcSIF": fluorescence * factor,
        "sif_err": error,
        "sif_relative": fluorescence / radiance,
        "sza": 20 + 30 * random.random(size),
        "vza": 60 * random.random(size),
        "phase_angle": 90 * random.random(size) - 45,
        "cloud_fraction": cloud,
        "daily_correction_factor": factor,
        "nir": radiance,
        "N": np.floor(1 + 12 * random.random(size)),
    }
    seen = (cloud < 0.8) & (random.random(size) < 0.85)
    return {name: np.where(seen, value, _FILL) for name, value in values.items()}


def _file(
    path: Path,
    first: date,
    days: list[dict[str, NDArray[np.float64]]],
    latitude: NDArray[np.float64],
    longitude: NDArray[np.float64],
    seed: int,
) -> None:
    rows, columns = ((latitude + 90) / _STEP).astype(int), ((longitude + 180) / _STEP).astype(int)
    with netcdf.create(path, "NETCDF4", netcdf.provenance("TROPOMI SIF, gridded daily", seed)) as dataset:
        for name, length in {"time": len(days), "lat": _ROWS, "lon": _COLUMNS}.items():
            dataset.createDimension(name, length)
        since = float((first - _EPOCH).days) + np.arange(len(days))
        netcdf.add(dataset, "time", "f8", ("time",), {"units": "days since 2018-1-1"}, since)
        for name, start, length, units in (
            ("lat", -90, _ROWS, "degrees_north"),
            ("lon", -180, _COLUMNS, "degrees_east"),
        ):
            axis = start + _STEP * (np.arange(length) + 0.5)
            netcdf.add(dataset, name, "f8", (name,), {"units": units}, axis)
        for name, units in _UNITS.items():
            field = netcdf.add(
                dataset,
                name,
                "f4",
                ("time", "lat", "lon"),
                {"units": units},
                fill=_FILL,
                chunks=(len(days), _TILE, _TILE),
            )
            values = np.stack([day[name] for day in days])
            values = np.where(values == _FILL, np.float32(_FILL), netcdf.keep_bits(values, 9))
            # only chunks with data are written: the others stay unallocated and read as fill
            for tile in sorted({(int(r), int(c)) for r, c in zip(rows // _TILE, columns // _TILE, strict=True)}):
                here = (rows // _TILE == tile[0]) & (columns // _TILE == tile[1])
                block = np.full((len(days), _TILE, _TILE), _FILL, dtype=np.float32)
                block[:, rows[here] % _TILE, columns[here] % _TILE] = values[:, here]
                top, left = tile[0] * _TILE, tile[1] * _TILE
                field[:, top : top + _TILE, left : left + _TILE] = block
