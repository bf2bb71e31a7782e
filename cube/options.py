"""Options that several jobs share, as strict pydantic models."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator


class Strict(BaseModel):
    """A model that refuses unknown keys and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Area(Strict):
    """A box. Give lat and lon in degrees, or x and y in the units of the grid's own axes; bounds are inclusive."""

    lat: tuple[float, float] | None = Field(None, description="south and north bounds, degrees")
    lon: tuple[float, float] | None = Field(None, description="west and east bounds, degrees from -180 to 180")
    x: tuple[float, float] | None = Field(
        None, description="lower and upper bounds on the grid's x axis: metres, or degrees of a rotated pole"
    )
    y: tuple[float, float] | None = Field(
        None, description="lower and upper bounds on the grid's y axis: metres, or degrees of a rotated pole"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Area:
        pairs = {"lat": self.lat, "lon": self.lon, "x": self.x, "y": self.y}
        for name, pair in pairs.items():
            if pair and pair[0] >= pair[1]:
                raise ValueError(f"{name} must be [lower, upper], found {list(pair)}")
        if (self.lat is None) != (self.lon is None) or (self.x is None) != (self.y is None):
            raise ValueError("give lat and lon together, or x and y together")
        if (self.lat is None) == (self.x is None):
            raise ValueError("give either lat and lon, or x and y")
        return self


def _date_text(value: Any) -> Any:
    # YAML reads 2006 as an integer and 2006-01-01 as a date.
    return value if isinstance(value, str) else str(value)


DateText = Annotated[
    str,
    BeforeValidator(_date_text, json_schema_input_type=str | int),
    Field(pattern=r"^\d{4}(-\d\d(-\d\d(T\d\d)?)?)?$"),
]


class Period(Strict):
    """A period in the product's own calendar; both ends are inclusive, so `end: 2010` holds all of 2010."""

    start: DateText | None = Field(
        None, description="first year, month, day or hour", examples=["2006", "2006-01-31", "2006-01-31T06"]
    )
    end: DateText | None = Field(None, description="last year, month, day or hour, inclusive")

    @model_validator(mode="after")
    def _some(self) -> Period:
        if self.start is None and self.end is None:
            raise ValueError("give start, end or both")
        return self


_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = r"^(\d+(\.\d+)?) ?(s|seconds?|min|minutes?|h|hours?|d|days?)$"


def _seconds(value: Any) -> Any:
    match = re.fullmatch(_DURATION, value) if isinstance(value, str) else None
    if not match or not float(match[1]):
        raise ValueError(
            f'a duration is a number with its unit, such as "90 s", "30 min", "8 h" or "2 d"; found {value!r}'
        )
    return float(match[1]) * _SECONDS[match[3][0]]


Duration = Annotated[
    float,
    BeforeValidator(_seconds, json_schema_input_type=Annotated[str, Field(pattern=_DURATION)]),
    PlainSerializer(lambda value: f"{value:.10g} s", when_used="json"),
]
"""Seconds, from a text with its unit."""


def _years(value: Any) -> Any:
    if value == "auto":
        return value
    match = re.fullmatch(r"(\d+) years?", value) if isinstance(value, str) else None
    if not match or not int(match[1]):
        raise ValueError(f'a segment is a number of years such as "10 years", or auto; found {value!r}')
    return int(match[1])


class LayoutOptions(Strict):
    """How a product is laid out on the store."""

    segment: Annotated[int | Literal["auto"], BeforeValidator(_years, json_schema_input_type=str)] | None = Field(
        None,
        description="years of data that lie together in one chunk. Give it for products that grow, so that new data "
        "touch only the last one: `auto`, or a number; without it the whole period is one chunk, and growth makes all "
        "of it anew. `auto` takes the longest of 10, 5, 2 and 1 years of which all variables have less than 10 GB "
        "before compression, since so much is encoded again whenever the product grows",
        examples=["auto", "10 years"],
    )
    maps: bool = Field(False, description="publish map.zarr too: the same data laid out for whole maps of single steps")


class Gaps(Strict):
    """Holes in the archive that are known and will be written as missing."""

    max_days: int = Field(0, ge=0, description="accept every hole of at most so many days")
    periods: tuple[tuple[DateText, DateText], ...] = Field(
        (), description="accept holes inside these [first, last] dates, inclusive"
    )


Duplicates = Literal["refuse", "first", "last"]
