"""Hydraulic properties of soils: pedotransfer from texture, and the retention curve that fixes its critical points.

Names and units are those of JULES ancillaries. With the van Genuchten curve JULES stores b = 1 / (n - 1),
sathh = 1 / alpha and moistures above the residual one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cube.errors import InputError, Problem

Array = NDArray[np.float64]
Variant = Literal["cosby_jules", "cosby1984"]
Curve = Literal["brooks_corey", "van_genuchten"]

GRAVITY = 9.80665
CRITICAL = 33.0 / GRAVITY
"""Suction head of the critical point, metres of water: 33 kPa."""
WILTING = 1500.0 / GRAVITY
"""Suction head of the wilting point, metres of water: 1500 kPa."""


@dataclass(frozen=True)
class Soil:
    """Hydraulic properties of cells, float64 arrays of one shape (cells,).

    b        exponent of the curve, 1
    sathh    saturated suction, m, positive
    satcon   saturated conductivity, kg m-2 s-1
    sm_sat   volumetric moisture at saturation, m3 m-3
    sm_crit  at the critical point, above which vegetation is not short of water, m3 m-3
    sm_wilt  at the wilting point, m3 m-3
    """

    b: Array
    sathh: Array
    satcon: Array
    sm_sat: Array
    sm_crit: Array
    sm_wilt: Array

    @property
    def usable(self) -> NDArray[np.bool_]:
        """(cells,) where all properties are those of a soil; ice and open water have zeros in JULES ancillaries."""
        finite = np.all([np.isfinite(getattr(self, field.name)) for field in fields(self)], axis=0)
        positive = (self.b > 0) & (self.sathh > 0) & (self.satcon > 0)
        ordered = (self.sm_wilt >= 0) & (self.sm_wilt < self.sm_crit) & (self.sm_crit <= self.sm_sat)
        usable: NDArray[np.bool_] = finite & positive & ordered & (self.sm_sat <= 1)
        return usable

    def at(self, cells: Any) -> Soil:
        """The soil of some cells, given by an index or a mask."""
        return Soil(*(getattr(self, field.name)[cells] for field in fields(self)))


def moisture(head: float, b: ArrayLike, sathh: ArrayLike, sm_sat: ArrayLike, curve: Curve = "brooks_corey") -> Array:
    """Volumetric moisture, m3 m-3, at a suction head in metres."""
    b, relative, sm_sat = np.asarray(b, float), head / np.asarray(sathh, float), np.asarray(sm_sat, float)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        if curve == "brooks_corey":
            saturation: Any = np.minimum(relative ** (-1 / b), 1.0)
        else:
            # van Genuchten 1980, doi:10.2136/sssaj1980.03615995004400050002x: n = (b + 1) / b, m = 1 / (b + 1)
            saturation = (1 + relative ** ((b + 1) / b)) ** (-1 / (b + 1))
    result: Array = sm_sat * saturation
    return result


def cosby(clay: ArrayLike, sand: ArrayLike, variant: Variant = "cosby_jules", curve: Curve = "brooks_corey") -> Soil:
    """Properties by the pedotransfer functions named after Cosby et al. 1984, doi:10.1029/WR020i006p00682.

    clay and sand are fractions of mass from 0 to 1, (cells,); NaN gives NaN. `cosby1984` has the functions as decadic
    powers; `cosby_jules` has the same slopes under natural exponentials, as many JULES ancillaries have. Critical and
    wilting points are at 33 and 1500 kPa on the given curve.

    Raises InputError (texture-range) where a fraction lies outside 0..1 or the two exceed 1.
    """
    clay, sand = np.asarray(clay, np.float64), np.asarray(sand, np.float64)
    # Fractions in single precision may exceed 1 by a rounding.
    wrong = (clay < 0) | (sand < 0) | (clay + sand > 1 + 1e-6)
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise InputError(
            Problem(
                "texture-range",
                f"{int(wrong.sum())} cells have impossible texture; the first: clay {clay.flat[first]:g}, sand "
                f"{sand.flat[first]:g}",
                danger="the pedotransfer would give numbers that look like a soil's",
                fix="give fractions from 0 to 1 that sum to at most 1, averaged before the pedotransfer",
            )
        )
    b = 3.10 + 15.70 * clay - 0.3 * sand
    sm_sat = 0.505 - 0.037 * clay - 0.142 * sand
    suction, conductivity = 2.17 - 0.63 * clay - 1.58 * sand, -0.64 * clay + 1.26 * sand
    if variant == "cosby_jules":
        sathh, satcon = 0.01 * np.exp(suction), np.exp(-5.55 + conductivity)
    else:
        # inches an hour to mm a second
        sathh, satcon = 0.01 * 10.0**suction, 10.0 ** (-0.6 + conductivity) * 25.4 / 3600
    critical, wilting = (moisture(head, b, sathh, sm_sat, curve) for head in (CRITICAL, WILTING))
    return Soil(b, sathh, satcon, sm_sat, critical, wilting)
