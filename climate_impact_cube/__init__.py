"""The notebook's face of the climate-impact datacube: `import climate_impact_cube as cic`.

cic.open      a published cube, as xarray datasets by name
cic.emulate   soil moisture of a place in a changed climate
cic.metrics   dry days, wet seasons and indices of any daily series, with thresholds of your own
cic.plot      maps of a metric, seasons of a place
cic.explain   where a number comes from
cic.export    a product as NetCDF or CSV
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cube.catalogue import Cube

if TYPE_CHECKING:
    from compute.emulate.place import emulate
    from compute.export.exporting import export
    from compute.metrics import functions as metrics
    from compute.notebook import plot
    from compute.notebook.explain import explain

__all__ = ["Cube", "emulate", "explain", "export", "metrics", "open", "plot"]

_LATER = {
    "emulate": ("compute.emulate.place", "emulate"),
    "explain": ("compute.notebook.explain", "explain"),
    "export": ("compute.export.exporting", "export"),
    "metrics": ("compute.metrics.functions", ""),
    "plot": ("compute.notebook.plot", ""),
}


def open(location: str | Path, storage: Mapping[str, Any] | None = None) -> Cube:
    """A published cube: a mapping of product names to xarray datasets.

    location  a folder, s3://bucket/prefix or an http(s) address; the place where catalog.json is
    storage   how an object store is reached, such as {"endpoint_url": ..., "anonymous": True}

    Raises MissingObjectError where there is no catalogue.
    """
    return Cube(location, storage)


def __getattr__(name: str) -> Any:
    # What the others need takes seconds to import.
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LATER[name]
    found = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found
