"""Tables as text: what positions along a dimension are called, heads of columns, and lines of CSV."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray


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


def quoted(text: str) -> str:
    """A text as CSV holds it."""
    return '"' + text.replace('"', '""') + '"' if any(each in text for each in ',"\r\n') else text


def numbers(values: NDArray[Any], fill: Any = None) -> list[str]:
    """The shortest text of each number that gives it back; empty where missing."""
    found = values.astype("U")
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
    if fill is not None:
        missing = missing | (values == fill)
    found[missing] = ""
    return [str(each) for each in found.tolist()]


def lines(columns: Sequence[Iterable[str]]) -> str:
    """Rows of CSV, each ended, from columns of texts that are quoted where they need it."""
    text = "\n".join(map(",".join, zip(*columns, strict=True)))
    return f"{text}\n" if text else ""
