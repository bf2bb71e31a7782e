"""The options of the `summarise` job."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from cube.options import Strict


class RegionsFile(Strict):
    """Polygons of a file."""

    file: str = Field(
        min_length=1,
        description="GeoJSON FeatureCollection of polygons in longitude and latitude, relative to the specification",
    )
    name: str = Field("name", min_length=1, description="property of its features that names them")


class SummariseOptions(Strict):
    """Area-weighted mean, 10th, 50th and 90th percentile of a product's variables over regions, as arrays and CSV."""

    product_fields: ClassVar[tuple[str, ...]] = ("input", "land_fraction")

    input: str = Field(description="name of the product that is summarised; any that has cells")
    variables: tuple[str, ...] = Field(
        min_length=1, description="variables of the input, all of the same dimensions; flags and dates have no mean"
    )
    regions: Literal["ar6"] | RegionsFile = Field(
        description="`ar6` for the land regions of IPCC AR6 of which some lies in the input, or a `file` of polygons",
        examples=["ar6", {"file": "districts.geojson", "name": "DISTRICT"}],
    )
    land_fraction: str | None = Field(
        None, description="product with `land_fraction` on the same cells: cells count with their land alone"
    )
