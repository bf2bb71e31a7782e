"""Products held in memory: as a job sees them, all blocks of an evaluation put together, a job that publishes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import cftime
import numpy as np
import xarray as xr

from compute.evaluation import structure
from compute.evaluation.job import EvaluateJob
from compute.evaluation.options import EvaluateOptions
from compute.simulate.job import MODEL
from cube.axes import Step, TimeAxis, ordinal_of
from cube.blockjob import BlockJob
from cube.hashing import array_digest
from cube.job import JobContext, ProductView
from cube.layout import Dim, Group, Layout
from cube.options import LayoutOptions, Strict
from cube.provenance import Provenance
from cube.soil_layers import SOIL_LAYERS, depth_axis
from cube.template import ArraySpec, Template

LAT, LON = (10.0, 10.5, 11.0), (30.0, 30.5, 31.0, 31.5)
CELLS = (len(LAT), len(LON))
UNITS = {"smcl": "kg m-2", "fsmc": "1", "soil_moisture": "m3 m-3", "sm_sat": "m3 m-3"}
OTHER = {"smcl": ("depth",), "fsmc": ("pft",)}
COLUMN = {"model": MODEL, "pet": "Oudin 2005"}
EMULATOR = {"emulates": MODEL, "pet": "Oudin 2005", "predictor": "forest"}


def days(start: str, count: int, calendar: str = "standard") -> TimeAxis:
    year, month, day = (int(part) for part in start.split("-"))
    first = ordinal_of(cftime.datetime(year, month, day, calendar=calendar), Step("day"), calendar)
    return TimeAxis(first, count, Step("day"), calendar)


class Product:
    """values by name: smcl (time, depth, lat, lon), fsmc (time, pft, lat, lon), others (time, lat, lon) or a map."""

    def __init__(
        self,
        name: str,
        values: Mapping[str, np.ndarray[Any, Any]],
        time: TimeAxis | None = None,
        *,
        attrs: Mapping[str, Any] | None = None,
        layers: tuple[float, ...] = SOIL_LAYERS,
        pfts: tuple[int, ...] = (4,),
        lat: tuple[float, ...] = LAT,
        units: Mapping[str, str] | None = None,
        fingerprint: str = "f" * 64,
    ) -> None:
        self.name, self.values = name, {key: np.asarray(each) for key, each in values.items()}
        coords: dict[str, Any] = {
            "lat": xr.Variable(("lat",), np.array(lat), {"units": "degrees_north", "standard_name": "latitude"}),
            "lon": xr.Variable(("lon",), np.array(LON), {"units": "degrees_east", "standard_name": "longitude"}),
        }
        if "smcl" in values:
            coords |= depth_axis(layers)
        if "fsmc" in values:
            coords["pft"] = xr.Variable(("pft",), np.array(pfts, np.int32))
        arrays = {}
        for key, each in self.values.items():
            dims = ("site",) if each.ndim == 1 else (*(("time",) if time else ()), *OTHER.get(key, ()), "lat", "lon")
            told = {"units": {**UNITS, **(units or {})}.get(key, "1"), **(attrs or {})}
            arrays[key] = ArraySpec(dims, each.shape, each.dtype, told)
        space = ("site",) if "cell" in values else ("lat", "lon")
        groups = tuple((key,) for key in arrays)
        self.template = Template(
            arrays, xr.Dataset(coords=coords), time, space, groups, bbox=(29.75, 9.75, 31.75, 11.25)
        )
        layout = self.template.layout(LayoutOptions())
        keys = {block.id: block.id for block in layout.blocks()}
        provenance = Provenance("CC-BY-4.0", "yes")
        self.view = ProductView(name, "inputs", self.template, layout, keys, provenance, fingerprint)


def evaluate(*products: Product, **options: Any) -> EvaluateJob:
    """The job over products of which the first is the simulation and the second the reference."""
    given = EvaluateOptions.model_validate({"simulation": products[0].name, "reference": products[1].name, **options})
    return EvaluateJob.create(given, JobContext(Path(), {each.name: each.view for each in products}))


def maps(job: EvaluateJob, *products: Product, cells: int = 100) -> xr.Dataset:
    """All maps, made in blocks of so many rows and columns."""
    template = job.template()
    (made,) = (each for each in template.layout(LayoutOptions()).groups if "rmse" in each.variables)
    dims = tuple(Dim(dim.name, dim.size, min(cells, dim.size), min(cells, dim.size)) for dim in made.dims)
    group = Group(made.name, made.variables, dims)
    out = {
        name: (template.arrays[name].dims, np.full(template.arrays[name].shape, -9, template.arrays[name].dtype))
        for name in structure.MAPS
    }
    values = {each.name: each for each in products}
    for block in Layout("time", (group,)).blocks():
        slices = group.slices(block)
        data = {}
        for name, window in job.reads(group, slices).items():
            arrays = values[name].template.arrays
            data[name] = xr.Dataset(
                {
                    key: (arrays[key].dims, _cut(values[name].values[key], arrays[key].dims, window.slices))
                    for key in window.variables
                }
            )
        found = job.compute(group, slices, data)
        for name, (own, whole) in out.items():
            assert found[name].dims == own
            assert found[name].dtype == whole.dtype
            whole[tuple(slices.get(dim, slice(None)) for dim in own)] = found[name].values
    return xr.Dataset(out)


def _cut(values: np.ndarray[Any, Any], dims: tuple[str, ...], slices: Mapping[str, slice]) -> np.ndarray[Any, Any]:
    return values[tuple(slices.get(dim, slice(None)) for dim in dims)]


def water(count: int, seed: int, noise: float = 0.0, season: int = 365) -> dict[str, np.ndarray[Any, Any]]:
    """smcl and fsmc with a season and slow anomalies; the same seed with noise is a simulation of that without."""
    rng = np.random.default_rng(seed)
    theta = 0.25 + 0.1 * np.sin(2 * np.pi * np.arange(count) / season)[:, None, None, None]
    theta = theta + 0.02 * _slow(rng.normal(size=(count, 5, *CELLS)))
    if noise:
        theta = theta + noise * _slow(np.random.default_rng(seed + 1).normal(size=theta.shape))
    thickness = np.array(SOIL_LAYERS)[:, None, None]
    beta = np.clip((theta[:, 4:] - 0.15) / 0.2, 0, 1)
    return {"smcl": (1000 * thickness * theta[:, :4]).astype("f4"), "fsmc": beta.astype("f4")}


def _slow(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    out = np.zeros_like(values)
    for day in range(1, len(values)):
        out[day] = 0.9 * out[day - 1] + values[day] * 0.44
    return out


class HeldOptions(Strict):
    product_fields: ClassVar[tuple[str, ...]] = ()

    key: str


class Held(BlockJob):
    """Publishes a product that `given` holds under its key."""

    name = "held"
    revision = 1
    Options = HeldOptions
    options: HeldOptions
    given: ClassVar[dict[str, Product]] = {}

    def template(self) -> Template:
        return Held.given[self.options.key].template

    def key_options(self):
        return {}

    def identities(self, group, slices):
        values = Held.given[self.options.key].values
        return [array_digest(values[name]) for name in group.variables]

    def reads(self, group, slices):
        return {}

    def compute(self, group, slices, data):
        product = Held.given[self.options.key]
        arrays = product.template.arrays
        return xr.Dataset(
            {
                name: (arrays[name].dims, _cut(product.values[name], arrays[name].dims, slices))
                for name in group.variables
            }
        )

    def provenance(self):
        return Provenance("CC-BY-4.0", "yes")
