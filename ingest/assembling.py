"""From what was chosen to what is read: dimensions, types, decoding rules, chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cube.axes import Step, TimeAxis
from ingest.archive import Decode, Quality
from ingest.choosing import Chosen, Conversion
from ingest.conventions import safe_name
from ingest.decode import FILL_DEFAULTS
from ingest.facts import FileFacts, Structure
from ingest.gridmap import GridMap
from ingest.grids import Grid
from ingest.roles import VariableFacts

_SMALL_TYPES = {"int8", "uint8", "int16", "uint16", "float16", "float32"}
_FLAG_MASKS = {"recommended": 1, "strict": 0xFFFF}


@dataclass(frozen=True)
class Shape:
    """A variable's published dimensions, as one kind of file gives them.

    axes   of the native dimensions, for `Decode.axes`
    dims   published: time, others, y, x;  others  sizes of the others
    """

    axes: tuple[str, ...]
    dims: tuple[str, ...]
    others: Mapping[str, int]


def shape_of(
    native: str, structure: Structure, facts: FileFacts, grid: Grid, soil_layers: str | None, timed: bool
) -> Shape:
    """The dimensions of a variable of a file.

    timed  whether the product has a time axis; a file's own time is then its first dimension
    """
    roles, variables = structure.roles, structure.variables
    time_dims = variables[roles.time].dims if roles.time else ()
    axes = []
    for dim in variables[native].dims:
        if dim in time_dims or dim == "time":
            axes.append("time" if timed and dim in time_dims else "")
        elif dim in grid.roles:
            axes.append(grid.roles[dim])
        else:
            axes.append("depth" if dim == soil_layers else safe_name(dim))
    others = {
        axis: facts.sizes[dim]
        for axis, dim in zip(axes, variables[native].dims, strict=True)
        if axis not in ("time", "y", "x", "point", "")
    }
    dims = (*(("time",) if timed else ()), *others, *grid.dims)
    return Shape(tuple(axes), dims, others)


def is_static(native: str, structure: Structure, named_times: bool) -> bool:
    """Whether a variable has no time although its file has one."""
    time = structure.roles.time
    if named_times or time is None or not structure.variables[time].dims:
        return False
    return structure.variables[time].dims[0] not in structure.variables[native].dims


def dtype_of(chosen: Chosen, structures: Mapping[str, Structure]) -> np.dtype[np.generic]:
    """The published type: the widest that the files need, or the declared one."""
    if chosen.rule.dtype:
        return np.dtype(chosen.rule.dtype)
    facts = [structures[hashed].variables[native] for hashed, native in chosen.native.items()]
    if chosen.rule.kind == "flag":
        return np.result_type(*(np.dtype(_stored(each)) for each in facts))
    return np.dtype("float32" if all(each.dtype in _SMALL_TYPES for each in facts) else "float64")


def fill_of(chosen: Chosen, structures: Mapping[str, Structure], dtype: np.dtype[np.generic]) -> float | int:
    """What stands for missing: NaN, or for integers the files' fill, netCDF's where they have none.

    Of several the one furthest from zero, which is the least likely to be a value in the other files.
    """
    if dtype.kind == "f":
        return float("nan")
    limits, found = np.iinfo(str(dtype)), set()
    for hashed, native in chosen.native.items():
        own = _fills(structures[hashed].variables[native])
        whole = [int(fill) for fill in own if fill == int(fill) and limits.min <= fill <= limits.max]
        found.add(whole[0] if whole else FILL_DEFAULTS[dtype.name])
    return max(found, key=lambda fill: (abs(fill), fill))


def decode_of(
    chosen: Chosen,
    structure: Structure,
    native: str,
    conversion: Conversion,
    shape: Shape,
    dtype: np.dtype[np.generic],
    fill: float | int,
    group: str,
    step: Step | None,
    quality: str,
) -> Decode:
    """The rule for the files of one structure, without reduction.

    step  of the files; sums over hours and days are divided here, those over months and years by `lengths_of`
    """
    facts, rule = structure.variables[native], chosen.rule
    prefix = f"{group}/" if group else ""
    scale = facts.scale if facts.scale is not None else 1.0
    add = facts.offset if facts.offset is not None else 0.0
    factor, offset = scale * conversion.factor, add * conversion.factor + conversion.offset
    if conversion.summed and step is not None and (seconds := _seconds(step)):
        factor, offset = factor / seconds, offset / seconds
    flagged = rule.quality is not None and rule.quality in structure.variables
    return Decode(
        variable=prefix + native,
        axes=shape.axes,
        dtype=dtype.name,
        fill=None if dtype.kind == "f" else int(fill),
        missing=(*_fills(facts), *rule.sentinels),
        factor=factor,
        offset=offset,
        floor=rule.floor,
        unsigned=facts.unsigned and facts.dtype[:1] == "i",
        quality=Quality(prefix + str(rule.quality), _FLAG_MASKS[quality]) if flagged else None,
    )


def lengths_of(first: int, count: int, step: Step | None, calendar: str, conversion: Conversion) -> tuple[float, ...]:
    """Seconds of each month or year of a piece whose sums become rates, else nothing."""
    if not conversion.summed or step is None or _seconds(step):
        return ()
    bounds = TimeAxis(first, count, step, calendar).bounds()
    return tuple(float(days) * 86400 for days in bounds[:, 1] - bounds[:, 0])


def source_chunk(
    dims: Sequence[str],
    shape: Sequence[int],
    stored: Sequence[tuple[VariableFacts, Shape, GridMap]],
    steps: int,
    number: int,
) -> tuple[int, ...]:
    """Per published dimension, the largest extent that files decode together.

    steps   of the longest file, published;  number  file steps of a published one
    """
    extents = dict.fromkeys(dims, 1)
    for facts, native, grid in stored:
        if grid.scatter:
            extents |= dict(zip(dims[-2:], grid.shape, strict=True))
        if facts.chunks is None:
            continue
        for axis, chunk in zip(native.axes, facts.chunks, strict=True):
            dim = {"y": dims[-2] if len(dims) > 1 else "", "x": dims[-1]}.get(axis, axis)
            length = min(-(-chunk // number), steps) if dim == "time" else chunk
            if dim in extents:
                extents[dim] = max(extents[dim], length)
    return tuple(min(extents[dim], size) for dim, size in zip(dims, shape, strict=True))


def _seconds(step: Step) -> float | None:
    return {"hour": step.hours * 3600.0, "day": 86400.0}.get(step.unit)


def _stored(facts: VariableFacts) -> str:
    return f"u{facts.dtype}" if facts.unsigned and facts.dtype[:1] == "i" else facts.dtype


def _fills(facts: VariableFacts) -> tuple[float | int, ...]:
    if not facts.unsigned:
        return facts.fills
    bits = 8 * np.dtype(facts.dtype).itemsize
    return tuple(fill if fill >= 0 else int(fill) + 2**bits for fill in facts.fills)
