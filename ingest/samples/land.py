"""Where there is land: outlines of Africa, Madagascar and the United Kingdom, drawn by hand to about half a degree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Outline = tuple[tuple[float, float], ...]
"""Corners (longitude, latitude) in degrees."""

AFRICA: Outline = (
    (-5.9, 35.8), (-2.0, 35.1), (1.0, 36.5), (5.0, 36.8), (9.7, 37.3), (11.0, 37.0), (10.2, 34.3), (11.2, 33.2),
    (15.2, 32.3), (15.7, 31.4), (19.0, 30.3), (20.1, 31.0), (20.0, 32.3), (21.6, 32.9), (23.1, 32.3), (25.0, 31.6),
    (29.0, 30.9), (31.0, 31.6), (34.2, 31.3), (34.9, 29.5), (34.3, 27.8), (32.6, 29.9), (33.6, 27.8), (35.5, 24.0),
    (37.2, 21.0), (37.3, 18.8), (38.6, 18.0), (39.7, 15.1), (41.2, 14.6), (43.1, 12.7), (43.3, 11.5), (44.6, 10.4),
    (47.0, 11.1), (51.2, 11.9), (51.0, 10.4), (49.5, 6.9), (47.7, 4.2), (45.6, 2.2), (43.1, 0.3), (41.6, -1.7),
    (40.3, -2.6), (38.8, -6.1), (39.5, -7.1), (39.4, -8.7), (40.5, -10.8), (40.6, -14.7), (39.0, -17.0), (36.9, -17.9),
    (34.8, -19.9), (35.5, -22.1), (35.4, -23.9), (32.6, -25.9), (32.8, -27.0), (31.0, -29.9), (28.2, -32.8),
    (25.7, -34.0), (22.0, -34.3), (20.0, -34.8), (18.4, -34.1), (18.2, -32.0), (16.9, -29.0), (15.2, -27.0),
    (14.4, -22.7), (11.8, -18.0), (12.2, -15.0), (13.7, -11.0), (12.9, -8.9), (12.2, -6.0), (11.1, -4.0), (8.8, -0.8),
    (9.5, 1.0), (9.8, 3.1), (8.5, 4.6), (6.0, 4.3), (4.3, 6.3), (1.1, 5.9), (-2.0, 4.7), (-4.5, 5.2), (-7.6, 4.3),
    (-9.9, 5.6), (-11.5, 6.9), (-13.2, 8.9), (-14.9, 10.9), (-16.8, 12.4), (-17.5, 14.7), (-16.5, 16.1), (-16.3, 19.1),
    (-17.0, 21.0), (-16.0, 23.7), (-14.5, 26.1), (-12.9, 27.9), (-9.8, 29.8), (-9.8, 31.5), (-6.9, 34.0),
)  # fmt: skip
MADAGASCAR: Outline = (
    (49.3, -12.0), (50.5, -15.7), (49.5, -17.1), (47.1, -24.9), (45.2, -25.6), (43.7, -23.6), (43.3, -22.0),
    (44.4, -20.0), (44.0, -17.4), (46.3, -15.7), (48.0, -13.7),
)  # fmt: skip
GREAT_BRITAIN: Outline = (
    (-5.7, 50.1), (-5.0, 50.4), (-4.5, 50.9), (-4.2, 51.2), (-3.0, 51.2), (-2.7, 51.6), (-3.8, 51.5), (-5.1, 51.7),
    (-5.2, 52.0), (-4.1, 52.4), (-4.6, 52.9), (-4.5, 53.4), (-3.1, 53.3), (-3.0, 54.0), (-3.6, 54.6), (-3.1, 54.95),
    (-4.9, 54.7), (-4.7, 55.5), (-5.6, 55.4), (-5.6, 56.5), (-6.2, 56.7), (-5.7, 57.5), (-5.1, 58.6), (-3.1, 58.6),
    (-4.0, 57.7), (-2.0, 57.7), (-2.1, 57.1), (-3.0, 56.3), (-2.2, 55.9), (-1.6, 55.3), (-1.2, 54.6), (-0.1, 54.1),
    (0.2, 53.2), (0.3, 52.9), (1.3, 52.9), (1.75, 52.5), (1.3, 51.9), (0.7, 51.5), (1.4, 51.3), (1.0, 50.95),
    (0.2, 50.75), (-1.2, 50.75), (-2.4, 50.6), (-3.4, 50.6), (-3.7, 50.2), (-4.2, 50.35), (-5.1, 50.0),
)  # fmt: skip
NORTHERN_IRELAND: Outline = ((-5.5, 54.4), (-6.1, 54.0), (-7.3, 54.1), (-8.1, 54.5), (-7.3, 55.1), (-6.1, 55.2))

_SAMPLES = 6  # points per cell side: the fraction comes in steps of 1/36


def inside(outline: Outline, longitude: NDArray[np.float64], latitude: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Even-odd rule, for points of any shape."""
    result = np.zeros(longitude.shape, dtype=bool)
    for (x0, y0), (x1, y1) in zip(outline, (*outline[1:], outline[0]), strict=True):
        if y0 == y1:
            continue
        crosses = (y0 > latitude) != (y1 > latitude)
        result ^= crosses & (longitude < (x1 - x0) * (latitude - y0) / (y1 - y0) + x0)
    return result


def land_fraction(
    outlines: tuple[Outline, ...],
    longitude: NDArray[np.float64],
    latitude: NDArray[np.float64],
    width: NDArray[np.float64] | float,
    height: NDArray[np.float64] | float,
) -> NDArray[np.float32]:
    """Share of each cell that is land, 0..1, shape of `longitude`; width and height of the cells in degrees."""
    offsets = (np.arange(_SAMPLES) + 0.5) / _SAMPLES - 0.5
    total = np.zeros(longitude.shape, dtype=np.float32)
    for dy in offsets:
        for dx in offsets:
            land = np.zeros(longitude.shape, dtype=bool)
            for outline in outlines:
                land |= inside(outline, longitude + dx * width, latitude + dy * height)
            total += land
    return total / np.float32(_SAMPLES**2)
