"""From the cells of a file to the cells of the product: index arithmetic only, cheap to pickle and to compare."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Run:
    """`count` published cells from `start` on are the native cells `source`, `source + step`, ...; step is 1 or -1."""

    start: int
    count: int
    source: int
    step: int = 1

    def cut(self, window: slice) -> tuple[slice, slice] | None:
        """(native slice, slice into the window) of what this run gives to a published window, or None."""
        low, high = max(self.start, window.start), min(self.start + self.count, window.stop)
        if low >= high:
            return None
        first = self.source + (low - self.start) * self.step
        count = high - low
        # Native slices ascend; the reader turns them where step is -1.
        native = slice(first, first + count) if self.step == 1 else slice(first - count + 1, first + 1)
        return native, slice(low - window.start, high - window.start)


@dataclass(frozen=True, slots=True)
class GridMap:
    """The native cell of every published cell.

    shape    published (y, x); () where the product has no map
    y, x     runs of native rows and columns, for files with a map; together they cover the published axes
    scatter  for files that hold a vector of points: little-endian int32 of `shape`, the point of each cell, -1 for none
    """

    shape: tuple[int, ...] = ()
    y: tuple[Run, ...] = ()
    x: tuple[Run, ...] = ()
    scatter: bytes = b""

    def points(self) -> NDArray[np.int32]:
        """Native point of each published cell, shape as published; -1 where there is none."""
        return _points(self.scatter, self.shape)

    def digest(self) -> str:
        """Short hash of the map, the same on every machine."""
        return _digest(self)


@functools.lru_cache(maxsize=64)
def _points(scatter: bytes, shape: tuple[int, ...]) -> NDArray[np.int32]:
    return np.frombuffer(scatter, dtype="<i4").reshape(shape)


@functools.lru_cache(maxsize=256)
def _digest(grid: GridMap) -> str:
    text = repr((grid.shape, grid.y, grid.x)).encode()
    return hashlib.sha256(text + grid.scatter).hexdigest()[:16]
