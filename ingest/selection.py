"""What a product takes from its archive: the options that the sources understand."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from cube.axes import Step
from cube.options import Area, Duplicates, Gaps, Period, Strict

Redistribution = Literal["yes", "no", "unknown"]


class Provider(Strict):
    """An organisation, with its STAC provider roles."""

    name: str = Field(description="name of the organisation as it wants to be shown")
    roles: tuple[Literal["producer", "licensor", "processor", "host"], ...] = Field(
        default=(),
        description="what it did: producer made the data, licensor licenses them, processor changed them, host serves "
        "them",
    )
    url: str | None = Field(default=None, description="its web page, or that of the data at its site")


class Citation(Strict):
    """How a dataset wants to be cited."""

    text: str = Field(description="the citation in full: authors, year, title, journal or publisher")
    doi: str | None = Field(
        default=None,
        description="its DOI, without https://doi.org/",
        examples=["10.1038/sdata.2017.63"],
    )


class Provenance(Strict):
    """Licence, providers and citations of an archive; what is given here replaces what the source declares."""

    licence: str | None = Field(
        default=None,
        description='SPDX identifier of the licence, or "other" where it has none',
        examples=["CC-BY-4.0", "other"],
    )
    licence_url: str | None = Field(
        default=None, description="address of the licence's text; give it where `licence` is other"
    )
    providers: tuple[Provider, ...] | None = Field(
        default=None, description="organisations that made, license or serve the data"
    )
    citations: tuple[Citation, ...] | None = Field(
        default=None, description="how the data want to be cited, the main citation first"
    )
    redistribution: Redistribution | None = Field(
        default=None,
        description="whether the licence lets the data be passed on. Without yes, a store that the public can read "
        "takes them only with `permission`",
    )


class IngestSelection(Strict):
    """Which part of an archive becomes the product, and how its known faults are settled."""

    variables: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="variables to publish, by published name or by their name in the files. By default all that the "
        "source declares and the files hold; the sources `cf`, `isimip` and `jules` take all data variables",
    )
    area: Area | None = Field(default=None, description="publish only cells whose centre is in this box")
    period: Period | None = Field(default=None, description="publish only this part of the archive's period")
    step: str | None = Field(
        default=None,
        description="step of time of the product; by default that of the files. `day` makes daily values of sub-daily "
        "ones. Needed where files hold a single time without bounds, which does not tell its length",
        examples=["day", "month", "year", "6 hours"],
    )
    gaps: Gaps = Field(
        default_factory=Gaps, description="holes in the archive that are known; any other refuses the files"
    )
    duplicates: Duplicates = Field(
        default="refuse",
        description="what happens where two files hold different values of one time: refuse both, or use the first or "
        "the last file in order of first time, then name",
    )
    names: Literal["check", "ignore"] = Field(
        default="check",
        description="check: names must fit the source, and dates in them must be those inside. ignore: do without what "
        "names tell",
    )
    dzsoil: tuple[float, ...] | None = Field(
        default=None,
        min_length=1,
        description="thicknesses of JULES soil layers in m, from the top; by default 0.1, 0.25, 0.65, 2.0. Used by the "
        "source `jules`",
    )
    quality: Literal["recommended", "strict"] = Field(
        default="recommended",
        description="SMAP retrievals to keep. recommended: bit 0 of the quality flag is clear; strict: the whole flag "
        "is zero. Used by the source `smap`",
    )
    provenance: Provenance = Field(
        default_factory=Provenance,
        description="licence, providers and citations, where the source declares none or the files have others",
    )

    @field_validator("step")
    @classmethod
    def _step(cls, value: str | None) -> str | None:
        return value if value is None else str(Step.parse(value))

    @field_validator("dzsoil")
    @classmethod
    def _thick(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value and min(value) <= 0:
            raise ValueError("soil layers have a positive thickness")
        return value
