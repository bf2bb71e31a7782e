"""`cube export` and `cic.export`: a product, or a part of it, as a NetCDF or CSV file."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compute.export import netcdf, rows
from compute.export.asked import Places, places_of, shown
from compute.export.choice import Asked, Box, choose
from compute.export.licence import binding, licence_of
from compute.export.periods import When, when_text
from compute.export.reading import Reader
from compute.export.stations import Station, find
from cube.catalogue import Cube
from cube.errors import Problem, RequestError, WriteError

WRITERS = {".nc": netcdf.write, ".csv": rows.write}


@dataclass(frozen=True)
class Exported:
    """What was written.

    count           values of a NetCDF file, rows of a table
    left_out        variables that do not fit into the file: of other dimensions than a table's, or without cells
    stations        the cells that stand for places
    shortened       what is said where the product holds fewer periods than were asked for, else ""
    empty_regions   regions that have no cell of their own in the file
    licence         of the product, with its address; a table carries none
    redistribution  yes, no or unknown
    """

    product: str
    version: str
    path: Path
    variables: tuple[str, ...]
    left_out: tuple[str, ...]
    count: int
    bytes: int
    stations: tuple[Station, ...]
    shortened: str
    empty_regions: tuple[str, ...]
    licence: str
    redistribution: str

    @property
    def binding(self) -> str:
        """Licence and redistribution as one line."""
        return binding(self.licence, self.redistribution)

    def to_json(self) -> dict[str, Any]:
        return {
            "product": self.product,
            "version": self.version,
            "path": str(self.path),
            "variables": list(self.variables),
            "left_out": list(self.left_out),
            "count": self.count,
            "bytes": self.bytes,
            "licence": self.licence,
            "redistribution": self.redistribution,
            "shortened": self.shortened,
            "empty_regions": list(self.empty_regions),
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
    variables: Sequence[str] | None = None,
    box: Box | None = None,
    region: str | Path | None = None,
    places: Places | None = None,
    start: When | None = None,
    end: When | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Exported:
    """Write a product, or a part of it, into a file.

    path        ends in .nc (NetCDF-4, CF-1.11) or .csv (a row for each period, cell and further position)
    variables   all by default; a table takes those of the dimensions of the first
    box         south, west, north, east in degrees: cells with their centre in it
    region      GeoJSON file, or FILE:NAME for one of its polygons by the property `name`: cells with their centre in
                it; others of the box around them are missing. Where the polygons are several or have names, `region`
                tells which one a cell lies in, the first of several
    places      pairs of latitude and longitude, such pairs by name, or a CSV file with the columns name, lat, lon: the
                nearest cell within 1.5 cells stands for each, of those that have a value or a reason for having none
    start, end  first and last year, month or day in the product's calendar, inclusive: 1991, "1991-07" or a date; where
                the product holds fewer, those are written and `shortened` says so
    progress    called with the parts done and all of them

    The file appears under its name when it is whole. Raises RequestError for a path that cannot be used, or at which a
    file has appeared meanwhile,
    MissingObjectError for an unknown product, InputError for what the product does not have, IntegrityError for a
    damaged product, WriteError where the file cannot be written.
    """
    target = Path(path)
    _usable(target, overwrite)
    view, manifest = cube.view(product)
    found = () if places is None else places_of(places)
    asked = Asked(_names(variables), box, region, found, when_text(start), when_text(end))
    choice = choose(view, manifest, asked, target.suffix.lower() == ".csv")
    reader = Reader(view)
    stations = find(reader, choice, asked.places) if asked.places else None
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")  # threads may write one file as well
    told = progress or (lambda done, total: None)
    try:
        count = WRITERS[target.suffix.lower()](part, reader, choice, stations, told)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        size = part.stat().st_size
        _publish(part, target, overwrite)
    except OSError as error:
        raise WriteError(
            Problem("store-io", f"it cannot be written: {error}", str(target), fix="free space, or name another folder")
        ) from error
    finally:
        # Where nothing can be written nothing can be deleted; what went wrong first is what is told.
        with contextlib.suppress(OSError):
            part.unlink()
    return Exported(
        product=product,
        version=str(manifest["fingerprint"])[:12],
        path=target,
        variables=choice.variables,
        left_out=choice.left_out,
        count=count,
        bytes=size,
        stations=tuple(stations or ()),
        shortened=choice.shortened,
        empty_regions=choice.parts.empty if choice.parts else (),
        licence=licence_of(manifest["provenance"]),
        redistribution=str(manifest["provenance"]["redistribution"]),
    )


def _names(given: Any) -> tuple[Any, ...]:
    """Names of variables, one or several; what is none is found out where the product is known."""
    if given is None:
        return ()
    return (given,) if isinstance(given, str) or not isinstance(given, Iterable) else tuple(given)


def _publish(part: Path, target: Path, overwrite: bool) -> None:
    """Give the file its name. Raises RequestError where another one has taken it since, OSError where that fails."""
    if overwrite:
        part.replace(target)
        return
    try:
        # Unlike a rename a link never replaces.
        os.link(part, target)
    except FileExistsError:
        raise RequestError(_exists(str(target))) from None
    except OSError:
        # There are file systems without links.
        if os.path.lexists(target):
            raise RequestError(_exists(str(target))) from None
        part.replace(target)


def _usable(target: Path, overwrite: bool) -> None:
    where = str(target)
    try:
        problems = list(_faults(target, where, overwrite))
    except OSError as error:
        raise WriteError(Problem("store-io", f"it cannot be looked at: {error.strerror}", where)) from None
    if problems:
        raise RequestError(problems)


def _faults(target: Path, where: str, overwrite: bool) -> Iterator[Problem]:
    if not _nameable(where):
        yield Problem("export-target", "its name is none that a file can have", shown(where), fix="rename it")
        return
    if target.suffix.lower() not in WRITERS:
        yield Problem("export-target", "its name ends neither in .nc nor in .csv", where, fix="rename it")
    # Unlike os.path these raise where nothing can be seen.
    if not target.parent.is_dir():
        yield Problem("export-target", "its folder does not exist", where, fix="make the folder")
    elif target.is_dir():
        yield Problem("export-target", "it is a folder", where, fix="name a file")
    elif (target.is_symlink() or target.exists()) and not overwrite:
        yield _exists(where)


def _nameable(name: str) -> bool:
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


def _exists(where: str) -> Problem:
    fix = "give --overwrite, or another name"
    return Problem("export-target", "it exists already", where, "it would be replaced", fix)
