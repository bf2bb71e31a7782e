"""The `soil` job: hydraulic properties of each cell, from texture by a named pedotransfer or from JULES ancillaries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import xarray as xr
from pydantic import Field, model_validator

from compute.column.hydraulics import Curve, Soil, Variant, cosby
from compute.places import refuse_other_cells
from cube.blockjob import BlockJob
from cube.errors import CubeError, InputError, Problem
from cube.job import JobContext, ProductView, Window
from cube.layout import Group
from cube.options import Strict
from cube.provenance import Citation, Provenance
from cube.template import ArraySpec, Template
from cube.units import conversion, quantity

HYDRAULICS = {
    "b": ("1", "exponent of the soil's hydraulic curve"),
    "sathh": ("m", "saturated soil water suction"),
    "satcon": ("kg m-2 s-1", "saturated hydraulic conductivity"),
    "sm_sat": ("m3 m-3", "volumetric soil moisture at saturation"),
    "sm_crit": ("m3 m-3", "volumetric soil moisture at the critical point (suction 33 kPa)"),
    "sm_wilt": ("m3 m-3", "volumetric soil moisture at the wilting point (suction 1500 kPa)"),
}
TEXTURE = {
    "clay": ("1", "mass fraction of clay"),
    "sand": ("1", "mass fraction of sand"),
}
COVER = {"lai": ("1", "leaf area index"), "land_fraction": ("1", "fraction of the cell that is land")}
VARIABLES = {**HYDRAULICS, **TEXTURE, **COVER}

COSBY = Citation(
    "Cosby, B. J., Hornberger, G. M., Clapp, R. B., Ginn, T. R. (1984): A statistical exploration of the relationships "
    "of soil moisture characteristics to the physical properties of soils. Water Resources Research 20, 682-690",
    "10.1029/WR020i006p00682",
)

type Layers = str | dict[str, str]


class SoilOptions(Strict):
    """Soil properties and cover of every cell, for the jobs that move soil water."""

    product_fields: ClassVar[tuple[str, ...]] = ("texture", "lai", "land_fraction", "ancillaries")

    texture: str = Field(
        description="product with mass fractions of clay and sand on the grid; averaged over area as fractions "
        "(`align`, conservative) before any hydraulic property is made of them"
    )
    clay: Layers = Field(
        "clay",
        description="variable of `texture`, or variables of several depths with their thickness, of which the mean "
        "weighted by thickness is taken",
        examples=[{"T_CLAY": "0.3 m", "S_CLAY": "0.7 m"}],
    )
    sand: Layers = Field("sand", description="as clay", examples=[{"T_SAND": "0.3 m", "S_SAND": "0.7 m"}])
    silt: Layers | None = Field(
        None, description="as clay; with it the three fractions are brought to a sum of 1, without it silt is the rest"
    )
    lai: str = Field(description="product with the leaf area index, variable `lai`")
    land_fraction: str | None = Field(
        None, description="product with the land fraction, variable `land_fraction`; without it 1 where there is soil"
    )
    pedotransfer: Variant = Field(
        "cosby_jules",
        description="cosby_jules: Cosby's regressions with natural exponentials, as JULES ancillaries are made; "
        "cosby1984: as published, with powers of ten",
    )
    ancillaries: str | None = Field(
        None,
        description="product with JULES's own b, sathh, satcon, sm_sat, sm_crit and sm_wilt; used in place of the "
        "pedotransfer",
    )
    curve: Curve = Field("brooks_corey", description="hydraulic curve that the ancillaries belong to")

    @model_validator(mode="after")
    def _curve_known(self) -> Self:
        if self.curve != "brooks_corey" and not self.ancillaries:
            raise ValueError("the pedotransfers give Brooks-Corey properties: van_genuchten needs `ancillaries`")
        return self


class SoilJob(BlockJob):
    """Properties as JULES names them, float32, on the cells of the texture."""

    name: ClassVar[str] = "soil"
    revision: ClassVar[int] = 1
    Options: ClassVar[type[SoilOptions]] = SoilOptions
    options: SoilOptions

    @classmethod
    def create(cls, options: Any, context: JobContext) -> Self:
        """Raises InputError with all that is wrong with the inputs."""
        job = cls(options, context.inputs)
        problems: list[Problem] = []
        for product, names in job._variables().items():
            arrays = job.inputs[product].template.arrays
            for name in names:
                if name not in arrays:
                    what = f"has no variable {name}, it has {', '.join(sorted(arrays))}"
                    problems.append(Problem("statics-missing", what, product, fix="choose the right variables"))
        for check in (job._thicknesses, lambda: refuse_other_cells(list(job.inputs.values()))):
            try:
                check()
            except CubeError as error:
                problems += error.problems
        if problems:
            raise InputError(problems)
        return job

    def _variables(self) -> dict[str, list[str]]:
        """What is read, by product."""
        options = self.options
        found: dict[str, list[str]] = {}
        for layers in (options.clay, options.sand, options.silt):
            found.setdefault(options.texture, []).extend([layers] if isinstance(layers, str) else layers or ())
        found.setdefault(options.lai, []).append("lai")
        if options.land_fraction:
            found.setdefault(options.land_fraction, []).append("land_fraction")
        if options.ancillaries:
            found.setdefault(options.ancillaries, []).extend(HYDRAULICS)
        return found

    def _thicknesses(self) -> dict[str, dict[str, float]]:
        """Thickness in m of each depth of clay, sand and silt, by variable. Raises SpecError for another unit."""
        found = {}
        for name in ("clay", "sand", "silt"):
            layers = getattr(self.options, name)
            if layers is not None:
                given = {layers: "1 m"} if isinstance(layers, str) else layers
                found[name] = {each: quantity(text, "m", f"{name}.{each}") for each, text in given.items()}
        return found

    @property
    def view(self) -> ProductView:
        return self.inputs[self.options.texture]

    @property
    def made_by(self) -> dict[str, str]:
        """What the properties are made by and from: products of different sets must not be mixed."""
        options = self.options
        names = dict.fromkeys(name for name in (options.ancillaries, options.texture, options.lai) if name)
        return {
            "pedotransfer": "JULES ancillaries" if options.ancillaries else options.pedotransfer,
            "curve": options.curve,
            "statics": ", ".join(f"{name} {self.inputs[name].fingerprint[:12]}" for name in names),
        }

    def template(self) -> Template:
        view = self.view.template
        first = next(iter(view.arrays.values()))
        dims = tuple(dim for dim in first.dims if dim in view.space)
        depths = {
            name: ", ".join(f"{each} {metres:g} m" for each, metres in layers.items())
            for name, layers in self._thicknesses().items()
            if len(layers) > 1
        }
        shared = self.made_by
        place = {key: first.attrs[key] for key in ("grid_mapping", "coordinates") if key in first.attrs}
        arrays = {}
        for name, (units, long_name) in VARIABLES.items():
            comment = {"comment": f"mean over depth of {depths[name]}"} if name in depths else {}
            attrs = {"long_name": long_name, "units": units, **shared, **comment, **place}
            arrays[name] = ArraySpec(dims, tuple(first.sizes[dim] for dim in dims), np.dtype("float32"), attrs)
        keep = {name for name, each in view.coords.variables.items() if set(each.dims) <= {*dims, "bnds"}}
        return Template(
            arrays=arrays,
            coords=view.coords[sorted(map(str, keep))],
            time=None,
            space=view.space,
            groups=(tuple(arrays),),
            crs=view.crs,
            bbox=view.bbox,
        )

    def key_options(self) -> Mapping[str, Any]:
        return {
            "layers": self._thicknesses(),
            "pedotransfer": self.options.pedotransfer,
            "curve": self.options.curve,
            "ancillaries": self.options.ancillaries,
            "land_fraction": self.options.land_fraction,
        }

    def reads(self, group: Group, slices: Mapping[str, slice]) -> Mapping[str, Window]:
        return {name: Window(tuple(dict.fromkeys(each)), slices) for name, each in self._variables().items()}

    def compute(self, group: Group, slices: Mapping[str, slice], data: Mapping[str, xr.Dataset]) -> xr.Dataset:
        dims = tuple(dim for dim in self.view.template.space if dim in slices)
        texture = self._texture(data[self.options.texture], dims)
        lai = _single(data[self.options.lai]["lai"], dims)
        soil = self._soil(data, texture, dims)
        known = soil.usable & np.isfinite(lai) & np.isfinite(texture["clay"]) & np.isfinite(texture["sand"])
        land = known.astype(np.float64)
        if self.options.land_fraction:
            land = self._fraction(self.options.land_fraction, "land_fraction", data[self.options.land_fraction], dims)
        values = {name: np.where(known, getattr(soil, name), np.nan) for name in HYDRAULICS}
        values |= {name: np.where(known, texture[name], np.nan) for name in TEXTURE}
        values |= {"lai": np.where(known, lai, np.nan), "land_fraction": land}
        return xr.Dataset({name: (dims, array.astype(np.float32)) for name, array in values.items()})

    def _texture(self, data: xr.Dataset, dims: tuple[str, ...]) -> dict[str, np.ndarray[Any, Any]]:
        """Fractions of clay and sand, brought to a sum of 1 with silt where it is known."""
        found = {}
        for name, layers in self._thicknesses().items():
            parts = [self._fraction(self.options.texture, each, data, dims) * metres for each, metres in layers.items()]
            found[name] = np.sum(parts, axis=0) / sum(layers.values())
        total = np.sum(list(found.values()), axis=0)
        least, most = (0.9, 1.1) if "silt" in found else (0.0, 1.001)
        wrong = (total < least) | (total > most) | np.any([array < 0 for array in found.values()], axis=0)
        if wrong.any():
            raise InputError(
                Problem(
                    "texture-range",
                    f"{' and '.join(found)} add up to {float(total[wrong].max()):g} in {int(wrong.sum())} cells",
                    self.options.texture,
                    "hydraulic properties of no soil would be made from them",
                    "see the units of the archive's variables: fractions, % and g kg-1 are known",
                )
            )
        whole = total if "silt" in found else np.maximum(total, 1.0)
        return {name: array / whole for name, array in found.items()}

    def _fraction(self, product: str, name: str, data: xr.Dataset, dims: tuple[str, ...]) -> np.ndarray[Any, Any]:
        units = str(self.inputs[product].template.arrays[name].attrs.get("units", "1"))
        factor, offset = conversion(units, "1")
        return _single(data[name], dims) * factor + offset

    def _soil(
        self, data: Mapping[str, xr.Dataset], texture: Mapping[str, np.ndarray[Any, Any]], dims: tuple[str, ...]
    ) -> Soil:
        if not self.options.ancillaries:
            return cosby(texture["clay"], texture["sand"], self.options.pedotransfer)
        given = data[self.options.ancillaries]
        return Soil(**{name: _single(given[name], dims) for name in HYDRAULICS})

    def provenance(self) -> Provenance:
        found = super().provenance()
        if self.options.ancillaries:
            return found
        return Provenance(**{**vars(found), "citations": (*found.citations, COSBY)})

    def notes(self) -> Mapping[str, Any]:
        made = self.made_by
        return {"notes": [f"Soil properties: {made['pedotransfer']}, {made['curve']}, from {made['statics']}."]}


SOIL_SET = ("pedotransfer", "curve", "statics")
"""Attributes of every product of the job and of its descendants: those of one set may be used together."""


def soil_set(view: ProductView) -> dict[str, str]:
    """What a soil product was made by and from. Raises InputError where it is not one of the job `soil`."""
    arrays = view.template.arrays
    absent = [name for name in VARIABLES if name not in arrays or not set(SOIL_SET) <= set(arrays[name].attrs)]
    if absent:
        what = f"{', '.join(absent)} are missing or not of the job `soil`"
        raise InputError(Problem("statics-missing", what, view.name, fix="name a product of the job `soil`"))
    return {name: str(arrays["b"].attrs[name]) for name in SOIL_SET}


def _single(array: xr.DataArray, dims: tuple[str, ...]) -> np.ndarray[Any, Any]:
    """A map of float64; soil layers must agree, since the column has one set of properties.

    Raises InputError where they do not.
    """
    others = [dim for dim in array.dims if dim not in dims]
    values = array.transpose(*others, *dims).values.astype(np.float64).reshape(-1, *(array.sizes[dim] for dim in dims))
    first: np.ndarray[Any, Any] = values[0]
    if not np.allclose(values, first, rtol=1e-6, equal_nan=True):
        what = f"{array.name} differs between soil layers"
        fix = "use ancillaries that are the same in all layers, or texture with a pedotransfer"
        raise InputError(Problem("soil-layers-differ", what, str(array.name), "one set would stand for all", fix))
    return first
