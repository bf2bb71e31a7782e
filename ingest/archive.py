"""An archive that passed the pre-flight: which files give which steps of which variable, and how they are decoded."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cube.axes import TimeAxis
from ingest.gridmap import GridMap

if TYPE_CHECKING:
    import xarray as xr  # what gathers facts in many processes does without it


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """One file, with what proves that it did not change.

    location  path or URL;  name  relative to the fixed part of the pattern that found it, the same on every machine
    stamp     what is compared whenever the file is read: (bytes, mtime_ns, inode), or (bytes, ETag) of a remote file
    storage   how a remote file is reached (`cube.stores.Storage`), None for paths
    """

    location: str
    name: str
    bytes: int
    sha256: str
    stamp: tuple[int | str, ...] = field(compare=False)
    storage: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Quality:
    """A flag variable that decides which values are kept: those where `flag & mask == 0`."""

    variable: str
    mask: int


@dataclass(frozen=True, slots=True)
class Decode:
    """How the raw numbers of one variable of one file become published ones.

    variable   path in the file, groups included
    axes       what each native dimension is: "time", "y", "x", "point", the name of another published dimension, or ""
               for a dimension of one that is dropped
    dtype      published dtype;  fill  what stands for missing in integers, None for floats (NaN)
    missing    raw values that mean missing, besides NaN
    factor, offset   published = raw * factor + offset, packing and units together
    floor      values in [floor, 0) become 0 and lower ones are an error; None where negative values are right
    reduce     (rule, n): every n steps of the file become one, by "mean", "maximum" or "minimum"; all n must be valid
    """

    variable: str
    axes: tuple[str, ...]
    dtype: str
    fill: int | None = None
    missing: tuple[float | int, ...] = ()
    factor: float = 1.0
    offset: float = 0.0
    floor: float | None = None
    unsigned: bool = False
    reduce: tuple[str, int] | None = None
    quality: Quality | None = None

    def digest(self) -> str:
        """Short hash of the rule, the same on every machine."""
        return _digest(self)


@functools.lru_cache(maxsize=4096)
def _digest(decode: Decode) -> str:
    return hashlib.sha256(repr(astuple(decode)).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Piece:
    """Contiguous steps of a product's variable that one file gives.

    start, count                published steps on the time axis (0, 1 without time)
    source_start, source_count  steps of the file
    lengths                     seconds of each published step where sums become rates over months or years, else empty
    """

    file: ArchiveFile
    start: int
    count: int
    source_start: int
    source_count: int
    decode: Decode
    grid: GridMap
    lengths: tuple[float, ...] = ()

    @property
    def stop(self) -> int:
        return self.start + self.count

    def identity(self) -> tuple[str | int | float, ...]:
        """All that decides the values this piece gives, JSON-able, the same on every machine: part of a block key."""
        return (
            self.file.sha256,
            self.start,
            self.count,
            self.source_start,
            self.source_count,
            self.decode.digest(),
            self.grid.digest(),
            *self.lengths,
        )


@dataclass(frozen=True)
class ArchiveVariable:
    """A variable of the product and the pieces it is made of.

    dims          published order: time, other dimensions, y, x (names as in `Archive.coords`)
    fill          NaN for floats, an integer for flags
    attrs         CF attributes, units and grid_mapping included
    pieces        in order of `start`; together they cover the time axis except its gaps
    source_chunk  per published dimension, the largest extent that is decoded together in a file; 1 along dimensions
                  that are stored without chunks
    grid          the map of most of its files; each piece carries its own
    """

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: float | int
    attrs: dict[str, Any]
    pieces: tuple[Piece, ...]
    source_chunk: tuple[int, ...]
    grid: GridMap


@dataclass(frozen=True)
class Archive:
    """A product's input, proven consistent.

    coords      encoded coordinates other than time, with bounds and CF attributes, ready to write; `crs` if projected
    variables   by published name, sorted
    gaps        declared holes as (first, last) ISO texts, inclusive
    properties  STAC properties that the file names give
    provenance  licence, licence_url, providers, citations, redistribution, ancestors
    """

    source: str
    revision: int
    time: TimeAxis | None
    coords: xr.Dataset
    variables: dict[str, ArchiveVariable]
    files: tuple[ArchiveFile, ...]
    gaps: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    attrs: dict[str, Any]
    properties: dict[str, Any]
    provenance: dict[str, Any]
