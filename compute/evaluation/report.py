"""The report: one page that needs nothing else, with what was compared, scores over cells, and maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.evaluation import structure
from compute.evaluation.drawing import INFERNO, VIRIDIS, Scale, round_up
from compute.evaluation.page import document, image, tag
from compute.evaluation.scores import SCORES
from compute.evaluation.telling import Facts
from cube.template import Template

ERRORS = (
    "paired_days",
    "bias",
    "rmse",
    "ubrmse",
    "nrmse",
    "r",
    "anomaly_r",
    "nse",
    "kge",
    "variability_ratio",
    "mean_ratio",
)
EVENTS = ("pod", "far", "csi", "frequency_bias", "hss")
HEADS = {
    "paired_days": "days",
    "rmse": "RMSE",
    "ubrmse": "ubRMSE",
    "nrmse": "nRMSE",
    "anomaly_r": "anomaly r",
    "nse": "NSE",
    "kge": "KGE",
    "variability_ratio": "sd ratio",
    "mean_ratio": "mean ratio",
    "pod": "POD",
    "far": "FAR",
    "csi": "CSI",
    "frequency_bias": "frequency bias",
    "hss": "HSS",
    "simulation_rmse": "RMSE of the simulation on these days",
}
WIDTH = 176
"""Of a map on the page, pixels."""


@dataclass(frozen=True)
class Maps:
    """Scores that are drawn: each (predictors, targets, rows, columns), on the cells of a template."""

    values: Mapping[str, NDArray[Any]]
    template: Template

    @property
    def drawable(self) -> bool:
        return len(self.template.space) == 2

    def upright(self, values: NDArray[Any]) -> NDArray[Any]:
        """North at the top and west on the left."""
        rows, columns = (self.template.coords[name].values for name in self.template.space)
        down, right = (len(each) < 2 or bool(each[0] < each[-1]) for each in (rows, columns))
        return values[:: -1 if down else 1, :: 1 if right else -1]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height on the page."""
        spans = []
        for name in self.template.space:
            axis = self.template.coords[name].values.astype(np.float64)
            spans.append(len(axis) * (abs(float(axis[1] - axis[0])) if len(axis) > 1 else 1.0))
        return WIDTH, int(np.clip(round(WIDTH * spans[0] / spans[1]), 12, 4 * WIDTH))

    @property
    def told(self) -> str:
        west, south, east, north = self.template.bbox
        return f"longitude {west:g} to {east:g}, latitude {south:g} to {north:g} degrees, north at the top"


def report(facts: Facts, summary: xr.Dataset, maps: Maps) -> bytes:
    """The page. The same facts and numbers give the same bytes.

    summary  the arrays of `structure.SUMMARY`
    """
    sections = [
        tag("h1", f"Evaluation: {facts.title}"),
        tag("p", facts.verdict, class_="verdict"),
        *([tag("ul", *(tag("li", each) for each in facts.caveats))] if facts.caveats else []),
        *_compared(facts),
        *_scores(facts, summary),
        *(_maps(facts, maps) if maps.drawable else ()),
        *_meaning(facts),
    ]
    return document(f"Evaluation: {facts.title}", *sections)


def _table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[Element | str]], class_: str = "") -> Element:
    head = tag("thead", tag("tr", *(tag("th", each, scope="col") for each in heads)))
    lines = [tag("tr", tag("th", first, scope="row"), *(tag("td", each) for each in rest)) for first, *rest in rows]
    table = tag("table", tag("caption", caption), head, tag("tbody", *lines))
    if class_:
        table.set("class", class_)
    return tag("div", table, class_="wide")


def _compared(facts: Facts) -> Iterator[Element]:
    yield tag("h2", "What is compared")
    yield tag("p", f"Evaluated: {facts.compared}.")
    products = [(each.role, each.name, each.version, each.days, each.told) for each in facts.products]
    yield _table("Products", ("role", "product", "version", "days that it has", "made by"), products, "text")
    yield _table("Predictors", ("name", "what it is"), facts.predictors, "text")
    targets = [(each.name, each.long_name, each.units, each.scale, each.event) for each in facts.targets]
    yield _table("Targets", ("name", "what it is", "units", "nRMSE is relative to", "events"), targets, "text")


def _scores(facts: Facts, summary: xr.Dataset) -> Iterator[Element]:
    yield tag("h2", "Scores over cells")
    yield tag(
        "p",
        "Median of all cells, below it the quartiles. n is the number of cells in which the score is defined, where it "
        "is not in all that have days: a constant reference has no correlation, NSE or KGE; without events there is no "
        "POD. Such cells are missing, never 0. A predictor is scored on the days on which it, the simulation and the "
        "reference have values; it is beaten where the simulation has the smaller RMSE on just these days.",
    )
    for place, target in enumerate(facts.targets):
        numbers = summary.isel(target=place)
        cells = numbers[structure.cells_of("paired_days")].values
        yield tag("h3", f"{target.name}: {target.long_name}")
        heads = ("predictor", "cells", *map(_head, ERRORS), "beaten in", _head("simulation_rmse"))
        rows: list[Sequence[Element | str]] = []
        for row, (name, _) in enumerate(facts.predictors):
            beaten = float(numbers[structure.BEATEN].values[row])
            share = f"{100 * beaten:.1f} %" if np.isfinite(beaten) else "–"
            own = [_cell(numbers, each, row, int(cells[row])) for each in ERRORS]
            same = _cell(numbers, "simulation_rmse", row, int(cells[row])) if row else "–"
            rows.append((name, str(int(cells[row])), *own, share, same))
        yield _table(f"{target.name}: errors and agreement; bias and RMSE in {target.units}", heads, rows)
        rows = [
            (name, *(_cell(numbers, each, row, int(cells[row])) for each in EVENTS))
            for row, (name, _) in enumerate(facts.predictors)
        ]
        yield _table(f"{target.name}: {target.event}", ("predictor", *map(_head, EVENTS)), rows)


def _head(score: str) -> str:
    return HEADS.get(score, score)


def _cell(numbers: xr.Dataset, score: str, row: int, cells: int) -> Element:
    low, median, high = (float(each) for each in numbers[structure.quantiles_of(score)].values[:, row])
    count = int(numbers[structure.cells_of(score)].values[row])
    digits = _digits(median)
    parts: list[Element | str] = [_number(median, digits)]
    if count:
        parts.append(tag("small", f"{_number(low, digits)} to {_number(high, digits)}"))
    if count < cells:
        parts.append(tag("small", f"n {count}"))
    return tag("span", *parts)


def _digits(value: float) -> int:
    """Decimals that leave three significant figures or so."""
    return next((digits for least, digits in ((100, 0), (1, 2), (0.1, 3)) if abs(value) >= least), 4)


def _number(value: float, digits: int) -> str:
    if not np.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else "0"


def _maps(facts: Facts, maps: Maps) -> Iterator[Element]:
    yield tag("h2", "Maps")
    missing = tag("span", "grey", class_="missing")
    yield tag("p", f"Cells: {maps.told}. ", missing, ": missing, or not defined.")
    for score, values in maps.values.items():
        scales = [_scale(score, values[:, place]) for place in range(len(facts.targets))]
        columns = [
            tag("div", target.name, _bar(scale, target.units if score in structure.IN_UNITS else "1"))
            for target, scale in zip(facts.targets, scales, strict=True)
        ]
        head = tag("tr", tag("th", "predictor", scope="col"), *(tag("th", each, scope="col") for each in columns))
        lines = []
        for row, (name, _) in enumerate(facts.predictors):
            drawn = [
                image(
                    scale.png(maps.upright(values[row, place])),
                    f"map of {_head(score)} of {target.name}, {name}",
                    size=maps.size,
                )
                for place, (target, scale) in enumerate(zip(facts.targets, scales, strict=True))
            ]
            lines.append(tag("tr", tag("th", name, scope="row"), *(tag("td", each) for each in drawn)))
        caption = f"{_head(score)}: {SCORES[score].long_name}"
        yield tag("div", tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *lines)), class_="wide")


def _scale(score: str, values: NDArray[Any]) -> Scale:
    """r and CSI from 0 to 1; errors from 0 to what 98 % of the cells of all predictors stay below."""
    if score not in structure.IN_UNITS:
        return Scale(0.0, 1.0, VIRIDIS)
    known = values[np.isfinite(values)]
    return Scale(0.0, round_up(float(np.percentile(known, 98))) if known.size else 1.0, INFERNO)


def _bar(scale: Scale, units: str) -> Element:
    ends = tag("div", tag("span", f"{scale.low:g}"), tag("span", f"{scale.high:g} {units}"), class_="ends")
    return tag("div", image(scale.bar(), f"colours from {scale.low:g} to {scale.high:g} {units}", class_="bar"), ends)


def _meaning(facts: Facts) -> Iterator[Element]:
    yield tag("h2", "What the scores are")
    terms: list[Element] = []
    for name, score in SCORES.items():
        best = "" if score.best is None else f"; best is {score.best:g}"
        comment = f". {score.comment[0].upper()}{score.comment[1:]}" if score.comment else ""
        terms += [tag("dt", _head(name)), tag("dd", f"{score.long_name}{best}{comment}.")]
    yield tag("dl", *terms)
    cited = []
    for text, doi in facts.citations:
        link: list[Element | str] = [" ", tag("a", f"doi:{doi}", href=f"https://doi.org/{doi}")] if doi else []
        cited.append(tag("li", f"{text}.", *link))
    yield tag("ul", *cited)
