"""Blocks as shards: byte for byte the objects that zarr-python writes, made in one pass over the data.

zarr-python gathers one inner chunk after the other out of a block that mostly is a view of a larger array, and copies
what is encoded four times over. Here the block is put in the order of its inner chunks once, in pieces that stay in the
processor's cache, and cells without value are counted while they are there.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import google_crc32c
import numcodecs
import numpy as np
import xarray as xr

from cube.layout import Block, Group

CODEC = {"cname": "zstd", "clevel": 5, "shuffle": "bitshuffle"}

_ABSENT = 2**64 - 1
"""Offset and length, in the index of a shard, of an inner chunk outside the array."""
_PIECE_BYTES = 2**19

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Encoded:
    """One variable of one block.

    shards   by key relative to the Zarr group
    missing  cells that hold the declared `_FillValue`; without one, NaN in floats
    """

    shards: Mapping[str, bytes]
    missing: int


@dataclass(frozen=True)
class _Form:
    """How an array is stored, from its `zarr.json`."""

    dims: tuple[str, ...]
    chunk: tuple[int, ...]
    shard: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: Any
    declared: Any

    @classmethod
    @functools.lru_cache(maxsize=64)
    def of(cls, metadata: bytes) -> _Form:
        found = json.loads(metadata)
        dtype = np.dtype(found["data_type"]).newbyteorder("<")
        (sharding,) = found["codecs"]
        return cls(
            tuple(found.get("dimension_names") or ()),  # a single number has none
            tuple(sharding["configuration"]["chunk_shape"]),
            tuple(found["chunk_grid"]["configuration"]["chunk_shape"]),
            dtype,
            dtype.type(found["fill_value"]),  # text for NaN and infinities
            found["attributes"].get("_FillValue"),
        )


def encode_variable(name: str, metadata: bytes, group: Group, block: Block, values: Array) -> Encoded:
    """The shard that a block consists of, for one variable.

    metadata  the variable's `zarr.json`
    values    the block's part of the variable, in the array's own dimension order and dtype
    """
    form = _Form.of(metadata)
    chunks = _by_chunk(values, form)
    index = dict(zip((dim.name for dim in group.dims), block.index, strict=True))
    key = "/".join([name, "c", *(str(index.get(dim, 0)) for dim in form.dims)])
    missing = sum(_missing(chunk, form) for chunk in chunks.reshape(-1, *form.chunk))
    # Chunks at the array's edge are made whole with fill.
    padding = chunks.size - values.size
    return Encoded({key: _shard(chunks, form)}, max(0, missing - padding))


def encode_block(
    metadata: Mapping[str, bytes], group: Group, block: Block, data: Mapping[str, xr.DataArray]
) -> dict[str, bytes]:
    """The shards of one block by key relative to the Zarr group.

    metadata  the `zarr.json` of each variable of the group, by its key
    data      the block's part of each variable, in the array's own dimension order and dtype
    """
    shards: dict[str, bytes] = {}
    for name in group.variables:
        shards |= encode_variable(name, metadata[f"{name}/zarr.json"], group, block, data[name].values).shards
    return shards


def _by_chunk(values: Array, form: _Form) -> Array:
    """The values in the order of inner chunks: shape (chunks along each dimension..., size of a chunk...)."""
    rank = values.ndim
    counts = tuple(math.ceil(n / size) for n, size in zip(values.shape, form.chunk, strict=True))
    whole = tuple(count * size for count, size in zip(counts, form.chunk, strict=True))
    if whole != values.shape:
        padded = np.full(whole, form.fill, form.dtype)
        padded[tuple(slice(0, n) for n in values.shape)] = values
        values = padded
    # Dimensions as pairs (which chunk, where in it), then all of the first before all of the second.
    pairs = [n for pair in zip(counts, form.chunk, strict=True) for n in pair]
    ordered = values.reshape(pairs).transpose([*range(0, 2 * rank, 2), *range(1, 2 * rank, 2)])
    if not rank:
        return values
    chunks = np.empty(ordered.shape, form.dtype)
    steps = form.chunk[0]
    piece = max(1, _PIECE_BYTES * steps // max(1, chunks.nbytes))
    for start in range(0, steps, piece):
        part = (*(slice(None),) * rank, slice(start, start + piece))
        chunks[part] = ordered[part]
    return chunks


def _missing(chunk: Array, form: _Form) -> int:
    if form.declared is not None:
        return int(np.count_nonzero(chunk == chunk.dtype.type(form.declared)))
    return int(np.count_nonzero(np.isnan(chunk))) if chunk.dtype.kind == "f" else 0


def _shard(chunks: Array, form: _Form) -> bytes:
    """Encoded inner chunks and their index (Zarr v3 sharding_indexed, index at the end, both with crc32c)."""
    codec = numcodecs.Blosc(CODEC["cname"], CODEC["clevel"], numcodecs.Blosc.BITSHUFFLE, typesize=form.dtype.itemsize)
    counts = chunks.shape[: len(form.chunk)]
    filled = dict(zip(np.ndindex(*counts), chunks.reshape(-1, *form.chunk), strict=True))
    grid = tuple(size // chunk for size, chunk in zip(form.shard, form.chunk, strict=True))
    index = np.full((*grid, 2), _ABSENT, "<u8")
    parts: list[bytes] = []
    offset = 0
    for place in _z_order(grid):
        if place in filled:
            encoded = codec.encode(filled[place])
            parts += [encoded, _crc32c(encoded)]
            index[place] = offset, len(encoded) + 4
            offset += len(encoded) + 4
    table = index.tobytes()
    return b"".join([*parts, table, _crc32c(table)])


def _crc32c(data: bytes) -> bytes:
    return int(google_crc32c.value(data)).to_bytes(4, "little")


@functools.lru_cache(maxsize=64)
def _z_order(grid: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """The places of a grid in Morton order, in which zarr-python lays out inner chunks."""

    def code(place: tuple[int, ...]) -> int:
        number, position = 0, 0
        for bit in range(max(grid, default=1).bit_length()):
            for i, size in zip(place, grid, strict=True):
                if bit < (size - 1).bit_length():
                    number |= (i >> bit & 1) << position
                    position += 1
        return number

    return tuple(sorted((tuple(map(int, place)) for place in np.ndindex(*grid)), key=code))
