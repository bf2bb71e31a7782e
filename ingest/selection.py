"""What a product takes from its archive: the options that the sources understand."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from cube.axes import Step
from cube.options import Area, Duplicates, Gaps, Period, Strict

Redistribution = Literal["yes", "no", "unknown"]


class Provider(Strict):
    """An organisation, with its STAC provider roles."""

    name: str
    roles: tuple[Literal["producer", "licensor", "processor", "host"], ...] = ()
    url: str | None = None


class Citation(Strict):
    """How a dataset wants to be cited."""

    text: str
    doi: str | None = Field(default=None, description="without the resolver's address, e.g. 10.5067/GE8ET0MZ5ZVF")


class Provenance(Strict):
    """Licence, providers and citations of an archive; what is given here replaces what the source declares."""

    licence: str | None = Field(default=None, description='SPDX identifier, or "other"')
    licence_url: str | None = None
    providers: tuple[Provider, ...] | None = None
    citations: tuple[Citation, ...] | None = None
    redistribution: Redistribution | None = None


class IngestSelection(Strict):
    """Which part of an archive becomes the product, and how its known faults are settled."""

    variables: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="published or archive names; default: all data variables that the source knows and the files hold",
    )
    area: Area | None = Field(default=None, description="cells with their centre in this box")
    period: Period | None = Field(default=None, description="part of the archive's period")
    step: str | None = Field(
        default=None,
        description='"day" makes daily values of sub-daily ones; also tells the step of files with a single time '
        'and no bounds ("6 hours", "day", "month", "year"). Default: the step of the archive',
    )
    gaps: Gaps = Field(default_factory=Gaps, description="holes that are known and will be written as missing")
    duplicates: Duplicates = Field(
        default="refuse",
        description="which file wins where two hold different values of one time, in order of first time, then name",
    )
    names: Literal["check", "ignore"] = Field(default="check", description="whether dates in file names must be true")
    dzsoil: tuple[float, ...] | None = Field(
        default=None,
        min_length=1,
        description="JULES soil layer thicknesses in m, from the top; default 0.1, 0.25, 0.65, 2.0",
    )
    quality: Literal["recommended", "strict"] = Field(
        default="recommended", description="SMAP retrievals kept: flag bit 0 clear, or the whole flag zero"
    )
    provenance: Provenance = Field(default_factory=Provenance, description="licence, providers, citations")

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
