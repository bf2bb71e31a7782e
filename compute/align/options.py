"""Options of the `align` job."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from compute.align.calendars import Rule
from compute.align.grid import Grid
from cube.errors import SpecError
from cube.options import Strict
from cube.units import quantity

Method = Literal["conservative", "bilinear", "majority", "mean"]


class AlignOptions(Strict):
    """A daily product, or one without time, on a declared grid of latitude and longitude. Each variable is regridded by
    the method that its kind asks for, so that products of different resolutions can be compared cell by cell."""

    product_fields: ClassVar[tuple[str, ...]] = ("input", "orography", "target_orography")

    input: str = Field(description="name of the product that is brought onto the grid")
    variables: dict[str, Method] = Field(
        min_length=1,
        description="its variables that are taken, each with its method. conservative: mean over the area, which keeps "
        "totals: rain and other fluxes. bilinear: interpolation between four cells: temperature and other fields of "
        "state. majority: the value with the largest area, the lower of equal ones: categories. mean: plain mean of "
        "the source cells whose centres lie in the cell, with their number in `NAME_count`: SMAP, SIF",
        examples=[{"pr": "conservative", "tas": "bilinear"}],
    )
    grid: Grid = Field(description="the grid, by its name in `grids` or as a section of its own", examples=["africa"])
    min_valid: str = Field(
        "50 %",
        description="how much of a cell must have values in the source, else it is missing: of its area, of the "
        "weights of interpolation, or of the source cells in it",
        examples=["50 %"],
    )
    coast: Literal["nearest"] | None = Field(
        None,
        description="nearest: cells that are missing after regridding get the value of the nearest source cell that "
        "has one on that day, not farther than one cell of the coarser grid; `NAME_filled` is 1 there",
    )
    lapse_rate: str | None = Field(
        None,
        description="temperatures with the method bilinear are brought from the elevation of `orography` to that of "
        "`target_orography`, colder by so much for each unit of height",
        examples=["6.5 K km-1"],
    )
    orography: str | None = Field(
        None, description="name of the product that holds the elevation of the input's own grid"
    )
    target_orography: str | None = Field(None, description="name of the product that holds the elevation of the grid")
    calendar: Rule | None = Field(
        None,
        description="changes the calendar. noleap-to-standard: 29 February becomes the mean of the days beside it, "
        "marked in `interpolated_day`; refused for rain. standard-to-noleap: 29 February is left out. There is no rule "
        "for 360_day; without a rule the calendar stays as it is",
    )

    @field_validator("min_valid")
    @classmethod
    def _share(cls, value: str) -> str:
        if not 0 < _measured(value, "1", "min_valid") <= 1:
            raise ValueError(f"min_valid is more than 0 % and at most 100 %, found {value!r}")
        return value

    @field_validator("lapse_rate")
    @classmethod
    def _gradient(cls, value: str | None) -> str | None:
        if value is not None:
            _measured(value, "K m-1", "lapse_rate")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = [name for name in ("lapse_rate", "orography", "target_orography") if getattr(self, name) is not None]
        if given and len(given) < 3:
            raise ValueError(f"lapse_rate, orography and target_orography belong together, found {', '.join(given)}")
        names = [name for name in (self.input, self.orography, self.target_orography) if name is not None]
        if len(set(names)) < len(names):
            raise ValueError("input, orography and target_orography are different products")
        return self

    @property
    def needed(self) -> float:
        """`min_valid` as a share."""
        return quantity(self.min_valid, "1", "min_valid")

    @property
    def lapse(self) -> float:
        """`lapse_rate` in K m-1, 0 where there is none."""
        return 0.0 if self.lapse_rate is None else quantity(self.lapse_rate, "K m-1", "lapse_rate")


def _measured(value: str, unit: str, where: str) -> float:
    """A quantity, with the problem of one that is none as pydantic takes it."""
    try:
        return quantity(value, unit, where)
    except SpecError as error:
        raise ValueError(*error.problems) from None
