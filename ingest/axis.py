"""One axis of a map: put in order, freed of noise, cut to an area.

Stored axes carry the noise of single precision, run either way, and count longitude from 0 or from -180. A published
axis ascends, longitude lies in -180..180, and a regular one is rebuilt from (first, step, number).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ingest.gridmap import Run

Values = NDArray[np.float64]

TOLERANCE = 0.01
"""Of a cell: how far stored positions may lie from the rebuilt ones, and grids of one product from each other."""

_DECIMALS = 10
_DIGITS = range(-2, 9)
"""Decimal places that are tried, hundreds of metres first."""
_REGIONAL = 330.0
"""Degrees of longitude that an axis around the date line may span and still be called regional."""


class AxisError(ValueError):
    """Stored positions that make no axis."""


@dataclass(frozen=True, eq=False)
class Axis:
    """A published axis and where its cells are in the file.

    values  ascending positions;  step  their distance where regular, else None
    bounds  shape (n, 2), None where unknown
    runs    native index of each position
    """

    values: Values
    step: float | None
    bounds: Values | None
    runs: tuple[Run, ...]

    @property
    def cell(self) -> float:
        """The smallest distance of neighbours; 1 where there is one position only."""
        return float(np.diff(self.values).min()) if len(self.values) > 1 else 1.0

    def same(self, other: Axis) -> bool:
        """Whether the positions agree within the tolerance."""
        if len(self.values) != len(other.values):
            return False
        return bool(np.abs(self.values - other.values).max() <= TOLERANCE * self.cell)

    def cut(self, low: float, high: float, turn: float = 0.0) -> Axis | None:
        """The part with positions in [low, high], also where they are counted one `turn` on; None for no position.

        Raises AxisError where the part is not contiguous.
        """
        slack = TOLERANCE * self.cell
        inside = np.zeros(len(self.values), bool)
        for shift in (0.0, turn):
            inside |= (self.values >= low + shift - slack) & (self.values <= high + shift + slack)
        chosen = np.flatnonzero(inside)
        if not len(chosen):
            return None
        window = slice(int(chosen[0]), int(chosen[-1]) + 1)
        if window.stop - window.start != len(chosen):
            raise AxisError("the area is in two parts on this axis")
        runs = []
        for run in self.runs:
            taken = run.cut(window)
            if taken:
                native, within = taken
                source = native.start if run.step == 1 else native.stop - 1
                runs.append(Run(within.start, within.stop - within.start, source, run.step))
        bounds = None if self.bounds is None else self.bounds[window]
        return replace(self, values=self.values[window], bounds=bounds, runs=tuple(runs))


def latitude(values: Values, bounds: Values | None) -> Axis:
    """The axis of stored latitudes in degrees. Raises AxisError."""
    if values.size and np.nanmax(np.abs(values)) > 90 + 1e-3:
        raise AxisError(f"latitudes reach {values[np.nanargmax(np.abs(values))]:g}")
    axis = plain(values, bounds)
    if axis.bounds is None:
        return axis
    return replace(axis, bounds=np.clip(axis.bounds, -90, 90))


def longitude(values: Values, bounds: Values | None) -> Axis:
    """The axis of stored longitudes in degrees, in -180..180.

    A regional axis that crosses the date line stays whole and goes on past 180. Raises AxisError.
    """
    inside = values.min() >= -180 - 1e-6 and values.max() <= 180 + 1e-6
    turned = values if inside else np.round((values + 180) % 360 - 180, _DECIMALS)
    onward = np.where(turned < 0, turned + 360, turned)
    if _span(onward) < _REGIONAL and _span(turned) > 360 + 1e-6:
        turned = onward
    return plain(turned, None if bounds is None else bounds + (turned - values)[:, None], _noise(values))


def plain(values: Values, bounds: Values | None, noise: float | None = None) -> Axis:
    """The axis of stored positions, bounds in the same order. Raises AxisError for repeated or missing positions.

    noise  how far stored positions may be from true ones, default by their precision
    """
    if not values.size or not np.isfinite(values).all():
        raise AxisError("positions are missing")
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    if len(values) > 1 and np.diff(ascending).min() <= 0:
        raise AxisError("positions repeat")
    noise = _noise(values) if noise is None else noise
    stored = None if bounds is None or not np.isfinite(bounds).all() else np.sort(bounds[order], axis=1)
    if stored is not None and not np.allclose(stored[1:, 0], stored[:-1, 1], atol=2 * noise):
        # Cells that do not touch were picked from a finer grid: the distance of two tells nothing, and the distance of
        # more must be exact.
        cleaned, step = rebuild(ascending, noise, 0.0) if len(values) > 2 else (_shortest(ascending), None)
    else:
        cleaned, step = rebuild(ascending, noise, TOLERANCE)
    return Axis(cleaned, step, _bounds(cleaned, step, stored), _runs(order))


def rebuild(ascending: Values, noise: float, tolerance: float) -> tuple[Values, float | None]:
    """Positions without noise, and their step: from (first, step, number) where regular, else as stored.

    The shortest decimal first and step that explain the positions within the noise are taken, else the stored ends,
    where they explain the positions within `tolerance` of a cell.
    """
    step = _step(ascending, max(tolerance, 2 * noise / max(np.ptp(ascending), noise) * len(ascending)))
    if step is None:
        return _shortest(ascending), None
    count = np.arange(len(ascending))
    tries = [round(step, digits) for digits in _DIGITS]
    if step < 1:
        tries.append(1 / round(1 / step))
    for each in tries:
        if not each or abs(each - step) * len(ascending) > 2 * noise:
            continue
        halves = round(ascending[0] / (each / 2)) * (each / 2)
        for first in (*(round(ascending[0], digits) for digits in _DIGITS), halves):
            line = first + each * count
            if np.abs(line - ascending).max() <= noise:
                return np.round(line, _DECIMALS), each
    return ascending[0] + step * count, step


def _span(longitudes: Values) -> float:
    """Degrees that regularly spaced longitudes span, the outer halves of cells included; infinite for others."""
    step = _step(np.sort(longitudes), TOLERANCE)
    return np.inf if step is None else float(np.ptp(longitudes)) + step


def _noise(values: Values) -> float:
    """How far stored positions may be from the true ones: a little more than the last place of their precision."""
    largest = float(np.abs(values).max())
    if (values == values.astype(np.float32)).all() and (values != np.rint(values * 1024) / 1024).any():
        return 1.6 * float(np.spacing(np.float32(largest)))
    return 1e-10 * max(1.0, largest)


def _step(ascending: Values, tolerance: float) -> float | None:
    """The distance of positions that are regularly spaced within `tolerance` of it, None for others."""
    if len(ascending) < 2:
        return None
    step = float(ascending[-1] - ascending[0]) / (len(ascending) - 1)
    line = ascending[0] + step * np.arange(len(ascending))
    return step if np.abs(line - ascending).max() <= tolerance * step else None


def _shortest(values: Values) -> Values:
    """Single-precision positions as the shortest decimals that round to them."""
    single = values.astype(np.float32)
    return np.array([float(str(each)) for each in single]) if (single == values).all() else values


def _bounds(values: Values, step: float | None, stored: Values | None) -> Values | None:
    made = None
    if step is not None:
        edges = np.round(values[0] + step * (np.arange(len(values) + 1) - 0.5), _DECIMALS)
        made = np.stack([edges[:-1], edges[1:]], axis=1)
    if stored is None:
        return made
    if step is not None and made is not None and np.abs(made - stored).max() <= TOLERANCE * step:
        return made
    holds = (stored[:, 0] <= values + 1e-4) & (stored[:, 1] >= values - 1e-4)
    return np.round(stored, 8) if holds.all() else made


def _runs(order: NDArray[np.intp]) -> tuple[Run, ...]:
    """The runs of neighbours in a permutation of native indices."""
    runs: list[Run] = []
    position = 0
    while position < len(order):
        step = int(order[position + 1] - order[position]) if position + 1 < len(order) else 1
        if step not in (1, -1):
            step = 1
        rest = order[position:]
        breaks = np.flatnonzero(np.diff(rest) != step)
        count = int(breaks[0]) + 1 if len(breaks) else len(rest)
        runs.append(Run(position, count, int(order[position]), step))
        position += count
    return tuple(runs)
