"""The options of the `metric` job."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from cube.errors import Problem, SpecError
from cube.faults import MISSING_KEY
from cube.options import Period, Strict
from cube.units import measured, quantity

LETTERS: Final = "JFMAMJJASOND"

MetricName = Literal["dry_days", "wet_season", "threshold_season", "soil_season", "wrsi", "ssmi"]


_DAYS: Final = r"^(\d+) ?(d|days?)$"


SHORTEST_YEAR: Final = 360
MOST: Final = 366
"""Days; no window, spell or run of a metric is longer than a year."""
SLACK: Final = 1e-9
"""Of a share of days: a limit that is a whole number of days is not lost to rounding."""


def _days(value: Any) -> Any:
    match = re.fullmatch(_DAYS, value) if isinstance(value, str) else None
    if not match or not int(match[1]):
        raise ValueError(f'a number of days is written with its unit, such as "10 d"; found {value!r}')
    if len(match[1]) > 9 or int(match[1]) > MOST:
        raise ValueError(f"at most {MOST} days, found {value!r}")
    return int(match[1])


DayCount = Annotated[
    int,
    BeforeValidator(_days, json_schema_input_type=Annotated[str, Field(pattern=_DAYS)]),
    PlainSerializer(lambda value: f"{value} d", when_used="json"),
]
"""Whole days, from a text with its unit."""

MonthDay = Annotated[str, Field(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]
"""A day of the year as month and day, such as 07-01."""


def months_of(name: str) -> tuple[int, ...]:
    """The months, from 1, of initials such as "MAM"; raises ValueError for what names none, or several."""
    twice = LETTERS * 2
    found = [at for at in range(12) if twice.startswith(name, at)]
    if not 2 <= len(name) <= 12 or not found:
        raise ValueError(f'{name!r} is no row of months; write the initials of two or more, such as "MAM" or "JJAS"')
    if len(found) > 1 and len(name) < 12:
        raise ValueError(f"{name!r} may begin with several months; add one")
    return tuple((found[0] + step) % 12 + 1 for step in range(len(name)))


class ReferenceOptions(Strict):
    """Where a climatology is taken from: fixed, so that growth and scenarios do not move it."""

    product: str = Field(description="daily product with the same variable, cells and calendar")
    period: Period = Field(description="whole years of it", examples=[{"start": 1976, "end": 2005}])


class RuleOptions(Strict):
    """A season by fixed thresholds, for places whose farmers and services know them."""

    onset_from: MonthDay = Field(description="first day that may be the onset", examples=["05-01"])
    onset_until: MonthDay = Field(
        description="last day that may be the onset; may lie in the next calendar year", examples=["08-31"]
    )
    rain: str = Field("20 mm", description="rain that falls within `within`")
    within: DayCount = Field(
        "3 d", validate_default=True, description="days in which `rain` falls, the onset being the last of them"
    )
    then_rain: str = Field("0 mm", description="rain that falls within `then_within` after these days")
    then_within: DayCount | None = Field(None, description="days in which `then_rain` falls")
    dry: str = Field("1 mm d-1", description="a day with less is dry")
    no_dry_spell: DayCount | None = Field(
        "7 d",
        validate_default=True,
        description="no row of so many dry days reaches into `afterwards`; null for no such rule",
    )
    afterwards: DayCount = Field(
        "30 d", validate_default=True, description="days after the onset that are looked at for dry spells"
    )
    cessation_from: MonthDay = Field(
        description="first day that the season may end; may lie in the next year", examples=["09-01"]
    )
    cessation_until: MonthDay = Field(
        description="last day that the season may end; may lie in the next year", examples=["12-10"]
    )
    cessation_dry: DayCount | None = Field(
        "20 d",
        validate_default=True,
        description="the season ends before the first row of so many dry days; null where a bucket ends it",
    )
    bucket: str | None = Field(
        None, description="the season ends when a bucket of so much rain is empty", examples=["60 mm"]
    )
    demand: str = Field("5 mm d-1", description="what empties the bucket")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        problems = []
        if self.then_within is None and "then_rain" in self.model_fields_set:
            problems.append(Problem(MISSING_KEY, "`then_rain` needs `then_within`", "then_within", fix="add both"))
        if self.cessation_dry is None and self.bucket is None:
            what = "no season would end: neither `cessation_dry` nor `bucket` is given"
            problems.append(Problem(MISSING_KEY, what, "cessation_dry or bucket", fix="give one of them"))
        if problems:
            raise ValueError(*problems)
        return self


_KEYS: Final[dict[str, frozenset[str]]] = {
    "dry_days": frozenset({"threshold", "percentile", "window", "spell", "starts", "months", "reference"}),
    "wet_season": frozenset({"reference", "arid", "spread"}),
    "threshold_season": frozenset({"rule"}),
    "soil_season": frozenset({"threshold", "run", "reference"}),
    "wrsi": frozenset({"reference", "starts", "months", "seasons"}),
    "ssmi": frozenset({"reference"}),
}
_COMMON: Final = frozenset({"metric", "input", "variable", "pft", "land_fraction", "missing"})
_NEEDED: Final[dict[str, tuple[str, ...]]] = {
    "wet_season": ("reference",),
    "threshold_season": ("rule",),
    "soil_season": ("reference",),
    "wrsi": ("reference",),
    "ssmi": ("reference",),
}
_FIXES: Final = {
    "reference": "add `reference: {product: ..., period: {start: ..., end: ...}}`, or `reference: self`, which shows "
    "timing only",
    "rule": "add `rule: sivakumar_1988`, or another one, or a section with thresholds of your own",
}


class MetricOptions(Strict):
    """A drought metric of a daily product: dry days and spells, wet seasons of rain and of soil, or an index of soil
    moisture. Which keys belong to which metric is told by the page of the metric; others are refused."""

    product_fields: ClassVar[tuple[str, ...]] = ("input", "reference.product", "land_fraction", "seasons")

    metric: MetricName = Field(
        description="dry_days: days below a threshold and their runs. wet_season: onset, cessation and length by "
        "anomalous accumulation of rain. threshold_season: onset and cessation by fixed thresholds of rain. "
        "soil_season: the time in which soil moisture availability (beta) is above a threshold. wrsi: mean beta of a "
        "season against its reference. ssmi: monthly standardised soil moisture index with drought classes"
    )
    input: str = Field(description="name of the daily product that it is made from")
    variable: str | None = Field(None, description="variable of the input; needed where it has several")
    pft: int | None = Field(
        None, ge=1, description="vegetation, of variables that have several, as `pft` counts; 4 is C4 grass"
    )
    reference: ReferenceOptions | Literal["self"] | None = Field(
        None,
        description="where the climatology is taken from. self: the input's own whole years, which then hide drying: "
        "such a product shows timing only, is labelled so, and changes whenever it grows",
    )
    land_fraction: str | None = Field(
        None, description="product with the variable `land_fraction`; cells with less than half of land are missing"
    )
    missing: str = Field(
        "5 %", description="share of a period's days that may be missing; with more the period is missing, never 0"
    )
    threshold: str | None = Field(
        None,
        description="dry_days: limit with its unit, days strictly below it count. soil_season: beta that is wet, by "
        "default 50 %",
        examples=["1 mm d-1", "50 %"],
    )
    percentile: float | None = Field(
        None,
        gt=0,
        lt=100,
        description="dry_days: the limit is this percentile of the reference, of each day of the year and cell",
    )
    window: DayCount = Field(
        "15 d",
        validate_default=True,
        description="dry_days with `percentile`: days before and after that are pooled with each day of the year",
    )
    spell: DayCount = Field(
        "5 d", validate_default=True, description="dry_days: least length of a run that is counted in `dry_spells`"
    )
    starts: MonthDay = Field(
        "01-01",
        description="dry_days, wrsi: first day of the years that are counted, the first of a month; southern seasons "
        "want 07-01, since calendar years cut them in two",
        examples=["07-01"],
    )
    months: tuple[str, ...] = Field(
        (),
        description="dry_days, wrsi: parts of the year in place of the whole, by the initials of their months",
        examples=[["MAM", "OND"]],
    )
    arid: str = Field(
        "1 mm d-1", description="wet_season: cells whose daily rain varies less (standard deviation) have no season"
    )
    spread: DayCount = Field(
        "45 d",
        validate_default=True,
        description="wet_season: largest standard deviation of onset in the reference; beyond it there is no season",
    )
    rule: Literal["sivakumar_1988", "stern_1981", "fews"] | RuleOptions | None = Field(
        None, description="threshold_season: a set of thresholds from the literature, or a section of your own"
    )
    run: DayCount = Field(
        "10 d", validate_default=True, description="soil_season: days in a row that begin and end the season"
    )
    seasons: str | None = Field(
        None,
        description="wrsi: product of the metric wet_season or soil_season, whose climatological seasons are averaged "
        "over in place of years or `months`",
    )

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        problems = [*self._strange_keys(), *self._lacking_keys(), *self._unfit_parts(), *self._unfit_quantities()]
        if problems:
            raise ValueError(*problems)
        return self

    def _strange_keys(self) -> Iterator[Problem]:
        known = _KEYS[self.metric]
        for name in sorted(self.model_fields_set - known - _COMMON):
            what = f"not an option of {self.metric}; it takes {', '.join(sorted(known))}"
            yield Problem("spec-value", what, name, fix="leave it out")

    def _lacking_keys(self) -> Iterator[Problem]:
        for name in _NEEDED.get(self.metric, ()):
            if getattr(self, name) is None:
                yield Problem(MISSING_KEY, f"{self.metric} needs `{name}`", name, fix=_FIXES[name])
        if self.metric != "dry_days":
            return
        if self.threshold is None and self.percentile is None:
            fix = "add `threshold: 1 mm d-1`, or `percentile` and `reference`"
            what = "dry_days needs either `threshold` or `percentile`"
            yield Problem(MISSING_KEY, what, "threshold or percentile", fix=fix)
        elif self.threshold is not None and self.percentile is not None:
            what = "dry_days needs either `threshold` or `percentile`, found both"
            yield Problem("spec-value", what, "percentile", fix="leave one of them out")
        if self.percentile is not None and self.reference is None:
            yield Problem(
                MISSING_KEY, "`percentile` and `reference` belong together", "reference", fix=_FIXES["reference"]
            )
        elif self.percentile is None and self.reference is not None:
            what = "`percentile` and `reference` belong together"
            yield Problem(MISSING_KEY, what, "percentile", fix="add `percentile:`, or leave `reference` out")

    def _unfit_parts(self) -> Iterator[Problem]:
        """Of the years and their parts."""
        if self.starts[3:] != "01":
            yield Problem("spec-value", f"`starts` is the first of a month, found {self.starts}", "starts")
        if self.seasons and (self.months or "starts" in self.model_fields_set):
            yield Problem("spec-value", "give either `seasons`, or `months` and `starts`", "seasons")
        for name in self.months:
            try:
                first = months_of(name)[0]
            except ValueError as error:
                yield Problem("spec-value", str(error), "months")
                continue
            if (first - self.first_month) % 12 + len(name) > 12:
                what = f"{name} is cut by the years, which start on {self.starts}; give another `starts`"
                yield Problem("spec-value", what, "months")
        if self.percentile is not None and 2 * self.window + 1 > SHORTEST_YEAR:
            what = f"days before and after would be more than a year: {self.window} d"
            yield Problem("spec-value", what, "window", fix="give 179 d or less")
        if len(set(self.months)) < len(self.months):
            yield Problem("spec-value", "`months` names the same months twice", "months")

    def _unfit_quantities(self) -> Iterator[Problem]:
        """Quantities must be of the right kind; that of `threshold` of dry_days hangs on the input."""
        given: list[tuple[str, str | None, str | None]] = [
            ("missing", self.missing, "1"),
            ("arid", self.arid, "mm d-1"),
            ("threshold", self.threshold, "1" if self.metric == "soil_season" else None),
        ]
        if isinstance(self.rule, RuleOptions):
            units = {"rain": "mm", "then_rain": "mm", "dry": "mm d-1", "bucket": "mm", "demand": "mm d-1"}
            given += [(f"rule.{name}", getattr(self.rule, name), unit) for name, unit in units.items()]
        for name, value, unit in given:
            try:
                if value is not None:
                    found = measured(value, name)[0] if unit is None else quantity(value, unit, name)
                    if name == "missing" and not 0 <= found < 1:
                        what = f"missing is 0 % or more and less than 100 %, found {value!r}"
                        yield Problem("spec-value", what, name)
                    if name.startswith("rule.") and found < 0:
                        yield Problem("spec-value", f"an amount of 0 or more is wanted, found {value!r}", name)
            except SpecError as error:
                yield from error.problems

    @property
    def missing_share(self) -> float:
        """Largest share of the days that may be missing, a little more for what rounding takes."""
        return quantity(self.missing, "1", "missing") + SLACK

    @property
    def first_month(self) -> int:
        return int(self.starts[:2])
