"""Potential evaporation, mm d-1, of (days, cells): from temperature alone, from its daily range, or by Penman-Monteith.

Equation numbers are those of FAO-56: Allen et al. 1998, Crop evapotranspiration, FAO Irrigation and Drainage Paper 56.
Latitudes are degrees north (cells,), days of the year count from 1 (days,); see `solar_day` for other calendars.
Missing values give missing values.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

SOLAR_CONSTANT = 0.0820
"""MJ m-2 min-1"""
LATENT_HEAT = 2.45
"""MJ kg-1: turns energy into a depth of water, equation 20"""
STEFAN_BOLTZMANN = 4.903e-9
"""MJ K-4 m-2 d-1"""
FREEZING = 273.15


def solar_day(day_of_year: ArrayLike, calendar: str) -> Array:
    """Days of the year (days,) on the scale of 365 that the formulas of the sun's position want.

    Years of 360 days are stretched, middle of day to middle of day, so that seasons stay where they are; other
    calendars are left as they are.
    """
    day = np.asarray(day_of_year, np.float64)
    return (day - 0.5) * (365.0 / 360.0) + 0.5 if calendar == "360_day" else day


def extraterrestrial_radiation(latitude: ArrayLike, day_of_year: ArrayLike) -> Array:
    """Daily radiation above the atmosphere (days, cells), MJ m-2 d-1; equations 21 to 25."""
    # A block has few latitudes and few days of the year beside its cells and days.
    latitudes, of_cell = np.unique(np.asarray(latitude, np.float64), return_inverse=True)
    days, of_day = np.unique(np.asarray(day_of_year, np.float64), return_inverse=True)
    angle = (2 * np.pi / 365 * days)[:, np.newaxis]
    distance = 1 + 0.033 * np.cos(angle)
    declination = 0.409 * np.sin(angle - 1.39)
    phi = np.deg2rad(latitudes)
    sunset = np.arccos(np.clip(-np.tan(phi) * np.tan(declination), -1, 1))
    up = sunset * np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.sin(sunset)
    table: Array = 24 * 60 / np.pi * SOLAR_CONSTANT * distance * up
    return table[of_day[:, np.newaxis], of_cell]


def oudin(tas: ArrayLike, latitude: ArrayLike, day_of_year: ArrayLike) -> Array:
    """From mean temperature, K, (days, cells): Ra / 2.45 * (T + 5) / 100 above -5 degC, else 0.

    Oudin et al. 2005, J. Hydrol. 303, 290, doi:10.1016/j.jhydrol.2004.08.026. Knowing temperature only, it exaggerates
    what warming adds.
    """
    warmth = np.asarray(tas, np.float64) - (FREEZING - 5.0)
    return extraterrestrial_radiation(latitude, day_of_year) / LATENT_HEAT * np.maximum(warmth, 0.0) / 100.0


def hargreaves(tasmin: ArrayLike, tasmax: ArrayLike, latitude: ArrayLike, day_of_year: ArrayLike) -> Array:
    """From daily minimum and maximum temperature, K, (days, cells); equation 52. Never below 0.

    A minimum above the maximum counts as no range.
    """
    least, most = np.asarray(tasmin, np.float64), np.asarray(tasmax, np.float64)
    mean, span = (least + most) / 2 - FREEZING, np.maximum(most - least, 0.0)
    energy = extraterrestrial_radiation(latitude, day_of_year) / LATENT_HEAT
    return 0.0023 * energy * np.maximum(mean + 17.8, 0.0) * np.sqrt(span)


def saturation_pressure(temperature: ArrayLike) -> Array:
    """Saturation vapour pressure, kPa, at a temperature in degC; equation 11."""
    celsius = np.asarray(temperature, np.float64)
    pressure: Array = 0.6108 * np.exp(17.27 * celsius / (celsius + 237.3))
    return pressure


def penman_monteith(
    tasmin: ArrayLike,
    tasmax: ArrayLike,
    rsds: ArrayLike,
    sfcwind: ArrayLike,
    latitude: ArrayLike,
    day_of_year: ArrayLike,
    *,
    hurs: ArrayLike | None = None,
    huss: ArrayLike | None = None,
    ps: ArrayLike | None = None,
    elevation: ArrayLike | None = None,
) -> Array:
    """Evapotranspiration of the grass reference surface, equation 6, from (days, cells). Never below 0.

    tasmin, tasmax  daily extremes of air temperature, K; give the mean for both where only that is known, which lowers
                    the saturation deficit
    rsds            downward solar radiation, W m-2
    sfcwind         wind speed at 10 m, m s-1
    hurs            relative humidity, %; equation 19
    huss            specific humidity, kg kg-1, with `ps`; instead of hurs
    ps              surface pressure, Pa
    elevation       metres (cells,), where `ps` is not given; equation 7

    Net longwave radiation is estimated from temperature, humidity and the share of clear-sky radiation, equation 39;
    heat flux into the ground is neglected, equation 42.

    Raises ValueError unless hurs or (huss and ps), and ps or elevation are given.
    """
    if ps is None and elevation is None:
        raise ValueError("penman_monteith needs ps or elevation")
    if (hurs is None) == (huss is None) or (huss is not None and ps is None):
        raise ValueError("penman_monteith needs hurs, or huss together with ps")
    least, most = np.asarray(tasmin, np.float64) - FREEZING, np.asarray(tasmax, np.float64) - FREEZING
    mean = (least + most) / 2
    if ps is not None:
        pressure = np.asarray(ps, np.float64) / 1000
        height = (293 - 293 * (pressure / 101.3) ** (1 / 5.26)) / 0.0065
    else:
        height = np.asarray(elevation, np.float64)
        pressure = 101.3 * ((293 - 0.0065 * height) / 293) ** 5.26
    psychrometric = 0.665e-3 * pressure  # equation 8
    saturated = (saturation_pressure(least) + saturation_pressure(most)) / 2  # equation 12
    slope = 4098 * saturation_pressure(mean) / (mean + 237.3) ** 2  # equation 13
    if hurs is not None:
        vapour = np.asarray(hurs, np.float64) / 100 * saturated
    else:
        humidity = np.asarray(huss, np.float64)
        vapour = humidity * pressure / (0.622 + 0.378 * humidity)
    incoming = np.asarray(rsds, np.float64) * 0.0864
    clear = (0.75 + 2e-5 * height) * extraterrestrial_radiation(latitude, day_of_year)  # equation 37
    share = np.minimum(np.divide(incoming, clear, out=np.ones_like(incoming), where=clear > 0), 1.0)
    emitted = STEFAN_BOLTZMANN * ((least + 273.16) ** 4 + (most + 273.16) ** 4) / 2
    longwave = emitted * (0.34 - 0.14 * np.sqrt(vapour)) * (1.35 * share - 0.35)  # equation 39
    net = 0.77 * incoming - longwave  # equations 38 and 40
    wind = np.asarray(sfcwind, np.float64) * 4.87 / np.log(67.8 * 10 - 5.42)  # equation 47
    energy = slope * net / LATENT_HEAT
    air = psychrometric * 900 / (mean + 273) * wind * (saturated - vapour)
    rate: Array = np.maximum((energy + air) / (slope + psychrometric * (1 + 0.34 * wind)), 0.0)
    return rate
