"""What file names say: checked against the times inside, compared within a product, turned into properties.

Names are never a source of times, except for sources whose files hold none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cftime

from cube.axes import Step, to_date
from ingest.declaration import Source
from ingest.findings import Findings, listed

Date = tuple[int, int, int]

_DAY = re.compile(r"(?<![\dvV])(\d{4})(\d{2})(\d{2})(?:\d{6}|\d{4}|\d{2})?(?!\d)")
_MONTHS = re.compile(r"(?<!\d)(\d{4})(\d{2})-(\d{4})(\d{2})(?!\d)")


@dataclass(frozen=True, slots=True)
class Covered:
    """A file's name and the first and last period inside, as ordinals."""

    name: str
    first: int
    last: int


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
    return fields, {**source.constants, **properties}


def named_date(fields: Mapping[str, str]) -> Date | None:
    """(year, month, day) of the single time that a name gives; month and day 1 where it gives none."""
    if "year" not in fields:
        return None
    return int(fields["year"]), int(fields.get("month", 1)), int(fields.get("day", 1))


def check_dates(
    files: Sequence[Covered], fields: Sequence[Mapping[str, str]], step: Step, calendar: str, findings: Findings
) -> None:
    """Report every file whose name gives other dates than it holds."""
    for file, known in zip(files, fields, strict=True):
        claimed = _claimed(file.name, known)
        if not claimed:
            continue
        first, last, after = (to_date(each, step, calendar) for each in (file.first, file.last, file.last + 1))
        low, high = _resolve(claimed[0], first), [_resolve(claimed[-1], each) for each in (last, after)]
        inside = low == _date(first) or (len(claimed) == 1 and _date(first) <= low <= _date(last))
        if inside and (len(claimed) == 1 or high[0] == _date(last) or high[1] == _date(after)):
            continue
        findings.problem(
            "name-false",
            f"the name says {' to '.join('-'.join(f'{part:02d}' for part in each) for each in claimed)}, "
            f"the file holds {first.strftime('%Y-%m-%d')} to {last.strftime('%Y-%m-%d')}",
            file.name,
            "a file that is not what its name says may be the wrong file",
            "check the file; if its times are right, set `names: ignore`",
        )


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


def _date(date: cftime.datetime) -> Date:
    return date.year, date.month, date.day


def _resolve(claim: tuple[int, ...], held: cftime.datetime) -> Date:
    """A claim as exact as what is held: parts that it does not give are those of the file."""
    parts = list(_date(held))
    parts[: len(claim)] = claim
    if len(claim) == 3 and held.calendar == "360_day":
        parts[2] = min(parts[2], 30)
    return parts[0], parts[1], parts[2]
