"""One implicit step of the soil, as equations of JULES (Best et al. 2011, GMD 4, 677, doi:10.5194/gmd-4-677-2011).

Darcy fluxes between layers from suction `psi` and conductivity `K`, one soil for all layers, free drainage below,
solved implicitly (gamma = 1) for the change of saturation S of each layer. What a full layer cannot hold goes back up
to the surface, or down where `l_soil_sat_down`. Fluxes are then taken from the storage changes downwards, so that the
balance is exact.
"""

from __future__ import annotations

from typing import Any

from compute.column.compiling import inlined
from compute.column.curves import (
    brooks_corey_conductivity,
    brooks_corey_suction,
    van_genuchten_conductivity,
    van_genuchten_suction,
)

THICKNESS = (0.1, 0.25, 0.65, 2.0)
"""Layer thicknesses in metres, from the top."""

D1, D2, D3, D4 = THICKNESS

# Limits of a sound step: loss of a layer as a share of its water (extraction alone takes at most a half), saturation
# before it is cut, drainage in kg m-2 s-1.
LOSS, SPILL, UPWARD = -0.7, 1.01, -1e-10

FLOW = 0.2
"""Share of a layer's water that flows to one side in a bounded step; extraction takes at most 0.5 more."""


@inlined
def _between(k: Any, psi: Any, psi_below: Any, a: Any, c: Any) -> Any:
    """The flux between layers a over c metres thick, and its derivatives by the saturation above and below.

    k, psi and psi_below are pairs of a value and its derivative.
    """
    half = 2.0 / (a + c)
    gradient = half * (psi_below[0] - psi[0]) + 1.0
    above = k[1] * (c / (a + c)) * gradient - half * k[0] * psi[1]
    below = k[1] * (a / (a + c)) * gradient + half * k[0] * psi_below[1]
    return k[0] * gradient, above, below


@inlined
def _at_face(above: Any, below: Any, a: Any, c: Any) -> Any:
    """Saturation at the face of two layers; the weights are crossed on purpose."""
    return c / (a + c) * above + a / (a + c) * below


@inlined
def _solve(s: Any, k: Any, psi: Any, w0: Any, e: Any, sm_sat: Any, dt: Any, down: Any, bounded: Any) -> Any:
    """As the steps below, from (value, derivative) of k at the lower faces and of psi at the centres of the layers."""
    # Everything as a flux: m is what fills a layer from dry in one step.
    m = 1000.0 * sm_sat / dt
    m1, m2, m3, m4 = m * D1, m * D2, m * D3, m * D4
    w1, u1, l1 = _between(k[0], psi[0], psi[1], D1, D2)
    w2, u2, l2 = _between(k[1], psi[1], psi[2], D2, D3)
    w3, u3, l3 = _between(k[2], psi[2], psi[3], D3, D4)
    w4, u4 = k[3]
    if bounded:
        w1, u1, l1 = min(max(w1, -FLOW * m2 * s[1]), FLOW * m1 * s[0]), 0.0, 0.0
        w2, u2, l2 = min(max(w2, -FLOW * m3 * s[2]), FLOW * m2 * s[1]), 0.0, 0.0
        w3, u3, l3 = min(max(w3, -FLOW * m4 * s[3]), FLOW * m3 * s[2]), 0.0, 0.0
        w4, u4 = min(w4, FLOW * m4 * s[3]), 0.0
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
        # Otherwise unchanged, so that no rounding shows as runoff.
        w0 = w1 + e[0] + room1 if r1 >= room1 else w0
    limited = (r1 >= room1) | (r2 >= room2) | (r3 >= room3) | (r4 >= room4)
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
    kept = (x1 >= LOSS * s[0]) & (x2 >= LOSS * s[1]) & (x3 >= LOSS * s[2]) & (x4 >= LOSS * s[3])
    held = (x1 <= SPILL - s[0]) & (x2 <= SPILL - s[1]) & (x3 <= SPILL - s[2]) & (x4 <= SPILL - s[3])
    x1 = min(max(x1, -s[0]), 1.0 - s[0])
    x2 = min(max(x2, -s[1]), 1.0 - s[1])
    x3 = min(max(x3, -s[2]), 1.0 - s[2])
    x4 = min(max(x4, -s[3]), 1.0 - s[3])
    w4 = w0 - e[0] - e[1] - e[2] - e[3] - m1 * x1 - m2 * x2 - m3 * x3 - m4 * x4
    sound = kept & held & (w4 >= UPWARD)
    trouble = (1.0 if limited else 0.0) if sound else 2.0
    return (s[0] + x1, s[1] + x2, s[2] + x3, s[3] + x4), w0, w4, trouble


@inlined
def brooks_corey_step(s: Any, w0: Any, e: Any, soil: Any, dt: Any, down: Any, bounded: Any) -> Any:
    """One step of the soil by Brooks and Corey's curves: saturations after, infiltration taken up, drainage, trouble.

    s saturations (4), w0 infiltration offered and e extraction from each layer (4), kg m-2 s-1; soil the tuple
    (b, sathh, satcon, sm_sat); dt seconds; down as `l_soil_sat_down`. psi = sathh S ** -b, K = satcon S ** (2 b + 3).
    A bounded step is explicit, and no layer yields more than a share of its water: sound in any state, for short steps.

    Trouble is 1 where a layer was full, so that what it could not hold depends on the length of the step, and 2 where
    the linearised fluxes went astray: they empty a layer, fill it beyond saturation, or draw water from below.
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
    return _solve(s, k, psi, w0, e, sm_sat, dt, down, bounded)


@inlined
def van_genuchten_step(s: Any, w0: Any, e: Any, soil: Any, dt: Any, down: Any, bounded: Any) -> Any:
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
    return _solve(s, k, psi, w0, e, sm_sat, dt, down, bounded)
