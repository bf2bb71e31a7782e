"""Parts of arrays read from shards: each inner chunk is decoded once and put in its place in pieces.

zarr-python writes an inner chunk into the result as soon as it is decoded. In a series of many days of few cells that
is one short row of memory after another, far apart from each other, and takes longer than decoding. Here a row of inner
chunks is decoded first and put in place a few hundred days at a time, while they are in the processor's cache.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import google_crc32c
import numcodecs
import numpy as np

from cube.errors import IntegrityError, Problem
from cube.shards import ABSENT, Form

Array = np.ndarray[Any, Any]
Get = Callable[[str, int | None, int | None], bytes]
"""Bytes [start:stop] of the object at a key, None for its ends; a negative start is a suffix."""

_CODEC: Final = numcodecs.Blosc()  # decodes whatever a chunk's header says
_AHEAD: Final = 3  # shards on their way while one is decoded: an object store answers slowly, and several at once
_SHARE: Final = 4  # a shard of which a quarter is wanted is fetched whole
_PIECE: Final = 2**20  # bytes of a row of inner chunks that are put in place together


def read_shards(get: Get, form: Form, name: str, slices: Mapping[str, slice]) -> Array:
    """The part of an array that `slices` names by dimension, without steps; other dimensions are read whole.

    get   reads objects by their keys, which begin with `name`
    name  of the array in its group

    Raises IntegrityError for an inner chunk that is missing or damaged, and whatever `get` raises.
    """
    if not form.dims:
        # A number without dimensions is an inner chunk by itself.
        shard = _Shard(f"{name}/c", (), ((),), ())
        (data,) = _fetch(get, form, shard).values()
        found = np.empty((), form.dtype)
        _decode(data, found, shard.key)
        return found
    cut = [
        slice(*slices.get(dim, slice(None)).indices(size)[:2]) for dim, size in zip(form.dims, form.shape, strict=True)
    ]
    out = np.empty(tuple(max(0, part.stop - part.start) for part in cut), form.dtype)
    if not out.size:
        return out
    with ThreadPoolExecutor(_AHEAD) as pool:
        coming: deque[tuple[_Shard, Future[dict[tuple[int, ...], memoryview]]]] = deque()

        def place() -> None:
            shard, fetched = coming.popleft()
            _place(fetched.result(), form, shard, cut, out)

        for shard in _shards(form, name, cut):
            coming.append((shard, pool.submit(_fetch, get, form, shard)))
            if len(coming) > _AHEAD:
                place()
        while coming:
            place()
    return out


@dataclass(frozen=True)
class _Shard:
    """A shard of which something is wanted.

    index   of the shard in the array
    places  of the inner chunks that are wanted, in the shard
    counts  of inner chunks along each dimension that lie in the shard
    """

    key: str
    index: tuple[int, ...]
    places: tuple[tuple[int, ...], ...]
    counts: tuple[int, ...]


def _shards(form: Form, name: str, cut: Sequence[slice]) -> Iterator[_Shard]:
    def touched(part: slice, size: int) -> range:
        return range(part.start // size, -(-part.stop // size))

    counts = tuple(size // chunk for size, chunk in zip(form.shard, form.chunk, strict=True))
    for index in itertools.product(*(touched(part, size) for part, size in zip(cut, form.shard, strict=True))):
        inner = []
        for i, part, size, chunk in zip(index, cut, form.shard, form.chunk, strict=True):
            own = slice(max(part.start - i * size, 0), min(part.stop - i * size, size))
            inner.append(touched(own, chunk))
        yield _Shard("/".join([name, "c", *map(str, index)]), index, tuple(itertools.product(*inner)), counts)


def _fetch(get: Get, form: Form, shard: _Shard) -> dict[tuple[int, ...], memoryview]:
    """The wanted inner chunks as they are stored, by their places."""
    every = math.prod(shard.counts)
    size = 16 * every + 4
    whole = len(shard.places) * _SHARE >= every
    data = memoryview(get(shard.key, None if whole else -size, None))
    if len(data) < size:
        raise _damaged("is shorter than its index", shard.key)
    table = data[-size:]
    _check(table, shard.key)
    index = np.frombuffer(table[:-4], "<u8").reshape(*shard.counts, 2)
    found = {}
    for place in shard.places:
        offset, length = (int(number) for number in index[place])
        if offset == ABSENT:
            raise _damaged("lacks an inner chunk", shard.key)
        part = data[offset : offset + length] if whole else memoryview(get(shard.key, offset, offset + length))
        if len(part) != length:
            raise _damaged("is shorter than its index says", shard.key)
        found[place] = part
    return found


def _place(
    chunks: Mapping[tuple[int, ...], memoryview], form: Form, shard: _Shard, cut: Sequence[slice], out: Array
) -> None:
    """Decode inner chunks, row after row, and put them into `out`."""
    rows = itertools.groupby(shard.places, key=lambda place: place[:-1])
    start = [i * size for i, size in zip(shard.index, form.shard, strict=True)]
    space: Array | None = None
    for _, row in rows:
        places = list(row)
        if space is None:
            space = np.empty((len(places), *form.chunk), form.dtype)
        pairs = []
        for decoded, place in zip(space, places, strict=True):
            _decode(chunks[place], decoded, shard.key)
            source, target = [], []
            for first, i, chunk, part in zip(start, place, form.chunk, cut, strict=True):
                begin = first + i * chunk
                low, high = max(begin, part.start), min(begin + chunk, part.stop)
                source.append(slice(low - begin, high - begin))
                target.append(slice(low - part.start, high - part.start))
            pairs.append((_wide(out[tuple(target)]), _wide(decoded[tuple(source)])))
        length = len(pairs[0][0])
        step = max(1, _PIECE * length // max(1, sum(to.nbytes for to, _ in pairs)))
        for first in range(0, length, step):
            for to, stored in pairs:
                to[first : first + step] = stored[first : first + step]


def _wide(values: Array) -> Array:
    """The same memory with each row of the last dimension as one item, which numpy copies faster than its numbers."""
    if values.ndim < 2:
        return values
    return values.view(np.dtype((np.void, values.shape[-1] * values.itemsize)))[..., 0]


def _decode(data: memoryview, out: Array, key: str) -> None:
    _check(data, key)
    stored = data[:-4]
    # blosc trusts its own header, which tells the size; a damaged one with a right checksum is no chunk of this array.
    if len(stored) < 16 or int.from_bytes(stored[4:8], "little") != out.nbytes:
        raise _damaged("holds an inner chunk of another size", key)
    try:
        _CODEC.decode(stored, out)
    except (RuntimeError, ValueError):
        raise _damaged("holds an inner chunk that cannot be decoded", key) from None


def _check(data: memoryview, key: str) -> None:
    """Raises IntegrityError where the last four bytes are not the checksum of the others."""
    if int(google_crc32c.value(np.frombuffer(data[:-4], np.uint8))) != int.from_bytes(data[-4:], "little"):
        raise _damaged("does not have the checksum that is stored with it", key)


def _damaged(what: str, key: str) -> IntegrityError:
    return IntegrityError(
        Problem(
            "object-changed", f"the object {what}", key, "numbers read from it would be wrong", "`cube build --repair`"
        )
    )
