"""Places and regions as users name them."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compute.regions import Regions, geojson
from cube.errors import InputError, Problem


@dataclass(frozen=True)
class AskedPlace:
    """A place by its name, degrees."""

    name: str
    lat: float
    lon: float


Places = Sequence[tuple[float, float] | AskedPlace] | Mapping[str, tuple[float, float]] | str | Path


def places_of(given: Places | Any) -> list[AskedPlace]:
    """Places from pairs of latitude and longitude, from such pairs by name, or from a file; the same place once.

    Raises InputError for what is no place, for names that files cannot hold, for two places of one name, and for no
    place at all.
    """
    if isinstance(given, str | Path):
        return places_file(Path(given))
    if not isinstance(given, Iterable):
        what = f"{given!r} is neither places nor a file of them"
        raise InputError(Problem("export-places", what, "places", fix="give pairs of latitude and longitude"))
    pairs: Iterable[tuple[Any, Any]] = given.items() if isinstance(given, Mapping) else ((None, each) for each in given)
    found: dict[str, AskedPlace] = {}
    problems = []
    for name, pair in pairs:
        place = _place(name, pair)
        if place is None:
            fix = "give pairs of latitude and longitude, such as [(5.6, -0.19)] or {'Accra': (5.6, -0.19)}"
            what = f"{pair!r} is no latitude and longitude"
            where = "places" if name is None else f"place {shown(str(name))}"
            problems.append(Problem("export-places", what, where, fix=fix))
        elif fault := _unusable(place.name):
            problems.append(Problem("export-places", fault, f"place {shown(place.name)}", fix=OTHER_NAME))
        elif found.setdefault(place.name, place) != place:
            what = "there are two places of this name"
            fix = "give each a name of its own"
            problems.append(
                Problem("export-places", what, f"place {place.name}", "their rows could not be told apart", fix)
            )
    if not found and not problems:
        problems.append(Problem("export-places", "there are no places in it", "places", fix="name a place"))
    if problems:
        raise InputError(problems)
    return list(found.values())


OTHER_NAME = "give another name"


def shown(name: str) -> str:
    """A name as messages can have it: what is no text is escaped."""
    return name.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _unusable(name: str) -> str:
    """What keeps a name out of files; "" for a usable one."""
    if not name.strip():
        return "the name is empty"
    # NetCDF would cut it there, so that two places could be one.
    if "\0" in name:
        return "the name has a NUL in it, which NetCDF cannot hold"
    try:
        name.encode()
    except UnicodeEncodeError:
        return "the name has half of a character in it, which files cannot hold"
    return ""


def _place(name: Any, given: Any) -> AskedPlace | None:
    """None where that is no place."""
    if isinstance(given, AskedPlace):
        name, pair = given.name, (given.lat, given.lon)
    elif isinstance(given, str | bytes):
        return None
    else:
        pair = given
    try:
        lat, lon = map(float, pair)
    except (TypeError, ValueError, OverflowError):
        return None
    if not (math.isfinite(lat) and math.isfinite(lon)):
        return None
    # All figures, since two places may differ in the last ones alone.
    return AskedPlace(f"{lat:.15g},{lon:.15g}" if name is None else str(name), lat, lon)


def places_file(path: Path) -> list[AskedPlace]:
    """Places of a CSV file with the columns name, lat and lon. Raises InputError with all lines that are wrong."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            columns = reader.fieldnames or ()
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(Problem("export-places", f"it cannot be read: {error}", str(path))) from None
    lacking = [name for name in ("name", "lat", "lon") if name not in columns]
    if lacking:
        what = f"it has no column {', '.join(lacking)}"
        raise InputError(Problem("export-places", what, str(path), fix="begin it with the line name,lat,lon"))
    found: list[AskedPlace] = []
    problems = []
    for number, row in enumerate(rows, 2):
        try:
            place = AskedPlace((row["name"] or "").strip(), float(row["lat"]), float(row["lon"]))
        except (TypeError, ValueError):
            problems.append(_wrong("lat and lon are no two numbers", path, number))
            continue
        if fault := _unusable(place.name):
            problems.append(_wrong(fault, path, number))
        elif any(each.name == place.name for each in found):
            problems.append(_wrong("it has no name of its own", path, number))
        elif not (-90 <= place.lat <= 90 and -360 <= place.lon <= 360):
            problems.append(_wrong(f"{place.lat:g}, {place.lon:g} is no place", path, number))
        else:
            found.append(place)
    if not found and not problems:
        problems.append(Problem("export-places", "it has no places", str(path), fix="write one place a line"))
    if problems:
        raise InputError(problems)
    return found


def _wrong(what: str, path: Path, line: int) -> Problem:
    return Problem("export-places", what, f"{path}, line {line}", fix="correct the line")


def regions_of(given: str | Path) -> tuple[Regions, bool]:
    """The regions of FILE or FILE:NAME, and whether they have names. Raises InputError.

    Polygons that do not all have a `name` of their own are numbered, as features of the file from 1.
    """
    text, name = _file_and_name(str(given))
    if name is None:
        try:
            found = geojson(Path(text))
        except InputError:
            return geojson(Path(text), None), False
        return _writable(found), True
    found = geojson(Path(text))
    if name not in found.names:
        what = f"it has no region {name!r}"
        raise InputError(Problem("region-unknown", what, text, fix=f"it has {', '.join(map(shown, found.names))}"))
    return _writable(found.only([found.names.index(name)])), True


def _writable(found: Regions) -> Regions:
    """Raises InputError for regions whose names files cannot hold."""
    faults = [(name, fault) for name in found.names if (fault := _unusable(name))]
    if faults:
        raise InputError(
            [Problem("regions-unusable", fault, f"region {shown(name)}", fix=OTHER_NAME) for name, fault in faults]
        )
    return found


def _file_and_name(text: str) -> tuple[str, str | None]:
    """FILE, or FILE and NAME: both may have colons, so that the longest file that exists is the one that is meant."""
    parts = text.split(":")
    for count in range(len(parts), 0, -1):
        file = ":".join(parts[:count])
        if _is_file(file):
            return file, ":".join(parts[count:]) if count < len(parts) else None
    file, colon, name = text.rpartition(":")
    return (file, name) if colon else (text, None)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False
