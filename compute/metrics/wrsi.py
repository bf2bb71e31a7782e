"""Mean soil moisture availability (beta) of a season against the same season of the reference."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.metrics.kind import BETA, Arrays, Made, YearlyKind, retained
from compute.metrics.parts import Parts
from compute.metrics.seasonal import SEASON
from compute.seasons.reasons import MISSING
from compute.seasons.years import Years
from cube.axes import EPOCH_YEAR, TimeAxis
from cube.errors import InputError, Problem
from cube.provenance import Citation

ALERT = Citation(
    "Boult, V. L., Asfaw, D. T., Young, M., Maidment, R., Mwangi, E., Ambani, M., Waruru, S., Otieno, G., Todd, M. C., "
    "Black, E. (2020): Evaluation and validation of TAMSAT-ALERT soil moisture and WRSI for use in drought "
    "anticipatory action. Meteorological Applications 27, e1959",
    "10.1002/met.1959",
)
MEAN, SPREAD = "beta_reference_mean", "beta_reference_spread"
TERCILES = ("below", "normal", "above")


class Wrsi(YearlyKind):
    """In years, in parts of years, or in the climatological wet seasons of another product."""

    name: ClassVar[str] = "wrsi"
    units: ClassVar[str | None] = "1"
    of: ClassVar[str] = BETA
    citations: ClassVar[tuple[Citation, ...]] = (ALERT,)
    beside: ClassVar[tuple[str, ...]] = ("season_start", "season_end")

    @cached_property
    def parts(self) -> Parts:
        return Parts(self.days, self.options.first_month, self.options.months)

    @property
    def by_season(self) -> bool:
        return self.options.seasons is not None

    @property
    def dims(self) -> tuple[str, ...]:
        return (SEASON,) if self.by_season else self.parts.dims

    @cached_property
    def periods(self) -> TimeAxis:
        return self.parts.years

    def coords(self) -> dict[str, xr.Variable]:
        if not self.by_season:
            return self.parts.coords()
        attrs = {"long_name": "number of the season", "units": "1"}
        return {SEASON: xr.Variable((SEASON,), np.array([1, 2], np.int32), attrs)}

    def told(self) -> dict[str, Any]:
        return {
            **super().told(),
            "method": "mean beta of the season in percent of its mean in the reference",
            "thresholds": "terciles at the 0.33 and 0.67 quantiles of a normal distribution with the reference's mean "
            f"and standard deviation; at most {self.options.missing} of the days missing",
            **({"seasons": f"climatological wet seasons of {self.options.seasons}"} if self.by_season else {}),
        }

    def reference(self) -> dict[str, Made]:
        told = self.told()
        return {
            MEAN: Made(self.dims, "float32", {"long_name": "mean of the season's beta", "units": "1", **told}),
            SPREAD: Made(
                self.dims,
                "float32",
                {"long_name": "standard deviation of the season's mean beta", "units": "1", **told},
            ),
        }

    def arrays(self) -> dict[str, Made]:
        told = self.told()
        flags = {"flag_values": [0, 1, 2], "flag_meanings": " ".join(TERCILES), "_FillValue": -1}
        return {
            "beta": Made(self.dims, "float32", {"long_name": "mean beta of the season", "units": "1", **told}),
            "wrsi": Made(
                self.dims,
                "float32",
                {"long_name": "mean beta of the season against the reference", "units": "%", **told},
            ),
            "tercile": Made(self.dims, "int8", {"long_name": "tercile of the season", "units": "1", **flags, **told}),
        }

    def key(self) -> dict[str, Any]:
        if not self.by_season and self.setting.past is not None:
            try:
                _ = self._past_parts.years
            except ValueError as error:
                fix = "give a longer reference, or another `starts`"
                raise InputError(Problem("no-whole-period", str(error), "reference", fix=fix)) from None
        return {"missing": self.options.missing_share, **self.parts.key()}

    @property
    def _past_parts(self) -> Parts:
        assert self.setting.past is not None
        return Parts(self.setting.past, self.options.first_month, self.options.months)

    def reads(self, start: int, stop: int) -> slice:
        if not self.by_season:
            return self.parts.reads(start, stop)
        first = self.periods.first + EPOCH_YEAR
        return self.window(first + start, first + stop - 1)

    def of_reference(self, values: NDArray[np.float32], fixed: Arrays) -> Arrays:
        past = self.setting.past
        assert past is not None
        if self.by_season:
            years = self.past_years
            first, last = years.whole
            means = self._seasons(values, years, range(first, last + 1), fixed)
        else:
            parts = self._past_parts
            edges = parts.edges(0, parts.years.count)
            means = self._means(values, edges)
        with np.errstate(invalid="ignore"):
            known = np.isfinite(means)
            count = known.sum(axis=0)
            total = np.where(known, means, 0.0).sum(axis=0, dtype=np.float64)
            mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 1)
            square = (np.where(known, means - mean, 0.0) ** 2).sum(axis=0, dtype=np.float64)
            spread = np.sqrt(np.divide(square, count - 1, out=np.full(total.shape, np.nan), where=count > 1))
        return {MEAN: mean.astype(np.float32), SPREAD: spread.astype(np.float32)}

    def of_periods(self, values: NDArray[np.float32], start: int, stop: int, reference: Arrays) -> Arrays:
        from compute.seasons.wrsi import relative, tercile

        read = self.reads(start, stop)
        if self.by_season:
            first = self.periods.first + EPOCH_YEAR
            means = self._seasons(values, self.part(read), range(first + start, first + stop), reference)
        else:
            means = self._means(values, self.parts.edges(start, stop) - read.start)
        mean, spread = reference[MEAN], reference[SPREAD]
        return {"beta": means, "wrsi": relative(means, mean), "tercile": tercile(means, mean, spread)}

    def _means(self, values: NDArray[np.float32], edges: NDArray[np.int64]) -> NDArray[np.float32]:
        """Of the parts of years whose positions are given, shape (years, [parts,] cells)."""
        from compute.seasons.means import period_means

        found = period_means(values, edges[..., 0].ravel(), edges[..., 1].ravel(), missing=self.options.missing_share)
        shape = edges.shape[:-1] if self.dims else edges.shape[:1]
        return np.asarray(found.reshape(*shape, values.shape[1]))

    def _seasons(self, values: NDArray[np.float32], years: Years, labels: range, fixed: Arrays) -> NDArray[np.float32]:
        """Of each cell's climatological seasons, shape (years, season, cells)."""
        from compute.seasons.means import period_means

        kept = retained(values, years)
        starts = np.array([years.start(year) for year in labels], np.int64)
        begin, end = (fixed[name].astype(np.int64) for name in self.beside)
        none = (begin == MISSING) | (end == MISSING)
        first = np.where(none, -1, starts[:, None, None] + begin)
        stop = np.where(none, -1, starts[:, None, None] + end + 1)
        found = [
            period_means(kept, first[:, each], stop[:, each], missing=self.options.missing_share) for each in (0, 1)
        ]
        return np.stack(found, axis=1)
