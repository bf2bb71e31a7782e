"""The cell that stands for a place: the nearest one that has values, never one that is far away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cube.errors import InputError, Problem

EARTH_KM = 6371.0
FARTHEST = 1.5
"""In cells: half of the capitals on Africa's coast fall into the sea, one cell beyond is another climate."""


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
    return np.asarray(2 * EARTH_KM * np.arcsin(np.sqrt(half)))


def nearest(
    place: tuple[float, float], lats: NDArray[np.float64], lons: NDArray[np.float64], valid: NDArray[np.bool_]
) -> Place:
    """The nearest valid cell within 1.5 cells.

    place             latitude and longitude, degrees
    lats, lons, valid of all cells, shape (cells,)

    Raises InputError, naming the nearest three, where none is that near.
    """
    lat, lon = place
    if not (-90 <= lat <= 90 and -360 <= lon <= 360):
        raise InputError(
            Problem("place-unknown", f"{lat}, {lon} is no place", "place", fix="give (latitude, longitude)")
        )
    km = np.where(valid, distance_km(lat, lon, lats, lons), np.inf)
    order = np.argsort(km, kind="stable")[:3]
    # The size of a cell: how far its nearest neighbour is, valid or not.
    own = int(order[0])
    size = np.partition(distance_km(lats[own], lons[own], lats, lons), 1)[1] if len(lats) > 1 else np.inf
    if not km[own] <= FARTHEST * size:
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
