"""The front door of a cube: the root catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stac.items import JSON, STAC_VERSION


def compose_catalog(
    collections: Sequence[Mapping[str, Any]],
    *,
    title: str,
    description: str,
    id: str,
    base_href: str | None = None,
) -> dict[str, Any]:
    """The STAC 1.1 Catalog with one child a collection, to lie at catalog.json.

    The order of the collections does not matter. base_href as for `compose_item`.
    """
    links: list[dict[str, Any]] = [{"rel": "root", "href": "./catalog.json", "type": JSON, "title": title}]
    if base_href:
        links.append({"rel": "self", "href": f"{base_href.rstrip('/')}/catalog.json", "type": JSON})
    for child in sorted(collections, key=lambda child: str(child["id"])):
        href = f"./{child['id']}/collection.json"
        links.append({"rel": "child", "href": href, "type": JSON, "title": child["title"]})
    return {
        "type": "Catalog",
        "stac_version": STAC_VERSION,
        "id": id,
        "title": title,
        "description": description or title,
        "links": links,
        "stac_extensions": [],
    }
