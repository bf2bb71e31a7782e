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

import numcodecs
import numpy as np

from cube.errors import IntegrityError, Problem
from cube.shards import ABSENT, Form, crc32c

Array = np.ndarray[Any, Any]
Places = tuple[tuple[int, ...], ...]
Get = Callable[[str, int | None, int | None], bytes]
"""Bytes [start:stop] of the object at a key, None for its ends; a negative start is a suffix."""

_CODEC: Final = numcodecs.Blosc()  # decodes whatever a chunk's header says
_AHEAD: Final = 3  # shards on their way while one is decoded: an object store answers slowly, and several at once
_SHARE: Final = 4  # a shard of which a quarter is wanted is fetched whole
_GAP: Final = 2**20  # bytes between wanted inner chunks that are fetched with them, since a request costs more
_PIECE: Final = 2**20  # bytes of a row of inner chunks that are put in place together


def read_shards(get: Get, form: Form, name: str, slices: Mapping[str, slice], *, whole: bool = False) -> Array:
    """The part of an array that `slices` names by dimension; other dimensions are read whole.

    get    reads objects by their keys, which begin with `name`
    name   key of the array
    whole  fetch each shard whole, because `get` does so anyway

    Raises IntegrityError for an inner chunk that is missing or damaged, ValueError for slices with a step, and whatever
    `get` raises.
    """
    if any(part.step not in (None, 1) for part in slices.values()):
        raise ValueError("slices are read without steps")
    if not form.dims:
        # A number without dimensions is an inner chunk by itself.
        shard = _Shard(f"{name}/c", (), ((),), ())
        (data,) = _fetch(get, form, shard, whole).values()
        found = np.empty((), form.dtype)
        _decode(data, found, shard.key)
        return found
    cut = [
        slice(*slices.get(dim, slice(None)).indices(size)[:2]) for dim, size in zip(form.dims, form.shape, strict=True)
    ]
    out = np.empty(tuple(max(0, part.stop - part.start) for part in cut), form.dtype)
    if not out.size:
        return out
    pool = ThreadPoolExecutor(_AHEAD)
    try:
        coming: deque[tuple[_Shard, Future[dict[tuple[int, ...], memoryview]]]] = deque()

        def place() -> None:
            shard, fetched = coming.popleft()
            _place(fetched.result(), form, shard, cut, out)

        for shard in _shards(form, name, cut):
            coming.append((shard, pool.submit(_fetch, get, form, shard, whole)))
            if len(coming) > _AHEAD:
                place()
        while coming:
            place()
    finally:
        # After a failure nothing more is asked for, and what is on its way is not waited for.
        pool.shutdown(wait=False, cancel_futures=True)
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
    places: Places
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


def _fetch(get: Get, form: Form, shard: _Shard, whole: bool) -> dict[tuple[int, ...], memoryview]:
    """The wanted inner chunks as they are stored, by their places."""
    every = math.prod(shard.counts)
    size = 16 * every + 4
    whole = whole or len(shard.places) * _SHARE >= every
    data = memoryview(get(shard.key, None if whole else -size, None))
    if len(data) < size:
        raise _damaged("is shorter than its index", shard.key)
    table = data[-size:]
    _check(table, shard.key)
    index = np.frombuffer(table[:-4], "<u8").reshape(*shard.counts, 2)
    wanted = sorted((int(index[place][0]), int(index[place][1]), place) for place in shard.places)
    if wanted[-1][0] == ABSENT:
        raise _damaged("lacks an inner chunk", shard.key)
    found: dict[tuple[int, ...], memoryview] = {}
    for first, stop, run in _runs(wanted):
        part = data[first:stop] if whole else memoryview(get(shard.key, first, stop))
        if len(part) != stop - first:
            raise _damaged("is shorter than its index says", shard.key)
        found |= {place: part[offset - first : offset - first + length] for offset, length, place in run}
    return found


Located = tuple[int, int, tuple[int, ...]]
"""Offset, length and place of an inner chunk."""


def _runs(wanted: Sequence[Located]) -> Iterator[tuple[int, int, list[Located]]]:
    """Inner chunks that lie close together, with where they begin and end in the shard. wanted: in order of offset."""
    run: list[Located] = []
    stop = 0
    for each in wanted:
        if run and each[0] > stop + _GAP:
            yield run[0][0], stop, run
            run = []
        stop = max(stop, each[0] + each[1]) if run else each[0] + each[1]
        run.append(each)
    yield run[0][0], stop, run


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
        # Of an array of one dimension the inner chunks of a row are not equally long along the first.
        length = max(len(to) for to, _ in pairs)
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
    # blosc trusts its header, which tells the sizes before and after: what lies in a public store may be crafted.
    sizes = int.from_bytes(stored[4:8], "little"), int.from_bytes(stored[12:16], "little")
    if len(stored) < 16 or sizes != (out.nbytes, len(stored)) or stored[3] != out.itemsize:
        raise _damaged("holds an inner chunk of another size or type", key)
    try:
        _CODEC.decode(stored, out)
    except (RuntimeError, ValueError):
        raise _damaged("holds an inner chunk that cannot be decoded", key) from None


def _check(data: memoryview, key: str) -> None:
    """Raises IntegrityError where the last four bytes are not the checksum of the others."""
    if crc32c(data[:-4]) != data[-4:]:
        raise _damaged("does not have the checksum that is stored with it", key)


def _damaged(what: str, key: str) -> IntegrityError:
    return IntegrityError(
        Problem(
            "object-changed", f"the object {what}", key, "numbers read from it would be wrong", "`cube build --repair`"
        )
    )
