"""The global EASE-Grid 2.0 from its constants (Brodzik et al. 2012, doi:10.3390/ijgi1010032).

Stored latitudes and longitudes of satellite products on it contain fill values, so its axes are never read.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ingest.axis import Axis, Values, plain

EPSG = 6933
CELLS = {(1624, 3856): 9008.055210146, (406, 964): 36032.220840584}
"""Cell in metres by shape (rows, columns)."""


def axes(shape: tuple[int, ...]) -> tuple[Axis, Axis] | None:
    """(y axis, x axis) in metres of a map that is stored north first; None for shapes that are none of the grid's."""
    if len(shape) != 2 or (shape[0], shape[1]) not in CELLS:
        return None
    cell = CELLS[shape[0], shape[1]]
    rows, columns = (np.arange(size, dtype=np.float64) for size in shape)
    return _exact((shape[0] / 2 - 0.5 - rows) * cell, cell), _exact((columns + 0.5 - shape[1] / 2) * cell, cell)


def _exact(stored: Values, cell: float) -> Axis:
    """An axis whose positions are constants, not to be rebuilt from decimals."""
    ascending = np.sort(stored)
    bounds = np.stack([ascending - cell / 2, ascending + cell / 2], axis=1)
    return replace(plain(stored, None), values=ascending, step=cell, bounds=bounds)
