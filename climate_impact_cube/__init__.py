"""The notebook's face of the climate-impact datacube: `import climate_impact_cube as cic`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cube.catalogue import Cube

__all__ = ["Cube", "open"]


def open(location: str | Path, storage: Mapping[str, Any] | None = None) -> Cube:
    """A published cube: a mapping of product names to xarray datasets.

    location  a folder, s3://bucket/prefix or an http(s) address; the place where catalog.json is
    storage   how an object store is reached, such as {"endpoint_url": ..., "anonymous": True}

    Raises MissingObjectError where there is no catalogue.
    """
    return Cube(location, storage)
