"""The STAC extensions in use, and which of them an object must declare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_SITE = "https://stac-extensions.github.io"
BY_PREFIX = {
    "cf": f"{_SITE}/cf/v0.3.0/schema.json",
    "cube": f"{_SITE}/datacube/v2.3.0/schema.json",
    "file": f"{_SITE}/file/v2.1.0/schema.json",
    "mlm": f"{_SITE}/mlm/v1.5.2/schema.json",
    "processing": f"{_SITE}/processing/v1.2.0/schema.json",
    "proj": f"{_SITE}/projection/v2.0.0/schema.json",
    "sci": f"{_SITE}/scientific/v1.0.0/schema.json",
    "xarray": f"{_SITE}/xarray-assets/v1.0.0/schema.json",
    "zarr": f"{_SITE}/zarr/v1.1.0/schema.json",
}
VERSION = f"{_SITE}/version/v1.2.0/schema.json"


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from _keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner)


def declared(stac_object: Mapping[str, Any], *, versioned: bool = False) -> list[str]:
    """Identifiers of the extensions whose fields occur anywhere in an object, sorted."""
    prefixes = {key.partition(":")[0] for key in _keys(stac_object) if ":" in key}
    found = {BY_PREFIX[prefix] for prefix in prefixes if prefix in BY_PREFIX}
    return sorted(found | ({VERSION} if versioned else set()))
