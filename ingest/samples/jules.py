"""JULES daily output over Africa (2-D grid) and the UK (land points as a vector), a file a year.

As real JULES files: no global attributes, times at the END of each mean with bounds, float32 seconds since the start
of the run, fill -1e20 in both attributes, no vertical coordinate, `smcl` per layer, zero for absent plant types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import netCDF4
import numpy as np
from numpy.typing import NDArray

from . import netcdf
from .climate import blocks
from .column import THICKNESS, SoilColumn, simulate
from .noise import Array
from .region import PFTS, TILES, Region
from .settings import SampleSettings

_FILL = -1e20
_SPIN_UP = 4
_DAY = 86400
_VARIABLES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "precip": ((), "Gridbox precipitation rate", "kg m-2 s-1"),
    "smcl": (("soil",), "Gridbox moisture content of each soil layer", "kg m-2"),
    "t_soil": (("soil",), "Gridbox sub-surface temperature of each layer", "K"),
    "fsmc": (("pft",), "PFT soil moisture availability factor (beta)", "1"),
    "gpp": (("pft",), "PFT gross primary productivity", "kg m-2 s-1"),
    "t1p5m_gb": ((), "Gridbox temperature at 1.5m height", "K"),
}


@dataclass(frozen=True)
class _Output:
    """Where and how a region's output is written."""

    run: str
    region: Region
    years: range
    begins: int  # UTC hour at which its days begin
    gridded: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Of (y, x)."""
        rows, columns = self.region.shape
        return (rows, columns) if self.gridded else (1, len(self.region.jules_points))

    def place(self, values: NDArray[np.generic]) -> NDArray[np.float32]:
        """(..., points) to (..., y, x)."""
        chosen = self.region.jules_points
        if not self.gridded:
            return values[..., None, :].astype(np.float32)
        points = np.full((*values.shape[:-1], self.region.points), _FILL, dtype=np.float32)
        points[..., chosen] = values
        return self.region.on_grid(points, _FILL).astype(np.float32)

    def coordinates(self) -> dict[str, NDArray[np.float64]]:
        if self.gridded:
            return {"latitude": self.region.latitude, "longitude": self.region.longitude}
        chosen = self.region.jules_points
        return {
            "latitude": self.region.point_latitude[chosen][None],
            "longitude": self.region.point_longitude[chosen][None],
        }


def count(settings: SampleSettings) -> int:
    return len(settings.observed) + len(settings.haduk)


def write(folder: Path, settings: SampleSettings, africa: Region, uk: Region) -> Iterator[Path]:
    """`observed.daily.YYYY.nc` (NetCDF-4, days of 06-06 UTC) and `observed_uk.daily.YYYY.nc` (NetCDF-3, 00-24 UTC)."""
    yield from _write(folder / "africa", _Output("observed", africa, settings.observed, 6, gridded=True))
    yield from _write(folder / "uk", _Output("observed_uk", uk, settings.haduk, 0, gridded=False))


def _write(folder: Path, output: _Output) -> Iterator[Path]:
    years = output.years
    if not years:
        return
    days = simulate(output.region, date(years[0], 1, 1), date(years[-1], 12, 31), output.begins, _SPIN_UP)
    for year in years:
        path = folder / f"{output.run}.daily.{year}.nc"
        with netcdf.create(path, "NETCDF4_CLASSIC" if output.gridded else "NETCDF3_CLASSIC", {}) as dataset:
            _define(dataset, output)
            at = 0
            for _, length in blocks(date(year, 1, 1), date(year, 12, 31), 4 * output.region.points):
                records = [_record(*next(days)) for _ in range(length)]
                for name in _VARIABLES:
                    values = np.stack([record[name] for record in records])
                    dataset[name][at : at + length] = output.place(values)
                at += length
            offset = (date(year, 1, 1) - date(years[0], 1, 1)).days
            starts = _DAY * (offset + np.arange(at))
            dataset["time"][:] = starts + _DAY
            dataset["time_bounds"][:] = np.stack([starts, starts + _DAY], axis=1)
        yield path


def _record(day: date, rain: Array, temperature: Array, column: SoilColumn) -> Mapping[str, NDArray[np.generic]]:
    """One day's means; what is noise anyhow is rounded away so that the files compress."""
    # about a thousandth of what each layer can hold
    step = np.array([0.0625, 0.125, 0.25, 0.5])[:, None]
    return {
        "precip": netcdf.keep_bits(rain / _DAY, 8),
        "smcl": np.minimum(np.round(column.water / step) * step, np.floor(column.capacity / step) * step),
        "t_soil": netcdf.to_step(column.warmth, 1 / 8),
        "fsmc": netcdf.to_step(column.beta(), 1 / 128),
        "gpp": netcdf.keep_bits(column.productivity(temperature, day.timetuple().tm_yday), 5),
        "t1p5m_gb": netcdf.to_step(temperature, 1 / 8),
    }


def _define(dataset: netCDF4.Dataset, output: _Output) -> None:
    rows, columns = output.shape
    sizes = {
        "x": columns,
        "y": rows,
        "soil": len(THICKNESS),
        "tile": len(TILES),
        "pft": len(PFTS),
        "time": None,
        "nt": 2,
    }
    for name, size in sizes.items():
        dataset.createDimension(name, size)
    units = f"seconds since {output.years[0]}-01-01 {output.begins:02d}:00:00"
    bounds = {"long_name": "Time bounds for each time stamp", "units": units}
    time = {
        "standard_name": "time",
        "long_name": "Time of data",
        "units": units,
        "bounds": "time_bounds",
        "calendar": "standard",
    }
    steps = (366,) if output.gridded else None
    netcdf.add(dataset, "time_bounds", "f4", ("time", "nt"), bounds, chunks=steps and (*steps, 2))
    netcdf.add(dataset, "time", "f4", ("time",), time, chunks=steps)
    for name, values in output.coordinates().items():
        described = {"long_name": f"Gridbox {name}", "units": "degrees", "standard_name": name}
        netcdf.add(dataset, name, "f4", ("y", "x"), described, values)
    missing: dict[str, object] = {"missing_value": np.float32(_FILL), "coordinates": "latitude longitude"}
    cover = output.place(output.region.ground.tiles[:, output.region.jules_points])
    attributes = {**missing, "long_name": "Fractional cover of each surface type", "units": "1"}
    netcdf.add(dataset, "frac", "f4", ("tile", "y", "x"), attributes, cover, fill=_FILL)
    for name, (levels, long_name, unit) in _VARIABLES.items():
        attributes = {**missing, "long_name": long_name, "units": unit, "cell_methods": "time : mean"}
        chunks = None
        if output.gridded:
            chunks = (netcdf.days_per_chunk(366, rows * columns), *(1 for _ in levels), rows, columns)
        netcdf.add(dataset, name, "f4", ("time", *levels, "y", "x"), attributes, fill=_FILL, chunks=chunks)
