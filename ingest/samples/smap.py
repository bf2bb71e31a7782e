"""SMAP level-3 soil moisture, 36 km (SPL3SMP) and 9 km (SPL3SMP_E): global EASE-2 grids in HDF5, a file a day.

The root group holds no data and no attributes, dimensions have no names, the date is in the file name only. The
satellite sees the neighbourhood of the archive's own land points, in bands of longitude that move from day to day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import h5py
import numpy as np
import pyproj
from numpy.typing import NDArray

from . import netcdf
from .column import simulate
from .noise import generator
from .region import Region
from .settings import SampleSettings

_FILL = -9999.0
_FLAG_FILL = 65534
_WARM_UP_YEARS = 1
_BAND = 24.0  # degrees of longitude from one swath to the next; half of it is seen
_REACH = 13_000.0  # m around a land point that hold data


@dataclass(frozen=True)
class _Product:
    short_name: str
    file_stem: str
    rows: int
    columns: int
    cell: float  # m
    chunk: tuple[int, int]


_PRODUCTS = (
    _Product("SPL3SMP", "SMAP_L3_SM_P", 406, 964, 36032.220840584, (203, 241)),
    _Product("SPL3SMP_E", "SMAP_L3_SM_P_E", 1624, 3856, 9008.055210146, (203, 241)),
)


@dataclass(frozen=True)
class _Cells:
    """Cells of one product that can hold data: index, centre, and the land point whose soil they show."""

    row: NDArray[np.intp]
    column: NDArray[np.intp]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    point: NDArray[np.intp]


def count(settings: SampleSettings) -> int:
    return len(_PRODUCTS) * len(settings.smap)


def write(folder: Path, settings: SampleSettings, africa: Region) -> Iterator[Path]:
    """`SPL3SMP/SMAP_L3_SM_P_YYYYMMDD_R19240_001.h5` and `SPL3SMP_E/SMAP_L3_SM_P_E_YYYYMMDD_R19240_001.h5`."""
    if not settings.smap:
        return
    chosen = africa.jules_points
    latitude, longitude = africa.point_latitude[chosen], africa.point_longitude[chosen]
    cells = {product: _cells(product, latitude, longitude) for product in _PRODUCTS}
    first, last = settings.smap[0], settings.smap[-1]
    for day, _, _, column in simulate(africa, date(first.year - _WARM_UP_YEARS, 1, 1), last, 6, 0):
        if day < first:
            continue
        moisture = column.water[0] / 100  # kg m-2 in 0.1 m to m3 m-3
        for product in _PRODUCTS:
            path = folder / product.short_name / f"{product.file_stem}_{day:%Y%m%d}_R19240_001.h5"
            path.parent.mkdir(parents=True, exist_ok=True)
            _file(path, product, cells[product], moisture, day, settings.seed)
            yield path


def _cells(product: _Product, latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> _Cells:
    forth = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:6933", always_xy=True)
    west, north = -product.columns / 2 * product.cell, product.rows / 2 * product.cell
    reach = int(_REACH // product.cell)
    x, y = forth.transform(longitude, latitude)
    index: dict[tuple[int, int], int] = {}
    for point, (row, column) in enumerate(zip((north - y) // product.cell, (x - west) // product.cell, strict=True)):
        for down in range(-reach, reach + 1):
            for right in range(-reach, reach + 1):
                index.setdefault((int(row) + down, int(column) + right), point)
    places = np.array(sorted(index), dtype=np.intp)
    rows, columns = places[:, 0], places[:, 1]
    lon, lat = forth.transform(
        west + (columns + 0.5) * product.cell, north - (rows + 0.5) * product.cell, direction="INVERSE"
    )
    return _Cells(rows, columns, lat, lon, np.array([index[int(r), int(c)] for r, c in places], dtype=np.intp))


def _file(path: Path, product: _Product, cells: _Cells, moisture: NDArray[np.float64], day: date, seed: int) -> None:
    with h5py.File(path, "w") as file:
        metadata = file.create_group("Metadata")
        metadata.attrs.update(netcdf.provenance(f"SMAP L3 soil moisture, {product.short_name}", seed))
        for overpass, hour in (("AM", 0.0), ("PM", 12.0)):
            random = generator(seed, product.short_name, day.toordinal(), overpass)
            # the descending half-orbits of one day see every other band
            seen = (cells.longitude + 8.1 * day.toordinal() + hour) % _BAND < _BAND / 2
            size = int(seen.sum())
            value = np.clip(moisture[cells.point[seen]] + random.normal(0, 0.03, size), 0.02, 0.6)
            quality = random.choice(np.array([0, 1, 5, 8], np.uint16), size, p=[0.72, 0.12, 0.06, 0.1])
            failed = random.random(size) < 0.05
            value, quality = np.where(failed, _FILL, value), np.where(failed, 7, quality)
            suffix = "" if overpass == "AM" else "_pm"
            group = file.create_group(f"Soil_Moisture_Retrieval_Data_{overpass}")
            layers: dict[str, tuple[NDArray[np.generic], str, float, str]] = {
                "soil_moisture": (np.round(value, 4), "f4", _FILL, "cm**3/cm**3"),
                "retrieval_qual_flag": (quality, "u2", _FLAG_FILL, ""),
                "latitude": (cells.latitude[seen], "f4", _FILL, "degrees_north"),
                "longitude": (cells.longitude[seen], "f4", _FILL, "degrees_east"),
                "EASE_row_index": (cells.row[seen], "u2", _FLAG_FILL, ""),
                "EASE_column_index": (cells.column[seen], "u2", _FLAG_FILL, ""),
            }
            for name, (values, dtype, fill, units) in layers.items():
                dataset = group.create_dataset(
                    name + suffix,
                    (product.rows, product.columns),
                    dtype,
                    chunks=product.chunk,
                    compression="gzip",
                    shuffle=True,
                    fillvalue=fill,
                    track_times=False,
                )
                _scatter(dataset, product, cells.row[seen], cells.column[seen], values)
                dataset.attrs["_FillValue"] = np.array(fill, dtype)
                if units:
                    dataset.attrs["units"] = units


def _scatter(
    dataset: h5py.Dataset,
    product: _Product,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    values: NDArray[np.generic],
) -> None:
    """Write only the chunks that hold data: the others stay unallocated and read as fill."""
    height, width = product.chunk
    for tile_row, tile_column in sorted(
        {(int(r), int(c)) for r, c in zip(rows // height, columns // width, strict=True)}
    ):
        here = (rows // height == tile_row) & (columns // width == tile_column)
        tile = np.full(product.chunk, dataset.fillvalue, dtype=dataset.dtype)
        tile[rows[here] % height, columns[here] % width] = values[here]
        top, left = tile_row * height, tile_column * width
        dataset[top : top + height, left : left + width] = tile
