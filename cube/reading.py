"""Reading a version strictly: a missing object is an error, never fill."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numcodecs.blosc
import xarray as xr
import zarr
import zarr.errors

from cube.errors import IntegrityError, Problem
from cube.stores import Store
from cube.stores.zarr_store import ZarrReader

# Workers are processes of one thread each: threads inside the codec would only compete with them.
numcodecs.blosc.set_nthreads(1)

STRICT = {"array.read_missing_chunks": False, "array.write_empty_chunks": True}
"""zarr's settings for us: what is missing is an error, and fill is written."""


@contextmanager
def strict() -> Iterator[None]:
    with zarr.config.set(STRICT):
        yield


@dataclass(frozen=True)
class VersionRef:
    """One version of a product on a store; picklable."""

    store: Store
    prefix: str

    def open(self, layout: str = "time") -> zarr.Group:
        """The Zarr group of one layout, read-only."""
        reader = ZarrReader(self.store, f"{self.prefix}/{layout}.zarr")
        return zarr.open_group(reader, mode="r", zarr_format=3, use_consolidated=True)

    def read(self, variables: Sequence[str], slices: Mapping[str, slice], layout: str = "time") -> xr.Dataset:
        """Variables cut to `slices` by dimension, in encoded form, with the coordinates of their dimensions.

        Raises IntegrityError where an object of the version is missing.
        """
        try:
            # zarr takes its settings when an array is opened, not when it is read.
            with strict():
                group = self.open(layout)
                arrays = {name: group[name] for name in variables}
                dims = {dim for array in arrays.values() for dim in _dims(array)}
                arrays |= {name: group[name] for name in group.array_keys() if name in dims and name not in arrays}
                found = xr.Dataset({name: _cut(array, slices) for name, array in arrays.items()})
                return found.set_coords([name for name in arrays if name in dims])
        except zarr.errors.ChunkNotFoundError as error:
            raise IntegrityError(
                Problem(
                    "object-missing",
                    f"an object of the version is missing ({error})",
                    self.prefix,
                    "a plain reader sees fill values instead",
                    "run `cube verify`, then `cube build --repair`",
                )
            ) from error


def _dims(array: Any) -> tuple[str, ...]:
    return tuple(array.metadata.dimension_names)


def _cut(array: Any, slices: Mapping[str, slice]) -> xr.Variable:
    dims = _dims(array)
    return xr.Variable(dims, array[tuple(slices.get(dim, slice(None)) for dim in dims)], dict(array.attrs))
