"""Products in memory as the job sees them, and all blocks of an aligned product put together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cftime
import numpy as np
import xarray as xr

from compute.align.job import AlignJob
from compute.align.options import AlignOptions
from cube.axes import Step, TimeAxis, ordinal_of
from cube.job import JobContext, ProductView
from cube.layout import Dim, Group, Layout
from cube.options import LayoutOptions
from cube.provenance import Provenance
from cube.template import ArraySpec, Template

LATLON = ("lat", "lon")
PLANE = ("y", "x")
PLAIN = {"epsg": None, "wkt": None}


def days(start: str, count: int, calendar: str = "standard") -> TimeAxis:
    """So many days from a date on."""
    year, month, day = (int(part) for part in start.split("-"))
    date = cftime.datetime(year, month, day, calendar=calendar)
    return TimeAxis(ordinal_of(date, Step("day"), calendar), count, Step("day"), calendar)


class Product:
    """A product of variables on one map, held in memory.

    values  by name, each (time, ..., y, x) or (y, x); axes: centres of the map's cells, y first
    """

    def __init__(
        self,
        values: Mapping[str, np.ndarray[Any, Any]],
        axes: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]],
        *,
        name: str = "source",
        time: TimeAxis | None = None,
        plane: tuple[str, str] = LATLON,
        dims: tuple[str, ...] = (),
        attrs: Mapping[str, Mapping[str, Any]] | None = None,
        crs: Mapping[str, Any] = PLAIN,
        bounds: Mapping[str, np.ndarray[Any, Any]] | None = None,
        bbox: tuple[float, float, float, float] | None = None,
    ) -> None:
        self.name, self.values = name, dict(values)
        coords = {dim: xr.Variable((dim,), np.asarray(each, float)) for dim, each in zip(plane, axes, strict=True)}
        for dim, each in (bounds or {}).items():
            coords[f"{dim}_bnds"] = xr.Variable((dim, "bnds"), each)
        arrays = {}
        for variable, each in self.values.items():
            own = (*(("time",) if time and each.ndim > 2 else ()), *dims, *plane)
            arrays[variable] = ArraySpec(
                own[-each.ndim :], each.shape, each.dtype, dict((attrs or {}).get(variable, {}))
            )
        box = bbox or (float(axes[1].min()), float(axes[0].min()), float(axes[1].max()), float(axes[0].max()))
        template = Template(
            arrays, xr.Dataset(coords=coords), time, plane, tuple((each,) for each in arrays), crs=crs, bbox=box
        )
        layout = template.layout(LayoutOptions(segment="1 years"))
        keys = {block.id: block.id for block in layout.blocks()}
        self.view = ProductView(name, "inputs", template, layout, keys, Provenance("CC-BY-4.0", "yes"), "f" * 64)


def job_of(*products: Product, **options: Any) -> AlignJob:
    """The job over products of which the first is the input."""
    given = AlignOptions.model_validate({"input": products[0].name, **options})
    context = JobContext(Path(), {product.name: product.view for product in products})
    return AlignJob.create(given, context)


def cut(layout: Layout, sizes: Mapping[str, int]) -> Layout:
    """The layout with blocks of so many cells and steps."""
    groups = []
    for group in layout.groups:
        dims = [Dim(dim.name, dim.size, size := sizes.get(dim.name, dim.size), size) for dim in group.dims]
        groups.append(Group(group.name, group.variables, tuple(dims)))
    return Layout(layout.name, tuple(groups))


def aligned(
    *products: Product, blocks: Mapping[str, int] | None = None, **options: Any
) -> dict[str, np.ndarray[Any, Any]]:
    """All variables of the aligned product, computed in blocks of the given sizes by dimension."""
    job = job_of(*products, **options)
    template = job.template()
    layout = cut(template.layout(LayoutOptions()), blocks or {})
    held = {product.name: product for product in products}
    out = {name: np.full(spec.shape, 77, spec.dtype) for name, spec in template.arrays.items()}
    for block in layout.blocks():
        group = layout.group(block.group)
        slices = group.slices(block)
        data = {}
        for name, window in job.reads(group, slices).items():
            arrays = held[name].view.template.arrays
            data[name] = xr.Dataset()
            for variable in window.variables:
                dims = arrays[variable].dims
                part = held[name].values[variable][tuple(window.slices.get(dim, slice(None)) for dim in dims)]
                data[name][variable] = xr.Variable(dims, part.copy())
        made = job.compute(group, slices, data)
        assert set(made.data_vars) == set(group.variables)
        for name, array in made.data_vars.items():
            spec = template.arrays[str(name)]
            assert array.dims == spec.dims
            assert array.dtype == spec.dtype
            out[str(name)][tuple(slices.get(dim, slice(None)) for dim in spec.dims)] = array.values
    return out


def centres(first: float, step: float, count: int) -> np.ndarray[Any, Any]:
    return np.round(first + step * np.arange(count), 10)
