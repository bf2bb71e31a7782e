"""The variables of an aligned product: their structure, and what is wrong with aligning them as asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from compute.align.options import AlignOptions, Method
from cube.errors import Problem
from cube.template import ArraySpec
from cube.units import conversion

INSERTED = "interpolated_day"
"""The variable that marks days that the input does not have."""

_WATER = ("precipitation", "rain", "snowfall")
_MEANING = {
    "conservative": "mean over the area of the cell",
    "bilinear": "interpolated between the four source cells around the centre of the cell",
    "majority": "value with the largest area in the cell, the lower of equal ones",
    "mean": "mean of the source cells whose centres lie in the cell",
}
_CELL_METHODS = {"conservative": "area: mean", "mean": "area: mean", "majority": "area: mode"}
_DROPPED = ("grid_mapping", "coordinates", "ancillary_variables", "cell_measures")


def beside(name: str) -> tuple[str, str]:
    """Names of the counts and of the marks of filled cells that belong to a variable."""
    return f"{name}_count", f"{name}_filled"


@dataclass(frozen=True)
class Aligned:
    """One variable: its specification in the input, whose map has the dimensions `plane`, and its method."""

    name: str
    method: Method
    source: ArraySpec
    plane: tuple[str, str]

    @property
    def others(self) -> tuple[str, ...]:
        """Dimensions besides time and the map's."""
        return tuple(dim for dim in self.source.dims if dim != "time" and dim not in self.plane)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the result: that of the source where it can be missing, and a wider one where it cannot."""
        kind = self.source.dtype
        if self.method != "majority":
            return kind if kind.kind == "f" and kind.itemsize >= 4 else np.dtype("float32")
        if kind.kind == "f" or self.source.fill is not None:
            return kind
        return np.dtype("int32") if kind.itemsize < 4 else np.dtype("int64")

    def arrays(self, options: AlignOptions, steps: int | None) -> dict[str, ArraySpec]:
        """The variable, and what belongs to it, on the grid. steps: of the product's time, None for none."""
        time = {} if steps is None or "time" not in self.source.dims else {"time": steps}
        rows, columns = len(options.grid.rows), len(options.grid.columns)
        sizes = {**time, **{dim: self.source.sizes[dim] for dim in self.others}, "lat": rows, "lon": columns}
        dims, shape = tuple(sizes), tuple(sizes.values())
        counts, filled = beside(self.name)
        marks: dict[str, ArraySpec] = {}
        if self.method == "mean":
            counted = {"long_name": f"number of source cells that {self.name} is the mean of", "units": "1"}
            marks[counts] = ArraySpec(dims, shape, np.dtype("int32"), counted)
        if options.coast:
            attrs: dict[str, Any] = {
                "long_name": f"how {self.name} was found",
                "units": "1",
                "flag_values": [0, 1],
                "flag_meanings": "regridded filled_from_nearest_source_cell",
            }
            marks[filled] = ArraySpec(dims, shape, np.dtype("int8"), attrs)
        related = [*marks, *([INSERTED] if time and options.calendar == "noleap-to-standard" else [])]
        return {self.name: ArraySpec(dims, shape, self.dtype, self._attrs(options, related)), **marks}

    def _attrs(self, options: AlignOptions, related: list[str]) -> dict[str, Any]:
        attrs = {key: value for key, value in self.source.attrs.items() if key not in _DROPPED}
        if self.dtype.kind == "f":
            attrs.pop("_FillValue", None)
        elif "_FillValue" not in attrs:
            attrs["_FillValue"] = int(np.iinfo(self.dtype).min)
        if added := _CELL_METHODS.get(self.method):
            attrs["cell_methods"] = " ".join(filter(None, [attrs.get("cell_methods"), added]))
        said = f"{self.method}: {_MEANING[self.method]}; missing where less than {options.min_valid} has values"
        if self.lapses(options):
            said += f"; {options.lapse_rate} from the elevation of {options.orography} to {options.target_orography}"
        if related:
            attrs["ancillary_variables"] = " ".join(related)
        return {**attrs, "regridding": said}

    def lapses(self, options: AlignOptions) -> bool:
        """Whether the lapse rate applies: to temperatures in K or degrees Celsius that are interpolated."""
        return options.lapse_rate is not None and self.method == "bilinear" and _converts(self.units, "K", 1.0)

    @property
    def units(self) -> str:
        return str(self.source.attrs.get("units", "1"))

    @property
    def _water(self) -> bool:
        """Whether it is water that falls: its standard name says so, or it is a flux of water without a name."""
        name = str(self.source.attrs.get("standard_name", ""))
        return any(word in name for word in _WATER) or (not name and _converts(self.units, "mm d-1"))

    def problems(self, options: AlignOptions, place: str) -> Iterator[Problem]:
        """What is wrong with bringing it onto the grid as the options say. place: the product that it is in."""
        where = f"{place} {self.name}"
        if self.method == "bilinear" and self._water:
            yield Problem(
                "align-rain",
                "bilinear interpolation was asked for what falls as rain or snow",
                where,
                "its total would change, and wet days with it",
                "use conservative",
            )
        if self.method != "majority" and any(key in self.source.attrs for key in ("flag_values", "flag_meanings")):
            yield Problem(
                "align-categories",
                f"{self.method} was asked for categories",
                where,
                "the mean of the numbers of two categories is the number of a third",
                "use majority",
            )
        if options.calendar == "noleap-to-standard" and self._water:
            yield Problem(
                "calendar-rain",
                "29 February cannot be interpolated for what falls as rain or snow",
                where,
                "half of the rain of two days is no rain day, and totals would change",
                "leave `calendar` out for it, and bring the other products to its calendar with standard-to-noleap",
            )
        if options.calendar == "noleap-to-standard" and self.method == "majority":
            yield Problem(
                "calendar-categories",
                "29 February cannot be interpolated for categories",
                where,
                "the mean of the numbers of two categories is the number of a third",
                "leave `calendar` out for it",
            )


def _converts(source: str, target: str, factor: float | None = None) -> bool:
    try:
        found = conversion(source, target)[0]
    except ValueError:
        return False
    return factor is None or found == factor


def chosen(
    options: AlignOptions, arrays: Mapping[str, ArraySpec], plane: tuple[str, str], place: str
) -> tuple[list[Aligned], list[Problem]]:
    """The variables that the options name, in their order, and what is wrong with them."""
    found, problems = [], []
    for name, method in options.variables.items():
        spec = arrays.get(name)
        if spec is None:
            what = f"has {', '.join(sorted(arrays))}, not {name}"
            problems.append(Problem("variable-unknown", what, place, fix="name its variables in `variables`"))
        elif not set(plane) <= set(spec.dims):
            what = f"{name} has the dimensions {', '.join(spec.dims) or 'none'}, not {plane[0]} and {plane[1]}"
            problems.append(Problem("align-no-map", what, place, fix="leave it out of `variables`"))
        else:
            each = Aligned(name, method, spec, plane)
            found.append(each)
            problems += each.problems(options, place)
    taken = [name for each in found for name in beside(each.name)]
    for name in sorted(set(taken) & {each.name for each in found}):
        what = f"{name} is a variable of the input and a name that is made beside another"
        problems.append(Problem("align-name-clash", what, place, fix="make two products"))
    return found, problems
