"""Small maps as PNG: one pixel a cell, colours that are told apart by everybody, the same bytes for the same values."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PIXELS = 400
"""Longest side; of larger maps every second, third ... row and column is drawn."""
MISSING = "d9d9d9"


@dataclass(frozen=True)
class Palette:
    """Colours from low to high, between which is interpolated; read from the perceptual maps of matplotlib."""

    colours: str

    @property
    def table(self) -> NDArray[np.uint8]:
        """Red, green and blue of 255 steps and, last, of missing, shape (256, 3)."""
        known = np.array([list(bytes.fromhex(each)) for each in self.colours.split()], np.float64)
        steps = np.linspace(0, len(known) - 1, 255)
        between = [np.interp(steps, np.arange(len(known)), channel) for channel in known.T]
        table = np.rint(np.stack(between, axis=1)).astype(np.uint8)
        return np.concatenate([table, np.array([list(bytes.fromhex(MISSING))], np.uint8)])


VIRIDIS = Palette("440154 482878 3e4989 31688e 26828e 1f9e89 35b779 6ece58 b5de2b fde725")
INFERNO = Palette("000004 1b0c42 4b0c6b 781c6d a52c60 cf4446 ed6925 fb9a06 f7d03c fcffa4")


@dataclass(frozen=True)
class Scale:
    """Values from low to high in the colours of a palette; what lies beyond has the colour of the end."""

    low: float
    high: float
    palette: Palette

    def png(self, values: NDArray[Any]) -> bytes:
        """A map, shape (rows, columns), its first row at the top; missing cells are grey."""
        stride = math.ceil(max(1, *values.shape) / PIXELS)
        drawn = values[::stride, ::stride].astype(np.float64)
        known = np.isfinite(drawn)
        share = np.clip((np.where(known, drawn, self.low) - self.low) / (self.high - self.low), 0.0, 1.0)
        return self._encoded(np.where(known, np.rint(254 * share), 255).astype(np.uint8))

    def bar(self) -> bytes:
        """All colours from low to high, one row."""
        return self._encoded(np.arange(255, dtype=np.uint8)[None])

    def _encoded(self, places: NDArray[np.uint8]) -> bytes:
        image = Image.frombytes("P", (places.shape[1], places.shape[0]), np.ascontiguousarray(places).tobytes())
        image.putpalette(self.palette.table.reshape(-1).tolist())
        out = io.BytesIO()
        image.save(out, format="PNG", compress_level=9)
        return out.getvalue()


def round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20 ... times a power of ten, 1 for what is not a positive number."""
    if not (math.isfinite(value) and value > 0):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return float(f"{next(step for step in (1, 2, 5, 10, 100) if step * power >= value) * power:.6g}")
