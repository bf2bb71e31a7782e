"""The arrays of an evaluation: maps of every score, and the same over all cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from compute.evaluation.compared import Compared
from compute.evaluation.scores import SCORES
from cube.template import ArraySpec, FileSpec, Template

QUANTILES = (0.25, 0.5, 0.75)
THRESHOLD = "event_threshold"
BEATEN = "beaten"
REPORT = "report.html"
IN_UNITS = ("bias", "rmse", "ubrmse", "simulation_rmse")
"""Scores in the units of what is compared."""
MIXED = "in m3 m-3 for soil moisture, in 1 for beta"

MAPS = (*SCORES, THRESHOLD)


def quantiles_of(score: str) -> str:
    return f"{score}_quantiles"


def cells_of(score: str) -> str:
    return f"{score}_cells"


SUMMARY = (BEATEN, *(name for score in SCORES for name in (quantiles_of(score), cells_of(score))))


def template(compared: Compared, comments: Mapping[str, str], read_bytes: int) -> Template:
    """The structure.

    comments    by array
    read_bytes  of all inputs, for one cell
    """
    source = compared.simulation.template
    space = compared.space
    predictors, targets = compared.predictors, [each.name for each in compared.targets]
    first = compared.targets[0].series[compared.options.simulation].spec
    place = {key: first.attrs[key] for key in ("coordinates", "grid_mapping") if key in first.attrs}
    cells = tuple(len(source.coords[name]) for name in space)
    counts = (len(predictors), len(targets))
    arrays: dict[str, ArraySpec] = {}
    for name, score in SCORES.items():
        dtype = np.dtype("int32" if name == "paired_days" else "float32")
        told = [score.comment, comments.get(name, ""), MIXED if name in IN_UNITS else ""]
        attrs = {"long_name": score.long_name, "units": "1", "comment": "; ".join(filter(None, told))}
        arrays[name] = ArraySpec(
            ("predictor", "target", *space),
            (*counts, *cells),
            dtype,
            {key: value for key, value in {**attrs, **place}.items() if value},
        )
    attrs = {"long_name": "value of the reference below which a day is an event", "units": "1"}
    arrays[THRESHOLD] = ArraySpec(
        ("target", *space),
        (counts[1], *cells),
        np.dtype("float32"),
        {**attrs, "comment": comments[THRESHOLD], **place},
    )
    beaten = {
        "long_name": "share of the cells in which the simulation has a smaller rmse than the predictor",
        "units": "1",
        "comment": "both on the days that the predictor has; missing for the simulation itself",
    }
    arrays[BEATEN] = ArraySpec(("predictor", "target"), counts, np.dtype("float32"), beaten)
    for name, score in SCORES.items():
        over = {"long_name": f"{score.long_name}: quartiles over cells", "units": "1"}
        number = {"long_name": f"{score.long_name}: number of cells in which it is defined", "units": "1"}
        arrays[quantiles_of(name)] = ArraySpec(
            ("quantile", "predictor", "target"), (len(QUANTILES), *counts), np.dtype("float32"), over
        )
        arrays[cells_of(name)] = ArraySpec(("predictor", "target"), counts, np.dtype("int32"), number)
    coords = source.coords
    kept = [name for name, each in coords.variables.items() if set(each.dims) <= {*space, "bnds"}]
    quantile = xr.Variable(("quantile",), np.array(QUANTILES), {"long_name": "quantile over cells", "units": "1"})
    own = {
        "predictor": _named("predictor", predictors, "what predicts the reference"),
        "target": _named("target", targets, "what is predicted"),
        "quantile": quantile,
    }
    return Template(
        arrays=arrays,
        coords=coords[sorted(map(str, kept))].assign_coords(own),
        time=None,
        space=space,
        groups=(MAPS, SUMMARY),
        read_bytes=read_bytes,
        tiles=compared.simulation.tiles(compared.targets[0].series[compared.options.simulation].variable),
        crs=source.crs,
        bbox=source.bbox,
        files={REPORT: FileSpec(BEATEN, "text/html", "Report: scores, maps and what they mean", ("overview",))},
    )


def _named(dim: str, names: Sequence[str], long_name: str) -> xr.Variable:
    numbers = np.arange(len(names), dtype=np.int32)
    attrs: dict[str, Any] = {
        "long_name": long_name,
        "flag_values": numbers.tolist(),
        "flag_meanings": " ".join(names),
    }
    return xr.Variable((dim,), numbers, attrs)
