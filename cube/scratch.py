"""Intermediate arrays of first passes on a store, compressed lightly: disks and networks are slower than lz4."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import google_crc32c
import numcodecs
import numpy as np

from cube.errors import IntegrityError, Problem
from cube.hashing import canonical
from cube.stores import Store

_CODEC = numcodecs.Blosc("lz4", 1, numcodecs.Blosc.BITSHUFFLE)
_FRAME_BYTES = 2**19
"""An array is compressed in parts, so that it is never copied as a whole."""

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Scratchpad:
    """An object is a line of JSON (type, shape, rows of a frame), the frames one after the other, their lengths in
    bytes (uint32), and crc32c of all that, little-endian.

    A checksum of 32 bits is enough: these arrays live for one build, and only chance can damage them.
    """

    store: Store
    prefix: str

    def put(self, name: str, values: Array) -> None:
        """Leave an array of at least one dimension; takes at most its size in memory besides."""
        rows, size = len(values), max(1, values[:1].nbytes)
        step = max(1, min(rows, _FRAME_BYTES // size))
        head = canonical([values.dtype.str, values.shape, step]) + b"\n"
        frames = math.ceil(rows / step)
        data = bytearray(len(head) + values.nbytes + frames * (numcodecs.blosc.MAX_OVERHEAD + 4) + 4)
        data[: len(head)] = head
        end, lengths = len(head), []
        for start in range(0, rows, step):
            frame = _CODEC.encode(np.ascontiguousarray(values[start : start + step]))
            data[end : end + len(frame)] = frame
            end += len(frame)
            lengths.append(len(frame))
        table = np.array(lengths, "<u4").tobytes()
        data[end : end + len(table)] = table
        end += len(table)
        whole = memoryview(data)[: end + 4]
        whole[end:] = _checksum(np.frombuffer(whole[:end], np.uint8))
        self.store.put(f"{self.prefix}/{name}", whole, immutable=False)

    def get(self, name: str, out: Array | None = None) -> Array:
        """An array as it was put.

        out  where to put it: of its type and shape, contiguous or not

        Raises IntegrityError for an array that is not as it was put; it is dropped, so that it is made again.
        """
        key = f"{self.prefix}/{name}"
        data = self.store.get(key)
        body = np.frombuffer(data, np.uint8)[:-4]
        if _checksum(body) != data[-4:]:
            self.store.delete(key)
            fix = "run the same command again: it is made anew"
            raise IntegrityError(Problem("scratch-changed", "an intermediate array was damaged", key, fix=fix))
        end = data.index(b"\n") + 1
        dtype, shape, step = json.loads(data[:end])
        found = np.empty(shape, dtype) if out is None else out
        lengths = body[len(body) - 4 * math.ceil(shape[0] / step) :].view("<u4")
        for start, length in zip(range(0, shape[0], step), lengths.tolist(), strict=True):
            frame, part = body[end : end + length], found[start : start + step]
            if part.flags.c_contiguous:
                _CODEC.decode(frame, part)
            else:
                part[...] = np.frombuffer(_CODEC.decode(frame), dtype).reshape(part.shape)
            end += length
        return found


def _checksum(data: Array) -> bytes:
    return int(google_crc32c.value(data)).to_bytes(4, "little")
