"""What is compared: for each target one series of the simulation, of the reference and of every baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.evaluation.options import ComparisonOptions, EvaluateOptions
from cube.errors import CubeError, InputError, Problem
from cube.job import ProductView, Window
from cube.template import ArraySpec
from cube.units import conversion

Values = NDArray[np.float32]

WATER = 1000.0
"""Density of water, kg m-3."""


@dataclass(frozen=True)
class Series:
    """One layer or vegetation of a variable: `index` along `dim`, None for a variable with neither; what is stored
    times `factor` plus `offset` is what is compared."""

    view: ProductView
    variable: str
    dim: str | None
    index: int
    factor: float
    offset: float

    @property
    def spec(self) -> ArraySpec:
        return self.view.template.arrays[self.variable]

    def values(self, data: Mapping[str, xr.Dataset], first: Mapping[str, int]) -> Values:
        """Shape (days, cells), NaN where missing.

        data   by product, what `windows` named;  first: where its windows start, by dimension
        """
        array = data[self.view.name][self.variable]
        if self.dim is not None:
            array = array.isel({self.dim: self.index - first.get(self.dim, 0)})
        stored = array.transpose("time", *self.view.template.space).values
        found = np.ascontiguousarray(stored.reshape(len(stored), -1), np.float32)
        if self.spec.fill is not None and not np.isnan(self.spec.fill):
            found = np.where(found == np.float32(self.spec.fill), np.float32(np.nan), found)
        if (self.factor, self.offset) != (1.0, 0.0):
            found = (found * self.factor + self.offset).astype(np.float32)
        return found


@dataclass(frozen=True)
class Target:
    """A quantity that is compared.

    name       as `flag_meanings` may have it
    long_name  what it is, and what of the reference it is compared with
    units      of the series
    beta       whether it is soil moisture availability; else volumetric soil moisture
    series     by product
    """

    name: str
    long_name: str
    units: str
    beta: bool
    series: Mapping[str, Series]

    def to_json(self) -> list[Any]:
        """What of it changes scores."""
        used = {
            name: [each.variable, each.dim, each.index, each.factor, each.offset] for name, each in self.series.items()
        }
        return [self.name, self.beta, used]


def targets(options: EvaluateOptions, inputs: Mapping[str, ProductView]) -> list[Target]:
    """All targets. Raises InputError with all that is wrong with the variables of the products."""
    found: list[Target] = []
    problems: list[Problem] = []
    simulated = [inputs[name] for name in (options.simulation, *options.baselines)]
    for comparison in options.variables:
        made = _Making(comparison, simulated, inputs[options.reference])
        found += made.targets()
        problems += made.problems
    if problems:
        raise InputError(list(dict.fromkeys(problems)))
    return found


class _Making:
    """The targets of one comparison; what is wrong gathers in `problems`, and there are no targets then."""

    def __init__(self, comparison: ComparisonOptions, simulated: Sequence[ProductView], reference: ProductView) -> None:
        self.comparison = comparison
        self.simulated = simulated
        self.reference = reference
        self.problems: list[Problem] = []

    def targets(self) -> list[Target]:
        if self.comparison.simulation == "fsmc":
            return self._beta()
        return self._surface() if self.comparison.surface else self._layers()

    def _beta(self) -> list[Target]:
        views = (*self.simulated, self.reference)
        series = {view.name: self._vegetation(view) for view in views if self._known(view, "fsmc", "pft", "1")}
        if self.problems:
            return []
        return [Target("beta", f"beta (fsmc) of PFT {self.comparison.pft}", "1", True, series)]

    def _vegetation(self, view: ProductView) -> Series:
        numbers = [int(number) for number in view.template.coords["pft"].values]
        if self.comparison.pft not in numbers:
            what = f"fsmc has no pft {self.comparison.pft}, it has {', '.join(map(str, numbers))}"
            self.problems.append(Problem("variable-unknown", what, view.name, fix="choose one with `pft`"))
            return Series(view, "fsmc", "pft", 0, 1.0, 0.0)
        factor, offset = conversion(_units(view, "fsmc"), "1")
        return Series(view, "fsmc", "pft", numbers.index(self.comparison.pft), factor, offset)

    def _layers(self) -> list[Target]:
        views = [view for view in (*self.simulated, self.reference) if self._known(view, "smcl", "depth", "kg m-2")]
        bounds = {view.name: self._bounds(view) for view in views}
        own = bounds.get(self.simulated[0].name)
        for view in views:
            other = bounds[view.name]
            if own is None or other is None:
                continue
            if own.shape != other.shape or not np.allclose(own, other, atol=1e-6):
                self._problem(
                    "soil-layers-differ",
                    f"its layers are {_told(other)}, those of {self.simulated[0].name} {_told(own)}",
                    view,
                    "water of different depths would be compared",
                    "compare products of the same layers; see `dzsoil` of the source jules",
                )
        if self.problems or own is None:
            return []
        return [
            Target(
                f"theta_{layer + 1}",
                f"volumetric soil moisture from {top:g} to {bottom:g} m",
                "m3 m-3",
                False,
                {view.name: self._layer(view, layer, bottom - top) for view in views},
            )
            for layer, (top, bottom) in enumerate(own.tolist())
        ]

    def _surface(self) -> list[Target]:
        name, reference = self.comparison.reference, self.reference
        views = [view for view in self.simulated if self._known(view, "smcl", "depth", "kg m-2")]
        bounds = {view.name: self._bounds(view) for view in views}
        if not self._known(reference, name, None, "m3 m-3") or self.problems:
            return []
        series, tops = {}, {}
        for view in views:
            each = bounds[view.name]
            assert each is not None
            top, bottom = each[0].tolist()
            tops[view.name] = (top, bottom)
            series[view.name] = self._layer(view, 0, bottom - top)
        factor, offset = conversion(_units(reference, name), "m3 m-3")
        series[reference.name] = Series(reference, name, None, 0, factor, offset)
        top, bottom = tops[self.simulated[0].name]
        long_name = (
            f"volumetric soil moisture from {top:g} to {bottom:g} m, against {name} of the reference down to "
            f"{self.comparison.metres:g} m"
        )
        return [Target(name, long_name, "m3 m-3", False, series)]

    def _layer(self, view: ProductView, layer: int, thickness: float) -> Series:
        factor, offset = conversion(_units(view, "smcl"), "kg m-2")
        return Series(view, "smcl", "depth", layer, factor / (WATER * thickness), offset / (WATER * thickness))

    def _known(self, view: ProductView, name: str, dim: str | None, units: str) -> bool:
        """Whether a product has the variable, daily, with just this dimension besides time and space, in such units."""
        spec = view.template.arrays.get(name)
        if spec is None:
            what = f"has no {name}, it has {', '.join(sorted(view.template.arrays))}"
            self._problem("variable-unknown", what, view, "", "compare what both products have: see `variables`")
            return False
        wanted = {"time", *([dim] if dim else []), *view.template.space}
        if set(spec.dims) != wanted or (dim is not None and dim not in view.template.coords):
            what = f"{name} has the dimensions {', '.join(spec.dims)}, not {', '.join(sorted(wanted))}"
            self._problem("variable-unknown", what, view, "", "choose a daily variable of this kind in `variables`")
            return False
        try:
            conversion(_units(view, name), units)
        except ValueError as error:
            self._problem("unit-unknown", f"{name}: {error}", view, "", f"it must convert to {units}")
            return False
        return True

    def _bounds(self, view: ProductView) -> NDArray[np.float64] | None:
        """Top and bottom of the layers in m, shape (layers, 2)."""
        coords = view.template.coords
        if "depth_bnds" not in coords:
            fix = "ingest it with the thickness of its layers: see `dzsoil` of the source jules"
            self._problem("soil-layers-differ", "the thickness of its soil layers is not known", view, "", fix)
            return None
        return np.asarray(coords["depth_bnds"].values, np.float64)

    def _problem(self, code: str, what: str, view: ProductView, danger: str, fix: str) -> None:
        self.problems.append(Problem(code, what, view.name, danger, fix))


def _units(view: ProductView, name: str) -> str:
    return str(view.template.arrays[name].attrs.get("units", "1"))


def _told(bounds: NDArray[np.float64]) -> str:
    return ", ".join(f"{top:g} to {bottom:g} m" for top, bottom in bounds.tolist())


def window(found: Iterable[Target], product: str, cells: Mapping[str, slice], days: slice) -> Window:
    """What the targets read of a product: no layer or vegetation that is not compared."""
    used = [target.series[product] for target in found]
    slices = {**cells, "time": days}
    for dim in {each.dim for each in used if each.dim}:
        places = [each.index for each in used if each.dim == dim]
        slices[dim] = slice(min(places), max(places) + 1)
    return Window(tuple(dict.fromkeys(each.variable for each in used)), slices)


def checked(*checks: Callable[[], object]) -> None:
    """Call all checks and raise InputError with what all of them found."""
    problems: list[Problem] = []
    for check in checks:
        try:
            check()
        except CubeError as error:
            problems += error.problems
    if problems:
        raise InputError(list(dict.fromkeys(problems)))
