"""Made-up daily weather at African-like sites: one or two rainy seasons a year, 150 to 1800 mm, seeded.

Rain is a two-state Markov chain whose chance of a wet day follows the season, with gamma amounts and years that differ;
temperature is a season, day-to-day persistence, and cooler on wet days. Years have 365 days.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

DAYS = 365

_PERSISTENCE = 0.4  # of wet spells
_SHAPE = 0.7  # of the gamma amounts


@dataclass(frozen=True)
class Sites:
    """What does not change at each site; arrays of shape (sites,).

    latitude   degrees north
    annual     mean annual rain of the climate it was drawn from, mm
    clay, sand fractions
    lai        leaf area index
    peaks      middle of the rainy seasons, day of year, shape (sites, 2); both the same where there is one
    """

    latitude: NDArray[np.float64]
    annual: NDArray[np.float64]
    clay: NDArray[np.float64]
    sand: NDArray[np.float64]
    lai: NDArray[np.float64]
    peaks: NDArray[np.float64]

    @classmethod
    def draw(cls, count: int, seed: int) -> Self:
        random = np.random.default_rng(seed)
        regime = random.integers(0, 3, count)  # rain in the north's summer, in the south's, or twice
        latitude = np.choose(
            regime, [random.uniform(4, 20, count), random.uniform(-32, -4, count), random.uniform(-6, 8, count)]
        )
        annual = np.exp(random.uniform(np.log(150), np.log(1800), count))
        clay = np.clip(random.gamma(4.0, 0.07, count), 0.03, 0.65)
        sand = (1 - clay) * np.clip(random.normal(0.55, 0.2, count), 0.05, 0.95)
        lai = np.clip(annual / 400 * random.uniform(0.6, 1.4, count), 0.1, 5.0)
        middle = random.normal(0, 15, count)
        first = np.choose(regime, [215, 15, 110]) + middle
        second = np.where(regime == 2, 310 + middle, first)
        return cls(latitude, annual, clay, sand, lai, np.stack([first, second], axis=1))

    def __len__(self) -> int:
        return len(self.latitude)

    def weather(self, years: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Daily rain, mm d-1, and temperature, K, of `years` years: shape (days, sites), float32."""
        random = np.random.default_rng(seed)
        day = np.arange(DAYS)[:, None]
        profile = sum(np.exp(4 * (np.cos(2 * np.pi * (day - peak) / DAYS) - 1)) for peak in self.peaks.T)
        profile = profile / profile.max(axis=0)
        chance = np.clip(np.interp(self.annual, [150, 1800], [0.25, 0.8]) * profile, 0.005, 0.9)
        amount = self.annual / chance.sum(axis=0)  # mean of a wet day
        spread = np.interp(self.annual, [150, 1800], [0.35, 0.15])
        mean = 27.5 - 0.3 * np.maximum(np.abs(self.latitude) - 12, 0) - random.uniform(0, 6, len(self))
        warmest = np.where(self.latitude >= 0, 150, 335)
        swing = 0.8 + 0.25 * np.abs(self.latitude)
        pr, tas = np.empty((2, years * DAYS, len(self)), np.float32)
        wet = np.zeros(len(self), bool)
        noise = np.zeros(len(self))
        for index in range(years * DAYS):
            today = index % DAYS
            if today == 0:
                year = np.exp(spread * random.standard_normal(len(self)) - spread**2 / 2)
            wet = random.random(len(self)) < chance[today] * (1 - _PERSISTENCE) + _PERSISTENCE * wet
            pr[index] = wet * random.gamma(_SHAPE, amount * year / _SHAPE)
            noise = 0.8 * noise + 0.9 * random.standard_normal(len(self))
            season = swing * np.cos(2 * np.pi * (today - warmest) / DAYS)
            tas[index] = 273.15 + mean + season + noise - 2.0 * wet
        return pr, tas


def changed(
    pr: NDArray[Any], tas: NDArray[Any], *, rain: float = 1.0, warming: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The same weather with its rain multiplied and `warming` K added."""
    return (pr * np.float32(rain)).astype(np.float32), (tas + np.float32(warming)).astype(np.float32)
