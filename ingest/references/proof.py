"""The proof that references read as the files do: every byte range, every time, and a sample of chunks bit for bit."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import netCDF4
import numpy as np
import xarray as xr

from cube.errors import Problem
from ingest.references.contents import FILL, PACKING, UNITS, Array, decode_times
from ingest.references.scan import ReferencedFile, Scan
from ingest.references.writing import References

SAMPLES = 32
# Decoded bytes read for the sample of one variable; the first and the last chunk are always read.
SAMPLED_BYTES = 256 * 2**20


@dataclass(frozen=True)
class _Chunk:
    """A chunk of a variable: its key in the references, the file it is in, and its place in both."""

    key: str
    file: int
    joined: tuple[slice, ...]
    inside: tuple[slice, ...]


def private_paths(references: References, files: Sequence[ReferencedFile]) -> list[Problem]:
    """Local paths in attributes, or byte ranges of anything but the given addresses.

    An address itself may end like the local path: an archive serves /a/b.nc as https://archive/a/b.nc.
    """
    text = "".join(value for key, value in references.items() if key.rpartition("/")[2].startswith(".z"))
    paths = {str(path) for file in files for path in (file.path, file.path.resolve())}
    found = {value[0] for value in references.values() if isinstance(value, list)} - {file.href for file in files}
    if not found and not any(path in text or json.dumps(path)[1:-1] in text for path in paths):
        return []
    danger = "they would tell strangers about the machine that made them"
    return [Problem("references-path", "the references would hold a local path", danger=danger)]


def ranges_outside(references: References, files: Sequence[ReferencedFile], labels: Sequence[str]) -> list[Problem]:
    """Byte ranges that end after their file does."""
    sizes = {file.href: (file.bytes, label) for file, label in zip(files, labels, strict=True)}
    found = {}
    for key, value in references.items():
        if isinstance(value, list):
            size, label = sizes[value[0]]
            if value[1] + value[2] > size:
                found[label] = f"chunk {key} ends at byte {value[1] + value[2]:,} of a file of {size:,}"
    return [
        Problem("references-file", what, label, "the file is cut short: its last steps would not read")
        for label, what in found.items()
    ]


def differences(
    references: References, scans: Sequence[Scan], files: Sequence[ReferencedFile], variables: Sequence[str]
) -> list[Problem]:
    """Where the references, read by xarray through fsspec, differ from the files read by netCDF4.

    All times and coordinates are compared, the attributes that decide decoding, and of each variable a sample of at
    most 32 chunks drawn evenly along time, the first and the last among them. The sample depends on the files alone.
    """
    seed = hashlib.sha256("".join(file.sha256 for file in files).encode()).digest()
    random = np.random.default_rng(int.from_bytes(seed[:8]))
    chunks = {name: list(_sample(scans, name, random)) for name in variables}
    paths = {file.href: str(file.path) for file in files}
    wanted = {chunk.key for sample in chunks.values() for chunk in sample}
    local = {
        key: [paths[value[0]], *value[1:]] if isinstance(value, list) else value
        for key, value in references.items()
        if key in wanted or not isinstance(value, list)
    }
    storage = {"fo": {"version": 1, "refs": local}, "remote_protocol": "file"}
    found: list[Problem] = []
    with xr.open_dataset(
        "reference://",
        engine="zarr",
        backend_kwargs={"storage_options": storage, "consolidated": False},
        decode_cf=False,
        create_default_indexes=False,
    ) as opened:
        found.extend(_different_times(opened, scans))
        for name, carried in scans[0].inlined.items():
            if _bits(opened[name].values) != _bits(carried.values):
                found.append(Problem("references-values", f"the coordinate {name} does not read as in the files", name))
        for name in variables:
            found.extend(_different_attributes(opened[name], scans[0], name))
            found.extend(_different_values(opened[name], chunks[name], scans, files, name))
    return found


def _sample(scans: Sequence[Scan], name: str, random: np.random.Generator) -> Iterator[_Chunk]:
    first = scans[0].variables[name]
    axis, chunk = first.facts.time_axis, first.chunks
    grids = [one.variables[name].grid for one in scans]
    starts = list(itertools.accumulate((grid[axis] for grid in grids), initial=0))
    # Time varies slowest in this order, so that equal strata of it are spread over the files.
    order = [axis, *(other for other in range(len(chunk)) if other != axis)]
    shape = [starts[-1], *(grids[0][other] for other in order[1:])]
    total = math.prod(shape)
    count = min(total, max(2, min(SAMPLES, SAMPLED_BYTES // max(1, first.chunk_bytes))))
    edges = [total * number // count for number in range(count + 1)]
    inner = [int(random.integers(low, high)) for low, high in itertools.pairwise(edges[1:-1])]
    for number in sorted({0, *inner, total - 1}):
        place = dict(zip(order, map(int, np.unravel_index(number, shape)), strict=True))
        file = int(np.searchsorted(starts, place[axis], side="right")) - 1
        key = f"{name}/{'.'.join(str(place[dim]) for dim in range(len(chunk)))}"
        yield _Chunk(
            key,
            file,
            tuple(slice(place[dim] * n, (place[dim] + 1) * n) for dim, n in enumerate(chunk)),
            tuple(
                slice(index * n, (index + 1) * n)
                for n, index in ((n, place[dim] - (starts[file] if dim == axis else 0)) for dim, n in enumerate(chunk))
            ),
        )


def _different_times(opened: xr.Dataset, scans: Sequence[Scan]) -> Iterator[Problem]:
    times = [one.times for one in scans if one.times is not None]
    expected = {times[0].name: np.concatenate([one.values for one in times])}
    if times[0].bounds_name in opened.variables:
        expected[times[0].bounds_name] = np.concatenate([one.bounds for one in times if one.bounds is not None])
    for name, values in expected.items():
        variable = opened[name]
        read = decode_times(variable.values, variable.attrs["units"], variable.attrs["calendar"])
        if not np.array_equal(read, values):
            yield Problem("references-values", f"{name} does not read back as the times of the files", name)


def _different_attributes(variable: xr.DataArray, first: Scan, name: str) -> Iterator[Problem]:
    expected: dict[str, Any] = first.variables[name].facts.decoding
    for key in (*PACKING, *FILL, *UNITS):
        found: Any = variable.attrs.get(key)
        wanted: Any = expected.get(key)
        if key == "missing_value" and np.asarray(wanted).dtype.kind == "f" and not np.isfinite(wanted).all():
            # It has no JSON form, and none is needed: it is NaN or equal to _FillValue.
            continue
        if (found is None) != (wanted is None) or (wanted is not None and not _equal(found, wanted)):
            yield Problem("references-values", f"{key} of {name} reads back as {found}, not {wanted}", name)


def _equal(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, str):
        return bool(found == wanted)
    return np.array_equal(
        np.asarray(found, np.asarray(wanted).dtype), wanted, equal_nan=np.asarray(wanted).dtype.kind == "f"
    )


def _different_values(
    variable: xr.DataArray, chunks: Sequence[_Chunk], scans: Sequence[Scan], files: Sequence[ReferencedFile], name: str
) -> Iterator[Problem]:
    for file, group in itertools.groupby(chunks, key=lambda chunk: chunk.file):
        with netCDF4.Dataset(files[file].path) as dataset:
            dataset.set_auto_maskandscale(False)
            for chunk in group:
                wanted = np.asarray(dataset[name][chunk.inside])
                try:
                    found = np.asarray(variable[chunk.joined].values)
                except Exception as error:  # noqa: BLE001 - any failure to read is a difference, whatever codec raised it
                    yield Problem("references-values", f"chunk {chunk.key} does not read: {type(error).__name__}", name)
                    continue
                if _bits(found) != _bits(wanted):
                    label = scans[file].label
                    yield Problem(
                        "references-values", f"chunk {chunk.key} does not read as in {label}", name, "values are wrong"
                    )


def _bits(values: Array) -> tuple[str, tuple[int, ...], bytes]:
    native = values.astype(values.dtype.newbyteorder("="))
    return native.dtype.str, native.shape, native.tobytes()
