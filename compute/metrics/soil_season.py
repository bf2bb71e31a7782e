"""The soil wet season: the time in which soil moisture availability (beta) stays above a threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from compute.metrics.kind import BETA, Arrays, Made, counted, retained
from compute.metrics.seasonal import SeasonalKind
from compute.seasons.reasons import flag_attrs
from cube.units import quantity

if TYPE_CHECKING:
    from compute.seasons.wetness import WetClimatology

THRESHOLD = "50 %"


class SoilSeason(SeasonalKind):
    """Our own definition: the season year begins at the minimum of the reference's beta, onset and cessation are the
    first rows of days above and below the threshold."""

    name: ClassVar[str] = "soil_season"
    units: ClassVar[str | None] = "1"
    of: ClassVar[str] = BETA

    @property
    def threshold(self) -> float:
        return quantity(self.options.threshold or THRESHOLD, "1", "threshold")

    def told(self) -> dict[str, Any]:
        return {
            **super().told(),
            "method": "soil wet season: this project's own definition, on soil moisture availability (beta)",
            "thresholds": f"beta of {self.options.threshold or THRESHOLD} for {self.options.run} d in a row; at most "
            f"{self.options.missing} of the days missing",
        }

    @property
    def label(self) -> str:
        return "labelled with the calendar year in which its season year begins, at the reference's minimum of beta"

    def reference(self) -> dict[str, Made]:
        told = self.told()
        return {
            "beta_daily": Made(
                ("day_of_year",), "float32", {"long_name": "mean beta of the day of the year", "units": "1", **told}
            ),
            "season_start": Made(("season",), "int16", counted("first day of the season year, from 1 January", **told)),
            "season_status": Made(("season",), "int8", {**flag_attrs(), **told}),
        }

    def coords(self) -> dict[str, Any]:
        return {**super().coords(), "day_of_year": self.day_of_year()}

    def key(self) -> dict[str, Any]:
        return self._rule

    def of_reference(self, values: NDArray[np.float32], fixed: Arrays) -> Arrays:
        from compute.seasons.wetness import wet_climatology

        found = wet_climatology(
            retained(values, self.past_years),
            self.first_whole(),
            self.past_years.length,
            missing=self.options.missing_share,
        )
        return {"beta_daily": found.daily, "season_start": found.start, "season_status": found.flag}

    def _climate(self, reference: Arrays) -> WetClimatology:
        from compute.seasons.wetness import WetClimatology

        return WetClimatology(
            daily=reference["beta_daily"], start=reference["season_start"], flag=reference["season_status"]
        )

    def found(self, values: NDArray[np.float32], starts: NDArray[np.int64], reference: Arrays) -> tuple[Any, ...]:
        from compute.seasons.wetness import wet_seasons

        made = wet_seasons(values, starts, self._climate(reference), **self._rule)
        return made.onset, made.cessation, made.length, made.flag

    def found_so_far(
        self, values: NDArray[np.float32], starts: NDArray[np.int64], reference: Arrays
    ) -> tuple[Any, ...]:
        from compute.seasons.wetness import wet_in_progress

        made = wet_in_progress(values, starts, self._climate(reference), **self._rule)
        return made.onset, made.cessation, made.flag

    @property
    def _rule(self) -> dict[str, Any]:
        return {"threshold": self.threshold, "run": self.options.run, "missing": self.options.missing_share}
