"""How hypothesis draws sets of files that are sound: every step of a period once, on one map."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from tests.batch.file_sets import (
    CALENDARS,
    CANONICAL,
    EPOCHS,
    HOURS,
    RANGES,
    UNIT_SECONDS,
    UNITS,
    File,
    FileSet,
    Map,
    Period,
    Stored,
    Times,
)


def rarely(draw: st.DrawFn) -> bool:
    return draw(st.integers(0, 7)) == 7


STEPS = ("day", "day", "month", "year", *HOURS)


@st.composite
def periods(draw: st.DrawFn, steps: Sequence[str]) -> Period:
    calendar = draw(
        st.sampled_from(["standard", "standard", "proleptic_gregorian", "noleap", "360_day", "all_leap", "julian"])
    )
    step = draw(st.sampled_from(steps))
    year = draw(st.one_of(st.integers(1900, 2101), st.sampled_from([1582, 850, 1996])))
    start = draw(
        st.one_of(
            st.tuples(st.just(year), st.integers(1, 12), st.integers(1, 28)),
            st.sampled_from([(year, 2, 27), (year, 12, 28), (year, 10, 3)]),
        )
    )
    longest = {"day": 40, "month": 30, "year": 12}.get(step, 60)
    many = {"day": [366, 400, 731], "month": [36]}.get(step, [80])
    count = draw(st.one_of(st.integers(1, longest), st.sampled_from(many)))
    if step in ("month", "year"):
        start = (start[0], start[1] if step == "month" else 1, 1)
    return Period(calendar, step, start, count)


@st.composite
def axes(draw: st.DrawFn) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Latitudes ascending, and longitudes from west to east in -180..180."""
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    step = draw(st.sampled_from([0.25, 0.5, 1.0, 2.5, 1.875]))
    south = draw(st.sampled_from([-89.0, -35.875, -1.5 * step, 0.0, 10.125, 75.0]))
    if draw(st.booleans()):
        latitudes = [south + step * row for row in range(rows)]
    else:
        gaps = draw(st.lists(st.sampled_from([1.1, 1.7, 2.3]), min_size=rows, max_size=rows))
        latitudes = [round(south + sum(gaps[:row]), 3) for row in range(rows)]
    west = draw(st.sampled_from([-179.0, -18.875, -2 * step, -0.5 * step, 0.0, 29.9]))
    if rarely(draw):
        columns = max(columns, 2)
        step, west = 360 / columns, -180.0 + 180 / columns  # the whole globe
    return tuple(latitudes), tuple(round(west + step * column, 6) for column in range(columns))


@st.composite
def maps(draw: st.DrawFn, latitudes: Sequence[float], longitudes: Sequence[float]) -> Map:
    rows = list(latitudes)[:: draw(st.sampled_from([1, -1]))]
    way = draw(st.sampled_from(["180", "180", "360", "360 sorted", "beyond", "reversed"]))
    columns = [each % 360 for each in longitudes] if way.startswith("360") else list(longitudes)
    if max(longitudes) > 180 and way == "180":
        columns = [(each + 180) % 360 - 180 for each in longitudes]
    if way == "360 sorted":
        columns.sort()
    elif way == "beyond":
        columns = [each + 360 for each in longitudes]
    elif way == "reversed":
        columns.reverse()
    names = draw(st.sampled_from([("lat", "lon"), ("lat", "lon"), ("latitude", "longitude")]))
    regular = way != "360 sorted" and np.ptp(np.diff(latitudes)) < 1e-9 if len(latitudes) > 1 else True
    bounds = regular and draw(st.booleans())
    return Map(tuple(rows), tuple(columns), draw(st.sampled_from(["f8", "f4"])), names, bounds, rarely(draw))


@st.composite
def times(
    draw: st.DrawFn, period: Period, steps: Sequence[int], kind: str, bounds: bool | None, begins: int, alone: str
) -> Times:
    """`alone` is the label of times without bounds."""
    unit = draw(st.sampled_from(list(UNIT_SECONDS)))
    first = period.start[0]
    epochs = [each for each in EPOCHS if first > 1600 or each in ("since 0001-01-01", "since 1970-01-01")]
    epoch = draw(st.sampled_from(epochs))
    bounded = draw(st.booleans()) if bounds is None else bounds
    label = draw(st.sampled_from(["start", "middle", "end"])) if bounded else alone
    if period.step == "3 hours" and label == "middle":
        label = "start"
    late = ("proleptic_gregorian",) if period.calendar == "standard" and first > 1600 else ()
    given = draw(st.sampled_from((*CALENDARS[period.calendar], *late)))
    made = Times(unit, epoch, "f8", label, bounded, given, draw(st.sampled_from(["time", "time", "t"])), begins)
    made = replace(made, backwards=bounded and rarely(draw), own_units=bounded and first > 1600 and rarely(draw))
    dtype = draw(st.sampled_from(["f8", "f4", "i4", "i8"] if kind == "NETCDF4" else ["f8", "f4", "i4"]))
    whole = UNIT_SECONDS[unit] < 86400 and label != "middle"
    furthest = abs(period.edge(max(steps) + 1).year - int(epoch.split()[1].split("-")[0])) + 1
    largest = furthest * 366 * 86400 / UNIT_SECONDS[unit]
    if dtype == "f4":
        fits = float(np.spacing(np.float32(largest))) * UNIT_SECONDS[unit] < 900
    else:
        fits = dtype == "f8" or (whole and (dtype == "i8" or largest < 2**31))
    return replace(made, dtype=dtype if fits else "f8")


@st.composite
def storage(
    draw: st.DrawFn, variable: str, kind: str, dims: tuple[str, ...], sizes: Mapping[str, int], plain: bool
) -> Stored:
    """`sizes` are those of the dimensions, 0 for an unlimited one; `plain` takes the canonical unit."""
    new = kind == "NETCDF4"
    units = draw(st.sampled_from(list(UNITS[variable])))
    if plain:
        units = CANONICAL[variable] if variable != "amount" else "mm"
    scale = offset = None
    unsigned = False
    if variable == "flag":
        dtype = draw(st.sampled_from(["i1", "i2", "i4", *(["u1", "u2"] if new else [])]))
        fill = draw(st.sampled_from([None, -1, -127, 0, 99] if dtype[0] == "i" else [None, 255, 0, 99]))
        missing = None
    elif draw(st.booleans()):
        dtype = draw(st.sampled_from(["i2", "i1", "i4", *(["u1", "u2", ">i2"] if new else [])]))
        bits = 8 * np.dtype(dtype).itemsize
        unsigned = dtype in ("i1", "i2") and draw(st.booleans())
        signed = np.dtype(dtype).kind == "i" and not unsigned
        factor, add = UNITS[variable][units]
        low, high = (each * factor + add for each in RANGES[variable])
        if variable == "amount":
            high *= 366
        room = 2 ** min(bits, 24) - 20
        scale = (high - low) / room * draw(st.sampled_from([1.0, 1.03, 1.1]))
        offset = low if not signed else low + scale * (room // 2)
        if variable != "tas":
            offset = None if not signed else offset
        fill = (-(2 ** (bits - 1)) if signed else -1 if unsigned else 2**bits - 1) if draw(st.integers(0, 3)) else None
        missing = fill if fill is not None and draw(st.booleans()) else None
        if signed and draw(st.booleans()):
            missing = -(2 ** (bits - 1)) + 1
    else:
        dtype = draw(st.sampled_from(["f4", "f4", "f8", *([">f4"] if new else [])]))
        fill = draw(st.sampled_from([None, -9999.0, 1e20, math.nan]))
        missing = draw(st.sampled_from([None, None, -9999.0, 1e20]))
    chunks = None
    if kind.startswith("NETCDF4") and (0 in sizes.values() or draw(st.booleans())):
        chunks = tuple(draw(st.integers(1, sizes[dim] or 8)) for dim in dims)
    # xarray overlooks 1e20 in double precision beside data in single.
    double = not unsigned and dtype not in ("f4", ">f4") and rarely(draw)
    return Stored(dtype, units, scale, offset, fill, missing, unsigned, dims, chunks, None, rarely(draw), double)


@st.composite
def files_of(
    draw: st.DrawFn,
    common: FileSet,
    variables: Sequence[str],
    steps: tuple[int, ...],
    name: str,
    bounds: bool | None,
    begins: int,
    alone: str,
) -> File:
    kind = draw(
        st.sampled_from(
            ["NETCDF4", "NETCDF4", "NETCDF4_CLASSIC", "NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"]
        )
    )
    unlimited = draw(st.booleans())
    placed = draw(maps(common.latitudes, common.longitudes))
    own = draw(times(common.period, steps, kind, bounds, begins, alone))
    if len(steps) == 1 and not unlimited and rarely(draw):
        own = replace(own, scalar=True)
    sizes = {"time": 0 if unlimited else len(steps), "lat": len(placed.latitudes), "lon": len(placed.longitudes)}
    if common.levels:
        sizes["lev"] = common.levels
    stored = {}
    for variable in variables:
        order = (
            draw(st.permutations(list(sizes)))
            if draw(st.booleans())
            else ["time", *(["lev"] if common.levels else []), "lat", "lon"]
        )
        if kind.startswith("NETCDF3") and unlimited:
            order = ["time", *(dim for dim in order if dim != "time")]
        if own.scalar:
            order.remove("time")
        stored[variable] = draw(storage(variable, kind, tuple(order), sizes, draw(st.booleans())))
    return File(name, steps, kind, unlimited, own, placed, stored, extras=rarely(draw))


def parts_of(draw: st.DrawFn, count: int, most: int) -> list[tuple[int, ...]]:
    """The steps 0..count in contiguous parts."""
    inner = draw(st.sets(st.integers(1, count - 1), max_size=most - 1)) if count > 1 else set()
    edges = [0, *sorted(inner), count]
    return [tuple(range(first, last)) for first, last in itertools.pairwise(edges)]


@st.composite
def sound_sets(
    draw: st.DrawFn,
    bounds: bool | None = None,
    steps: Sequence[str] = STEPS,
    longitudes: tuple[float, ...] | None = None,
    split: bool = True,
) -> FileSet:
    """Sets that hold every step of their period once, on one map.

    bounds  of time in all files or in none, where given;  split  whether variables may have files of their own
    """
    period = draw(periods(steps))
    latitudes, regional = draw(axes())
    longitudes = longitudes or regional
    levels = draw(st.sampled_from([0, 0, 0, 0, 1, 2]))
    variables = draw(st.lists(st.sampled_from(list(UNITS)), min_size=1, max_size=2, unique=True))
    segment = draw(st.sampled_from([None, "1 years", "2 years"]))
    layout = {"maps": draw(st.booleans())} | ({"segment": segment} if segment else {})
    common = FileSet(period, latitudes, longitudes, levels, (), draw(st.integers(0, 2**32 - 1)), layout)
    begins = draw(st.sampled_from([0, 0, 6, 9])) if period.step == "day" else 0
    alone = draw(st.sampled_from(["start", "middle"]))
    groups = [[each] for each in variables] if split and draw(st.integers(0, 3)) == 3 else [variables]
    names = draw(st.permutations([f"{folder}{letter}.nc" for letter in "abcdefghijkl" for folder in ("", "deep/")]))
    made: list[File] = []
    for group in groups:
        for part in parts_of(draw, period.count, draw(st.integers(1, 5))):
            made.append(draw(files_of(common, group, part, names[len(made)], bounds, begins, alone)))
    options = {}
    stamps = {step for file in made for step in file.steps}
    if all(len(file.steps) == 1 and not file.times.bounds for file in made) and len(stamps) < 3:
        options["step"] = period.step
    return replace(common, files=tuple(made), options=options, spilled=rarely(draw))
