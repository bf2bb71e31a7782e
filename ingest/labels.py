"""The periods that the files of an archive hold: one step, one calendar, a label for every stored time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cftime
import numpy as np
from numpy.typing import NDArray

from cube.axes import EPOCH_YEAR, Step
from ingest import times
from ingest.declaration import Source
from ingest.facts import FileFacts, unpack
from ingest.findings import Findings, listed
from ingest.naming import named_date

Ints = NDArray[np.int64]

_GREGORIAN_REFORM = -12_219_292_800
"""1582-10-15 in seconds since 1970."""


@dataclass(frozen=True)
class Labels:
    """The stored times of the files that could be dated, one entry each, in file order.

    step     the files' own step;  calendar  of all
    file     number of the file;  source  number of the time within it
    ordinal  of the period, in `step` (see `cube.axes`)
    offset   seconds from the start of the day to the start of the period by the file's bounds, 0 without bounds
    undated  numbers of the files that could not be dated
    """

    step: Step
    calendar: str
    file: Ints
    source: Ints
    ordinal: Ints
    offset: Ints
    undated: frozenset[int]


@dataclass
class _Set:
    """The files while they are being dated; those with a problem leave `good`."""

    source: Source
    names: Sequence[str]
    facts: Sequence[FileFacts]
    findings: Findings
    good: list[int]

    def refuse(self, number: int, code: str, what: str, danger: str, fix: str) -> None:
        self.good.remove(number)
        self.findings.problem(code, what, self.names[number], danger, fix)


def label(
    source: Source,
    names: Sequence[str],
    facts: Sequence[FileFacts],
    fields: Sequence[Mapping[str, str]],
    wanted: str | None,
    findings: Findings,
) -> Labels | None:
    """The labels of all times of all files; None for an archive without time, and where no file can be dated.

    wanted  the product's step, which also tells the files' own where a single time without bounds does not
    """
    files = _Set(source, names, facts, findings, list(range(len(facts))))
    if source.time.label == "name":
        return _from_names(files, fields)
    if not any(_has_time(each) for each in facts):
        return None
    for number in list(files.good):
        if not _has_time(facts[number]):
            files.refuse(number, "time-missing", "it has no time, unlike other files", "", "leave it out of `files`")
    if source.time.years and any(each.years for each in facts):
        return _from_years(files)
    for number in list(files.good):
        if facts[number].undecodable:
            files.refuse(
                number,
                "time-undecodable",
                facts[number].undecodable,
                "years of 365.2425 days would drift from calendar years",
                "use `source: isimip`, which reads whole numbers of years as calendar years"
                if facts[number].years
                else "correct the time coordinate of the file",
            )
    stamps = {number: unpack(facts[number].stamps or []) for number in files.good}
    calendar = _calendar(files)
    _monotonic(files, stamps)
    step = _step(files, stamps, fields, wanted)
    return _labels(files, stamps, step, calendar) if step and files.good else None


def _has_time(facts: FileFacts) -> bool:
    return facts.stamps is not None or bool(facts.undecodable)


def _calendar(files: _Set) -> str:
    met: dict[str, list[int]] = {}
    for number in files.good:
        met.setdefault(files.facts[number].calendar, []).append(number)
    late = all((files.facts[number].stamps or [0])[0] > _GREGORIAN_REFORM for number in files.good)
    if set(met) == {"standard", "proleptic_gregorian"} and late:
        files.findings.note("some files name the calendar standard, some proleptic_gregorian: the same after 1582")
        return "standard"
    usual = max(met, key=lambda name: (len(met[name]), name), default="standard")
    for name, numbers in met.items():
        for number in numbers if name != usual else ():
            files.refuse(
                number,
                "time-calendar",
                f"its calendar is {name}, that of the other files {usual}",
                "days of different calendars have no common axis",
                "make one product of each calendar",
            )
    return usual


def _monotonic(files: _Set, stamps: Mapping[int, Ints]) -> None:
    for number in list(files.good):
        back = np.flatnonzero(np.diff(stamps[number]) <= 0)
        if len(back):
            files.refuse(
                number,
                "time-not-monotonic",
                f"its times do not increase after step {int(back[0]) + 1} of {len(stamps[number])}",
                "several series in one file would be read as one",
                "split the file, one file a series",
            )


def _step(
    files: _Set, stamps: Mapping[int, Ints], fields: Sequence[Mapping[str, str]], wanted: str | None
) -> Step | None:
    """The step of most files; a problem for files of another one."""
    own = {number: _own_step(files.facts[number], stamps[number]) for number in files.good}
    known = [each for each in own.values() if isinstance(each, Step)]
    if known:
        usual = max(set(known), key=lambda step: (known.count(step), str(step)))
        for number, each in own.items():
            if each is not None and each != usual:
                files.refuse(
                    number,
                    "time-step",
                    f"its step is {each}, that of the other files {usual}",
                    "periods of different length have no common axis",
                    "make one product of each step",
                )
        return usual
    every = np.unique(np.concatenate([np.zeros(0, np.int64), *(stamps[number] for number in files.good)]))
    found = times.common_step(np.diff(every)) if len(every) > 1 else None
    named = {_named_step(fields[number]) for number in files.good}
    if len(named) == 1 and (name := named.pop()):
        return name
    if len(every) > 2 and found is not None:
        return found
    if files.source.time.step or found is not None:
        return Step.parse(files.source.time.step) if files.source.time.step else found
    if len(every) <= 2 and wanted is not None:
        return Step.parse(wanted)
    where = listed(files.names[number] for number in files.good)
    if len(every) == 1:
        files.findings.problem(
            "time-step-unknown",
            "a single time without bounds does not tell how long its period is",
            where,
            "an hour, a day or a month would be guessed",
            'give `step`, such as "day" or "month"',
        )
    elif len(every):
        days = np.diff(every) / 86400
        files.findings.problem(
            "time-irregular",
            f"the times are {days.min():g} to {days.max():g} days apart: no step of hours, days, months or years",
            where,
            "values would get wrong dates",
            "give files of one step; dekads and pentads are not supported",
        )
    return None


def _named_step(fields: Mapping[str, str]) -> Step | None:
    """The step of files with a single time that their names tell."""
    if "year" not in fields or "month" not in fields:
        return None
    return Step("day" if "day" in fields else "month")


def _own_step(facts: FileFacts, stamps: Ints) -> Step | str | None:
    """The step that a file alone tells, by its bounds or the distance of its times; a text for one that is none."""
    if facts.starts and facts.ends:
        step = times.common_step(unpack(facts.ends) - unpack(facts.starts))
        if step is not None:
            return step
    if len(stamps) < 2:
        return None
    distances = np.diff(stamps)
    step = times.common_step(distances)
    # Two times may have a hole between them.
    return step or (f"{np.median(distances) / 86400:g} days" if len(stamps) > 2 else None)


def _labels(files: _Set, stamps: Mapping[int, Ints], step: Step, calendar: str) -> Labels:
    numbers, within, moments, bounded = [], [], [], []
    for number in files.good:
        values, starts = stamps[number], files.facts[number].starts
        use = bool(starts) and files.source.time.label != "start"
        numbers.append(np.full(len(values), number))
        within.append(np.arange(len(values), dtype=np.int64))
        moments.append(unpack(starts) if use and starts else _start(values, files.source, step))
        bounded.append(np.full(len(values), use))
    joined = np.concatenate(moments)
    ordinals = times.ordinals(joined, step, calendar)
    shifted = np.concatenate(bounded) & (step.unit == "day")
    return Labels(
        step,
        calendar,
        np.concatenate(numbers),
        np.concatenate(within),
        ordinals,
        np.where(shifted, joined - ordinals * 86400, 0),
        frozenset(range(len(files.facts))) - frozenset(files.good),
    )


def _start(stamps: Ints, source: Source, step: Step) -> Ints:
    if source.time.label != "end":
        return stamps
    # The end of a month or a year belongs to the next one; the second before it does not.
    return stamps - {"hour": step.hours * 3600, "day": 86400}.get(step.unit, 1)


def _from_years(files: _Set) -> Labels | None:
    for number in list(files.good):
        if files.facts[number].years is None:
            files.refuse(
                number,
                "time-undecodable" if files.facts[number].undecodable else "time-step",
                files.facts[number].undecodable or "its times are dates, those of other files whole years",
                "periods of different length have no common axis",
                "make one product of each step",
            )
    years = {number: unpack(files.facts[number].years or []) for number in files.good}
    _monotonic(files, years)
    if not files.good:
        return None
    file = np.concatenate([np.full(len(years[number]), number) for number in files.good])
    within = np.concatenate([np.arange(len(years[number]), dtype=np.int64) for number in files.good])
    ordinals = np.concatenate([years[number] for number in files.good]) - EPOCH_YEAR
    undated = frozenset(range(len(files.facts))) - frozenset(files.good)
    calendar = files.facts[files.good[0]].calendar
    return Labels(Step("year"), calendar, file, within, ordinals, np.zeros_like(ordinals), undated)


def _from_names(files: _Set, fields: Sequence[Mapping[str, str]]) -> Labels | None:
    moments = []
    for number in list(files.good):
        date = named_date(fields[number])
        if date is None:
            files.good.remove(number)  # reported as a name that fits no pattern
            continue
        try:
            day = cftime.datetime(*date, calendar="standard")
            moments.append(round(float(cftime.date2num(day, f"seconds since {EPOCH_YEAR}-01-01", calendar="standard"))))
        except ValueError:
            text = "-".join(str(part) for part in date)
            files.refuse(
                number, "name-false", f"its name gives the date {text}, which does not exist", "", "correct it"
            )
    if not files.good:
        return None
    step = Step.parse(files.source.time.step or "day")
    ordinals = times.ordinals(np.array(moments, np.int64), step, "standard")
    zeros = np.zeros_like(ordinals)
    undated = frozenset(range(len(fields))) - frozenset(files.good)
    return Labels(step, "standard", np.array(files.good, np.int64), zeros, ordinals, zeros, undated)
