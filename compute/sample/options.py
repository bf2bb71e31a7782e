"""The options of the `sample` job."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from cube.options import Duration, Period, Strict


class RunOptions(Strict):
    """One simulation and what drove it."""

    simulation: str = Field(description="product with smcl and fsmc: of the job `simulate`, or JULES output")
    pr: str = Field(description="daily product with rain, variable `pr`, on the same cells")
    tas: str = Field(description="daily product with mean temperature, variable `tas`, on the same cells")
    baseline: str = Field(description="product of the job `climatology` with `pr_mean` of the fixed baseline")
    period: Period | None = Field(None, description="days that are taken; default all after the spin-up")
    after: str | None = Field(
        None,
        description="simulation of an earlier run of the list that ended the day before, such as the historical one: "
        "its memory goes on, and no spin-up is left out",
    )


class SampleOptions(Strict):
    """Features and targets of chosen sites, for training."""

    product_fields: ClassVar[tuple[str, ...]] = (
        "runs.simulation",
        "runs.pr",
        "runs.tas",
        "runs.baseline",
        "soil",
    )

    runs: tuple[RunOptions, ...] = Field(
        min_length=1,
        description="simulations to sample: observed, and a climate model's historical run and scenarios, so that a "
        "warmer climate is not pure extrapolation; the baseline of the first one is what sites are chosen by",
    )
    soil: str = Field(description="product of the job `soil` that the simulations were made with")
    sites: int = Field(1000, ge=1, description="cells that are taken, spread evenly over classes of rain and of soil")
    seed: int = Field(0, ge=0, description="which cells of a class are taken")
    pft: int = Field(4, ge=1, description="vegetation whose beta is the target, as `pft` counts them; 4 is C4 grass")
    every: Duration = Field(
        "5 d",
        validate_default=True,
        description="distance of the days that are taken: neighbouring days tell almost the same",
        examples=["5 d"],
    )
    spin_up: int = Field(
        3, ge=0, description="years at the start of a run that are left out, until memories are those of the weather"
    )

    @model_validator(mode="after")
    def _runs_known(self) -> Self:
        names = [run.simulation for run in self.runs]
        if len(set(names)) < len(names):
            raise ValueError("a simulation is listed twice in `runs`")
        for position, run in enumerate(self.runs):
            if run.after is not None and run.after not in names[:position]:
                raise ValueError(f"`after: {run.after}` names no earlier simulation of `runs`")
        if self.every % 86400:
            raise ValueError("`every` must be whole days")
        return self
