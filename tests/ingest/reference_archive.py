"""Small archives that the tests of references write, and the ways in which others read what we publish."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr

from ingest.references import ReferencedFile, References, ReferencesRefused, build_references

BASE = "https://data.example.org/archive"
LAT = np.linspace(60.0, -60.0, 6)
LON = np.linspace(-170.0, 170.0, 8)


def field(first: int, steps: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """Values (steps, 6, 8) that depend on the absolute day, so that a shift in time shows."""
    days = np.arange(first, first + steps, dtype="f8")[:, None, None]
    place = np.random.default_rng(seed).random((1, LAT.size, LON.size))
    return (np.sin(days) * 10 + place + days / 7).astype("f4")


def write_days(
    path: Path,
    first: int,
    steps: int,
    *,
    units: str = "days since 1970-01-01",
    calendar: str | None = "standard",
    form: str = "NETCDF4",
    chunks: tuple[int, ...] | None = (1, 6, 8),
    dtype: str = "f4",
    fill: Any = -9999.0,
    attrs: dict[str, Any] | None = None,
    time_dtype: str = "f8",
    lat: np.ndarray[Any, Any] = LAT,
    values: np.ndarray[Any, Any] | None = None,
    unlimited: bool = True,
    **storage: Any,
) -> Path:
    """A file of `steps` days from day `first` after 1970-01-01 at noon; `attrs` are those of `rain`."""
    modern = form == "NETCDF4"
    with netCDF4.Dataset(path, "w", format=form) as dataset:
        dataset.title = "rain"
        dataset.createDimension("time", None if unlimited else steps)
        dataset.createDimension("lat", lat.size)
        dataset.createDimension("lon", LON.size)
        time = dataset.createVariable("time", time_dtype, ("time",))
        time.setncatts({"units": units, "standard_name": "time"} | ({"calendar": calendar} if calendar else {}))
        days = np.arange(first, first + steps) + 0.5
        dates = netCDF4.num2date(days, "days since 1970-01-01", calendar or "standard")
        time[:] = netCDF4.date2num(dates, units, calendar or "standard")
        for name, numbers in (("lat", lat), ("lon", LON)):
            coordinate = dataset.createVariable(name, "f8", (name,))
            coordinate.units = "degrees_north" if name == "lat" else "degrees_east"
            coordinate[:] = numbers
        layout = {"chunksizes": chunks, **storage} if modern else storage
        rain = dataset.createVariable("rain", dtype, ("time", "lat", "lon"), fill_value=fill, **layout)
        rain.setncatts({"units": "mm", **(attrs or {})})
        rain.set_auto_maskandscale(False)
        rain[:] = field(first, steps) if values is None else values
    return path


def referenced(paths: Sequence[Path], base: str = BASE) -> list[ReferencedFile]:
    """The files as the ingest hands them over, in the order given."""
    return [
        ReferencedFile(path, f"{base}/{path.name}", hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
        for path in paths
    ]


def build(paths: Sequence[Path], *variables: str, **options: Any) -> References:
    """References to `rain`, or to `variables`, whatever the size of chunks."""
    return build_references(referenced(paths), variables or ("rain",), **{"smallest_chunk": 1, **options})


def refusals(paths: Sequence[Path], *variables: str, **options: Any) -> dict[str, str]:
    """The reasons by code for which references are refused; fails where they are not."""
    with pytest.raises(ReferencesRefused) as refused:
        build(paths, *variables, **options)
    assert not any(str(path.parent) in str(refused.value) for path in paths), "a local path would be published"
    return {problem.code: f"{problem.where}: {problem.what}" for problem in refused.value.problems}


def read(references: References, paths: Sequence[Path], *, every: int = 1, **options: Any) -> xr.Dataset:
    """What any reader gets from published JSON, with the local files in place of the public ones.

    `every` reads each so many-th step only, where a step is a chunk and there are tens of thousands.
    """
    local = {f"{BASE}/{path.name}": str(path) for path in paths}
    document = json.loads(references.objects["references.json"])
    for key, value in document["refs"].items():
        if isinstance(value, list):
            document["refs"][key] = [local[value[0]], *value[1:]]
    storage = {"fo": document, "remote_protocol": "file"}
    found = xr.open_dataset(
        "reference://",
        engine="zarr",
        backend_kwargs={"storage_options": storage, "consolidated": False},
        **options,
    )
    return found.isel(time=slice(None, None, every)).load() if every > 1 else found.load()


def originals(paths: Sequence[Path], dim: str = "time") -> xr.Dataset:
    """The files read and decoded one by one by xarray, then joined."""
    parts = []
    for path in paths:
        with xr.open_dataset(path, decode_timedelta=False) as one:
            parts.append(one.load())
    return xr.concat(parts, dim=dim, data_vars="minimal", coords="minimal", compat="override", join="override")
