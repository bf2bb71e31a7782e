"""Onset, cessation and length of the wet season by anomalous accumulation of rain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from compute.metrics.kind import RAIN, Arrays, Made, counted, retained
from compute.metrics.seasonal import SeasonalKind
from compute.seasons.reasons import flag_attrs
from cube.provenance import Citation
from cube.units import quantity

if TYPE_CHECKING:
    from compute.seasons.anomalous import Climatology

DUNNING = Citation(
    "Dunning, C. M., Black, E. C. L., Allan, R. P. (2016): The onset and cessation of seasonal rainfall over Africa. "
    "Journal of Geophysical Research: Atmospheres 121, 11405-11424",
    "10.1002/2016JD025428",
)
LIEBMANN = Citation(
    "Liebmann, B., Blade, I., Kiladis, G. N., Carvalho, L. M. V., Senay, G. B., Allured, D., Leroux, S., Funk, C. "
    "(2012): Seasonality of African precipitation from 1996 to 2009. Journal of Climate 25, 4304-4322",
    "10.1175/JCLI-D-11-00157.1",
)


class WetSeason(SeasonalKind):
    """Onset and cessation are the extremes of accumulated rain less its mean in the reference."""

    name: ClassVar[str] = "wet_season"
    units: ClassVar[str | None] = "mm d-1"
    of: ClassVar[str] = RAIN
    citations: ClassVar[tuple[Citation, ...]] = (DUNNING, LIEBMANN)

    @property
    def arid(self) -> float:
        return quantity(self.options.arid, "mm d-1", "arid")

    def told(self) -> dict[str, Any]:
        return {
            **super().told(),
            "method": "anomalous accumulation (Liebmann et al. 2012, Dunning et al. 2016)",
            "thresholds": f"arid below {self.options.arid}; no season where onset scatters by more than "
            f"{self.options.spread} d; at most {self.options.missing} of the days missing",
        }

    def reference(self) -> dict[str, Made]:
        told = self.told()
        return {
            "rain_mean": Made((), "float64", {"long_name": "mean rain", "units": "mm d-1", **told}),
            "rain_daily": Made(
                ("day_of_year",),
                "float32",
                {"long_name": "mean rain of the day of the year", "units": "mm d-1", **told},
            ),
            "harmonic_ratio": Made(
                (),
                "float32",
                {
                    "long_name": "amplitude of the second harmonic of the mean year by that of the first",
                    "units": "1",
                    "comment": "two seasons a year where it is 1 or more",
                    **told,
                },
            ),
            "season_start": Made(("season",), "int16", counted("climatological first day, from 1 January", **told)),
            "season_end": Made(("season",), "int16", counted("climatological last day, from 1 January", **told)),
            "onset_spread": Made(
                ("season",), "float32", {"long_name": "standard deviation of onset", "units": "d", **told}
            ),
            "onset_years": Made(("season",), "int16", counted("years with an onset", **told) | {"units": "1"}),
            "short_rains": Made(
                (),
                "int8",
                {
                    "long_name": "which of two seasons is the short rains",
                    "units": "1",
                    "comment": "0 where there is one season",
                    **told,
                },
            ),
            "season_status": Made(("season",), "int8", {**flag_attrs(), **told}),
        }

    def coords(self) -> dict[str, Any]:
        return {**super().coords(), "day_of_year": self.day_of_year()}

    def key(self) -> dict[str, Any]:
        return {"arid": self.arid, "spread": self.options.spread, "missing": self.options.missing_share}

    def of_reference(self, values: NDArray[np.float32], fixed: Arrays) -> Arrays:
        from compute.seasons.anomalous import climatology

        found = climatology(
            retained(values, self.past_years),
            self.first_whole(),
            self.past_years.length,
            arid=self.arid,
            spread=float(self.options.spread),
            missing=self.options.missing_share,
        )
        return {
            "rain_mean": found.mean,
            "rain_daily": found.daily,
            "harmonic_ratio": found.ratio,
            "season_start": found.start,
            "season_end": found.end,
            "onset_spread": found.spread,
            "onset_years": found.years,
            "short_rains": found.short_rains,
            "season_status": found.flag,
        }

    def _climate(self, reference: Arrays) -> Climatology:
        from compute.seasons.anomalous import Climatology

        return Climatology(
            mean=reference["rain_mean"],
            daily=reference["rain_daily"],
            ratio=reference["harmonic_ratio"],
            start=reference["season_start"],
            end=reference["season_end"],
            spread=reference["onset_spread"],
            years=reference["onset_years"],
            short_rains=reference["short_rains"],
            flag=reference["season_status"],
        )

    def found(self, values: NDArray[np.float32], starts: NDArray[np.int64], reference: Arrays) -> tuple[Any, ...]:
        from compute.seasons.anomalous import seasons

        made = seasons(values, starts, self._climate(reference), missing=self.options.missing_share)
        return made.onset, made.cessation, made.length, made.flag

    def found_so_far(
        self, values: NDArray[np.float32], starts: NDArray[np.int64], reference: Arrays
    ) -> tuple[Any, ...]:
        from compute.seasons.anomalous import in_progress

        made = in_progress(values, starts, self._climate(reference), missing=self.options.missing_share)
        return made.onset, made.cessation, made.flag
