"""Which file gives which period: duplicates settled, holes found, days made of sub-daily steps.

Works on ordinals only; what is compared or built from them is the caller's.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cube.axes import Step, TimeAxis, ordinal_of, parse_date
from cube.options import Duplicates, Period
from ingest.findings import Findings, counted, listed, runs
from ingest.labels import Ints, Labels


@dataclass(frozen=True, slots=True)
class Held:
    """Contiguous periods that one file gives: `count` from ordinal `first`, the file's times from `source` on."""

    file: int
    first: int
    count: int
    source: int
    source_count: int


@dataclass(frozen=True)
class Entries:
    """Periods of one variable, ascending, each once: ordinal, file and time within the file."""

    ordinal: Ints
    file: Ints
    source: Ints


@dataclass(frozen=True, slots=True)
class Overlap:
    """Periods that two files hold: `count` from ordinal `first`, with the files' times from which they are held."""

    kept: int
    kept_source: int
    dropped: int
    dropped_source: int
    first: int
    count: int


def text(ordinal: int, step: Step, calendar: str) -> str:
    """The start of a period, as ISO text."""
    return TimeAxis(ordinal, 1, step, calendar).text(0)


def window(period: Period | None, step: Step, calendar: str) -> tuple[int, int]:
    """The ordinals [first, stop) of an optional period. Raises ValueError for days that the calendar does not have."""
    low, high = -(2**62), 2**62
    if period is not None and period.start is not None:
        low = ordinal_of(parse_date(period.start, calendar), step, calendar)
    if period is not None and period.end is not None:
        # The last hour of the last date, because a period that holds it is not over before.
        last = parse_date(period.end, calendar, end=True) - datetime.timedelta(hours=1)
        high = ordinal_of(last, step, calendar) + 1
    return low, high


@dataclass(frozen=True)
class Question:
    """What decides where two files hold a period: names and ranks of all files, the rule, a comparison of values."""

    variable: str
    names: Sequence[str]
    order: Sequence[int]
    rule: Duplicates
    same: Callable[[Overlap], bool]


def settle(
    question: Question, labels: Labels, files: NDArray[np.bool_], period: tuple[int, int], findings: Findings
) -> Entries:
    """The periods of a variable, one entry each; equal duplicates are dropped and noted, others need the rule.

    files  which files hold the variable
    """
    inside = files[labels.file] & (labels.ordinal >= period[0]) & (labels.ordinal < period[1])
    ordinal, file, source = labels.ordinal[inside], labels.file[inside], labels.source[inside]
    rank = np.asarray(question.order, np.int64)[file] * (-1 if question.rule == "last" else 1)
    sequence = np.lexsort((source, rank, ordinal))
    ordinal, file, source = ordinal[sequence], file[sequence], source[sequence]
    fresh = np.ones(len(ordinal), bool)
    fresh[1:] = np.diff(ordinal) != 0
    kept = Entries(ordinal[fresh], file[fresh], source[fresh])
    winner = (np.cumsum(fresh) - 1)[~fresh]
    dropped = Entries(ordinal[~fresh], file[~fresh], source[~fresh])
    for overlap in _pairs(dropped, Entries(kept.ordinal[winner], kept.file[winner], kept.source[winner])):
        _decide(overlap, question, labels, findings)
    return kept


def _decide(overlap: Overlap, question: Question, labels: Labels, findings: Findings) -> None:
    ends = (overlap.first, overlap.first + overlap.count - 1)
    first, last = (text(each, labels.step, labels.calendar) for each in ends)
    span = f"{first if first == last else f'{first} to {last}'} ({counted(overlap.count, 'step')})"
    kept, dropped = question.names[overlap.kept], question.names[overlap.dropped]
    if question.same(overlap):
        findings.note(f"{question.variable} {span} is the same in {kept} and {dropped}")
    elif question.rule == "refuse":
        findings.problem(
            "time-duplicate",
            f"{question.variable} has different values for {span}",
            f"{kept} and {dropped}",
            "either could be wrong, and joining both gives a time twice",
            "remove one of the files, or set `duplicates: first` or `last` (in order of first time, then name)",
        )
    else:
        findings.note(f"{question.variable} {span} differs in {kept} and {dropped}; {kept} is used")


def _pairs(dropped: Entries, kept: Entries) -> list[Overlap]:
    """Contiguous overlaps of two files."""
    order = np.lexsort((dropped.ordinal, dropped.file, kept.file))
    found: list[Overlap] = []
    for at in order:
        one = Overlap(
            int(kept.file[at]),
            int(kept.source[at]),
            int(dropped.file[at]),
            int(dropped.source[at]),
            int(dropped.ordinal[at]),
            1,
        )
        if found and _continues(found[-1], one):
            last = found[-1]
            found[-1] = Overlap(
                last.kept, last.kept_source, last.dropped, last.dropped_source, last.first, last.count + 1
            )
        else:
            found.append(one)
    return found


def _continues(last: Overlap, one: Overlap) -> bool:
    return (one.kept, one.kept_source, one.dropped, one.dropped_source, one.first) == (
        last.kept,
        last.kept_source + last.count,
        last.dropped,
        last.dropped_source + last.count,
        last.first + last.count,
    )


def held(entries: Entries) -> list[Held]:
    """Runs of periods that follow each other in the product and in one file."""
    if not len(entries.ordinal):
        return []
    breaks = (
        (np.diff(entries.ordinal) != 1) | (np.diff(entries.file) != 0) | (np.diff(entries.source) != 1)
    ).nonzero()[0] + 1
    starts = np.concatenate([[0], breaks])
    counts = np.diff(np.concatenate([starts, [len(entries.ordinal)]]))
    columns = (entries.file[starts], entries.ordinal[starts], counts, entries.source[starts])
    return [
        Held(file, first, count, source, count)
        for file, first, count, source in zip(*(column.tolist() for column in columns), strict=True)
    ]


def to_days(
    pieces: Sequence[Held], number: int, names: Sequence[str], calendar: str, findings: Findings, variable: str
) -> list[Held]:
    """Whole days of pieces of sub-daily periods, `number` a day; days with fewer are left out and noted."""
    days: list[Held] = []
    partly: dict[int, list[Held]] = {}
    for piece in pieces:
        first, last = -(-piece.first // number), (piece.first + piece.count) // number
        if last > first:
            source = piece.source + first * number - piece.first
            days.append(Held(piece.file, first, last - first, source, (last - first) * number))
        for day in {piece.first // number, (piece.first + piece.count - 1) // number} - set(range(first, last)):
            partly.setdefault(day, []).append(piece)
    for day, parts in sorted(partly.items()):
        date = text(day, Step("day"), calendar)
        steps = sum(min(part.first + part.count, (day + 1) * number) - max(part.first, day * number) for part in parts)
        if steps == number:
            findings.problem(
                "time-day-split",
                f"{variable}: the steps of {date} lie in more than one file",
                " and ".join(sorted({names[part.file] for part in parts})),
                "a day would be made of a part of its steps",
                "join these files, or leave out `step: day`",
            )
        else:
            findings.note(f"{variable}: {date} has {steps} of {number} steps and is left out")
    return days


@dataclass(frozen=True)
class Known:
    """What is known of the common axis and its holes.

    longest     days of the longest hole that is declared without dates
    declared    ordinals [first, stop) inside which holes are declared
    excused     ordinals of which files with other problems hold something: no holes
    incomplete  whether there are files that could not be used and may fill holes
    """

    step: Step
    calendar: str
    longest: int
    declared: Sequence[tuple[int, int]]
    excused: Ints
    incomplete: bool

    def text(self, first: int, last: int) -> str:
        """A run of periods as text."""
        ends = [text(each, self.step, self.calendar) for each in (first, last)]
        return ends[0] if first == last else " to ".join(ends)


def check_holes(
    held_by: Mapping[str, Sequence[Held]], known: Known, findings: Findings
) -> tuple[int, int, list[tuple[int, int]]] | None:
    """(first ordinal, count, declared holes) of the common axis; problems for variables and periods that do not fit.

    held_by  pieces of each variable
    """
    present = {name: _ordinals(pieces) for name, pieces in held_by.items()}
    everything = np.unique(np.concatenate([np.zeros(0, np.int64), *present.values()]))
    if not len(everything):
        return None
    holes: set[tuple[int, int]] = set()
    unknown: dict[tuple[tuple[int, int], ...], list[str]] = {}
    for name, ordinals in present.items():
        inner = np.arange(ordinals[0], ordinals[-1] + 1) if len(ordinals) else ordinals
        missing = runs(np.setdiff1d(inner, np.union1d(ordinals, known.excused), assume_unique=True).tolist())
        declared = {run for run in missing if _declared(run, known)}
        holes |= declared
        unknown.setdefault(tuple(run for run in missing if run not in declared), []).append(name)
    _check_ends(present, everything, known, findings)
    for spans, names in unknown.items():
        if spans:
            _report("" if len(names) == len(present) else f"{listed(names)}: ", spans, known, findings)
    return int(everything[0]), int(everything[-1] - everything[0]) + 1, sorted(holes)


def _ordinals(pieces: Sequence[Held]) -> Ints:
    parts = [np.arange(piece.first, piece.first + piece.count) for piece in pieces]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _check_ends(present: Mapping[str, Ints], everything: Ints, known: Known, findings: Findings) -> None:
    """One problem for all variables that cover the same shorter period."""
    first, last = int(everything[0]), int(everything[-1])
    short: dict[str, list[str]] = {}
    for name, ordinals in present.items():
        # Ends that a file with another problem holds are not missing.
        held = np.union1d(ordinals, np.intersect1d(known.excused, everything))
        if not len(held):
            short.setdefault("nothing", []).append(name)
        elif (held[0], held[-1]) != (first, last):
            short.setdefault(known.text(int(held[0]), int(held[-1])), []).append(name)
    for covered, names in short.items():
        findings.problem(
            "variables-period",
            f"{listed(names)}: the files cover {covered}, those of all variables {known.text(first, last)}",
            "files",
            "the product would advertise a period that it does not hold",
            "set `period` to what all variables cover, or make a product of each",
        )


def _declared(run: tuple[int, int], known: Known) -> bool:
    start, stop = (TimeAxis(each, 1, known.step, known.calendar).encoded()[0] for each in (run[0], run[1] + 1))
    days = float(stop - start) / (24 if known.step.unit == "hour" else 1)
    return days <= known.longest or any(low <= run[0] and run[1] < high for low, high in known.declared)


def _report(names: str, holes: Sequence[tuple[int, int]], known: Known, findings: Findings) -> None:
    total = sum(last - first + 1 for first, last in holes)
    spans = listed(known.text(first, last) for first, last in holes)
    findings.problem(
        "time-gap",
        f"{names}{counted(total, 'step')} missing in {counted(len(holes), 'hole')}: {spans}",
        "files",
        "a hole that nobody declared may be a file that was lost",
        "restore the files"
        + (" (those with other problems may be the ones)" if known.incomplete else "")
        + ", or declare the holes: `gaps: {max_days: N}` or `gaps: {periods: [[FIRST, LAST]]}`",
    )
