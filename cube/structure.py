"""A product's structure as Zarr v3 objects: metadata, consolidated, and coordinates.

Everything is made in memory first, so that each object is one PUT of known bytes and known checksum.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import zarr
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore

from cube.layout import Layout
from cube.reading import strict
from cube.shards import CODEC
from cube.template import ArraySpec, Template


def _bytes(objects: Mapping[str, Buffer]) -> dict[str, bytes]:
    return {key: value.to_bytes() for key, value in sorted(objects.items())}


def structure(template: Template, layout: Layout, attrs: Mapping[str, Any]) -> dict[str, bytes]:
    """All objects of the Zarr group except shards, by key relative to the group. Same template, same bytes.

    attrs  attributes of the Zarr root (ACDD)
    """
    objects: dict[str, Buffer] = {}
    store = MemoryStore(objects)
    coordinates = template.coordinates()
    with strict(), warnings.catch_warnings():
        # zarr warns that consolidated metadata is not in the v3 specification; without it every xr.open_zarr warns.
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        root = zarr.create_group(store, zarr_format=3, attributes=dict(sorted(attrs.items())))
        for name in sorted([*template.arrays, *map(str, coordinates.variables)]):
            if (spec := template.arrays.get(name)) is not None:
                group = layout.group_of(name)
                chunks: tuple[int, ...] = group.chunks(spec.dims, spec.sizes)
                shards: tuple[int, ...] | None = group.shards(spec.dims, spec.sizes)
            else:
                array = coordinates.variables[name]
                spec = ArraySpec(tuple(map(str, array.dims)), array.shape, array.dtype, array.attrs)
                chunks, shards = tuple(max(1, size) for size in array.shape), None
            made = root.create_array(
                name,
                shape=spec.shape,
                dtype=spec.dtype,
                chunks=chunks,
                shards=shards,
                compressors=[BloscCodec(typesize=spec.dtype.itemsize, **CODEC), Crc32cCodec()],  # type: ignore[arg-type]
                fill_value=0 if spec.fill is None else spec.fill,
                attributes=dict(sorted(spec.attrs.items())),
                dimension_names=spec.dims,
            )
            if name not in template.arrays:
                made[...] = coordinates.variables[name].values
        zarr.consolidate_metadata(store, zarr_format=3)
    return _bytes(objects)
