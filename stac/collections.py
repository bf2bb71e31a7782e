"""A collection derived from its items: extents, summaries, licence and credits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cube.hashing import canonical
from stac import citations
from stac.extensions import declared
from stac.extents import union
from stac.items import GEOJSON, JSON, STAC_VERSION

_SUMMARISED = {"source_id", "experiment_id", "variable_id", "proj:code", "cic:calendar", "cic:job"}
_NOT_SUMMARISED = {"cic", "cube", "processing", "proj", "sci"}
"""Prefixes of fields that only make sense for one item."""
_SHARED = ("title", "description", "type", "roles")


def compose_collection(
    collection_id: str,
    items: Sequence[Mapping[str, Any]],
    *,
    title: str,
    description: str,
    base_href: str | None = None,
    root_title: str | None = None,
) -> dict[str, Any]:
    """The STAC 1.1 Collection of some items, to lie at COLLECTION/collection.json.

    The order of the items does not matter. base_href as for `compose_item`; root_title is the cube's title.
    """
    items = sorted(items, key=lambda item: str(item["id"]))
    properties = [item["properties"] for item in items]
    licences = {each["license"] for each in properties}
    collection: dict[str, Any] = {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "id": collection_id,
        "title": title,
        "description": description or title or collection_id,
        "license": licences.pop() if len(licences) == 1 else "other",
        "extent": {
            "spatial": {"bbox": [union(item["bbox"] for item in items if item.get("bbox"))]},
            "temporal": {"interval": [_interval(properties)]},
        },
        "summaries": _summaries(items),
        "item_assets": _item_assets(items),
        "links": _links(collection_id, items, base_href, root_title),
    }
    keywords = sorted({word for each in properties for word in each.get("keywords", [])})
    providers = citations.providers(provider for each in properties for provider in each.get("providers", []))
    cited = citations.publications(_cited(properties))
    if keywords:
        collection["keywords"] = keywords
    if providers:
        collection["providers"] = providers
    if cited:
        collection["sci:publications"] = cited
    for key in ("summaries", "item_assets"):
        if not collection[key]:
            del collection[key]
    collection["stac_extensions"] = declared(collection)
    return collection


def _interval(properties: Iterable[Mapping[str, Any]]) -> list[str | None]:
    """The time covered; products without time do not stretch it."""
    timed = [each for each in properties if "start_datetime" in each]
    if not timed:
        return [None, None]
    return [min(each["start_datetime"] for each in timed), max(each["end_datetime"] for each in timed)]


def _cited(properties: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for each in properties:
        found.append({"doi": each.get("sci:doi"), "text": each.get("sci:citation")})
        listed = each.get("sci:publications", [])
        found.extend({"doi": entry.get("doi"), "text": entry.get("citation")} for entry in listed)
    return found


def _summaries(items: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Values by which items can be told apart: declared identifiers, and what the items' variables are."""
    found: dict[str, dict[bytes, Any]] = {}
    for item in items:
        for key, value in item["properties"].items():
            prefix, colon, _ = key.partition(":")
            if key in _SUMMARISED or (colon and prefix not in _NOT_SUMMARISED):
                for each in value if isinstance(value, list) else [value]:
                    if each is not None:
                        found.setdefault(key, {})[canonical(each)] = each
        for variable in item["properties"].get("cube:variables", {}).values():
            name = variable.get("cf:standard_name")
            if name and variable["type"] == "data":
                found.setdefault("cf:standard_name", {})[canonical(name)] = name
    return {key: [value for _, value in sorted(values.items())] for key, values in sorted(found.items())}


def _item_assets(items: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Assets that items have, by key, with the fields that are the same in all of them."""
    found: dict[str, dict[str, Any]] = {}
    for item in items:
        for key, asset in item["assets"].items():
            fields = {field: asset[field] for field in _SHARED if field in asset}
            known = found.get(key, fields)
            found[key] = {field: value for field, value in known.items() if fields.get(field) == value}
    # The specification wants at least two fields of each.
    return {key: fields for key, fields in sorted(found.items()) if len(fields) >= 2}


def _links(
    collection_id: str, items: Sequence[Mapping[str, Any]], base_href: str | None, root_title: str | None
) -> list[dict[str, Any]]:
    titled = {"title": root_title} if root_title else {}
    links: list[dict[str, Any]] = [
        {"rel": "root", "href": "../catalog.json", "type": JSON, **titled},
        {"rel": "parent", "href": "../catalog.json", "type": JSON, **titled},
    ]
    if base_href:
        own = f"{base_href.rstrip('/')}/{collection_id}/collection.json"
        links.insert(1, {"rel": "self", "href": own, "type": JSON})
    for item in items:
        href = f"./{item['id']}/{item['id']}.json"
        links.append({"rel": "item", "href": href, "type": GEOJSON, "title": item["properties"]["title"]})
    licences = {link["href"]: link for item in items for link in item["links"] if link["rel"] == "license"}
    links.extend(licences[href] for href in sorted(licences))
    return links
