"""What a change is made of, settled before anything is computed: variables, years, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.change.options import ChangeOptions
from compute.daily import DailyInput
from compute.places import refuse_other_cells
from cube.axes import Step, ordinal_of, parse_date, same_calendar
from cube.errors import CubeError, InputError, Problem
from cube.job import ProductView, Window
from cube.template import ArraySpec

DOMAIN = "out_of_domain"
ALIKE = ("method", "thresholds", "reference_product", "reference_period", "units")
"""Attributes that numbers must share to be compared."""


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

    def check(self) -> None:
        """Raises InputError with all that is wrong."""
        problems = list(dict.fromkeys(self._problems()))
        if problems:
            raise InputError(problems)

    def _problems(self) -> Iterator[Problem]:
        sound = True
        for view in self.metrics:
            for problem in self._yearly(view):
                sound = False
                yield problem
        if not sound:
            return
        try:
            refuse_other_cells([self.first, *self.metrics, *(self.inputs[name] for name in self.domains if name)])
        except InputError as error:
            yield from error.problems
        for model in self.options.models:
            yield from self._pair(self.inputs[model.scenario], self.inputs[model.past])
            yield from self._within(self.inputs[model.past], [self.past_years], "past")
            yield from self._within(self.inputs[model.scenario], self.options.windows, "windows")
            if model.domain:
                yield from self._daily(self.inputs[model.domain])
        if self.options.error:
            simulated, reference = (self.inputs[name] for name in self._errors)
            if self.common is None:
                what = f"has no year in common with {reference.name}"
                yield Problem("no-common-days", what, simulated.name, fix="give products of the same years")
            for variable in self.options.variables:
                ours, theirs = (view.template.arrays[variable].attrs for view in (self.first, simulated))
                if any(ours.get(name) != theirs.get(name) for name in ("method", "units")):
                    yield _unlike(variable, simulated, self.first, "method")

    @cached_property
    def metrics(self) -> list[ProductView]:
        names = [name for model in self.options.models for name in (model.scenario, model.past)]
        return [self.inputs[name] for name in dict.fromkeys([*names, *self._errors])]

    @property
    def _errors(self) -> tuple[str, ...]:
        error = self.options.error
        return (error.simulated, error.reference) if error else ()

    @property
    def domains(self) -> list[str | None]:
        return [model.domain for model in self.options.models]

    def _yearly(self, view: ProductView) -> Iterator[Problem]:
        axis = view.template.time
        if axis is None or axis.step.unit != "year":
            yield Problem(
                "not-yearly", "it has no yearly numbers", view.name, fix="name products of the job `metric` by year"
            )
            return
        for name in self.options.variables:
            spec = view.template.arrays.get(name)
            if spec is None or "time" not in spec.dims:
                known = ", ".join(sorted(each for each, own in view.template.arrays.items() if "time" in own.dims))
                yield Problem("variable-unknown", f"has no yearly {name}; it has {known}", view.name)
            elif "flag_meanings" in spec.attrs or "since" in str(spec.attrs.get("units", "")) or name.endswith("_date"):
                yield Problem(
                    "change-no-number",
                    f"{name} is a flag or a date, which have no mean",
                    view.name,
                    "the mean of flags or dates means nothing",
                    "take numbers, such as onset in place of onset_date",
                )
            elif set(spec.dims) != set(self.first.template.arrays.get(name, spec).dims):
                yield Problem(
                    "dimension-differs",
                    f"{name} has {', '.join(spec.dims)}, in {self.first.name} {', '.join(self.spec(name).dims)}",
                    view.name,
                    fix="name products of the same metric",
                )

    def _pair(self, scenario: ProductView, past: ProductView) -> Iterator[Problem]:
        ours, theirs = scenario.template.time, past.template.time
        assert ours is not None
        assert theirs is not None
        if not same_calendar(ours.calendar, theirs.calendar) or ours.step != theirs.step:
            yield Problem(
                "calendars-differ",
                f"years of {theirs.step} in {theirs.calendar}, of {scenario.name} {ours.step} in {ours.calendar}",
                past.name,
                "numbers of different periods would be compared",
                "make both metrics with the same `starts`, in one calendar",
            )
        for variable in self.options.variables:
            a, b = (view.template.arrays[variable].attrs for view in (scenario, past))
            for name in ALIKE:
                if a.get(name) != b.get(name):
                    yield _unlike(variable, scenario, past, name)

    def _within(self, view: ProductView, windows: Sequence[tuple[int, int]], key: str) -> Iterator[Problem]:
        there = years_of(view)
        for first, last in windows:
            if first < there[0] or last > there[1]:
                yield Problem(
                    "window-outside",
                    f"{first} to {last} is not wholly in its years, {there[0]} to {there[1]}",
                    view.name,
                    "a mean over fewer years would be taken for that of the window",
                    f"correct `{key}`",
                )

    def _daily(self, view: ProductView) -> Iterator[Problem]:
        try:
            _ = DailyInput(view, DOMAIN).variable, DailyInput(view, DOMAIN).days
        except CubeError as error:
            yield from error.problems

    @cached_property
    def past_years(self) -> tuple[int, int]:
        past = self.options.past
        assert past.start is not None
        assert past.end is not None
        return int(past.start[:4]), int(past.end[:4])

    @cached_property
    def common(self) -> tuple[int, int] | None:
        """First and last year that both products of `error` have."""
        spans = [years_of(self.inputs[name]) for name in self._errors]
        first, last = max(span[0] for span in spans), min(span[1] for span in spans)
        return (first, last) if first <= last else None

    def windows(self, cells: Mapping[str, slice]) -> dict[str, Window]:
        """What the change of a part of the map reads."""
        names = self.options.variables
        found: dict[str, Window] = {}

        def add(name: str, first: int, last: int) -> None:
            start, stop = positions(self.inputs[name], first, last)
            if name in found:
                before = found[name].slices["time"]
                start, stop = min(start, before.start), max(stop, before.stop)
            found[name] = Window(names, {**cells, "time": slice(start, stop)})

        span = self.span
        for model in self.options.models:
            add(model.past, *self.past_years)
            add(model.scenario, *span)
        for name in self._errors:
            assert self.common is not None
            add(name, *self.common)
        for domain in self.domains:
            if domain:
                days = self.domain_days(domain, *span)
                found[domain] = Window((DOMAIN,), {**cells, "time": days})
        return found

    @property
    def span(self) -> tuple[int, int]:
        """First and last year of all windows."""
        windows = self.options.windows
        return min(first for first, _ in windows), max(last for _, last in windows)

    def domain_days(self, name: str, first: int, last: int) -> slice:
        """Positions of the days of calendar years in an emulated product, as far as it has them."""
        days = DailyInput(self.inputs[name], DOMAIN).days
        day = Step("day")
        start = ordinal_of(parse_date(f"{first:04}", days.calendar), day, days.calendar)
        stop = ordinal_of(parse_date(f"{last:04}", days.calendar, end=True), day, days.calendar)
        low, high = (int(np.clip(each - days.first, 0, days.count)) for each in (start, stop))
        return slice(min(low, days.count - 1), max(high, min(low, days.count - 1) + 1))

    def values(self, view: ProductView, variable: str, data: xr.Dataset, first: int, last: int) -> NDArray[np.float64]:
        """Years `first` to `last` as (years, values), missing as NaN. data: what `windows` named."""
        start, stop = positions(view, first, last)
        axis = view.template.time
        assert axis is not None
        offset = int(np.searchsorted(axis.encoded(), data["time"].values[0]))
        spec = view.template.arrays[variable]
        array = data[variable].transpose("time", *self.dims(variable)).values[start - offset : stop - offset]
        found = array.astype(np.float64)
        if spec.fill is not None and not np.isnan(spec.fill):
            found[array == spec.fill] = np.nan
        return found.reshape(len(found), -1)

    def to_json(self) -> dict[str, Any]:
        """What changes values besides what is read."""
        options = self.options
        return {
            "models": [[each.scenario, each.past, each.domain] for each in options.models],
            "variables": list(options.variables),
            "past": list(self.past_years),
            "windows": [list(each) for each in options.windows],
            "least": options.least,
            "rate": options.share,
            "error": list(self._errors),
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


def _unlike(variable: str, one: ProductView, other: ProductView, name: str) -> Problem:
    ours, theirs = (view.template.arrays[variable].attrs.get(name) for view in (one, other))
    return Problem(
        "metrics-differ",
        f"{variable}: {name} is {ours!r}, that of {other.name} {theirs!r}",
        one.name,
        "what the two metrics differ by would be taken for a change of climate",
        "make both with the same options, against the same reference",
    )
