"""Onset, cessation and length of the wet season by fixed thresholds of rain."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from compute.metrics.kind import RAIN, Arrays
from compute.metrics.options import RuleOptions
from compute.metrics.seasonal import SeasonalKind
from cube.provenance import Citation
from cube.units import quantity

if TYPE_CHECKING:
    from compute.seasons.fixed import Rule

SIVAKUMAR = Citation(
    "Sivakumar, M. V. K. (1988): Predicting rainy season potential from the onset of rains in southern Sahelian and "
    "Sudanian climatic zones of West Africa. Agricultural and Forest Meteorology 42, 295-305",
    "10.1016/0168-1923(88)90039-1",
)
STERN = Citation(
    "Stern, R. D., Dennett, M. D., Garbutt, D. J. (1981): The start of the rains in West Africa. Journal of "
    "Climatology 1, 59-68"
)
CITED: Final = {"sivakumar_1988": (SIVAKUMAR,), "stern_1981": (STERN,)}
RULES: Final[dict[str, dict[str, Any]]] = {
    "sivakumar_1988": {
        "onset_from": "05-01",
        "onset_until": "08-31",
        "rain": "20 mm",
        "within": "3 d",
        "no_dry_spell": "7 d",
        "cessation_from": "09-01",
        "cessation_until": "12-10",
        "cessation_dry": "20 d",
    },
    "stern_1981": {
        "onset_from": "04-01",
        "onset_until": "08-31",
        "rain": "20 mm",
        "within": "2 d",
        "no_dry_spell": "10 d",
        "cessation_from": "09-01",
        "cessation_until": "12-10",
        "cessation_dry": "20 d",
    },
    "fews": {
        "onset_from": "04-01",
        "onset_until": "08-31",
        "rain": "25 mm",
        "within": "10 d",
        "then_rain": "20 mm",
        "then_within": "20 d",
        "no_dry_spell": None,
        "cessation_from": "09-01",
        "cessation_until": "12-10",
        "cessation_dry": "20 d",
    },
}
"""Onset as in the literature. The end of the search and the cessation are ours, for the northern summer."""
MONTHS: Final = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)


class ThresholdSeason(SeasonalKind):
    """One season a year; no climatology."""

    name: ClassVar[str] = "threshold_season"
    units: ClassVar[str | None] = "mm d-1"
    of: ClassVar[str] = RAIN
    seasons = 1

    @property
    def chosen(self) -> RuleOptions:
        rule = self.options.rule
        assert rule is not None
        return rule if isinstance(rule, RuleOptions) else RuleOptions.model_validate(RULES[rule])

    def cited(self) -> tuple[Citation, ...]:
        """Of the rule that was chosen; thresholds of one's own have none."""
        return CITED.get(self.options.rule, ()) if isinstance(self.options.rule, str) else ()

    @property
    def label(self) -> str:
        return "labelled with the calendar year in which the search for the onset begins"

    @cached_property
    def rule(self) -> Rule:
        from compute.seasons.fixed import Rule

        chosen, length = self.chosen, self.years.length
        names = ("onset_from", "onset_until", "cessation_from", "cessation_until")
        first, until, begins, ends = (_offset(getattr(chosen, name), length) for name in names)
        until += length * (until < first)
        begins += length * (begins < first)
        while ends < begins:
            ends += length
        return Rule(
            onset_from=first,
            onset_until=until,
            rain=quantity(chosen.rain, "mm", "rain"),
            within=chosen.within,
            dry=quantity(chosen.dry, "mm d-1", "dry"),
            no_dry_spell=chosen.no_dry_spell or 0,
            afterwards=chosen.afterwards,
            cessation_from=begins,
            cessation_until=ends,
            cessation_dry=chosen.cessation_dry or 0,
            bucket=quantity(chosen.bucket, "mm", "bucket") if chosen.bucket else 0.0,
            demand=quantity(chosen.demand, "mm d-1", "demand"),
            then_rain=quantity(chosen.then_rain, "mm", "then_rain"),
            then_within=chosen.then_within or 0,
        )

    def told(self) -> dict[str, Any]:
        rule = self.options.rule
        name = rule if isinstance(rule, str) else "thresholds of the specification"
        given = self.chosen.model_dump(mode="json", exclude_none=True)
        return {
            **super().told(),
            "method": f"fixed thresholds of rain: {name}",
            "thresholds": "; ".join(f"{key} {value}" for key, value in given.items())
            + f"; at most {self.options.missing} of the days missing",
        }

    def key(self) -> dict[str, Any]:
        return {"rule": self.chosen.model_dump(mode="json"), "missing": self.options.missing_share}

    def found(self, values: NDArray[np.float32], starts: NDArray[np.int64], reference: Arrays) -> tuple[Any, ...]:
        from compute.seasons.fixed import threshold_seasons

        made = threshold_seasons(values, starts, self.rule, missing=self.options.missing_share)
        return made.onset, made.cessation, made.length, made.flag

    def found_so_far(
        self, values: NDArray[np.float32], starts: NDArray[np.int64], reference: Arrays
    ) -> tuple[Any, ...]:
        from compute.seasons.fixed import threshold_seasons

        made = threshold_seasons(values, starts, self.rule, missing=self.options.missing_share, unfinished=True)
        return made.onset, made.cessation, made.flag


def _offset(month_day: str, length: int) -> int:
    """Days from 1 January of a date such as 05-01; a day that the month lacks is its last one, 29 February too."""
    month, day = (int(part) for part in month_day.split("-"))
    starts = tuple(range(0, 361, 30)) if length == 360 else (*MONTHS, 365)
    return min(starts[month - 1] + day, starts[month]) - 1
