"""One published version as a STAC Item: what a reader needs to find, cite, check and open it."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from cube.hashing import readable, sha256
from stac import citations, datacube
from stac.extensions import declared
from stac.extents import GREGORIAN, bounding_box, geometry, interval, rfc3339

STAC_VERSION = "1.1.0"
JSON, GEOJSON = "application/json", "application/geo+json"
ZARR, KERCHUNK = "application/vnd.zarr; version=3", "application/vnd.zarr+kerchunk"
_LAYOUTS = {
    "time": ("Zarr, laid out for time series", "Long periods of few cells are read with few requests."),
    "map": ("Zarr, laid out for maps", "Whole maps of single time steps are read with few requests."),
}


def compose_item(
    manifest: Mapping[str, Any],
    *,
    version: str,
    published: datetime.datetime,
    created: datetime.datetime,
    base_href: str | None,
    storage_options: Mapping[str, Any] | None = None,
    manifest_bytes: bytes | None = None,
) -> dict[str, Any]:
    """The STAC 1.1 Item of one version, to lie at COLLECTION/PRODUCT/PRODUCT.json.

    published, created  UTC times of this version and of the product's first one
    base_href           absolute public address of the cube's root, for the `self` link; None where there is none
    storage_options     fsspec options that anonymous readers need beside the address, never secrets
    manifest_bytes      the manifest as it is stored, for its checksum; by default as `cube.hashing.readable` writes it

    All other links and hrefs are relative, so that a cube may be moved. Raises ValueError for times without zone.
    """
    product, collection = manifest["product"], manifest["collection"]
    provenance = manifest["provenance"]
    box = bounding_box(manifest["extent"].get("bbox"))
    given = {"sci:doi": manifest["doi"]} if manifest.get("doi") else {}
    science = citations.scientific(provenance, {**given, **(manifest.get("properties") or {})})
    raw = readable(manifest) if manifest_bytes is None else manifest_bytes
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "id": product,
        "collection": collection,
        "geometry": geometry(box),
        **({"bbox": box} if box else {}),
        "properties": {
            # What the spec adds comes first: it cannot replace what was proven.
            **(manifest.get("properties") or {}),
            **science,
            **_descriptive(manifest),
            **_time(manifest, created),
            **_cube(manifest),
            **_own(manifest),
            "version": version,
            "deprecated": False,
            "created": rfc3339(created),
            "updated": rfc3339(published),
            "processing:lineage": _lineage(manifest),
            "processing:software": dict(sorted(manifest["packages"].items())),
        },
        "assets": _assets(manifest, version, raw, storage_options),
        "links": _links(manifest, version, base_href, science.get("sci:doi")),
    }
    item["stac_extensions"] = declared(item, versioned=True)
    cleaned: dict[str, Any] = legal(item)
    return cleaned


def legal(value: Any) -> Any:
    """A value as JSON allows it: NaN and infinities become null, numpy scalars plain ones."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): legal(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [legal(inner) for inner in value]
    return value


def _descriptive(manifest: Mapping[str, Any]) -> dict[str, Any]:
    provenance = manifest["provenance"]
    sentences = [manifest.get("description") or manifest["title"] or manifest["product"]]
    time = manifest["extent"]["time"]
    if time is None:
        sentences.append("The product has no time; datetime is when it was first published.")
    elif time["calendar"] not in GREGORIAN:
        moved = interval(time)[2]
        sentences.append(
            f"Time follows the {time['calendar']} calendar; start_datetime and end_datetime are its dates read as "
            "Gregorian ones" + (", a day that the Gregorian month lacks as the month's last day." if moved else ".")
        )
    fields = {
        "title": manifest["title"] or manifest["product"],
        "description": "\n\n".join(sentences),
        "license": citations.licence_id(provenance.get("licence")),
    }
    credited = citations.providers(provenance.get("providers") or [])
    return {
        **fields,
        **({"keywords": sorted(set(manifest["keywords"]))} if manifest.get("keywords") else {}),
        **({"providers": credited} if credited else {}),
    }


def _time(manifest: Mapping[str, Any], created: datetime.datetime) -> dict[str, Any]:
    time = manifest["extent"]["time"]
    if time is None:
        return {"datetime": rfc3339(created)}
    start, end, _ = interval(time)
    return {"datetime": None, "start_datetime": start, "end_datetime": end}


def _cube(manifest: Mapping[str, Any]) -> dict[str, Any]:
    if not manifest["variables"]:
        return {}
    return {
        "cube:dimensions": datacube.dimensions(manifest),
        "cube:variables": datacube.variables(manifest),
        **datacube.projection(manifest["crs"]),
    }


def _own(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of this project, under `cic:`."""
    provenance, references = manifest["provenance"], manifest.get("references") or {}
    time = manifest["extent"]["time"]
    own: dict[str, Any] = {
        "cic:fingerprint": manifest["fingerprint"],
        "cic:job": manifest["job"],
        "cic:missing": manifest.get("missing") or {},
        "cic:redistribution": provenance.get("redistribution", "unknown"),
    }
    if time is not None:
        own["cic:calendar"] = time["calendar"]
        own["cic:time"] = {key: time[key] for key in ("start", "end", "end_bound", "step", "count")}
        own["cic:gaps"] = [list(gap) for gap in manifest.get("gaps") or []]
    if references.get("refused"):
        own["cic:references_refused"] = list(references["refused"])
    if manifest.get("notes"):
        own["cic:notes"] = list(manifest["notes"])
    if provenance.get("ancestors"):
        own["cic:ancestors"] = sorted(
            ({"product": each["product"], "license": each["licence"]} for each in provenance["ancestors"]),
            key=lambda each: each["product"],
        )
    return own


def _lineage(manifest: Mapping[str, Any]) -> str:
    inputs = manifest["inputs"]
    files = inputs.get("files") or []
    sources = [f"{each['name']} version {each['fingerprint'][:12]}" for each in inputs.get("products") or []]
    if files:
        count = "1 file" if len(files) == 1 else f"{len(files)} files"
        sources.insert(0, f"{count} of {sum(file['bytes'] for file in files)} bytes")
    made = f"Made by the job {manifest['job']}, revision {manifest['revision']}"
    return f"{made}, from {', '.join(sources)}." if sources else f"{made}."


def _stored(objects: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Size of an object and its checksum as multihash, or of all objects below a prefix."""
    if name in objects:
        return {"file:size": objects[name]["bytes"], "file:checksum": f"1220{objects[name]['sha256']}"}
    sizes = [stored["bytes"] for key, stored in objects.items() if key.startswith(f"{name}/")]
    return {"file:size": sum(sizes)} if sizes else {}


def _layouts(manifest: Mapping[str, Any]) -> list[str]:
    if not manifest["variables"]:
        return []
    return ["time", "map"] if manifest.get("map") else ["time"]


def _assets(
    manifest: Mapping[str, Any], version: str, raw: bytes, storage_options: Mapping[str, Any] | None
) -> dict[str, Any]:
    objects = manifest.get("objects") or {}
    assets: dict[str, Any] = {}
    for layout in _layouts(manifest):
        title, description = _LAYOUTS[layout]
        assets[layout] = {
            "href": f"./{version}/{layout}.zarr",
            "type": ZARR,
            "title": title,
            "description": description,
            "roles": ["data"],
            "zarr:consolidated": True,
            "zarr:node_type": "group",
            "zarr:zarr_format": 3,
            # Without decode_timedelta numbers of days would be decoded to time differences.
            "xarray:open_kwargs": {"consolidated": True, "zarr_format": 3, "decode_timedelta": False},
            # xarray refuses even empty storage options for a path, so that the field is given only where needed.
            **({"xarray:storage_options": dict(storage_options)} if storage_options else {}),
            "bands": datacube.bands(manifest),
            **_stored(objects, f"{layout}.zarr"),
        }
    for name, file in manifest.get("files", {}).items():
        assets[name.rpartition("/")[2].partition(".")[0]] = {
            "href": f"./{version}/{name}",
            "type": file["media_type"],
            "title": file["title"],
            "roles": list(file["roles"]),
            **file["fields"],
            **_stored(objects, name),
        }
    references = manifest.get("references") or {}
    if "href" in references:
        protocol = references["base_url"].partition("://")[0]
        assets["references"] = {
            "href": f"./{version}/{references['href']}",
            "type": KERCHUNK,
            "title": f"Kerchunk references to the original files ({references['format']})",
            "roles": ["virtual"],
            "xarray:open_kwargs": {"engine": "kerchunk", "decode_timedelta": False},
            "xarray:storage_options": {"remote_protocol": protocol},
            **_stored(objects, references["href"]),
        }
    assets["manifest"] = {
        "href": f"./{version}/manifest.json",
        "type": JSON,
        "title": "All that this version was made from, with checksums",
        "roles": ["metadata"],
        "file:size": len(raw),
        "file:checksum": f"1220{sha256(raw)}",
    }
    return assets


def _links(manifest: Mapping[str, Any], version: str, base_href: str | None, doi: str | None) -> list[dict[str, Any]]:
    product, collection = manifest["product"], manifest["collection"]
    links = [
        {"rel": "root", "href": "../../catalog.json", "type": JSON},
        {"rel": "parent", "href": "../collection.json", "type": JSON},
        {"rel": "collection", "href": "../collection.json", "type": JSON},
    ]
    if base_href:
        own = f"{base_href.rstrip('/')}/{collection}/{product}/{product}.json"
        links.insert(1, {"rel": "self", "href": own, "type": GEOJSON})
    for layout in _layouts(manifest):
        href = f"./{version}/{layout}.zarr"
        links.append({"rel": "store", "href": href, "type": ZARR, "title": _LAYOUTS[layout][0]})
    for each in sorted(manifest["inputs"].get("products") or [], key=lambda each: (each["collection"], each["name"])):
        href = f"../../{each['collection']}/{each['name']}/{each['name']}.json"
        links.append({"rel": "derived_from", "href": href, "type": GEOJSON, "title": each["name"]})
    references = manifest.get("references") or {}
    if "href" in references:
        links.append({"rel": "via", "href": references["base_url"], "title": "Original files"})
    links.extend(citations.licence_links(manifest["provenance"]))
    if doi:
        links.append({"rel": "cite-as", "href": f"https://doi.org/{doi}"})
    return links
