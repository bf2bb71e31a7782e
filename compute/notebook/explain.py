"""Where a number of a cube comes from: its cell, days, thresholds, reference, skill, lineage, licence and citations."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass

from compute.nearest import Place
from compute.notebook import inputs, telling
from compute.notebook.lineage import members, tree
from compute.notebook.number import At, explained
from compute.notebook.opened import Opened
from cube.catalogue import Cube


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
    place    latitude and longitude in degrees; the nearest cell that has values, or a reason for having none, stands
             for it, if it is within 1.5 cells
    year     calendar year in which the period begins: the label of a season

    All of it is read from the cube: what its items, manifests and arrays do not tell is left out. Days of inputs are
    those of the version that is published now; where another one was used, that is said.

    Raises InputError for a place without a cell and a year that the product does not have, MissingObjectError for an
    unknown product.
    """
    opened = Opened.of(cube, product)
    steps = opened.steps(year)
    found, cell = opened.find(place, explained(opened, steps))
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


def _filled(sections: list[tuple[str, tuple[str, ...]]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for head, lines in sections:
        if lines:
            yield head, lines
