"""What must not be compared: other metrics, other ways of making them, other years, other cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from compute.change.compared import DOMAIN, Compared, years_of
from compute.daily import DailyInput
from compute.dates import is_date
from compute.places import refuse_other_cells
from cube.axes import same_calendar
from cube.errors import CubeError, InputError, Problem
from cube.job import ProductView

KIND = ("method", "thresholds", "units")
"""Attributes that make numbers those of one metric."""
MADE_BY = ("reference_product", "reference_period", "emulates", "model", "pedotransfer", "day_begins")
"""What scenario and past must have in common besides: else their difference is one of ways of making them."""


def refuse_unlike(compared: Compared) -> None:
    """Raises InputError with all that is wrong with the inputs of a change."""
    problems = list(dict.fromkeys(_Checks(compared).problems()))
    if problems:
        raise InputError(problems)


@dataclass(frozen=True)
class _Checks:
    compared: Compared

    def problems(self) -> Iterator[Problem]:
        compared, inputs = self.compared, self.compared.inputs
        unfit = [problem for view in compared.metrics for problem in self._yearly(view)]
        yield from unfit
        if unfit:
            return
        try:
            refuse_other_cells([*compared.metrics, *(inputs[name] for name in compared.domains)])
        except InputError as error:
            yield from error.problems
        for model in compared.options.models:
            scenario, past = inputs[model.scenario], inputs[model.past]
            yield from self._pair(scenario, past)
            yield from _within(past, [compared.options.past_years], "past")
            outside = list(_within(scenario, compared.options.windows, "windows"))
            yield from outside
            if model.domain and not outside:
                yield from self._daily(inputs[model.domain], scenario)
        for view in compared.metrics[1:]:
            yield from self._of_one_kind(view)
        if compared.errors:
            simulated, reference = (inputs[name] for name in compared.errors)
            yield from _axes(simulated, reference)
            if compared.common is None:
                what = f"has no year in common with {reference.name}"
                yield Problem("no-common-days", what, simulated.name, fix="give products of the same years")

    def _yearly(self, view: ProductView) -> Iterator[Problem]:
        """Whether a product has the variables as yearly numbers with the dimensions of the first."""
        first, axis = self.compared.first, view.template.time
        if axis is None or axis.step.unit != "year":
            yield Problem(
                "not-yearly", "it has no yearly numbers", view.name, fix="name products of the job `metric` by year"
            )
            return
        for name in self.compared.options.variables:
            spec = view.template.arrays.get(name)
            if spec is None or "time" not in spec.dims:
                known = ", ".join(sorted(each for each, own in view.template.arrays.items() if "time" in own.dims))
                yield Problem("variable-unknown", f"has no yearly {name}; it has {known}", view.name)
            elif "flag_meanings" in spec.attrs or is_date(spec):
                yield Problem(
                    "change-no-number",
                    f"{name} is a flag or a date, which have no mean",
                    view.name,
                    "the mean of flags or dates means nothing",
                    "take numbers, such as onset in place of onset_date",
                )
            elif set(spec.dims) != set((expected := first.template.arrays.get(name, spec)).dims):
                yield Problem(
                    "dimension-differs",
                    f"{name} has {', '.join(spec.dims)}, in {first.name} {', '.join(expected.dims)}",
                    view.name,
                    fix="name products of the same metric",
                )

    def _pair(self, scenario: ProductView, past: ProductView) -> Iterator[Problem]:
        """What a scenario and its past differ by besides the climate."""
        yield from _axes(scenario, past)
        for variable in self.compared.options.variables:
            a, b = (view.template.arrays[variable].attrs for view in (scenario, past))
            for name in MADE_BY:
                if a.get(name) != b.get(name):
                    yield _unlike(variable, scenario, past, name)

    def _of_one_kind(self, view: ProductView) -> Iterator[Problem]:
        """What a product differs by from the first, besides where it comes from."""
        first = self.compared.first
        for variable in self.compared.options.variables:
            ours, theirs = (_kind(each.template.arrays[variable].attrs) for each in (first, view))
            for name in KIND:
                if ours[name] != theirs[name]:
                    yield _unlike(variable, view, first, name)
            for dim in self.compared.dims(variable):
                a, b = (each.template.coords.get(dim) for each in (first, view))
                if dim not in self.compared.space and not _same_parts(a, b):
                    yield Problem(
                        "dimension-differs",
                        f"{variable} has other {dim} than in {first.name}",
                        view.name,
                        "numbers of different parts of the year or layers would be compared",
                        "make both with the same options",
                    )

    def _daily(self, view: ProductView, scenario: ProductView) -> Iterator[Problem]:
        """What is wrong with the days that the scenario's metric rests on."""
        try:
            _ = DailyInput(view, DOMAIN).variable
            days = DailyInput(view, DOMAIN).days
        except CubeError as error:
            yield from error.problems
            return
        axis = scenario.template.time
        assert axis is not None
        if not same_calendar(days.calendar, axis.calendar):
            yield Problem(
                "calendars-differ",
                f"its days are of the calendar {days.calendar}, the years of {scenario.name} of {axis.calendar}",
                view.name,
                "days would be counted in other years",
                "name the emulated product that the scenario's metric is made from as `domain`",
            )
            return
        first, last = self.compared.span
        wanted = self.compared.domain_days(view.name, scenario.name, first, last)
        if wanted.start < 0 or wanted.stop > days.count:
            yield Problem(
                "window-outside",
                f"its days, {days.text(0)} to {days.text(-1)}, do not hold the windows, {first} to {last}",
                view.name,
                "a share of fewer days would be taken for that of the window",
                "name the emulated product that the scenario's metric is made from as `domain`",
            )


def _within(view: ProductView, windows: Sequence[tuple[int, int]], key: str) -> Iterator[Problem]:
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


def _axes(one: ProductView, other: ProductView) -> Iterator[Problem]:
    """Whether the years of two products are of one length and begin alike."""
    ours, theirs = one.template.time, other.template.time
    assert ours is not None
    assert theirs is not None
    if not same_calendar(ours.calendar, theirs.calendar) or ours.step != theirs.step:
        yield Problem(
            "calendars-differ",
            f"years of {theirs.step} in {theirs.calendar}, of {one.name} {ours.step} in {ours.calendar}",
            other.name,
            "numbers of different periods would be compared",
            "make both metrics with the same `starts`, in one calendar",
        )


def _kind(attrs: Mapping[str, Any]) -> dict[str, str]:
    """The attributes of KIND. A threshold taken from a reference names it, which may be another for each model."""
    reference = f"{attrs.get('reference_product')} {attrs.get('reference_period')}"
    return {name: str(attrs.get(name, "")).replace(reference, "the reference") for name in KIND}


def _same_parts(one: xr.DataArray | None, other: xr.DataArray | None) -> bool:
    if one is None or other is None:
        return one is other
    told = (each.attrs.get("flag_meanings") for each in (one, other))
    return np.array_equal(one.values, other.values) and len(set(told)) == 1


def _unlike(variable: str, one: ProductView, other: ProductView, name: str) -> Problem:
    ours, theirs = (view.template.arrays[variable].attrs.get(name) for view in (one, other))
    return Problem(
        "metrics-differ",
        f"{variable}: {name} is {ours!r}, that of {other.name} {theirs!r}",
        one.name,
        "what the two metrics differ by would be taken for a change of climate",
        "make both with the same options, against the same reference",
    )
