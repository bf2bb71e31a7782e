"""A daily soil-water bucket of four layers, driven by the archive's own rain and temperature.

It stands in for JULES in the sample archive only: water fills layers from the top, drains above the critical point,
is drawn by roots and from bare soil by Oudin's evaporation, and levels out between neighbours. Hydraulics follow from
texture by Cosby's relations with JULES's natural exponentials; root shares and beta are those of JULES. No freezing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from .climate import blocks
from .noise import Array
from .region import PFTS, Region

THICKNESS = np.array([0.1, 0.25, 0.65, 2.0])  # m
_BOTTOM = np.cumsum(THICKNESS)
_ROOT_DEPTH = dict(zip(PFTS, (3.0, 1.0, 0.5, 0.5, 0.5), strict=True))  # m
_DRAINAGE_DAYS = (1.0, 2.0, 6.0, 25.0)
_LEVELLING = (0.02, 0.006, 0.0008)  # of the smaller store, per day, for a difference in saturation of 1
_WARMTH_DAYS = (2.0, 8.0, 30.0, 150.0)
_LEAST_SATURATION = 0.05


def oudin(temperature: Array, latitude: NDArray[np.float64], day: int) -> NDArray[np.float64]:
    """Potential evaporation, mm per day; temperature in K, day of the year from 1."""
    return np.maximum(sunshine(latitude, day) / 2.45 * (temperature - 273.15 + 5) / 100, 0)


def sunshine(latitude: NDArray[np.float64], day: int) -> NDArray[np.float64]:
    """Radiation at the top of the atmosphere, MJ m-2 per day (FAO-56)."""
    angle = 2 * np.pi * day / 365
    distance, declination, phi = 1 + 0.033 * np.cos(angle), 0.409 * np.sin(angle - 1.39), np.radians(latitude)
    sunset = np.arccos(np.clip(-np.tan(phi) * np.tan(declination), -1, 1))
    height = sunset * np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.sin(sunset)
    result: NDArray[np.float64] = 24 * 60 / np.pi * 0.0820 * distance * height
    return result


class SoilColumn:
    """State at a region's JULES points; `water` in kg m-2 and `warmth` in K, both of shape (4, points)."""

    def __init__(self, region: Region) -> None:
        chosen, ground = region.jules_points, region.ground
        self.latitude, self.longitude = region.point_latitude[chosen], region.point_longitude[chosen]
        self.tiles, self._lai = ground.tiles[:, chosen], ground.lai[chosen].astype(np.float64)
        clay, sand = ground.clay[chosen].astype(np.float64), ground.sand[chosen].astype(np.float64)
        exponent, suction = 3.10 + 15.70 * clay - 0.3 * sand, 0.01 * np.exp(2.17 - 0.63 * clay - 1.58 * sand)
        self.theta_sat = 0.505 - 0.037 * clay - 0.142 * sand
        self._theta_crit = self.theta_sat * (suction / 3.365) ** (1 / exponent)
        self._theta_wilt = self.theta_sat * (suction / 152.96) ** (1 / exponent)
        depth = 1000 * THICKNESS[:, None]
        self.capacity = depth * self.theta_sat
        self._critical, self._wilting = depth * self._theta_crit, depth * self._theta_wilt
        self.water = self._wilting + (self._critical - self._wilting) * np.clip(self._lai / 5, 0, 1)
        self.warmth = np.full(self.water.shape, 273.15 + 15.0)
        self._roots = np.stack([_root_shares(_ROOT_DEPTH[pft]) for pft in PFTS])
        cover = self.tiles[: len(PFTS)].astype(np.float64)
        self._present = cover > 0
        self._bare = np.exp(-0.5 * self._lai)
        weight = cover / np.maximum(cover.sum(axis=0), 1e-6)
        self._mean_roots = self._roots.T @ weight

    def step(self, rain: Array, temperature: Array, day: int) -> None:
        """One day: rain in mm, mean temperature in K, day of the year from 1."""
        demand = oudin(temperature, self.latitude, day)
        water, inflow = self.water, rain.astype(np.float64)
        for layer in range(4):
            taken = np.minimum(inflow, self.capacity[layer] - water[layer])
            water[layer] += taken
            inflow = inflow - taken  # what is left after the last layer runs off
        wet_top = np.clip(water[0] / self._critical[0], 0, 1) ** 2
        loss = (1 - self._bare) * demand * self._mean_roots * self._layer_beta()
        loss[0] += self._bare * demand * wet_top
        water -= np.minimum(loss, np.maximum(water - _LEAST_SATURATION * self.capacity, 0))
        for layer in range(3, -1, -1):
            above = np.maximum(water[layer] - self._critical[layer], 0)
            drained = above * (1 - np.exp(-1 / _DRAINAGE_DAYS[layer]))
            if layer < 3:
                drained = np.minimum(drained, self.capacity[layer + 1] - water[layer + 1])
                water[layer + 1] += drained
            water[layer] -= drained
        for layer, rate in enumerate(_LEVELLING):
            wetness = water[layer] / self.capacity[layer] - water[layer + 1] / self.capacity[layer + 1]
            moved = rate * self.capacity[layer] * wetness
            water[layer] -= moved
            water[layer + 1] += moved
        above_ground = temperature.astype(np.float64)
        for layer, days in enumerate(_WARMTH_DAYS):
            self.warmth[layer] += (1 - np.exp(-1 / days)) * (above_ground - self.warmth[layer])
            above_ground = self.warmth[layer]

    def beta(self) -> NDArray[np.float64]:
        """Soil moisture availability factor per plant type, 0..1, shape (5, points); 0 where the type is absent."""
        return np.where(self._present, self._roots @ self._layer_beta(), 0)

    def productivity(self, temperature: Array, day: int) -> NDArray[np.float64]:
        """Gross primary productivity per plant type, kg of carbon m-2 s-1, shape (5, points); 0 where absent."""
        light = sunshine(self.latitude, day) / 40
        warm = np.clip((temperature - 278.15) / 20, 0, 1)
        leaves = self._lai / (self._lai + 2)
        efficiency = np.array([1.0, 0.8, 0.7, 1.1, 0.6])[:, None]
        return 2.2e-7 * efficiency * self.beta() * light * warm * leaves

    def _layer_beta(self) -> NDArray[np.float64]:
        return np.clip((self.water - self._wilting) / (self._critical - self._wilting), 0, 1)


def _root_shares(depth: float) -> NDArray[np.float64]:
    tops = np.concatenate([[0.0], _BOTTOM[:-1]])
    shares: NDArray[np.float64] = (np.exp(-tops / depth) - np.exp(-_BOTTOM / depth)) / (
        1 - np.exp(-_BOTTOM[-1] / depth)
    )
    return shares


def simulate(
    region: Region, first: date, last: date, begins: int, spin_up: int
) -> Iterator[tuple[date, Array, Array, SoilColumn]]:
    """Run the column over first..last after `spin_up` passes over the first year.

    Yields for each day (the day, rain in mm, mean temperature in K, the column at its end); days begin at `begins` UTC.
    The column is one object that goes on: take from it what is needed before the next day.
    """
    column, chosen = SoilColumn(region), region.jules_points
    weather = region.weather("observed")
    passes = [(first, first + timedelta(days=364), False)] * spin_up + [(first, last, True)]
    for start, end, wanted in passes:
        for begin, count in blocks(start, end, region.points):
            rain = weather.rain_from(begins, begin, count)[:, chosen]
            temperature = weather.temperature_from(begins, begin, count)[:, chosen]
            for offset in range(count):
                day = begin + timedelta(days=offset)
                column.step(rain[offset], temperature[offset], day.timetuple().tm_yday)
                if wanted:
                    yield day, rain[offset], temperature[offset], column
