"""Cells along one axis of a map, and how the cells of two axes lie to each other.

`turn` is the length of a full turn where an axis is a longitude (360 degrees), else None: cells and places are then the
same wherever they differ by whole turns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Places = NDArray[np.intp]

SLIVER = 1e-9
"""Share of a cell below which an overlap is noise of positions."""
EDGE = 1e-6
"""Share of a cell within which a centre counts as lying on the edge of another cell."""


@dataclass(frozen=True, eq=False)
class Cells:
    """centre, lower, upper: shape (n,), in the units of the axis; ascending, descending, with or without holes."""

    centre: Values
    lower: Values
    upper: Values

    def __len__(self) -> int:
        return len(self.centre)

    def cut(self, part: slice) -> Cells:
        return Cells(self.centre[part], self.lower[part], self.upper[part])

    @property
    def size(self) -> float:
        """Width of the widest cell."""
        return float((self.upper - self.lower).max())

    @property
    def ends(self) -> tuple[float, float]:
        return float(self.lower.min()), float(self.upper.max())


def shifts(turn: float | None) -> tuple[float, ...]:
    """What is added to positions to meet the same ones of another turn."""
    return (0.0,) if turn is None else (-turn, 0.0, turn)


def overlapping(low: float, high: float, cells: Cells, turn: float | None = None) -> Places:
    """The cells of which some lies between `low` and `high`."""
    some = np.zeros(len(cells), bool)
    slack = SLIVER * (cells.upper - cells.lower)
    for shift in shifts(turn):
        some |= (cells.upper + shift > low + slack) & (cells.lower + shift < high - slack)
    return np.flatnonzero(some)


def shares(targets: Cells, cells: Cells, *, turn: float | None = None, sine: bool = False) -> Values:
    """The share of each target that each cell covers, shape (targets, cells).

    sine  positions are latitudes in degrees and shares are those of area on the sphere, else those of length
    """

    def measure(positions: Values) -> Values:
        return np.sin(np.radians(np.clip(positions, -90.0, 90.0))) if sine else positions

    lower, upper = measure(targets.lower)[:, None], measure(targets.upper)[:, None]
    common = np.zeros((len(targets), len(cells)))
    for shift in shifts(turn):
        ends = np.minimum(upper, measure(cells.upper + shift)), np.maximum(lower, measure(cells.lower + shift))
        common += np.clip(ends[0] - ends[1], 0.0, None)
    share: Values = common / (upper - lower)
    share[share < SLIVER] = 0.0
    return share


def neighbours(places: Values, cells: Cells, turn: float | None = None) -> tuple[Places, Values]:
    """The two cells on either side of each place and their weights in linear interpolation, each of shape (n, 2).

    A place beyond the last centre but inside the last cell takes the value of that cell; one that lies in no cell has
    weights 0. Cells on both sides of the seam of a whole turn are neighbours.
    """
    order = np.argsort(cells.centre, kind="stable")
    copies = [cells.cut(slice(None)) if not shift else _moved(cells, shift) for shift in shifts(turn)]
    centre = np.concatenate([each.centre[order] for each in copies])
    lower = np.concatenate([each.lower[order] for each in copies])
    upper = np.concatenate([each.upper[order] for each in copies])
    index = np.tile(order, len(copies))

    last = len(centre) - 1
    found = np.searchsorted(centre, places, side="right") - 1
    left, right = np.clip(found, 0, last), np.clip(found + 1, 0, last)
    # Copies are neighbours only where they touch: a regional axis ends at its last cell.
    joined = np.ones(len(centre), bool)
    ends = np.arange(len(cells) - 1, len(centre) - 1, len(cells))
    joined[ends] = lower[ends + 1] - upper[ends] <= EDGE * cells.size
    between = (found >= 0) & (found < last) & joined[left]
    gap = np.where(between, centre[right] - centre[left], 1.0)
    share = np.where(between, (places - centre[left]) / gap, 0.0)
    share = np.where(share < SLIVER, 0.0, np.where(share > 1 - SLIVER, 1.0, share))

    slack = EDGE * cells.size
    inside = [(places >= lower[each] - slack) & (places <= upper[each] + slack) for each in (left, right)]
    first = np.where(between, 1 - share, np.where(inside[0], 1.0, 0.0))
    second = np.where(between, share, np.where(inside[1] & ~inside[0], 1.0, 0.0))
    return np.stack([index[left], index[right]], axis=1), np.stack([first, second], axis=1)


def _moved(cells: Cells, shift: float) -> Cells:
    return Cells(cells.centre + shift, cells.lower + shift, cells.upper + shift)


def away(places: Values, cells: Cells, turn: float | None = None) -> Values:
    """The distance of each cell's centre from each place, signed, shape (places, cells); across the seam if shorter."""
    distance: Values = cells.centre[None, :] - places[:, None]
    return distance if turn is None else (distance + turn / 2) % turn - turn / 2


def number(places: Values, cells: Cells, turn: float | None = None) -> Places:
    """The cell that each place lies in, the upper edge left out, shape as given; -1 for none.

    cells  ascending, of one size, touching
    """
    size = float(cells.upper[0] - cells.lower[0])
    offset = places - cells.lower[0]
    if turn is not None:
        # Noise must not turn a place on the western edge once round.
        offset = (offset + EDGE * size) % turn - EDGE * size
    found = np.floor(offset / size + EDGE)
    inside = np.isfinite(found) & (found >= 0) & (found < len(cells))
    return np.where(inside, found, -1).astype(np.intp)


def span(indices: Places) -> slice:
    """The smallest slice that holds the indices; one cell where there are none, since something must be read."""
    return slice(int(indices.min()), int(indices.max()) + 1) if len(indices) else slice(0, 1)
