"""What a change is made of: variables, years, days, and which part of the inputs holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.change.options import ChangeOptions
from compute.daily import DailyInput
from compute.seasons.reasons import MEANINGS, NO_DATA
from compute.telling_cells import VALID_DAYS, tells
from cube.job import ProductView, Window
from cube.template import ArraySpec

DOMAIN = "out_of_domain"


@dataclass(frozen=True)
class Compared:
    """options and input products of a change."""

    options: ChangeOptions
    inputs: Mapping[str, ProductView]

    @cached_property
    def first(self) -> ProductView:
        return self.inputs[self.options.models[0].scenario]

    @property
    def space(self) -> tuple[str, ...]:
        return self.first.template.space

    def spec(self, variable: str) -> ArraySpec:
        return self.first.template.arrays[variable]

    def dims(self, variable: str) -> tuple[str, ...]:
        """Dimensions of a variable besides time: parts of the year or seasons, layers, and those of the map."""
        return tuple(dim for dim in self.spec(variable).dims if dim != "time")

    @cached_property
    def metrics(self) -> list[ProductView]:
        names = [name for model in self.options.models for name in (model.scenario, model.past)]
        return [self.inputs[name] for name in dict.fromkeys([*names, *self.errors])]

    @property
    def errors(self) -> tuple[str, ...]:
        """The two products of `error`, none where it is not given."""
        error = self.options.error
        return (error.simulated, error.reference) if error else ()

    @property
    def domains(self) -> list[str]:
        return [model.domain for model in self.options.models if model.domain]

    @cached_property
    def common(self) -> tuple[int, int] | None:
        """First and last year that both products of `error` have."""
        spans = [years_of(self.inputs[name]) for name in self.errors]
        first, last = max(span[0] for span in spans), min(span[1] for span in spans)
        return (first, last) if first <= last else None

    def windows(self, cells: Mapping[str, slice]) -> dict[str, Window]:
        """What the change of a part of the map reads."""
        found: dict[str, Window] = {}

        def add(name: str, first: int, last: int) -> None:
            start, stop = positions(self.inputs[name], first, last)
            if name in found:
                before = found[name].slices["time"]
                start, stop = min(start, before.start), max(stop, before.stop)
            view, variables = self.inputs[name], self.options.variables
            beside = [each for variable in variables for each in self.reasons(view, variable)]
            names = tuple(dict.fromkeys([*variables, *beside]))
            found[name] = Window(names, {**cells, "time": slice(start, stop)})

        span = self.span
        for model in self.options.models:
            add(model.past, *self.options.past_years)
            add(model.scenario, *span)
        for name in self.errors:
            assert self.common is not None
            add(name, *self.common)
        for model in self.options.models:
            if model.domain:
                days = self.domain_days(model.domain, model.scenario, *span)
                found[model.domain] = Window((DOMAIN,), {**cells, "time": days})
        return found

    @property
    def span(self) -> tuple[int, int]:
        """First and last year of all windows."""
        windows = self.options.windows
        return min(first for first, _ in windows), max(last for _, last in windows)

    def domain_days(self, name: str, scenario: str, first: int, last: int) -> slice:
        """Positions of the days of years of the scenario's metric in an emulated product."""
        axis = self.inputs[scenario].template.time
        assert axis is not None
        start, stop = positions(self.inputs[scenario], first, last)
        # Days are counted from the epoch, as the bounds of years are.
        bounds = axis.bounds()[start:stop] - DailyInput(self.inputs[name], DOMAIN).days.first
        return slice(int(bounds[0, 0]), int(bounds[-1, 1]))

    @cached_property
    def caveats(self) -> tuple[str, ...]:
        """What must be said of the numbers, of all products that they are made from."""
        arrays = (view.template.arrays[name].attrs for view in self.metrics for name in self.options.variables)
        return tuple(dict.fromkeys(str(attrs["caveat"]) for attrs in arrays if "caveat" in attrs))

    def values(self, view: ProductView, variable: str, data: xr.Dataset, first: int, last: int) -> NDArray[np.float64]:
        """Years `first` to `last` as (years, values), missing as NaN. data: what `windows` named."""
        spec = view.template.arrays[variable]
        array = self._years(view, variable, variable, data, first, last)
        found = array.astype(np.float64)
        if spec.fill is not None and not np.isnan(spec.fill):
            found[array == spec.fill] = np.nan
        return found

    def reasons(self, view: ProductView, variable: str) -> tuple[str, ...]:
        """Arrays of a metric that tell why its variable has no number: flags with `no_data`, days with values."""
        arrays = view.template.arrays
        spec = arrays[variable]
        found = []
        for name in str(spec.attrs.get("ancillary_variables", "")).split():
            words = str(arrays[name].attrs.get("flag_meanings", "")).split() if name in arrays else []
            if name in arrays and set(arrays[name].dims) == set(spec.dims):
                found += [name] if name == VALID_DAYS or MEANINGS[NO_DATA] in words else []
        return tuple(found)

    def told(self, view: ProductView, variable: str, data: xr.Dataset, first: int, last: int) -> NDArray[np.bool_]:
        """Where a metric gives a reason for having no number in any of the years, or has one, shape (values,)."""
        found = np.zeros(1, np.bool_)
        for name in self.reasons(view, variable):
            years = self._years(view, variable, name, data, first, last)
            found = found | tells(name, view.template.arrays[name], years).any(axis=0)
        return found

    def _years(
        self, view: ProductView, variable: str, name: str, data: xr.Dataset, first: int, last: int
    ) -> NDArray[Any]:
        """Years of an array that has the dimensions of a variable, as stored, (years, values)."""
        start, stop = positions(view, first, last)
        axis = view.template.time
        assert axis is not None
        offset = int(np.searchsorted(axis.encoded(), data["time"].values[0]))
        array = data[name].transpose("time", *self.dims(variable)).values[start - offset : stop - offset]
        return np.asarray(array.reshape(len(array), -1))

    def to_json(self) -> dict[str, Any]:
        """What changes values besides what is read."""
        options = self.options
        return {
            "models": [[each.scenario, each.past, each.domain] for each in options.models],
            "variables": list(options.variables),
            "past": list(options.past_years),
            "windows": [list(each) for each in options.windows],
            "least": options.least,
            "rate": options.share,
            "error": list(self.errors),
        }


def years_of(view: ProductView) -> tuple[int, int]:
    """First and last label year of a yearly product."""
    axis = view.template.time
    assert axis is not None
    return axis.date(0).year, axis.date(axis.count - 1).year


def positions(view: ProductView, first: int, last: int) -> tuple[int, int]:
    """Positions [start, stop) of label years in a yearly product."""
    axis = view.template.time
    assert axis is not None
    start = first - axis.date(0).year
    return start, start + last - first + 1
