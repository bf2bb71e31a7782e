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

from cube.errors import IntegrityError, MissingObjectError, Problem
from cube.hashing import sha256
from cube.shards import Form
from cube.stores import Store
from cube.stores.store import ObjectInfo
from cube.stores.zarr_store import ZarrReader
from cube.unsharding import read_shards

# Workers are processes of one thread each: threads inside the codec would only compete with them.
numcodecs.blosc.set_nthreads(1)

STRICT = {"array.read_missing_chunks": False, "array.write_empty_chunks": True}
"""zarr's settings for us: what is missing is an error, and fill is written."""


@contextmanager
def strict() -> Iterator[None]:
    with zarr.config.set(STRICT):
        yield


class Proven:
    """A store of which only objects of known sha256 are read, each whole; once, where parts of it are asked for.

    A chunk's own checksum does not tell that the chunk belongs where it lies.
    """

    def __init__(self, store: Store, prefix: str, proofs: Mapping[str, str]) -> None:
        self._store = store
        self._proofs = {f"{prefix}/{name}": proof for name, proof in proofs.items()}
        self._read: dict[str, bytes] = {}

    @property
    def url(self) -> str:
        return self._store.url

    def head(self, key: str) -> ObjectInfo | None:
        return self._store.head(key)

    def walk(self, prefix: str) -> Iterator[str]:
        return self._store.walk(prefix)

    def get(self, key: str, start: int | None = None, stop: int | None = None) -> bytes:
        """Raises IntegrityError for an object that is lost or not what its proof says, or that has none."""
        data = self._read.get(key)
        if data is None:
            try:
                data = self._store.get(key)
            except MissingObjectError:
                if key in self._proofs:
                    raise IntegrityError(_damaged("object-missing", "the object is missing", key)) from None
                raise
            if sha256(data) != self._proofs.get(key):
                what = "the object is not what was proven when it was written"
                raise IntegrityError(_damaged("object-changed", what, key))
            if start is None and stop is None:
                return data
            self._read[key] = data
        return data[start:stop]


def _damaged(code: str, what: str, key: str) -> Problem:
    return Problem(code, what, key, "what is made from it would be wrong too", "`cube build --repair`")


@dataclass(frozen=True)
class VersionRef:
    """One version of a product on a store; picklable."""

    store: Store
    prefix: str

    def open(self, layout: str = "time", proofs: Mapping[str, str] | None = None) -> zarr.Group:
        """The Zarr group of one layout, read-only."""
        store = self.store if proofs is None else Proven(self.store, self.prefix, proofs)
        reader = ZarrReader(store, f"{self.prefix}/{layout}.zarr")
        return zarr.open_group(reader, mode="r", zarr_format=3, use_consolidated=True)

    def read(
        self,
        variables: Sequence[str],
        slices: Mapping[str, slice],
        layout: str = "time",
        proofs: Mapping[str, str] | None = None,
    ) -> xr.Dataset:
        """Variables cut to `slices` by dimension, in encoded form, with the coordinates of their dimensions.

        proofs  sha256 by name of every object that may be read; without them a swapped object goes unnoticed

        Raises IntegrityError where an object of the version is missing, or not what its proof says, and ValueError for
        slices with a step.
        """
        try:
            # zarr takes its settings when an array is opened, not when it is read.
            with strict():
                group = self.open(layout, proofs)
                arrays = {name: group[name] for name in variables}
                dims = {dim for array in arrays.values() for dim in _dims(array)}
                arrays |= {name: group[name] for name in group.array_keys() if name in dims and name not in arrays}
                found = xr.Dataset({name: _cut(array, slices) for name, array in arrays.items()})
                return found.set_coords([name for name in arrays if name in dims])
        except (zarr.errors.ChunkNotFoundError, MissingObjectError) as error:
            where = error.problems[0].where if isinstance(error, MissingObjectError) else f"{self.prefix}: {error}"
            raise IntegrityError(
                Problem(
                    "object-missing",
                    "an object of the version is missing",
                    where,
                    "a plain reader sees fill values instead",
                    "run `cube verify`, then `cube build --repair`",
                )
            ) from error

    def file(self, name: str, proofs: Mapping[str, str]) -> bytes:
        """A file that is no array, by its name in the version. Raises IntegrityError as `read` does."""
        return Proven(self.store, self.prefix, proofs).get(f"{self.prefix}/{name}")

    def coordinates(self, names: Sequence[str], proofs: Mapping[str, str]) -> xr.Dataset:
        """Whole coordinates in encoded form, with their attributes. Raises IntegrityError as `read` does."""
        with strict():
            group = self.open(proofs=proofs)
            return xr.Dataset(coords={name: _cut(group[name], {}) for name in names})


def _dims(array: Any) -> tuple[str, ...]:
    # An array without dimensions has no names at all.
    return tuple(array.metadata.dimension_names or ())


def _cut(array: Any, slices: Mapping[str, slice]) -> xr.Variable:
    dims = _dims(array)
    if array.shards is None:
        return xr.Variable(dims, array[tuple(slices.get(dim, slice(None)) for dim in dims)], dict(array.attrs))
    form = Form(dims, array.shape, array.chunks, array.shards, array.dtype, array.fill_value, declared=None)
    reader: ZarrReader = array.store
    key, whole = f"{reader.prefix}/{array.basename}", isinstance(reader.store, Proven)
    return xr.Variable(dims, read_shards(reader.store.get, form, key, slices, whole=whole), dict(array.attrs))
