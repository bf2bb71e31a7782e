"""The options of the `ingest` job."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from cube.options import Strict
from cube.stores import Storage
from ingest.selection import IngestSelection
from ingest.sources import SOURCES


class ReferenceOptions(Strict):
    """Kerchunk references to the original files."""

    base_url: str = Field(
        pattern=r"^(https?|s3)://",
        description="public address of the folder in front of the first wildcard of `files`; references hold addresses "
        "below it, never local paths",
        examples=["https://data.example.org/archive/tamsat/"],
    )


class IngestOptions(IngestSelection):
    """Archive files become a product."""

    product_fields: ClassVar[tuple[str, ...]] = ()

    source: str = Field(
        description="convention of the files; cf for any files that follow the CF conventions",
        json_schema_extra={"enum": [*sorted(SOURCES)]},
    )
    files: str | tuple[str, ...] = Field(
        description="the archive files: paths or glob patterns on disk (`*` within a folder, `**` for folders of any "
        "depth), s3:// patterns, or http(s):// addresses of single files",
        examples=["archive/tamsat/**/rfe*.nc"],
    )
    archive: Storage | None = Field(None, description="how the object store is reached that `files` names by s3://")
    references: ReferenceOptions | None = Field(
        None,
        description="publish kerchunk references to the original files too, where they are proven right; else the item "
        "says why there are none",
    )

    @field_validator("source")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in SOURCES:
            raise ValueError(f"{value!r} is no source; known are {', '.join(sorted(SOURCES))}")
        return value
