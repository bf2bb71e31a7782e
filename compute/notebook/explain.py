"""Where a number of a cube comes from: its cell, days, thresholds, reference, skill, lineage, licence and citations."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass

from compute.change.job import ChangeJob
from compute.nearest import Place
from compute.notebook import inputs, telling
from compute.notebook.asked import place_of, year_of
from compute.notebook.lineage import members, tree
from compute.notebook.number import At
from compute.notebook.opened import Opened
from cube.catalogue import Cube
from cube.errors import InputError, Problem


@dataclass(frozen=True)
class Explanation:
    """sections: heading and lines of each, in their order; printing shows them as text."""

    product: str
    version: str
    year: int
    place: Place
    sections: tuple[tuple[str, tuple[str, ...]], ...]

    def __str__(self) -> str:
        parts = ["\n".join([head, *(f"  {line}" for line in lines)]) for head, lines in self.sections]
        return "\n\n".join(parts)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def explain(cube: Cube, product: str, place: tuple[float, float], year: int) -> Explanation:
    """Where the numbers of a product come from, at a place and in a year.

    product  one with a time, mostly a metric of years or months
    place    (latitude, longitude) in degrees; the nearest cell that has values, or a reason for having none, stands
             for it, if it is within 1.5 cells
    year     calendar year in which the period begins: the label of a season

    All of it is read from the cube: what its items, manifests and arrays do not tell is left out. Days of inputs are
    those of the version that is published now; where another one was used, that is said.

    Raises InputError for a place without a cell, a year that the product does not have, and products without cells or
    without time, such as changes; MissingObjectError for an unknown product.
    """
    place, year = place_of(place), year_of(year)
    opened = Opened.with_cells(cube, product)
    if opened.time is None:
        raise InputError(_timeless(opened))
    steps = opened.steps(year)
    found, cell = opened.find(place, opened.telling(steps))
    known = members(cube, opened.manifest)
    at = At(cube, opened, found, cell, steps, known)
    sections = [
        (f"{product}, {year}", tuple(telling.head(at, place))),
        ("Values", tuple(telling.values(at))),
        ("Days", tuple(inputs.days(at))),
        ("Thresholds and options", tuple(telling.options(at))),
        ("Reference", tuple(telling.reference(at))),
        ("Skill in this cell", tuple(inputs.skill(at))),
        ("Outside the emulator's training", tuple(inputs.domain(at))),
        ("Notes", tuple(telling.notes_of(at))),
        ("Lineage", tuple(tree(known, product))),
        ("Licence", tuple(telling.licence(at))),
        ("Cite", tuple(telling.citations(at))),
    ]
    return Explanation(product, opened.version, year, found, tuple(_filled(sections)))


def _timeless(opened: Opened) -> Problem:
    if opened.manifest["job"] == ChangeJob.name:
        pairs = [f"{each['scenario']} and {each['past']}" for each in opened.manifest["options"]["models"]]
        what, fix = "changes cannot be explained", f"explain {'; '.join(pairs)}"
    else:
        what, fix = "it has no time", f'name a product of years, months or days, or read cube["{opened.name}"]'
    return Problem("choice-unknown", what, opened.name, "no year and no day is behind a number of many years", fix)


def _filled(sections: list[tuple[str, tuple[str, ...]]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for head, lines in sections:
        if lines:
            yield head, lines
