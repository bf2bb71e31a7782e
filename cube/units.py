"""Units by pint, with UDUNITS spellings as archives write them and one water context.

In the `water` context 1 kg m-2 of water is 1 mm, so that fluxes in kg m-2 s-1 convert to mm d-1.
"""

from __future__ import annotations

import functools
import re
from typing import Any

import pint

from cube.errors import Problem, SpecError

# UDUNITS writes exponents without an operator ("m-2") and percent as a sign; pint wants "m**-2" and a name.
registry: pint.UnitRegistry[float] = pint.UnitRegistry(
    preprocessors=[
        lambda text: re.sub(r"(?<=[A-Za-z])(?![A-Za-z])(?<![0-9\-][eE])(?<![0-9\-])(?=[0-9\-])", "**", text)
    ],
    cache_folder=None,
)

# Spellings met in real archives that UDUNITS itself does not know, and those that pint reads as something else.
_SPELLINGS = {
    "": "1",
    "-": "1",
    "(0 - 1)": "1",
    "degrees celsius": "degC",
    "degree_celsius": "degC",
    "degrees_celsius": "degC",
    "deg c": "degC",
    "celsius": "degC",
    "degk": "K",
    "kelvin": "K",
    "fraction": "1",
    "percent": "%",
    "m**3 m**-3": "m3 m-3",
    "m3/m3": "m3 m-3",
    "cm3/cm3": "cm3 cm-3",
    "cm**3/cm**3": "cm3 cm-3",
}


def _water() -> pint.Context:
    context = pint.Context("water")
    density = registry.Quantity(1000.0, "kg / m ** 3")

    def to_depth(ureg: object, value: Any, **_: object) -> Any:
        return value / density

    def to_mass(ureg: object, value: Any, **_: object) -> Any:
        return value * density

    for mass, depth in (
        ("[mass] / [length] ** 2", "[length]"),
        ("[mass] / [length] ** 2 / [time]", "[length] / [time]"),
    ):
        context.add_transformation(mass, depth, to_depth)
        context.add_transformation(depth, mass, to_mass)
    return context


registry.add_context(_water())


@functools.lru_cache(maxsize=512)
def parse_unit(text: str) -> pint.Unit:
    """The unit that `text` names, e.g. "kg m-2 s-1", "mm/day", "degrees Celsius".

    Raises ValueError for a text that names no unit.
    """
    spelling = re.sub(r"\s+", " ", text.strip())
    spelling = _SPELLINGS.get(spelling.lower(), spelling)
    try:
        return registry.Unit("dimensionless") if spelling == "1" else registry.Unit(spelling)
    except Exception as error:  # pint raises many kinds, tokenizer errors included
        raise ValueError(f"{text!r} names no unit") from error


@functools.lru_cache(maxsize=512)
def conversion(source: str, target: str) -> tuple[float, float]:
    """(factor, offset) such that target value = source value * factor + offset.

    Raises ValueError where either text names no unit or the units are of different dimensions.
    """
    # "mm/6h" is an amount in every six hours, which has no name as a unit.
    interval = re.fullmatch(r"\s*(.+?)\s*/\s*(\d+)\s*([A-Za-z]+)\s*", source)
    if interval:
        factor, offset = conversion(f"{interval[1]}/{interval[3]}", target)
        return float(f"{factor / int(interval[2]):.14g}"), offset
    found, wanted = parse_unit(source), parse_unit(target)
    try:
        with registry.context("water"):
            zero = registry.Quantity(0.0, found).to(wanted).magnitude
            one = registry.Quantity(1.0, found).to(wanted).magnitude
            thousand = registry.Quantity(1000.0, found).to(wanted).magnitude
    except pint.DimensionalityError as error:
        raise ValueError(f"{source!r} cannot be converted to {target!r}") from error
    # The slope over a wide span loses no digits to the offset of temperatures.
    factor = one if zero == 0 else (thousand - zero) / 1000.0
    return float(f"{factor:.14g}"), float(f"{zero:.14g}")


_NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"


def measured(text: object, where: str, example: str = "1 mm d-1") -> tuple[float, str]:
    """The number and the unit of a text such as "1 mm d-1".

    Raises SpecError for a bare number and for an unknown unit.
    """
    # A unit may begin with a digit ("1" has no dimension) only behind a space: the number would lose its last one.
    match = re.fullmatch(rf"\s*{_NUMBER}(?:\s+(?=\S)|(?=[^\d\s.+-]))(.*?)\s*", str(text))
    if isinstance(text, int | float) or not match:
        raise SpecError(
            Problem(
                "unit-missing",
                f"{text!r} has no unit",
                where,
                "a threshold in the wrong unit gives plausible but wrong numbers",
                f'write the number with its unit, e.g. "{example}"',
            )
        )
    try:
        parse_unit(match[2])
    except ValueError as error:
        raise SpecError(Problem("unit-unknown", str(error), where, fix=f'write it like "{example}"')) from None
    return float(match[1]), match[2]


def quantity(text: object, target: str, where: str) -> float:
    """The magnitude in `target` units of a text such as "1 mm d-1".

    Raises SpecError for a bare number, an unknown unit or one of another dimension.
    """
    number, unit = measured(text, where, f"1 {target}")
    try:
        factor, offset = conversion(unit, target)
    except ValueError as error:
        fix = f"give it in {target} or a unit convertible to it"
        raise SpecError(Problem("unit-unknown", str(error), where, fix=fix)) from None
    return number * factor + offset
