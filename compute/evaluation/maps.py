"""The scores of some cells, of all targets and predictors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.evaluation import structure
from compute.evaluation.baselines import climatology, persistence
from compute.evaluation.compared import Compared
from compute.evaluation.days import Seasons, part
from compute.evaluation.scores import percentiles, scores
from compute.evaluation.targets import Target, Values
from compute.places import SLACK, places
from cube.errors import InputError, Problem

RANGE = (5.0, 95.0)
"""Percentiles of the reference that its range lies between, which RMSE is relative to where saturation is not known."""


def maps(compared: Compared, cells: Mapping[str, slice], data: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """All arrays of `structure.MAPS`, cut to `cells`.

    data  what `compared.windows(cells)` named
    """
    options, space = compared.options, compared.space
    shape = tuple(cells[name].stop - cells[name].start for name in space)
    count = int(np.prod(shape))
    sizes = (len(compared.predictors), len(compared.targets), count)
    found = {name: np.full(sizes, np.nan) for name in structure.MAPS}
    left_out = _left_out(compared, cells, data)
    sm_sat = None
    if options.soil:
        sm_sat = data[options.soil]["sm_sat"].transpose(*space).values.reshape(-1).astype(np.float64)
    windows = compared.series_windows(cells)
    for place, target in enumerate(compared.targets):
        series = {}
        for name, each in target.series.items():
            firsts = {dim: cut.start for dim, cut in windows[name].slices.items()}
            series[name] = each.values(data, firsts)
        if len(left_out):
            series[options.reference] = series[options.reference].copy()
            series[options.reference][:, left_out] = np.nan
        for name, values in _target(compared, target, series, sm_sat).items():
            found[name][:, place] = values
    out: dict[str, tuple[tuple[str, ...], NDArray[Any]]] = {}
    for name, values in found.items():
        whole = values.reshape(*sizes[:2], *shape)
        if name == structure.THRESHOLD:
            out[name] = (("target", *space), whole[0].astype(np.float32))
        else:
            dtype = np.int32 if name == "paired_days" else np.float32
            out[name] = (("predictor", "target", *space), whole.astype(dtype))
    return xr.Dataset(out)


def _target(
    compared: Compared, target: Target, series: Mapping[str, Values], sm_sat: NDArray[np.float64] | None
) -> dict[str, NDArray[np.float64]]:
    """Scores by name, each of shape (predictors, cells)."""
    options, held = compared.options, compared.held
    seasons, wanted = Seasons.of(held), part(compared.days, held)
    known = series[options.reference]
    observed = known[wanted]
    low, event, high = percentiles(observed, (RANGE[0], options.events.percentile, RANGE[1]))
    threshold = np.where(np.isfinite(event), options.events.beta, np.nan) if target.beta else event
    scale = high - low if sm_sat is None or target.beta else sm_sat
    simulated = compared.on_days(series[options.simulation], options.simulation)
    found = {name: np.empty((len(compared.predictors), len(event))) for name in structure.MAPS}
    found[structure.THRESHOLD][:] = threshold
    for row, name in enumerate(compared.predictors):
        if name == "simulation":
            predicted = simulated
        elif name == "climatology":
            predicted = climatology(known, seasons, part(compared.known, held), wanted, compared.season_days)
        elif name == "persistence":
            predicted = persistence(known, seasons, held.first, wanted)
        else:
            predicted = compared.on_days(series[name], name)
        made = scores(
            predicted,
            observed,
            simulated,
            season=seasons.day[wanted],
            # Of the mean of the other years, anomalies would be those of the own year with the other sign.
            length=0 if compared.short or name == "climatology" else compared.season_days,
            threshold=threshold,
            scale=scale,
        )
        for score, values in made.items():
            found[score][row] = values
    return found


def _left_out(compared: Compared, cells: Mapping[str, slice], data: Mapping[str, xr.Dataset]) -> NDArray[np.int64]:
    """Positions among the cells of those that a model was trained on.

    Raises InputError where the sample's cells are not those of the simulation.
    """
    if not compared.options.trained_on:
        return np.empty(0, np.int64)
    sample, view = data[compared.options.trained_on], compared.simulation
    grid = tuple(len(view.template.coords[name]) for name in compared.space)
    own = np.ravel_multi_index(
        np.meshgrid(*(np.arange(cells[name].start, cells[name].stop) for name in compared.space), indexing="ij"), grid
    ).reshape(-1)
    _, sites, inside = np.intersect1d(sample["cell"].values, own, return_indices=True)
    apart = 0.0
    if len(sites):
        for name, degrees in zip(("latitude", "longitude"), places(view, cells), strict=True):
            apart = max(apart, float(np.abs(sample[name].values[sites] - degrees[inside]).max()))
    if apart > SLACK:
        raise InputError(
            Problem(
                "cells-differ",
                f"its sites are up to {apart:g} degrees away from the cells of {view.name} with their numbers",
                compared.options.trained_on,
                "cells that the model was trained on would be evaluated, and others left out",
                "name the sample that the model of this simulation was trained on",
            )
        )
    return np.asarray(inside, np.int64)
