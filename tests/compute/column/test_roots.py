"""Root shares against the printed values and an integral."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from compute.column.roots import PLANT_TYPES, mean_shares, root_shares, shares_of


@pytest.mark.parametrize(
    ("depth", "expected"),
    [
        (0.5, [0.18172, 0.32295, 0.36215, 0.13319]),
        (1.0, [0.10015, 0.21064, 0.35446, 0.33476]),
        (3.0, [0.05186, 0.12234, 0.27424, 0.55156]),
    ],
)
def test_shares_of_printed_depths(depth, expected):
    assert root_shares(depth) == pytest.approx(expected, abs=5.1e-6)


def test_shares_are_the_integral_of_an_exponential_profile():
    z = np.linspace(0, 3, 3_000_001)
    density = np.exp(-2 * z / 0.7)
    bounds = [0, 0.1, 0.35, 1.0, 3.0]
    parts = [np.trapezoid(density[(z >= a) & (z <= b)], dx=1e-6) for a, b in itertools.pairwise(bounds)]
    assert root_shares(0.7, p=2) == pytest.approx(np.array(parts) / sum(parts), rel=1e-5)


def test_plant_types_in_the_numbering_of_jules():
    assert {number: (kind.rooting_depth, kind.infiltration) for number, kind in PLANT_TYPES.items()} == {
        1: (3.0, 4.0),
        2: (1.0, 4.0),
        3: (0.5, 2.0),
        4: (0.5, 2.0),
        5: (0.5, 2.0),
    }
    assert shares_of([4, 1]).tolist() == [root_shares(0.5).tolist(), root_shares(3.0).tolist()]
    with pytest.raises(KeyError):
        shares_of([0])


def test_mixed_cover_is_weighted_whatever_it_sums_to():
    shares = shares_of([1, 4])
    mixed = mean_shares([[0.5, 0.0, 0.0, np.nan], [0.25, 0.1, 0.0, 1.0]], shares)
    assert mixed[:, 0] == pytest.approx((2 * shares[0] + shares[1]) / 3)
    assert mixed[:, 1] == pytest.approx(shares[1])
    assert np.isnan(mixed[:, 2:]).all()
