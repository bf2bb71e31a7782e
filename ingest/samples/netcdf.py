"""What all NetCDF files of the archive share: provenance attributes, rounding, chunks in time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import netCDF4
import numpy as np
from numpy.typing import NDArray

SOURCE = "climate-impact-cube sample archive"
Format = Literal["NETCDF3_CLASSIC", "NETCDF4", "NETCDF4_CLASSIC"]
_CHUNK_BYTES = 2**18


def provenance(kind: str, seed: int) -> dict[str, str | np.int32]:
    """Global attributes of every file that may have any."""
    return {"title": f"{kind} (synthetic)", "source": SOURCE, "seed": np.int32(seed)}


def create(path: Path, file_format: Format, attributes: Mapping[str, object]) -> netCDF4.Dataset:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = netCDF4.Dataset(path, "w", format=file_format)
    dataset.setncatts(attributes)
    return dataset


def add(
    dataset: netCDF4.Dataset,
    name: str,
    dtype: str,
    dimensions: tuple[str, ...],
    attributes: Mapping[str, object],
    values: NDArray[np.generic] | None = None,
    fill: float | None = None,
    chunks: tuple[int, ...] | None = None,
) -> netCDF4.Variable[Any]:
    """Define a variable; chunked ones are compressed (NetCDF-4 only)."""
    packing: dict[str, Any] = {}
    if chunks is not None:
        packing = {"chunksizes": chunks, "compression": "zlib", "complevel": 5, "shuffle": True}
    variable: netCDF4.Variable[Any] = dataset.createVariable(name, dtype, dimensions, fill_value=fill, **packing)
    variable.set_auto_maskandscale(False)
    variable.setncatts(attributes)
    if values is not None:
        variable[...] = values
    return variable


def days_per_chunk(days: int, values_per_day: int) -> int:
    """Days of float32 values that make a chunk of about 256 kB: one for a global half-degree map."""
    return max(1, min(days, _CHUNK_BYTES // (4 * max(values_per_day, 1))))


def keep_bits(values: NDArray[np.generic], bits: int) -> NDArray[np.float32]:
    """Round to `bits` explicit mantissa bits (half away from zero): what is noise anyhow need not be stored."""
    drop = 23 - bits
    raw = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = (raw + np.uint32(1 << (drop - 1))) & np.uint32((0xFFFFFFFF << drop) & 0xFFFFFFFF)
    return rounded.view(np.float32)


def to_step(values: NDArray[np.generic], step: float) -> NDArray[np.float32]:
    """Round to multiples of `step`."""
    return (np.round(np.asarray(values, dtype=np.float64) / step) * step).astype(np.float32)
