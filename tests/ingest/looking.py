"""Looking at archives in tests: inspect, read whole variables, and what xarray makes of the same files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from cube.errors import InputError, Problem
from ingest.archive import Archive, ArchiveVariable
from ingest.discovery import discover
from ingest.preflight import inspect
from ingest.reading import read
from ingest.selection import IngestSelection
from ingest.sources import SOURCES


def look(folder: Path, patterns: str | Sequence[str], source: str = "cf", **options: Any) -> Archive:
    """The archive of the files that the patterns name below a folder."""
    names = [patterns] if isinstance(patterns, str) else list(patterns)
    return inspect(discover(names, folder), SOURCES[source], IngestSelection.model_validate(options), folder)


def refused(folder: Path, patterns: str | Sequence[str], source: str = "cf", **options: Any) -> tuple[Problem, ...]:
    """The problems for which the files are refused."""
    with pytest.raises(InputError) as caught:
        look(folder, patterns, source, **options)
    return caught.value.problems


def codes(problems: Sequence[Problem]) -> list[str]:
    return [problem.code for problem in problems]


def values(variable: ArchiveVariable, **window: slice) -> np.ndarray[Any, Any]:
    """A window of a variable, whole where no slice is given."""
    slices = {dim: window.get(dim, slice(0, size)) for dim, size in zip(variable.dims, variable.shape, strict=True)}
    out = np.full([part.stop - part.start for part in slices.values()], variable.fill, variable.dtype)
    read(variable, variable.pieces, slices, out)
    return out


def originals(folder: Path, pattern: str, name: str) -> np.ndarray[Any, Any]:
    """A variable as xarray decodes it: joined in time, latitude ascending, longitude from -180, (time, lat, lon)."""
    paths = sorted(folder.glob(pattern))
    assert paths, f"{pattern} matches nothing in {folder}"
    times = xr.coders.CFDatetimeCoder(use_cftime=True)
    parts = [xr.open_dataset(path, decode_times=times)[name].load() for path in paths]
    renames = {"latitude": "lat", "longitude": "lon", "valid_time": "time"}
    parts = [part.rename({old: new for old, new in renames.items() if old in part.coords}) for part in parts]
    joined = (
        xr.concat(parts, "time", coords="minimal", compat="override", join="override")
        if "time" in parts[0].dims
        else parts[0]
    )
    longitude = joined["lon"].values
    if longitude.max() > 180:
        joined = joined.assign_coords(lon=(longitude + 180) % 360 - 180)
    order = [dim for dim in ("time", "lat", "lon") if dim in joined.dims]
    return np.asarray(joined.sortby(order).transpose(*order).values)


def assert_one_ulp(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> None:
    """Equal missing values, and numbers that differ by no more than the last place of single precision."""
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    valid = ~np.isnan(found)
    np.testing.assert_array_max_ulp(found[valid], expected[valid].astype(np.float32), maxulp=1)
