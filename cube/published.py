"""A published product as input of others, from its manifest alone: its files and its job are not looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from cube.axes import Step, TimeAxis
from cube.errors import IntegrityError, Problem
from cube.job import ProductView
from cube.layout import Layout
from cube.live import Live, read_live
from cube.provenance import Citation, Provenance, Provider
from cube.reading import VersionRef
from cube.stores import Store
from cube.template import ArraySpec, FileSpec, Template
from cube.versions import ProductPath


def pinned_view(store: Store, path: ProductPath) -> tuple[str, ProductView] | None:
    """Version and view of what is published of a pinned product, None where nothing is.

    Raises IntegrityError where item, manifest or coordinates are lost or damaged: no build publishes it anew.
    """
    live = read_live(store, path, mending=True)
    if live is None:
        return None
    try:
        if live.damage:
            raise IntegrityError(live.damage)
        return live.version, published_view(store, path, live)
    except IntegrityError as error:
        raise pinned_damage(path.product, error.problems) from None


def pinned_damage(product: str, problems: Iterable[Problem]) -> IntegrityError:
    """What is wrong with the published version of a pinned product, and what mends it."""
    fix = f"`cube rollback {product} --to VERSION`, or `cube rollback {product} --release` and `cube build --repair`"
    return IntegrityError([replace(problem, fix=fix) for problem in problems])


def published_view(store: Store, path: ProductPath, live: Live) -> ProductView:
    """The published version as others see it; the same as its plan gave when it was made.

    Raises IntegrityError where its coordinates are not what was written.
    """
    manifest = live.manifest
    ref, proofs = VersionRef(store, path.version(live.version)), proofs_of(manifest)
    keys = {block: entry["key"] for block, entry in manifest["blocks"].items() if block.startswith("time/")}
    return ProductView(
        path.product,
        path.collection,
        _template(manifest, ref, proofs),
        Layout.from_json(manifest["layout"]["time"]),
        keys,
        _provenance(manifest["provenance"]),
        manifest["fingerprint"],
        ref,
        proofs,
    )


def proofs_of(manifest: Mapping[str, Any]) -> dict[str, str]:
    """sha256 of every object of a version's time.zarr and of its files, by name."""
    files = manifest.get("files", {})
    objects = manifest["objects"].items()
    return {name: entry["sha256"] for name, entry in objects if name in files or name.startswith("time.zarr/")}


def _template(manifest: Mapping[str, Any], ref: VersionRef, proofs: Mapping[str, str]) -> Template:
    arrays = {
        name: ArraySpec(tuple(entry["dims"]), tuple(entry["shape"]), np.dtype(entry["dtype"]), entry["attrs"])
        for name, entry in manifest["variables"].items()
    }
    names = sorted(manifest["coordinates"])
    coords = ref.coordinates(names, proofs) if names else xr.Dataset()
    time = manifest["extent"]["time"]
    return Template(
        arrays=arrays,
        coords=coords,
        time=TimeAxis(time["first"], time["count"], Step.parse(time["step"]), time["calendar"]) if time else None,
        space=tuple(manifest["space"]),
        groups=tuple(tuple(group["variables"]) for group in manifest["layout"]["time"]["groups"]),
        crs=manifest["crs"],
        bbox=tuple(manifest["extent"]["bbox"]),
        files={
            name: FileSpec(**{**each, "roles": tuple(each["roles"])})
            for name, each in manifest.get("files", {}).items()
        },
    )


def _file(value: Mapping[str, Any]) -> FileSpec:
    return FileSpec(value["beside"], value["media_type"], value["title"], tuple(value["roles"]), value["fields"])


def _provenance(value: Mapping[str, Any]) -> Provenance:
    """The provenance that a manifest tells of."""
    return Provenance(
        licence=value["licence"],
        redistribution=value["redistribution"],
        licence_url=value["licence_url"],
        providers=tuple(Provider(each["name"], tuple(each["roles"]), each["url"]) for each in value["providers"]),
        citations=tuple(Citation(each["text"], each["doi"]) for each in value["citations"]),
        ancestors=tuple(
            (each["product"], _provenance({**each, "ancestors": ()})) for each in value.get("ancestors", ())
        ),
    )
