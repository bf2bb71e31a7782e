"""The arrays of a change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import xarray as xr

from compute.change.checks import MADE_BY
from compute.change.compared import Compared
from cube.template import ArraySpec, Template

TOO_FEW, SMALL, OUTSIDE = 1, 2, 4
"""Bits of the flag."""
SINGLE: Final = "one climate model: nothing can be said of how models agree"
SCENARIOS: Final = "Scenarios are not a range of uncertainty: none is more probable than another."
OF_CHANGE: Final = ": mean of the window less that of the past"
"""What the long name of a change adds to that of the metric."""
OUT_OF_DOMAIN: Final = 0.1
"""Share of a window's days outside the emulator's training above which a cell is flagged."""
AGREEING: Final = 3
"""Fewest models whose agreement is told."""
OF_MAPS: Final = ("significant", "significant_models")
"""What is told of a cell only after a look at the whole map."""


def named(variable: str) -> dict[str, str]:
    """Names of the arrays of a variable, by what they hold."""
    cells = ("past", "past_years", "change", "years", "p_value", "flag", "agreement", "error")
    return {part: f"{variable}_{part}" for part in (*cells, *OF_MAPS)}


def template(compared: Compared) -> Template:
    options, first = compared.options, compared.first.template
    models, windows = len(options.models), len(options.windows)
    arrays: dict[str, ArraySpec] = {}
    cells: list[str] = []
    maps: list[str] = []
    for variable in options.variables:
        names = named(variable)
        specs = _specs(compared, variable, models, windows)
        arrays |= {names[part]: spec for part, spec in specs.items()}
        maps += [names[part] for part in specs if part in OF_MAPS]
        cells += [names[part] for part in specs if part not in OF_MAPS]
    kept = [
        str(name)
        for name, each in first.coords.variables.items()
        if set(map(str, each.dims)) <= {*(dim for name in options.variables for dim in compared.dims(name)), "bnds"}
    ]
    coords = first.coords[kept].assign_coords(
        model=_numbered("model", [each.scenario for each in options.models], "climate model, by its scenario's metric"),
        window=_numbered(
            "window",
            [f"{a}_{b}" for a, b in options.windows],
            "years of the scenario",
            window_bounds=[year for window in options.windows for year in window],
        ),
    )
    single = {dim: slice(0, 1) for dim in compared.space}
    size = 0
    for name, window in compared.windows(single).items():
        specs_of = compared.inputs[name].template.arrays
        size += sum(specs_of[variable].bytes(window.slices) for variable in window.variables)
    return Template(
        arrays=arrays,
        coords=coords,
        time=None,
        space=compared.space,
        groups=(tuple(cells), tuple(maps)),
        read_bytes=size,
        tiles=compared.first.tiles(options.variables[0]),
        crs=first.crs,
        bbox=first.bbox,
    )


def _specs(compared: Compared, variable: str, models: int, windows: int) -> dict[str, ArraySpec]:
    options, source = compared.options, compared.spec(variable)
    units = str(source.attrs.get("units", "1"))
    carried = ("method", "thresholds", "coordinates", "grid_mapping")
    told = {name: source.attrs[name] for name in carried if name in source.attrs}
    pairs = [compared.inputs[each.scenario].template.arrays[variable].attrs for each in options.models]
    for name in MADE_BY:
        if values := list(dict.fromkeys(str(each[name]) for each in pairs if name in each)):
            told[name] = "; ".join(values)
    if compared.caveats:
        told["caveat"] = " ".join(compared.caveats)
    told["models"] = counted(models)
    dims = compared.dims(variable)
    sizes = source.sizes
    what = str(source.attrs.get("long_name", variable))
    first, last = options.past_years
    tested = {
        "past_period": f"{first} to {last}",
        "test": f"two-sided Mann-Whitney test of annual values, past against window; significant at {options.rate} of "
        f"false discoveries over all cells of a map (Benjamini-Hochberg); at least {options.least} years with a value "
        "in both",
    }
    least = f"missing where the past or the window has fewer than {options.least} years with a value"

    def spec(lead: Mapping[str, int], dtype: str, long_name: str, unit: str = "1", **attrs: Any) -> ArraySpec:
        shape = (*lead.values(), *(sizes[dim] for dim in dims))
        given = {"long_name": long_name, "units": unit, **attrs, **told}
        return ArraySpec((*lead, *dims), shape, np.dtype(dtype), given)

    own, both = {"model": models}, {"model": models, "window": windows}
    number: dict[str, Any] = {"_FillValue": -1}
    found = {
        "past": spec(own, "float32", f"{what}: mean of {first} to {last}", units),
        "past_years": spec(own, "int16", f"{what}: years with a value from {first} to {last}", **number),
        "change": spec(both, "float32", f"{what}{OF_CHANGE}", units, comment=least, **tested),
        "years": spec(both, "int16", f"{what}: years of the window with a value", **number),
        "p_value": spec(
            both,
            "float32",
            f"{what}: two-sided p of a Mann-Whitney test of annual values, past against window",
            comment=f"years count as fewer where the lag-1 correlation is above 0.2; {least}",
            **tested,
        ),
        "flag": spec(
            both,
            "int8",
            f"{what}: what speaks against the change",
            flag_masks=[TOO_FEW, SMALL, OUTSIDE],
            flag_meanings="too_few_years smaller_than_emulator_error out_of_domain",
            comment="too_few_years: of cells with values, or with a reason for having none. "
            f"out_of_domain: more than {OUT_OF_DOMAIN:.0%} of the days",
            past_period=tested["past_period"],
        ),
        "significant": spec(
            both,
            "int8",
            f"{what}: whether the change is significant",
            flag_values=[0, 1],
            flag_meanings="not_significant significant",
            comment=f"Benjamini-Hochberg over all cells of a map, {options.rate} of false discoveries",
            **tested,
            **number,
        ),
    }
    if models >= AGREEING:
        over = {"window": windows}
        found["agreement"] = spec(over, "float32", f"{what}: share of the models that change as their mean does")
        found["significant_models"] = spec(
            over, "int16", f"{what}: number of models whose change is significant", **number
        )
    if options.error:
        found["error"] = spec({}, "float32", f"{what}: root mean square error of the emulator in annual values", units)
    return found


def counted(models: int) -> str:
    """What is said of so many climate models."""
    if models == 1:
        return SINGLE
    few = f": fewer than {AGREEING}, too few to tell how they agree" if models < AGREEING else ""
    return f"{models} climate models{few}"


def _numbered(dim: str, names: list[str], long_name: str, **more: Any) -> xr.Variable:
    numbers = np.arange(len(names), dtype=np.int32)
    meanings = " ".join(name.replace(" ", "_") for name in names)
    attrs = {"long_name": long_name, "flag_values": numbers.tolist(), "flag_meanings": meanings, **more}
    return xr.Variable((dim,), numbers, attrs)
