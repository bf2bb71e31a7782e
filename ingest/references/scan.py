"""One original file as references see it: its contents, and its byte ranges parsed by VirtualiZarr."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
from obspec_utils.registry import ObjectStoreRegistry
from obstore.store import LocalStore
from virtualizarr.manifests import ManifestArray
from virtualizarr.parsers import HDFParser, NetCDF3Parser

from cube.errors import Problem
from ingest.references.contents import Facts, Inlined, Times, read_contents

_HDF5 = b"\x89HDF\r\n\x1a\n"
# What any Zarr reader decodes without plug-ins: deflate, shuffle, fletcher32.
_FILTERS = frozenset({1, 2, 3})
_FILTER_NAMES = {4: "szip", 5: "nbit", 6: "scaleoffset", 307: "bzip2", 32001: "blosc", 32004: "lz4", 32015: "zstd"}
_DANGER = {
    "references-storage": "such bytes would read as missing or as other values",
    "references-file": "byte ranges would point into something else",
}


@dataclass(frozen=True)
class ReferencedFile:
    """An original file, readable now at `path`, that the references will call `href`.

    path    local; never published
    href    public URL
    sha256  identity of the content, hex; it seeds the proof's sample and is not computed again here
    bytes   size
    """

    path: Path
    href: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Stored:
    """One asked variable of one file; `array` holds its byte ranges under the file's href."""

    facts: Facts
    array: ManifestArray
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    codecs: str

    @property
    def chunk_bytes(self) -> int:
        """Decoded bytes of one chunk."""
        return math.prod(self.chunks) * np.dtype(self.facts.dtype).itemsize

    @property
    def grid(self) -> tuple[int, ...]:
        """Chunks along each dimension."""
        return tuple(math.ceil(n / chunk) for n, chunk in zip(self.shape, self.chunks, strict=True))


@dataclass(frozen=True)
class Scan:
    """One file. With problems it holds nothing else."""

    label: str
    problems: tuple[Problem, ...] = ()
    times: Times | None = None
    variables: dict[str, Stored] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    inlined: dict[str, Inlined] = field(default_factory=dict)
    attrs: dict[str, Any] = field(default_factory=dict)


def scan(file: ReferencedFile, label: str, variables: Sequence[str], keep: bool = False) -> Scan:
    """Look at one file without reading its data; `keep` also keeps the values of its coordinates.

    Problems name the file by `label` and never hold its local path, because they are published.
    """
    problems: list[Problem] = []

    def refuse(code: str, what: str) -> None:
        for path in (file.path, file.path.resolve()):
            for private in (path, path.parent) if len(path.parent.parts) > 1 else (path,):
                what = what.replace(str(private), label)
        problems.append(Problem(code, what, label, _DANGER.get(code, "")))

    try:
        size = file.path.stat().st_size
        with file.path.open("rb") as opened:
            magic = opened.read(8)
        if size != file.bytes:
            refuse("references-file", f"it has {size} bytes where {file.bytes} were expected")
        if magic[:3] != b"CDF" and magic != _HDF5:
            refuse("references-file", "it is neither NetCDF-3 nor NetCDF-4")
        if problems:
            return Scan(label, tuple(problems))
        with netCDF4.Dataset(file.path) as dataset:
            dataset.set_auto_maskandscale(False)
            dataset.set_auto_chartostring(False)
            found = read_contents(dataset, variables, keep, refuse)
        if magic == _HDF5:
            for what in _hdf5_obstacles(file.path, list(found.variables)):
                refuse("references-storage", what)
        if problems:
            return Scan(label, tuple(problems))
        arrays = _parse(file, [name for name in found.members if name not in variables], variables, magic == _HDF5)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, NotImplementedError) as error:
        refuse("references-file", f"it cannot be described: {str(error).partition('\n')[0]}")
        return Scan(label, tuple(problems))
    stored = {name: _stored(found.variables[name], array) for name, array in arrays.items()}
    return Scan(label, (), found.times, stored, found.digests, found.inlined, found.attrs)


def _stored(facts: Facts, array: ManifestArray) -> Stored:
    metadata: dict[str, Any] = array.metadata.to_dict()
    chunks = tuple(metadata["chunk_grid"]["configuration"]["chunk_shape"])
    codecs = []
    for codec in metadata["codecs"]:
        options = ",".join(f"{key}={value}" for key, value in sorted(codec.get("configuration", {}).items()))
        codecs.append(f"{codec['name']}({options})")
    return Stored(facts, array, array.shape, chunks, " ".join(codecs))


def _parse(file: ReferencedFile, others: list[str], variables: Sequence[str], hdf5: bool) -> dict[str, ManifestArray]:
    parser = HDFParser(drop_variables=others) if hdf5 else NetCDF3Parser(skip_variables=others)
    # Rooted at the folder, so that no character of its path is read as part of a URL.
    path = file.path.resolve()
    registry = ObjectStoreRegistry({"file://": LocalStore(path.parent)})
    # The public to_virtual_dataset opens the file once more as Zarr, at three times the cost of parsing it.
    arrays = parser(f"file:///{path.name}", registry)._group.arrays
    return {name: arrays[name].rename_paths(file.href) for name in variables}


def _hdf5_obstacles(path: Path, variables: Sequence[str]) -> list[str]:
    """Why byte ranges of HDF5 datasets would not read as their values."""
    found = []
    with h5py.File(path, "r") as opened:
        for name in variables:
            dataset = opened[name]
            created = dataset.id.get_create_plist()
            layout = created.get_layout()
            filters = [created.get_filter(number)[0] for number in range(created.get_nfilters())]
            others = [_FILTER_NAMES.get(code, f"number {code}") for code in filters if code not in _FILTERS]
            if layout == h5py.h5d.COMPACT:
                found.append(f"{name} is stored in the file's header (compact), which has no byte range")
            elif layout not in {h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED} or created.get_external_count():
                found.append(f"{name} is stored in other files")
            elif others:
                found.append(f"{name} is stored with the filter {', '.join(others)}, which plain readers lack")
            elif layout == h5py.h5d.CHUNKED:
                found.extend(_chunk_obstacles(name, dataset))
            elif dataset.id.get_offset() is None:
                found.append(f"{name} was never written")
    return found


def _chunk_obstacles(name: str, dataset: Any) -> Iterator[str]:
    masks: list[int] = []
    dataset.id.chunk_iter(lambda chunk: masks.append(chunk.filter_mask))
    unfiltered = sum(1 for mask in masks if mask)
    expected = math.prod(math.ceil(n / chunk) for n, chunk in zip(dataset.shape, dataset.chunks, strict=True))
    if unfiltered:
        yield f"{name} has {unfiltered} chunks that skip a filter, which one codec cannot describe"
    if len(masks) != expected:
        yield f"{name} has {len(masks)} chunks where {expected} are needed: the others were never written"
