"""Made-up fields that compress as real ones do: smooth in space, slow in time, a land mask."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

_WAVES = 24


class Weather:
    """Standard normal fields on a grid: plane waves whose amplitudes are autoregressive in time.

    memory  day-to-day correlation
    """

    def __init__(self, lat: NDArray[Any], lon: NDArray[Any], days: int, *, memory: float, seed: int) -> None:
        random = np.random.default_rng(seed)
        number = 2 * np.pi / np.exp(random.uniform(np.log(3), np.log(40), _WAVES))
        direction = random.uniform(0, 2 * np.pi, _WAVES)
        self._y = np.outer(number * np.sin(direction), lat)
        self._x = np.outer(number * np.cos(direction), lon)
        shocks = random.standard_normal((days, 2 * _WAVES), dtype=np.float32)
        self._amplitudes = np.empty_like(shocks)
        state = shocks[0]
        for day, shock in enumerate(shocks):
            state = memory * state + np.sqrt(1 - memory**2) * shock
            self._amplitudes[day] = state
        self._land = random.standard_normal(2 * _WAVES, dtype=np.float32)

    def _basis(self, rows: slice, columns: slice) -> Array:
        phase = self._y[:, rows, None] + self._x[:, None, columns]
        return np.concatenate([np.cos(phase), np.sin(phase)]).astype(np.float32) / np.float32(np.sqrt(_WAVES))

    def normal(self, days: slice, rows: slice, columns: slice) -> Array:
        """Shape (days, rows, columns)."""
        return np.asarray(np.tensordot(self._amplitudes[days], self._basis(rows, columns), axes=1))

    def sea(self, rows: slice, columns: slice) -> NDArray[np.bool_]:
        """About a third of the map, shape (rows, columns)."""
        return np.asarray(np.tensordot(self._land, self._basis(rows, columns), axes=1) < -0.45)


def soil_moisture(weather: Weather, days: slice, rows: slice, columns: slice) -> Array:
    """Soil moisture of a top layer in kg m-2, rounded to 10 explicit bits of the mantissa, that is to one part in 2000.

    Along time it compresses by 3.4 : 1 with the cube's codec. (Not rounded: 1.41 : 1, where daily `mrsos` of HadGEM2-ES
    gives 1.35 : 1.)
    """
    season = np.sin(2 * np.pi * np.arange(days.start, days.stop) / 365.25).astype(np.float32)[:, None, None]
    values = np.clip(22 + 6 * season + 5 * weather.normal(days, rows, columns), 3, 45).astype(np.float32)
    half, kept = np.uint32(1 << 12), np.uint32((0xFFFFFFFF << 13) & 0xFFFFFFFF)
    return ((values.view(np.uint32) + half) & kept).view(np.float32)


def rainfall(weather: Weather, days: slice, rows: slice, columns: slice) -> Array:
    """Daily rain in mm: nothing on seven days of ten, missing over sea."""
    wet = np.maximum(weather.normal(days, rows, columns) - np.float32(0.55), 0)
    values = np.float32(12) * wet * np.sqrt(wet)
    values[:, weather.sea(rows, columns)] = np.nan
    return values
