"""The options of the `change` job."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, field_validator, model_validator

from cube.errors import SpecError
from cube.options import Period, Strict
from cube.units import quantity


class ModelOptions(Strict):
    """A scenario and the past of one climate model: products of the same metric, with the same reference."""

    scenario: str = Field(description="metric product of the scenario")
    past: str = Field(description="metric product of the same model's historical run")
    domain: str | None = Field(
        None,
        description="emulated daily product with `out_of_domain`, on which the scenario's metric rests: cells with "
        "more than 10 % of a window's days outside the emulator's training are flagged",
    )


class ErrorOptions(Strict):
    """Two products of the same metric whose difference is the emulator's own error in it."""

    simulated: str = Field(description="metric product of what the emulator made")
    reference: str = Field(description="metric product of what it was trained on, driven by the same weather")


def _years(value: tuple[int, int]) -> tuple[int, int]:
    if value[0] > value[1]:
        raise ValueError(f"a window is [first, last] year, found {list(value)}")
    return value


class ChangeOptions(Strict):
    """Scenario against past, in windows of years: differences of means with a test of significance."""

    product_fields: ClassVar[tuple[str, ...]] = (
        "models.scenario",
        "models.past",
        "models.domain",
        "error.simulated",
        "error.reference",
    )

    models: tuple[ModelOptions, ...] = Field(
        min_length=1,
        description="climate models, each with its own past. With fewer than three nothing is said of their agreement",
    )
    variables: tuple[str, ...] = Field(min_length=1, description="yearly variables of the metric, such as onset")
    past: Period = Field(
        Period(start="1976", end="2005"), description="whole years of the past that scenarios are compared with"
    )
    windows: tuple[tuple[int, int], ...] = Field(
        ((2021, 2050), (2041, 2070), (2070, 2099)),
        min_length=1,
        description="windows of the scenario, as [first, last] year, inclusive",
    )
    least: int = Field(
        20, ge=3, description="years with a value that past and window must have; with fewer there is no change"
    )
    rate: str = Field(
        "10 %", description="share of false discoveries that is accepted over all cells of a map (Benjamini-Hochberg)"
    )
    error: ErrorOptions | None = Field(
        None, description="where given, changes smaller than the emulator's own error in the metric are flagged"
    )

    @field_validator("windows")
    @classmethod
    def _ordered(cls, value: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        if len(set(value)) < len(value):
            raise ValueError("`windows` names a window twice")
        return tuple(_years(each) for each in value)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        try:
            share = quantity(self.rate, "1", "rate")
        except SpecError as error:
            raise ValueError(*error.problems) from None
        if not 0 < share < 1:
            raise ValueError(f"rate is between 0 and 100 %, found {self.rate!r}")
        first, last = self.past_years
        for window in ((first, last), *self.windows):
            if (years := window[1] - window[0] + 1) < self.least:
                raise ValueError(f"{window[0]} to {window[1]} are {years} years, fewer than `least`, {self.least}")
        if len(set(self.variables)) < len(self.variables):
            raise ValueError("`variables` names one twice")
        for key in ("scenario", "past", "domain"):
            names = [name for each in self.models if (name := getattr(each, key))]
            if len(set(names)) < len(names):
                raise ValueError(
                    f"`models` names one {key} twice: scenarios of one climate model say nothing of how models agree; "
                    "make a product of each"
                )
        return self

    @property
    def past_years(self) -> tuple[int, int]:
        """First and last year of the past. Raises ValueError where they are not whole years in order."""
        start, end = self.past.start, self.past.end
        if start is None or end is None or len(start) > 4 or len(end) > 4:
            raise ValueError("`past` is from a whole year to a whole year, such as {start: 1976, end: 2005}")
        return _years((int(start), int(end)))

    @property
    def share(self) -> float:
        return quantity(self.rate, "1", "rate")
