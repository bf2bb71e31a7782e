"""The synthetic weather of one region: daily rain and temperature, and what six-hourly steps make of them.

All files of a region are cut from it, so that products agree with each other as real ones do at best.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from .noise import Array, NoiseField, single
from .regimes import Climate, warming

_SHAPE = 1.25  # of the Weibull distribution of wet-day rain, as exponent of -log
_HEAVIEST = 120.0  # mm; TAMSAT's signed bytes end at 127
_STORM_HOURS = (0.2, 0.35, 0.65)  # cumulative chance that the storm begins in 00-06, 06-12, 12-18 UTC
_BLOCK_VALUES = 4_000_000


@dataclass(frozen=True)
class Days:
    """Weather of consecutive days of 00-24 UTC; arrays of shape (days, points)."""

    rain: Array
    """mm per day"""
    temperature: Array
    """mean, K"""
    storm: NDArray[np.int8]
    """quarter of the day, 0..3, in which the rain begins"""


class Noise:
    """The random fields of a region. Runs share them, but each draws days of its own."""

    def __init__(self, seed: int, latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> None:
        self.wet = NoiseField(seed, "wet", latitude, longitude, (3.0, 20.0), 0.45)
        self.storm = NoiseField(seed, "storm", latitude, longitude, (3.0, 20.0), 0.0)
        self.warm = NoiseField(seed, "warm", latitude, longitude, (8.0, 40.0), 0.8)


class Weather:
    """Weather of one region in one run ("observed", "historical" or a scenario)."""

    def __init__(self, run: str, climate: Climate, noise: Noise, longitude: NDArray[np.float64]) -> None:
        self.run, self.climate = run, climate
        self._noise = noise
        self._hour = single((longitude % 360) / 15)

    def days(self, first: date, count: int) -> Days:
        dates = [first + timedelta(days=n) for n in range(count)]
        day = np.array([[d.timetuple().tm_yday - 1] for d in dates], dtype=np.float32)
        warmer = np.array([[warming(self.run, d.year + d.timetuple().tm_yday / 366)] for d in dates], dtype=np.float32)
        chance = self.climate.wet_probability(day, warmer)
        excess = _quantile(self._noise.wet.values(self.run, first, count))
        # what is left of the chance of a wet day, 1..0; the driest days are those above 1
        left = (1 - excess) / chance
        amount = (-np.log(np.clip(left, 1e-5, 1))) ** _SHAPE / math.gamma(1 + _SHAPE)
        rain = np.where(left < 1, np.minimum(amount * self.climate.wet_day_rain(day, warmer), _HEAVIEST), 0)
        temperature = self.climate.temperature(day, warmer)
        temperature = temperature + self.climate.variability * self._noise.warm.values(self.run, first, count)
        temperature -= 1.2 * (rain > 1)
        storm = np.searchsorted(_STORM_HOURS, _quantile(self._noise.storm.values(self.run, first, count)))
        return Days(single(rain), temperature, storm.astype(np.int8))

    def six_hourly_rain(self, first: date, count: int) -> Array:
        """mm in 00-06, 06-12, 12-18 and 18-24 UTC, shape (days, 4, points)."""
        return _quarters(self.days(first, count))

    def six_hourly_temperature(self, first: date, count: int) -> Array:
        """K at 00, 06, 12 and 18 UTC, shape (days, 4, points); the mean of the four is the day's mean."""
        hour = np.arange(0, 24, 6, dtype=np.float32)[:, None] + self._hour
        wave = np.cos((2 * np.pi / 24) * (hour - 14))
        mean = self.days(first, count).temperature[:, None, :]
        return single(mean + self.climate.diurnal_range / 2 * wave)

    def rain_from(self, hour: int, first: date, count: int) -> Array:
        """mm in the 24 hours from `hour` UTC of each day on, shape (days, points); rain is even within a quarter."""
        quarters = _quarters(self.days(first, count + 1)).reshape(4 * (count + 1), -1)
        begin, part = divmod(hour, 6)
        whole = quarters[begin : begin + 4 * count].reshape(count, 4, -1).sum(axis=1)
        if part:
            share = part / 6
            lost, gained = quarters[begin : 4 * count : 4], quarters[begin + 4 :: 4][:count]
            whole = whole + share * (gained - lost)
        return single(np.maximum(whole, 0))

    def temperature_from(self, hour: int, first: date, count: int) -> Array:
        """Mean temperature of the 24 hours from `hour` UTC on, K, shape (days, points)."""
        mean = self.days(first, count + 1).temperature
        share = hour / 24
        return single((1 - share) * mean[:-1] + share * mean[1:])


def blocks(first: date, last: date, points: int) -> Iterator[tuple[date, int]]:
    """Consecutive runs (first day, days) that cover first..last, each small enough to be held in memory many times."""
    longest = max(1, min(366, _BLOCK_VALUES // max(points, 1)))
    start = first
    while start <= last:
        count = min(longest, (last - start).days + 1)
        yield start, count
        start += timedelta(days=count)


def _quantile(normal: Array) -> Array:
    """Standard normal to 0..1, within 3e-4 (tanh approximation)."""
    return single(0.5 + 0.5 * np.tanh(0.7978846 * (normal + 0.044715 * normal**3)))


def _quarters(days: Days) -> Array:
    """A storm leaves 70 % in its first quarter of the day and the rest in the next; none crosses midnight."""
    quarter = np.arange(4, dtype=np.int8)[:, None]
    storm = days.storm[:, None, :]
    share = (
        0.7 * single(quarter == storm)
        + 0.3 * single(quarter == storm + 1)
        + 0.3 * single((quarter == 3) & (storm == 3))
    )
    return single(share * days.rain[:, None, :])
