"""Pictures of a published cube for notebooks and reports, drawn without the network and without pyplot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compute.change.structure import OF_CHANGE
from compute.dates import is_date
from compute.notebook.asked import When, area_of, place_of, target_of, when_of
from compute.notebook.caveats import footnote
from compute.notebook.cells import cells_of
from compute.notebook.choosing import choose
from compute.notebook.colours import POSITIONS, base, scale
from compute.notebook.mapping import drawn
from compute.notebook.opened import CHANGE, Opened, unknown
from compute.notebook.panels import panels
from compute.notebook.picture import Picture, style
from compute.notebook.years import seasons
from compute.seasons.years import year_length
from cube.catalogue import Cube
from cube.errors import InputError, Problem


def map(
    cube: Cube,
    product: str,
    variable: str | None = None,
    *,
    when: When = None,
    season: int | str | None = None,
    model: str | None = None,
    area: tuple[float, float, float, float] | None = None,
    path: str | Path | None = None,
) -> Picture:
    """A map of a product's variable.

    variable  of the product; of changes also the metric's name, such as "onset"; by default the metric's main one
    when      a year, a month such as "2003-07", or (first, last) years to be averaged, by default all; of changes the
              window, such as "2041-2070", by default the last
    season    number of the season, by default 1, or the months, such as "MAM"
    model     climate model of a product of changes; needed where it has several
    area      west, south, east and north in degrees, by default all cells of which something is known
    path      where it is also written as PNG

    Colours are amounts, changes around zero (brown is drier), or days of the year. Hatched on grey are cells without a
    number, by the reason; hatched over colours are changes that should not be relied on. Cells of which nothing is
    known, such as the sea, are white.

    Raises InputError for choices that the product does not have and for products without cells, RequestError for a path
    that cannot be used, MissingObjectError for an unknown product, WriteError where the file cannot be written.
    """
    when, area, path = when_of(when), area_of(area), target_of(path)
    opened = Opened.with_cells(cube, product)
    name = opened.variable(variable)
    attrs = opened.attrs(name)
    if is_date(opened.arrays[name]):
        fix = [each for each in POSITIONS if each in opened.arrays]
        raise InputError(
            unknown(f"{name} are dates, whose map would differ from year to year", product, "variable", fix)
        )
    chosen = choose(opened, name, when, season, model)
    cells = cells_of(opened)
    box = cells.extent(chosen.known, area)
    inside = cells.inside(box)
    if not inside.any():
        danger = "an empty picture would look like one of nothing to be seen there"
        raise InputError(
            Problem("area-unknown", f"no cell lies in {area}", product, danger, "choose an area of the product")
        )
    chosen = chosen.only(inside)
    time = opened.time
    colours = scale(name, attrs, chosen.values, year_length(time.calendar if time else "standard"))
    with style():
        figure = drawn(
            cells,
            chosen,
            colours,
            title=f"{opened.title}\n{_told(name, attrs, chosen.told)}",
            label=_label(opened, name),
            notes=footnote(cube, [(opened, name)], chosen.notes),
            box=box,
        )
    figure.write(path)
    return figure


def season(
    cube: Cube,
    products: str | Sequence[str],
    place: tuple[float, float],
    *,
    variable: str | None = None,
    season: int | str = 1,
    path: str | Path | None = None,
) -> Picture:
    """A place's season over the years, the products side by side in panels with one axis.

    products  names of yearly products, e.g. of the observations and of each scenario
    place     (latitude, longitude) in degrees; the nearest cell that has values, or a reason for having none, stands
              for it, if it is within 1.5 cells. Products of the same cells are drawn at one cell, which must be such in
              all of them
    variable  one with a number a year, drawn as a line; by default the season itself, as a bar from onset to cessation,
              or the product's main variable where it has no season
    season    number of the season, or the months, such as "MAM"
    path      where it is also written as PNG

    At the bottom, marks show why years have no season or no number. Raises InputError for products that have nothing in
    common, a place without a cell and choices that a product does not have, RequestError for a path that cannot be
    used, MissingObjectError for an unknown product, WriteError where the file cannot be written.
    """
    place, path = place_of(place), target_of(path)
    names = [products] if isinstance(products, str) else list(products)
    if not names:
        raise InputError(unknown("no product is named", "plot.season", "products", list(cube)))
    shown = [Opened.with_cells(cube, name) for name in names]
    with style():
        figure = seasons(cube, panels(shown, place, variable, str(season)), place)
    figure.write(path)
    return figure


def _told(name: str, attrs: Mapping[str, Any], chosen: str) -> str:
    """What is drawn: the array's long name, of a change the metric's, and what was chosen."""
    long_name = str(attrs.get("long_name", name))
    if not name.endswith(CHANGE):
        return ", ".join(filter(None, [long_name, chosen]))
    return f"{long_name.removesuffix(OF_CHANGE)}: {chosen}"


def _label(opened: Opened, name: str) -> str:
    """What the colours are, with units."""
    attrs, spec = opened.attrs(name), opened.arrays[name]
    units = str(attrs.get("units", "1"))
    if base(name) in POSITIONS and not name.endswith(CHANGE):
        return f"{name} (day of the year)"
    if units == "1":
        units = "number" if spec.dtype.kind in "iu" else "1"
    return f"{name} ({'days' if units == 'd' else units})"
