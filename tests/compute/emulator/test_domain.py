"""The flag of days outside the training data."""

from __future__ import annotations

import numpy as np

from compute.emulator.domain import FLAG_ATTRS, GROUPS, MISSING, flag
from compute.emulator.features import NAMES

BOUNDS = np.array([np.zeros(29), np.ones(29)], "float32")


def days(**values):
    """One day for each given value, in the middle otherwise."""
    features = np.full((1, 29, len(values)), 0.5, "float32")
    for day, (name, value) in enumerate(values.items()):
        features[0, NAMES.index(name), day] = value
    return features


def test_feature_outside_has_no_flag_or_that_of_another_group():
    outside = days(pr=9, tas=-1, clay=2, satcon=2, pr_memory_320d=1.1, pet_memory_5d=-0.1, bucket_1m=1.5)
    assert flag(outside, BOUNDS)[0].tolist() == [
        GROUPS[group]
        for group in ("weather", "weather", "statics", "statics", "rain_memories", "pet_memories", "buckets")
    ]
    assert sorted(GROUPS.values()) == [1, 2, 4, 8, 16]
    assert len(str(FLAG_ATTRS["flag_meanings"]).split()) == len(FLAG_ATTRS["flag_masks"])


def test_range_itself_is_outside():
    features = days(pr=1, tas=0, pr_memory_2d=np.nextafter(np.float32(1), np.float32(2)))
    assert flag(features, BOUNDS)[0].tolist() == [0, 0, GROUPS["rain_memories"]]


def test_day_differs_from_a_plain_comparison():
    random = np.random.default_rng(0)
    features = random.normal(0.5, 0.22, (20, 29, 50)).astype("float32")
    features[3, :, 10:], features[4, 7, 20] = np.nan, np.nan
    found = flag(features, BOUNDS)
    missing = np.isnan(features).any(axis=1)
    assert (found[missing] == MISSING).all()
    outside = ((features < 0) | (features > 1)).any(axis=1)
    np.testing.assert_array_equal(found[~missing] > 0, outside[~missing])
    assert 0 < outside.mean() < 1
    assert found.dtype == np.int8
