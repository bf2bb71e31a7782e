"""The compiled part of the column: one implicit step, and days of steps over many cells.

Equations of JULES (Best et al. 2011, GMD 4, 677, doi:10.5194/gmd-4-677-2011), one soil for all layers:

- Darcy fluxes between layers from suction `psi` and conductivity `K`, free drainage below, solved implicitly
  (gamma = 1) for the change of saturation S of each layer; what a full layer cannot hold goes back up to the surface,
  or down where `l_soil_sat_down`. Fluxes are then taken from the storage changes downwards: the balance is exact.
- Interception as for a point: a canopy of capacity C with store c lets F = R c / C through while R <= C / dt, else
  R - (C - c) / dt. What exceeds the infiltration capacity runs off.
- The wet share c / C of the canopy evaporates at the potential rate, the rest of the canopy's demand is transpired.

Saturations, stores (mm) and fluxes (kg m-2 s-1, positive down) are float64. All cells run in lanes of one buffer, which
LLVM turns into vector instructions; results do not depend on which cells share a buffer, nor on the processor's vector
width, because every lane does the same IEEE operations: no library function, no fused or reordered arithmetic.

All compiled functions are in this file: numba's cache only looks at the file of the outermost one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

THICKNESS = (0.1, 0.25, 0.65, 2.0)
"""Layer thicknesses in metres, from the top."""

STATICS = 13
"""Rows of `statics`: b, sathh, satcon, sm_sat, sm_crit, sm_wilt, share of the demand that falls on bare soil, canopy
capacity (mm), infiltration capacity (kg m-2 s-1), root shares of the four layers."""

D1, D2, D3, D4 = THICKNESS
DAY = 86400.0
LN2, LN2_REST = 6.93147180369123816490e-01, 1.90821492927058770002e-10
LANES = 32

# Rows of the buffer of all lanes, as offsets into it: state, forcing, statics, sums over the steps of a day.
S1, S2, S3, S4, STORE, RAIN, DEMAND = (row * LANES for row in range(7))
FIRST = 7 * LANES
B, SATHH, SATCON, SM_SAT, SM_CRIT, SM_WILT, BARE = (FIRST + row * LANES for row in range(7))
CAPACITY, INFILTRATION, ROOTS1, ROOTS2, ROOTS3, ROOTS4 = (FIRST + row * LANES for row in range(7, STATICS))
SUM_S1, SUM_S2, SUM_S3, SUM_S4 = (FIRST + (STATICS + row) * LANES for row in range(4))
SUM_BETA1, SUM_BETA2, SUM_BETA3, SUM_BETA4 = (FIRST + (STATICS + row) * LANES for row in range(4, 8))
SUM_EVAPORATION, SUM_RUNOFF, SUM_DRAINAGE = (FIRST + (STATICS + row) * LANES for row in range(8, 11))
ROWS = 7 + STATICS + 11


def _inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    compiled: Callable[..., Any] = numba.njit(cache=True, error_model="numpy", nogil=True, forceinline=True)(function)
    return compiled


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    compiled: Callable[..., Any] = numba.njit(cache=True, error_model="numpy", nogil=True)(function)
    return compiled


@_inlined
def power(base: Any, exponent: Any) -> Any:
    """base ** exponent of a positive normal number, within 4e-16 (1 + |exponent ln base|) of it, relative.

    The same bits on every processor, and arithmetic only, so that it is done for several lanes at once.
    """
    bits = np.float64(base).view(np.int64)
    # base = mantissa * 2**two with mantissa between sqrt(1/2) and sqrt(2), whose bits are the constant.
    two = (bits - np.int64(0x3FE6A09E667F3BCD)) >> np.int64(52)
    mantissa = np.int64(bits - (two << np.int64(52))).view(np.float64)
    # ln m = 2 artanh f, f = (m - 1) / (m + 1), as a series in f ** 2
    f = (mantissa - 1.0) / (mantissa + 1.0)
    z = f * f
    artanh = (((1 / 19.0 * z + 1 / 17.0) * z + 1 / 15.0) * z + 1 / 13.0) * z + 1 / 11.0
    artanh = f + f * z * ((((artanh * z + 1 / 9.0) * z + 1 / 7.0) * z + 1 / 5.0) * z + 1 / 3.0)
    # ln 2 in two parts, the first short enough for exact products with integers.
    log = np.float64(two) * LN2 + (2.0 * artanh + np.float64(two) * LN2_REST)
    y = min(max(exponent * log, -700.0), 700.0)
    # Adding 1.5 * 2**52 rounds to the nearest integer and leaves it in the lowest bits.
    shifted = y * 1.4426950408889634 + 6755399441055744.0
    whole = shifted - 6755399441055744.0
    r = (y - whole * LN2) - whole * LN2_REST
    exp = (((1 / 6227020800.0 * r + 1 / 479001600.0) * r + 1 / 39916800.0) * r + 1 / 3628800.0) * r + 1 / 362880.0
    exp = (((exp * r + 1 / 40320.0) * r + 1 / 5040.0) * r + 1 / 720.0) * r + 1 / 120.0
    exp = ((((exp * r + 1 / 24.0) * r + 1 / 6.0) * r + 0.5) * r + 1.0) * r + 1.0
    scale = np.int64((np.float64(shifted).view(np.int64) + np.int64(1023)) << np.int64(52)).view(np.float64)
    return exp * scale


@_inlined
def brooks_corey_suction(s: Any, b: Any, sathh: Any) -> Any:
    """Suction, m, at a saturation, and its derivative."""
    held = max(s, 0.01)
    psi = sathh * power(held, -b)
    return psi, (-b * psi / held if s > 0.01 else 0.0)


@_inlined
def brooks_corey_conductivity(s: Any, b: Any, satcon: Any) -> Any:
    """Conductivity, kg m-2 s-1, at a saturation, and its derivative."""
    # Below 1e-9 the conductivity is 0 in all but name, and the logarithm of 0 is avoided.
    held = min(max(s, 1e-9), 1.0)
    k = satcon * power(held, 2.0 * b + 3.0)
    return k, ((2.0 * b + 3.0) * k / held if s < 1.0 else 0.0)


@_inlined
def van_genuchten_suction(s: Any, b: Any, sathh: Any) -> Any:
    """Suction, m, at a saturation, and its derivative."""
    held = min(max(s, 0.05), 0.95)
    y = power(held, b + 1.0)
    u = 1.0 / y - 1.0
    psi = sathh * power(u, b / (b + 1.0))
    slope = -b * psi / (u * y * held)
    # Linear beyond: along the tangent when dry, to 0 at saturation.
    wet = -psi / 0.05
    return (psi + wet * (s - 0.95), wet) if s > 0.95 else (psi + slope * min(s - 0.05, 0.0), slope)


@_inlined
def van_genuchten_conductivity(s: Any, b: Any, satcon: Any) -> Any:
    """Conductivity, kg m-2 s-1, at a saturation, and its derivative."""
    s = min(max(s, 0.0), 1.0)
    held = min(max(s, 0.05), 0.95)
    y = power(held, b + 1.0)
    v = power(1.0 - y, 1.0 / (b + 1.0))
    root = satcon * np.sqrt(held)
    k = root * (1.0 - v) * (1.0 - v)
    slope = 0.5 * k / held + 2.0 * root * (1.0 - v) * v / (1.0 - y) * y / held
    # Linear beyond: to 0 in dry soil, to `satcon` at saturation.
    wet = (satcon - k) / 0.05
    dry = k / 0.05
    if s > 0.95:
        k, slope = k + wet * (s - 0.95), wet
    elif s < 0.05:
        k, slope = dry * s, dry
    return k, slope


@_inlined
def _between(k: Any, psi: Any, psi_below: Any, a: Any, c: Any) -> Any:
    """The flux between layers a over c metres thick, and its derivatives by the saturation above and below.

    k, psi and psi_below are pairs of a value and its derivative.
    """
    half = 2.0 / (a + c)
    gradient = half * (psi_below[0] - psi[0]) + 1.0
    above = k[1] * c / (a + c) * gradient - half * k[0] * psi[1]
    below = k[1] * a / (a + c) * gradient + half * k[0] * psi_below[1]
    return k[0] * gradient, above, below


@_inlined
def _at_face(above: Any, below: Any, a: Any, c: Any) -> Any:
    """Saturation at the face of two layers; the weights are crossed on purpose."""
    return (c * above + a * below) / (a + c)


@_inlined
def _solve(s: Any, k: Any, psi: Any, w0: Any, e: Any, sm_sat: Any, dt: Any, down: Any) -> Any:
    """Saturations after a step, infiltration taken up and drainage; k at the lower faces, psi at the centres."""
    w1, u1, l1 = _between(k[0], psi[0], psi[1], D1, D2)
    w2, u2, l2 = _between(k[1], psi[1], psi[2], D2, D3)
    w3, u3, l3 = _between(k[2], psi[2], psi[3], D3, D4)
    w4, u4 = k[3]
    # Everything as a flux: m is what fills a layer from dry in one step.
    m = 1000.0 * sm_sat / dt
    m1, m2, m3, m4 = m * D1, m * D2, m * D3, m * D4
    room1, room2, room3, room4 = m1 * (1.0 - s[0]), m2 * (1.0 - s[1]), m3 * (1.0 - s[2]), m4 * (1.0 - s[3])
    if down:
        r1 = min(w0 - w1 - e[0], room1)
        w1 = w0 - e[0] - r1
        r2 = min(w1 - w2 - e[1], room2)
        w2 = w1 - e[1] - r2
        r3 = min(w2 - w3 - e[2], room3)
        w3 = w2 - e[2] - r3
        r4 = min(w3 - w4 - e[3], room4)
    else:
        r4 = min(w3 - w4 - e[3], room4)
        w3 = w4 + e[3] + r4
        r3 = min(w2 - w3 - e[2], room3)
        w2 = w3 + e[2] + r3
        r2 = min(w1 - w2 - e[1], room2)
        w1 = w2 + e[1] + r2
        r1 = min(w0 - w1 - e[0], room1)
        w0 = w1 + e[0] + r1
    # The tridiagonal system by elimination downwards and substitution upwards.
    p1 = m1 + u1
    q = -u1 / p1
    p2, r2 = m2 - l1 + u2 - q * l1, r2 - q * r1
    q = -u2 / p2
    p3, r3 = m3 - l2 + u3 - q * l2, r3 - q * r2
    q = -u3 / p3
    p4, r4 = m4 - l3 + u4 - q * l3, r4 - q * r3
    x4 = r4 / p4
    x3 = (r3 - l3 * x4) / p3
    x2 = (r2 - l2 * x3) / p2
    x1 = (r1 - l1 * x2) / p1
    x1 = min(max(x1, -s[0]), 1.0 - s[0])
    x2 = min(max(x2, -s[1]), 1.0 - s[1])
    x3 = min(max(x3, -s[2]), 1.0 - s[2])
    x4 = min(max(x4, -s[3]), 1.0 - s[3])
    w4 = w0 - e[0] - e[1] - e[2] - e[3] - m1 * x1 - m2 * x2 - m3 * x3 - m4 * x4
    return (s[0] + x1, s[1] + x2, s[2] + x3, s[3] + x4), w0, w4


@_inlined
def brooks_corey_step(s: Any, w0: Any, e: Any, soil: Any, dt: Any, down: Any) -> Any:
    """One step of the soil, Brooks and Corey's curves: saturations after it, infiltration taken up, drainage.

    s saturations (4), w0 infiltration offered and e extraction from each layer (4), kg m-2 s-1; soil the tuple
    (b, sathh, satcon, sm_sat); dt seconds; down as `l_soil_sat_down`.
    psi = sathh S ** -b, K = satcon S ** (2 b + 3).
    """
    b, sathh, satcon, sm_sat = soil
    k = (
        brooks_corey_conductivity(_at_face(s[0], s[1], D1, D2), b, satcon),
        brooks_corey_conductivity(_at_face(s[1], s[2], D2, D3), b, satcon),
        brooks_corey_conductivity(_at_face(s[2], s[3], D3, D4), b, satcon),
        brooks_corey_conductivity(s[3], b, satcon),
    )
    psi = (
        brooks_corey_suction(s[0], b, sathh),
        brooks_corey_suction(s[1], b, sathh),
        brooks_corey_suction(s[2], b, sathh),
        brooks_corey_suction(s[3], b, sathh),
    )
    return _solve(s, k, psi, w0, e, sm_sat, dt, down)


@_inlined
def van_genuchten_step(s: Any, w0: Any, e: Any, soil: Any, dt: Any, down: Any) -> Any:
    """As `brooks_corey_step` with van Genuchten's curves, linear where S is below 0.05 or above 0.95.

    b = 1 / (n - 1), sathh = 1 / alpha, moistures above the residual one.
    psi = sathh (S ** -(b + 1) - 1) ** (b / (b + 1)),
    K = satcon S ** 0.5 (1 - (1 - S ** (b + 1)) ** (1 / (b + 1))) ** 2.
    """
    b, sathh, satcon, sm_sat = soil
    k = (
        van_genuchten_conductivity(_at_face(s[0], s[1], D1, D2), b, satcon),
        van_genuchten_conductivity(_at_face(s[1], s[2], D2, D3), b, satcon),
        van_genuchten_conductivity(_at_face(s[2], s[3], D3, D4), b, satcon),
        van_genuchten_conductivity(s[3], b, satcon),
    )
    psi = (
        van_genuchten_suction(s[0], b, sathh),
        van_genuchten_suction(s[1], b, sathh),
        van_genuchten_suction(s[2], b, sathh),
        van_genuchten_suction(s[3], b, sathh),
    )
    return _solve(s, k, psi, w0, e, sm_sat, dt, down)


@_inlined
def _surface(t: Any, i: Any, raining: Any, limit: Any, dt: Any) -> Any:
    """Throughfall and extraction from the layers in lane i; the canopy store and the sums of the day are changed."""
    s1, s2, s3, s4, store = t[S1 + i], t[S2 + i], t[S3 + i], t[S4 + i], t[STORE + i]
    sm_sat, sm_crit, sm_wilt, capacity = t[SM_SAT + i], t[SM_CRIT + i], t[SM_WILT + i], t[CAPACITY + i]
    soil = t[DEMAND + i] * t[BARE + i]
    canopy = t[DEMAND + i] - soil
    wet = min(canopy * store / capacity, store / dt)
    canopy = canopy - wet
    store = store - wet * dt
    rain = t[RAIN + i] * raining
    throughfall = rain * store / capacity if rain * dt <= capacity else rain - (capacity - store) / dt
    t[STORE + i] = store + (rain - throughfall) * dt
    span = 1.0 / (sm_crit - sm_wilt)
    beta1 = min(max((s1 * sm_sat - sm_wilt) * span, 0.0), 1.0)
    beta2 = min(max((s2 * sm_sat - sm_wilt) * span, 0.0), 1.0)
    beta3 = min(max((s3 * sm_sat - sm_wilt) * span, 0.0), 1.0)
    beta4 = min(max((s4 * sm_sat - sm_wilt) * span, 0.0), 1.0)
    relative = s1 * sm_sat / sm_crit
    soil = soil * min(relative * relative, 1.0) if s1 > 0.02 else 0.0
    most = limit * 1000.0 * sm_sat / dt
    e1 = min(canopy * t[ROOTS1 + i] * beta1 + soil, most * D1 * s1)
    e2 = min(canopy * t[ROOTS2 + i] * beta2, most * D2 * s2)
    e3 = min(canopy * t[ROOTS3 + i] * beta3, most * D3 * s3)
    e4 = min(canopy * t[ROOTS4 + i] * beta4, most * D4 * s4)
    t[SUM_BETA1 + i] += beta1
    t[SUM_BETA2 + i] += beta2
    t[SUM_BETA3 + i] += beta3
    t[SUM_BETA4 + i] += beta4
    t[SUM_EVAPORATION + i] += wet + e1 + e2 + e3 + e4
    return throughfall, (e1, e2, e3, e4)


@_inlined
def _account(t: Any, i: Any, s: Any, runoff: Any, drainage: Any) -> Any:
    t[S1 + i], t[S2 + i], t[S3 + i], t[S4 + i] = s
    t[SUM_S1 + i] += s[0]
    t[SUM_S2 + i] += s[1]
    t[SUM_S3 + i] += s[2]
    t[SUM_S4 + i] += s[3]
    t[SUM_RUNOFF + i] += runoff
    t[SUM_DRAINAGE + i] += drainage


@_compiled
def _day_brooks_corey(t: Any, steps: Any, rain_steps: Any, limit: Any, down: Any) -> None:
    dt = DAY / steps
    for step in range(steps):
        raining = 1.0 if step < rain_steps else 0.0
        for i in range(LANES):
            throughfall, e = _surface(t, i, raining, limit, dt)
            w0 = min(throughfall, t[INFILTRATION + i])
            s = (t[S1 + i], t[S2 + i], t[S3 + i], t[S4 + i])
            soil = (t[B + i], t[SATHH + i], t[SATCON + i], t[SM_SAT + i])
            s, w0, w4 = brooks_corey_step(s, w0, e, soil, dt, down)
            _account(t, i, s, throughfall - w0, w4)


@_compiled
def _day_van_genuchten(t: Any, steps: Any, rain_steps: Any, limit: Any, down: Any) -> None:
    dt = DAY / steps
    for step in range(steps):
        raining = 1.0 if step < rain_steps else 0.0
        for i in range(LANES):
            throughfall, e = _surface(t, i, raining, limit, dt)
            w0 = min(throughfall, t[INFILTRATION + i])
            s = (t[S1 + i], t[S2 + i], t[S3 + i], t[S4 + i])
            soil = (t[B + i], t[SATHH + i], t[SATCON + i], t[SM_SAT + i])
            s, w0, w4 = van_genuchten_step(s, w0, e, soil, dt, down)
            _account(t, i, s, throughfall - w0, w4)


@_compiled
def advance(
    cells: Any, pr: Any, pet: Any, statics: Any, state: Any, totals: Any, roots: Any, outputs: Any, scheme: Any
) -> None:
    """Days of steps over the given cells, in place.

    cells    indices of cells to be run, int64
    pr, pet  (days, cells) mm d-1, float32; from a day on which one is missing or pr is negative, a cell is NaN
    statics  (STATICS, cells) float64
    state    (5, cells) float64: saturations of the four layers, canopy store in mm; in and out
    totals   (4, cells) float64: rain, evaporation, surface runoff and drainage, mm, are added to it
    roots    (pfts, 4) float64: root shares of the vegetation whose beta is wanted
    outputs  smcl (days, 4, cells), fsmc (days, pfts, cells) and surf_roff, sub_surf_roff, fqw_gb (days, cells),
             float32; of no days where only the state is wanted
    scheme   van Genuchten or not, `l_soil_sat_down`, steps a day, steps with rain, largest share extracted in a step
    """
    van_genuchten, down, steps, rain_steps, limit = scheme
    smcl, fsmc, surf_roff, sub_surf_roff, fqw_gb = outputs
    days = pr.shape[0]
    writing = smcl.shape[0] > 0
    t = np.zeros(ROWS * LANES)
    missing = np.zeros(LANES, np.bool_)
    for start in range(0, cells.size, LANES):
        lanes = min(LANES, cells.size - start)
        for i in range(LANES):
            # Lanes beyond the last cell repeat it, so that they hold numbers.
            c = cells[start + min(i, lanes - 1)]
            for row in range(5):
                t[row * LANES + i] = state[row, c]
            for row in range(STATICS):
                t[FIRST + row * LANES + i] = statics[row, c]
            missing[i] = False
        for day in range(days):
            for i in range(lanes):
                c = cells[start + i]
                rain, demand = float(pr[day, c]), float(pet[day, c])
                if not (rain >= 0.0 and rain < np.inf and abs(demand) < np.inf):
                    missing[i] = True
                    rain, demand = 0.0, 0.0
                t[RAIN + i] = rain / DAY * steps / rain_steps
                t[DEMAND + i] = max(demand, 0.0) / DAY
            t[SUM_S1:] = 0.0
            if van_genuchten:
                _day_van_genuchten(t, steps, rain_steps, limit, down)
            else:
                _day_brooks_corey(t, steps, rain_steps, limit, down)
            for i in range(lanes):
                c = cells[start + i]
                nothing = np.nan if missing[i] else 0.0
                share = 1.0 / steps + nothing
                totals[0, c] += float(pr[day, c]) + nothing
                totals[1, c] += t[SUM_EVAPORATION + i] * share * DAY
                totals[2, c] += t[SUM_RUNOFF + i] * share * DAY
                totals[3, c] += t[SUM_DRAINAGE + i] * share * DAY
                if writing:
                    for n in range(4):
                        mass = 1000.0 * THICKNESS[n] * t[SM_SAT + i]
                        smcl[day, n, c] = t[SUM_S1 + n * LANES + i] * share * mass
                    for pft in range(roots.shape[0]):
                        beta = nothing
                        for n in range(4):
                            beta += roots[pft, n] * t[SUM_BETA1 + n * LANES + i] * share
                        fsmc[day, pft, c] = min(beta, 1.0) if beta >= 0.0 else np.nan
                    surf_roff[day, c] = t[SUM_RUNOFF + i] * share
                    sub_surf_roff[day, c] = t[SUM_DRAINAGE + i] * share
                    fqw_gb[day, c] = t[SUM_EVAPORATION + i] * share
        for i in range(lanes):
            for row in range(5):
                state[row, cells[start + i]] = np.nan if missing[i] else t[row * LANES + i]
