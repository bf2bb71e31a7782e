"""Vegetation as the column needs it: the five plant functional types of JULES, and where their roots draw water."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.column.stepping import THICKNESS

BOTTOMS = np.cumsum(THICKNESS)
"""Depths of the layers' bottoms, m."""


@dataclass(frozen=True)
class PlantType:
    """name, rooting depth d in m, and the factor by which cover raises the infiltration capacity above `satcon`."""

    name: str
    rooting_depth: float
    infiltration: float


PLANT_TYPES = {
    1: PlantType("broadleaf tree", 3.0, 4.0),
    2: PlantType("needleleaf tree", 1.0, 4.0),
    3: PlantType("C3 grass", 0.5, 2.0),
    4: PlantType("C4 grass", 0.5, 2.0),
    5: PlantType("shrub", 0.5, 2.0),
}
"""The plant functional types in the numbering of JULES, from 1 (Best et al. 2011, doi:10.5194/gmd-4-677-2011)."""


def root_shares(rooting_depth: ArrayLike, p: float = 1.0) -> NDArray[np.float64]:
    """Share of roots in each of the four layers, (..., 4), sums 1, for rooting depths d (...) in metres.

    Roots decline as exp(-p z / d). JULES's code has p = 1; the paper that describes it has 2.
    """
    depth = np.asarray(rooting_depth, np.float64)[..., np.newaxis]
    above = np.exp(-p * np.concatenate(([0.0], BOTTOMS)) / depth)
    shares: NDArray[np.float64] = (above[..., :-1] - above[..., 1:]) / (1.0 - above[..., -1:])
    return shares


def shares_of(types: ArrayLike, p: float = 1.0) -> NDArray[np.float64]:
    """Root shares (types, 4) of plant functional types given by their JULES numbers; KeyError for another number."""
    numbers = np.atleast_1d(np.asarray(types, int))
    return root_shares([PLANT_TYPES[int(number)].rooting_depth for number in numbers], p)


def mean_shares(cover: ArrayLike, shares: ArrayLike) -> NDArray[np.float64]:
    """Root shares (4, cells) of mixed vegetation: `shares` (types, 4) weighted by `cover` (types, cells).

    beta is linear in root shares, so that extraction by these equals the cover-weighted extraction of the types. NaN
    where the cover is missing or sums to 0.
    """
    cover = np.asarray(cover, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: NDArray[np.float64] = np.einsum("tc,tl->lc", cover / cover.sum(axis=0), np.asarray(shares, np.float64))
    return mean
