"""From a product's array to one number a cell: which period, season, window and model, and why cells have none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.dates import is_date
from compute.notebook.asked import When
from compute.notebook.opened import CHANGE, Opened, unknown
from compute.seasons.reasons import MEANINGS, NO_DATA
from cube.errors import InputError, Problem

Mask = NDArray[np.bool_]

WINDOW, MODEL, SEASONS = "window", "model", ("season", "months")
ONLY, OF_SEASONS = "1", ("onset", "cessation", "length")
"""The number of the season where a product has one a year, and what its variables begin with."""
WRITTEN = re.compile(r"\d{4}(-\d{2}(-\d{2}(T\d{2}:\d{2})?)?)?")
"""Years, months, days and hours as text; less than that names several of them."""
STATUS = "season_status"
"""Why the reference has no season."""
FEW = 12
"""Names of what there is to choose from that are written out."""
OCEAN = MEANINGS[NO_DATA]
"""The reason that is not drawn: there is nothing to know."""


@dataclass(frozen=True)
class Chosen:
    """One number a cell, all arrays of the shape of the cells.

    told      what was chosen, e.g. "season 1, mean of 1991 to 2020"
    masked    cells without number, by the reason; not those of which nothing is known
    doubtful  cells with a number that should not be relied on, by the reason
    notes     what must be said beside the picture
    """

    values: NDArray[np.float64]
    told: str
    masked: Mapping[str, Mask]
    doubtful: Mapping[str, Mask]
    notes: tuple[str, ...] = ()

    @property
    def known(self) -> Mask:
        """Cells of which something is known: a number, or why there is none."""
        return np.asarray(np.any([np.isfinite(self.values), *self.masked.values()], axis=0))

    def only(self, cells: Mask) -> Chosen:
        """The same without other cells."""
        masked, doubtful = (
            {name: each & cells for name, each in given.items() if (each & cells).any()}
            for given in (self.masked, self.doubtful)
        )
        return replace(self, values=np.where(cells, self.values, np.nan), masked=masked, doubtful=doubtful)


def choose(
    opened: Opened, variable: str, when: When = None, season: int | str | None = None, model: str | None = None
) -> Chosen:
    """Raises InputError for choices that the product does not have, or that must be made."""
    spec = opened.arrays[variable]
    _refuse_idle(opened, variable, season, model)
    at: dict[str, Any] = {}
    told = []
    for dim in (each for each in spec.dims if each not in (*opened.space, "time")):
        if dim in SEASONS:
            at[dim] = _position(opened, dim, "season", None if season is None else str(season), default=dim == "season")
            told.append(opened.labels(dim)[at[dim]] if dim == "months" else f"season {opened.labels(dim)[at[dim]]}")
        elif dim == WINDOW:
            at[dim] = _window(opened, when)
            told.insert(0, _against(opened, variable, opened.labels(dim)[at[dim]].replace("_", "-")))
        elif dim == MODEL:
            at[dim] = _position(opened, dim, dim, model)
            told.append(f"{dim} {opened.labels(dim)[at[dim]]}")
        elif opened.data.sizes[dim] > 1:
            raise InputError(several(opened, variable, dim))
        else:
            at[dim] = 0
    if "time" not in spec.dims:
        if when is not None and WINDOW not in spec.dims:
            raise InputError(unknown(f"{variable} has no time", opened.name, "when", []))
        values = opened.values(variable, at)
        doubtful, masked = _doubts(opened, variable, at, values)
        return Chosen(values, ", ".join(told), masked, doubtful)
    steps, period = _steps(opened, when)
    values = opened.values(variable, {**at, "time": steps})
    present = np.isfinite(values)
    masked = _reasons(opened, variable, {**at, "time": steps}, ~present.any(axis=0))
    if len(values) == 1:
        return Chosen(values[0], ", ".join([*told, period]), masked, {})
    if "flag_values" in spec.attrs or is_date(spec):
        raise InputError(unknown(f"{variable} has no mean", opened.name, "when", ["a single year or month"]))
    count = np.count_nonzero(present, axis=0)
    total = np.where(present, values, 0.0).sum(axis=0)
    mean = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    notes = []
    if count.any() and count[count > 0].min() < len(values):
        fewest = int(count[count > 0].min())
        notes.append(
            f"Each cell's mean is of the periods that have a value: {fewest} to {count.max()} of {len(values)}."
        )
    return Chosen(mean, ", ".join([*told, f"mean of {period}"]), masked, {}, tuple(notes))


def _refuse_idle(opened: Opened, variable: str, season: int | str | None, model: str | None) -> None:
    """Raises InputError for choices along dimensions that a variable does not have."""
    dims = opened.arrays[variable].dims
    only = variable.startswith(OF_SEASONS) and str(season) == ONLY
    problems = []
    if season is not None and not only and not set(SEASONS) & set(dims):
        problems.append(unknown(f"{variable} has no season {season!r}", opened.name, "season", []))
    if model is not None and MODEL not in dims:
        problems.append(unknown(f"{variable} has no model {model!r}", opened.name, "model", []))
    if problems:
        raise InputError(problems)


def _position(opened: Opened, dim: str, name: str, asked: str | None, default: bool = False) -> int:
    labels = opened.labels(dim)
    if asked is None and (len(labels) == 1 or default):
        return 0
    if asked not in labels:
        what = f"it has no {dim} {asked!r}" if asked is not None else f"it has several {dim.removesuffix('s')}s"
        raise InputError(unknown(what, opened.name, name, labels))
    return labels.index(asked)


def several(opened: Opened, variable: str, dim: str) -> Problem:
    """The problem of a dimension that pictures have no option for."""
    labels = opened.labels(dim)
    told = f"{labels[0]} to {labels[-1]}" if len(labels) > FEW else ", ".join(labels)
    what = f"{variable} has several values of {dim} ({told}), of which pictures choose none"
    read = f'cube["{opened.name}"]["{variable}"].isel({dim}=0)'
    return Problem(
        "choice-unknown", what, opened.name, "one of them would be taken for all", f"draw {read} with xarray"
    )


def _against(opened: Opened, variable: str, window: str) -> str:
    """A window and the past that it is compared with, where the product tells it."""
    past = str(opened.attrs(variable).get("past_period", "")).replace(" to ", "-")
    between = "less" if variable.endswith(CHANGE) else "against"
    return f"{window} {between} {past}" if past else window


def _window(opened: Opened, when: When) -> int:
    """The window of the years that are named; the last by default."""
    labels = opened.labels(WINDOW)
    if when is None:
        return len(labels) - 1
    text = "-".join(map(str, when)) if isinstance(when, tuple) else str(when)
    found = [at for at, label in enumerate(labels) if label.replace("_", "-") == text.replace("_", "-")]
    if len(found) != 1:
        raise InputError(unknown(f"it has no window {when!r}", opened.name, "when", labels))
    return found[0]


def _steps(opened: Opened, when: When) -> tuple[slice, str]:
    """Periods, and what they are called."""
    axis = opened.time
    assert axis is not None
    begins = (
        f" (years from {axis.date(0).strftime('%d %B')})" if axis.step.unit == "year" and axis.step.month > 1 else ""
    )
    if when is None:
        years = opened.years()
        return slice(0, axis.count), _span(int(years[0]), int(years[-1])) + begins
    if isinstance(when, int):
        return opened.steps(when), f"{when}{begins}"
    if isinstance(when, str):
        found = [at for at in range(axis.count) if axis.text(at).startswith(when)] if WRITTEN.fullmatch(when) else []
        if found:
            return slice(found[0], found[-1] + 1), when
        known = [f"years, or texts such as {axis.text(0)[:7]}, from {axis.text(0)} to {axis.text(-1)}"]
        raise InputError(unknown(f"it has no {when!r}", opened.name, "when", known))
    first, last = when
    steps = slice(opened.steps(first).start, opened.steps(last).stop)
    if steps.start >= steps.stop:
        raise InputError(unknown(f"{first} to {last} is no period", opened.name, "when", ["(first year, last year)"]))
    return steps, _span(first, last) + begins


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} to {last}"


def _beside(opened: Opened, variable: str) -> list[str]:
    """Arrays that tell about a variable: named by it, or by its name in products of changes."""
    named = str(opened.attrs(variable).get("ancillary_variables", "")).split()
    base = variable.removesuffix(CHANGE)
    if variable.endswith(CHANGE):
        usual = [f"{base}_significant", f"{base}_flag"]
    else:
        usual = (
            [STATUS] if STATUS in opened.arrays and opened.arrays[STATUS].dims == opened.arrays[variable].dims else []
        )
    return [each for each in dict.fromkeys([*named, *usual]) if each in opened.arrays]


def _cut(opened: Opened, name: str, at: Mapping[str, Any]) -> NDArray[np.float64]:
    return opened.values(name, {dim: each for dim, each in at.items() if dim in opened.arrays[name].dims})


def _reasons(opened: Opened, variable: str, at: Mapping[str, Any], absent: Mask) -> dict[str, Mask]:
    """Why cells have no value in any of the periods: the reason that most of them give."""
    found: dict[str, Mask] = {}
    for name in _beside(opened, variable):
        attrs, values = opened.attrs(name), _cut(opened, name, at)
        if "flag_values" in attrs and "flag_meanings" in attrs:
            names = str(attrs["flag_meanings"]).split()
            counts = np.stack([np.count_nonzero(values == number, axis=0) for number in attrs["flag_values"]])
            # Where most of the periods say that there is a value, the few without one are not told of.
            most = np.where(counts.max(axis=0) > 0, counts.argmax(axis=0), -1)
            for place, meaning in enumerate(names):
                cells = absent & (most == place)
                if meaning not in (OCEAN, MEANINGS[0]) and cells.any():
                    found[meaning.replace("_", " ")] = cells
        elif name == "valid_days":
            cells = absent & (np.nan_to_num(values).max(axis=0) > 0)
            if cells.any():
                found["too many days missing"] = cells
    return found


def _doubts(
    opened: Opened, variable: str, at: Mapping[str, Any], values: NDArray[np.float64]
) -> tuple[dict[str, Mask], dict[str, Mask]]:
    """Reasons not to rely on numbers, and why there are none, of arrays without time."""
    present = np.isfinite(values)
    doubtful: dict[str, Mask] = {}
    masked: dict[str, Mask] = {}
    # Each cell without a number is drawn once, by the first of its reasons.
    left = ~present
    for name in _beside(opened, variable):
        attrs, beside = opened.attrs(name), _cut(opened, name, at)
        if name.endswith("_significant"):
            cells = present & (beside == 0)
            if cells.any():
                doubtful["not significant"] = cells
        elif "flag_masks" in attrs:
            bits = np.nan_to_num(beside).astype(np.int64)
            for bit, meaning in zip(attrs["flag_masks"], str(attrs["flag_meanings"]).split(), strict=True):
                on = (bits & int(bit)) > 0
                for kind, cells in ((doubtful, on & present), (masked, on & left)):
                    if cells.any():
                        kind[meaning.replace("_", " ")] = cells
                left &= ~on
        elif "flag_values" in attrs:
            for number, meaning in zip(attrs["flag_values"], str(attrs["flag_meanings"]).split(), strict=True):
                cells = left & (beside == number)
                if meaning not in (OCEAN, MEANINGS[0]) and cells.any():
                    masked[meaning.replace("_", " ")] = cells
                    left &= ~cells
    return doubtful, masked
