"""Blocks as shards: byte for byte the objects that zarr-python writes, made in one pass over the data.

zarr-python gathers one inner chunk after the other out of a block that mostly is a view of a larger array, and copies
what is encoded four times over. Here a row of inner chunks is put in order at once, in pieces that stay in the
processor's cache and in memory that is used again, and cells without value are counted while they are there.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import google_crc32c
import numcodecs
import numpy as np

from cube.layout import Block, Group

CODEC = {"cname": "zstd", "clevel": 1, "shuffle": "bitshuffle"}
"""Higher levels save less than a tenth, and lose as much in some data; level 5 takes up to ten times as long where most
values are equal, as in rain. See docs/store-layout.md."""

ABSENT = 2**64 - 1
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
class Form:
    """How an array is stored, from its `zarr.json`."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    shard: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: Any
    declared: Any

    @classmethod
    @functools.lru_cache(maxsize=64)
    def of(cls, metadata: bytes) -> Form:
        found = json.loads(metadata)
        dtype = np.dtype(found["data_type"]).newbyteorder("<")
        (sharding,) = found["codecs"]
        return cls(
            tuple(found.get("dimension_names") or ()),  # a single number has none
            tuple(found["shape"]),
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
    form = Form.of(metadata)
    codec = numcodecs.Blosc(CODEC["cname"], CODEC["clevel"], numcodecs.Blosc.BITSHUFFLE, typesize=form.dtype.itemsize)
    chunks: dict[tuple[int, ...], bytes] = {}
    missing = 0
    for place, chunk in _inner_chunks(values, form):
        chunks[place] = codec.encode(chunk)
        missing += _missing(chunk, form)
    # Chunks at the array's edge are made whole with fill.
    padding = len(chunks) * math.prod(form.chunk) - values.size
    index = group.index(block)
    key = "/".join([name, "c", *(str(index.get(dim, 0)) for dim in form.dims)])
    return Encoded({key: _shard(chunks, form)}, max(0, missing - padding))


def _inner_chunks(values: Array, form: Form) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Each inner chunk, contiguous and whole, with its place in the shard; valid until the next one is asked for."""
    if not form.chunk:
        yield (), values
        return
    counts = tuple(math.ceil(n / size) for n, size in zip(values.shape, form.chunk, strict=True))
    last, width = counts[-1], form.chunk[-1]
    chunks = np.empty((last, *form.chunk), form.dtype)
    piece = max(1, _PIECE_BYTES * form.chunk[0] // max(1, chunks.nbytes))
    for place in np.ndindex(*counts[:-1]):
        row = values[tuple(slice(i * n, (i + 1) * n) for i, n in zip(place, form.chunk, strict=False))]
        whole = (*form.chunk[:-1], last * width)
        if row.shape != whole:
            padded = np.full(whole, form.fill, form.dtype)
            padded[tuple(slice(0, n) for n in row.shape)] = row
            row = padded
        ordered = np.moveaxis(row.reshape(*form.chunk[:-1], last, width), -2, 0)
        for start in range(0, form.chunk[0], piece):
            chunks[:, start : start + piece] = ordered[:, start : start + piece]
        for i, chunk in enumerate(chunks):
            yield (*place, i), chunk


def _missing(chunk: Array, form: Form) -> int:
    if form.declared is not None:
        return int(np.count_nonzero(chunk == chunk.dtype.type(form.declared)))
    return int(np.count_nonzero(np.isnan(chunk))) if chunk.dtype.kind == "f" else 0


def _shard(chunks: Mapping[tuple[int, ...], bytes], form: Form) -> bytes:
    """Encoded inner chunks and their index (Zarr v3 sharding_indexed, index at the end, both with crc32c)."""
    grid = tuple(size // chunk for size, chunk in zip(form.shard, form.chunk, strict=True))
    index = np.full((*grid, 2), ABSENT, "<u8")
    parts: list[bytes] = []
    offset = 0
    for place in _z_order(grid):
        if place in chunks:
            parts += [chunks[place], crc32c(chunks[place])]
            index[place] = offset, len(chunks[place]) + 4
            offset += len(chunks[place]) + 4
    table = index.tobytes()
    return b"".join([*parts, table, crc32c(table)])


def crc32c(data: bytes | memoryview) -> bytes:
    """The checksum that follows an inner chunk, and the index of a shard."""
    return int(google_crc32c.value(np.frombuffer(data, np.uint8))).to_bytes(4, "little")


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
