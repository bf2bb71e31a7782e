"""The catalogue and its collections: derived from the published items and the specification, mended at every build."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from batch.spec import Spec
from cube.errors import IntegrityError
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


def catalogue_changes(spec: Spec, store: Store) -> dict[str, bytes]:
    """The catalogue's objects that differ from what the published items say, by key."""
    items: dict[str, list[dict[str, Any]]] = {}
    for name in spec.products:
        product = spec.products[name]
        key = ProductPath(product.collection, name).item
        # An item that cannot be read is told of by its product's plan; the others stay in the catalogue.
        with contextlib.suppress(IntegrityError):
            item = read_json(store, key)
            if not item or item.get("id") != name or "properties" not in item:
                continue
            items.setdefault(product.collection, []).append(item)
    if not items:
        return {}
    base = public_base(store)
    collections = []
    wanted: dict[str, bytes] = {}
    for name, found in sorted(items.items()):
        about = spec.collections[name]
        collection = compose_collection(
            name,
            found,
            title=about.title or name,
            description=about.description or about.title or name,
            base_href=base,
            root_title=spec.title,
        )
        collections.append(collection)
        wanted[f"{name}/collection.json"] = object_bytes(collection)
    catalog = compose_catalog(
        collections, title=spec.title, description=spec.description or spec.title, id=spec.id, base_href=base
    )
    wanted["catalog.json"] = object_bytes(catalog)
    return {key: data for key, data in wanted.items() if store.head(key) is None or store.get(key) != data}
