"""What file names say: checked against the times inside, compared within a product, turned into properties.

Names are never a source of times, except for sources whose files hold none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cftime
import numpy as np
from numpy.typing import NDArray

from cube.axes import EPOCH_YEAR, Step, encode
from ingest.declaration import Source
from ingest.findings import Findings, listed

Date = tuple[int, int, int]

_DAY = re.compile(r"(?<![\dvV])(\d{4})(\d{2})(\d{2})(?:\d{6}|\d{4}|\d{2})?(?!\d)")
_MONTHS = re.compile(r"(?<!\d)(\d{4})(\d{2})-(\d{4})(\d{2})(?!\d)")


@dataclass(frozen=True)
class Covered:
    """Names of files, the fields of these names, and the ordinals of the first and last period inside, in one order."""

    names: Sequence[str]
    fields: Sequence[Mapping[str, str]]
    first: NDArray[np.int64]
    last: NDArray[np.int64]


def read_fields(
    source: Source, names: Sequence[str], check: bool, findings: Findings
) -> tuple[list[dict[str, str]], dict[str, str]]:
    """(fields of each name, STAC properties of all); problems for names of no known pattern and for mixed files.

    check  whether a name that no pattern fits is a problem
    """
    fields: list[dict[str, str]] = []
    strange: list[str] = []
    for name in names:
        found = source.fields(name)
        if found is None:
            strange.append(name)
        fields.append(found or {})
    if strange and (check or source.time.label == "name"):
        findings.problem(
            "name-unknown",
            f"the names of these files are not those of {source.name}: {listed(strange)}",
            "files",
            "what a name tells (date, version, scenario) would be guessed",
            "correct `files`"
            + ("" if source.time.label == "name" else ", or set `names: ignore` to do without what names tell"),
        )
    values: dict[str, dict[str, str]] = {}
    for name, each in zip(names, fields, strict=True):
        for field, value in each.items():
            values.setdefault(field, {}).setdefault(value.lower(), name)
    for field in source.uniform:
        met = values.get(field, {})
        if len(met) > 1:
            findings.problem(
                "name-mixed",
                f"the files differ in {field}: " + listed(f"{value} ({name})" for value, name in sorted(met.items())),
                "files",
                "one product would hold two data sets as if they were one",
                f"make one product of each {field}",
            )
    properties = {
        target: next(iter(values[field]))
        for field, target in source.properties.items()
        if len(values.get(field, ())) == 1
    }
    aliases = {name: properties[target] for name, target in source.aliases.items() if target in properties}
    return fields, {**source.constants, **properties, **aliases}


def named_date(fields: Mapping[str, str]) -> Date | None:
    """(year, month, day) of the single time that a name gives; month and day 1 where it gives none."""
    if "year" not in fields:
        return None
    return int(fields["year"]), int(fields.get("month", 1)), int(fields.get("day", 1))


def check_dates(files: Covered, step: Step, calendar: str, findings: Findings) -> None:
    """Report every file whose name gives other dates than it holds."""
    firsts, lasts, afters = (_dates(each, step, calendar) for each in (files.first, files.last, files.last + 1))
    for name, known, first, last, after in zip(files.names, files.fields, firsts, lasts, afters, strict=True):
        claimed = _claimed(name, known)
        if not claimed:
            continue
        low = _resolve(claimed[0], first, calendar)
        starts = low == first or (len(claimed) == 1 and first <= low <= last)
        # The last date may be that of the last period, or where it ends.
        ends = len(claimed) == 1 or any(_resolve(claimed[-1], each, calendar) == each for each in (last, after))
        if starts and ends:
            continue
        said = " to ".join(_text(each) for each in claimed)
        findings.problem(
            "name-false",
            f"the name says {said}, the file holds {_text(first)} to {_text(last)}",
            name,
            "a file that is not what its name says may be the wrong file",
            "check the file; if its times are right, set `names: ignore`",
        )


def _dates(ordinals: NDArray[np.int64], step: Step, calendar: str) -> list[Date]:
    days = encode(ordinals, step, calendar) // (24 if step.unit == "hour" else 1)
    dates = cftime.num2date(days, f"days since {EPOCH_YEAR}-01-01", calendar=calendar)
    return [(date.year, date.month, date.day) for date in dates]


def _text(date: Sequence[int]) -> str:
    return "-".join(f"{part:02d}" for part in date)


def _claimed(name: str, fields: Mapping[str, str]) -> list[tuple[int, ...]]:
    """The date, or the first and last dates, that a name gives, each as (year[, month[, day]])."""
    if "first" in fields and "last" in fields:
        return [_split(fields["first"]), _split(fields["last"])]
    if "year" in fields:
        return [tuple(int(fields[part]) for part in ("year", "month", "day") if part in fields)]
    base = name.rsplit("/", 1)[-1]
    months = _MONTHS.search(base)
    if months:
        pairs = [(int(months[1]), int(months[2])), (int(months[3]), int(months[4]))]
        return list(pairs) if all(1 <= month <= 12 for _, month in pairs) else []
    days = [_split("".join(match.groups())) for match in _DAY.finditer(base)]
    real = [day for day in days if 1500 <= day[0] <= 2500 and 1 <= day[1] <= 12 and 1 <= day[2] <= 31]
    return list(real) if len(real) in (1, 2) else []


def _split(digits: str) -> tuple[int, ...]:
    return tuple(int(part) for part in (digits[:4], digits[4:6], digits[6:8]) if part)


def _resolve(claim: tuple[int, ...], held: Date, calendar: str) -> Date:
    """A claim as exact as what is held: parts that it does not give are those of the file."""
    year, month, day = (*claim, *held[len(claim) :])
    return year, month, min(day, 30) if calendar == "360_day" else day
