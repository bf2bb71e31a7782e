"""The metrics as functions of any array, for notebooks: the same code and options as the `metric` job's.

Data are daily, with a decoded coordinate `time` and `units`, on numpy or dask, with any further dimensions. Thresholds
are texts with their unit, such as "1 mm d-1", or "50 %". A reference is a series with the same further dimensions, or a
pair of years of the data themselves; without one the data's own whole years are taken, which shows timing only.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.arrays import array_of, days_of
from compute.metrics.given import Reference, converted, options_of, past_of, units_of
from compute.metrics.kind import Arrays, Kind, Made, Setting
from compute.metrics.kinds import KINDS
from cube.errors import InputError, Problem, SpecError

Cells = tuple[Hashable, ...]


def dry_days(
    data: xr.DataArray,
    threshold: str | None = None,
    *,
    percentile: float | None = None,
    reference: Reference = None,
    starts: str = "01-01",
    months: Sequence[str] = (),
    spell: str = "5 d",
    window: str = "15 d",
    missing: str = "5 %",
) -> xr.Dataset:
    """Days below a threshold, their longest run and the number of runs, of each year: see docs/metrics/dry-days.md.

    threshold   limit with its unit; days strictly below it count
    percentile  in place of it: of the reference's values of each day of the year, `window` days around it
    starts      first day of the years, the first of a month;  months: parts of the year such as ["MAM", "OND"]

    Returns dry_days, longest_dry_spell, dry_spells and valid_days, in days, and what is so far of the year in which the
    data end as provisional_*. Raises InputError with all options that do not fit, and for data that do not.
    """
    limit = {"threshold": threshold, "percentile": percentile, "window": window}
    options = {**limit, "starts": starts, "months": months, "spell": spell, "missing": missing}
    compared = percentile is not None or reference is not None
    return _metric("dry_days", data, reference, options, compared=compared)


def wet_season(
    pr: xr.DataArray,
    *,
    reference: Reference = None,
    arid: str = "1 mm d-1",
    spread: str = "45 d",
    missing: str = "5 %",
) -> xr.Dataset:
    """Onset, cessation and length of the wet season by anomalous accumulation: see docs/metrics/wet-season.md.

    pr  rain, in units that convert to mm d-1

    Returns arrays of (year, season, ...), the reference's climatology, and provisional_* of a season in progress.
    """
    return _metric("wet_season", pr, reference, {"arid": arid, "spread": spread, "missing": missing}, compared=True)


def threshold_season(pr: xr.DataArray, rule: str | Mapping[str, Any], *, missing: str = "5 %") -> xr.Dataset:
    """Onset, cessation and length by fixed thresholds of rain: see docs/metrics/threshold-season.md.

    rule  sivakumar_1988, stern_1981 or fews, or thresholds of your own by name
    """
    return _metric("threshold_season", pr, None, {"rule": rule, "missing": missing})


def soil_season(
    beta: xr.DataArray,
    *,
    reference: Reference = None,
    threshold: str = "50 %",
    run: str = "10 d",
    missing: str = "5 %",
) -> xr.Dataset:
    """The time in which soil moisture availability is above a threshold: see docs/metrics/soil-season.md.

    beta  0 to 1
    """
    options = {"threshold": threshold, "run": run, "missing": missing}
    return _metric("soil_season", beta, reference, options, compared=True)


def wrsi(
    beta: xr.DataArray,
    *,
    reference: Reference = None,
    starts: str = "01-01",
    months: Sequence[str] = (),
    missing: str = "5 %",
) -> xr.Dataset:
    """Mean beta of years or parts of them in percent of the reference's, with terciles: see docs/metrics/wrsi.md."""
    options = {"starts": starts, "months": months, "missing": missing}
    return _metric("wrsi", beta, reference, options, compared=True)


def ssmi(data: xr.DataArray, *, reference: Reference = None, missing: str = "5 %") -> xr.Dataset:
    """Monthly standardised soil moisture index and classes of drought: see docs/metrics/ssmi.md.

    data  soil moisture of any unit, or beta
    """
    return _metric("ssmi", data, reference, {"missing": missing}, compared=True)


def _metric(
    name: str, data: xr.DataArray, reference: Reference, options: Mapping[str, Any], *, compared: bool = False
) -> xr.Dataset:
    series = array_of(data, "data")
    settings = options_of(name, {"metric": name, "input": str(series.name or "data"), **options}, compared=compared)
    days = days_of(series)
    past = past_of(series, days, reference) if compared else None
    units = units_of(series)
    wanted = KINDS[name].units
    KINDS[name].refuse_units(str(series.name or "data"), units, "data")
    told, attrs = (past.told, past.attrs) if past else ("", {})
    kind = KINDS[name](Setting(settings, days, past.days if past else None, units, told, attrs))
    try:
        # Thresholds meet the units of the series here, not when a dask array is computed.
        _ = kind.periods, kind.key()
    except ValueError as error:
        raise InputError(Problem("no-whole-period", str(error), name, fix="give a longer series")) from None
    except SpecError as error:
        raise InputError(error.problems) from None
    cells = tuple(dim for dim in series.dims if dim != "time")
    values = converted(series, units, wanted or units)
    climate: dict[str, xr.DataArray] = {}
    if kind.reference():
        assert past is not None
        climate = _applied(kind, converted(past.series, units_of(past.series), wanted or units), {}, cells, "reference")
    made = {**climate}
    made |= _applied(kind, values, climate, cells, "periods")
    if kind.unfinished():
        part = values.isel(time=kind.reads_unfinished())
        made |= _applied(kind, part, climate, cells, "unfinished")
    dated = {name: value for name, value in kind.periods.attrs().items() if name != "bounds"}
    time = xr.Variable(("time",), kind.periods.encoded(), dated)
    coords = {name: each for name, each in series.coords.items() if "time" not in each.dims}
    note = {each: attrs[each] for each in ("reference_note",) if each in attrs}
    found = xr.Dataset(made, coords={**coords, **kind.coords(), "time": time}, attrs=note)
    return xr.decode_cf(found, decode_timedelta=False)


def _applied(
    kind: Kind, series: xr.DataArray, climate: Mapping[str, xr.DataArray], cells: Cells, part: str
) -> dict[str, xr.DataArray]:
    """The arrays of one part of a metric, lazily where the series is."""
    specs = {"reference": kind.reference, "periods": kind.arrays, "unfinished": kind.unfinished}[part]()
    lead = ("time_of_metric",) if part == "periods" else ()
    given = list(climate)
    dims_of = [kind.reference()[name].dims for name in given]

    def compute(values: NDArray[Any], *reference: NDArray[Any]) -> Any:
        # Core dimensions come last; the metric wants the cells last.
        shape = values.shape[:-1]
        flat = np.ascontiguousarray(np.moveaxis(values, -1, 0).reshape(values.shape[-1], -1), np.float32)
        own: Arrays = {}
        for name, each, dims in zip(given, reference, dims_of, strict=True):
            axes = len(dims)
            moved = np.moveaxis(each, range(each.ndim - axes, each.ndim), range(axes)) if axes else each
            own[name] = np.ascontiguousarray(moved.reshape(*moved.shape[:axes], -1))
        if part == "reference":
            made = kind.of_reference(flat, {})
        elif part == "unfinished":
            made = kind.of_unfinished(flat, own)
        else:
            made = kind.of_periods(flat, 0, kind.periods.count, own)
        parts = tuple(_cells_first(made[name], spec, shape, len(lead)) for name, spec in specs.items())
        return parts if len(parts) > 1 else parts[0]

    read = series
    if part == "periods":
        read = series.isel(time=kind.reads(0, kind.periods.count))
    if read.chunks is not None:
        read = read.chunk(time=-1)
    lengths = {name: len(each) for name, each in kind.coords().items()} | {"time_of_metric": kind.periods.count}
    outs = [[*lead, *spec.dims] for spec in specs.values()]
    used = {str(dim) for dims in outs for dim in dims}
    found = xr.apply_ufunc(
        compute,
        read,
        *(climate[name] for name in given),
        input_core_dims=[["time"], *([*dims] for dims in dims_of)],
        output_core_dims=outs,
        dask="parallelized",
        output_dtypes=[np.dtype(spec.dtype) for spec in specs.values()],
        dask_gufunc_kwargs={"output_sizes": {dim: lengths[dim] for dim in used if dim in lengths}},
        keep_attrs=False,
    )
    results = found if isinstance(found, tuple) else (found,)
    made: dict[str, xr.DataArray] = {}
    for (name, spec), each in zip(specs.items(), results, strict=True):
        array = each.rename({"time_of_metric": "time"}) if lead else each
        dims = (*(("time",) if lead else ()), *spec.dims, *cells)
        made[name] = array.transpose(*dims).assign_attrs(dict(spec.attrs))
    return made


def _cells_first(made: NDArray[Any], spec: Made, shape: tuple[int, ...], lead: int) -> NDArray[Any]:
    """An array (lead, *dims, cells) as xarray wants it: (*cells, lead, *dims)."""
    axes = lead + len(spec.dims)
    whole = made.reshape((*made.shape[:axes], *shape))
    moved = np.moveaxis(whole, range(axes), range(whole.ndim - axes, whole.ndim))
    return np.asarray(moved, order="C")
