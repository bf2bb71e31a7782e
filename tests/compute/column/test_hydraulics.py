"""Soil properties against the JULES example soil, a second formula and textures that are none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from compute.column.hydraulics import CRITICAL, WILTING, Soil, cosby, moisture
from cube.errors import InputError


def test_jules_variant_gives_the_jules_example_soil():
    soil = cosby([0.23], [0.27])
    assert soil.b[0] == pytest.approx(6.63, abs=1e-12)
    assert soil.sm_sat[0] == pytest.approx(0.45815, abs=1e-12)
    assert soil.sathh[0] == pytest.approx(0.049456, abs=5e-7)
    assert soil.satcon[0] == pytest.approx(0.0047150, abs=5e-8)
    assert soil.sm_crit[0] == pytest.approx(0.242422, abs=5e-7)
    assert soil.sm_wilt[0] == pytest.approx(0.136320, abs=5e-7)
    # the digits of the namelists
    assert soil.sathh[0] == pytest.approx(0.04946, abs=5e-6)
    assert soil.satcon[0] == pytest.approx(0.004715, abs=5e-7)
    assert soil.sm_crit[0] == pytest.approx(0.242433, abs=2e-5)
    assert soil.sm_wilt[0] == pytest.approx(0.136328, abs=2e-5)


def test_decadic_variant_is_another_soil():
    soil = cosby([0.23], [0.27], "cosby1984")
    assert soil.sathh[0] == pytest.approx(0.39674, abs=6e-6)
    assert soil.satcon[0] == pytest.approx(0.0027640, abs=5e-8)
    assert soil.sm_crit[0] == pytest.approx(0.33187, abs=5e-6)
    assert soil.sm_wilt[0] == pytest.approx(0.18662, abs=5e-6)
    assert soil.b[0] == cosby([0.23], [0.27]).b[0]


def test_heads_are_those_of_33_and_1500_kpa():
    assert abs(CRITICAL - 3.365) < 5e-4
    assert abs(WILTING - 152.96) < 5e-3


def test_heads_of_the_namelists_give_their_digits():
    soil = cosby([0.23], [0.27])
    for head, digits in ((3.364, 0.242433), (152.9, 0.136328)):
        assert moisture(head, soil.b, soil.sathh, soil.sm_sat)[0] == pytest.approx(digits, abs=2e-6)


def test_van_genuchten_moisture_by_alpha_n_and_m():
    clay, sand = 0.3, 0.4
    soil = cosby([clay], [sand], curve="van_genuchten")
    b, n, alpha = soil.b[0], 1 / soil.b[0] + 1, 1 / soil.sathh[0]
    for head, found in ((CRITICAL, soil.sm_crit[0]), (WILTING, soil.sm_wilt[0])):
        expected = soil.sm_sat[0] / (1 + (alpha * head) ** n) ** (1 - 1 / n)
        assert found == pytest.approx(expected, rel=1e-12)
    # Far from saturation both curves are one.
    dry = [moisture(1e6, b, soil.sathh, soil.sm_sat, curve)[0] for curve in ("brooks_corey", "van_genuchten")]
    assert dry[0] == pytest.approx(dry[1], rel=1e-3)


def test_suction_below_the_saturated_one_is_saturated():
    assert moisture(0.001, [6.0], [0.05], [0.45])[0] == 0.45


def test_missing_texture_is_missing_soil_and_not_usable():
    soil = cosby([0.2, np.nan, 0.2], [0.3, 0.3, np.nan])
    assert soil.usable.tolist() == [True, False, False]
    assert math.isnan(soil.b[1])


def test_ice_and_water_of_jules_ancillaries_are_no_soil():
    good = cosby([0.2], [0.3])
    zeros = np.zeros(1)
    assert not Soil(zeros, zeros, zeros, zeros, zeros, zeros).usable.any()
    assert not Soil(good.b, good.sathh, good.satcon, good.sm_sat, good.sm_wilt, good.sm_crit).usable.any()
    assert good.usable.all()


@pytest.mark.parametrize(("clay", "sand"), [(23.0, 27.0), (-0.1, 0.5), (0.6, 0.5)])
def test_texture_in_percent_or_beyond_the_whole_is_refused(clay, sand):
    with pytest.raises(InputError) as caught:
        cosby([0.2, clay], [0.3, sand])
    problem = caught.value.problems[0]
    assert problem.code == "texture-range"
    assert "1 cells" in problem.what
    assert f"clay {clay:g}" in problem.what


def test_every_possible_texture_gives_a_soil():
    clay, sand = np.meshgrid(np.linspace(0, 1, 41), np.linspace(0, 1, 41))
    inside = clay + sand <= 1
    for variant in ("cosby_jules", "cosby1984"):
        for curve in ("brooks_corey", "van_genuchten"):
            assert cosby(clay[inside], sand[inside], variant, curve).usable.all()


def test_cells_are_picked_together():
    soil = cosby([0.1, 0.2, 0.3], [0.3, 0.3, 0.3]).at([2, 0])
    assert soil.b.tolist() == [cosby([0.3], [0.3]).b[0], cosby([0.1], [0.3]).b[0]]
