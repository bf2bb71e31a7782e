"""What must agree between files before one Zarr array can stand for all of them. Nothing here reads a file."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import cftime
import numpy as np

from cube.errors import Problem
from ingest.references.contents import FILL, MICROSECONDS, PACKING, UNITS
from ingest.references.scan import Scan, Stored

_NAMED = 3


def disagreements(scans: Sequence[Scan], variables: Sequence[str]) -> list[Problem]:
    """Every reason why the files, in the order given, cannot be one set of references."""
    scanned = [one for one in scans if not one.problems]
    found = _merged(problem for one in scans for problem in one.problems)
    if scanned:
        labels = [one.label for one in scanned]
        for name in variables:
            found.extend(_of_variable(name, labels, [one.variables[name] for one in scanned]))
        found.extend(_of_coordinates(scanned))
    # A file that could not be scanned would show as a gap or as unequal lengths of its neighbours.
    if len(scanned) == len(scans):
        found.extend(_of_lengths(scanned, variables))
        found.extend(_of_times(scanned))
    return found


def too_fine(one: Scan, variables: Sequence[str], smallest_chunk: int) -> list[Problem]:
    """Variables of which references would cost more than they give: chunks below `smallest_chunk` decoded bytes."""
    found = []
    for name in variables:
        stored = one.variables[name]
        if stored.chunk_bytes < smallest_chunk:
            count = math.prod(stored.grid)
            found.append(
                Problem(
                    "references-fine",
                    f"{name} is stored in chunks of {stored.chunk_bytes:,} bytes ({count:,} of them in {one.label}), "
                    f"where {smallest_chunk:,} bytes are the least that is worth a reference",
                    name,
                    "each chunk is a line of the reference file and a request of its own, so that reading a series "
                    "takes thousands of requests",
                )
            )
    return found


def too_many(scans: Sequence[Scan], variables: Sequence[str], most_entries: int) -> list[Problem]:
    """More references than are worth publishing."""
    counts = {name: sum(math.prod(one.variables[name].grid) for one in scans) for name in variables}
    if sum(counts.values()) <= most_entries:
        return []
    each = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    return [
        Problem(
            "references-many",
            f"{sum(counts.values()):,} references would be needed ({each}), where {most_entries:,} are the most",
            danger="the reference file alone would be hundreds of megabytes",
        )
    ]


def _of_variable(name: str, labels: Sequence[str], stored: Sequence[Stored]) -> list[Problem]:
    found: list[Problem] = []

    def compare(code: str, label: str, values: Iterable[Any], danger: str = "") -> None:
        told = _told(zip(labels, map(_text, values), strict=True))
        if told:
            found.append(Problem(code, f"the {label} of {name} is {told}", name, danger))

    compare("references-type", "type", (one.facts.dtype for one in stored), "bytes would read as other numbers")
    for keys, code, danger in (
        (PACKING, "references-packing", "values of the other files would be unpacked wrongly, without an error"),
        (FILL, "references-fill", "missing cells of the other files would read as numbers, without an error"),
        (UNITS, "references-units", "numbers of different units would stand in one array, without an error"),
    ):
        for key in keys:
            compare(code, key, (one.facts.decoding.get(key) for one in stored), danger)
    compare("references-codec", "codec", (one.codecs for one in stored), "chunks would not decode, or wrongly")
    compare("references-chunks", "chunk shape", (one.chunks for one in stored), "chunks would be misplaced")
    if len({one.facts.dims for one in stored}) > 1:
        compare("references-shape", "order of dimensions", (one.facts.dims for one in stored))
    else:
        for axis, dim in enumerate(stored[0].facts.dims):
            if axis != stored[0].facts.time_axis:
                compare("references-shape", f"length along {dim}", (one.shape[axis] for one in stored))
    return found


def _of_coordinates(scans: Sequence[Scan]) -> list[Problem]:
    names = dict.fromkeys(name for one in scans for name in one.digests)
    found = []
    for name in names:
        groups = _groups((one.label, one.digests.get(name, "")) for one in scans)
        if len(groups) > 1:
            told = "; ".join(f"absent in {_files(g)}" if not d else f"one in {_files(g)}" for d, g in groups[:_NAMED])
            found.append(
                Problem(
                    "references-grid",
                    f"the coordinate {name} differs between files: {told}",
                    name,
                    "values would be put at places of another file's grid, without an error",
                )
            )
    return found


def _of_lengths(scans: Sequence[Scan], variables: Sequence[str]) -> list[Problem]:
    """Only the last file may end inside a chunk."""
    found = []
    for name in variables:
        odd = []
        for one in scans[:-1]:
            stored = one.variables[name]
            steps, chunk = stored.shape[stored.facts.time_axis], stored.chunks[stored.facts.time_axis]
            if steps % chunk:
                odd.append((one.label, f"{steps} steps in chunks of {chunk}"))
        if odd:
            told = "; ".join(f"{text} in {_files(files)}" for text, files in _groups(odd)[:_NAMED])
            found.append(
                Problem(
                    "references-chunks",
                    f"{name} ends inside a chunk: {told}",
                    name,
                    "all that follows would be shifted in time, without an error",
                )
            )
    return found


def _of_times(scans: Sequence[Scan]) -> list[Problem]:
    axes = [(one.label, one.times) for one in scans if one.times is not None]
    danger = "dates of the other files would be wrong, without an error"
    names = _told((file, times.name) for file, times in axes)
    calendars = _told((file, times.calendar) for file, times in axes)
    if names:
        return [Problem("references-time", f"the name of the time axis is {names}", danger=danger)]
    if calendars:
        return [Problem("references-calendar", f"the calendar is {calendars}", danger=danger)]
    disorder = [(file, "its own steps do not increase") for file, times in axes if (np.diff(times.values) <= 0).any()]
    for (before, early), (file, late) in itertools.pairwise(axes):
        if early.values.max() >= late.values.min():
            first, last = _date(late.values.min(), late.calendar), _date(early.values.max(), early.calendar)
            disorder.append((file, f"it begins at {first}, though {before} before it reaches {last}"))
    if not disorder:
        return []
    told = "; ".join(f"{file}: {what}" for file, what in disorder[:_NAMED])
    rest = f"; and {len(disorder) - _NAMED} more" if len(disorder) > _NAMED else ""
    danger = "a date would stand for two steps, and selections by date would fail"
    return [Problem("references-time", f"time does not increase from file to file. {told}{rest}", danger=danger)]


def _date(value: int, calendar: str) -> str:
    return str(cftime.num2date(int(value), MICROSECONDS, calendar).strftime("%Y-%m-%dT%H:%M:%S"))


def _text(value: Any) -> str:
    if value is None:
        return "absent"
    return str(value.tolist() if isinstance(value, np.generic | np.ndarray) else value)


def _groups(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """(value, files) by first occurrence, from (file, value)."""
    groups: dict[str, list[str]] = {}
    for file, value in pairs:
        groups.setdefault(value, []).append(file)
    return list(groups.items())


def _files(files: Sequence[str]) -> str:
    named, rest = ", ".join(files[:_NAMED]), len(files) - _NAMED
    return named if rest <= 0 else f"{named} and {rest:,} more"


def _told(pairs: Iterable[tuple[str, str]]) -> str:
    """ "a in x.nc, b in y.nc and 3 more", or nothing where all values are equal."""
    groups = _groups(pairs)
    if len(groups) < 2:
        return ""
    rest = f"; and {len(groups) - _NAMED} other values" if len(groups) > _NAMED else ""
    return "; ".join(f"{value} in {_files(files)}" for value, files in groups[:_NAMED]) + rest


def _merged(problems: Iterable[Problem]) -> list[Problem]:
    """Equal problems of many files as one that names the files."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for problem in problems:
        groups.setdefault((problem.code, problem.what, problem.danger), []).append(problem.where)
    return [Problem(code, what, _files(files), danger) for (code, what, danger), files in groups.items()]
