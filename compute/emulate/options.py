"""The options of the `emulate` job."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from cube.options import Period, Strict


class EmulateOptions(Strict):
    """Soil moisture of every cell and day from a trained model, with a flag where it was asked about the unknown."""

    product_fields: ClassVar[tuple[str, ...]] = ("model", "pr", "tas", "soil", "baseline", "continues")

    model: str = Field(description="product of the job `train`")
    pr: str = Field(description="daily product with rain, variable `pr`")
    tas: str = Field(description="daily product with mean temperature, variable `tas`, on the same cells")
    soil: str = Field(description="product of the job `soil` on the same cells")
    baseline: str = Field(
        description="product of the job `climatology` with `pr_mean`: of scenarios that of the same climate model's "
        "historical run"
    )
    period: Period | None = Field(None, description="what of the forcing is used; default all that its products share")
    continues: str | None = Field(
        None,
        description="product of this job that ended the day before, such as the historical run: goes on from its last "
        "state, just as if its forcing came before",
    )
    predictor: Literal["forest", "buckets"] = Field(
        "forest", description="forest: the model; buckets: the regression on its four buckets alone, to compare with"
    )
