"""Potential evaporation against printed examples, xclim and scalar formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr
from xclim.indices import potential_evapotranspiration

from compute.column import pet

ZERO = 273.15


def one(value):
    return np.array([[value]])


@pytest.mark.parametrize(
    ("latitude", "day", "ra", "celsius", "expected"),
    [(-20.0, 246, 32.194, 25.0, 3.942), (10.0, 196, 37.053, 27.0, 4.840)],
)
def test_printed_values_of_radiation_and_oudin(latitude, day, ra, celsius, expected):
    assert pet.extraterrestrial_radiation([latitude], [day])[0, 0] == pytest.approx(ra, abs=5e-4)
    assert pet.oudin(one(celsius + ZERO), [latitude], [day])[0, 0] == pytest.approx(expected, abs=5e-4)


def test_radiation_of_fao_example_8():
    assert pet.extraterrestrial_radiation([-20.0], [246])[0, 0] == pytest.approx(32.2, abs=0.05)


def test_radiation_is_none_in_polar_night_and_goes_on_in_polar_day():
    radiation = pet.extraterrestrial_radiation([80.0, -80.0], [172, 355])
    assert radiation[0, 1] == radiation[1, 0] == pytest.approx(0.0, abs=1e-12)
    assert min(radiation[0, 0], radiation[1, 1]) > 40


def test_radiation_does_not_depend_on_how_cells_and_days_are_grouped():
    latitude, day = np.array([10.0, -5.0, 10.0, 60.0, 3.3]), np.arange(1, 366)
    whole = pet.extraterrestrial_radiation(latitude, day)
    pieces = [
        np.concatenate([pet.extraterrestrial_radiation(latitude[a:b], day[:101]) for a, b in ((0, 2), (2, 5))], axis=1),
        pet.extraterrestrial_radiation(latitude, day[101:]),
    ]
    assert np.array_equal(whole, np.concatenate(pieces))


def test_oudin_is_none_below_minus_five_degrees():
    assert pet.oudin(one(268.15 - 0.01), [50.0], [180])[0, 0] == 0.0
    assert pet.oudin(one(268.15 + 0.01), [50.0], [180])[0, 0] > 0.0
    assert math.isnan(pet.oudin(one(np.nan), [50.0], [180])[0, 0])


def test_oudin_rises_13_percent_with_four_degrees_at_25():
    cool, warm = (pet.oudin(one(celsius + ZERO), [5.0], [100])[0, 0] for celsius in (25.0, 29.0))
    assert warm / cool == pytest.approx(1.1333, abs=1e-4)


def test_hargreaves_of_fao_example_20():
    # Lyon, 45 degrees 43' N, July: 26.6 and 14.8 degC
    assert pet.hargreaves(one(14.8 + ZERO), one(26.6 + ZERO), [45 + 43 / 60], [196])[0, 0] == pytest.approx(
        5.0, abs=0.05
    )


@pytest.mark.filterwarnings("ignore:The 'name' property is deprecated")
def test_hargreaves_against_xclim():
    time = xr.date_range("2001-01-01", periods=365, freq="D", use_cftime=False)
    rng = np.random.default_rng(3)
    low = rng.uniform(270, 295, (365, 3))
    high = low + rng.uniform(2, 18, (365, 3))
    lat = np.array([-25.0, 8.0, 52.0])
    coords = {"time": time, "cell": [0, 1, 2]}
    tasmin, tasmax = (xr.DataArray(v, dims=("time", "cell"), coords=coords, attrs={"units": "K"}) for v in (low, high))
    latitude = xr.DataArray(lat, dims="cell", attrs={"units": "degrees_north"})
    theirs = potential_evapotranspiration(tasmin=tasmin, tasmax=tasmax, lat=latitude, method="HG85")
    ours = pet.hargreaves(low, high, lat, np.arange(1, 366))
    # xclim has another series for the distance and height of the sun
    difference = ours - theirs.transpose("time", "cell").values * 86400  # from kg m-2 s-1
    assert np.abs(difference).max() < 0.2
    assert np.abs(difference.mean(axis=0) / ours.mean(axis=0)).max() < 0.01


def test_hargreaves_without_a_range_is_none():
    assert pet.hargreaves(one(300.0), one(299.0), [5.0], [100])[0, 0] == 0.0


def example_18(**humidity):
    # FAO-56 example 18: Uccle, 50 degrees 48' N, 100 m, 6 July; wind 10 km/h at 10 m, 22.07 MJ m-2 d-1
    return pet.penman_monteith(
        one(12.3 + ZERO), one(21.5 + ZERO), one(22.07 / 0.0864), one(2.78), [50.8], [187], **humidity
    )[0, 0]


def test_penman_monteith_of_fao_example_18():
    # The example's vapour pressure, 1.409 kPa, of its mean saturation pressure, 1.997 kPa.
    assert example_18(hurs=one(100 * 1.409 / 1.997), elevation=[100.0]) == pytest.approx(3.88, abs=0.005)


def test_penman_monteith_takes_specific_humidity_and_pressure():
    pressure = 100_100.0
    huss = 0.622 * 1409 / (pressure - 0.378 * 1409)
    assert example_18(huss=one(huss), ps=one(pressure)) == pytest.approx(3.88, abs=0.005)


def test_penman_monteith_by_scalars():
    def scalar(low, high, rsds, wind, lat, day, hurs, z):
        def e0(t):
            return 0.6108 * math.exp(17.27 * t / (t + 237.3))

        t, p = (low + high) / 2, 101.3 * ((293 - 0.0065 * z) / 293) ** 5.26
        gamma, es = 0.000665 * p, (e0(low) + e0(high)) / 2
        ea, delta = hurs / 100 * es, 4098 * e0(t) / (t + 237.3) ** 2
        phi, tilt = math.radians(lat), 0.409 * math.sin(2 * math.pi * day / 365 - 1.39)
        ws = math.acos(-math.tan(phi) * math.tan(tilt))
        ra = 24 * 60 / math.pi * 0.082 * (1 + 0.033 * math.cos(2 * math.pi * day / 365))
        ra *= ws * math.sin(phi) * math.sin(tilt) + math.cos(phi) * math.cos(tilt) * math.sin(ws)
        rs = rsds * 86400 / 1e6
        rso = (0.75 + 2e-5 * z) * ra
        rnl = 4.903e-9 * ((high + 273.16) ** 4 + (low + 273.16) ** 4) / 2
        rnl *= (0.34 - 0.14 * math.sqrt(ea)) * (1.35 * min(rs / rso, 1) - 0.35)
        u2 = wind * 4.87 / math.log(67.8 * 10 - 5.42)
        top = 0.408 * delta * (0.77 * rs - rnl) + gamma * 900 / (t + 273) * u2 * (es - ea)
        return max(top / (delta + gamma * (1 + 0.34 * u2)), 0.0)

    rng = np.random.default_rng(8)
    shape = (20, 5)
    low = rng.uniform(-3, 25, shape)
    high, rsds, wind = low + rng.uniform(1, 15, shape), rng.uniform(5, 350, shape), rng.uniform(0, 12, shape)
    hurs, lat, z, days = (
        rng.uniform(5, 100, shape),
        rng.uniform(-35, 58, 5),
        rng.uniform(0, 2500, 5),
        np.arange(1, 361, 18),
    )
    found = pet.penman_monteith(low + ZERO, high + ZERO, rsds, wind, lat, days, hurs=hurs, elevation=z)
    for d in range(20):
        for c in range(5):
            row = (low[d, c], high[d, c], rsds[d, c], wind[d, c], lat[c], days[d], hurs[d, c], z[c])
            assert found[d, c] == pytest.approx(scalar(*row), rel=1e-3, abs=1e-9)  # 0.408 is 1 / 2.45 rounded


def test_penman_monteith_in_polar_night_is_a_number():
    args = (one(250.0), one(255.0), one(0.0), one(3.0), [80.0], [355])
    assert pet.penman_monteith(*args, hurs=one(80.0), elevation=[0.0])[0, 0] >= 0.0


@pytest.mark.parametrize(
    "given",
    [
        {"hurs": one(50.0)},
        {"elevation": [0.0]},
        {"huss": one(0.01), "elevation": [0.0]},
        {"hurs": one(50.0), "huss": one(0.01), "ps": one(1e5)},
    ],
)
def test_penman_monteith_without_humidity_or_pressure_is_refused(given):
    with pytest.raises(ValueError, match="needs"):
        example_18(**given)


def test_seasons_of_a_360_day_year_stay_where_they_are():
    day = pet.solar_day(np.arange(1, 361), "360_day")
    assert day[0] == pytest.approx(1.0, abs=0.01)
    assert day[-1] == pytest.approx(365.0, abs=0.01)
    assert day[179:181].mean() == pytest.approx(183.0)
    assert pet.solar_day([1, 366], "standard").tolist() == [1.0, 366.0]
    year = pet.extraterrestrial_radiation([50.0], day).mean()
    assert year == pytest.approx(pet.extraterrestrial_radiation([50.0], np.arange(1, 366)).mean(), rel=1e-4)
