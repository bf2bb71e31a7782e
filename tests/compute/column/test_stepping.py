"""One step against printed numbers, a second implementation and the limits of the curves."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest

from compute.column import curves, stepping

from . import plain

DT = 10800.0
STEPS = {"brooks_corey": stepping.brooks_corey_step, "van_genuchten": stepping.van_genuchten_step}
SUCTION = {"brooks_corey": curves.brooks_corey_suction, "van_genuchten": curves.van_genuchten_suction}
CONDUCTIVITY = {
    "brooks_corey": curves.brooks_corey_conductivity,
    "van_genuchten": curves.van_genuchten_conductivity,
}
DRY = (0.0, 0.0, 0.0, 0.0)


def properties(soil):
    return tuple(float(soil[name]) for name in ("b", "sathh", "satcon", "sm_sat"))


def fluxes(before, after, w0, e, soil):
    """W_0 .. W_4 from storage changes."""
    w = [w0]
    for n in range(4):
        w.append(w[n] - e[n] - 1000 * plain.DZ[n] * soil["sm_sat"] * (after[n] - before[n]) / DT)
    return w


def test_first_of_the_printed_steps():
    s = (0.6, 0.6, 0.6, 0.6)
    after, w0, w4, trouble = stepping.brooks_corey_step(s, 1e-4, DRY, properties(plain.NAMELIST), DT, False, False)
    assert after == pytest.approx([0.62261136, 0.6002732, 0.60000064, 0.6], abs=6e-9)
    assert w0 == 1e-4
    assert trouble == 0
    expected = [1e-4, 4.0797e-6, 1.18235e-6, 1.16474e-6, 1.16472e-6]
    assert fluxes(s, after, w0, DRY, plain.NAMELIST) == pytest.approx(expected, rel=6e-6)
    assert w4 == pytest.approx(1.16472e-6, abs=6e-12)


def test_last_of_the_printed_steps():
    s = (0.6, 0.6, 0.6, 0.6)
    for _ in range(8):
        s, _, _, _ = stepping.brooks_corey_step(s, 1e-4, DRY, properties(plain.NAMELIST), DT, False, False)
    assert s == pytest.approx([0.725410, 0.623872, 0.600199, 0.600000], abs=6e-7)


def test_excess_goes_back_up_or_down():
    s = (0.99, 0.99, 0.99, 0.99)
    up, refused, _, full = stepping.brooks_corey_step(s, 5e-3, DRY, properties(plain.NAMELIST), DT, False, False)
    assert up == pytest.approx([0.990616, 0.990550, 0.990405, 0.990151], abs=6e-7)
    assert refused == pytest.approx(0.00404657, abs=6e-9)
    assert full == 1
    down, kept, _, _ = stepping.brooks_corey_step(s, 5e-3, DRY, properties(plain.NAMELIST), DT, True, False)
    assert down == pytest.approx([0.990467, 0.991380, 0.994101, 0.995751], abs=6e-7)
    assert kept == 5e-3


def test_printed_suction_and_conductivity():
    assert curves.brooks_corey_suction(0.5, 6.63, 0.0494561)[0] == pytest.approx(4.8983, abs=6e-5)
    assert curves.brooks_corey_conductivity(0.5, 6.63, 0.00471503)[0] == pytest.approx(6.0081e-8, abs=6e-13)


@pytest.mark.parametrize("curve", ["brooks_corey", "van_genuchten"])
def test_curves_and_slopes_against_plain_ones(curve):
    b, sathh, satcon = 4.7, 0.13, 0.003
    for s in (0.0, 0.005, 0.02, 0.0499, 0.05, 0.0501, 0.2, 0.5, 0.8, 0.9499, 0.9501, 0.97, 0.999, 1.0):
        found = SUCTION[curve](s, b, sathh)
        expected = [float(v) for v in plain.suction(s, b, sathh, curve)]
        assert found == pytest.approx(expected, rel=1e-9), s
        found = CONDUCTIVITY[curve](s, b, satcon)
        expected = [float(v) for v in plain.conductivity(s, b, satcon, curve)]
        # The wet end of 1 - (1 - S ** (b + 1)) ** m is all there is of it in very dry soil.
        assert found == pytest.approx(expected, rel=1e-7, abs=1e-20), s


@pytest.mark.parametrize("curve", ["brooks_corey", "van_genuchten"])
def test_slopes_are_those_of_the_curves(curve):
    h = 1e-6
    for function, parameter in ((SUCTION[curve], 0.13), (CONDUCTIVITY[curve], 0.003)):
        for s in (0.02, 0.07, 0.3, 0.6, 0.9, 0.96):
            middle = (function(s + h, 4.7, parameter)[0] - function(s - h, 4.7, parameter)[0]) / (2 * h)
            assert function(s, 4.7, parameter)[1] == pytest.approx(middle, rel=1e-5, abs=1e-14)


def test_van_genuchten_at_its_limits():
    b, sathh, satcon = 4.0, 0.2, 0.004
    assert curves.van_genuchten_suction(1.0, b, sathh)[0] == pytest.approx(0.0, abs=1e-12)
    assert curves.van_genuchten_conductivity(1.0, b, satcon)[0] == pytest.approx(satcon, rel=1e-12)
    assert curves.van_genuchten_conductivity(0.0, b, satcon)[0] == 0.0
    # In dry soil its suction is that of Brooks and Corey.
    ratio = curves.van_genuchten_suction(0.06, b, sathh)[0] / (sathh * 0.06**-b)
    assert ratio == pytest.approx(1.0, abs=1e-4)
    # van Genuchten's alpha, n and m: S (1 + (alpha psi) ** n) ** m = 1
    n = 1 / b + 1
    psi = curves.van_genuchten_suction(0.6, b, sathh)[0]
    assert 0.6 * (1 + (psi / sathh) ** n) ** (1 - 1 / n) == pytest.approx(1.0, rel=1e-12)


def random_soil(rng):
    return {
        "b": rng.uniform(2.8, 12),
        "sathh": 10 ** rng.uniform(-2, 0),
        "satcon": 10 ** rng.uniform(-3.5, -1.5),
        "sm_sat": rng.uniform(0.35, 0.5),
    }


def random_fluxes(rng, s, soil):
    e = np.minimum(rng.uniform(0, 1e-4, 4), 0.5 * 1000 * plain.DZ * soil["sm_sat"] * s / DT)
    return (0.0 if rng.random() < 0.3 else rng.uniform(0, 4 * soil["satcon"])), e


def check_balance(s, found, infiltrated, drained, e, soil):
    assert min(found) >= 0
    assert max(found) <= 1 + 1e-15
    stored = 1000 * soil["sm_sat"] * float(np.dot(plain.DZ, np.array(found) - s))
    assert stored == pytest.approx((infiltrated - drained - e.sum()) * DT, abs=1e-11)


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("curve", ["brooks_corey", "van_genuchten"])
def test_step_against_a_plain_one_over_random_states(curve, down):
    rng = np.random.default_rng(11)
    for _ in range(400):
        soil, s = random_soil(rng), rng.uniform(0.15, 1.0, 4)
        s[rng.random(4) < 0.1] = 1.0
        w0, e = random_fluxes(rng, s, soil)
        expected, w, astray = plain.step(s, w0, e, soil, DT, down, curve)
        found, infiltrated, drained, trouble = STEPS[curve](tuple(s), w0, tuple(e), properties(soil), DT, down, False)
        assert found == pytest.approx(expected, rel=1e-8, abs=1e-10)
        assert infiltrated == pytest.approx(w[0], rel=1e-8, abs=1e-12)
        assert drained == pytest.approx(w[4], rel=1e-7, abs=1e-11)
        assert trouble == astray
        check_balance(s, found, infiltrated, drained, e, soil)


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("curve", ["brooks_corey", "van_genuchten"])
def test_bounded_step_is_sound_with_empty_layers_beside_full_ones(curve, down):
    rng = np.random.default_rng(12)
    for _ in range(300):
        soil, s = random_soil(rng), rng.choice([0.0, 1e-6, 0.01, 0.03, 0.5, 1.0], 4)
        w0, e = random_fluxes(rng, s, soil)
        found, infiltrated, drained, _ = STEPS[curve](tuple(s), w0, tuple(e), properties(soil), DT, down, True)
        assert drained >= -1e-15
        assert (np.array(found) >= 0.09 * s).all()
        check_balance(s, found, infiltrated, drained, e, soil)


def test_fluxes_gone_astray_are_noticed():
    rng = np.random.default_rng(13)
    for _ in range(300):
        soil, s = random_soil(rng), rng.choice([0.0, 0.01, 0.05, 0.5, 1.0], 4)
        after, _, drained, trouble = STEPS["brooks_corey"](tuple(s), 0.0, DRY, properties(soil), DT, False, False)
        if np.isnan(after).any() or drained < -1e-9 or (np.array(after) < 0.2 * s).any():
            assert trouble == 2


def test_power_is_exact_to_the_last_digits():
    rng = np.random.default_rng(5)
    with localcontext() as context:
        context.prec = 40
        for _ in range(2000):
            base = float(rng.uniform(1e-9, 1)) if rng.random() < 0.7 else float(10 ** rng.uniform(-12, 15))
            exponent = float(rng.uniform(-25, 45))
            amplified = 1 + abs(exponent * math.log(base))
            if amplified > 690:
                continue
            exact = (Decimal(base).ln() * Decimal(exponent)).exp()
            error = abs(float((Decimal(float(curves.power(base, exponent))) - exact) / exact))
            assert error < 4e-16 * amplified
    assert curves.power(1.0, 13.3) == 1.0
