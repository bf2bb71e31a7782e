"""Days of the column over many cells, compiled.

- Interception is that of a point: a canopy of capacity C with store c lets F = R c / C through while R <= C / dt, else
  R - (C - c) / dt. What exceeds the infiltration capacity runs off.
- The wet share c / C of the canopy evaporates at the potential rate; the rest of its demand is transpired, each layer
  giving its root share times its beta. Bare soil draws from the top layer, by the square of its moisture.
- A day on which a layer was full or fluxes went astray is done again in more steps, for that cell only.

Saturations, stores (mm) and fluxes (kg m-2 s-1, positive down) are float64. Cells run in the lanes of buffers, which
LLVM turns into vector instructions. Results depend neither on which cells share a buffer nor on the processor: each
lane does the same IEEE operations in the same order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from compute.column.compiling import compiled, inlined
from compute.column.stepping import D1, D2, D3, D4, THICKNESS, brooks_corey_step, van_genuchten_step

STATICS = 13
"""Rows of `statics`: b, sathh, satcon, sm_sat, sm_crit, sm_wilt, share of the demand that falls on bare soil, canopy
capacity (mm), infiltration capacity (kg m-2 s-1), root shares of the four layers."""

DERIVED = 3
"""Rows that follow them in a buffer: 1 / (sm_crit - sm_wilt), 1 / sm_crit, 1 / canopy capacity; divisions are slow."""

DAY = 86400.0
LANES = 32
BUFFERS = 16
REFINED = 6
"""A day in trouble is done again in 6, then 36, then 216 times as many steps, the last bounded: 30 min, 5 min, 50 s
instead of 3 h."""

# Rows of a buffer, as offsets into it: state, statics, forcing, means over the steps of a day.
S1, S2, S3, S4, STORE = (row * LANES for row in range(5))
FIRST = 5 * LANES
B, SATHH, SATCON, SM_SAT, SM_CRIT, SM_WILT, BARE = (FIRST + row * LANES for row in range(7))
CAPACITY, INFILTRATION, ROOTS1, ROOTS2, ROOTS3, ROOTS4 = (FIRST + row * LANES for row in range(7, STATICS))
SPAN, PER_CRIT, PER_CAPACITY = (FIRST + (STATICS + row) * LANES for row in range(DERIVED))
RAIN, DEMAND = (FIRST + (STATICS + DERIVED + row) * LANES for row in range(2))
SUMS = FIRST + (STATICS + DERIVED + 2) * LANES
SUM_S1, SUM_S2, SUM_S3, SUM_S4 = (SUMS + row * LANES for row in range(4))
SUM_BETA1, SUM_BETA2, SUM_BETA3, SUM_BETA4 = (SUMS + row * LANES for row in range(4, 8))
SUM_EVAPORATION, SUM_RUNOFF, SUM_DRAINAGE, TROUBLE = (SUMS + row * LANES for row in range(8, 12))
ROWS = 5 + STATICS + DERIVED + 2 + 12


@inlined
def _surface(t: Any, i: Any, raining: Any, limit: Any, dt: Any, per: Any) -> Any:
    """Throughfall and extraction from the layers in lane i, for steps of dt = 1 / per; canopy store and
    sums of the day are changed."""
    s1, s2, s3, s4, store = t[S1 + i], t[S2 + i], t[S3 + i], t[S4 + i], t[STORE + i]
    sm_sat, sm_wilt, capacity = t[SM_SAT + i], t[SM_WILT + i], t[CAPACITY + i]
    soil = t[DEMAND + i] * t[BARE + i]
    canopy = t[DEMAND + i] - soil
    wet = min(canopy * store * t[PER_CAPACITY + i], store * per)
    canopy = canopy - wet
    store = store - wet * dt
    rain = t[RAIN + i] * raining
    throughfall = rain * store * t[PER_CAPACITY + i] if rain * dt <= capacity else rain - (capacity - store) * per
    t[STORE + i] = store + (rain - throughfall) * dt
    span = t[SPAN + i]
    beta1 = min(max((s1 * sm_sat - sm_wilt) * span, 0.0), 1.0)
    beta2 = min(max((s2 * sm_sat - sm_wilt) * span, 0.0), 1.0)
    beta3 = min(max((s3 * sm_sat - sm_wilt) * span, 0.0), 1.0)
    beta4 = min(max((s4 * sm_sat - sm_wilt) * span, 0.0), 1.0)
    relative = s1 * sm_sat * t[PER_CRIT + i]
    soil = soil * min(relative * relative, 1.0) if s1 > 0.02 else 0.0
    most = limit * 1000.0 * per * sm_sat
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


@inlined
def _account(t: Any, i: Any, s: Any, runoff: Any, drainage: Any, trouble: Any) -> Any:
    t[S1 + i], t[S2 + i], t[S3 + i], t[S4 + i] = s
    t[SUM_S1 + i] += s[0]
    t[SUM_S2 + i] += s[1]
    t[SUM_S3 + i] += s[2]
    t[SUM_S4 + i] += s[3]
    t[SUM_RUNOFF + i] += runoff
    t[SUM_DRAINAGE + i] += drainage
    t[TROUBLE + i] = max(t[TROUBLE + i], trouble)


@compiled
def _brooks_corey_day(t: Any, steps: Any, rain_steps: Any, limit: Any, down: Any, bounded: Any) -> None:
    dt, per = DAY / steps, steps / DAY
    t[SUMS:] = 0.0
    for step in range(steps):
        raining = 1.0 if step < rain_steps else 0.0
        for i in range(LANES):
            throughfall, e = _surface(t, i, raining, limit, dt, per)
            w0 = min(throughfall, t[INFILTRATION + i])
            s = (t[S1 + i], t[S2 + i], t[S3 + i], t[S4 + i])
            soil = (t[B + i], t[SATHH + i], t[SATCON + i], t[SM_SAT + i])
            s, w0, w4, trouble = brooks_corey_step(s, w0, e, soil, dt, down, bounded)
            _account(t, i, s, throughfall - w0, w4, trouble)
    for i in range(SUMS, TROUBLE):
        t[i] = t[i] / steps


@compiled
def _van_genuchten_day(t: Any, steps: Any, rain_steps: Any, limit: Any, down: Any, bounded: Any) -> None:
    dt, per = DAY / steps, steps / DAY
    t[SUMS:] = 0.0
    for step in range(steps):
        raining = 1.0 if step < rain_steps else 0.0
        for i in range(LANES):
            throughfall, e = _surface(t, i, raining, limit, dt, per)
            w0 = min(throughfall, t[INFILTRATION + i])
            s = (t[S1 + i], t[S2 + i], t[S3 + i], t[S4 + i])
            soil = (t[B + i], t[SATHH + i], t[SATCON + i], t[SM_SAT + i])
            s, w0, w4, trouble = van_genuchten_step(s, w0, e, soil, dt, down, bounded)
            _account(t, i, s, throughfall - w0, w4, trouble)
    for i in range(SUMS, TROUBLE):
        t[i] = t[i] / steps


@compiled
def _day(t: Any, steps: Any, rain_steps: Any, scheme: Any, bounded: Any) -> None:
    """A day of all lanes of a buffer; RAIN is the mean rate while it rains."""
    van_genuchten, down, _, _, limit = scheme
    if van_genuchten:
        _van_genuchten_day(t, steps, rain_steps, limit, down, bounded)
    else:
        _brooks_corey_day(t, steps, rain_steps, limit, down, bounded)


@compiled
def _again(buffers: Any, before: Any, spare: Any, queue: Any, scheme: Any) -> None:
    """Does the day again for lanes in trouble, in more and more steps; `before` has their states before the day."""
    steps, rain_steps = scheme[2], scheme[3]
    for attempt in range(1, 4):
        steps, rain_steps = steps * REFINED, rain_steps * REFINED
        waiting = 0
        for number in range(buffers.shape[0] * LANES):
            # Smaller steps make what a full layer refuses exact enough at once; fluxes gone astray are pursued.
            if buffers[number // LANES, TROUBLE + number % LANES] >= min(attempt, 2):
                queue[waiting] = number
                waiting += 1
        for start in range(0, waiting, LANES):
            lanes = min(LANES, waiting - start)
            for i in range(LANES):
                number = queue[start + min(i, lanes - 1)]
                g, lane = number // LANES, number % LANES
                for row in range(ROWS):
                    spare[row * LANES + i] = buffers[g, row * LANES + lane]
                for row in range(5):
                    spare[row * LANES + i] = before[g, row * LANES + lane]
            _day(spare, steps, rain_steps, scheme, attempt == 3)
            for i in range(lanes):
                number = queue[start + i]
                g, lane = number // LANES, number % LANES
                for row in range(ROWS):
                    buffers[g, row * LANES + lane] = spare[row * LANES + i]
        if waiting == 0:
            break


@compiled
def _load(buffers: Any, cells: Any, state: Any, statics: Any) -> None:
    """State and statics of cells into lanes; those beyond the last cell repeat it, so that they hold numbers."""
    for number in range(buffers.shape[0] * LANES):
        c = cells[min(number, cells.size - 1)]
        g, i = number // LANES, number % LANES
        for row in range(5):
            buffers[g, row * LANES + i] = state[row, c]
        for row in range(STATICS):
            buffers[g, FIRST + row * LANES + i] = statics[row, c]
        buffers[g, SPAN + i] = 1.0 / (buffers[g, SM_CRIT + i] - buffers[g, SM_WILT + i])
        buffers[g, PER_CRIT + i] = 1.0 / buffers[g, SM_CRIT + i]
        buffers[g, PER_CAPACITY + i] = 1.0 / buffers[g, CAPACITY + i]


@compiled
def _weather(buffers: Any, cells: Any, missing: Any, pr: Any, pet: Any, wet_share: Any) -> None:
    """Rain and demand of a day, (cells,) mm d-1, into lanes, as rates; `missing` stays set once it is."""
    for number in range(buffers.shape[0] * LANES):
        c = cells[min(number, cells.size - 1)]
        rain, demand = float(pr[c]), float(pet[c])
        if not (rain >= 0.0 and rain < np.inf and abs(demand) < np.inf):
            missing[number] = True
            rain, demand = 0.0, 0.0
        buffers[number // LANES, RAIN + number % LANES] = rain / DAY / wet_share
        buffers[number // LANES, DEMAND + number % LANES] = max(demand, 0.0) / DAY


@compiled
def _add(totals: Any, buffers: Any, cells: Any, missing: Any, pr: Any) -> None:
    """Rain, evaporation, surface runoff and drainage of a day, mm, onto the totals."""
    for number in range(cells.size):
        c, g, i = cells[number], number // LANES, number % LANES
        totals[0, c] += np.nan if missing[number] else float(pr[c])
        totals[1, c] += np.nan if missing[number] else buffers[g, SUM_EVAPORATION + i] * DAY
        totals[2, c] += np.nan if missing[number] else buffers[g, SUM_RUNOFF + i] * DAY
        totals[3, c] += np.nan if missing[number] else buffers[g, SUM_DRAINAGE + i] * DAY


@compiled
def _write(smcl: Any, fsmc: Any, fluxes: Any, roots: Any, buffers: Any, cells: Any, missing: Any) -> None:
    """The means of a day."""
    surf_roff, sub_surf_roff, fqw_gb = fluxes
    for number in range(cells.size):
        c, g, i = cells[number], number // LANES, number % LANES
        nothing = np.nan if missing[number] else 0.0
        for n in range(4):
            mass = 1000.0 * THICKNESS[n] * buffers[g, SM_SAT + i]
            smcl[n, c] = buffers[g, SUM_S1 + n * LANES + i] * mass + nothing
        for pft in range(roots.shape[0]):
            beta = nothing
            for n in range(4):
                beta += roots[pft, n] * buffers[g, SUM_BETA1 + n * LANES + i]
            fsmc[pft, c] = beta if not beta > 1.0 else 1.0
        surf_roff[c] = buffers[g, SUM_RUNOFF + i] + nothing
        sub_surf_roff[c] = buffers[g, SUM_DRAINAGE + i] + nothing
        fqw_gb[c] = buffers[g, SUM_EVAPORATION + i] + nothing


@compiled
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
    smcl, fsmc, surf_roff, sub_surf_roff, fqw_gb = outputs
    before, spare = np.zeros((BUFFERS, FIRST)), np.zeros(ROWS * LANES)
    queue = np.zeros(BUFFERS * LANES, np.int64)
    for start in range(0, cells.size, BUFFERS * LANES):
        some = cells[start : start + BUFFERS * LANES]
        buffers = np.zeros(((some.size + LANES - 1) // LANES, ROWS * LANES))
        missing = np.zeros(BUFFERS * LANES, np.bool_)
        _load(buffers, some, state, statics)
        for day in range(pr.shape[0]):
            _weather(buffers, some, missing, pr[day], pet[day], scheme[3] / scheme[2])
            for g in range(buffers.shape[0]):
                before[g] = buffers[g, :FIRST]
                _day(buffers[g], scheme[2], scheme[3], scheme, False)
            _again(buffers, before, spare, queue, scheme)
            _add(totals, buffers, some, missing, pr[day])
            if smcl.shape[0] > 0:
                fluxes = (surf_roff[day], sub_surf_roff[day], fqw_gb[day])
                _write(smcl[day], fsmc[day], fluxes, roots, buffers, some, missing)
        for number in range(some.size):
            for row in range(5):
                value = buffers[number // LANES, row * LANES + number % LANES]
                state[row, some[number]] = np.nan if missing[number] else value
