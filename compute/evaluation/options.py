"""The options of the `evaluate` job."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from cube.errors import SpecError
from cube.options import Period, Strict
from cube.units import quantity


class ComparisonOptions(Strict):
    """A variable of the simulation and what it is compared with: smcl with smcl, layer by layer as m3 m-3; fsmc with
    fsmc; the upper layer of smcl with a soil moisture that has no layers, such as that of SMAP."""

    simulation: Literal["smcl", "fsmc"] = Field(description="variable of the simulation and of the baselines")
    reference: str = Field(description="variable of the reference: smcl, fsmc, or one that converts to m3 m-3")
    pft: int = Field(4, ge=1, description="vegetation whose fsmc (beta) is compared, as `pft` counts; 4 is C4 grass")
    depth: str | None = Field(
        None,
        description="depth down to which a reference without layers tells the soil moisture; it is stated beside the "
        "scores",
        examples=["5 cm"],
    )

    @field_validator("depth")
    @classmethod
    def _length(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                found = quantity(value, "m", "depth")
            except SpecError as error:
                raise ValueError(*error.problems) from None
            if found <= 0:
                raise ValueError(f"a depth is positive downwards, found {value!r}")
        return value

    @model_validator(mode="after")
    def _alike(self) -> Self:
        if (self.simulation == "fsmc") != (self.reference == "fsmc"):
            raise ValueError(f"{self.simulation} cannot be compared with {self.reference}: fsmc goes with fsmc only")
        if (self.depth is not None) != self.surface:
            raise ValueError("`depth` is given for a reference without layers, and for no other")
        return self

    @property
    def surface(self) -> bool:
        """Whether the reference has no layers, so that only the upper layer is compared."""
        return self.reference not in ("smcl", "fsmc")

    @property
    def metres(self) -> float:
        """`depth` in m, 0 without."""
        return quantity(self.depth, "m", "depth") if self.depth else 0.0


class EventOptions(Strict):
    """Which days are events: days of drought."""

    beta: float = Field(0.5, gt=0, lt=1, description="of fsmc: days below this value")
    percentile: float = Field(
        20.0,
        gt=0,
        lt=100,
        description="of soil moisture: days below this percentile of the reference, in each cell and layer over all "
        "evaluated days",
    )


class EvaluateOptions(Strict):
    """Scores of a simulated product against a reference, in every cell and over all cells, with a report."""

    product_fields: ClassVar[tuple[str, ...]] = ("simulation", "reference", "baselines", "soil", "trained_on")

    simulation: str = Field(description="product that is evaluated: emulated, simulated, or JULES output")
    reference: str = Field(description="product that it is compared with, on the same cells and in the same calendar")
    variables: tuple[ComparisonOptions, ...] = Field(
        (
            ComparisonOptions(simulation="smcl", reference="smcl"),
            ComparisonOptions(simulation="fsmc", reference="fsmc"),
        ),
        min_length=1,
        description="what is compared with what; by default smcl and fsmc with their likes",
    )
    period: Period | None = Field(
        None, description="days that are evaluated, such as years that no model has seen; default all in common"
    )
    climatology: Period | None = Field(
        None,
        description="days of the reference that the baseline `climatology` is made of; default all that it has. The "
        "year that a day lies in is always left out",
    )
    baselines: tuple[str, ...] = Field(
        (), description="further simulated products that are scored beside, such as the emulator's buckets alone"
    )
    soil: str | None = Field(
        None,
        description="product of the job `soil`: nRMSE of soil moisture is then relative to its saturation sm_sat; "
        "without, to the range from the 5th to the 95th percentile of the reference, as it always is for fsmc",
    )
    trained_on: str | None = Field(
        None, description="product of the job `sample`: its cells are left out, since a model has seen them"
    )
    events: EventOptions = EventOptions()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [self.simulation, self.reference, *self.baselines, *filter(None, (self.soil, self.trained_on))]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)} is named twice: a product cannot be compared with itself")
        pairs = [(each.simulation, each.reference) for each in self.variables]
        if len(set(pairs)) < len(pairs):
            raise ValueError("`variables` compares the same two variables twice")
        return self
