"""The mean climate of a place: how likely, how heavy and when rain falls, and how warm it is.

Over Africa a rain belt follows the sun between 14.5 S (end of January) and 12.5 N (start of August). It passes places
near the equator twice a year, those beyond about 6 degrees once; the Sahara, the Namib and the Horn are dried by a
factor, and the Mediterranean and the Cape have winter rain. Numbers are chosen for plausible totals, not fitted.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .noise import Array, single
from .settings import LAST_HISTORICAL_YEAR

_YEAR = 365.25
ONSET_DELAY = 6.0  # days later per kelvin of warming in West Africa


def warming(run: str, year: float) -> float:
    """Global warming in kelvin against 1995. Scenarios part after 2005."""
    base = 0.02 * (min(year, LAST_HISTORICAL_YEAR + 1) - 1995)
    ahead = max(0.0, year - (LAST_HISTORICAL_YEAR + 1))
    match run:
        case "rcp26":
            return base + 1.2 * (1 - math.exp(-ahead / 25))
        case "rcp60":
            return base + 0.024 * ahead
        case "rcp85":
            return base + 0.038 * ahead + 0.00012 * ahead**2
        case _:
            return 0.02 * (year - 1995)


class Climate(Protocol):
    """`day` is the day of the year from 0 and `warmer` the global warming in kelvin, both of shape (days, 1)."""

    diurnal_range: Array
    """K, shape (points,)."""
    variability: Array
    """Standard deviation of daily temperature, K, shape (points,)."""

    def wet_probability(self, day: Array, warmer: Array) -> Array:
        """Chance of a wet day, shape (days, points)."""

    def wet_day_rain(self, day: Array, warmer: Array) -> Array:
        """Mean rain of a wet day, mm, broadcastable to (days, points)."""

    def temperature(self, day: Array, warmer: Array) -> Array:
        """Mean daily temperature, K, shape (days, points)."""


def _wave(day: Array, peak: float) -> Array:
    """1 at the peak day, -1 half a year away."""
    return single(np.cos((2 * np.pi / _YEAR) * (day - peak)))


def _rises(value: Array, middle: float, width: float) -> Array:
    """From 0 to 1 around `middle`."""
    return single(1 / (1 + np.exp(-(value - middle) / width)))


def _bump(distance: Array, width: float) -> Array:
    return single(np.exp(-0.5 * (distance / width) ** 2))


class AfricanClimate:
    def __init__(self, latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> None:
        lat, lon = single(latitude), single(longitude)
        self._lat = lat
        namib = _rises(-lat, 14, 2) * _rises(-lon, -20, 2)
        horn = _rises(lon, 42, 1.5) * _bump(lat - 5, 5)
        self._moist = (
            _bump(np.maximum(lat - 13, 0), 2.8)
            * _bump(np.maximum(-lat - 20, 0), 10)
            * (1 - 0.9 * namib)
            * (1 - 0.75 * horn)
        )
        self._mediterranean = 0.22 * _rises(lat, 32, 1)
        self._cape = 0.2 * _rises(-lat, 31.5, 0.8) * _rises(-lon, -21.5, 1)
        self._west = _rises(-lon, -18, 3) * _rises(lat, 3, 1) * _rises(-lat, -19, 1)
        arid = (1 - self._moist) * (1 - self._mediterranean / 0.22) * (1 - self._cape / 0.2)
        self._chance_shower = 0.005 - 0.004 * arid
        self._rain = (9 + 3 * _bump(lat, 6)) * (1 - 0.45 * _rises(np.abs(lat), 27, 2))
        self._rain *= 1 - 0.5 * arid
        self._southern_width = 8 + 4 * _rises(-lat, 18, 2)
        highlands = 8 * _bump(np.hypot(lat - 9, lon - 39), 3) + 5 * _bump(np.hypot(lat + 2, lon - 36), 4)
        highlands += 3.5 * _bump(np.hypot(lat + 29, lon - 28), 4) + 2.5 * _bump(np.hypot(lat + 13, lon - 17), 4)
        curve = np.where(lat > 8, 0.012 * (lat - 8) ** 2, 0.0065 * (lat - 8) ** 2)
        self._mean = 273.15 + 28.3 - curve - highlands
        self._amplitude = single(np.minimum(0.32 * np.abs(lat), 9.0))
        self._hottest = single(np.where(lat >= 0, 190, 10))
        self._sensitivity = 1 + 0.3 * _rises(np.abs(lat), 15, 3)
        self.diurnal_range = single(9 + 6 * (1 - self._moist))
        self.variability = single(0.8 + 0.05 * np.abs(lat))

    def wet_probability(self, day: Array, warmer: Array) -> Array:
        # the belt comes later, chiefly in the rising half of the season
        late = ONSET_DELAY * warmer * (0.5 + 0.5 * _wave(day, 140))
        belt = -1 + 13.5 * _wave(day - late * self._west, 213)
        away = self._lat - belt
        rain_belt = np.where(away > 0, _bump(away, 6.5), _bump(single(away / self._southern_width), 1))
        winter = self._mediterranean * (1 + _wave(day, 15)) / 2 + self._cape * (1 + _wave(day, 195)) / 2
        chance = 0.72 * rain_belt * self._moist + winter
        chance *= 1 - 0.02 * warmer
        return single(np.clip(chance + self._chance_shower, 0, 0.85))

    def wet_day_rain(self, day: Array, warmer: Array) -> Array:
        return single(self._rain * (1 + 0.04 * warmer))

    def temperature(self, day: Array, warmer: Array) -> Array:
        season = self._amplitude * _wave(day - self._hottest, 0)
        return single(self._mean + season + self._sensitivity * warmer)


class BritishClimate:
    def __init__(self, latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> None:
        lat = single(latitude)
        west = _rises(-single(longitude), 2.5, 1)
        self._chance = 0.44 + 0.1 * west
        self._rain = 5.0 + 1.8 * west
        self._mean = 273.15 + 10.3 - 0.6 * (lat - 51.5)
        self.diurnal_range = np.full(lat.shape, 7.5, np.float32)
        self.variability = np.full(lat.shape, 2.6, np.float32)

    def wet_probability(self, day: Array, warmer: Array) -> Array:
        return single(self._chance + 0.09 * _wave(day, 5))

    def wet_day_rain(self, day: Array, warmer: Array) -> Array:
        return single(self._rain * (1 + 0.15 * _wave(day, 320)) * (1 + 0.04 * warmer))

    def temperature(self, day: Array, warmer: Array) -> Array:
        return single(self._mean + 6.4 * _wave(day, 203) + warmer)
