"""The two regions of the archive: which cells are land, where they lie, and their soil and vegetation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyproj
from numpy.typing import NDArray

from . import land
from .climate import Noise, Weather
from .noise import Array, NoiseField, single
from .regimes import AfricanClimate, BritishClimate, Climate
from .settings import LatLonGrid, OsgbGrid, SampleSettings

# Helmert shift instead of EPSG's grid file: the same on every machine, good to 5 m
_FROM_OSGB = (
    "+proj=pipeline +step +inv +proj=tmerc +lat_0=49 +lon_0=-2 +k=0.9996012717 +x_0=400000 +y_0=-100000 +ellps=airy "
    "+step +proj=cart +ellps=airy +step +proj=helmert +x=446.448 +y=-125.157 +z=542.06 +rx=0.15 +ry=0.247 +rz=0.842 "
    "+s=-20.489 +convention=position_vector +step +inv +proj=cart +ellps=WGS84 "
    "+step +proj=unitconvert +xy_in=rad +xy_out=deg"
)
PFTS = ("broadleaf tree", "needleleaf tree", "C3 grass", "C4 grass", "shrub")
TILES = (*PFTS, "urban", "lake", "bare soil", "ice")
_JULES_LAND = 0.5  # least land fraction of a JULES land point


@dataclass(frozen=True)
class Ground:
    """Soil and vegetation of the land points."""

    clay: Array
    sand: Array
    """fractions of mass, shape (points,)"""
    lai: Array
    """leaf area index, m2 m-2, shape (points,)"""
    tiles: Array
    """cover fractions in the order of TILES, shape (9, points), summing to 1"""

    @property
    def silt(self) -> Array:
        return single(1 - self.clay - self.sand)


class Region:
    """A grid of `shape` (rows from the south, columns); "points" are its cells with any land, in row-major order."""

    def __init__(
        self, name: str, seed: int, latitude: NDArray[np.float64], longitude: NDArray[np.float64], fraction: Array
    ) -> None:
        self.name, self.seed, self.shape = name, seed, latitude.shape
        self.latitude, self.longitude, self.fraction = latitude, longitude, fraction
        self.is_land = fraction > 0
        self.point_latitude, self.point_longitude = latitude[self.is_land], longitude[self.is_land]
        self.points = int(self.is_land.sum())

    @property
    def jules_points(self) -> NDArray[np.intp]:
        """Which points a land model runs at: cells that are mostly land."""
        return np.flatnonzero(self.fraction[self.is_land] >= _JULES_LAND)

    @cached_property
    def climate(self) -> Climate:
        kind = AfricanClimate if self.name == "africa" else BritishClimate
        return kind(self.point_latitude, self.point_longitude)

    @cached_property
    def _noise(self) -> Noise:
        return Noise(self.seed, self.point_latitude, self.point_longitude)

    def weather(self, run: str) -> Weather:
        return Weather(run, self.climate, self._noise, self.point_longitude)

    def on_grid(self, values: Array, fill: float, dtype: str = "f4") -> NDArray[np.generic]:
        """Scatter (..., points) to (..., rows, columns); `fill` where there is no land."""
        grid = np.full((*values.shape[:-1], *self.shape), fill, dtype=dtype)
        grid[..., self.is_land] = values
        return grid

    @cached_property
    def ground(self) -> Ground:
        field = NoiseField(self.seed, "ground", self.point_latitude, self.point_longitude, (4.0, 30.0), 0.0)
        day = np.arange(0, 365, 15, dtype=np.float32)[:, None]
        wet = self.climate.wet_probability(day, np.zeros_like(day)).mean(axis=0)  # 0 desert .. 0.5 always wet
        green = single(np.clip(wet / 0.35, 0, 1))
        sand = np.clip(0.62 - 0.28 * green + 0.1 * field.static(), 0.12, 0.88)
        other = NoiseField(self.seed, "clay", self.point_latitude, self.point_longitude, (4.0, 30.0), 0.0)
        clay = np.clip((1 - sand) * (0.5 + 0.1 * other.static()), 0.04, 0.7)
        lai = np.clip(0.15 + 4.5 * green**1.3 + 0.2 * field.static(), 0.1, 6.0)
        return Ground(single(clay), single(sand), single(lai), self._tiles(green))

    def _tiles(self, green: Array) -> Array:
        hot = np.abs(self.point_latitude) < 30
        trees = np.where(green > 0.45, 0.75 * (green - 0.45) / 0.55, 0)
        grass = np.minimum(0.55, green) * (1 - trees)
        tiles = np.zeros((len(TILES), self.points))
        tiles[0] = trees * (1 if self.name == "africa" else 0.6)
        tiles[1] = trees - tiles[0]
        tiles[2] = np.where(hot, 0, grass)
        tiles[3] = np.where(hot, grass, 0)
        tiles[4] = np.where(green > 0.02, 0.12 * (1 - trees), 0)
        tiles[7] = 1 - tiles.sum(axis=0)
        return single(tiles)


def african(settings: SampleSettings) -> Region:
    grid: LatLonGrid = settings.africa
    latitude, longitude = np.meshgrid(grid.latitude, grid.longitude, indexing="ij")
    fraction = land.land_fraction((land.AFRICA, land.MADAGASCAR), longitude, latitude, grid.step, grid.step)
    return Region("africa", settings.seed, latitude, longitude, fraction)


def british(settings: SampleSettings) -> Region:
    grid: OsgbGrid = settings.uk
    y, x = np.meshgrid(grid.y, grid.x, indexing="ij")
    longitude, latitude = pyproj.Transformer.from_pipeline(_FROM_OSGB).transform(x, y)
    height = np.float64(grid.step / 111_200)
    width = height / np.cos(np.radians(latitude))
    fraction = land.land_fraction((land.GREAT_BRITAIN, land.NORTHERN_IRELAND), longitude, latitude, width, height)
    return Region("uk", settings.seed, latitude, longitude, fraction)
