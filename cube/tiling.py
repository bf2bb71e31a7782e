"""Tiles: how the cells of a map are cut into chunks and blocks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence


def even(size: int, part: int) -> int:
    """`part` made smaller so that `size` is cut into equal parts without a sliver at the end."""
    part = max(1, min(size, part))
    return math.ceil(size / math.ceil(size / part))


def tile(shape: Sequence[int], cells: int) -> tuple[int, ...]:
    """A near-square tile of at most `cells` cells (at least one), evened over `shape`."""
    if not shape:
        return ()
    left, found = max(1, cells), [1] * len(shape)
    # The shortest dimension first: what it cannot use is left to the others.
    for rank, axis in enumerate(sorted(range(len(shape)), key=lambda i: shape[i])):
        share = max(1, int(left ** (1 / (len(shape) - rank)) + 1e-9))
        found[axis] = even(shape[axis], share)
        left //= found[axis]
    return tuple(found)


def free(shape: Sequence[int], chunk_cells: int, block_cells: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Chunk and block: a block is a near-square tile of whole chunks."""
    chunk = tile(shape, min(chunk_cells, max(1, block_cells)))
    grid = [math.ceil(size / part) for size, part in zip(shape, chunk, strict=True)]
    count = tile(grid, max(1, block_cells // max(1, math.prod(chunk))))
    return chunk, tuple(part * times for part, times in zip(chunk, count, strict=True))


def along(
    shape: Sequence[int], given: Sequence[tuple[int, int]], chunk_cells: int, block_cells: int
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Chunk and block where what is read is cut into `given` (chunk, block) along each dimension.

    Objects are read whole, since their proof is of the whole, and chunks are decoded whole: a block that crosses those
    of its input reads and decodes them as often as blocks share them. A block is made of whole blocks of the input
    where `block_cells` allows, else it is a whole part of one. None where that would leave blocks or chunks less than
    half as large as they may be.
    """
    whole = tuple(block for _, block in given)
    times = block_cells // math.prod(whole)
    if times:
        grid = [math.ceil(size / part) for size, part in zip(shape, whole, strict=True)]
        found = tuple(part * count for part, count in zip(whole, tile(grid, times), strict=True))
    else:
        steps = [[chunk * n for n in _divisors(block // chunk)] for chunk, block in given]
        found = _largest(steps, block_cells)
        if not found or 2 * math.prod(found) < min(block_cells, math.prod(shape)):
            return None
    chunk = _largest([_divisors(size) for size in found], max(1, chunk_cells))
    if 2 * math.prod(chunk) < min(chunk_cells, math.prod(found)):
        return None
    return chunk, found


def _divisors(number: int) -> list[int]:
    return [each for each in range(1, number + 1) if number % each == 0]


def _largest(sizes: Sequence[Sequence[int]], cells: int) -> tuple[int, ...]:
    """Of the tiles with one of `sizes` along each dimension the largest of at most `cells`, the most square one of
    those; empty where all are larger."""
    tiles = [each for each in itertools.product(*sizes) if math.prod(each) <= cells]
    return max(tiles, key=lambda each: (math.prod(each), -max(each), each), default=())
