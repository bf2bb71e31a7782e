"""The options of the `train` job."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from cube.options import Strict


class ForestOptions(Strict):
    """How the forest is grown; the defaults come from the trade-off of skill and speed in docs/emulator.md."""

    trees: int = Field(100, ge=1, le=2000, description="boosting rounds; each tree serves all five targets")
    depth: int = Field(8, ge=1, le=12, description="splits from the root to a leaf at most")
    learning_rate: float = Field(0.15, gt=0, le=1, description="share of each tree")
    subsample: float = Field(0.5, gt=0, le=1, description="share of the rows that a tree sees")
    colsample: float = Field(0.8, gt=0, le=1, description="share of the features that a tree sees")
    seed: int = Field(0, ge=0, description="of the shares")


class TrainOptions(Strict):
    """A forest of boosted trees, with scores at places, in years and in a scenario that it has not seen."""

    product_fields: ClassVar[tuple[str, ...]] = ("sample",)

    sample: str = Field(description="product of the job `sample`")
    test_sites: float = Field(0.2, gt=0, lt=1, description="share of the sites that is held out whole")
    test_years: tuple[tuple[int, int], ...] = Field(
        min_length=1,
        description="years that are held out at all sites, as [first, last], inclusive",
        examples=[[[2001, 2005], [2026, 2030]]],
    )
    test_runs: tuple[str, ...] = Field(
        (), description="simulations of the sample that are held out whole, such as the strongest scenario"
    )
    seed: int = Field(0, ge=0, description="which sites are held out")
    forest: ForestOptions = ForestOptions()

    @model_validator(mode="after")
    def _years_ordered(self) -> Self:
        if any(first > last for first, last in self.test_years):
            raise ValueError("`test_years` are [first, last] each")
        return self
