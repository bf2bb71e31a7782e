"""The emulator: forests of different sizes against the column at unseen sites in unseen years, and what they cost.

The truth is the soil-water column over made-up weather, so that skill says how well the column is imitated and nothing
about any real soil. Times are CPU seconds of one core in this process.

    python -m benchmarks.emulator [--scale small|full] [--repeats N]
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import xgboost
from numpy.typing import NDArray

from benchmarks.climates import DAYS, Sites, changed
from benchmarks.measure import Table, machine
from compute.column.hydraulics import cosby
from compute.column.pet import oudin
from compute.column.roots import shares_of
from compute.column.running import C4_GRASS, initial_state
from compute.column.running import run as run_column
from compute.column.stepping import THICKNESS
from compute.emulator.baselines import climatology, fit_buckets, persistence, predict_buckets
from compute.emulator.features import features, season, start
from compute.emulator.forest import Emulator, Training, load, save, train
from compute.emulator.inference import emulate
from compute.emulator.predictor import Forest
from compute.emulator.schema import Schema, Setting, columns_of

Array = NDArray[Any]

TREES, DEPTHS = {"small": (20,), "full": (50, 100, 200)}, {"small": (5,), "full": (5, 6, 7, 8)}
LEARNED = 15.0  # learning rate times trees
WHOLE = {"small": (20, 5), "full": (100, 8)}  # trees and depth of the forest that is timed in one pass
SINGLE = (50, 6)  # trees and depth of the forests with one target each
TRAIN_SITES, TEST_SITES = {"small": 60, "full": 2000}, {"small": 20, "full": 400}
TIMED_SITES = {"small": 100, "full": 1000}
SPIN, KEPT, TESTED = 3, 10, 5  # years that are not used, that are, and the last of these that are tested
THIN = 20  # days between rows of a site in the training data
LAG = 365  # days of persistence: what an emulator without any knowledge of the soil could be given
DROUGHT = 0.5
CALENDAR = "noleap"
SCENARIO = {"rain": 0.8, "warming": 3.0}
SETTING = Setting((CALENDAR,), "oudin", "cosby_jules", "made up", "climate")
COLUMNS = (
    "forest",
    "RMSE % L1-L4",
    "median r L1-L3",
    "beta RMSE",
    "CSI",
    "scenario RMSE %",
    "scenario beta",
    "ms compiled",
    "ms xgboost",
    "MB",
    "train CPU s",
    "skill",
)

Scored = tuple[Array, Array, float]


@dataclass(frozen=True)
class Truth:
    """What the column makes of some sites' weather, without its first years.

    forcing  pr, tas and pet, shape (days, sites)
    statics  shape (10, sites)
    state    of the features before the first day
    seen     features, shape (sites, 29, days)
    made     saturations and beta, shape (sites, 5, days)
    """

    forcing: tuple[Array, Array, Array]
    statics: Array
    state: Array
    seen: Array
    made: Array

    @classmethod
    def of(cls, sites: Sites, seed: int, *, rain: float = 1.0, warming: float = 0.0) -> Self:
        years = SPIN + KEPT
        past = sites.weather(years, seed)
        # The baseline ends before the years of the test, and is that of the unchanged climate.
        annual = past[0][: (years - TESTED) * DAYS].mean(axis=0, dtype=float) * DAYS
        pr, tas = changed(*past, rain=rain, warming=warming)
        number = np.tile(np.arange(1, DAYS + 1), years)
        pet = oudin(tas, sites.latitude, number).astype(np.float32)
        soil = cosby(sites.clay, sites.sand)
        state = initial_state(soil)
        for _ in range(3):
            state = run_column(pr, pet, soil, sites.lai, state, outputs=False).state
        found = run_column(pr, pet, soil, sites.lai, state, fsmc_roots=shares_of([C4_GRASS]))
        depth = 1000.0 * np.asarray(THICKNESS)[:, np.newaxis] * soil.sm_sat
        made = np.concatenate([found.smcl / depth, found.fsmc], axis=1).astype(np.float32)
        hydraulic = (soil.b, soil.sm_sat, soil.sathh, soil.satcon, soil.sm_crit, soil.sm_wilt)
        statics = np.stack([sites.clay, sites.sand, sites.lai, *hydraulic, annual])
        before, kept = slice(0, SPIN * DAYS), slice(SPIN * DAYS, None)
        begin = start(pr[:DAYS], pet[:DAYS], statics)
        turn = season(number, CALENDAR)
        _, spun = features(pr[before], tas[before], pet[before], turn[:, before], statics, begin)
        seen, _ = features(pr[kept], tas[kept], pet[kept], turn[:, kept], statics, spun)
        return cls(
            (pr[kept], tas[kept], pet[kept]), statics, spun, seen, np.clip(made[kept].transpose(2, 1, 0), 0.0, 1.0)
        )

    @property
    def tested(self) -> slice:
        return slice((KEPT - TESTED) * DAYS, KEPT * DAYS)

    def rows(self) -> tuple[Array, Array]:
        """Training rows: every 20th day of each site, other days at each."""
        x, y = (
            np.concatenate([site[:, index % THIN :: THIN].T for index, site in enumerate(sites)])
            for sites in (self.seen, self.made)
        )
        return x, y


def score(found: Array, truth: Array) -> Scored:
    """RMSE of the five targets in percent, median over sites of their correlations, CSI of drought days."""
    error = np.sqrt(np.mean((found.astype(float) - truth) ** 2, axis=(0, 2))) * 100
    a, b = (each - each.mean(axis=2, keepdims=True, dtype=float) for each in (found, truth))
    spread = np.sqrt((a**2).sum(axis=2) * (b**2).sum(axis=2))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.where(spread > 0, (a * b).sum(axis=2) / spread, np.nan)
    alarm, event = found[:, 4] < DROUGHT, truth[:, 4] < DROUGHT
    return error, np.nanmedian(correlation, axis=0), float((alarm & event).sum() / (alarm | event).sum())


def met(scored: Scored) -> bool:
    error, correlation, csi = scored
    close = (error[:3] <= 3).all() and error[4] <= 5
    return bool(close and (correlation[:2] >= 0.98).all() and correlation[2] >= 0.95 and csi >= 0.85)


def cells_of(scored: Scored) -> tuple[str, ...]:
    error, correlation, csi = scored
    return (
        " ".join(f"{value:.2f}" for value in error[:4]),
        " ".join(f"{value:.3f}" for value in correlation[:3]),
        f"{error[4] / 100:.3f}",
        f"{csi:.3f}",
    )


def _row(
    name: str, predict: Callable[[Truth], Array], test: Truth, scenario: Truth, price: tuple[str, ...]
) -> tuple[str, ...]:
    found, beyond = (score(predict(truth), truth.made[:, :, truth.tested]) for truth in (test, scenario))
    return (name, *cells_of(found), *cells_of(beyond)[::2], *price, "met" if met(found) else "MISSED")


def run(folder: Path, scale: str, repeats: int) -> Table:
    """Measure; nothing is kept in `folder`."""
    sites, unseen = Sites.draw(TRAIN_SITES[scale], 1), Sites.draw(TEST_SITES[scale], 2)
    known, test, scenario = Truth.of(sites, 11), Truth.of(unseen, 12), Truth.of(unseen, 12, **SCENARIO)
    x, y = known.rows()
    low, high = known.seen.min(axis=(0, 2)), known.seen.max(axis=(0, 2))
    buckets = fit_buckets(x, y)
    rows = [_row(name, predict, test, scenario, ("",) * 4) for name, predict in _baselines(buckets)]
    timed = _timed(test, TIMED_SITES[scale])
    cost = _cost(repeats, lambda: features(*timed.forcing, _season(), timed.statics, timed.state)) / len(timed.seen)
    whole: tuple[str, ...] = ()
    for trees in TREES[scale]:
        for depth in DEPTHS[scale]:
            how = Training(trees, depth, LEARNED / trees)
            began = time.process_time()
            booster = train(x, y, how)
            spent = time.process_time() - began
            data = save(booster, Schema(columns_of(low, high), SETTING, "column"))
            forest = load(data).forest
            ours = _cost(repeats, functools.partial(forest.predict, timed.seen)) / len(timed.seen)
            theirs = _xgboost(booster, timed.seen, repeats)
            name = f"{trees} trees, depth {depth}"
            price = (f"{ours:.3f}", f"{theirs:.3f}", f"{len(data) / 1e6:.1f}", f"{spent:.0f}")
            rows.append(_row(name, functools.partial(_predicted, forest), test, scenario, price))
            if (trees, depth) == WHOLE[scale]:
                whole = (name, *_whole(load(data), booster, timed, repeats))
    rows.append(_single(x, y, test, scenario, timed, repeats))
    name, one_pass, calls = whole
    return Table(
        "Emulator: skill and cost of forests",
        COLUMNS,
        rows,
        (
            f"{len(sites)} sites x {KEPT} years for training ({len(x)} rows), {len(unseen)} other sites x {TESTED} "
            f"other years for test; scenario: rain x {SCENARIO['rain']}, +{SCENARIO['warming']:.0f} K, not trained on",
            "ms: CPU milliseconds of one core per pixel-year for all five targets; features take "
            f"{cost:.4f} ms besides",
            f"one pass from forcing to targets, {name}, {len(timed.seen)} cells: {one_pass} ms; "
            f"a loop of one call of xgboost per pixel-year: {calls} ms",
            "wanted: RMSE <= 3 % (L1-L3), r >= 0.98 (L1, L2) and 0.95 (L3), beta RMSE <= 0.05, CSI >= 0.85",
        ),
    )


def _predicted(forest: Forest, truth: Truth) -> Array:
    return forest.predict(truth.seen[:, :, truth.tested])


def _season() -> Array:
    return season(np.arange(1, DAYS + 1), CALENDAR)


# -------------------------------------------------------------------------------------------------------- baselines


def _baselines(buckets: Array) -> list[tuple[str, Callable[[Truth], Array]]]:
    def seasonal(truth: Truth) -> Array:
        number = np.tile(np.arange(1, DAYS + 1), KEPT)
        past = slice(0, truth.tested.start)
        made = [
            climatology(truth.made[:, target, past].T, number[past], number[truth.tested]).T
            for target in range(truth.made.shape[1])
        ]
        return np.stack(made, axis=1)

    def held(truth: Truth) -> Array:
        days = truth.made.transpose(2, 0, 1).reshape(KEPT * DAYS, -1)
        return persistence(days, LAG).reshape(-1, *truth.made.shape[:2]).transpose(1, 2, 0)[:, :, truth.tested]

    return [
        ("climatology of the day", seasonal),
        (f"persistence of {LAG} days", held),
        ("buckets alone", lambda truth: predict_buckets(buckets, truth.seen[:, :, truth.tested])),
    ]


# ------------------------------------------------------------------------------------------------------------- cost


def _cost(repeats: int, work: Callable[[], Any]) -> float:
    """Least CPU milliseconds of `repeats` runs, after one that compiles."""
    work()
    spent = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent) * 1e3


def _timed(test: Truth, sites: int) -> Truth:
    """A year of many sites: those of the test over and over."""
    some = np.arange(sites) % len(test.seen)
    forcing = [np.ascontiguousarray(each[:DAYS, some]) for each in test.forcing]
    seen = np.ascontiguousarray(test.seen[some, :, :DAYS])
    pr, tas, pet = forcing
    return Truth((pr, tas, pet), test.statics[:, some], test.state[:, some], seen, test.made[some, :, :DAYS])


def _xgboost(booster: xgboost.Booster, seen: Array, repeats: int) -> float:
    """xgboost's own batch prediction of all rows at once, one thread, ms per pixel-year."""
    booster.set_param({"nthread": 1})
    rows = np.ascontiguousarray(seen.transpose(0, 2, 1)).reshape(-1, seen.shape[1])
    return _cost(repeats, lambda: booster.inplace_predict(rows, validate_features=False)) / len(seen)


def _whole(emulator: Emulator, booster: xgboost.Booster, timed: Truth, repeats: int) -> tuple[str, str]:
    """Forcing to targets and flag in one pass, and one call of features and xgboost for each pixel-year."""
    number, turn = np.arange(1, DAYS + 1), _season()

    def once() -> None:
        emulate(emulator, *timed.forcing, number, CALENDAR, timed.statics, timed.state)

    some = min(len(timed.seen), 100)
    booster.set_param({"nthread": 1})

    def calls() -> None:
        for cell in range(some):
            here = slice(cell, cell + 1)
            pr, tas, pet = (each[:, here] for each in timed.forcing)
            seen, _ = features(pr, tas, pet, turn, timed.statics[:, here], timed.state[:, here])
            booster.inplace_predict(np.ascontiguousarray(seen[0].T), validate_features=False)

    return f"{_cost(repeats, once) / len(timed.seen):.3f}", f"{_cost(repeats, calls) / some:.3f}"


def _single(x: Array, y: Array, test: Truth, scenario: Truth, timed: Truth, repeats: int) -> tuple[str, ...]:
    """Five forests of one target each, by xgboost."""
    trees, depth = SINGLE
    parameters: Mapping[str, Any] = Training(trees, depth, LEARNED / trees).parameters()
    parameters = {name: value for name, value in parameters.items() if name != "multi_strategy"}
    data = xgboost.QuantileDMatrix(x, max_bin=parameters["max_bin"], nthread=1)
    began, boosters = time.process_time(), []
    for target in y.T:
        data.set_label(np.ascontiguousarray(target))
        boosters.append(xgboost.train(parameters, data, trees))
    spent = time.process_time() - began

    def predicted(truth: Truth) -> Array:
        seen = truth.seen[:, :, truth.tested]
        rows = np.ascontiguousarray(seen.transpose(0, 2, 1)).reshape(-1, seen.shape[1])
        found = [booster.inplace_predict(rows, validate_features=False) for booster in boosters]
        stacked = np.stack(found).reshape(len(found), len(seen), -1)
        return np.asarray(np.clip(stacked.transpose(1, 0, 2), 0, 1))

    theirs = sum(_xgboost(booster, timed.seen, repeats) for booster in boosters)
    size = sum(len(booster.save_raw(raw_format="json")) for booster in boosters)
    price = ("", f"{theirs:.3f}", f"{size / 1e6:.1f}", f"{spent:.0f}")
    return _row(f"five of {trees} trees, depth {depth}", predicted, test, scenario, price)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.emulator", description=__doc__)
    parser.add_argument("--scale", choices=("small", "full"), default="full")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print(f"{machine()}\n\n{run(Path(), options.scale, options.repeats).text()}")
