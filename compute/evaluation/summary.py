"""What the maps of a version say over all cells, read from the version itself when all of them are made."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from compute.evaluation import structure
from compute.evaluation.compared import Compared
from compute.evaluation.report import Maps, report
from compute.evaluation.scores import SCORES
from compute.evaluation.telling import Facts
from cube.job import WORKER_BYTES, BlockTask, Result, Scratch, Work
from cube.reading import VersionRef

DRAWN = ("r", "rmse", "csi")
"""Scores whose maps are in the report."""
BATCH_BYTES = 64 * 2**20
"""Of scores that are read at a time."""


@dataclass(frozen=True)
class SummaryWork:
    """own: the version being made, which holds the maps; score_bytes: of the maps of one score."""

    compared: Compared
    facts: Facts
    task: BlockTask
    score_bytes: int
    own: VersionRef

    @property
    def id(self) -> str:
        return self.task.block.id

    @property
    def tasks(self) -> tuple[BlockTask, ...]:
        return (self.task,)

    @property
    def memory(self) -> int:
        return memory(self.score_bytes)

    @property
    def leaves(self) -> Sequence[str]:
        return ()

    def only(self, tasks: Sequence[BlockTask]) -> Work:
        return self

    def run(self, scratch: Scratch) -> Iterator[Result]:
        drawn: dict[str, NDArray[Any]] = {}
        found = summary(self._maps(drawn))
        page = report(self.facts, found, Maps(drawn, self.compared.simulation.template))
        yield Result(self.task.block, found, None, {structure.REPORT: page})

    def _maps(self, drawn: dict[str, NDArray[Any]]) -> Iterator[tuple[str, NDArray[Any]]]:
        """Scores of all cells in their order, each of shape (predictors, targets, *space); those of the report stay in
        `drawn`."""
        dims = ("predictor", "target", *self.compared.space)
        for names in itertools.batched(SCORES, at_once(self.score_bytes)):
            data = self.own.read(names, {})
            for name in names:
                values = np.asarray(data[name].transpose(*dims).values)
                if name in DRAWN:
                    drawn[name] = values
                yield name, values


def at_once(score_bytes: int) -> int:
    """How many scores are read at a time."""
    return max(1, BATCH_BYTES // max(1, score_bytes))


def memory(score_bytes: int) -> int:
    """Peak resident set of the work, bytes: a batch as it is read and cut, the scores of the report, and one score in
    double precision, ordered, and without missing cells."""
    return WORKER_BYTES + 2 * at_once(score_bytes) * score_bytes + (len(DRAWN) + 6) * score_bytes


def summary(maps: Iterable[tuple[str, NDArray[Any]]]) -> xr.Dataset:
    """All arrays of `structure.SUMMARY`.

    maps  names and values of all scores in their order, each of shape (predictors, targets, ...)
    """
    found: dict[str, tuple[tuple[str, ...], NDArray[Any]]] = {}
    dims = ("predictor", "target")
    for name, stored in maps:
        values = stored.reshape(*stored.shape[:2], -1)
        if name == "paired_days":
            seen = values > 0
        if name == "rmse":
            rmse = values
        if name == "simulation_rmse":
            found[structure.BEATEN] = (dims, _beaten(rmse, values))
        defined = seen & np.isfinite(values)
        quartiles = np.full((len(structure.QUANTILES), *values.shape[:2]), np.nan)
        for place in np.ndindex(*values.shape[:2]):
            if defined[place].any():
                known = values[place][defined[place]].astype(np.float64)
                quartiles[(slice(None), *place)] = np.quantile(known, structure.QUANTILES)
        found[structure.quantiles_of(name)] = (("quantile", *dims), quartiles.astype(np.float32))
        found[structure.cells_of(name)] = (dims, np.count_nonzero(defined, axis=-1).astype(np.int32))
    return xr.Dataset(found)


def _beaten(rmse: NDArray[Any], of_simulation: NDArray[Any]) -> NDArray[np.float32]:
    """Share of the cells in which the simulation has the smaller error; equal errors beat nothing."""
    known = np.isfinite(rmse) & np.isfinite(of_simulation)
    count = np.count_nonzero(known, axis=-1)
    smaller = np.count_nonzero(known & (of_simulation < rmse), axis=-1)
    share = np.divide(smaller, count, out=np.full(count.shape, np.nan), where=count > 0)
    share[0] = np.nan
    return np.asarray(share, np.float32)
