"""The column written a second time, slowly: one cell, arrays of four layers, a dense solver."""

from __future__ import annotations

import numpy as np

DZ = np.array([0.1, 0.25, 0.65, 2.0])
NAMELIST = {
    "b": 6.63,
    "sathh": 0.04946,
    "satcon": 0.004715,
    "sm_sat": 0.45815,
    "sm_crit": 0.242433,
    "sm_wilt": 0.136328,
}
"""The JULES example soil, as its namelists have it."""


def suction(s, b, sathh, curve):
    """psi and its derivative at saturations (n,)."""
    s = np.asarray(s, float)
    if curve == "brooks_corey":
        return sathh * np.maximum(s, 0.01) ** -b, np.where(s <= 0.01, 0.0, -b * sathh * np.maximum(s, 0.01) ** (-b - 1))

    def psi(x):
        return sathh * (x ** -(b + 1) - 1) ** (b / (b + 1))

    def slope(x):
        return -sathh * b * (x ** -(b + 1) - 1) ** (-1 / (b + 1)) * x ** -(b + 2)

    inside = np.clip(s, 0.05, 0.95)
    value, gradient = psi(inside), slope(inside)
    value = np.where(s < 0.05, psi(0.05) + slope(0.05) * (s - 0.05), value)
    value = np.where(s > 0.95, psi(0.95) * (1 - s) / 0.05, value)
    return value, np.where(s > 0.95, -psi(0.95) / 0.05, gradient)


def conductivity(s, b, satcon, curve):
    """K and its derivative at saturations (n,)."""
    s = np.clip(np.asarray(s, float), 0.0, 1.0)
    if curve == "brooks_corey":
        k = satcon * s ** (2 * b + 3)
        return k, np.where(s >= 1, 0.0, (2 * b + 3) * satcon * s ** (2 * b + 2))

    def value(x):
        return satcon * np.sqrt(x) * (1 - (1 - x ** (b + 1)) ** (1 / (b + 1))) ** 2

    def slope(x):
        part = 1 - (1 - x ** (b + 1)) ** (1 / (b + 1))
        inner = x**b * (1 - x ** (b + 1)) ** (1 / (b + 1) - 1)
        return satcon * (0.5 / np.sqrt(x) * part**2 + 2 * np.sqrt(x) * part * inner)

    k = np.interp(s, [0.0, 0.05], [0.0, value(0.05)])
    k = np.where(s > 0.95, np.interp(s, [0.95, 1.0], [value(0.95), satcon]), k)
    inside = (s >= 0.05) & (s <= 0.95)
    k = np.where(inside, value(np.clip(s, 0.05, 0.95)), k)
    outer = np.where(s < 0.05, value(0.05) / 0.05, (satcon - value(0.95)) / 0.05)
    return k, np.where(inside, slope(np.clip(s, 0.05, 0.95)), outer)


def step(s, infiltration, extraction, soil, dt, down=False, curve="brooks_corey"):
    """Saturations (4,) after a step, the fluxes W_0..W_4 through it, and how much it is in trouble."""
    s, e = np.array(s, float), np.asarray(extraction, float)
    full = 1000 * DZ * soil["sm_sat"]
    psi, psi_slope = suction(s, soil["b"], soil["sathh"], curve)
    w, above, below = np.zeros(5), np.zeros(5), np.zeros(5)
    w[0] = infiltration
    for n in range(3):
        a, c = DZ[n], DZ[n + 1]
        k, k_slope = conductivity((c * s[n] + a * s[n + 1]) / (a + c), soil["b"], soil["satcon"], curve)
        gradient = 2 * (psi[n + 1] - psi[n]) / (a + c) + 1
        w[n + 1] = k * gradient
        above[n + 1] = k_slope * c / (a + c) * gradient - 2 * k * psi_slope[n] / (a + c)
        below[n + 1] = k_slope * a / (a + c) * gradient + 2 * k * psi_slope[n + 1] / (a + c)
    w[4], above[4] = conductivity(s[3], soil["b"], soil["satcon"], curve)
    gain, trouble = np.zeros(4), 0
    for n in range(4) if down else range(3, -1, -1):
        gain[n] = (w[n] - w[n + 1] - e[n]) * dt
        if full[n] * s[n] + gain[n] > full[n]:
            trouble = 1
            gain[n] = full[n] - full[n] * s[n]
            if down:
                w[n + 1] = w[n] - e[n] - gain[n] / dt
            else:
                w[n] = w[n + 1] + e[n] + gain[n] / dt
    g = dt / full
    matrix = np.zeros((4, 4))
    for n in range(4):
        matrix[n, n] = 1 - g[n] * (below[n] - above[n + 1])
        if n > 0:
            matrix[n, n - 1] = -g[n] * above[n]
        if n < 3:
            matrix[n, n + 1] = g[n] * below[n + 1]
    solved = np.linalg.solve(matrix, gain / full)
    x = np.clip(solved, -s, 1 - s)
    for n in range(4):
        w[n + 1] = w[n] - e[n] - full[n] * x[n] / dt
    if (solved < -0.7 * s).any() or (s + solved > 1.01).any() or w[4] < -1e-10:
        trouble = 2
    return s + x, w, trouble


def day(s, store, rain_day, pet_day, soil, lai, roots, steps, rain_steps, factor, limit, down, curve):
    """Saturations, canopy store, eleven means (smcl, beta, runoff, drainage, evaporation) and trouble of a day."""
    dt = 86400 / steps
    capacity, bare = 0.5 + 0.05 * lai, np.exp(-0.5 * lai)
    full = 1000 * DZ * soil["sm_sat"]
    means, worst = np.zeros(11), 0
    for number in range(steps):
        rain = rain_day / 86400 * steps / rain_steps if number < rain_steps else 0.0
        demand = max(pet_day, 0.0) / 86400
        from_canopy = min(demand * (1 - bare) * store / capacity, store / dt)
        store -= from_canopy * dt
        through = rain * store / capacity if rain <= capacity / dt else rain - (capacity - store) / dt
        store += (rain - through) * dt
        theta = s * soil["sm_sat"]
        beta = np.clip((theta - soil["sm_wilt"]) / (soil["sm_crit"] - soil["sm_wilt"]), 0, 1)
        e = (demand * (1 - bare) - from_canopy) * roots * beta
        if s[0] > 0.02:
            e[0] += demand * bare * min(1.0, (theta[0] / soil["sm_crit"]) ** 2)
        e = np.minimum(e, limit * full * s / dt)
        s, w, trouble = step(s, min(through, factor * soil["satcon"]), e, soil, dt, down, curve)
        worst = max(worst, trouble)
        means += np.concatenate([full * s, beta, [through - w[0], w[4], e.sum() + from_canopy]]) / steps
    return s, store, means, worst


def days(pr, pet, soil, lai, state, roots, *, steps=8, rain_steps=2, factor=4.0, limit=0.5, down=False, curve):
    """smcl, beta of layers (days, 4), runoff, drainage, evaporation (days,) kg m-2 s-1, state (5,), tries (days,)."""
    s, store = np.array(state[:4], float), float(state[4])
    rows, tries = [], []
    for rain_day, pet_day in zip(pr, pet, strict=True):
        for attempt in range(4):
            finer = 6**attempt
            after = day(
                s,
                store,
                rain_day,
                pet_day,
                soil,
                lai,
                roots,
                steps * finer,
                rain_steps * finer,
                factor,
                limit,
                down,
                curve,
            )
            if after[3] < min(attempt + 1, 2):
                break
        s, store, means, _ = after
        rows.append(means)
        tries.append(attempt)
    table = np.array(rows)
    return table[:, :4], table[:, 4:8], table[:, 8], table[:, 9], table[:, 10], np.append(s, store), tries
