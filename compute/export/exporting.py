"""`cube export` and `cic.export`: a product, or a part of it, as a NetCDF or CSV file."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compute.export import netcdf, rows
from compute.export.asked import Places, places_of
from compute.export.choice import Asked, Box, choose
from compute.export.reading import Reader
from compute.export.stations import Station, find
from cube.catalogue import Cube
from cube.errors import Problem, SpecError, StoreError

WRITERS = {".nc": netcdf.write, ".csv": rows.write}


@dataclass(frozen=True)
class Exported:
    """What was written.

    count     values of a NetCDF file, rows of a table
    left_out  variables that do not fit into the file: of other dimensions than a table's, or without cells
    stations  the cells that stand for places
    """

    product: str
    version: str
    path: Path
    variables: tuple[str, ...]
    left_out: tuple[str, ...]
    count: int
    bytes: int
    stations: tuple[Station, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "product": self.product,
            "version": self.version,
            "path": str(self.path),
            "variables": list(self.variables),
            "left_out": list(self.left_out),
            "count": self.count,
            "bytes": self.bytes,
            "places": [
                {**asdict(place), "cell_lat": cell.lat, "cell_lon": cell.lon, "km": round(cell.km, 3)}
                for place, cell in ((each.place, each.cell) for each in self.stations)
            ],
        }


def export(
    cube: Cube,
    product: str,
    path: str | Path,
    *,
    variables: Sequence[str] = (),
    box: Box | None = None,
    region: str | Path | None = None,
    places: Places = (),
    start: str | None = None,
    end: str | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Exported:
    """Write a product, or a part of it, into a file.

    path        ends in .nc (NetCDF-4, CF-1.11) or .csv (a row for each period, cell and further position)
    variables   all by default; a table takes those of the dimensions of the first
    box         south, west, north, east in degrees: cells with their centre in it
    region      GeoJSON file, or FILE:NAME for one of its polygons by the property `name`: cells with their centre in
                it; others of the box around them are missing
    places      pairs of latitude and longitude, such pairs by name, or a CSV file with the columns name, lat, lon: the
                nearest cell with values within 1.5 cells stands for each
    start, end  first and last year, month or day in the product's calendar, inclusive
    progress    called with the parts done and all of them

    The file appears under its name when it is whole. Raises SpecError for a path that cannot be used,
    MissingObjectError for an unknown product, InputError for what the product does not have, IntegrityError for a
    damaged product, StoreError where the file cannot be written.
    """
    target = Path(path)
    _usable(target, overwrite)
    view, manifest = cube.view(product)
    asked = Asked(tuple(variables), box, region, places_of(places) if places else (), start, end)
    choice = choose(view, manifest, asked, target.suffix.lower() == ".csv")
    reader = Reader(view)
    stations = find(reader, choice, asked.places) if asked.places else None
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    told = progress or (lambda done, total: None)
    try:
        count = WRITERS[target.suffix.lower()](part, reader, choice, stations, told)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        size = part.stat().st_size
        part.replace(target)
    except OSError as error:
        raise StoreError(Problem("store-io", f"the file cannot be written: {error}", str(target))) from error
    finally:
        part.unlink(missing_ok=True)
    version = str(manifest["fingerprint"])[:12]
    return Exported(product, version, target, choice.variables, choice.left_out, count, size, tuple(stations or ()))


def _usable(target: Path, overwrite: bool) -> None:
    problems = []
    where = str(target)
    if target.suffix.lower() not in WRITERS:
        problems.append(Problem("export-target", "its name ends neither in .nc nor in .csv", where, fix="rename it"))
    if not target.parent.is_dir():
        problems.append(Problem("export-target", "its folder does not exist", where, fix="make the folder"))
    elif target.is_dir():
        problems.append(Problem("export-target", "it is a folder", where, fix="name a file"))
    elif target.exists() and not overwrite:
        fix = "give --overwrite, or another name"
        problems.append(Problem("export-target", "it exists already", where, "it would be replaced", fix))
    if problems:
        raise SpecError(problems)
