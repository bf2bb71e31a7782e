"""Places and regions as users name them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compute.regions import Regions, geojson
from cube.errors import InputError, Problem


@dataclass(frozen=True)
class AskedPlace:
    """A place by its name, degrees."""

    name: str
    lat: float
    lon: float


Places = Sequence[tuple[float, float]] | Mapping[str, tuple[float, float]] | str | Path


def places_of(given: Places) -> list[AskedPlace]:
    """Places from pairs of latitude and longitude, from such pairs by name, or from a file. Raises InputError."""
    if isinstance(given, str | Path):
        return places_file(Path(given))
    named = given.items() if isinstance(given, Mapping) else ((f"{lat:g},{lon:g}", (lat, lon)) for lat, lon in given)
    found = [AskedPlace(name, float(lat), float(lon)) for name, (lat, lon) in named]
    return list(dict.fromkeys(found))


def places_file(path: Path) -> list[AskedPlace]:
    """Places of a CSV file with the columns name, lat and lon. Raises InputError with all lines that are wrong."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            columns = reader.fieldnames or ()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
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
        if not place.name or any(each.name == place.name for each in found):
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


def regions_of(given: str | Path) -> Regions:
    """The regions of FILE or FILE:NAME. Raises InputError."""
    text, name = str(given), None
    if not Path(text).exists() and ":" in text:
        text, _, name = text.rpartition(":")
    # Without names of one's own no property is needed.
    found = geojson(Path(text)) if name is not None else geojson(Path(text), None)
    if name is None:
        return found
    if name not in found.names:
        what = f"it has no region {name!r}"
        raise InputError(Problem("region-unknown", what, text, fix=f"it has {', '.join(found.names)}"))
    return found.only([found.names.index(name)])
