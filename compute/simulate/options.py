"""The options of the `simulate` job."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from cube.options import Period, Strict


class SpinUpOptions(Strict):
    """How the column comes to its first state: the first years are repeated until they leave it as they found it."""

    years: int = Field(3, ge=1, description="years at the start of the forcing that are repeated")
    cycles: int = Field(
        10,
        ge=1,
        description="repeats at most; cells that drift on by more than 0.1 mm a year then, mostly deserts in their "
        "lowest layer, start from where they are",
    )


class SimulateOptions(Strict):
    """Soil water of four layers, beta, runoff and evaporation, daily, from rain and potential evaporation."""

    product_fields: ClassVar[tuple[str, ...]] = ("pr", "tas", "tasmin", "tasmax", "evspsblpot", "soil", "continues")

    pr: str = Field(description="daily product with rain, variable `pr`")
    tas: str | None = Field(None, description="daily product with mean temperature, variable `tas`; for pet: oudin")
    tasmin: str | None = Field(None, description="daily product with `tasmin`; for pet: hargreaves")
    tasmax: str | None = Field(None, description="daily product with `tasmax`; for pet: hargreaves")
    evspsblpot: str | None = Field(
        None, description="daily product with potential evaporation, variable `evspsblpot`; for pet: product"
    )
    soil: str = Field(description="product of the job `soil` on the same cells")
    pet: Literal["oudin", "hargreaves", "product"] = Field(
        "oudin", description="potential evaporation: from temperature by Oudin or by Hargreaves, or of a product"
    )
    period: Period | None = Field(None, description="what of the forcing is used; default all that its products share")
    pft: int = Field(
        4, ge=1, le=5, description="JULES vegetation whose roots draw water and whose beta is put out; 4 is C4 grass"
    )
    steps_per_day: int = Field(8, ge=8, le=48, description="time steps a day; 8 are three hours")
    rain_steps: int = Field(2, ge=1, description="the day's rain falls in so many first steps of the day")
    l_soil_sat_down: bool = Field(
        False, description="what a full layer cannot hold goes down instead of up, as JULES's switch of that name"
    )
    spin_up: SpinUpOptions = SpinUpOptions()
    continues: str | None = Field(
        None, description="product of this job that ended the day before: goes on from its last state, no spin-up"
    )

    @model_validator(mode="after")
    def _pet_known(self) -> Self:
        needs = {"oudin": ("tas",), "hargreaves": ("tasmin", "tasmax"), "product": ("evspsblpot",)}
        for name in ("tas", "tasmin", "tasmax", "evspsblpot"):
            if (getattr(self, name) is not None) != (name in needs[self.pet]):
                raise ValueError(f"pet: {self.pet} needs {' and '.join(needs[self.pet])}, and no other of its kind")
        return self
