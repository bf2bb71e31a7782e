"""What is said of a product: the manifest's description and the attributes of its Zarr root."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import xarray as xr

from batch.sections import ProductSpec
from batch.spec import Spec
from cube.axes import TimeAxis
from cube.job import Job
from cube.layout import Layout
from cube.provenance import Provenance
from cube.template import Template

SHORT = 64
"""Coordinates of dimensions other than space and time are listed in full up to this length."""


def described(
    spec: Spec, product: ProductSpec, job: Job, template: Template, layouts: Mapping[str, Layout]
) -> dict[str, Any]:
    """The manifest without what only a finished version knows. The same inputs give the same value."""
    notes = job.notes()
    return {
        "product": product.name,
        "collection": product.collection,
        "title": product.title or product.name,
        "description": product.description or "",
        "keywords": list(product.keywords),
        "doi": product.doi,
        "permission": product.permission,
        "job": job.name,
        "revision": job.revision,
        "options": dict(job.public_options()),
        "inputs": {
            "files": list(job.files()),
            "products": [
                # The attempt is left out: how often a build was begun must not show in what it made.
                {
                    "name": name,
                    "collection": view.collection,
                    "version": view.fingerprint[:12],
                    "fingerprint": view.fingerprint,
                }
                for name, view in sorted(job.inputs.items())
            ],
        },
        "layout": {name: layout.to_json() for name, layout in layouts.items()},
        "extent": {"time": _period(template.time), "bbox": list(template.bbox)},
        "gaps": [list(gap) for gap in notes.get("gaps", ())],
        "notes": list(notes.get("notes", ())),
        "variables": _variables(template, layouts["time"]),
        "coordinates": _coordinates(template),
        # Left out where there are none, as versions of earlier releases have it.
        **({"files": {name: asdict(file) for name, file in template.files.items()}} if template.files else {}),
        "space": list(template.space),
        "crs": dict(template.crs),
        "provenance": _provenance(job.provenance()),
        "map": "map" in layouts,
        "properties": dict(notes.get("properties", {})),
        "attrs": _attributes(spec, product, job, template, notes),
    }


def _period(axis: TimeAxis | None) -> dict[str, Any] | None:
    if axis is None:
        return None
    beyond = TimeAxis(axis.stop, 1, axis.step, axis.calendar)
    return {**axis.to_json(), "start": axis.text(0), "end": axis.text(-1), "end_bound": beyond.text(0)}


def _variables(template: Template, layout: Layout) -> dict[str, Any]:
    found = {}
    for name, spec in template.arrays.items():
        group = layout.group_of(name)
        found[name] = {
            "dims": list(spec.dims),
            "shape": list(spec.shape),
            "dtype": str(spec.dtype),
            "chunks": list(group.chunks(spec.dims, spec.sizes)),
            "shards": list(group.shards(spec.dims, spec.sizes)),
            "attrs": dict(spec.attrs),
        }
    return found


def _coordinates(template: Template) -> dict[str, Any]:
    found = {}
    for name, array in template.coords.variables.items():
        entry: dict[str, Any] = {
            "dims": [str(dim) for dim in array.dims],
            "shape": list(array.shape),
            "dtype": str(array.dtype),
            "attrs": dict(array.attrs),
        }
        if array.dims == (name,) and array.size:
            entry["extent"] = [array.values.min().item(), array.values.max().item()]
            entry["step"] = _regular_step(array)
            if name not in template.space and array.size <= SHORT:
                entry["values"] = array.values.tolist()
        found[str(name)] = entry
    return found


def _regular_step(array: xr.Variable) -> float | None:
    steps = np.diff(array.values.astype(float))
    if not len(steps) or not np.allclose(steps, steps[0], rtol=1e-6, atol=0):
        return None
    return float(np.round(steps.mean(), 10))


def _provenance(value: Provenance) -> dict[str, Any]:
    found = asdict(value)
    found["ancestors"] = [
        {"product": name, **{key: part for key, part in asdict(each).items() if key != "ancestors"}}
        for name, each in value.ancestors
    ]
    return found


def _attributes(
    spec: Spec, product: ProductSpec, job: Job, template: Template, notes: Mapping[str, Any]
) -> dict[str, Any]:
    """ACDD-1.3 attributes of the Zarr root; what the source says of itself first."""
    west, south, east, north = template.bbox
    provenance = job.provenance()
    attrs: dict[str, Any] = {
        **{key: value for key, value in notes.get("attrs", {}).items() if isinstance(value, str | int | float)},
        "Conventions": "CF-1.11, ACDD-1.3",
        "id": product.name,
        "title": product.title or product.name,
        "license": provenance.licence,
        "geospatial_lat_min": south,
        "geospatial_lat_max": north,
        "geospatial_lon_min": west,
        "geospatial_lon_max": east,
        "project": spec.title,
    }
    if product.description:
        attrs["summary"] = product.description
    if product.keywords:
        attrs["keywords"] = ", ".join(product.keywords)
    if template.time:
        attrs["time_coverage_start"] = template.time.text(0)
        attrs["time_coverage_end"] = template.time.text(-1)
        attrs["time_coverage_resolution"] = template.time.step.iso
    creators = [each.name for each in provenance.providers if "producer" in each.roles]
    if creators:
        attrs["creator_name"] = ", ".join(creators)
    cited = [*provenance.citations, *(c for _, each in provenance.ancestors for c in each.citations)]
    if cited:
        attrs["references"] = "; ".join(f"{c.text} doi:{c.doi}" if c.doi else c.text for c in dict.fromkeys(cited))
    return attrs
