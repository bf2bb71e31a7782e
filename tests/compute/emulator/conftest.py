"""One small trained emulator for all tests of the package."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from compute.emulator.features import FEATURES
from compute.emulator.forest import Training, train
from compute.emulator.schema import Schema, Setting, columns_of

SETTING = Setting(("noleap",), "oudin", "cosby_jules", "made up", "own 1976-2005")


def rows_of(count, seed=0):
    """Features and targets that hang together, shape (count, 29) and (count, 5)."""
    random = np.random.default_rng(seed)
    features = random.gamma(2.0, 1.0, (count, len(FEATURES))).astype("float32")
    features[:, 1] -= 3  # temperatures below zero
    mixed = features @ random.normal(0, 0.3, (len(FEATURES), 5)) + np.abs(features[:, :5] - features[:, 5:10])
    return features, (1 / (1 + np.exp(-mixed))).astype("float32")


def schema_of(features, **changes):
    given = {
        "columns": columns_of(features.min(axis=0), features.max(axis=0)),
        "setting": SETTING,
        "emulates": "column",
    }
    return Schema(**{**given, **changes})


def changed(setting=SETTING, **changes):
    return dataclasses.replace(setting, **changes)


@pytest.fixture(scope="session")
def booster():
    features, targets = rows_of(3000)
    return train(features, targets, Training(trees=20, depth=6, learning_rate=0.3))
