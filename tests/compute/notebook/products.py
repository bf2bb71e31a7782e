"""Products of metrics and of changes with known numbers, and a job that publishes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import pyproj
import pytest
import xarray as xr

from batch.build import Outcome, build
from batch.reporting import Reporter
from batch.spec import load_spec
from compute.seasons.reasons import MEANINGS, flag_attrs
from cube.axes import EPOCH_YEAR, Step, TimeAxis, encode
from cube.blockjob import BlockJob
from cube.hashing import array_digest
from cube.job import Window
from cube.layout import Group
from cube.options import Strict
from cube.provenance import Citation, Provenance
from cube.template import ArraySpec, Template

FILL = -32768
DATES = FILL * 65536
TOLD = {
    "method": "anomalous accumulation (Liebmann et al. 2012, Dunning et al. 2016)",
    "thresholds": "arid below 1 mm d-1; no season where onset scatters by more than 45 d",
    "reference_product": "rain",
    "reference_period": "1991-01-01 to 1992-12-31",
}
CITED = Citation(
    "Dunning, C. M. (2016): The onset and cessation of seasonal rainfall over Africa", "10.1002/2016JD025428"
)
FLAG = {name: number for number, name in enumerate(MEANINGS)}


def grid(lats: Any, lons: Any) -> dict[str, Any]:
    return {
        "lat": xr.Variable(("lat",), np.asarray(lats, float), {"units": "degrees_north", "standard_name": "latitude"}),
        "lon": xr.Variable(("lon",), np.asarray(lons, float), {"units": "degrees_east", "standard_name": "longitude"}),
    }


def years(first: int, count: int, calendar: str = "standard", month: int = 1) -> TimeAxis:
    return TimeAxis(first - EPOCH_YEAR, count, Step("year", month=month), calendar)


class Toy:
    """arrays: dims, values and attributes by name; the cells are those of `space`."""

    def __init__(
        self,
        arrays: Mapping[str, tuple[tuple[str, ...], Any, Mapping[str, Any]]],
        coords: Mapping[str, Any],
        time: TimeAxis | None = None,
        *,
        space: tuple[str, ...] = ("lat", "lon"),
        epsg: int | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.values = {name: np.asarray(each[1]) for name, each in arrays.items()}
        specs = {
            name: ArraySpec(dims, self.values[name].shape, self.values[name].dtype, dict(attrs))
            for name, (dims, _, attrs) in arrays.items()
        }
        timed = tuple(name for name, each in specs.items() if "time" in each.dims)
        still = tuple(name for name in specs if name not in timed)
        crs = {"epsg": epsg, "wkt": pyproj.CRS(epsg).to_wkt() if epsg else None}
        groups = tuple(each for each in (timed, still) if each)
        self.template = Template(
            specs, xr.Dataset(coords=dict(coords)), time, space, groups, crs=crs, bbox=(-20.0, -35.0, 55.0, 38.0)
        )
        self.notes = notes


class ToyOptions(Strict):
    product_fields: ClassVar[tuple[str, ...]] = ("input", "simulation")

    key: str
    input: str | None = None
    simulation: str | None = None
    reference: str | None = None
    variable: str | None = None
    threshold: str | None = None


class ToyJob(BlockJob):
    """Publishes a product that `given` holds under its key."""

    name = "toy"
    revision = 1
    Options = ToyOptions
    options: ToyOptions
    given: ClassVar[dict[str, Toy]] = {}

    @property
    def toy(self) -> Toy:
        return ToyJob.given[self.options.key]

    def template(self) -> Template:
        return self.toy.template

    def key_options(self) -> Mapping[str, Any]:
        return {}

    def identities(self, group: Group, slices: Mapping[str, slice]) -> list[Any]:
        return [array_digest(self.toy.values[name]) for name in group.variables]

    def reads(self, group: Group, slices: Mapping[str, slice]) -> Mapping[str, Window]:
        return {}

    def compute(self, group: Group, slices: Mapping[str, slice], data: Mapping[str, xr.Dataset]) -> xr.Dataset:
        arrays = self.toy.template.arrays
        return xr.Dataset(
            {
                name: (
                    arrays[name].dims,
                    self.toy.values[name][tuple(slices.get(dim, slice(None)) for dim in arrays[name].dims)],
                )
                for name in group.variables
            }
        )

    def provenance(self) -> Provenance:
        return Provenance("CC-BY-4.0", "yes", citations=(CITED,))

    def notes(self) -> Mapping[str, Any]:
        return {"notes": list(self.toy.notes)}


class ToyEmulate(ToyJob):
    name = "emulate"


class ToyEvaluate(ToyJob):
    name = "evaluate"


JOBS = (ToyJob, ToyEmulate, ToyEvaluate)


def season_toy(
    onset: Any,
    cessation: Any,
    flag: Any,
    coords: Mapping[str, Any],
    time: TimeAxis,
    *,
    start: Any,
    end: Any,
    **more: Any,
) -> Toy:
    """Of the metric `wet_season`. onset, cessation, flag: (time, season, *cells); start, end: (season, *cells)."""
    space = more.get("space", ("lat", "lon"))
    told = {**TOLD, **more.pop("told", {})}
    dims, still = ("time", "season", *space), ("season", *space)
    onset, cessation = np.asarray(onset, np.int16), np.asarray(cessation, np.int16)
    days = {"units": "d", "_FillValue": FILL, **told}
    beside = {**days, "ancillary_variables": "season_flag"}
    first = encode(np.arange(time.first, time.stop), time.step, time.calendar).reshape(-1, *(1,) * (onset.ndim - 1))
    leap = np.diff(encode(np.arange(time.first, time.stop + 1), time.step, time.calendar)) == 366
    leap = leap.reshape(first.shape)

    def dates(day: Any) -> Any:
        return np.where(day == FILL, DATES, first + day + (leap & (day >= 59))).astype(np.int32)

    # As the job `metric` has them: xarray has no missing dates but in Gregorian calendars.
    dated = {"units": time.units, "calendar": time.calendar, "_FillValue": DATES, **told}
    if time.calendar in ("noleap", "360_day"):
        comment = f"days since 1970-01-01 in the calendar {time.calendar}"
        dated = {"units": "d", "comment": comment, "_FillValue": DATES, **told}
    season = np.arange(1, onset.shape[1] + 1, dtype=np.int32)
    length = np.where(onset == FILL, FILL, cessation - onset + 1).astype(np.int16)
    return Toy(
        {
            "onset": (dims, onset, {"long_name": "first day of the season", **beside}),
            "cessation": (dims, cessation, {"long_name": "last day of the season", **beside}),
            "length": (dims, length, {"long_name": "length of the season", **beside}),
            "onset_date": (dims, dates(onset), {"long_name": "date of the first day", **dated}),
            "cessation_date": (dims, dates(cessation), {"long_name": "date of the last day", **dated}),
            "season_flag": (dims, np.asarray(flag, np.int8), {**flag_attrs(), **told}),
            "rain_mean": (space, np.full(onset.shape[2:], 2.5), {"long_name": "mean rain", "units": "mm d-1", **told}),
            "season_start": (still, np.asarray(start, np.int16), {"long_name": "climatological first day", **days}),
            "season_end": (still, np.asarray(end, np.int16), {"long_name": "climatological last day", **days}),
        },
        {**coords, "season": xr.Variable(("season",), season, {"long_name": "number of the season"})},
        time,
        **more,
    )


def change_toy(change: Any, significant: Any, flag: Any, coords: Mapping[str, Any], *, name: str = "onset") -> Toy:
    """A product as the job `change` makes it: (model, window, *cells)."""
    dims = ("model", "window", "lat", "lon")
    change = np.asarray(change, np.float32)
    told = {"units": "d", "reference_product": "rain", "reference_period": "1976-01-01 to 2005-12-31"}
    masks = {"flag_masks": [1, 2, 4], "flag_meanings": "too_few_seasons within_emulator_error out_of_domain"}
    named = {
        "model": xr.Variable(
            ("model",), np.arange(change.shape[0], dtype=np.int32), {"flag_values": [0], "flag_meanings": "hadgem"}
        ),
        "window": xr.Variable(
            ("window",), np.arange(2, dtype=np.int32), {"flag_values": [0, 1], "flag_meanings": "2041-2070 2070-2099"}
        ),
    }
    return Toy(
        {
            f"{name}_change": (dims, change, {"long_name": "change of the first day of the season", **told}),
            f"{name}_significant": (dims, np.asarray(significant, np.int8), {"units": "1"}),
            f"{name}_flag": (dims, np.asarray(flag, np.int8), {"units": "1", **masks}),
        },
        {**coords, **named},
    )


SPEC = """
title: Pictures
store: ./cube
memory: 1 GiB
cluster: {{kind: local, workers: 0}}
products:
{products}
"""


def built(folder: Path, toys: Mapping[str, Toy], rows: Mapping[str, str] = MappingProxyType({}), *only: str) -> Outcome:
    """A cube of all toys under their names. rows: further keys of a product by name, or products of other jobs."""
    from batch import jobs

    ToyJob.given.update(toys)
    told = {**{name: f"job: toy, key: {name}" for name in toys}, **rows}
    lines = [f"  {name}: {{collection: metrics, {row}}}" for name, row in told.items()]
    (folder / "cube.yaml").write_text(SPEC.format(products="\n".join(lines)))
    # Other tests of this process build with the real jobs.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUBE_CACHE", str(folder / "identities"))
        for job in JOBS:
            patch.setitem(jobs.JOBS, job.name, job)
            patch.setitem(jobs.OPTIONS, job.name, job.Options)
        spec = load_spec(folder / "cube.yaml", jobs.OPTIONS)
        return build(spec, list(only) or spec.order(), Reporter(quiet=True))
