"""How a source is declared: which variables an archive holds, and by which rules its files are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ingest.selection import Citation, Provider, Redistribution

Kind = Literal["state", "rate", "accumulation", "flag"]
Daily = Literal["mean", "maximum", "minimum"]
Label = Literal["auto", "start", "end", "name"]
Others = Literal["refuse", "offer", "take"]


@dataclass(frozen=True)
class Variable:
    """One published variable of a source.

    name           published name
    archive        names it has in archive files, the preferred one first
    units          published units; None keeps those of the file
    kind           "accumulation": sums over a step in the archive, published as a rate; "flag": kept as integers
    archive_units  units of files that state none
    spellings      unit texts of this archive that mean another unit, e.g. {"mm/6h": "mm"}
    sentinels      raw values that mean missing although the file may not say so
    floor          published values in [floor, 0) are packing noise and become 0, lower ones are an error
    daily          how sub-daily values become daily ones
    dtype          published type, default that of the file (float32 for packed integers of up to 16 bits)
    quality        flag variable of the file that decides which values are kept
    attrs          further CF attributes
    """

    name: str
    archive: tuple[str, ...]
    units: str | None
    kind: Kind = "state"
    standard_name: str | None = None
    long_name: str | None = None
    cell_methods: str | None = None
    archive_units: str | None = None
    spellings: Mapping[str, str] = field(default_factory=dict)
    sentinels: tuple[float, ...] = ()
    floor: float | None = None
    daily: Daily = "mean"
    dtype: str | None = None
    quality: str | None = None
    attrs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TimeRule:
    """How the label (the start of the period) follows from a file.

    label    "auto": the start of the bounds where there are bounds, else the stamp, floored to the step;
             "start": the stamp; "end": the stamp is the end of the period, unless bounds say it better;
             "name": from the fields year, month, day of the file name
    step     step of files with a single time and no bounds
    years    whether "years since" counts whole calendar years
    """

    label: Label = "auto"
    step: str | None = None
    years: bool = False


@dataclass(frozen=True)
class GridRule:
    """How the map of a file is known.

    kind  "read": from its coordinates; "land": coordinates, and a vector of land points is scattered to the map they
          span; "ease2": rebuilt from the constants of EASE-Grid 2.0, chosen by shape
    epsg  expected projection, None for latitude and longitude or whatever the file states
    tried projections that land points may lie on regularly where they do not in latitude and longitude
    """

    kind: Literal["read", "land", "ease2"] = "read"
    epsg: int | None = None
    tried: tuple[int, ...] = ()


@dataclass(frozen=True)
class Source:
    """A convention for archive files.

    revision    raised when the same files give another product
    others      variables that are not declared: "refuse" them, "offer" them to the option `variables`, or "take" them
    group       HDF5 group that holds the variables
    patterns    regular expressions that a whole file name must match, first match wins. Known fields: year, month, day,
                hour (of the single time, or the year or month that the file covers), first, last (dates or years that
                it covers); any other field describes the file
    uniform     fields that must not differ between the files of one product (compared without case)
    properties  STAC property of a field, set where all files agree (in lower case)
    aliases     further STAC properties with the value of a property
    constants   STAC properties that hold for every file of the source
    attrs       global attributes of the product
    soil_layers native dimension that counts JULES soil layers, published as `depth`
    sentinels   of variables that are not declared
    notes       what a user of the product must know, one sentence each
    """

    name: str
    revision: int
    title: str
    description: str
    licence: str
    redistribution: Redistribution
    keywords: tuple[str, ...] = ()
    licence_url: str | None = None
    providers: tuple[Provider, ...] = ()
    citations: tuple[Citation, ...] = ()
    variables: tuple[Variable, ...] = ()
    others: Others = "refuse"
    group: str = ""
    time: TimeRule = field(default_factory=TimeRule)
    grid: GridRule = field(default_factory=GridRule)
    patterns: tuple[str, ...] = ()
    uniform: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    attrs: Mapping[str, str] = field(default_factory=dict)
    soil_layers: str | None = None
    sentinels: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()

    def fields(self, name: str) -> dict[str, str] | None:
        """What the file name (without folders) tells, or None where no pattern fits; empty without patterns."""
        base = name.rsplit("/", 1)[-1]
        for pattern in self.patterns:
            match = re.fullmatch(pattern, base)
            if match:
                return {key: value for key, value in match.groupdict().items() if value is not None}
        return None if self.patterns else {}
