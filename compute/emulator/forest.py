"""Training a forest, and the model's file: xgboost's JSON with the schema inside."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from compute.emulator.features import FEATURES, NAMES
from compute.emulator.predictor import Forest
from compute.emulator.schema import TARGETS, Schema
from cube.errors import ComputeError, InputError, Problem

if TYPE_CHECKING:
    import xgboost

MEDIA_TYPE: Final = "application/json"
_ATTRIBUTE: Final = "schema"
_PROOF_ROWS: Final = 256


@dataclass(frozen=True)
class Training:
    """How a forest is grown; see xgboost's parameters of these meanings.

    trees          boosting rounds, each one tree for all targets
    depth          of a tree at most
    learning_rate  share of each tree
    subsample      share of rows that a tree sees
    colsample      share of features that a tree sees
    bins           of a feature
    least_rows     in a leaf
    seed           of the subsampling
    threads        used; results do not depend on them
    """

    trees: int = 100
    depth: int = 8
    learning_rate: float = 0.15
    subsample: float = 0.5
    colsample: float = 0.8
    bins: int = 128
    least_rows: int = 20
    seed: int = 0
    threads: int = 1

    def parameters(self) -> dict[str, Any]:
        return {
            "objective": "reg:squarederror",
            "tree_method": "hist",
            "multi_strategy": "multi_output_tree",
            "max_depth": self.depth,
            "learning_rate": self.learning_rate,
            "subsample": self.subsample,
            "colsample_bytree": self.colsample,
            "max_bin": self.bins,
            "min_child_weight": self.least_rows,
            "seed": self.seed,
            "nthread": self.threads,
        }


@dataclass(frozen=True)
class Emulator:
    """A trained model, ready to be asked."""

    schema: Schema
    forest: Forest


def train(features: NDArray[np.float32], targets: NDArray[np.float32], training: Training) -> xgboost.Booster:
    """Grow a forest.

    features  shape (rows, 29), columns as in `FEATURES`
    targets   shape (rows, 5), columns as in `TARGETS`, from 0 to 1

    Raises InputError (training-missing, training-range) where a row has missing values or targets outside 0 to 1.
    """
    if features.shape[1:] != (len(FEATURES),) or targets.shape != (len(features), len(TARGETS)):
        raise ValueError(f"features {features.shape} and targets {targets.shape} do not fit")
    problems = []
    lacking = ~(np.isfinite(features).all(axis=1) & np.isfinite(targets).all(axis=1))
    if lacking.any() or not len(features):
        found = f"{np.count_nonzero(lacking)} of {len(features)} rows of training data have missing values"
        problems.append(Problem("training-missing", found, fix="leave out sites without soil, forcing or simulation"))
    with np.errstate(invalid="ignore"):
        outside = (targets < 0) | (targets > 1)
    if outside.any():
        names = [name for name, found in zip(TARGETS, outside.any(axis=0), strict=True) if found]
        what = f"{', '.join(names)}: from {np.nanmin(targets):g} to {np.nanmax(targets):g}, where 0 to 1 is wanted"
        problems.append(Problem("training-range", what, fix="check units and saturation of the simulation"))
    if problems:
        raise InputError(problems)
    import xgboost  # most of what a cube does needs no training

    data = xgboost.QuantileDMatrix(
        features, targets, max_bin=training.bins, nthread=training.threads, feature_names=list(NAMES)
    )
    return xgboost.train(training.parameters(), data, training.trees)


def save(booster: xgboost.Booster, schema: Schema) -> bytes:
    """The model's file, the same bytes for the same forest and schema.

    Raises ComputeError (emulator-predictor) where the compiled predictor would not give the bits of xgboost's.
    """
    named = booster.copy()
    named.set_attr(**{_ATTRIBUTE: schema.to_json()})
    data = bytes(named.save_raw(raw_format="json"))
    low, high = schema.bounds
    random = np.random.default_rng(0).random((_PROOF_ROWS, len(low)), np.float32)
    rows = low + random * (high - low)
    expected = np.clip(named.inplace_predict(rows, validate_features=False), 0, 1)
    found = load(data).forest.predict(np.ascontiguousarray(rows.T)[np.newaxis])[0].T
    if not np.array_equal(found, expected):
        # How xgboost lays out its trees is its own affair, and may change with a release.
        what = "the compiled predictor does not give what this release of xgboost gives"
        danger = "emulated soil moisture would not be that of the trained model"
        raise ComputeError(Problem("emulator-predictor", what, danger=danger, fix="train with an older xgboost"))
    return data


def load(data: bytes, where: str = "") -> Emulator:
    """The emulator in a model's file. It takes up to a second: keep it.

    xgboost itself is not asked: it ends the process where a file is not whole.

    where  the file, for errors

    Raises InputError (emulator-unreadable) for anything but a file of `save`.
    """
    try:
        document = json.loads(data)
        schema = Schema.from_json(document["learner"]["attributes"][_ATTRIBUTE])
        forest = Forest.of(document)
        if len(schema.columns) != forest.columns or len(schema.targets) != forest.leaves.shape[1]:
            raise ValueError(f"its schema has {len(schema.columns)} features, its trees {forest.columns}")
    except (ValueError, KeyError, TypeError, IndexError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(
            Problem(
                "emulator-unreadable",
                f"this is not a model that `train` made: {reason}",
                where,
                fix="give the file of a `train` product, whole and as it was written",
            )
        ) from error
    return Emulator(schema, forest)
