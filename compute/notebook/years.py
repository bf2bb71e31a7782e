"""A place over the years: seasons as bars, numbers as lines, products side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from compute.nearest import Place
from compute.notebook.caveats import footnote as told_below
from compute.notebook.colours import day_text, month_starts
from compute.notebook.opened import Opened, unknown
from compute.notebook.picture import LINE, SIZE, Picture, footnote, wrapped
from compute.seasons.years import year_length
from cube.catalogue import Cube
from cube.errors import InputError

HEIGHT, LEFT, RIGHT, TOP = 2.6, 0.65, 0.15, 0.75
"""Inches: of the panels, and around them."""
A_YEAR = 0.075
"""Inches a year, if the figure is then between the next two."""
NARROWEST, WIDEST = 5.0, 13.0
GAP = 0.32
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Of Okabe and Ito, told apart by everybody."""
MARKS = ("x", "o", "^", "s", "D", "v", "+", "*")


@dataclass(frozen=True)
class Panel:
    """A product at its cell. onset and cessation, or low None and a line; each of shape (years,).

    reasons  by year, why it has no season
    usual    first and last day of the reference's season, where the product holds them
    """

    opened: Opened
    variable: str
    place: Place
    years: NDArray[np.float64]
    low: NDArray[np.float64] | None
    high: NDArray[np.float64]
    reasons: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    usual: tuple[float, float] | None = None
    season: str = ""

    @property
    def length(self) -> int:
        time = self.opened.time
        return year_length(time.calendar if time else "standard")


LETTERS = 12
"""Of a panel's title, an inch."""


def seasons(
    cube: Cube, shown: Sequence[Opened], place: tuple[float, float], variable: str | None, season: str
) -> Picture:
    """The picture. Raises InputError as `plot.season` says."""
    panels = [_panel(each, place, variable, season) for each in shown]
    bars = [each.low is not None for each in panels]
    if any(bars) != all(bars) or len({_unit(each) for each in panels}) > 1:
        what = ", ".join(f"{each.opened.name}: {each.variable}" for each in panels)
        raise InputError(unknown(f"they have no axis in common ({what})", "plot.season", "products", ["of one metric"]))
    spans = [max(len(each.years), 6) for each in panels]
    gaps = GAP * (len(panels) - 1)
    total = float(np.clip(sum(spans) * A_YEAR + gaps + LEFT + RIGHT, NARROWEST, WIDEST))
    notes = told_below(cube, [(each.opened, each.variable) for each in panels], _apart(panels))
    told = wrapped(notes, total)
    bottom = 0.15 + LINE * len(told) + 0.12 + (0.25 if all(bars) else 0.0) + 0.25
    scale = (total - LEFT - RIGHT - gaps) / sum(spans)
    titles = [
        textwrap.wrap(each.opened.title, max(8, int(LETTERS * span * scale)))
        for each, span in zip(panels, spans, strict=True)
    ]
    figure = Picture(total, bottom + HEIGHT + TOP + LINE * (max(map(len, titles)) - 1))
    tall = figure.get_figheight()
    left, first = LEFT, None
    reasons = list(dict.fromkeys(reason for each in panels for reason in each.reasons))
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
    figure.text(0.1 / total, 1 - 0.12 / tall, _title(panels, place), va="top", fontsize=SIZE + 1, gid="title")
    _legend(figure, panels, reasons, (0.15 + LINE * len(told) + 0.04) / tall)
    footnote(figure, told)
    return figure


def _panel(opened: Opened, place: tuple[float, float], variable: str | None, season: str) -> Panel:
    pair = variable is None and {"onset", "cessation"} <= set(opened.arrays)
    name = "onset" if pair else opened.variable(variable)
    spec = opened.arrays[name]
    if opened.time is None or "time" not in spec.dims or opened.time.step.unit != "year":
        raise InputError(unknown(f"{name} has no number a year", opened.name, "variable", _yearly(opened)))
    at = {}
    for dim in (each for each in spec.dims if each not in (*opened.space, "time")):
        labels = opened.labels(dim)
        wanted = season if dim in ("season", "months") else None
        if wanted not in labels and len(labels) > 1:
            raise InputError(unknown(f"it has no {dim} {wanted!r}", opened.name, "season", labels))
        at[dim] = labels.index(wanted) if wanted in labels else 0
    found, cell = opened.find(place, np.isfinite(opened.values(name, at)).any(axis=0))
    here = {**at, **cell}
    first, last = opened.values(name, here), opened.values("cessation", here) if pair else None
    return Panel(
        opened,
        name,
        found,
        opened.years().astype(np.float64),
        first if pair else None,
        first if last is None else last,
        _reasons(opened, here, ~np.isfinite(first)) if pair else {},
        _usual(opened, here) if pair else None,
        ", ".join(f"{dim} {opened.labels(dim)[each]}" for dim, each in at.items() if opened.data.sizes[dim] > 1),
    )


def _yearly(opened: Opened) -> list[str]:
    time = opened.time
    if time is None or time.step.unit != "year":
        return []
    return [name for name, spec in opened.arrays.items() if "time" in spec.dims]


def _reasons(opened: Opened, here: dict[str, int], absent: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    if "season_flag" not in opened.arrays:
        return {}
    attrs, flags = opened.attrs("season_flag"), opened.values("season_flag", here)
    found = {}
    for number, meaning in zip(attrs["flag_values"], str(attrs["flag_meanings"]).split(), strict=True):
        years = absent & (flags == number)
        if years.any():
            found[meaning.replace("_", " ")] = years
    return found


def _usual(opened: Opened, here: dict[str, int]) -> tuple[float, float] | None:
    """The reference's season: of the soil's, a start alone says when the season year begins, which is no season."""
    if not {"season_start", "season_end"} <= set(opened.arrays):
        return None
    start, end = (float(opened.values(name, here)) for name in ("season_start", "season_end"))
    return (start, end) if np.isfinite(start) and np.isfinite(end) else None


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
    low, high = float(known.min()), float(known.max())
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin


def _unit(panel: Panel) -> str:
    units = str(panel.opened.attrs(panel.variable).get("units", "1"))
    return {"d": "days"}.get(units, units)


def _axis(axes: Axes, panel: Panel) -> None:
    if panel.low is None:
        attrs = panel.opened.attrs(panel.variable)
        kind = panel.opened.arrays[panel.variable].dtype.kind
        units = "number" if _unit(panel) == "1" and kind in "iu" else _unit(panel)
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


def _title(panels: Sequence[Panel], place: tuple[float, float]) -> str:
    first = panels[0]
    name = "wet season" if first.low is not None else str(first.opened.attrs(first.variable).get("long_name", ""))
    told = ", ".join(filter(None, [name[:1].upper() + name[1:], first.season]))
    cell = f"cell at {first.place.lat:g}, {first.place.lon:g}, {first.place.km:.0f} km from {place[0]:g}, {place[1]:g}"
    return f"{told}\n{cell}"


def _apart(panels: Sequence[Panel]) -> list[str]:
    """Cells that are not that of the title."""
    first = panels[0].place
    return [
        f"{each.opened.name}: cell at {each.place.lat:g}, {each.place.lon:g}, {each.place.km:.0f} km away."
        for each in panels[1:]
        if abs(each.place.lat - first.lat) + abs(each.place.lon - first.lon) > 1e-6
    ]


def _legend(figure: Picture, panels: Sequence[Panel], reasons: Sequence[str], height: float) -> None:
    if panels[0].low is None:
        return
    handles: list[Patch | Line2D] = [Patch(color="0.55", linewidth=0, label="onset to cessation")]
    if any(each.usual for each in panels):
        line = Line2D([], [], color="0.2", linewidth=0.8, linestyle=(0, (4, 2)), label="reference")
        handles.append(line)
    for at, reason in enumerate(reasons):
        mark = MARKS[at % len(MARKS)]
        handles.append(Line2D([], [], color="0.35", linestyle="", marker=mark, markersize=3, label=reason))
    figure.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.1 / figure.get_figwidth(), height),
        ncols=len(handles),
        frameon=False,
        fontsize=SIZE - 1,
        borderpad=0,
        handletextpad=0.4,
        columnspacing=1.2,
    )
