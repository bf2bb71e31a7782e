"""A published product as pictures and explanations see it: item, manifest, structure and values at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.nearest import Place, nearest
from compute.places import places
from compute.summarise.structure import CSV, REGION
from compute.telling_cells import telling, tells
from cube.axes import TimeAxis
from cube.catalogue import Cube
from cube.errors import InputError, Problem
from cube.job import ProductView
from cube.template import ArraySpec

FIRST = ("onset", "dry_days", "wrsi", "ssmi")
"""What is shown of a product where no variable is named."""
CHANGE = "_change"
WHOLE = 50_000_000
"""Values that are looked at for cells that ever tell something; of longer products one year is."""


@dataclass(frozen=True)
class Opened:
    """data: missing values are NaN, times are numbers; nothing is read before it is used."""

    name: str
    item: Mapping[str, Any]
    manifest: Mapping[str, Any]
    view: ProductView
    data: xr.Dataset

    @classmethod
    def of(cls, cube: Cube, name: str) -> Opened:
        """Raises MissingObjectError for an unknown product, IntegrityError for a damaged one."""
        view, manifest = cube.view(name)
        data = cube.open(name, decode_times=False, decode_timedelta=False, chunks=None)
        return cls(name, cube.item(name), manifest, view, data)

    @classmethod
    def with_cells(cls, cube: Cube, name: str) -> Opened:
        """The same of a product that has cells to draw or to explain. Raises InputError for others, too."""
        opened = cls.of(cube, name)
        if not opened.space:
            regions = REGION in opened.data.dims
            what = "this product has regions, no cells" if regions else "this product has no cells"
            read = f"its {CSV}, or " if regions else ""
            raise InputError(
                Problem("choice-unknown", what, name, "a region has no place on a map", f'read {read}cube["{name}"]')
            )
        return opened

    @property
    def title(self) -> str:
        return str(self.manifest["title"] or self.name)

    @property
    def version(self) -> str:
        """The first 12 figures of the fingerprint."""
        return str(self.manifest["fingerprint"])[:12]

    @property
    def licence(self) -> str:
        return str(self.item["properties"]["license"])

    @property
    def space(self) -> tuple[str, ...]:
        return self.view.template.space

    @property
    def arrays(self) -> Mapping[str, ArraySpec]:
        """Arrays that have a value for each cell."""
        return {name: each for name, each in self.view.template.arrays.items() if set(self.space) <= set(each.dims)}

    @property
    def time(self) -> TimeAxis | None:
        return self.view.template.time

    def attrs(self, variable: str) -> Mapping[str, Any]:
        return self.view.template.arrays[variable].attrs

    @cached_property
    def centres(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Latitude and longitude of the cells, each of shape (cells,)."""
        return places(self.view, {dim: slice(0, len(self.view.template.coords[dim])) for dim in self.space})

    def variable(self, asked: str | None) -> str:
        """The array that is meant: by its name, by that of the metric in a product of changes, or the first that is
        known. Raises InputError where there is no such array."""
        arrays = self.arrays
        names = (asked,) if asked else FIRST
        found = next((each for name in names for each in (name, f"{name}{CHANGE}") if each in arrays), None)
        if found is None and asked is None and len(arrays) == 1:
            return next(iter(arrays))
        if found is None:
            what = f"it has no variable {asked!r}" if asked else "it is not known which of its variables is meant"
            raise InputError(unknown(what, self.name, "variable", sorted(arrays)))
        return found

    def labels(self, dim: str) -> Sequence[str]:
        """What the positions of a dimension are called."""
        coord = self.view.template.coords.get(dim)
        if coord is None:
            return [str(at) for at in range(self.data.sizes[dim])]
        meanings = str(coord.attrs.get("flag_meanings", "")).split()
        if meanings:
            numbers = [int(each) for each in np.atleast_1d(coord.attrs.get("flag_values", range(len(meanings))))]
            names = dict(zip(numbers, meanings, strict=True))
            return [names.get(int(each), str(each)) for each in coord.values]
        return [f"{each:g}" if isinstance(each, float) else str(each) for each in coord.values.tolist()]

    def values(self, variable: str, at: Mapping[str, Any] | None = None) -> NDArray[np.float64]:
        """The values at positions by dimension, the dimensions of the cells last where they are left."""
        cut = self.data[variable].isel(at or {})
        return np.asarray(cut.transpose(..., *(dim for dim in self.space if dim in cut.dims)).values, np.float64)

    def find(self, place: tuple[float, float], valid: NDArray[np.bool_] | None = None) -> tuple[Place, dict[str, int]]:
        """The nearest cell within 1.5 cells, and its position by dimension.

        valid  of the cells that may stand for the place, shape of the cells; by default all

        Raises InputError where none does.
        """
        lats, lons = self.centres
        shape = tuple(len(self.view.template.coords[dim]) for dim in self.space)
        usable = np.ones(shape, np.bool_) if valid is None else valid
        found = nearest((float(place[0]), float(place[1])), lats, lons, usable.reshape(-1))
        at = np.unravel_index(found.position, shape)
        return found, {dim: int(each) for dim, each in zip(self.space, at, strict=True)}

    def telling(self, steps: slice | None = None) -> NDArray[np.bool_]:
        """Cells with a value, or with a reason for having none, at any time; one of them may stand for a place.

        steps  periods that are looked at where all would be too many
        """
        found = []
        for name in telling(self.arrays):
            spec = self.arrays[name]
            few = steps is not None and "time" in spec.dims and int(np.prod(spec.shape)) > WHOLE
            told = tells(name, spec, self.values(name, {"time": steps} if few else None))
            found.append(told.any(axis=tuple(range(told.ndim - len(self.space)))))
        return np.asarray(np.any(found, axis=0))

    def years(self) -> NDArray[np.int64]:
        """Calendar year in which each period begins."""
        assert self.time is not None
        return np.array([self.time.date(at).year for at in range(self.time.count)], np.int64)

    def steps(self, year: int) -> slice:
        """Periods that begin in a calendar year. Raises InputError where none does."""
        if self.time is None:
            raise InputError(unknown("it has no time", self.name, "year", []))
        years = self.years()
        found = np.flatnonzero(years == year)
        if not len(found):
            raise InputError(unknown(f"it has no year {year}", self.name, "year", [f"{years[0]} to {years[-1]}"]))
        return slice(int(found[0]), int(found[-1]) + 1)


def unknown(what: str, product: str, name: str, known: Sequence[str]) -> Problem:
    """The problem of a choice that the product does not offer, or of one that must be made."""
    fix = f"`{name}` is one of: {', '.join(known)}" if known else f"leave `{name}` out, or name another product"
    return Problem("choice-unknown", what, product, "another number would be shown than was asked for", fix)


def reference_arrays(opened: Opened) -> Iterator[str]:
    """Arrays of cells without time: what a metric took from its reference."""
    for name, spec in opened.arrays.items():
        if "time" not in spec.dims and not name.startswith("provisional_"):
            yield name
