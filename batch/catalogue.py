"""The catalogue and its collections: derived from the published items and the specification, mended at every build."""

from __future__ import annotations

import contextlib
import datetime
import json
import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from batch.sections import NAME, CollectionSpec
from batch.spec import Spec
from cube.errors import IntegrityError
from cube.live import Live
from cube.stores import Storage, Store
from cube.versions import ProductPath, read_json
from stac.catalogue import compose_catalog
from stac.collections import compose_collection


def object_bytes(value: Mapping[str, Any]) -> bytes:
    """A STAC object as it is stored."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def public_base(store: Store) -> str | None:
    """The address of the cube's root for readers without credentials; None where there is none."""
    href = store.public_href("catalog.json")
    return href.removesuffix("/catalog.json") if href.startswith(("http://", "https://")) else None


def reading_options(store: Store, storage: Storage | None) -> dict[str, Any] | None:
    """What readers of a store without public address need beside the address; never secrets."""
    if not store.url.startswith("s3://") or public_base(store) or storage is None or not storage.endpoint_url:
        return None
    return {"client_kwargs": {"endpoint_url": storage.endpoint_url}}


def first_published(live: Live | None, now: datetime.datetime) -> datetime.datetime:
    """When a product was first published, as far as its item still tells; else `now`."""
    try:
        item = json.loads(live.item) if live and live.item else {}
        return datetime.datetime.fromisoformat(item["properties"]["created"])
    except (ValueError, KeyError, TypeError):
        return now


def undeclared(spec: Spec, store: Store) -> list[ProductPath]:
    """Products that the catalogue lists and the specification does not declare, at least not in that collection."""
    declared = {ProductPath(product.collection, name) for name, product in spec.products.items()}
    listed = []
    for collection in _linked(store, "catalog.json", "child"):
        for key in _linked(store, collection, "item"):
            path = ProductPath(*key.split("/")[:2])
            # What a damaged catalogue links to may be anything.
            if path.item == key and NAME.fullmatch(path.collection) and NAME.fullmatch(path.product):
                listed.append(path)
    return [path for path in listed if path not in declared]


def _linked(store: Store, key: str, rel: str) -> Iterator[str]:
    """Keys that a catalogue object links to; none where it is lost or damaged, since it is made anew."""
    with contextlib.suppress(IntegrityError, KeyError, TypeError):
        value = read_json(store, key)
        for link in value["links"] if value else ():
            target = posixpath.normpath(posixpath.join(posixpath.dirname(key), link["href"]))
            if link["rel"] == rel and target.count("/") == key.count("/") + 1:
                yield target


def catalogue_changes(spec: Spec, store: Store, *, only_declared: bool = False) -> dict[str, bytes]:
    """The catalogue's objects that differ from what the published items say, by key.

    only_declared  leave out products that are listed but no longer declared
    """
    items: dict[str, list[dict[str, Any]]] = {}
    paths = [ProductPath(product.collection, name) for name, product in spec.products.items()]
    for path in [*paths, *([] if only_declared else undeclared(spec, store))]:
        # An item that cannot be read is told of by its product's plan; the others stay in the catalogue.
        with contextlib.suppress(IntegrityError):
            item = read_json(store, path.item)
            if not item or item.get("id") != path.product or "properties" not in item:
                continue
            items.setdefault(path.collection, []).append(item)
    if not items:
        return {}
    base = public_base(store)
    collections = []
    wanted: dict[str, bytes] = {}
    for name, found in sorted(items.items()):
        about = spec.collections.get(name) or CollectionSpec.model_validate({})
        try:
            collection = compose_collection(
                name,
                found,
                title=about.title or name,
                description=about.description or about.title or name,
                base_href=base,
                root_title=spec.title,
            )
        except (KeyError, TypeError, AttributeError, ValueError):
            return {}  # an item is damaged where no plan looks; the catalogue stays as it is
        collections.append(collection)
        wanted[f"{name}/collection.json"] = object_bytes(collection)
    catalog = compose_catalog(
        collections, title=spec.title, description=spec.description or spec.title, id=spec.id, base_href=base
    )
    wanted["catalog.json"] = object_bytes(catalog)
    return {key: data for key, data in wanted.items() if store.head(key) is None or store.get(key) != data}
