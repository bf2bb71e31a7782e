"""A place over the years: seasons as bars, numbers as lines, products side by side."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from compute.nearest import Place
from compute.notebook.caveats import footnote as told_below
from compute.notebook.colours import day_text, month_starts
from compute.notebook.panels import SAME, Panel
from compute.notebook.picture import LINE, SIZE, Picture, footnote, wrapped
from cube.catalogue import Cube

HEIGHT, LEFT, RIGHT, TOP = 2.6, 0.65, 0.15, 0.75
"""Inches: of the panels, and around them."""
A_YEAR = 0.075
"""Inches a year, if the figure is then between the next two."""
NARROWEST, WIDEST = 5.0, 13.0
GAP = 0.32
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Of Okabe and Ito, told apart by everybody."""
MARKS = ("x", "o", "^", "s", "D", "v", "+", "*")
REFERENCE = "season of the reference's mean year"
HEAD, LEGEND, HANDLE = 0.15, 0.16, 0.4
"""Inches: a line of the figure's title, a row of the legend, and of it what is beside a text."""
LEGEND_LETTERS = 18
"""Of a text of the legend, an inch."""


LETTERS = 12
"""Of a panel's title, an inch."""


def seasons(cube: Cube, panels: Sequence[Panel], place: tuple[float, float]) -> Picture:
    """The picture. place: latitude and longitude that were asked for."""
    spans = [max(len(each.years), 6) for each in panels]
    gaps = GAP * (len(panels) - 1)
    total = float(np.clip(sum(spans) * A_YEAR + gaps + LEFT + RIGHT, NARROWEST, WIDEST))
    told = wrapped(told_below(cube, [(each.opened, each.variable) for each in panels]), total)
    reasons = list(dict.fromkeys(reason for each in panels for reason in each.reasons))
    handles = _handles(panels, reasons)
    widest = max((len(str(each.get_label())) for each in handles), default=1)
    columns = max(1, int((total - 0.2) / (HANDLE + widest / LEGEND_LETTERS)))
    rows = math.ceil(len(handles) / columns)
    bottom = 0.15 + LINE * len(told) + 0.12 + LEGEND * rows + (0.09 if rows else 0.0) + 0.25
    scale = (total - LEFT - RIGHT - gaps) / sum(spans)
    titles = [
        [part for line in each for part in textwrap.wrap(line, max(8, int(LETTERS * span * scale)))]
        for each, span in zip(_titles(panels, place), spans, strict=True)
    ]
    head = [part for line in _title(panels, place) for part in textwrap.wrap(line, int(LETTERS * (total - 0.3)))]
    figure = Picture(total, bottom + HEIGHT + TOP + LINE * (max(map(len, titles)) - 1) + HEAD * (len(head) - 2))
    tall = figure.get_figheight()
    left, first = LEFT, None
    low, high = _limits(panels)
    for panel, span, title, colour in zip(panels, spans, titles, COLOURS * len(panels), strict=False):
        axes = figure.add_axes((left / total, bottom / tall, span * scale / total, HEIGHT / tall), sharey=first)
        left += span * scale + GAP
        _draw(axes, panel, colour, reasons, low)
        axes.set_ylim(low, high)
        axes.set_xlim(panel.years[0] - 1, panel.years[0] + span)
        axes.xaxis.set_major_locator(MaxNLocator(max(2, int(span * scale / 0.5)), integer=True, steps=[1, 2, 5, 10]))
        axes.tick_params(labelsize=SIZE - 1, length=2, color="0.4", labelleft=first is None)
        axes.set_title("\n".join(title), loc="left", fontsize=SIZE, color=colour, pad=4)
        first = first or axes
    assert first is not None
    _axis(first, panels[0])
    figure.text(0.1 / total, 1 - 0.12 / tall, "\n".join(head), va="top", fontsize=SIZE + 1, gid="title")
    if handles:
        _legend(figure, handles, columns, (0.15 + LINE * len(told) + 0.04) / tall)
    footnote(figure, told)
    return figure


def _draw(axes: Axes, panel: Panel, colour: str, reasons: Sequence[str], low: float) -> None:
    if panel.low is None:
        axes.plot(panel.years, panel.high, color=colour, marker="o", markersize=2.5, linewidth=0.9, gid="line")
    else:
        # Both days belong to the season.
        height = panel.high - panel.low + 1
        known = np.isfinite(height)
        bars = axes.bar(panel.years[known], height[known], 0.72, panel.low[known], color=colour, linewidth=0)
        for bar in bars:
            bar.set_gid("season")
        for day in panel.usual or ():
            axes.axhline(day, color="0.2", linewidth=0.8, linestyle=(0, (4, 2)), gid="reference")
    for reason, years in panel.reasons.items():
        mark = MARKS[reasons.index(reason) % len(MARKS)]
        at = np.full(np.count_nonzero(years), low)
        axes.plot(panel.years[years], at, mark, color="0.35", markersize=3, clip_on=False, gid=reason)
    axes.grid(axis="y", color="0.9", linewidth=0.5)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _limits(panels: Sequence[Panel]) -> tuple[float, float]:
    values = [part for each in panels for part in (each.high, each.low, np.array(each.usual or ())) if part is not None]
    known = np.concatenate([each[np.isfinite(each)] for each in values])
    if not known.size:
        # Nothing but reasons: the axis is that of a year of days, or of any number.
        return (0.0, 1.0) if panels[0].low is None else (0.0, float(panels[0].length))
    low, high = float(known.min()), float(known.max())
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin


def _axis(axes: Axes, panel: Panel) -> None:
    if panel.low is None:
        attrs = panel.opened.attrs(panel.variable)
        kind = panel.opened.arrays[panel.variable].dtype.kind
        units = "number" if panel.units == "1" and kind in "iu" else panel.units
        axes.set_ylabel(f"{attrs.get('long_name', panel.variable)} ({units})", fontsize=SIZE)
        return
    low, high = axes.get_ylim()
    length = panel.length
    every = 1 if high - low < 300 else 2
    years = range(int(low // length), int(high // length) + 1)
    ticks = [year * length + day for year in years for day in month_starts(length)[::every]]
    axes.yaxis.set_major_locator(FixedLocator([each for each in ticks if low <= each <= high]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: day_text(value, length)))
    axes.set_ylabel("day of the year", fontsize=SIZE)


def _title(panels: Sequence[Panel], place: tuple[float, float]) -> list[str]:
    """Lines: what is shown, and the cell of the first panel."""
    first = panels[0]
    name = "wet season" if first.low is not None else str(first.opened.attrs(first.variable).get("long_name", ""))
    told = ", ".join(filter(None, [name[:1].upper() + name[1:], first.season]))
    return [told, _cell(first.place, place)]


def _titles(panels: Sequence[Panel], place: tuple[float, float]) -> list[list[str]]:
    """Lines above each panel; a cell that is not that of the first panel is told there."""
    first = panels[0].place
    apart = [abs(each.place.lat - first.lat) + abs(each.place.lon - first.lon) > SAME for each in panels]
    given = zip(panels, apart, strict=True)
    return [[each.opened.title, *([_cell(each.place, place)] if other else [])] for each, other in given]


def _cell(found: Place, place: tuple[float, float]) -> str:
    return f"cell at {found.lat:g}, {found.lon:g}, {found.km:.0f} km from {place[0]:g}, {place[1]:g}"


def _handles(panels: Sequence[Panel], reasons: Sequence[str]) -> list[Patch | Line2D]:
    """What the legend explains."""
    handles: list[Patch | Line2D] = []
    if panels[0].low is not None:
        handles.append(Patch(color="0.55", linewidth=0, label="onset to cessation"))
    if any(each.usual for each in panels):
        line = Line2D([], [], color="0.2", linewidth=0.8, linestyle=(0, (4, 2)), label=REFERENCE)
        handles.append(line)
    for at, reason in enumerate(reasons):
        mark = MARKS[at % len(MARKS)]
        handles.append(Line2D([], [], color="0.35", linestyle="", marker=mark, markersize=3, label=reason))
    return handles


def _legend(figure: Picture, handles: Sequence[Patch | Line2D], columns: int, height: float) -> None:
    figure.legend(
        handles=list(handles),
        loc="lower left",
        bbox_to_anchor=(0.1 / figure.get_figwidth(), height),
        ncols=columns,
        frameon=False,
        fontsize=SIZE - 1,
        borderpad=0,
        handletextpad=0.4,
        columnspacing=1.2,
        labelspacing=0.3,
    )
