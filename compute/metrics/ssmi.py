"""The standardised soil moisture index of months, with drought classes."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.metrics.kind import Arrays, Kind, Made
from cube.axes import Step, TimeAxis, encode, ordinal_of
from cube.provenance import Citation

GRINGORTEN = Citation(
    "Gringorten, I. I. (1963): A plotting rule for extreme probability paper. Journal of Geophysical Research "
    "68, 813-814",
    "10.1029/JZ068i003p00813",
)
MONTH = Step("month")
RANKS = "reference_values"
CLASSES = ("none", "D0", "D1", "D2", "D3", "D4")


class Ssmi(Kind):
    """Monthly means as normal quantiles of their place among those of the same month in the reference."""

    name: ClassVar[str] = "ssmi"
    citations: ClassVar[tuple[Citation, ...]] = (GRINGORTEN,)

    @cached_property
    def periods(self) -> TimeAxis:
        days = self.days
        first = ordinal_of(days.date(0), MONTH, days.calendar) + int(days.date(0).day > 1)
        stop = ordinal_of(days.date(days.count), MONTH, days.calendar)
        if stop <= first:
            raise ValueError(f"no month lies wholly in {days.text(0)} to {days.text(-1)}")
        return TimeAxis(first, stop - first, MONTH, days.calendar)

    def told(self) -> dict[str, Any]:
        return {
            **super().told(),
            "method": "standardised index: Gringorten probability of the monthly mean among those of the reference, as "
            "a quantile of the normal distribution",
            "thresholds": "classes by percentile: D0 20-30, D1 10-20, D2 5-10, D3 2-5, D4 below 2; at most "
            f"{self.options.missing} of a month's days missing",
        }

    @property
    def _years(self) -> int:
        assert self.setting.past is not None
        past = self.setting.past
        return int(past.date(past.count).year - past.date(0).year)

    def coords(self) -> dict[str, xr.Variable]:
        month = {"long_name": "month of the year", "units": "1"}
        rank = {"long_name": "rank among the years of the reference, from the driest", "units": "1"}
        return {
            "month": xr.Variable(("month",), np.arange(1, 13, dtype=np.int32), month),
            "rank": xr.Variable(("rank",), np.arange(1, self._years + 1, dtype=np.int32), rank),
        }

    def reference(self) -> dict[str, Made]:
        attrs = {"long_name": "monthly means of the reference, the driest first", "units": self.setting.units}
        return {RANKS: Made(("month", "rank"), "float32", {**attrs, **self.told()})}

    def arrays(self) -> dict[str, Made]:
        told = self.told()
        flags = {"flag_values": list(range(len(CLASSES))), "flag_meanings": " ".join(CLASSES), "_FillValue": -1}
        return {
            "ssmi": Made((), "float32", {"long_name": "standardised soil moisture index", "units": "1", **told}),
            "drought_class": Made((), "int8", {"long_name": "class of drought", "units": "1", **flags, **told}),
        }

    def key(self) -> dict[str, Any]:
        return {"missing": self.options.missing_share}

    def reads(self, start: int, stop: int) -> slice:
        bounds = self.periods.bounds()[start:stop] - self.days.first
        return slice(int(bounds[0, 0]), int(bounds[-1, 1]))

    def of_reference(self, values: NDArray[np.float32], fixed: Arrays) -> Arrays:
        from compute.seasons.means import period_means
        from compute.seasons.standardised import reference_ranks

        past = self.setting.past
        assert past is not None
        first = ordinal_of(past.date(0), MONTH, past.calendar)
        edges = encode(np.arange(first, first + 12 * self._years + 1), MONTH, past.calendar) - past.first
        means = period_means(values, edges[:-1], edges[1:], missing=self.options.missing_share)
        return {RANKS: reference_ranks(means)}

    def of_periods(self, values: NDArray[np.float32], start: int, stop: int, reference: Arrays) -> Arrays:
        from compute.seasons.means import period_means
        from compute.seasons.standardised import drought_class, standardised

        bounds = self.periods.bounds()[start:stop] - self.days.first - self.reads(start, stop).start
        means = period_means(values, bounds[:, 0], bounds[:, 1], missing=self.options.missing_share)
        month = (np.arange(start, stop) + self.periods.first) % 12
        index = standardised(means, month, reference[RANKS])
        return {"ssmi": index, "drought_class": drought_class(index)}
