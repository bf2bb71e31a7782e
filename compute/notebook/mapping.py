"""A map of one number a cell, with borders, hatching of what should not be relied on, and a footnote."""

from __future__ import annotations

import math
import re
import textwrap
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from compute.notebook.borders import Box, coasts, countries
from compute.notebook.cells import Cells
from compute.notebook.choosing import Chosen
from compute.notebook.colours import Scale
from compute.notebook.picture import LINE, SIZE, Picture, footnote, wrapped

WIDTH, LEFT, RIGHT, TOP = 5.0, 0.55, 1.25, 0.2
"""Inches: of the map, and around it without the title."""
TITLE_LINE, TITLE_LETTERS = 0.15, 12.0
"""Of the title: height of a line in inches, and letters in an inch, fewer than fit."""
TALLEST, LOWEST = 6.5, 2.2
GREY = "0.88"
MASKED = {
    "arid": "....",
    "indeterminate": "xxxx",
    "no season": "\\\\\\\\",
    "incomplete": "----",
    "missing days": "||||",
    "too many days missing": "||||",
}
"""Hatches of cells without a number; of other reasons those of `OTHERS` in turn."""
OTHERS = ("++++", "oo", "**", "\\\\", "--", "||")
DOUBTFUL = ("////", "....", "xx", "++")
"""Hatches over colours, in the order of the reasons."""


def drawn(
    cells: Cells,
    chosen: Chosen,
    scale: Scale,
    *,
    title: str,
    label: str,
    notes: tuple[str, ...],
    box: Box,
) -> Picture:
    """The picture.

    label  what the colours are, with units
    notes  the footnote, not yet wrapped
    box    what is drawn, in the coordinates of the cells
    """
    stretch = 1 / math.cos(math.radians((box.south + box.north) / 2)) if cells.degrees and abs(box.north) < 89 else 1.0
    ratio = stretch * (box.north - box.south) / (box.east - box.west)
    width = min(WIDTH, TALLEST / ratio)
    height = max(width * ratio, LOWEST)
    total = LEFT + max(width, 3.4) + RIGHT
    left = LEFT + (total - LEFT - RIGHT - width) / 2
    legend = _patches(chosen)
    told = wrapped(notes, total)
    rows = math.ceil(len(legend) / 2)
    bottom = 0.15 + LINE * len(told) + 0.12 + 0.2 * rows + (0.25 if cells.degrees else 0.4)
    lines = _lines(title, int(TITLE_LETTERS * (total - 0.3)))
    figure = Picture(total, bottom + height + TOP + TITLE_LINE * len(lines))
    axes = figure.add_axes(
        (left / total, bottom / figure.get_figheight(), width / total, height / figure.get_figheight())
    )
    _fill(axes, cells, scale, chosen.values)
    hatched = [*chosen.masked.items(), *chosen.doubtful.items()]
    for (reason, mask), patch in zip(hatched, legend, strict=True):
        _hatch(axes, cells, mask, patch, reason)
    _borders(axes, cells, box)
    axes.set_xlim(box.west, box.east)
    axes.set_ylim(box.south, box.north)
    axes.set_aspect(stretch)
    _ticks(axes, cells)
    axes.set_title("\n".join(lines), loc="left", x=-(left - 0.15) / width, pad=6)
    bar = figure.add_axes(
        ((left + width + 0.15) / total, bottom / figure.get_figheight(), 0.14 / total, height / figure.get_figheight())
    )
    colours = figure.colorbar(
        ScalarMappable(scale.norm, scale.colours), cax=bar, extend=scale.extend, spacing="uniform"
    )
    if scale.ticks:
        positions, texts = scale.ticks
        colours.set_ticks([each + 0.0 for each in positions], labels=texts)
    else:
        colours.set_ticks(list(scale.norm.boundaries))
        colours.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    colours.ax.tick_params(labelsize=SIZE - 1, length=2)
    colours.ax.minorticks_off()
    colours.set_label(label, fontsize=SIZE)
    if legend:
        figure.legend(
            handles=legend,
            loc="lower left",
            bbox_to_anchor=(0.15 / total, (0.15 + LINE * len(told) + 0.02) / figure.get_figheight()),
            ncols=2,
            frameon=False,
            fontsize=SIZE - 1,
            borderpad=0,
            handlelength=2.4,
            handleheight=1.2,
            labelspacing=0.35,
        )
    footnote(figure, told)
    return figure


def _lines(title: str, letters: int) -> list[str]:
    """The title's lines as they fit; the name of a season or of a model stays beside the word."""
    kept = re.sub(r"\b(season|model) (?=\S+(,|$))", "\\1\N{NO-BREAK SPACE}", title, flags=re.MULTILINE)
    parts = [part for line in kept.split("\n") for part in textwrap.wrap(line, letters)]
    return [part.replace("\N{NO-BREAK SPACE}", " ") for part in parts]


def _fill(axes: Axes, cells: Cells, scale: Scale, values: NDArray[np.float64]) -> None:
    shown = np.ma.masked_invalid(scale.of(values))
    if cells.edges is not None:
        mesh = axes.pcolormesh(*cells.edges, shown, cmap=scale.colours, norm=scale.norm, rasterized=True)
        mesh.set_gid("values")
        return
    known = np.isfinite(values).reshape(-1)
    squares = PolyCollection(list(cells.corners[known]), cmap=scale.colours, norm=scale.norm, linewidths=0)
    squares.set_array(shown.reshape(-1)[known])
    squares.set_gid("values")
    axes.add_collection(squares)


def _patches(chosen: Chosen) -> list[Patch]:
    """The legend: masked reasons on grey, doubtful ones without ground."""
    others = iter(OTHERS * len(chosen.masked))
    found = [
        Patch(
            facecolor=GREY,
            edgecolor="0.55",
            hatch=MASKED.get(reason) or next(others),
            linewidth=0,
            label=_count(reason, cells),
        )
        for reason, cells in chosen.masked.items()
    ]
    marks = (DOUBTFUL * len(chosen.doubtful))[: len(chosen.doubtful)]
    for (reason, cells), hatch in zip(chosen.doubtful.items(), marks, strict=True):
        found.append(Patch(facecolor="none", edgecolor="0.15", hatch=hatch, linewidth=0, label=_count(reason, cells)))
    return found


def _count(reason: str, cells: NDArray[np.bool_]) -> str:
    count = np.count_nonzero(cells)
    return f"{reason} ({count} {'cell' if count == 1 else 'cells'})"


def _hatch(axes: Axes, cells: Cells, mask: NDArray[np.bool_], patch: Patch, reason: str) -> None:
    # One path of all cells: each path is filled with hatches by itself, which takes milliseconds.
    corners = cells.corners[mask.reshape(-1)]
    closed = np.concatenate([corners, corners[:, :1]], axis=1).reshape(-1, 2)
    codes = np.tile(np.array([Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY], Path.code_type), len(corners))
    hatched = PathPatch(
        Path(closed, codes),
        facecolor=patch.get_facecolor(),
        edgecolor=patch.get_edgecolor(),
        hatch=patch.get_hatch(),
        linewidth=0,
        gid=reason,
    )
    axes.add_artist(hatched)


def _borders(axes: Axes, cells: Cells, box: Box) -> None:
    degrees = cells.around(box)
    for found, colour, width, name in (
        (countries(degrees), "0.25", 0.4, "countries"),
        (coasts(degrees), "0.0", 0.6, "coasts"),
    ):
        axes.add_collection(
            LineCollection(cells.lines(found), colors=colour, linewidths=width, gid=name), autolim=False
        )


def _ticks(axes: Axes, cells: Cells) -> None:
    axes.tick_params(labelsize=SIZE - 1, length=2, color="0.4")
    for axis, sides, name in ((axes.xaxis, "EW", "x"), (axes.yaxis, "NS", "y")):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axis.set_major_formatter(FuncFormatter(partial(_degrees, sides=sides) if cells.degrees else _thousands))
        if not cells.degrees:
            axis.set_label_text(f"{name} of the projection (1000 {cells.units})", fontsize=SIZE - 1)


def _degrees(value: float, _: int | None, sides: str) -> str:
    return f"{abs(value):g}°{sides[int(value < 0)]}" if value else "0°"


def _thousands(value: float, _: int | None) -> str:
    return f"{value / 1000:g}"
