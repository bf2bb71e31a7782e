"""Dry days, their longest run and the number of their runs, in years or in parts of years."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.metrics.kind import NO_NUMBER, Arrays, Kind, Made, counted
from compute.metrics.parts import Parts
from compute.seasons.years import Years
from cube.axes import TimeAxis
from cube.provenance import Citation
from cube.units import quantity

KARL = Citation(
    "Karl, T. R., Nicholls, N., Ghazi, A. (1999): CLIVAR/GCOS/WMO workshop on indices and indicators for climate "
    "extremes: workshop summary. Climatic Change 42, 3-7",
    "10.1023/A:1005491526870",
)
LIMIT = "dry_threshold"


class DryDays(Kind):
    """Days strictly below a threshold, or below a percentile of the reference of that day of the year."""

    name: ClassVar[str] = "dry_days"
    citations: ClassVar[tuple[Citation, ...]] = (KARL,)

    @cached_property
    def parts(self) -> Parts:
        return Parts(self.days, self.options.first_month, self.options.months)

    @property
    def periods(self) -> TimeAxis:
        return self.parts.years

    @property
    def threshold(self) -> float:
        """In the input's units. Raises SpecError for a unit of another kind."""
        assert self.options.threshold is not None
        return quantity(self.options.threshold, self.setting.units, "threshold")

    @property
    def limit(self) -> str:
        """The threshold in words."""
        if self.options.percentile is None:
            return str(self.options.threshold)
        return f"percentile {self.options.percentile:g} of {self.setting.told}, +-{self.options.window} d pooled"

    def told(self) -> dict[str, Any]:
        return {
            **super().told(),
            "method": "days strictly below a threshold, and their rows",
            "thresholds": f"{self.limit}; rows of {self.options.spell} d or more; at most "
            f"{self.options.missing} of the days missing",
        }

    def coords(self) -> dict[str, xr.Variable]:
        found = self.parts.coords()
        if self.options.percentile is not None:
            length = Years.of(self.days).length
            attrs = {"long_name": "day of the year from 1, 29 February left out", "units": "1"}
            found["day_of_year"] = xr.Variable(("day_of_year",), np.arange(1, length + 1, dtype=np.int32), attrs)
        return found

    def reference(self) -> dict[str, Made]:
        if self.options.percentile is None:
            return {}
        attrs = {"long_name": f"value below which a day is dry: {self.limit}", "units": self.setting.units}
        return {LIMIT: Made(("day_of_year",), "float32", {**attrs, **self.told()})}

    def arrays(self) -> dict[str, Made]:
        dims = self.parts.dims
        share = f"missing where more than {self.options.missing} of the days are missing"
        shared = {"cell_methods": "time: sum over days", **self.told()}
        beside = {**shared, "ancillary_variables": "valid_days"}
        strictly = f"days strictly below {self.limit}; {share}"
        spells = f"rows of {self.options.spell} or more dry days; cut at the ends of the period; {share}"
        return {
            "dry_days": Made(dims, "int16", counted("dry days", comment=strictly, **beside)),
            "longest_dry_spell": Made(
                dims,
                "int16",
                counted(
                    "longest row of dry days",
                    comment=f"cut at the ends of the period and by missing days; {share}",
                    **{**beside, "cell_methods": "time: maximum over days"},
                ),
            ),
            "dry_spells": Made(
                dims, "int16", {**counted("number of dry spells", comment=spells, **beside), "units": "1"}
            ),
            "valid_days": Made(dims, "int16", counted("days with values", **shared)),
        }

    def unfinished(self) -> dict[str, Made]:
        told = f"so far, {self.parts.unfinished_text}"
        return {
            f"provisional_{name}": Made(
                made.dims, made.dtype, {**made.attrs, "long_name": f"{made.attrs['long_name']}, {told}"}
            )
            for name, made in self.arrays().items()
        }

    def key(self) -> dict[str, Any]:
        options = self.options
        limit = [options.percentile, options.window] if options.percentile is not None else self.threshold
        return {"limit": limit, "spell": options.spell, "missing": options.missing_share, **self.parts.key()}

    def reads(self, start: int, stop: int) -> slice:
        return self.parts.reads(start, stop)

    @property
    def idle(self) -> bool:
        return self.parts.idle

    def reads_unfinished(self) -> slice:
        return self.parts.reads_unfinished()

    def of_reference(self, values: NDArray[np.float32], fixed: Arrays) -> Arrays:
        from compute.seasons.percentiles import percentile_by_day

        assert self.setting.past is not None
        assert self.options.percentile is not None
        years = Years.of(self.setting.past)
        kept = values[years.kept]
        found = percentile_by_day(
            kept,
            (years.length - years.first) % years.length,
            years.length,
            self.options.percentile,
            window=self.options.window,
            missing=self.options.missing_share,
        )
        return {LIMIT: found}

    def of_periods(self, values: NDArray[np.float32], start: int, stop: int, reference: Arrays) -> Arrays:
        return self._counts(values, self.reads(start, stop), self.parts.edges(start, stop), reference)

    def of_unfinished(self, values: NDArray[np.float32], reference: Arrays) -> Arrays:
        read = self.reads_unfinished()
        found = self._counts(values, read, self.parts.edges_unfinished(), reference)
        return {f"provisional_{name}": array[0] for name, array in found.items()}

    def _counts(self, values: NDArray[np.float32], read: slice, edges: NDArray[np.int64], reference: Arrays) -> Arrays:
        """edges: positions in the axis, [start, stop) of each period and part, shape (periods, parts, 2)."""
        from compute.seasons.spells import dry_spells

        first, last = (edges[..., side].ravel() - read.start for side in (0, 1))
        known = last > first
        first, last = (np.clip(each, 0, len(values)) for each in (first, last))
        if self.options.percentile is None:
            found = dry_spells(values, first, last, np.float32(self.threshold), spell=self.options.spell)
        else:
            axis = TimeAxis(self.days.first + read.start, len(values), self.days.step, self.days.calendar)
            found = dry_spells(values, first, last, reference[LIMIT], spell=self.options.spell, day=days_of_limit(axis))
        lengths = (last - first)[:, None]
        enough = known[:, None] & (found.valid >= (1 - self.options.missing_share) * lengths) & (lengths > 0)
        if self.options.percentile is not None:
            enough &= np.isfinite(reference[LIMIT]).all(axis=0)
        shape = (*edges.shape[:-1], values.shape[1]) if self.parts.dims else (edges.shape[0], values.shape[1])
        counts = {"dry_days": found.days, "longest_dry_spell": found.longest, "dry_spells": found.spells}
        made: Arrays = {
            name: np.where(enough, each, NO_NUMBER).astype(np.int16).reshape(shape) for name, each in counts.items()
        }
        made["valid_days"] = np.where(known[:, None], found.valid, NO_NUMBER).astype(np.int16).reshape(shape)
        return made


def days_of_limit(axis: TimeAxis) -> NDArray[np.int64]:
    """For each day its place in a year without 29 February, which takes the place of 28 February."""
    years = Years.of(axis)
    kept = np.full(axis.count, -1, np.int64)
    kept[years.kept] = years.day
    kept[kept < 0] = 58
    return kept
