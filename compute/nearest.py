"""The cell that stands for a place: the nearest one that may, never one that is far away.

Which cells may is told by `compute.telling_cells`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cube.errors import InputError, Problem

EARTH_KM = 6371.0
FARTHEST = 1.5
"""In cells: half of the capitals on Africa's coast fall into the sea, one cell beyond is another climate."""
ALONE = 1.0
"""Degrees that a cell without neighbours is taken to be wide."""
APART = 3.0
"""Degrees beyond which the nearest land point is no neighbour: it does not tell how large a cell is."""
AROUND = 25
"""Nearest cells among which a neighbour in another row is looked for."""
NOISE = 1e-4
"""Degrees by which latitudes of one row may differ, of single precision."""


@dataclass(frozen=True)
class Place:
    """A cell: its position among all, its centre in degrees, and how far that is from what was asked for."""

    position: int
    lat: float
    lon: float
    km: float


def distance_km(lat: float, lon: float, lats: NDArray[np.float64], lons: NDArray[np.float64]) -> NDArray[np.float64]:
    """Great-circle distances (haversine), shape of `lats`."""
    phi, phis = np.deg2rad(lat), np.deg2rad(lats)
    half = np.sin((phis - phi) / 2) ** 2 + np.cos(phi) * np.cos(phis) * np.sin(np.deg2rad(lons - lon) / 2) ** 2
    # Of antipodes rounding makes more than 1.
    return np.asarray(2 * EARTH_KM * np.arcsin(np.sqrt(np.minimum(half, 1.0))))


@dataclass(frozen=True)
class Cells:
    """Centres of all cells of a product in degrees, each of shape (cells,)."""

    lats: NDArray[np.float64]
    lons: NDArray[np.float64]

    @cached_property
    def tree(self) -> Any:
        """A scipy tree of the centres as points on a sphere of radius 1."""
        from scipy.spatial import cKDTree  # takes long to import, and grids do without

        return cKDTree(on_sphere(self.lats, self.lons))

    @cached_property
    def axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Latitudes and longitudes, ascending, of which the cells are all pairs; None where they are not."""
        lats, lons = np.unique(self.lats), np.unique(self.lons)
        return (lats, lons) if len(lats) * len(lons) == len(self.lats) else None

    def size(self, cell: int) -> float:
        """The larger of the spacings of a cell in latitude and longitude, km.

        Of a row or a column, cells are taken to be as high as they are wide, in degrees. Of cells that are no rectangle
        of latitudes and longitudes, such as those of a map of metres or land points, it is how far the nearest cell in
        another row is. A cell without neighbours is one degree wide.
        """
        if self.axes is None:
            return self._to_neighbour(cell)
        high, wide = (_spacing(axis, at[cell]) for axis, at in zip(self.axes, (self.lats, self.lons), strict=True))
        high, wide = high or wide or ALONE, wide or high or ALONE
        return _km(max(high, wide * float(np.cos(np.deg2rad(self.lats[cell])))))

    def _to_neighbour(self, cell: int) -> float:
        lat, lon = float(self.lats[cell]), float(self.lons[cell])
        near = self.tree.query(on_sphere(lat, lon), k=min(AROUND, len(self.lats)))[1]
        lats, lons = self.lats[near], self.lons[near]
        # Cells become narrow towards the poles: the next one in the row tells how narrow, not how high they are.
        other = np.abs(lats - lat) > NOISE
        beside = other if other.any() else np.abs(lons - lon) > NOISE
        found = float(np.min(distance_km(lat, lon, lats[beside], lons[beside]), initial=np.inf))
        return found if found <= _km(APART) else _km(ALONE)


def on_sphere(lats: Any, lons: Any) -> NDArray[np.float64]:
    """Points on a sphere of radius 1, of the shape of `lats` and 3."""
    phi, lam = np.radians(lats), np.radians(lons)
    return np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)], axis=-1)


def _spacing(axis: NDArray[np.float64], value: float) -> float:
    """How far the farther neighbour of a value of an ascending axis is, degrees; 0 where it has none."""
    at = int(np.searchsorted(axis, value))
    return float(np.max(np.diff(axis[max(at - 1, 0) : at + 2]), initial=0.0))


def _km(degrees: float) -> float:
    return float(np.deg2rad(degrees)) * EARTH_KM


def nearest(
    place: tuple[float, float],
    lats: NDArray[np.float64],
    lons: NDArray[np.float64],
    valid: NDArray[np.bool_],
    size: Callable[[int], float] | None = None,
) -> Place:
    """The nearest valid cell within 1.5 cells. A place inside a valid cell is never too far from it.

    place             latitude and longitude, degrees
    lats, lons, valid of all cells, shape (cells,)
    size              of a cell by its position, km; by default that of `Cells`. To be given where these are a part of
                      the cells

    Raises InputError, naming the nearest three, where none is that near.
    """
    lat, lon = place
    if not (-90 <= lat <= 90 and -360 <= lon <= 360):
        raise InputError(
            Problem("place-unknown", f"{lat}, {lon} is no place", "place", fix="give (latitude, longitude)")
        )
    km = np.where(valid, distance_km(lat, lon, lats, lons), np.inf)
    order = np.argsort(km, kind="stable")[:3]
    own = int(order[0])
    if not (np.isfinite(km[own]) and km[own] <= FARTHEST * (size or Cells(lats, lons).size)(own)):
        told = "; ".join(f"{lats[i]:g}, {lons[i]:g} ({km[i]:.0f} km)" for i in order if np.isfinite(km[i]))
        raise InputError(
            Problem(
                "place-too-far",
                f"no cell with values lies within {FARTHEST:g} cells of {lat:g}, {lon:g}",
                "place",
                "another cell would stand for another climate",
                f"the nearest are {told}" if told else "the product has no values at all",
            )
        )
    return Place(own, float(lats[own]), float(lons[own]), float(km[own]))
