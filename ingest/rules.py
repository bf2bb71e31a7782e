"""How each variable is decoded from each kind of file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.archive import ArchiveFile, Decode
from ingest.assembling import Shape, decode_of, dtype_of, fill_of, shape_of
from ingest.choosing import Chosen, Conversion
from ingest.declaration import Source
from ingest.facts import FileFacts, Structure
from ingest.findings import Findings, listed
from ingest.grids import Grid
from ingest.labels import Labels
from ingest.selection import IngestSelection


@dataclass(frozen=True)
class Checked:
    """An archive's files after all checks that do not look at periods.

    files, facts, grids  by number of the file;  structures  by hash
    conversions          by published name and structure
    labels               None for a product without time
    incomplete           whether other files were found that cannot be used
    excused              ordinals, in the files' step, of which such files hold something: no holes
    """

    source: Source
    options: IngestSelection
    files: Sequence[ArchiveFile]
    facts: Sequence[FileFacts]
    grids: Sequence[Grid]
    structures: Mapping[str, Structure]
    conversions: Mapping[tuple[str, str], Conversion]
    labels: Labels | None
    incomplete: bool
    excused: NDArray[np.int64]

    @cached_property
    def names(self) -> list[str]:
        return [file.name for file in self.files]

    def holding(self, chosen: Chosen) -> NDArray[np.bool_]:
        """Which files hold a variable, by number."""
        return np.array([each.structure in chosen.native for each in self.facts], bool)


@dataclass(frozen=True)
class Ruled:
    """A variable, and how it is decoded from the files of each structure; not from those whose units are a problem."""

    chosen: Chosen
    shapes: Mapping[str, Shape]
    decodes: Mapping[str, Decode]
    dtype: np.dtype[np.generic]
    fill: float | int

    @property
    def name(self) -> str:
        return self.chosen.rule.name

    @property
    def shape(self) -> Shape:
        return next(iter(self.shapes.values()))


def rule(checked: Checked, chosen: Chosen, findings: Findings) -> Ruled | None:
    """The rules of a variable; None where its dimensions are a problem."""
    labels = checked.labels
    shapes: dict[str, Shape] = {}
    differing: list[str] = []
    for number, facts in one_of_each(checked.facts):
        native = chosen.native.get(facts.structure)
        if native is None:
            continue
        structure, grid = checked.structures[facts.structure], checked.grids[number]
        shape = shape_of(native, structure, facts, grid, checked.source.soil_layers, labels is not None)
        first = next(iter(shapes.values()), shape)
        if (shape.dims, dict(shape.others)) != (first.dims, dict(first.others)):
            differing.append(checked.names[number])
        shapes.setdefault(facts.structure, shape)
    if differing:
        findings.problem(
            "dimension-differs",
            f"{chosen.rule.name} has other dimensions there than elsewhere",
            listed(differing),
            "values of different levels would be joined as one",
            "make one product of each",
        )
        return None
    dtype = dtype_of(chosen, checked.structures)
    fill = fill_of(chosen, checked.structures, dtype)
    decodes = {
        hashed: decode_of(
            chosen,
            checked.structures[hashed],
            chosen.native[hashed],
            checked.conversions[chosen.rule.name, hashed],
            shape,
            dtype,
            fill,
            checked.source.group,
            None if labels is None else labels.step,
            checked.options.quality,
        )
        for hashed, shape in shapes.items()
        if (chosen.rule.name, hashed) in checked.conversions
    }
    return Ruled(chosen, shapes, decodes, dtype, fill)


def other_sizes(ruled: Sequence[Ruled], findings: Findings) -> dict[str, int]:
    """Sizes of the dimensions that are neither time nor the map's."""
    sizes: dict[str, int] = {}
    for each in ruled:
        for dim, size in each.shape.others.items():
            if sizes.setdefault(dim, size) != size:
                findings.problem(
                    "dimension-differs",
                    f"the dimension {dim} has {size} values in {each.name} and {sizes[dim]} elsewhere",
                    "files",
                    "values of different levels would be joined as one",
                    "make one product of each variable",
                )
    return sizes


def one_of_each(facts: Sequence[FileFacts]) -> Iterable[tuple[int, FileFacts]]:
    """A file of each structure and set of sizes, with its number."""
    seen: dict[tuple[Any, ...], tuple[int, FileFacts]] = {}
    for number, each in enumerate(facts):
        kind = (each.structure, tuple(each.sizes.items()), tuple(each.arrays.items()))
        seen.setdefault(kind, (number, each))
    return list(seen.values())
