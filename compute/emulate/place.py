"""The emulator at one place, for a notebook: the published weather, a changed one, or a series of one's own."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.arrays import days_of
from compute.emulate.job import EmulateJob
from compute.emulate.options import EmulateOptions
from compute.emulator.features import START_DAYS
from compute.nearest import Place, nearest
from compute.places import places
from cube.axes import TimeAxis, same_calendar
from cube.catalogue import Cube
from cube.errors import InputError, Problem
from cube.job import JobContext, ProductView, Window
from cube.seriesjob import State
from cube.units import conversion

Weather = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class _At:
    """What does not change between questions about one place.

    state  before the first day of the product where it continues another one, else None
    """

    job: EmulateJob
    cells: Mapping[str, slice]
    found: Place
    data: Mapping[str, xr.Dataset]
    weather: Weather
    state: State | None
    version: str


def emulate(
    cube: Cube,
    product: str,
    place: tuple[float, float],
    *,
    pr: xr.DataArray | None = None,
    tas: xr.DataArray | None = None,
    rain: float = 1.0,
    warming: float = 0.0,
) -> xr.Dataset:
    """Soil moisture of one place by the model behind an emulated product.

    product  name of a product of the job `emulate`: its model, soil, baseline and weather are used
    place    latitude and longitude in degrees; the nearest cell with values stands for it, if it is within 1.5 cells
    pr, tas  rain and temperature of your own, daily series of one dimension `time` with `units`; both or none
    rain     factor on rain, such as 0.8 for 20 % less
    warming  kelvins that are added to the temperature

    A changed scenario starts from the state in which the product itself did. A series of your own that does not start
    on the product's first day starts from its own first 365 days, and its first three years still remember that.

    Returns smcl (time, depth) in kg m-2, fsmc (time) and out_of_domain (time); attributes tell the cell's centre and
    its distance. Raises InputError for places without a cell and for series that cannot be used, MissingObjectError for
    an unknown product.
    """
    if not rain >= 0:
        what = f"a factor on rain of {rain} gives negative rain"
        raise InputError(Problem("forcing-illegal", what, "rain", fix="give 0 or more"))
    at = _at(cube, product, (float(place[0]), float(place[1])))
    days, weather, state = at.job.forcing.days, at.weather, at.state
    if (pr is None) != (tas is None):
        raise InputError(Problem("series-unusable", "pr and tas are needed both", "pr, tas", fix="give both or none"))
    if pr is not None and tas is not None:
        own, weather = _own(pr, tas)
        if own.first != days.first or not same_calendar(own.calendar, days.calendar):
            state = None
        days = own
    changed = weather[0] * np.float32(rain), weather[1] + np.float32(warming)
    if state is None:
        state = at.job.started(at.cells, at.data, changed, days)
    made, _ = at.job.asked(at.cells, at.data, changed, days, 0, state)
    return _told(at, made, days, product, {"rain": f"x {rain:g}", "warming": f"{warming:g} K"})


def _at(cube: Cube, product: str, place: tuple[float, float]) -> _At:
    _, manifest = cube.view(product)
    if manifest["job"] != EmulateJob.name:
        fix = "name a product of the job `emulate`"
        raise InputError(Problem("not-emulated", f"it is of the job {manifest['job']}", product, fix=fix))
    return _kept(cube, product, place, manifest["fingerprint"], tuple(sorted(manifest["options"].items())))


@functools.lru_cache(maxsize=64)
def _kept(
    cube: Cube, product: str, place: tuple[float, float], version: str, given: tuple[tuple[str, Any], ...]
) -> _At:
    options = EmulateOptions.model_validate(dict(given))
    names = {options.model, options.pr, options.tas, options.soil, options.baseline}
    names |= {options.continues} if options.continues else set()
    job = EmulateJob.create(options, JobContext(folder=Path(), inputs={name: cube.view(name)[0] for name in names}))
    whole = {name: slice(0, len(job.soil.template.coords[name])) for name in job.soil.template.space}
    lats, lons = places(job.soil, whole)
    fixed = _read(job, {k: w for k, w in job.fixed(whole).items() if k != options.model})
    found = nearest(place, lats, lons, np.isfinite(job.statics(fixed)).all(axis=0))
    at = np.unravel_index(found.position, [part.stop for part in whole.values()])
    cells = {name: slice(int(i), int(i) + 1) for name, i in zip(whole, at, strict=True)}
    days = job.forcing.days.count
    data = _read(job, {**job.fixed(cells), **job.forcing.windows(cells, 0, days)})
    arrays = job.forcing.arrays(data)
    state = job.continued.state(_read(job, job.starts_from(cells))) if job.continued else None
    return _At(job, cells, found, data, (arrays["pr"], arrays["tas"]), state, version)


def _read(job: EmulateJob, windows: Mapping[str, Window]) -> dict[str, xr.Dataset]:
    # Only the chunks of one cell are read, each proven by its own checksum; files are proven whole.
    return {name: _part(job.inputs[name], window) for name, window in windows.items()}


def _part(view: ProductView, window: Window) -> xr.Dataset:
    assert view.ref is not None
    found = view.ref.read(window.variables, window.slices) if window.variables else xr.Dataset()
    return found.assign_attrs({name: view.ref.file(name, view.proofs) for name in window.files})


def _own(pr: xr.DataArray, tas: xr.DataArray) -> tuple[TimeAxis, Weather]:
    """The days and the values of series of one's own. Raises InputError with all that is wrong with them."""
    problems = []
    values = []
    for name, series, unit in (("pr", pr, "mm d-1"), ("tas", tas, "K")):
        if series.dims != ("time",):
            problems.append(_unusable(name, f"dimensions are {series.dims}, not ('time',)", "select one cell"))
            continue
        try:
            factor, offset = conversion(str(series.attrs["units"]), unit)
        except (KeyError, ValueError) as error:
            told = "it has no units" if isinstance(error, KeyError) else str(error)
            problems.append(_unusable(name, told, f"set `attrs['units']`, convertible to {unit}"))
            continue
        values.append((series.values * factor + offset).astype(np.float32))
    if problems:
        raise InputError(problems)
    days = days_of(pr)
    if days != days_of(tas):
        raise InputError(_unusable("pr, tas", "they are of different days", "cut both to the same days"))
    if days.count < START_DAYS:
        raise InputError(
            _unusable("pr, tas", f"{days.count} days", f"give {START_DAYS} or more: memories start from them")
        )
    rain, air = values
    low, high = float(np.nanmin(rain)), float(np.nanmax(np.abs(air - 260)))
    if np.isnan(rain).any() or np.isnan(air).any() or low < 0 or high > 80:
        what = "there are missing values, negative rain, or temperatures that are none in kelvin"
        raise InputError(_unusable("pr, tas", what, "fill the gaps; see the units"))
    return days, (rain[:, None], air[:, None])


def _unusable(name: str, what: str, fix: str) -> Problem:
    return Problem("series-unusable", what, name, "soil water of every later day would be wrong", fix)


def _told(at: _At, made: xr.Dataset, days: TimeAxis, product: str, changes: Mapping[str, str]) -> xr.Dataset:
    """The result as a dataset of one place, with decoded time."""
    template = at.job.template()
    flat = made.squeeze(list(at.cells), drop=True).squeeze("pft", drop=True)
    for name in flat.data_vars:
        flat[name].attrs = {k: v for k, v in template.arrays[str(name)].attrs.items() if k != "_FillValue"}
    time = xr.Variable(("time",), days.encoded(), {"units": days.units, "calendar": days.calendar})
    depth = template.coords["depth"].variable
    attrs = {
        "product": product,
        "version": at.version[:12],
        "lat": at.found.lat,
        "lon": at.found.lon,
        "distance_km": round(at.found.km, 1),
        **changes,
    }
    return xr.decode_cf(flat.assign_coords(time=time, depth=depth).assign_attrs(attrs))
