"""What the positions along a dimension are called in tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr


def labels_of(coord: xr.Variable) -> list[str]:
    """A text for each position: the name of a region, the meaning of a flag, else the number."""
    if "region_names" in coord.attrs:
        return [str(each) for each in json.loads(coord.attrs["region_names"])]
    meanings = meanings_of(coord.attrs)
    return [meanings.get(each, number_text(each)) for each in np.asarray(coord.values).tolist()]


def meanings_of(attrs: Mapping[str, Any]) -> dict[int, str]:
    """The word of each value of a flag; none for what is no flag, or one of bits."""
    words = str(attrs.get("flag_meanings", "")).split()
    if not words or "flag_masks" in attrs:
        return {}
    numbers = np.atleast_1d(attrs.get("flag_values", np.arange(len(words)))).tolist()
    return {int(number): word for number, word in zip(numbers, words, strict=True)}


def number_text(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def headed(name: str, attrs: Mapping[str, Any]) -> str:
    """A column's head: the name, and the unit where there is one."""
    units = attrs.get("units")
    return f"{name} [{units}]" if units else name
