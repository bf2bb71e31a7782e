"""The soil layers of a land surface model, as the vertical axis of a product."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

SOIL_LAYERS = (0.1, 0.25, 0.65, 2.0)
"""JULES soil layer thicknesses in m, from the top, of every set-up seen (namelist `dzsoil_io`)."""


def depth_axis(thicknesses: Sequence[float] = SOIL_LAYERS) -> dict[str, xr.Variable]:
    """The coordinates `depth` (the middle of each layer) and `depth_bnds`, in m, positive down."""
    edges = np.round(np.concatenate([[0.0], np.cumsum(thicknesses)]), 6)
    attrs = {
        "standard_name": "depth",
        "long_name": "depth of the middle of the soil layer",
        "units": "m",
        "positive": "down",
        "axis": "Z",
        "bounds": "depth_bnds",
    }
    return {
        "depth": xr.Variable(("depth",), np.round((edges[:-1] + edges[1:]) / 2, 6), attrs),
        "depth_bnds": xr.Variable(("depth", "bnds"), np.stack([edges[:-1], edges[1:]], axis=1)),
    }
