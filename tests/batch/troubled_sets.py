"""How hypothesis draws sets of files with more to them: a hole, a duplicate, an option, a fault, or later arrivals."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from hypothesis import strategies as st

from tests.batch.drawn_sets import files_of, sound_sets
from tests.batch.file_sets import HOURS, File, FileSet, Period


def _date(period: Period, number: int) -> str:
    """A step as the options write dates."""
    date, step = period.edge(number), period.step
    return date.strftime({"year": "%Y", "month": "%Y-%m", "day": "%Y-%m-%d"}.get(step, "%Y-%m-%dT%H")).rjust(
        4 if step == "year" else 0, "0"
    )


@st.composite
def with_hole(draw: st.DrawFn) -> FileSet:
    files = draw(sound_sets(bounds=True).filter(lambda each: each.period.count > 2))
    first = draw(st.integers(1, files.period.count - 2))
    stop = draw(st.integers(first + 1, files.period.count - 1))
    kept = [replace(each, steps=tuple(n for n in each.steps if not first <= n < stop)) for each in files.files]
    kept = [_unchunked(each) for each in kept if each.steps]
    files = replace(files, files=tuple(kept))
    match draw(st.sampled_from(["undeclared", "shorter", "longest", "dates"])):
        case "longest":
            return files.having(gaps={"max_days": math.ceil(files.period.days(first, stop - first))})
        case "dates":
            return files.having(gaps={"periods": [[_date(files.period, first), _date(files.period, stop - 1)]]})
        case "shorter":
            days = math.ceil(files.period.days(first, stop - first)) - 1
            return replace(files.having(gaps={"max_days": days}), verdict="broken", codes=("time-gap",))
    return replace(files, verdict="broken", codes=("time-gap",))


def _unchunked(file: File) -> File:
    """A file that lost steps: its chunks along time may be longer than what is left."""
    if file.unlimited:
        return file
    return replace(file, stored={name: replace(each, chunks=None) for name, each in file.stored.items()})


@st.composite
def with_duplicate(draw: st.DrawFn) -> FileSet:
    """A further file of steps that others hold, or a copy of a file."""
    files = draw(sound_sets())
    rule = draw(st.sampled_from(["refuse", "first", "last"]))
    source = draw(st.sampled_from(files.files))
    name = draw(st.sampled_from(["0.nc", "z.nc"]))
    if draw(st.booleans()):
        again = replace(source, name=name)
        return replace(files, files=(*files.files, again)).having(duplicates=rule)
    first = draw(st.integers(0, files.period.count - 1))
    steps = tuple(range(first, draw(st.integers(first + 1, files.period.count))))
    extra = draw(files_of(files, list(source.stored), steps, name, True, 0, "start"))
    files = replace(files, files=(*files.files, replace(extra, copy=draw(st.sampled_from([0, 1]))))).having(
        duplicates=rule
    )
    # Whether the values differ is told by reading them.
    return files if rule != "refuse" else replace(files, verdict="either", codes=("time-duplicate",))


@st.composite
def with_period(draw: st.DrawFn) -> FileSet:
    files = draw(sound_sets())
    first = draw(st.integers(0, files.period.count - 1))
    last = draw(st.integers(first, files.period.count - 1))
    ends = {"start": _date(files.period, first), "end": _date(files.period, last)}
    for end in draw(st.sampled_from([(), ("start",), ("end",)])):
        del ends[end]
    kept = (first if "start" in ends else 0, last if "end" in ends else files.period.count - 1)
    return replace(files.having(period=ends), kept=kept)


@st.composite
def with_area(draw: st.DrawFn) -> FileSet:
    files = draw(sound_sets())
    box = {}
    for name, values in (("lat", files.latitudes), ("lon", files.longitudes)):
        first = draw(st.integers(0, len(values) - 1))
        last = draw(st.integers(first, len(values) - 1))
        box[name] = [values[first] - 0.1, values[last] + 0.1]
    return files.having(area=box)


@st.composite
def with_variables(draw: st.DrawFn) -> FileSet:
    files = draw(sound_sets())
    names = sorted({name for each in files.files for name in each.stored})
    files = files.having(variables=draw(st.lists(st.sampled_from(names), min_size=1, unique=True)))
    if all(set(files.options["variables"]) & set(each.stored) for each in files.files):
        return files
    # A file without any of them may be one that lost them.
    return replace(files, verdict="broken", codes=("variable-absent",))


@st.composite
def with_days(draw: st.DrawFn) -> FileSet:
    """Sub-daily files as daily values."""
    files = draw(sound_sets(bounds=True, steps=("3 hours", "6 hours", "12 hours")))
    number = 24 // HOURS[files.period.step]
    files = files.having(step="day")
    if any("flag" in each.stored for each in files.files):
        return replace(files, verdict="broken")
    whole = files.period.count // number
    split = any(each.steps[-1] + 1 < whole * number and (each.steps[-1] + 1) % number for each in files.files)
    return replace(files, verdict="either" if split or not whole else "sound", kept=(0, whole * number - 1))


@st.composite
def across_the_date_line(draw: st.DrawFn) -> FileSet:
    """Files may count on past 180 or begin again at -180: the same cells, which need not be seen to be the same."""
    step = draw(st.sampled_from([0.5, 2.5]))
    west = draw(st.sampled_from([180.0, 180 - step, 180 - step / 2, 180 - 2.5 * step]))
    longitudes = tuple(west + step * column for column in range(draw(st.integers(2, 5))))
    return draw(sound_sets(longitudes=longitudes).map(lambda each: replace(each, verdict="either")))


def _shifted(draw: st.DrawFn, file: File) -> File:
    rows = tuple(round(each + 0.4, 6) for each in file.map.latitudes)
    return replace(file, map=replace(file.map, latitudes=rows, dtype="f8"))


def _calendar(draw: st.DrawFn, file: File) -> File:
    other = "360_day" if file.times.calendar != "360_day" else "noleap"
    return replace(file, times=replace(file.times, says=other))


def _unit(draw: st.DrawFn, file: File) -> File:
    name = draw(st.sampled_from(sorted(file.stored)))
    says = draw(st.sampled_from(["furlong fortnight-1", "", "W m-2"]))
    return replace(file, stored={**file.stored, name: replace(file.stored[name], says=says)})


def _backwards(draw: st.DrawFn, file: File) -> File:
    return replace(file, steps=file.steps[::-1])


FAULTS: dict[str, tuple[Callable[[st.DrawFn, File], File], tuple[str, ...]]] = {
    "shifted": (_shifted, ("grid-differs",)),
    "calendar": (_calendar, ("time-calendar", "time-undecodable")),
    "unit": (_unit, ("unit-convert", "unit-missing", "dimension-differs")),
    "backwards": (_backwards, ("time-not-monotonic",)),
    "cut": (lambda _, file: replace(file, damage="cut"), ("file-unreadable",)),
    "text": (lambda _, file: replace(file, damage="text"), ("file-unreadable",)),
    "empty": (lambda _, file: replace(file, steps=()), ("file-no-rows",)),
}


@st.composite
def with_fault(draw: st.DrawFn) -> FileSet:
    """One of several files is not as the others."""
    files = draw(sound_sets().filter(lambda each: len(each.files) > 1))
    kind = draw(st.sampled_from(sorted(FAULTS)))
    act, codes = FAULTS[kind]
    fit = {
        "backwards": lambda each: len(each.steps) > 1,
        # A variable that no other file holds has nothing to differ from.
        "unit": lambda each: "flag" not in each.stored and all(set(each.stored) == set(o.stored) for o in files.files),
        "empty": lambda each: each.unlimited,
    }.get(kind, lambda _: True)
    usable = [number for number, each in enumerate(files.files) if fit(each)]
    if not usable:
        return files
    number = draw(st.sampled_from(usable))
    changed = tuple(act(draw, each) if at == number else each for at, each in enumerate(files.files))
    return replace(files, files=changed, verdict="broken", codes=codes)


@st.composite
def grown_sets(draw: st.DrawFn) -> FileSet:
    """Sets of which only the first files are there when the product is built for the first time."""
    files = draw(sound_sets(bounds=True, split=False).filter(lambda each: len(each.files) > 1))
    return replace(files, grown=draw(st.integers(1, len(files.files) - 1)))


@st.composite
def any_sets(draw: st.DrawFn) -> FileSet:
    """Half of them plain and sound, the other half with something more."""
    return draw(
        st.one_of(
            sound_sets(),
            grown_sets(),
            with_hole(),
            with_duplicate(),
            with_period(),
            with_area(),
            with_variables(),
            with_days(),
            across_the_date_line(),
            with_fault(),
        )
    )
