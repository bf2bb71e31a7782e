"""Colours of a map: told apart by everybody, from low to high, around no change, or around the year."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from compute.notebook.opened import CHANGE

POSITIONS = ("onset", "cessation", "season_start", "season_end")
"""Days from 1 January of the label year."""
DRIER = ("dry_days", "longest_dry_spell", "dry_spells")
"""What grows with drought; other changes but those of positions lessen with it."""
STEPS = 9
"""Colours between which a map is cut, about."""
WIDE = 240
"""Days: positions that spread farther are drawn around the year, in which 360 and -5 are the same day."""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


Extend = Literal["neither", "min", "max", "both"]
"""Which ends of a colour bar stand for what lies beyond."""


@dataclass(frozen=True)
class Scale:
    """ticks: positions and texts of the colour bar, None for numbers; turn: days that values are wrapped at, None for
    not at all."""

    colours: Colormap
    norm: BoundaryNorm
    extend: Extend
    ticks: tuple[list[float], list[str]] | None = None
    turn: int | None = None

    def of(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values % self.turn if self.turn else values


def base(variable: str) -> str:
    """The name of the metric's variable."""
    return variable.removesuffix(CHANGE).removesuffix("_past").removeprefix("provisional_")


def scale(variable: str, attrs: Mapping[str, Any], values: NDArray[np.float64], year: int) -> Scale:
    """Colours and limits that fit the values.

    attrs  of the array: classes have `flag_values` and `flag_meanings`
    year   days of a year, 360 or 365
    """
    known = values[np.isfinite(values)]
    if "flag_values" in attrs:
        return _classes(attrs)
    if variable.endswith(CHANGE) or base(variable) == "ssmi":
        return _around_zero(base(variable), known)
    low, high = (float(each) for each in np.percentile(known, (2, 98))) if known.size else (0.0, 1.0)
    if base(variable) in POSITIONS:
        months = month_starts(year)
        if known.size and known.max() - known.min() > WIDE:
            edges = np.append(months, float(year))
            colours = ListedColormap(matplotlib.colormaps["twilight"](np.arange(12) / 12))
            return Scale(colours, BoundaryNorm(edges, colours.N), "neither", (months, list(MONTHS)), year)
        return _sequential(low, high, known, ticks=True, year=year)
    return _sequential(low, high, known, ticks=False, year=year)


def month_starts(year: int) -> list[float]:
    """Days from 1 January on which the months begin."""
    lengths = LENGTHS if year == 365 else (year // 12,) * 12
    return [float(sum(lengths[:at])) for at in range(12)]


def day_text(day: float, year: int) -> str:
    """A day from 1 January, such as 0 for 1 Jan, of any year."""
    starts = month_starts(year)
    within = math.floor(day) % year
    month = max(at for at in range(12) if starts[at] <= within)
    return f"{within - int(starts[month]) + 1} {MONTHS[month]}"


def _sequential(low: float, high: float, known: NDArray[np.float64], *, ticks: bool, year: int) -> Scale:
    if high <= low:
        low, high = low - 0.5, high + 0.5
    steps = (1, 2, 3, 5, 10) if ticks else (1, 2, 2.5, 5, 10)
    levels = [float(each) for each in MaxNLocator(STEPS, steps=steps).tick_values(low, high)]
    colours = matplotlib.colormaps["viridis" if ticks else "cividis"]
    extend = _extend(known, levels)
    norm = BoundaryNorm(levels, 256, extend=extend)
    told = (levels, [day_text(each, year) for each in levels]) if ticks else None
    return Scale(colours, norm, extend, told)


def _around_zero(metric: str, known: NDArray[np.float64]) -> Scale:
    far = float(np.percentile(np.abs(known), 98)) if known.size else 1.0
    levels = MaxNLocator(STEPS, steps=(1, 2, 2.5, 5, 10), symmetric=True).tick_values(-(far or 1.0), far or 1.0)
    name = "PuOr" if metric in POSITIONS else "BrBG_r" if metric in DRIER else "BrBG"
    # Ends on both sides, or no change would not be the middle of the colours.
    return Scale(matplotlib.colormaps[name], BoundaryNorm(levels, 256, extend="both"), "both")


def _classes(attrs: Mapping[str, Any]) -> Scale:
    numbers = [float(each) for each in attrs["flag_values"]]
    edges = [numbers[0] - 0.5, *(each + 0.5 for each in numbers)]
    colours = ListedColormap(matplotlib.colormaps["cividis"](np.linspace(1, 0, len(numbers))))
    texts = [each.replace("_", " ") for each in str(attrs["flag_meanings"]).split()]
    return Scale(colours, BoundaryNorm(edges, colours.N), "neither", (numbers, texts))


def _extend(known: NDArray[np.float64], levels: Sequence[float]) -> Extend:
    below, above = bool((known < levels[0]).any()), bool((known > levels[-1]).any())
    if below and above:
        return "both"
    return "min" if below else "max" if above else "neither"
