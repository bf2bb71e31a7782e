"""Reading what is exported piece by piece, along the chunks of the store, so that memory stays small."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import zarr.errors
from numpy.typing import NDArray

from cube.errors import IntegrityError, Problem
from cube.job import ProductView
from cube.reading import strict

BUDGET = 32 * 2**20
"""Bytes that are read at a time, where a chunk is not larger."""

Slices = dict[str, slice]


class Reader:
    """Reads parts of a published version; the store is asked for its metadata once."""

    def __init__(self, view: ProductView) -> None:
        assert view.ref is not None
        self.view = view
        self._ref = view.ref
        # zarr takes its settings when an array is opened.
        with strict():
            self._group = view.ref.open()
            self._arrays: dict[str, Any] = {}

    def read(self, name: str, slices: Mapping[str, slice]) -> NDArray[Any]:
        """A part of a variable as it is stored, its dimensions in their order.

        Raises IntegrityError where an object of the version is missing or damaged.
        """
        try:
            with strict():
                array = self._arrays.setdefault(name, self._group[name])
                dims = self.view.template.arrays[name].dims
                found: NDArray[Any] = array[tuple(slices.get(dim, slice(None)) for dim in dims)]
                return found
        except (zarr.errors.ChunkNotFoundError, ValueError, RuntimeError) as error:
            missing = isinstance(error, zarr.errors.ChunkNotFoundError)
            raise IntegrityError(
                Problem("object-missing", f"an object of the version is missing ({error})", self._ref.prefix)
                if missing
                else Problem("object-changed", f"an object of the version is damaged ({error})", self._ref.prefix)
            ) from error


def steps(view: ProductView, names: Sequence[str], windows: Mapping[str, slice], budget: int) -> dict[str, int]:
    """How much is read at a time by dimension, for variables of the same dimensions: whole chunks, as many as the
    budget holds. Variables that are chunked differently may share chunks of two pieces."""
    sizes = view.template.arrays[names[0]].sizes
    length = {dim: part.stop - part.start for dim, part in windows.items() if dim in sizes}
    length = {dim: length.get(dim, size) for dim, size in sizes.items()}
    groups = [view.layout.group_of(name) for name in names]
    chunk = {
        dim: max((each.chunk for g in groups if (each := g.dim(dim))), default=size) for dim, size in sizes.items()
    }
    itemsize = sum(view.template.arrays[name].dtype.itemsize for name in names)

    def size(step: Mapping[str, int]) -> int:
        return itemsize * math.prod(min(step[dim], length[dim]) for dim in step)

    step = dict(chunk)
    # The last dimensions first: what lies together in the store is then read together.
    for dim in reversed(list(step)):
        times = 2
        while step[dim] < sizes[dim] and size({**step, dim: times * chunk[dim]}) <= budget:
            step[dim] = times * chunk[dim]
            times += 1
    return step


def pieces(step: Mapping[str, int], windows: Mapping[str, slice], sizes: Mapping[str, int]) -> Iterator[Slices]:
    """The window cut along multiples of `step`; time goes first, so that the periods of the same cells follow."""
    parts: dict[str, list[slice]] = {}
    for dim, size in sizes.items():
        window, width = windows.get(dim, slice(0, size)), step[dim]
        first = window.start // width * width
        parts[dim] = [
            slice(max(at, window.start), min(at + width, window.stop)) for at in range(first, window.stop, width)
        ]
    order = sorted(parts, key=lambda dim: dim == "time")
    for chosen in itertools.product(*(parts[dim] for dim in order)):
        yield dict(zip(order, chosen, strict=True))
