"""Yearly metrics held in memory, the change of which is published, and what plain NumPy and scipy make of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.stats import mannwhitneyu, norm

from batch import jobs
from batch.build import Outcome, build
from batch.reporting import Reporter
from batch.spec import load_spec
from compute.change.job import ChangeJob
from compute.change.options import ChangeOptions
from compute.seasons.reasons import flag_attrs
from cube.axes import EPOCH_YEAR, Step, TimeAxis
from cube.job import JobContext, ProductView
from cube.options import LayoutOptions
from cube.provenance import Provenance
from cube.template import ArraySpec, Template
from tests.compute.evaluation.products import Held
from tests.compute.metrics.toy import Serial

Values = np.ndarray[Any, Any]
LAT, LON, SEASONS = (10.0, 10.5, 11.0), (30.0, 30.5, 31.0, 31.5), (1, 2)
SHAPE = (len(SEASONS), len(LAT), len(LON))
PAST, FUTURE = (1976, 2005), (2006, 2099)
WINDOWS = ((2021, 2050), (2070, 2099))
CALENDAR, YEAR_DAYS = "360_day", 360
FILL, NO_FLAG = -32768, -128
SEA, SHORT_PAST, SHORT_WINDOW = (0, 0), (1, 1), (2, 0)
"""Cells without values, with 19 years of the past in the first season, with 19 of the first window in both."""
METRIC = {
    "long_name": "first day of the season",
    "units": "d",
    "_FillValue": FILL,
    "method": "made up",
    "thresholds": "none",
    "reference_product": "weather",
    "reference_period": "1976-01-01 to 2005-12-30",
}


class Product:
    """Arrays with the dimensions (time, season, lat, lon), (time, months, lat, lon) or (time, lat, lon)."""

    def __init__(
        self,
        name: str,
        values: Mapping[str, Values],
        first: int,
        *,
        step: Step | None = None,
        calendar: str = CALENDAR,
        lat: tuple[float, ...] = LAT,
        seasons: tuple[int, ...] = SEASONS,
        **attrs: Any,
    ) -> None:
        self.name, self.values = name, dict(values)
        coords = xr.Dataset(
            coords={
                "lat": xr.Variable(("lat",), np.array(lat), {"units": "degrees_north", "standard_name": "latitude"}),
                "lon": xr.Variable(("lon",), np.array(LON), {"units": "degrees_east", "standard_name": "longitude"}),
                "season": xr.Variable(("season",), np.array(seasons, np.int32), {"long_name": "season"}),
            }
        )
        arrays = {}
        for key, each in self.values.items():
            dims = ("time", *(("season",) if each.ndim == 4 else ()), "lat", "lon")
            told = {"_FillValue": NO_FLAG} if key == "out_of_domain" else {**METRIC, **attrs}
            if key == "season_flag":
                told = flag_attrs()
            elif "season_flag" in self.values:
                told |= {"ancillary_variables": "season_flag"}
            arrays[key] = ArraySpec(dims, each.shape, each.dtype, {k: v for k, v in told.items() if v is not None})
        count = len(next(iter(self.values.values())))
        time = TimeAxis(first, count, step or Step("year"), calendar)
        self.template = Template(
            arrays, coords, time, ("lat", "lon"), (tuple(arrays),), bbox=(29.75, 9.75, 31.75, 11.25)
        )
        layout = self.template.layout(LayoutOptions())
        keys = {block.id: block.id for block in layout.blocks()}
        self.view = ProductView(name, "inputs", self.template, layout, keys, Provenance("CC-BY-4.0", "yes"), "f" * 64)


def metric(
    name: str,
    seed: int,
    years: tuple[int, int],
    trend: float = 0.0,
    *,
    names: tuple[str, ...] = ("onset",),
    **more: Any,
) -> Product:
    """Whole days that get later by `trend` a year, more so eastward; seasons of a year that follow the year before."""
    random = np.random.default_rng(seed)
    count = years[1] - years[0] + 1
    found = {}
    for variable in names:
        noise = random.normal(0, 8, (count, *SHAPE))
        noise[1:, :, 2] += 0.6 * noise[:-1, :, 2]
        later = trend * np.arange(len(LON)) * (np.arange(years[0], years[1] + 1) - 2000)[:, None, None, None] / 3.0
        values = np.round(150 + noise + later).astype(np.int16)
        values[:, :, *SEA] = FILL
        if years == PAST:
            values[:11, 0, *SHORT_PAST] = FILL
        else:
            at = WINDOWS[0][0] - years[0]
            values[at : at + 11, :, *SHORT_WINDOW] = FILL
        found[variable] = values
    return Product(name, found, years[0] - EPOCH_YEAR, **more)


def known(product: Product, window: tuple[int, int], variable: str = "onset") -> Values:
    """The years of a window, NaN where missing."""
    values = product.values[variable].astype(float)
    values[values == FILL] = np.nan
    assert product.template.time is not None
    start = window[0] - product.template.time.first - EPOCH_YEAR
    return values[start : start + window[1] - window[0] + 1]


def lag_one(values: Values) -> float:
    around = values - values.mean()
    return float((around[1:] * around[:-1]).sum() / (around**2).sum())


def plain_p(past: Values, future: Values) -> float:
    """Of two series without gaps between their years with values, by scipy; z shrinks with correlated years."""
    p = float(mannwhitneyu(past, future, method="asymptotic").pvalue)
    sizes, worth = [len(past), len(future)], []
    for each in (past, future):
        r = lag_one(each)
        worth.append(len(each) * ((1 - r) / (1 + r) if r > 0.2 else 1.0))
    left = sum(1 / n for n in sizes) / sum(1 / n for n in worth)
    return float(2 * norm.sf(norm.isf(p / 2) * np.sqrt(left)))


def change(*products: Product, **options: Any) -> ChangeJob:
    """The job; by default the first product is the scenario and the second the past."""
    given = {
        "models": [{"scenario": products[0].name, "past": products[1].name}],
        "variables": ["onset"],
        "windows": [list(each) for each in WINDOWS],
        **options,
    }
    context = JobContext(Path(), {each.name: each.view for each in products})
    return ChangeJob.create(ChangeOptions.model_validate(given), context)


def published(folder: Path, products: Mapping[str, Product], specification: str) -> Outcome:
    """Builds the products and what the lines `specification` make of them."""
    head = ["title: Change", "store: ./cube", "memory: 1 GiB", "cluster: {kind: local, workers: 0}", "products:"]
    held = [f"  {name}: {{job: held, collection: inputs, key: {name}}}" for name in products]
    (folder / "cube.yaml").write_text("\n".join([*head, *held, specification]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUBE_CACHE", str(folder / "cache"))
        patch.setattr("batch.build.ProcessPoolExecutor", Serial)
        patch.setitem(jobs.JOBS, Held.name, Held)
        patch.setitem(jobs.OPTIONS, Held.name, Held.Options)
        for name, product in products.items():
            patch.setitem(Held.given, name, product)  # type: ignore[arg-type]
        spec = load_spec(folder / "cube.yaml", jobs.OPTIONS)
        return build(spec, spec.order(), Reporter(quiet=True))
