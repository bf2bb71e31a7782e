"""Hydraulic curves of the compiled column: suction and conductivity at a saturation, each with its derivative.

Arithmetic only, no library function: the results have the same bits on every processor, and LLVM can compute them for
several cells at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from compute.column.compiling import inlined

LN2, LN2_REST = 6.93147180369123816490e-01, 1.90821492927058770002e-10


@inlined
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
    # The sums are cut in halves, and these again, so that the processor can add several parts of them at once.
    z2 = z * z
    z4 = z2 * z2
    low = (1 / 3.0 + 1 / 5.0 * z) + (1 / 7.0 + 1 / 9.0 * z) * z2
    high = (1 / 11.0 + 1 / 13.0 * z) + (1 / 15.0 + 1 / 17.0 * z) * z2
    artanh = f + f * z * (low + (high + 1 / 19.0 * z4) * z4)
    # ln 2 in two parts, the first short enough for exact products with integers.
    log = np.float64(two) * LN2 + (2.0 * artanh + np.float64(two) * LN2_REST)
    y = min(max(exponent * log, -700.0), 700.0)
    # Adding 1.5 * 2**52 rounds to the nearest integer and leaves it in the lowest bits.
    shifted = y * 1.4426950408889634 + 6755399441055744.0
    whole = shifted - 6755399441055744.0
    r = (y - whole * LN2) - whole * LN2_REST
    r2 = r * r
    r4 = r2 * r2
    r8 = r4 * r4
    low = (1 / 2.0 + 1 / 6.0 * r) + (1 / 24.0 + 1 / 120.0 * r) * r2
    middle = (1 / 720.0 + 1 / 5040.0 * r) + (1 / 40320.0 + 1 / 362880.0 * r) * r2
    high = (1 / 3628800.0 + 1 / 39916800.0 * r) + (1 / 479001600.0 + 1 / 6227020800.0 * r) * r2
    exp = 1.0 + (r + r2 * ((low + middle * r4) + high * r8))
    scale = np.int64((np.float64(shifted).view(np.int64) + np.int64(1023)) << np.int64(52)).view(np.float64)
    return exp * scale


@inlined
def brooks_corey_suction(s: Any, b: Any, sathh: Any) -> Any:
    """Suction, m, at a saturation, and its derivative."""
    held = max(s, 0.01)
    psi = sathh * power(held, -b)
    return psi, (-b * psi / held if s > 0.01 else 0.0)


@inlined
def brooks_corey_conductivity(s: Any, b: Any, satcon: Any) -> Any:
    """Conductivity, kg m-2 s-1, at a saturation, and its derivative."""
    # Below 1e-9 the conductivity is 0 in all but name, and the logarithm of 0 is avoided.
    held = min(max(s, 1e-9), 1.0)
    k = satcon * power(held, 2.0 * b + 3.0)
    return k, ((2.0 * b + 3.0) * k / held if s < 1.0 else 0.0)


@inlined
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


@inlined
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
