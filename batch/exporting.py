"""`cube export`: a product, or a part of it, as a NetCDF or CSV file."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from batch.commanding import EXIT_CODES, console, fails_with_code, json_option, open_spec, print_json, spec_option
from batch.reporting import LINE_SECONDS
from batch.showing import size
from compute.export.asked import AskedPlace, places_file
from cube.catalogue import Cube
from cube.errors import Problem, RequestError

QUIET_SECONDS = 2.0
"""What takes longer shows how far it is."""


def _place(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> list[AskedPlace]:
    found = []
    for value in values:
        try:
            lat, lon = map(float, value.split(","))
            if not (math.isfinite(lat) and math.isfinite(lon)):
                raise ValueError(value)
        except ValueError:
            raise click.BadParameter(f"{value!r} is no LAT,LON such as 9.05,7.49") from None
        found.append(AskedPlace(value, lat, lon))
    return found


@click.command("export", epilog=EXIT_CODES)
@click.argument("product")
@click.option(
    "--to",
    "target",
    required=True,
    type=click.Path(path_type=Path),
    help="the file: NetCDF where it ends in .nc, a table where it ends in .csv",
)
@spec_option
@click.option(
    "--cube", "location", help="the cube: a folder, s3:// or http(s):// address; by default the specification's"
)
@click.option("--variable", "variables", multiple=True, help="export only this variable; may be given several times")
@click.option(
    "--box", nargs=4, type=float, metavar="SOUTH WEST NORTH EAST", help="cells with their centre in this box, degrees"
)
@click.option("--region", metavar="FILE[:NAME]", help="cells with their centre in the polygons of a GeoJSON file")
@click.option(
    "--place",
    multiple=True,
    callback=_place,
    metavar="LAT,LON",
    help="the nearest cell that has values, or a reason for having none; may be repeated",
)
@click.option(
    "--places", "places_path", type=click.Path(path_type=Path), help="CSV file of places: columns name, lat, lon"
)
@click.option("--from", "start", help="first year, month or day in the product's calendar, such as 1991 or 1991-07-01")
@click.option("--until", "end", help="last year, month or day, inclusive")
@click.option("--overwrite", is_flag=True, help="replace the file if it exists")
@json_option
@fails_with_code
def export_command(
    product: str,
    target: Path,
    spec_path: Path,
    location: str | None,
    variables: tuple[str, ...],
    box: tuple[float, float, float, float] | None,
    region: str | None,
    place: list[AskedPlace],
    places_path: Path | None,
    start: str | None,
    end: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write a published product, or a part of it, as NetCDF (CF) or CSV. The file appears when it is whole."""
    from compute.export.exporting import export  # what it needs takes long to import

    cube = Cube(location) if location else _cube_of(spec_path, product)
    asked = [*place, *(places_file(places_path) if places_path else ())]
    with _progress(f"exporting {product}", as_json) as progress:
        found = export(
            cube,
            product,
            target,
            variables=variables,
            box=box,
            region=region,
            places=asked or None,
            start=start,
            end=end,
            overwrite=overwrite,
            progress=progress,
        )
    if as_json:
        print_json(found.to_json())
        return
    what = "rows" if target.suffix.lower() == ".csv" else "values"
    out = console()
    lines = [f"{target}: {product} {found.version}, {', '.join(found.variables)}; {found.count} {what}"]
    lines[0] += f", {size(found.bytes)}"
    if found.left_out:
        lines.append(f"left out, since their dimensions are others: {', '.join(found.left_out)}")
    if found.shortened:
        lines.append(found.shortened)
    if found.empty_regions:
        lines.append(f"regions without a cell of their own: {', '.join(found.empty_regions)}")
    for each in found.stations:
        cell = each.cell
        lines.append(f"{each.place.name}: cell at {cell.lat:g}, {cell.lon:g}, {cell.km:.1f} km away")
    lines.append(f"licence: {found.binding}")
    for line in lines:
        out.print(line, highlight=False, markup=False, soft_wrap=True)


def _cube_of(spec_path: Path, product: str) -> Cube:
    spec, _ = open_spec(spec_path, ())
    if product not in spec.products:
        what, fix = f"there is no product {product!r}", f"known are: {', '.join(spec.products)}"
        raise RequestError(Problem("product-unknown", what, str(spec_path), fix=fix))
    storage = spec.storage.model_dump(exclude_unset=True) if spec.storage else None
    return Cube(spec.store_location, storage)


@contextlib.contextmanager
def _progress(text: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Shows nothing of what is soon done; then a bar on a terminal, lines elsewhere."""
    out = Console(stderr=True)
    began = line = time.monotonic()
    bar = Progress(TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=out, transient=True)
    task = bar.add_task(text)

    def told(done: int, total: int) -> None:
        nonlocal line
        now = time.monotonic()
        if quiet or now - began < QUIET_SECONDS:
            return
        if out.is_terminal:
            bar.start()
            bar.update(task, completed=done, total=total)
        elif now - line > LINE_SECONDS:
            line = now
            out.print(f"{text}: {done} of {total}", highlight=False, markup=False)

    try:
        yield told
    finally:
        # One that was never shown would leave an empty line.
        if bar.live.is_started:
            bar.stop()
