"""Random weather that is a function of place and day: the same at a point whatever the grid, continuous across years.

A field is a sum of plane waves with random directions and phases whose amplitudes are first-order autoregressive in
time. Amplitudes of a year follow from (seed, field, run, year) alone, so any block of days can be made on its own and a
century is streamed with the memory of one block.
"""

from __future__ import annotations

import zlib
from datetime import date

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .settings import LAST_HISTORICAL_YEAR, SCENARIOS

Array = NDArray[np.float32]

_WAVES = 24
_RUN_UP = 60  # days after which the memory of an autoregressive start is gone
_SLOW = 0.3  # weight of the year-to-year part
_KEPT_YEARS = 4


def single(values: ArrayLike) -> Array:
    """In single precision, as all weather here."""
    return np.asarray(values, dtype=np.float32)


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """A stream of its own for each combination of names."""
    words = [zlib.crc32(str(name).encode()) for name in names]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *words])))


def run_in_year(run: str, year: int) -> str:
    """A scenario's own past is the historical run."""
    return "historical" if run in SCENARIOS and year <= LAST_HISTORICAL_YEAR else run


class NoiseField:
    """Standard normal at every place and day.

    wavelengths  shortest and longest, degrees
    memory       day-to-day correlation
    """

    def __init__(
        self,
        seed: int,
        name: str,
        latitude: NDArray[np.float64],
        longitude: NDArray[np.float64],
        wavelengths: tuple[float, float],
        memory: float,
    ) -> None:
        random = generator(seed, name, "waves")
        shortest, longest = wavelengths
        number = 2 * np.pi / np.exp(random.uniform(np.log(shortest), np.log(longest), _WAVES))
        direction = random.uniform(0, 2 * np.pi, _WAVES)
        phase = np.outer(latitude, number * np.sin(direction)) + np.outer(longitude, number * np.cos(direction))
        self._basis = single(np.hstack([np.cos(phase), np.sin(phase)]) / np.sqrt(_WAVES)).T
        self._seed, self._name, self._memory = seed, name, memory
        self._years: dict[tuple[str, int], Array] = {}

    def values(self, run: str, first: date, days: int) -> Array:
        """Shape (days, points)."""
        parts = []
        start, left = first, days
        while left:
            year = self._amplitudes(run, start.year)
            begin = start.toordinal() - date(start.year, 1, 1).toordinal()
            taken = min(left, len(year) - begin)
            parts.append(year[begin : begin + taken])
            left -= taken
            start = date(start.year + 1, 1, 1)
        return single(np.concatenate(parts) @ self._basis)

    def static(self) -> Array:
        """One map without time, shape (points,)."""
        amplitudes = generator(self._seed, self._name, "static").standard_normal(2 * _WAVES, dtype=np.float32)
        return single(amplitudes @ self._basis)

    def _shocks(self, run: str, year: int) -> NDArray[np.float64]:
        days = date(year + 1, 1, 1).toordinal() - date(year, 1, 1).toordinal()
        return generator(self._seed, self._name, run_in_year(run, year), year).standard_normal((days, 2 * _WAVES))

    def _year_mean(self, run: str, year: int) -> NDArray[np.float64]:
        return generator(self._seed, self._name, run_in_year(run, year), year, "mean").standard_normal(2 * _WAVES)

    def _amplitudes(self, run: str, year: int) -> Array:
        if (run, year) not in self._years:
            while len(self._years) >= _KEPT_YEARS:
                del self._years[next(iter(self._years))]
            self._years[run, year] = self._make_amplitudes(run, year)
        return self._years[run, year]

    def _make_amplitudes(self, run: str, year: int) -> Array:
        shocks = np.concatenate([self._shocks(run, year - 1)[-_RUN_UP:], self._shocks(run, year)])
        fast = np.empty_like(shocks)
        state = shocks[0]
        for day, shock in enumerate(shocks):
            state = self._memory * state + np.sqrt(1 - self._memory**2) * shock
            fast[day] = state
        fast = fast[_RUN_UP:]
        nodes = np.stack([self._year_mean(run, y) for y in (year - 1, year, year + 1)])
        place = 0.5 + (np.arange(len(fast))[:, None] + 0.5) / len(fast)  # in years from the middle of the year before
        slow = np.where(
            place < 1, nodes[0] * (1 - place) + nodes[1] * place, nodes[1] * (2 - place) + nodes[2] * (place - 1)
        )
        return single((fast + _SLOW * slow) / np.sqrt(1 + _SLOW**2))
