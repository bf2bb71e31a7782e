"""Figures without global state: the same bytes for the same picture, shown by notebooks as they are."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from compute.notebook.asked import target_of, write

DPI = 150
SIZE = 8.0
"""Of the text, points; the footnote's is smaller."""
SMALL = 6.5
LINE = 0.125
"""Height of a line of the footnote, inches."""
CHARACTERS = 19.0
"""Of the footnote in an inch, fewer than fit."""
INTERACTIVE = ("backend", "backend_fallback", "interactive")
STYLE: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": SIZE,
    "axes.titlesize": SIZE + 1,
    "axes.linewidth": 0.6,
    "hatch.linewidth": 0.4,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
}


class Picture(Figure):
    """A figure that notebooks show without a backend, and that can be changed like any other."""

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), dpi=DPI, facecolor="white")
        FigureCanvasAgg(self)

    def png(self) -> bytes:
        """The picture; nothing in it tells when or by which release it was drawn."""
        out = io.BytesIO()
        with style():
            self.savefig(out, format="png", dpi=DPI, metadata={"Software": None})
        return out.getvalue()

    def _repr_png_(self) -> bytes:
        return self.png()

    def write(self, path: str | Path | None) -> None:
        """Save it as PNG where a path is given. Raises RequestError for one that cannot be used, WriteError where it
        cannot be written."""
        target = target_of(path)
        if target is not None:
            write(target, self.png())


def style() -> AbstractContextManager[None]:
    """Settings of matplotlib within which pictures are drawn, whatever the notebook has set."""
    # Asking for the backend would choose one, and import pyplot.
    given: dict[Any, Any] = {name: each for name, each in matplotlib.rcParamsDefault.items() if name not in INTERACTIVE}
    return matplotlib.rc_context({**given, **STYLE})


def wrapped(lines: Sequence[str], width: float) -> list[str]:
    """The footnote's lines as they fit a figure of so many inches."""
    return [part for line in lines for part in textwrap.wrap(line, int(CHARACTERS * (width - 0.3)))]


def footnote(figure: Picture, lines: Sequence[str]) -> None:
    """Draw wrapped lines at the bottom."""
    figure.text(
        0.15 / figure.get_figwidth(),
        0.08 / figure.get_figheight(),
        "\n".join(lines),
        fontsize=SMALL,
        color="0.3",
        va="bottom",
        linespacing=1.25,
        gid="footnote",
    )
