"""What CF attributes say of a variable that no source declares: published units, kind, and which attributes stay."""

from __future__ import annotations

import re
from typing import Any

from cube.units import parse_unit
from ingest.declaration import Daily, Kind, Variable
from ingest.roles import VariableFacts

RAIN_UNITS = "mm d-1"
RAIN_FLOOR = -8.64e-4
"""mm d-1, that is -1e-8 kg m-2 s-1: rounding noise of models and packing, seen down to -5e-10."""

_RATES = {
    "precipitation_flux": "lwe_precipitation_rate",
    "lwe_precipitation_rate": "lwe_precipitation_rate",
    "convective_precipitation_flux": "lwe_convective_precipitation_rate",
    "lwe_convective_precipitation_rate": "lwe_convective_precipitation_rate",
    "rainfall_flux": "rainfall_rate",
    "rainfall_rate": "rainfall_rate",
    "snowfall_flux": "lwe_snowfall_rate",
    "lwe_snowfall_rate": "lwe_snowfall_rate",
}
_SUMS = {
    "precipitation_amount": "lwe_precipitation_rate",
    "lwe_thickness_of_precipitation_amount": "lwe_precipitation_rate",
    "rainfall_amount": "rainfall_rate",
    "thickness_of_rainfall_amount": "rainfall_rate",
}
_RAIN_NAMES = re.compile(r"(pr|precip|precipitation|rain|rainfall|rfe)(_.*)?", re.IGNORECASE)
_FLOORS = {"gross_primary_productivity_of_biomass_expressed_as_carbon": -1e-12}
_STANDARD = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+|altitude|height|depth|time|latitude|longitude")
_KEPT = ("comment", "positive", "flag_values", "flag_masks", "flag_meanings")
_SPELLINGS = {"percent": "%", "(0 - 1)": "1", "-": "1", "degk": "K", "kelvin": "K"}


def implied(name: str, facts: VariableFacts) -> Variable:
    """The declaration that a file's own attributes amount to. Archive names are kept, made safe for Zarr and CF."""
    standard, units = facts.text("standard_name"), facts.text("units")
    methods = facts.text("cell_methods")
    kind: Kind = "flag" if _is_flag(facts) else "state"
    target, floor = _published(units, standard, f"{standard} {facts.text('long_name')}"), _FLOORS.get(standard)
    if standard in _RATES or (_RAIN_NAMES.fullmatch(name) and _is_speed(units)):
        standard, target, kind, floor = _RATES.get(standard, "lwe_precipitation_rate"), RAIN_UNITS, "rate", RAIN_FLOOR
    elif standard in _SUMS and "sum" in methods:
        standard, target, kind, floor = _SUMS[standard], RAIN_UNITS, "accumulation", RAIN_FLOOR
    safe = safe_name(name)
    attrs = {} if safe == name else {"archive_name": name}
    return Variable(
        name=safe,
        archive=(name,),
        units=target,
        kind=kind,
        standard_name=standard if _STANDARD.fullmatch(standard) else None,
        long_name=facts.text("long_name") or None,
        cell_methods=_methods(methods, kind) or None,
        floor=floor,
        daily=_daily(methods),
        attrs=attrs,
    )


def attributes(rule: Variable, units: str | None, facts: VariableFacts) -> dict[str, Any]:
    """CF attributes of a published variable: those of the rule, then what else of the file's stays true."""
    kept = {name: facts.attrs[name] for name in _KEPT if name in facts.attrs}
    own = {
        "standard_name": rule.standard_name,
        "long_name": rule.long_name or facts.text("long_name") or None,
        "units": units,
        "cell_methods": rule.cell_methods or _methods(facts.text("cell_methods"), rule.kind) or None,
    }
    return {**kept, **{name: value for name, value in own.items() if value is not None}, **rule.attrs}


def safe_name(name: str) -> str:
    """A name of letters, digits and underscores that begins with a letter."""
    safe = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return safe if safe[:1].isalpha() else f"v_{safe}"


def tidy_units(units: str) -> str:
    """UDUNITS spelling of what archives write: "m**3 m**-3" as "m3 m-3", "percent" as "%"."""
    plain = _SPELLINGS.get(units.lower(), units)
    return re.sub(r"\*\*", "", plain)


def _published(units: str, standard: str, description: str) -> str | None:
    try:
        if parse_unit(units).dimensionality != {"[temperature]": 1}:
            return None
    except ValueError:
        return None
    # A difference of temperatures has no zero to move.
    difference = re.search(r"anomal|difference|change|range", description, re.IGNORECASE)
    return None if difference else "K"


def _is_flag(facts: VariableFacts) -> bool:
    if facts.dtype[:1] not in "iu" or facts.scale is not None or facts.offset is not None:
        return False
    return facts.text("units") in ("", "1") or "flag_meanings" in facts.attrs


def _is_speed(units: str) -> bool:
    try:
        return bool(parse_unit(units).dimensionality == {"[length]": 1, "[time]": -1})
    except ValueError:
        return False


def _methods(methods: str, kind: str) -> str:
    tidy = re.sub(r"\s*:\s*", ": ", methods).strip()
    # A sum over each step that became a rate is a mean over it.
    return tidy.replace("time: sum", "time: mean") if kind == "accumulation" else tidy


def _daily(methods: str) -> Daily:
    if re.search(r"time\s*:\s*max", methods):
        return "maximum"
    return "minimum" if re.search(r"time\s*:\s*min", methods) else "mean"


def unit_of(rule: Variable, facts: VariableFacts) -> str:
    """The unit that the raw values of a file are in, as the rule understands its text."""
    stated = facts.text("units")
    return rule.spellings.get(stated, stated) or rule.archive_units or ""
