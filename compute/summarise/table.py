"""Summaries as a tidy table: a row for each period, further position and region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.labels import headed, labels_of, lines, numbers, quoted
from cube.template import Template


def table(
    template: Template,
    dims: Sequence[str],
    regions: Sequence[str],
    columns: Mapping[str, NDArray[Any]],
) -> bytes:
    """CSV, UTF-8; missing values are empty.

    dims     of all columns, `region` last
    regions  names of the regions
    columns  values by the array's name, by which `cube export` heads them too
    """
    labels: dict[str, Sequence[str]] = {"region": regions}
    for dim in dims:
        if dim == "time":
            assert template.time is not None
            labels[dim] = [template.time.text(at) for at in range(template.time.count)]
        elif dim in template.coords:
            labels.setdefault(dim, labels_of(template.coords[dim].variable))
    first = next(iter(columns.values()))
    sizes = first.shape
    codes = np.unravel_index(np.arange(first.size), sizes)
    heads, found = list(dims), []
    for axis, dim in enumerate(dims):
        words = labels.get(dim, [str(at) for at in range(sizes[axis])])
        found.append(np.array([quoted(each) for each in words], dtype=object)[codes[axis]])
    for name, values in columns.items():
        heads.append(headed(name, template.arrays[name].attrs))
        found.append(np.array(numbers(values.ravel()), dtype=object))
    return (lines([[quoted(each)] for each in heads]) + lines(found)).encode()
