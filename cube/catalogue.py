"""Reading a cube: from its STAC catalogue to xarray datasets, on a directory, an object store or over HTTP."""

from __future__ import annotations

import functools
import json
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from cube.errors import MissingObjectError, Problem
from cube.job import ProductView
from cube.live import read_live
from cube.published import published_view
from cube.reading import strict
from cube.stores import Storage, Store, open_store
from cube.stores.zarr_store import ZarrReader
from cube.versions import ProductPath


@dataclass(frozen=True)
class Entry:
    """One product as the catalogue shows it. start, end: first and last second, None for a product without time."""

    name: str
    collection: str
    title: str
    start: str | None
    end: str | None
    key: str


class Cube(Mapping[str, xr.Dataset]):
    """The products of a cube by name; `cube["tamsat-rainfall"]` opens one."""

    def __init__(self, location: str | Path, storage: Mapping[str, Any] | None = None) -> None:
        self._store: Store = open_store(location, Storage(**storage) if storage else None)

    @functools.cached_property
    def _keys(self) -> dict[str, str]:
        """Keys of the items by product name: an item lies under its name, so that none has to be read to find one."""
        catalog = self._json("catalog.json")
        collections = _links(catalog, "child", "catalog.json")
        keys = [key for collection in collections for key in _links(self._json(collection), "item", collection)]
        return {posixpath.basename(key).removesuffix(".json"): key for key in keys}

    @functools.cached_property
    def entries(self) -> dict[str, Entry]:
        """What is published, by product name. Raises MissingObjectError where there is no cube."""
        return {name: self._entry(key) for name, key in self._keys.items()}

    def _entry(self, key: str) -> Entry:
        item = self._json(key)
        properties = item["properties"]
        return Entry(
            item["id"],
            item["collection"],
            properties.get("title", item["id"]),
            # `datetime` alone is when a product without time was published.
            properties.get("start_datetime"),
            properties.get("end_datetime"),
            key,
        )

    def item(self, product: str) -> dict[str, Any]:
        """The STAC item as it is now. Raises MissingObjectError for an unknown product."""
        key = self._keys.get(product)
        if key is None:
            names = ", ".join(sorted(self._keys)) or "nothing"
            raise MissingObjectError(
                Problem(
                    "product-unknown",
                    f"there is no product {product!r}",
                    str(self._store.url),
                    fix=f"published are: {names}",
                )
            )
        return self._json(key)

    def view(self, product: str) -> tuple[ProductView, Mapping[str, Any]]:
        """A product as jobs see it, and the manifest of its version. Raises as `item` does, and IntegrityError."""
        self.item(product)
        path = ProductPath(posixpath.dirname(posixpath.dirname(self._keys[product])), product)
        live = read_live(self._store, path)
        assert live is not None
        return published_view(self._store, path, live), live.manifest

    def open(self, product: str, layout: str = "time", **options: Any) -> xr.Dataset:
        """A product as an xarray dataset; a missing object is an error, not fill.

        layout   "time" for whole series of few cells, "map" for whole maps of few steps (where published)
        options  passed to `xarray.open_zarr`

        Raises MissingObjectError for an unknown product or a layout it does not have.
        """
        item = self.item(product)
        folder = posixpath.dirname(self._keys[product])
        version = item["properties"]["version"]
        if layout not in item["assets"]:
            what = f"{product} has no layout {layout!r}"
            raise MissingObjectError(
                Problem("layout-unknown", what, str(self._store.url), fix="open it with layout='time'")
            )
        with strict():
            reader = ZarrReader(self._store, f"{folder}/{version}/{layout}.zarr")
            dataset: xr.Dataset = xr.open_zarr(reader, consolidated=True, zarr_format=3, **options)
            return dataset

    def _json(self, key: str) -> dict[str, Any]:
        return dict(json.loads(self._store.get(key)))

    # A mapping would compare all products' data; what a cube holds also changes while it is open.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __getitem__(self, product: str) -> xr.Dataset:
        return self.open(product)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, product: object) -> bool:
        return product in self._keys

    def __repr__(self) -> str:
        rows = [f"  {e.name:<40} {_period(e):<24}  {e.title}" for e in self.entries.values()]
        return "\n".join([f"<Cube {self._store.url}>", *rows])


def _period(entry: Entry) -> str:
    return f"{entry.start[:10]} to {entry.end[:10]}" if entry.start and entry.end else "no time"


def _links(value: Mapping[str, Any], rel: str, key: str) -> list[str]:
    """Keys that a catalogue object links to; links are relative to the object."""
    base = posixpath.dirname(key)
    return [posixpath.normpath(posixpath.join(base, link["href"])) for link in value["links"] if link["rel"] == rel]
