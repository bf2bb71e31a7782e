"""The `change` job: what a scenario does to a metric, window by window, and which of it to believe."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.change.checks import refuse_unlike
from compute.change.compared import DOMAIN, Compared
from compute.change.options import ChangeOptions
from compute.change.structure import (
    AGREEING,
    OUT_OF_DOMAIN,
    OUTSIDE,
    SCENARIOS,
    SMALL,
    TOO_FEW,
    counted,
    named,
    template,
)
from cube.blockjob import OWN, BlockJob
from cube.job import JobContext, Window
from cube.layout import Group
from cube.provenance import Citation, Provenance
from cube.template import Template

CITATIONS = (
    Citation(
        "Mann, H. B., Whitney, D. R. (1947): On a test of whether one of two random variables is stochastically larger "
        "than the other. Annals of Mathematical Statistics 18, 50-60",
        "10.1214/aoms/1177730491",
    ),
    Citation(
        "Benjamini, Y., Hochberg, Y. (1995): Controlling the false discovery rate: a practical and powerful approach "
        "to multiple testing. Journal of the Royal Statistical Society B 57, 289-300",
        "10.1111/j.2517-6161.1995.tb02031.x",
    ),
)
Values = NDArray[np.float64]


class ChangeJob(BlockJob):
    """Cells first, block by block; then significance, which looks at the whole map."""

    name: ClassVar[str] = "change"
    revision: ClassVar[int] = 3
    Options: ClassVar[type[ChangeOptions]] = ChangeOptions
    options: ChangeOptions
    memory_factor: ClassVar[float] = (
        6.0  # yearly numbers are small as they are stored, and computed in double precision
    )

    @classmethod
    def create(cls, options: Any, context: JobContext) -> Self:
        """Raises InputError with all that is wrong with the inputs."""
        job = cls(options, context.inputs)
        refuse_unlike(job.compared)
        return job

    @cached_property
    def compared(self) -> Compared:
        return Compared(self.options, self.inputs)

    def template(self) -> Template:
        return template(self.compared)

    def key_options(self) -> Mapping[str, Any]:
        return self.compared.to_json()

    def _tests(self, group: Group) -> bool:
        return group.variables[0] in {named(variable)["significant"] for variable in self.options.variables}

    def reads(self, group: Group, slices: Mapping[str, slice]) -> Mapping[str, Window]:
        return {} if self._tests(group) else self.compared.windows(slices)

    def own(self, group: Group, slices: Mapping[str, slice]) -> Window | None:
        if not self._tests(group):
            return None
        return Window(tuple(named(variable)["p_value"] for variable in self.options.variables), {})

    def identities(self, group: Group, slices: Mapping[str, slice]) -> Sequence[str]:
        if not self._tests(group):
            return super().identities(group, slices)
        windows = sorted(self.compared.windows({}).items())
        return [key for name, window in windows for key in self.inputs[name].keys_of(window)]

    def compute(self, group: Group, slices: Mapping[str, slice], data: Mapping[str, xr.Dataset]) -> xr.Dataset:
        if self._tests(group):
            return self._significance(slices, data[OWN])
        found: dict[str, Any] = {}
        for variable in self.options.variables:
            made = self._of(variable, data)
            names, dims = named(variable), self.compared.dims(variable)
            whole = self.compared.spec(variable).sizes
            sizes = [slices[dim].stop - slices[dim].start if dim in slices else whole[dim] for dim in dims]
            for part, values in made.items():
                if names[part] not in group.variables:
                    continue
                lead = {1: (), 2: ("model",), 3: ("model", "window")}[values.ndim]
                if part == "agreement":
                    lead = ("window",)
                found[names[part]] = ((*lead, *dims), values.reshape(*values.shape[:-1], *sizes))
        return xr.Dataset(found)

    def _of(self, variable: str, data: Mapping[str, xr.Dataset]) -> dict[str, NDArray[Any]]:
        """The arrays of one variable, (model, window, values) each as far as it has these."""
        from compute.change.statistics import mann_whitney

        compared, options = self.compared, self.options
        error = self._error(variable, data)
        shape = (len(options.models), len(options.windows))
        parts: dict[str, list[list[Any]]] = {name: [] for name in ("change", "years", "p_value", "flag")}
        pasts, past_years = [], []
        for model in options.models:
            before = compared.values(self.inputs[model.past], variable, data[model.past], *options.past_years)
            known = np.isfinite(before).sum(axis=0)
            enough = known >= options.least
            past = np.where(enough, _mean(before), np.nan)
            reason = compared.told(self.inputs[model.past], variable, data[model.past], *options.past_years)
            pasts.append(past)
            past_years.append(known)
            for each in parts.values():
                each.append([])
            for first, last in options.windows:
                after = compared.values(self.inputs[model.scenario], variable, data[model.scenario], first, last)
                count = np.isfinite(after).sum(axis=0)
                sound = enough & (count >= options.least)
                change = np.where(sound, _mean(after) - past, np.nan)
                told = compared.told(self.inputs[model.scenario], variable, data[model.scenario], first, last)
                # The sea has neither numbers nor reasons.
                flag = np.where(~sound & ((known > 0) | (count > 0) | reason | told), TOO_FEW, 0)
                if error is not None:
                    with np.errstate(invalid="ignore"):
                        flag |= np.where(np.abs(change) < error, SMALL, 0)
                if model.domain:
                    days = self._window_days(model.domain, model.scenario, first, last)
                    flag |= np.where(self._outside(variable, model.domain, days, data), OUTSIDE, 0)
                parts["change"][-1].append(change)
                parts["years"][-1].append(count)
                parts["p_value"][-1].append(mann_whitney(before, after, least=options.least))
                parts["flag"][-1].append(flag)
        found = {name: np.array(each).reshape(*shape, -1) for name, each in parts.items()}
        made: dict[str, NDArray[Any]] = {
            "past": np.array(pasts, np.float32),
            "past_years": np.array(past_years, np.int16),
            "change": found["change"].astype(np.float32),
            "years": found["years"].astype(np.int16),
            "p_value": found["p_value"].astype(np.float32),
            "flag": found["flag"].astype(np.int8),
        }
        if len(options.models) >= AGREEING:
            made["agreement"] = _agreement(found["change"])
        if error is not None:
            made["error"] = error.astype(np.float32)
        return made

    def _error(self, variable: str, data: Mapping[str, xr.Dataset]) -> Values | None:
        """Root mean square difference of the annual values of the two products of `error`."""
        options = self.options.error
        if options is None:
            return None
        assert self.compared.common is not None
        simulated, reference = (
            self.compared.values(self.inputs[name], variable, data[name], *self.compared.common)
            for name in (options.simulated, options.reference)
        )
        square = _mean((simulated - reference) ** 2)
        return np.asarray(np.sqrt(square))

    def _window_days(self, domain: str, scenario: str, first: int, last: int) -> slice:
        """Positions of a window's days in what is read of `domain`."""
        whole, part = (
            self.compared.domain_days(domain, scenario, *each) for each in (self.compared.span, (first, last))
        )
        return slice(part.start - whole.start, part.stop - whole.start)

    def _outside(self, variable: str, domain: str, days: slice, data: Mapping[str, xr.Dataset]) -> NDArray[np.bool_]:
        """Whether more than a tenth of the days with values lie outside the emulator's training, for each value."""
        flags = data[domain][DOMAIN].transpose("time", *self.compared.space).values[days]
        known = np.count_nonzero(flags >= 0, axis=0)
        share = np.count_nonzero(flags > 0, axis=0) / np.maximum(1, known)
        sizes = self.compared.spec(variable).sizes
        layers = [sizes[dim] for dim in self.compared.dims(variable) if dim not in self.compared.space]
        return np.broadcast_to(share > OUT_OF_DOMAIN, (*layers, *share.shape)).reshape(-1)

    def _significance(self, slices: Mapping[str, slice], data: xr.Dataset) -> xr.Dataset:
        """Of each map of p: of one model, window, season and layer."""
        from compute.change.statistics import benjamini_hochberg

        found = {}
        for variable in self.options.variables:
            names, dims = named(variable), self.compared.dims(variable)
            layers = tuple(dim for dim in dims if dim not in self.compared.space)
            space = self.compared.space
            p = data[names["p_value"]].transpose("model", "window", *layers, *space).values.astype(np.float64)
            made = np.full(p.shape, -1, np.int8)
            maps = math.prod(p.shape[: 2 + len(layers)])
            for one, out in zip(p.reshape(maps, -1), made.reshape(maps, -1), strict=True):
                out[:] = np.where(np.isfinite(one), benjamini_hochberg(one, self.options.share), -1)
            array = xr.DataArray(made, dims=("model", "window", *layers, *space)).transpose("model", "window", *dims)
            array = array.isel({dim: each for dim, each in slices.items() if dim in array.dims})
            found[names["significant"]] = array.variable
            if len(self.options.models) >= AGREEING:
                number = (array == 1).sum("model").where((array >= 0).sum("model") >= AGREEING, -1)
                found[names["significant_models"]] = number.astype(np.int16).variable
        return xr.Dataset(found)

    def provenance(self) -> Provenance:
        found = super().provenance()
        return Provenance(**{**vars(found), "citations": (*found.citations, *CITATIONS)})

    def notes(self) -> Mapping[str, Any]:
        models = counted(len(self.options.models))
        return {"notes": [SCENARIOS, f"This is of {models}.", *self.compared.caveats]}


def _mean(values: Values) -> Values:
    """Over years, NaN where there is none."""
    count = np.isfinite(values).sum(axis=0)
    total = np.where(np.isfinite(values), values, 0.0).sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))


def _agreement(change: Values) -> NDArray[np.float32]:
    """Share of the models with a change whose sign is that of their mean, shape (window, values)."""
    known = np.isfinite(change)
    count = known.sum(axis=0)
    mean = _mean(change)
    same = (known & (np.sign(np.where(known, change, 0.0)) == np.sign(mean))).sum(axis=0)
    share = np.divide(same, count, out=np.full(mean.shape, np.nan), where=count >= AGREEING)
    return np.asarray(share, np.float32)
