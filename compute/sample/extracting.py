"""Series of scattered cells out of the cube: each shard is read once for all sites that lie in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.emulator import features as kernel
from compute.emulator.driving import SOIL, demand, statics
from compute.places import latitudes
from compute.sample.runs import SampledRun
from cube.job import ProductView, Window

PART_BYTES = 32 * 2**20
"""Of one variable, that are read at a time."""
Proofs = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Tile:
    """Sites that lie in one shard of the simulation. cells: the box around them; inside: their place in it, rows first;
    sites: their positions among the sites of the block."""

    cells: Mapping[str, slice]
    inside: NDArray[np.int64]
    sites: NDArray[np.int64]


def tiles(view: ProductView, cells: NDArray[np.int64]) -> Iterator[Tile]:
    """The sites by shard of `smcl`; cells are positions in the grid, rows first."""
    space = view.template.space
    sizes = tuple(len(view.template.coords[name]) for name in space)
    places = np.stack(np.unravel_index(cells, sizes), axis=1)
    group = view.layout.group_of("smcl")
    shards = [dim.shard if (dim := group.dim(name)) else size for name, size in zip(space, sizes, strict=True)]
    shard = places // np.array(shards)
    for each in np.unique(shard, axis=0):
        sites = np.flatnonzero((shard == each).all(axis=1))
        low, high = places[sites].min(axis=0), places[sites].max(axis=0) + 1
        box = {name: slice(int(a), int(b)) for name, a, b in zip(space, low, high, strict=True)}
        inside = np.ravel_multi_index(tuple((places[sites] - low).T), tuple(high - low))
        yield Tile(box, np.asarray(inside, np.int64), sites)


class Extraction:
    """What is taken at the sites of one tile, run after run, since some go on from others.

    soil, pr_mean  at the sites: variables of the soil product by name, and mean rain by run's simulation
    """

    def __init__(self, tile: Tile, runs: Mapping[str, SampledRun], proofs: Proofs) -> None:
        self._tile = tile
        self._runs = runs
        self._proofs = proofs
        self._after: dict[str, NDArray[np.float64]] = {}

    def _read(self, view: ProductView, window: Window) -> xr.Dataset:
        return view.read(window, self._proofs[view.name])

    def _at_sites(self, array: xr.DataArray, *first: str) -> NDArray[Any]:
        """An array cut at the sites: (*first, sites)."""
        ordered = array.transpose(*first, *self._tile.cells)
        values = ordered.values.reshape(*(ordered.sizes[name] for name in first), -1)
        return np.ascontiguousarray(values[..., self._tile.inside])

    def soil(self, view: ProductView) -> dict[str, NDArray[Any]]:
        data = self._read(view, Window(SOIL, self._tile.cells))
        return {name: self._at_sites(data[name]) for name in SOIL}

    def rows(
        self, name: str, soil: Mapping[str, NDArray[Any]]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]]:
        """Part by part: which of the days taken they are, features (sites, 29, days), targets (5, days, sites)."""
        run, tile = self._runs[name], self._tile
        baseline = self._read(run.baseline, Window(("pr_mean",), tile.cells))
        fixed = statics(soil, self._at_sites(baseline["pr_mean"]))
        lat = latitudes(run.simulation, tile.cells)[tile.inside]
        days = run.forcing.days
        season = kernel.season(days.days_of_year(0, days.count), days.calendar)
        cells = int(np.prod([part.stop - part.start for part in tile.cells.values()]))
        step = max(kernel.START_DAYS, PART_BYTES // (4 * cells))
        state = self._after[run.options.after] if run.options.after else None
        for first in range(0, days.count, step):
            stop = min(first + step, days.count)
            windows = run.forcing.windows(tile.cells, first, stop)
            data = {view.name: self._read(view, windows[view.name]) for view in run.forcing.views}
            weather = {
                key: np.ascontiguousarray(values[:, tile.inside]) for key, values in run.forcing.arrays(data).items()
            }
            pr, tas = weather["pr"], weather["tas"]
            pet = demand(tas, lat, days, first)
            if state is None:
                state = kernel.start(pr[: kernel.START_DAYS], pet[: kernel.START_DAYS], fixed)
            made, state = kernel.features(pr, tas, pet, season[:, first:stop], fixed, state)
            places = np.flatnonzero((run.kept >= first) & (run.kept < stop))
            if len(places):
                wanted = run.kept[places] - first
                yield places, made[:, :, wanted], self._targets(run, first, wanted, soil)
        assert state is not None
        self._after[name] = state

    def _targets(
        self, run: SampledRun, first: int, wanted: NDArray[np.int64], soil: Mapping[str, NDArray[Any]]
    ) -> NDArray[np.float32]:
        low, high = int(wanted[0]), int(wanted[-1]) + 1
        window = Window(("smcl", "fsmc"), {**self._tile.cells, "time": run.windows(first + low, first + high)})
        data = self._read(run.simulation, window)
        cut = xr.Dataset(
            {
                "smcl": (("time", "depth", "site"), self._at_sites(data["smcl"], "time", "depth")[wanted - low]),
                "fsmc": (("time", "pft", "site"), self._at_sites(data["fsmc"], "time", "pft")[wanted - low]),
            }
        )
        return run.targets(cut, soil["sm_sat"].astype(np.float64))
